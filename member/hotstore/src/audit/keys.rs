//! Which keys are needed to read all that lies on the volume.
//!
//! The law: whatever lies below the directory is counted, backups and what was set aside too, by the name that it says itself:
//! no key is needed to tell which one is. Must not know: keys.

use crate::disk::Disk;
use crate::failure::{On, StoreError};
use crate::layout;
use crate::store::usage::DEEPEST;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Files of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyUse {
    /// Its name; `None`: in the clear, of files that hold what people or jobs gave.
    pub key: Option<String>,
    /// How many files.
    pub files: u64,
    /// Bytes of content in them.
    pub bytes: u64,
}

type Uses = BTreeMap<Option<String>, (u64, u64)>;

/// Of all files below a directory.
pub(super) fn below(disk: &dyn Disk, dir: &Path) -> Result<Vec<KeyUse>, StoreError> {
    let mut uses = Uses::new();
    count(disk, dir, DEEPEST, &mut uses)?;
    Ok(uses.into_iter().map(|(key, (files, bytes))| KeyUse { key, files, bytes }).collect())
}

fn count(disk: &dyn Disk, dir: &Path, depth: usize, uses: &mut Uses) -> Result<(), StoreError> {
    for name in disk.list(dir).on("list", dir)? {
        let path = dir.join(name);
        match disk.length(&path).on("look at", &path)? {
            None if depth > 0 => count(disk, &path, depth - 1, uses)?,
            Some(bytes) if layout::shape_of(&path).is_some() => match disk.key_named(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                key => {
                    let of_key = uses.entry(key.on("look at", &path)?).or_default();
                    *of_key = (of_key.0 + 1, of_key.1 + bytes);
                }
            },
            _ => {}
        }
    }
    Ok(())
}

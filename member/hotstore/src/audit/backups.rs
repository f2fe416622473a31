//! What is told of backups: those beside a store, and of the one that a directory is.
//!
//! The law: reads only; what the manifest of a backup that nobody has opened says of a file must be so. One beside the store
//! that cannot be told is listed as that and is no finding: the store lacks nothing. Must not know: how it is printed.

use super::{Audit, Depth, Finding};
use crate::backup::{BackupTold, Is, Seen};
use crate::disk::Disk;
use crate::failure::{On, StoreError};
use crate::refusal::Refused;
use crate::scan::Scan;
use crate::store::backup::listing;
use std::path::Path;

/// Tells of backups.
pub(super) fn tell(disk: &dyn Disk, seen: &Scan, depth: Depth, told: &mut Audit) -> Result<(), StoreError> {
    told.backups = listing::list(disk, &seen.dir)?;
    let Ok(Some(seen_backup)) = &seen.backup else { return Ok(()) };
    let is = if seen_backup.files.is_some() { Is::Untouched } else { Is::OpenedSince };
    let manifest = seen_backup.manifest.clone();
    told.backup = Some(BackupTold { name: manifest.name.clone(), is, manifest: Some(manifest) });
    if depth == Depth::Everything && seen_backup.files.is_some() {
        digests(disk, &seen.dir, seen_backup, told)?;
    }
    Ok(())
}

fn digests(disk: &dyn Disk, dir: &Path, seen: &Seen, told: &mut Audit) -> Result<(), StoreError> {
    for file in &seen.manifest.files {
        let (path, Some(digest)) = (dir.join(&file.name), &file.digest) else { continue };
        let Some(bytes) = disk.read(&path).on("read", &path)? else { continue };
        let covered = &bytes[..bytes.len().min(file.length as usize)];
        if blake3::hash(covered).to_hex().as_str() != digest {
            let why = format!("its content is not what backup {} was made of", seen.manifest.name);
            told.findings.push(Finding::broken(Refused::Inconsistent { file: path, why }));
        }
    }
    Ok(())
}

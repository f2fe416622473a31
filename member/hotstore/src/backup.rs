//! The manifest of a backup: what a directory that was made by a backup held when it was finished.
//!
//! The law: it is written when everything that it names is durable, and never changed. Until the directory is opened as a
//! store it must hold exactly these files; from the first start on, which counts a boot, it is a store like any other and
//! the manifest only tells where it comes from. Must not know: how a backup is made.

use crate::disk::Disk;
use crate::failure::{On, StoreError};
use crate::frame::{self, Magic, Pair};
use crate::layout;
use crate::log::chunk::ChunkId;
use crate::refusal::Refused;
use crate::scan::Scan;
use serde::{Deserialize, Serialize};
use std::path::Path;
use uuid::Uuid;

const MAGIC: Magic = *b"JETBACKP";
const COSTS: &str = "the proof that this backup is whole";
/// The first bytes of a file, in which its own random number lies.
pub(crate) const HEAD_BYTES: usize = 4096;

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackedUp {
    /// Path below the directory.
    pub name: String,
    /// Bytes from the start that are covered; of a chunk more may follow, which count nowhere.
    pub length: u64,
    /// blake3 of the first of those bytes (4096 at most), hex.
    pub head: String,
    /// blake3 of all of them, hex, where it was known.
    pub digest: Option<String>,
    /// The chunk, if it is one.
    pub chunk: Option<ChunkId>,
}

/// The manifest's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Its name, as it was asked for.
    pub name: String,
    /// The set that it belongs to: one of each member, all of one instant. `None`: of this member alone.
    #[serde(default)]
    pub set: Option<Uuid>,
    /// Cluster.
    pub founding: Uuid,
    /// Incarnation.
    pub incarnation: u64,
    /// Member.
    pub member: Uuid,
    /// Generation.
    pub generation: u64,
    /// The store was sealed.
    pub sealed: bool,
    /// Boot that made it.
    pub boot: u64,
    /// It holds everything that was appended in that boot up to this ticket.
    pub ticket: u64,
    /// Where the log ends in it: chunk and length; nothing behind it is part of the backup.
    pub end: Option<(ChunkId, u64)>,
    /// Files, in order of their names; all but the identity and the boot counter.
    pub files: Vec<BackedUp>,
    /// Sum of file lengths.
    pub bytes: u64,
}

/// What a store that was made by a backup keeps of its manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeBy {
    /// The backup's name.
    pub name: String,
    /// Its set, if it is of one.
    pub set: Option<Uuid>,
    /// Generation that was open when it was made.
    pub generation: u64,
}

impl MadeBy {
    pub(crate) fn of(manifest: &Manifest) -> Self {
        MadeBy { name: manifest.name.clone(), set: manifest.set, generation: manifest.generation }
    }
}

/// What a directory among the backups is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "camelCase")]
pub enum Is {
    /// A backup as it was made.
    Untouched,
    /// A backup that was opened as a store: what is in it now is not what was made.
    OpenedSince,
    /// What an interrupted backup or removal left; the next one, or the next start, removes it.
    Unfinished,
    /// No backup that can be told.
    Refused {
        /// Why not.
        why: String,
    },
}

/// A directory among the backups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackupTold {
    /// Its name.
    pub name: String,
    /// What it is.
    #[serde(flatten)]
    pub is: Is,
    /// What it says of itself.
    pub manifest: Option<Manifest>,
}

/// A manifest, and what lies beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What it says.
    pub manifest: Manifest,
    /// Length and head of each of its files; `None`: the directory was opened as a store since, and they may differ.
    pub files: Option<Vec<Option<(u64, String)>>>,
}

pub(crate) fn write(disk: &dyn Disk, dir: &Path, manifest: &Manifest) -> Result<(), StoreError> {
    frame::save_pair(disk, MAGIC, &layout::backup(dir), 1, manifest, &[])
}

pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<Pair<Manifest>, StoreError> {
    frame::load_pair(disk, MAGIC, &layout::backup(dir), COSTS)
}

/// The digest of what a file begins with.
pub(crate) fn head_of(disk: &dyn Disk, path: &Path, length: u64) -> Result<String, StoreError> {
    let head = disk.read_part(path, 0, HEAD_BYTES.min(length as usize)).on("read", path)?;
    Ok(blake3::hash(&head).to_hex().to_string())
}

/// Looks at the files of a manifest, if the directory with boot counter `boot` was not opened since.
pub(crate) fn look(disk: &dyn Disk, dir: &Path, manifest: Manifest, boot: u64) -> Result<Seen, StoreError> {
    if boot != manifest.boot {
        return Ok(Seen { manifest, files: None });
    }
    let mut files = Vec::new();
    for file in &manifest.files {
        let path = dir.join(&file.name);
        let Some(length) = disk.length(&path).on("look at", &path)? else {
            files.push(None);
            continue;
        };
        files.push(Some((length, head_of(disk, &path, file.length)?)));
    }
    Ok(Seen { manifest, files: Some(files) })
}

/// Refuses a backup that was not opened yet and is not exactly what its manifest says. Pure.
pub(crate) fn judge(scan: &Scan, seen: &Seen, cluster: Uuid, member: Uuid) -> Result<(), Refused> {
    let (says, file) = (&seen.manifest, layout::backup(&scan.dir));
    if says.founding != cluster {
        return Err(Refused::OtherCluster { file, found: says.founding, own: cluster });
    }
    if says.member != member {
        return Err(Refused::OtherMember { file, found: says.member, own: member });
    }
    let Some(found) = &seen.files else { return Ok(()) };
    for (file, found) in says.files.iter().zip(found) {
        compare(&scan.dir, says, file, found.as_ref())?;
    }
    let named = |path: &Path| says.files.iter().any(|file| scan.dir.join(&file.name) == path);
    match data_of(scan).into_iter().find(|path| !named(path)) {
        None => Ok(()),
        Some(file) => {
            let why = format!("backup {} does not name it: files of two times were mixed", says.name);
            Err(Refused::Inconsistent { file, why })
        }
    }
}

fn compare(dir: &Path, says: &Manifest, file: &BackedUp, found: Option<&(u64, String)>) -> Result<(), Refused> {
    let (path, why) = (dir.join(&file.name), format!("backup {} names it", says.name));
    let Some((length, head)) = found else {
        return Err(Refused::Missing { file: path, why });
    };
    let fits = if file.chunk.is_some() { *length >= file.length } else { *length == file.length };
    if !fits {
        return Err(Refused::Length { file: path, found: *length, recorded: file.length, why });
    }
    if *head != file.head {
        let why = format!("it begins otherwise than in backup {}: it was changed, or is of another time", says.name);
        return Err(Refused::Inconsistent { file: path, why });
    }
    Ok(())
}

/// Every file whose content is judged by its name.
fn data_of(scan: &Scan) -> Vec<std::path::PathBuf> {
    let chunks = scan.chunks.iter().map(|chunk| chunk.path.clone());
    let epochs = scan.epochs.iter().map(|epoch| epoch.path.clone());
    let opened = scan.opened.iter().map(|(generation, _)| layout::opened(&scan.dir, *generation));
    let seals = scan.seals.iter().flat_map(|(g, n, _)| frame::copies(&layout::seal(&scan.dir, *g, *n)));
    chunks.chain(epochs).chain(opened).chain(seals).collect()
}

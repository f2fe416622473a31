//! Names of files and directories of one member's store, and how to read them back.
//!
//! Must not know: what is in the files.

use crate::disk::encrypted::Shape;
use std::path::{Path, PathBuf};

/// A larger number in a name or a record was never counted up to: who goes on from it would run over.
pub const LARGEST: u64 = 1 << 62;

/// Who may write (flock).
pub fn lock(dir: &Path) -> PathBuf {
    dir.join("lock")
}

/// Nonce of who holds the lock.
pub fn owner(dir: &Path) -> PathBuf {
    dir.join("owner")
}

/// Identity record (two copies).
pub fn identity(dir: &Path) -> PathBuf {
    dir.join("identity")
}

/// Boot counter (two copies).
pub fn boot(dir: &Path) -> PathBuf {
    dir.join("boot")
}

/// Promise to found a cluster.
pub fn founding(dir: &Path) -> PathBuf {
    dir.join("founding")
}

/// The cluster was founded.
pub fn founded(dir: &Path) -> PathBuf {
    dir.join("founded")
}

/// What a new incarnation of the cluster begins with.
pub fn refounding(dir: &Path) -> PathBuf {
    dir.join("refounding")
}

/// This store was given up, and is put aside before anything is opened.
pub fn given_up(dir: &Path) -> PathBuf {
    dir.join(GIVEN_UP)
}

pub(crate) const GIVEN_UP: &str = "given-up";

/// The member has left its cluster.
pub fn left(dir: &Path) -> PathBuf {
    dir.join(LEFT)
}

pub(crate) const LEFT: &str = "left";

/// The consensus log's directory.
pub fn raft(dir: &Path) -> PathBuf {
    dir.join("raft")
}

/// Where things are put that may still be wanted by a human.
pub fn quarantine(dir: &Path) -> PathBuf {
    dir.join("quarantine")
}

/// Manifest of the backup that this directory is (two copies).
pub fn backup(dir: &Path) -> PathBuf {
    dir.join("backup")
}

/// Name of the directory of [`backups`].
pub const BACKUPS: &str = "backups";

/// The backups of this store, a directory each.
pub fn backups(dir: &Path) -> PathBuf {
    dir.join(BACKUPS)
}

/// A backup that is not finished, or is being removed: no store, whatever lies in it.
pub fn is_unfinished_backup(dir: &Path) -> bool {
    let is_among = dir.parent().is_some_and(|room| room.ends_with(BACKUPS));
    is_among && dir.file_name().is_some_and(|name| parse(&name.to_string_lossy()) == Name::Tmp)
}

/// All generations.
pub fn data(dir: &Path) -> PathBuf {
    dir.join("data")
}

/// Files of one generation.
pub fn generation(dir: &Path, generation: u64) -> PathBuf {
    data(dir).join(format!("gen-{generation}"))
}

/// One chunk of the log.
pub fn chunk(dir: &Path, generation_: u64, number: u64) -> PathBuf {
    generation(dir, generation_).join(format!("log-{number}.jl"))
}

/// Record that a generation was opened.
pub fn opened(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("opened-{generation}"))
}

/// Manifest of a seal (two copies), by its number.
pub fn seal(dir: &Path, generation: u64, number: u64) -> PathBuf {
    dir.join(format!("seal-{generation}-{number}"))
}

/// One snapshot epoch.
pub fn epoch(dir: &Path, generation_: u64, job: u64, execution: u64, epoch: u64) -> PathBuf {
    generation(dir, generation_).join(format!("epoch-{job:016x}-{execution}-{epoch}.je"))
}

/// A name in the store, read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// `gen-G`
    Generation(u64),
    /// `opened-G`
    Opened(u64),
    /// `seal-G-N.a|b`
    Seal {
        /// Generation.
        generation: u64,
        /// Number of the seal in this store.
        number: u64,
    },
    /// `log-N.jl`
    Chunk(u64),
    /// `epoch-J-X-E.je`
    Epoch,
    /// `retired-…`: dropped, kept for the last seal.
    Retired,
    /// `….tmp`: never was anything.
    Tmp,
    /// Anything else.
    Other,
}

/// How a file that holds what people or jobs gave is encrypted; `None`: it says only whose the store is, and when.
pub fn shape_of(path: &Path) -> Option<Shape> {
    let name = path.file_name()?.to_str()?;
    let name = name.strip_suffix(".tmp").unwrap_or(name);
    match parse(name) {
        Name::Chunk(_) | Name::Epoch | Name::Retired | Name::Seal { .. } => Some(Shape::Blocks),
        _ if name == "snapshot" || name == "refounding" => Some(Shape::Blocks),
        _ if name.starts_with("entries-") && name.ends_with(".rl") => Some(Shape::Grains),
        _ => None,
    }
}

/// Reads a name back.
pub fn parse(name: &str) -> Name {
    let number = |text: &str| text.parse::<u64>().ok();
    if name.ends_with(".tmp") {
        return Name::Tmp;
    }
    if name.starts_with("retired-") {
        return Name::Retired;
    }
    if name.starts_with("epoch-") && name.ends_with(".je") {
        return Name::Epoch;
    }
    if let Some(generation) = name.strip_prefix("gen-").and_then(number) {
        return Name::Generation(generation);
    }
    if let Some(generation) = name.strip_prefix("opened-").and_then(number) {
        return Name::Opened(generation);
    }
    if let Some(chunk) = name.strip_prefix("log-").and_then(|n| n.strip_suffix(".jl")).and_then(number) {
        return Name::Chunk(chunk);
    }
    let seal = name.strip_prefix("seal-").and_then(|n| n.strip_suffix(".a").or(n.strip_suffix(".b")));
    if let Some((generation, seal)) = seal.and_then(|n| n.split_once('-'))
        && let (Some(generation), Some(number)) = (number(generation), number(seal))
    {
        return Name::Seal { generation, number };
    }
    Name::Other
}

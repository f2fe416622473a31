//! Why there is no backup.
//!
//! The law: each says what cannot be, on which file or directory, and what to do. Must not know: the order of a backup.

use super::{LONGEST_NAME, MOST_BACKUPS, making};
use crate::failure::StoreError;
use std::io::ErrorKind;
use std::path::PathBuf;
use thiserror::Error;

/// Why there is no backup. The store is as it was, and goes on.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The name cannot be one.
    #[error(
        "{name:?} cannot be the name of a backup ({why}): use 1 to {LONGEST_NAME} letters, digits, '-', '_' and '.'"
    )]
    Name {
        /// As it was given.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// There is one of that name.
    #[error("{dir} is there already: nothing was changed; choose another name or remove that backup")]
    Exists {
        /// Its directory.
        dir: PathBuf,
    },
    /// There is none of that name.
    #[error("{dir} is not there: nothing was removed; list the backups for their names")]
    NotThere {
        /// Its directory.
        dir: PathBuf,
    },
    /// It is not removed, because it may be more than a backup.
    #[error("{dir} is not removed ({why}): if nobody needs what is in it, remove the directory by hand")]
    NotABackup {
        /// Its directory.
        dir: PathBuf,
        /// What speaks against it.
        why: String,
    },
    /// Another one is being made or removed.
    #[error("another backup of {dir} is being made or removed: wait for its end and ask again")]
    UnderWay {
        /// The store.
        dir: PathBuf,
    },
    /// Too many.
    #[error(
        "{dir} holds {MOST_BACKUPS} backups, more are not kept beside a store: bring some elsewhere and remove them"
    )]
    TooMany {
        /// Where they lie.
        dir: PathBuf,
    },
    /// The store has nothing to back up yet, or no more.
    #[error("a store that is {phase} is not backed up: open a generation, or load the sealed content, first")]
    NotOpen {
        /// What it is.
        phase: String,
    },
    /// Hard links do not reach there.
    #[error(
        "{file} lies on another file system than the store, and a hot backup is made of hard links: keep backups in a plain directory on the store's volume (as without backup-dir), and copy the finished backup elsewhere"
    )]
    OtherFileSystem {
        /// The name that could not be made.
        file: PathBuf,
    },
    /// The file system has no hard links, or no more for this file.
    #[error("{file} cannot be a hard link ({source}): remove older backups, or use a file system with hard links")]
    NoLinks {
        /// The name that could not be made.
        file: PathBuf,
        /// What the disk said.
        source: std::io::Error,
    },
    /// No room for the backup.
    #[error("no room for the backup at {file} ({source}): the store goes on; remove backups or enlarge the volume")]
    NoRoom {
        /// The file.
        file: PathBuf,
        /// What the disk said.
        source: std::io::Error,
    },
    /// The company did not meet, or gave it up.
    #[error("no backup: {why}")]
    Company {
        /// What it said.
        why: String,
    },
    /// The log could not be brought to an end: that is more than a failed backup.
    #[error("no backup, because the log failed: {0}")]
    Log(#[source] StoreError),
    /// Something else was refused or failed.
    #[error("no backup: {0}")]
    Store(#[source] StoreError),
}

impl From<StoreError> for BackupError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Io { action, file, source } => match source.kind() {
                ErrorKind::CrossesDevices => BackupError::OtherFileSystem { file },
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => BackupError::NoRoom { file, source },
                _ if action == making::LINK && making::cannot_be(&source) => BackupError::NoLinks { file, source },
                _ => BackupError::Store(StoreError::Io { action, file, source }),
            },
            other => BackupError::Store(other),
        }
    }
}

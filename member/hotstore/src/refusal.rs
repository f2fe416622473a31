//! Why a directory is refused, as typed reasons. A refusal leaves every byte as it was.
//!
//! The law: whoever reads the message knows which file, which offset, what it costs and what to do.
//! Must not know: how the reasons are found.

use crate::disk::encrypted::Locked;
use std::path::{Path, PathBuf};
use thiserror::Error;
use uuid::Uuid;

/// Content that is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// A small record or header fails its checksum or cannot be read as what it is.
    #[error(
        "{file}: damaged at byte {offset} ({what}); it costs {costs}. Nothing was changed: restore this volume from a copy"
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// First byte that does not verify.
        offset: u64,
        /// What does not verify.
        what: String,
        /// What is lost if the file is given up.
        costs: String,
    },
    /// A file that must be there is not.
    #[error("{file} is missing: {why}. Nothing was changed: restore this volume from a copy")]
    Missing {
        /// The file.
        file: PathBuf,
        /// Why it must be there.
        why: String,
    },
    /// A file is shorter or longer than what was recorded.
    #[error(
        "{file} has {found} bytes where {recorded} were recorded ({why}). Nothing was changed: restore this volume from a copy"
    )]
    Length {
        /// The file.
        file: PathBuf,
        /// Bytes found.
        found: u64,
        /// Bytes recorded.
        recorded: u64,
        /// Who recorded it.
        why: String,
    },
    /// A file's digest is not the sealed one.
    #[error(
        "{file}: its digest is {found}, the seal says {sealed}; bytes 0..{length} cannot be trusted. Nothing was changed: restore this volume from a copy"
    )]
    Digest {
        /// The file.
        file: PathBuf,
        /// Sealed length.
        length: u64,
        /// Digest found, hex.
        found: String,
        /// Digest sealed, hex.
        sealed: String,
    },
    /// A file of another cluster.
    #[error(
        "{file} belongs to cluster {found}, this store to cluster {own}: the volumes were mixed up. Attach the right volume"
    )]
    OtherCluster {
        /// The file.
        file: PathBuf,
        /// Founding id in the file.
        found: Uuid,
        /// Founding id of the store.
        own: Uuid,
    },
    /// A file of another member.
    #[error(
        "{file} belongs to member {found}, this store to member {own}: the volumes were mixed up. Attach the right volume"
    )]
    OtherMember {
        /// The file.
        file: PathBuf,
        /// Member in the file.
        found: Uuid,
        /// Member of the store.
        own: Uuid,
    },
    /// A file of a generation that this store never opened, or under the wrong name.
    #[error(
        "{file} is of generation {found}, but this store has opened {opened}: files of two times were mixed. Restore the volume from one copy"
    )]
    OtherGeneration {
        /// The file.
        file: PathBuf,
        /// Generation in the file.
        found: u64,
        /// Newest opened generation.
        opened: u64,
    },
    /// Two files that cannot stand beside each other.
    #[error("{file}: {why}. Nothing was changed: restore this volume from one copy")]
    Inconsistent {
        /// The file.
        file: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// The directory holds data but nobody's name.
    #[error(
        "{dir} holds {found} but no identity record: whose data it is cannot be told. Nothing was changed: restore the identity files, or give an empty directory"
    )]
    NoIdentity {
        /// The directory.
        dir: PathBuf,
        /// A name found in it.
        found: String,
    },
    /// The same store on another volume than the recorded one.
    #[error(
        "this store was written on volume {recorded} and is now on {found}: a copy may be running elsewhere. Attach {recorded}, or, if this is the only copy, give it that volume id"
    )]
    OtherVolume {
        /// Recorded volume id.
        recorded: String,
        /// Volume id now.
        found: String,
    },
    /// Another process holds the store.
    #[error("{dir} is in use by another process: two members on one directory. Stop the other one")]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// Encrypted with a key that is not given.
    #[error(
        "{file} is {why}. Nothing was changed: mount the key that it was written with; without it nobody can read this store"
    )]
    Locked {
        /// The file.
        file: PathBuf,
        /// Why.
        why: Locked,
    },
    /// Written by a newer version.
    #[error("{file} has format version {found}, this program knows up to {known}: start a newer version")]
    NewerFormat {
        /// The file.
        file: PathBuf,
        /// Version in the file.
        found: u32,
        /// Newest version known.
        known: u32,
    },
    /// A consensus log of another line than the identity's.
    #[error(
        "{file} is of log line {found}, this member's is {own}. Nothing was changed: restore this volume from one copy"
    )]
    OtherLine {
        /// The file.
        file: PathBuf,
        /// Line in the file.
        found: Uuid,
        /// Line of the member.
        own: Uuid,
    },
    /// A consensus log that ends before what was recorded as durable.
    #[error(
        "{file} ends at byte {found}, but {recorded} bytes were durable: acknowledged entries are missing. Nothing was changed: restore this volume from a copy"
    )]
    BelowDurable {
        /// The file.
        file: PathBuf,
        /// Where the good part ends.
        found: u64,
        /// Recorded durable length.
        recorded: u64,
    },
}

impl Refused {
    /// The file that does not hold what it should, if it is one file.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Refused::Damaged { file, .. }
            | Refused::Missing { file, .. }
            | Refused::Length { file, .. }
            | Refused::Digest { file, .. }
            | Refused::BelowDurable { file, .. } => Some(file),
            _ => None,
        }
    }
}

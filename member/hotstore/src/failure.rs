//! What can go wrong while the store works: I/O, refused content, calls at the wrong time.
//!
//! Must not know: retries. Whoever calls decides; nothing here repeats anything.

use crate::disk::encrypted::Locked;
use crate::log::queue::Closed;
use crate::refusal::Refused;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// An error of the store.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The disk said no.
    #[error(
        "could not {action} {file}: {source}. What was acknowledged before stays valid; free or repair the volume and retry"
    )]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        file: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// Content is refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A former write or sync failed; the file is given up. `retry_in_new_file` goes on.
    #[error("the log failed at {file} ({reason}); nothing is written until it is retried in a new file")]
    Failed {
        /// The given-up file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// The store is not open for this.
    #[error("the store is closed for {call}: {why:?}")]
    Closed {
        /// The call.
        call: &'static str,
        /// Why.
        why: Closed,
    },
    /// The call does not fit the state.
    #[error("cannot {call}: {why}")]
    Misuse {
        /// The call.
        call: &'static str,
        /// Why not.
        why: String,
    },
    /// Partitions wait to be written whole; a seal would not hold everything.
    #[error("cannot seal: partitions {partitions:?} are behind and must be rewritten first")]
    Behind {
        /// Those partitions.
        partitions: Vec<u16>,
    },
    /// A wait reached its bound.
    #[error("not durable after {waited_ms} ms: durable up to {durable}, wanted {wanted}")]
    NotDurable {
        /// How long was waited.
        waited_ms: u64,
        /// What is durable.
        durable: u64,
        /// What was wanted.
        wanted: u64,
    },
    /// Not enough room.
    #[error("{needed} bytes needed on the volume, {free} free: enlarge it; nothing retained is freed to make room")]
    NoRoom {
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
}

/// Adds action and file to an I/O result.
pub(crate) trait On<T> {
    fn on(self, action: &'static str, file: &Path) -> Result<T, StoreError>;
}

impl<T> On<T> for io::Result<T> {
    fn on(self, action: &'static str, file: &Path) -> Result<T, StoreError> {
        self.map_err(|source| match source.get_ref().and_then(|error| error.downcast_ref::<Locked>()) {
            Some(why) => Refused::Locked { file: file.to_path_buf(), why: why.clone() }.into(),
            None => StoreError::Io { action, file: file.to_path_buf(), source },
        })
    }
}

//! What consensus asks of a disk: entries, vote and snapshot, each durable when the call returns.
//!
//! Law: calls come from one thread, in order; an error means that nothing more is asked of this log. Must not know:
//! files.

use std::sync::{Arc, Mutex, PoisonError};

/// One entry as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEntry {
    /// Position.
    pub index: u64,
    /// Term of its leader.
    pub term: u64,
    /// Serialized entry.
    pub bytes: Vec<u8>,
}

/// A disk that failed; the message names file and reason.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct DiskFailed(pub String);

/// Everything that a log holds at its opening.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// Entries in order.
    pub entries: Vec<RawEntry>,
    /// The small record (vote and purge mark).
    pub mark: Option<Vec<u8>>,
    /// The last snapshot: meta and data.
    pub snapshot: Option<(Vec<u8>, Vec<u8>)>,
}

/// A durable log. Every call returns after the fsync.
pub trait LogDisk: Send + 'static {
    /// What is held.
    fn held(&mut self) -> Result<Held, DiskFailed>;
    /// Appends entries with ascending indexes.
    fn append(&mut self, entries: &[RawEntry]) -> Result<(), DiskFailed>;
    /// Removes `index` and everything after it.
    fn truncate_from(&mut self, index: u64) -> Result<(), DiskFailed>;
    /// Removes everything up to and including `index`, which is of `term`.
    fn purge_upto(&mut self, index: u64, term: u64) -> Result<(), DiskFailed>;
    /// Replaces the small record.
    fn save_mark(&mut self, mark: &[u8]) -> Result<(), DiskFailed>;
    /// Replaces the snapshot.
    fn save_snapshot(&mut self, meta: &[u8], data: &[u8]) -> Result<(), DiskFailed>;
}

/// A log in RAM, for tests: what one process wrote the next one finds.
#[derive(Clone, Default)]
pub struct RamDisk(Arc<Mutex<Held>>);

impl RamDisk {
    fn with<T>(&self, work: impl FnOnce(&mut Held) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl LogDisk for RamDisk {
    fn held(&mut self) -> Result<Held, DiskFailed> {
        Ok(self.with(|held| held.clone()))
    }

    fn append(&mut self, entries: &[RawEntry]) -> Result<(), DiskFailed> {
        self.with(|held| held.entries.extend_from_slice(entries));
        Ok(())
    }

    fn truncate_from(&mut self, index: u64) -> Result<(), DiskFailed> {
        self.with(|held| held.entries.retain(|e| e.index < index));
        Ok(())
    }

    fn purge_upto(&mut self, index: u64, _term: u64) -> Result<(), DiskFailed> {
        self.with(|held| held.entries.retain(|e| e.index > index));
        Ok(())
    }

    fn save_mark(&mut self, mark: &[u8]) -> Result<(), DiskFailed> {
        self.with(|held| held.mark = Some(mark.to_vec()));
        Ok(())
    }

    fn save_snapshot(&mut self, meta: &[u8], data: &[u8]) -> Result<(), DiskFailed> {
        self.with(|held| held.snapshot = Some((meta.to_vec(), data.to_vec())));
        Ok(())
    }
}

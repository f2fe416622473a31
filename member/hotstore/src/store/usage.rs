//! Room on the volume: what is live, what is retained, what is free, and which partitions to write anew.
//!
//! The law: growth is bounded by the constants of [`crate::log::collect`]; nothing retained is freed to make room. Who asks how
//! much there is does not wait for a seal or a load.
//! Must not know: who asks.

use super::{Store, locked, try_locked};
use crate::disk::Disk;
use crate::failure::{On, StoreError};
use crate::layout;
use serde::Serialize;
use std::path::Path;
use std::sync::atomic::Ordering;

/// Directories deeper than this are not ours.
pub(crate) const DEEPEST: usize = 6;

/// Bytes on the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Usage {
    /// Log chunks in use and finished epochs.
    pub live: u64,
    /// Kept for the last seal, not in use.
    pub retained: u64,
    /// Set aside.
    pub quarantine: u64,
    /// Free for us.
    pub free: u64,
}

/// Bytes of all files below a directory.
pub(crate) fn bytes_below(disk: &dyn Disk, dir: &Path, depth: usize) -> Result<u64, StoreError> {
    let mut sum = 0;
    for name in disk.list(dir).on("list", dir)? {
        let path = dir.join(name);
        sum += match disk.length(&path).on("look at", &path)? {
            Some(length) => length,
            None if depth > 0 => bytes_below(disk, &path, depth - 1)?,
            None => 0,
        };
    }
    Ok(sum)
}

impl Store {
    /// Bytes on the volume. Those of the log as they were, while a seal or a load has it in hand.
    pub fn usage(&self) -> Result<Usage, StoreError> {
        if let Some(bytes) = self.chain_bytes()? {
            self.log_bytes.store(bytes, Ordering::Relaxed);
        }
        let live = self.log_bytes.load(Ordering::Relaxed) + self.epochs().iter().map(|info| info.length).sum::<u64>();
        let all = bytes_below(self.disk.as_ref(), &layout::data(&self.dir), DEEPEST)?;
        Ok(Usage {
            live,
            retained: all.saturating_sub(live),
            quarantine: bytes_below(self.disk.as_ref(), &layout::quarantine(&self.dir), DEEPEST)?,
            free: self.disk.free_bytes(&self.dir).on("ask the file system of", &self.dir)?,
        })
    }

    /// `None`: it is in somebody's hand, and who holds it may wait for the disk.
    fn chain_bytes(&self) -> Result<Option<u64>, StoreError> {
        let Some(appender) = try_locked(&self.appender) else { return Ok(None) };
        if let Some(appender) = appender.as_ref() {
            return Ok(Some(appender.chain_bytes()));
        }
        drop(appender);
        let Some(known) = try_locked(&self.known) else { return Ok(None) };
        let mut sum = 0;
        for (_, path, _) in &known.chain {
            sum += self.disk.length(path).on("look at", path)?.unwrap_or(0);
        }
        Ok(Some(sum))
    }

    /// Whether `needed` more bytes fit.
    pub fn room(&self, needed: u64) -> Result<(), StoreError> {
        let free = self.disk.free_bytes(&self.dir).on("ask the file system of", &self.dir)?;
        if free >= needed { Ok(()) } else { Err(StoreError::NoRoom { needed, free }) }
    }

    /// Partitions to write anew from RAM now (`rewrite_partition` with `Base::Continues`): first those that are behind
    /// (lagging, or interrupted by a crash), then those with content in a chunk that does not verify.
    pub fn partitions_to_rewrite(&self) -> Vec<u16> {
        let mut due = self.queue.health().lagging;
        if let Some(appender) = locked(&self.appender).as_ref() {
            due.extend(appender.plan().stuck());
            due.extend(self.newest_spoilt().map(|chunk| appender.plan().in_or_before(chunk)).unwrap_or_default());
        }
        let mut seen = std::collections::BTreeSet::new();
        due.retain(|partition| seen.insert(*partition));
        due
    }
}

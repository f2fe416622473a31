//! The consensus log on the hot-restart store's disk.
//!
//! Law: one word of ours for one of the store's; nothing is repeated after a failure. Must not know: openraft.

use jet_hotstore::{ConsensusLog, LogEntry, StoreError};

use super::disk::{DiskFailed, Held, LogDisk, RawEntry};

impl From<StoreError> for DiskFailed {
    fn from(error: StoreError) -> Self {
        DiskFailed(error.to_string())
    }
}

impl LogDisk for ConsensusLog {
    fn held(&mut self) -> Result<Held, DiskFailed> {
        let entries = self
            .entries(0, u64::MAX)
            .into_iter()
            .map(|e| RawEntry { index: e.index, term: e.term, bytes: e.bytes })
            .collect();
        let snapshot = self.snapshot().map(|s| (s.meta.clone(), s.bytes.clone()));
        Ok(Held { entries, mark: self.vote().map(<[u8]>::to_vec), snapshot })
    }

    fn append(&mut self, entries: &[RawEntry]) -> Result<(), DiskFailed> {
        let entries: Vec<LogEntry> =
            entries.iter().map(|e| LogEntry { index: e.index, term: e.term, bytes: e.bytes.clone() }).collect();
        Ok(ConsensusLog::append(self, &entries)?)
    }

    fn truncate_from(&mut self, index: u64) -> Result<(), DiskFailed> {
        Ok(ConsensusLog::truncate_from(self, index)?)
    }

    fn purge_upto(&mut self, index: u64, term: u64) -> Result<(), DiskFailed> {
        Ok(ConsensusLog::purge_upto(self, index, term)?)
    }

    fn save_mark(&mut self, mark: &[u8]) -> Result<(), DiskFailed> {
        Ok(self.save_vote(mark)?)
    }

    fn save_snapshot(&mut self, meta: &[u8], data: &[u8]) -> Result<(), DiskFailed> {
        Ok(ConsensusLog::save_snapshot(self, meta, data)?)
    }
}

//! Emptying old chunks while the store is written: what is still live in them is appended again, from RAM, and then it is said
//! that it has moved.
//!
//! The law: whoever has the RAM knows of each entry an age that is not later than the chunk which holds its last record
//! ([`Store::age`] when it was appended, or what the load told; a copy of a rewrite is as old as the beginning of the rewrite,
//! without which it does not count). Every entry older than the chunk that stays first is appended
//! again, and only then a partition is said to have moved, under the same lock as every change of it, and only if every
//! change was taken by the log. What is said half way is true: the same entry twice is the same entry. A removal or a clearing
//! in the oldest chunks kills nothing that is behind it, and goes with them. Must not know: who has the RAM.

use super::{Store, locked};
use crate::failure::{On, StoreError};
use crate::layout;
use crate::log::appender::Appender;
use crate::log::chunk::ChunkId;
pub use crate::log::collect::Due;
use crate::log::collect::{due, oldest_upto};
use crate::log::queue::Appended;
use crate::log::record::{HEAD, Record, Version};

/// Bytes that an entry takes in the log.
pub fn live_bytes(key: usize, value: usize) -> u64 {
    (HEAD + key + value) as u64
}

impl Store {
    /// A record that is appended from now on lies in a chunk of this number or of a later one.
    pub fn age(&self) -> u64 {
        self.queue.age()
    }

    /// Bytes of all chunks of the log.
    pub fn log_bytes(&self) -> u64 {
        locked(&self.appender).as_ref().map_or(0, Appender::chain_bytes)
    }

    /// Old chunks to be emptied now, if the live content takes so many bytes ([`live_bytes`] of each entry).
    pub fn due_for_collection(&self, live: u64) -> Option<Due> {
        let guard = locked(&self.appender);
        let appender = guard.as_ref().filter(|appender| appender.failure().is_none())?;
        let due = due(&appender.chain(), appender.plan().floor(), live, self.options.chunk_bytes)?;
        (!appender.plan().can_move_to(due.to).is_empty()).then_some(due)
    }

    /// The oldest chunks to be emptied while there are some of another key than new ones are written with; the same for what is
    /// in the clear, or is not to be any more. As for garbage not all at once, so that room is free again in between.
    pub fn due_for_new_key(&self) -> Result<Option<Due>, StoreError> {
        let Some((chain, floor)) = locked(&self.appender).as_ref().map(|log| (log.chain(), log.plan().floor())) else {
            return Ok(None);
        };
        let Some(newest) = self.newest_of_another_key(&chain)? else { return Ok(None) };
        let due = oldest_upto(&chain, floor, newest);
        Ok(due.filter(|due| !self.to_move(due).is_empty()))
    }

    /// What this process writes is of one key: it is asked for once.
    fn newest_of_another_key(&self, chain: &[(ChunkId, u64)]) -> Result<Option<ChunkId>, StoreError> {
        if let Some(known) = self.other_key.get() {
            return Ok(*known);
        }
        let mut newest = None;
        for (id, _) in chain {
            let path = layout::chunk(&self.dir, id.generation, id.number);
            if self.disk.key_of(&path).on("look at", &path)?.as_deref() != self.disk.writes_with() {
                newest = Some(*id);
            }
        }
        Ok(*self.other_key.get_or_init(|| newest))
    }

    /// For drills: all closed chunks, as if they were due.
    #[doc(hidden)]
    pub fn all_closed(&self) -> Option<Due> {
        let chain = locked(&self.appender).as_ref().map(Appender::chain)?;
        let ((to, _), chunks) = chain.split_last()?;
        (!chunks.is_empty()).then(|| Due { bytes: chunks.iter().map(|(_, length)| length).sum(), to: *to })
    }

    /// Partitions that have content in such chunks and can move.
    pub fn to_move(&self, due: &Due) -> Vec<u16> {
        locked(&self.appender).as_ref().map(|appender| appender.plan().can_move_to(due.to)).unwrap_or_default()
    }

    /// Appends an entry again. Half of the queue stays free for changes: `Busy` says to come back later.
    pub fn append_again(&self, record: Record) -> Appended {
        self.queue.append_again(record)
    }

    /// Says that all live content of a partition lies behind old chunks; not behind a `Forget` of it. `version`: of the last change that was appended.
    pub fn append_moved(&self, partition: u16, version: Version, due: &Due) -> Appended {
        self.queue.append_again(Record::moved(partition, version, due.to))
    }
}

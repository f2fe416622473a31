//! openraft's log storage: entries in RAM for reading, on the disk for keeping.
//!
//! Law: an answer to a vote or an append goes out only after its fsync; the term that a vote promises is known to the
//! lease before it is on the disk; nothing is forgotten that no snapshot on the disk has. Must not know: what entries mean.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::storage::{LogFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader, StorageIOError, Vote};
use serde::{Deserialize, Serialize};

use super::disk::{DiskFailed, Held, LogDisk, RawEntry};
use super::types::{Entry, LogId, Meta, StorageError, Types, Voter};
use super::writer::{Order, Writer};

/// The small record beside the entries.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Mark {
    vote: Option<Vote<Voter>>,
    purged: Option<LogId>,
}

#[derive(Default)]
struct Memory {
    entries: BTreeMap<u64, Entry>,
    mark: Mark,
    committed: Option<LogId>,
}

/// The log of one member. Clones share it.
#[derive(Clone)]
pub struct Log {
    memory: Arc<Mutex<Memory>>,
    writer: Writer,
    term: Arc<AtomicU64>,
}

/// What was read when the log was opened, beside its entries.
pub struct Opened {
    /// The log.
    pub log: Log,
    /// Its last snapshot: meta and data.
    pub snapshot: Option<(Meta, Vec<u8>)>,
}

impl Log {
    /// Reads what the disk holds and starts the writing thread.
    pub fn open(mut disk: impl LogDisk) -> Result<Opened, DiskFailed> {
        let Held { entries, mark, snapshot } = disk.held()?;
        let unreadable =
            |what: &str, e: serde_json::Error| DiskFailed(format!("the consensus log's {what} cannot be read: {e}"));
        let mark: Mark =
            mark.map_or(Ok(Mark::default()), |m| serde_json::from_slice(&m)).map_err(|e| unreadable("vote", e))?;
        let purged = mark.purged.map_or(0, |id| id.index);
        let half_purged = mark.purged.filter(|_| entries.first().is_some_and(|first| first.index <= purged));
        let mut memory = Memory::default();
        let mut durable = purged;
        for raw in entries.into_iter().filter(|raw| mark.purged.is_none() || raw.index > purged) {
            let entry: Entry = serde_json::from_slice(&raw.bytes).map_err(|e| unreadable("entry", e))?;
            durable = durable.max(raw.index);
            memory.entries.insert(raw.index, entry);
        }
        let snapshot = match snapshot {
            Some((meta, data)) => {
                Some((serde_json::from_slice::<Meta>(&meta).map_err(|e| unreadable("snapshot", e))?, data))
            }
            None => None,
        };
        let covered = snapshot.as_ref().and_then(|(meta, _)| meta.last_log_id).map_or(0, |id| id.index);
        if purged > covered {
            return Err(DiskFailed(format!(
                "the consensus log begins behind entry {purged}, and its snapshot ends at {covered}: entries are missing"
            )));
        }
        if let Some(id) = half_purged {
            // Who lost its power between the mark and what it is of would go on with a gap.
            disk.purge_upto(id.index, id.leader_id.term)?;
        }
        let term = mark.vote.map_or(0, |v| v.leader_id.term);
        memory.mark = mark;
        let writer =
            Writer::start(disk, durable, covered).map_err(|e| DiskFailed(format!("cannot start a thread: {e}")))?;
        let log = Self { memory: Arc::new(Mutex::new(memory)), writer, term: Arc::new(AtomicU64::new(term)) };
        Ok(Opened { log, snapshot })
    }

    /// The way to the disk, for snapshots and for reports.
    pub fn writer(&self) -> &Writer {
        &self.writer
    }

    /// The highest term that this member has promised to anybody.
    pub fn term(&self) -> Arc<AtomicU64> {
        self.term.clone()
    }

    /// Its last entry, also if it was forgotten behind a snapshot.
    pub fn last(&self) -> Option<LogId> {
        let memory = self.memory();
        memory.entries.values().next_back().map(|entry| entry.log_id).or(memory.mark.purged)
    }

    /// Entries behind that position.
    pub fn behind(&self, index: u64) -> Vec<Entry> {
        self.memory().entries.range(index + 1..).map(|(_, entry)| entry.clone()).collect()
    }

    /// Nothing was ever written.
    pub fn is_blank(&self) -> bool {
        let memory = self.memory();
        memory.entries.is_empty() && memory.mark.purged.is_none() && memory.mark.vote.is_none()
    }

    /// In a later life in the same process, before anything is promised in it: who led when the former one ended leads no
    /// more in that term, and a promise that is not on the disk is given to nobody, so that nothing said under them is said
    /// a second time by another.
    pub async fn give_up(&mut self, me: Voter, promised: u64) -> Result<(), StorageError> {
        let vote = self.memory().mark.vote.unwrap_or_default();
        let led = vote.is_committed() && vote.leader_id.voted_for() == Some(me);
        if self.is_blank() || !(led || vote.leader_id.term < promised) {
            return Ok(());
        }
        self.save_vote(&Vote::new(promised.max(vote.leader_id.term) + 1, me)).await
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mark(&self, change: impl FnOnce(&mut Mark)) -> Result<Order, serde_json::Error> {
        let mut memory = self.memory();
        change(&mut memory.mark);
        serde_json::to_vec(&memory.mark).map(Order::Mark)
    }
}

/// The small record of a log that begins behind `last`: nobody was given a vote for a later term.
pub fn mark_of_a_beginning(last: LogId, me: Voter) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Mark { vote: Some(Vote::new(last.leader_id.term, me)), purged: Some(last) })
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry>, StorageError> {
        let ends: (Bound<u64>, Bound<u64>) = (range.start_bound().cloned(), range.end_bound().cloned());
        Ok(self.memory().entries.range(ends).map(|(_, entry)| entry.clone()).collect())
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError> {
        let last = self.last();
        Ok(LogState { last_purged_log_id: self.memory().mark.purged, last_log_id: last })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<Voter>) -> Result<(), StorageError> {
        self.term.fetch_max(vote.leader_id.term, Ordering::AcqRel);
        let order = self.mark(|mark| mark.vote = Some(*vote)).map_err(|e| StorageIOError::write_vote(&e))?;
        self.writer.carry_out(order).await.map_err(|e| StorageIOError::write_vote(&e).into())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<Voter>>, StorageError> {
        Ok(self.memory().mark.vote)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        self.memory().committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        Ok(self.memory().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut raw = Vec::new();
        {
            let mut memory = self.memory();
            for entry in entries {
                let bytes =
                    serde_json::to_vec(&entry).map_err(|e| StorageIOError::write_log_entry(entry.log_id, &e))?;
                raw.push(RawEntry { index: entry.log_id.index, term: entry.log_id.leader_id.term, bytes });
                memory.entries.insert(entry.log_id.index, entry);
            }
        }
        self.writer
            .order(Order::Append(raw), move |result| callback.log_io_completed(result.map_err(std::io::Error::other)));
        Ok(())
    }

    async fn truncate(&mut self, id: LogId) -> Result<(), StorageError> {
        self.memory().entries.split_off(&id.index);
        self.writer.carry_out(Order::Truncate(id.index)).await.map_err(|e| StorageIOError::write_logs(&e).into())
    }

    async fn purge(&mut self, id: LogId) -> Result<(), StorageError> {
        // openraft forgets entries while the snapshot that has them, as it was received, is still on its way to the disk: who
        // lost its power in between would find neither.
        self.writer.covered(id.index).await;
        // The mark first: entries below it are dead whether or not they are gone.
        let order = self.mark(|mark| mark.purged = Some(id)).map_err(|e| StorageIOError::write_logs(&e))?;
        self.writer.carry_out(order).await.map_err(|e| StorageIOError::write_logs(&e))?;
        {
            let mut memory = self.memory();
            memory.entries = memory.entries.split_off(&(id.index + 1));
        }
        self.writer
            .carry_out(Order::Purge(id.index, id.leader_id.term))
            .await
            .map_err(|e| StorageIOError::write_logs(&e).into())
    }
}

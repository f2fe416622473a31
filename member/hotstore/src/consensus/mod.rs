//! The consensus log of one member: vote, entries, snapshot; opaque to us. All of it is durable when a call returns.
//!
//! The law: a torn tail that nobody was told to be durable is cut; anything else (bad before its end, ending below its durable
//! record, of another line, missing) is refused and left as it is. After a failed write or sync the log is closed for good: who
//! goes on opens it anew, which writes a new file, and finds all that was acknowledged. Openings that fail leave no more behind
//! than the last of them.
//! Must not know: which consensus it serves.

pub(crate) mod copying;
mod durable;
mod reading;
mod record;

use crate::disk::{Disk, DiskFile};
use crate::failure::{On, StoreError};
use crate::frame::{self, Magic};
use crate::layout::LARGEST;
use crate::stillness::Stillness;
use durable::{Durable, Slots};
use record::Kind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

pub(super) const MAGIC: Magic = *b"JETRAFTL";
const SNAPSHOT: Magic = *b"JETRAFTS";
/// A log file with this many bytes, at least half of them dead, is written anew.
pub const COMPACT_BYTES: u64 = 8 << 20;

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Index.
    pub index: u64,
    /// Term.
    pub term: u64,
    /// Content.
    pub bytes: Vec<u8>,
}

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSnapshot {
    /// The caller's description.
    pub meta: Vec<u8>,
    /// Content.
    pub bytes: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) line: Uuid,
    pub(super) number: u64,
    pub(super) file_id: u64,
    /// Bytes behind the header that were durable when the file got its name.
    pub(super) first_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SnapshotBody {
    line: Uuid,
    meta: Vec<u8>,
    /// Random: a digest of an encrypted snapshot, in a backup, tells nobody what is in it.
    #[serde(default)]
    salt: u64,
}

/// What the log says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) vote: Option<Vec<u8>>,
    pub(super) entries: BTreeMap<u64, (u64, Vec<u8>)>,
    /// Index and term of the last purged entry.
    pub(super) purged: Option<(u64, u64)>,
    pub(super) live_bytes: u64,
}

impl Content {
    fn last_index(&self) -> u64 {
        self.entries.keys().next_back().copied().or(self.purged.map(|p| p.0)).unwrap_or(0)
    }

    fn apply(&mut self, kind: Kind, index: u64, term: u64, payload: &[u8]) {
        match kind {
            Kind::Entry => {
                self.entries.insert(index, (term, payload.to_vec()));
            }
            Kind::Truncate => {
                self.entries.split_off(&index);
            }
            Kind::Purge => {
                self.entries = self.entries.split_off(&(index + 1));
                self.purged = self.purged.max(Some((index, term)));
            }
            Kind::Vote => self.vote = Some(payload.to_vec()),
        }
    }

    fn write_all(&self, file_id: u64, out: &mut Vec<u8>) {
        if let Some(vote) = &self.vote {
            record::encode(file_id, out.len() as u64, Kind::Vote, 0, 0, vote, out);
        }
        if let Some((index, term)) = self.purged {
            record::encode(file_id, out.len() as u64, Kind::Purge, index, term, &[], out);
        }
        for (index, (term, bytes)) in &self.entries {
            record::encode(file_id, out.len() as u64, Kind::Entry, *index, *term, bytes, out);
        }
    }
}

/// The open log. One owner; every call blocks until it is durable.
pub struct ConsensusLog {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    line: Uuid,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    file_id: u64,
    number: u64,
    length: u64,
    slots: Slots,
    content: Content,
    snapshot: Option<LogSnapshot>,
    failed: Option<String>,
    still: Stillness,
}

/// What a log holds, told without opening it.
pub(crate) struct Looked {
    /// Entries.
    pub(crate) entries: u64,
    /// Index of the last one, or of the last that was purged.
    pub(crate) last_index: u64,
    /// There is a snapshot.
    pub(crate) snapshot: bool,
}

/// Reads all of the log of `line`; changes nothing.
pub(crate) fn look(disk: &dyn Disk, dir: &Path, line: Uuid) -> Result<Looked, StoreError> {
    let found = reading::read(disk, dir, line, false)?;
    let snapshot = reading::read_snapshot(disk, dir, line)?.is_some();
    Ok(Looked { entries: found.content.entries.len() as u64, last_index: found.content.last_index(), snapshot })
}

fn log_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("entries-{number}.rl"))
}

impl ConsensusLog {
    /// Opens the log of `line` in `dir`; `may_begin` says whether a missing one is a beginning.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, line: Uuid, may_begin: bool) -> Result<ConsensusLog, StoreError> {
        let found = reading::read(disk.as_ref(), dir, line, may_begin)?;
        let snapshot = reading::read_snapshot(disk.as_ref(), dir, line)?;
        disk.make_dir(dir).on("make", dir)?;
        if let Some(parent) = dir.parent() {
            disk.sync_dir(parent).on("fsync the directory", parent)?;
        }
        // Always goes on in a new file: a torn tail is left behind, and no file of an earlier process is synced again.
        let durable = Durable { line, serial: found.serial + 1, file: 0, length: 0, index: 0 };
        let (number, content) = (found.number + 1, found.content);
        let fresh = write_file(disk.as_ref(), dir, line, number, &content)?;
        // Whole and durable under a newer number, it is what is read from now on. Before the next write, which may find no room.
        reading::remove_older(disk.as_ref(), dir, number);
        let durable = Durable { file: number, length: fresh.length, index: content.last_index(), ..durable };
        let slots = Slots::create(disk.as_ref(), &dir.join("durable"), durable)?;
        Ok(ConsensusLog {
            disk,
            dir: dir.to_path_buf(),
            line,
            path: fresh.path,
            file: fresh.file,
            file_id: fresh.file_id,
            number,
            length: fresh.length,
            slots,
            content,
            snapshot,
            failed: None,
            still: Stillness::default(),
        })
    }

    /// Nothing of it changes while `still` is kept.
    pub(crate) fn stilled_by(self, still: Stillness) -> ConsensusLog {
        ConsensusLog { still, ..self }
    }

    /// The line of this log.
    pub fn line(&self) -> Uuid {
        self.line
    }

    /// The last vote saved.
    pub fn vote(&self) -> Option<&[u8]> {
        self.content.vote.as_deref()
    }

    /// Entries from `from` up to but without `to`.
    pub fn entries(&self, from: u64, to: u64) -> Vec<LogEntry> {
        let range = self.content.entries.range(from..to.max(from));
        range.map(|(index, (term, bytes))| LogEntry { index: *index, term: *term, bytes: bytes.clone() }).collect()
    }

    /// Index and term of the last entry, purged ones included.
    pub fn last(&self) -> Option<(u64, u64)> {
        self.content.entries.iter().next_back().map(|(index, (term, _))| (*index, *term)).or(self.content.purged)
    }

    /// Index and term of the last purged entry.
    pub fn purged(&self) -> Option<(u64, u64)> {
        self.content.purged
    }

    /// The last snapshot saved.
    pub fn snapshot(&self) -> Option<&LogSnapshot> {
        self.snapshot.as_ref()
    }

    /// Why the log is closed, if it is.
    pub fn failure(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    fn usable(&self) -> Result<(), StoreError> {
        match &self.failed {
            Some(reason) => Err(StoreError::Failed { file: self.path.clone(), reason: reason.clone() }),
            None => Ok(()),
        }
    }

    fn write(&mut self, records: &[(Kind, u64, u64, &[u8])]) -> Result<(), StoreError> {
        self.usable()?;
        let is_beyond = |(kind, index, ..): &&(Kind, u64, u64, &[u8])| {
            matches!(kind, Kind::Entry | Kind::Purge) && *index > LARGEST
        };
        if let Some((_, index, ..)) = records.iter().find(is_beyond) {
            let why = format!("index {index} is beyond {LARGEST}");
            return Err(StoreError::Misuse { call: "write to the consensus log", why });
        }
        let mut bytes = Vec::new();
        for (kind, index, term, payload) in records {
            record::encode(self.file_id, self.length + bytes.len() as u64, *kind, *index, *term, payload, &mut bytes);
        }
        let still = self.still.clone();
        let _changes = still.change();
        let result = self.write_durably(&bytes);
        if let Err(error) = &result {
            self.failed = Some(error.to_string());
            return result;
        }
        for (kind, index, term, payload) in records {
            self.content.apply(*kind, *index, *term, payload);
        }
        let (number, length, last) = (self.number, self.length, self.content.last_index());
        if let Err(error) = self.slots.write(number, length, last) {
            // The entries are durable; only further use of the log ends.
            self.failed = Some(error.to_string());
        }
        Ok(())
    }

    fn write_durably(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_at(self.length, bytes).on("write", &self.path)?;
        self.file.sync().on("fsync", &self.path)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Saves the vote.
    pub fn save_vote(&mut self, vote: &[u8]) -> Result<(), StoreError> {
        self.write(&[(Kind::Vote, 0, 0, vote)])
    }

    /// Appends entries, one fsync for all. Indexes must go on without a gap.
    pub fn append(&mut self, entries: &[LogEntry]) -> Result<(), StoreError> {
        let mut next = self.last().map(|(index, _)| index + 1);
        for entry in entries {
            if next.is_some_and(|next| next != entry.index) {
                let why = format!("entry {} does not follow {:?}", entry.index, self.last());
                return Err(StoreError::Misuse { call: "append to the consensus log", why });
            }
            next = entry.index.checked_add(1);
        }
        if entries.is_empty() {
            return Ok(());
        }
        let records: Vec<_> = entries.iter().map(|e| (Kind::Entry, e.index, e.term, e.bytes.as_slice())).collect();
        self.write(&records)?;
        self.compact_if_due()
    }

    /// Removes entries from `index` on.
    pub fn truncate_from(&mut self, index: u64) -> Result<(), StoreError> {
        self.write(&[(Kind::Truncate, index, 0, &[])])
    }

    /// Removes entries up to and with `index`, whose term is `term`.
    pub fn purge_upto(&mut self, index: u64, term: u64) -> Result<(), StoreError> {
        self.write(&[(Kind::Purge, index, term, &[])])?;
        self.slots.sync().inspect_err(|error| self.failed = Some(error.to_string()))?;
        self.compact_if_due()
    }

    /// Saves a snapshot in place of the former one, atomically.
    pub fn save_snapshot(&mut self, meta: &[u8], bytes: &[u8]) -> Result<(), StoreError> {
        self.usable()?;
        let still = self.still.clone();
        let _changes = still.change();
        let salt = self.disk.fresh().as_u64_pair().0;
        let frame = frame::encode(SNAPSHOT, &SnapshotBody { line: self.line, meta: meta.to_vec(), salt }, bytes)?;
        frame::save(self.disk.as_ref(), &self.dir.join("snapshot"), &frame)
            .inspect_err(|error| self.failed = Some(error.to_string()))?;
        self.snapshot = Some(LogSnapshot { meta: meta.to_vec(), bytes: bytes.to_vec() });
        Ok(())
    }

    fn compact_if_due(&mut self) -> Result<(), StoreError> {
        if self.length < COMPACT_BYTES {
            return Ok(());
        }
        let live: usize = self.content.entries.values().map(|(_, bytes)| bytes.len() + record::HEAD).sum();
        if live as u64 > self.length / 2 {
            return Ok(());
        }
        self.compact().inspect_err(|error| self.failed = Some(error.to_string()))
    }

    fn compact(&mut self) -> Result<(), StoreError> {
        let still = self.still.clone();
        let _changes = still.change();
        let fresh = write_file(self.disk.as_ref(), &self.dir, self.line, self.number + 1, &self.content)?;
        self.number += 1;
        (self.path, self.file, self.file_id, self.length) = (fresh.path, fresh.file, fresh.file_id, fresh.length);
        self.slots.write(self.number, self.length, self.content.last_index())?;
        self.slots.sync()?;
        reading::remove_older(self.disk.as_ref(), &self.dir, self.number);
        Ok(())
    }
}

struct Fresh {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    file_id: u64,
    length: u64,
}

fn write_file(disk: &dyn Disk, dir: &Path, line: Uuid, number: u64, content: &Content) -> Result<Fresh, StoreError> {
    let file_id = disk.fresh().as_u64_pair().0;
    let mut probe = Vec::new();
    content.write_all(file_id, &mut probe);
    let header = Header { line, number, file_id, first_bytes: probe.len() as u64 };
    let mut bytes = frame::encode(MAGIC, &header, &[])?;
    content.write_all(file_id, &mut bytes);
    let path = log_path(dir, number);
    frame::save(disk, &path, &bytes)?;
    let file = disk.open(&path).on("open", &path)?;
    Ok(Fresh { path, file, file_id, length: bytes.len() as u64 })
}

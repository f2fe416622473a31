//! What one partition holds, and how a change changes it.
//!
//! The law: a change is applied whole or refused whole; equal contents and equal changes give equal contents; a sink
//! epoch is applied once, its marker with it. Must not know: replicas, versions of others, disks.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;

pub use crate::entry::Entry;
use crate::entry::Revived;
use crate::later::{Later, behind};
use crate::sink::Pending;
use crate::{
    CommitRecord, DecodeSink, ExecutionId, JobId, LogRecord, Mark, Op, Point, Query, QueryReply, Refusal, Reply,
    SinkWrite, SnapshotId,
};

/// Content of a partition. Ordered throughout, so that digests, copies and pages need no sorting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Entries of maps.
    pub maps: BTreeMap<String, BTreeMap<Bytes, Entry>>,
    /// Parts of snapshots by vertex and part.
    pub snapshots: BTreeMap<SnapshotId, BTreeMap<(u32, u32), Bytes>>,
    /// Commit records (at a job's home).
    pub commits: BTreeMap<SnapshotId, CommitRecord>,
    /// Last point of each job whose sink writes are applied.
    pub markers: BTreeMap<JobId, Point>,
    /// The same, as far as the log shows it.
    pub markers_on_disk: BTreeMap<JobId, Point>,
    /// Sink writes that are not durable.
    pub pending: Pending,
    /// Writes that are later than what files of epochs have of their keys.
    pub later: Later,
    /// Snapshots of which parts were given back and not yet all.
    pub partial: BTreeSet<SnapshotId>,
    /// Snapshots whose parts came from files, here or at the source of a copy.
    pub from_files: BTreeSet<SnapshotId>,
    /// Grows when a key comes back into RAM of which the log may show something.
    pub revived: Revived,
}

/// A place in a content that is being written whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Behind all entries: a key that only the disk shows.
    pub removed: bool,
    /// Map.
    pub map: String,
    /// Key.
    pub key: Bytes,
}

/// What applying gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// For the one who asked.
    pub reply: Reply,
    /// For the log.
    pub log: Vec<LogRecord>,
}

impl Applied {
    pub(crate) fn silent(reply: Reply) -> Self {
        Applied { reply, log: Vec::new() }
    }
}

impl Content {
    /// Applies a change, or refuses it and stays as it is.
    pub fn apply(&mut self, op: &Op, decode: DecodeSink) -> Result<Applied, Refusal> {
        match op {
            Op::Install => Ok(Applied { reply: Reply::Done, log: vec![LogRecord::Complete] }),
            Op::Put { map, key, value } => {
                let mut log = Vec::new();
                let previous = self.put(map, key, value, &mut log);
                Ok(Applied { reply: Reply::Previous(previous), log })
            }
            Op::PutAll { map, entries } => {
                let mut log = Vec::new();
                entries.iter().for_each(|(key, value)| drop(self.put(map, key, value, &mut log)));
                Ok(Applied { reply: Reply::Done, log })
            }
            Op::Remove { map, key } => Ok(self.remove(map, key)),
            Op::ClearMap { map } => {
                self.maps.remove(map);
                let mut log = vec![LogRecord::ClearMap { map: map.clone() }];
                let jobs = self.pending.cleared(map);
                self.note_later(jobs, map, None, &mut log);
                Ok(Applied { reply: Reply::Done, log })
            }
            Op::SnapshotPart { id, vertex, part, bytes } => self.snapshot_part(*id, (*vertex, *part), bytes),
            Op::SnapshotCommit(record) => self.snapshot_commit(record),
            Op::SnapshotDrop { job, before } => {
                let dropped = |id: &SnapshotId| id.job == *job && id.point() < *before;
                self.snapshots.retain(|id, _| !dropped(id));
                self.commits.retain(|id, _| !dropped(id));
                self.partial.retain(|id| !dropped(id));
                // What is not settled yet is asked of files even when nobody goes on from it.
                let markers = &self.markers;
                let settled = |id: &SnapshotId| markers.get(&id.job).is_some_and(|marker| *marker >= id.point());
                self.from_files.retain(|id| !dropped(id) || !settled(id));
                Ok(Applied::silent(Reply::Done))
            }
            Op::SinkApply { id, vertices } => self.sink_apply(*id, vertices, decode),
            Op::SinkRestore { id, by, writes, last } => self.sink_restore(*id, *by, writes, *last),
            Op::CutBack { id, by } => self.cut_back(*id, *by),
            Op::RestoreBegin { id, by } => self.restore_begin(*id, *by),
            Op::RestoreEnd { id, by } => self.restore_end(*id, *by),
        }
    }

    /// The record of the write comes before what says that it is later: a log that is cut between them has a write less.
    fn put(&mut self, map: &str, key: &Bytes, value: &Bytes, log: &mut Vec<LogRecord>) -> Option<Bytes> {
        log.push(LogRecord::Put { map: map.into(), key: key.clone(), value: value.clone() });
        let jobs = self.pending.superseded(map, key);
        self.note_later(jobs, map, Some(key), log);
        self.set(map, key, Some(value.clone()))
    }

    fn remove(&mut self, map: &str, key: &Bytes) -> Applied {
        let mut log = vec![LogRecord::Remove { map: map.into(), key: key.clone() }];
        let jobs = self.pending.superseded(map, key);
        self.note_later(jobs, map, Some(key), &mut log);
        Applied { reply: Reply::Previous(self.set(map, key, None)), log }
    }

    /// All that these jobs have published so far of a key is older than what was just written, and so is what files have
    /// of it that were not asked yet.
    fn note_later(&mut self, jobs: BTreeSet<JobId>, map: &str, key: Option<&Bytes>, log: &mut Vec<LogRecord>) {
        let published = jobs.into_iter().filter_map(|job| Some((job, *self.markers.get(&job)?)));
        let published: Vec<_> = published.chain(self.unsettled().map(|id| (id.job, id.point()))).collect();
        for (job, published) in published {
            let mark = Mark { job, map: map.into(), key: key.cloned() };
            log.push(self.later.note(mark, behind(published)));
        }
    }

    /// Snapshots whose parts came from files, and whose sink writes are perhaps still in files only.
    pub fn unsettled(&self) -> impl Iterator<Item = SnapshotId> + '_ {
        let behind = |id: &&SnapshotId| self.markers.get(&id.job).is_none_or(|marker| *marker < id.point());
        self.from_files.iter().filter(behind).copied()
    }

    /// Sets or removes a key in RAM only.
    pub(crate) fn set(&mut self, map: &str, key: &Bytes, value: Option<Bytes>) -> Option<Bytes> {
        match value {
            Some(value) => {
                let entries = match self.maps.get_mut(map) {
                    Some(entries) => entries,
                    None => self.maps.entry(map.into()).or_default(),
                };
                match entries.get_mut(key) {
                    Some(entry) => Some(std::mem::replace(&mut entry.value, value)),
                    None if matches!(self.pending.on_disk(map, key), Some(Some(_))) => {
                        self.revived.0 += 1;
                        entries.insert(key.clone(), Entry::new(value)).map(|entry| entry.value)
                    }
                    None => entries.insert(key.clone(), Entry::new(value)).map(|entry| entry.value),
                }
            }
            None => {
                let entries = self.maps.get_mut(map)?;
                let previous = entries.remove(key).map(|entry| entry.value);
                if entries.is_empty() {
                    self.maps.remove(map);
                }
                previous
            }
        }
    }

    /// The newest execution of a job that left anything here.
    pub(crate) fn newest_execution(&self, job: JobId) -> Option<ExecutionId> {
        let parts = self.snapshots.keys().rev().find(|id| id.job == job).map(|id| id.execution);
        let commits = self.commits.keys().rev().find(|id| id.job == job).map(|id| id.execution);
        parts.max(commits).max(self.markers.get(&job).map(|point| point.0))
    }

    fn refuse_old_execution(&self, id: SnapshotId) -> Result<(), Refusal> {
        match self.newest_execution(id.job) {
            Some(known) if known > id.execution => {
                Err(Refusal::OldExecution { job: id.job, given: id.execution, known })
            }
            _ => Ok(()),
        }
    }

    /// The parts of a snapshot, if there are any and all of them.
    pub fn whole(&self, id: SnapshotId) -> Option<&BTreeMap<(u32, u32), Bytes>> {
        self.snapshots.get(&id).filter(|_| !self.partial.contains(&id))
    }

    fn snapshot_part(&mut self, id: SnapshotId, at: (u32, u32), bytes: &Bytes) -> Result<Applied, Refusal> {
        if self.partial.contains(&id) {
            self.snapshots.entry(id).or_default().insert(at, bytes.clone());
            return Ok(Applied::silent(Reply::Done));
        }
        self.refuse_old_execution(id)?;
        let held = self.snapshots.get(&id).and_then(|parts| parts.get(&at));
        if held == Some(bytes) {
            return Ok(Applied::silent(Reply::AlreadySo));
        }
        if self.commits.contains_key(&id) {
            return Err(Refusal::CommittedPart { id });
        }
        self.snapshots.entry(id).or_default().insert(at, bytes.clone());
        Ok(Applied::silent(Reply::Done))
    }

    fn snapshot_commit(&mut self, record: &CommitRecord) -> Result<Applied, Refusal> {
        let id = record.id;
        self.refuse_old_execution(id)?;
        if let Some(newest) = self.last_commit(id.job) {
            if newest == record {
                return Ok(Applied::silent(Reply::AlreadySo));
            }
            if newest.id.point() >= id.point() {
                return Err(Refusal::CommittedAlready { job: id.job, given: id.point(), committed: newest.id.point() });
            }
        }
        self.commits.insert(id, record.clone());
        Ok(Applied::silent(Reply::Done))
    }

    /// The newest commit of a job here.
    pub fn last_commit(&self, job: JobId) -> Option<&CommitRecord> {
        self.commits.iter().rev().find(|(id, _)| id.job == job).map(|(_, record)| record)
    }

    fn sink_apply(&mut self, id: SnapshotId, vertices: &[u32], decode: DecodeSink) -> Result<Applied, Refusal> {
        if self.markers.get(&id.job).is_some_and(|marker| *marker >= id.point()) {
            return Ok(Applied::silent(Reply::AlreadySo));
        }
        let mut writes = Vec::new();
        for ((vertex, _), bytes) in
            self.snapshots.get(&id).into_iter().flatten().filter(|((v, _), _)| vertices.contains(v))
        {
            let delta = decode(bytes).map_err(|reason| Refusal::SinkPart { id, vertex: *vertex, reason })?;
            writes.extend(delta.writes.into_iter().map(|(key, value)| SinkWrite {
                map: delta.map.clone(),
                key,
                value,
            }));
        }
        for write in &writes {
            // In RAM only: the log gets the mark behind the write.
            self.note_above_others(id.job, write);
            let previous = self.set(&write.map, &write.key, write.value.clone());
            self.pending.note(id, write, previous);
        }
        self.markers.insert(id.job, id.point());
        Ok(Applied::silent(Reply::Done))
    }

    /// What files that were not asked yet have of a key is older than this write of a job; of its own they have been asked.
    pub(crate) fn note_above_others(&mut self, job: JobId, write: &SinkWrite) -> Vec<LogRecord> {
        let others: Vec<_> = self.unsettled().filter(|other| other.job != job).collect();
        let mark = |of: JobId| Mark { job: of, map: write.map.clone(), key: Some(write.key.clone()) };
        others.into_iter().map(|other| self.later.note(mark(other.job), behind(other.point()))).collect()
    }

    /// Of snapshots whose parts came from files only those stay known as such that still count.
    pub fn keep_from_files(&mut self, counts: impl Fn(SnapshotId) -> bool) {
        self.from_files.retain(|id| counts(*id));
    }

    /// An epoch is durable on every replica: gives what the log gets now. Local, not a replicated change.
    pub fn durable(&mut self, id: SnapshotId) -> Vec<LogRecord> {
        let drained = self.pending.durable(id);
        let mut log = Vec::new();
        for write in &drained.writes {
            log.push(record_of(write));
            log.extend(self.note_above_others(id.job, write));
        }
        for (mark, next) in drained.overwritten {
            let published = self.markers.get(&mark.job).map(|published| behind(*published));
            log.extend(next.or(published).map(|before| self.later.note(mark, before)));
        }
        if let Some(point) = self.to_be_logged(id) {
            self.markers_on_disk.insert(id.job, point);
            log.push(LogRecord::Marker { job: id.job, point });
        }
        if let Some(upto) = self.settled_upto(id).or(self.markers_on_disk.get(&id.job).copied()) {
            log.extend(self.later.settled(id.job, upto));
        }
        log
    }

    /// Behind everything that any execution left, and nothing is in files only: the job is over, and its files go.
    fn settled_upto(&self, id: SnapshotId) -> Option<Point> {
        let over = self.newest_execution(id.job) < Some(id.execution);
        (over && !self.unsettled().any(|unsettled| unsettled.job == id.job)).then(|| id.point())
    }

    /// Whether the log is still to be given something when the epoch `id` is durable.
    pub fn owes_the_log(&self, id: SnapshotId) -> bool {
        let logged = self.settled_upto(id).or(self.markers_on_disk.get(&id.job).copied());
        self.to_be_logged(id).is_some() || logged.is_some_and(|upto| self.later.has_settled(id.job, upto))
    }

    /// Up to where the log is still to be given sink writes of a job of which the epoch `id` is durable.
    fn to_be_logged(&self, id: SnapshotId) -> Option<Point> {
        let point = (*self.markers.get(&id.job)?).min(id.point());
        self.markers_on_disk.get(&id.job).is_none_or(|known| *known < point).then_some(point)
    }

    /// The whole content as the log may show it.
    pub fn on_disk(&self) -> Vec<LogRecord> {
        let entries = self.on_disk_after(None, usize::MAX).into_iter().map(|(_, record)| record);
        entries.chain(self.behind_entries()).collect()
    }

    /// Entries as the log may show them, after a place, until `bytes` are reached; none when there are no more. The
    /// content may change between two calls: what changes behind the place is in the log by itself.
    pub fn on_disk_after(&self, after: Option<&Place>, bytes: usize) -> Vec<(Place, LogRecord)> {
        let (mut found, mut size) = (Vec::new(), 0);
        let from = after.filter(|place| !place.removed);
        let maps = match after {
            Some(Place { removed: true, .. }) => None,
            _ => Some(self.maps.range::<str, _>((
                from.map_or(Bound::Unbounded, |place| Bound::Included(place.map.as_str())),
                Bound::Unbounded,
            ))),
        };
        for (map, entries) in maps.into_iter().flatten() {
            let start = from
                .filter(|place| place.map == *map)
                .map_or(Bound::Unbounded, |place| Bound::Excluded(place.key.clone()));
            for (key, entry) in entries.range((start, Bound::Unbounded)) {
                let value = match self.pending.on_disk(map, key) {
                    None => &entry.value,
                    Some(Some(before)) => before,
                    Some(None) => continue,
                };
                size += key.len() + value.len() + map.len();
                let place = Place { removed: false, map: map.clone(), key: key.clone() };
                found.push((place, LogRecord::Put { map: map.clone(), key: key.clone(), value: value.clone() }));
                if size >= bytes {
                    return found;
                }
            }
        }
        // Keys that a sink removed and that the disk must still show.
        for (map, key, held) in self.pending.held() {
            let place = Place { removed: true, map: map.into(), key: key.clone() };
            let in_ram = self.maps.get(map).is_some_and(|entries| entries.contains_key(key));
            if let (false, Some(value), true) = (in_ram, &held.before, after.is_none_or(|after| *after < place)) {
                found.push((place, LogRecord::Put { map: map.into(), key: key.clone(), value: value.clone() }));
            }
        }
        found
    }

    /// What the log shows behind the entries: markers, and which writes are later than files.
    pub fn behind_entries(&self) -> impl Iterator<Item = LogRecord> + '_ {
        let markers = self.markers_on_disk.iter().map(|(job, point)| LogRecord::Marker { job: *job, point: *point });
        markers.chain(self.later.marks().map(|(mark, before)| LogRecord::Later { mark: mark.clone(), before }))
    }

    /// Takes a record back from the log while loading.
    pub fn load(&mut self, record: LogRecord) {
        match record {
            LogRecord::Put { map, key, value } => {
                self.set(&map, &key, Some(value));
            }
            LogRecord::Remove { map, key } => {
                self.set(&map, &key, None);
            }
            LogRecord::ClearMap { map } => {
                self.maps.remove(&map);
            }
            LogRecord::Marker { job, point } => {
                self.markers.insert(job, point);
                self.markers_on_disk.insert(job, point);
            }
            LogRecord::Later { mark, before } => drop(self.later.note(mark, before)),
            LogRecord::Rewrite => *self = Content::default(),
            LogRecord::NoLater { .. } | LogRecord::Complete => {}
        }
    }

    /// Answers a question.
    pub fn ask(&self, query: &Query) -> QueryReply {
        match query {
            Query::Get { map, key } => {
                QueryReply::Value(self.maps.get(map).and_then(|entries| Some(entries.get(key)?.value.clone())))
            }
            Query::Size { map } => QueryReply::Size(self.maps.get(map).map_or(0, |entries| entries.len() as u64)),
            Query::Scan { map, after, bytes } => self.scan(map, after.as_ref(), *bytes as usize),
            Query::Maps => QueryReply::Names(self.maps.keys().cloned().collect()),
            Query::SnapshotParts { id, after, bytes } => self.parts(*id, *after, *bytes as usize),
            Query::LastCommit { job } => QueryReply::Commit(self.last_commit(*job).cloned()),
            Query::Marker { job } => QueryReply::Marker(self.markers.get(job).copied()),
        }
    }

    fn scan(&self, map: &str, after: Option<&Bytes>, bound: usize) -> QueryReply {
        let from = after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.clone()));
        let (mut entries, mut bytes, mut more) = (Vec::new(), 0, false);
        for (key, entry) in self.maps.get(map).into_iter().flat_map(|all| all.range((from.clone(), Bound::Unbounded))) {
            let value = &entry.value;
            if !entries.is_empty() && bytes >= bound {
                more = true;
                break;
            }
            bytes += key.len() + value.len();
            entries.push((key.clone(), value.clone()));
        }
        QueryReply::Page { entries, more }
    }

    fn parts(&self, id: SnapshotId, after: Option<(u32, u32)>, bound: usize) -> QueryReply {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (mut parts, mut bytes, mut more) = (Vec::new(), 0, false);
        for (at, part) in self.snapshots.get(&id).into_iter().flat_map(|all| all.range((from, Bound::Unbounded))) {
            if !parts.is_empty() && bytes + part.len() > bound {
                more = true;
                break;
            }
            bytes += part.len();
            parts.push((at.0, at.1, part.clone()));
        }
        QueryReply::Parts { parts, more }
    }

    /// Entries of all maps.
    pub fn entries(&self) -> u64 {
        self.maps.values().map(|entries| entries.len() as u64).sum()
    }
}

pub(crate) fn record_of(write: &SinkWrite) -> LogRecord {
    match &write.value {
        Some(value) => LogRecord::Put { map: write.map.clone(), key: write.key.clone(), value: value.clone() },
        None => LogRecord::Remove { map: write.map.clone(), key: write.key.clone() },
    }
}

//! What one partition holds, and how a change changes it.
//!
//! The law: a change is applied whole or refused whole; equal contents and equal changes give equal contents; a sink
//! epoch is applied once, its marker with it. Must not know: replicas, versions of others, disks.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;

use crate::entries::{self, Entries};
pub use crate::entry::Entry;
use crate::entry::Revived;
use crate::event::{MapEvent, What};
use crate::later::{Later, behind};
use crate::life::{Limits, Lives, keep, kept};
use crate::lock::{Locks, Owner};
use crate::sink::Pending;
use crate::write::Effects;
use crate::{
    CommitRecord, DecodeSink, ExecutionId, JobId, LogRecord, Mark, Op, Point, Refusal, Reply, SinkWrite, SnapshotId,
};

/// Content of a partition. Entries lie by place and the rest in order, so that copies and pages need no sorting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Entries of maps.
    pub maps: BTreeMap<String, Entries>,
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
    /// Tick of the last change.
    pub now: u64,
    /// Lives of entries that do not live for ever.
    pub lives: Lives,
    /// Locks of keys.
    pub locks: Locks,
}

/// A place in a content that is being written whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An entry.
    Entry {
        /// Map.
        map: String,
        /// Where it lies.
        at: usize,
    },
    /// Behind all entries: a key that only the disk shows.
    Removed {
        /// Map.
        map: String,
        /// Key.
        key: Bytes,
    },
}

impl Place {
    /// From which map on, and from which place in it, entries come after this; none: no more do.
    pub(crate) fn goes_on(after: Option<&Place>) -> Option<(Bound<&str>, Option<usize>)> {
        match after {
            None => Some((Bound::Unbounded, None)),
            Some(Place::Entry { map, at }) => Some((Bound::Included(map), Some(*at))),
            Some(Place::Removed { .. }) => None,
        }
    }
}

/// What applying gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// For the one who asked.
    pub reply: Reply,
    /// For the log.
    pub log: Vec<LogRecord>,
    /// For those who listen.
    pub events: Vec<MapEvent>,
}

impl Applied {
    pub(crate) fn silent(reply: Reply) -> Self {
        Applied::logged(reply, Vec::new())
    }

    pub(crate) fn logged(reply: Reply, log: Vec<LogRecord>) -> Self {
        Applied { reply, log, events: Vec::new() }
    }
}

impl Content {
    /// Applies a change at the tick of the one before, or refuses it and stays as it is.
    pub fn apply(&mut self, op: &Op, decode: DecodeSink) -> Result<Applied, Refusal> {
        self.apply_at(self.now, op, decode, false)
    }

    /// Applies a change at its tick, or refuses it and stays as it is. `told`: somebody listens to what it does.
    pub fn apply_at(&mut self, tick: u64, op: &Op, decode: DecodeSink, told: bool) -> Result<Applied, Refusal> {
        let before = std::mem::replace(&mut self.now, tick);
        let mut fx = Effects::default();
        fx.events.wanted = told;
        let applied = match self.entries_change(op, &mut fx) {
            Some(reply) => reply.map(|reply| Applied::logged(reply, fx.log)),
            None => self.jobs_change(op, decode, &mut fx),
        };
        if applied.is_err() {
            self.now = before;
        }
        applied.map(|applied| Applied { events: fx.events.all, ..applied })
    }

    /// A change of entries or locks; none: it is of another kind.
    fn entries_change(&mut self, op: &Op, fx: &mut Effects) -> Option<Result<Reply, Refusal>> {
        Some(match op {
            Op::Put { map, key, value } => self
                .refuse_barred(map, key, Owner::NOBODY)
                .map(|()| Reply::Previous(self.put((map, key), value, Limits::NONE, fx))),
            Op::PutAll { map, entries, by, limits } => self.put_all(map, entries, *by, *limits, fx),
            Op::Remove { map, key } => self.refuse_barred(map, key, Owner::NOBODY).map(|()| {
                self.bury(map, key, fx);
                Reply::Previous(self.take_out(map, key, What::Removed, fx))
            }),
            Op::Keyed(keyed) => self.keyed(keyed, fx),
            Op::ClearMap { map } => Ok(self.clear(map, What::Cleared, fx)),
            Op::EvictAll { map } => Ok(self.clear(map, What::AllEvicted, fx)),
            Op::TakeOut { map, keys, evicted } => {
                let what = if *evicted { What::Evicted } else { What::Removed };
                Ok(self.take_out_all(map, keys, what, fx))
            }
            Op::Expire { most } => Ok(self.expire(*most, fx)),
            Op::Lock { map, key, owner, reference, lease } => self.lock((map, key), (*owner, *reference), *lease, fx),
            Op::Unlock { map, key, asked } => self.unlock(map, key, *asked),
            Op::FreeLocks { client } => Ok(self.free_locks(*client)),
            _ => return None,
        })
    }

    fn jobs_change(&mut self, op: &Op, decode: DecodeSink, fx: &mut Effects) -> Result<Applied, Refusal> {
        match op {
            Op::Install { unkept } => match self.unkept() == *unkept {
                true => Ok(Applied::logged(Reply::Done, vec![LogRecord::Complete])),
                false => Err(Refusal::UnkeptDiffers),
            },
            Op::SnapshotPart { id, vertex, part, bytes } => self.snapshot_part(*id, (*vertex, *part), bytes),
            Op::SnapshotCommit(record) => self.snapshot_commit(record),
            Op::SnapshotDrop { job, before } => {
                self.snapshot_drop(*job, *before);
                Ok(Applied::silent(Reply::Done))
            }
            Op::SinkApply { id, vertices } => self.sink_apply(*id, vertices, decode, fx),
            Op::SinkRestore { id, by, writes, last } => self.sink_restore(*id, *by, writes, *last, fx),
            Op::CutBack { id, by } => self.cut_back(*id, *by, fx),
            Op::RestoreBegin { id, by } => self.restore_begin(*id, *by),
            Op::RestoreEnd { id, by } => self.restore_end(*id, *by),
            _ => Err(Refusal::Unreadable { why: "a change of no kind".into() }),
        }
    }

    fn snapshot_drop(&mut self, job: JobId, before: Point) {
        let dropped = |id: &SnapshotId| id.job == job && id.point() < before;
        self.snapshots.retain(|id, _| !dropped(id));
        self.commits.retain(|id, _| !dropped(id));
        self.partial.retain(|id| !dropped(id));
        // What is not settled yet is asked of files even when nobody goes on from it.
        let markers = &self.markers;
        let settled = |id: &SnapshotId| markers.get(&id.job).is_some_and(|marker| *marker >= id.point());
        self.from_files.retain(|id| !dropped(id) || !settled(id));
    }

    /// All that these jobs have published so far of a key is older than what was just written, and so is what files have
    /// of it that were not asked yet.
    pub(crate) fn note_later(
        &mut self,
        jobs: BTreeSet<JobId>,
        map: &str,
        key: Option<&Bytes>,
        log: &mut Vec<LogRecord>,
    ) {
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

    /// Sets a key without limits or removes it, in RAM only.
    pub(crate) fn set(&mut self, map: &str, key: &Bytes, value: Option<Bytes>) -> Option<Bytes> {
        if !self.lives.is_empty() {
            self.lives.take(map, key);
        }
        match value {
            Some(value) => {
                let entries = match self.maps.get_mut(map) {
                    Some(entries) => entries,
                    None => self.maps.entry(map.into()).or_default(),
                };
                match entries.get_mut(key) {
                    Some(entry) => Some(entry.change(value)),
                    None if matches!(self.pending.on_disk(map, key), Some(Some(_))) => {
                        self.revived.0 += 1;
                        entries::insert(entries, key.clone(), Entry::new(value));
                        None
                    }
                    None => {
                        entries::insert(entries, key.clone(), Entry::new(value));
                        None
                    }
                }
            }
            None => {
                let entries = self.maps.get_mut(map)?;
                let previous = entries.swap_remove(key).map(|entry| entry.value);
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

    fn sink_apply(
        &mut self,
        id: SnapshotId,
        vertices: &[u32],
        decode: DecodeSink,
        fx: &mut Effects,
    ) -> Result<Applied, Refusal> {
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
            let before = self.kept_form(&write.map, &write.key);
            let old = self.set(&write.map, &write.key, write.value.clone());
            fx.events.note_written(&write.map, &write.key, old.as_ref(), write.value.as_ref());
            self.pending.note(id, write, before);
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
        let goes_on = Place::goes_on(after);
        let maps = goes_on.map(|(from, _)| self.maps.range::<str, _>((from, Bound::Unbounded)));
        let mut place = goes_on.and_then(|(_, place)| place);
        for (map, entries) in maps.into_iter().flatten() {
            // Of a map that is gone meanwhile the place says nothing.
            let start = place.take().filter(|_| matches!(after, Some(Place::Entry { map: of, .. }) if of == map));
            for (at, key, entry) in entries::before(entries, start) {
                let value = match self.pending.on_disk(map, key) {
                    None => keep(&entry.value, self.limits(map, key)),
                    Some(Some(before)) => before.clone(),
                    Some(None) => continue,
                };
                size += key.len() + value.len() + map.len();
                let place = Place::Entry { map: map.clone(), at };
                found.push((place, LogRecord::Put { map: map.clone(), key: key.clone(), value }));
                if size >= bytes {
                    return found;
                }
            }
        }
        // Keys that a sink removed and that the disk must still show.
        let passed = match after {
            Some(Place::Removed { map, key }) => Some((map.as_str(), key)),
            _ => None,
        };
        for (map, key, held) in self.pending.held() {
            let in_ram = self.maps.get(map).is_some_and(|entries| entries.contains_key(key));
            if let (false, Some(value), true) = (in_ram, &held.before, passed.is_none_or(|passed| passed < (map, key)))
            {
                let place = Place::Removed { map: map.into(), key: key.clone() };
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
                let (value, limits) = kept(value);
                self.set_with(&map, &key, value, limits);
            }
            LogRecord::Remove { map, key } => {
                self.set(&map, &key, None);
            }
            LogRecord::ClearMap { map } => {
                self.maps.remove(&map);
                self.lives.take_map(&map);
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

    /// No answer depends on time.
    pub fn is_timeless(&self) -> bool {
        self.lives.is_empty() && self.locks.is_empty()
    }

    /// Entries of all maps.
    pub fn entries(&self) -> u64 {
        self.maps.values().map(|entries| entries.len() as u64).sum()
    }
}

pub(crate) fn record_of(write: &SinkWrite) -> LogRecord {
    match &write.value {
        Some(value) => {
            LogRecord::Put { map: write.map.clone(), key: write.key.clone(), value: keep(value, Limits::NONE) }
        }
        None => LogRecord::Remove { map: write.map.clone(), key: write.key.clone() },
    }
}

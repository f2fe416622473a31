//! Records for the log, and writing a partition whole again when the log fell behind.
//!
//! Law: a change is handed over under the partition's lock and never waits; what the log cannot take puts the partition
//! behind, and it is written whole later, piece by piece, each piece under the lock with what is true then. Must not
//! know: who changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jet_core::{Epoch, ExecutionId, JobId, PartitionId, Version};
use jet_hotstore::{Appended, Base, Record, Space, Store, StoreError};
use jet_map::journal::Logged;
use jet_map::{LogRecord, Mark, Place, Point};
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::cell::{Cell, OnDisk, State};
use super::{Shared, lock};
use crate::store::version_to_store;

/// Name of the space with markers; no map of a user has it.
pub const MARKERS: &str = "\0sink-markers";
/// Name of the space with what is later than files; no map of a user has it.
pub const LATER: &str = "\0later-than-files";
/// Bytes of one piece of a rewrite.
const PIECE_BYTES: usize = 256 << 10;
/// Keys may come back behind the place of a rewrite so often; then others have their turn before it is begun anew.
const MOST_PASSES: u32 = 16;
/// A rewrite waits this long for room in the log's queue before it looks again.
const ROOM_WITHIN: Duration = Duration::from_secs(1);
/// A log that failed is begun anew at most so often.
const RETRY_EVERY: Duration = Duration::from_secs(5);
/// Partitions that are behind are looked for at least so often.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Closed chunks read back at a look. The disk shares what it can between reading and writing: more would hold up what is to
/// become durable.
const READ_BACK_AT_ONCE: usize = 2;

/// Numbers of maps in the log.
#[derive(Default)]
pub struct Spaces {
    ids: BTreeMap<String, u32>,
    described: BTreeSet<u32>,
}

impl Spaces {
    /// What a loaded store knows.
    pub fn known(&mut self, spaces: &[Space]) {
        for space in spaces {
            self.ids.insert(space.name.clone(), space.id);
            self.described.insert(space.id);
        }
    }

    /// The number of a map, described in the log if it is new.
    fn id(&mut self, store: &Store, name: &str) -> u32 {
        if let Some(known) = self.ids.get(name).filter(|id| self.described.contains(id)) {
            return *known;
        }
        let next = self.ids.values().max().map_or(1, |last| last + 1);
        let id = *self.ids.entry(name.to_owned()).or_insert(next);
        if !self.described.contains(&id) {
            let space = Space { id, name: name.to_owned(), flags: 0 };
            if store.append_space(&space).is_ok_and(|appended| appended.ticket().is_some()) {
                self.described.insert(id);
            }
        }
        id
    }
}

/// A point as the value of a marker.
fn point_bytes(point: Point) -> Bytes {
    Bytes::from([point.0.0.to_le_bytes(), point.1.0.to_le_bytes()].concat())
}

fn number(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

fn point(value: &[u8]) -> Option<Point> {
    let (execution, epoch) = value.split_at_checked(8)?;
    Some((ExecutionId(number(execution)?), Epoch(number(epoch)?)))
}

/// Reads a marker back.
pub fn marker(key: &[u8], value: &[u8]) -> Option<LogRecord> {
    Some(LogRecord::Marker { job: JobId(number(key)?), point: point(value)? })
}

/// A mark as a key: job, length of the map's name, the name, then 1 and a key, or 0.
fn mark_bytes(mark: &Mark) -> Bytes {
    let name = mark.map.as_bytes();
    let mut bytes = [&mark.job.0.to_le_bytes()[..], &(name.len() as u64).to_le_bytes(), name].concat();
    bytes.push(u8::from(mark.key.is_some()));
    bytes.extend(mark.key.iter().flatten());
    Bytes::from(bytes)
}

/// Reads back what is later than files.
pub fn later(key: &[u8], value: &[u8]) -> Option<LogRecord> {
    let (job, rest) = key.split_at_checked(8)?;
    let (length, rest) = rest.split_at_checked(8)?;
    let (name, rest) = rest.split_at_checked(usize::try_from(number(length)?).ok()?)?;
    let (keyed, key) = rest.split_first()?;
    let key = (*keyed == 1).then(|| Bytes::copy_from_slice(key));
    let mark = Mark { job: JobId(number(job)?), map: String::from_utf8(name.to_vec()).ok()?, key };
    Some(LogRecord::Later { mark, before: point(value)? })
}

impl Shared {
    pub(super) fn record(&self, partition: PartitionId, logged: &Logged) -> Record {
        let version = version_to_store(logged.version);
        let space = |name: &str| lock(&self.spaces).id(&self.store, name);
        match &logged.record {
            LogRecord::Put { map, key, value } => {
                Record::put(space(map), partition.0, version, key.clone(), value.clone())
            }
            LogRecord::Remove { map, key } => Record::remove(space(map), partition.0, version, key.clone()),
            LogRecord::ClearMap { map } => Record::clear(space(map), partition.0, version),
            LogRecord::Marker { job, point } => Record::put(
                space(MARKERS),
                partition.0,
                version,
                Bytes::copy_from_slice(&job.0.to_le_bytes()),
                point_bytes(*point),
            ),
            LogRecord::Later { mark, before } => {
                Record::put(space(LATER), partition.0, version, mark_bytes(mark), point_bytes(*before))
            }
            LogRecord::NoLater { mark } => Record::remove(space(LATER), partition.0, version, mark_bytes(mark)),
            LogRecord::Rewrite => Record::rewrite(partition.0, Base::Broken),
            LogRecord::Complete => Record::complete(partition.0, version),
        }
    }

    /// Cells whose log is not in step. A replica without a version was filled by nobody: it is no copy, and must not
    /// take the place of one on disk.
    pub fn cells_behind(&self) -> Vec<Arc<Cell>> {
        let behind = |cell: &Arc<Cell>| {
            let state = cell.state();
            state.on_disk != OnDisk::InStep && state.replica.version() > Version::default()
        };
        self.cells().into_iter().filter(behind).collect()
    }

    /// The store takes records.
    pub fn store_is_open(&self) -> bool {
        self.store.health().closed.is_none()
    }

    /// Writes a partition whole. Blocks; changes go on between pieces.
    pub(super) fn rewrite(&self, cell: &Cell, base: Base) {
        {
            let mut state = cell.state();
            // A copy that came since the last look has not all of its history in the log: it is written whole, with nothing
            // before it going on to count.
            if base == Base::Continues && state.on_disk != OnDisk::InStep {
                return;
            }
            if self.store.append(Record::rewrite(cell.partition.0, base)).ticket().is_none() {
                return;
            }
            state.on_disk = OnDisk::Rewriting;
        }
        let (mut place, mut passes) = (None, Passes::from(cell.state().replica.content().revived.0));
        loop {
            match self.rewrite_piece(cell, &mut place, passes.seen) {
                Piece::More => {}
                Piece::Again(revived) if passes.may_begin(revived) => place = None,
                Piece::Again(_) => {
                    debug!(partition = %cell.partition, "maps: keys come back behind what is written; it stays behind on disk for now");
                    cell.state().on_disk = OnDisk::Behind;
                    return;
                }
                Piece::NoRoom => {
                    let waited = self.store.flush().and_then(|ticket| self.store.wait_durable(ticket, ROOM_WITHIN));
                    if self.store.health().failure.is_some() {
                        warn!(partition = %cell.partition, ?waited, "maps: the log failed, the partition stays behind on disk");
                        cell.state().on_disk = OnDisk::Behind;
                        return;
                    }
                }
                Piece::Last | Piece::GivenUp => return,
            }
        }
    }

    fn rewrite_piece(&self, cell: &Cell, place: &mut Option<Place>, seen: u64) -> Piece {
        let mut state = cell.state();
        if state.on_disk != OnDisk::Rewriting {
            return Piece::GivenUp;
        }
        let version = state.replica.version();
        let entries = state.replica.content().on_disk_after(place.as_ref(), PIECE_BYTES);
        let revived = state.replica.content().revived.0;
        if entries.is_empty() && revived != seen {
            return Piece::Again(revived);
        }
        if entries.is_empty() {
            return self.end_rewrite(cell, &mut state);
        }
        for (at, record) in entries {
            match self.store.append(self.record(cell.partition, &Logged { version, record }).copied()) {
                Appended::Queued(_) => *place = Some(at),
                Appended::Busy => return Piece::NoRoom,
                _ => {
                    state.on_disk = OnDisk::Behind;
                    return Piece::GivenUp;
                }
            }
        }
        Piece::More
    }

    fn end_rewrite(&self, cell: &Cell, state: &mut State) -> Piece {
        let version = state.replica.version();
        let mut last: Vec<_> = state.replica.content().behind_entries().map(|record| (record, true)).collect();
        last.push((LogRecord::Complete, false));
        let mut given = state.ticket;
        for (record, copied) in last {
            let record = self.record(cell.partition, &Logged { version, record });
            let record = if copied { record.copied() } else { record };
            match self.store.append(record) {
                Appended::Queued(ticket) => given = ticket,
                Appended::Busy => return Piece::NoRoom,
                _ => {
                    state.on_disk = OnDisk::Behind;
                    return Piece::GivenUp;
                }
            }
        }
        state.on_disk = OnDisk::InStep;
        (state.logged, state.ticket, state.whole) = (version, given, Some(given));
        Piece::Last
    }

    /// Says in the log at which version each replica is held in full.
    pub fn complete_all(&self) {
        for cell in self.cells() {
            let mut state = cell.state();
            let version = state.replica.version();
            if state.on_disk == OnDisk::InStep && state.logged != version {
                state.log(self, cell.partition, vec![Logged { version, record: LogRecord::Complete }]);
            }
        }
    }
}

/// How often all of a partition was gone over in one rewrite.
struct Passes {
    /// How many keys had come back by the beginning of the last.
    seen: u64,
    left: u32,
}

impl Passes {
    fn from(revived: u64) -> Self {
        Self { seen: revived, left: MOST_PASSES }
    }

    /// Whether there is another.
    fn may_begin(&mut self, revived: u64) -> bool {
        self.seen = revived;
        self.left = self.left.saturating_sub(1);
        self.left > 0
    }
}

enum Piece {
    More,
    /// A key came back behind the place: all are written once more.
    Again(u64),
    NoRoom,
    Last,
    GivenUp,
}

impl State {
    /// Hands records over, in order; what is not taken puts the partition behind. That it is held in full changes nothing of
    /// what the log has: a store that is closed is told when it opens, and a rewrite that is under way says so at its own end.
    pub fn log(&mut self, shared: &Shared, partition: PartitionId, log: Vec<Logged>) {
        if self.is_behind() {
            return;
        }
        for logged in log {
            let (version, is_whole) = (logged.version, logged.record == LogRecord::Complete);
            if is_whole && self.on_disk == OnDisk::Rewriting {
                continue;
            }
            let age = shared.store.age();
            let ticket = match shared.store.append(shared.record(partition, &logged)) {
                Appended::Queued(ticket) => ticket,
                Appended::Closed(_) if is_whole => continue,
                _ => {
                    self.on_disk = OnDisk::Behind;
                    shared.behind.notify_one();
                    return;
                }
            };
            if let LogRecord::Put { map, key, .. } = &logged.record {
                self.replica.stamp(map, key, age);
            }
            (self.logged, self.ticket) = (version, ticket);
        }
    }
}

/// Writes partitions that are behind, as long as there is a member.
pub fn keep_in_step(shared: &Arc<Shared>) {
    let weak = Arc::downgrade(shared);
    tokio::spawn(async move {
        let mut retried: Option<Instant> = None;
        loop {
            let Some(shared) = weak.upgrade() else { return };
            let _ = tokio::time::timeout(LOOK_EVERY, shared.behind.notified()).await;
            if !shared.store_is_open() {
                continue;
            }
            let retries =
                retried.is_none_or(|last| last.elapsed() >= RETRY_EVERY) && shared.store.health().failure.is_some();
            if retries {
                retried = Some(Instant::now());
            }
            let done = crate::host::blocking(move || {
                if retries {
                    shared.retry_failed_log();
                }
                shared.log_what_is_durable();
                shared.drop_what_is_not_needed();
                let written = shared.write_whole();
                shared.read_back();
                shared.write_anew();
                shared.empty_old_chunks();
                written
            });
            match done.await {
                Ok(0) => {}
                Ok(partitions) => info!(partitions, "maps: partitions were written whole to the log"),
                Err(error) => warn!(%error, "maps: writing partitions whole ended early"),
            }
        }
    });
}

impl Shared {
    /// What could not be written goes to a new file; what failed once is not synced a second time.
    pub(super) fn retry_failed_log(&self) {
        let Some(failure) = self.store.health().failure else { return };
        match self.store.retry_in_new_file() {
            Ok(()) => info!(?failure, "maps: the log failed and goes on in a new file"),
            Err(error) => {
                warn!(?failure, %error, "maps: the log failed, and a new file could not be begun; tried again")
            }
        }
    }

    /// What lies on the disk is read back, chunk by chunk as they are closed: a stop then has little left to prove, and what the
    /// disk lost is written anew while RAM has it.
    fn read_back(&self) {
        let mut proved = 0;
        let result = loop {
            match self.store.prove_one() {
                Ok(true) if proved < READ_BACK_AT_ONCE && self.cells_behind().is_empty() => proved += 1,
                result => break result,
            }
        };
        match result {
            Ok(_) => {}
            Err(error @ StoreError::Refused(_)) => {
                error!(%error, "maps: what was written does not read back; all that it holds is written anew")
            }
            Err(error) => debug!(%error, "maps: what was written is read back later"),
        }
    }

    /// Partitions with content in a chunk that does not verify are written again; those that are behind come first.
    fn write_anew(&self) {
        let cells = self.cells();
        for partition in self.store.partitions_to_rewrite() {
            let Some(cell) = cells.get(usize::from(partition)) else { continue };
            if !self.cells_behind().is_empty() {
                return;
            }
            if cell.state().on_disk == OnDisk::InStep {
                self.rewrite(cell, Base::Continues);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_whose_keys_come_back_all_the_time_gives_its_turn_away() {
        let mut passes = Passes::from(3);
        let begun = (4..100).take_while(|revived| passes.may_begin(*revived)).count();
        assert_eq!((begun, passes.seen), (15, 19), "the first pass is one of {MOST_PASSES}");
    }
}

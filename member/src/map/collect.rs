//! Emptying old chunks of the log: entries whose last record lies in one are appended again.
//!
//! Law: under the lock under which the partition changes, and only while every change of it was handed over; a partition is
//! said to have moved after the last of its old entries, in the same hold of the lock. Changes have the queue's other half.
//! Nothing is moved while the cluster turns from one state into another. Must not know: chunks, but for their order.

use std::time::Duration;

use jet_core::{ClusterState, Version};
use jet_hotstore::{Appended, Due, live_bytes};
use jet_map::journal::Logged;
use jet_map::{LogRecord, Place};
use tracing::{debug, info, warn};

use super::cell::{Cell, OnDisk, State};
use super::{Shared, lock};
use crate::store::version_to_store;

/// Room in the log's queue is waited for so long at a time; then the next look goes on.
const ROOM_WITHIN: Duration = Duration::from_secs(1);
/// Steps for one partition, pieces and waits together; then the next look goes on.
const MOST_STEPS: usize = 10_000;
/// Live bytes are counted anew when the log has grown by this part of them …
const COUNTED_PART: u64 = 16;
/// … or by so many bytes.
const COUNTED_BYTES: u64 = 64 << 20;

/// Live bytes, and how long the log was when they were counted.
#[derive(Default)]
pub struct Live {
    bytes: u64,
    log_bytes: Option<u64>,
}

/// What became of a step.
enum Step {
    More(Place),
    NoRoom(Option<Place>),
    /// A key came back behind the place: all are looked at once more.
    Again(u64),
    Moved,
    GivenUp,
}

impl Shared {
    /// Old chunks are emptied, if the log is too long for what lives.
    pub fn empty_old_chunks(&self) {
        if !self.may_collect() {
            return;
        }
        if let Some(due) = self.store.due_for_collection(self.live()) {
            self.empty(&due);
        }
        match self.store.due_for_new_key() {
            Ok(Some(due)) => self.empty(&due),
            Ok(None) => {}
            Err(error) => warn!(%error, "maps: the keys of old chunks cannot be told; they are asked for again"),
        }
    }

    fn may_collect(&self) -> bool {
        matches!(self.cluster.machine().state, ClusterState::Active | ClusterState::NoMigration)
    }

    /// These chunks are emptied, as far as may be.
    pub(super) fn empty(&self, due: &Due) {
        let cells = self.cells();
        let (mut again, mut moved) = (0, 0_u64);
        for partition in self.store.to_move(due) {
            let Some(cell) = cells.get(usize::from(partition)) else { continue };
            // What is behind on disk, and a stop, are not kept waiting.
            if !self.may_collect() || !self.cells_behind().is_empty() {
                break;
            }
            match self.move_on(cell, due, &mut again) {
                Some(has_moved) => moved += u64::from(has_moved),
                None => break,
            }
        }
        let durable = self.store.flush().and_then(|ticket| self.store.wait_durable(ticket, ROOM_WITHIN));
        let (bytes, chunk) = (due.bytes, due.to.number);
        info!(bytes, before_chunk = chunk, again, moved, ?durable, "maps: old chunks of the log are emptied");
    }

    fn live(&self) -> u64 {
        let log_bytes = self.store.log_bytes();
        let mut live = lock(&self.live);
        let grown = live.log_bytes.map(|counted| log_bytes.abs_diff(counted));
        if grown.is_none_or(|grown| grown >= (live.bytes / COUNTED_PART).max(COUNTED_BYTES)) {
            let bytes = self.cells().iter().map(|cell| cell.state().replica.content().live_bytes(live_bytes)).sum();
            *live = Live { bytes, log_bytes: Some(log_bytes) };
        }
        live.bytes
    }

    /// Appends the old entries of a partition again; `true`: it has moved. `None`: there is no room, and for others neither, or
    /// somebody waits for a partition to be written whole.
    fn move_on(&self, cell: &Cell, due: &Due, again: &mut u64) -> Option<bool> {
        let (mut place, mut seen) = (None, cell.state().replica.content().revived.0);
        for _ in 0..MOST_STEPS {
            if self.whole_is_asked_for() {
                debug!(partition = %cell.partition, "maps: old entries are appended again later: a partition is asked for that is behind");
                return None;
            }
            match self.step(cell, due, (place.as_ref(), seen), again) {
                Step::More(next) => place = Some(next),
                // What was stamped by now is not old any more.
                Step::Again(revived) => (place, seen) = (None, revived),
                Step::Moved => return Some(true),
                Step::GivenUp => return Some(false),
                Step::NoRoom(same) => {
                    place = same;
                    let room = self.store.flush().and_then(|ticket| self.store.wait_durable(ticket, ROOM_WITHIN));
                    if let Err(error) = room {
                        debug!(%error, partition = %cell.partition, "maps: old entries are appended again later");
                        return None;
                    }
                }
            }
        }
        debug!(partition = %cell.partition, "maps: old entries are appended again later: changes have all the room");
        None
    }

    fn step(&self, cell: &Cell, due: &Due, (place, seen): (Option<&Place>, u64), again: &mut u64) -> Step {
        let mut state = cell.state();
        if state.on_disk != OnDisk::InStep || state.logged == Version::default() {
            return Step::GivenUp;
        }
        let (older, next) = state.replica.content().older(due.to.number, place);
        *again += older.len() as u64;
        for record in older {
            match self.append_again(cell, &mut state, record) {
                Appended::Queued(_) => {}
                // What is stamped by now is not old any more.
                Appended::Busy => return Step::NoRoom(place.cloned()),
                _ => return Step::GivenUp,
            }
        }
        match (next, state.replica.content().revived.0) {
            (Some(next), _) => Step::More(next),
            (None, revived) if revived != seen => Step::Again(revived),
            (None, _) => self.end(cell, due, place, &mut state),
        }
    }

    fn append_again(&self, cell: &Cell, state: &mut State, record: LogRecord) -> Appended {
        let (age, logged) = (self.store.age(), Logged { version: state.logged, record });
        let appended = self.store.append_again(self.record(cell.partition, &logged));
        if let (Appended::Queued(_), LogRecord::Put { map, key, .. }) = (appended, &logged.record) {
            state.replica.stamp(map, key, age);
        }
        appended
    }

    /// Markers and what is later than files have no age: all of them are appended again.
    fn end(&self, cell: &Cell, due: &Due, place: Option<&Place>, state: &mut State) -> Step {
        let behind: Vec<_> = state.replica.content().behind_entries().collect();
        for record in behind {
            match self.append_again(cell, state, record) {
                Appended::Queued(_) => {}
                Appended::Busy => return Step::NoRoom(place.cloned()),
                _ => return Step::GivenUp,
            }
        }
        match self.store.append_moved(cell.partition.0, version_to_store(state.logged), due) {
            Appended::Queued(_) => Step::Moved,
            Appended::Busy => Step::NoRoom(place.cloned()),
            _ => Step::GivenUp,
        }
    }
}

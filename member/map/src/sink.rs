//! Sink writes of epochs that are applied in RAM and not durable yet.
//!
//! The law: for every key with such writes the value that the disk may show is kept beside it, so that the log, a
//! rewrite of the log and a cut-back never see a sink ahead of the durable epoch. Must not know: how deltas are encoded
//! (it is handed a [`DecodeSink`]), who says that an epoch is durable.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::later::Mark;
use crate::life::{Limits, keep};
use crate::{JobId, Point, SinkWrite, SnapshotId};

/// Epochs that are kept apart for one key; older ones beyond the one that is being written are merged.
pub const MOST_EPOCHS_APART: usize = 8;

/// What a sink part says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkDelta {
    /// Map.
    pub map: String,
    /// Keys with values; no value removes.
    pub writes: Vec<(Bytes, Option<Bytes>)>,
}

/// Reads a sink part.
pub type DecodeSink = fn(&[u8]) -> Result<SinkDelta, String>;

/// Writes of one key that the disk does not show yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// What the disk may show, as it keeps it.
    pub before: Option<Bytes>,
    /// In the order in which they were applied.
    pub writes: Vec<(SnapshotId, Option<Bytes>)>,
}

impl Held {
    fn jobs(&self) -> impl Iterator<Item = JobId> + '_ {
        self.writes.iter().map(|(id, _)| id.job)
    }
}

/// What the log gets of a durable epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Last write of each key.
    pub writes: Vec<SinkWrite>,
    /// Writes of other jobs that these stand above, with the next write of the same job and key, if there is one.
    pub overwritten: Vec<(Mark, Option<Point>)>,
}

/// All of them in one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    keys: BTreeMap<String, BTreeMap<Bytes, Held>>,
    /// Epochs below cannot be told apart any more.
    floor: BTreeMap<JobId, Point>,
    /// Epochs that are being written to disk: their writes are not merged with later ones.
    flight: BTreeMap<JobId, Point>,
}

impl Pending {
    /// A sink write was applied; `before` is the value that the key had, as the log keeps it.
    pub fn note(&mut self, id: SnapshotId, write: &SinkWrite, before: Option<Bytes>) {
        let held = self
            .keys
            .entry(write.map.clone())
            .or_default()
            .entry(write.key.clone())
            .or_insert_with(|| Held { before, writes: Vec::new() });
        match held.writes.last_mut() {
            Some((last, value)) if *last == id => *value = write.value.clone(),
            _ => held.writes.push((id, write.value.clone())),
        }
        let flight = self.flight.get(&id.job).copied();
        let open = |w: &(SnapshotId, Option<Bytes>)| w.0.job == id.job && flight.is_none_or(|f| w.0.point() > f);
        if held.writes.iter().filter(|w| open(w)).count() > MOST_EPOCHS_APART {
            let mut candidates = held.writes.iter().enumerate().filter(|(_, w)| open(w)).map(|(at, _)| at);
            if let (Some(first), Some(second)) = (candidates.next(), candidates.next()) {
                let kept = held.writes[second].0.point();
                held.writes.remove(first);
                let floor = self.floor.entry(id.job).or_insert(kept);
                *floor = (*floor).max(kept);
            }
        }
    }

    /// A write that goes to the log at once stands above all pending ones of its key. Gives the jobs that wrote those.
    pub fn superseded(&mut self, map: &str, key: &[u8]) -> BTreeSet<JobId> {
        let Some(keys) = self.keys.get_mut(map) else { return BTreeSet::new() };
        let held = keys.remove(key);
        if keys.is_empty() {
            self.keys.remove(map);
        }
        held.iter().flat_map(Held::jobs).collect()
    }

    /// A whole map was cleared. Gives the jobs that had pending writes there.
    pub fn cleared(&mut self, map: &str) -> BTreeSet<JobId> {
        self.keys.remove(map).iter().flat_map(BTreeMap::values).flat_map(Held::jobs).collect()
    }

    /// Last write of each key up to a snapshot, of its job; marks the epoch as being written to disk.
    pub fn begin_flight(&mut self, id: SnapshotId) -> Result<Vec<SinkWrite>, Point> {
        if let Some(floor) = self.floor.get(&id.job).filter(|floor| id.point() < **floor) {
            return Err(*floor);
        }
        self.flight.insert(id.job, id.point());
        let mut found = Vec::new();
        for (map, keys) in &self.keys {
            for (key, held) in keys {
                if let Some((_, value)) = held.writes.iter().rev().find(|(of, _)| covered(*of, id)) {
                    found.push(SinkWrite { map: map.clone(), key: key.clone(), value: value.clone() });
                }
            }
        }
        Ok(found)
    }

    /// The epoch is durable on every replica: gives the writes that the log gets now.
    pub fn durable(&mut self, id: SnapshotId) -> Drained {
        let mut found = Drained::default();
        for (map, keys) in &mut self.keys {
            for (key, held) in keys.iter_mut() {
                let Some(last) = held.writes.iter().rposition(|(of, _)| covered(*of, id)) else { continue };
                let value = held.writes[last].1.clone();
                held.before = value.as_ref().map(|value| keep(value, Limits::NONE));
                // What another job wrote before is overwritten by it, also on disk.
                let others: BTreeSet<_> = held.writes.drain(..=last).map(|(of, _)| of.job).collect();
                for job in others.into_iter().filter(|job| *job != id.job) {
                    let next = held.writes.iter().find(|(of, _)| of.job == job).map(|(of, _)| of.point());
                    found.overwritten.push((Mark { job, map: map.clone(), key: Some(key.clone()) }, next));
                }
                found.writes.push(SinkWrite { map: map.clone(), key: key.clone(), value });
            }
            keys.retain(|_, held| !held.writes.is_empty());
        }
        self.keys.retain(|_, keys| !keys.is_empty());
        if self.flight.get(&id.job).is_some_and(|f| *f <= id.point()) {
            self.flight.remove(&id.job);
        }
        found
    }

    /// Takes back the writes of a job after a snapshot: gives the values that its keys have now, as the log keeps them.
    pub fn cut_back(&mut self, id: SnapshotId) -> Vec<SinkWrite> {
        let mut found = Vec::new();
        for (map, keys) in &mut self.keys {
            for (key, held) in keys.iter_mut() {
                let count = held.writes.len();
                held.writes.retain(|(of, _)| of.job != id.job || covered(*of, id));
                if held.writes.len() < count {
                    let value = match held.writes.last() {
                        Some((_, value)) => value.as_ref().map(|value| keep(value, Limits::NONE)),
                        None => held.before.clone(),
                    };
                    found.push(SinkWrite { map: map.clone(), key: key.clone(), value });
                }
            }
            keys.retain(|_, held| !held.writes.is_empty());
        }
        self.keys.retain(|_, keys| !keys.is_empty());
        found
    }

    /// What the disk may show of a key, when that differs from RAM.
    pub fn on_disk(&self, map: &str, key: &[u8]) -> Option<&Option<Bytes>> {
        self.keys.get(map)?.get(key).map(|held| &held.before)
    }

    /// All keys, for a copy.
    pub fn held(&self) -> impl Iterator<Item = (&str, &Bytes, &Held)> {
        self.keys.iter().flat_map(|(map, keys)| keys.iter().map(|(key, held)| (map.as_str(), key, held)))
    }

    /// Takes over a key from a copy.
    pub fn adopt(&mut self, map: String, key: Bytes, held: Held) {
        self.keys.entry(map).or_default().insert(key, held);
    }

    /// Bounds from a copy.
    pub fn floors(&self) -> impl Iterator<Item = (JobId, Point)> + '_ {
        self.floor.iter().map(|(job, point)| (*job, *point))
    }

    /// Takes over a bound from a copy.
    pub fn adopt_floor(&mut self, job: JobId, point: Point) {
        self.floor.insert(job, point);
    }

    /// No writes wait.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

fn covered(of: SnapshotId, by: SnapshotId) -> bool {
    of.job == by.job && of.point() <= by.point()
}

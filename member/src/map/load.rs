//! From the store back to RAM.
//!
//! Law: only what the store verified and vouches for is taken; incomplete copies are left out; loading changes nothing
//! on disk and happens once in a process, before it writes: from then on RAM is what counts. Must not know: who wants to
//! know.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use jet_core::{Digest, Machine, PartitionContent, TableVersion, Version};
use jet_hotstore::{LoadReport, Loaded, Sink};
use jet_map::digest::content_of;
use jet_map::{Content, LogRecord, SnapshotId};
use tracing::{info, warn};

use super::cell::OnDisk;
use super::{Shared, journal, lock};

/// By space and key: the value, and the chunk that it was found in.
type Entries = BTreeMap<u32, BTreeMap<Bytes, (Bytes, u64)>>;

/// More threads than that build faster than any disk reads.
const MOST_BUILDERS: usize = 8;

fn builders() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(MOST_BUILDERS)
}

fn build(found: &mut BTreeMap<u16, Entries>, loaded: Loaded<'_>) {
    match loaded {
        Loaded::Put { space, partition, key, value, age, .. } => {
            let entries = found.entry(partition).or_default().entry(space).or_default();
            entries.insert(Bytes::copy_from_slice(key), (Bytes::copy_from_slice(value), age));
        }
        Loaded::Remove { space, partition, key, .. } => {
            if let Some(entries) = found.get_mut(&partition).and_then(|spaces| spaces.get_mut(&space)) {
                entries.remove(key);
            }
        }
        Loaded::Clear { space, partition, .. } => {
            if let Some(spaces) = found.get_mut(&partition) {
                spaces.remove(&space);
            }
        }
    }
}

/// The snapshots that contents are compared with: the newest that is a fact, of every job that is not ended.
pub fn counted(machine: &Machine) -> BTreeSet<SnapshotId> {
    let counted = jet_core::view::counted_snapshots(machine).into_iter();
    counted.map(|held| SnapshotId { job: held.job, execution: held.execution, epoch: held.epoch }).collect()
}

impl Shared {
    /// Loads, and digests what this member holds by the table. Asked again under a later machine, it takes from epoch
    /// files what became durable since. Blocks.
    pub fn load(self: &Arc<Self>) -> Result<Digest, String> {
        let machine = self.cluster.machine();
        self.make_cells(machine.table.partitions.len());
        let (loaded, written) = {
            let known = lock(&self.known);
            (known.loaded, known.written)
        };
        if !loaded && !written {
            self.load_log()?;
        }
        // Who wrote without having read has found the store empty.
        if loaded || !written {
            self.load_epochs(&machine);
            lock(&self.known).loaded = true;
        }
        Ok(jet_core::view::content_digest(&self.held(&machine)))
    }

    fn load_log(&self) -> Result<(), String> {
        // Each builds the contents of its own partitions; they count when all is over without an error.
        let mut built: Vec<BTreeMap<u16, Entries>> = vec![BTreeMap::new(); builders()];
        let mut sinks: Vec<_> = built.iter_mut().map(|found| |loaded: Loaded<'_>| build(found, loaded)).collect();
        let mut sinks: Vec<Sink<'_>> = sinks.iter_mut().map(|sink| sink as Sink<'_>).collect();
        let report = self.store.load_into(&mut sinks).map_err(|error| error.to_string())?;
        let found = built.into_iter().flatten().collect();
        if let Some(cut) = &report.cut {
            warn!(file = %cut.file.display(), offset = cut.offset, records = cut.records, "maps: a torn tail was left out");
        }
        lock(&self.spaces).known(&report.spaces);
        self.make_cells(report.partitions.last().map_or(0, |last| usize::from(last.partition) + 1));
        self.take(found, &report);
        Ok(())
    }

    fn take(&self, mut found: BTreeMap<u16, Entries>, report: &LoadReport) {
        let names: BTreeMap<u32, &str> = report.spaces.iter().map(|space| (space.id, space.name.as_str())).collect();
        let cells = self.cells();
        for partition in report.partitions.iter().filter(|partition| partition.complete) {
            let Some(cell) = cells.get(usize::from(partition.partition)) else { continue };
            let mut content = Content::default();
            for (space, entries) in found.remove(&partition.partition).unwrap_or_default() {
                match names.get(&space) {
                    Some(&journal::MARKERS) => {
                        entries
                            .iter()
                            .filter_map(|(key, (value, _))| journal::marker(key, value))
                            .for_each(|record| content.load(record));
                    }
                    Some(&journal::LATER) => {
                        entries
                            .iter()
                            .filter_map(|(key, (value, _))| journal::later(key, value))
                            .for_each(|record| content.load(record));
                    }
                    Some(name) => {
                        for (key, (value, age)) in entries {
                            content.load(LogRecord::Put { map: (*name).to_owned(), key: key.clone(), value });
                            content.stamp(name, &key, age);
                        }
                    }
                    None => warn!(space, partition = partition.partition, "maps: records of a space without a name"),
                }
            }
            let version = Version { installed: TableVersion(partition.version.table), seq: partition.version.sequence };
            let mut state = cell.state();
            if version <= state.replica.version() {
                continue;
            }
            state.replica.loaded(content, version);
            state.time_came();
            state.from_store = true;
            state.logged = version;
            // What was read is on the disk, before all that is written from now on.
            state.whole = Some(state.ticket);
            state.on_disk = if partition.interrupted { OnDisk::Behind } else { OnDisk::InStep };
        }
        info!(records = report.records, partitions = report.partitions.len(), sealed = report.sealed, "maps: loaded");
    }

    /// Content of every replica that counts and is held here, in order of partitions. Blocks.
    pub fn held(&self, machine: &Machine) -> Vec<PartitionContent> {
        let (cells, counted) = (self.cells(), counted(machine));
        let held = machine.table.held_by(self.cluster.me());
        held.into_iter()
            .filter_map(|partition| Some((partition, cells.get(usize::from(partition.0))?)))
            .map(|(partition, cell)| content_of(partition, &cell.state().replica, &counted))
            .collect()
    }
}

//! Before a seal: the disk is brought to what RAM holds, or it is said why that cannot be.
//!
//! Law: STOP: no content is claimed that no disk has: parts of the snapshots that count, everything that sinks published,
//! every partition whole and at its version. Must not know: who seals.

use std::sync::Arc;
use std::time::Duration;

use jet_core::{JobId, Machine, PartitionId, SnapshotRecord};
use jet_map::SnapshotId;
use tokio::time::Instant;
use tracing::info;

use super::cell::State;
use super::epochs::FlushError;
use super::load::counted;
use super::{Shared, all_of, durable};

/// A seal waits this long for partitions and epochs that are behind.
const SETTLE_WITHIN: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(20);

impl Shared {
    /// Brings the disk to what RAM holds: epochs that contents are compared with, sink writes, partitions that are
    /// behind, versions. A seal is made of this.
    pub async fn settle_disk(self: &Arc<Self>) -> Result<(), String> {
        let deadline = Instant::now() + SETTLE_WITHIN;
        let machine = self.cluster.machine();
        if let Some(why) = self.not_whole(&machine) {
            return Err(why);
        }
        let shared = self.clone();
        crate::host::blocking(move || shared.retry_failed_log()).await.map_err(|error| error.to_string())?;
        for id in counted(&machine) {
            if let Some(record) = record_of(&machine, id.job) {
                self.settle_epoch(id, record, deadline).await?;
            }
        }
        for job in machine.jobs.values().filter(|job| job.ended()) {
            self.log_sinks(all_of(job.id));
        }
        if let Some(job) = self.not_on_disk() {
            return Err(format!("job {job} has published more than its last durable snapshot; wait for a newer one"));
        }
        self.wait_in_step(deadline).await?;
        self.complete_all();
        info!("maps: the disk has what RAM holds");
        Ok(())
    }

    async fn wait_in_step(&self, deadline: Instant) -> Result<(), String> {
        loop {
            self.behind.notify_one();
            let behind = self.cells_behind();
            let Some(first) = behind.first() else { return Ok(()) };
            if Instant::now() > deadline {
                return Err(format!(
                    "{} partitions are behind on disk, the first is {}",
                    behind.len(),
                    first.partition
                ));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn settle_epoch(
        self: &Arc<Self>,
        id: SnapshotId,
        record: SnapshotRecord,
        deadline: Instant,
    ) -> Result<(), String> {
        loop {
            let (shared, record) = (self.clone(), record.clone());
            let flushed = crate::host::blocking(move || shared.cover(id, record));
            match flushed.await.map_err(|error| error.to_string())? {
                Ok(()) => break,
                Err(FlushError::InFlight { .. }) if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(error.to_string()),
            }
        }
        self.log_sinks(id);
        Ok(())
    }

    /// A file that has what is held here of a snapshot. Blocks.
    fn cover(&self, id: SnapshotId, record: SnapshotRecord) -> Result<(), FlushError> {
        self.flush_epoch(id, record)?;
        match self.uncovered(id)? {
            Some(partition) => {
                let why = format!(
                    "its file does not have what RAM holds of partition {partition}; wait for a newer snapshot"
                );
                Err(FlushError::Store { id, why })
            }
            None => Ok(()),
        }
    }

    /// A partition held here of which the file has not what RAM has.
    fn uncovered(&self, id: SnapshotId) -> Result<Option<PartitionId>, FlushError> {
        let (_, files) = self.read_file(id).map_err(|why| FlushError::Store { id, why: why.to_string() })?;
        let held = self.cluster.machine().table.held_by(self.cluster.me());
        let cells = self.cells();
        Ok(held.into_iter().find(|partition| {
            let ram = cells
                .get(usize::from(partition.0))
                .map(|cell| cell.state().replica.content().snapshots.get(&id).cloned().unwrap_or_default());
            files.get(partition).map(|file| &file.parts) != ram.as_ref()
        }))
    }

    /// Sink writes of everything that is durable go to the log, also where they came by a copy that was made before.
    pub(super) fn log_what_is_durable(&self) {
        let machine = self.cluster.machine();
        for cell in self.cells() {
            let mut state = cell.state();
            state.log_what_is_durable(self, cell.partition, &machine);
        }
    }

    /// Sink writes up to this snapshot go to the log.
    pub(super) fn log_sinks(&self, id: SnapshotId) {
        for cell in self.cells() {
            let mut state = cell.state();
            let log = state.replica.durable(id);
            state.log(self, cell.partition, log);
        }
    }

    /// A job of which RAM shows what no log will have.
    pub(super) fn not_on_disk(&self) -> Option<JobId> {
        let held = self.cluster.machine().table.held_by(self.cluster.me());
        let cells = self.cells();
        held.into_iter().filter_map(|partition| cells.get(usize::from(partition.0))).find_map(|cell| {
            let state = cell.state();
            let content = state.replica.content();
            let marker = content.markers.iter().find(|(job, point)| content.markers_on_disk.get(job) != Some(point));
            let pending = content.pending.held().find_map(|(_, _, held)| held.writes.first().map(|(id, _)| id.job));
            marker.map(|(job, _)| *job).or(pending)
        })
    }
}

impl State {
    /// Under the lock of its cell.
    pub(super) fn log_what_is_durable(&mut self, shared: &Shared, partition: PartitionId, machine: &Machine) {
        if machine.state.runs() {
            let counts = |id: SnapshotId| machine.jobs.get(&id.job).is_some_and(|job| job.counts(id.point()));
            self.replica.keep_from_files(counts);
        }
        for id in durable(machine) {
            if self.replica.content().owes_the_log(id) {
                let log = self.replica.durable(id);
                self.log(shared, partition, log);
            }
        }
    }
}

fn record_of(machine: &Machine, job: JobId) -> Option<SnapshotRecord> {
    let snapshot = machine.jobs.get(&job)?.snapshot.as_ref()?;
    Some(snapshot.record.clone())
}

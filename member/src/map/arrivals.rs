//! Copies that move here: when the disk of this member has them whole.
//!
//! Law: a place elsewhere goes by the word that is said here, and with it the last disk that perhaps had something. So a copy
//! has arrived only when all that RAM had of it when it was known to be in step is durable in the log, which is in step with it;
//! when the files of snapshots that jobs would go on from after a loss of all name this partition; and when nothing is missing
//! in RAM that only a file of another member has. It is said again at each look, and not any more once the log is behind.
//!
//! Attacked: the log has an older life of the partition, and what is asked for is taken for durable by its version: the place in
//! the log counts, taken after the copy was written whole. A file cannot be had from RAM: the place elsewhere stays until a newer
//! snapshot is durable, and that is seen as a copy that is in step and does not end.
//!
//! Must not know: from where it comes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jet_core::{Job, Machine, PartitionId, SnapshotRecord, SnapshotRef, TableVersion};
use jet_hotstore::Ticket;
use jet_map::SnapshotId;
use jet_map::fence::{Role, role};
use tokio::time::Instant;
use tracing::debug;

use super::cell::{OnDisk, State};
use super::{Shared, lock};

/// Between two tries to have a file written again.
const FILES_AGAIN: Duration = Duration::from_secs(1);

/// What is known of them.
#[derive(Default)]
pub struct Arrivals {
    /// By partition: where in the log the last of it was when it was first seen in step, there and here.
    in_log: BTreeMap<PartitionId, Ticket>,
    /// Files are not written again before this.
    files_from: Option<Instant>,
}

/// Of which snapshots a file is to have the parts of every partition here: those that a loss of all would go back to.
fn on_disks(machine: &Machine) -> impl Iterator<Item = (SnapshotId, SnapshotRecord)> + '_ {
    let of = |job: &Job, snapshot: &SnapshotRef| {
        let id = SnapshotId { job: job.id, execution: snapshot.execution, epoch: snapshot.epoch };
        (id, snapshot.record.clone())
    };
    let alive = machine.jobs.values().filter(|job| !job.ended());
    alive.flat_map(move |job| {
        let terminal = job.snapshot.iter().filter(|snapshot| snapshot.terminal.is_some());
        terminal.chain(&job.durable).map(move |snapshot| of(job, snapshot))
    })
}

impl Shared {
    /// Partitions that move here and that the disk has whole, each with the `changed` of its entry.
    pub(super) fn arrived(self: &Arc<Self>) -> Vec<(PartitionId, TableVersion)> {
        let (machine, me) = (self.cluster.machine(), self.me());
        let coming = machine.moves.copies.iter().filter(|(_, moving)| moving.to == me.member);
        let coming: Vec<_> = coming
            .filter_map(|(partition, _)| Some((*partition, machine.table.entry(*partition)?)))
            .filter(|(_, entry)| matches!(role(entry, me), Role::Primary | Role::Backup { synced: true }))
            .map(|(partition, entry)| (partition, entry.changed))
            .collect();
        let mut arrivals = lock(&self.arrivals);
        arrivals.in_log.retain(|partition, _| coming.iter().any(|(comes, _)| comes == partition));
        if coming.is_empty() {
            return coming;
        }
        let durable = self.store.durable_upto();
        let mut logged: Vec<_> =
            coming.into_iter().filter(|(partition, _)| self.is_logged(*partition, durable, &mut arrivals)).collect();
        let files: Vec<_> = on_disks(&machine).collect();
        let missing = logged.iter().any(|(partition, _)| !self.files_have(*partition, &files));
        if missing && arrivals.files_from.is_none_or(|from| Instant::now() >= from) {
            arrivals.files_from = Some(Instant::now() + FILES_AGAIN);
            self.write_files(files.clone());
        }
        drop(arrivals);
        logged.retain(|(partition, _)| self.files_have(*partition, &files));
        logged
    }

    fn is_logged(&self, partition: PartitionId, durable: Ticket, arrivals: &mut Arrivals) -> bool {
        let Ok(cell) = self.cell(partition) else { return false };
        let state = cell.state();
        if state.on_disk != OnDisk::InStep {
            arrivals.in_log.remove(&partition);
            drop(state);
            self.ask_for_whole(partition);
            self.behind.notify_one();
            return false;
        }
        let last = *arrivals.in_log.entry(partition).or_insert(state.ticket);
        // A copy that came once more meanwhile was written whole anew.
        last <= durable && state.whole.is_some_and(|whole| whole <= durable) && state.is_whole()
    }

    fn files_have(&self, partition: PartitionId, files: &[(SnapshotId, SnapshotRecord)]) -> bool {
        files.iter().all(|(id, _)| self.file_names(*id, partition))
    }

    fn write_files(self: &Arc<Self>, files: Vec<(SnapshotId, SnapshotRecord)>) {
        let shared = self.clone();
        crate::host::blocking(move || {
            for (id, record) in files {
                if let Err(why) = shared.flush_epoch(id, record) {
                    debug!(?id, %why, "maps: what moves here waits for a newer snapshot");
                }
            }
        });
    }

    /// A member that has come in holds no part of any snapshot: that is noted before it may be given one, or after a loss of all
    /// the snapshot would be whole nowhere. Blocks.
    pub(super) fn note_snapshots(&self) -> Result<(), String> {
        let machine = self.cluster.machine();
        let alive = machine.jobs.values().filter(|job| !job.ended());
        for (job, snapshot) in alive.flat_map(|job| job.snapshot.iter().chain(&job.durable).map(move |of| (job, of))) {
            let id = SnapshotId { job: job.id, execution: snapshot.execution, epoch: snapshot.epoch };
            self.flush_epoch(id, snapshot.record.clone()).map_err(|why| why.to_string())?;
        }
        Ok(())
    }
}

impl State {
    /// Nothing of it is only in a file, here or elsewhere.
    fn is_whole(&self) -> bool {
        let content = self.replica.content();
        content.partial.is_empty() && content.unsettled().next().is_none()
    }
}

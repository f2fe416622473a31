//! A snapshot that a job goes on from: back to its places, from RAM or from epoch files, here or elsewhere.
//!
//! Law: what is taken back names the execution that goes on and is refused once that, or a later one, has left anything;
//! a file gives its sink writes where they are missing and nowhere else; parts that are given back are no snapshot until
//! all of them are there; who is told to end takes nothing more back. Must not know: what parts mean.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jet_core::{ExecutionId, JobId, Machine, MemberId, PartitionId};
use jet_map::wire::{Request, Response};
use jet_map::{Op, PartitionEpoch, Refusal, Requester, SnapshotId};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::calls::FIND_WITHIN;
use super::cell::Cell;
use super::epochs::name;
use super::load::counted;
use super::{MapService, Shared};

/// What came back of a snapshot to this member's partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Parts.
    pub parts: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Partitions whose parts came from an epoch file.
    pub from_disk: u32,
}

impl Restored {
    fn count<'a>(&mut self, parts: impl Iterator<Item = &'a Bytes>) {
        for bytes in parts {
            self.parts += 1;
            self.bytes += bytes.len() as u64;
        }
    }
}

/// What of a snapshot a partition lacks in RAM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lacks {
    parts: bool,
    sinks: bool,
}

/// This member's own file of the snapshot, read when it is first needed.
type OwnFile = Option<BTreeMap<PartitionId, PartitionEpoch>>;

impl MapService {
    /// Makes the partitions that this member leads hold exactly this snapshot of a job, for execution `by`: later parts
    /// and sink writes are taken back, missing parts come from an epoch file, here or elsewhere. To be called before the
    /// job is built. `ended`: asked between partitions.
    pub async fn restore_snapshot(
        &self,
        id: SnapshotId,
        by: ExecutionId,
        ended: impl Fn() -> bool,
    ) -> Result<Restored, Refusal> {
        let _alone = self.shared.restoring.lock().await;
        let (mut restored, mut own) = (Restored::default(), None);
        for cell in self.shared.cells() {
            if ended() {
                return Err(Refusal::NotNow { what: "the generation is over".into() });
            }
            if cell.state().lead.is_some() {
                self.shared.restore_op(cell.partition, Op::CutBack { id, by }).await?;
                self.shared.give_back(&cell, id, by, &mut own, &mut restored).await?;
            }
        }
        debug!(?id, %by, ?restored, "maps: snapshot in place");
        Ok(restored)
    }
}

impl Shared {
    /// Gives the partitions that this member leads what RAM lacks of the snapshots that count, of jobs that do not run:
    /// nobody else does, and no seal is made without it.
    pub(super) async fn make_whole(self: &Arc<Self>, machine: &Machine) -> Result<(), Refusal> {
        let runs = |job: JobId| machine.runtime.iter().flat_map(|runtime| &runtime.jobs).any(|run| run.job == job);
        for id in counted(machine).into_iter().filter(|id| !runs(id.job)) {
            let Some(by) = machine.jobs.get(&id.job).map(|job| job.execution.next()) else { continue };
            let lacking = |cell: &Arc<Cell>| {
                let state = cell.state();
                state.lead.is_some() && state.replica.content().whole(id).is_none()
            };
            let lacking: Vec<_> = self.cells().into_iter().filter(lacking).collect();
            if lacking.is_empty() {
                continue;
            }
            let _alone = self.restoring.lock().await;
            let (mut restored, mut own) = (Restored::default(), None);
            for cell in lacking {
                self.give_back(&cell, id, by, &mut own, &mut restored).await?;
            }
            info!(?id, ?restored, "maps: the snapshot of a job that does not run is in place");
        }
        Ok(())
    }

    /// A snapshot that counts and of which a copy held here is not whole in RAM, in words.
    pub(super) fn not_whole(&self, machine: &Machine) -> Option<String> {
        let (counted, held) = (counted(machine), machine.table.held_by(self.cluster.me()));
        let cells = self.cells();
        counted.into_iter().find_map(|id| {
            let lacks = |partition: &&PartitionId| {
                let cell = cells.get(usize::from(partition.0));
                cell.is_none_or(|cell| cell.state().replica.content().whole(id).is_none())
            };
            let partition = held.iter().find(lacks)?;
            Some(format!(
                "the snapshot of job {} (execution {}, epoch {}) is not whole in RAM: partition {partition} lacks its parts, and no file of a member that is here has them; resume or cancel the job",
                id.job, id.execution, id.epoch
            ))
        })
    }

    async fn give_back(
        self: &Arc<Self>,
        cell: &Cell,
        id: SnapshotId,
        by: ExecutionId,
        own: &mut OwnFile,
        restored: &mut Restored,
    ) -> Result<(), Refusal> {
        let partition = cell.partition;
        let lacks = self.lacks(cell, id, restored);
        if lacks == Lacks::default() {
            return Ok(());
        }
        if own.is_none() {
            *own = Some(self.own_file(id).await);
        }
        let found = own.as_mut().and_then(|files| files.remove(&partition));
        let file = match found {
            None => self.find_epoch(partition, id).await,
            found => found,
        };
        let Some(file) = file else { return Ok(()) };
        if lacks.parts {
            restored.from_disk += 1;
            restored.count(file.parts.values());
            self.restore_op(partition, Op::RestoreBegin { id, by }).await?;
            for ((vertex, part), bytes) in file.parts {
                self.restore_op(partition, Op::SnapshotPart { id, vertex, part, bytes }).await?;
            }
            self.restore_op(partition, Op::RestoreEnd { id, by }).await?;
        }
        if file.marker.is_some_and(|marker| marker >= id.point()) {
            self.restore_op(partition, Op::SinkRestore { id, by, writes: file.writes }).await?;
        }
        Ok(())
    }

    /// Here and nowhere else: another primary looks for itself at what it has.
    async fn restore_op(self: &Arc<Self>, partition: PartitionId, op: Op) -> Result<(), Refusal> {
        let deadline = Instant::now() + FIND_WITHIN;
        loop {
            match self.invoke_here(partition, Requester::Job, op.clone()).await {
                Err(Refusal::Busy { .. } | Refusal::NotLoaded { .. }) if Instant::now() < deadline => {
                    self.pause().await
                }
                result => return result.map(|_| ()),
            }
        }
    }

    /// What a file has to give of it. What was not read from a store has every sink write that counts.
    fn lacks(&self, cell: &Cell, id: SnapshotId, restored: &mut Restored) -> Lacks {
        let state = cell.state();
        let content = state.replica.content();
        let published = content.markers.get(&id.job).is_some_and(|marker| *marker >= id.point());
        let parts = content.whole(id);
        restored.count(parts.into_iter().flat_map(BTreeMap::values));
        Lacks { parts: parts.is_none(), sinks: content.from_store && !published }
    }

    /// All that this member's file has of a snapshot.
    async fn own_file(self: &Arc<Self>, id: SnapshotId) -> BTreeMap<PartitionId, PartitionEpoch> {
        if !self.store.epochs().iter().any(|info| info.id == name(id)) {
            return BTreeMap::new();
        }
        let shared = self.clone();
        let read = tokio::task::spawn_blocking(move || shared.read_file(id).map(|(_, files)| files)).await;
        read.map_err(|error| error.to_string()).and_then(|read| read).unwrap_or_else(|why| {
            warn!(?id, %why, "maps: an epoch cannot be read; others are asked");
            BTreeMap::new()
        })
    }

    /// What an epoch file at another member holds of a partition.
    async fn find_epoch(&self, partition: PartitionId, id: SnapshotId) -> Option<PartitionEpoch> {
        let me = self.cluster.me();
        let others: Vec<_> = self.cluster.machine().roster.keys().copied().filter(|member| *member != me).collect();
        for member in others {
            if let Some(parts) = self.fetch(member, partition, id).await {
                return PartitionEpoch::from_parts(id, parts).ok();
            }
        }
        None
    }

    async fn fetch(&self, member: MemberId, partition: PartitionId, id: SnapshotId) -> Option<Vec<(u32, Bytes)>> {
        let mut all = Vec::new();
        loop {
            let from = u32::try_from(all.len()).ok()?;
            match self.call(member, Request::FetchEpoch { partition, id, from }, false).await.ok()? {
                Response::Epoch { found: true, parts, more } if !parts.is_empty() || !more => {
                    all.extend(parts);
                    if !more {
                        return Some(all);
                    }
                }
                _ => return None,
            }
        }
    }
}

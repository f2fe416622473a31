//! A snapshot that a job goes on from: back to its places, from RAM or from epoch files, here or elsewhere.
//!
//! Law: what is taken back names the execution that goes on and is refused once that, or a later one, has left anything;
//! a file gives its sink writes where they are missing and nowhere else; who is told to end takes nothing more back.
//! Must not know: what parts mean.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jet_core::{ExecutionId, MemberId, PartitionId};
use jet_map::wire::{Request, Response};
use jet_map::{Op, PartitionEpoch, Refusal, Requester, SnapshotId};
use tracing::{debug, warn};

use super::cell::Cell;
use super::epochs::name;
use super::{MapService, Shared, lock};

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
        let (mut restored, mut own) = (Restored::default(), None);
        for cell in self.shared.cells() {
            if ended() {
                return Err(Refusal::NotNow { what: "the generation is over".into() });
            }
            if cell.state().lead.is_some() {
                self.restore_cell(&cell, id, by, &mut own, &mut restored).await?;
            }
        }
        debug!(?id, %by, ?restored, "maps: snapshot in place");
        Ok(restored)
    }

    async fn restore_cell(
        &self,
        cell: &Cell,
        id: SnapshotId,
        by: ExecutionId,
        own: &mut OwnFile,
        restored: &mut Restored,
    ) -> Result<(), Refusal> {
        let partition = cell.partition;
        self.restore_op(partition, Op::CutBack { id, by }).await?;
        if !self.shared.lacks(cell, id, restored) {
            return Ok(());
        }
        if own.is_none() {
            *own = Some(self.shared.own_file(id).await);
        }
        let found = own.as_mut().and_then(|files| files.remove(&partition));
        let file = match found {
            None => self.shared.find_epoch(partition, id).await,
            found => found,
        };
        let Some(file) = file else { return Ok(()) };
        restored.from_disk += 1;
        restored.count(file.parts.values());
        // Until all of them are there, what is in RAM is no snapshot, whoever looks next.
        lock(&self.shared.known).in_pieces.insert((id, partition));
        for ((vertex, part), bytes) in file.parts {
            self.restore_op(partition, Op::SnapshotPart { id, vertex, part, bytes }).await?;
        }
        lock(&self.shared.known).in_pieces.remove(&(id, partition));
        if file.marker.is_some_and(|marker| marker >= id.point()) {
            self.restore_op(partition, Op::SinkRestore { id, by, writes: file.writes }).await?;
        }
        Ok(())
    }

    async fn restore_op(&self, partition: PartitionId, op: Op) -> Result<(), Refusal> {
        self.invoke(partition, Requester::Job, op).await.map(|_| ())
    }
}

impl Shared {
    /// Whether a file has to give something of it. What was not read from the store has every sink write that counts.
    fn lacks(&self, cell: &Cell, id: SnapshotId, restored: &mut Restored) -> bool {
        let in_pieces = lock(&self.known).in_pieces.contains(&(id, cell.partition));
        let state = cell.state();
        let content = state.replica.content();
        let sinks = content.markers.get(&id.job).is_some_and(|marker| *marker >= id.point());
        let parts = content.snapshots.get(&id).filter(|_| !in_pieces && (sinks || !state.from_store));
        restored.count(parts.into_iter().flat_map(BTreeMap::values));
        parts.is_none()
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

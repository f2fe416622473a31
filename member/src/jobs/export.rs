//! Parts of snapshots on their way from the engine to the primaries of their partitions.
//!
//! Law: `done` comes after every part was acknowledged by every replica that counts; what is in flight is bounded in
//! number and bytes, and its bound is felt by the export thread alone, never by the job. Must not know: epochs' order.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jet_core::{Epoch, ExecutionId, JobId};
use jet_engine::operators::source::RangeOffset;
use jet_engine::{PartKey, SnapshotOut, Vertex, WorkerDone};
use jet_map::{Op, Refusal, Requester, SnapshotId};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::parts::{mark, place, vertex_number};
use super::stage::{Part, Stage};
use crate::map::MapService;

/// Bytes in flight, in units of [`UNIT`].
const UNITS_IN_FLIGHT: usize = 24 << 10;
/// One unit of the bound: small parts count as one, so the number in flight is bounded too.
const UNIT: usize = 1 << 10;
/// Least units of a part.
const LEAST_UNITS: usize = 96;
/// A part is tried this long.
const PART_WITHIN: Duration = Duration::from_secs(30);
/// Pause before a part is sent again.
const AGAIN: Duration = Duration::from_millis(20);

type Sent = JoinHandle<Result<Part, String>>;

/// Where the engine of one generation puts its snapshots.
pub struct ToMap {
    stage: Arc<Stage>,
    maps: MapService,
    handle: Handle,
    room: Arc<Semaphore>,
    sent: Mutex<Vec<(SnapshotId, Sent)>>,
}

impl ToMap {
    /// For one generation.
    pub fn new(stage: Arc<Stage>, maps: MapService, handle: Handle) -> Self {
        Self { stage, maps, handle, room: Arc::new(Semaphore::new(UNITS_IN_FLIGHT)), sent: Mutex::default() }
    }

    fn take(&self, id: SnapshotId) -> Vec<Sent> {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        // One export runs at a time: what is of another snapshot is left over from one that was given up.
        let (ours, given_up): (Vec<_>, Vec<_>) = std::mem::take(&mut *sent).into_iter().partition(|(of, _)| *of == id);
        given_up.iter().for_each(|(_, sent)| sent.abort());
        ours.into_iter().map(|(_, sent)| sent).collect()
    }
}

impl SnapshotOut for ToMap {
    fn put(&self, key: PartKey, bytes: Bytes) -> Result<(), String> {
        if self.stage.ended() {
            return Err("the generation is over".into());
        }
        let rows_read = match key.vertex {
            Vertex::Source => RangeOffset::decode(&bytes).map_err(|error| error.to_string())?.rows,
            Vertex::State | Vertex::Sink => 0,
        };
        let units = (bytes.len() / UNIT + 1).clamp(LEAST_UNITS, UNITS_IN_FLIGHT);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let room =
            self.handle.block_on(self.room.clone().acquire_many_owned(units)).map_err(|error| error.to_string())?;
        let id = SnapshotId { job: JobId(key.job), execution: ExecutionId(key.execution), epoch: Epoch(key.epoch) };
        let (maps, stage) = (self.maps.clone(), self.stage.clone());
        let sent = self.handle.spawn(async move {
            let acknowledged = put(&maps, &stage, id, vertex_number(key.vertex), key.partition, bytes, rows_read).await;
            drop(room);
            acknowledged
        });
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push((id, sent));
        Ok(())
    }

    fn done(&self, done: WorkerDone) -> Result<(), String> {
        let id = SnapshotId { job: JobId(done.job), execution: ExecutionId(done.execution), epoch: Epoch(done.epoch) };
        for sent in self.take(id) {
            let part = self.handle.block_on(sent).map_err(|error| error.to_string())??;
            self.stage.part(id.job, id.execution, id.epoch, part);
        }
        self.stage.worker_done(&done);
        Ok(())
    }
}

async fn put(
    maps: &MapService,
    stage: &Stage,
    id: SnapshotId,
    vertex: u32,
    part: u32,
    bytes: Bytes,
    rows_read: u64,
) -> Result<Part, String> {
    let place = place(part, maps.partitions());
    let deadline = Instant::now() + PART_WITHIN;
    loop {
        let op = Op::SnapshotPart { id, vertex, part, bytes: bytes.clone() };
        match maps.invoke(place, Requester::Job, op).await {
            Ok(done) => {
                return Ok(Part {
                    mark: mark(vertex, part, &bytes),
                    bytes: bytes.len() as u64,
                    rows_read,
                    table: done.table_version,
                });
            }
            Err(refusal) if hopeless(&refusal) || stage.ended() || Instant::now() >= deadline => {
                return Err(format!("part {part} of vertex {vertex} ({} bytes): {refusal}", bytes.len()));
            }
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// Asking again cannot help: the snapshot belongs to a life that is over, or never fits.
fn hopeless(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::OldExecution { .. }
            | Refusal::CommittedPart { .. }
            | Refusal::TooLarge { .. }
            | Refusal::NotNow { .. }
    )
}

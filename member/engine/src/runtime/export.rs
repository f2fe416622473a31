//! Exports: snapshots are encoded and handed over beside the job, by one thread per generation.
//!
//! Bounded by the law that one epoch of a job is open at a time: at most one export per job and worker
//! waits here. Law: `done` only after every `put`; a refusal is reported and ends that snapshot.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use super::fence::Fence;
use super::ports::{EngineEvents, PartKey, Report, SnapshotOut, Vertex, WorkerDone};
use super::vertex::JobShared;
use crate::operators::keyed::ShardExport;
use crate::operators::source::RangeOffset;

/// What one worker gives to one snapshot.
pub struct Export {
    pub job: Arc<JobShared>,
    pub epoch: u64,
    pub terminal: bool,
    pub worker: usize,
    pub workers: usize,
    pub shards: Vec<ShardExport>,
    pub offsets: Vec<(u32, RangeOffset)>,
}

/// Hands over exports until the workers are gone.
pub fn run(exports: &Receiver<Export>, out: &dyn SnapshotOut, events: &dyn EngineEvents, fence: &Fence) {
    for export in exports {
        if fence.is_tripped() {
            continue;
        }
        let (job, execution, epoch) = (export.job.start.job, export.job.start.execution, export.epoch);
        let handed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| hand_over(&export, out)));
        let handed = handed.unwrap_or_else(|_| Err("handing it over panicked".into()));
        if let Err(cause) = handed {
            events.report(Report::SnapshotFailed { job, execution, epoch, cause });
        }
    }
}

fn hand_over(export: &Export, out: &dyn SnapshotOut) -> Result<(), String> {
    let start = &export.job.start;
    let mut done = WorkerDone {
        job: start.job,
        execution: start.execution,
        epoch: export.epoch,
        terminal: export.terminal,
        worker: export.worker,
        workers: export.workers,
        source_parts: 0,
        state_parts: 0,
        sink_parts: 0,
        groups: 0,
        entries: 0,
        bytes: 0,
    };
    let mut put = |vertex, partition, bytes: bytes::Bytes| {
        let key = PartKey { job: start.job, execution: start.execution, epoch: export.epoch, vertex, partition };
        done.bytes += bytes.len() as u64;
        match vertex {
            Vertex::Source => done.source_parts += 1,
            Vertex::State => done.state_parts += 1,
            Vertex::Sink => done.sink_parts += 1,
        }
        out.put(key, bytes)
    };
    for (range, offset) in &export.offsets {
        put(Vertex::Source, *range, offset.encode())?;
    }
    let (mut groups, mut entries) = (0, 0);
    for shard in &export.shards {
        groups += shard.groups();
        put(Vertex::State, shard.partition, shard.encode_state().map_err(|error| error.to_string())?)?;
        if let Some((delta, count)) = shard.encode_delta(&start.program).map_err(|error| error.to_string())? {
            entries += count;
            put(Vertex::Sink, shard.partition, delta)?;
        }
    }
    done.groups = groups;
    done.entries = entries;
    export.job.entries_out.fetch_add(entries, Ordering::Relaxed);
    out.done(done)
}

//! Runtime: one timely computation per member and generation, that can be ended and formed again
//! while the process lives on.
//!
//! - [`socket`], [`fence`], [`hello`]: bytes between members; every failure is a cause, none a panic;
//! - [`rows`]: the container that crosses workers;
//! - [`source_side`]: ticks, credit, pace, boundaries; [`vertex`]: state at a boundary;
//! - [`export`]: snapshots beside the job; [`worker`]: the loop; [`generation`]: birth; [`handle`]: commands and the end.
//!
//! Time: a timestamp is `epoch << 32 | tick`. Snapshot `e` is everything before `e << 32`. The leader
//! opens `e`; each worker notes the offsets of its ranges and moves its capability to `e << 32`, with or
//! without data or credit; when the frontier has passed, a worker's state is exactly "all before e".
//! Law: one epoch of a job is open at a time; the next opens after the commit of the one before.
//! This room alone knows timely; it must not know SQL.

mod export;
mod fence;
mod generation;
mod handle;
mod hello;
mod ports;
mod rows;
mod socket;
mod source_side;
mod vertex;
mod worker;

pub use generation::{RuntimeGeneration, StartRefused};
pub use handle::{CommandRefused, GenerationHandle};
pub use ports::{
    EngineEvents, JobCounters, JobRestore, JobStart, PartKey, Report, RestoreParts, SnapshotOut, Vertex, WorkerDone,
};
pub use socket::PeerSocket;

/// Snapshots have numbers below this.
pub const MAX_EPOCH: u64 = u32::MAX as u64;
/// A tick: the unit of credit. Progress costs grow with its inverse.
pub const TICK_MS: u64 = 10;
/// Length of a tick of a source that is slow by its rate.
pub const SLOW_TICK_MS: u64 = 50;
/// Rows that one worker may have in flight for one job.
pub const CREDIT_ROWS: usize = 128 * 1024;
/// Bytes that one worker may have in flight for one job.
pub const CREDIT_BYTES: usize = 32 * 1024 * 1024;
/// Rows that a source gives at once.
pub const BATCH_ROWS: usize = 8 * 1024;
/// Most worker threads of a member.
pub const MAX_WORKERS: usize = 64;

/// Epoch of a timestamp.
fn epoch_of(time: u64) -> u64 {
    time >> 32
}

/// First timestamp of an epoch.
fn epoch_start(epoch: u64) -> u64 {
    epoch << 32
}

/// Last timestamp of an epoch: where a worker stands that has nothing to send.
fn epoch_end(epoch: u64) -> u64 {
    (epoch << 32) | u64::from(u32::MAX)
}

//! What the runtime is handed, and what it says back.
//!
//! Law: `done` comes after every `put` of a worker succeeded, never otherwise; a commit is the shell's
//! and happens when all workers are done.

use std::sync::Arc;

use bytes::Bytes;

use crate::operators::program::Program;
use crate::operators::source::RangeOffset;

/// Which vertex a part belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Vertex {
    /// Offset of a source range; `partition` is the number of the range.
    Source,
    /// State of the keyed vertex; one part for every partition, also when it is empty.
    State,
    /// [`crate::SinkDelta`]; only partitions in which something changed.
    Sink,
}

impl Vertex {
    /// Word for keys and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Vertex::Source => "source",
            Vertex::State => "state",
            Vertex::Sink => "sink",
        }
    }
}

/// Name of a part of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartKey {
    /// Job.
    pub job: u64,
    /// Execution of the job.
    pub execution: u64,
    /// Snapshot.
    pub epoch: u64,
    /// Vertex.
    pub vertex: Vertex,
    /// Partition, or number of a range.
    pub partition: u32,
}

/// One worker has put all its parts of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerDone {
    /// Job.
    pub job: u64,
    /// Execution of the job.
    pub execution: u64,
    /// Snapshot.
    pub epoch: u64,
    /// The job's tasks have ended at this boundary.
    pub terminal: bool,
    /// Worker in the generation.
    pub worker: usize,
    /// Workers in the generation: as many must be done.
    pub workers: usize,
    /// Source parts put.
    pub source_parts: u64,
    /// State parts put.
    pub state_parts: u64,
    /// Sink parts put.
    pub sink_parts: u64,
    /// Groups in the state parts.
    pub groups: u64,
    /// Entries in the sink parts.
    pub entries: u64,
    /// Bytes of all parts.
    pub bytes: u64,
}

/// Takes snapshots. Called from one thread per generation; may block, the job goes on beside it.
pub trait SnapshotOut: Send + Sync {
    /// Keeps a part. An error ends the snapshot, with its reason in a report.
    fn put(&self, key: PartKey, bytes: Bytes) -> Result<(), String>;
    /// A worker has put all.
    fn done(&self, done: WorkerDone) -> Result<(), String>;
}

/// What happened. Called from any thread; must return at once.
pub trait EngineEvents: Send + Sync {
    /// Takes a report.
    fn report(&self, report: Report);
}

/// A report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// All ranges that this member reads are at their end. When every member says so, the shell opens a
    /// terminal epoch: its commit is the completion of the job.
    Exhausted {
        /// Job.
        job: u64,
        /// Execution of the job.
        execution: u64,
    },
    /// The job cannot go on here and will not take part in a snapshot any more.
    JobFailed {
        /// Job.
        job: u64,
        /// Execution of the job.
        execution: u64,
        /// Why.
        cause: String,
    },
    /// A snapshot could not be handed over.
    SnapshotFailed {
        /// Job.
        job: u64,
        /// Execution of the job.
        execution: u64,
        /// Snapshot.
        epoch: u64,
        /// Why.
        cause: String,
    },
    /// The generation is over.
    Tripped {
        /// Generation.
        generation: u64,
        /// Why.
        cause: String,
    },
}

/// Parts of the snapshot that a job goes on from.
pub trait RestoreParts: Send + Sync {
    /// Bytes of a part, or none if the snapshot has no such part.
    fn part(&self, vertex: Vertex, partition: u32) -> Result<Option<Bytes>, String>;
}

/// The snapshot that a job goes on from.
#[derive(Clone)]
pub struct JobRestore {
    /// Its number.
    pub epoch: u64,
    /// Its parts.
    pub parts: Arc<dyn RestoreParts>,
}

/// A job of a generation.
#[derive(Clone)]
pub struct JobStart {
    /// Job.
    pub job: u64,
    /// Execution: each start of a job has a new one.
    pub execution: u64,
    /// Fingerprint of the plan; compared between members.
    pub fingerprint: String,
    /// The compiled plan.
    pub program: Arc<Program>,
    /// None means from the beginning.
    pub restore: Option<JobRestore>,
}

impl JobStart {
    /// Epoch before the first one that may be opened.
    pub fn from_epoch(&self) -> u64 {
        self.restore.as_ref().map_or(0, |restore| restore.epoch)
    }
}

/// Counters of a job on this member, since the start of this execution unless said otherwise.
#[derive(Debug, Clone, Default)]
pub struct JobCounters {
    /// Rows read.
    pub rows_in: u64,
    /// Rows applied to keyed state.
    pub rows_applied: u64,
    /// Rows sent to other members.
    pub rows_to_others: u64,
    /// Bytes of rows sent to other members.
    pub bytes_to_others: u64,
    /// Bytes of rows received from other members.
    pub bytes_from_others: u64,
    /// Entries put into sink parts.
    pub entries_out: u64,
    /// Rows stashed behind a boundary, at most ever.
    pub most_stashed: u64,
    /// Rows in flight of one worker, at most ever.
    pub most_in_flight: u64,
    /// Epoch that is open now.
    pub open_epoch: Option<u64>,
    /// Last epoch committed or restored.
    pub committed_epoch: u64,
    /// All ranges of this member are at their end.
    pub exhausted: bool,
    /// Why the job failed here.
    pub failed: Option<String>,
    /// Ranges read here; `rows` counts since the job began.
    pub offsets: Vec<(u32, RangeOffset)>,
}

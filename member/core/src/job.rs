//! Jobs and their snapshots, as far as the whole cluster must agree on them.
//!
//! Law: only terminal and durable snapshots are facts here; a snapshot in RAM is proved by the map's fencing and is
//! told by reports. Must not know: what a plan means.

use serde::{Deserialize, Serialize};

use crate::ids::{Digest, Epoch, ExecutionId, JobId, LogIndex, OperationId, TableVersion};

/// Failures in a row after which a job is suspended by itself, so that it holds no other hostage.
pub const FAILURES_IN_A_ROW: u32 = 3;
/// Jobs that are not ended, at most; one more is refused.
pub const MOST_JOBS: usize = 1000;
/// Ended jobs that are kept for reading; the oldest goes first.
pub const KEPT_ENDED_JOBS: usize = 100;

/// What a job promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Guarantee {
    ExactlyOnce,
    None,
}

/// Life of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobStatus {
    /// Waits for a runtime generation.
    Starting,
    /// Runs.
    Running,
    /// Stopped on request or after failures, with its last snapshot.
    Suspended,
    /// The cluster is stopped or recovers.
    Waiting,
    /// Its source is exhausted.
    Completed,
    /// Cancelled.
    Cancelled,
    /// Needs a person's decision.
    Held,
}

/// What became of a job over a return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Verdict {
    Resumed,
    ResumedFromOlder,
    RestartedFromZero,
    Held,
}

/// The committed record of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRecord {
    /// Bytes.
    pub bytes: u64,
    /// Rows read from sources, over all members and executions.
    pub rows_read: u64,
    /// Digest over its parts.
    pub digest: Digest,
    /// Table under which its parts were acknowledged.
    pub table_version: TableVersion,
}

impl SnapshotRecord {
    /// Whether both say the same of what was written; the tables under which they were acknowledged may differ.
    pub fn is_of_one_content(&self, other: &Self) -> bool {
        (self.bytes, self.rows_read, &self.digest) == (other.bytes, other.rows_read, &other.digest)
    }
}

/// A snapshot that can be gone on from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRef {
    /// Execution that wrote it.
    pub execution: ExecutionId,
    /// Its epoch.
    pub epoch: Epoch,
    /// Its record.
    pub record: SnapshotRecord,
    /// Index of the entry that made it a fact; 0: known from reports only.
    pub index: LogIndex,
    /// The operation that it is terminal for.
    pub terminal: Option<OperationId>,
}

impl SnapshotRef {
    /// Order of a job's snapshots: later executions start from earlier ones.
    pub fn position(&self) -> (ExecutionId, Epoch) {
        (self.execution, self.epoch)
    }
}

/// One job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Number, never used twice.
    pub id: JobId,
    /// Unique among jobs that are not ended.
    pub name: String,
    /// As submitted.
    pub sql: String,
    /// Promise.
    pub guarantee: Guarantee,
    /// Time between snapshots.
    pub interval_ms: u64,
    /// Made once, at submission; opaque here.
    pub plan: String,
    /// Of the plan and the state's schema.
    pub fingerprint: String,
    /// Life.
    pub status: JobStatus,
    /// Current run; 0: never was in a runtime generation.
    pub execution: ExecutionId,
    /// Failures in a row.
    pub failures: u32,
    /// Of the last failure or suspension.
    pub cause: Option<String>,
    /// Newest snapshot that is a fact.
    pub snapshot: Option<SnapshotRef>,
    /// Newest one that is durable on every replica.
    pub durable: Option<SnapshotRef>,
    /// Executions up to this one are closed: a crash or a seal took the RAM that they committed in. Of theirs only
    /// `snapshot` counts, whatever files or replicas still show of them. Never taken back.
    #[serde(default)]
    pub closed_up_to: Option<ExecutionId>,
    /// What the current execution started from.
    pub started_from: Option<SnapshotRef>,
    /// Set when the cluster returns, judged when the job runs again: built by every member, or come to its end.
    pub returning: Option<Returning>,
    /// After a return.
    pub verdict: Option<Verdict>,
}

/// What the verdict is judged by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Returning {
    /// From a stop, with this terminal snapshot or, if it did not run, this last one.
    FromSeal {
        /// What it must go on from to be `Resumed`.
        snapshot: Option<SnapshotRef>,
    },
    /// From a crash.
    FromCrash,
}

impl Job {
    /// The cluster returns. What was said of an earlier return says nothing of this one; who needed a person's decision
    /// still does.
    pub(crate) fn returns(&mut self, from: Returning) {
        self.returning = Some(from);
        self.verdict = (self.status == JobStatus::Held).then_some(Verdict::Held);
    }

    /// Runs no more and never will.
    pub fn ended(&self) -> bool {
        matches!(self.status, JobStatus::Completed | JobStatus::Cancelled)
    }

    /// A snapshot of this execution may be committed that no fact names yet.
    pub fn is_open(&self, execution: ExecutionId) -> bool {
        self.closed_up_to.is_none_or(|closed| execution > closed)
    }

    /// Of an execution that is not closed, or what the recovery that closed it found whole.
    pub fn counts(&self, (execution, epoch): (ExecutionId, Epoch)) -> bool {
        self.is_open(execution) || self.snapshot.as_ref().is_some_and(|known| known.position() == (execution, epoch))
    }

    /// Newer than any fact, and not of a closed execution.
    pub fn exceeds_facts(&self, (execution, epoch): (ExecutionId, Epoch)) -> bool {
        let known = self.snapshot.as_ref().map(SnapshotRef::position);
        self.is_open(execution) && Some((execution, epoch)) > known
    }

    /// Has work to do whenever the cluster lets it.
    pub fn wants_to_run(&self) -> bool {
        matches!(self.status, JobStatus::Starting | JobStatus::Running | JobStatus::Waiting)
    }

    /// Ran, and would go on by itself: a stop must wait for its terminal snapshot, because it may have published more
    /// than any fact here says. A job between two runs is such a job too.
    pub fn needs_terminal(&self) -> bool {
        let going = matches!(self.status, JobStatus::Starting | JobStatus::Running);
        self.guarantee == Guarantee::ExactlyOnce && self.execution > ExecutionId(0) && going
    }

    /// It has its terminal snapshot under `op`.
    pub fn has_terminal(&self, op: &OperationId) -> bool {
        self.snapshot.as_ref().is_some_and(|snapshot| snapshot.terminal.as_ref() == Some(op))
    }
}

/// A wish about a job made while the cluster was stopped, by job name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Wish {
    Cancel { job: String },
    Suspend { job: String },
    Resume { job: String },
}

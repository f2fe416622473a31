//! Streaming jobs as people submit and watch them.
//!
//! Law: a job's verdict after a return is one of six words; all but `Resumed` raise a condition. Must not know:
//! plans, dataflows, chunks.

use serde::{Deserialize, Serialize};

/// `POST /v1/jobs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmitJob {
    /// Unique in the cluster.
    pub name: String,
    /// `CREATE MAPPING …; CREATE JOB … AS INSERT INTO … SELECT …`.
    pub sql: String,
    /// Snapshot interval, milliseconds; `None`: as the SQL's options say, else 1000.
    #[serde(default)]
    pub snapshot_interval_ms: Option<u64>,
}

/// What a job promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Guarantee {
    /// Each event counts once, whatever happens.
    ExactlyOnce,
    /// No snapshots: state is lost with the process; a stop needs consent.
    None,
}

/// Life of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum JobStatus {
    /// Accepted, waits for a runtime generation.
    Starting,
    /// Runs.
    Running,
    /// Stopped on request or after three failures, with its last snapshot.
    Suspended,
    /// The cluster is stopping, stopped or recovering; it goes on by itself.
    Waiting,
    /// Source exhausted, everything published.
    Completed,
    /// Cancelled.
    Cancelled,
    /// Failed for good.
    Failed,
    /// Needs a person's decision.
    Held,
}

/// What became of a job over a return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// From exactly the terminal snapshot.
    Resumed,
    /// From an older snapshot (after a crash of all: the last durable one).
    ResumedFromOlder,
    /// From nothing.
    RestartedFromZero,
    /// Waits for a person.
    Held,
    /// Was in the ledger and is gone.
    Missing,
    /// Could not start.
    Failed,
}

/// A committed snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotView {
    /// Execution that wrote it.
    pub execution: u64,
    /// Epoch.
    pub epoch: u64,
    /// Log index of its record, for terminal and durable ones; 0 otherwise.
    pub index: u64,
    /// Rows read from sources when it was taken, over all members and executions.
    pub rows_read: u64,
    /// Bytes.
    pub bytes: u64,
    /// Digest of its commit record, hex.
    pub digest: String,
    /// Taken by a stop.
    pub terminal: bool,
}

/// `GET /v1/jobs`, and a part of the cluster's view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobView {
    /// Number, never used twice.
    pub id: u64,
    /// Name.
    pub name: String,
    /// As submitted.
    pub sql: String,
    /// Promise.
    pub guarantee: Guarantee,
    /// Life.
    pub status: JobStatus,
    /// Current execution.
    pub execution: u64,
    /// Failures in a row.
    pub failures: u32,
    /// Cause of the last failure or suspension.
    #[serde(default)]
    pub cause: Option<String>,
    /// Last snapshot that is a machine fact (terminal or durable).
    #[serde(default)]
    pub snapshot: Option<SnapshotView>,
    /// Snapshot that the current execution started from; `None`: from nothing.
    #[serde(default)]
    pub started_from: Option<SnapshotView>,
    /// After a return.
    #[serde(default)]
    pub verdict: Option<Verdict>,
}

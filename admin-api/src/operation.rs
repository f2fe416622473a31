//! One maintenance request inside the members' machine.
//!
//! Law: requests are idempotent by operation id; ids are `<seq>-<random>` and a lower seq than the highest seen
//! is refused; the first of Commit and Abort wins for ever. Must not know: pods, StatefulSets, annotations.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::member::SealView;

/// `POST /v1/operations`: step 3 of the protocol. From its answer on, new submissions and foreign state changes
/// are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeginOperation {
    /// `<seq>-<random>`.
    pub id: String,
    /// Who asked (a field manager, or `member`).
    pub requested_by: String,
    /// Names of jobs without guarantee whose loss the person accepted.
    #[serde(default)]
    pub accepted_job_loss: Vec<String>,
}

/// `POST /v1/operations/{id}/freeze`: step 5. Terminal snapshots, PASSIVE held by the operation, Quiesced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// The supervisor aborts the operation by itself if it is not committed within this time, counted on its own
    /// monotonic clock; milliseconds.
    pub commit_within_ms: u64,
}

/// `POST /v1/operations/{id}/commit`: step 7.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Digest of the roster that the operator recorded; must equal the machine's.
    pub roster_digest: String,
}

/// `POST /v1/operations/{id}/abort`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abort {
    /// Why, for the record.
    pub reason: String,
}

/// `POST /v1/operations/{id}/activate`: step 13. Only with the whole roster loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activate {
    /// Generation of the seals that were checked; the new one is this + 1.
    pub sealed_generation: u64,
    /// Wishes about jobs made while the cluster was stopped; applied before any job starts.
    #[serde(default)]
    pub wishes: Vec<JobWish>,
}

/// A wish about a job made while the cluster was stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum JobWish {
    Cancel { job: String },
    Suspend { job: String },
    Resume { job: String },
}

/// Answer of every command: what is now true, and the log index that made it so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Index of the entry.
    pub index: u64,
    /// What was done, in words; `already so` for a repeated request.
    pub what: String,
}

/// An operation as the machine holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationView {
    /// `<seq>-<random>`.
    pub id: String,
    /// How far it is.
    pub step: OperationStep,
    /// Log index of the request; a terminal snapshot must be later.
    pub base_index: u64,
    /// Attempt of freezing and sealing.
    pub attempt: u32,
    /// What the leader is waiting for now, in words ("terminal snapshot of flights: 2 of 3 members").
    #[serde(default)]
    pub progress: String,
    /// After `Quiesced`: what the machine holds every seal against.
    #[serde(default)]
    pub quiesced: Option<QuiescedView>,
    /// Seals recorded so far.
    #[serde(default)]
    pub seals: Vec<MemberSeal>,
    /// Why it was aborted.
    #[serde(default)]
    pub aborted_because: Option<String>,
}

/// Steps of an operation inside the machine, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OperationStep {
    /// Fenced: no submissions, no foreign state changes.
    Begun,
    /// Terminal snapshots, doors for writers closed.
    Freezing,
    /// PASSIVE, all replicas compared equal, all doors closed; members are sealing.
    Quiesced,
    /// A recorded seal equal to `Quiesced` from every member.
    Sealed,
    /// Forward only.
    Committed,
    /// Every member has opened the next generation; former state restored.
    Activated,
    /// Doors open again: done.
    Opened,
    /// Back in the former state.
    Aborted,
}

/// What `Quiesced` fixed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuiescedView {
    /// Its log index.
    pub index: u64,
    /// Digest over all partitions' versions, entries and contents, hex.
    pub content_digest: String,
    /// Entries in all partitions (primaries).
    pub entries: u64,
}

/// A seal as recorded in the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberSeal {
    /// Whose.
    pub member: Uuid,
    /// Pod number.
    pub ordinal: u32,
    /// The seal.
    pub seal: SealView,
    /// Volume that it lies on.
    pub volume_id: String,
}

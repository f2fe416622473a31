//! `JetCluster.status`: what is true, as far as the last pass could see.
//!
//! Law: made from observations in each pass; what cannot be observed again (consumed nonces, the spent wish, the
//! accepted operation) is carried over, and stamped on the StatefulSet too before anything depends on it. Must not
//! know: how anything is decided.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::condition::Condition;

/// Jobs listed at most.
pub const JOBS_LISTED: usize = 50;
/// Past operations listed at most.
pub const HISTORY_KEPT: usize = 10;
/// Blockers listed at most.
pub const BLOCKERS_LISTED: usize = 20;
/// Members of which it is told how far they are, at most.
pub const MEMBERS_TOLD: usize = 20;

/// Status of a JetCluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct JetClusterStatus {
    /// Generation that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// For people: Creating · Founding · Running · Degraded · Stopping · Stopped · Returning · Held · Deleting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The API.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// `ready/expected`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<String>,
    /// Pods that exist (scale subresource).
    #[serde(default)]
    pub replicas: i32,
    /// Selector of the pods (scale subresource).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// As the members' machine has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_state: Option<String>,
    /// Permanent id of the cluster, chosen before the first permit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub founding_id: Option<String>,
    /// The open operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationStatus>,
    /// How far members are that save or load for longer than some seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<ProgressStatus>,
    /// The wish that was tried and is not tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent: Option<SpentStatus>,
    /// Who asks for the stop now: Annotation, Spec.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop_requested_by: Vec<String>,
    /// Nonces that were consumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handled: Option<HandledRequests>,
    /// The recorded members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roster: Option<RosterStatus>,
    /// The live seal, else the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<SealStatus>,
    /// Jobs, worst first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs: Option<JobsStatus>,
    /// Volumes that need a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volumes: Option<VolumesStatus>,
    /// What stands in the way, worst first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blockers: Vec<Blocker>,
    /// Past operations, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryEntry>,
}

/// The open operation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperationStatus {
    /// `<seq>-<random>`.
    pub id: String,
    /// Stop · Restart · Delete.
    pub kind: String,
    /// Nonce of a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// Step of the maintenance protocol, by name.
    pub step: String,
    /// Its number, 1 to 15.
    pub step_number: i32,
    /// What it waits for, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub waiting_for: String,
    /// Field manager that set the wish (not the user: that is in the audit log).
    pub requested_by: String,
    /// RFC 3339.
    pub accepted_at: String,
}

/// How far members are. As it was when it was told: not each look is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProgressStatus {
    /// RFC 3339.
    pub told_at: String,
    /// Slow ones first, then those with most left.
    pub members: Vec<MemberProgress>,
}

/// How far one member's store is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberProgress {
    /// Pod.
    pub pod: String,
    /// Flushing · ReadingBack · Hashing · Loading.
    pub doing: String,
    /// Bytes done.
    pub done_bytes: i64,
    /// Bytes left.
    pub left_bytes: i64,
    /// Since it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<i64>,
    /// Still (nothing moves) · Below (less than a disk of one's own does); it goes on all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow: Option<String>,
    /// The same in words.
    pub message: String,
}

/// A spent wish.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpentStatus {
    /// The operation that tried it.
    pub operation: String,
    /// Stop · Restart · Delete.
    pub kind: String,
    /// Nonce of a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// Refused · RolledBack · Aborted.
    pub outcome: String,
    /// The culprit.
    pub reason: String,
}

/// Nonces that were consumed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HandledRequests {
    /// Last restart nonce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<String>,
    /// What became of it: Accepted · NotApplicable · SeenAtFirstSight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_outcome: Option<String>,
    /// Last operation whose abort was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort: Option<String>,
    /// What became of it: Aborted · NotApplicable · SeenAtFirstSight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort_outcome: Option<String>,
}

/// The recorded members.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RosterStatus {
    /// Number of the record.
    pub sequence: i64,
    /// Generation that was running.
    pub generation: i64,
    /// As the members' machine has it.
    pub digest: String,
    /// Members, by ordinal.
    pub members: Vec<RosterMemberStatus>,
}

/// One recorded member and what is seen of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RosterMemberStatus {
    /// Pod.
    pub pod: String,
    /// Identity.
    pub uuid: String,
    /// The member's phase, or why it is not seen.
    pub seen: String,
}

/// A seal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SealStatus {
    /// ConfigMap.
    pub record: String,
    /// Operation that sealed.
    pub operation: String,
    /// Sealed generation.
    pub generation: i64,
    /// Digest of the record.
    pub digest: String,
    /// RFC 3339.
    pub committed_at: String,
    /// From Commit to Activated.
    pub live: bool,
}

/// Jobs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobsStatus {
    /// `running/total`.
    pub summary: String,
    /// All jobs that did not end.
    pub total: i32,
    /// Listed jobs, worst first.
    pub items: Vec<JobItem>,
}

/// One job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobItem {
    /// Name.
    pub name: String,
    /// Number.
    pub id: i64,
    /// Life.
    pub status: String,
    /// Last machine-known snapshot `execution/epoch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// After a return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// Cause of a failure or suspension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// Volumes that need a person.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VolumesStatus {
    /// Claims whose uid is not the recorded one.
    pub replaced: Vec<String>,
    /// Value for `jet.lossless.dev/adopt-volumes`.
    pub adopt_digest: String,
}

/// Something in the way, and one way out.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Blocker {
    /// `pod/orders-2`, `job/flights`, `claim/data-orders-2`.
    pub object: String,
    /// One of the closed list of reasons.
    pub reason: String,
    /// One sentence.
    pub message: String,
    /// One command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// A past operation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// Operation.
    pub operation: String,
    /// Stop · Restart · Delete.
    pub kind: String,
    /// Stopped · Returned · Refused · RolledBack · Aborted.
    pub outcome: String,
    /// RFC 3339.
    pub at: String,
}

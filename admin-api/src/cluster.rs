//! The cluster as one member knows it to be committed.
//!
//! Law: everything here comes from the replicated machine at `applied_index`, except `present`, which is the
//! leader's observation and says so. Must not know: addresses.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::job::JobView;
use crate::operation::OperationView;
use crate::stop_request::StopRequestView;

/// `GET /v1/cluster`, and a part of `GET /v1/member`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterView {
    /// Permanent id.
    pub founding_id: Uuid,
    /// Counts re-foundings.
    pub incarnation: u32,
    /// Counts activations.
    pub generation: u64,
    /// Cluster state.
    pub state: ClusterStateView,
    /// State that an operation will give back.
    #[serde(default)]
    pub former_state: Option<ClusterStateView>,
    /// Leader, if known.
    #[serde(default)]
    pub leader: Option<Uuid>,
    /// Last applied log index of the answering member.
    pub applied_index: u64,
    /// Last index that the answering member has fsynced.
    pub durable_index: u64,
    /// The original members.
    pub roster: Vec<RosterMember>,
    /// Digest over UUID → ordinal of the roster, hex.
    pub roster_digest: String,
    /// Partitions.
    pub partitions: PartitionsView,
    /// What is on its way between members.
    #[serde(default)]
    pub moves: MovesView,
    /// The operation that holds the cluster, or the last one.
    #[serde(default)]
    pub operation: Option<OperationView>,
    /// Highest operation number ever seen.
    pub highest_operation: u64,
    /// The last stop that was asked of the members for the operator to carry out.
    #[serde(default)]
    pub stop_request: Option<StopRequestView>,
    /// Jobs, all of them.
    pub jobs: Vec<JobView>,
    /// While recovering: what is missing, one sentence for each member.
    #[serde(default)]
    pub missing: Vec<MissingMember>,
}

/// What is on its way between members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovesView {
    /// Copies that move.
    pub copies: u32,
    /// Those of them that are in step, and wait for a disk or for their primary.
    pub in_step: u32,
    /// Partitions that are being handed over.
    pub handed_over: u32,
    /// Numbers of members that were let in and whose stores have opened nothing yet.
    pub joining: Vec<u32>,
    /// Members that leave.
    pub leaving: Vec<LeavingMember>,
}

impl MovesView {
    /// Nobody comes or goes, and nothing moves.
    pub fn is_over(&self) -> bool {
        *self == Self::default()
    }
}

/// A member that leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeavingMember {
    /// Its number.
    pub ordinal: u32,
    /// Places that it has yet.
    pub places: u32,
    /// What it waits for once it has none.
    pub waits_for: String,
}

/// Cluster states, and the passing ones that are states too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum ClusterStateView {
    Active,
    NoMigration,
    Frozen,
    Passive,
    InTransition,
    Recovering,
    Activating,
}

/// One of the original members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterMember {
    /// Identity.
    pub uuid: Uuid,
    /// Pod number.
    pub ordinal: u32,
    /// Boot whose RAM holds its replicas.
    pub boot: u64,
    /// Volume that its store lies on.
    pub volume_id: String,
    /// The leader hears it (observation, not committed).
    pub present: bool,
    /// It has loaded and verified its store (while recovering), or serves.
    pub loaded: bool,
}

/// A member that is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingMember {
    /// Identity.
    pub uuid: Uuid,
    /// Pod number.
    pub ordinal: u32,
    /// Why it is missing, as far as the leader can tell: `not heard`, `loads its store`, a refusal. Without a counter: who
    /// shows it would write something new with each look; how far a store is tells that member's `store.progress`.
    pub why: String,
}

/// The partition table in figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionsView {
    /// Number of partitions.
    pub count: u16,
    /// Backups that each should have: min(backup count, members − 1).
    pub backups_wanted: u8,
    /// Partitions that have all their copies, in step.
    pub fully_backed: u16,
    /// Partitions without any replica.
    pub absent: u16,
    /// Copies under way.
    pub migrating: u16,
    /// Table version.
    pub table_version: u64,
}

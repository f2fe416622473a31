//! Maintenance requests: a stop and its return.
//!
//! Law: the first of Commit and Abort wins for ever; a seal counts when its content equals `Quiesced` and not because
//! somebody says so. Must not know: pods, deadlines.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cluster_state::Settled;
use crate::ids::{Boot, Digest, Generation, LogIndex, MemberId, OperationId, PartitionId, TableVersion, Version};

/// Operations that are kept; a request that names an older one is refused.
pub const KEPT_OPERATIONS: usize = 20;

/// Bound on an operation's time up to Commit until Freeze names another.
pub const COMMIT_WITHIN_MS: u64 = 600_000;

/// One maintenance request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Its name.
    pub id: OperationId,
    /// Who asked.
    pub requested_by: String,
    /// Jobs without guarantee whose loss was accepted by name.
    pub accepted: Vec<String>,
    /// Comes back by itself once the whole roster is there; else only by Activate.
    pub transient: bool,
    /// Index of its Begin; a terminal snapshot must be later.
    pub base_index: LogIndex,
    /// How far it is.
    pub step: OperationStep,
    /// Attempt of freezing and sealing.
    pub attempt: u32,
    /// Bound on its time up to Commit, counted by the supervisor.
    pub commit_within_ms: u64,
    /// The state that it gives back.
    pub former: Settled,
    /// What every seal is held against.
    pub quiesced: Option<Quiesced>,
    /// Recorded seals.
    pub seals: BTreeMap<MemberId, SealRecord>,
    /// Why it was aborted.
    pub aborted_because: Option<String>,
}

/// Steps, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OperationStep {
    /// Fenced.
    Begun,
    /// Terminal snapshots.
    Freezing,
    /// All replicas compared equal.
    Quiesced,
    /// A seal of every member is recorded.
    Sealed,
    /// Forward only.
    Committed,
    /// The next generation is open, the former state restored.
    Activated,
    /// Done.
    Opened,
    /// Back in the former state.
    Aborted,
}

impl OperationStep {
    /// The operation still holds the cluster.
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Opened | Self::Aborted)
    }

    /// Abort is still possible.
    pub fn can_abort(self) -> bool {
        self < Self::Committed
    }
}

/// Content of one partition, equal on all its replicas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionContent {
    /// Which.
    pub partition: PartitionId,
    /// Version of every replica.
    pub version: Version,
    /// Entries.
    pub entries: u64,
    /// Canonical digest.
    pub digest: Digest,
}

/// What `Quiesced` fixed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quiesced {
    /// Its log index.
    pub index: LogIndex,
    /// Table under which replicas were compared.
    pub table_version: TableVersion,
    /// All partitions, in order.
    pub contents: Vec<PartitionContent>,
    /// Digest over all of `contents`.
    pub content_digest: Digest,
    /// For each member: digest over the partitions that it holds; what its seal must claim.
    pub members: BTreeMap<MemberId, Digest>,
}

/// A recorded seal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealRecord {
    /// Boot that sealed; the return needs a later one.
    pub boot: Boot,
    /// Volume that it lies on.
    pub volume_id: String,
    /// Generation that was sealed.
    pub generation: Generation,
    /// Digest of the manifest.
    pub digest: Digest,
    /// Digest of the content.
    pub content_digest: Digest,
    /// Index of the `Quiesced` that it equals.
    pub quiesced_index: LogIndex,
    /// Entries in it.
    pub entries: u64,
    /// Bytes in it.
    pub bytes: u64,
}

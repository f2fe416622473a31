//! What a member brings back from its store.
//!
//! Law: only complete copies are named; half a copy under a new version is no copy. A store that was restored says so. Must not know: files.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::{Boot, Digest, Epoch, ExecutionId, Generation, JobId, OperationId, Version};

/// A member that is back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejoin {
    /// Under which boot.
    pub boot: Boot,
    /// With what.
    pub store: StoreReport,
}

/// What a member holds: of each partition the newest complete copy in its store or, if it never lost it, in RAM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreReport {
    /// Highest generation that it has fsynced as opened (may be the seal's + 1); 0: none yet.
    pub generation: Generation,
    /// The seal, if it is sealed and nothing was written since.
    pub seal: Option<StoreSeal>,
    /// By partition number: version of the copy, complete copies only.
    pub partitions: Vec<Option<Version>>,
    /// Snapshots of which every part that belongs here is here; also when none belongs here.
    pub epochs: Vec<HeldEpoch>,
    /// The hot backup that the store was made by, if it was; told for ever, and counted until the cluster has left the
    /// recovery from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<Restored>,
}

/// Where a restored store comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// The backup's name; another may have had it.
    pub name: String,
    /// The set of backups of all members at one instant; there is none like it.
    pub set: Uuid,
    /// Generation of the store in it.
    pub generation: Generation,
}

/// A seal as its store names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreSeal {
    /// Generation that was sealed.
    pub generation: Generation,
    /// Operation that sealed.
    pub operation: OperationId,
    /// Attempt within it.
    pub attempt: u32,
    /// Digest of the manifest.
    pub digest: Digest,
    /// Digest of the content that it claims.
    pub content_digest: Digest,
}

/// A snapshot that a store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct HeldEpoch {
    pub job: JobId,
    pub execution: ExecutionId,
    pub epoch: Epoch,
}

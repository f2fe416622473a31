//! One member about itself: the facts that the operator and a person judge by.
//!
//! Law: facts of this process and its store only, read when asked; what the cluster agreed on is in `cluster`.
//! Must not know: pods, claims, nodes.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::cluster::ClusterView;
use crate::progress::StoreProgress;

/// `GET /v1/member`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberView {
    /// Member identity, made with its store; lives as long as the store.
    pub uuid: Uuid,
    /// From the certificate (the pod's number).
    pub ordinal: u32,
    /// Number of this process start.
    pub boot: u64,
    /// Program version.
    pub version: String,
    /// What the member is doing.
    pub phase: MemberPhase,
    /// Ready for clients (what `/readyz` says) and, if not, why.
    pub ready: bool,
    /// One sentence on what it waits for; empty when it waits for nothing.
    #[serde(default)]
    pub waiting_for: String,
    /// Clients are served.
    pub doors_open: bool,
    /// Founding id in its store.
    #[serde(default)]
    pub founding_id: Option<Uuid>,
    /// The store.
    pub store: StoreView,
    /// What this member knows to be committed, once it has a cluster.
    #[serde(default)]
    pub cluster: Option<ClusterView>,
    /// Partitions of which this member is the primary, as far as it knows.
    #[serde(default)]
    pub primaries: u32,
    /// Job work of this member since its execution began.
    #[serde(default)]
    pub work: Vec<JobWork>,
}

/// What a member is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MemberPhase {
    /// Blank store, no permit: waits, never founds by itself.
    NoStore,
    /// Promised a founding that is not committed yet.
    Founding,
    /// Has a store, looks for its cluster.
    Joining,
    /// Loads and verifies; waits for the whole roster.
    Recovering,
    /// The roster is complete and loaded; waits, closed, for Activate.
    WaitingForActivate,
    /// Serves (doors may still be closed by an operation).
    Serving,
    /// Sealed for an operation; closed until the process ends.
    Sealed,
    /// Cannot go on by itself; `waiting_for` says why.
    Held,
}

/// The hot-restart store of one member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoreView {
    /// What lies in the directory.
    pub state: StoreState,
    /// Generation that the store is at.
    pub generation: u64,
    /// Id of the volume: the PersistentVolume's uid as the operator told it, else the file system's id.
    pub volume_id: String,
    /// Last seal, verified or not yet void.
    #[serde(default)]
    pub seal: Option<SealView>,
    /// Bytes of live data on disk.
    pub live_bytes: u64,
    /// Bytes that are kept though not live.
    pub retained_bytes: u64,
    /// Bytes free in the file system.
    pub free_bytes: u64,
    /// The store is behind RAM (slow, full or failing disk); the cause.
    #[serde(default)]
    pub lagging: Option<String>,
    /// How far it is with a seal or a load, while one is under way.
    #[serde(default)]
    pub progress: Option<StoreProgress>,
}

/// What lies in a store's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StoreState {
    /// Nothing of ours.
    Blank,
    /// A founding promise, no data.
    Promised,
    /// Being written to.
    Open,
    /// Sealed, read-only.
    Sealed,
    /// Refused or failed; `lagging` or `waiting_for` says why.
    Refused,
}

/// One seal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealView {
    /// Generation that was sealed.
    pub generation: u64,
    /// Operation that sealed.
    pub operation: String,
    /// Attempt within the operation.
    pub attempt: u32,
    /// Digest of the manifest, hex.
    pub digest: String,
    /// Digest of the content that the seal claims (what `Quiesced` says for this member), hex.
    pub content_digest: String,
    /// Log index of the `Quiesced` entry that it equals.
    pub quiesced_index: u64,
    /// Entries in it.
    pub entries: u64,
    /// Bytes in it.
    pub bytes: u64,
    /// Digests were verified against the files by this process.
    pub verified: bool,
}

/// Work of one job on one member since its current execution began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobWork {
    /// Job name.
    pub job: String,
    /// Current execution.
    pub execution: u64,
    /// Rows or events read here from sources.
    pub rows_in: u64,
    /// Bytes of rows sent to other members.
    pub bytes_out: u64,
    /// Bytes of rows received from other members.
    pub bytes_in: u64,
}

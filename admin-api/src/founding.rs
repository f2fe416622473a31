//! Founding: the one permit by which blank members become a cluster.
//!
//! Law: a member without a store never founds by itself; the same permit may be sent again until `Founded` is
//! committed, another one is refused. Must not know: who holds the evidence that nothing existed before.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// `POST /v1/found` (operator only).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundingPermit {
    /// Permanent id of the cluster, made by the permit's giver and recorded by it before.
    pub founding_id: Uuid,
    /// Ordinals that found together; the lowest initialises.
    pub ordinals: Vec<u32>,
    /// Number of partitions, fixed for ever.
    pub partition_count: u16,
    /// Backups of each partition.
    pub backup_count: u8,
}

/// `POST /v1/join` (operator only): a blank member may come into a cluster that is founded. Sent again until the member
/// knows the cluster; it is not kept over a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinPermit {
    /// The cluster.
    pub founding_id: Uuid,
    /// The number of the member that it is sent to.
    pub ordinal: u32,
}

/// Answer: this member's fsynced promise, and whether the cluster is founded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundingPromise {
    /// The permit's id.
    pub founding_id: Uuid,
    /// blake3 of the permit's canonical JSON, hex.
    pub permit_digest: String,
    /// This member's UUID.
    pub member: Uuid,
    /// `Founded` is committed, as far as this member knows.
    pub founded: bool,
}

/// `POST /v1/peers` (operator only): where peers may be found, beside DNS. A hint: who a peer is comes from its
/// certificate. Answer: the number of hints kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeersHint {
    /// One for each member whose address is known.
    pub peers: Vec<PeerHint>,
}

/// One address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerHint {
    /// Pod number.
    pub ordinal: u32,
    /// IP or name, without a port.
    pub host: String,
}

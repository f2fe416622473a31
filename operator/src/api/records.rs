//! Bodies of evidence: the ConfigMaps without owner that outlive a status, and the stamps on StatefulSet and claims.
//!
//! Law: records are immutable and are never the only place where a volume's content is judged: what is sealed in the
//! volumes outranks them, they outrank stamps and status. Must not know: how they are read or written.
//!
//! Each ConfigMap holds its record as JSON under [`KEY`].

use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::job::{Guarantee, JobStatus, SnapshotView};
use jet_admin_api::operation::JobWish;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Key of the record inside its ConfigMap.
pub const KEY: &str = "record.json";
/// Seals that are kept.
pub const SEALS_KEPT: usize = 3;

/// `<name>-founding`: the one permit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FoundingRecord {
    /// Permanent id.
    pub founding_id: Uuid,
    /// Members that found together.
    pub ordinals: Vec<u32>,
    /// Fixed for ever.
    pub partition_count: u16,
    /// As of founding.
    pub backup_count: u8,
}

/// `<name>-roster-<seq>`: who the members are; the cluster was running with them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RosterRecord {
    /// One sequence with the seals; the highest decides.
    pub sequence: u64,
    /// Permanent id.
    pub founding_id: Uuid,
    /// Re-foundings.
    pub incarnation: u32,
    /// Generation that was running.
    pub generation: u64,
    /// As the members' machine has it.
    pub digest: String,
    /// Members, by ordinal.
    pub members: Vec<RosterEntry>,
    /// Seconds since the epoch by the operator's clock; bounds the wait for jobs' verdicts, nothing else.
    pub recorded_at: i64,
}

/// One original member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RosterEntry {
    /// Pod number.
    pub ordinal: u32,
    /// Identity.
    pub uuid: Uuid,
    /// Claim uid when recorded (custody, not identity).
    pub claim_uid: String,
    /// Volume name when recorded.
    pub volume: String,
}

/// `<name>-seal-<seq>`: what was sealed; live until the operation is activated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SealRecord {
    /// One sequence with the rosters.
    pub sequence: u64,
    /// Operation that sealed.
    pub operation: String,
    /// Permanent id.
    pub founding_id: Uuid,
    /// Re-foundings.
    pub incarnation: u32,
    /// Sealed generation.
    pub generation: u64,
    /// As the members' machine has it.
    pub roster_digest: String,
    /// State that the activation gives back.
    pub former_state: Option<ClusterStateView>,
    /// Log index of `Quiesced`.
    pub quiesced_index: u64,
    /// Entries in all partitions.
    pub entries: u64,
    /// Each member's seal, by ordinal.
    pub members: Vec<SealEntry>,
    /// Every job, with the snapshot that it must go on from.
    pub jobs: Vec<LedgerJob>,
    /// Member version that sealed.
    pub version: String,
    /// For people.
    pub committed_at: String,
    /// Digest over everything above but `committedAt`, hex.
    pub digest: String,
}

/// One member's seal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SealEntry {
    /// Pod number.
    pub ordinal: u32,
    /// Identity.
    pub uuid: Uuid,
    /// Claim uid at the seal (custody).
    pub claim_uid: String,
    /// Volume name at the seal (custody).
    pub volume: String,
    /// Digest of the manifest.
    pub digest: String,
    /// Digest of the content.
    pub content_digest: String,
    /// Attempt within the operation.
    pub attempt: u32,
    /// Entries on it.
    pub entries: u64,
    /// Bytes on it.
    pub bytes: u64,
}

/// One job in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerJob {
    /// Number, never used twice.
    pub id: u64,
    /// Name.
    pub name: String,
    /// Promise.
    pub guarantee: Guarantee,
    /// Life when sealed.
    pub status: JobStatus,
    /// The snapshot to go on from.
    pub snapshot: Option<SnapshotView>,
}

/// On the StatefulSet: the open operation, enough to go on with a status erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationStamp {
    /// `<seq>-<random>`.
    pub id: String,
    /// The wish that it carries out.
    pub wish: WishKey,
    /// Field manager.
    pub requested_by: String,
    /// Seconds since the epoch by the operator's clock; used only to give up, never to go on.
    pub accepted_at: i64,
}

/// What an operation carries out; two equal keys are the same wish.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WishKey {
    /// `maintenance=shutdown` or `spec.state: Stopped`.
    Stop,
    /// `restart=<nonce>`.
    Restart(String),
    /// The object is being deleted.
    Delete,
}

/// A wish that was tried and will not be tried again by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpentWish {
    /// The operation that tried it.
    pub operation: String,
    /// The wish.
    pub wish: WishKey,
    /// Refused · RolledBack · Aborted.
    pub outcome: String,
    /// The culprit, in words.
    pub reason: String,
}

/// On a claim: whose store lies on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimStamp {
    /// Member identity.
    pub member: Uuid,
    /// Permanent id of the cluster.
    pub founding_id: Uuid,
    /// Digest of the seal record, while it is live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<String>,
}

/// `<name>-wishes`: handed to the members with the activation, applied before any job starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WishesRecord {
    /// `status.seal.operation` when the wishes were made. Those of another seal are void, except that what was to be
    /// cancelled still is.
    pub operation: String,
    /// In order.
    pub wishes: Vec<KeptWish>,
}

/// One wish, and which job of that name it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptWish {
    /// By name, as the members take it.
    #[serde(flatten)]
    pub wish: JobWish,
    /// The job's number; `None`: not known, the newest of that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_wishes_without_numbers_is_still_read() {
        let old = r#"{"operation":"4-ab","wishes":[{"Cancel":{"job":"flights"}},{"Resume":{"job":"idle"}}]}"#;
        let record: WishesRecord = serde_json::from_str(old).unwrap();
        let wishes = [JobWish::Cancel { job: "flights".into() }, JobWish::Resume { job: "idle".into() }];
        assert_eq!(record.wishes, wishes.map(|wish| KeptWish { wish, number: None }));
        assert_eq!(serde_json::to_string(&record).unwrap(), old);
        let numbered = KeptWish { wish: JobWish::Cancel { job: "flights".into() }, number: Some(4) };
        let text = serde_json::to_string(&numbered).unwrap();
        assert_eq!(text, r#"{"Cancel":{"job":"flights"},"number":4}"#);
        assert_eq!(serde_json::from_str::<KeptWish>(&text).unwrap(), numbered);
    }
}

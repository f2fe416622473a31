//! What can be asked of the machine: the entries of the log.
//!
//! Law: a command carries all that its rule needs; asked twice, the second answer is "already so". Must not know: who
//! may ask.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::cluster_state::Settled;
use crate::ids::{
    Boot, Digest, Epoch, ExecutionId, FoundingId, Generation, JobId, LogIndex, MemberId, OperationId, PartitionId,
    RuntimeNumber, TableVersion,
};
use crate::job::{Guarantee, SnapshotRecord, SnapshotRef, Wish};
use crate::operation::{PartitionContent, SealRecord};
use crate::recovery::StoreReport;
use crate::request::RequestAnswer;
use crate::roster::Founder;

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Command {
    /// The first entry: these members are the cluster, at generation 0, about to open generation 1.
    Found { id: FoundingId, members: Vec<Founder>, partition_count: u16, backup_count: u8, permit_digest: Digest },
    /// A roster member runs as a new process: its RAM replicas are gone, its places are kept, unsynced.
    Boot { member: MemberId, boot: Boot, volume_id: String },
    /// New replica lists, first the primary. Boots and sync marks are taken from the machine.
    Table { base_version: TableVersion, changes: Vec<TableChange> },
    /// Proposed by the *primary*, which from the proposal on waits for this replica's acknowledgements.
    /// `table_version`: the entry's `changed` under which the copy was completed.
    Synced { partition: PartitionId, member: MemberId, boot: Boot, table_version: TableVersion },
    /// A copy of this partition is to lie with `to` instead of `from`; it is made first. `table_version`: the entry's `changed`
    /// that was looked at, here and below.
    Move { partition: PartitionId, from: MemberId, to: MemberId, table_version: TableVersion },
    /// All copies that there should be are in step without that of `from`: its place goes.
    Moved { partition: PartitionId, from: MemberId, table_version: TableVersion },
    /// The primary, which lives, is to give its place to this copy: it answers no call any more, and ships the rest.
    Releasing { partition: PartitionId, to: MemberId, table_version: TableVersion },
    /// The primary's own word: it answers nobody, and every copy has all that it ordered.
    Released { partition: PartitionId, member: MemberId, boot: Boot, table_version: TableVersion },
    /// It keeps its place after all.
    KeepPrimary { partition: PartitionId, table_version: TableVersion },
    /// A blank member comes, under a number that the permit names. `opened`: highest generation that its store has opened.
    Admit { member: Founder, opened: Generation, permit_digest: Digest },
    /// A person's wish: this member goes, when what lies with it lies with others.
    Leave { member: MemberId },
    /// Nothing lies with it any more: it is out for ever.
    Left { member: MemberId },
    /// Who is to vote: one comes, one goes, or both. `base`: the changes that were made before.
    Voters { base: u64, add: Option<MemberId>, remove: Option<MemberId> },
    /// By consent of the others: the member's log of line `lost` is lost, and it goes on under another.
    NewLine { member: MemberId, line: u64, lost: u64 },
    /// A person's change of state. `absent`: roster members that the leader does not hear under their recorded boot.
    SetState { state: Settled, absent: Vec<MemberId> },
    /// A person's wish for a stop that somebody outside carries out. `nonce`: of the call.
    RequestStop { nonce: String, requested_by: String },
    /// What became of it.
    AnswerRequest { asked: LogIndex, answer: RequestAnswer },

    /// A maintenance request: from here on no submissions and no foreign state changes.
    Begin {
        op: OperationId,
        requested_by: String,
        accepted: Vec<String>,
        #[serde(default)]
        transient: bool,
    },
    /// Terminal snapshots begin; doors close for writers.
    Freeze { op: OperationId, commit_within_ms: u64 },
    /// A terminal snapshot is committed in RAM under the current table.
    Terminal { op: OperationId, job: JobId, execution: ExecutionId, epoch: Epoch, record: SnapshotRecord },
    /// All replicas of all partitions were compared equal, doors are closed for all.
    Quiesced { op: OperationId, attempt: u32, contents: Vec<PartitionContent> },
    /// A member's store is sealed.
    Sealed { op: OperationId, attempt: u32, member: MemberId, seal: SealRecord },
    /// From here on forward only.
    Commit { op: OperationId, roster_digest: Digest },
    /// Back to the former state.
    Abort { op: OperationId, reason: String },
    /// The return may begin: only with the whole roster loaded.
    Activate { op: OperationId, sealed_generation: Generation, wishes: Vec<Wish> },
    /// Doors open again: the operation is done.
    Open { op: OperationId },

    /// RAM is gone. `observed`: boots that the leader hears.
    Recover { observed: BTreeMap<MemberId, Boot> },
    /// By a person's consent: nobody waits for these members any more. `consent`: the digest of what is missing then.
    GoOnWithout { members: BTreeSet<MemberId>, consent: Digest },
    /// A member is back with its store.
    Rejoined { member: MemberId, boot: Boot, volume_id: String, store: StoreReport },
    /// It has loaded and verified it. `content_digest`: as for a seal; after a crash it is not compared.
    Loaded { member: MemberId, boot: Boot, content_digest: Digest },
    /// After a crash: the newest complete replica of each partition becomes its primary, the others are filled anew.
    RecoverTable {},
    /// After a crash: all copies are filled again.
    SelfActivate {},
    /// A member has fsynced that it opened the generation.
    Opened { member: MemberId, boot: Boot, generation: Generation },

    /// A new job.
    Submit { name: String, sql: String, guarantee: Guarantee, interval_ms: u64, plan: String, fingerprint: String },
    /// By name.
    Cancel { name: String },
    /// By name.
    Suspend { name: String },
    /// By name.
    Resume { name: String },
    /// An execution failed. `progressed`: it had committed a snapshot of its own.
    JobFailed { job: JobId, execution: ExecutionId, cause: String, progressed: bool },
    /// An execution came to its end.
    JobCompleted { job: JobId, execution: ExecutionId },
    /// A new life of the engine. `fence`: the machine's when the snapshots to go on from were read. `workers`: of each
    /// member, so many as the one with the fewest can give; 0: as each is configured.
    Runtime {
        fence: LogIndex,
        members: Vec<MemberId>,
        jobs: Vec<RuntimeWish>,
        #[serde(default)]
        workers: u16,
    },
    /// The present one must not go on (a member or a worker was lost): jobs wait for the next.
    RuntimeLost { number: RuntimeNumber, cause: String },
    /// Every member has built it.
    Running { number: RuntimeNumber },
    /// A snapshot is durable on every replica.
    Durable { job: JobId, execution: ExecutionId, epoch: Epoch, record: SnapshotRecord },
}

/// New replicas of one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableChange {
    /// Which.
    pub partition: PartitionId,
    /// First the primary.
    pub replicas: Vec<MemberId>,
}

/// A job of a new runtime generation; its execution is given by the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeWish {
    /// Which.
    pub job: JobId,
    /// From what.
    pub restore: Option<SnapshotRef>,
}

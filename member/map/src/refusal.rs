//! Why a partition or a member says no.
//!
//! The law: a refusal names what was asked, what is in the way and what to do; nothing is refused by silence.

use serde::{Deserialize, Serialize};

use crate::{Boot, Door, ExecutionId, JobId, MemberId, PartitionId, Point, SnapshotId, TableVersion, Version};

/// Typed reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Refusal {
    /// The door is closed.
    #[error("{what} is refused: the doors of this member are {door}; ask again when the cluster is open")]
    Door {
        /// What was asked.
        what: String,
        /// The door.
        door: Door,
    },
    /// No replica that counts is present.
    #[error("partition {partition:?} is absent: no member that holds it is here; it waits for them")]
    Absent {
        /// Partition.
        partition: PartitionId,
    },
    /// There is no such partition, or no table yet.
    #[error("partition {partition:?} is not in the table")]
    NoSuchPartition {
        /// Partition.
        partition: PartitionId,
    },
    /// Another member is primary; ask it.
    #[error("this member is not the primary of partition {partition:?} (that is {primary:?}); ask there")]
    NotPrimary {
        /// Partition.
        partition: PartitionId,
        /// Primary by the table of the answering member.
        primary: Option<MemberId>,
    },
    /// The primary holds a content older than the table; it must not serve.
    #[error("partition {partition:?} is not loaded on its primary yet")]
    NotLoaded {
        /// Partition.
        partition: PartitionId,
    },
    /// The sender's table is older.
    #[error("the sender's table version {sender:?} is older than {receiver:?}; it must catch up and judge again")]
    StaleTable {
        /// Of the sender.
        sender: TableVersion,
        /// Of the receiver.
        receiver: TableVersion,
    },
    /// The receiver's table is older.
    #[error("the receiver's table version {receiver:?} is behind {sender:?}; send again when it has caught up")]
    BehindTable {
        /// Of the sender.
        sender: TableVersion,
        /// Of the receiver.
        receiver: TableVersion,
    },
    /// The sender is not the primary under the table that both have.
    #[error("member {member:?} boot {boot:?} is not the primary of partition {partition:?}")]
    WrongSender {
        /// Partition.
        partition: PartitionId,
        /// Sender.
        member: MemberId,
        /// Its boot.
        boot: Boot,
    },
    /// The receiver (under this boot) is no replica.
    #[error("the receiver under its boot is no replica of partition {partition:?}")]
    NotReplica {
        /// Partition.
        partition: PartitionId,
    },
    /// A copy that is older than what the receiver holds.
    #[error(
        "a copy of partition {partition:?} at {offered:?} is older than the replica at {held:?}; the source must be installed first"
    )]
    SourceOlder {
        /// Partition.
        partition: PartitionId,
        /// Of the copy.
        offered: Version,
        /// Of the receiver.
        held: Version,
    },
    /// Pieces of a copy are missing or of another copy.
    #[error("copy of partition {partition:?}: piece {got} where {expected} was due; begin again")]
    CopyOutOfOrder {
        /// Partition.
        partition: PartitionId,
        /// Due.
        expected: u32,
        /// Came.
        got: u32,
    },
    /// A copy whose content does not have the digest that its source computed.
    #[error("copy of partition {partition:?} arrived with another digest than it was sent with; begin again")]
    CopyDiffers {
        /// Partition.
        partition: PartitionId,
    },
    /// An older installation wants to order changes.
    #[error("partition {partition:?} is at {held:?}, installed later than {installed:?}; the table is stale")]
    StaleInstallation {
        /// Partition.
        partition: PartitionId,
        /// Of the table.
        installed: TableVersion,
        /// Of the replica.
        held: Version,
    },
    /// A snapshot of an execution that was replaced.
    #[error("job {job:?}: execution {given:?} was replaced by {known:?}")]
    OldExecution {
        /// Job.
        job: JobId,
        /// Given.
        given: ExecutionId,
        /// Known.
        known: ExecutionId,
    },
    /// Something would be taken back for an execution that has begun, or is over.
    #[error("job {job:?}: nothing is taken back for execution {given:?} any more, {known:?} has begun here")]
    BegunExecution {
        /// Job.
        job: JobId,
        /// Given.
        given: ExecutionId,
        /// Newest that left anything here.
        known: ExecutionId,
    },
    /// A commit behind a newer one.
    #[error("job {job:?}: snapshot {given:?} is not after the committed {committed:?}")]
    CommittedAlready {
        /// Job.
        job: JobId,
        /// Given.
        given: Point,
        /// Newest.
        committed: Point,
    },
    /// A part of a committed snapshot would change.
    #[error("snapshot {id:?} is committed; its parts do not change")]
    CommittedPart {
        /// Which.
        id: SnapshotId,
    },
    /// The table changed between the parts and the commit.
    #[error(
        "snapshot {id:?}: its parts were acknowledged under table version {given:?}, now it is {now:?}; give it up"
    )]
    TableMoved {
        /// Which.
        id: SnapshotId,
        /// Of the parts.
        given: TableVersion,
        /// Now.
        now: TableVersion,
    },
    /// A sink part cannot be read.
    #[error("snapshot {id:?} vertex {vertex}: its sink part cannot be read: {reason}")]
    SinkPart {
        /// Which.
        id: SnapshotId,
        /// Vertex.
        vertex: u32,
        /// Why.
        reason: String,
    },
    /// An epoch whose sink writes cannot be told from later ones any more.
    #[error(
        "snapshot {id:?} cannot be written to disk any more: writes up to {floor:?} are merged; choose a newer one"
    )]
    Merged {
        /// Which.
        id: SnapshotId,
        /// Oldest that can be told apart.
        floor: Point,
    },
    /// Bound of changes that are not acknowledged.
    #[error(
        "partition {partition:?} has {unacknowledged} bytes of changes that its backups have not confirmed; ask again later"
    )]
    Busy {
        /// Partition.
        partition: PartitionId,
        /// Bytes.
        unacknowledged: usize,
    },
    /// A change larger than what is carried.
    #[error("a change of {bytes} bytes is larger than the {most} that one message carries")]
    TooLarge {
        /// Bytes.
        bytes: usize,
        /// Bound.
        most: usize,
    },
    /// Applied here, not confirmed by all replicas in time, or the lease ended: it may or may not have happened.
    #[error("partition {partition:?}: not confirmed: {why}; it may or may not have happened, ask again")]
    Unconfirmed {
        /// Partition.
        partition: PartitionId,
        /// Why.
        why: String,
    },
    /// In RAM of every replica that counts, and not known to be on every disk.
    #[error(
        "partition {partition:?}: the change is in RAM of all copies and not known to be on the disk of each: {why}; it is lost only if all of them fail before it is there; make it again to know"
    )]
    NotOnDisk {
        /// Partition.
        partition: PartitionId,
        /// Why.
        why: String,
    },
    /// The primary's own disk has to get the whole partition before it can have the change. Nothing has happened.
    #[error(
        "partition {partition:?} is behind on its primary's disk, and changes of this map wait for disks: {why}; nothing was changed, ask again"
    )]
    BehindOnDisk {
        /// Partition.
        partition: PartitionId,
        /// Why.
        why: String,
    },
    /// Bound of changes that wait for disks. Nothing has happened.
    #[error("{most} changes of maps with fsync wait for disks at this member already; nothing was changed, ask again")]
    ManyWait {
        /// Bound.
        most: usize,
    },
    /// The member could not be asked.
    #[error("member {member:?} could not be asked: {why}")]
    Unreachable {
        /// Member.
        member: MemberId,
        /// Why.
        why: String,
    },
    /// Bytes that are no message.
    #[error("message cannot be read: {why}")]
    Unreadable {
        /// Why.
        why: String,
    },
    /// Somebody else has locked the key. Nothing has happened.
    #[error("a key of map {map} is locked by somebody else; ask again when it is unlocked")]
    Locked {
        /// Map.
        map: String,
    },
    /// Unlocked by somebody who has not locked it.
    #[error("Current thread is not owner of the lock! a key of map {map} is not locked by who unlocks it")]
    NotOwner {
        /// Map.
        map: String,
    },
    /// A replica at the version of its primary has other locks or lives than it: it needs a copy.
    #[error("this replica has other locks or times to live than its primary at the same version; it is to be copied")]
    UnkeptDiffers,
    /// Not asked in a state that permits it.
    #[error("{what}")]
    NotNow {
        /// What and why.
        what: String,
    },
}

impl Refusal {
    /// The one who asked may ask again, perhaps elsewhere, and nothing has happened.
    pub fn may_ask_again(&self) -> bool {
        matches!(
            self,
            Refusal::NotPrimary { .. }
                | Refusal::StaleTable { .. }
                | Refusal::BehindTable { .. }
                | Refusal::WrongSender { .. }
                | Refusal::NotLoaded { .. }
                | Refusal::Busy { .. }
                | Refusal::BehindOnDisk { .. }
                | Refusal::Locked { .. }
        )
    }
}

//! On every member: committed state and own facts → local actions.
//!
//! Law: level-triggered; what is done already is not asked for again, and what an action belongs to (operation,
//! generation, table version) stands in it, so that a late one can be refused. Must not know: other members' facts.
//!
//! The table itself is no action: the map service is handed `machine.table` whenever an entry is applied.

mod plan;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use plan::{COPIES_AT_A_TIME, COPIES_TO_EACH, doors, plan, why_not_seal};

use crate::command::Command;
use crate::ids::{Boot, Digest, Generation, LogIndex, MemberId, OperationId, PartitionId, RuntimeNumber, TableVersion};
use crate::machine::RuntimeGeneration;
use crate::operation::SealRecord;
use crate::recovery::StoreReport;

/// Who is let in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Doors {
    /// Everybody.
    Open,
    /// Readers; sinks of running jobs are no clients and go on.
    ClosedForWriters,
    /// Nobody; copies between members go on.
    #[default]
    ClosedForAll,
}

/// How RAM and store of a process stand to one another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// What lies in the store is not in RAM: nothing may be written over it, and no copy is taken.
    #[default]
    Unread,
    /// RAM has all that the store has.
    Read,
    /// The store takes what changes in RAM, or was sealed by this process: RAM is what counts.
    Written,
}

/// What a member knows about itself. `Default` is a process that has just started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalFacts {
    /// This process start.
    pub boot: Boot,
    /// Volume of its store.
    pub volume_id: String,
    /// What it would bring back: of each partition the newest complete copy in its store, or in RAM once that was read.
    /// `None`: store not opened yet, or refused.
    pub holds: Option<StoreReport>,
    /// How RAM stands to the store.
    pub access: Access,
    /// Its store was read and verified: the digest of the copies held by the table that is known now. Forgotten when the
    /// store is written to.
    pub loaded: Option<Digest>,
    /// Doors as they are, with everything in flight counted: closed means nothing is in flight any more.
    pub doors: Doors,
    /// Reports carry the contents, under this operation and attempt.
    pub reports_contents: Option<(OperationId, u32)>,
    /// The seal on the store, if nothing was written and no generation was opened since.
    pub sealed: Option<OwnSeal>,
    /// Highest generation that the store has fsynced as opened.
    pub opened: Generation,
    /// The runtime generation that is built or being built here; one that fell down stays here until `StopRuntime`.
    pub runtime: Option<RuntimeNumber>,
    /// Copies that this member, as primary, makes or has made: by partition and receiver.
    pub copies: BTreeMap<(PartitionId, MemberId), Copying>,
    /// Partitions that it led and answers nobody for any more, not even calls that had begun, until the entry changes; every
    /// copy has all that it ordered. By the entry's `changed`.
    pub released: BTreeMap<PartitionId, TableVersion>,
    /// Its store says that this member left.
    pub put_aside: bool,
}

/// The seal on the own store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnSeal {
    /// For which operation.
    pub op: OperationId,
    /// Attempt within it.
    pub attempt: u32,
    /// As it is to be recorded.
    pub record: SealRecord,
}

/// A copy on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copying {
    /// The receiver's boot.
    pub boot: Boot,
    /// The entry's `changed` under which it was begun.
    pub changed: TableVersion,
    /// The receiver has all of it and follows; the primary waits for its acknowledgements from now on.
    pub complete: bool,
}

/// What a member is to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open or close the doors.
    SetDoors(Doors),
    /// Hand a command to the leader.
    Propose(Command),
    /// Load the store into RAM, verifying every digest, read-only if it is sealed. Where RAM is what counts already,
    /// nothing is read.
    LoadStore,
    /// Once nothing is in flight: put the contents of all replicas into the reports.
    ReportContents {
        /// Under which operation.
        op: OperationId,
        /// Which attempt.
        attempt: u32,
    },
    /// Take them out.
    WithdrawContents,
    /// Seal the store with a copy of the machine in it; only if its content has this digest. A store that was only read
    /// is opened for that.
    Seal {
        /// For which operation.
        op: OperationId,
        /// Attempt within it.
        attempt: u32,
        /// Generation to seal.
        generation: Generation,
        /// The entry that it must equal.
        quiesced_index: LogIndex,
        /// The content that it must have.
        content_digest: Digest,
    },
    /// The seal counts no more (aborted, or the next generation runs): the store is written to again.
    VoidSeal {
        /// Which.
        op: OperationId,
    },
    /// Fsync "opened", with the versions of the copies held, beside a seal if there is one; the same again goes on
    /// writing. Done when all of that is durable. Only behind RAM that has all that the store has.
    OpenGeneration(Generation),
    /// Build and run exactly this.
    StartRuntime(RuntimeGeneration),
    /// Stop what runs.
    StopRuntime,
    /// As primary: from now on answer nobody for this partition, not even calls that have begun, and see to it that every copy
    /// has all that was ordered. It holds until the entry changes.
    Release {
        /// Which.
        partition: PartitionId,
        /// The entry's `changed`.
        changed: TableVersion,
    },
    /// This member has left: its store is marked so, is put aside whole, and is of no cluster any more.
    PutAside {
        /// The entry by which it left.
        index: LogIndex,
    },
    /// As primary: send a full copy and follow it up.
    ShipPartition {
        /// Which.
        partition: PartitionId,
        /// To whom.
        to: MemberId,
        /// Under which boot.
        boot: Boot,
        /// The entry's `changed`.
        changed: TableVersion,
    },
}

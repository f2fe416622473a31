//! The replicated machine: what the members have agreed on.
//!
//! Law: it changes only in `apply`, and holds neither time nor address nor anybody's opinion of who is alive.
//! Must not know: how its log is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cluster_state::{ClusterState, Settled};
use crate::ids::{Digest, ExecutionId, FoundingId, Generation, JobId, LogIndex, MemberId, OperationId, RuntimeNumber};
use crate::job::{Job, SnapshotRef};
use crate::membership::Membership;
use crate::moves::Moves;
use crate::operation::Operation;
use crate::partition::PartitionTable;
use crate::partition::assign::Candidate;
use crate::request::StopRequest;
use crate::roster::RosterEntry;
use crate::voters::Voters;

/// Version of the rules in `apply`; entries of a later one are not made until all members know them.
pub const CLUSTER_VERSION: u32 = 1;

/// What the members have agreed on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Set once.
    pub founding: Option<Founding>,
    /// Activations so far; 0 until the first is complete.
    pub generation: Generation,
    /// What is going on.
    pub state: ClusterState,
    /// The settled state that the present one ends in; `None` in a settled state.
    pub former: Option<Settled>,
    /// The original members.
    pub roster: BTreeMap<MemberId, RosterEntry>,
    /// Who comes and who goes.
    #[serde(default, skip_serializing_if = "Membership::is_as_founded")]
    pub membership: Membership,
    /// Who is to vote.
    #[serde(default, skip_serializing_if = "Voters::are_untold")]
    pub voters: Voters,
    /// Who holds which partition.
    pub table: PartitionTable,
    /// What of it moves.
    #[serde(default, skip_serializing_if = "Moves::are_none")]
    pub moves: Moves,
    /// Jobs.
    pub jobs: BTreeMap<JobId, Job>,
    /// Highest job number given.
    pub last_job: JobId,
    /// What the engine runs, if it runs.
    pub runtime: Option<RuntimeGeneration>,
    /// Highest number of a runtime generation.
    pub last_runtime: RuntimeNumber,
    /// Index of the last entry that ended a runtime generation or changed the table: who has applied it commits no
    /// snapshot of an earlier execution any more, so its report of committed snapshots is final.
    pub fence: LogIndex,
    /// The last operations, by number.
    pub operations: BTreeMap<u64, Operation>,
    /// Highest operation number ever seen.
    pub highest_operation: u64,
    /// The last stop that was asked of the members, for somebody outside to carry out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_request: Option<StopRequest>,
    /// Index of the last applied entry.
    pub applied: LogIndex,
}

/// What founding fixed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Founding {
    /// Permanent.
    pub id: FoundingId,
    /// Counts re-foundings.
    pub incarnation: u32,
    /// Rules of `apply` that all members know.
    pub cluster_version: u32,
    /// Fixed for ever.
    pub partition_count: u16,
    /// Backups of each partition.
    pub backup_count: u8,
    /// Of the permit that allowed it.
    pub permit_digest: Digest,
}

/// One life of the engine: the same members build the same list of jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeGeneration {
    /// Its number.
    pub number: RuntimeNumber,
    /// Index of its entry.
    pub index: LogIndex,
    /// Who builds it, in this order.
    pub members: Vec<MemberId>,
    /// For each partition the place in `members` of its primary at this entry: who keeps the jobs' state of it.
    pub owners: Vec<u16>,
    /// What is built, in this order.
    pub jobs: Vec<RuntimeJob>,
    /// Dataflow workers of every member: the engine can only be built of equal parts. 0: as each is configured.
    #[serde(default)]
    pub workers: u16,
}

/// A job in a runtime generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeJob {
    /// Which.
    pub job: JobId,
    /// Its run.
    pub execution: ExecutionId,
    /// What it starts from; `None`: from nothing.
    pub restore: Option<SnapshotRef>,
}

impl Machine {
    /// Copies that each partition should have: 1 + min(backup count, members that stay − 1).
    pub fn copies_wanted(&self) -> usize {
        self.copies_wanted_of(self.roster.keys().filter(|member| self.stays(**member)).count())
    }

    /// The same if so many stay.
    pub fn copies_wanted_of(&self, stay: usize) -> usize {
        let backups = self.founding.as_ref().map_or(0, |founding| usize::from(founding.backup_count));
        1 + backups.min(stay.saturating_sub(1))
    }

    /// Who may be given partitions.
    pub fn candidates(&self) -> Vec<Candidate> {
        let stay = self.roster.iter().filter(|(member, _)| self.stays(**member));
        stay.map(|(member, entry)| Candidate::plain(*member, entry.ordinal)).collect()
    }

    /// The operation that holds the cluster.
    pub fn open_operation(&self) -> Option<&Operation> {
        self.operations.values().next_back().filter(|op| op.step.is_open())
    }

    /// An operation by its whole id.
    pub fn operation(&self, id: &OperationId) -> Option<&Operation> {
        self.operations.get(&id.seq).filter(|op| op.id == *id)
    }

    /// The job of that name that is not ended, else the last ended one.
    pub fn job_named(&self, name: &str) -> Option<&Job> {
        let named = |job: &&Job| job.name == name;
        self.jobs.values().filter(named).find(|job| !job.ended()).or_else(|| self.jobs.values().rev().find(named))
    }
}

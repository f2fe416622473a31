//! Going on without some of the original members: what of theirs is missing then, and the consent to exactly that.
//!
//! Law:
//! 1. Nothing goes on without an original member but by a person's consent, which is the digest of what would be missing. The
//!    machine judges it again where it is applied: who came back meanwhile, what was loaded, what a job would go on from, each
//!    makes another digest, and the consent is void. It is used up by what it does.
//! 2. Every partition has a copy among those that stay that was in step by the table, and all of them are back and have loaded
//!    what they have. A partition of which only the missing had such a copy is not given up, whoever consents: what others
//!    have of it may be of any time. There the members wait, or a backup is restored.
//! 3. After a stop every copy is equal, so nothing at all is missing. After a crash the missing may have had newer changes, and
//!    parts of snapshots that nobody else has: a job that had one is held. All of that is named.
//! 4. Who was given up has left: it never comes back under its id, and what its disk holds counts for nobody.
//! 5. A stop that somebody outside carries out is theirs: they alone know what they promised.
//!
//! Attacked (each is a test of that name in `tests/loss.rs`):
//! - *Loses a write*: the missing one comes back between the question and the answer
//!   (`who_comes_back_makes_the_consent_void`); a copy that was never filled, or of a member that lost its place long ago,
//!   counts as whole (`a_partition_that_lies_only_there_is_not_given_up`); of two consents each looks at a table in which the
//!   other's members count (`two_consents_are_judged_together`); a job goes on from a snapshot of which the missing one held
//!   a part that nobody else has (`after_a_crash_a_job_with_a_snapshot_is_held`).
//! - *Serves twice*: who was given up lives, cut off, and comes back: it is not of the roster, so it gets no lease, and its
//!   store is refused (`who_was_given_up_is_of_no_cluster_any_more`).
//! - *Hangs*: the stop that is left behind holds the cluster for ever (`after_a_stop_nothing_is_missing_and_the_stop_is_done`);
//!   a voter that is given up counts in majorities (`who_is_given_up_does_not_vote`).
//!
//! Must not know: who may consent, who is heard.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::apply::{loss, recovery};
use crate::cluster_state::{ClusterState, RecoveringFrom};
use crate::ids::{Boot, Digest, Epoch, ExecutionId, FoundingId, Generation, MemberId, OperationId, PartitionId};
use crate::job::{Job, JobStatus};
use crate::machine::Machine;
use crate::outcome::Refused;
use crate::safety::{self, Reason};

/// What would be missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Of which cluster.
    pub founding: FoundingId,
    /// In which generation.
    pub generation: Generation,
    /// The stop that is returned from; `None`: a crash.
    pub stopped_by: Option<OperationId>,
    /// Ordinal and id of those that are given up.
    pub members: Vec<(u32, MemberId)>,
    /// Those of them that were back in this recovery, with their stores.
    pub were_back: Vec<MemberId>,
    /// Who stays, in which process: another one may have loaded something else.
    pub stay: Vec<(MemberId, Boot)>,
    /// Partitions of which one of them may have had newer changes.
    pub perhaps_newer: usize,
    /// Jobs that do not go on from where they would have, with everybody back.
    pub jobs: Vec<JobLoss>,
}

/// What becomes of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobLoss {
    /// Its name.
    pub name: String,
    /// The last snapshot that was committed.
    pub committed: Option<(ExecutionId, Epoch)>,
    /// What it goes on from; `None`: from nothing, or not at all.
    pub goes_on_from: Option<(ExecutionId, Epoch)>,
    /// It goes on only when a person says how.
    pub held: bool,
}

impl Loss {
    /// What a consent must name.
    pub fn digest(&self) -> Digest {
        match serde_json::to_vec(self) {
            Ok(json) => blake3::hash(&json).into(),
            Err(_) => Digest::default(),
        }
    }
}

/// What would be missing without these members, or why nobody may go on without them.
pub fn preview(machine: &Machine, members: &BTreeSet<MemberId>) -> Result<Loss, Vec<Reason>> {
    let why = safety::why_not_give_up(machine, members);
    if !why.is_empty() {
        return Err(why);
    }
    let mut after = machine.clone();
    loss::give_up(&mut after, machine.applied, members).map_err(|refused| reasons(&refused))?;
    let stopped_by = match &machine.state {
        ClusterState::Recovering { from: RecoveringFrom::Sealed { op, .. }, .. } => Some(op.clone()),
        _ => {
            recovery::recover_table(&mut after).map_err(|refused| reasons(&refused))?;
            None
        }
    };
    let only_there: Vec<PartitionId> = after.table.absent();
    if let Some(first) = only_there.first() {
        return Err(vec![Reason::OnlyThere { count: only_there.len(), first: *first }]);
    }
    let had = |entry: &&crate::partition::PartitionEntry| entry.synced().any(|copy| members.contains(&copy.member));
    let perhaps_newer = if stopped_by.is_some() { 0 } else { machine.table.partitions.iter().filter(had).count() };
    Ok(Loss {
        founding: machine.founding.as_ref().map(|founding| founding.id).unwrap_or_default(),
        generation: machine.generation,
        stopped_by,
        members: machine.roster.iter().filter(|(id, _)| members.contains(id)).map(|(id, e)| (e.ordinal, *id)).collect(),
        were_back: were_back(machine).map(|(member, _)| member).filter(|member| members.contains(member)).collect(),
        stay: were_back(machine).filter(|(member, _)| !members.contains(member)).collect(),
        perhaps_newer,
        jobs: machine.jobs.values().filter_map(|job| loss_of(job, after.jobs.get(&job.id)?)).collect(),
    })
}

fn were_back(machine: &Machine) -> impl Iterator<Item = (MemberId, Boot)> {
    let rejoined = match &machine.state {
        ClusterState::Recovering { rejoined, .. } => Some(rejoined),
        _ => None,
    };
    rejoined.into_iter().flatten().map(|(member, rejoin)| (*member, rejoin.boot))
}

fn reasons(refused: &Refused) -> Vec<Reason> {
    match refused {
        Refused::NotRecovered { why } => why.clone(),
        other => vec![Reason::Otherwise { why: other.to_string() }],
    }
}

fn loss_of(before: &Job, after: &Job) -> Option<JobLoss> {
    let position = |job: &Job| job.snapshot.as_ref().map(|snapshot| (snapshot.execution, snapshot.epoch));
    let held = after.status == JobStatus::Held && before.status != JobStatus::Held;
    (held || position(before) != position(after)).then(|| JobLoss {
        name: before.name.clone(),
        committed: position(before),
        goes_on_from: position(after).filter(|_| !held),
        held,
    })
}

//! Runtime generations: what the engine runs.
//!
//! Law: all members build the same list, from snapshots that are not older than any fact; a job that did not run again
//! is not called resumed. Must not know: threads.

use std::collections::BTreeSet;

use super::{Answer, already, drop_runtime, settled, wrong_state};
use crate::command::RuntimeWish;
use crate::ids::{ExecutionId, LogIndex, MemberId, PartitionId, RuntimeNumber};
use crate::job::{Job, JobStatus, Returning, SnapshotRef, Verdict};
use crate::machine::{Machine, RuntimeGeneration, RuntimeJob};
use crate::outcome::Refused;
use crate::partition::PartitionEntry;
use crate::safety;

pub(super) struct Wanted {
    pub fence: LogIndex,
    pub members: Vec<MemberId>,
    pub workers: u16,
}

pub(super) fn begin(machine: &mut Machine, index: LogIndex, wanted: Wanted, wishes: Vec<RuntimeWish>) -> Answer {
    let Wanted { fence, members, workers } = wanted;
    if !settled(machine, "running jobs")?.runs_jobs() {
        return Err(wrong_state(machine, "running jobs"));
    }
    if let Some(present) = &machine.runtime {
        // Only after its end is it final what it has committed.
        return Err(Refused::StaleExecution { what: format!("runtime generation {} is not over", present.number) });
    }
    if fence != machine.fence {
        return Err(Refused::StaleExecution {
            what: format!("the snapshots were read at fence {fence}, which is at {} now", machine.fence),
        });
    }
    if let Some(first) = machine.table.absent().first() {
        return Err(Refused::PartitionAbsent { count: machine.table.absent().len(), first: *first });
    }
    let distinct: BTreeSet<_> = members.iter().copied().collect();
    if members.is_empty() || distinct.len() != members.len() {
        return Err(Refused::StaleExecution { what: "a runtime needs members, each once".into() });
    }
    if let Some(member) = members.iter().find(|member| !machine.roster.contains_key(member)) {
        return Err(Refused::UnknownMember { member: *member });
    }
    let owners = owners(machine, &members)?;
    check(machine, &wishes)?;
    drop_runtime(machine, JobStatus::Starting);
    let jobs = wishes
        .into_iter()
        .filter_map(|wish| machine.jobs.get_mut(&wish.job).map(|job| start(job, wish.restore)))
        .collect();
    machine.last_runtime = RuntimeNumber(machine.last_runtime.0 + 1);
    let number = machine.last_runtime;
    machine.runtime = Some(RuntimeGeneration { number, index, members, owners, jobs, workers });
    Ok(format!("members build runtime generation {number}"))
}

/// State lies where the primary is, so that most of a snapshot needs no network.
fn owners(machine: &Machine, members: &[MemberId]) -> Result<Vec<u16>, Refused> {
    let place = |(partition, entry): (PartitionId, &PartitionEntry)| {
        let owner = entry.primary().and_then(|primary| members.iter().position(|member| *member == primary.member));
        let why = || Refused::BadTable { partition, why: "its primary is not among the members of the runtime".into() };
        owner.and_then(|owner| u16::try_from(owner).ok()).ok_or_else(why)
    };
    machine.table.entries().map(place).collect()
}

fn check(machine: &Machine, wishes: &[RuntimeWish]) -> Result<(), Refused> {
    let distinct: BTreeSet<_> = wishes.iter().map(|wish| wish.job).collect();
    if wishes.is_empty() || distinct.len() != wishes.len() {
        return Err(Refused::StaleExecution { what: "a runtime needs jobs, each once".into() });
    }
    for wish in wishes {
        let job = machine.jobs.get(&wish.job).ok_or_else(|| Refused::UnknownJob { name: wish.job.to_string() })?;
        if !job.wants_to_run() {
            return Err(Refused::JobIs {
                name: job.name.clone(),
                status: format!("{:?}", job.status),
                needs: "it does not want to run".into(),
            });
        }
        if let Some(reason) = safety::why_not_restore(job, wish.restore.as_ref()) {
            return Err(Refused::BadSnapshot { name: job.name.clone(), why: reason.to_string() });
        }
    }
    Ok(())
}

fn start(job: &mut Job, restore: Option<SnapshotRef>) -> RuntimeJob {
    job.execution = ExecutionId(job.execution.0 + 1);
    job.started_from.clone_from(&restore);
    RuntimeJob { job: job.id, execution: job.execution, restore }
}

/// It runs: what it goes on from says what became of it over the return. Before that a build may still fail, or a later
/// one start from something else.
pub(super) fn judge(job: &mut Job) {
    if let Some(returning) = job.returning.take() {
        job.verdict = Some(verdict(job, &returning));
    }
}

fn verdict(job: &Job, returning: &Returning) -> Verdict {
    let never_ran_before = job.closed_up_to == Some(ExecutionId(0));
    match (returning, &job.started_from) {
        (_, None) if never_ran_before => Verdict::Resumed,
        (_, None) => Verdict::RestartedFromZero,
        (Returning::FromCrash, Some(_)) => Verdict::ResumedFromOlder,
        (Returning::FromSeal { snapshot }, Some(given))
            if snapshot.as_ref().is_some_and(|known| known.position() > given.position()) =>
        {
            Verdict::ResumedFromOlder
        }
        (Returning::FromSeal { .. }, Some(_)) => Verdict::Resumed,
    }
}

pub(super) fn lost(machine: &mut Machine, number: RuntimeNumber, cause: &str) -> Answer {
    match &machine.runtime {
        Some(runtime) if runtime.number == number => {}
        _ if number <= machine.last_runtime => return already(),
        _ => return Err(Refused::StaleExecution { what: format!("runtime generation {number} is not known") }),
    }
    drop_runtime(machine, JobStatus::Starting);
    Ok(format!("runtime generation {number} is over: {cause}"))
}

pub(super) fn running(machine: &mut Machine, number: RuntimeNumber) -> Answer {
    let runs = machine.state.runs();
    let Some(runtime) = machine.runtime.as_ref().filter(|runtime| runs && runtime.number == number) else {
        return Err(Refused::StaleExecution { what: format!("runtime generation {number} is not the current one") });
    };
    let mut changed = false;
    for built in &runtime.jobs {
        if let Some(job) = machine
            .jobs
            .get_mut(&built.job)
            .filter(|job| job.status == JobStatus::Starting && job.execution == built.execution)
        {
            job.status = JobStatus::Running;
            judge(job);
            changed = true;
        }
    }
    if changed { Ok(format!("runtime generation {number} runs")) } else { already() }
}

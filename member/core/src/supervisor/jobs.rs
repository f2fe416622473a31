//! Runtime generations and durable snapshots.
//!
//! Law: EXACT: an engine is started again only when its last life can commit nothing more and everybody has said what
//! it committed. Must not know: dataflows.

use super::presence::Roll;
use crate::command::{Command, RuntimeWish};
use crate::ids::MemberId;
use crate::job::{Guarantee, Job, JobStatus, SnapshotRef};
use crate::machine::Machine;
use crate::operation::OperationStep;
use crate::report::{EpochReport, MemberReport, Observations};
use crate::safety;

/// The present life of the engine is over.
pub(super) fn lost(machine: &Machine, observations: &Observations, roll: &Roll) -> Vec<Command> {
    let Some(runtime) = &machine.runtime else { return Vec::new() };
    let number = runtime.number;
    let told = runtime.members.iter().filter_map(|member| report(observations, *member)?.runtime_lost.clone());
    let told = told.filter(|(lost, _)| *lost == number).map(|(_, cause)| cause).next();
    let gone =
        runtime.members.iter().find(|member| roll.is_lost(**member)).map(|member| format!("member {member} is lost"));
    let cause = told.or(gone).or_else(|| outdated(machine, roll));
    cause.map(|cause| Command::RuntimeLost { number, cause }).into_iter().collect()
}

/// It runs, but not what it should; left alone while an operation waits for its snapshots.
fn outdated(machine: &Machine, roll: &Roll) -> Option<String> {
    let runtime = machine.runtime.as_ref()?;
    if machine.open_operation().is_some() {
        return None;
    }
    let built = |job: &Job| runtime.jobs.iter().any(|built| built.job == job.id);
    if let Some(job) = machine.jobs.values().find(|job| job.wants_to_run() && !built(job)) {
        return Some(format!("job '{}' is added", job.name));
    }
    let here = roll.here();
    if let Some(member) = runtime.members.iter().find(|member| !machine.works(**member)) {
        return Some(format!("member {member} leaves"));
    }
    let back = here.iter().find(|member| !runtime.members.contains(member) && machine.works(**member))?;
    safety::under_backed(machine).is_none().then(|| format!("member {back} is back, with all its copies"))
}

/// What members have done of what was begun.
pub(super) fn told(machine: &Machine, observations: &Observations, roll: &Roll) -> Vec<Command> {
    let mut commands = durable(machine, observations, roll);
    commands.extend(built(machine, observations));
    commands
}

/// Every member has built the present generation.
pub(super) fn built(machine: &Machine, observations: &Observations) -> Option<Command> {
    let runtime = machine.runtime.as_ref()?;
    let waits = |job: &Job| {
        job.status == JobStatus::Starting
            && runtime.jobs.iter().any(|built| built.job == job.id && built.execution == job.execution)
    };
    let everywhere = runtime
        .members
        .iter()
        .all(|member| report(observations, *member).is_some_and(|report| report.runtime == Some(runtime.number)));
    (everywhere && machine.jobs.values().any(waits)).then_some(Command::Running { number: runtime.number })
}

fn report(observations: &Observations, member: MemberId) -> Option<&MemberReport> {
    observations.members.get(&member).map(|observed| &observed.report)
}

/// The next life of the engine.
pub(super) fn begin(machine: &Machine, observations: &Observations, roll: &Roll) -> Option<Command> {
    let allowed = machine.state.settled().is_some_and(|state| state.runs_jobs())
        && machine.runtime.is_none()
        && machine.table.absent().is_empty();
    let members: Vec<_> = roll.here().into_iter().filter(|member| machine.works(*member)).collect();
    let led = machine
        .table
        .partitions
        .iter()
        .all(|entry| entry.primary().is_some_and(|primary| roll.is_here(primary.member)));
    let told = members
        .iter()
        .all(|member| report(observations, *member).is_some_and(|report| report.committed_at >= machine.fence));
    if !allowed || !led || !told {
        return None;
    }
    // Until an operation is open again, a job that never ran does not begin: a stop need not wait for it.
    let stopping = machine.open_operation().is_some_and(|operation| operation.step == OperationStep::Begun);
    let wanted = |job: &&Job| job.wants_to_run() && !(stopping && job.execution.0 == 0);
    let jobs: Vec<_> = machine
        .jobs
        .values()
        .filter(wanted)
        .map(|job| RuntimeWish { job: job.id, restore: restore(job, observations, roll) })
        .collect();
    let workers = workers(&members, observations);
    (!jobs.is_empty()).then_some(Command::Runtime { fence: machine.fence, members, jobs, workers })
}

/// The engine is built of equal parts, and members may have been started with different numbers of workers, or on
/// machines with different numbers of cores: each gives as many as the one that has the fewest.
fn workers(members: &[MemberId], observations: &Observations) -> u16 {
    let given = members.iter().filter_map(|member| Some(report(observations, *member)?.workers));
    given.filter(|workers| *workers > 0).min().unwrap_or(0)
}

/// The newest snapshot that is committed; of executions before a recovery only what the machine found whole.
fn restore(job: &Job, observations: &Observations, roll: &Roll) -> Option<SnapshotRef> {
    if job.guarantee == Guarantee::None {
        return None;
    }
    let here = observations.members.iter().filter(|(member, _)| roll.is_here(**member));
    let told = here
        .flat_map(|(_, observed)| &observed.report.committed)
        .filter(|epoch| epoch.job == job.id && job.exceeds_facts((epoch.execution, epoch.epoch)))
        .map(EpochReport::to_ref);
    told.max_by_key(SnapshotRef::position).or_else(|| job.snapshot.clone())
}

/// A job that does not run, of which more was published than any fact says: a seal would not have it.
pub(super) fn unwritten<'a>(machine: &'a Machine, observations: &Observations) -> Option<&'a Job> {
    let newer = |job: &&Job| {
        let mut told = observations.members.values().flat_map(|observed| &observed.report.committed);
        told.any(|epoch| epoch.job == job.id && job.exceeds_facts((epoch.execution, epoch.epoch)))
    };
    machine.jobs.values().filter(|job| !job.ended() && !job.needs_terminal()).find(newer)
}

/// Snapshots that every member has on disk.
pub(super) fn durable(machine: &Machine, observations: &Observations, roll: &Roll) -> Vec<Command> {
    if roll.here().len() != machine.roster.len() {
        return Vec::new();
    }
    let flushed =
        |member: &MemberId| report(observations, *member).map(|report| report.flushed.as_slice()).unwrap_or_default();
    let newest = |job: &Job| {
        let everywhere = |epoch: &&EpochReport| {
            let same = |other: &EpochReport| {
                (other.job, other.execution, other.epoch) == (epoch.job, epoch.execution, epoch.epoch)
            };
            let counts = epoch.job == job.id && job.counts((epoch.execution, epoch.epoch));
            counts && machine.roster.keys().all(|member| flushed(member).iter().any(same))
        };
        let first = machine.roster.keys().next()?;
        let epoch = flushed(first).iter().filter(everywhere).max_by_key(|epoch| (epoch.execution, epoch.epoch))?;
        let later = job.durable.as_ref().is_none_or(|known| known.position() < (epoch.execution, epoch.epoch));
        later.then(|| Command::Durable {
            job: job.id,
            execution: epoch.execution,
            epoch: epoch.epoch,
            record: epoch.record.clone(),
        })
    };
    machine.jobs.values().filter(|job| !job.ended()).filter_map(newest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Boot;
    use crate::report::Observed;

    #[test]
    fn every_member_gives_as_many_workers_as_the_one_with_the_fewest() {
        let member = |n| MemberId(uuid::Uuid::from_u128(n));
        let observed = |workers| Observed {
            heard_ms_ago: 0,
            boot: Boot(1),
            volume_id: String::new(),
            report: MemberReport { workers, ..MemberReport::default() },
        };
        // The last one does not say.
        let told = [(1, 8), (2, 3), (3, 4), (4, 0)];
        let members = told.into_iter().map(|(n, workers)| (member(n), observed(workers))).collect();
        let observations = Observations { members, ..Observations::default() };
        let among = |list: &[u128]| workers(&list.iter().copied().map(member).collect::<Vec<_>>(), &observations);
        assert_eq!((among(&[1, 2, 3]), among(&[1, 3]), among(&[1, 4]), among(&[4])), (3, 4, 8, 0));
    }
}

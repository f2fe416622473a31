//! Jobs: what people want of them, what became of their snapshots.
//!
//! Law: EXACT: a fact about a snapshot never goes back, except by a crash that destroyed it. Must not know: plans.

use super::{Answer, already, drop_runtime, operation, runtime, settled, step_order, unheld, wrong_state};
use crate::ids::{Epoch, ExecutionId, JobId, LogIndex, OperationId};
use crate::job::{
    FAILURES_IN_A_ROW, Guarantee, Job, JobStatus, KEPT_ENDED_JOBS, MOST_JOBS, SnapshotRecord, SnapshotRef, Verdict,
    Wish,
};
use crate::machine::Machine;
use crate::operation::OperationStep;
use crate::outcome::Refused;

pub(super) struct Definition {
    pub name: String,
    pub sql: String,
    pub guarantee: Guarantee,
    pub interval_ms: u64,
    pub plan: String,
    pub fingerprint: String,
}

pub(super) struct Taken {
    pub job: JobId,
    pub execution: ExecutionId,
    pub epoch: Epoch,
    pub record: SnapshotRecord,
}

pub(super) fn submit(machine: &mut Machine, definition: Definition) -> Answer {
    let known = machine.jobs.values().find(|job| job.name == definition.name && !job.ended());
    if let Some(job) = known {
        let same = job.sql == definition.sql
            && job.fingerprint == definition.fingerprint
            && job.interval_ms == definition.interval_ms;
        return if same { already() } else { Err(Refused::JobExists { name: definition.name }) };
    }
    if !settled(machine, "submitting a job")?.runs_jobs() {
        return Err(wrong_state(machine, "submitting a job"));
    }
    unheld(machine, "submitting a job")?;
    if machine.jobs.values().filter(|job| !job.ended()).count() >= MOST_JOBS {
        return Err(Refused::TooManyJobs { most: MOST_JOBS });
    }
    machine.last_job = JobId(machine.last_job.0 + 1);
    let id = machine.last_job;
    let Definition { name, sql, guarantee, interval_ms, plan, fingerprint } = definition;
    machine.jobs.insert(
        id,
        Job {
            id,
            name,
            sql,
            guarantee,
            interval_ms,
            plan,
            fingerprint,
            status: JobStatus::Starting,
            execution: ExecutionId(0),
            failures: 0,
            cause: None,
            snapshot: None,
            durable: None,
            closed_up_to: None,
            started_from: None,
            returning: None,
            verdict: None,
        },
    );
    Ok(format!("job {id} is accepted"))
}

pub(super) fn cancel(machine: &mut Machine, name: &str) -> Answer {
    by_person(machine, name, "cancelling a job", JobStatus::Cancelled)
}

pub(super) fn suspend(machine: &mut Machine, name: &str) -> Answer {
    by_person(machine, name, "suspending a job", JobStatus::Suspended)
}

pub(super) fn resume(machine: &mut Machine, name: &str) -> Answer {
    by_person(machine, name, "resuming a job", JobStatus::Starting)
}

fn by_person(machine: &mut Machine, name: &str, command: &str, to: JobStatus) -> Answer {
    let job = machine.job_named(name).ok_or_else(|| Refused::UnknownJob { name: name.into() })?;
    if job.status == to || (to == JobStatus::Starting && job.wants_to_run()) {
        return already();
    }
    let fits = fits(job.status, to);
    let refused = Refused::JobIs {
        name: name.into(),
        status: format!("{:?}", job.status),
        needs: match job.ended() {
            true => format!("{command} is not possible any more; submit it again to begin anew"),
            false => format!("{command} is not possible"),
        },
    };
    let id = job.id;
    let runs_jobs = settled(machine, command)?.runs_jobs();
    unheld(machine, command)?;
    if !fits {
        return Err(refused);
    }
    let runs = machine.runtime.as_ref().is_some_and(|runtime| runtime.jobs.iter().any(|running| running.job == id));
    if runs && to != JobStatus::Starting {
        // The engine must not go on publishing for a job that a stop would no longer wait for.
        drop_runtime(machine, JobStatus::Starting);
    }
    set(machine, id, if to == JobStatus::Starting && !runs_jobs { JobStatus::Waiting } else { to });
    Ok(format!("job '{name}' is {to:?}"))
}

fn fits(from: JobStatus, to: JobStatus) -> bool {
    match to {
        JobStatus::Starting => from == JobStatus::Suspended,
        JobStatus::Suspended => matches!(from, JobStatus::Starting | JobStatus::Running | JobStatus::Waiting),
        JobStatus::Cancelled => !matches!(from, JobStatus::Completed | JobStatus::Cancelled),
        _ => false,
    }
}

fn set(machine: &mut Machine, id: JobId, status: JobStatus) {
    if let Some(job) = machine.jobs.get_mut(&id) {
        job.status = status;
        if status != JobStatus::Suspended {
            job.failures = 0;
            job.cause = None;
        }
    }
    forget_oldest_ended(machine);
}

fn forget_oldest_ended(machine: &mut Machine) {
    let ended: Vec<_> = machine.jobs.values().filter(|job| job.ended()).map(|job| job.id).collect();
    for id in ended.iter().take(ended.len().saturating_sub(KEPT_ENDED_JOBS)) {
        machine.jobs.remove(id);
    }
}

/// A wish made while nothing ran; `false`: it fits no job.
pub(super) fn grant(machine: &mut Machine, wish: &Wish) -> bool {
    let (name, to) = match wish {
        Wish::Cancel { job } => (job, JobStatus::Cancelled),
        Wish::Suspend { job } => (job, JobStatus::Suspended),
        Wish::Resume { job } => (job, JobStatus::Starting),
    };
    let Some(job) = machine.job_named(name) else {
        return false;
    };
    let (id, fits) = (job.id, fits(job.status, to));
    if fits {
        set(machine, id, if to == JobStatus::Starting { JobStatus::Waiting } else { to });
    }
    fits
}

pub(super) fn failed(
    machine: &mut Machine,
    id: JobId,
    execution: ExecutionId,
    cause: String,
    progressed: bool,
) -> Answer {
    running(machine, id, execution)?;
    drop_runtime(machine, JobStatus::Starting);
    let Some(job) = machine.jobs.get_mut(&id) else {
        return already();
    };
    job.failures = if progressed { 1 } else { job.failures + 1 };
    job.cause = Some(cause);
    if job.failures >= FAILURES_IN_A_ROW {
        job.status = JobStatus::Suspended;
        if job.returning.is_some() {
            // It did not run since the return. Judged anew if a person makes it run after all.
            job.verdict = Some(Verdict::Held);
        }
        return Ok(format!("job '{}' is suspended after {FAILURES_IN_A_ROW} failures in a row", job.name));
    }
    Ok(format!("job '{}' will be tried again", job.name))
}

pub(super) fn completed(machine: &mut Machine, id: JobId, execution: ExecutionId) -> Answer {
    running(machine, id, execution)?;
    if let Some(job) = machine.jobs.get_mut(&id) {
        runtime::judge(job);
    }
    set(machine, id, JobStatus::Completed);
    Ok(format!("job {id} is completed"))
}

fn running(machine: &Machine, id: JobId, execution: ExecutionId) -> Result<&Job, Refused> {
    let stale = || Refused::StaleExecution { what: format!("execution {execution} of job {id} does not run") };
    let runs =
        machine.runtime.as_ref().is_some_and(|r| r.jobs.iter().any(|job| job.job == id && job.execution == execution));
    machine.jobs.get(&id).filter(|job| runs && job.execution == execution && job.wants_to_run()).ok_or_else(stale)
}

pub(super) fn terminal(machine: &mut Machine, index: LogIndex, op: &OperationId, taken: Taken) -> Answer {
    let operation = operation(machine, op)?;
    if operation.step != OperationStep::Freezing {
        return Err(step_order(operation, "Terminal", "terminal snapshots follow Freeze"));
    }
    let job = running(machine, taken.job, taken.execution)?;
    let refuse = |why: String| Err(Refused::BadSnapshot { name: job.name.clone(), why });
    if job.guarantee != Guarantee::ExactlyOnce {
        return refuse("the job keeps no snapshots".into());
    }
    if taken.record.table_version != machine.table.version {
        return refuse(format!(
            "its parts were acknowledged under table {}, which is at {} now",
            taken.record.table_version, machine.table.version
        ));
    }
    let position = (taken.execution, taken.epoch);
    if let Some(known) = job.snapshot.as_ref().filter(|known| known.position() >= position) {
        let is_it = known.position() == position;
        if is_it && known.terminal.as_ref() == Some(op) && known.record == taken.record {
            return already();
        }
        // Every disk may have it before anybody has said what it is for: two facts about one snapshot, in either order.
        if !(is_it && known.terminal.is_none() && known.record.is_of_one_content(&taken.record)) {
            return refuse(format!("epoch {} is not later than {}", taken.epoch, known.epoch));
        }
    }
    if job.has_terminal(op) {
        return refuse("it has its terminal snapshot".into());
    }
    let id = taken.job;
    let snapshot = SnapshotRef {
        execution: taken.execution,
        epoch: taken.epoch,
        record: taken.record,
        index,
        terminal: Some(op.clone()),
    };
    if let Some(job) = machine.jobs.get_mut(&id) {
        job.failures = 0;
        if let Some(durable) = job.durable.as_mut().filter(|durable| durable.position() == position) {
            durable.terminal = Some(op.clone());
        }
        job.snapshot = Some(snapshot);
    }
    Ok(format!("terminal snapshot of job {id} is recorded"))
}

pub(super) fn durable(machine: &mut Machine, index: LogIndex, taken: Taken) -> Answer {
    if !machine.state.runs() {
        return Err(wrong_state(machine, "a durable snapshot"));
    }
    let id = taken.job;
    let Some(job) = machine.jobs.get_mut(&id) else {
        return Err(Refused::UnknownJob { name: id.to_string() });
    };
    let position = (taken.execution, taken.epoch);
    if taken.execution > job.execution || job.ended() {
        return Err(Refused::StaleExecution { what: format!("execution {} of job {id}", taken.execution) });
    }
    if job.durable.as_ref().is_some_and(|known| known.position() >= position) {
        return already();
    }
    if !job.counts(position) {
        return Err(Refused::BadSnapshot {
            name: job.name.clone(),
            why: format!("execution {} was closed by a recovery that did not choose it", taken.execution),
        });
    }
    let known = job.snapshot.as_ref().filter(|known| known.position() >= position);
    let terminal = known.filter(|known| known.position() == position).and_then(|known| known.terminal.clone());
    let snapshot =
        SnapshotRef { execution: taken.execution, epoch: taken.epoch, record: taken.record, index, terminal };
    if known.is_none() {
        job.snapshot = Some(snapshot.clone());
    }
    job.durable = Some(snapshot);
    job.failures = 0;
    Ok(format!("epoch {} of job {id} is durable", taken.epoch))
}

//! The one function that changes the machine.
//!
//! Law: pure, total, deterministic; a refusal changes nothing but the applied index; a repeated command is "already
//! so". Must not know: who proposed, or why.

mod activation;
mod founding;
mod jobs;
pub(crate) mod loss;
mod membership;
mod moves;
pub(crate) mod recovery;
mod request;
mod runtime;
mod stop;
mod table;
mod voters;

use crate::cluster_state::{ClusterState, Settled};
use crate::command::Command;
use crate::ids::{Boot, LogIndex, MemberId, OperationId};
use crate::job::JobStatus;
use crate::machine::Machine;
use crate::moves::Move;
use crate::operation::Operation;
use crate::outcome::{ALREADY, Outcome, Refused};
use crate::roster::{NAMED_VOLUME, RosterEntry};

pub(crate) type Answer = Result<String, Refused>;

fn already() -> Answer {
    Ok(ALREADY.into())
}

/// Applies the entry at `index`.
pub fn apply(machine: &mut Machine, index: LogIndex, command: Command) -> Outcome {
    let before = (machine.runtime.is_some(), machine.table.version);
    let answer = match command {
        Command::Found { id, members, partition_count, backup_count, permit_digest } => {
            founding::found(machine, founding::Permit { id, members, partition_count, backup_count, permit_digest })
        }
        _ if machine.founding.is_none() => Err(Refused::NotFounded),
        other => founded(machine, index, other),
    };
    moves::tidy(machine);
    machine.applied = index;
    if (before.0 && machine.runtime.is_none()) || before.1 != machine.table.version {
        machine.fence = index;
    }
    match answer {
        Ok(what) => Outcome::Done { index, what },
        Err(refused) => Outcome::Refused(refused),
    }
}

fn founded(machine: &mut Machine, index: LogIndex, command: Command) -> Answer {
    match command {
        Command::Found { .. } => already(),
        Command::Boot { member, boot, volume_id } => table::boot(machine, member, boot, &volume_id),
        Command::Table { base_version, changes } => table::change(machine, base_version, &changes),
        Command::Synced { partition, member, boot, table_version } => {
            table::synced(machine, partition, member, boot, table_version)
        }
        Command::Move { partition, from, to, table_version } => {
            moves::begin(machine, partition, Move { from, to }, table_version)
        }
        Command::Moved { partition, from, table_version } => moves::end(machine, partition, from, table_version),
        Command::Releasing { partition, to, table_version } => moves::release(machine, partition, to, table_version),
        Command::Released { partition, member, boot, table_version } => {
            moves::released(machine, partition, member, boot, table_version)
        }
        Command::KeepPrimary { partition, table_version } => moves::keep_primary(machine, partition, table_version),
        Command::Admit { member, opened, permit_digest } => membership::admit(machine, member, opened, &permit_digest),
        Command::Leave { member } => membership::leave(machine, member),
        Command::Left { member } => membership::left(machine, index, member),
        Command::Voters { base, add, remove } => voters::change(machine, base, add, remove),
        Command::NewLine { member, line, lost } => voters::new_line(machine, member, line, lost),
        Command::SetState { state, absent } => stop::set_state(machine, state, &absent),
        Command::RequestStop { nonce, requested_by } => request::ask(machine, index, nonce, requested_by),
        Command::AnswerRequest { asked, answer } => request::answer(machine, asked, answer),

        Command::Begin { op, requested_by, accepted, transient } => {
            stop::begin(machine, index, stop::Request { op, requested_by, accepted, transient })
        }
        Command::Freeze { op, commit_within_ms } => stop::freeze(machine, &op, commit_within_ms),
        Command::Terminal { op, job, execution, epoch, record } => {
            jobs::terminal(machine, index, &op, jobs::Taken { job, execution, epoch, record })
        }
        Command::Quiesced { op, attempt, contents } => stop::quiesced(machine, index, &op, attempt, contents),
        Command::Sealed { op, attempt, member, seal } => stop::sealed(machine, &op, attempt, member, seal),
        Command::Commit { op, roster_digest } => stop::commit(machine, &op, roster_digest),
        Command::Abort { op, reason } => stop::abort(machine, index, &op, reason),
        Command::Activate { op, sealed_generation, wishes } => {
            activation::activate(machine, &op, sealed_generation, &wishes)
        }
        Command::Open { op } => activation::open(machine, &op),

        Command::Recover { observed } => recovery::recover(machine, &observed),
        Command::GoOnWithout { members, consent } => loss::go_on_without(machine, index, &members, &consent),
        Command::Rejoined { member, boot, volume_id, store } => {
            recovery::rejoined(machine, member, boot, &volume_id, store)
        }
        Command::Loaded { member, boot, content_digest } => recovery::loaded(machine, member, boot, &content_digest),
        Command::RecoverTable {} => recovery::recover_table(machine),
        Command::SelfActivate {} => activation::self_activate(machine),
        Command::Opened { member, boot, generation } => activation::opened(machine, member, boot, generation),

        Command::Submit { name, sql, guarantee, interval_ms, plan, fingerprint } => {
            jobs::submit(machine, jobs::Definition { name, sql, guarantee, interval_ms, plan, fingerprint })
        }
        Command::Cancel { name } => jobs::cancel(machine, &name),
        Command::Suspend { name } => jobs::suspend(machine, &name),
        Command::Resume { name } => jobs::resume(machine, &name),
        Command::JobFailed { job, execution, cause, progressed } => {
            jobs::failed(machine, job, execution, cause, progressed)
        }
        Command::JobCompleted { job, execution } => jobs::completed(machine, job, execution),
        Command::Durable { job, execution, epoch, record } => {
            jobs::durable(machine, index, jobs::Taken { job, execution, epoch, record })
        }
        Command::Runtime { fence, members, jobs, workers } => {
            runtime::begin(machine, index, runtime::Wanted { fence, members, workers }, jobs)
        }
        Command::RuntimeLost { number, cause } => runtime::lost(machine, number, &cause),
        Command::Running { number } => runtime::running(machine, number),
    }
}

fn wrong_state(machine: &Machine, command: &str) -> Refused {
    let held = match &machine.state {
        ClusterState::InTransition { op } | ClusterState::Passive { held_by: Some(op) } => {
            format!(", held by operation {op}")
        }
        _ => String::new(),
    };
    Refused::State { command: command.into(), state: format!("{}{held}", machine.state.name()) }
}

fn settled(machine: &Machine, command: &str) -> Result<Settled, Refused> {
    machine.state.settled().ok_or_else(|| wrong_state(machine, command))
}

fn unheld(machine: &Machine, command: &str) -> Result<(), Refused> {
    match machine.open_operation() {
        Some(op) => Err(Refused::Held { command: command.into(), op: op.id.clone(), step: op.step }),
        None => Ok(()),
    }
}

fn roster_member(machine: &Machine, member: MemberId) -> Result<&RosterEntry, Refused> {
    machine.roster.get(&member).ok_or(Refused::UnknownMember { member })
}

/// Names given from outside are compared; what a file system calls itself may be another after it was attached anew.
fn same_volume(entry: &RosterEntry, member: MemberId, volume_id: &str) -> Result<(), Refused> {
    let named = |id: &str| id.starts_with(NAMED_VOLUME);
    if entry.volume_id == volume_id || !named(&entry.volume_id) || !named(volume_id) {
        return Ok(());
    }
    Err(Refused::VolumeDiffers { member, given: volume_id.into(), known: entry.volume_id.clone() })
}

/// A member that was taken back is recorded with the volume that it has now; a given name is kept.
fn take_volume(entry: &mut RosterEntry, volume_id: &str) {
    if volume_id.starts_with(NAMED_VOLUME) || !entry.volume_id.starts_with(NAMED_VOLUME) {
        entry.volume_id = volume_id.into();
    }
}

fn not_older(member: MemberId, given: Boot, known: Boot) -> Result<(), Refused> {
    if given < known { Err(Refused::StaleBoot { member, given, known }) } else { Ok(()) }
}

fn operation<'a>(machine: &'a Machine, op: &OperationId) -> Result<&'a Operation, Refused> {
    match machine.operation(op) {
        Some(operation) => Ok(operation),
        None if op.seq <= machine.highest_operation => {
            Err(Refused::StaleOperation { op: op.clone(), highest: machine.highest_operation })
        }
        None => Err(Refused::UnknownOperation { op: op.clone() }),
    }
}

fn step_order(operation: &Operation, command: &str, needs: &str) -> Refused {
    if operation.step.is_open() {
        return Refused::StepOrder {
            command: command.into(),
            op: operation.id.clone(),
            step: operation.step,
            needs: needs.into(),
        };
    }
    Refused::Decided { op: operation.id.clone(), step: operation.step }
}

/// The engine stops; jobs that ran wait for `next`.
fn drop_runtime(machine: &mut Machine, next: JobStatus) {
    machine.runtime = None;
    for job in machine.jobs.values_mut().filter(|job| job.wants_to_run()) {
        job.status = next;
    }
}

/// The former state is back.
fn settle(machine: &mut Machine) {
    let former = machine.former.take().unwrap_or(Settled::Passive);
    machine.state = former.into();
    drop_runtime(machine, if former.runs_jobs() { JobStatus::Starting } else { JobStatus::Waiting });
}

/// Nothing settled holds until the state that was is given back.
fn unsettle(machine: &mut Machine, former: Settled, state: ClusterState) {
    machine.former = Some(former);
    machine.state = state;
}

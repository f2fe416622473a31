//! Watching a stop: what ends it early, and what lets it go on.
//!
//! Law: STOP: from Freeze to Quiesced every doubt about a member, a job or a copy gives the former state back and
//! names it; up to Commit a bound on time does; after Commit nothing does. Must not know: who asked for the stop.

use std::collections::BTreeMap;

use super::presence::{Presence, Roll};
use crate::cluster_state::ClusterState;
use crate::command::Command;
use crate::ids::{MemberId, PartitionId};
use crate::job::{Job, JobStatus};
use crate::machine::Machine;
use crate::operation::{Operation, OperationStep, PartitionContent};
use crate::report::{ContentsReport, Observations};
use crate::safety;
use crate::view;

/// Abort, if there is a reason for it.
pub(super) fn abort(machine: &Machine, observations: &Observations, roll: &Roll) -> Option<Command> {
    let operation = machine.open_operation().filter(|operation| operation.step.can_abort())?;
    let reason = why_abort(machine, operation, observations, roll)?;
    Some(Command::Abort { op: operation.id.clone(), reason })
}

fn why_abort(machine: &Machine, operation: &Operation, observations: &Observations, roll: &Roll) -> Option<String> {
    if roll.nobody_lives() {
        return Some("all members were started again before the stop was committed".into());
    }
    if operation.step == OperationStep::Begun && super::recovery::needed(machine, roll).is_some() {
        return safety::absent_partitions(machine).map(|reason| format!("the cluster must recover first: {reason}"));
    }
    if operation.transient && operation.step == OperationStep::Begun {
        // Nobody outside drives it, so nobody will accept a loss later.
        let losses = safety::losses_not_accepted(machine, operation);
        if !losses.is_empty() {
            return Some(safety::sentence(&losses));
        }
    }
    let spent = observations.operation_for_ms.as_ref().filter(|(op, _)| *op == operation.id).map_or(0, |(_, ms)| *ms);
    if spent > operation.commit_within_ms {
        let waited = super::progress::of_operation(machine, operation, observations);
        return Some(format!("not committed within {} ms; it waited for: {waited}", operation.commit_within_ms));
    }
    if operation.step != OperationStep::Freezing {
        return None;
    }
    lost_member(machine, roll)
        .or_else(|| lost_job(machine, operation, observations))
        .or_else(|| unequal(machine, operation, observations))
}

fn lost_member(machine: &Machine, roll: &Roll) -> Option<String> {
    roll.iter().find_map(|(member, presence)| {
        let how = match presence {
            Presence::Here | Presence::Unsure => return None,
            Presence::Anew { boot, .. } => format!("was started again (boot {boot})"),
            Presence::Lost { silent_ms } => format!("was not heard for {silent_ms} ms"),
        };
        let ordinal = machine.roster.get(&member).map_or(0, |entry| entry.ordinal);
        Some(format!("member {ordinal} ({member}) {how} during the stop"))
    })
}

fn lost_job(machine: &Machine, operation: &Operation, observations: &Observations) -> Option<String> {
    let missing = |job: &&Job| job.needs_terminal() && !job.has_terminal(&operation.id);
    let job = machine.jobs.values().find(missing)?;
    let Some(runtime) = &machine.runtime else {
        let cause = job.cause.as_deref().unwrap_or("its engine ended");
        return Some(format!("job '{}' stopped running before its terminal snapshot: {cause}", job.name));
    };
    let lost = observations.members.values().filter_map(|observed| observed.report.runtime_lost.as_ref());
    let cause = lost.filter(|(number, _)| *number == runtime.number).map(|(_, cause)| cause).next()?;
    Some(format!("the engine ended before the terminal snapshot of job '{}': {cause}", job.name))
}

/// Equal versions with unequal content: no waiting heals that.
fn unequal(machine: &Machine, operation: &Operation, observations: &Observations) -> Option<String> {
    let reports = contents(machine, operation, observations);
    for (partition, entry) in machine.table.entries() {
        let mut first: Option<(MemberId, &PartitionContent)> = None;
        for replica in entry.synced() {
            let Some(content) = content_of(&reports, replica.member, partition) else { continue };
            match first {
                Some((member, other)) if other.version == content.version && other != content => {
                    return Some(format!(
                        "partition {partition} differs at version {} between {} and {}",
                        content.version,
                        counted_by(machine, member, other),
                        counted_by(machine, replica.member, content)
                    ));
                }
                Some(_) => {}
                None => first = Some((replica.member, content)),
            }
        }
    }
    None
}

fn counted_by(machine: &Machine, member: MemberId, content: &PartitionContent) -> String {
    let ordinal = machine.roster.get(&member).map_or(0, |entry| entry.ordinal);
    let digest: String = content.digest.0.chars().take(8).collect();
    format!("member {ordinal} ({member}: {} entries, digest {digest})", content.entries)
}

fn contents<'a>(
    machine: &Machine,
    operation: &Operation,
    observations: &'a Observations,
) -> BTreeMap<MemberId, &'a ContentsReport> {
    let counted = view::counted_snapshots(machine);
    let fits = |report: &&ContentsReport| {
        let same = report.op == operation.id && report.attempt == operation.attempt;
        same && report.table_version == machine.table.version && report.counted == counted
    };
    let of_member = |(member, entry): (&MemberId, &crate::roster::RosterEntry)| {
        let observed = observations.members.get(member).filter(|observed| observed.boot == entry.boot)?;
        observed.report.contents.as_ref().filter(fits).map(|report| (*member, report))
    };
    machine.roster.iter().filter_map(of_member).collect()
}

fn content_of<'a>(
    reports: &BTreeMap<MemberId, &'a ContentsReport>,
    member: MemberId,
    partition: PartitionId,
) -> Option<&'a PartitionContent> {
    let contents = &reports.get(&member)?.contents;
    contents.binary_search_by_key(&partition, |content| content.partition).ok().and_then(|i| contents.get(i))
}

/// Members whose contents are not reported yet.
pub(super) fn not_still(machine: &Machine, operation: &Operation, observations: &Observations) -> Vec<MemberId> {
    let reports = contents(machine, operation, observations);
    machine.roster.keys().copied().filter(|member| !reports.contains_key(member)).collect()
}

/// The contents, if every copy of every partition reports the same.
fn agreed(machine: &Machine, operation: &Operation, observations: &Observations) -> Option<Vec<PartitionContent>> {
    let reports = contents(machine, operation, observations);
    if reports.len() != machine.roster.len() {
        return None;
    }
    let equal = |(partition, entry): (PartitionId, &crate::partition::PartitionEntry)| {
        let primary = content_of(&reports, entry.primary()?.member, partition)?;
        let same =
            entry.replicas.iter().all(|replica| content_of(&reports, replica.member, partition) == Some(primary));
        same.then(|| primary.clone())
    };
    machine.table.entries().map(equal).collect()
}

/// Terminal snapshots, then equal contents.
pub(super) fn freezing(machine: &Machine, observations: &Observations, roll: &Roll) -> Vec<Command> {
    let Some(operation) = machine.open_operation() else { return Vec::new() };
    let unwritten = super::jobs::unwritten(machine, observations).is_some();
    if unwritten || !safety::why_not_quiesce(machine, operation).is_empty() {
        let mut commands = super::jobs::durable(machine, observations, roll);
        commands.extend(super::jobs::built(machine, observations));
        return commands;
    }
    let quiesced = |contents| Command::Quiesced { op: operation.id.clone(), attempt: operation.attempt, contents };
    agreed(machine, operation, observations).map(quiesced).into_iter().collect()
}

/// Held by an operation. A committed one is left once members run anew and none that sealed is still up: who restarts
/// in the middle of a stop waits for the others to be stopped.
pub(super) fn sealing(machine: &Machine, roll: &Roll) -> Vec<Command> {
    let ClusterState::Passive { held_by: Some(op) } = &machine.state else { return Vec::new() };
    let Some(operation) = machine.operation(op) else { return Vec::new() };
    if operation.step != OperationStep::Committed {
        return by_itself(machine).into_iter().collect();
    }
    let boots = roll.boots(machine);
    let anew = |(member, seal): (&MemberId, &crate::operation::SealRecord)| {
        boots.get(member).is_none_or(|boot| *boot > seal.boot)
    };
    if !boots.is_empty() && operation.seals.iter().all(anew) {
        return vec![Command::Recover { observed: boots }];
    }
    Vec::new()
}

/// The next step of a stop that nobody outside drives.
pub(super) fn by_itself(machine: &Machine) -> Option<Command> {
    let operation = machine.open_operation().filter(|operation| operation.transient)?;
    let op = operation.id.clone();
    match operation.step {
        OperationStep::Begun => Some(Command::Freeze { op, commit_within_ms: operation.commit_within_ms }),
        OperationStep::Sealed => Some(Command::Commit { op, roster_digest: view::roster_digest(machine) }),
        // Doors open when the jobs run again.
        OperationStep::Activated if !machine.jobs.values().any(|job| job.status == JobStatus::Starting) => {
            Some(Command::Open { op })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster_state::Settled;
    use crate::ids::{ExecutionId, JobId, OperationId};
    use crate::job::Guarantee;
    use crate::operation::COMMIT_WITHIN_MS;

    fn job(guarantee: Guarantee) -> Job {
        Job {
            id: JobId(1),
            name: "prices".into(),
            sql: String::new(),
            guarantee,
            interval_ms: 1,
            plan: String::new(),
            fingerprint: String::new(),
            status: JobStatus::Running,
            execution: ExecutionId(1),
            failures: 0,
            cause: None,
            snapshot: None,
            durable: None,
            closed_up_to: None,
            started_from: None,
            returning: None,
            verdict: None,
        }
    }

    fn begun(transient: bool, guarantee: Guarantee, accepted: &[&str]) -> Machine {
        let operation = Operation {
            id: OperationId { seq: 1, random: "a".into() },
            requested_by: "t".into(),
            accepted: accepted.iter().map(|name| (*name).into()).collect(),
            transient,
            base_index: 1,
            step: OperationStep::Begun,
            attempt: 1,
            commit_within_ms: COMMIT_WITHIN_MS,
            former: Settled::Active,
            quiesced: None,
            seals: BTreeMap::new(),
            aborted_because: None,
        };
        Machine {
            state: ClusterState::Active,
            jobs: BTreeMap::from([(JobId(1), job(guarantee))]),
            operations: BTreeMap::from([(1, operation)]),
            ..Machine::default()
        }
    }

    /// It would hold the cluster until its time is over, and be refused at each try.
    #[test]
    fn a_stop_that_nobody_drives_is_not_held_up_by_a_loss_that_nobody_will_accept() {
        let observations = Observations { leader_for_ms: 60_000, ..Observations::default() };
        let why = |machine: &Machine| abort(machine, &observations, &Roll::call(machine, &observations));
        let lossy = begun(true, Guarantee::None, &[]);
        assert!(
            matches!(why(&lossy), Some(Command::Abort { reason, .. }) if reason.contains("'prices' promises nothing"))
        );
        for goes_on in [
            begun(true, Guarantee::ExactlyOnce, &[]),
            begun(true, Guarantee::None, &["prices"]),
            // Its driver may still be told to accept it.
            begun(false, Guarantee::None, &[]),
        ] {
            assert_eq!(why(&goes_on), None);
        }
    }
}

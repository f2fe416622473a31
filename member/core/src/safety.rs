//! Every question whose wrong answer loses data.
//!
//! Law: an empty list is the only yes; each reason names what stands against it, with its numbers. No time, no default
//! and no retry turns a reason into a yes. Must not know: who asks, and how long already.

use serde::{Deserialize, Serialize};

use crate::cluster_state::{ClusterState, RecoveringFrom};
use crate::ids::{ExecutionId, Generation, MemberId, PartitionId};
use crate::job::{Guarantee, Job, SnapshotRef};
use crate::machine::Machine;
use crate::operation::Operation;
use crate::recovery::Restored;

/// One reason against a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[allow(missing_docs)]
pub enum Reason {
    #[error("{count} partitions have no replica, the first is {first}")]
    PartitionsAbsent { count: usize, first: PartitionId },
    #[error("{count} partitions have not all {wanted} copies in step, the first is {first}")]
    UnderBacked { count: usize, first: PartitionId, wanted: usize },
    #[error("job '{job}' has no terminal snapshot under this operation")]
    NoTerminal { job: String },
    #[error("job '{job}' is between two runs; it will run again or be suspended")]
    BetweenRuns { job: String },
    #[error("job '{job}' promises nothing, and its loss was not accepted by name")]
    LossNotAccepted { job: String },
    #[error("member {ordinal} ({member}) has no recorded seal")]
    NoSeal { ordinal: u32, member: MemberId },
    #[error("the seal of member {ordinal} ({member}) is not equal to what was quiesced")]
    SealUnequal { ordinal: u32, member: MemberId },
    #[error("member {ordinal} ({member}) is not back")]
    NotBack { ordinal: u32, member: MemberId },
    #[error("member {ordinal} ({member}) has not loaded and verified its store")]
    NotLoaded { ordinal: u32, member: MemberId },
    #[error("stores of different times came back ({told}): end all members, and restore each from a backup of one set")]
    Mixed { told: String },
    #[error("the newest replicas are not chosen yet")]
    TableNotRecovered,
    #[error("job '{job}' may not go on from {given}: {why}")]
    Restore { job: String, given: String, why: String },
}

/// Reasons as one text.
pub fn sentence(reasons: &[Reason]) -> String {
    reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Partitions without replica.
pub fn absent_partitions(machine: &Machine) -> Option<Reason> {
    let absent = machine.table.absent();
    absent.first().map(|first| Reason::PartitionsAbsent { count: absent.len(), first: *first })
}

/// Partitions that have not every wanted copy, synced, under its member's recorded boot.
pub fn under_backed(machine: &Machine) -> Option<Reason> {
    let wanted = machine.copies_wanted();
    let mut short = machine.table.entries().filter(|(_, entry)| {
        let counted = |r: &&crate::partition::Replica| {
            r.synced && machine.roster.get(&r.member).is_some_and(|m| m.boot == r.boot)
        };
        entry.replicas.iter().filter(counted).count() < wanted || entry.replicas.iter().any(|replica| !replica.synced)
    });
    let first = short.next()?.0;
    Some(Reason::UnderBacked { count: 1 + short.count(), first, wanted })
}

/// Why terminal snapshots cannot begin.
pub fn why_not_freeze(machine: &Machine, operation: &Operation) -> Vec<Reason> {
    let runs = |job: &Job| {
        machine
            .runtime
            .as_ref()
            .is_some_and(|runtime| runtime.jobs.iter().any(|r| r.job == job.id && r.execution == job.execution))
    };
    let mut why: Vec<_> = absent_partitions(machine).into_iter().collect();
    // While freezing no place is given to anybody, so what is missing then would stay missing.
    let wanted = machine.copies_wanted();
    let mut short =
        machine.table.entries().filter(|(_, entry)| !entry.replicas.is_empty() && entry.replicas.len() < wanted);
    if let Some((first, _)) = short.next() {
        why.push(Reason::UnderBacked { count: 1 + short.count(), first, wanted });
    }
    for job in machine.jobs.values() {
        if job.needs_terminal() && !runs(job) {
            why.push(Reason::BetweenRuns { job: job.name.clone() });
        }
    }
    why.extend(losses_not_accepted(machine, operation));
    why
}

/// Jobs that promise nothing and run, and whose loss nobody accepted.
pub fn losses_not_accepted(machine: &Machine, operation: &Operation) -> Vec<Reason> {
    let lossy = |job: &&Job| job.guarantee == Guarantee::None && job.execution > ExecutionId(0) && job.wants_to_run();
    let names = machine.jobs.values().filter(lossy).map(|job| job.name.clone());
    names.filter(|name| !operation.accepted.contains(name)).map(|job| Reason::LossNotAccepted { job }).collect()
}

/// Jobs whose terminal snapshot under this operation is still missing.
pub fn terminals_missing(machine: &Machine, operation: &Operation) -> Vec<Reason> {
    let missing = |job: &&Job| job.needs_terminal() && !job.has_terminal(&operation.id);
    machine.jobs.values().filter(missing).map(|job| Reason::NoTerminal { job: job.name.clone() }).collect()
}

/// Why the contents cannot be fixed.
pub fn why_not_quiesce(machine: &Machine, operation: &Operation) -> Vec<Reason> {
    let mut why = terminals_missing(machine, operation);
    why.extend(absent_partitions(machine));
    why.extend(under_backed(machine));
    why.extend(losses_not_accepted(machine, operation));
    why
}

/// Why the stop is not done.
pub fn why_not_commit(machine: &Machine, operation: &Operation) -> Vec<Reason> {
    let mut why = Vec::new();
    for (member, entry) in &machine.roster {
        let (member, ordinal) = (*member, entry.ordinal);
        let expected = operation.quiesced.as_ref().and_then(|quiesced| quiesced.members.get(&member));
        match operation.seals.get(&member) {
            None => why.push(Reason::NoSeal { ordinal, member }),
            Some(seal) if Some(&seal.content_digest) != expected => why.push(Reason::SealUnequal { ordinal, member }),
            Some(_) => {}
        }
    }
    why
}

/// Why a store takes no part in a cluster that runs: every member of it has opened its generation, so this volume was put
/// back in time, and with it the member's log. `opened`: the highest generation that it has fsynced as opened. One that was
/// restored comes from a time at which the cluster was in its present generation, if that is counted, and the others run on.
pub fn why_not_take_part(machine: &Machine, opened: Generation, restored: Option<&Restored>) -> Option<String> {
    if !machine.state.runs() {
        return None;
    }
    let runs_in = machine.generation;
    if opened < runs_in {
        return Some(format!(
            "its store is of generation {opened}, the cluster runs in {runs_in}: an older volume? Put the recorded one back"
        ));
    }
    counted(machine, restored).map(|Restored { name, set, .. }| {
        format!(
            "its store is restored from backup '{name}' ({set}), and the cluster runs in generation {runs_in} without \
             having been restored from it: put the recorded volume back, or end all members and restore each"
        )
    })
}

/// A cluster that has left the recovery from a backup runs in a later generation; where its stores once came from says
/// nothing any more.
fn counted<'a>(machine: &Machine, restored: Option<&'a Restored>) -> Option<&'a Restored> {
    restored.filter(|restored| restored.generation >= machine.generation)
}

/// Why what came back is nothing that the cluster ever was: stores from one set of backups beside those of another, or of none.
/// Inside one generation nothing else tells them apart, and the newest of each would be put together.
pub fn why_mixed(machine: &Machine) -> Option<Reason> {
    let ClusterState::Recovering { rejoined, .. } = &machine.state else { return None };
    let mut told: Vec<_> = machine
        .roster
        .iter()
        .filter_map(|(member, entry)| {
            let store = &rejoined.get(member)?.store;
            Some((entry.ordinal, member, counted(machine, store.restored.as_ref())))
        })
        .collect();
    told.sort_unstable_by_key(|(ordinal, ..)| *ordinal);
    let mut sets = told.iter().map(|(.., restored)| restored.map(|restored| restored.set));
    let first = sets.next()?;
    if sets.all(|set| set == first) {
        return None;
    }
    let words = told.iter().map(|(ordinal, member, restored)| match restored {
        Some(Restored { name, set, .. }) => format!("member {ordinal} ({member}) of backup '{name}' ({set})"),
        None => format!("member {ordinal} ({member}) of no backup"),
    });
    Some(Reason::Mixed { told: words.collect::<Vec<_>>().join(", ") })
}

/// Why nothing may run yet: the whole roster, of one time, back and loaded, or nobody.
pub fn why_not_complete(machine: &Machine) -> Vec<Reason> {
    let ClusterState::Recovering { rejoined, loaded, .. } = &machine.state else {
        return Vec::new();
    };
    let mut why: Vec<_> = why_mixed(machine).into_iter().collect();
    for (member, entry) in &machine.roster {
        let (member, ordinal) = (*member, entry.ordinal);
        if !rejoined.contains_key(&member) {
            why.push(Reason::NotBack { ordinal, member });
        } else if !loaded.contains(&member) {
            why.push(Reason::NotLoaded { ordinal, member });
        }
    }
    why
}

/// Why a crash is not recovered from.
pub fn why_not_self_activate(machine: &Machine) -> Vec<Reason> {
    let mut why = why_not_complete(machine);
    if !matches!(machine.state, ClusterState::Recovering { from: RecoveringFrom::Crash, table_recovered: true, .. }) {
        why.push(Reason::TableNotRecovered);
    }
    why.extend(absent_partitions(machine));
    why.extend(under_backed(machine));
    why
}

/// Why `job` may not start from `restore`.
pub fn why_not_restore(job: &Job, restore: Option<&SnapshotRef>) -> Option<Reason> {
    let refuse = |why: &str| {
        let given =
            restore.map_or_else(|| "nothing".into(), |r| format!("epoch {} of execution {}", r.epoch, r.execution));
        Some(Reason::Restore { job: job.name.clone(), given, why: why.into() })
    };
    let (given, known) = (restore.map(SnapshotRef::position), job.snapshot.as_ref().map(SnapshotRef::position));
    let exactly = job.snapshot.as_ref().is_some_and(|s| s.terminal.is_some());
    if job.guarantee == Guarantee::None {
        return if restore.is_some() { refuse("it keeps no snapshots") } else { None };
    }
    if given.is_some_and(|(execution, _)| execution > job.execution) {
        return refuse("that execution was never begun");
    }
    match (given, known) {
        (None, Some(_)) => refuse("it has a committed snapshot"),
        (Some(given), Some(known)) if given < known => refuse("a newer one is committed"),
        (Some(given), known) if Some(given) != known && !job.is_open(given.0) => {
            refuse("its execution was closed by a recovery, and only what that found whole counts")
        }
        (Some((execution, _)), Some(known)) if exactly && given != Some(known) && execution <= known.0 => {
            refuse("the terminal snapshot is the last of its execution")
        }
        _ => None,
    }
}

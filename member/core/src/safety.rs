//! Every question whose wrong answer loses data.
//!
//! Law: an empty list is the only yes; each reason names what stands against it, with its numbers. No time, no default
//! and no retry turns a reason into a yes. Must not know: who asks, and how long already.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::cluster_state::{ClusterState, RecoveringFrom};
use crate::ids::{ExecutionId, Generation, MemberId, OperationId, PartitionId};
use crate::job::{Guarantee, Job, SnapshotRef};
use crate::machine::Machine;
use crate::moves::{MOVES_AT_A_TIME, RELEASES_AT_A_TIME};
use crate::operation::Operation;
use crate::partition::PartitionEntry;
use crate::recovery::Restored;
use crate::roster::MEMBERS_MOST;

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
    #[error("number {ordinal} is that of member {by}, which is of the roster until it has left")]
    OrdinalHeld { ordinal: u32, by: MemberId },
    #[error("it was member {ordinal} and left by entry {index}: a member that left comes back blank, under another id")]
    WasHere { ordinal: u32, index: u64 },
    #[error("its store has opened generation {opened} of a cluster; only a blank one comes in")]
    NotBlank { opened: Generation },
    #[error("there are {most} members already")]
    TooManyMembers { most: usize },
    #[error("nobody would be left to hold what it holds")]
    NobodyStays,
    #[error(
        "{then} copies of each partition would be left of {now}, and that those which stay are on their disks nobody would have \
         said; let another member come first"
    )]
    FewerCopies { now: usize, then: usize },
    #[error("member {ordinal} ({member}) joins and has not opened the generation that runs; it may be told to leave")]
    Joining { ordinal: u32, member: MemberId },
    #[error("it is not told to leave")]
    NotLeaving,
    #[error("{places} partitions have a place with it")]
    HasPlaces { places: usize },
    #[error("it votes, until another does in its place")]
    Votes,
    #[error("runtime generation {number} is built on it")]
    Runs { number: u64 },
    #[error("{in_step} of {wanted} copies would be in step")]
    CopiesMissing { in_step: usize, wanted: usize },
    #[error("not all of its copies are in step")]
    CopiesUnderWay,
    #[error("as many move at a time as may: {most}")]
    TooManyMoves { most: usize },
    #[error("member {member} has no place in it")]
    NoPlace { member: MemberId },
    #[error("member {member} may be given no place in it")]
    MayNotHold { member: MemberId },
    #[error("member {member} leads it")]
    Leads { member: MemberId },
    #[error("a copy of it moves already")]
    Moves,
    #[error("its primary is giving its place")]
    Releasing,
    #[error(
        "no member is waited for in this state of the cluster; if one is lost while others wait for it, start another one again first"
    )]
    NobodyAwaited,
    #[error("no member is named")]
    NobodyNamed,
    #[error("member {member} is not of the roster")]
    NotInRoster { member: MemberId },
    #[error("the stop {op} is carried out by whoever asked for it, and only they say who is given up")]
    CarriedOut { op: OperationId },
    #[error("{count} partitions lie only with them, the first is {first}: wait for them, or restore a backup")]
    OnlyThere { count: usize, first: PartitionId },
    #[error("{why}")]
    Otherwise { why: String },
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
    why.extend(joining(machine));
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

/// Members whose stores take nothing yet.
fn joining(machine: &Machine) -> impl Iterator<Item = Reason> + '_ {
    let joins = |(member, _): &(&MemberId, _)| machine.membership.joining.contains(member);
    let reason = |(member, entry): (&MemberId, &crate::roster::RosterEntry)| Reason::Joining {
        ordinal: entry.ordinal,
        member: *member,
    };
    machine.roster.iter().filter(joins).map(reason)
}

/// Why this member does not come in under this number. `opened`: the highest generation that its store has opened.
pub fn why_not_admit(machine: &Machine, member: MemberId, ordinal: u32, opened: Generation) -> Vec<Reason> {
    let mut why = Vec::new();
    if let Some(by) = machine.roster.iter().find(|(by, entry)| entry.ordinal == ordinal || **by == member) {
        why.push(Reason::OrdinalHeld { ordinal: by.1.ordinal, by: *by.0 });
    }
    if let Some(left) = machine.membership.left.get(&member) {
        why.push(Reason::WasHere { ordinal: left.ordinal, index: left.index });
    }
    if opened > Generation(0) {
        why.push(Reason::NotBlank { opened });
    }
    if machine.roster.len() >= MEMBERS_MOST {
        why.push(Reason::TooManyMembers { most: MEMBERS_MOST });
    }
    why
}

/// Why nobody may begin to take over what lies with this member.
pub fn why_not_leave(machine: &Machine, member: MemberId) -> Vec<Reason> {
    let others = machine.roster.keys().filter(|other| **other != member && machine.stays(**other)).count();
    if others == 0 {
        return vec![Reason::NobodyStays];
    }
    // A place goes when another member has its copy on its disk. Where it only goes because fewer are wanted, nobody has one.
    let (now, then) = (machine.copies_wanted(), machine.copies_wanted_of(others));
    if machine.stays(member) && then < now { vec![Reason::FewerCopies { now, then }] } else { Vec::new() }
}

/// Why a member that is to leave is not out yet.
pub fn why_not_left(machine: &Machine, member: MemberId) -> Vec<Reason> {
    let mut why = Vec::new();
    if !machine.membership.leaving.contains(&member) {
        why.push(Reason::NotLeaving);
    }
    let places = machine.table.places_of(member);
    if places > 0 {
        why.push(Reason::HasPlaces { places });
    }
    // What nobody holds may lie on its disk, and there alone.
    why.extend(absent_partitions(machine));
    why.extend(under_backed(machine));
    if machine.voting_members().contains(&member) {
        why.push(Reason::Votes);
    }
    if let Some(runtime) = machine.runtime.as_ref().filter(|runtime| runtime.members.contains(&member)) {
        why.push(Reason::Runs { number: runtime.number.0 });
    }
    why
}

/// Why no copy of this partition begins to move.
pub fn why_not_move(machine: &Machine, partition: PartitionId, from: MemberId, to: MemberId) -> Vec<Reason> {
    let Some(entry) = machine.table.entry(partition) else { return vec![Reason::NoPlace { member: from }] };
    let wanted = machine.copies_wanted();
    let in_step = machine.in_step_without(partition, None);
    let mut why = Vec::new();
    if in_step < wanted {
        why.push(Reason::CopiesMissing { in_step, wanted });
    }
    if in_step < entry.replicas.len() {
        why.push(Reason::CopiesUnderWay);
    }
    if entry.replica(from).is_none() {
        why.push(Reason::NoPlace { member: from });
    }
    if entry.replica(to).is_some() || !machine.stays(to) {
        why.push(Reason::MayNotHold { member: to });
    }
    if machine.moves.copies.contains_key(&partition) || entry.replicas.len() > wanted {
        why.push(Reason::Moves);
    }
    if machine.release(partition).is_some() {
        why.push(Reason::Releasing);
    }
    if machine.moves.copies.len() >= MOVES_AT_A_TIME {
        why.push(Reason::TooManyMoves { most: MOVES_AT_A_TIME });
    }
    why
}

/// Why this place may not go: a move never leaves fewer copies than there should be.
pub fn why_not_moved(machine: &Machine, partition: PartitionId, from: MemberId) -> Vec<Reason> {
    let Some(entry) = machine.table.entry(partition).filter(|entry| entry.replica(from).is_some()) else {
        return vec![Reason::NoPlace { member: from }];
    };
    let wanted = machine.copies_wanted();
    let in_step = machine.in_step_without(partition, Some(from));
    let mut why = Vec::new();
    if in_step < wanted {
        why.push(Reason::CopiesMissing { in_step, wanted });
    }
    if entry.primary().is_some_and(|primary| primary.member == from) {
        why.push(Reason::Leads { member: from });
    }
    if machine.moves.copies.get(&partition).is_some_and(|moving| moving.from != from) {
        why.push(Reason::Moves);
    }
    if machine.release(partition).is_some() {
        why.push(Reason::Releasing);
    }
    why
}

/// Why the primary of this partition does not give its place to that copy.
pub fn why_not_release(machine: &Machine, partition: PartitionId, to: MemberId) -> Vec<Reason> {
    let Some(entry) = machine.table.entry(partition) else { return vec![Reason::NoPlace { member: to }] };
    let mut why = Vec::new();
    if machine.in_step_without(partition, None) < entry.replicas.len() {
        why.push(Reason::CopiesUnderWay);
    }
    if entry.replica(to).is_none() {
        why.push(Reason::NoPlace { member: to });
    }
    if entry.primary().is_none_or(|primary| primary.member == to) {
        why.push(Reason::Leads { member: to });
    }
    if machine.release(partition).is_some() {
        why.push(Reason::Releasing);
    }
    if machine.moves.releasing.len() >= RELEASES_AT_A_TIME {
        why.push(Reason::TooManyMoves { most: RELEASES_AT_A_TIME });
    }
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
    // Who joins holds nothing that anybody could miss.
    for (member, entry) in machine.joined() {
        let (member, ordinal) = (*member, entry.ordinal);
        if !rejoined.contains_key(&member) {
            why.push(Reason::NotBack { ordinal, member });
        } else if !loaded.contains(&member) {
            why.push(Reason::NotLoaded { ordinal, member });
        }
    }
    why
}

/// Why nobody goes on without these members, whoever consents.
pub fn why_not_give_up(machine: &Machine, members: &BTreeSet<MemberId>) -> Vec<Reason> {
    let ClusterState::Recovering { from, .. } = &machine.state else { return vec![Reason::NobodyAwaited] };
    let mut why = Vec::new();
    if members.is_empty() {
        why.push(Reason::NobodyNamed);
    }
    let strangers = members.iter().filter(|member| !machine.roster.contains_key(member));
    why.extend(strangers.map(|member| Reason::NotInRoster { member: *member }));
    let named = |reason: &Reason| match reason {
        Reason::NotBack { member, .. } | Reason::NotLoaded { member, .. } => members.contains(member),
        _ => false,
    };
    why.extend(why_not_complete(machine).into_iter().filter(|reason| !named(reason)));
    if !machine.roster.keys().any(|member| machine.stays(*member) && !members.contains(member)) {
        why.push(Reason::NobodyStays);
    }
    if let RecoveringFrom::Sealed { op, .. } = from
        && machine.operation(op).is_none_or(|operation| !operation.transient)
    {
        why.push(Reason::CarriedOut { op: op.clone() });
    }
    why.extend(only_with(machine, members));
    why
}

/// Partitions of which nobody else had a copy that was in step: what others have of one may be of any time.
fn only_with(machine: &Machine, members: &BTreeSet<MemberId>) -> Option<Reason> {
    let stays = |member: MemberId| machine.roster.contains_key(&member) && !members.contains(&member);
    let only_there = |(_, entry): &(PartitionId, &PartitionEntry)| !entry.synced().any(|copy| stays(copy.member));
    let mut lost = machine.table.entries().filter(only_there);
    let (first, _) = lost.next()?;
    Some(Reason::OnlyThere { count: 1 + lost.count(), first })
}

/// Why the copies of a stop do not count yet: of some partition there would be none.
pub fn why_not_take_over(machine: &Machine) -> Option<Reason> {
    only_with(machine, &BTreeSet::new())
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

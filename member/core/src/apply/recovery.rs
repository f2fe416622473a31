//! The way back: who is there, with what.
//!
//! Law: RESUME and CRASH: nothing leaves recovery with a roster member absent; after a seal only the sealed content
//! counts, after a crash the newest complete copy. Must not know: how long somebody is waited for.

use std::collections::{BTreeMap, BTreeSet};

use super::founding::{by_ordinal, empty_copies};
use super::{
    Answer, already, drop_runtime, not_older, operation, request, roster_member, same_volume, take_volume, unsettle,
    wrong_state,
};
use crate::cluster_state::{ClusterState, RecoveringFrom, Settled};
use crate::ids::{Boot, Digest, Generation, MemberId, OperationId, PartitionId, Version};
use crate::job::{Job, JobStatus, Returning, SnapshotRef, Verdict};
use crate::machine::Machine;
use crate::moves::Moves;
use crate::operation::OperationStep;
use crate::outcome::Refused;
use crate::partition::{PartitionEntry, Replica, assign::assign};
use crate::recovery::{HeldEpoch, Rejoin, StoreReport};
use crate::safety;

pub(super) fn recover(machine: &mut Machine, observed: &BTreeMap<MemberId, Boot>) -> Answer {
    let (former, from) = match &machine.state {
        ClusterState::Recovering { .. } => return already(),
        ClusterState::Activating { op, .. } => {
            // A Recover from before this activation names the boots that it already knows.
            let anew =
                |(member, boot): (&MemberId, &Boot)| machine.roster.get(member).is_some_and(|entry| *boot > entry.boot);
            if !observed.iter().any(anew) {
                return already();
            }
            (machine.former, op.as_ref().map_or(RecoveringFrom::Crash, |op| sealed(machine, op)))
        }
        ClusterState::Passive { held_by: Some(op) } => {
            let operation = operation(machine, op)?;
            if operation.step != OperationStep::Committed {
                return Err(Refused::Held { command: "Recover".into(), op: op.clone(), step: operation.step });
            }
            (Some(operation.former), sealed(machine, op))
        }
        other => {
            let former = other.settled().ok_or_else(|| wrong_state(machine, "Recover"))?;
            if let Some(op) = machine.open_operation().filter(|op| op.step.can_abort()) {
                return Err(Refused::Held { command: "Recover".into(), op: op.id.clone(), step: op.step });
            }
            nobody_lives(machine, observed)?;
            (Some(former), RecoveringFrom::Crash)
        }
    };
    request::end(machine, false, "all members were started anew before anybody took it up");
    drop_runtime(machine, JobStatus::Waiting);
    fence_copies(machine);
    if from == RecoveringFrom::Crash {
        // Lists are made anew; what is unfair in them moves anew.
        machine.moves = Moves::default();
    }
    let state =
        ClusterState::Recovering { from, rejoined: BTreeMap::new(), loaded: BTreeSet::new(), table_recovered: false };
    unsettle(machine, former.unwrap_or(Settled::Passive), state);
    Ok(format!("recovering: all {} members of the roster are waited for", machine.roster.len()))
}

/// Who has not heard of the recovery yet may still be filling copies; what it sends is of an older table from now on,
/// so that it cannot overwrite what was loaded.
fn fence_copies(machine: &mut Machine) {
    machine.table.version = machine.table.version.next();
    for entry in &mut machine.table.partitions {
        entry.changed = machine.table.version;
    }
}

fn sealed(machine: &Machine, op: &OperationId) -> RecoveringFrom {
    RecoveringFrom::Sealed { op: op.clone(), generation: machine.generation }
}

/// A recorded boot that lives keeps its RAM, and the cluster its state, as long as every partition has a copy.
fn nobody_lives(machine: &Machine, observed: &BTreeMap<MemberId, Boot>) -> Result<(), Refused> {
    if !machine.table.absent().is_empty() {
        return Ok(());
    }
    let lives =
        machine.roster.iter().find(|(member, entry)| observed.get(member).is_some_and(|boot| *boot <= entry.boot));
    match lives {
        Some((member, _)) => Err(Refused::SomebodyLives { member: *member }),
        None if observed.is_empty() => Err(wrong_state(machine, "Recover without anybody heard")),
        None => Ok(()),
    }
}

pub(super) fn rejoined(
    machine: &mut Machine,
    member: MemberId,
    boot: Boot,
    volume_id: &str,
    store: StoreReport,
) -> Answer {
    let ClusterState::Recovering { from, rejoined, .. } = &machine.state else {
        return Err(wrong_state(machine, "a return"));
    };
    let entry = roster_member(machine, member)?;
    same_volume(entry, member, volume_id)?;
    not_older(member, boot, entry.boot)?;
    if let Some(known) = rejoined.get(&member) {
        not_older(member, boot, known.boot)?;
        if known.boot == boot {
            return already();
        }
    }
    match from {
        RecoveringFrom::Sealed { op, generation } => is_the_sealed(machine, op, *generation, member, boot, &store)?,
        RecoveringFrom::Crash if joins_blank(machine, member, &store) => {}
        RecoveringFrom::Crash => is_of_this_generation(machine, member, &store)?,
    }
    if let Some(entry) = machine.roster.get_mut(&member) {
        take_volume(entry, volume_id);
    }
    if let ClusterState::Recovering { rejoined, loaded, table_recovered, .. } = &mut machine.state {
        rejoined.insert(member, Rejoin { boot, store });
        loaded.remove(&member);
        *table_recovered = false;
    }
    Ok(format!("member {member} is back as boot {boot}"))
}

fn is_the_sealed(
    machine: &Machine,
    op: &OperationId,
    generation: Generation,
    member: MemberId,
    boot: Boot,
    store: &StoreReport,
) -> Result<(), Refused> {
    let operation = operation(machine, op)?;
    let unequal = |why: String| Err(Refused::SealDiffers { member, why });
    let Some(recorded) = operation.seals.get(&member) else {
        return unequal(format!("no seal of it is recorded under {op}"));
    };
    if boot <= recorded.boot {
        return Err(Refused::NotRestarted { member, sealed: recorded.boot });
    }
    let Some(seal) = &store.seal else {
        return unequal(format!("it is not sealed (generation {})", store.generation));
    };
    if seal.operation != *op || seal.attempt != operation.attempt || seal.generation != generation {
        return unequal(format!(
            "it is sealed by {} in generation {}, expected {op} in {generation}",
            seal.operation, seal.generation
        ));
    }
    if seal.digest != recorded.digest || seal.content_digest != recorded.content_digest {
        return unequal(format!("its digest is {}, recorded is {}", seal.digest, recorded.digest));
    }
    Ok(())
}

/// Who joins holds nothing, and has perhaps not opened a generation yet.
fn joins_blank(machine: &Machine, member: MemberId, store: &StoreReport) -> bool {
    machine.membership.joining.contains(&member)
        && store.seal.is_none()
        && store.partitions.iter().all(|held| held.is_none_or(|version| version == Version::default()))
}

/// A store that never opened the cluster's generation was put back in time; what it holds must not win by default.
fn is_of_this_generation(machine: &Machine, member: MemberId, store: &StoreReport) -> Result<(), Refused> {
    if store.generation == machine.generation || store.generation == machine.generation.next() {
        return Ok(());
    }
    Err(Refused::SealDiffers {
        member,
        why: format!(
            "it is of generation {}, the cluster is at {}: an older volume?",
            store.generation, machine.generation
        ),
    })
}

pub(super) fn loaded(machine: &mut Machine, member: MemberId, boot: Boot, content_digest: &Digest) -> Answer {
    let ClusterState::Recovering { from, rejoined, loaded, .. } = &machine.state else {
        return Err(wrong_state(machine, "a loaded store"));
    };
    let known = rejoined.get(&member).ok_or(Refused::UnknownMember { member })?.boot;
    if boot != known {
        return Err(Refused::StaleBoot { member, given: boot, known });
    }
    if loaded.contains(&member) {
        return already();
    }
    if let RecoveringFrom::Sealed { op, .. } = from {
        let quiesced = operation(machine, op)?.quiesced.as_ref().and_then(|quiesced| quiesced.members.get(&member));
        if quiesced != Some(content_digest) {
            return Err(Refused::SealDiffers {
                member,
                why: format!("it loaded content {content_digest}, which is not what was quiesced"),
            });
        }
    }
    if let ClusterState::Recovering { loaded, .. } = &mut machine.state {
        loaded.insert(member);
    }
    Ok(format!("member {member} has loaded"))
}

pub(crate) fn recover_table(machine: &mut Machine) -> Answer {
    let ClusterState::Recovering { from: RecoveringFrom::Crash, rejoined, table_recovered, .. } = &machine.state else {
        return Err(wrong_state(machine, "RecoverTable"));
    };
    if *table_recovered {
        return already();
    }
    let why = safety::why_not_complete(machine);
    if !why.is_empty() {
        return Err(Refused::NotRecovered { why });
    }
    let rejoined = rejoined.clone();
    let lives = |(member, rejoin): &(&MemberId, &Rejoin)| {
        machine.roster.get(member).is_some_and(|entry| entry.boot == rejoin.boot)
    };
    let living = rejoined.iter().filter(lives).map(|(member, _)| *member).collect();
    for (member, rejoin) in &rejoined {
        if let Some(entry) = machine.roster.get_mut(member) {
            entry.boot = rejoin.boot;
        }
    }
    choose_newest(machine, &rejoined, &living);
    // Who joins holds no part of any snapshot.
    let joins = |member: &MemberId| machine.membership.joining.contains(member);
    let holding = rejoined.iter().filter(|(member, _)| !joins(member)).map(|(m, r)| (*m, r.clone())).collect();
    for job in machine.jobs.values_mut().filter(|job| !job.ended()) {
        fall_back(job, &holding);
    }
    if let ClusterState::Recovering { table_recovered, .. } = &mut machine.state {
        *table_recovered = true;
    }
    Ok(format!("newest copies chosen; {} partitions have none", machine.table.absent().len()))
}

/// `living`: whose process is the one that the roster recorded before this recovery.
fn choose_newest(machine: &mut Machine, rejoined: &BTreeMap<MemberId, Rejoin>, living: &BTreeSet<MemberId>) {
    let next = machine.table.version.next();
    if machine.generation == Generation(0) {
        machine.table = empty_copies(machine, machine.table.lists(), next);
        return;
    }
    let (members, copies) = (by_ordinal(&machine.roster), machine.copies_wanted());
    let holders: Vec<_> = machine.table.entries().map(|(partition, _)| newest(rejoined, partition, living)).collect();
    let mut partitions = Vec::new();
    for ((entry, wish), holders) in machine.table.partitions.iter().zip(wishes(machine, &holders)).zip(&holders) {
        // Chosen before in this recovery: every entry was installed by that choice, and no write came since.
        let chosen = if entry.installed == machine.table.version { in_step(entry, rejoined) } else { Vec::new() };
        let counted = match chosen.is_empty() {
            false => chosen,
            // Copies at the same version may still differ in what their disks were behind; only one counts.
            true => {
                wish.iter().find(|member| holders.contains(member)).or(holders.first()).copied().into_iter().collect()
            }
        };
        let replicas = match counted.is_empty() {
            false => filled(&counted, wish.iter().chain(&members).copied(), copies, rejoined),
            true => Vec::new(),
        };
        partitions.push(PartitionEntry { installed: next, changed: next, replicas });
    }
    machine.table.version = next;
    machine.table.partitions = partitions;
}

/// Who held a partition goes on holding it; of one that nobody held in RAM, who has it on disk. Without a fair table the one
/// that was is as good.
fn wishes(machine: &Machine, holders: &[Vec<MemberId>]) -> Vec<Vec<MemberId>> {
    let known = |(list, holders): (Vec<MemberId>, &Vec<MemberId>)| if list.is_empty() { holders.clone() } else { list };
    let now: Vec<_> = machine.table.lists().into_iter().zip(holders).map(known).collect();
    assign(&now, &machine.candidates(), machine.copies_wanted()).unwrap_or(now)
}

/// Members whose copy was filled from the one that this recovery chose, or is that one, in processes that still are: what
/// they told of their stores before is older than what they hold.
fn in_step(entry: &PartitionEntry, rejoined: &BTreeMap<MemberId, Rejoin>) -> Vec<MemberId> {
    let lives = |replica: &&Replica| rejoined.get(&replica.member).is_some_and(|rejoin| rejoin.boot == replica.boot);
    entry.synced().filter(lives).map(|replica| replica.member).collect()
}

/// Those that count, the first as primary, and others up to as many copies as there should be.
fn filled(
    counted: &[MemberId],
    others: impl Iterator<Item = MemberId>,
    copies: usize,
    rejoined: &BTreeMap<MemberId, Rejoin>,
) -> Vec<Replica> {
    let mut list = counted.to_vec();
    for member in others {
        if list.len() < copies && !list.contains(&member) {
            list.push(member);
        }
    }
    let replica = |(place, member): (usize, &MemberId)| {
        let boot = rejoined.get(member)?.boot;
        Some(Replica { member: *member, boot, synced: place < counted.len() })
    };
    list.iter().enumerate().filter_map(replica).collect()
}

/// Who has the newest copy. The first version of a copy is the one that it was founded at; an empty replica that nobody filled has none, and must
/// not win where everybody else has lost the partition. Of copies at the same version one in RAM that was never lost has what
/// is not on disks too, and goes before the others.
fn newest(rejoined: &BTreeMap<MemberId, Rejoin>, partition: PartitionId, living: &BTreeSet<MemberId>) -> Vec<MemberId> {
    let version = |rejoin: &Rejoin| -> Option<Version> {
        let held = rejoin.store.partitions.get(usize::from(partition.0)).copied().flatten();
        held.filter(|version| *version > Version::default())
    };
    let Some(best) = rejoined.values().filter_map(version).max() else { return Vec::new() };
    let mut holders: Vec<_> =
        rejoined.iter().filter(|(_, rejoin)| version(rejoin) == Some(best)).map(|(member, _)| *member).collect();
    if holders.iter().any(|member| living.contains(member)) {
        holders.retain(|member| living.contains(member));
    }
    holders
}

/// A job goes on from the newest snapshot that is whole on every store.
fn fall_back(job: &mut Job, rejoined: &BTreeMap<MemberId, Rejoin>) {
    job.closed_up_to = Some(job.execution);
    let whole = |snapshot: &&SnapshotRef| {
        let held = HeldEpoch { job: job.id, execution: snapshot.execution, epoch: snapshot.epoch };
        rejoined.values().all(|rejoin| rejoin.store.epochs.contains(&held))
    };
    let best = [&job.snapshot, &job.durable]
        .into_iter()
        .flatten()
        .filter(whole)
        .max_by_key(|snapshot| snapshot.position())
        .cloned();
    if best.is_none() && job.durable.is_some() {
        job.status = JobStatus::Held;
        job.verdict = Some(Verdict::Held);
        job.cause = Some("its durable snapshot is not whole on every store".into());
        return;
    }
    job.snapshot = best;
    job.returns(Returning::FromCrash);
}

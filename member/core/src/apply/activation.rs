//! From a complete roster to the former state.
//!
//! Law: RESUME: two entries, so that a crash in between finds either every seal still good or every member in the next
//! generation; nothing that seals are compared with changes before the second. Must not know: what opening a generation
//! does to a store.

use std::collections::BTreeMap;

use super::{Answer, already, jobs, membership, operation, roster_member, settle, step_order, stop, wrong_state};
use crate::cluster_state::{ClusterState, RecoveringFrom};
use crate::ids::{Boot, Generation, MemberId, OperationId};
use crate::job::{Returning, Wish};
use crate::machine::Machine;
use crate::operation::OperationStep;
use crate::outcome::Refused;
use crate::roster::RosterEntry;
use crate::safety;

pub(super) fn activate(
    machine: &mut Machine,
    op: &OperationId,
    sealed_generation: Generation,
    wishes: &[Wish],
) -> Answer {
    let operation = operation(machine, op)?;
    if matches!(operation.step, OperationStep::Activated | OperationStep::Opened) {
        return already();
    }
    if operation.step != OperationStep::Committed {
        return Err(step_order(operation, "Activate", "it needs a committed stop"));
    }
    let rejoined = match &machine.state {
        ClusterState::Activating { op: Some(current), .. } if current == op => return already(),
        ClusterState::Recovering { from: RecoveringFrom::Sealed { op: current, .. }, rejoined, .. }
            if current == op =>
        {
            rejoined.clone()
        }
        _ => return Err(wrong_state(machine, "Activate")),
    };
    if sealed_generation != machine.generation {
        return Err(Refused::GenerationDiffers { given: sealed_generation, known: machine.generation });
    }
    let why = safety::why_not_complete(machine);
    if !why.is_empty() {
        return Err(Refused::NotRecovered { why });
    }
    if let Some(reason) = safety::why_not_take_over(machine) {
        return Err(Refused::NotRecovered { why: vec![reason] });
    }
    for (member, entry) in &mut machine.roster {
        if let Some(rejoin) = rejoined.get(member) {
            entry.boot = rejoin.boot;
        }
    }
    take_over_sealed_copies(machine);
    for job in machine.jobs.values_mut().filter(|job| !job.ended()) {
        job.closed_up_to = Some(job.execution);
        job.returns(Returning::FromSeal { snapshot: job.snapshot.clone() });
    }
    // One wish may only fit after another.
    let mut granted = machine.clone();
    let ignored = wishes.iter().filter(|wish| !jobs::grant(&mut granted, wish)).count();
    let (generation, wishes) = (machine.generation.next(), wishes.to_vec());
    machine.state = ClusterState::Activating { generation, op: Some(op.clone()), opened: BTreeMap::new(), wishes };
    Ok(format!("members open generation {generation}; {ignored} wishes name no job that they fit"))
}

/// Every copy equals `Quiesced`, so all of them count under the new boots; who writes next continues the version. Of members
/// that were given up none counts, and where one led, the next copy does.
fn take_over_sealed_copies(machine: &mut Machine) {
    let next = machine.table.version.next();
    machine.table.version = next;
    for entry in &mut machine.table.partitions {
        entry.changed = next;
        let primary = entry.primary().map(|primary| primary.member);
        entry.replicas.retain(|replica| machine.roster.contains_key(&replica.member));
        if entry.primary().map(|primary| primary.member) != primary {
            entry.installed = next;
        }
        for replica in &mut entry.replicas {
            if let Some(member) = machine.roster.get(&replica.member) {
                replica.boot = member.boot;
            }
        }
    }
}

pub(super) fn self_activate(machine: &mut Machine) -> Answer {
    match &machine.state {
        ClusterState::Activating { op: None, .. } => return already(),
        ClusterState::Recovering { from: RecoveringFrom::Crash, .. } => {}
        _ => return Err(wrong_state(machine, "SelfActivate")),
    }
    let why = safety::why_not_self_activate(machine);
    if !why.is_empty() {
        return Err(Refused::NotRecovered { why });
    }
    let generation = machine.generation.next();
    machine.state = ClusterState::Activating { generation, op: None, opened: BTreeMap::new(), wishes: Vec::new() };
    Ok(format!("members open generation {generation}"))
}

pub(super) fn opened(machine: &mut Machine, member: MemberId, boot: Boot, generation: Generation) -> Answer {
    let known = roster_member(machine, member)?.boot;
    if boot != known {
        return Err(Refused::StaleBoot { member, given: boot, known });
    }
    if let Some(joined) = membership::opened(machine, member, boot, generation) {
        return joined;
    }
    let joining = machine.membership.joining.clone();
    let ClusterState::Activating { generation: wanted, op, opened, wishes } = &mut machine.state else {
        return if generation == machine.generation { already() } else { Err(wrong_state(machine, "Opened")) };
    };
    if generation != *wanted {
        return Err(Refused::GenerationDiffers { given: generation, known: *wanted });
    }
    if opened.insert(member, boot) == Some(boot) {
        return already();
    }
    let waits = |(member, entry): (&MemberId, &RosterEntry)| {
        !joining.contains(member) && opened.get(member) != Some(&entry.boot)
    };
    if machine.roster.iter().any(waits) {
        return Ok(format!("member {member} has opened generation {generation}"));
    }
    let (op, wishes) = (op.clone(), std::mem::take(wishes));
    machine.membership.joining.retain(|member| !opened.contains_key(member));
    machine.generation = generation;
    for wish in &wishes {
        jobs::grant(machine, wish);
    }
    settle(machine);
    if let Some(op) = op {
        stop::with(machine, &op, |operation| operation.step = OperationStep::Activated);
    }
    Ok(format!("generation {generation} is open; the cluster is {}", machine.state))
}

pub(super) fn open(machine: &mut Machine, op: &OperationId) -> Answer {
    let operation = operation(machine, op)?;
    match operation.step {
        OperationStep::Opened => return already(),
        OperationStep::Activated if machine.state.settled().is_some() => {}
        OperationStep::Activated => return Err(wrong_state(machine, "Open")),
        _ => return Err(step_order(operation, "Open", "it follows activation by every member")),
    }
    stop::with(machine, op, |operation| operation.step = OperationStep::Opened);
    Ok("doors are open".into())
}

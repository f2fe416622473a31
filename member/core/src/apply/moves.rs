//! Moves of copies and of primaries.
//!
//! Law: those of `crate::moves`. Must not know: who is alive, what is on a disk.

use std::collections::BTreeSet;

use super::{Answer, already, not_older, roster_member, unheld, wrong_state};
use crate::cluster_state::ClusterState;
use crate::ids::{Boot, MemberId, PartitionId, TableVersion};
use crate::machine::Machine;
use crate::moves::{Move, Release};
use crate::outcome::Refused;
use crate::partition::{PartitionEntry, Replica};
use crate::safety;

fn entry_at(
    machine: &Machine,
    partition: PartitionId,
    table_version: TableVersion,
) -> Result<&PartitionEntry, Refused> {
    let unknown = Refused::BadTable { partition, why: "there is no such partition".into() };
    let entry = machine.table.entry(partition).ok_or(unknown)?;
    if entry.changed != table_version {
        return Err(Refused::StaleTable { given: table_version, known: entry.changed });
    }
    Ok(entry)
}

fn unmoved(machine: &Machine, command: &str) -> Result<(), Refused> {
    if machine.state != ClusterState::Active {
        return Err(wrong_state(machine, command));
    }
    unheld(machine, command)
}

/// The entry with other replicas, under the next version of the table.
fn put(machine: &mut Machine, partition: PartitionId, change: impl FnOnce(&mut PartitionEntry, TableVersion)) {
    let next = machine.table.version.next();
    if let Some(entry) = machine.table.partitions.get_mut(usize::from(partition.0)) {
        entry.changed = next;
        change(entry, next);
        machine.table.version = next;
    }
}

pub(super) fn begin(machine: &mut Machine, partition: PartitionId, wanted: Move, at: TableVersion) -> Answer {
    let Move { from, to } = wanted;
    if machine.moves.copies.get(&partition) == Some(&wanted) {
        return already();
    }
    unmoved(machine, "a move of a copy")?;
    entry_at(machine, partition, at)?;
    let why = safety::why_not_move(machine, partition, from, to);
    if !why.is_empty() {
        return Err(Refused::NotMoved { partition, why });
    }
    let boot = roster_member(machine, to)?.boot;
    put(machine, partition, |entry, _| entry.replicas.push(Replica { member: to, boot, synced: false }));
    machine.moves.copies.insert(partition, wanted);
    Ok(format!("partition {partition} moves from {from} to {to}"))
}

pub(super) fn end(machine: &mut Machine, partition: PartitionId, from: MemberId, at: TableVersion) -> Answer {
    unmoved(machine, "the end of a move")?;
    entry_at(machine, partition, at)?;
    let why = safety::why_not_moved(machine, partition, from);
    if !why.is_empty() {
        return Err(Refused::NotMoved { partition, why });
    }
    put(machine, partition, |entry, _| entry.replicas.retain(|replica| replica.member != from));
    machine.moves.copies.remove(&partition);
    Ok(format!("partition {partition} has left {from}"))
}

pub(super) fn release(machine: &mut Machine, partition: PartitionId, to: MemberId, at: TableVersion) -> Answer {
    if machine.release(partition).is_some_and(|release| release.to == to) {
        return already();
    }
    unmoved(machine, "a hand-over")?;
    entry_at(machine, partition, at)?;
    let why = safety::why_not_release(machine, partition, to);
    if !why.is_empty() {
        return Err(Refused::NotMoved { partition, why });
    }
    put(machine, partition, |_, _| {});
    let changed = machine.table.version;
    machine.moves.releasing.insert(partition, Release { to, changed });
    Ok(format!("the primary of partition {partition} gives its place to {to}"))
}

/// The word of the primary. It answers nobody since before it said so, and every copy has all that it ordered.
pub(super) fn released(
    machine: &mut Machine,
    partition: PartitionId,
    member: MemberId,
    boot: Boot,
    at: TableVersion,
) -> Answer {
    not_older(member, boot, roster_member(machine, member)?.boot)?;
    let entry = entry_at(machine, partition, at)?;
    let is_primary = entry.primary().is_some_and(|primary| primary.member == member && primary.boot == boot);
    let Some(release) = machine.release(partition).filter(|_| is_primary).copied() else {
        return Err(Refused::BadTable { partition, why: "its primary is not asked to give its place".into() });
    };
    put(machine, partition, |entry, next| {
        entry.replicas.sort_by_key(|replica| replica.member != release.to);
        entry.installed = next;
    });
    machine.moves.releasing.remove(&partition);
    Ok(format!("partition {partition} is led by {} now", release.to))
}

/// The primary keeps its place, and serves again; its word comes too late from now on.
pub(super) fn keep_primary(machine: &mut Machine, partition: PartitionId, at: TableVersion) -> Answer {
    if machine.release(partition).is_none_or(|release| release.changed != at) {
        return already();
    }
    put(machine, partition, |_, _| {});
    machine.moves.releasing.remove(&partition);
    Ok(format!("the primary of partition {partition} keeps its place"))
}

/// Nothing moves from here on: whoever was to give its place keeps it, and a copy on its way is given up.
pub(super) fn halt(machine: &mut Machine) {
    let releasing: Vec<_> = machine.moves.releasing.keys().copied().collect();
    let under_way: Vec<_> = machine.moves.copies.iter().map(|(partition, moving)| (*partition, moving.to)).collect();
    take_back(machine, &releasing, &under_way);
}

/// No copy moves to this member any more; one that is in step there stays until it is moved away.
pub(super) fn none_to(machine: &mut Machine, member: MemberId) {
    let to = machine.moves.copies.iter().filter(|(_, moving)| moving.to == member);
    let to: Vec<_> = to.map(|(partition, moving)| (*partition, moving.to)).collect();
    let given = machine.moves.releasing.iter().filter(|(_, release)| release.to == member);
    let given: Vec<_> = given.map(|(partition, _)| *partition).collect();
    take_back(machine, &given, &to);
    machine.moves.copies.retain(|_, moving| moving.to != member);
}

fn take_back(machine: &mut Machine, releasing: &[PartitionId], under_way: &[(PartitionId, MemberId)]) {
    let next = machine.table.version.next();
    let mut touched = BTreeSet::from_iter(releasing.iter().copied());
    for (partition, to) in under_way {
        let Some(entry) = machine.table.partitions.get_mut(usize::from(partition.0)) else { continue };
        let before = entry.replicas.len();
        entry.replicas.retain(|replica| replica.member != *to || replica.synced);
        if entry.replicas.len() < before {
            machine.moves.copies.remove(partition);
            touched.insert(*partition);
        }
    }
    for partition in &touched {
        machine.moves.releasing.remove(partition);
        if let Some(entry) = machine.table.partitions.get_mut(usize::from(partition.0)) {
            entry.changed = next;
        }
    }
    if !touched.is_empty() {
        machine.table.version = next;
    }
}

/// After any change of the table or of the roster: what is said of moves is said of the table that is.
pub(super) fn tidy(machine: &mut Machine) {
    if machine.moves.are_none() {
        return;
    }
    let wanted = machine.copies_wanted();
    let Machine { moves, table, .. } = machine;
    moves.copies.retain(|partition, moving| {
        table.entry(*partition).is_some_and(|entry| {
            let places = entry.replica(moving.from).is_some() && entry.replica(moving.to).is_some();
            places && entry.replicas.len() > wanted
        })
    });
    moves
        .releasing
        .retain(|partition, release| table.entry(*partition).is_some_and(|entry| entry.changed == release.changed));
}

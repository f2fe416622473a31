//! Boots and the partition table.
//!
//! Law: what does not count is never primary; the last copy that counts is never dropped by a change of the table.
//! Must not know: who is alive.

use std::collections::BTreeSet;

use super::{Answer, already, drop_runtime, not_older, roster_member, same_volume, settled, take_volume, wrong_state};
use crate::cluster_state::{ClusterState, Settled};
use crate::command::TableChange;
use crate::ids::{Boot, MemberId, PartitionId, TableVersion};
use crate::job::JobStatus;
use crate::machine::Machine;
use crate::outcome::Refused;
use crate::partition::{PartitionEntry, Replica};

/// The RAM of a member is gone: others take over what it led; its places are kept, to be filled.
pub(super) fn boot(machine: &mut Machine, member: MemberId, boot: Boot, volume_id: &str) -> Answer {
    let state = settled(machine, "a member's return")?;
    let entry = roster_member(machine, member)?;
    not_older(member, boot, entry.boot)?;
    same_volume(entry, member, volume_id)?;
    if boot == entry.boot {
        return already();
    }
    if let Some(entry) = machine.roster.get_mut(&member) {
        entry.boot = boot;
        take_volume(entry, volume_id);
    }
    let next = machine.table.version.next();
    let mut touched = 0;
    for entry in machine.table.partitions.iter_mut().filter(|entry| entry.replica(member).is_some()) {
        refill(entry, member, boot, next);
        touched += 1;
    }
    if touched > 0 {
        machine.table.version = next;
    }
    if machine.runtime.as_ref().is_some_and(|runtime| runtime.members.contains(&member)) {
        drop_runtime(machine, if state.runs_jobs() { JobStatus::Starting } else { JobStatus::Waiting });
    }
    Ok(format!("member {member} runs as boot {boot}; {touched} of its copies are to be filled again"))
}

fn refill(entry: &mut PartitionEntry, member: MemberId, boot: Boot, next: TableVersion) {
    let before = entry.primary().map(|primary| primary.member);
    let (mut list, behind): (Vec<Replica>, Vec<Replica>) =
        entry.replicas.iter().filter(|r| r.member != member).partition(|r| r.synced);
    if !list.is_empty() {
        list.extend(behind);
        list.push(Replica { member, boot, synced: false });
    }
    entry.replicas = list;
    entry.changed = next;
    if entry.primary().map(|primary| primary.member) != before {
        entry.installed = next;
    }
}

/// New replica lists; all of them or none.
pub(super) fn change(machine: &mut Machine, base_version: TableVersion, changes: &[TableChange]) -> Answer {
    let state = settled(machine, "a change of the partition table")?;
    if !state.runs_jobs() {
        return Err(wrong_state(machine, "a change of the partition table"));
    }
    if base_version != machine.table.version {
        return Err(Refused::StaleTable { given: base_version, known: machine.table.version });
    }
    let next = base_version.next();
    let mut seen = BTreeSet::new();
    let mut entries = Vec::new();
    for change in changes {
        if !seen.insert(change.partition) {
            return Err(Refused::BadTable { partition: change.partition, why: "it stands in the change twice".into() });
        }
        let entry = changed(machine, state, change, next)
            .map_err(|why| Refused::BadTable { partition: change.partition, why })?;
        entries.push((change.partition, entry));
    }
    if entries.is_empty() {
        return already();
    }
    let count = entries.len();
    for (partition, entry) in entries {
        if let Some(place) = machine.table.partitions.get_mut(usize::from(partition.0)) {
            *place = entry;
        }
    }
    machine.table.version = next;
    Ok(format!("table {next}: {count} partitions changed"))
}

fn changed(
    machine: &Machine,
    state: Settled,
    change: &TableChange,
    next: TableVersion,
) -> Result<PartitionEntry, String> {
    let now = machine.table.entry(change.partition).ok_or("there is no such partition")?;
    if now.replicas.is_empty() {
        return Err("it is absent: it waits for the members that had it, and is not given to others".into());
    }
    let distinct: BTreeSet<_> = change.replicas.iter().collect();
    let comes: Vec<_> = change.replicas.iter().filter(|member| now.replica(**member).is_none()).collect();
    if distinct.len() != change.replicas.len() || !comes.is_empty() && change.replicas.len() > machine.copies_wanted() {
        return Err("a member stands in it twice, or it has too many copies".into());
    }
    let unfit = |member: &&MemberId| machine.roster.contains_key(member) && !machine.stays(**member);
    if let Some(member) = comes.into_iter().find(unfit) {
        return Err(format!("member {member} joins or leaves, and is given no place"));
    }
    let mut replicas = Vec::new();
    for member in &change.replicas {
        let boot = machine.roster.get(member).ok_or("it names a member outside the roster")?.boot;
        match now.replica(*member) {
            Some(kept) if kept.boot == boot => replicas.push(*kept),
            _ if state == Settled::NoMigration => return Err("no new copies are made in NO_MIGRATION".into()),
            _ => replicas.push(Replica { member: *member, boot, synced: false }),
        }
    }
    match replicas.first() {
        Some(primary) if primary.synced => {
            let same = now.primary().is_some_and(|before| before.member == primary.member);
            let installed = if same { now.installed } else { next };
            Ok(PartitionEntry { installed, changed: next, replicas })
        }
        Some(_) => Err("its primary would be a copy that is not in step".into()),
        None => Err("it would be left without a copy".into()),
    }
}

/// A copy is complete, and its primary waits for it since before this was proposed.
pub(super) fn synced(
    machine: &mut Machine,
    partition: PartitionId,
    member: MemberId,
    boot: Boot,
    table_version: TableVersion,
) -> Answer {
    let fixed = match &machine.state {
        ClusterState::Recovering { table_recovered, .. } => !table_recovered,
        ClusterState::InTransition { .. } => false,
        other => other.settled().is_none(),
    };
    if fixed {
        return Err(wrong_state(machine, "a completed copy"));
    }
    let recorded = roster_member(machine, member)?.boot;
    not_older(member, boot, recorded)?;
    let Some(entry) = machine.table.partitions.get_mut(usize::from(partition.0)) else {
        return Err(Refused::BadTable { partition, why: "there is no such partition".into() });
    };
    if table_version != entry.changed {
        return Err(Refused::StaleTable { given: table_version, known: entry.changed });
    }
    let Some(replica) = entry.replicas.iter_mut().find(|replica| replica.member == member && replica.boot == boot)
    else {
        return Err(Refused::BadTable { partition, why: format!("member {member} has no place in it") });
    };
    if replica.synced {
        return already();
    }
    replica.synced = true;
    Ok(format!("partition {partition} is in step on {member}"))
}

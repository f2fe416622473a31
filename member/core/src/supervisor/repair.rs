//! Promotion and new copies.
//!
//! Law: a primary is replaced when its lease is over or its process is another one, and only by a copy that counts;
//! a partition whose copies are all away waits for them. Must not know: what a copy costs.

use std::collections::BTreeSet;

use super::presence::{Presence, REPAIR_AFTER_MS, Roll};
use crate::cluster_state::ClusterState;
use crate::command::{Command, TableChange};
use crate::ids::{MemberId, PartitionId};
use crate::machine::Machine;
use crate::partition::PartitionEntry;
use crate::partition::assign::assign;

/// Partitions changed by one command, at most; the rest follows with the next plan.
const MOST_CHANGES: usize = 1024;

/// Members that run anew.
pub(super) fn boots(roll: &Roll) -> Vec<Command> {
    let anew = |(member, presence): (MemberId, &Presence)| match presence {
        Presence::Anew { boot, volume_id } => Some(Command::Boot { member, boot: *boot, volume_id: volume_id.clone() }),
        _ => None,
    };
    roll.iter().filter_map(anew).collect()
}

pub(super) fn plan(machine: &Machine, roll: &Roll) -> Option<Command> {
    let may_copy = matches!(machine.state, ClusterState::Active);
    if !may_copy && machine.state != ClusterState::NoMigration {
        return None;
    }
    let before = machine.table.lists();
    let mut lists: Vec<_> = machine.table.partitions.iter().map(|entry| without_lost(entry, roll)).collect();
    if may_copy {
        fill(machine, roll, &mut lists);
    }
    let changed = lists.into_iter().zip(before).map(|(list, before)| list.filter(|list| *list != before));
    let changes: Vec<_> = (0..=u16::MAX)
        .map(PartitionId)
        .zip(changed)
        .filter_map(|(partition, list)| Some(TableChange { partition, replicas: list? }))
        .take(MOST_CHANGES)
        .collect();
    (!changes.is_empty()).then_some(Command::Table { base_version: machine.table.version, changes })
}

/// Members that a command, once committed, deposes as primaries. From its proposal until what it made is published the
/// leader grants them no lease: one that is heard again in between would serve beside its successor.
pub fn deposed(machine: &Machine, command: &Command) -> BTreeSet<MemberId> {
    let Command::Table { changes, .. } = command else { return BTreeSet::new() };
    let loses = |change: &TableChange| {
        let primary = machine.table.entry(change.partition)?.primary()?.member;
        (change.replicas.first() != Some(&primary)).then_some(primary)
    };
    changes.iter().filter_map(loses).collect()
}

/// The list without those that are lost, led by a copy that counts; `None`: there is none, wait.
fn without_lost(entry: &PartitionEntry, roll: &Roll) -> Option<Vec<MemberId>> {
    let kept: Vec<_> = entry.replicas.iter().filter(|replica| !roll.is_lost(replica.member)).collect();
    let primary = kept.iter().find(|replica| replica.synced)?.member;
    let others = kept.iter().map(|replica| replica.member).filter(|member| *member != primary);
    Some(std::iter::once(primary).chain(others).collect())
}

/// Places of members that are away for long go to those that are here; who comes back in time finds its own free.
fn fill(machine: &Machine, roll: &Roll, lists: &mut [Option<Vec<MemberId>>]) {
    let wanted = machine.copies_wanted();
    if lists.iter().flatten().all(|list| list.len() >= wanted) {
        return;
    }
    let now: Vec<_> = lists.iter().map(|list| list.clone().unwrap_or_default()).collect();
    let mut candidates = machine.candidates();
    candidates.retain(|candidate| may_hold(roll, candidate.member));
    // Without a fair table nothing is given away; what there is stays.
    let Ok(wishes) = assign(&now, &candidates, wanted) else { return };
    for (list, wish) in lists.iter_mut().zip(wishes) {
        let Some(list) = list else { continue };
        let room = wanted.saturating_sub(list.len());
        let given: Vec<_> = wish.into_iter().filter(|member| !list.contains(member)).take(room).collect();
        list.extend(given.into_iter().filter(|member| roll.is_here(*member)));
    }
}

/// Here, or expected back.
fn may_hold(roll: &Roll, member: MemberId) -> bool {
    match roll.of(member) {
        Some(Presence::Lost { silent_ms }) => *silent_ms < REPAIR_AFTER_MS,
        other => other.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Boot, TableVersion};
    use crate::partition::Replica;

    #[test]
    fn a_table_deposes_the_primaries_that_it_does_not_keep_first() {
        let member = |n| MemberId(uuid::Uuid::from_u128(n));
        let replica = |n| Replica { member: member(n), boot: Boot(1), synced: true };
        let entry = |a, b| PartitionEntry { replicas: vec![replica(a), replica(b)], ..PartitionEntry::default() };
        let mut machine = Machine::default();
        machine.table.partitions = vec![entry(1, 2), entry(2, 1), entry(3, 1)];
        let change = |p, list: &[u128]| TableChange {
            partition: PartitionId(p),
            replicas: list.iter().copied().map(member).collect(),
        };
        let table = |changes| Command::Table { base_version: TableVersion(0), changes };
        let cases = [
            (table(vec![change(0, &[2])]), vec![1]),
            (table(vec![change(0, &[1, 3])]), vec![]),
            (table(vec![change(0, &[2, 1]), change(1, &[2]), change(2, &[1])]), vec![1, 3]),
            (Command::RecoverTable {}, vec![]),
        ];
        for (command, expected) in cases {
            let expected: BTreeSet<_> = expected.into_iter().map(member).collect();
            assert_eq!(deposed(&machine, &command), expected, "{command:?}");
        }
    }
}

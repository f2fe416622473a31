//! Which copies move, and when a move is over.
//!
//! Law: nothing begins to move unless every copy that should be is there, everybody is heard (or away for so long that
//! nothing is expected of it), and all that are heard can carry a move out; repair goes first. What is fair stays as it is. A
//! source keeps its place until the receiver has said that the copy is on its disk. A release that lasts too long is taken
//! back, and not tried again at once. Must not know: what a copy costs.

use std::collections::BTreeMap;

use super::presence::{Presence, REPAIR_AFTER_MS, Roll};
use crate::cluster_state::ClusterState;
use crate::command::Command;
use crate::ids::{MemberId, PartitionId};
use crate::machine::Machine;
use crate::moves::{MOVES_AT_A_TIME, RELEASES_AT_A_TIME};
use crate::partition::PartitionEntry;
use crate::partition::assign::{Candidate, assign, is_fair};
use crate::report::Observations;
use crate::safety;

/// Copies that move to one member at a time: one that takes none must not keep all others from theirs.
pub const MOVES_TO_EACH: usize = 4;
/// A partition that is being handed over answers nobody. After so long its primary goes on.
pub const RELEASE_WITHIN_MS: u64 = 2_000;
/// And for so long it is not asked again.
pub const RELEASE_AGAIN_AFTER_MS: u64 = 60_000;

pub(super) fn plan(machine: &Machine, observations: &Observations, roll: &Roll) -> Vec<Command> {
    let may_move = machine.state == ClusterState::Active
        && machine.open_operation().is_none()
        && machine.waiting_request().is_none();
    if !may_move {
        return Vec::new();
    }
    let look = Look { machine, observations, roll };
    let mut commands = look.overdue();
    // Each move changes the table, and an engine begins under one.
    let begins = machine.runtime.is_none() && machine.jobs.values().any(crate::job::Job::wants_to_run);
    if begins {
        return commands;
    }
    commands.extend(look.ends());
    if commands.is_empty() && look.all_is_well() {
        commands.extend(look.begins());
    }
    commands
}

struct Look<'a> {
    machine: &'a Machine,
    observations: &'a Observations,
    roll: &'a Roll,
}

impl Look<'_> {
    fn overdue(&self) -> Vec<Command> {
        let late = self.observations.releases.iter().filter(|seen| seen.stands && seen.for_ms >= RELEASE_WITHIN_MS);
        late.map(|seen| Command::KeepPrimary { partition: seen.partition, table_version: seen.changed }).collect()
    }

    /// Places that may go, and primaries that are in the way of that.
    fn ends(&self) -> Vec<Command> {
        let more = |(_, entry): &(PartitionId, &PartitionEntry)| entry.replicas.len() > self.machine.copies_wanted();
        let longer: Vec<_> = self.machine.table.entries().filter(more).collect();
        longer.into_iter().filter_map(|(partition, entry)| self.end(partition, entry)).take(MOVES_AT_A_TIME).collect()
    }

    fn end(&self, partition: PartitionId, entry: &PartitionEntry) -> Option<Command> {
        let moving = self.machine.moves.copies.get(&partition);
        if moving.is_some_and(|moving| !self.is_on_disk(partition, entry, moving.to)) {
            return None;
        }
        let from = moving.map_or_else(|| self.one_too_many(entry), |moving| Some(moving.from))?;
        let table_version = entry.changed;
        if safety::why_not_moved(self.machine, partition, from).is_empty() {
            return Some(Command::Moved { partition, from, table_version });
        }
        let leads = entry.primary().is_some_and(|primary| primary.member == from);
        let next = entry.synced().map(|replica| replica.member).filter(|member| *member != from);
        let next = next.filter(|member| self.roll.is_here(*member) && self.machine.stays(*member));
        let to = match moving {
            Some(moving) => next.into_iter().find(|member| *member == moving.to),
            None => next.into_iter().next(),
        };
        to.filter(|_| leads).and_then(|to| self.releasing(partition, entry, to))
    }

    /// Fewer copies are wanted than there are, since somebody is to leave.
    fn one_too_many(&self, entry: &PartitionEntry) -> Option<MemberId> {
        let goes = entry.replicas.iter().find(|replica| !self.machine.stays(replica.member));
        goes.or(entry.replicas.last()).map(|replica| replica.member)
    }

    fn releasing(&self, partition: PartitionId, entry: &PartitionEntry, to: MemberId) -> Option<Command> {
        let again = self.observations.releases.iter().any(|seen| seen.partition == partition);
        let primary = entry.primary().is_some_and(|primary| self.can_move(primary.member));
        let may = safety::why_not_release(self.machine, partition, to).is_empty() && primary && !again;
        may.then_some(Command::Releasing { partition, to, table_version: entry.changed })
    }

    /// The receiver, in the process that is recorded, says so of this change of the entry.
    fn is_on_disk(&self, partition: PartitionId, entry: &PartitionEntry, to: MemberId) -> bool {
        let in_step = entry.replica(to).is_some_and(|replica| replica.synced);
        let told = self.observations.members.get(&to).and_then(|observed| observed.report.on_disk.as_ref());
        in_step && self.roll.is_here(to) && told.is_some_and(|told| told.contains(&(partition, entry.changed)))
    }

    fn can_move(&self, member: MemberId) -> bool {
        let told = self.observations.members.get(&member).and_then(|observed| observed.report.on_disk.as_ref());
        self.roll.is_here(member) && told.is_some()
    }

    fn all_is_well(&self) -> bool {
        let wanted = self.machine.copies_wanted();
        let gone = |member: MemberId, presence: &Presence| {
            let long = matches!(presence, Presence::Lost { silent_ms } if *silent_ms >= REPAIR_AFTER_MS);
            long && self.machine.table.places_of(member) == 0
        };
        let whole = |(partition, _): (PartitionId, _)| self.machine.in_step_without(partition, None) >= wanted;
        self.roll.iter().all(|(member, presence)| self.can_move(member) || gone(member, presence))
            && self.machine.table.entries().all(whole)
    }

    fn begins(&self) -> Vec<Command> {
        let moves = &self.machine.moves;
        let room = MOVES_AT_A_TIME.saturating_sub(moves.copies.len());
        let hand_overs = RELEASES_AT_A_TIME.saturating_sub(moves.releasing.len());
        let candidates: Vec<Candidate> =
            self.machine.candidates().into_iter().filter(|candidate| self.can_move(candidate.member)).collect();
        let wanted = self.machine.copies_wanted();
        let goal = self.goal();
        if room + hand_overs == 0 || is_fair(&goal, &candidates, wanted) {
            return Vec::new();
        }
        // Without a fair table what there is stays.
        let Ok(wishes) = assign(&goal, &candidates, wanted) else { return Vec::new() };
        let mut to_each = BTreeMap::<MemberId, usize>::new();
        for moving in moves.copies.values() {
            *to_each.entry(moving.to).or_default() += 1;
        }
        let (mut copies, mut leads) = (Vec::new(), Vec::new());
        for ((partition, entry), wish) in self.machine.table.entries().zip(wishes) {
            if moves.copies.contains_key(&partition) || entry.replicas.len() != wanted {
                continue;
            }
            let from = entry.replicas.iter().map(|replica| replica.member).find(|member| !wish.contains(member));
            let to = wish.iter().copied().find(|member| entry.replica(*member).is_none());
            match (from, to) {
                (Some(from), Some(to)) if copies.len() < room => {
                    let begun = to_each.entry(to).or_default();
                    if *begun < MOVES_TO_EACH && safety::why_not_move(self.machine, partition, from, to).is_empty() {
                        *begun += 1;
                        copies.push(Command::Move { partition, from, to, table_version: entry.changed });
                    }
                }
                (None, None) if leads.len() < hand_overs => {
                    let other =
                        wish.first().copied().filter(|to| entry.primary().is_some_and(|primary| primary.member != *to));
                    leads.extend(other.and_then(|to| self.releasing(partition, entry, to)));
                }
                _ => {}
            }
        }
        copies.extend(leads);
        copies
    }

    /// Who has what when all that moves has moved.
    fn goal(&self) -> Vec<Vec<MemberId>> {
        let mut lists = self.machine.table.lists();
        for (partition, moving) in &self.machine.moves.copies {
            let Some(list) = lists.get_mut(usize::from(partition.0)) else { continue };
            list.retain(|member| *member != moving.to);
            if let Some(place) = list.iter_mut().find(|member| **member == moving.from) {
                *place = moving.to;
            }
        }
        for (partition, release) in &self.machine.moves.releasing {
            let Some(list) = lists.get_mut(usize::from(partition.0)) else { continue };
            list.sort_by_key(|member| *member != release.to);
        }
        lists
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Boot, Generation, TableVersion};
    use crate::machine::Founding;
    use crate::moves::{Move, Release};
    use crate::partition::{PartitionTable, Replica};
    use crate::report::{MemberReport, Observed};
    use crate::roster::RosterEntry;
    use crate::supervisor::Watch;

    fn member(n: u32) -> MemberId {
        MemberId(uuid::Uuid::from_u128(u128::from(n) + 1))
    }

    fn founding(partition_count: u16) -> Founding {
        Founding {
            id: Default::default(),
            incarnation: 1,
            cluster_version: 1,
            partition_count,
            backup_count: 1,
            permit_digest: Default::default(),
        }
    }

    /// Two members that hold everything, and so many that have come.
    fn machine(partitions: u16, come: u32) -> Machine {
        let entry = |n| RosterEntry { ordinal: n, boot: Boot(1), volume_id: String::new(), log_line: 1 };
        let replica = |n| Replica { member: member(n), boot: Boot(1), synced: true };
        let partition = |p: u16| PartitionEntry {
            installed: TableVersion(1),
            changed: TableVersion(1),
            replicas: vec![replica(u32::from(p % 2)), replica(u32::from((p + 1) % 2))],
        };
        Machine {
            founding: Some(founding(partitions)),
            generation: Generation(1),
            state: ClusterState::Active,
            roster: (0..2 + come).map(|n| (member(n), entry(n))).collect(),
            table: PartitionTable { version: TableVersion(1), partitions: (0..partitions).map(partition).collect() },
            ..Machine::default()
        }
    }

    fn observations(machine: &Machine, on_disk: Option<Vec<(PartitionId, TableVersion)>>) -> Observations {
        let observed = |(member, entry): (&MemberId, &RosterEntry)| {
            let report = MemberReport { on_disk: on_disk.clone(), ..MemberReport::default() };
            (*member, Observed { heard_ms_ago: 0, boot: entry.boot, volume_id: String::new(), report })
        };
        let members = machine.roster.iter().map(observed).collect();
        Observations { members, leader_for_ms: 60_000, ..Observations::default() }
    }

    fn planned(machine: &Machine, observations: &Observations) -> Vec<Command> {
        plan(machine, observations, &Roll::call(machine, observations))
    }

    #[test]
    fn nothing_moves_where_a_member_cannot_carry_it_out() {
        let machine = machine(20, 1);
        assert_eq!(planned(&machine, &observations(&machine, None)), []);
        assert!(!planned(&machine, &observations(&machine, Some(Vec::new()))).is_empty());
    }

    #[test]
    fn what_is_fair_stays() {
        let machine = machine(20, 0);
        assert_eq!(planned(&machine, &observations(&machine, Some(Vec::new()))), []);
    }

    #[test]
    fn moves_to_one_member_and_all_of_them_are_bounded() {
        for (come, expected) in [(1, MOVES_TO_EACH), (2, MOVES_AT_A_TIME), (5, MOVES_AT_A_TIME)] {
            let machine = machine(60, come);
            let commands = planned(&machine, &observations(&machine, Some(Vec::new())));
            let moves = commands.iter().filter(|command| matches!(command, Command::Move { .. })).count();
            assert_eq!(moves, expected, "{come}");
        }
    }

    #[test]
    fn repair_goes_first_and_who_is_away_is_waited_for() {
        let mut missing = machine(20, 1);
        missing.table.partitions[3].replicas[1].synced = false;
        assert_eq!(planned(&missing, &observations(&missing, Some(Vec::new()))), []);
        let machine = machine(20, 1);
        let mut observations = observations(&machine, Some(Vec::new()));
        observations.members.get_mut(&member(1)).unwrap().heard_ms_ago = 5_000;
        assert_eq!(planned(&machine, &observations), []);
    }

    #[test]
    fn a_source_goes_by_the_word_of_the_receiver_s_disk() {
        let mut machine = machine(3, 1);
        let partition = PartitionId(1);
        let entry = &mut machine.table.partitions[1];
        entry.replicas.push(Replica { member: member(2), boot: Boot(1), synced: true });
        entry.changed = TableVersion(5);
        let (backup, primary) = (entry.replicas[1].member, entry.replicas[0].member);
        machine.moves.copies.insert(partition, Move { from: backup, to: member(2) });
        let told = |machine: &Machine, at| observations(machine, Some(vec![(partition, TableVersion(at))]));
        let ends = |commands: Vec<Command>| {
            let mut of_it = commands.into_iter();
            of_it.find(|command| matches!(command, Command::Moved { .. } | Command::Releasing { .. }))
        };
        assert_eq!(ends(planned(&machine, &told(&machine, 4))), None, "of an older change of the entry");
        let table_version = TableVersion(5);
        let moved = Command::Moved { partition, from: backup, table_version };
        assert_eq!(ends(planned(&machine, &told(&machine, 5))), Some(moved));
        // A primary gives its place before it goes.
        machine.moves.copies.insert(partition, Move { from: primary, to: member(2) });
        let releasing = Command::Releasing { partition, to: member(2), table_version };
        assert_eq!(ends(planned(&machine, &told(&machine, 5))), Some(releasing));
    }

    #[test]
    fn a_release_that_lasts_is_taken_back_and_not_tried_at_once() {
        let mut machine = machine(2, 0);
        machine.table.partitions[1].replicas.swap(0, 1);
        let (partition, table_version) = (PartitionId(0), TableVersion(1));
        let mut watch = Watch::default();
        let mut at = |machine: &Machine, now| {
            let releases = watch.observe_releases(machine, now);
            planned(machine, &Observations { releases, ..observations(machine, Some(Vec::new())) })
        };
        let releasing = Command::Releasing { partition, to: member(1), table_version };
        assert_eq!(at(&machine, 0), std::slice::from_ref(&releasing));
        let mut released = machine.clone();
        released.moves.releasing.insert(partition, Release { to: member(1), changed: table_version });
        assert_eq!(at(&released, 100), []);
        assert_eq!(at(&released, 99 + RELEASE_WITHIN_MS), []);
        assert_eq!(at(&released, 100 + RELEASE_WITHIN_MS), [Command::KeepPrimary { partition, table_version }]);
        let over = 200 + RELEASE_WITHIN_MS;
        let others = |commands: Vec<Command>| commands.into_iter().filter(|c| *c == releasing).count();
        assert_eq!(others(at(&machine, over)), 0);
        assert_eq!(others(at(&machine, over + RELEASE_AGAIN_AFTER_MS - 1)), 0);
        assert_eq!(others(at(&machine, over + RELEASE_AGAIN_AFTER_MS)), 1);
    }

    #[test]
    fn after_a_release_that_succeeded_the_next_one_need_not_wait() {
        let mut machine = machine(2, 0);
        machine.table.partitions[1].replicas.swap(0, 1);
        let (partition, changed) = (PartitionId(0), TableVersion(4));
        let mut watch = Watch::default();
        machine.moves.releasing.insert(partition, Release { to: member(1), changed });
        machine.table.partitions[0].changed = changed;
        assert_eq!(watch.observe_releases(&machine, 0).len(), 1);
        machine.moves.releasing.clear();
        machine.table.partitions[0].changed = TableVersion(5);
        assert_eq!(watch.observe_releases(&machine, 100).len(), 1, "it came to nothing");
        machine.table.partitions[0].installed = TableVersion(5);
        assert_eq!(watch.observe_releases(&machine, 200), []);
    }
}

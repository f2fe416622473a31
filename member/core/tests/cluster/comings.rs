//! Members that come and go, copies that move: what members do for it, who asks for it, and the laws.
//!
//! Law: whoever gave a copy away forgets it at once, RAM and disk, and who is gone never comes back. Must not know: which
//! copies should move.

use std::collections::{BTreeMap, BTreeSet};

use jet_core::moves::{MOVES_AT_A_TIME, RELEASES_AT_A_TIME};
use jet_core::recovery::HeldEpoch;
use jet_core::report::Observations;
use jet_core::roster::{Founder, RosterEntry};
use jet_core::supervisor::voting::{Step, Voting, step};
use jet_core::{
    ClusterState, Command, Digest, Machine, MemberId, Outcome, PartitionEntry, PartitionId, TableVersion, apply,
};

use crate::node::Node;
use crate::world::{Rule, World};

/// Members beside the founders, at most.
const MOST_COME: usize = 3;

/// What the world has met, and what it remembers of it.
#[derive(Default)]
pub struct Seen {
    pub came: u64,
    pub went: u64,
    pub moved: u64,
    pub handed_over: u64,
    /// Moves that a stop or a change of state found under way.
    pub halted: u64,
    /// What was acknowledged when a copy came in step.
    in_step: BTreeMap<(PartitionId, MemberId), BTreeSet<u64>>,
}

impl Seen {
    /// What a crash of all took is gone.
    pub fn forget_after(&mut self, command: &Command) {
        if let Command::RecoverTable {} = command {
            self.in_step.clear();
        }
    }
}

impl Node {
    /// It answers nobody for this partition.
    pub fn has_closed(&self, partition: PartitionId) -> bool {
        let changed = self.machine.table.entry(partition).map(|entry| entry.changed);
        self.closed.get(&partition).is_some_and(|closed| Some(*closed) == changed)
    }

    /// Closed, and every copy has all that was ordered.
    pub fn released(&self) -> BTreeMap<PartitionId, TableVersion> {
        let all_have_it = |(partition, changed): &(&PartitionId, &TableVersion)| {
            let version = self.ram.get(partition).map(|copy| copy.version);
            self.has_closed(**partition)
                && self.confirmed.get(partition).copied() == version.map(|version| (version, **changed))
        };
        self.closed.iter().filter(all_have_it).map(|(partition, changed)| (*partition, *changed)).collect()
    }

    /// Copies that came by a move and are on disk. `anyway`: or only in RAM.
    pub fn on_disk(&self, anyway: bool) -> Vec<(PartitionId, TableVersion)> {
        let mine = self.machine.moves.copies.iter().filter(|(_, moving)| moving.to == self.id);
        let durable = mine.filter_map(|(partition, _)| {
            let entry = self.machine.table.entry(*partition)?;
            let (changed, version) = *self.in_step.get(partition).filter(|(changed, _)| *changed == entry.changed)?;
            let has = self.disk.copies.get(partition).is_some_and(|copy| copy.version >= version);
            (has || anyway).then_some((*partition, changed))
        });
        durable.collect()
    }

    /// Nothing of earlier snapshots belongs to who has just been admitted.
    pub fn join_with_nothing(&mut self) {
        if !self.machine.membership.joining.contains(&self.id) {
            return;
        }
        for job in self.machine.jobs.values() {
            for known in job.snapshot.iter().chain(&job.durable) {
                let held = HeldEpoch { job: job.id, execution: known.execution, epoch: known.epoch };
                self.disk.epochs.insert(held, known.record.clone());
            }
        }
    }
}

impl World {
    pub fn is_of_the_roster(&self, i: usize) -> bool {
        !self.settings.moves || self.machine.roster.contains_key(&self.nodes[i].id)
    }

    /// Of the roster, or blank and waiting to be.
    pub fn is_of_cluster(&self, i: usize) -> bool {
        let left = self.machine.membership.left.contains_key(&self.nodes[i].id);
        !self.settings.moves || !left
    }

    /// The log reaches it: also what made it a member no more.
    pub fn is_told(&self, i: usize) -> bool {
        let left = self.machine.membership.left.get(&self.nodes[i].id);
        let knows = left.is_some_and(|left| self.nodes[i].machine.applied >= left.index);
        !self.settings.moves || self.is_of_the_roster(i) || left.is_some() && !knows
    }

    /// What a member does beside the table, in its own time and not when it reads its log again: notes what came in step, and forgets what it gave away.
    pub fn obey_moves(&mut self, i: usize, command: &Command) {
        let node = &mut self.nodes[i];
        if let Command::Moved { partition, from, .. } = command
            && *from == node.id
            && node.counts()
        {
            node.ram.remove(partition);
            node.disk.copies.remove(partition);
            node.disk.halves.remove(partition);
        }
        let mine = node.machine.moves.copies.iter().filter(|(_, moving)| moving.to == node.id);
        for (partition, _) in mine {
            let Some(entry) = node.machine.table.entry(*partition) else { continue };
            let here = entry.replica(node.id).is_some_and(|place| place.synced && place.boot == node.disk.boot);
            let known = node.in_step.get(partition).is_some_and(|(changed, _)| *changed == entry.changed);
            if let Some(copy) = node.ram.get(partition).filter(|_| here && !known) {
                node.in_step.insert(*partition, (entry.changed, copy.version));
            }
        }
        if self.machine.membership.left.contains_key(&self.nodes[i].id) && self.nodes[i].put_aside {
            self.nodes[i].crash();
        }
    }

    pub fn release(&mut self, i: usize, partition: PartitionId, changed: TableVersion) {
        let node = &mut self.nodes[i];
        if self.without == Some(Rule::WordOfThePrimary) {
            let (member, boot) = (node.id, node.disk.boot);
            self.proposals.push(Command::Released { partition, member, boot, table_version: changed });
            return;
        }
        node.closed.insert(partition, changed);
    }

    /// Who is asked for, and who is let go.
    pub fn come_and_go(&mut self) {
        if !self.settings.moves {
            return;
        }
        let by_hand = matches!(self.machine.state, ClusterState::Frozen | ClusterState::NoMigration);
        let begun = self.machine.open_operation().filter(|op| op.step == jet_core::OperationStep::Begun);
        if let Some(op) = begun.filter(|_| by_hand && self.quiet) {
            // Nobody fills lost copies in these states, and the stop would wait for them to its end.
            self.proposals.push(Command::Abort { op: op.id.clone(), reason: "copies are missing".into() });
        }
        if by_hand && (self.quiet || self.dice.percent(3)) {
            let (state, absent) = (jet_core::Settled::Active, Vec::new());
            self.proposals.push(Command::SetState { state, absent });
        }
        if self.quiet || self.machine.state != ClusterState::Active {
            return;
        }
        if self.dice.permille(15) && self.nodes.len() < self.settings.members as usize + MOST_COME {
            let mut node = Node::new(self.nodes.len() as u32);
            node.start();
            self.nodes.push(node);
        }
        for i in self.settings.members as usize..self.nodes.len() {
            let node = &self.nodes[i];
            let asks = node.up && !self.machine.roster.contains_key(&node.id) && node.disk.opened.0 == 0;
            if asks && self.dice.percent(10) {
                let entry =
                    RosterEntry { ordinal: node.ordinal, boot: node.disk.boot, volume_id: node.volume(), log_line: 1 };
                let member = Founder { member: node.id, entry };
                let (opened, permit_digest) = (node.disk.opened, Digest("p".into()));
                self.proposals.push(Command::Admit { member, opened, permit_digest });
            }
        }
        if self.dice.permille(8) {
            let at = self.dice.below(self.nodes.len());
            self.proposals.push(Command::Leave { member: self.nodes[at].id });
        }
        // Somebody is in a hurry.
        let leaving = self.machine.membership.leaving.iter().next().copied();
        if let Some(member) = leaving.filter(|_| self.dice.percent(3)) {
            self.proposals.push(Command::Left { member });
        }
        // What a leader would do that does not look whether the copy is there.
        let blind = self.without == Some(Rule::MovedLeavesEnough);
        if let Some((partition, moving)) = self.machine.moves.copies.iter().next().filter(|_| blind)
            && self.dice.percent(10)
        {
            let changed = self.machine.table.entry(*partition).map(|entry| entry.changed).unwrap_or_default();
            let (partition, from) = (*partition, moving.from);
            self.proposals.push(Command::Moved { partition, from, table_version: changed });
        }
        if self.dice.permille(10)
            && let Some((partition, release)) = self.machine.moves.releasing.iter().next()
        {
            self.proposals.push(Command::KeepPrimary { partition: *partition, table_version: release.changed });
        }
        if self.dice.permille(10) {
            let state = if self.dice.percent(50) { jet_core::Settled::Frozen } else { jet_core::Settled::NoMigration };
            self.proposals.push(Command::SetState { state, absent: Vec::new() });
        }
    }

    /// What the leader does about votes; here consensus always has the voters that the machine wants.
    pub fn vote(&mut self, leader: usize, observations: &Observations) -> Vec<Command> {
        if !self.settings.moves {
            return Vec::new();
        }
        let (machine, me) = (&self.nodes[leader].machine, self.nodes[leader].id);
        let voters = machine.voters();
        let learners = machine.roster.keys().filter_map(|member| machine.as_voter(*member));
        let learners = learners.filter(|voter| !voters.contains(voter)).collect();
        let voting = Voting { halves: vec![voters], learners, committed: true };
        match step(machine, observations, me, &voting) {
            Some(Step::Propose(command)) => vec![command],
            _ => Vec::new(),
        }
    }

    /// Nobody is coming or going, nothing moves, and nothing should.
    pub fn has_come_to_rest(&self) -> bool {
        if !self.settings.moves {
            return true;
        }
        let Machine { membership, moves, table, .. } = &self.machine;
        let candidates = self.machine.candidates();
        let fair = jet_core::partition::assign::is_fair(&table.lists(), &candidates, self.machine.copies_wanted());
        membership.joining.is_empty() && membership.leaving.is_empty() && moves.are_none() && fair
            || self.machine.open_operation().is_some()
    }

    pub fn moves_are_lawful(&mut self, before: &Machine, command: &Command) -> Result<(), String> {
        if !self.settings.moves {
            return Ok(());
        }
        let machine = &self.machine;
        let (copies, hand_overs) = (machine.moves.copies.len(), machine.moves.releasing.len());
        if copies > MOVES_AT_A_TIME || hand_overs > RELEASES_AT_A_TIME {
            return Err(format!("{copies} copies move, {hand_overs} are handed over"));
        }
        let numbers: BTreeSet<_> = machine.roster.values().map(|entry| entry.ordinal).collect();
        if numbers.len() != machine.roster.len() {
            return Err("two members have one number".into());
        }
        if machine.state != ClusterState::Active || machine.open_operation().is_some() {
            self.nothing_moves()?;
        }
        let seen = &mut self.truth_of_run.moves;
        match command {
            Command::Synced { partition, member, .. } if !counted(before, *partition, *member) => {
                let acked = self.truth_of_run.acked.get(partition).cloned().unwrap_or_default();
                self.truth_of_run.moves.in_step.insert((*partition, *member), acked);
            }
            Command::Begin { .. } | Command::SetState { .. } if !before.moves.are_none() => seen.halted += 1,
            Command::Released { .. } => seen.handed_over += 1,
            Command::Opened { member, .. } if before.membership.joining.contains(member) => seen.came += 1,
            Command::Left { member } => {
                seen.went += 1;
                self.nothing_is_left_with(before, *member)?;
            }
            Command::Moved { partition, .. } => {
                seen.moved += 1;
                self.enough_is_left(before, *partition)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn nothing_moves(&self) -> Result<(), String> {
        let machine = &self.machine;
        if !machine.moves.releasing.is_empty() {
            return Err(format!("a primary is to give its place while {}", machine.state));
        }
        let on_its_way = |(partition, _): &(&PartitionId, _)| {
            let entry = machine.table.entry(**partition);
            let moving = machine.moves.copies.get(partition);
            let to = entry.zip(moving).and_then(|(entry, moving)| entry.replica(moving.to));
            // One that was in step and was started anew is filled again.
            to.is_some_and(|to| !to.synced && !self.truth_of_run.moves.in_step.contains_key(&(**partition, to.member)))
        };
        match machine.moves.copies.iter().find(on_its_way) {
            Some((partition, _)) => Err(format!("partition {partition} moves while {}", machine.state)),
            None => Ok(()),
        }
    }

    fn nothing_is_left_with(&self, before: &Machine, member: MemberId) -> Result<(), String> {
        let holds = |entry: &PartitionEntry| entry.replicas.is_empty() || entry.replica(member).is_some();
        match before.table.entries().find(|(_, entry)| holds(entry)) {
            Some((partition, _)) => Err(format!("{member} has left with partition {partition}")),
            None => Ok(()),
        }
    }

    /// As many copies as there should be, in processes that are the recorded ones; the new one on its disk.
    fn enough_is_left(&self, before: &Machine, partition: PartitionId) -> Result<(), String> {
        let Some(entry) = self.machine.table.entry(partition) else { return Ok(()) };
        let stay = |member: &&MemberId| {
            let Machine { membership, .. } = &self.machine;
            !membership.joining.contains(member) && !membership.leaving.contains(member)
        };
        let stay = self.machine.roster.keys().filter(stay).count();
        let wanted = 1 + usize::from(self.settings.backups).min(stay.saturating_sub(1));
        let counted = entry.replicas.iter().filter(|replica| {
            let recorded = self.machine.roster.get(&replica.member).map(|entry| entry.boot);
            replica.synced && recorded == Some(replica.boot)
        });
        let counted = counted.count();
        if counted < wanted {
            return Err(format!("partition {partition} has {counted} of {wanted} copies after a move"));
        }
        let Some(moving) = before.moves.copies.get(&partition) else { return Ok(()) };
        let node = &self.nodes[self.index_of(moving.to)];
        let has: BTreeSet<u64> =
            node.disk.copies.get(&partition).map(|copy| copy.data.iter().copied().collect()).unwrap_or_default();
        let acked = self.truth_of_run.acked.get(&partition);
        let in_step = self.truth_of_run.moves.in_step.get(&(partition, moving.to));
        let lacks = in_step
            .into_iter()
            .flatten()
            .find(|write| !has.contains(*write) && acked.is_some_and(|acked| acked.contains(*write)));
        match lacks {
            Some(write) => {
                Err(format!("partition {partition} left its source, and the disk it moved to lacks {write}"))
            }
            None => Ok(()),
        }
    }
}

fn counted(machine: &Machine, partition: PartitionId, member: MemberId) -> bool {
    let place = machine.table.entry(partition).and_then(|entry| entry.replica(member));
    place.is_some_and(|place| place.synced)
}

/// A machine without a rule of this room. `None`: the rule is not of this room, or does not matter here.
pub fn mutated(machine: &mut Machine, index: u64, command: &Command, without: Option<Rule>) -> Option<Outcome> {
    let done = |machine: &mut Machine| {
        machine.applied = index;
        Outcome::Done { index, what: "without a rule".into() }
    };
    match (without?, command) {
        (Rule::MovedLeavesEnough, Command::Moved { partition, from, table_version }) => {
            let mut judged = machine.clone();
            let outcome = apply(&mut judged, index, command.clone());
            let fits = machine.table.entry(*partition).is_some_and(|entry| {
                entry.changed == *table_version && entry.primary().is_some_and(|primary| primary.member != *from)
            });
            if outcome.is_done() || !fits {
                *machine = judged;
                return Some(outcome);
            }
            let next = machine.table.version.next();
            let entry = machine.table.partitions.get_mut(usize::from(partition.0))?;
            entry.replicas.retain(|replica| replica.member != *from);
            entry.changed = next;
            machine.table.version = next;
            machine.moves.copies.remove(partition);
            Some(done(machine))
        }
        (Rule::HaltedByAStop, Command::Begin { .. } | Command::SetState { .. }) => {
            let (table, moves) = (machine.table.clone(), machine.moves.clone());
            let outcome = apply(machine, index, command.clone());
            (machine.table, machine.moves) = (table, moves);
            Some(outcome)
        }
        (Rule::LeftHoldsNothing, Command::Left { member }) if machine.membership.leaving.contains(member) => {
            machine.membership.leaving.remove(member);
            let entry = machine.roster.remove(member)?;
            machine.voters.members.remove(member);
            machine.membership.left.insert(*member, jet_core::membership::Left { ordinal: entry.ordinal, index });
            Some(done(machine))
        }
        _ => None,
    }
}

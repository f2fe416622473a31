//! What this member is to do now.
//!
//! Law: close before anything else, open after everything else. Must not know: how an action is done.

use std::collections::BTreeMap;

use super::{Access, Action, Copying, Doors, LocalFacts, OwnSeal};
use crate::cluster_state::{ClusterState, RecoveringFrom};
use crate::command::Command;
use crate::ids::{Boot, MemberId, PartitionId, Version};
use crate::machine::{Machine, RuntimeGeneration};
use crate::operation::{Operation, OperationStep};
use crate::safety;

/// Copies that a primary makes at a time.
pub const COPIES_AT_A_TIME: usize = 8;
/// Copies that it makes to one receiver whatever the others have begun: one that takes none keeps its places for as long as
/// it stands in the table, and must not keep those of all.
pub const COPIES_TO_EACH: usize = 2;

/// Actions of `me`, in the order in which they are to be begun.
pub fn plan(machine: &Machine, me: MemberId, facts: &LocalFacts) -> Vec<Action> {
    let own = Own { machine, me, facts };
    let wanted = doors(machine, me, facts.boot);
    let mut actions = Vec::new();
    if wanted > facts.doors {
        actions.push(Action::SetDoors(wanted));
    }
    own.runtime(&mut actions);
    own.has_left(&mut actions);
    if own.is_of_the_roster() {
        own.contents(&mut actions);
        own.state(&mut actions);
        own.copies(&mut actions);
        own.releases(&mut actions);
    }
    if wanted < facts.doors {
        actions.push(Action::SetDoors(wanted));
    }
    actions
}

/// Why `me` cannot seal for the stop that waits for its seal; it was started again in the middle of it.
pub fn why_not_seal(machine: &Machine, me: MemberId, facts: &LocalFacts) -> Option<String> {
    let ClusterState::Passive { held_by: Some(op) } = &machine.state else { return None };
    let operation = machine.operation(op).filter(|operation| operation.step < OperationStep::Committed)?;
    let expected = operation.quiesced.as_ref()?.members.get(&me)?;
    let found = facts.loaded.as_ref().filter(|_| facts.sealed.is_none() && facts.access == Access::Read)?;
    let counts = machine.roster.get(&me).is_some_and(|entry| entry.boot == facts.boot);
    (!counts && found != expected).then(|| {
        format!("the end of stop {op} at its deadline: started again, this member has {found} on its disk, and {expected} was agreed to be sealed")
    })
}

/// Doors of `me` as the committed state wants them. Whose boot is not the recorded one holds nothing that counts.
pub fn doors(machine: &Machine, me: MemberId, boot: Boot) -> Doors {
    let counts = machine.roster.get(&me).is_some_and(|entry| entry.boot == boot);
    let returning = machine.open_operation().is_some_and(|operation| operation.step >= OperationStep::Committed);
    match &machine.state {
        _ if !counts || returning => Doors::ClosedForAll,
        ClusterState::Active | ClusterState::NoMigration | ClusterState::Frozen => Doors::Open,
        ClusterState::Passive { held_by: None } => Doors::ClosedForWriters,
        ClusterState::InTransition { .. } if terminals_missing(machine) => Doors::ClosedForWriters,
        _ => Doors::ClosedForAll,
    }
}

fn terminals_missing(machine: &Machine) -> bool {
    machine.open_operation().is_some_and(|operation| !safety::terminals_missing(machine, operation).is_empty())
}

/// Whether one more copy to this receiver may be begun beside those that are.
fn has_room(begun: &BTreeMap<MemberId, usize>, to: MemberId) -> bool {
    begun.values().sum::<usize>() < COPIES_AT_A_TIME || begun.get(&to).copied().unwrap_or_default() < COPIES_TO_EACH
}

struct Own<'a> {
    machine: &'a Machine,
    me: MemberId,
    facts: &'a LocalFacts,
}

impl Own<'_> {
    fn is_of_the_roster(&self) -> bool {
        self.machine.roster.contains_key(&self.me)
    }

    /// RAM of this process is what the roster records.
    fn counts(&self) -> bool {
        self.machine.roster.get(&self.me).is_some_and(|entry| entry.boot == self.facts.boot)
    }

    fn wanted_runtime(&self) -> Option<&RuntimeGeneration> {
        let runs = match &self.machine.state {
            ClusterState::InTransition { .. } => terminals_missing(self.machine),
            other => other.settled().is_some_and(|state| state.runs_jobs()),
        };
        self.machine.runtime.as_ref().filter(|runtime| runs && self.counts() && runtime.members.contains(&self.me))
    }

    fn runtime(&self, actions: &mut Vec<Action>) {
        let wanted = self.wanted_runtime();
        match (self.facts.runtime, wanted) {
            (Some(present), wanted) if wanted.map(|runtime| runtime.number) != Some(present) => {
                actions.push(Action::StopRuntime)
            }
            (None, Some(runtime)) => actions.push(Action::StartRuntime(runtime.clone())),
            _ => {}
        }
    }

    /// Contents are told only when nothing can change them: doors closed, engine stopped.
    fn contents(&self, actions: &mut Vec<Action>) {
        let wanted = match &self.machine.state {
            ClusterState::InTransition { op } if self.counts() && !terminals_missing(self.machine) => {
                self.machine.operation(op).map(|o| (o.id.clone(), o.attempt))
            }
            _ => None,
        };
        let still = self.facts.doors == Doors::ClosedForAll && self.facts.runtime.is_none();
        match wanted {
            Some((op, attempt)) if still && self.facts.reports_contents != Some((op.clone(), attempt)) => {
                actions.push(Action::ReportContents { op, attempt })
            }
            None if self.facts.reports_contents.is_some() => actions.push(Action::WithdrawContents),
            _ => {}
        }
    }

    fn state(&self, actions: &mut Vec<Action>) {
        match &self.machine.state {
            ClusterState::Passive { held_by: Some(op) } => {
                if let Some(operation) =
                    self.machine.operation(op).filter(|operation| operation.step < OperationStep::Committed)
                {
                    self.seal(operation, actions);
                }
            }
            ClusterState::Recovering { .. } => self.recover(actions),
            ClusterState::Activating { generation, opened, .. } if self.counts() => {
                // Opened by the process before this one, it is opened again: who serves must have a store that takes it.
                if self.facts.opened < *generation || self.facts.access < Access::Written {
                    actions.push(Action::OpenGeneration(*generation));
                } else if opened.get(&self.me) != Some(&self.facts.boot) {
                    actions.push(Action::Propose(Command::Opened {
                        member: self.me,
                        boot: self.facts.boot,
                        generation: *generation,
                    }));
                }
            }
            other => {
                if self.counts() && other.runs() {
                    self.write_on(actions);
                }
            }
        }
    }

    /// The cluster runs: the store takes what changes, but only behind RAM that has all that lies in it. Else a process
    /// that was started again would write over copies that nobody else may have. A store that was put back in time is
    /// left as it is, its seal too: written to, it would still be of its old generation, and no crash be recovered from.
    fn write_on(&self, actions: &mut Vec<Action>) {
        if self.joins(actions) {
            return;
        }
        let restored = self.facts.holds.as_ref().and_then(|store| store.restored.as_ref());
        if safety::why_not_take_part(self.machine, self.facts.opened, restored).is_some() {
            return;
        }
        match (&self.facts.sealed, self.facts.access) {
            (_, Access::Unread) if self.facts.holds.is_some() => actions.push(Action::LoadStore),
            (Some(seal), Access::Read | Access::Written) => actions.push(Action::VoidSeal { op: seal.op.clone() }),
            (None, Access::Read) if self.facts.opened == self.machine.generation => {
                actions.push(Action::OpenGeneration(self.machine.generation));
            }
            _ => {}
        }
    }

    /// A blank store of a member that was admitted opens the generation that runs; from then on it may be given something.
    fn joins(&self, actions: &mut Vec<Action>) -> bool {
        let blank = self.facts.holds.as_ref().is_some_and(|store| {
            store.seal.is_none() && store.partitions.iter().all(|held| held.is_none_or(|v| v == Version::default()))
        });
        if !self.machine.membership.joining.contains(&self.me) || !blank {
            return false;
        }
        let generation = self.machine.generation;
        match self.facts.access {
            Access::Unread => actions.push(Action::LoadStore),
            _ if self.facts.opened < generation => actions.push(Action::OpenGeneration(generation)),
            Access::Read => actions.push(Action::OpenGeneration(generation)),
            Access::Written => {
                let (member, boot) = (self.me, self.facts.boot);
                actions.push(Action::Propose(Command::Opened { member, boot, generation }));
            }
        }
        true
    }

    fn has_left(&self, actions: &mut Vec<Action>) {
        if let Some(left) = self.machine.membership.left.get(&self.me).filter(|_| !self.facts.put_aside) {
            actions.push(Action::PutAside { index: left.index });
        }
    }

    /// What it is to hand over it answers nobody for, and says so when that is so.
    fn releases(&self, actions: &mut Vec<Action>) {
        for (partition, release) in &self.machine.moves.releasing {
            let changed = release.changed;
            let leads = self.machine.table.entry(*partition).is_some_and(|entry| {
                entry.primary().is_some_and(|primary| primary.member == self.me && primary.boot == self.facts.boot)
            });
            let partition = *partition;
            if leads && self.facts.released.get(&partition) == Some(&changed) {
                let (member, boot) = (self.me, self.facts.boot);
                let word = Command::Released { partition, member, boot, table_version: changed };
                actions.push(Action::Propose(word));
            } else if leads {
                actions.push(Action::Release { partition, changed });
            }
        }
    }

    fn seal(&self, operation: &Operation, actions: &mut Vec<Action>) {
        let Some(quiesced) = &operation.quiesced else { return };
        let Some(expected) = quiesced.members.get(&self.me) else { return };
        if self.knows_later(operation) {
            return;
        }
        let current =
            self.facts.sealed.as_ref().filter(|seal| seal.op == operation.id && seal.attempt == operation.attempt);
        if let Some(seal) = current {
            if operation.seals.get(&self.me).is_none_or(|known| known.digest != seal.record.digest) {
                let seal = seal.record.clone();
                actions.push(Action::Propose(Command::Sealed {
                    op: operation.id.clone(),
                    attempt: operation.attempt,
                    member: self.me,
                    seal,
                }));
            }
        } else if self.facts.access == Access::Unread {
            // Started again in the middle of the stop: its disk may hold all of it.
            actions.push(Action::LoadStore);
        } else if self.counts() || self.facts.loaded.as_ref() == Some(expected) {
            actions.push(Action::Seal {
                op: operation.id.clone(),
                attempt: operation.attempt,
                generation: self.machine.generation,
                quiesced_index: quiesced.index,
                content_digest: expected.clone(),
            });
        } else if self.facts.loaded.is_none() {
            actions.push(Action::LoadStore);
        }
    }

    /// The store tells of later decisions than the log, which is still read again after a start: what is old here by now
    /// seals nothing over them.
    fn knows_later(&self, operation: &Operation) -> bool {
        let later = |seal: &OwnSeal| (seal.op.seq, seal.attempt) > (operation.id.seq, operation.attempt);
        self.facts.opened > self.machine.generation || self.facts.sealed.as_ref().is_some_and(later)
    }

    fn recover(&self, actions: &mut Vec<Action>) {
        let ClusterState::Recovering { from, rejoined, loaded, .. } = &self.machine.state else { return };
        let boot = self.facts.boot;
        if let RecoveringFrom::Sealed { op, .. } = from {
            let sealed = self.machine.operation(op).and_then(|operation| operation.seals.get(&self.me));
            if sealed.is_none_or(|seal| boot <= seal.boot) {
                return;
            }
        }
        let back = rejoined.get(&self.me).is_some_and(|rejoin| rejoin.boot == boot);
        if let Some(store) = self.facts.holds.as_ref().filter(|_| !back) {
            let (volume_id, store) = (self.facts.volume_id.clone(), store.clone());
            actions.push(Action::Propose(Command::Rejoined { member: self.me, boot, volume_id, store }));
        }
        match self.facts.loaded.clone() {
            Some(content_digest) if back && !loaded.contains(&self.me) => {
                actions.push(Action::Propose(Command::Loaded { member: self.me, boot, content_digest }));
            }
            None if self.facts.holds.is_some() => actions.push(Action::LoadStore),
            _ => {}
        }
    }

    /// Copies under way, by receiver. One under an older table is as good as dropped and takes no room.
    fn begun(&self) -> BTreeMap<MemberId, usize> {
        let current = |(at, copying): &(&(PartitionId, MemberId), &Copying)| {
            !copying.complete && self.machine.table.entry(at.0).is_some_and(|entry| entry.changed == copying.changed)
        };
        let mut begun = BTreeMap::new();
        for ((_, to), _) in self.facts.copies.iter().filter(current) {
            *begun.entry(*to).or_default() += 1;
        }
        begun
    }

    fn copies(&self, actions: &mut Vec<Action>) {
        let moves = match &self.machine.state {
            ClusterState::Recovering { table_recovered, .. } => *table_recovered,
            ClusterState::InTransition { .. } => true,
            other => other.settled().is_some(),
        };
        if !moves || !self.counts() {
            return;
        }
        let mut begun = self.begun();
        for (partition, entry) in self
            .machine
            .table
            .entries()
            .filter(|(_, entry)| entry.primary().is_some_and(|primary| primary.member == self.me))
        {
            for replica in entry.replicas.iter().filter(|replica| !replica.synced) {
                let (to, boot, changed) = (replica.member, replica.boot, entry.changed);
                let copying = self
                    .facts
                    .copies
                    .get(&(partition, to))
                    .filter(|copying| copying.boot == boot && copying.changed == changed);
                match copying {
                    Some(copying) if copying.complete => {
                        actions.push(Action::Propose(Command::Synced {
                            partition,
                            member: to,
                            boot,
                            table_version: changed,
                        }));
                    }
                    None if has_room(&begun, to) => {
                        *begun.entry(to).or_default() += 1;
                        actions.push(Action::ShipPartition { partition, to, boot, changed });
                    }
                    _ => {}
                }
            }
        }
    }
}

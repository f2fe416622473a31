//! The whole roster leaves a recovery.
//!
//! Law: a cluster that has lost its RAM, or was stopped, goes on when every member of its roster has been there since, and
//! whoever is there has opened the generation that it goes on in. Must not know: why it recovers.

use std::collections::BTreeSet;

use jet_core::{ClusterState, LogIndex, MemberId};

use super::{Shown, Violated};

/// The recovery that was seen last.
#[derive(Default)]
pub struct Roster {
    /// Who was there since.
    seen: BTreeSet<MemberId>,
    recovers: bool,
    /// What was seen last: where whoever had applied most is gone, the others show what was before.
    upto: LogIndex,
}

impl Roster {
    /// Looks at the newest machine.
    pub fn look(&mut self, shown: &[Shown]) -> Result<(), Violated> {
        let Some(newest) = shown.iter().max_by_key(|one| one.machine.applied) else { return Ok(()) };
        let machine = &newest.machine;
        if machine.applied < self.upto {
            return Ok(());
        }
        self.upto = machine.applied;
        match &machine.state {
            ClusterState::Recovering { .. } => {
                if !self.recovers {
                    self.seen.clear();
                }
                self.recovers = true;
                self.seen.extend(shown.iter().map(|one| one.member));
            }
            ClusterState::Activating { .. } => self.seen.extend(shown.iter().map(|one| one.member)),
            state if state.settled().is_some() && self.recovers => {
                self.recovers = false;
                self.seen.extend(shown.iter().map(|one| one.member));
                let behind = |one: &&Shown| one.opened < machine.generation.0;
                let mut missing: Vec<MemberId> = shown.iter().filter(behind).map(|one| one.member).collect();
                missing.extend(machine.roster.keys().filter(|member| !self.seen.contains(member)));
                if !missing.is_empty() {
                    let missing = missing.iter().map(ToString::to_string).collect();
                    return Err(Violated::WithoutMember { generation: machine.generation.0, missing });
                }
            }
            _ => {}
        }
        Ok(())
    }
}

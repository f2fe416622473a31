//! Nobody is given a place of a copy where no copies are to be made.
//!
//! Law: as long as the cluster is in NO_MIGRATION, FROZEN or PASSIVE by hand, who has a place in a partition had it when that
//! began; and in the latter two nobody takes over from one whose process still may be. Must not know: who has it.

use std::sync::Arc;

use jet_core::{ClusterState, Machine, Replica};

use super::{Shown, Violated};

/// The newest machine that was seen last.
#[derive(Default)]
pub struct Places(Arc<Machine>);

impl Places {
    /// Looks at the newest machine.
    pub fn look(&mut self, shown: &[Shown]) -> Result<(), Violated> {
        let Some(newest) = shown.iter().map(|one| &one.machine).max_by_key(|machine| machine.applied) else {
            return Ok(());
        };
        if newest.applied <= self.0.applied {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.0, newest.clone());
        let kept = newest.state == before.state && newest.state.settled().is_some();
        if !kept || newest.state == ClusterState::Active || newest.generation != before.generation {
            return Ok(());
        }
        let entries = newest.table.entries().zip(&before.table.partitions);
        for ((partition, now), before) in entries.filter(|(_, before)| !before.replicas.is_empty()) {
            let led = before.primary().filter(|led| now.primary().is_none_or(|leads| leads.member != led.member));
            let anew = |led: &Replica| newest.roster.get(&led.member).is_some_and(|entry| entry.boot > led.boot);
            if newest.state != ClusterState::NoMigration && led.is_some_and(|led| !anew(led)) {
                return Err(Violated::TookOver { partition: partition.0, state: newest.state.to_string() });
            }
            if now.replicas.iter().any(|replica| before.replica(replica.member).is_none()) {
                return Err(Violated::NewPlace { partition: partition.0, state: newest.state.to_string() });
            }
        }
        Ok(())
    }
}

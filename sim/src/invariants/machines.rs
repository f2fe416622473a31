//! Equal machines at an equal entry.
//!
//! Law: whoever serves by the machine of an entry serves by the same one, in every process and every life. Must not know:
//! what is in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jet_core::Machine;

use super::{Shown, Violated};

/// Machines that were seen.
#[derive(Default)]
pub struct Machines {
    /// By the entry that made them.
    seen: BTreeMap<u64, Arc<Machine>>,
    last: BTreeMap<usize, u64>,
}

impl Machines {
    /// Looks at those that have moved.
    pub fn look(&mut self, shown: &[Shown]) -> Result<(), Violated> {
        for one in shown {
            let index = one.machine.applied;
            if self.last.insert(one.ordinal, index) == Some(index) {
                continue;
            }
            let known = self.seen.entry(index).or_insert_with(|| one.machine.clone());
            if **known != *one.machine {
                return Err(Violated::MachinesDiffer { index, ordinal: one.ordinal });
            }
        }
        Ok(())
    }
}

//! What counts up does not count down.
//!
//! Law: of the machines that members serve by a later one has no lower generation, table, operation or boot, and no store has
//! opened a generation that the cluster does not open. Must not know: what is counted.

use std::sync::Arc;

use jet_core::{ClusterState, Machine};

use super::{Shown, Violated};

/// The newest machine that was seen.
#[derive(Default)]
pub struct Forward(Arc<Machine>);

impl Forward {
    /// Looks at all machines and stores.
    pub fn look(&mut self, shown: &[Shown]) -> Result<(), Violated> {
        for one in shown {
            if one.machine.applied > self.0.applied {
                let before = std::mem::replace(&mut self.0, one.machine.clone());
                let what = went_back(&before, &self.0).map(|what| (what, one.ordinal));
                what.map_or(Ok(()), |(what, ordinal)| Err(Violated::WentBack { what, ordinal }))?;
            }
        }
        let opens = match &self.0.state {
            ClusterState::Activating { generation, .. } => generation.0,
            _ => self.0.generation.0 + 1,
        };
        match shown.iter().find(|one| one.opened > opens) {
            Some(one) => {
                Err(Violated::WentBack { what: "the generation behind that of a store", ordinal: one.ordinal })
            }
            None => Ok(()),
        }
    }
}

fn went_back(before: &Machine, now: &Machine) -> Option<&'static str> {
    let boot_back = before.roster.iter().any(|(member, entry)| {
        now.roster.get(member).is_none_or(|later| later.boot < entry.boot || later.ordinal != entry.ordinal)
    });
    let rows = [
        ("the generation", now.generation < before.generation),
        ("the table", now.table.version < before.table.version),
        ("the highest operation", now.highest_operation < before.highest_operation),
        ("a boot, or the roster", boot_back),
    ];
    rows.into_iter().find_map(|(what, back)| back.then_some(what))
}

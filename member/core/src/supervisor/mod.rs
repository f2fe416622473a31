//! At the leader: machine and reports → the next commands.
//!
//! Law: it chooses, the machine decides: whatever it proposes too early or twice is refused there. It never chooses
//! loss. Must not know: how commands travel.

use crate::command::Command;
use crate::ids::OperationId;
use crate::machine::Machine;
use crate::report::Observations;

/// How long the present leader has seen the present operation open: the only memory beside the machine.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    since: Option<(OperationId, u64)>,
}

impl Watch {
    /// To be asked before each plan, with the leader's monotonic clock; made anew when leadership is gained.
    pub fn observe(&mut self, machine: &Machine, now_ms: u64) -> Option<(OperationId, u64)> {
        let open = machine.open_operation().map(|op| op.id.clone());
        if self.since.as_ref().map(|(op, _)| op) != open.as_ref() {
            self.since = open.map(|op| (op, now_ms));
        }
        self.since.as_ref().map(|(op, since)| (op.clone(), now_ms.saturating_sub(*since)))
    }
}

/// The next commands, in order.
pub fn plan(_machine: &Machine, _observations: &Observations) -> Vec<Command> {
    Vec::new()
}

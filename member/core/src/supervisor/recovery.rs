//! From lost RAM, or a stop, to the former state.
//!
//! Law: entering recovery is the supervisor's to see, leaving it the machine's to allow. Must not know: deadlines; to
//! wait and say for whom is all that can be done.

use super::presence::{Presence, Roll};
use crate::cluster_state::{ClusterState, RecoveringFrom};
use crate::command::Command;
use crate::machine::Machine;
use crate::safety;

/// Of a settled state: nobody lives, or a partition has no copy in RAM and everybody is back who may have it on disk.
pub(super) fn needed(machine: &Machine, roll: &Roll) -> Option<Command> {
    let absent = !machine.table.absent().is_empty();
    (roll.nobody_lives() || (absent && roll.all_heard())).then(|| Command::Recover { observed: roll.boots(machine) })
}

pub(super) fn plan(machine: &Machine, roll: &Roll) -> Vec<Command> {
    match &machine.state {
        ClusterState::Activating { .. } => {
            let restarted = roll.iter().any(|(_, presence)| matches!(presence, Presence::Anew { .. }));
            if restarted { vec![Command::Recover { observed: roll.boots(machine) }] } else { Vec::new() }
        }
        ClusterState::Recovering { from: RecoveringFrom::Crash, table_recovered: false, .. }
            if safety::why_not_complete(machine).is_empty() =>
        {
            vec![Command::RecoverTable {}]
        }
        ClusterState::Recovering { from: RecoveringFrom::Crash, table_recovered: true, .. }
            if safety::why_not_self_activate(machine).is_empty() =>
        {
            vec![Command::SelfActivate {}]
        }
        ClusterState::Recovering { from: RecoveringFrom::Sealed { op, generation }, .. }
            if safety::why_not_complete(machine).is_empty() =>
        {
            let by_itself = machine.operation(op).is_some_and(|operation| operation.transient);
            let activate = Command::Activate { op: op.clone(), sealed_generation: *generation, wishes: Vec::new() };
            if by_itself { vec![activate] } else { Vec::new() }
        }
        _ => Vec::new(),
    }
}

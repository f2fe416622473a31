//! At the leader: machine and reports → the next commands.
//!
//! Law: it chooses, the machine decides: whatever is proposed too early or twice is refused there. It never chooses
//! loss; where it may only wait, it says for whom. Must not know: how commands travel.
//!
//! | room | duty |
//! |---|---|
//! | [`presence`] | who lives, who runs anew, who is lost |
//! | `recovery` | from lost RAM or a stop to the former state |
//! | `repair` | promotion and new copies |
//! | `operation` | watching a stop, comparing replicas |
//! | `jobs` | runtime generations, durable snapshots |
//! | [`progress`] | what is waited for, in words |

mod jobs;
mod operation;
pub mod presence;
pub mod progress;
mod recovery;
mod repair;

use crate::cluster_state::ClusterState;
use crate::command::Command;
use crate::ids::OperationId;
use crate::machine::Machine;
use crate::report::Observations;
use presence::Roll;
pub use repair::deposed;

/// How long the present leader has seen the present operation open: the only memory beside the machine.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    since: Option<(OperationId, u64)>,
}

impl Watch {
    /// To be asked before each plan, with the leader's monotonic clock; a new leader begins with a new watch.
    pub fn observe(&mut self, machine: &Machine, now_ms: u64) -> Option<(OperationId, u64)> {
        let open = machine.open_operation().map(|op| op.id.clone());
        if self.since.as_ref().map(|(op, _)| op) != open.as_ref() {
            self.since = open.map(|op| (op, now_ms));
        }
        self.since.as_ref().map(|(op, since)| (op.clone(), now_ms.saturating_sub(*since)))
    }
}

/// The next commands, in order. A later one may be refused because of an earlier one; the next plan sees that.
pub fn plan(machine: &Machine, observations: &Observations) -> Vec<Command> {
    let roll = Roll::call(machine, observations);
    // Before everybody was heard or had the time to be, silence proves nothing: a crash of all looks like one return.
    if roll.collecting() {
        return Vec::new();
    }
    if let Some(abort) = operation::abort(machine, observations, &roll) {
        return vec![abort];
    }
    match &machine.state {
        ClusterState::Unfounded => Vec::new(),
        ClusterState::Activating { .. } | ClusterState::Recovering { .. } => recovery::plan(machine, &roll),
        ClusterState::InTransition { .. } => operation::freezing(machine, observations, &roll),
        ClusterState::Passive { held_by: Some(_) } => operation::sealing(machine, &roll),
        _ => settled(machine, observations, &roll),
    }
}

fn settled(machine: &Machine, observations: &Observations, roll: &Roll) -> Vec<Command> {
    if let Some(recover) = recovery::needed(machine, roll) {
        return vec![recover];
    }
    let returned = repair::boots(roll);
    if !returned.is_empty() {
        return returned;
    }
    let mut commands = jobs::lost(machine, observations, roll);
    commands.extend(repair::plan(machine, roll));
    if commands.is_empty() {
        commands.extend(jobs::plan(machine, observations, roll));
    }
    commands.extend(operation::by_itself(machine));
    commands
}

//! At the leader: machine and reports → the next commands.
//!
//! Law: it chooses, the machine decides: whatever is proposed too early or twice is refused there. It never chooses
//! loss; where it may only wait, it says for whom. Must not know: how commands travel.
//!
//! | room | duty |
//! |---|---|
//! | [`presence`] | who lives, who runs anew, who is lost |
//! | [`grants`] | to whom a lease may be granted, under which table |
//! | `recovery` | from lost RAM or a stop to the former state |
//! | `repair` | promotion and new copies |
//! | [`moves`] | copies and primaries that change places |
//! | `operation` | watching a stop, comparing replicas |
//! | `jobs` | runtime generations, durable snapshots |
//! | `request` | stops that nobody takes up |
//! | [`voting`] | who votes in consensus |
//! | [`progress`] | what is waited for, in words |

pub mod grants;
mod jobs;
pub mod moves;
mod operation;
pub mod presence;
pub mod progress;
mod recovery;
mod repair;
mod request;
pub mod voting;

use std::collections::BTreeMap;

use crate::cluster_state::ClusterState;
use crate::command::Command;
use crate::ids::{LogIndex, OperationId, PartitionId, TableVersion};
use crate::machine::Machine;
use crate::report::{Observations, ReleaseSeen};
use presence::Roll;
pub use repair::deposed;

/// How long the present leader has seen the present operation open, the present request waiting, and partitions handed
/// over: the only memory beside the machine.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    since: Option<(OperationId, u64)>,
    asked: Option<(LogIndex, u64)>,
    /// By partition: released by which change, since when, and when that was over.
    releases: BTreeMap<PartitionId, (TableVersion, u64, Option<u64>)>,
}

impl Watch {
    /// To be asked before each plan, with the leader's monotonic clock; a new leader begins with a new watch.
    pub fn observe(&mut self, machine: &Machine, now_ms: u64) -> Option<(OperationId, u64)> {
        counted(&mut self.since, machine.open_operation().map(|op| op.id.clone()), now_ms)
    }

    /// The same, of the stop that was asked for.
    pub fn observe_request(&mut self, machine: &Machine, now_ms: u64) -> Option<(LogIndex, u64)> {
        counted(&mut self.asked, machine.waiting_request().map(|request| request.asked), now_ms)
    }

    /// The same, of hand-overs: those that stand, and those that came to nothing a while ago.
    pub fn observe_releases(&mut self, machine: &Machine, now_ms: u64) -> Vec<ReleaseSeen> {
        for (partition, release) in &machine.moves.releasing {
            if self.releases.get(partition).is_none_or(|(changed, ..)| *changed != release.changed) {
                self.releases.insert(*partition, (release.changed, now_ms, None));
            }
        }
        for (partition, (changed, _, ended)) in &mut self.releases {
            if machine.release(*partition).is_none_or(|release| release.changed != *changed) {
                ended.get_or_insert(now_ms);
            }
        }
        let since = |at: u64| now_ms.saturating_sub(at);
        // Where another leads since, the next one need not wait.
        let came_to_nothing = |partition: PartitionId, changed: TableVersion| {
            machine.table.entry(partition).is_some_and(|entry| entry.installed <= changed)
        };
        self.releases.retain(|partition, (changed, _, ended)| {
            let lately = |at: u64| since(at) < moves::RELEASE_AGAIN_AFTER_MS;
            ended.is_none_or(|at| lately(at) && came_to_nothing(*partition, *changed))
        });
        let seen =
            |(partition, (changed, began, ended)): (&PartitionId, &(TableVersion, u64, Option<u64>))| ReleaseSeen {
                partition: *partition,
                changed: *changed,
                stands: ended.is_none(),
                for_ms: since(ended.unwrap_or(*began)),
            };
        self.releases.iter().map(seen).collect()
    }
}

fn counted<T: Clone + PartialEq>(since: &mut Option<(T, u64)>, now_is: Option<T>, now_ms: u64) -> Option<(T, u64)> {
    if since.as_ref().map(|(known, _)| known) != now_is.as_ref() {
        *since = now_is.map(|it| (it, now_ms));
    }
    since.as_ref().map(|(it, since)| (it.clone(), now_ms.saturating_sub(*since)))
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
    if let Some(lapse) = request::lapse(machine, observations) {
        return vec![lapse];
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
        commands.extend(moves::plan(machine, observations, roll));
        // Moves never pause while there are any; what an engine has told does not wait for their end, and a new one does.
        let begins = commands.is_empty();
        commands.extend(jobs::told(machine, observations, roll));
        if begins {
            commands.extend(jobs::begin(machine, observations, roll));
        }
    }
    commands.extend(operation::by_itself(machine));
    commands
}

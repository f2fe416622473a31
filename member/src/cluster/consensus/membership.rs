//! Who votes in consensus and who learns, as this member's log has it, and how that is changed.
//!
//! Law: what a lease is granted by is every set of voters by which somebody may be elected: those of the last entry that changed
//! them, committed or not, and those that are applied here. A change of which the outcome is not known is looked at again,
//! never repeated blindly. Must not know: who should vote.

use std::collections::BTreeSet;
use std::time::Duration;

use jet_core::supervisor::voting::{Step, Voting};
use openraft::{ChangeMembers, EmptyNode};

use super::Consensus;
use super::types::{Membership, Voter};

/// Time for one change.
const CHANGE: Duration = Duration::from_secs(5);

/// Voters and learners of a membership.
fn halves(membership: &Membership) -> Vec<BTreeSet<jet_core::Voter>> {
    let halves = membership.membership().get_joint_config().iter();
    halves.map(|half| half.iter().copied().map(Into::into).collect()).collect()
}

impl Consensus {
    /// As its log has it.
    pub fn voting(&self) -> Voting {
        let effective = self.raft.metrics().borrow().membership_config.clone();
        let learners = effective.membership().learner_ids().map(Into::into).collect();
        let committed = self.machine.membership().log_id() == effective.log_id();
        Voting { halves: halves(&effective), learners, committed }
    }

    /// Sets of voters of each of which a majority must follow a leader that grants leases.
    pub fn electing(&self) -> Vec<BTreeSet<jet_core::Voter>> {
        let mut all = self.voting().halves;
        for half in halves(&self.machine.membership()) {
            if !all.contains(&half) {
                all.push(half);
            }
        }
        all
    }

    /// Does one step that is no command of the log's; in words what hindered it.
    pub async fn carry(&self, step: Step) -> Result<(), String> {
        let change = async {
            match step {
                Step::Propose(_) => Ok(()),
                Step::Learn(voter) => {
                    self.raft.add_learner(voter.into(), EmptyNode {}, false).await.map(drop).map_err(|e| e.to_string())
                }
                Step::Vote(goal) => {
                    let goal: BTreeSet<Voter> = goal.into_iter().map(Into::into).collect();
                    let change = ChangeMembers::ReplaceAllVoters(goal);
                    self.raft.change_membership(change, true).await.map(drop).map_err(|e| e.to_string())
                }
                Step::Forget(voter) => {
                    let change = ChangeMembers::RemoveNodes(BTreeSet::from([Voter::from(voter)]));
                    self.raft.change_membership(change, true).await.map(drop).map_err(|e| e.to_string())
                }
            }
        };
        tokio::time::timeout(CHANGE, change).await.unwrap_or_else(|_| Err(format!("not committed within {CHANGE:?}")))
    }
}

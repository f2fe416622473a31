//! Who is to vote.
//!
//! Law: one comes, one goes, or both, against the voters that were looked at; never nobody, never more than
//! [`VOTERS_MOST`]. A lost log takes its member's vote with it: what it promised and acknowledged is forgotten there, and
//! a vote under the same line would be given twice. Must not know: who has caught up.

use super::{Answer, already, roster_member, wrong_state};
use crate::cluster_state::ClusterState;
use crate::ids::MemberId;
use crate::machine::Machine;
use crate::outcome::Refused;
use crate::voters::VOTERS_MOST;

pub(super) fn change(machine: &mut Machine, base: u64, add: Option<MemberId>, remove: Option<MemberId>) -> Answer {
    let now = machine.voting_members();
    if add.is_none_or(|member| now.contains(&member)) && remove.is_none_or(|member| !now.contains(&member)) {
        return already();
    }
    // While a stop is under way nothing else moves.
    if machine.state.settled().is_none() && !matches!(machine.state, ClusterState::Recovering { .. }) {
        return Err(wrong_state(machine, "a change of voters"));
    }
    if base != machine.voters.changes {
        return Err(Refused::StaleVoters { given: base, known: machine.voters.changes });
    }
    let mut next = now.clone();
    if let Some(member) = remove
        && !next.remove(&member)
    {
        return Err(Refused::BadVoters { why: format!("member {member} does not vote") });
    }
    if let Some(member) = add {
        roster_member(machine, member)?;
        if !next.insert(member) {
            return Err(Refused::BadVoters { why: format!("member {member} votes already") });
        }
    }
    if !(1..=VOTERS_MOST).contains(&next.len()) {
        return Err(Refused::BadVoters { why: format!("{} would vote; 1 to {VOTERS_MOST} may", next.len()) });
    }
    let what = format!("{} members vote", next.len());
    machine.voters.members = next;
    machine.voters.changes += 1;
    Ok(what)
}

/// By consent of the others: nothing of the line `lost` is there any more.
pub(super) fn new_line(machine: &mut Machine, member: MemberId, line: u64, lost: u64) -> Answer {
    let known = roster_member(machine, member)?.log_line;
    if known == line {
        return already();
    }
    if known != lost || line == lost {
        return Err(Refused::StaleLine { member, given: lost, known });
    }
    let mut voters = machine.voting_members();
    if voters.remove(&member) && voters.is_empty() {
        return Err(Refused::BadVoters {
            why: format!("member {member} alone votes, and the cluster's log is lost with its own"),
        });
    }
    if let Some(entry) = machine.roster.get_mut(&member) {
        entry.log_line = line;
    }
    machine.voters.members = voters;
    machine.voters.changes += 1;
    Ok(format!("member {member} goes on under another line of its log, without a vote until it has caught up"))
}

//! Members that come and go.
//!
//! Law: those of `crate::membership`; the reasons are all in `safety`. Must not know: permits.

use super::{Answer, already, moves, roster_member, unheld, wrong_state};
use crate::cluster_state::ClusterState;
use crate::ids::{Boot, Digest, Generation, LogIndex, MemberId};
use crate::machine::Machine;
use crate::membership::{KEPT_LEFT, Left};
use crate::outcome::Refused;
use crate::roster::Founder;
use crate::safety;

fn unmoved(machine: &Machine, command: &str) -> Result<(), Refused> {
    if machine.state != ClusterState::Active {
        return Err(wrong_state(machine, command));
    }
    unheld(machine, command)
}

pub(super) fn admit(machine: &mut Machine, founder: Founder, opened: Generation, permit_digest: &Digest) -> Answer {
    let Founder { member, entry } = founder;
    if machine.roster.get(&member).is_some_and(|known| known.ordinal == entry.ordinal) {
        return already();
    }
    unmoved(machine, "admitting a member")?;
    let why = safety::why_not_admit(machine, member, entry.ordinal, opened);
    if !why.is_empty() {
        return Err(Refused::NotAdmitted { member, why });
    }
    // Until it has caught up it would be in the way of every majority.
    tell_voters(machine);
    let what = format!("member {} ({member}) is admitted by permit {permit_digest}, and joins", entry.ordinal);
    machine.roster.insert(member, entry);
    machine.membership.joining.insert(member);
    Ok(what)
}

/// From here on who votes does not follow from the roster.
pub(super) fn tell_voters(machine: &mut Machine) {
    if machine.voters.are_untold() {
        machine.voters.members = machine.voting_members();
    }
}

/// Its store takes what changes, in the generation that runs. `None`: it does not join.
pub(super) fn opened(machine: &mut Machine, member: MemberId, boot: Boot, generation: Generation) -> Option<Answer> {
    let joins = machine.membership.joining.contains(&member) && machine.state.settled().is_some();
    let fits = joins && generation == machine.generation;
    let recorded = machine.roster.get(&member).is_some_and(|entry| entry.boot == boot);
    (fits && recorded).then(|| {
        machine.membership.joining.remove(&member);
        Ok(format!("member {member} has joined, in generation {generation}"))
    })
}

pub(super) fn leave(machine: &mut Machine, member: MemberId) -> Answer {
    if machine.membership.leaving.contains(&member) || machine.membership.left.contains_key(&member) {
        return already();
    }
    unmoved(machine, "a member that leaves")?;
    roster_member(machine, member)?;
    let why = safety::why_not_leave(machine, member);
    if !why.is_empty() {
        return Err(Refused::NotLeft { member, why });
    }
    tell_voters(machine);
    machine.membership.leaving.insert(member);
    moves::none_to(machine, member);
    Ok(format!("member {member} leaves when its {} places are with others", machine.table.places_of(member)))
}

pub(super) fn left(machine: &mut Machine, index: LogIndex, member: MemberId) -> Answer {
    if machine.membership.left.contains_key(&member) {
        return already();
    }
    unmoved(machine, "a member that has left")?;
    let ordinal = roster_member(machine, member)?.ordinal;
    let why = safety::why_not_left(machine, member);
    if !why.is_empty() {
        return Err(Refused::NotLeft { member, why });
    }
    machine.roster.remove(&member);
    mark_left(machine, index, member, ordinal);
    Ok(format!("member {ordinal} ({member}) has left; its store belongs to no cluster any more"))
}

/// A member that is out of the roster was here.
pub(super) fn mark_left(machine: &mut Machine, index: LogIndex, member: MemberId, ordinal: u32) {
    machine.membership.leaving.remove(&member);
    machine.membership.joining.remove(&member);
    machine.membership.left.insert(member, Left { ordinal, index });
    while machine.membership.left.len() > KEPT_LEFT {
        let oldest = machine.membership.left.iter().min_by_key(|(_, left)| left.index).map(|(member, _)| *member);
        let Some(oldest) = oldest else { break };
        machine.membership.left.remove(&oldest);
    }
}

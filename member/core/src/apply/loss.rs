//! Members that are given up, by consent.
//!
//! Law: those of `crate::loss`. Must not know: who consents.

use std::collections::BTreeSet;

use super::Answer;
use super::membership::{mark_left, tell_voters};
use crate::cluster_state::{ClusterState, RecoveringFrom};
use crate::ids::{Digest, LogIndex, MemberId};
use crate::loss::preview;
use crate::machine::Machine;
use crate::outcome::Refused;

pub(super) fn go_on_without(
    machine: &mut Machine,
    index: LogIndex,
    members: &BTreeSet<MemberId>,
    consent: &Digest,
) -> Answer {
    if !members.is_empty() && members.iter().all(|member| machine.membership.left.contains_key(member)) {
        return super::already();
    }
    let loss = preview(machine, members).map_err(|why| Refused::NotGivenUp { why })?;
    let known = loss.digest();
    if *consent != known {
        return Err(Refused::ConsentDiffers { given: consent.clone(), known });
    }
    let answer = give_up(machine, index, members)?;
    Ok(format!("{answer}, by consent {known}"))
}

/// They are out; which copies count is decided as in every return, when it is complete.
pub(crate) fn give_up(machine: &mut Machine, index: LogIndex, members: &BTreeSet<MemberId>) -> Answer {
    tell_voters(machine);
    let votes = machine.voters.members.len();
    machine.voters.members.retain(|member| !members.contains(member));
    if machine.voters.members.is_empty() {
        return Err(Refused::BadVoters { why: "nobody of those that stay votes".into() });
    }
    machine.voters.changes += u64::from(machine.voters.members.len() != votes);
    let mut names = Vec::new();
    for member in members {
        if let Some(entry) = machine.roster.remove(member) {
            names.push(format!("{} ({member})", entry.ordinal));
            mark_left(machine, index, *member, entry.ordinal);
        }
    }
    if let ClusterState::Recovering { from, rejoined, loaded, table_recovered } = &mut machine.state {
        rejoined.retain(|member, _| !members.contains(member));
        loaded.retain(|member| !members.contains(member));
        *table_recovered = false;
        // Which parts of a snapshot lay with them alone is not known.
        if *from == RecoveringFrom::Crash {
            rejoined.values_mut().for_each(|rejoin| rejoin.store.epochs.clear());
        }
    }
    Ok(format!("the cluster goes on without member {}", names.join(", ")))
}

//! Who votes in consensus, as far as the whole cluster must agree on it.
//!
//! Law: at most [`VOTERS_MOST`] are to vote, each under one line of its log, so that a log that was lost has no vote; of
//! candidates those first that share no zone with a voter. What consensus counts majorities by is its own membership, which
//! `supervisor::voting` leads to this one, an exchange at a time. Must not know: how a membership is changed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::ids::MemberId;
use crate::machine::Machine;
use crate::partition::assign::Candidate;

/// More would not make a cluster safer, only each entry of the log slower; the others learn what was decided.
pub const VOTERS_MOST: usize = 5;

/// Somebody who votes, or learns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Voter {
    /// Whose.
    pub member: MemberId,
    /// Line of its log.
    pub line: u64,
}

/// Who is to vote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voters {
    /// Changes so far: what a change was made for.
    pub changes: u64,
    /// Nobody: never said, and the whole roster votes.
    pub members: BTreeSet<MemberId>,
}

impl Voters {
    /// Never said.
    pub fn are_untold(&self) -> bool {
        *self == Self::default()
    }
}

/// Those that begin.
pub fn first(candidates: &[Candidate]) -> BTreeSet<MemberId> {
    let mut chosen = BTreeSet::new();
    while chosen.len() < VOTERS_MOST {
        let Some(next) = next(&chosen, candidates).into_iter().next() else { break };
        chosen.insert(next);
    }
    chosen
}

/// Candidates beside those, in the order in which they are to become voters.
pub fn next(beside: &BTreeSet<MemberId>, candidates: &[Candidate]) -> Vec<MemberId> {
    let chosen = |candidate: &&Candidate| beside.contains(&candidate.member);
    let in_zone = |one: &Candidate| {
        let same = |other: &&Candidate| other.zone.is_some() && other.zone == one.zone;
        candidates.iter().filter(chosen).filter(same).count()
    };
    let mut free: Vec<_> = candidates.iter().filter(|candidate| !chosen(candidate)).collect();
    free.sort_by_key(|candidate| (in_zone(candidate), candidate.ordinal, candidate.member));
    free.into_iter().map(|candidate| candidate.member).collect()
}

impl Machine {
    /// Members that are to vote.
    pub fn voting_members(&self) -> BTreeSet<MemberId> {
        match self.voters.are_untold() {
            true => self.roster.keys().copied().collect(),
            false => self.voters.members.clone(),
        }
    }

    /// The same, each under its present line.
    pub fn voters(&self) -> BTreeSet<Voter> {
        self.voting_members().into_iter().filter_map(|member| self.as_voter(member)).collect()
    }

    /// A member under its present line.
    pub fn as_voter(&self, member: MemberId) -> Option<Voter> {
        self.roster.get(&member).map(|entry| Voter { member, line: entry.log_line })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_voters_are_spread_over_zones_and_then_by_ordinal() {
        let member = |n: u32| MemberId(uuid::Uuid::from_u128(u128::from(n)));
        // Ordinals in each zone; who votes.
        let cases: [(&[Option<&str>], &[u32]); 4] = [
            (&[None; 3], &[0, 1, 2]),
            (&[None; 7], &[0, 1, 2, 3, 4]),
            (&[Some("a"), Some("a"), Some("a"), Some("b"), Some("b"), Some("c")], &[0, 1, 3, 4, 5]),
            (&[Some("a"), Some("a"), Some("a"), Some("a"), Some("a"), Some("b"), None], &[0, 1, 2, 5, 6]),
        ];
        for (zones, expected) in cases {
            let candidate = |(n, zone): (u32, &Option<&str>)| Candidate {
                zone: zone.map(str::to_owned),
                ..Candidate::plain(member(n), n)
            };
            let candidates: Vec<_> = (0..).zip(zones).map(candidate).collect();
            let expected: BTreeSet<_> = expected.iter().copied().map(member).collect();
            assert_eq!(first(&candidates), expected, "{zones:?}");
        }
    }
}

//! At the leader: from the membership that consensus has to the one that is wanted, and which one is wanted.
//!
//! Law:
//! 1. One step at a time, and none while one is outstanding: an entry that changes the membership and is not committed, or a
//!    membership of two halves, which is ended before anything else.
//! 2. A step exchanges one voter at most, by way of both majorities (a membership of two halves), never by one entry alone.
//! 3. Who comes has caught up, under the line that the roster records; of the voters that there are then, a majority is heard
//!    and has caught up.
//! 4. Who is recorded in the roster and is heard, learns. Who is not recorded, or under another line, is forgotten, after it
//!    has lost its vote.
//! 5. A free place goes to whoever has caught up and shares a zone with the fewest voters; the place of a voter that is away
//!    for [`REPLACED_AFTER_MS`] too, if there is somebody to take it.
//! 6. Who is to leave gives its vote to whoever is heard and has caught up, and up if there is nobody else to be heard. It is
//!    out of the roster only after it is out of the voters of consensus.
//!
//! Attacked:
//! - *An acknowledged entry is lost*: it was on a majority of the membership that it was committed under. Each later
//!   membership is entered by a majority of both (2.), so whoever leads under it has the entry. A voter that lost its log is
//!   another voter (3.: line), so its former word is not counted with its new one. `tests/voters.rs` takes each of these out.
//! - *Nothing is committed any more*: a voter that has not caught up, or is away, takes part in no majority; so a step into a
//!   membership without a majority that could decide at once would be the last one. (3.)
//! - *It goes to and fro*: a voter is replaced only by its absence of half a minute, and who comes back learns and waits for a
//!   free place. A leader that has not applied all of its log yet leads to an older wish for a moment: each such step keeps
//!   1 to 3, and it does nothing before everybody was heard or had the time to be.
//! - *It grows*: learners are at most the roster and what is being forgotten.
//! - *The leader loses its vote*: only if nobody else is left to lose it; it leads on, by the majority of those that vote, until
//!   it is forgotten too.
//!
//! Must not know: how a membership is changed, terms.

use std::collections::BTreeSet;

use super::presence::{LOST_AFTER_MS, Presence, Roll};
use crate::cluster_state::ClusterState;
use crate::command::Command;
use crate::ids::MemberId;
use crate::machine::Machine;
use crate::report::Observations;
use crate::safety;
use crate::voters::{self, VOTERS_MOST, Voter};

/// Silence after which another votes in a voter's place.
pub const REPLACED_AFTER_MS: u64 = 30_000;
/// Entries that one may lack and be called caught up: less than what comes while an exchange is committed.
pub const CAUGHT_UP_WITHIN: u64 = 100;

/// The membership of consensus as the leader's log has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Voting {
    /// Its sets of voters: one, or two of which each must agree.
    pub halves: Vec<BTreeSet<Voter>>,
    /// Who is told of every entry and has no vote.
    pub learners: BTreeSet<Voter>,
    /// The entry that made it so is committed.
    pub committed: bool,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Step {
    /// A command for the log.
    Propose(Command),
    /// This one is to be told of every entry.
    Learn(Voter),
    /// These are to vote; who loses its vote goes on learning.
    Vote(BTreeSet<Voter>),
    /// This learner is to be told no more.
    Forget(Voter),
}

/// The next step, if there is one. `me`: the leader, whose own report is among the observations.
pub fn step(machine: &Machine, observations: &Observations, me: MemberId, voting: &Voting) -> Option<Step> {
    let roll = Roll::call(machine, observations);
    if machine.founding.is_none() || !voting.committed || roll.collecting() {
        return None;
    }
    let look = Look { machine, observations, roll, me, voting };
    match &voting.halves[..] {
        [voters] => {
            let change = look.learn(voters).or_else(|| look.exchange(voters)).or_else(|| look.forget());
            change.or_else(|| look.wish(voters)).or_else(|| look.left(voters))
        }
        [.., goal] => Some(Step::Vote(goal.clone())),
        [] => None,
    }
}

struct Look<'a> {
    machine: &'a Machine,
    observations: &'a Observations,
    roll: Roll,
    me: MemberId,
    voting: &'a Voting,
}

impl Look<'_> {
    fn learn(&self, voters: &BTreeSet<Voter>) -> Option<Step> {
        let heard = |member: &MemberId| matches!(self.roll.of(*member), Some(Presence::Here | Presence::Anew { .. }));
        let recorded = self.machine.roster.keys().filter(|member| heard(member));
        let mut missing = recorded
            .filter_map(|member| self.machine.as_voter(*member))
            .filter(|voter| !voters.contains(voter) && !self.voting.learners.contains(voter));
        missing.next().map(Step::Learn)
    }

    /// One step from these voters to those that are wanted.
    fn exchange(&self, voters: &BTreeSet<Voter>) -> Option<Step> {
        let wanted = self.machine.voters();
        let comes = wanted.difference(voters).find(|voter| self.has_caught_up(**voter));
        let mut going: Vec<_> = voters.difference(&wanted).collect();
        going.sort_by_key(|voter| voter.member == self.me);
        let goes = going.first().copied();
        // Nobody goes without whoever is to come, if somebody is.
        if comes.is_none() && (goes.is_none() || !wanted.is_subset(voters)) {
            return None;
        }
        let mut goal = voters.clone();
        goal.extend(comes);
        goal.retain(|voter| Some(voter) != goes);
        self.could_decide(&goal).then_some(Step::Vote(goal))
    }

    fn forget(&self) -> Option<Step> {
        let recorded = |voter: &Voter| self.machine.as_voter(voter.member) == Some(*voter);
        self.voting.learners.iter().find(|voter| !recorded(voter)).copied().map(Step::Forget)
    }

    /// Another one is to vote.
    fn wish(&self, voters: &BTreeSet<Voter>) -> Option<Step> {
        let changeable =
            self.machine.state.settled().is_some() || matches!(self.machine.state, ClusterState::Recovering { .. });
        if !changeable || self.machine.voters() != *voters {
            return None;
        }
        let now = self.machine.voting_members();
        let candidates = self.machine.candidates();
        let ready = |member: &MemberId| {
            let voter = self.machine.as_voter(*member);
            voter.is_some_and(|voter| self.voting.learners.contains(&voter) && self.has_caught_up(voter))
        };
        if let Some(goes) = now.iter().copied().find(|member| self.machine.membership.leaving.contains(member)) {
            let beside = now.iter().copied().filter(|member| *member != goes).collect();
            let next = voters::next(&beside, &candidates);
            let add = next.iter().copied().find(ready);
            let awaited = next.iter().any(|member| self.roll.is_here(*member));
            let exchanged = add.is_some() || !awaited && now.len() > 1;
            let wish = Command::Voters { base: self.machine.voters.changes, add, remove: Some(goes) };
            return exchanged.then_some(Step::Propose(wish));
        }
        let (add, remove) = if now.len() < VOTERS_MOST.min(candidates.len()) {
            (voters::next(&now, &candidates).into_iter().find(ready)?, None)
        } else {
            let away = now.iter().copied().find(|member| self.is_away(*member))?;
            let beside = now.iter().copied().filter(|member| *member != away).collect();
            let next = voters::next(&beside, &candidates);
            (next.into_iter().find(|member| *member != away && ready(member))?, Some(away))
        };
        Some(Step::Propose(Command::Voters { base: self.machine.voters.changes, add: Some(add), remove }))
    }

    /// Nothing lies with it any more, and no majority counts it.
    fn left(&self, voters: &BTreeSet<Voter>) -> Option<Step> {
        let settled = self.machine.state == ClusterState::Active && self.machine.open_operation().is_none();
        // The disk that goes must not be the only one that has something.
        let lags = |member: &MemberId| {
            self.observations.members.get(member).is_some_and(|observed| observed.report.lagging.is_some())
        };
        let settled = settled && !self.machine.roster.keys().any(|member| self.machine.stays(*member) && lags(member));
        let out = |member: &MemberId| {
            !voters.iter().any(|voter| voter.member == *member)
                && safety::why_not_left(self.machine, *member).is_empty()
        };
        let gone = self.machine.membership.leaving.iter().copied().find(out).filter(|_| settled);
        gone.map(|member| Step::Propose(Command::Left { member }))
    }

    fn is_away(&self, member: MemberId) -> bool {
        matches!(self.roll.of(member), Some(Presence::Lost { silent_ms }) if *silent_ms >= REPLACED_AFTER_MS)
    }

    /// A majority of them could decide the next entry at once.
    fn could_decide(&self, voters: &BTreeSet<Voter>) -> bool {
        2 * voters.iter().filter(|voter| self.has_caught_up(**voter)).count() > voters.len()
    }

    /// It is heard, under this line, with nearly all that the leader has.
    fn has_caught_up(&self, voter: Voter) -> bool {
        let report = |member: MemberId| self.observations.members.get(&member).map(|observed| &observed.report);
        let Some(leader) = report(self.me).map(|report| report.durable) else { return false };
        self.observations.members.get(&voter.member).is_some_and(|observed| {
            observed.heard_ms_ago < LOST_AFTER_MS
                && observed.report.line == voter.line
                && observed.report.durable.saturating_add(CAUGHT_UP_WITHIN) >= leader
        })
    }
}

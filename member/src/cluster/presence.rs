//! Who is heard, and who holds a lease: beats of our own, that wait for no disk.
//!
//! Law: a lease is granted only by a leader that a majority of voters answered with its term, of each set of voters by which
//! another could be elected, and lasts no longer than [`LEASE_MS`] from the sending of the beats that they answered; a log that
//! was lost answers for itself, not for the one before it; a lease counts from the sending of the request on the
//! holder's clock. To whom, and under which table, is for [`Grants`] to say. Everything here is a function of facts and
//! moments handed in. Must not know: sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jet_core::report::{DRIFT_MS, LEASE_MS, MemberReport, Observed};
use jet_core::supervisor::grants::Grants;
use jet_core::{Boot, ClusterState, LogIndex, Machine, MemberId, TableVersion, Voter};
use serde::{Deserialize, Serialize};

use super::consensus::Leading;
use crate::clock::Moment;

/// Pause between two beats, and between two looks at what is to be done.
const BEAT: Duration = Duration::from_millis(100);
/// The same while the cluster turns from one state into another: every step on the way waits for a beat and for two looks.
const BEAT_IN_TURN: Duration = Duration::from_millis(20);
/// A process is young so long: the members of a return find each other, load, and build their jobs.
const YOUNG: Duration = Duration::from_secs(10);
const LEASE: Duration = Duration::from_millis(LEASE_MS);

/// What a member says to each other one, over and over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Beat {
    /// Volume of its store.
    pub volume_id: String,
    /// About itself; only to the leader.
    pub report: Option<MemberReport>,
}

/// What is answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BeatAnswer {
    /// The process that answers: who asked may have known the one before it.
    pub boot: Boot,
    /// Line of its log.
    pub line: u64,
    /// The highest term that the answering member has promised in that.
    pub term: u64,
    /// Volume of its store.
    pub volume_id: String,
    /// About itself; only to the leader.
    pub report: Option<MemberReport>,
    /// The answering member leads and grants a lease.
    pub lease: Option<Grant>,
    /// The entry by which whoever asked has left, as the answering member has applied it.
    #[serde(default)]
    pub left: Option<LogIndex>,
}

/// A lease as it is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// So many milliseconds from the sending of the beat.
    pub ms: u64,
    /// The leader's table: who has not applied it may have been deposed by it.
    pub table: TableVersion,
}

/// Pause between two beats, and between two looks, as the machine stands, in a process of this age.
pub fn pace(machine: &Machine, age: Duration) -> Duration {
    match machine.state {
        _ if age < crate::host::youth(YOUNG) => BEAT_IN_TURN,
        ClusterState::InTransition { .. } | ClusterState::Activating { .. } => BEAT_IN_TURN,
        _ => BEAT,
    }
}

struct Heard {
    at: Moment,
    boot: Boot,
    volume_id: String,
    report: MemberReport,
}

/// Everything heard so far.
#[derive(Default)]
pub struct Presence {
    heard: BTreeMap<MemberId, Heard>,
    answered: BTreeMap<Voter, (u64, Moment)>,
    /// Table and end of our lease.
    lease: (TableVersion, Moment),
    /// We lead; the last term that we led, and since when.
    leads: bool,
    led: Option<(u64, Moment)>,
    grants: Grants,
}

impl Presence {
    /// A message of `member` was received. One of a lower boot than one already heard was late: that process is over.
    pub fn hear(&mut self, member: MemberId, boot: Boot, volume_id: String, report: Option<MemberReport>, now: Moment) {
        if self.heard.get(&member).is_some_and(|known| known.boot > boot) {
            return;
        }
        let same_boot = self.heard.get(&member).filter(|h| h.boot == boot);
        let report = report.or_else(|| same_boot.map(|h| h.report.clone())).unwrap_or_default();
        self.heard.insert(member, Heard { at: now, boot, volume_id, report });
    }

    /// Our beat, sent at `sent`, was answered.
    pub fn heard_back(&mut self, member: MemberId, answer: BeatAnswer, sent: Moment, now: Moment) {
        self.answered(Voter { member, line: answer.line }, answer.term, sent);
        self.hear(member, answer.boot, answer.volume_id, answer.report, now);
        if let Some(grant) = answer.lease {
            self.granted(grant, sent);
        }
    }

    /// An answer to our beat, sent at `sent`, told this term.
    fn answered(&mut self, voter: Voter, term: u64, sent: Moment) {
        let known = self.answered.entry(voter).or_insert((term, sent));
        if (term, sent) > *known {
            *known = (term, sent);
        }
    }

    /// A lease was granted to our beat sent at `sent`.
    fn granted(&mut self, grant: Grant, sent: Moment) {
        let until = sent.plus(Duration::from_millis(grant.ms.min(LEASE_MS)));
        self.lease = self.lease.max((grant.table, until));
    }

    /// Our lease is valid, and we know the table that it was granted under.
    pub fn leased(&self, known: TableVersion, now: Moment) -> bool {
        let (table, until) = self.lease;
        table > TableVersion(0) && known >= table && now < until
    }

    /// A lease was granted since this process began. Before that every call is refused, whatever the doors say.
    pub fn was_leased(&self) -> bool {
        self.lease.0 > TableVersion(0)
    }

    /// This member serves by a machine of this entry, with this table.
    pub fn published(&mut self, index: LogIndex, table: TableVersion) {
        self.grants.published(index, table);
    }

    /// As leader: these members are granted nothing until what deposes them is published.
    pub fn depose(&mut self, members: BTreeSet<MemberId>) {
        self.grants.depose(members);
    }

    /// As leader: a command of ours was applied, and with it everything up to `applied`; these are deposed by what is still
    /// to be written.
    pub fn outcome_known(&mut self, applied: LogIndex, still: &BTreeSet<MemberId>) {
        self.grants.outcome_known(applied, still);
    }

    /// We lead this (or nothing); tells since when. Word of a term before one that we have led since is late.
    pub fn lead(&mut self, leading: Option<Leading>, now: Moment) -> Option<Moment> {
        self.leads = leading.is_some();
        let leading = leading?;
        if self.led.is_none_or(|(known, _)| known < leading.term) {
            self.led = Some((leading.term, now));
            self.grants.begin(leading.last);
        }
        self.led.map(|(_, since)| since)
    }

    /// As leader of `term`: since when a majority of each half is known to follow it.
    fn majority_since(&self, me: Voter, term: u64, halves: &[BTreeSet<Voter>], now: Moment) -> Option<Moment> {
        let since = |half: &BTreeSet<Voter>| {
            let sent = half.iter().filter_map(|voter| match self.answered.get(voter) {
                _ if *voter == me => Some(now),
                Some((answered, sent)) if *answered == term => Some(*sent),
                _ => None,
            });
            let mut sent: Vec<Moment> = sent.collect();
            sent.sort_unstable_by(|a, b| b.cmp(a));
            sent.get(half.len() / 2).copied()
        };
        halves.iter().map(since).min().flatten()
    }

    /// As leader: the lease that may be granted to `to`. `promised`: the highest term that we had promised to anybody at
    /// `now` or later; `halves`: the sets of voters by which another could be elected, as they were then or later.
    pub fn grant(
        &self,
        me: Voter,
        to: MemberId,
        promised: u64,
        halves: &[BTreeSet<Voter>],
        now: Moment,
    ) -> Option<Grant> {
        let (term, _) = self.led.filter(|(term, _)| self.leads && *term == promised)?;
        let table = self.grants.table_for(to)?;
        let since = self.majority_since(me, term, halves, now)?;
        let left = LEASE.checked_sub(now.since(since)).filter(|left| !left.is_zero())?;
        Some(Grant { ms: u64::try_from(left.as_millis()).unwrap_or(0), table })
    }

    /// As leader: our own lease follows from the same majority.
    pub fn grant_self(&mut self, me: Voter, promised: u64, halves: &[BTreeSet<Voter>], now: Moment) {
        if let Some(grant) = self.grant(me, me.member, promised, halves, now) {
            self.granted(grant, now);
        }
    }

    /// All that was there when this leadership began is published.
    pub fn caught_up(&self) -> bool {
        self.leads && self.grants.caught_up()
    }

    /// All members heard so far, as the supervisor judges them.
    pub fn observed(&self, now: Moment) -> BTreeMap<MemberId, Observed> {
        self.heard
            .iter()
            .map(|(member, heard)| {
                let observed = Observed {
                    heard_ms_ago: u64::try_from(now.since(heard.at).as_millis()).unwrap_or(u64::MAX),
                    boot: heard.boot,
                    volume_id: heard.volume_id.clone(),
                    report: heard.report.clone(),
                };
                (*member, observed)
            })
            .collect()
    }

    /// The member was heard within a lease and drift.
    pub fn present(&self, member: MemberId, now: Moment) -> bool {
        let bound = Duration::from_millis(LEASE_MS + DRIFT_MS);
        self.heard.get(&member).is_some_and(|heard| now.since(heard.at) < bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn member(n: u128) -> MemberId {
        MemberId(Uuid::from_u128(n))
    }

    fn voter(n: u128) -> Voter {
        Voter { member: member(n), line: 1 }
    }

    fn at(ms: u64) -> Moment {
        Moment::default().plus(Duration::from_millis(ms))
    }

    /// Leads term 7, and has published all that it began with, with table 3.
    fn leader() -> (Presence, [Voter; 3], [BTreeSet<Voter>; 1]) {
        let mut presence = Presence::default();
        presence.lead(Some(Leading { term: 7, last: 20 }), at(0));
        presence.published(20, TableVersion(3));
        let voters = [voter(1), voter(2), voter(3)];
        (presence, voters, [BTreeSet::from(voters)])
    }

    fn lease(ms: u64) -> Option<Grant> {
        Some(Grant { ms, table: TableVersion(3) })
    }

    #[test]
    fn without_a_majority_of_its_term_nothing_is_granted() {
        let (mut presence, voters, all) = leader();
        assert_eq!(presence.grant(voters[0], voters[2].member, 7, &all, at(1000)), None);
        presence.answered(voters[1], 6, at(900));
        assert_eq!(presence.grant(voters[0], voters[2].member, 7, &all, at(1000)), None);
        presence.answered(voters[2], 8, at(900));
        assert_eq!(presence.grant(voters[0], voters[2].member, 7, &all, at(1000)), None);
    }

    #[test]
    fn a_grant_counts_from_the_sending_that_the_majority_answered() {
        let (mut presence, voters, all) = leader();
        presence.answered(voters[1], 7, at(400));
        assert_eq!(presence.grant(voters[0], voters[2].member, 7, &all, at(1000)), lease(1400));
        assert_eq!(presence.grant(voters[0], voters[2].member, 7, &all, at(2400)), None);
    }

    #[test]
    fn who_promised_a_higher_term_grants_no_more() {
        let (mut presence, voters, all) = leader();
        presence.answered(voters[1], 7, at(990));
        assert_eq!(presence.grant(voters[0], voters[2].member, 8, &all, at(1000)), None);
    }

    #[test]
    fn a_voter_that_moved_on_takes_its_answer_back() {
        let (mut presence, voters, all) = leader();
        presence.answered(voters[1], 7, at(990));
        presence.answered(voters[1], 8, at(995));
        presence.answered(voters[1], 7, at(999));
        assert_eq!(presence.grant(voters[0], voters[2].member, 7, &all, at(1000)), None);
    }

    #[test]
    fn while_voters_are_exchanged_a_majority_of_both_sets_is_needed() {
        let (mut presence, voters, _) = leader();
        let (old, new) = (BTreeSet::from(voters), BTreeSet::from([voter(1), voter(4), voter(5)]));
        let halves = [old, new];
        presence.answered(voters[1], 7, at(400));
        assert_eq!(
            presence.grant(voters[0], member(2), 7, &halves, at(1000)),
            None,
            "by the new ones another is elected"
        );
        presence.answered(voter(4), 7, at(100));
        assert_eq!(presence.grant(voters[0], member(2), 7, &halves, at(1000)), lease(1100), "the older of both counts");
        assert_eq!(presence.grant(voters[0], member(2), 7, &[], at(1000)), None, "there are no voters");
        let without_me = [BTreeSet::from([voter(4)])];
        assert_eq!(
            presence.grant(voters[0], member(2), 7, &without_me, at(1000)),
            lease(1100),
            "who leads need not vote"
        );
    }

    #[test]
    fn a_log_that_was_lost_does_not_answer_for_the_one_before_it() {
        let (mut presence, voters, all) = leader();
        presence.answered(Voter { line: 2, ..voters[1] }, 7, at(990));
        assert_eq!(presence.grant(voters[0], voters[2].member, 7, &all, at(1000)), None);
    }

    #[test]
    fn one_member_is_its_own_majority_and_a_lease_ends() {
        let mut presence = Presence::default();
        presence.lead(Some(Leading { term: 1, last: 1 }), at(0));
        presence.published(1, TableVersion(3));
        presence.grant_self(voter(1), 1, &[BTreeSet::from([voter(1)])], at(100));
        assert!(presence.leased(TableVersion(3), at(100 + LEASE_MS - 1)));
        assert!(!presence.leased(TableVersion(3), at(100 + LEASE_MS)));
    }

    #[test]
    fn who_does_not_know_the_table_of_its_lease_holds_none() {
        let mut presence = Presence::default();
        presence.granted(Grant { ms: 2000, table: TableVersion(0) }, at(0));
        assert!(!presence.was_leased(), "before the founding nobody leads anything");
        presence.granted(Grant { ms: 2000, table: TableVersion(4) }, at(0));
        assert!(presence.was_leased());
        assert!(presence.leased(TableVersion(4), at(10)) && !presence.leased(TableVersion(3), at(10)));
    }

    #[test]
    fn who_is_deposed_is_granted_nothing_until_its_outcome_is_published() {
        let (mut presence, voters, all) = leader();
        presence.answered(voters[1], 7, at(990));
        presence.depose(BTreeSet::from([voters[2].member]));
        assert_eq!(presence.grant(voters[0], voters[2].member, 7, &all, at(1000)), None);
        assert!(presence.grant(voters[0], voters[1].member, 7, &all, at(1000)).is_some());
        presence.outcome_known(21, &BTreeSet::new());
        assert_eq!(
            presence.grant(voters[0], voters[2].member, 7, &all, at(1000)),
            None,
            "the old table is what is served by"
        );
        presence.published(21, TableVersion(4));
        let granted = presence.grant(voters[0], voters[2].member, 7, &all, at(1000));
        assert_eq!(granted.map(|grant| grant.table), Some(TableVersion(4)));
    }

    #[test]
    fn a_leader_grants_nothing_before_it_has_published_what_it_began_with() {
        let mut presence = Presence::default();
        presence.published(20, TableVersion(3));
        presence.lead(Some(Leading { term: 9, last: 22 }), at(0));
        presence.grant_self(voter(1), 9, &[BTreeSet::from([voter(1)])], at(0));
        assert!(!presence.was_leased(), "by a table that the former leader has replaced");
        // What it writes itself meanwhile is not waited for.
        presence.lead(Some(Leading { term: 9, last: 40 }), at(10));
        presence.published(22, TableVersion(4));
        presence.grant_self(voter(1), 9, &[BTreeSet::from([voter(1)])], at(20));
        assert!(presence.leased(TableVersion(4), at(30)) && !presence.leased(TableVersion(3), at(30)));
    }

    #[test]
    fn word_of_an_earlier_term_gives_nobody_back_who_is_being_deposed() {
        let (mut presence, voters, all) = leader();
        presence.answered(voters[1], 7, at(990));
        presence.depose(BTreeSet::from([voters[2].member]));
        for late in [Some(Leading { term: 5, last: 9 }), None] {
            presence.lead(late, at(995));
            presence.lead(Some(Leading { term: 7, last: 21 }), at(999));
            assert_eq!(presence.grant(voters[0], voters[2].member, 7, &all, at(1000)), None, "{late:?}");
            assert_eq!(presence.grant(voters[0], voters[1].member, 7, &all, at(1000)), lease(1990), "{late:?}");
        }
        presence.lead(None, at(999));
        assert_eq!(presence.grant(voters[0], voters[1].member, 7, &all, at(1000)), None, "it does not lead");
    }

    #[test]
    fn an_answer_counts_for_the_process_that_gave_it() {
        let mut presence = Presence::default();
        let answer = |boot, applied| BeatAnswer {
            boot: Boot(boot),
            line: 1,
            term: 1,
            volume_id: "v".into(),
            report: Some(MemberReport { applied, ..MemberReport::default() }),
            lease: None,
            left: None,
        };
        presence.heard_back(member(2), answer(1, 9), at(0), at(5));
        // Sent to the connection of a process that was replaced on the way.
        presence.heard_back(member(2), answer(2, 1), at(6), at(10));
        let heard = &presence.observed(at(10))[&member(2)];
        assert_eq!((heard.boot, heard.report.applied), (Boot(2), 1));
        // And one of the process before it comes too late to be heard.
        presence.heard_back(member(2), answer(1, 9), at(4), at(20));
        assert_eq!(presence.observed(at(20))[&member(2)].boot, Boot(2));
    }

    #[test]
    fn a_new_boot_brings_no_report_of_the_old_one() {
        let mut presence = Presence::default();
        let report = MemberReport { applied: 9, ..MemberReport::default() };
        presence.hear(member(1), Boot(1), "v".into(), Some(report.clone()), at(0));
        presence.hear(member(1), Boot(1), "v".into(), None, at(10));
        assert_eq!(presence.observed(at(10))[&member(1)].report, report);
        presence.hear(member(1), Boot(2), "v".into(), None, at(20));
        assert_eq!(presence.observed(at(20))[&member(1)].report, MemberReport::default());
    }

    #[test]
    fn a_late_word_of_an_ended_boot_is_not_heard() {
        let mut presence = Presence::default();
        let report = MemberReport { applied: 9, ..MemberReport::default() };
        presence.hear(member(1), Boot(2), "new".into(), Some(report.clone()), at(0));
        presence.hear(member(1), Boot(1), "old".into(), Some(MemberReport::default()), at(50));
        let heard = &presence.observed(at(100))[&member(1)];
        assert_eq!((heard.boot, heard.volume_id.as_str(), &heard.report), (Boot(2), "new", &report));
        assert_eq!(heard.heard_ms_ago, 100, "the dead do not keep the living present");
    }
}

//! Time, deaths, the leader's steps, the laws.
//!
//! Law: members die and lose logs only while a majority of the membership is left that has what is committed, because without
//! one nobody could go on; everything else is by chance. Must not know: how the leader decides.

use std::collections::{BTreeMap, BTreeSet};

use jet_core::report::{MemberReport, Observations, Observed};
use jet_core::roster::{Founder, RosterEntry};
use jet_core::supervisor::voting::{CAUGHT_UP_WITHIN, Step, step};
use jet_core::voters::{self, VOTERS_MOST};
use jet_core::{Boot, Command, Digest, FoundingId, Generation, Machine, MemberId, Voter, apply};

use super::raft::{self, Entry, Log, Payload};

/// Milliseconds of one turn.
const TURN: u64 = 1_000;
const TURNS: u64 = 150;
/// Turns without faults at the end, enough for several to be replaced.
const CALM: u64 = 120;
/// Entries of one turn, at most: where little is written, who is dead for long has still caught up.
const WRITES: [u64; 3] = [2, 20, 90];
/// Entries of the log that one is told in a turn with faults.
const TOLD: usize = 4;
/// Turns that a cut lasts, at most.
const CUT: u64 = 8;

/// What can be taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    ByBothHalves,
    LineNamesItsLog,
    CaughtUp,
    OneAtATime,
    Heard,
    HalvesEnd,
}

#[derive(Default)]
pub struct Seen {
    pub exchanged: u32,
    pub replaced: u32,
    pub lines: u32,
    pub leaders: u32,
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % most
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

struct Lead {
    at: usize,
    term: u64,
    since: u64,
}

pub struct World {
    dice: Dice,
    without: Option<Rule>,
    now: u64,
    logs: Vec<Log>,
    lead: Option<Lead>,
    /// What any leader has called committed, by id.
    committed: Vec<u64>,
    machine: Machine,
    applied: usize,
    heard: BTreeMap<MemberId, u64>,
    next_id: u64,
    calm: bool,
    writes: u64,
    /// Who came and who went in the last turn.
    exchanged: Option<(Voter, Voter)>,
    /// Who is on the other side of the net, until this turn.
    cut: (BTreeSet<usize>, u64),
    pub seen: Seen,
}

impl World {
    pub fn new(seed: u64, without: Option<Rule>) -> Self {
        let mut dice = Dice(seed);
        let writes = WRITES[dice.below(3) as usize];
        let count = 3 + dice.below(6) as u32;
        let member = |n: u32| MemberId(uuid::Uuid::from_u128(u128::from(n) + 1));
        let entry = |n| RosterEntry { ordinal: n, boot: Boot(1), volume_id: "v".into(), log_line: 1 };
        let members: Vec<_> = (0..count).map(|n| Founder { member: member(n), entry: entry(n) }).collect();
        let candidates: Vec<_> =
            (0..count).map(|n| jet_core::partition::assign::Candidate::plain(member(n), n)).collect();
        let first = voters::first(&candidates).into_iter().map(|member| Voter { member, line: 1 }).collect();
        let begins = Payload::Membership { halves: vec![first], learners: BTreeSet::new() };
        let (id, permit_digest) = (FoundingId::default(), Digest::default());
        let found = Command::Found { id, members, partition_count: 3, backup_count: 1, permit_digest };
        let opened = |n| Command::Opened { member: member(n), boot: Boot(1), generation: Generation(1) };
        let commands = std::iter::once(found).chain((0..count).map(opened)).map(Payload::Command);
        let entries: Vec<_> = (1..)
            .zip(std::iter::once(begins).chain(commands))
            .map(|(id, payload)| Entry { id, term: 1, weight: 1, payload })
            .collect();
        let next_id = entries.len() as u64 + 1;
        // Who does not vote begins with nothing.
        let log = |n: u32| Log {
            member: member(n),
            line: 1,
            lives: true,
            promised: 1,
            entries: if (n as usize) < VOTERS_MOST { entries.clone() } else { Vec::new() },
        };
        Self {
            dice,
            without,
            now: 0,
            logs: (0..count).map(log).collect(),
            lead: None,
            committed: Vec::new(),
            machine: Machine::default(),
            applied: 0,
            heard: BTreeMap::new(),
            next_id,
            calm: false,
            writes,
            exchanged: None,
            cut: (BTreeSet::new(), 0),
            seen: Seen::default(),
        }
    }

    fn lacks(&self, rule: Rule) -> bool {
        self.without == Some(rule)
    }

    pub fn run(&mut self) -> Result<(), String> {
        for turn in 0..TURNS + CALM {
            self.now += TURN;
            if turn == TURNS {
                self.calm = true;
                self.logs.iter_mut().for_each(|log| log.lives = true);
            }
            if !self.calm {
                self.fault();
                self.cut();
            }
            self.consent();
            self.elections()?;
            self.replicate()?;
            self.decide()?;
        }
        self.settled()
    }

    /// Without this one, and without its log, the others could go on: of every half by which somebody may be elected a
    /// majority lives, and those that lack something committed are none.
    fn could_go_on(&self, without: usize, loses: bool) -> bool {
        let others = || self.logs.iter().enumerate().filter(|(at, _)| *at != without).map(|(_, log)| log);
        let left: BTreeSet<_> = others().filter(|log| log.lives).map(Log::voter).collect();
        let stale: BTreeSet<_> =
            others().filter(|log| log.entries.len() < self.committed.len()).map(Log::voter).collect();
        self.logs.iter().filter_map(Log::membership).all(|(at, halves, _)| {
            let old = at + 1 < self.committed.len() && self.newer_committed(at);
            let harmless = !loses || halves.iter().all(|half| 2 * half.intersection(&stale).count() <= half.len());
            old || (raft::agrees(halves, &left) && harmless)
        })
    }

    /// A membership behind `at` is committed.
    fn newer_committed(&self, at: usize) -> bool {
        let known =
            |log: &&Log| log.entries.iter().zip(&self.committed).take_while(|(entry, id)| entry.id == **id).count();
        let longest = self.logs.iter().max_by_key(known);
        longest.and_then(Log::membership).is_some_and(|(newest, ..)| newest > at && newest < self.committed.len())
    }

    fn cut(&mut self) {
        let exchanged = self.exchanged.take();
        if self.now < self.cut.1 {
            return;
        }
        let side = match exchanged {
            Some((came, went)) if self.dice.one_in(2) => self.apart(came, went),
            _ if self.dice.one_in(12) => (0..self.logs.len()).filter(|_| self.dice.one_in(2)).collect(),
            _ => return,
        };
        self.cut = (side, self.now + (1 + self.dice.below(CUT)) * TURN);
    }

    /// The worst moment: who lost its vote is back, with about half of those that have heard nothing of it yet, apart from
    /// who leads and who came.
    fn apart(&mut self, came: Voter, went: Voter) -> BTreeSet<usize> {
        let leader = self.lead.as_ref().map(|lead| lead.at);
        let mut side = BTreeSet::new();
        for at in 0..self.logs.len() {
            let voter = self.logs[at].voter();
            if voter == went || (voter != came && Some(at) != leader && self.dice.one_in(2)) {
                self.logs[at].lives = true;
                side.insert(at);
            }
        }
        side
    }

    fn reaches(&self, one: usize, other: usize) -> bool {
        let together = self.cut.0.contains(&one) == self.cut.0.contains(&other);
        self.calm || self.now >= self.cut.1 || together
    }

    fn fault(&mut self) {
        if !self.dice.one_in(6) {
            return;
        }
        let at = self.dice.below(self.logs.len() as u64) as usize;
        if !self.logs[at].lives {
            self.logs[at].lives = true;
            return;
        }
        let loses = self.dice.one_in(6);
        if !self.could_go_on(at, loses) {
            return;
        }
        self.logs[at].lives = false;
        if self.lead.as_ref().is_some_and(|lead| lead.at == at) {
            self.lead = None;
        }
        if loses {
            let log = &mut self.logs[at];
            (log.entries, log.promised) = (Vec::new(), 0);
            if self.without != Some(Rule::LineNamesItsLog) {
                log.line += 1;
            }
            self.seen.lines += 1;
        }
    }

    /// A person consents that a log is lost.
    fn consent(&mut self) {
        let Some(lead) = &self.lead else { return };
        let lost =
            |log: &&Log| log.lives && self.machine.as_voter(log.member).is_some_and(|known| known.line != log.line);
        let Some(log) = self.logs.iter().find(lost) else { return };
        let (member, line, at) = (log.member, log.line, lead.at);
        let lost = self.machine.as_voter(member).map_or(0, |known| known.line);
        let asked = Payload::Command(Command::NewLine { member, line, lost });
        let outstanding = self.logs[at].entries.iter().skip(self.applied).any(|entry| entry.payload == asked);
        if !outstanding {
            self.append(1, asked);
        }
    }

    fn append(&mut self, weight: u64, payload: Payload) {
        let Some(Lead { at, term, .. }) = self.lead else { return };
        let id = self.next_id;
        self.next_id += 1;
        self.logs[at].entries.push(Entry { id, term, weight, payload });
    }

    fn elections(&mut self) -> Result<(), String> {
        let wanted = self.lead.is_none() || (!self.calm && self.dice.one_in(25));
        if !wanted {
            return Ok(());
        }
        let at = self.dice.below(self.logs.len() as u64) as usize;
        let mut reached: Vec<_> = (0..self.logs.len()).map(|_| self.calm || !self.dice.one_in(4)).collect();
        reached.iter_mut().enumerate().for_each(|(other, reached)| *reached &= self.reaches(at, other));
        let Some(term) = raft::elect(&mut self.logs, at, |other| reached[other]) else {
            // Who promised a later term follows no more.
            self.lead = self.lead.take().filter(|lead| self.logs[lead.at].promised == lead.term);
            return Ok(());
        };
        let has: Vec<_> = self.logs[at].entries.iter().map(|entry| entry.id).collect();
        if !has.starts_with(&self.committed) {
            return Err(format!("{} leads term {term} without what was committed", self.logs[at].member));
        }
        self.seen.leaders += 1;
        self.lead = Some(Lead { at, term, since: self.now });
        self.append(1, Payload::Nothing);
        Ok(())
    }

    fn replicate(&mut self) -> Result<(), String> {
        let Some(Lead { at, term, .. }) = self.lead else { return Ok(()) };
        if self.logs[at].promised > term {
            self.lead = None;
            return Ok(());
        }
        // Each turn brings so much that who begins with nothing waits.
        let writes = 1 + self.dice.below(self.writes);
        self.append(writes, Payload::Nothing);
        let told: BTreeSet<Voter> = self.logs[at]
            .membership()
            .map(|(_, halves, learners)| halves.iter().flatten().chain(learners).copied().collect())
            .unwrap_or_default();
        for other in 0..self.logs.len() {
            let log = &self.logs[other];
            let reached = self.calm || (self.reaches(at, other) && !self.dice.one_in(5));
            if other != at && log.lives && reached {
                self.heard.insert(log.member, self.now);
                if told.contains(&log.voter()) {
                    let most = if self.calm { usize::MAX } else { TOLD };
                    if !raft::copy(&mut self.logs, at, other, term, most) {
                        self.lead = None;
                        return Ok(());
                    }
                }
            }
        }
        self.heard.insert(self.logs[at].member, self.now);
        let upto = raft::committed(&self.logs, at, term);
        for (n, entry) in self.logs[at].entries.iter().take(upto).enumerate() {
            match self.committed.get(n) {
                None => self.committed.push(entry.id),
                Some(known) if *known == entry.id => {}
                Some(known) => return Err(format!("entry {n} was committed as {known}, and is {} now", entry.id)),
            }
        }
        self.apply_all(at);
        Ok(())
    }

    fn apply_all(&mut self, at: usize) {
        while self.applied < self.committed.len() {
            let entry = self.logs[at].entries[self.applied].clone();
            self.applied += 1;
            if let Payload::Command(command) = entry.payload {
                if let Command::Voters { remove: Some(_), .. } = command {
                    self.seen.replaced += 1;
                }
                apply(&mut self.machine, self.applied as u64, command);
            }
        }
    }

    fn observations(&self, lead: &Lead) -> Observations {
        let observed = |log: &Log| {
            let heard = self.heard.get(&log.member)?;
            let durable = if self.lacks(Rule::CaughtUp) { self.logs[lead.at].length() } else { log.length() };
            let report = MemberReport { durable, line: log.line, ..MemberReport::default() };
            let votes = self.logs[lead.at]
                .membership()
                .is_some_and(|(_, halves, _)| halves.iter().any(|h| h.contains(&log.voter())));
            let heard_ms_ago = if !votes && self.lacks(Rule::Heard) { 0 } else { self.now - heard };
            Some((log.member, Observed { heard_ms_ago, boot: Boot(1), volume_id: "v".into(), report }))
        };
        Observations {
            members: self.logs.iter().filter_map(observed).collect(),
            leader_for_ms: self.now - lead.since,
            ..Observations::default()
        }
    }

    fn decide(&mut self) -> Result<(), String> {
        let Some(lead) = &self.lead else { return Ok(()) };
        // A leader knows what is committed once an entry of its own is.
        let at = lead.at;
        let mut voting = self.logs[at].voting(self.committed.len());
        let truth = voting.committed;
        voting.committed |= self.lacks(Rule::OneAtATime);
        if self.lacks(Rule::HalvesEnd) && voting.halves.len() > 1 {
            return Ok(());
        }
        let Some(step) = step(&self.machine, &self.observations(lead), self.logs[at].member, &voting) else {
            return Ok(());
        };
        match step {
            Step::Propose(command) => {
                let asked = Payload::Command(command);
                let outstanding = self.logs[at].entries.iter().skip(self.applied).any(|entry| entry.payload == asked);
                if !outstanding {
                    self.append(1, asked);
                }
                return Ok(());
            }
            _ if !truth => return Err(format!("{step:?} while a membership is outstanding")),
            Step::Learn(voter) => {
                voting.learners.insert(voter);
            }
            Step::Forget(voter) => {
                voting.learners.remove(&voter);
            }
            Step::Vote(goal) => self.vote(&mut voting, goal)?,
        }
        self.append(1, Payload::Membership { halves: voting.halves, learners: voting.learners });
        Ok(())
    }

    fn vote(&mut self, voting: &mut jet_core::supervisor::voting::Voting, goal: BTreeSet<Voter>) -> Result<(), String> {
        let before = voting.halves.last().cloned().unwrap_or_default();
        if voting.halves.len() > 1 {
            voting.halves = vec![goal];
            return Ok(());
        }
        let (came, went) = (goal.difference(&before).count(), before.difference(&goal).count());
        if came > 1 || went > 1 || goal.is_empty() || goal.len() > VOTERS_MOST {
            return Err(format!("{before:?} becomes {goal:?}"));
        }
        let upto = self.lead.as_ref().map_or(0, |lead| self.logs[lead.at].length());
        let could = |log: &&Log| log.length() + 2 * CAUGHT_UP_WITHIN >= upto;
        let recently = |log: &&Log| log.lives || self.heard.get(&log.member).is_some_and(|at| self.now - at < 3_000);
        let ready: BTreeSet<_> = self.logs.iter().filter(could).filter(recently).map(Log::voter).collect();
        let unready = goal.difference(&before).any(|voter| !ready.contains(voter));
        if unready || !raft::agrees(std::slice::from_ref(&goal), &ready) {
            return Err(format!("{goal:?} could not decide: ready are {ready:?}"));
        }
        self.seen.exchanged += 1;
        self.exchanged = goal.difference(&before).copied().next().zip(before.difference(&goal).copied().next());
        voting.learners.extend(before.difference(&goal));
        voting.learners.retain(|voter| !goal.contains(voter));
        voting.halves = if self.lacks(Rule::ByBothHalves) { vec![goal] } else { vec![before, goal] };
        Ok(())
    }

    /// After the calm everything is as it should be.
    fn settled(&self) -> Result<(), String> {
        let lead = self.lead.as_ref().ok_or("not settled: nobody leads")?;
        let voting = self.logs[lead.at].voting(self.committed.len());
        let wanted = self.machine.voters();
        let told = |what: &str| Err(format!("not settled: {what}: {voting:?}, wanted {wanted:?}"));
        if !voting.committed || voting.halves != [wanted.clone()] {
            return told("the membership is another");
        }
        if wanted.len() != VOTERS_MOST.min(self.logs.len()) {
            return told("places are free");
        }
        let all: BTreeSet<_> = self.logs.iter().map(Log::voter).collect();
        let known: BTreeSet<_> = voting.halves.iter().flatten().chain(&voting.learners).copied().collect();
        if all != known {
            return told("not everybody learns, or somebody does who is gone");
        }
        let longest = self.logs.iter().map(Log::length).max().unwrap_or(0);
        if self.logs.iter().any(|log| log.length() + 2 * CAUGHT_UP_WITHIN < longest) {
            return told("somebody lags");
        }
        Ok(())
    }
}

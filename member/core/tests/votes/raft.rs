//! Logs, votes and majorities.
//!
//! Law: as in Raft: a term has one vote of each log, given to a log that is as new; an entry of the leader's term is committed
//! once a majority of each half of its membership has it. The membership is the last one in a log, committed or not. Must not
//! know: who wants which membership.

use std::collections::BTreeSet;

use jet_core::supervisor::voting::Voting;
use jet_core::{Command, MemberId, Voter};

#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    Nothing,
    Command(Command),
    Membership { halves: Vec<BTreeSet<Voter>>, learners: BTreeSet<Voter> },
}

/// The entry that made a membership, its sets of voters, and who learns.
pub type Membership<'a> = (usize, &'a [BTreeSet<Voter>], &'a BTreeSet<Voter>);

/// `id`: no two entries have the same. `weight`: so many entries it stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub id: u64,
    pub term: u64,
    pub weight: u64,
    pub payload: Payload,
}

/// One member's disk and process.
#[derive(Clone, Debug)]
pub struct Log {
    pub member: MemberId,
    /// Of the log on the disk.
    pub line: u64,
    pub lives: bool,
    pub promised: u64,
    pub entries: Vec<Entry>,
}

impl Log {
    pub fn voter(&self) -> Voter {
        Voter { member: self.member, line: self.line }
    }

    /// Entries in it.
    pub fn length(&self) -> u64 {
        self.entries.iter().map(|entry| entry.weight).sum()
    }

    fn newness(&self) -> (u64, usize) {
        (self.entries.last().map_or(0, |entry| entry.term), self.entries.len())
    }

    /// The last membership in it, and where it stands.
    pub fn membership(&self) -> Option<Membership<'_>> {
        self.entries.iter().enumerate().rev().find_map(|(at, entry)| match &entry.payload {
            Payload::Membership { halves, learners } => Some((at, halves.as_slice(), learners)),
            _ => None,
        })
    }

    pub fn voting(&self, committed: usize) -> Voting {
        self.membership().map_or_else(Voting::default, |(at, halves, learners)| Voting {
            halves: halves.to_vec(),
            learners: learners.clone(),
            committed: at < committed,
        })
    }
}

/// Of each half a majority is among those.
pub fn agrees(halves: &[BTreeSet<Voter>], with: &BTreeSet<Voter>) -> bool {
    halves.iter().all(|half| 2 * half.intersection(with).count() > half.len())
}

/// `candidate` asks those that live for their votes; the term that it leads, if it got them.
pub fn elect(logs: &mut [Log], candidate: usize, reaches: impl Fn(usize) -> bool) -> Option<u64> {
    let own = logs[candidate].clone();
    let (_, halves, _) = own.membership()?;
    let may = halves.iter().any(|half| half.contains(&own.voter()));
    if !own.lives || !may {
        return None;
    }
    let heard = |(at, log): &(usize, &Log)| log.lives && (*at == candidate || reaches(*at));
    let term = logs.iter().enumerate().filter(heard).map(|(_, log)| log.promised).max().unwrap_or(0) + 1;
    let mut given = BTreeSet::new();
    for (at, log) in logs.iter_mut().enumerate() {
        let asked = halves.iter().any(|half| half.contains(&log.voter())) && (at == candidate || reaches(at));
        let gives = asked && log.lives && log.promised < term && log.newness() <= own.newness();
        if gives {
            log.promised = term;
            given.insert(log.voter());
        }
    }
    agrees(halves, &given).then_some(term)
}

/// The leader's log is copied to another; `false`: that one follows a later term.
pub fn copy(logs: &mut [Log], leader: usize, to: usize, term: u64, most: usize) -> bool {
    if logs[to].promised > term {
        return false;
    }
    let (own, other) = (&logs[leader].entries, &logs[to].entries);
    // Logs that have one entry in common have all before it.
    let common = (0..own.len().min(other.len())).rev().find(|at| own[*at].id == other[*at].id);
    let same = common.map_or(0, |at| at + 1);
    let more: Vec<_> = own.iter().skip(same).take(most).cloned().collect();
    let log = &mut logs[to];
    log.promised = term;
    log.entries.truncate(same);
    log.entries.extend(more);
    true
}

/// How many of the leader's entries are committed.
pub fn committed(logs: &[Log], leader: usize, term: u64) -> usize {
    let own = &logs[leader];
    let Some((_, halves, _)) = own.membership() else { return 0 };
    let has = |at: usize| -> BTreeSet<Voter> {
        let id = own.entries[at].id;
        logs.iter().filter(|log| log.entries.get(at).is_some_and(|entry| entry.id == id)).map(Log::voter).collect()
    };
    let newest = (0..own.entries.len()).rev().find(|at| own.entries[*at].term == term && agrees(halves, &has(*at)));
    newest.map_or(0, |at| at + 1)
}

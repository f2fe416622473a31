//! Going on without a majority: the survivors of lost logs agree anew, on what the furthest of their logs tells.
//!
//! Law:
//! 1. Without a majority nothing is agreed on, so this is no command: it is a consent that each survivor judges for itself. It
//!    names the cluster, the survivors with the ends of their logs, and those that are absent.
//! 2. It is refused where the survivors could elect a leader, where one of them knows one, and where one of them takes part.
//! 3. What the furthest log tells counts, with entries that may not have been committed: as if it had been elected. What only the
//!    absent had agreed on is lost, and the consent says so. Nobody begins whose log has another end than was consented to.
//! 4. It is refused where a partition has no copy in step at a survivor: the absent would be needed after it, and could not come
//!    back. What becomes of their data is not judged here: the survivors wait for them, until a person gives them up too.
//! 5. It makes a new incarnation. Whoever is of an older one is not spoken with: if the absent live, they are another cluster's.
//!
//! Attacked: *Loses a write*: an acknowledged entry is only in a log that is not the furthest (`the_furthest_log_counts`: by
//! term, by who led it, then by length, as in an election); a survivor returns to the old majority meanwhile (it gives no vote
//! from the moment on in which it has prepared, and its end is looked at again then, and again before it begins); a consent
//! of long ago is given again (the same). *Serves twice*: the absent come back together and are a majority of the old
//! incarnation (they wait for the survivors, who refuse them; where they never stopped, the person who called them lost
//! was wrong, and was told so). *Hangs*: one of them has begun and another not (it is asked again, there, with the same
//! consent: lines and machine follow from it); who is to vote are only those that leave, or nobody with the line that
//! counts (`who_leaves_votes_where_nobody_else_is_left`, `lines_that_nobody_has_are_no_majority`).
//!
//! Must not know: who may consent, how a log is written.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::{Boot, Digest, FoundingId, LogIndex, MemberId, PartitionId};
use crate::machine::Machine;
use crate::voters::{self, Voter};

/// One that is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Survivor {
    /// Number in its certificate.
    pub ordinal: u32,
    /// Who it is.
    pub member: MemberId,
    /// In which process.
    pub boot: Boot,
    /// Of which cluster.
    pub founding: FoundingId,
    /// Of which incarnation of it.
    pub incarnation: u32,
    /// Line of its log.
    pub line: u64,
    /// Where it ends.
    pub end: End,
}

/// The last entry of a log; of two ends the greater one is further, as in an election.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct End {
    /// Its term.
    pub term: u64,
    /// Who led it.
    pub led_by: Voter,
    /// Its position.
    pub index: LogIndex,
}

/// What a member is found to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Found {
    /// It has gone on with nothing since its start.
    Waits {
        /// What it has.
        survivor: Survivor,
        /// Who leads: itself, if a majority follows it; another, if it says so to this one.
        leader: Option<MemberId>,
    },
    /// It has gone on writing.
    TakesPart {
        /// Its number.
        ordinal: u32,
    },
    /// It is connected and did not answer.
    Silent {
        /// Its number.
        ordinal: u32,
    },
    /// It belongs to a cluster, and its log is not read yet, or is blank.
    NoLog {
        /// Its number.
        ordinal: u32,
    },
    /// It belongs to no cluster.
    Blank,
}

/// Everything that is consented to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refounding {
    /// Of which cluster.
    pub founding: FoundingId,
    /// The one that begins.
    pub incarnation: u32,
    /// By ordinal.
    pub survivors: Vec<Survivor>,
    /// Members of the roster that are not heard.
    pub absent: Vec<(u32, MemberId)>,
}

/// Why there is no new incarnation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[allow(missing_docs)]
pub enum WhyNot {
    #[error(
        "member {ordinal} has gone on writing since its start; end it and start it again, so that it waits as the others do"
    )]
    TakesPart { ordinal: u32 },
    #[error("member {ordinal} is connected and does not answer; ask again, or end it first")]
    Silent { ordinal: u32 },
    #[error("member {ordinal} belongs to a cluster, and its log tells nothing yet; ask again, or end it first")]
    NoLog { ordinal: u32 },
    #[error("no member that is heard belongs to a cluster")]
    Nothing,
    #[error("member {ordinal} is of another cluster, or of another incarnation of it")]
    Another { ordinal: u32 },
    #[error("member {leader} leads: ask for what is to be agreed on")]
    Led { leader: MemberId },
    #[error("{there} of {all} members that vote are there, which is a majority: they elect a leader by themselves")]
    Majority { there: usize, all: usize },
    #[error(
        "{count} partitions, the first of them {first}, have no copy in step at a member that is there, and who has one could \
         not come back: bring one more member back, or restore a backup"
    )]
    OnlyThere { count: usize, first: PartitionId },
    #[error("what would begin now is something else than what {consent} was told for; ask again without a consent")]
    Changed { consent: Digest },
}

impl Refounding {
    /// What a consent must name.
    pub fn digest(&self) -> Digest {
        match serde_json::to_vec(self) {
            Ok(json) => blake3::hash(&json).into(),
            Err(_) => Digest::default(),
        }
    }

    /// Whose log counts.
    pub fn furthest(&self) -> Option<&Survivor> {
        furthest(&self.survivors)
    }
}

fn furthest(survivors: &[Survivor]) -> Option<&Survivor> {
    survivors.iter().max_by_key(|survivor| (survivor.end, std::cmp::Reverse(survivor.ordinal)))
}

/// Those that wait, by ordinal; the first of what is in the way.
pub fn survivors(found: Vec<Found>) -> Result<Vec<Survivor>, WhyNot> {
    let mut survivors = Vec::with_capacity(found.len());
    if let Some(leader) = found.iter().find_map(|one| leads(one, &found)) {
        return Err(WhyNot::Led { leader });
    }
    for found in found {
        match found {
            Found::Waits { survivor, .. } => survivors.push(survivor),
            Found::TakesPart { ordinal } => return Err(WhyNot::TakesPart { ordinal }),
            Found::Silent { ordinal } => return Err(WhyNot::Silent { ordinal }),
            Found::NoLog { ordinal } => return Err(WhyNot::NoLog { ordinal }),
            Found::Blank => {}
        }
    }
    survivors.sort_unstable();
    let first = survivors.first().ok_or(WhyNot::Nothing)?;
    let of = |survivor: &Survivor| (survivor.founding, survivor.incarnation);
    match survivors.iter().find(|survivor| of(survivor) != of(first)) {
        Some(other) => Err(WhyNot::Another { ordinal: other.ordinal }),
        None => Ok(survivors),
    }
}

/// Of one that is there itself, only its own word counts: who is started again leads on, also where no majority follows.
fn leads(one: &Found, found: &[Found]) -> Option<MemberId> {
    let Found::Waits { survivor, leader: Some(leader) } = one else { return None };
    let is_there =
        found.iter().any(|other| matches!(other, Found::Waits { survivor, .. } if survivor.member == *leader));
    (survivor.member == *leader || !is_there).then_some(*leader)
}

/// Whose machine is to be asked for.
pub fn source(survivors: &[Survivor]) -> Option<MemberId> {
    furthest(survivors).map(|survivor| survivor.member)
}

/// What begins if these go on by this machine, which is what the furthest log tells. `electing`: the sets of voters of each of
/// which a majority elects a leader, by that log.
pub fn preview(
    survivors: Vec<Survivor>,
    machine: &Machine,
    electing: &[BTreeSet<Voter>],
) -> Result<Refounding, WhyNot> {
    let founding = machine.founding.as_ref().ok_or(WhyNot::Nothing)?;
    let stranger = |survivor: &&Survivor| {
        !machine.roster.contains_key(&survivor.member)
            || (survivor.founding, survivor.incarnation) != (founding.id, founding.incarnation)
    };
    if let Some(stranger) = survivors.iter().find(stranger) {
        return Err(WhyNot::Another { ordinal: stranger.ordinal });
    }
    let there: BTreeSet<MemberId> = survivors.iter().map(|survivor| survivor.member).collect();
    let votes = |voter: &&Voter| survivors.iter().any(|s| (s.member, s.line) == (voter.member, voter.line));
    let halves: Vec<_> = electing.iter().map(|set| (set.iter().filter(votes).count(), set.len())).collect();
    let is_majority = |(there, all): &(usize, usize)| *there > all / 2;
    if let Some((there, all)) = halves.first().copied().filter(|_| halves.iter().all(is_majority)) {
        return Err(WhyNot::Majority { there, all });
    }
    let only_there: Vec<usize> = (0..machine.table.partitions.len())
        .filter(|at| !machine.table.partitions[*at].synced().any(|copy| there.contains(&copy.member)))
        .collect();
    if let Some(first) = only_there.first() {
        let first = PartitionId(u16::try_from(*first).unwrap_or(u16::MAX));
        return Err(WhyNot::OnlyThere { count: only_there.len(), first });
    }
    let absent = machine.roster.iter().filter(|(member, _)| !there.contains(member));
    let mut absent: Vec<_> = absent.map(|(member, entry)| (entry.ordinal, *member)).collect();
    absent.sort_unstable();
    Ok(Refounding { founding: founding.id, incarnation: founding.incarnation + 1, survivors, absent })
}

/// At a survivor that is asked to go on so: is it what was consented to?
pub fn judge(own: &Found, all: &Refounding, consent: &Digest) -> Result<(), WhyNot> {
    let changed = || WhyNot::Changed { consent: consent.clone() };
    match own {
        Found::TakesPart { ordinal } => Err(WhyNot::TakesPart { ordinal: *ordinal }),
        Found::Silent { ordinal } => Err(WhyNot::Silent { ordinal: *ordinal }),
        Found::NoLog { .. } | Found::Blank => Err(changed()),
        Found::Waits { survivor, leader: Some(leader) }
            if survivor.member == *leader || all.survivors.iter().all(|other| other.member != *leader) =>
        {
            Err(WhyNot::Led { leader: *leader })
        }
        Found::Waits { survivor, .. } => match all.digest() == *consent && all.survivors.contains(survivor) {
            true => Ok(()),
            false => Err(changed()),
        },
    }
}

/// The machine that the survivors begin with, under these lines of their logs.
pub fn begun(machine: &Machine, all: &Refounding, lines: &BTreeMap<MemberId, u64>) -> Machine {
    let mut machine = machine.clone();
    if let Some(founding) = &mut machine.founding {
        founding.incarnation = all.incarnation;
    }
    for (member, line) in lines {
        if let Some(entry) = machine.roster.get_mut(member) {
            entry.log_line = *line;
        }
    }
    let there: Vec<_> = machine.candidates().into_iter().filter(|c| lines.contains_key(&c.member)).collect();
    machine.voters.members = match there.is_empty() {
        // Only such as leave, or have hardly come.
        true => lines.keys().copied().take(voters::VOTERS_MOST).collect(),
        false => voters::first(&there),
    };
    machine.voters.changes += 1;
    machine
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;
    use crate::roster::{Founder, RosterEntry};

    fn member(ordinal: u32) -> MemberId {
        MemberId(uuid::Uuid::from_u128(u128::from(ordinal) + 1))
    }

    /// Of that many members, with one backup of each partition; its furthest log has come to 7.
    fn machine(members: u32) -> Machine {
        let founder = |ordinal| Founder {
            member: member(ordinal),
            entry: RosterEntry { ordinal, boot: Boot(1), volume_id: "v".into(), log_line: u64::from(ordinal) },
        };
        let mut machine = Machine::default();
        let found = Command::Found {
            id: FoundingId::default(),
            members: (0..members).map(founder).collect(),
            partition_count: 12,
            backup_count: 1,
            permit_digest: Digest::default(),
        };
        assert!(crate::apply(&mut machine, 7, found).is_done());
        machine
    }

    fn survivor(ordinal: u32, term: u64, index: LogIndex) -> Survivor {
        let founding = FoundingId::default();
        let (line, end) = (u64::from(ordinal), End { term, led_by: Voter { member: member(9), line: 9 }, index });
        Survivor { ordinal, member: member(ordinal), boot: Boot(2), founding, incarnation: 1, line, end }
    }

    fn previewed(survivors: Vec<Survivor>, machine: &Machine) -> Result<Refounding, WhyNot> {
        preview(survivors, machine, &[machine.voters()])
    }

    fn waits(ordinal: u32) -> Found {
        Found::Waits { survivor: survivor(ordinal, 1, 7), leader: None }
    }

    #[test]
    fn the_one_of_two_that_is_left_goes_on() {
        let machine = machine(2);
        let all = previewed(survivors(vec![waits(1), Found::Blank]).unwrap(), &machine).unwrap();
        assert_eq!((all.incarnation, &all.absent), (2, &vec![(0, member(0))]));
        let begun = begun(&machine, &all, &BTreeMap::from([(member(1), 99)]));
        assert_eq!(begun.founding.as_ref().unwrap().incarnation, 2);
        assert_eq!(begun.voters(), BTreeSet::from([voters::Voter { member: member(1), line: 99 }]));
        assert_eq!(
            (begun.roster.len(), &begun.table),
            (2, &machine.table),
            "what becomes of the other is not judged here"
        );
        assert_eq!(judge(&waits(1), &all, &all.digest()), Ok(()));
        assert!(judge(&waits(1), &all, &Digest("another".into())).is_err());
        let grown = Found::Waits { survivor: survivor(1, 1, 8), leader: None };
        assert_eq!(judge(&grown, &all, &all.digest()), Err(WhyNot::Changed { consent: all.digest() }));
    }

    #[test]
    fn the_furthest_log_counts() {
        for (logs, expected) in
            [(vec![(0, 1, 7), (1, 1, 9)], 1), (vec![(0, 2, 5), (1, 1, 9)], 0), (vec![(0, 1, 7), (1, 1, 7)], 0)]
        {
            let found: Vec<_> = logs.iter().map(|(ordinal, term, last)| survivor(*ordinal, *term, *last)).collect();
            assert_eq!(source(&found), Some(member(expected)), "{logs:?}");
        }
        // Two may lead one term, one after the other: what the later one was followed in counts.
        let (mut early, late) = (survivor(0, 5, 12), survivor(1, 5, 11));
        early.end.led_by = Voter { member: member(3), line: 9 };
        assert_eq!(source(&[early, late]), Some(member(1)));
    }

    #[test]
    fn lines_that_nobody_has_are_no_majority() {
        let machine = machine(2);
        let both = vec![survivor(0, 1, 7), survivor(1, 1, 7)];
        assert_eq!(previewed(both.clone(), &machine), Err(WhyNot::Majority { there: 2, all: 2 }));
        let other = BTreeSet::from([0, 1].map(|n| Voter { member: member(n), line: 100 + u64::from(n) }));
        assert!(preview(both.clone(), &machine, std::slice::from_ref(&other)).is_ok(), "they cannot elect anybody");
        assert!(preview(both, &machine, &[machine.voters(), other]).is_ok(), "in the midst of a change of voters");
    }

    #[test]
    fn who_leaves_votes_where_nobody_else_is_left() {
        let mut machine = machine(2);
        machine.membership.leaving.insert(member(1));
        let all = previewed(vec![survivor(1, 1, 8)], &machine).unwrap();
        assert_eq!(begun(&machine, &all, &BTreeMap::from([(member(1), 99)])).voters().len(), 1);
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let led = Found::Waits { survivor: survivor(0, 1, 7), leader: Some(member(1)) };
        for (found, why) in [
            (led, WhyNot::Led { leader: member(1) }),
            (Found::TakesPart { ordinal: 2 }, WhyNot::TakesPart { ordinal: 2 }),
            (Found::Silent { ordinal: 2 }, WhyNot::Silent { ordinal: 2 }),
            (Found::NoLog { ordinal: 2 }, WhyNot::NoLog { ordinal: 2 }),
        ] {
            assert_eq!(survivors(vec![waits(3), found]), Err(why));
        }
        // One that leads on alone, and one that believes it.
        let led = |ordinal, leader| Found::Waits { survivor: survivor(ordinal, 1, 7), leader };
        assert_eq!(survivors(vec![led(0, None), led(1, Some(member(0)))]).unwrap().len(), 2);
        assert_eq!(survivors(vec![led(0, Some(member(0)))]), Err(WhyNot::Led { leader: member(0) }));
        assert_eq!(survivors(vec![Found::Blank]), Err(WhyNot::Nothing));
        let other = Survivor { incarnation: 2, ..survivor(1, 1, 7) };
        let other = Found::Waits { survivor: other, leader: None };
        assert_eq!(survivors(vec![waits(0), other]), Err(WhyNot::Another { ordinal: 1 }));
        let three = machine(3);
        let majority = previewed(vec![survivor(0, 1, 7), survivor(1, 1, 7)], &three);
        assert_eq!(majority, Err(WhyNot::Majority { there: 2, all: 3 }));
        // Of three members with one backup each pair has partitions to itself.
        let alone = previewed(vec![survivor(0, 1, 7)], &three);
        assert!(matches!(alone, Err(WhyNot::OnlyThere { count, .. }) if count > 0), "{alone:?}");
        let stranger = previewed(vec![survivor(5, 1, 7)], &three);
        assert_eq!(stranger, Err(WhyNot::Another { ordinal: 5 }));
    }
}

//! Who should hold which partition: the table that is, brought to a fair one by few moves.
//!
//! Law:
//! 1. Every partition gets `min(wanted, candidates)` copies, on different candidates.
//! 2. A zone holds at most so many copies of a partition as it must: the least number with which all have a place. With as
//!    many zones as copies that is one. A candidate whose zone is not known is a zone of its own.
//! 3. A candidate holds its share of all copies, and leads its share of all partitions, each rounded down or up. A share goes
//!    by weight, but for what no candidate (one copy of each partition) and no zone (2.) can take: that goes to the others.
//!    So of equal candidates in equal zones any two differ by at most one copy, and by at most one primary.
//! 4. What is there stays, primary and copies, unless one of the above asks for a move. Nothing else is looked at: the same
//!    table and the same candidates, in whatever order, give the same wish.
//!
//! An answer that breaks 1 to 3 is not given: [`Unassignable`] says what is wrong with it, and whoever asked keeps what is.
//!
//! That all of them can be kept together: let every partition give each candidate its share divided by the number of
//! partitions. That keeps 1 to 3 with fractions, and every bound is a whole number, so there is a way to keep them with whole
//! copies too; and one that is not reached yet can be come nearer to along a chain of shifts (see `level`). For primaries the
//! same, with one part of `copies` to each copy: a share of the primaries is that of the copies divided by `copies`.
//!
//! Attacked:
//! - *It never ends*: every chain brings the sum of what is too much and too little down by one, and without one it ends.
//! - *It grows*: with partitions × copies, and a chain with candidates.
//! - *It loses copies*: it is a wish; who carries it out keeps a copy until the new one is there. Absent partitions look like
//!   empty ones here, so nobody may take a wish for one as a place to begin anew.
//! - *Two members judge by different tables*: a wish is proposed against a version of the table, or made from the machine.
//!
//! Must not know: who is alive, what a copy costs.
//!
//! - `share`: who should have how much · `places`: copies · `lead`: primaries · `level`: fewest shifts to the shares
//! - `judge`: what is wrong with an answer

mod judge;
mod lead;
mod level;
mod places;
mod share;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;

use crate::ids::{MemberId, PartitionId};
use lead::Leads;
use level::level;
use places::Places;
use share::{Bounds, Shares};

/// Who may hold partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Who.
    pub member: MemberId,
    /// The order of candidates.
    pub ordinal: u32,
    /// What fails together; `None`: nobody knows.
    pub zone: Option<String>,
    /// How much it takes beside others.
    pub weight: NonZeroU16,
}

impl Candidate {
    /// One like any other, in a zone of its own.
    pub fn plain(member: MemberId, ordinal: u32) -> Self {
        Self { member, ordinal, zone: None, weight: NonZeroU16::MIN }
    }
}

/// Why there is no wish.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Unassignable {
    #[error("there is nobody to hold partitions")]
    Nobody,
    #[error("member {member} stands among the candidates twice")]
    Twice { member: MemberId },
    #[error("partition {partition} would have {given} copies on different members instead of {wanted}")]
    Copies { partition: PartitionId, given: usize, wanted: usize },
    #[error("partition {partition} would have {given} copies in the zone of member {member}, which can do with {most}")]
    Zone { partition: PartitionId, member: MemberId, given: usize, most: usize },
    #[error("member {member} would have {given} {what} instead of {least} to {most}")]
    Share { member: MemberId, what: &'static str, given: usize, least: usize, most: usize },
}

/// For each partition the members that should hold it, first the primary. `now`: who holds it, in the same order; nobody, if
/// that is not known.
pub fn assign(
    now: &[Vec<MemberId>],
    candidates: &[Candidate],
    wanted: usize,
) -> Result<Vec<Vec<MemberId>>, Unassignable> {
    let field = Field::of(candidates, now.len(), wanted)?;
    let nothing_yet = now.iter().all(Vec::is_empty);
    let start = if nothing_yet { field.round(now.len()) } else { field.places_of(now) };
    let mut places = Places::keep(&field, &start);
    places.fill(&field.holds);
    level(&mut places, &field.holds);
    let mut leads = Leads(places.lists);
    level(&mut leads, &field.leads);
    let lists = leads.0;
    judge::judge(&field, &lists)?;
    let named = |list: &Vec<usize>| list.iter().filter_map(|at| field.members.get(*at).copied()).collect();
    Ok(lists.iter().map(named).collect())
}

/// Whether a table is what [`assign`] would leave as it is.
pub fn is_fair(now: &[Vec<MemberId>], candidates: &[Candidate], wanted: usize) -> bool {
    let Ok(field) = Field::of(candidates, now.len(), wanted) else { return false };
    let lists = field.places_of(now);
    let known = lists.iter().zip(now).all(|(list, named)| list.len() == named.len());
    known && judge::judge(&field, &lists).is_ok()
}

/// The candidates in order, each known by its place here, and what is asked of a wish.
struct Field {
    members: Vec<MemberId>,
    zones: Vec<usize>,
    copies: usize,
    zone_most: usize,
    holds: Bounds,
    leads: Bounds,
}

impl Field {
    fn of(candidates: &[Candidate], partitions: usize, wanted: usize) -> Result<Self, Unassignable> {
        let mut ordered: Vec<_> = candidates.iter().collect();
        ordered.sort_unstable_by_key(|candidate| (candidate.ordinal, candidate.member));
        let mut known = BTreeSet::new();
        if let Some(twice) = ordered.iter().find(|candidate| !known.insert(candidate.member)) {
            return Err(Unassignable::Twice { member: twice.member });
        }
        if ordered.is_empty() {
            return Err(Unassignable::Nobody);
        }
        let copies = wanted.clamp(1, ordered.len());
        let zones = numbered(&ordered);
        let weights: Vec<_> = ordered.iter().map(|candidate| u64::from(candidate.weight.get())).collect();
        let shares = Shares::of(&weights, &zones, partitions, copies);
        Ok(Self {
            members: ordered.iter().map(|candidate| candidate.member).collect(),
            zones,
            copies,
            zone_most: shares.zone_most,
            holds: shares.bounds(1),
            leads: shares.bounds(copies),
        })
    }

    /// Where nothing is anywhere: in turns, so that the backups of one member's primaries lie on all the others and not on
    /// one neighbour, and neighbours are of different zones.
    fn round(&self, partitions: usize) -> Vec<Vec<usize>> {
        let mut met = BTreeMap::<usize, usize>::new();
        let mut order: Vec<(usize, usize)> = Vec::new();
        for (at, zone) in self.zones.iter().enumerate() {
            let before = met.entry(*zone).or_default();
            order.push((*before, at));
            *before += 1;
        }
        order.sort_unstable();
        let (n, others) = (order.len(), order.len().saturating_sub(1).max(1));
        let list = |partition: usize| {
            let (primary, turn) = (partition % n, partition / n);
            let backups = (0..self.copies - 1).map(|k| (primary + 1 + (turn + k) % others) % n);
            std::iter::once(primary).chain(backups).filter_map(|i| order.get(i).map(|(_, at)| *at)).collect()
        };
        (0..partitions).map(list).collect()
    }

    fn places_of(&self, now: &[Vec<MemberId>]) -> Vec<Vec<usize>> {
        let places: BTreeMap<_, _> = self.members.iter().enumerate().map(|(at, member)| (*member, at)).collect();
        now.iter().map(|list| list.iter().filter_map(|member| places.get(member).copied()).collect()).collect()
    }

    fn zone(&self, at: usize) -> Option<usize> {
        self.zones.get(at).copied()
    }
}

/// For each candidate the number of its zone.
fn numbered<'a>(ordered: &[&'a Candidate]) -> Vec<usize> {
    let mut known = BTreeMap::<&str, usize>::new();
    let number = |(at, candidate): (usize, &&'a Candidate)| match &candidate.zone {
        Some(zone) => *known.entry(zone.as_str()).or_insert(at),
        None => at,
    };
    ordered.iter().enumerate().map(number).collect()
}

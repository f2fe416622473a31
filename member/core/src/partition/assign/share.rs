//! Who should have how much.
//!
//! Law: shares sum up to all copies, exactly; nobody's is more than it can take, no zone's more than it can take, and of those
//! that could take more any two have as much as their weights say. Must not know: who has what.

use std::collections::BTreeSet;

/// A part of all copies, as a fraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share {
    parts: u64,
    of: u64,
}

/// Least and most, of each candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bounds(Vec<(usize, usize)>);

impl Bounds {
    pub(super) fn candidates(&self) -> usize {
        self.0.len()
    }

    pub(super) fn of(&self, candidate: usize) -> (usize, usize) {
        self.0.get(candidate).copied().unwrap_or_default()
    }
}

/// The shares of all candidates.
pub(super) struct Shares {
    shares: Vec<Share>,
    /// Copies of one partition that a zone may hold.
    pub(super) zone_most: usize,
}

impl Shares {
    pub(super) fn of(weights: &[u64], zones: &[usize], partitions: usize, copies: usize) -> Self {
        let zone_most = zone_most(zones, copies);
        let (each, of_zone) = (wide(partitions), wide(partitions * zone_most));
        let mut shares = vec![Share::default(); weights.len()];
        let mut open: BTreeSet<_> = zones.iter().copied().collect();
        let mut left = wide(partitions * copies);
        loop {
            let poured = pour(&among(zones, &open), weights, left, each);
            let total = |zone: usize| -> u64 {
                poured.iter().filter(|(at, _)| zones.get(*at) == Some(&zone)).map(|(_, share)| share.parts).sum()
            };
            let of = poured.first().map_or(1, |(_, share)| share.of);
            let full: BTreeSet<_> = open.iter().copied().filter(|zone| total(*zone) > of_zone * of).collect();
            if full.is_empty() {
                record(&mut shares, poured);
                return Self { shares, zone_most };
            }
            for zone in full {
                open.remove(&zone);
                left -= of_zone;
                record(&mut shares, pour(&among(zones, &BTreeSet::from([zone])), weights, of_zone, each));
            }
        }
    }

    /// Of one in `parts` of each share, what it is rounded down and up.
    pub(super) fn bounds(&self, parts: usize) -> Bounds {
        let narrow = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let bound = |share: &Share| {
            let of = (share.of * wide(parts)).max(1);
            (narrow(share.parts / of), narrow(share.parts.div_ceil(of)))
        };
        Bounds(self.shares.iter().map(bound).collect())
    }
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn record(shares: &mut [Share], poured: Vec<(usize, Share)>) {
    for (at, share) in poured {
        if let Some(place) = shares.get_mut(at) {
            *place = share;
        }
    }
}

fn among(zones: &[usize], open: &BTreeSet<usize>) -> Vec<usize> {
    zones.iter().enumerate().filter(|(_, zone)| open.contains(zone)).map(|(at, _)| at).collect()
}

/// The least number of copies of one partition in a zone with which all of them have a place.
fn zone_most(zones: &[usize], copies: usize) -> usize {
    let different: BTreeSet<_> = zones.iter().collect();
    let sizes: Vec<_> = different.iter().map(|zone| zones.iter().filter(|other| other == zone).count()).collect();
    let room = |most: usize| sizes.iter().map(|size| *size.min(&most)).sum::<usize>();
    (1..copies).find(|most| room(*most) >= copies).unwrap_or(copies)
}

/// By weight, but to nobody more than `each`; all as parts of the same whole.
fn pour(group: &[usize], weights: &[u64], amount: u64, each: u64) -> Vec<(usize, Share)> {
    let weight = |at: &usize| weights.get(*at).copied().unwrap_or(1);
    let (mut open, mut full, mut left) = (group.to_vec(), Vec::new(), amount);
    loop {
        let all: u64 = open.iter().map(weight).sum();
        let (over, rest): (Vec<_>, Vec<_>) = open.iter().copied().partition(|at| weight(at) * left > each * all);
        if over.is_empty() {
            let of = all.max(1);
            let whole = full.into_iter().map(|at| (at, Share { parts: each * of, of }));
            let by_weight = rest.into_iter().map(|at| (at, Share { parts: weight(&at) * left, of }));
            return whole.chain(by_weight).collect();
        }
        left -= each * wide(over.len());
        full.extend(over);
        open = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(weights: &[u64], zones: &[usize], partitions: usize, copies: usize) -> Vec<(usize, usize)> {
        Shares::of(weights, zones, partitions, copies).bounds(1).0
    }

    #[test]
    fn shares_go_by_weight_up_to_what_members_and_zones_can_take() {
        type Case = (&'static [u64], &'static [usize], usize, usize, &'static [(usize, usize)]);
        let cases: [Case; 7] = [
            (&[1, 1, 1], &[0, 1, 2], 271, 2, &[(180, 181), (180, 181), (180, 181)]),
            (&[1, 1], &[0, 1], 271, 2, &[(271, 271), (271, 271)]),
            (&[1, 3, 2], &[0, 1, 2], 12, 1, &[(2, 2), (6, 6), (4, 4)]),
            // Whoever has a great weight cannot hold a partition twice.
            (&[9, 1, 2], &[0, 1, 2], 12, 2, &[(12, 12), (4, 4), (8, 8)]),
            // One alone in its zone holds no more than the three of the other together.
            (&[1, 1, 1, 1], &[0, 1, 1, 1], 30, 2, &[(30, 30), (10, 10), (10, 10), (10, 10)]),
            // Two zones for three copies: at most two of them in one.
            (&[1, 1, 1, 1], &[0, 1, 1, 1], 30, 3, &[(30, 30), (20, 20), (20, 20), (20, 20)]),
            (&[1, 1, 1], &[0, 0, 0], 30, 2, &[(20, 20), (20, 20), (20, 20)]),
        ];
        for (weights, zones, partitions, copies, expected) in cases {
            assert_eq!(bounds(weights, zones, partitions, copies), expected, "{weights:?} {zones:?} {copies}");
        }
    }

    #[test]
    fn a_zone_holds_no_more_copies_than_it_must() {
        type Case = (&'static [usize], usize, usize);
        let cases: [Case; 6] = [
            (&[0, 1, 2], 3, 1),
            (&[0, 0, 1, 1], 2, 1),
            (&[0, 0, 1, 1], 3, 2),
            (&[0, 0, 0], 3, 3),
            (&[0, 1, 1, 1, 1], 4, 3),
            (&[0], 1, 1),
        ];
        for (zones, copies, expected) in cases {
            assert_eq!(zone_most(zones, copies), expected, "{zones:?} {copies}");
        }
    }
}

//! Fair tables by few moves, for every number of members.
//!
//! Law: what a wish must keep is counted here anew, from the wish and the table that was; least moves are a bound that no wish
//! can be below. Must not know: how a wish comes about.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;

use jet_core::MemberId;
use jet_core::partition::assign::{Candidate, Unassignable, assign};
use proptest::prelude::*;

type Table = Vec<Vec<MemberId>>;

fn member(n: u32) -> MemberId {
    MemberId(uuid::Uuid::from_u128(u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)))
}

fn plain(ordinals: impl IntoIterator<Item = u32>) -> Vec<Candidate> {
    ordinals.into_iter().map(|n| Candidate::plain(member(n), n)).collect()
}

fn counted<'a>(members: impl Iterator<Item = &'a MemberId>) -> BTreeMap<MemberId, usize> {
    members.fold(BTreeMap::new(), |mut counts, member| {
        *counts.entry(*member).or_default() += 1;
        counts
    })
}

/// Equal members, nothing known of zones: copies and primaries differ by at most one.
fn is_fair(wish: &Table, candidates: &[Candidate], wanted: usize) -> Result<(), String> {
    let copies = wanted.min(candidates.len());
    for (partition, list) in wish.iter().enumerate() {
        let distinct: BTreeSet<_> = list.iter().collect();
        let known = list.iter().all(|member| candidates.iter().any(|candidate| candidate.member == *member));
        if list.len() != copies || distinct.len() != copies || !known {
            return Err(format!("partition {partition} is held by {list:?}"));
        }
    }
    for (what, counts) in [
        ("copies", counted(wish.iter().flatten())),
        ("primaries", counted(wish.iter().filter_map(|list| list.first()))),
    ] {
        let of = |candidate: &Candidate| counts.get(&candidate.member).copied().unwrap_or_default();
        let (least, most) = (candidates.iter().map(of).min(), candidates.iter().map(of).max());
        if most.zip(least).is_none_or(|(most, least)| most - least > 1) {
            return Err(format!("{what}: {least:?} to {most:?}"));
        }
    }
    Ok(())
}

/// Copies that must be made to come from one to the other.
fn moves(now: &Table, wish: &Table) -> usize {
    now.iter().zip(wish).map(|(now, wish)| wish.iter().filter(|member| !now.contains(member)).count()).sum()
}

/// No wish can do with fewer: who has too little must be given, and what is too much, or gone, is made elsewhere.
fn least_moves(now: &Table, candidates: &[Candidate], wanted: usize) -> usize {
    let (n, all) = (candidates.len(), now.len() * wanted.min(candidates.len()));
    let counts = counted(now.iter().flatten());
    let has = |candidate: &Candidate| counts.get(&candidate.member).copied().unwrap_or_default();
    let lacking = candidates.iter().map(|candidate| (all / n).saturating_sub(has(candidate))).sum();
    let kept: usize = candidates.iter().map(|candidate| has(candidate).min(all.div_ceil(n))).sum();
    all.saturating_sub(kept).max(lacking)
}

fn few(moves: usize, least: usize) -> bool {
    moves <= least + least.div_ceil(20)
}

/// From nothing, one by one up to `most` members, and one by one down again.
fn up_and_down(partitions: usize, most: u32, wanted: usize) -> Result<(), String> {
    let mut there: Vec<u32> = Vec::new();
    let mut table: Table = vec![Vec::new(); partitions];
    let up = (0..most).map(|n| (true, n));
    let down = (0..most - 1).map(|i| (false, i));
    for (comes, n) in up.chain(down) {
        let who = if comes {
            there.push(n);
            n
        } else {
            // Not always the first or the last.
            there.remove((n as usize * 37) % there.len())
        };
        let said =
            format!("{partitions} partitions, {wanted} copies, member {who} {}", if comes { "comes" } else { "goes" });
        let candidates = plain(there.iter().copied());
        let wish = assign(&table, &candidates, wanted).map_err(|e| format!("{said}: {e}"))?;
        is_fair(&wish, &candidates, wanted).map_err(|e| format!("{said}: {e}"))?;
        let (made, least) = (moves(&table, &wish), least_moves(&table, &candidates, wanted));
        if !few(made, least) {
            return Err(format!("{said}: {made} moves, {least} would do"));
        }
        if assign(&wish, &candidates, wanted).as_ref() != Ok(&wish) {
            return Err(format!("{said}: a fair table is not left alone"));
        }
        table = wish;
    }
    Ok(())
}

#[test]
fn from_one_to_a_hundred_members_and_back_every_table_is_fair_and_comes_by_few_moves() -> Result<(), String> {
    for wanted in 1..=7 {
        up_and_down(271, 100, wanted)?;
    }
    up_and_down(1_999, 100, 3)?;
    up_and_down(8_191, 100, 2)
}

#[test]
fn a_first_table_spreads_the_backups_of_one_over_all_others() {
    for n in 2..=9u32 {
        let candidates = plain(0..n);
        let wish = assign(&vec![Vec::new(); 271], &candidates, 2).unwrap();
        is_fair(&wish, &candidates, 2).unwrap();
        for primary in 0..n {
            let led = wish.iter().filter(|list| list[0] == member(primary));
            let backups = counted(led.map(|list| &list[1]));
            let (least, most) = (backups.values().min().unwrap(), backups.values().max().unwrap());
            assert!(backups.len() == n as usize - 1 && most - least <= 2, "{n} members: {backups:?}");
        }
    }
}

#[test]
fn one_that_comes_takes_copies_and_few_change_who_leads_them() {
    let table = assign(&vec![Vec::new(); 271], &plain(0..4), 2).unwrap();
    let wish = assign(&table, &plain(0..5), 2).unwrap();
    let led_by_others = table.iter().zip(&wish).filter(|(before, now)| before[0] != now[0]).count();
    // It leads its own share; nobody else need give one up to another.
    assert!((54..=57).contains(&led_by_others), "{led_by_others} of 271 primaries changed");
}

#[test]
fn more_copies_are_added_and_fewer_are_left_of_what_is_there() {
    let candidates = plain(0..6);
    let two = assign(&vec![Vec::new(); 271], &candidates, 2).unwrap();
    let three = assign(&two, &candidates, 3).unwrap();
    assert_eq!(moves(&two, &three), 271);
    let again = assign(&three, &candidates, 2).unwrap();
    is_fair(&again, &candidates, 2).unwrap();
    assert!(moves(&three, &again) <= 14, "{} moves", moves(&three, &again));
}

#[test]
fn the_order_in_which_candidates_are_named_says_nothing() {
    let table = assign(&vec![Vec::new(); 271], &plain(0..7), 3).unwrap();
    let there = plain([9, 0, 4, 1, 6, 3]);
    let mut other = there.clone();
    other.reverse();
    assert_eq!(assign(&table, &there, 3), assign(&table, &other, 3));
}

#[test]
fn who_may_hold_nothing_is_told_by_name() {
    assert_eq!(assign(&[Vec::new()], &[], 1), Err(Unassignable::Nobody));
    assert_eq!(assign(&[Vec::new()], &plain([1, 2, 1]), 1), Err(Unassignable::Twice { member: member(1) }));
    assert_eq!(assign(&[], &plain([1]), 1), Ok(Vec::new()));
}

#[test]
fn with_as_many_zones_as_copies_no_two_are_in_one() {
    // Sizes of zones, copies, and the share of the first zone's members.
    let cases: [(&[u32], usize); 5] =
        [(&[1, 1, 1], 3), (&[3, 3, 3], 3), (&[1, 4, 4], 2), (&[1, 1, 9], 2), (&[2, 5, 3, 1], 3)];
    for (sizes, wanted) in cases {
        let candidates = zoned(sizes, |_| 1);
        let mut table: Table = vec![Vec::new(); 271];
        for there in 1..=candidates.len() {
            let now = &candidates[..there];
            let wish = assign(&table, now, wanted).unwrap();
            let zones: BTreeSet<_> = now.iter().map(|candidate| candidate.zone.clone()).collect();
            let alone = wish.iter().all(|list| most_in_one_zone(list, now) == 1);
            assert_eq!(alone, zones.len() >= wanted.min(there), "{sizes:?} {wanted}: {there} members");
            assert_eq!(assign(&wish, now, wanted).as_ref(), Ok(&wish));
            table = wish;
        }
    }
}

fn zoned(sizes: &[u32], weight: impl Fn(u32) -> u16) -> Vec<Candidate> {
    let zones = sizes.iter().enumerate().flat_map(|(zone, size)| std::iter::repeat_n(zone, *size as usize));
    let candidate = |(n, zone): (u32, usize)| Candidate {
        zone: Some(format!("z{zone}")),
        weight: NonZeroU16::new(weight(n)).unwrap(),
        ..Candidate::plain(member(n), n)
    };
    (0..).zip(zones).map(candidate).collect()
}

fn most_in_one_zone(list: &[MemberId], candidates: &[Candidate]) -> usize {
    let zone = |member: &MemberId| candidates.iter().find(|c| c.member == *member).and_then(|c| c.zone.clone());
    let zones: Vec<_> = list.iter().map(zone).collect();
    zones.iter().map(|one| zones.iter().filter(|other| *other == one).count()).max().unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Tables that nobody would make, members that nobody knows, zones and weights of any kind: the wish keeps its laws, or
    /// there would be none.
    #[test]
    fn any_table_leads_to_a_fair_one(
        sizes in prop::collection::vec(1..6u32, 1..6),
        weights in prop::collection::vec(1..200u16, 30),
        places in prop::collection::vec(prop::collection::vec(0..40u32, 0..9), 1..120),
        wanted in 0..8usize,
    ) {
        let candidates = zoned(&sizes, |n| weights[n as usize]);
        let now: Table = places.iter().map(|list| list.iter().map(|n| member(*n)).collect()).collect();
        let wish = assign(&now, &candidates, wanted).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let copies = wanted.clamp(1, candidates.len());
        for list in &wish {
            let distinct: BTreeSet<_> = list.iter().collect();
            prop_assert_eq!(distinct.len(), copies);
            prop_assert!(sizes.len() < copies || most_in_one_zone(list, &candidates) == 1);
        }
        prop_assert_eq!(assign(&wish, &candidates, wanted), Ok(wish));
    }

    /// Of equal members in zones of equal size any two differ by at most one.
    #[test]
    fn equal_zones_are_as_if_there_were_none(zones in 1..6usize, size in 1..8u32, partitions in 1..400usize, wanted in 1..8usize) {
        let candidates = zoned(&vec![size; zones], |_| 1);
        let mut table: Table = vec![Vec::new(); partitions];
        let without = candidates.len().div_ceil(2);
        for there in [&candidates[..], &candidates[without..], &candidates[..]] {
            let there = if there.is_empty() { &candidates[..] } else { there };
            table = assign(&table, there, wanted).map_err(|e| TestCaseError::fail(e.to_string()))?;
        }
        is_fair(&table, &candidates, wanted).map_err(TestCaseError::fail)?;
    }
}

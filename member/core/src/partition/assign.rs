//! Who should hold which partition.
//!
//! Law: stable and deterministic: the same members give the same table; primaries and copies differ by at most one
//! between members. Must not know: what is there now.

use crate::ids::MemberId;

/// For each partition the members that should hold it, first the primary. `members` in ordinal order.
pub fn assign(members: &[MemberId], partition_count: u16, copies: usize) -> Vec<Vec<MemberId>> {
    let n = members.len();
    if n == 0 {
        return Vec::new();
    }
    (0..usize::from(partition_count))
        .map(|partition| {
            // Backups of one member's primaries are spread over all the others, not on one neighbour.
            let (primary, turn) = (partition % n, partition / n);
            let others = n - 1;
            let backups = (0..copies.clamp(1, n) - 1).map(|k| (primary + 1 + (turn + k) % others) % n);
            std::iter::once(primary).chain(backups).filter_map(|i| members.get(i).copied()).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn places_are_even_and_distinct_for_every_size() {
        for n in 1..=7u128 {
            let members: Vec<_> = (0..n).map(|i| MemberId(uuid::Uuid::from_u128(i))).collect();
            for copies in 1..=4 {
                let table = assign(&members, 271, copies);
                let mut primaries = BTreeMap::new();
                for list in &table {
                    let distinct: std::collections::BTreeSet<_> = list.iter().collect();
                    assert_eq!(distinct.len(), copies.min(members.len()), "{n} members, {copies} copies");
                    assert_eq!(distinct.len(), list.len());
                    *primaries.entry(list[0]).or_insert(0usize) += 1;
                }
                let (least, most) = (primaries.values().min(), primaries.values().max());
                assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{n} members: {primaries:?}");
            }
        }
    }
}

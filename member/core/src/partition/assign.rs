//! Who should hold which partition.
//!
//! Law: stable and deterministic: the same members give the same table; primaries and copies differ by at most one
//! between members. Must not know: what is there now.

use crate::ids::MemberId;

/// For each partition the members that should hold it, first the primary. `members` in ordinal order, not empty.
pub fn assign(members: &[MemberId], partition_count: u16, copies: usize) -> Vec<Vec<MemberId>> {
    let n = members.len();
    (0..usize::from(partition_count))
        .map(|partition| {
            // Backups of one member's primaries are spread over all the others, not on one neighbour.
            let (primary, turn) = (partition % n, partition / n);
            let others = n - 1;
            let backups = (0..copies.min(n) - 1).map(|k| (primary + 1 + (turn + k) % others) % n);
            std::iter::once(primary).chain(backups).filter_map(|i| members.get(i).copied()).collect()
        })
        .collect()
}

//! Copies that move from one member to another, and primaries that give their place to another copy.
//!
//! Law:
//! 1. A move adds a place and takes one away only when, without it, as many copies as there should be are in step under the
//!    recorded processes. At no moment are there fewer than before; for the while of the move there is one more.
//! 2. The place that is taken away is never the primary's. A primary that lives gives its place first, in two entries:
//!    `Releasing`, from which on it answers no call of this partition and ships the rest, and `Released`, its own word that
//!    it answers none any more and that every copy has all that it ordered. Only by that word the next one is installed.
//! 3. `Released` names the change of the entry that released it. Whatever ends a release otherwise (a copy that is lost, a
//!    stop, a change of state, a primary that is too slow) is another change of the entry: a late word is refused, and a
//!    primary that goes on serving is never replaced by it.
//! 4. Nothing moves but in ACTIVE, and while no operation holds the cluster: what begins one ends releases and takes back
//!    places that are not in step, in the same entry. A place that is in step stays until moves go on.
//! 5. At most [`MOVES_AT_A_TIME`] and [`RELEASES_AT_A_TIME`].
//!
//! Attacked (tests in `tests/moves.rs` and `supervisor::moves`, and rules taken out in `tests/cluster`):
//! - *Loses a write*: the source goes when the new copy is in step in RAM only, and the power goes
//!   (`a_source_stays_until_the_copy_is_on_disk`: the leader asks for the receiver's word); a backup dies in the middle and
//!   the source was the second last (`a_move_never_lowers_the_number_of_copies`, law 1 is judged at the end, not at the begin).
//! - *Serves twice*: the source answers from what it has while the next one serves
//!   (`a_late_release_replaces_nobody`, `a_living_primary_is_replaced_by_its_own_word`).
//! - *Hangs*: whoever is to take the place dies, or the source cannot ship the rest: the partition would answer nobody
//!   (`a_release_is_taken_back_by_whatever_changes_the_entry`, `a_release_that_lasts_is_taken_back_and_not_tried_at_once`). A receiver that takes no copy holds a stop up: `Begin` takes its place back (law 4).
//! - *Grows*: by 5. an entry has at most one place more than wanted, but where a leaving member has lowered what is wanted.
//!
//! Must not know: what a copy costs, which member should have what.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{MemberId, PartitionId, TableVersion};
use crate::machine::Machine;

/// Copies that are on their way from member to member at a time, in the whole cluster.
pub const MOVES_AT_A_TIME: usize = 8;
/// Partitions that answer nobody for the moment of a hand-over, at a time.
pub const RELEASES_AT_A_TIME: usize = 4;

/// What moves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moves {
    /// Copies.
    pub copies: BTreeMap<PartitionId, Move>,
    /// Primaries that are to give their place.
    pub releasing: BTreeMap<PartitionId, Release>,
}

/// A copy that moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// Whose place goes when the other is there.
    pub from: MemberId,
    /// Who comes.
    pub to: MemberId,
}

/// A primary that is to give its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// To this copy.
    pub to: MemberId,
    /// The entry's `changed` by which it does.
    pub changed: TableVersion,
}

impl Moves {
    /// Nothing moves.
    pub fn are_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Machine {
    /// The release of this partition, if its primary is to answer nobody now.
    pub fn release(&self, partition: PartitionId) -> Option<&Release> {
        self.moves.releasing.get(&partition)
    }

    /// Copies of a partition that count under the processes that the roster records, without those of `but`.
    pub fn in_step_without(&self, partition: PartitionId, but: Option<MemberId>) -> usize {
        let recorded = |replica: &&crate::partition::Replica| {
            self.roster.get(&replica.member).is_some_and(|entry| entry.boot == replica.boot)
        };
        let entry = self.table.entry(partition);
        let counted = entry.into_iter().flat_map(|entry| entry.synced()).filter(recorded);
        counted.filter(|replica| Some(replica.member) != but).count()
    }
}

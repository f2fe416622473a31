//! Who comes to the cluster and who goes after it was founded.
//!
//! Law:
//! 1. Who is admitted is of the roster at once, and is waited for by nobody until its store has opened the generation that
//!    runs: until then it *joins*, and is given no place, no vote and no part of an engine.
//! 2. Who is to leave goes on as before, but for that it is given nothing any more and is not counted among those over whom
//!    copies are spread; its places move first. It is out when none is left, every partition has all its copies among the
//!    others, it does not vote and no engine is built on it. A member whose process is lost leaves by the same rule: nothing
//!    that only its disk has is ever given up.
//! 3. A UUID that was out is never admitted again: what lies in its store is older than what replaced it. Who is forgotten
//!    here comes with a store that is not blank, and is refused by that.
//!
//! Attacked (each is a test of that name in `tests/membership.rs` or a world of `tests/cluster`):
//! - *Loses a write*: the last copy of a partition lies with one that leaves, or only on its disk: it stays, whatever was
//!   asked (`who_holds_the_last_copy_does_not_leave`, `an_absent_partition_keeps_everybody`). A store comes back that left
//!   long ago, with newer-looking copies (`who_left_does_not_come_back`).
//! - *Serves twice*: a blank member takes the number of one that is only away (`a_number_has_one_member`).
//! - *Hangs*: a joining member dies and everybody waits for it, in a recovery or at a stop
//!   (`a_recovery_does_not_wait_for_who_holds_nothing`); both voters of two are needed to let one go (`voting`: 3.).
//! - *Grows*: members are at most [`MEMBERS_MOST`], marks of those that left at most [`KEPT_LEFT`].
//!
//! Must not know: who permits an ordinal, who is alive.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::{LogIndex, MemberId};
use crate::machine::Machine;
use crate::roster::{MEMBERS_MOST, RosterEntry};

/// Marks of members that left, at most; the oldest goes first.
pub const KEPT_LEFT: usize = MEMBERS_MOST;

/// What of the roster is not as it was founded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Admitted, with a store that has not opened the cluster's generation.
    pub joining: BTreeSet<MemberId>,
    /// To leave when nothing lies with them any more.
    pub leaving: BTreeSet<MemberId>,
    /// Out for ever.
    pub left: BTreeMap<MemberId, Left>,
}

/// The mark of a member that left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// It had this number.
    pub ordinal: u32,
    /// The entry by which it left.
    pub index: LogIndex,
}

impl Membership {
    /// Everybody is as founded.
    pub fn is_as_founded(&self) -> bool {
        *self == Self::default()
    }
}

impl Machine {
    /// Roster members that have opened the generation that runs: whoever is waited for.
    pub fn joined(&self) -> impl Iterator<Item = (&MemberId, &RosterEntry)> {
        self.roster.iter().filter(|(member, _)| !self.membership.joining.contains(member))
    }

    /// It may be given places, a vote, a part of the engine.
    pub fn stays(&self, member: MemberId) -> bool {
        self.roster.contains_key(&member)
            && !self.membership.joining.contains(&member)
            && !self.membership.leaving.contains(&member)
    }

    /// It takes part in an engine: it stays, or holds something yet.
    pub fn works(&self, member: MemberId) -> bool {
        self.stays(member) || self.table.places_of(member) > 0
    }
}

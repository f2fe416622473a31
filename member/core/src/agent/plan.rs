//! x
use super::{Action, Doors, LocalFacts};
use crate::ids::MemberId;
use crate::machine::Machine;

/// Actions of `me`, in the order in which they are to be begun.
pub fn plan(_machine: &Machine, _me: MemberId, _facts: &LocalFacts) -> Vec<Action> {
    Vec::new()
}

/// Doors of `me` as the committed state wants them.
pub fn doors(_machine: &Machine, _me: MemberId, _boot: crate::ids::Boot) -> Doors {
    Doors::ClosedForAll
}

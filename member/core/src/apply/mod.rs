//! The one function that changes the machine.
use crate::command::Command;
use crate::ids::LogIndex;
use crate::machine::Machine;
use crate::outcome::{Outcome, Refused};

/// Applies the entry at `index`.
pub fn apply(machine: &mut Machine, index: LogIndex, _command: Command) -> Outcome {
    machine.applied = index;
    Outcome::Refused(Refused::NotFounded)
}

//! A stop that was asked of the members and that nobody takes up.
//!
//! Law: it ends after a time, so that nobody is stopped by what was asked long ago. Must not know: who would take it up.

use crate::command::Command;
use crate::machine::Machine;
use crate::report::Observations;
use crate::request::{RequestAnswer, TAKEN_UP_WITHIN_MS};

/// The end of one that waited too long.
pub(super) fn lapse(machine: &Machine, observations: &Observations) -> Option<Command> {
    let request = machine.waiting_request()?;
    let (asked, waited) = observations.request_for_ms?;
    let over = asked == request.asked && waited > TAKEN_UP_WITHIN_MS;
    let why = format!(
        "nobody took it up within {} s: the operator is paused, or cannot reach this cluster; ask again when it can",
        TAKEN_UP_WITHIN_MS / 1_000
    );
    over.then(|| Command::AnswerRequest { asked, answer: RequestAnswer { taken_up: false, why } })
}

//! A stop that was asked of the members and that nobody takes up.
//!
//! Law: it ends after a time, and with the leader that heard it, so that nobody is stopped by what was asked long ago: a
//! leader that finds it does not know how long nobody led. Must not know: who would take it up.

use crate::command::Command;
use crate::machine::Machine;
use crate::report::Observations;
use crate::request::{RequestAnswer, TAKEN_UP_WITHIN_MS};

/// A leader applies what was there before it within this; what it sees later was asked of it.
const FOUND_WITHIN_MS: u64 = 300;

/// The end of one that waited too long, or for another leader.
pub(super) fn lapse(machine: &Machine, observations: &Observations) -> Option<Command> {
    let request = machine.waiting_request()?;
    let (asked, waited) = observations.request_for_ms?;
    if asked != request.asked {
        return None;
    }
    let why = if waited + FOUND_WITHIN_MS >= observations.leader_for_ms {
        "the members' leader changed before anybody took it up; ask again".into()
    } else if waited > TAKEN_UP_WITHIN_MS {
        format!(
            "nobody took it up within {} s: the operator is paused, or cannot reach this cluster; ask again when it can",
            TAKEN_UP_WITHIN_MS / 1_000
        )
    } else {
        return None;
    };
    Some(Command::AnswerRequest { asked, answer: RequestAnswer { taken_up: false, why } })
}

//! A stop that is asked of the members, and its answer.
//!
//! Law: one waits at a time, and none beside an open operation; the first answer stands. Must not know: who answers.

use super::{Answer, already, settled, unheld};
use crate::ids::LogIndex;
use crate::machine::Machine;
use crate::request::{LONGEST_TEXT, RequestAnswer, StopRequest};

pub(super) fn ask(machine: &mut Machine, index: LogIndex, nonce: String, requested_by: String) -> Answer {
    let (nonce, requested_by) = (bounded(nonce), bounded(requested_by));
    if machine.stop_request.as_ref().is_some_and(|known| known.waits() || known.nonce == nonce) {
        return already();
    }
    settled(machine, "a stop")?;
    unheld(machine, "a stop")?;
    machine.stop_request = Some(StopRequest { asked: index, nonce, requested_by, answer: None });
    Ok("a stop is asked for, and waits for whoever takes it up".into())
}

pub(super) fn answer(machine: &mut Machine, asked: LogIndex, answer: RequestAnswer) -> Answer {
    let waiting = machine.stop_request.as_mut().filter(|request| request.waits() && request.asked == asked);
    let Some(request) = waiting else { return already() };
    let what = format!("the stop asked for at {asked} {}", if answer.taken_up { "is taken up" } else { "is not made" });
    request.answer = Some(RequestAnswer { why: bounded(answer.why), ..answer });
    Ok(what)
}

/// Whatever it is that makes an end of it.
pub(super) fn end(machine: &mut Machine, taken_up: bool, why: &str) {
    if let Some(request) = machine.stop_request.as_mut().filter(|request| request.waits()) {
        request.answer = Some(RequestAnswer { taken_up, why: why.into() });
    }
}

fn bounded(mut text: String) -> String {
    let end = (0..=LONGEST_TEXT.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.truncate(end);
    text
}

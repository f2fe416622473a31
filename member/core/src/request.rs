//! A stop that was asked of the members and that somebody outside is to carry out.
//!
//! Law: it asks once, for the cluster as it runs now: who takes it up, an operation that begins, a crash of all and a time
//! that is over each end it for ever, and what ended it is kept. Must not know: who takes it up.

use serde::{Deserialize, Serialize};

use crate::ids::LogIndex;
use crate::machine::Machine;

/// How long one waits, counted by the supervisor: a stop that nobody heard of must not come hours later.
pub const TAKEN_UP_WITHIN_MS: u64 = 600_000;
/// Longest text of who asked and of what became of it, in bytes.
pub const LONGEST_TEXT: usize = 1_000;

/// The last one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopRequest {
    /// Index of the entry that asked: its name, higher than that of every one before it.
    pub asked: LogIndex,
    /// Of the call that asked: a call that is repeated on its way asks once.
    pub nonce: String,
    /// Who asked.
    pub requested_by: String,
    /// What became of it; `None`: it waits.
    #[serde(default)]
    pub answer: Option<RequestAnswer>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestAnswer {
    /// Somebody carries the stop out; else nothing will come of this request.
    pub taken_up: bool,
    /// In words.
    pub why: String,
}

impl StopRequest {
    /// Nobody has answered it.
    pub fn waits(&self) -> bool {
        self.answer.is_none()
    }
}

impl Machine {
    /// The one that waits.
    pub fn waiting_request(&self) -> Option<&StopRequest> {
        self.stop_request.as_ref().filter(|request| request.waits())
    }
}

//! A stop that is asked of a member, and what becomes of it.
//!
//! Law: under an operator it is remembered by all members until that one answers it; what was asked once is tried once at
//! most. Must not know: annotations.

use serde::{Deserialize, Serialize};

/// The last stop that was asked of the members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopRequestView {
    /// Log index that it was asked at: its name, higher than that of every one before it.
    pub asked: u64,
    /// Who asked.
    pub requested_by: String,
    /// What became of it; absent: it waits.
    #[serde(default)]
    pub answer: Option<RequestAnswer>,
}

/// What became of it: `POST /v1/stop-requests/{asked}/answer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestAnswer {
    /// Somebody carries the stop out; else nothing will come of this request.
    pub taken_up: bool,
    /// In words.
    pub why: String,
}

//! What consensus says to another member, as it travels.
//!
//! Law: a letter names the voter that is meant, its log line with it. Must not know: how it is sent, who answers.

use openraft::raft::{AppendEntriesRequest, InstallSnapshotRequest, VoteRequest};
use serde::{Deserialize, Serialize};

use super::types::{Types, Voter};

/// A message of consensus to one voter.
#[derive(Serialize, Deserialize)]
pub struct Letter {
    /// The voter that is meant.
    pub to: Voter,
    /// What is said.
    pub body: Body,
}

impl Letter {
    /// It asks for a vote.
    pub fn is_vote(&self) -> bool {
        matches!(self.body, Body::Vote(_))
    }
}

/// What is said.
#[derive(Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Body {
    Append(AppendEntriesRequest<Types>),
    Vote(VoteRequest<Voter>),
    Snapshot(InstallSnapshotRequest<Types>),
}

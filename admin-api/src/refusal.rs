//! The body of every refusal.
//!
//! Law: a refusal changes nothing, names what was refused, why, and the way out. Must not know: who asked.

use serde::{Deserialize, Serialize};

/// Why something was refused. The list is closed; a client may match on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Code {
    /// The body or a parameter cannot be understood.
    BadRequest,
    /// The certificate's role may not do this.
    Forbidden,
    /// No such thing.
    NotFound,
    /// The cluster state does not permit it.
    ClusterState,
    /// The doors are closed: an operation holds the cluster, or it recovers.
    DoorsClosed,
    /// An operation with a higher number was seen, or another one is open.
    StaleOperation,
    /// Commit after Abort, Abort after Commit: the first of the two won for ever.
    AlreadyDecided,
    /// A step was asked for before the one that it needs.
    StepOrder,
    /// This member is not the leader and could not reach it in time; nothing is known of the outcome.
    NoLeader,
    /// A partition that is needed has no replica.
    PartitionAbsent,
    /// A change is in RAM of all copies of a map with fsync, and not known to be on the disk of each.
    NotOnDisk,
    /// A bound is reached, or something must come first; nothing was done, ask again.
    Busy,
    /// The founding permit differs from the one that is known.
    FoundingDiffers,
    /// SQL, or another text of the user, was not accepted.
    BadSql,
    /// A name that exists already.
    Exists,
    /// Something of ours failed; the message says what.
    Internal,
}

/// A refusal as it goes over the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code:?}: {message}{}", hint.as_ref().map(|h| format!(" ({h})")).unwrap_or_default())]
pub struct Refusal {
    /// What a program matches on.
    pub code: Code,
    /// What a person reads: what, on what, why.
    pub message: String,
    /// The way out, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Refusal {
    /// A refusal without a hint.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// Adds the way out.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Code {
    /// The HTTP status of a refusal.
    pub fn status(self) -> u16 {
        match self {
            Code::BadRequest | Code::BadSql => 400,
            Code::Forbidden => 403,
            Code::NotFound => 404,
            Code::ClusterState
            | Code::StaleOperation
            | Code::AlreadyDecided
            | Code::StepOrder
            | Code::FoundingDiffers
            | Code::Exists => 409,
            Code::DoorsClosed | Code::NoLeader | Code::PartitionAbsent | Code::NotOnDisk | Code::Busy => 503,
            Code::Internal => 500,
        }
    }
}

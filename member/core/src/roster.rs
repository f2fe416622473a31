//! The original members.
//!
//! Law: the roster digest covers who is which ordinal and nothing that a return changes. Must not know: addresses.

use serde::{Deserialize, Serialize};

use crate::ids::{Boot, MemberId};

/// How the id of a volume begins that was named by whoever attached it; the store writes it so.
pub const NAMED_VOLUME: &str = "named:";

/// Members of a cluster, at most.
pub const MEMBERS_MOST: usize = 100;

/// One of the original members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterEntry {
    /// The pod's number.
    pub ordinal: u32,
    /// Boot whose RAM holds its replicas.
    pub boot: Boot,
    /// Volume that its store lies on.
    pub volume_id: String,
    /// Line of its consensus log.
    pub log_line: u64,
}

/// A member as the founding list names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Founder {
    /// Who.
    pub member: MemberId,
    /// As in the roster.
    pub entry: RosterEntry,
}

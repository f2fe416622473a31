//! What outlives a status: founding, roster and seal records, and what they say together with the members' machine.
//!
//! Law: rank is machine of reachable members > seal > roster > stamps on claims > status; a lower one that is missing
//! is written again, one that contradicts is reported and nothing is done. Must not know: how records are read.
//!
//! - [`roster`]: who · [`seals`]: what was sealed · [`jobs`]: the ledger and its verdicts · [`standing`]: where it stands

pub mod jobs;
pub mod roster;
pub mod seals;
pub mod standing;

use crate::api::records::{FoundingRecord, RosterRecord, SealRecord, WishesRecord};

/// A record with the object that keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept<T> {
    /// ConfigMap.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its content.
    pub record: T,
}

/// All records of a cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// The one permit.
    pub founding: Option<Kept<FoundingRecord>>,
    /// By rising sequence.
    pub rosters: Vec<Kept<RosterRecord>>,
    /// By rising sequence.
    pub seals: Vec<Kept<SealRecord>>,
    /// Wishes for the next activation.
    pub wishes: Option<WishesRecord>,
    /// Records that cannot be read: nothing is done until a person looked.
    pub unreadable: Vec<String>,
}

impl Evidence {
    /// Newest roster.
    pub fn roster(&self) -> Option<&Kept<RosterRecord>> {
        self.rosters.last()
    }

    /// Newest seal.
    pub fn seal(&self) -> Option<&Kept<SealRecord>> {
        self.seals.last()
    }

    /// Next number of the one sequence of rosters and seals.
    pub fn next_sequence(&self) -> u64 {
        let last = |r: Option<u64>| r.unwrap_or(0);
        1 + last(self.roster().map(|k| k.record.sequence)).max(last(self.seal().map(|k| k.record.sequence)))
    }

    /// Neither founded nor ever recorded.
    pub fn is_empty(&self) -> bool {
        self.founding.is_none() && self.rosters.is_empty() && self.seals.is_empty()
    }
}

//! While the cluster is stopped nobody is answered.
//!
//! Law: a call that began after every process had closed its doors for a stop, or for a recovery, and ended before any opened
//! them again was told no value. Must not know: what was asked.

use jet_core::agent::Doors;

use super::{Shown, Violated};
use crate::history::{Call, Told};

/// Times in which all doors were closed.
#[derive(Default)]
pub struct Closed {
    since: Option<u64>,
    /// When they were seen to be closed last.
    last: u64,
    times: Vec<(u64, u64)>,
}

impl Closed {
    /// Looks at all doors. A process that is down has none.
    pub fn look(&mut self, now: u64, shown: &[Shown]) {
        let closed = shown.iter().all(|one| one.doors == Doors::ClosedForAll);
        match (closed, self.since) {
            (true, None) => (self.since, self.last) = (Some(now), now),
            (true, Some(_)) => self.last = now,
            (false, Some(since)) => {
                self.times.push((since, self.last));
                self.since = None;
            }
            _ => {}
        }
    }

    /// Holds every call against those times.
    pub fn judge(&self, calls: &[Call]) -> Result<(), Violated> {
        let times: Vec<_> = self.times.iter().copied().chain(self.since.map(|since| (since, self.last))).collect();
        for call in calls.iter().filter(|call| matches!(call.told, Told::Value(_))) {
            if let Some((since, _)) = times.iter().find(|(since, until)| call.from > *since && call.to < *until) {
                return Err(Violated::AnsweredWhileStopped { from: call.from, to: call.to, since: *since });
            }
        }
        Ok(())
    }
}

//! While the cluster is stopped nobody is answered, and in PASSIVE nobody writes.
//!
//! Law: a call that began after every process had closed its doors, or served by a machine that says that they are closed,
//! and ended before that changed anywhere was told no value. Must not know: what values are.

use jet_core::agent::Doors;
use jet_core::operation::OperationStep;
use jet_core::{ClusterState, Machine};

use super::{Shown, Violated};
use crate::history::{Asked, Call, Told};

/// Doors follow the machine within so many milliseconds.
const FOLLOWS: u64 = 20;

/// Times in which something held at every process.
#[derive(Default)]
struct Times {
    since: Option<u64>,
    /// When it was seen last.
    last: u64,
    over: Vec<(u64, u64)>,
}

impl Times {
    fn look(&mut self, now: u64, holds: bool) {
        match (holds, self.since) {
            (true, None) => (self.since, self.last) = (Some(now + FOLLOWS), now),
            (true, Some(_)) => self.last = now,
            (false, Some(since)) => {
                self.over.push((since, self.last));
                self.since = None;
            }
            _ => {}
        }
    }

    /// Since when it held while this call was asked and told, if it did all the time.
    fn around(&self, call: &Call) -> Option<u64> {
        let open = self.since.map(|since| (since, self.last));
        let mut times = self.over.iter().copied().chain(open);
        times.find(|(since, until)| call.from > *since && call.to < *until).map(|(since, _)| since)
    }
}

/// Times in which the cluster was closed.
#[derive(Default)]
pub struct Closed {
    for_all: Times,
    for_writers: Times,
}

impl Closed {
    /// Looks at all doors and machines. A process that is down has none.
    pub fn look(&mut self, now: u64, shown: &[Shown]) {
        let closed = |one: &Shown| one.doors == Doors::ClosedForAll || is_closed(&one.machine);
        let passive = |one: &Shown| closed(one) || one.machine.state == ClusterState::Passive { held_by: None };
        self.for_all.look(now, shown.iter().all(closed));
        self.for_writers.look(now, shown.iter().all(passive));
    }

    /// Holds every call against those times.
    pub fn judge(&self, calls: &[Call]) -> Result<(), Violated> {
        for call in calls.iter().filter(|call| matches!(call.told, Told::Value(_))) {
            let writes = call.asked != Asked::Read;
            let closed = self.for_all.around(call).or_else(|| self.for_writers.around(call).filter(|_| writes));
            if let Some(since) = closed {
                return Err(Violated::AnsweredWhileStopped { from: call.from, to: call.to, since });
            }
        }
        Ok(())
    }
}

fn is_closed(machine: &Machine) -> bool {
    let held =
        |machine: &Machine| machine.open_operation().is_some_and(|operation| operation.step >= OperationStep::Quiesced);
    machine.founding.is_none() || held(machine) || !machine.state.runs() && machine.state.settled().is_none()
}

//! Who is let in, and what is still in flight.
//!
//! Law: a call is counted before the door is looked at, so that nobody slips in behind a door that is said to be
//! closed. Must not know: partitions.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use jet_core::agent::Doors;
use jet_map::Door;

use super::lock;

/// The door of this member with its calls.
#[derive(Default)]
pub struct DoorBook {
    wanted: Mutex<Doors>,
    writes: Arc<AtomicUsize>,
    reads: Arc<AtomicUsize>,
}

/// A call in flight.
pub struct InFlight {
    count: Arc<AtomicUsize>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::SeqCst);
    }
}

impl DoorBook {
    /// From now on.
    pub fn set(&self, doors: Doors) {
        *lock(&self.wanted) = doors;
    }

    /// What was said last.
    pub fn wanted(&self) -> Doors {
        *lock(&self.wanted)
    }

    /// Counts a write in; the door is to be looked at afterwards.
    pub fn write(&self) -> InFlight {
        Self::count(&self.writes)
    }

    /// Counts a read in; the door is to be looked at afterwards.
    pub fn read(&self) -> InFlight {
        Self::count(&self.reads)
    }

    fn count(count: &Arc<AtomicUsize>) -> InFlight {
        count.fetch_add(1, Ordering::SeqCst);
        InFlight { count: count.clone() }
    }

    /// The door as it is wanted.
    pub fn door(&self) -> Door {
        match *lock(&self.wanted) {
            Doors::Open => Door::Open,
            Doors::ClosedForWriters => Door::ClosedForWriters,
            Doors::ClosedForAll => Door::Closed,
        }
    }

    /// The door as it is: closed only when nothing is in flight behind it. `settled` says whether every change is
    /// confirmed by every follower.
    pub fn as_it_is(&self, settled: impl FnOnce() -> bool) -> Doors {
        let wanted = *lock(&self.wanted);
        let writing = self.writes.load(Ordering::SeqCst) > 0;
        let reading = self.reads.load(Ordering::SeqCst) > 0;
        match wanted {
            Doors::Open => Doors::Open,
            _ if writing => Doors::Open,
            Doors::ClosedForAll if reading || !settled() => Doors::ClosedForWriters,
            other => other,
        }
    }
}

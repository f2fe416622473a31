//! Histories one after the other, by seed, on as many threads as there are cores.
//!
//! Law: each is run once; the first that breaks ends the run. Must not know: how many there are to be.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::trace::Trace;
use crate::world::{Broken, Script, Told, run};

/// What came of them.
#[derive(Default)]
pub struct Ran {
    /// Histories.
    pub histories: u64,
    /// Milliseconds that were simulated.
    pub lasted: u64,
    /// Faults that had their time.
    pub faults: u64,
    /// Stops that were carried through.
    pub stops: u64,
    /// How often RAM was lost.
    pub losses: u64,
    /// Calls of clients.
    pub calls: u64,
    /// Calls that were told a value.
    pub answered: u64,
    /// The first seed that broke, of those that did.
    pub broken: Option<(u64, Broken)>,
    /// How long it took.
    pub took: Duration,
}

impl Ran {
    fn add(&mut self, told: &Told) {
        self.histories += 1;
        self.lasted += told.lasted;
        self.faults += told.faults as u64;
        self.stops += told.stops;
        self.losses += told.losses as u64;
        self.calls += told.calls as u64;
        self.answered += told.answered as u64;
    }
}

impl Ran {
    /// And those that came of others, of which none broke.
    pub fn and(&mut self, others: &Ran) {
        self.histories += others.histories;
        self.lasted += others.lasted;
        self.faults += others.faults;
        self.stops += others.stops;
        self.losses += others.losses;
        self.calls += others.calls;
        self.answered += others.answered;
        self.took += others.took;
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ran { histories, lasted, faults, stops, losses, calls, answered, .. } = self;
        write!(
            f,
            "{histories} histories in {:.1} s, {} s of them simulated: {faults} faults, {stops} stops and returns, {losses} losses of RAM, {calls} calls of which {answered} were told a value",
            self.took.as_secs_f64(),
            lasted / 1_000,
        )
    }
}

/// Runs the histories of the seeds from this one on, as long as another is to be run.
pub fn histories(from: u64, is_wanted: impl Fn(u64) -> bool + Sync) -> Ran {
    let (next, stop, begun) = (AtomicU64::new(from), AtomicBool::new(false), Instant::now());
    let (ran, broken) = (Mutex::new(Ran::default()), Mutex::new(BTreeMap::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if !is_wanted(seed) {
                        return;
                    }
                    match run(seed, &Script::of(seed), Trace::default()) {
                        Ok(told) => ran.lock().unwrap_or_else(PoisonError::into_inner).add(&told),
                        Err(why) => {
                            stop.store(true, Ordering::Relaxed);
                            broken.lock().unwrap_or_else(PoisonError::into_inner).insert(seed, why);
                        }
                    }
                }
            });
        }
    });
    let broken = broken.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().next();
    Ran { broken, took: begun.elapsed(), ..ran.into_inner().unwrap_or_else(PoisonError::into_inner) }
}

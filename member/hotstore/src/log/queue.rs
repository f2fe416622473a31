//! Bounded RAM between those who append and the disk. Appending never waits for the disk.
//!
//! The law: at the bound a partition becomes *lagging* (its prefix on disk ends there, a hole is noted) and stays so until it
//! is rewritten; nothing is dropped silently and nobody is held up. Several threads fill it at once, each partition in a lane
//! of its own: who holds a lane gets a ticket, copies, and only then another does; so the order of a partition is that of its
//! tickets, and of others there is none but what was durable before. A lane is locked before the state, all in their order.
//! Must not know: file names, formats.
//!
//! Contents: here appending, waiting, the writer's thread · `state` what may be taken, and what of it is durable.

mod state;

use self::state::{Full, Judged, State, upto};
use super::appender::{Appender, Failure};
use super::lot::{Lot, OWN_LOT};
use super::record::{Kind, LONGEST_RECORD, Record};
use crate::failure::StoreError;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes that may wait between append and durability; a record that is longer waits alone.
pub const QUEUE_BYTES: usize = 64 << 20;
/// Sync at the latest after this many written bytes.
pub const SYNC_BYTES: u64 = 16 << 20;
/// Sync this long after the first unsynced write; what came while more was synced waits for up to twice as long.
pub const SYNC_EVERY: Duration = Duration::from_millis(50);
/// So many threads copy records at once; more wait for each other.
const LANES: usize = 4;
/// The writer looks again after this although nobody woke it.
const IDLE: Duration = Duration::from_secs(3600);

/// Number of an appended record in this opening of the store; larger is later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Why appends are not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// No generation is open yet: blank, or recovered and not resumed.
    NotOpened,
    /// A seal is being made.
    Sealing,
    /// Sealed; only opening the next generation opens it again.
    Sealed,
    /// The store was closed.
    Stopped,
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Appended {
    /// Taken; durable once `durable_upto() >= ticket`.
    Queued(Ticket),
    /// Not taken: the partition is behind and must be rewritten.
    Lagging,
    /// Not taken, nothing lost: a copy of a rewrite while the queue is half full. Offer it again later, in order.
    Busy,
    /// Not taken: the store is closed.
    Closed(Closed),
    /// Not taken: longer than a record may be.
    TooLong,
}

impl Appended {
    /// The ticket, if taken.
    pub fn ticket(self) -> Option<Ticket> {
        match self {
            Appended::Queued(ticket) => Some(ticket),
            _ => None,
        }
    }
}

/// How the writing side is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Set when a write or sync failed and nothing is written.
    pub failure: Option<Failure>,
    /// Partitions that must be rewritten.
    pub lagging: Vec<u16>,
    /// Bytes not durable yet.
    pub waiting_bytes: usize,
    /// Last ticket given.
    pub appended: Ticket,
    /// Everything up to here is durable.
    pub durable: Ticket,
    /// Set while appends are refused.
    pub closed: Option<Closed>,
}

/// Called after each sync with the durable ticket, from the writer's thread; must be short and must not call the store.
pub type Watcher = Arc<dyn Fn(Ticket) + Send + Sync>;

/// The queue.
pub struct Queue {
    /// What is filled, by partition.
    lanes: [Mutex<Lot>; LANES],
    state: Mutex<State>,
    work: Condvar,
    progress: Condvar,
    bound: usize,
    sync_bytes: u64,
    watcher: Option<Watcher>,
    age: AtomicU64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Queue {
    /// An empty, closed queue.
    pub fn new(bound: usize, sync_bytes: u64, watcher: Option<Watcher>) -> Self {
        Queue {
            lanes: std::array::from_fn(|_| Mutex::new(Lot::none())),
            state: Mutex::new(State::closed()),
            work: Condvar::new(),
            progress: Condvar::new(),
            bound,
            sync_bytes,
            watcher,
            age: AtomicU64::new(0),
        }
    }

    /// Opens or closes it for appends.
    pub fn set_closed(&self, closed: Option<Closed>) {
        locked(&self.state).closed = closed;
    }

    /// Why it is closed, if it is.
    pub fn closed(&self) -> Option<Closed> {
        locked(&self.state).closed
    }

    /// What is taken from now on goes into a chunk of this number or of a later one.
    pub fn age(&self) -> u64 {
        self.age.load(Ordering::Acquire)
    }

    /// Takes a record or says why not; never waits for the disk.
    pub fn append(&self, record: Record) -> Appended {
        let is_news = !record.copy;
        self.take_in(record, is_news)
    }

    /// The same for what is no news: the other half of the queue stays free for what is.
    pub fn append_again(&self, record: Record) -> Appended {
        self.take_in(record, false)
    }

    fn take_in(&self, record: Record, is_news: bool) -> Appended {
        // Copied before anybody has to wait for it.
        let own = (OWN_LOT..=LONGEST_RECORD).contains(&record.size()).then(|| Lot::of(&record));
        let number = usize::from(record.partition) % LANES;
        let mut lane = locked(&self.lanes[number]);
        let mut state = locked(&self.state);
        match state.judge(&record, is_news, self.bound) {
            Judged::Refused(answer) => answer,
            Judged::Behind => {
                let hole = Record::hole(record.partition);
                self.lay((number, &mut lane), state, &hole, None);
                self.work.notify_one();
                Appended::Lagging
            }
            Judged::Taken => Appended::Queued(self.lay((number, &mut lane), state, &record, own)),
        }
    }

    /// `own`: the record in a lot of its own, if it is a long one.
    fn lay(
        &self,
        (number, lane): (usize, &mut Lot),
        mut state: MutexGuard<'_, State>,
        record: &Record,
        own: Option<Lot>,
    ) -> Ticket {
        let mut is_news = state.queued_bytes == 0;
        let ticket = state.reserve(record.size());
        if let Some(own) = own {
            is_news |= state.full.is_empty();
            state.close(number, lane);
            state.full.push_back(Full { first: ticket, lot: own });
            drop(state);
        } else {
            let buffer = if lane.records() == 0 { state.begin(number, ticket) } else { None };
            // Copied without it: others get their tickets meanwhile.
            drop(state);
            if lane.records() == 0 {
                *lane = buffer.map_or_else(Lot::fresh, Lot::new);
            }
            lane.push(record);
            // What describes a space lies before whatever comes behind it, in any lane.
            if lane.is_full() || record.kind == Kind::Space {
                let mut state = locked(&self.state);
                is_news |= state.full.is_empty();
                state.close(number, lane);
            }
        }
        // Only once: the writer looks again before it sleeps.
        if is_news {
            self.work.notify_one();
        }
        Ticket(ticket)
    }

    /// Asks for a sync of everything appended so far.
    pub fn want_all(&self) -> Ticket {
        let mut state = locked(&self.state);
        state.wanted = state.appended;
        self.work.notify_one();
        Ticket(state.appended)
    }

    /// Waits until `ticket` is durable, at most `bound`; ends at once when the log fails.
    pub fn wait(&self, ticket: Ticket, bound: Duration) -> Result<(), StoreError> {
        let begin = Instant::now();
        let mut state = locked(&self.state);
        while state.durable < ticket.0 {
            if let Some(failure) = &state.failure {
                return Err(failure.into());
            }
            let left = bound.saturating_sub(begin.elapsed());
            if left.is_zero() {
                let waited_ms = begin.elapsed().as_millis() as u64;
                return Err(StoreError::NotDurable { waited_ms, durable: state.durable, wanted: ticket.0 });
            }
            state = self.progress.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    /// How it is.
    pub fn health(&self) -> Health {
        let state = locked(&self.state);
        Health {
            failure: state.failure.clone(),
            lagging: state.lagging.iter().copied().collect(),
            waiting_bytes: state.waiting_bytes,
            appended: Ticket(state.appended),
            durable: Ticket(state.durable),
            closed: state.closed,
        }
    }

    /// The full lots, or all.
    fn take(&self, all: bool) -> VecDeque<Full> {
        let mut lanes: Vec<_> = self.lanes.iter().filter(|_| all).map(locked).collect();
        let mut state = locked(&self.state);
        state.close_all(lanes.iter_mut().map(|lane| &mut **lane));
        state.take()
    }

    /// `left`: taken, and not given to the appender yet.
    fn report(&self, appender: &mut Appender, left: &VecDeque<Full>) {
        let left_bytes: usize = left.iter().map(|full| full.lot.size()).sum();
        let buffers = appender.buffers();
        let mut state = locked(&self.state);
        state.failure = appender.failure().cloned();
        let too_many = state.keep(buffers);
        if appender.unsynced_bytes() == 0 {
            state.durable = upto(state.taken, left);
            state.waiting_bytes = state.queued_bytes + left_bytes;
        }
        let durable = Ticket(state.durable);
        drop(state);
        // Giving megabytes back takes longer than anybody who appends should wait.
        drop(too_many);
        self.age.fetch_max(appender.newest(), Ordering::AcqRel);
        self.progress.notify_all();
        if let Some(watcher) = &self.watcher {
            watcher(durable);
        }
    }

    /// Writes what is queued and makes all of it durable; what is durable is said behind it, if nothing follows.
    pub fn pump(&self, appender: &mut Appender) -> Result<(), StoreError> {
        let result = self.write_taken(appender, true, None).and_then(|_| appender.sync());
        if result.is_ok() && locked(&self.state).queued_bytes == 0 {
            appender.rest();
        }
        self.report(appender, &VecDeque::new());
        result
    }

    /// The same, and nothing is written behind it.
    pub fn pump_to_end(&self, appender: &mut Appender) -> Result<(), StoreError> {
        let result = self.write_taken(appender, true, None).and_then(|_| appender.finish());
        self.report(appender, &VecDeque::new());
        result
    }

    /// Writes what is full; durable at the latest at `due`. Gives whether it was synced meanwhile.
    fn write(&self, appender: &mut Appender, due: Option<Instant>) -> Result<bool, StoreError> {
        let result = self.write_taken(appender, false, due);
        if matches!(result, Ok(true)) && appender.unsynced_bytes() == 0 && locked(&self.state).queued_bytes == 0 {
            appender.rest();
        }
        self.report(appender, &VecDeque::new());
        result
    }

    /// What was queued at the beginning; what comes meanwhile waits for the next time.
    fn write_taken(&self, appender: &mut Appender, all: bool, due: Option<Instant>) -> Result<bool, StoreError> {
        if let Some(failure) = appender.failure() {
            return Err(failure.into());
        }
        let (mut taken, mut due, mut synced) = (self.take(all), due, false);
        while let Some(full) = taken.pop_front() {
            let written = appender.write(full.lot);
            let is_due = written.is_ok() && self.is_due(appender, due, &taken);
            let done = written.and_then(|()| if is_due { appender.sync() } else { Ok(()) });
            if let Err(error) = done {
                // It waits for the new file with all the rest.
                taken.into_iter().for_each(|full| drop(appender.write(full.lot)));
                return Err(error);
            }
            if is_due {
                (due, synced) = (None, true);
                self.report(appender, &taken);
            }
        }
        Ok(synced)
    }

    /// `left`: taken, and not given to the appender yet.
    fn is_due(&self, appender: &Appender, due: Option<Instant>, left: &VecDeque<Full>) -> bool {
        let is_wanted = || {
            let state = locked(&self.state);
            state.wanted > state.durable && state.wanted <= upto(state.taken, left)
        };
        appender.unsynced_bytes() >= self.sync_bytes || due.is_some_and(|at| at <= Instant::now()) || is_wanted()
    }

    /// Takes over the state of the log after something else than a pump touched it.
    pub fn refresh(&self, appender: &mut Appender) {
        self.report(appender, &VecDeque::new());
        self.work.notify_all();
    }

    /// Carries everything into a new file after a failure.
    pub fn retry(&self, appender: &mut Appender) -> Result<(), StoreError> {
        let result = appender.retry();
        self.report(appender, &VecDeque::new());
        self.work.notify_all();
        result
    }

    /// Ends [`Queue::run`].
    pub fn stop(&self) {
        locked(&self.state).stop = true;
        self.work.notify_all();
    }

    /// What is to be done next; `due`: when what was taken must be durable.
    fn wait_for_work(&self, due: &mut Option<Instant>, every: Duration) -> Work {
        let mut state = locked(&self.state);
        loop {
            if state.stop {
                return Work::Stop;
            }
            let mut until = Instant::now() + IDLE;
            if state.failure.is_none() {
                if state.queued_bytes > 0 {
                    due.get_or_insert_with(|| Instant::now() + every);
                }
                // A lane in which little comes is not put off by those in which much does.
                let soonest = [*due, state.begun().map(|at| at + every)].into_iter().flatten().min();
                if state.wanted > state.durable || soonest.is_some_and(|at| at <= Instant::now()) {
                    return Work::Sync;
                }
                if !state.full.is_empty() {
                    return Work::Write;
                }
                until = soonest.unwrap_or(until);
            }
            let nap = until.saturating_duration_since(Instant::now());
            state = self.work.wait_timeout(state, nap).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The writer's thread: writes as records come, syncs on the cadence and on demand, until stopped.
    pub fn run(&self, appender: &Mutex<Option<Appender>>, every: Duration) {
        let mut due = None;
        loop {
            let work = self.wait_for_work(&mut due, every);
            let mut guard = locked(appender);
            let Some(appender) = guard.as_mut() else {
                if work == Work::Stop {
                    return;
                }
                continue;
            };
            // Failures are in the health; the loop then waits for a retry.
            let synced = match work {
                Work::Stop => return,
                Work::Sync => self.pump(appender).is_ok(),
                Work::Write => self.write(appender, due).unwrap_or(false),
            };
            due = match appender.unsynced_bytes() {
                0 => None,
                _ if synced => Some(Instant::now() + every),
                _ => due,
            };
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    Write,
    Sync,
    Stop,
}

#[cfg(test)]
mod tests;

//! Bounded RAM between those who append and the disk. Appending never waits for the disk.
//!
//! The law: at the bound a partition becomes *lagging* (its prefix on disk ends there, a hole is noted) and stays so until it
//! is rewritten; nothing is dropped silently and nobody is held up.
//! Must not know: file names, formats.

use super::appender::{Appender, Failure};
use super::record::{Kind, LONGEST_RECORD, Record};
use crate::failure::StoreError;
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes that may wait between append and durability.
pub const QUEUE_BYTES: usize = 64 << 20;
/// Sync at the latest after this many written bytes.
pub const SYNC_BYTES: u64 = 1 << 20;
/// Sync at the latest this long after the first unsynced write.
pub const SYNC_EVERY: Duration = Duration::from_millis(50);
/// Records are handed to the disk in batches of about this many bytes.
const BATCH_BYTES: usize = 1 << 20;

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

struct State {
    closed: Option<Closed>,
    records: VecDeque<Record>,
    queued_bytes: usize,
    /// Handed to the appender, not durable.
    inflight_bytes: usize,
    appended: u64,
    taken: u64,
    durable: u64,
    wanted: u64,
    lagging: BTreeSet<u16>,
    failure: Option<Failure>,
    stop: bool,
}

/// The queue.
pub struct Queue {
    state: Mutex<State>,
    work: Condvar,
    progress: Condvar,
    bound: usize,
    sync_bytes: u64,
    watcher: Option<Watcher>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Queue {
    /// An empty, closed queue.
    pub fn new(bound: usize, sync_bytes: u64, watcher: Option<Watcher>) -> Self {
        let state = State {
            closed: Some(Closed::NotOpened),
            records: VecDeque::new(),
            queued_bytes: 0,
            inflight_bytes: 0,
            appended: 0,
            taken: 0,
            durable: 0,
            wanted: 0,
            lagging: BTreeSet::new(),
            failure: None,
            stop: false,
        };
        Queue { state: Mutex::new(state), work: Condvar::new(), progress: Condvar::new(), bound, sync_bytes, watcher }
    }

    /// Opens or closes it for appends.
    pub fn set_closed(&self, closed: Option<Closed>) {
        locked(&self.state).closed = closed;
    }

    /// Why it is closed, if it is.
    pub fn closed(&self) -> Option<Closed> {
        locked(&self.state).closed
    }

    /// Takes a record or says why not; never waits for the disk.
    pub fn append(&self, record: Record) -> Appended {
        let mut state = locked(&self.state);
        if let Some(closed) = state.closed {
            return Appended::Closed(closed);
        }
        if record.size() > LONGEST_RECORD {
            return Appended::TooLong;
        }
        let waiting = state.queued_bytes + state.inflight_bytes;
        if state.lagging.contains(&record.partition) && record.kind != Kind::Space {
            // Half empty, so that a rewrite is not begun only to run into the bound again.
            let may_begin = matches!(record.kind, Kind::RewriteBroken | Kind::RewriteContinues | Kind::Forget);
            if !may_begin || waiting > self.bound / 2 {
                return Appended::Lagging;
            }
            state.lagging.remove(&record.partition);
        } else if record.copy && waiting + record.size() > self.bound / 2 && waiting > 0 {
            // Copies are not news; the other half stays free for live changes.
            return Appended::Busy;
        } else if waiting + record.size() > self.bound && record.kind != Kind::Space {
            let partition = record.partition;
            state.lagging.insert(partition);
            state.push(Record::hole(partition));
            self.work.notify_one();
            return Appended::Lagging;
        }
        let ticket = state.push(record);
        let due = state.queued_bytes as u64 >= self.sync_bytes || state.records.len() == 1;
        drop(state);
        if due {
            self.work.notify_one();
        }
        Appended::Queued(ticket)
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
            waiting_bytes: state.queued_bytes + state.inflight_bytes,
            appended: Ticket(state.appended),
            durable: Ticket(state.durable),
            closed: state.closed,
        }
    }

    fn take(&self) -> Vec<Record> {
        let mut state = locked(&self.state);
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while bytes < BATCH_BYTES
            && let Some(record) = state.records.pop_front()
        {
            bytes += record.size();
            batch.push(record);
        }
        state.queued_bytes -= bytes;
        state.inflight_bytes += bytes;
        state.taken += batch.len() as u64;
        batch
    }

    fn report(&self, appender: &Appender) {
        let mut state = locked(&self.state);
        state.failure = appender.failure().cloned();
        if appender.unsynced_bytes() == 0 {
            state.durable = state.taken;
            state.inflight_bytes = 0;
        }
        let durable = Ticket(state.durable);
        drop(state);
        self.progress.notify_all();
        if let Some(watcher) = &self.watcher {
            watcher(durable);
        }
    }

    /// Writes what is queued; with `sync`, makes all of it durable.
    pub fn pump(&self, appender: &mut Appender, sync: bool) -> Result<(), StoreError> {
        let result = self.pump_unreported(appender, sync);
        self.report(appender);
        result
    }

    fn pump_unreported(&self, appender: &mut Appender, sync: bool) -> Result<(), StoreError> {
        if let Some(failure) = appender.failure() {
            return Err(failure.into());
        }
        loop {
            let batch = self.take();
            if batch.is_empty() {
                break;
            }
            appender.write(batch)?;
            if appender.unsynced_bytes() >= self.sync_bytes {
                appender.sync()?;
                self.report(appender);
            }
        }
        if sync { appender.sync() } else { Ok(()) }
    }

    /// Takes over the state of the log after something else than a pump touched it.
    pub fn refresh(&self, appender: &Appender) {
        self.report(appender);
        self.work.notify_all();
    }

    /// Carries everything into a new file after a failure.
    pub fn retry(&self, appender: &mut Appender) -> Result<(), StoreError> {
        let result = appender.retry();
        self.report(appender);
        self.work.notify_all();
        result
    }

    /// Ends [`Queue::run`].
    pub fn stop(&self) {
        locked(&self.state).stop = true;
        self.work.notify_all();
    }

    fn wait_for_work(&self, dirty_until: Option<Instant>) -> Work {
        let mut state = locked(&self.state);
        loop {
            if state.stop {
                return Work::Stop;
            }
            if state.failure.is_none() {
                if state.wanted > state.durable {
                    return Work::Sync;
                }
                if dirty_until.is_some_and(|at| at <= Instant::now()) {
                    return Work::Sync;
                }
                if !state.records.is_empty() {
                    return Work::Write;
                }
            }
            let nap = dirty_until.filter(|_| state.failure.is_none());
            let nap = nap.map_or(Duration::from_secs(3600), |at| at.saturating_duration_since(Instant::now()));
            state = self.work.wait_timeout(state, nap).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The writer's thread: writes as records come, syncs on the cadence and on demand, until stopped.
    pub fn run(&self, appender: &Mutex<Option<Appender>>, every: Duration) {
        let mut dirty_until = None;
        loop {
            let sync = match self.wait_for_work(dirty_until) {
                Work::Stop => return,
                Work::Sync => true,
                Work::Write => false,
            };
            let mut guard = locked(appender);
            let Some(appender) = guard.as_mut() else { continue };
            // Failures are in the health; the loop then waits for a retry.
            let _ = self.pump(appender, sync);
            let dirty = appender.unsynced_bytes() > 0;
            dirty_until = if dirty { dirty_until.or(Some(Instant::now() + every)) } else { None };
        }
    }
}

enum Work {
    Write,
    Sync,
    Stop,
}

impl State {
    fn push(&mut self, record: Record) -> Ticket {
        self.queued_bytes += record.size();
        self.records.push_back(record);
        self.appended += 1;
        Ticket(self.appended)
    }
}

//! The keyed vertex of one worker: applies what is before a boundary, stashes what is after, and hands
//! its state over when the frontier has passed.
//!
//! Law: at an export the state is exactly "all before the boundary". A failed vertex never exports.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use super::export::Export;
use super::ports::{EngineEvents, JobCounters, JobStart, Report};
use super::rows::Rows;
use super::{epoch_of, epoch_start};
use crate::operators::OperatorError;
use crate::operators::keyed::KeyedState;
use crate::operators::source::RangeOffset;

/// Which epoch may be opened.
#[derive(Debug, Clone, Copy)]
pub struct EpochGate {
    pub open: Option<u64>,
    pub committed: u64,
    pub terminal: bool,
    pub ended: bool,
}

/// What all workers of a member share about a job.
pub struct JobShared {
    pub start: JobStart,
    pub gate: Mutex<EpochGate>,
    pub rows_in: AtomicU64,
    pub rows_applied: AtomicU64,
    pub rows_to_others: AtomicU64,
    pub bytes_to_others: Arc<AtomicU64>,
    pub bytes_from_others: AtomicU64,
    pub entries_out: AtomicU64,
    pub most_stashed: AtomicU64,
    pub most_in_flight: AtomicU64,
    pub exhausted_workers: AtomicUsize,
    pub exhausted: AtomicBool,
    failed: Mutex<Option<String>>,
    pub offsets: Mutex<BTreeMap<u32, RangeOffset>>,
    events: Arc<dyn EngineEvents>,
}

impl JobShared {
    pub fn new(start: JobStart, events: Arc<dyn EngineEvents>) -> Arc<Self> {
        let gate = EpochGate { open: None, committed: start.from_epoch(), terminal: false, ended: false };
        Arc::new(JobShared {
            start,
            gate: Mutex::new(gate),
            rows_in: AtomicU64::new(0),
            rows_applied: AtomicU64::new(0),
            rows_to_others: AtomicU64::new(0),
            bytes_to_others: Arc::new(AtomicU64::new(0)),
            bytes_from_others: AtomicU64::new(0),
            entries_out: AtomicU64::new(0),
            most_stashed: AtomicU64::new(0),
            most_in_flight: AtomicU64::new(0),
            exhausted_workers: AtomicUsize::new(0),
            exhausted: AtomicBool::new(false),
            failed: Mutex::new(None),
            offsets: Mutex::new(BTreeMap::new()),
            events,
        })
    }

    /// The job cannot go on here; the first cause is kept and reported.
    pub fn fail(&self, cause: impl Into<String>) {
        let cause = cause.into();
        {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            if failed.is_some() {
                return;
            }
            *failed = Some(cause.clone());
        }
        self.events.report(Report::JobFailed { job: self.start.job, execution: self.start.execution, cause });
    }

    pub fn has_failed(&self) -> bool {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// One more worker has nothing to read; says so when it was the last of this member.
    pub fn worker_exhausted(&self, workers: usize) {
        if self.exhausted_workers.fetch_add(1, Ordering::AcqRel) + 1 == workers {
            self.exhausted.store(true, Ordering::Release);
            self.events.report(Report::Exhausted { job: self.start.job, execution: self.start.execution });
        }
    }

    pub fn note_offset(&self, range: u32, offset: RangeOffset) {
        self.offsets.lock().unwrap_or_else(PoisonError::into_inner).insert(range, offset);
    }

    pub fn gate(&self) -> std::sync::MutexGuard<'_, EpochGate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn counters(&self) -> JobCounters {
        let gate = *self.gate();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        JobCounters {
            rows_in: read(&self.rows_in),
            rows_applied: read(&self.rows_applied),
            rows_to_others: read(&self.rows_to_others),
            bytes_to_others: read(&self.bytes_to_others),
            bytes_from_others: read(&self.bytes_from_others),
            entries_out: read(&self.entries_out),
            most_stashed: read(&self.most_stashed),
            most_in_flight: read(&self.most_in_flight),
            open_epoch: gate.open,
            committed_epoch: gate.committed,
            exhausted: self.exhausted.load(Ordering::Acquire),
            failed: self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            offsets: self
                .offsets
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .iter()
                .map(|(r, o)| (*r, *o))
                .collect(),
        }
    }
}

/// A boundary that this worker's sources have passed.
pub struct Boundary {
    pub epoch: u64,
    pub terminal: bool,
    pub offsets: Vec<(u32, RangeOffset)>,
}

/// State of one worker for one job.
pub struct VertexState {
    shared: Arc<JobShared>,
    state: KeyedState,
    /// Rows of this epoch are applied, rows of later ones are stashed.
    epoch: u64,
    boundaries: VecDeque<Boundary>,
    stash: BTreeMap<u64, Vec<Rows>>,
    exports: Sender<Export>,
    worker: usize,
    workers: usize,
    ended: bool,
}

impl VertexState {
    pub fn new(
        shared: Arc<JobShared>,
        state: KeyedState,
        exports: Sender<Export>,
        worker: usize,
        workers: usize,
    ) -> Self {
        let epoch = shared.start.from_epoch();
        VertexState {
            shared,
            state,
            epoch,
            boundaries: VecDeque::new(),
            stash: BTreeMap::new(),
            exports,
            worker,
            workers,
            ended: false,
        }
    }

    pub fn state(&mut self) -> &mut KeyedState {
        &mut self.state
    }

    /// A terminal boundary was handed over, or the job was ended.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    pub fn end(&mut self) {
        self.ended = true;
        self.stash.clear();
        self.boundaries.clear();
    }

    /// Where the source side tells of a boundary, before it moves its capability.
    pub fn expect(&mut self, boundary: Boundary) {
        self.boundaries.push_back(boundary);
    }

    pub fn on_rows(&mut self, time: u64, rows: Rows) {
        if self.ended || self.shared.has_failed() {
            return;
        }
        self.shared.bytes_from_others.fetch_add(rows.bytes_received(), Ordering::Relaxed);
        let epoch = epoch_of(time);
        if epoch > self.epoch {
            self.stash.entry(epoch).or_default().push(rows);
            let held: usize = self.stash.values().flatten().map(Rows::count).sum();
            self.shared.most_stashed.fetch_max(held as u64, Ordering::Relaxed);
            return;
        }
        if epoch < self.epoch {
            return self.shared.fail(format!("rows of epoch {epoch} came after the snapshot {} was taken", self.epoch));
        }
        if let Err(error) = self.apply(rows) {
            self.shared.fail(error.to_string());
        }
    }

    fn apply(&mut self, rows: Rows) -> Result<(), OperatorError> {
        let count = rows.count();
        let (batch, runs) = rows.open()?;
        let mut start = 0;
        for (partition, end) in runs.iter() {
            let length = end.checked_sub(start).filter(|_| *end as usize <= count);
            let length = length.ok_or_else(|| OperatorError::unreadable("rows", "runs out of order"))?;
            self.state.on_batch(*partition, batch.slice(start as usize, length as usize))?;
            start = *end;
        }
        self.shared.rows_applied.fetch_add(count as u64, Ordering::Relaxed);
        Ok(())
    }

    /// `passed(t)` says whether nothing before `t` can come any more.
    pub fn on_frontier(&mut self, passed: impl Fn(u64) -> bool) {
        while !self.ended && !self.shared.has_failed() {
            match self.boundaries.front() {
                Some(boundary) if passed(epoch_start(boundary.epoch)) => {}
                _ => return,
            }
            let Some(boundary) = self.boundaries.pop_front() else { return };
            if let Err(error) = self.cross(boundary) {
                return self.shared.fail(error.to_string());
            }
        }
    }

    fn cross(&mut self, boundary: Boundary) -> Result<(), OperatorError> {
        // An epoch number that was skipped has no rows; what lies between belongs before the boundary.
        let after = self.stash.split_off(&boundary.epoch);
        for rows in std::mem::replace(&mut self.stash, after).into_values().flatten() {
            self.apply(rows)?;
        }
        let partitions: Vec<u32> = self.state.partitions().collect();
        let shards =
            partitions.into_iter().map(|partition| self.state.export(partition)).collect::<Result<Vec<_>, _>>()?;
        self.epoch = boundary.epoch;
        self.ended = boundary.terminal;
        let export = Export {
            job: self.shared.clone(),
            epoch: boundary.epoch,
            terminal: boundary.terminal,
            worker: self.worker,
            workers: self.workers,
            shards,
            offsets: boundary.offsets,
        };
        // The receiver is gone only when the generation is over.
        let _ = self.exports.send(export);
        if self.ended {
            self.stash.clear();
            return Ok(());
        }
        for rows in self.stash.remove(&self.epoch).unwrap_or_default() {
            self.apply(rows)?;
        }
        Ok(())
    }
}

//! The source side of one worker for one job: ticks, credit, pace and boundaries.
//!
//! A tick is a piece of time since the generation began, the same number at about the same moment on
//! every worker; a worker that has nothing to send stands at the end of its epoch and holds nobody up.
//! Law: rows in flight are bounded by credit; opening an epoch needs neither credit nor data; the
//! offsets of a boundary are noted before the capability moves.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use timely::container::NoopBuilder;
use timely::dataflow::{InputHandle, ProbeHandle};

use super::ports::Vertex;
use super::rows::Rows;
use super::vertex::{Boundary, JobShared, VertexState};
use super::{BATCH_ROWS, CREDIT_BYTES, CREDIT_ROWS, SLOW_TICK_MS, TICK_MS, epoch_end, epoch_start};
use crate::operators::pace::Pace;
use crate::operators::route::Router;
use crate::operators::source::{RangeOffset, RangeSource, open};
use crate::operators::{OperatorError, step};

/// Largest batch that is sent.
const MAX_SENT_BYTES: usize = 64 * 1024 * 1024;

/// How long a worker of a slow source may sleep; who has data for it wakes it.
const SLOW_NAP: Duration = Duration::from_millis(5);
/// How long it may sleep otherwise.
const NAP: Duration = Duration::from_millis(1);

/// Length of a tick. Each costs every worker a word to every other, whatever flows: a source with a rate that needs only
/// a part of the credit has longer ones. The same on all workers, because it follows from the plan.
fn tick_ms(rate: Option<u64>) -> u64 {
    const PART: u64 = 16;
    let slow = |rate: u64| rate.saturating_mul(SLOW_TICK_MS) / 1000 <= CREDIT_ROWS as u64 / PART;
    if rate.is_some_and(slow) { SLOW_TICK_MS } else { TICK_MS }
}

/// Input of the dataflow.
pub type Input = InputHandle<u64, NoopBuilder<Rows>>;

struct InFlight {
    time: u64,
    rows: usize,
    bytes: usize,
}

/// One worker's sources of one job.
pub struct SourceSide {
    pub shared: Arc<JobShared>,
    pub vertex: Rc<RefCell<VertexState>>,
    input: Option<Input>,
    probe: ProbeHandle<u64>,
    router: Rc<Router>,
    ranges: VecDeque<(u32, Box<dyn RangeSource>)>,
    offsets: BTreeMap<u32, RangeOffset>,
    pace: Pace,
    tick_ms: u64,
    in_flight: VecDeque<InFlight>,
    rows_in_flight: usize,
    bytes_in_flight: usize,
    epoch: u64,
    terminal: bool,
    sent_at: Option<u64>,
    told_exhausted: bool,
    place: Place,
}

/// Where the worker is.
#[derive(Clone, Copy)]
pub struct Place {
    pub members: usize,
    pub workers: usize,
    pub member: usize,
    pub local: usize,
}

impl Place {
    /// Deals ranges over members first, so that each has work.
    fn reads(&self, range: u32) -> bool {
        let range = range as usize;
        range % self.members == self.member && (range / self.members) % self.workers == self.local
    }
}

impl SourceSide {
    pub fn new(
        shared: Arc<JobShared>,
        vertex: Rc<RefCell<VertexState>>,
        input: Input,
        probe: ProbeHandle<u64>,
        router: Rc<Router>,
        place: Place,
    ) -> Self {
        let epoch = shared.start.from_epoch();
        let source = &shared.start.program.source;
        let all = source.ranges();
        let shares = (0..all).filter(|range| place.reads(*range)).count();
        let (pace, tick_ms) = (Pace::new(source.rate(), shares, all), tick_ms(source.rate()));
        let mut side = SourceSide {
            shared,
            vertex,
            input: Some(input),
            probe,
            router,
            ranges: VecDeque::new(),
            offsets: BTreeMap::new(),
            pace,
            tick_ms,
            in_flight: VecDeque::new(),
            rows_in_flight: 0,
            bytes_in_flight: 0,
            epoch,
            terminal: false,
            sent_at: None,
            told_exhausted: false,
            place,
        };
        if let Err(cause) = side.restore() {
            side.shared.fail(cause);
        }
        side
    }

    /// State of the partitions and offsets of the ranges that are this worker's now.
    fn restore(&mut self) -> Result<(), String> {
        let start = self.shared.start.clone();
        let part = |vertex: Vertex, partition: u32| match &start.restore {
            None => Ok(None),
            Some(restore) => match restore.parts.part(vertex, partition) {
                Ok(Some(bytes)) => Ok(Some(bytes)),
                Ok(None) => Err(format!(
                    "snapshot {} has no {} part {partition}; refused rather than begun without it",
                    restore.epoch,
                    vertex.as_str()
                )),
                Err(error) => Err(format!("snapshot {}: {} part {partition}: {error}", restore.epoch, vertex.as_str())),
            },
        };
        if start.restore.is_some() {
            let mut vertex = self.vertex.borrow_mut();
            let partitions: Vec<u32> = vertex.state().partitions().collect();
            for partition in partitions {
                if let Some(bytes) = part(Vertex::State, partition)? {
                    vertex.state().import(partition, &bytes).map_err(|error| error.to_string())?;
                }
            }
        }
        let place = self.place;
        for range in (0..start.program.source.ranges()).filter(|range| place.reads(*range)) {
            let offset = match part(Vertex::Source, range)? {
                Some(bytes) => RangeOffset::decode(&bytes).map_err(|error| error.to_string())?,
                None => RangeOffset::START,
            };
            self.note(range, offset);
            if !offset.exhausted {
                let source = open(&start.program, range, offset).map_err(|error| error.to_string())?;
                self.ranges.push_back((range, source));
            }
        }
        Ok(())
    }

    fn note(&mut self, range: u32, offset: RangeOffset) {
        self.offsets.insert(range, offset);
        self.shared.note_offset(range, offset);
    }

    /// The leader opened an epoch.
    pub fn open_epoch(&mut self, epoch: u64, terminal: bool) {
        if self.shared.has_failed() || self.terminal || epoch <= self.epoch {
            return;
        }
        let Some(input) = &mut self.input else { return };
        let offsets = self.offsets.iter().map(|(range, offset)| (*range, *offset)).collect();
        self.vertex.borrow_mut().expect(Boundary { epoch, terminal, offsets });
        self.epoch = epoch;
        self.terminal = terminal;
        input.advance_to(epoch_start(epoch));
    }

    /// The job goes away without a snapshot.
    pub fn end(&mut self) {
        self.vertex.borrow_mut().end();
        self.input = None;
        self.ranges.clear();
    }

    /// How long the worker may sleep when nothing was sent.
    pub fn nap(&self) -> Duration {
        if self.tick_ms == SLOW_TICK_MS { SLOW_NAP } else { NAP }
    }

    /// Moves time on and sends what may be sent; says whether it sent something.
    pub fn pump(&mut self, now: Duration) -> bool {
        if self.input.is_none() || self.shared.has_failed() {
            return false;
        }
        if self.vertex.borrow().has_ended() {
            self.input = None;
            self.ranges.clear();
            return false;
        }
        if self.terminal {
            return false;
        }
        if self.ranges.is_empty() && !self.told_exhausted {
            self.told_exhausted = true;
            self.shared.worker_exhausted(self.place.workers);
        }
        self.advance(now);
        self.settle();
        match self.send(now) {
            Ok(sent) => sent,
            Err(error) => {
                self.shared.fail(error.to_string());
                false
            }
        }
    }

    fn advance(&mut self, now: Duration) {
        let Some(input) = &mut self.input else { return };
        let tick = (now.as_millis() as u64 / self.tick_ms).min(u64::from(u32::MAX));
        let time = if self.ranges.is_empty() { epoch_end(self.epoch) } else { epoch_start(self.epoch) | tick };
        if time > *input.time() {
            input.advance_to(time);
        }
    }

    /// Gives back the credit of what every worker has applied or stashed.
    fn settle(&mut self) {
        while let Some(oldest) = self.in_flight.front() {
            if self.probe.less_equal(&oldest.time) {
                return;
            }
            self.rows_in_flight -= oldest.rows;
            self.bytes_in_flight -= oldest.bytes;
            self.in_flight.pop_front();
        }
    }

    fn send(&mut self, now: Duration) -> Result<bool, OperatorError> {
        let Some(input) = &mut self.input else { return Ok(false) };
        let time = *input.time();
        let credit = CREDIT_ROWS.saturating_sub(self.rows_in_flight);
        if credit == 0 || self.bytes_in_flight >= CREDIT_BYTES {
            return Ok(false);
        }
        let allowed = self.pace.allowance(now).min(BATCH_ROWS).min(credit);
        // Small batches wait for the next tick, so that a slow source does not flood the exchange.
        if allowed == 0 || (allowed < BATCH_ROWS && self.sent_at == Some(time)) {
            return Ok(false);
        }
        let Some((range, mut source)) = self.ranges.pop_front() else { return Ok(false) };
        let batch = source.next(allowed)?;
        self.offsets.insert(range, source.offset());
        self.shared.note_offset(range, source.offset());
        let Some(batch) = batch else { return Ok(true) };
        self.ranges.push_back((range, source));
        self.sent_at = Some(time);
        self.pace.spend(batch.num_rows());
        self.shared.rows_in.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
        let program = &self.shared.start.program;
        let batch = step::run(&program.before, batch)?;
        let (rows, bytes) = (batch.num_rows(), batch.get_array_memory_size());
        if bytes > MAX_SENT_BYTES {
            return Err(OperatorError::compute(
                "the projection",
                format!("{rows} rows take {bytes} bytes, {MAX_SENT_BYTES} are allowed"),
            ));
        }
        for routed in self.router.route(&batch, &program.route_by)? {
            if routed.worker / self.place.workers != self.place.member {
                self.shared.rows_to_others.fetch_add(routed.batch.num_rows() as u64, Ordering::Relaxed);
            }
            input.send_batch(&mut Rows::new(routed, self.shared.bytes_to_others.clone()));
        }
        if rows > 0 {
            self.in_flight.push_back(InFlight { time, rows, bytes });
            self.rows_in_flight += rows;
            self.bytes_in_flight += bytes;
            self.shared.most_in_flight.fetch_max(self.rows_in_flight as u64, Ordering::Relaxed);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_long_where_a_rate_leaves_most_of_the_credit() {
        assert_eq!((tick_ms(None), tick_ms(Some(1_000)), tick_ms(Some(0))), (TICK_MS, SLOW_TICK_MS, SLOW_TICK_MS));
        let fits = CREDIT_ROWS as u64 / 16 * 1000 / SLOW_TICK_MS;
        assert_eq!(
            (tick_ms(Some(fits)), tick_ms(Some(fits * 2)), tick_ms(Some(u64::MAX))),
            (SLOW_TICK_MS, TICK_MS, TICK_MS)
        );
    }
}

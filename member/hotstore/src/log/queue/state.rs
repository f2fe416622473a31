//! What the queue knows of what was taken: what may be taken still, and up to which ticket all of it is durable.
//!
//! The law: a ticket that was given counts as not taken until its record lies in a lot that the writer took, so that what is
//! copied at this moment is never said to be durable. Must not know: threads.

use super::{Appended, Closed};
use crate::disk::Batch;
use crate::log::appender::Failure;
use crate::log::lot::Lot;
use crate::log::record::{Kind, LONGEST_RECORD, Record};
use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

/// Buffers kept for lots that come, while they come: as many as are full between two syncs.
const SPARE_BUFFERS: usize = 20;
/// As many are kept when nothing comes: one for each lane in which something may.
const SPARE_AT_REST: usize = super::LANES;

/// A lot that nothing is added to.
pub(super) struct Full {
    /// The lowest ticket in it.
    pub first: u64,
    pub lot: Lot,
}

/// What becomes of a record.
pub(super) enum Judged {
    Taken,
    /// Its partition is behind from now on.
    Behind,
    Refused(Appended),
}

pub(super) struct State {
    pub closed: Option<Closed>,
    pub full: VecDeque<Full>,
    /// The lowest ticket that lies in what is filled, by lane, or will as soon as it is copied; and when it was given.
    first: [Option<(u64, Instant)>; super::LANES],
    spare: Vec<Batch>,
    /// Bytes that are not durable.
    pub waiting_bytes: usize,
    /// Bytes in lots.
    pub queued_bytes: usize,
    pub appended: u64,
    /// The writer took everything up to here.
    pub taken: u64,
    pub durable: u64,
    pub wanted: u64,
    pub lagging: BTreeSet<u16>,
    pub failure: Option<Failure>,
    pub stop: bool,
}

/// Up to where all is with the appender, if these lots are not.
pub(super) fn upto(taken: u64, left: &VecDeque<Full>) -> u64 {
    left.iter().map(|full| full.first - 1).fold(taken, u64::min)
}

impl State {
    /// Empty, and nothing is taken.
    pub fn closed() -> Self {
        State {
            closed: Some(Closed::NotOpened),
            full: VecDeque::new(),
            first: Default::default(),
            spare: Vec::new(),
            waiting_bytes: 0,
            queued_bytes: 0,
            appended: 0,
            taken: 0,
            durable: 0,
            wanted: 0,
            lagging: BTreeSet::new(),
            failure: None,
            stop: false,
        }
    }

    /// Whether a record is taken, at this bound; what follows from it for its partition is noted.
    pub fn judge(&mut self, record: &Record, is_news: bool, bound: usize) -> Judged {
        if let Some(closed) = self.closed {
            return Judged::Refused(Appended::Closed(closed));
        }
        if record.size() > LONGEST_RECORD {
            return Judged::Refused(Appended::TooLong);
        }
        let (waiting, is_space) = (self.waiting_bytes, record.kind == Kind::Space);
        if self.lagging.contains(&record.partition) && !is_space {
            // Half empty, so that a rewrite is not begun only to run into the bound again.
            let may_begin = matches!(record.kind, Kind::RewriteBroken | Kind::RewriteContinues | Kind::Forget);
            if !may_begin || waiting > bound / 2 {
                return Judged::Refused(Appended::Lagging);
            }
            self.lagging.remove(&record.partition);
        } else if !is_news && waiting + record.size() > bound / 2 && waiting > 0 {
            return Judged::Refused(Appended::Busy);
        } else if waiting > 0 && waiting + record.size() > bound && !is_space {
            self.lagging.insert(record.partition);
            return Judged::Behind;
        }
        Judged::Taken
    }

    /// The ticket of a record of so many bytes; whoever gets it copies it at once.
    pub fn reserve(&mut self, bytes: usize) -> u64 {
        self.queued_bytes += bytes;
        self.waiting_bytes += bytes;
        self.appended += 1;
        self.appended
    }

    /// A lane begins a lot with this ticket; gives a buffer for it, if there is one.
    pub fn begin(&mut self, lane: usize, ticket: u64) -> Option<Batch> {
        self.first[lane] = Some((ticket, Instant::now()));
        self.spare.pop()
    }

    /// When the oldest of what is filled came.
    pub fn begun(&self) -> Option<Instant> {
        self.first.iter().flatten().map(|(_, at)| *at).min()
    }

    /// What comes next in a lane comes into another lot.
    pub fn close(&mut self, lane: usize, lot: &mut Lot) {
        if let Some((first, _)) = self.first[lane].take() {
            self.close_lot(Full { first, lot: std::mem::replace(lot, Lot::none()) });
        }
    }

    fn close_lot(&mut self, full: Full) {
        let (lot, buffer) = full.lot.fitted();
        self.spare.extend(buffer);
        self.full.push_back(Full { lot, ..full });
    }

    /// The same for all lanes, in their order; small ones are put together, each would take a block of the device at least.
    pub fn close_all<'a>(&mut self, lanes: impl Iterator<Item = &'a mut Lot>) {
        let mut small: Option<Full> = None;
        for (number, lane) in lanes.enumerate() {
            let Some((first, _)) = self.first[number].take() else { continue };
            let lot = std::mem::replace(lane, Lot::none());
            if !lot.is_small() {
                self.close_lot(Full { first, lot });
                continue;
            }
            small = Some(match small.take() {
                None => Full { first, lot },
                Some(mut small) => {
                    self.spare.push(small.lot.absorb(lot));
                    Full { first: small.first.min(first), ..small }
                }
            });
        }
        small.into_iter().for_each(|small| self.close_lot(small));
    }

    /// What is full, for the writer.
    pub fn take(&mut self) -> VecDeque<Full> {
        let full = std::mem::take(&mut self.full);
        self.queued_bytes -= full.iter().map(|full| full.lot.size()).sum::<usize>();
        let first = self.first.iter().flatten().map(|(first, _)| *first).min();
        self.taken = first.map_or(self.appended, |first| first - 1);
        full
    }

    /// Keeps buffers for lots to come; gives those that are too many.
    pub fn keep(&mut self, buffers: Vec<Batch>) -> Vec<Batch> {
        self.spare.extend(buffers);
        let kept = if self.queued_bytes == 0 { SPARE_AT_REST } else { SPARE_BUFFERS };
        self.spare.split_off(kept.min(self.spare.len()))
    }
}

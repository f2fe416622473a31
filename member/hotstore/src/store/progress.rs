//! How far a seal or a load is, for whoever looks.
//!
//! The law: who looks waits for no work and holds none up: the record has a lock of its own, held for as long as a few numbers
//! are copied. What is done never shrinks while a work lasts, and is all of it when it succeeded. A work that is slow is said
//! to be slow, and why, and goes on: nothing here has a deadline. Must not know: what is read or written, and who looks.

use super::{Store, locked};
use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Less than this in a second is slow: one spinning disk does several times as much.
pub const SLOW_BYTES: u64 = 32 << 20;
/// It must have been less for so long, before that is said.
pub const SLOW_AFTER: Duration = Duration::from_secs(10);
/// A work of which nothing at all moves for so long hangs.
pub const STILL_AFTER: Duration = Duration::from_secs(5);

/// What a store does with much of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Nothing of that kind now; the figures are those of the last work.
    Idle,
    /// Of a seal: what waits in RAM goes to the disk.
    Flushing,
    /// Of a seal: what was written is read back.
    ReadingBack,
    /// Whole files are compared with what is or will be recorded of them.
    Hashing,
    /// Content goes from the disk to RAM.
    Loading,
}

/// One look at a work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Which work of this opening of the store; 0: there was none.
    pub work: u64,
    /// What is done.
    pub doing: Doing,
    /// Bytes done.
    pub done: u64,
    /// Bytes of the whole work.
    pub total: u64,
    /// Since it began; of one that is over, how long it took.
    pub lasts: Duration,
    /// Since the last byte moved.
    pub still: Duration,
}

/// How fast a work goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Bytes in a second; `None`: no time has passed.
    pub bytes_per_second: Option<u64>,
    /// Until its end, if it goes on like this; `None`: nothing moves, or too slowly to tell.
    pub left: Option<Duration>,
    /// Why it is slow, if it is.
    pub slow: Option<Slow>,
}

/// Why a work is called slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slow {
    /// Nothing moves.
    Still {
        /// For so long.
        since: Duration,
    },
    /// Something moves, less than [`SLOW_BYTES`] in a second, for at least [`SLOW_AFTER`].
    Below {
        /// So much.
        bytes_per_second: u64,
    },
}

impl fmt::Display for Slow {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Slow::Still { since } => write!(out, "nothing moved for {} s: the disk hangs", since.as_secs()),
            Slow::Below { bytes_per_second } => {
                write!(out, "{bytes_per_second} B/s, and less than {SLOW_BYTES} B/s is slow")
            }
        }
    }
}

impl Progress {
    /// Bytes that are not done yet.
    pub fn left(&self) -> u64 {
        self.total.saturating_sub(self.done)
    }

    /// How fast it goes: since an earlier look at the same work, else since it began.
    pub fn pace(&self, earlier: Option<&Progress>) -> Pace {
        let (done, lasts) =
            earlier.filter(|look| look.work == self.work).map_or((0, Duration::ZERO), |look| (look.done, look.lasts));
        let (bytes, time) = (u128::from(self.done.saturating_sub(done)), self.lasts.saturating_sub(lasts));
        let nanos = time.as_nanos();
        let rate = (bytes * 1_000_000_000).checked_div(nanos).map(|rate| u64::try_from(rate).unwrap_or(u64::MAX));
        let left =
            u128::from(self.left()).saturating_mul(nanos).checked_div(bytes).and_then(|left| u64::try_from(left).ok());
        let left = left.filter(|_| nanos > 0).map(Duration::from_nanos);
        Pace { bytes_per_second: rate, left, slow: self.slow(rate, time) }
    }

    fn slow(&self, rate: Option<u64>, time: Duration) -> Option<Slow> {
        if self.doing == Doing::Idle || self.left() == 0 {
            return None;
        }
        if self.still >= STILL_AFTER {
            return Some(Slow::Still { since: self.still });
        }
        let rate = rate.filter(|rate| time >= SLOW_AFTER && *rate < SLOW_BYTES)?;
        Some(Slow::Below { bytes_per_second: rate })
    }
}

#[derive(Debug)]
struct Record {
    work: u64,
    doing: Doing,
    done: u64,
    total: u64,
    begun: Instant,
    moved: Instant,
    ended: Option<Instant>,
}

/// The record of a store.
#[derive(Debug)]
pub(super) struct Board(Mutex<Record>);

impl Default for Board {
    fn default() -> Self {
        let now = Instant::now();
        let (begun, moved, ended) = (now, now, Some(now));
        Board(Mutex::new(Record { work: 0, doing: Doing::Idle, done: 0, total: 0, begun, moved, ended }))
    }
}

impl Board {
    /// A work of so many bytes begins. One of none is no work: what was told last stays.
    pub(super) fn begin(&self, doing: Doing, total: u64) -> Underway<'_> {
        if total == 0 {
            return Underway { board: self, work: 0 };
        }
        let (mut record, now) = (locked(&self.0), Instant::now());
        let work = record.work + 1;
        *record = Record { work, doing, done: 0, total, begun: now, moved: now, ended: None };
        Underway { board: self, work }
    }

    fn look(&self) -> Progress {
        let record = locked(&self.0);
        let now = record.ended.unwrap_or_else(Instant::now);
        let Record { work, doing, done, total, begun, moved, .. } = *record;
        let (lasts, still) = (now.saturating_duration_since(begun), now.saturating_duration_since(moved));
        Progress { work, doing, done, total, lasts, still }
    }

    /// Of this work so much is done, if not more.
    fn reached(&self, work: u64, done: impl FnOnce(&Record) -> u64) {
        let mut record = locked(&self.0);
        if record.work != work || record.ended.is_some() {
            return;
        }
        let done = done(&record).min(record.total);
        if done > record.done {
            record.done = done;
            record.moved = Instant::now();
        }
    }
}

/// A work that is under way; over when this is dropped, however it ended.
#[derive(Debug)]
pub struct Underway<'a> {
    board: &'a Board,
    work: u64,
}

impl Underway<'_> {
    /// So many bytes more are done.
    pub fn done(&self, bytes: u64) {
        self.board.reached(self.work, |record| record.done.saturating_add(bytes));
    }

    /// All of it is done.
    pub(super) fn all(&self) {
        self.board.reached(self.work, |record| record.total);
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        let mut record = locked(&self.board.0);
        if record.work == self.work && record.ended.is_none() {
            (record.doing, record.ended) = (Doing::Idle, Some(Instant::now()));
        }
    }
}

impl Store {
    /// How far the seal or the load is that is under way, or how far the last one came. Waits for neither.
    pub fn progress(&self) -> Progress {
        let seen = self.board.look();
        if seen.doing != Doing::Flushing {
            return seen;
        }
        // Who flushes has the appender; the queue knows what is durable of what waited.
        let waiting = self.queue.health().waiting_bytes as u64;
        self.board.reached(seen.work, |record| record.total.saturating_sub(waiting));
        self.board.look()
    }

    /// For a caller who loads by itself what is not in the log: it tells how far it is by what this gives.
    pub fn loads(&self, bytes: u64) -> Underway<'_> {
        self.board.begin(Doing::Loading, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn look(done: u64, total: u64, lasts: u64, still: u64) -> Progress {
        let (lasts, still) = (Duration::from_secs(lasts), Duration::from_secs(still));
        Progress { work: 1, doing: Doing::Loading, done, total, lasts, still }
    }

    #[test]
    fn a_rate_is_told_where_time_has_passed_and_an_end_where_something_moves() {
        let left = |seconds| Some(Duration::from_secs(seconds));
        for (now, earlier, rate, until) in [
            (look(0, 100, 0, 0), None, None, None),
            (look(50, 100, 0, 0), None, None, None),
            (look(0, 100, 4, 4), None, Some(0), None),
            (look(50, 100, 5, 0), None, Some(10), left(5)),
            (look(100, 100, 5, 0), None, Some(20), left(0)),
            (look(80, 100, 10, 0), Some(look(50, 100, 5, 0)), Some(6), Some(Duration::from_nanos(3_333_333_333))),
            (look(80, 100, 10, 0), Some(look(80, 100, 5, 0)), Some(0), None),
            (look(80, 100, 5, 0), Some(look(80, 100, 5, 0)), None, None),
            // A look at another work, or one that is no earlier, says nothing of this one.
            (look(50, 100, 5, 0), Some(Progress { work: 7, ..look(90, 100, 4, 0) }), Some(10), left(5)),
            (look(50, 100, 5, 0), Some(look(90, 100, 9, 0)), None, None),
            (look(u64::MAX, u64::MAX, 1, 0), None, Some(u64::MAX), left(0)),
            (look(1, u64::MAX, 1_000_000, 0), None, Some(0), None),
        ] {
            let pace = now.pace(earlier.as_ref());
            assert_eq!((pace.bytes_per_second, pace.left), (rate, until), "{now:?} after {earlier:?}");
        }
    }

    #[test]
    fn slow_is_said_with_its_reason_and_only_after_a_while() {
        let below = |bytes_per_second| Some(Slow::Below { bytes_per_second });
        let still = |seconds| Some(Slow::Still { since: Duration::from_secs(seconds) });
        for (now, slow) in [
            (look(MIB, 1000 * MIB, 9, 0), None),
            (look(10 * MIB, 1000 * MIB, 10, 0), below(MIB)),
            (look(319 * MIB, 1000 * MIB, 10, 0), below(319 * MIB / 10)),
            (look(320 * MIB, 1000 * MIB, 10, 0), None),
            (look(0, 1000 * MIB, 4, 4), None),
            (look(900 * MIB, 1000 * MIB, 6, 5), still(5)),
            (look(900 * MIB, 1000 * MIB, 600, 300), still(300)),
            // What is done waits for no disk any more.
            (look(1000 * MIB, 1000 * MIB, 600, 300), None),
            (Progress { doing: Doing::Idle, ..look(0, MIB, 600, 300) }, None),
        ] {
            assert_eq!(now.pace(None).slow, slow, "{now:?}");
        }
        let (earlier, now) = (look(800 * MIB, 1000 * MIB, 10, 0), look(810 * MIB, 1000 * MIB, 20, 0));
        assert_eq!(now.pace(None).slow, None, "fast on the whole");
        assert_eq!(now.pace(Some(&earlier)).slow, below(MIB), "and not lately");
        let said = still(7).map(|slow| slow.to_string()).unwrap_or_default();
        assert_eq!(said, "nothing moved for 7 s: the disk hangs");
    }

    #[test]
    fn what_is_done_never_shrinks_and_a_work_that_is_over_changes_no_other() {
        let board = Board::default();
        assert_eq!((board.look().work, board.look().doing), (0, Doing::Idle));
        let first = board.begin(Doing::Hashing, 10);
        first.done(4);
        board.reached(1, |_| 3);
        assert_eq!((board.look().doing, board.look().done, board.look().left()), (Doing::Hashing, 4, 6));
        first.done(u64::MAX);
        assert_eq!(board.look().done, 10, "never more than all");
        let second = board.begin(Doing::Loading, 8);
        first.done(5);
        drop(first);
        assert_eq!((board.look().doing, board.look().done), (Doing::Loading, 0));
        second.done(3);
        let nothing = board.begin(Doing::Flushing, 0);
        nothing.done(1);
        drop(nothing);
        assert_eq!((board.look().doing, board.look().done), (Doing::Loading, 3));
        drop(second);
        assert_eq!(
            (board.look().doing, board.look().done, board.look().total),
            (Doing::Idle, 3, 8),
            "as far as it came"
        );
    }
}

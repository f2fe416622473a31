//! Pace: how many rows a share of a source may give now, when the job has a rate.
//!
//! Law: over time exactly the rate; after a stall at most [`BURST_SECONDS`] of it at once. Reads no clock.

use std::time::Duration;

/// What may be caught up after a stall.
pub const BURST_SECONDS: f64 = 0.5;

/// Allowance of one worker for one job.
#[derive(Debug, Clone)]
pub struct Pace {
    per_second: Option<f64>,
    budget: f64,
    last: Option<Duration>,
}

impl Pace {
    /// `shares` of `all` ranges are read here; `rate` is of the whole job.
    pub fn new(rate: Option<u64>, shares: usize, all: u32) -> Self {
        let per_second = rate.map(|rate| rate as f64 * shares as f64 / f64::from(all.max(1)));
        Pace { per_second, budget: 0.0, last: None }
    }

    /// Rows that may be given at `now` (time since any fixed moment).
    pub fn allowance(&mut self, now: Duration) -> usize {
        let Some(rate) = self.per_second else { return usize::MAX };
        let passed = self.last.map_or(0.0, |last| now.saturating_sub(last).as_secs_f64());
        self.last = Some(now);
        self.budget = (self.budget + rate * passed).min((rate * BURST_SECONDS).max(1.0));
        self.budget as usize
    }

    /// Takes what was given.
    pub fn spend(&mut self, rows: usize) {
        if self.per_second.is_some() {
            self.budget -= rows as f64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_holds_over_time_and_a_stall_is_bounded() {
        let mut pace = Pace::new(Some(6000), 4, 12);
        let mut given = 0;
        for ms in 0..=10_000u64 {
            let rows = pace.allowance(Duration::from_millis(ms)).min(100);
            pace.spend(rows);
            given += rows;
        }
        assert!((19_990..=20_001).contains(&given), "{given}");
        assert_eq!(pace.allowance(Duration::from_secs(3600)), 1000);
        assert_eq!(Pace::new(None, 1, 12).allowance(Duration::ZERO), usize::MAX);
    }

    #[test]
    fn a_rate_below_one_row_a_second_still_moves() {
        let mut pace = Pace::new(Some(1), 1, 12);
        let rows = (0..24).map(|s| pace.allowance(Duration::from_secs(s))).inspect(|_| ()).max();
        assert_eq!(rows, Some(1));
    }
}

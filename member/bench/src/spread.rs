//! How latencies are spread.
//!
//! Law: exact to a part in 64; bounded whatever is noted. Must not know: what took so long.

use std::time::Duration;

/// Parts of a doubling.
const PARTS: u64 = 64;

/// Counts by nanoseconds.
pub struct Spread {
    counts: Vec<u64>,
    noted: u64,
}

impl Default for Spread {
    fn default() -> Self {
        Self { counts: vec![0; 64 * PARTS as usize], noted: 0 }
    }
}

impl Spread {
    /// One more.
    pub fn note(&mut self, took: Duration) {
        let nanos = (took.as_nanos() as u64).max(PARTS);
        let doublings = 63 - nanos.leading_zeros() as u64;
        let part = (nanos >> (doublings - 6)) & (PARTS - 1);
        if let Some(count) = self.counts.get_mut((doublings * PARTS + part) as usize) {
            *count += 1;
        }
        self.noted += 1;
    }

    /// Microseconds within which this part of all was.
    pub fn at(&self, part: f64) -> f64 {
        let wanted = (self.noted as f64 * part).ceil() as u64;
        let mut seen = 0;
        for (place, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted && *count > 0 {
                let (doublings, part) = (place as u64 / PARTS, place as u64 % PARTS);
                return ((PARTS + part) << (doublings - 6)) as f64 / 1_000.0;
            }
        }
        0.0
    }
}

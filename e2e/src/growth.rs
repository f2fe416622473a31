//! What must not grow over many cycles, how it is judged, and the dice that draw what is done in each.
//!
//! Law: a settled plateau: of the cycles the last third's median is not above the middle third's by more than a tenth and a
//! fixed slack (the first third warms up), and nothing ever passes its bound; the same seed draws the same. Must not know:
//! what is measured.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Least cycles of which a plateau can be told.
const TREND: usize = 12;

/// One measure: what it may never pass, and the slack of a plateau.
pub struct Kind {
    /// For people.
    pub name: &'static str,
    /// Never passed.
    pub bound: u64,
    /// Of a plateau.
    pub slack: u64,
}

fn median(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

/// The plateau, or that the bound was passed or that it goes on growing.
pub fn plateau(kind: &Kind, values: &[u64]) -> Result<String, String> {
    let (name, most) = (kind.name, values.iter().max().copied().unwrap_or(0));
    if most > kind.bound {
        return Err(format!("{name}: {most} is above {}; by cycle: {values:?}", kind.bound));
    }
    if values.len() < TREND {
        return Ok(format!("{name}: at most {most}"));
    }
    let third = values.len() / 3;
    let (middle, last) = (median(&values[third..2 * third]), median(&values[2 * third..]));
    if last > middle + middle / 10 + kind.slack {
        let grown = format!("median {middle} of the middle third of the cycles, {last} of the last");
        return Err(format!("{name} grows: {grown}; by cycle: {values:?}"));
    }
    Ok(format!("{name}: at most {most}, median {middle} and then {last}"))
}

/// Seed, first cycle and number of cycles, as `JET_SEED`, `JET_CYCLE` and `JET_CYCLES` say.
pub fn asked(many: u64) -> (u64, u64, u64) {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().unwrap_or_else(|_| panic!("{name}={text}: a number is expected")))
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs());
    (number("JET_SEED").unwrap_or(now), number("JET_CYCLE").unwrap_or(0), number("JET_CYCLES").unwrap_or(many))
}

/// xorshift64*, seeded through splitmix.
pub struct Dice(u64);

impl Dice {
    /// Of one cycle.
    pub fn new(seed: u64, cycle: u64) -> Self {
        let mut z = seed.wrapping_add(cycle.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self((z ^ (z >> 31)) | 1)
    }

    /// Less than `many`.
    pub fn below(&mut self, many: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % many
    }

    /// A time.
    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_by_one_in_each_cycle_is_no_plateau() {
        let kind = Kind { name: "files", bound: 100, slack: 2 };
        let cycles = |growth: u64| (0..24).map(|n| 10 + n * growth).collect::<Vec<_>>();
        assert!(plateau(&kind, &cycles(0)).is_ok());
        assert!(plateau(&kind, &cycles(1)).unwrap_err().contains("files grows"));
        assert!(plateau(&kind, &[101]).unwrap_err().contains("above"));
    }
}

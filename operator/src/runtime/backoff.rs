//! How long to wait after the n-th failure in a row of one object.
//!
//! Law: grows from [`FIRST`] to [`LAST`], spread by ±25 %, forgotten on success; bounded in objects. Must not know:
//! what failed.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Wait after the first failure.
pub const FIRST: Duration = Duration::from_millis(500);
/// No wait is longer: a repaired cluster must not stand for minutes.
pub const LAST: Duration = Duration::from_secs(30);
/// Objects remembered; beyond it all start again from [`FIRST`].
const REMEMBERED: usize = 10_000;

/// Wait after `failures` failures in a row; `spread` in 0..=1 comes from outside.
pub fn wait(failures: u32, spread: f64) -> Duration {
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LAST);
    doubled.mul_f64(0.75 + 0.5 * spread.clamp(0.0, 1.0)).min(LAST)
}

/// Failures in a row by object.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: Mutex<BTreeMap<String, u32>>,
}

impl Backoff {
    /// Counts a failure and says how long to wait.
    pub fn failed(&self, object: &str) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= REMEMBERED && !failures.contains_key(object) {
            failures.clear();
        }
        let count = failures.entry(object.to_owned()).or_insert(0);
        *count = count.saturating_add(1);
        wait(*count, rand::random())
    }

    /// Forgets an object's failures.
    pub fn succeeded(&self, object: &str) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(object);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_its_bound_and_stays_there() {
        let waits: Vec<_> = (1..=20).map(|failures| wait(failures, 0.5)).collect();
        assert_eq!(waits.first(), Some(&FIRST));
        assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(waits.last(), Some(&LAST));
        assert_eq!(wait(u32::MAX, 1.0), LAST);
        assert_eq!(wait(1, 0.0), FIRST.mul_f64(0.75));
    }

    #[test]
    fn success_forgets() {
        let backoff = Backoff::default();
        for _ in 0..10 {
            backoff.failed("prod/orders");
        }
        backoff.succeeded("prod/orders");
        assert!(backoff.failed("prod/orders") < FIRST * 2);
    }
}

//! The one clock by which leases and silences are measured: CLOCK_BOOTTIME, which goes on while a machine sleeps ([`crate::host`]).
//!
//! Law: wall clocks decide nothing. Must not know: what is measured.

use std::time::Duration;

/// A moment on this machine since it was switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(Duration);

impl Moment {
    /// Now.
    pub fn now() -> Self {
        Moment(crate::host::now())
    }

    /// A moment later by `by`.
    pub fn plus(self, by: Duration) -> Self {
        Moment(self.0.saturating_add(by))
    }

    /// A moment earlier by `by`.
    pub fn minus(self, by: Duration) -> Self {
        Moment(self.0.saturating_sub(by))
    }

    /// Time from `earlier` to this moment; nothing if it is not earlier.
    pub fn since(self, earlier: Moment) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// Milliseconds, for reports.
    pub fn millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

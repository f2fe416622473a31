//! How far a member's store is with what it saves or loads, and how a person reads that.
//!
//! Law: figures of one look; an end is foretold only where something moves, and slowness is told with its reason. The words
//! are the same wherever they are shown. Must not know: why anybody saves or loads.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A seal or a load that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreProgress {
    /// What is done.
    pub doing: StoreWork,
    /// Bytes done.
    pub done_bytes: u64,
    /// Bytes of the whole work.
    pub total_bytes: u64,
    /// How long it lasts, milliseconds.
    pub lasts_ms: u64,
    /// Bytes in a second since it began; absent: no time has passed.
    #[serde(default)]
    pub bytes_per_second: Option<u64>,
    /// Until its end, if it goes on like this, milliseconds; absent: nothing moves, or too slowly to tell.
    #[serde(default)]
    pub left_ms: Option<u64>,
    /// Why it is slow, if it is. It goes on all the same.
    #[serde(default)]
    pub slow: Option<Slowness>,
}

/// What a store does with much of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StoreWork {
    /// Of a seal: what waits in RAM goes to the disk.
    Flushing,
    /// Of a seal: what was written is read back.
    ReadingBack,
    /// Whole files are compared with what is or will be recorded of them.
    Hashing,
    /// Content goes from the disk to RAM.
    Loading,
}

/// Why a work is called slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Slowness {
    /// Nothing moves: the disk hangs.
    Still,
    /// Something moves, less than a disk of one's own would let through.
    Below,
}

impl fmt::Display for Slowness {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Slowness::Still => "nothing moves, the disk hangs",
            Slowness::Below => "the disk is slow",
        })
    }
}

impl StoreProgress {
    /// Bytes that are not done yet.
    pub fn left_bytes(&self) -> u64 {
        self.total_bytes.saturating_sub(self.done_bytes)
    }
}

/// `sealing, 3.1 of 8.0 GiB read back, 1.4 GB/s, 4 s left`.
impl fmt::Display for StoreProgress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, done) = match self.doing {
            StoreWork::Flushing => ("sealing", " flushed"),
            StoreWork::ReadingBack => ("sealing", " read back"),
            StoreWork::Hashing => ("verifying", " read"),
            StoreWork::Loading => ("loading", ""),
        };
        write!(out, "{verb}, {}{done}", amount(self.done_bytes, self.total_bytes))?;
        if let Some(rate) = self.bytes_per_second {
            write!(out, ", {}", speed(rate))?;
        }
        if let Some(left) = self.left_ms.filter(|_| self.left_bytes() > 0) {
            write!(out, ", {} left", time(left))?;
        }
        match self.slow {
            Some(why) => write!(out, "; {why}, and nothing is given up"),
            None => Ok(()),
        }
    }
}

/// Both in the unit of the whole.
fn amount(done: u64, total: u64) -> String {
    let units = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(size, _)| total >= *size) {
        Some((size, unit)) => format!("{} of {} {unit}", tenths(done, size), tenths(total, size)),
        None => format!("{done} of {total} B"),
    }
}

fn speed(bytes: u64) -> String {
    let units: [(u64, &str); 3] = [(1_000_000_000, "GB/s"), (1_000_000, "MB/s"), (1_000, "kB/s")];
    match units.into_iter().find(|(size, _)| bytes >= *size) {
        Some((size, unit)) => format!("{} {unit}", tenths(bytes, size)),
        None => format!("{bytes} B/s"),
    }
}

/// Cut, not rounded: what is not all is never told as all.
fn tenths(bytes: u64, unit: u64) -> String {
    let tenths = u128::from(bytes) * 10 / u128::from(unit);
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn time(ms: u64) -> String {
    let seconds = ms.div_ceil(1000).max(1);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_reads_what_is_done_how_fast_and_until_when() {
        const GIB: u64 = 1 << 30;
        let look = |doing, done_bytes, total_bytes, bytes_per_second, left_ms, slow| StoreProgress {
            doing,
            done_bytes,
            total_bytes,
            lasts_ms: 0,
            bytes_per_second,
            left_ms,
            slow,
        };
        for (look, said) in [
            (
                look(StoreWork::ReadingBack, 31 * GIB / 10 + 1, 8 * GIB, Some(1_400_000_000), Some(3_758), None),
                "sealing, 3.1 of 8.0 GiB read back, 1.4 GB/s, 4 s left",
            ),
            (look(StoreWork::Flushing, 0, 64 << 20, None, None, None), "sealing, 0.0 of 64.0 MiB flushed"),
            (
                look(StoreWork::Hashing, 500, 900, Some(999), Some(1), None),
                "verifying, 500 of 900 B read, 999 B/s, 1 s left",
            ),
            (
                look(StoreWork::Loading, 8 * GIB - 1, 8 * GIB, Some(350_123_456), Some(0), None),
                "loading, 7.9 of 8.0 GiB, 350.1 MB/s, 1 s left",
            ),
            (
                look(StoreWork::Loading, 8 * GIB, 8 * GIB, Some(2_000), Some(0), None),
                "loading, 8.0 of 8.0 GiB, 2.0 kB/s",
            ),
            (
                look(StoreWork::Loading, 0, 3 << 40, Some(0), None, Some(Slowness::Still)),
                "loading, 0.0 of 3.0 TiB, 0 B/s; nothing moves, the disk hangs, and nothing is given up",
            ),
            (
                look(StoreWork::Loading, 0, 2 << 10, Some(1), Some(7_200_001), Some(Slowness::Below)),
                "loading, 0.0 of 2.0 KiB, 1 B/s, 3 h left; the disk is slow, and nothing is given up",
            ),
            (look(StoreWork::Loading, 0, 1, None, Some(120_000), None), "loading, 0 of 1 B, 2 min left"),
            (
                look(StoreWork::Loading, u64::MAX, u64::MAX, Some(u64::MAX), None, None),
                "loading, 16777215.9 of 16777215.9 TiB, 18446744073.7 GB/s",
            ),
        ] {
            assert_eq!(look.to_string(), said);
        }
    }
}

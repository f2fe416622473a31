//! Ports of a test's own: below those that the kernel gives to outgoing connections.
//!
//! Law: a port that was free when it was taken is not given to anybody else before a member listens on it. Must not
//! know: who listens.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// First port, and how many there are; the kernel's own begin far above.
const FIRST: u16 = 10_000;
const MANY: u16 = 7_000;

static TAKEN: AtomicU16 = AtomicU16::new(0);

/// As many free ports, all different, also from those of a test that runs beside in this process.
pub fn free(count: usize) -> Vec<u16> {
    // Tests of several programs run at once; each begins elsewhere.
    let begin = (std::process::id().wrapping_mul(89) % u32::from(MANY)) as u16;
    let mut found = Vec::new();
    for _ in 0..MANY {
        let port = FIRST + (begin + TAKEN.fetch_add(1, Ordering::Relaxed) % MANY) % MANY;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            found.push(port);
        }
        if found.len() == count {
            return found;
        }
    }
    panic!("no {count} free ports from {FIRST} on")
}

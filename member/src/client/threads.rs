//! Threads that serve clients.
//!
//! Law: a connection stays on one thread as long as it lives, so that what it asks is read, done and answered without
//! handing anything over; there are as many threads as the process has processors. What a connection asked is answered when
//! the others of its thread that are ready were read too, so that one wake of a peer's thread serves several. Must not know: what
//! is asked.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::error;

/// The threads; they end with it.
pub struct Threads {
    each: Vec<Handle>,
    next: AtomicUsize,
    _end: DropGuard,
}

impl Threads {
    /// One for each processor; where none can be made, those of everything else serve.
    pub fn start() -> Self {
        let end = CancellationToken::new();
        let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let each = (0..count).filter_map(|n| one(n, end.clone())).collect();
        Self { each, next: AtomicUsize::new(0), _end: end.drop_guard() }
    }

    /// Where the next connection lives.
    pub fn next(&self) -> Handle {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let chosen = turn.checked_rem(self.each.len()).and_then(|place| self.each.get(place));
        chosen.cloned().unwrap_or_else(Handle::current)
    }
}

fn one(n: usize, end: CancellationToken) -> Option<Handle> {
    let fails =
        |error: std::io::Error| error!(%error, "a thread for clients cannot be made; others serve in its place");
    let runtime = Builder::new_current_thread().enable_all().build().map_err(fails).ok()?;
    let handle = runtime.handle().clone();
    let named = std::thread::Builder::new().name(format!("clients-{n}"));
    named.spawn(move || runtime.block_on(end.cancelled())).map_err(fails).ok()?;
    Some(handle)
}

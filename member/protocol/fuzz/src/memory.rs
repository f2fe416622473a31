//! Bytes that a thread takes from the heap, counted by the allocator of the program; what it gives back counts as well.
//!
//! The law: counting allocates nothing. Must not know: who allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

thread_local! {
    static TAKEN: Cell<usize> = const { Cell::new(0) };
}

/// The allocator of the system, counted.
pub struct Counted;

#[allow(unsafe_code)]
// SAFETY: every call goes to `System` as it came.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that ends has no counter any more.
        let _ = TAKEN.try_with(|taken| taken.set(taken.get() + layout.size()));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, bytes: *mut u8, layout: Layout) {
        unsafe { System.dealloc(bytes, layout) }
    }
}

/// What reading may take is this many times what is read …
pub const TIMES: usize = 4;
/// … and this: several slices of one piece of memory share a count of them.
pub const MORE: usize = 64;

/// What `run` gives, and what it took.
pub fn taken<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let before = TAKEN.get();
    let out = black_box(run());
    (out, TAKEN.get() - before)
}

/// Runs what reads so many bytes and panics if it took more than they are worth.
pub fn bounded<T>(what: &str, bytes: usize, run: impl FnOnce() -> T) -> T {
    let (out, taken) = taken(run);
    assert!(taken <= TIMES * bytes + MORE, "{what} took {taken} bytes for {bytes}");
    out
}

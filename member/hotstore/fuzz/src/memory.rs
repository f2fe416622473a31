//! Bytes that a thread holds on the heap, counted by the allocator of the program.
//!
//! The law: counting allocates nothing. Must not know: who allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

/// The allocator of the system, counted.
pub struct Counted;

fn note(bytes: isize) {
    // A thread that ends has no counters any more.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = MOST.try_with(|most| most.set(most.get().max(held.get())));
    });
}

#[allow(unsafe_code)]
// SAFETY: every call goes to `System` as it came.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size() as isize);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, bytes: *mut u8, layout: Layout) {
        note(-(layout.size() as isize));
        unsafe { System.dealloc(bytes, layout) }
    }

    unsafe fn realloc(&self, bytes: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both are there while the content is moved.
        note(size as isize);
        note(-(layout.size() as isize));
        unsafe { System.realloc(bytes, layout, size) }
    }
}

/// What `run` gives, and the most that it held at once beyond what was held before.
pub fn most<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get();
    MOST.set(before);
    let out = run();
    (out, (MOST.get() - before).max(0) as usize)
}

/// What is read may cost this many times its bytes …
pub const TIMES: usize = 4;
/// … and this much more: hashers, names and words of a refusal, a block for each buffer.
pub const MORE: usize = 64 << 10;

/// Runs what reads `input` bytes and panics if it held more than that is worth.
pub fn bounded<T>(what: &str, input: usize, run: impl FnOnce() -> T) -> T {
    let (out, most) = most(run);
    assert!(most <= TIMES * input + MORE, "{what} held {most} bytes for an input of {input}");
    out
}

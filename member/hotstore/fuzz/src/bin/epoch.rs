//! Fuzz target of [`fuzz_store::epoch`].

#![no_main]

use fuzz_store::memory::Counted;

#[global_allocator]
static COUNTED: Counted = Counted;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz_store::epoch::holds(input);
});

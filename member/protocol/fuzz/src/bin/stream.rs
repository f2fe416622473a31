//! Fuzz target of [`fuzz_protocol::stream`].

#![no_main]

use fuzz_protocol::memory::Counted;

#[global_allocator]
static COUNTED: Counted = Counted;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz_protocol::stream::holds(input);
});

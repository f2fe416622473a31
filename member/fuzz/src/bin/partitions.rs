//! Fuzz target of [`fuzz_member::partitions`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz_member::partitions::holds(input);
});

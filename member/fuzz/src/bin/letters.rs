//! Fuzz target of [`fuzz_member::letters`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz_member::letters::holds(input);
});

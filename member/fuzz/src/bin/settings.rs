//! Fuzz target of [`fuzz_member::settings`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz_member::settings::holds(input);
});

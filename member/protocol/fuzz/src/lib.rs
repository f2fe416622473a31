//! Bodies of the fuzz targets, each a law that every input must keep; `tests/fuzz_corpus.rs` replays the corpus through
//! the same bodies.
//!
//! The law: no panic, no overflow, no more memory than [`memory::bounded`] allows; what is read, written again, reads as
//! the same. Must not know: libFuzzer.
//!
//! Contents: targets [`stream`] · [`data`] · [`memory`] what reading takes.

pub mod data;
pub mod memory;
pub mod stream;

/// How often something was read for what it says, and how often refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Read.
    pub read: u32,
    /// Refused.
    pub refused: u32,
}

impl Seen {
    fn note<T, E>(&mut self, result: &Result<T, E>) {
        match result {
            Ok(_) => self.read += 1,
            Err(_) => self.refused += 1,
        }
    }
}

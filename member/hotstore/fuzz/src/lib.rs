//! Bodies of the fuzz targets, each a law that every input must keep; `tests/fuzz_corpus.rs` of the store replays the corpus
//! through the same bodies.
//!
//! The law: no panic, no overflow, no more heap than [`memory::bounded`] allows; what is accepted encodes again to the same;
//! a directory is refused with a typed reason, unchanged, or all that it hands out verifies and is found again after going on.
//! Must not know: libFuzzer.
//!
//! Contents: targets [`record`] · [`chunk`] · [`small`] · [`epoch`] · [`consensus`] · [`recovery`] · helpers [`folder`]
//! a directory in one run of bytes · [`mend`] checksums · [`seals`] digests · [`memory`] heap.

pub mod chunk;
pub mod consensus;
pub mod epoch;
pub mod folder;
pub mod memory;
pub mod mend;
pub mod record;
pub mod recovery;
pub mod seals;
pub mod small;

/// Where stores lie.
pub const DIR: &str = "/store";

/// How often an input was taken for what it says, and how often refused, over all depths of mending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Accepted.
    pub accepted: u32,
    /// Refused.
    pub refused: u32,
}

impl Seen {
    fn note<T, E>(&mut self, result: &Result<T, E>) {
        match result {
            Ok(_) => self.accepted += 1,
            Err(_) => self.refused += 1,
        }
    }
}

/// A sealed store as the program left it: what single files are put into.
fn base() -> folder::Files {
    folder::read(include_bytes!("../corpus/recovery/real-sealed"))
}

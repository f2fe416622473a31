//! Bodies of the fuzz targets of the member, each a law that every input must keep; `tests/fuzz_corpus.rs` replays the
//! corpus through the same bodies.
//!
//! The law: no panic, no overflow; what is read, written again, reads as the same. Must not know: libFuzzer.
//!
//! Contents: targets [`settings`] the two YAML files · [`letters`] what consensus says · [`partitions`] frames and what
//! members say to each other about partitions.

pub mod letters;
pub mod partitions;
pub mod settings;

// Of the member.
#[path = "../../src/config/mod.rs"]
pub mod config;
#[path = "../../src/net/frame.rs"]
pub mod frame;
/// Of consensus.
#[path = "."]
pub mod consensus {
    #[path = "../../src/cluster/consensus/letter.rs"]
    pub mod letter;
    #[path = "../../src/cluster/consensus/types.rs"]
    pub mod types;
}

/// How often something was read for what it says, and how often refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Read.
    pub read: u32,
    /// Refused.
    pub refused: u32,
}

impl Seen {
    /// One more.
    pub fn note<T, E>(&mut self, result: &Result<T, E>) {
        match result {
            Ok(_) => self.read += 1,
            Err(_) => self.refused += 1,
        }
    }
}

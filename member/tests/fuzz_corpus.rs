//! The corpus of the fuzz targets, replayed through the bodies of the targets: what was found once is never found again.
//!
//! Must not know: YAML, consensus, frames.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../fuzz/src/letters.rs"]
mod letters;
// What only the seeds need is not used here.
#[allow(dead_code)]
#[path = "../fuzz/src/partitions.rs"]
mod partitions;
#[path = "../fuzz/src/settings.rs"]
mod settings;

use std::path::Path;

// As the bodies know them.
use jet_member::cluster::consensus;
use jet_member::config;
use jet_member::net::frame;

/// The corpus is read by people and cloned by everybody.
const MOST_BYTES: u64 = 64 << 10;

/// How often something was read for what it says, and how often refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Seen {
    read: u32,
    refused: u32,
}

impl Seen {
    fn note<T, E>(&mut self, result: &Result<T, E>) {
        match result {
            Ok(_) => self.read += 1,
            Err(_) => self.refused += 1,
        }
    }
}

/// Replays all inputs of a target; a corpus of which nothing, or everything, is read shows nothing.
fn replay(target: &str, holds: fn(&[u8]) -> Seen) {
    let (mut seen, mut bytes) = (Seen::default(), 0);
    for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)).unwrap() {
        let path = file.unwrap().path();
        let input = std::fs::read(&path).unwrap();
        bytes += input.len() as u64;
        let one = std::panic::catch_unwind(|| holds(&input));
        let one = one.unwrap_or_else(|_| panic!("the law of {target} is broken by {}", path.display()));
        seen.read += one.read;
        seen.refused += one.refused;
    }
    println!("{target}: {seen:?}");
    assert!(seen.read >= 4 && seen.refused >= 4, "{target}: {seen:?}");
    assert!(bytes <= MOST_BYTES, "{bytes} bytes; minimise what was added");
}

#[test]
fn settings_keep_their_law() {
    replay("settings", settings::holds);
}

#[test]
fn letters_keep_their_law() {
    replay("letters", letters::holds);
}

#[test]
fn what_is_said_about_partitions_keeps_its_law() {
    replay("partitions", partitions::holds);
}

//! The corpus of the fuzz targets, replayed through the bodies of the targets: what was found once is never found again.
//!
//! Must not know: frames.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

// What only the seeds need is not used here.
#[allow(dead_code)]
#[path = "../fuzz/src/lib.rs"]
mod fuzz_protocol;

use std::path::Path;

use fuzz_protocol::{Seen, data, memory, stream};

#[global_allocator]
static COUNTED: memory::Counted = memory::Counted;

/// The corpus is read by people and cloned by everybody.
const MOST_BYTES: u64 = 64 << 10;

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
    assert!(seen.read >= 5 && seen.refused >= 5, "{target}: {seen:?}");
    assert!(bytes <= MOST_BYTES, "{bytes} bytes; minimise what was added");
}

#[test]
fn streams_keep_their_law() {
    replay("stream", stream::holds);
}

#[test]
fn values_keep_their_law() {
    replay("data", data::holds);
}

#[test]
fn a_law_that_is_broken_is_seen() {
    let most = memory::TIMES * 10 + memory::MORE;
    assert!(std::panic::catch_unwind(|| memory::bounded("a list", 10, || vec![0u8; most + 1].len())).is_err());
    assert_eq!(memory::bounded("a list", 10, || vec![0u8; most].len()), most);
}

//! The corpus of the fuzz targets, replayed through the bodies of the targets: what was found once is never found again.
//!
//! Must not know: file formats.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

// What only the seeds need is not used here.
#[allow(dead_code)]
#[path = "../fuzz/src/lib.rs"]
mod fuzz_store;

use fuzz_store::{Seen, chunk, consensus, epoch, folder, memory, record, recovery, small};
use std::path::{Path, PathBuf};

#[global_allocator]
static COUNTED: memory::Counted = memory::Counted;

/// The corpus is read by people and cloned by everybody.
const MOST_BYTES: u64 = 300 << 10;

/// Records of a long file.
const LONG: usize = 20_000;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

fn files(target: &str) -> Vec<PathBuf> {
    let room = std::fs::read_dir(corpus().join(target)).unwrap();
    let mut files: Vec<_> = room.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Replays all inputs of a target; a corpus of which nothing, or everything, is accepted shows nothing.
fn replay(target: &str, holds: fn(&[u8]) -> Seen) {
    let mut seen = Seen::default();
    for file in files(target) {
        let input = std::fs::read(&file).unwrap();
        let one = std::panic::catch_unwind(|| holds(&input));
        let one = one.unwrap_or_else(|_| panic!("the law of {target} is broken by {}", file.display()));
        seen.accepted += one.accepted;
        seen.refused += one.refused;
    }
    println!("{target}: {seen:?}");
    assert!(seen.accepted >= 5 && seen.refused >= 5, "{target}: {seen:?}");
}

#[test]
fn records_keep_their_law() {
    replay("record", record::holds);
}

#[test]
fn chunks_keep_their_law() {
    replay("chunk", chunk::holds);
}

#[test]
fn small_records_and_manifests_keep_their_law() {
    replay("small", small::holds);
}

#[test]
fn epochs_keep_their_law() {
    replay("epoch", epoch::holds);
}

#[test]
fn consensus_logs_keep_their_law() {
    replay("consensus", consensus::holds);
}

#[test]
fn directories_keep_their_law() {
    replay("recovery", recovery::holds);
}

/// A file of the corpus with `more` appended to one of its files, which the targets give right checksums.
fn longer(target: &str, name: &str, file: &str, more: &[u8]) -> Vec<u8> {
    let mut files = folder::read(&std::fs::read(corpus().join(target).join(name)).unwrap());
    let (_, bytes) = files.iter_mut().find(|(own, _)| own.ends_with(file)).unwrap();
    bytes.extend_from_slice(more);
    folder::write(&files)
}

/// The inputs of the corpus are short, so that the constant would cover a wrong factor: these are not.
#[test]
fn what_is_long_costs_no_more_than_its_length_allows() {
    let mut put = [0; 40];
    (put[4], put[8], put[10]) = (40, 1, 4);
    let seen = recovery::holds(&longer("recovery", "real-unsealed", "log-3.jl", &put.repeat(LONG)));
    assert!(seen.accepted >= 2, "{seen:?}");
    let seen = recovery::holds(&longer("recovery", "real-sealed", "log-3.jl", &put.repeat(LONG)));
    assert!(seen.accepted >= 1, "{seen:?}");
    let entries: Vec<u8> = (5..5 + LONG as u64)
        .flat_map(|n| {
            [&[0, 0, 0, 0, 28, 0, 0, 0, 1, 0, 0, 0][..], &n.to_le_bytes(), &[1, 0, 0, 0, 0, 0, 0, 0]].concat()
        })
        .collect();
    let seen = consensus::holds(&longer("consensus", "real", "entries-1.rl", &entries));
    assert!(seen.accepted >= 4, "{seen:?}");
}

#[test]
fn the_corpus_stays_small() {
    let targets = ["record", "chunk", "small", "epoch", "consensus", "recovery"];
    let bytes = targets.into_iter().flat_map(files).map(|file| file.metadata().unwrap().len()).sum::<u64>();
    assert!(bytes <= MOST_BYTES, "{bytes} bytes; minimise what was added");
}

#[test]
fn a_law_that_is_broken_is_seen() {
    let held = std::panic::catch_unwind(|| memory::bounded("a table", 10, || vec![0u8; memory::MORE + 41].len()));
    assert!(held.is_err(), "a table as long as a file says it is not seen");
    assert_eq!(memory::bounded("a table", 10, || vec![0u8; memory::MORE + 40].len()), memory::MORE + 40);
}

//! What was written is read back while RAM still has it; what does not verify is written anew before a seal needs it.
//!
//! Must not know: file formats, beyond where bytes lie.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "proof/request.rs"]
mod request;

use jet_hotstore::{Base, Cadence, Loaded, Options, Record, SimulatedDisk, Store, StoreError, Version};
use request::request;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

const PARTITIONS: u16 = 3;

/// Chunks that are closed after a few flushes.
const SHORT: u64 = 4096;

fn open(disk: &SimulatedDisk, chunk_bytes: u64) -> Store {
    let options = Options { cadence: Cadence::OnDemand, chunk_bytes, ..Options::default() };
    Store::open(Path::new("/store"), Arc::new(disk.clone()), options).unwrap().0
}

fn entry(partition: u16, n: u64) -> Record {
    Record::put(1, partition, Version::new(1, n), format!("key {}", n % 5), vec![n as u8; 500])
}

/// With [`SHORT`] several closed chunks and an open one.
fn written(disk: &SimulatedDisk, chunk_bytes: u64) -> Store {
    let store = open(disk, chunk_bytes);
    store.join_cluster(Uuid::from_u128(7)).unwrap();
    store.open_generation(1).unwrap();
    for n in 1..=20 {
        for partition in 0..PARTITIONS {
            assert!(store.append(entry(partition, n)).ticket().is_some());
        }
        store.flush().unwrap();
    }
    store
}

fn seal(store: &Store) -> Result<usize, StoreError> {
    store.seal(request(PARTITIONS, 20, 5)).map(|seal| seal.manifest.files.len())
}

fn logs(disk: &SimulatedDisk) -> Vec<(PathBuf, u64)> {
    disk.files().into_iter().filter(|(path, _)| path.extension().is_some_and(|kind| kind == "jl")).collect()
}

fn entries(disk: &SimulatedDisk) -> usize {
    let mut keys = std::collections::BTreeSet::new();
    let mut load = |record: Loaded<'_>| {
        if let Loaded::Put { partition, key, value, .. } = record {
            keys.insert((partition, key.to_vec(), value.to_vec()));
        }
    };
    let report = open(disk, SHORT).load(&mut load).unwrap();
    assert!(report.sealed && report.cut.is_none());
    keys.iter().filter(|(_, _, value)| value[0] > 15).count()
}

#[test]
fn a_seal_reads_only_what_was_not_read_back_before() {
    let reads_of_a_seal = |proves: bool| {
        let disk = SimulatedDisk::new();
        let store = written(&disk, SHORT);
        let chunks = logs(&disk).len();
        assert!(chunks >= 4, "{chunks} chunks");
        let mut proved = 0;
        while proves && store.prove_one().unwrap() {
            proved += 1;
        }
        assert_eq!(proved, if proves { chunks - 1 } else { 0 }, "all but the open one");
        let before = disk.reads();
        assert_eq!(seal(&store).unwrap(), chunks);
        let reads = disk.reads() - before;
        store.close().unwrap();
        drop(store);
        assert_eq!(entries(&disk), 15);
        (reads, chunks as u64)
    };
    let ((late, chunks), (early, _)) = (reads_of_a_seal(false), reads_of_a_seal(true));
    assert_eq!(late - early, chunks - 1);
}

/// Written anew from RAM as asked, until nothing is asked for any more.
fn rewrite(store: &Store) {
    for _ in 0..4 {
        for partition in store.partitions_to_rewrite() {
            let live: Vec<_> = (16..=20).map(|n| entry(partition, n)).collect();
            let version = Version::new(1, 20);
            assert!(store.rewrite_partition(partition, version, Base::Continues, live).ticket().is_some());
            store.flush().unwrap();
        }
    }
    assert_eq!(store.partitions_to_rewrite(), Vec::<u16>::new());
}

fn is_sealed_whole(store: Store, disk: &SimulatedDisk) {
    seal(&store).unwrap();
    store.close().unwrap();
    drop(store);
    assert_eq!(entries(disk), 15);
}

#[test]
fn a_chunk_that_rots_while_the_cluster_runs_is_replaced_from_ram_before_a_stop_needs_it() {
    let disk = SimulatedDisk::new();
    let store = written(&disk, SHORT);
    let (rotten, length) = logs(&disk)[1].clone();
    disk.flip(&rotten, length / 2, 1);
    let found = (0..10).find_map(|_| store.prove_one().err()).expect("it was read back");
    assert!(matches!(&found, StoreError::Refused(_)) && found.to_string().contains("log-"), "{found}");
    assert!(seal(&store).is_err(), "a seal must not name it");
    let mut due = store.partitions_to_rewrite();
    due.sort_unstable();
    assert_eq!(due, [0, 1, 2]);
    rewrite(&store);
    is_sealed_whole(store, &disk);
}

#[test]
fn what_rots_in_the_chunk_that_is_written_to_refuses_one_seal_and_not_the_next() {
    let disk = SimulatedDisk::new();
    let store = written(&disk, 1 << 20);
    let [(open, length)] = logs(&disk).try_into().expect("one chunk holds all of it");
    disk.flip(&open, length / 2, 1);
    assert!(matches!(seal(&store), Err(StoreError::Refused(_))));
    rewrite(&store);
    is_sealed_whole(store, &disk);
}

#[test]
fn a_rotten_chunk_under_a_seal_that_was_loaded_is_seen_at_the_next_load() {
    let disk = SimulatedDisk::new();
    let store = written(&disk, SHORT);
    seal(&store).unwrap();
    store.close().unwrap();
    drop(store);
    let (rotten, length) = logs(&disk)[0].clone();
    disk.flip(&rotten, length / 2, 1);
    let found = open(&disk, SHORT).load(&mut |_| {}).expect_err("refused");
    assert!(matches!(found, StoreError::Refused(_)), "{found}");
}

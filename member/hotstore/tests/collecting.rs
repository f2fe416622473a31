//! A partition that is written anew, and a crash or an emptying of old chunks before that has ended: nothing that counts is
//! given up for what does not count yet.
//!
//! Must not know: file formats, and when chunks are due.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use jet_hotstore::{Aftermath, Appended, Base, Cadence, Due, Loaded, Options, Record, SimulatedDisk, Store, Version};
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

const PARTITION: u16 = 4;
const VERSION: Version = Version::new(1, 3);

/// A chunk for each flush.
const SHORT: u64 = 1;
const LONG: u64 = 1 << 20;
/// Room for everything.
const ROOM: usize = 1 << 20;

fn open(disk: &SimulatedDisk, queue_bytes: usize, chunk_bytes: u64) -> Store {
    let options = Options { cadence: Cadence::OnDemand, chunk_bytes, queue_bytes, ..Options::default() };
    Store::open(Path::new("/store"), Arc::new(disk.clone()), options).unwrap().0
}

fn resumed(disk: &SimulatedDisk, queue_bytes: usize, chunk_bytes: u64) -> Store {
    let store = open(disk, queue_bytes, chunk_bytes);
    store.load(&mut |_| {}).unwrap();
    store.resume().unwrap();
    store
}

fn entry(n: u64) -> Record {
    Record::put(1, PARTITION, Version::new(1, n), n.to_le_bytes().to_vec(), vec![n as u8; 50])
}

/// Three entries in chunks that are to be emptied.
fn written(disk: &SimulatedDisk) -> (Store, Due) {
    let store = open(disk, ROOM, SHORT);
    store.join_cluster(Uuid::from_u128(7)).unwrap();
    store.open_generation(1).unwrap();
    for n in 1..=3 {
        assert!(store.append(entry(n)).ticket().is_some());
        store.flush().unwrap();
    }
    let due = store.all_closed().expect("closed chunks");
    assert_eq!(store.to_move(&due), [PARTITION], "whoever has the RAM begins to empty them");
    (store, due)
}

/// What is found after a power loss.
fn found(disk: &SimulatedDisk) -> Vec<u64> {
    disk.cut_power();
    let mut found = Vec::new();
    let store = open(&disk.reboot(Aftermath::Lost), ROOM, SHORT);
    store
        .load(&mut |loaded| {
            if let Loaded::Put { value, .. } = loaded {
                found.push(u64::from(value[0]));
            }
        })
        .unwrap();
    found.sort_unstable();
    found.dedup();
    found
}

#[test]
fn what_moves_while_a_rewrite_is_under_way_is_not_heard() {
    let disk = SimulatedDisk::new();
    let (store, due) = written(&disk);
    // The rewrite has given every entry a new age before the emptying looks at it: nothing seems old any more.
    assert!(store.append(Record::rewrite(PARTITION, Base::Continues)).ticket().is_some());
    for n in 1..=3 {
        assert!(store.append(entry(n).copied()).ticket().is_some());
    }
    assert!(store.append_moved(PARTITION, VERSION, &due).ticket().is_some());
    store.flush().unwrap();
    assert_eq!(found(&disk), [1, 2, 3], "the rewrite has not ended");
}

#[test]
fn what_moves_while_a_partition_is_broken_is_not_heard() {
    let disk = SimulatedDisk::new();
    let (store, _) = written(&disk);
    drop(store);
    // Two more fit, and then records are missing.
    let store = resumed(&disk, 250, SHORT);
    assert!((4..=6).map(|n| store.append(entry(n))).any(|taken| taken == Appended::Lagging));
    store.flush().unwrap();
    drop(store);
    // Whoever has the RAM after a restart empties old chunks although the partition has to be written whole; the chunk that
    // says that something is missing is still there.
    let store = resumed(&disk, ROOM, LONG);
    let due = store.all_closed().expect("closed chunks");
    for n in 1..=5 {
        assert!(store.append_again(entry(n)).ticket().is_some());
    }
    assert!(store.append_moved(PARTITION, VERSION, &due).ticket().is_some());
    store.flush().unwrap();
    assert_eq!(found(&disk), [1, 2, 3, 4, 5], "what was valid before the gap stays valid");
}

#[test]
fn a_rewrite_that_a_crash_has_interrupted_is_told_and_nothing_completes_half_of_it() {
    let disk = SimulatedDisk::new();
    let (store, _) = written(&disk);
    assert!(store.append(Record::rewrite(PARTITION, Base::Continues)).ticket().is_some());
    assert!(store.append(entry(1).copied()).ticket().is_some());
    store.flush().unwrap();
    disk.cut_power();
    drop(store);
    let disk = disk.reboot(Aftermath::Lost);
    let store = open(&disk, ROOM, SHORT);
    let report = store.load(&mut |_| {}).unwrap();
    store.resume().unwrap();
    // As a member does it: what is not told as interrupted is held in full.
    let [told] = report.partitions.as_slice() else { panic!("{report:?}") };
    let appended = match told.interrupted {
        true => store.rewrite_partition(PARTITION, VERSION, Base::Continues, (1..=3).map(entry)),
        false => store.append(Record::complete(PARTITION, VERSION)),
    };
    assert!(appended.ticket().is_some());
    store.flush().unwrap();
    assert_eq!(found(&disk), [1, 2, 3], "told: {told:?}");
}

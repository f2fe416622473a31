//! Several threads append at once, each to partitions of its own, and power is lost in the middle: of each partition a prefix
//! is there, and in it whatever was said to be durable.
//!
//! Must not know: lots, lanes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use jet_hotstore::{
    Aftermath, Appended, Cadence, Loaded, Options, Record, SimulatedDisk, Space, Store, Ticket, Version,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

const THREADS: u16 = 6;
const ROUNDS: u64 = 40;
/// From there on a partition writes to a space that it describes itself.
const DESCRIBED: u64 = 50;
/// Records of all that are durable when power is lost, at least.
const SOME: u64 = 400;
const PATIENCE: Duration = Duration::from_secs(20);

fn open(disk: &SimulatedDisk, every: Duration) -> Store {
    let options =
        Options { cadence: Cadence::Every(every), sync_bytes: 64 << 10, chunk_bytes: 1 << 20, ..Options::default() };
    Store::open(Path::new("/store"), Arc::new(disk.clone()), options).unwrap().0
}

fn space_of(partition: u16) -> u32 {
    100 + u32::from(partition)
}

/// Now and then one that is longer than a lot of its own must be, and many that are not.
fn record(partition: u16, n: u64) -> Record {
    let bytes = if n % 97 == 13 { 80 << 10 } else { 20 + (n as usize * 37) % 3000 };
    let space = if n < DESCRIBED { 1 } else { space_of(partition) };
    Record::put(space, partition, Version::new(1, n), n.to_le_bytes().to_vec(), vec![n as u8; bytes])
}

/// Appends until told to stop; gives the tickets by number.
fn fill(store: &Store, partition: u16, stop: &AtomicBool) -> Vec<Ticket> {
    let mut tickets = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let n = tickets.len() as u64 + 1;
        if n == DESCRIBED {
            let space = Space { id: space_of(partition), name: format!("of {partition}"), flags: 0 };
            assert!(matches!(store.append_space(&space), Ok(Appended::Queued(_))));
        }
        match store.append(record(partition, n)) {
            Appended::Queued(ticket) => tickets.push(ticket),
            // Its prefix has ended: nothing of it is asked for behind that.
            Appended::Lagging => break,
            other => panic!("{other:?}"),
        }
    }
    tickets
}

/// What each partition has, and the spaces that are known.
fn found(disk: &SimulatedDisk) -> (BTreeMap<u16, Vec<u64>>, Vec<u32>, Vec<u32>) {
    let store = open(disk, Duration::from_secs(1));
    let (mut content, mut used) = (BTreeMap::<u16, Vec<u64>>::new(), Vec::new());
    let report = store
        .load(&mut |loaded| {
            if let Loaded::Put { space, partition, key, value, .. } = loaded {
                let n = u64::from_le_bytes(key.try_into().unwrap());
                assert_eq!(record(partition, n).value, value);
                content.entry(partition).or_default().push(n);
                used.push(space);
            }
        })
        .unwrap();
    used.sort_unstable();
    used.dedup();
    (content, used, report.spaces.iter().map(|space| space.id).collect())
}

fn round(number: u64) -> u64 {
    let disk = SimulatedDisk::new();
    let store = open(&disk, Duration::from_micros(100 + 700 * (number % 5)));
    store.join_cluster(Uuid::from_u128(7)).unwrap();
    store.open_generation(1).unwrap();
    let (stop, running) = (AtomicBool::new(false), AtomicUsize::new(usize::from(THREADS)));
    let (durable, tickets) = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|partition| {
                let (store, stop, running) = (&store, &stop, &running);
                scope.spawn(move || {
                    let tickets = fill(store, partition, stop);
                    running.fetch_sub(1, Ordering::Relaxed);
                    tickets
                })
            })
            .collect();
        let begin = Instant::now();
        while store.durable_upto().0 < SOME + 13 * number && running.load(Ordering::Relaxed) > 0 {
            assert!(begin.elapsed() < PATIENCE, "{:?}", store.health());
            std::thread::yield_now();
        }
        let durable = store.durable_upto();
        disk.cut_power();
        stop.store(true, Ordering::Relaxed);
        (durable, threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>())
    });
    drop(store);
    let (content, used, known) = found(&disk.reboot(Aftermath::Lost));
    for (partition, tickets) in (0..THREADS).zip(&tickets) {
        let is_there = content.get(&partition).map_or(0, |numbers| {
            let whole: Vec<u64> = (1..=numbers.len() as u64).collect();
            assert_eq!(numbers, &whole, "partition {partition} of round {number} is no prefix");
            numbers.len()
        });
        let promised = tickets.iter().filter(|ticket| **ticket <= durable).count();
        assert!(is_there >= promised, "partition {partition} of round {number}: {is_there} of {promised} durable");
    }
    for space in used.into_iter().filter(|space| *space >= space_of(0)) {
        assert!(known.contains(&space), "round {number}: space {space} is used and not described");
    }
    durable.0
}

#[test]
fn what_many_threads_append_at_once_is_a_prefix_of_each_partition_with_all_that_was_durable() {
    let durable: u64 = (0..ROUNDS).map(round).sum();
    assert!(durable > ROUNDS * SOME / 2, "only {durable} records were ever durable");
    println!("{ROUNDS} rounds, {durable} durable records");
}

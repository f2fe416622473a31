//! Reading a store that is more than one piece: by several threads, with records longer than a piece, and with damage.
//!
//! The law: what several sinks get together is what one gets; whatever is damaged, the load ends with an error and in time.
//! Must not know: how the reading is shared out.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use bytes::Bytes;
use jet_hotstore::{
    Base, Cadence, Loaded, Options, PartitionContent, Record, Refused, SealRequest, SimulatedDisk, Sink, Store,
    StoreError, Version,
};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

const PARTITIONS: u16 = 7;
/// Longer than a piece, shorter than the room before one, and everything between; the lengths go round.
const LENGTHS: [usize; 6] = [100, 70_000, 900_000, 9_500_000, 3, 300_000];

type Content = BTreeMap<(u16, Vec<u8>), Vec<u8>>;

fn options() -> Options {
    let (chunk_bytes, queue_bytes) = (12 << 20, 1 << 30);
    Options { cadence: Cadence::OnDemand, chunk_bytes, queue_bytes, ..Options::default() }
}

fn open(disk: &SimulatedDisk) -> Result<Store, StoreError> {
    Ok(Store::open(Path::new("/store"), Arc::new(disk.clone()), options())?.0)
}

fn value(n: usize) -> Bytes {
    (0..LENGTHS[n % LENGTHS.len()]).map(|i| ((i * 31) ^ (n * 7)) as u8).collect::<Vec<_>>().into()
}

/// Sealed or not; gives what is in it.
fn written(disk: &SimulatedDisk, sealed: bool) -> Content {
    disk.set_alignment(4096);
    let store = open(disk).unwrap();
    store.join_cluster(Uuid::from_u128(1)).unwrap();
    store.open_generation(1).unwrap();
    let (mut content, mut versions) = (Content::new(), [0; PARTITIONS as usize]);
    for n in 0..60 {
        let partition = (n % usize::from(PARTITIONS)) as u16;
        let sequence = &mut versions[usize::from(partition)];
        *sequence += 1;
        // Every third overwrites an earlier one.
        let key = if n % 3 == 2 { vec![0] } else { (n as u64).to_be_bytes().to_vec() };
        let record = Record::put(1, partition, Version::new(1, *sequence), key.clone(), value(n));
        store.append(record).ticket().unwrap();
        content.insert((partition, key), value(n).to_vec());
        if n % 4 == 3 {
            store.flush().unwrap();
        }
    }
    store.flush().unwrap();
    if sealed {
        let of = |partition: u16| PartitionContent {
            partition,
            version: Version::new(1, versions[usize::from(partition)]),
            entries: 0,
            digest: String::new(),
        };
        let request = SealRequest {
            operation: "stop".to_owned(),
            attempt: 1,
            generation: 1,
            partitions: (0..PARTITIONS).map(of).collect(),
            machine: Vec::new(),
            machine_index: 0,
            roster_digest: String::new(),
        };
        store.seal(request).unwrap();
    }
    content
}

fn loaded(disk: &SimulatedDisk, sinks: usize) -> Result<Content, StoreError> {
    let store = open(disk)?;
    let mut found: Vec<Content> = vec![Content::new(); sinks];
    let mut take: Vec<_> = found
        .iter_mut()
        .map(|found| {
            |loaded: Loaded<'_>| {
                let Loaded::Put { partition, key, value, .. } = loaded else { panic!("only puts were written") };
                found.insert((partition, key.to_vec()), value.to_vec());
            }
        })
        .collect();
    let mut take: Vec<Sink<'_>> = take.iter_mut().map(|take| take as Sink<'_>).collect();
    store.load_into(&mut take)?;
    for (number, found) in found.iter().enumerate() {
        assert!(found.keys().all(|(partition, _)| usize::from(*partition) % sinks == number), "each its partitions");
    }
    Ok(found.into_iter().flatten().collect())
}

#[test]
fn several_sinks_get_together_what_one_gets() {
    for sealed in [true, false] {
        let disk = SimulatedDisk::new();
        let content = written(&disk, sealed);
        for sinks in [1, 2, 3, 8] {
            assert!(loaded(&disk.copy(), sinks).unwrap() == content, "sealed {sealed}, {sinks} sinks");
        }
    }
}

#[test]
fn damage_anywhere_ends_the_reading_with_an_error() {
    let disk = SimulatedDisk::new();
    written(&disk, true);
    let chunks: Vec<_> =
        disk.files().into_iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "jl")).collect();
    assert!(chunks.len() > 2, "{chunks:?}");
    let mut seen = BTreeMap::new();
    for (path, length) in chunks {
        for at in (0..12).map(|n| n * (length - 1) / 11) {
            let damaged = disk.copy();
            damaged.flip(&path, at, 0x40);
            let refused = match loaded(&damaged, 3) {
                Err(StoreError::Refused(refused)) => refused,
                other => panic!("{} at {at}: {:?}", path.display(), other.map(|content| content.len())),
            };
            assert_eq!(refused.file(), Some(path.as_path()), "{refused}");
            *seen.entry(matches!(refused, Refused::Digest { .. })).or_insert(0) += 1;
        }
    }
    println!("refused by record: {:?}, by digest alone: {:?}", seen.get(&false), seen.get(&true));
}

#[test]
fn a_read_that_fails_is_no_end_of_the_store() {
    let disk = SimulatedDisk::new();
    let content = written(&disk, true);
    let healthy = disk.copy();
    assert!(loaded(&healthy, 2).unwrap() == content);
    assert!(healthy.reads() > 30, "{} reads", healthy.reads());
    for at in 1..=healthy.reads() {
        let failing = disk.copy();
        failing.fail_read_at(at);
        match loaded(&failing, 2) {
            Err(StoreError::Io { .. }) => {}
            other => panic!("read {at} fails: {:?}", other.map(|content| content.len())),
        }
    }
}

#[test]
fn whoever_takes_records_and_panics_is_not_waited_for() {
    let disk = SimulatedDisk::new();
    written(&disk, true);
    let store = open(&disk).unwrap();
    let mut taken = 0;
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        store.load(&mut |_| {
            taken += 1;
            assert!(taken < 5, "a sink that gives up");
        })
    }));
    assert!(panicked.is_err());
}

#[test]
fn a_partition_that_was_forgotten_and_comes_back_half_is_no_part_of_the_seal() {
    let disk = SimulatedDisk::new();
    let options = Options { chunk_bytes: 2000, drop_bytes: 1000, ..options() };
    let open = || Store::open(Path::new("/store"), Arc::new(disk.clone()), options.clone()).unwrap().0;
    let store = open();
    store.join_cluster(Uuid::from_u128(1)).unwrap();
    store.open_generation(1).unwrap();
    let put = |partition, n: u64| Record::put(1, partition, Version::new(1, n), vec![1], vec![n as u8; 1500]);
    for record in [put(0, 1), put(1, 1), Record::forget(1, Version::new(1, 2))] {
        store.append(record).ticket().unwrap();
        store.flush().unwrap();
    }
    for n in 2..6 {
        let whole = [put(0, n)];
        store.rewrite_partition(0, Version::new(1, n), Base::Continues, whole).ticket().unwrap();
        store.flush().unwrap();
    }
    let first = Path::new("/store/data/gen-1/log-1.jl");
    assert!(disk.files().iter().all(|(path, _)| path != first), "the chunk that forgets is gone");
    for record in [Record::rewrite(1, Base::Broken), put(1, 7).copied()] {
        store.append(record).ticket().unwrap();
    }
    let content = PartitionContent { partition: 0, version: Version::new(1, 5), entries: 1, digest: String::new() };
    let request = SealRequest {
        operation: "stop".to_owned(),
        attempt: 1,
        generation: 1,
        partitions: vec![content],
        machine: Vec::new(),
        machine_index: 0,
        roster_digest: String::new(),
    };
    store.seal(request).unwrap();
    drop(store);
    let mut found = Vec::new();
    open()
        .load(&mut |loaded| {
            if let Loaded::Put { partition, version, .. } = loaded {
                found.push((partition, version))
            }
        })
        .unwrap();
    assert_eq!(found, vec![(0, Version::new(1, 5))]);
}

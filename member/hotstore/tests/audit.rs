//! What is told of a store from outside: all that it has, every damage by name, and not one byte changed.
//!
//! Must not know: file formats, beyond where bytes lie.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use jet_hotstore::audit::{Audit, Depth, Severity, Standing, audit};
use jet_hotstore::{
    Base, Cadence, Disk, EpochId, Options, OsDisk, PartitionContent, Record, SealRequest, SimulatedDisk, Space, Store,
    Version,
};
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

const CLUSTER: Uuid = Uuid::from_u128(7);

fn dir() -> &'static Path {
    Path::new("/store")
}

fn open(disk: &SimulatedDisk) -> Store {
    let options = Options { cadence: Cadence::OnDemand, ..Options::default() };
    Store::open(dir(), Arc::new(disk.clone()), options).unwrap().0
}

fn look(disk: &SimulatedDisk) -> Audit {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    audit(&disk, dir(), Depth::Everything).unwrap()
}

fn put(store: &Store, key: &str, partition: u16, n: u64, value: &str) {
    let record = Record::put(3, partition, Version::new(1, n), key.to_owned(), value.to_owned());
    assert!(store.append(record).ticket().is_some());
}

/// Two partitions of one map, a snapshot epoch, a consensus log.
fn written(disk: &SimulatedDisk) -> Store {
    let store = open(disk);
    store.join_cluster(CLUSTER).unwrap();
    store.open_generation(1).unwrap();
    assert!(store.append_space(&Space { id: 3, name: "orders".into(), flags: 0 }).unwrap().ticket().is_some());
    put(&store, "a", 4, 1, "12345");
    put(&store, "b", 4, 2, "12345");
    put(&store, "a", 4, 3, "1");
    assert!(store.append(Record::remove(3, 4, Version::new(1, 4), "b")).ticket().is_some());
    put(&store, "c", 5, 1, "12");
    let mut epoch = store.epoch_writer(EpochId { job: 1, execution: 2, epoch: 9 }).unwrap();
    epoch.put(1, 2, b"state").unwrap();
    epoch.finish().unwrap();
    store.flush().unwrap();
    store
}

fn sealed(disk: &SimulatedDisk) {
    let store = written(disk);
    let content = |(partition, n, entries): (u16, u64, u64)| PartitionContent {
        partition,
        version: Version::new(1, n),
        entries,
        digest: "d".into(),
    };
    let request = SealRequest {
        operation: "5-x".into(),
        attempt: 2,
        generation: 1,
        partitions: [(4, 4, 1), (5, 1, 1)].map(content).to_vec(),
        machine: vec![5; 30],
        machine_index: 31,
        roster_digest: "r".into(),
    };
    store.seal(request).unwrap();
    store.close().unwrap();
}

#[test]
fn a_sealed_store_is_told_whole() {
    let disk = SimulatedDisk::new();
    sealed(&disk);
    let before = disk.files();
    let calls = disk.calls();
    let told = look(&disk);
    assert!(told.is_whole() && told.findings.is_empty() && !told.in_use, "{told:#?}");
    let Standing::Sealed(seal) = &told.standing else { panic!("{:?}", told.standing) };
    assert_eq!((seal.operation.as_str(), seal.attempt, seal.generation, seal.machine_index), ("5-x", 2, 1, 31));
    let content = told.content.as_ref().unwrap();
    let spaces: Vec<_> = content.spaces.iter().map(|space| (space.name.as_str(), space.entries, space.bytes)).collect();
    assert_eq!(spaces, [("orders", 2, 5)]);
    let partitions: Vec<_> = content.partitions.iter().map(|p| (p.partition, p.sequence, p.entries, p.bytes)).collect();
    assert_eq!(partitions, [(4, 4, 1, 2), (5, 1, 1, 3)]);
    assert_eq!((told.epochs.len(), told.epochs[0].whole, told.boot), (1, Some(true), 1));
    assert_eq!((told.room.retained, told.room.quarantine), (0, 0), "nothing is kept beside what counts");
    assert_eq!(disk.files(), before);
    assert_eq!(disk.calls(), calls, "a call that changes something was made");
}

#[test]
fn every_flipped_byte_is_a_finding() {
    let disk = SimulatedDisk::new();
    sealed(&disk);
    let (mut broken, mut healed) = (0, 0);
    for (path, length) in disk.files() {
        if path.ends_with("owner") || path.ends_with("lock") {
            continue;
        }
        for at in 0..length {
            let bad = disk.copy();
            bad.flip(&path, at, 1 << (at % 8));
            let told = look(&bad);
            let worst = told.findings.first().unwrap_or_else(|| panic!("{} byte {at} was not seen", path.display()));
            match worst.severity {
                Severity::Healed => healed += 1,
                Severity::Broken => broken += 1,
                Severity::Torn => panic!("{} byte {at}: {}", path.display(), worst.text),
            }
            assert_eq!(told.is_whole(), worst.severity == Severity::Healed);
        }
    }
    assert!(broken > 500 && healed > 500, "broken {broken}, told by the other copy {healed}");
}

#[test]
fn a_store_in_use_a_torn_tail_and_an_empty_directory_are_told_as_such() {
    let disk = SimulatedDisk::new();
    let store = written(&disk);
    let told = look(&disk);
    assert!(told.in_use && told.is_whole(), "{told:#?}");
    assert!(matches!(told.standing, Standing::Unsealed { generation: 1, last_seal: None }));
    let rewritten = [Record::put(3, 4, Version::new(1, 4), "a", "1")];
    assert!(store.rewrite_partition(4, Version::new(1, 4), Base::Continues, rewritten).ticket().is_some());
    store.flush().unwrap();
    let content = look(&disk).content.unwrap();
    assert_eq!((content.spaces[0].entries, content.spaces[0].bytes), (2, 5), "what is dead by now is not counted");
    assert!(content.live_bytes < content.record_bytes);
    store.close().unwrap();
    drop(store);
    let (log, _) = disk.files().into_iter().rfind(|(path, _)| path.to_string_lossy().contains("log-")).unwrap();
    let bytes = disk.read(&log).unwrap().unwrap();
    disk.plant(&log, &[bytes.as_slice(), b"half a record"].concat());
    let told = look(&disk);
    assert_eq!(told.findings.iter().map(|f| f.severity).collect::<Vec<_>>(), [Severity::Torn]);
    assert!(told.is_whole() && told.findings[0].text.contains("13 bytes"), "{told:#?}");
    assert_eq!(look(&SimulatedDisk::new()).standing, Standing::Blank);
}

#[test]
fn a_snapshot_that_does_not_verify_is_lost_also_where_nothing_is_sealed() {
    let disk = SimulatedDisk::new();
    written(&disk).close().unwrap();
    let (epoch, length) =
        disk.files().into_iter().find(|(path, _)| path.extension().is_some_and(|e| e == "je")).unwrap();
    disk.flip(&epoch, length - 1, 1);
    let told = look(&disk);
    assert!(!told.is_whole() && told.findings[0].text.contains(".je"), "{told:#?}");
}

#[test]
fn on_the_real_file_system_who_holds_the_lock_is_seen() {
    let place = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let (store, _) = Store::open(place.path(), disk.clone(), Options::default()).unwrap();
    assert!(audit(&disk, place.path(), Depth::Heads).unwrap().in_use);
    drop(store);
    assert!(!audit(&disk, place.path(), Depth::Heads).unwrap().in_use);
}

//! Damage, mix-ups and wrong times: what must be refused is refused by name, and what may go on goes on.
//!
//! Must not know: file formats, beyond where bytes lie.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use jet_hotstore::{
    Appended, Base, Cadence, Contents, Disk, EncryptedDisk, EpochId, Keys, LoadReport, Loaded, Options, OsDisk,
    PartitionContent, Record, Refused, SealRequest, SimulatedDisk, Store, StoreError, Version, inspect, layout,
    live_bytes,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const CLUSTER: Uuid = Uuid::from_u128(7);
type Entries = BTreeMap<(u16, Vec<u8>), Vec<u8>>;

fn dir() -> &'static Path {
    Path::new("/store")
}

fn options() -> Options {
    Options { cadence: Cadence::OnDemand, ..Options::default() }
}

fn open(disk: &SimulatedDisk) -> Result<(Store, Contents), StoreError> {
    open_by(in_the_clear, disk)
}

/// How a store is reached.
type Door = fn(&SimulatedDisk) -> Arc<dyn Disk>;

fn in_the_clear(disk: &SimulatedDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

fn encrypted(disk: &SimulatedDisk) -> Arc<dyn Disk> {
    let (mounted, dir) = (SimulatedDisk::new(), Path::new("/keys"));
    mounted.plant(&dir.join("k1"), &[1; 32]);
    let keys = Arc::new(Keys::read(&mounted, dir, Some("k1")).unwrap());
    Arc::new(EncryptedDisk::new(Arc::new(disk.clone()), keys, layout::shape_of))
}

fn open_by(door: Door, disk: &SimulatedDisk) -> Result<(Store, Contents), StoreError> {
    Store::open(dir(), door(disk), options())
}

fn load(store: &Store) -> Result<(LoadReport, Entries), StoreError> {
    let mut entries = Entries::new();
    let report = store.load(&mut |record| match record {
        Loaded::Put { partition, key, value, .. } => {
            entries.insert((partition, key.to_vec()), value.to_vec());
        }
        Loaded::Remove { partition, key, .. } => {
            entries.remove(&(partition, key.to_vec()));
        }
        Loaded::Clear { partition, .. } => entries.retain(|(p, _), _| *p != partition),
    })?;
    Ok((report, entries))
}

fn put(store: &Store, partition: u16, n: u64) -> Appended {
    store.append(Record::put(1, partition, Version::new(1, n), format!("key {n}"), format!("value {n}")))
}

fn request(store: &Store, partitions: &[(u16, u64)]) -> SealRequest {
    let content = |(partition, n): &(u16, u64)| PartitionContent {
        partition: *partition,
        version: Version::new(1, *n),
        entries: *n,
        digest: "d".to_owned(),
    };
    SealRequest {
        operation: "op".to_owned(),
        attempt: 1,
        generation: store.generation(),
        partitions: partitions.iter().map(content).collect(),
        machine: vec![5; 30],
        machine_index: 3,
        roster_digest: "r".to_owned(),
    }
}

/// A founded store with three records and an epoch.
fn written(disk: &SimulatedDisk) -> Store {
    written_by(in_the_clear, disk)
}

fn written_by(door: Door, disk: &SimulatedDisk) -> Store {
    let (store, _) = open_by(door, disk).unwrap();
    store.join_cluster(CLUSTER).unwrap();
    store.open_generation(1).unwrap();
    for n in 1..=3 {
        assert!(put(&store, 4, n).ticket().is_some());
    }
    let mut epoch = store.epoch_writer(EpochId { job: 1, execution: 1, epoch: 9 }).unwrap();
    epoch.put(1, 2, b"state").unwrap();
    epoch.finish().unwrap();
    store.flush().unwrap();
    store
}

fn sealed(disk: &SimulatedDisk) {
    sealed_by(in_the_clear, disk);
}

fn sealed_by(door: Door, disk: &SimulatedDisk) {
    let store = written_by(door, disk);
    store.seal(request(&store, &[(4, 3)])).unwrap();
    store.close().unwrap();
}

fn refusal<T>(result: Result<T, StoreError>) -> Refused {
    match result {
        Err(StoreError::Refused(reason)) => reason,
        Err(other) => panic!("refused for another reason: {other}"),
        Ok(_) => panic!("accepted"),
    }
}

#[test]
fn every_flipped_byte_of_a_sealed_store_is_seen() {
    every_flip(in_the_clear, 1);
}

/// Each fifth byte: what is encrypted is longer, and all bytes of a block are alike.
#[test]
fn a_flipped_byte_of_an_encrypted_sealed_store_is_seen() {
    every_flip(encrypted, 5);
}

fn every_flip(door: Door, step: usize) {
    let disk = SimulatedDisk::new();
    sealed_by(door, &disk);
    let (_, whole) = load(&open_by(door, &disk.copy()).unwrap().0).unwrap();
    let (mut refused, mut healed) = (0, 0);
    for (path, length) in disk.files() {
        if path.ends_with("owner") || path.ends_with("lock") {
            continue;
        }
        for at in (0..length).step_by(step) {
            let bad = disk.copy();
            bad.flip(&path, at, 1 << (at % 8));
            let outcome = open_by(door, &bad).and_then(|(store, contents)| {
                let (report, entries) = load(&store)?;
                Ok((store.healed_copies(), contents, report, entries))
            });
            match outcome {
                Err(StoreError::Refused(_)) => refused += 1,
                Err(other) => panic!("{} byte {at}: {other}", path.display()),
                Ok((copies, contents, report, entries)) => {
                    assert!(!copies.is_empty(), "{} byte {at} was not seen", path.display());
                    assert!(
                        matches!(contents, Contents::Sealed(_)) && report.sealed && entries == whole,
                        "{} byte {at}",
                        path.display()
                    );
                    healed += 1;
                }
            }
        }
    }
    assert!(refused > 500 && healed > 500, "refused {refused}, told by the other copy {healed}");
}

#[test]
fn every_truncated_file_of_a_sealed_store_is_seen() {
    every_cut(in_the_clear, 1);
}

#[test]
fn a_truncated_file_of_an_encrypted_sealed_store_is_seen() {
    every_cut(encrypted, 3);
}

fn every_cut(door: Door, step: usize) {
    let disk = SimulatedDisk::new();
    sealed_by(door, &disk);
    for (path, length) in disk.files() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !(name.starts_with("log-") || name.starts_with("epoch-") || name.starts_with("opened-")) {
            continue;
        }
        let bytes = jet_hotstore::Disk::read(&disk, &path).unwrap().unwrap();
        for cut in (0..length).step_by(step) {
            let bad = disk.copy();
            bad.plant(&path, &bytes[..cut as usize]);
            refusal(open_by(door, &bad).and_then(|(store, _)| load(&store)));
        }
        let longer = disk.copy();
        longer.plant(&path, &[bytes, vec![0]].concat());
        refusal(open_by(door, &longer).and_then(|(store, _)| load(&store)));
    }
}

/// Replaces one file of `into` by the same file of `from`.
fn swap(into: &SimulatedDisk, from: &SimulatedDisk, part: &str) -> SimulatedDisk {
    let mixed = into.copy();
    for (path, _) in from.files().into_iter().filter(|(path, _)| path.to_string_lossy().contains(part)) {
        mixed.plant(&path, &jet_hotstore::Disk::read(from, &path).unwrap().unwrap());
    }
    mixed
}

#[test]
fn files_of_two_members_or_two_times_are_refused() {
    let (one, two) = (SimulatedDisk::new(), SimulatedDisk::new());
    sealed(&one);
    sealed(&two);
    for part in ["log-", "epoch-", "seal-", "opened-", "identity"] {
        let reason = refusal(open(&swap(&one, &two, part)).and_then(|(store, _)| load(&store)));
        assert!(matches!(reason, Refused::OtherMember { .. }), "{part}: {reason}");
    }
    let later = one.copy();
    let (store, _) = open(&later).unwrap();
    load(&store).unwrap();
    store.open_generation(2).unwrap();
    assert!(put(&store, 4, 4).ticket().is_some());
    store.seal(request(&store, &[(4, 4)])).unwrap();
    drop(store);
    let newer_seal_on_older_data = swap(&one, &later, "seal-2");
    assert!(matches!(refusal(open(&newer_seal_on_older_data)), Refused::OtherGeneration { .. }));
    let newer_chunk_on_older_data = swap(&one, &later, "gen-2");
    assert!(matches!(refusal(open(&newer_chunk_on_older_data)), Refused::OtherGeneration { .. }));
    let mut lost_chunk = later.copy();
    lost_chunk = without(&lost_chunk, "gen-2/log-");
    assert!(matches!(refusal(open(&lost_chunk)), Refused::Missing { .. }));
    assert!(matches!(refusal(open(&without(&one, "identity"))), Refused::NoIdentity { .. }));
}

fn without(disk: &SimulatedDisk, part: &str) -> SimulatedDisk {
    let less = SimulatedDisk::new();
    for (path, _) in disk.files().into_iter().filter(|(path, _)| !path.to_string_lossy().contains(part)) {
        less.plant(&path, &jet_hotstore::Disk::read(disk, &path).unwrap().unwrap());
    }
    less
}

#[test]
fn a_torn_tail_is_cut_and_counted_and_damage_before_it_is_refused() {
    let disk = SimulatedDisk::new();
    let store = written(&disk);
    let (chunk, durable) =
        disk.files().into_iter().find(|(path, _)| path.to_string_lossy().contains("log-1.jl")).unwrap();
    for n in 4..=6 {
        assert!(put(&store, 4, n).ticket().is_some());
    }
    store.close().unwrap();
    let bytes = jet_hotstore::Disk::read(&disk, &chunk).unwrap().unwrap();
    // The last mark speaks of all; without it the records behind the mark before are a tail that nobody was told of.
    let tail_end = bytes.len() - 48;
    let torn = disk.copy();
    torn.plant(&chunk, &bytes[..tail_end]);
    torn.flip(&chunk, durable + 20, 1);
    let (store, _) = open(&torn).unwrap();
    let (report, entries) = load(&store).unwrap();
    let cut = report.cut.expect("a tail was cut");
    assert_eq!((cut.records, cut.offset, cut.file.clone()), (3, durable, chunk.clone()));
    assert_eq!(entries.len(), 3);
    store.resume().unwrap();
    assert!(put(&store, 4, 7).ticket().is_some());
    store.close().unwrap();
    drop(store);
    let (report, entries) = load(&open(&torn).unwrap().0).unwrap();
    assert_eq!((report.cut, entries.len()), (None, 4));

    let rotten = disk.copy();
    rotten.flip(&chunk, durable + 20, 1);
    let reason = refusal(open(&rotten).and_then(|(store, _)| load(&store)));
    assert!(
        matches!(&reason, Refused::Damaged { file, offset, .. } if *file == chunk && *offset == durable),
        "{reason}"
    );
    assert_eq!(jet_hotstore::Disk::read(&rotten, &chunk).unwrap().unwrap().len(), bytes.len(), "left as it was");
}

#[test]
fn two_owners_and_another_volume_are_refused() {
    let disk = SimulatedDisk::new();
    let store = written(&disk);
    assert!(matches!(refusal(open(&disk)), Refused::InUse { .. }));
    assert!(store.owner_still_me().unwrap());
    disk.plant(&dir().join("owner"), b"somebody else...");
    assert!(!store.owner_still_me().unwrap());
    drop(store);
    let on = |volume: &str, adopt| {
        let options = Options { volume: Some(volume.to_owned()), adopt, ..options() };
        Store::open(dir(), Arc::new(disk.clone()), options).map(|_| ())
    };
    on("pv-1", false).unwrap();
    assert!(matches!(refusal(on("pv-2", false)), Refused::OtherVolume { .. }));
    on("pv-2", true).unwrap();
    on("pv-2", false).unwrap();
}

#[test]
fn at_the_bound_a_partition_lags_and_a_rewrite_brings_it_back() {
    let disk = SimulatedDisk::new();
    let (store, _) = Store::open(dir(), Arc::new(disk.clone()), Options { queue_bytes: 1000, ..options() }).unwrap();
    store.join_cluster(CLUSTER).unwrap();
    store.open_generation(1).unwrap();
    let mut taken = 0;
    while put(&store, 4, taken + 1).ticket().is_some() {
        taken += 1;
    }
    assert_eq!(store.health().lagging, vec![4]);
    assert_eq!(put(&store, 4, taken + 2), Appended::Lagging);
    store.flush().unwrap();
    assert!(
        matches!(store.seal(request(&store, &[(4, taken)])), Err(StoreError::Behind { partitions }) if partitions == vec![4])
    );
    assert_eq!(store.partitions_to_rewrite(), vec![4]);
    drop(store);
    let (store, _) = open(&disk).unwrap();
    let (report, entries) = load(&store).unwrap();
    assert_eq!(entries.len() as u64, taken, "the prefix before the hole");
    assert!(report.partitions[0].interrupted && report.partitions[0].complete);
    store.resume().unwrap();
    assert_eq!(store.partitions_to_rewrite(), vec![4], "after a restart too");
    let whole = (1..=taken + 2).map(|n| Record::put(1, 4, Version::new(1, n), format!("key {n}"), "new"));
    assert!(store.rewrite_partition(4, Version::new(1, taken + 2), Base::Continues, whole).ticket().is_some());
    store.flush().unwrap();
    store.seal(request(&store, &[(4, taken + 2)])).unwrap();
    drop(store);
    let (report, entries) = load(&open(&disk).unwrap().0).unwrap();
    assert!(report.sealed && !report.partitions[0].interrupted);
    assert_eq!(entries.len() as u64, taken + 2);
}

#[test]
fn a_partition_larger_than_the_queue_is_rewritten_in_pieces() {
    let disk = SimulatedDisk::new();
    let (store, _) = Store::open(dir(), Arc::new(disk.clone()), Options { queue_bytes: 2000, ..options() }).unwrap();
    store.join_cluster(CLUSTER).unwrap();
    store.open_generation(1).unwrap();
    let whole = || (1..=200u64).map(|n| Record::put(1, 4, Version::new(1, n), format!("key {n}"), vec![1; 50]));
    assert!(store.rewrite_partition(4, Version::new(1, 200), Base::Broken, whole()).ticket().is_some());
    assert_eq!(store.health().lagging, Vec::<u16>::new());
    let seal = store.seal(request(&store, &[(4, 200)])).unwrap();
    let (report, entries) = load(&store).expect("what this process sealed can be read back");
    assert!(report.sealed && entries.len() == 200);
    store.unseal().unwrap();
    assert!(put(&store, 4, 201).ticket().is_some());
    store.flush().unwrap();
    drop(store);
    let (store, contents) = open(&disk).unwrap();
    assert_eq!(contents, Contents::Unsealed { generation: 1, last_seal: Some(Box::new(seal)) });
    assert_eq!(load(&store).unwrap().1.len(), 201);
}

#[test]
fn a_full_disk_fails_the_log_and_a_new_file_carries_everything() {
    let disk = SimulatedDisk::new();
    let store = written(&disk);
    disk.set_capacity(Some(disk.files().iter().map(|f| f.1).sum::<u64>() + 10));
    assert!(put(&store, 4, 4).ticket().is_some());
    assert!(store.flush().is_err());
    assert!(put(&store, 4, 5).ticket().is_some(), "callers are not held up");
    assert!(store.health().failure.is_some() && store.retry_in_new_file().is_err());
    assert!(store.retry_in_new_file().is_err());
    let left: Vec<_> =
        disk.files().into_iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "tmp")).collect();
    assert!(left.is_empty(), "each try makes the full disk fuller: {left:?}");
    assert!(matches!(store.room(1 << 20), Err(StoreError::NoRoom { .. })));
    disk.set_capacity(None);
    store.retry_in_new_file().unwrap();
    store.flush().unwrap();
    disk.cut_power();
    let found = disk.reboot(jet_hotstore::Aftermath::Lost);
    let (_, entries) = load(&open(&found).unwrap().0).unwrap();
    assert_eq!(entries.len(), 5);
}

#[test]
fn aside_the_writer_thread_stands_still_after_a_failed_sync_and_goes_on_in_a_new_file() {
    let disk = SimulatedDisk::new();
    let (store, _) = Store::open(dir(), Arc::new(disk.clone()), Options::default()).unwrap();
    store.join_cluster(CLUSTER).unwrap();
    store.open_generation(1).unwrap();
    // The next two calls are the write and the sync of what is appended now.
    disk.fault_at(disk.calls() + 2, jet_hotstore::Fault::FailCall);
    let first = put(&store, 4, 1).ticket().unwrap();
    let wait = Duration::from_secs(20);
    assert!(matches!(store.wait_durable(first, wait), Err(StoreError::Failed { .. })));
    let failed = store.health().failure.expect("it is said").file;
    let more = (2..=50).map(|n| put(&store, 4, n).ticket().expect("callers are not held up")).last().unwrap();
    store.retry_in_new_file().unwrap();
    store.wait_durable(more, wait).expect("what waited is written without anybody asking");
    // The trace names a file by the name it was made under.
    let name = format!("sync {}", failed.display());
    let syncs = disk.trace().into_iter().filter(|call| call.starts_with(&name)).count();
    assert_eq!(syncs, 2, "one when it was begun, the failed one, never another: {:#?}", disk.trace());
    disk.cut_power();
    let found = disk.reboot(jet_hotstore::Aftermath::Lost);
    assert_eq!(load(&open(&found).unwrap().0).unwrap().1.len(), 50);
}

#[test]
fn sealed_content_is_read_only_and_epochs_are_kept() {
    let disk = SimulatedDisk::new();
    let store = written(&disk);
    let newest = EpochId { job: 1, execution: 1, epoch: 9 };
    assert!(store.drop_epoch(newest).is_err(), "the newest of its job stays");
    assert!(store.seal(request(&store, &[(4, 2)])).is_err(), "a seal of another version than the disk's");
    store.flush().unwrap();
    let seal = store.seal(request(&store, &[(4, 3)])).unwrap();
    assert!(matches!(put(&store, 4, 4), Appended::Closed(_)));
    assert!(store.epoch_writer(EpochId { job: 1, execution: 1, epoch: 10 }).is_err());
    assert_eq!(store.verify_seal().unwrap(), seal);
    drop(store);
    let before = disk.files();
    let (store, _) = open(&disk).unwrap();
    load(&store).unwrap();
    let parts: Vec<_> = store.read_epoch(newest).unwrap().map(Result::unwrap).collect();
    assert_eq!(parts[0].bytes, b"state");
    drop(store);
    let data = |files: Vec<(PathBuf, u64)>| {
        files.into_iter().filter(|f| f.0.to_string_lossy().contains("gen-")).collect::<Vec<_>>()
    };
    assert_eq!(data(before), data(disk.files()), "loading changed nothing");
    assert!(matches!(inspect(&disk, dir()).unwrap(), Contents::Sealed(found) if *found == seal));
}

#[test]
fn on_the_real_file_system_with_the_writer_thread() {
    let room = tempfile::tempdir().unwrap();
    let disk = Arc::new(OsDisk);
    let at = room.path().join("member");
    let (store, contents) = Store::open(&at, disk.clone(), Options::default()).unwrap();
    assert_eq!((contents, store.boot()), (Contents::Blank, 1));
    store.record_founded(CLUSTER).unwrap();
    store.open_generation(1).unwrap();
    let mut last = None;
    for n in 1..=20_000u64 {
        last = store
            .append(Record::put(1, (n % 271) as u16, Version::new(1, n), n.to_le_bytes().to_vec(), vec![7; 100]))
            .ticket();
    }
    store.wait_durable(last.expect("taken"), Duration::from_secs(20)).expect("the cadence makes it durable by itself");
    assert!(matches!(
        Store::open(&at, disk.clone(), Options::default()).map(|_| ()),
        Err(StoreError::Refused(Refused::InUse { .. }))
    ));
    let partitions: Vec<(u16, u64)> =
        (0..271u16).map(|p| (p, (1..=20_000u64).rev().find(|n| (n % 271) as u16 == p).unwrap())).collect();
    store.seal(request(&store, &partitions)).unwrap();
    drop(store);
    let (store, contents) = Store::open(&at, disk, Options::default()).unwrap();
    assert!(matches!(contents, Contents::Sealed(_)) && store.boot() == 2 && store.owner_still_me().unwrap());
    let (report, entries) = load(&store).unwrap();
    assert_eq!((report.records, entries.len(), report.partitions.len()), (20_000, 20_000, 271));
    store.open_generation(2).unwrap();
    assert!(store.usage().unwrap().live > 2_000_000);
}

/// As whoever has the RAM does it, while nothing changes.
fn collect(store: &Store, entries: &mut [(Record, u64)]) {
    let live = entries.iter().map(|(record, _)| live_bytes(record.key.len(), record.value.len())).sum();
    let Some(due) = store.due_for_collection(live) else { return };
    for (record, age) in entries.iter_mut().filter(|(_, age)| *age < due.to.number) {
        *age = store.age();
        assert!(store.append_again(record.clone()).ticket().is_some());
    }
    for partition in store.to_move(&due) {
        let version = entries.iter().find(|(record, _)| record.partition == partition).unwrap().0.version;
        assert!(store.append_moved(partition, version, &due).ticket().is_some());
    }
    store.flush().unwrap();
}

#[test]
fn growth_is_bounded_when_old_chunks_are_emptied_as_asked() {
    let disk = SimulatedDisk::new();
    let limits = Options { chunk_bytes: 1 << 20, drop_bytes: 1 << 20, ..options() };
    let (store, _) = Store::open(dir(), Arc::new(disk.clone()), limits).unwrap();
    store.join_cluster(CLUSTER).unwrap();
    store.open_generation(1).unwrap();
    let value = vec![1u8; 10_000];
    let mut largest = 0;
    for n in 1..=2_000u64 {
        // The same value each time: what is live is not told by it.
        let mut entries = [(Record::put(1, 4, Version::new(1, n), "the same key", value.clone()), store.age())];
        assert!(store.append(entries[0].0.clone()).ticket().is_some());
        if n % 20 == 0 {
            store.flush().unwrap();
            collect(&store, &mut entries);
            largest = largest.max(store.usage().unwrap().live);
        }
    }
    assert!(largest < 6 << 20, "20 MB were written of 10 kB live; the log grew to {largest}");
}

/// Row 62 of the faults: ten thousand stops and returns, if all is asked for.
#[test]
fn files_do_not_grow_with_the_number_of_stops() {
    let mut disk = SimulatedDisk::new();
    let contents: Vec<u16> = vec![4, 5, 6];
    let (mut most, mut longest) = (0, 0);
    let stops = if std::env::var_os("JET_FULL").is_some() { 10_000 } else { 500 };
    for generation in 1..=stops {
        if generation % 100 == 0 {
            // What was removed is gone from the disk's own memory too.
            disk = without(&disk, "no name of ours");
        }
        let (store, _) = open(&disk).unwrap();
        if generation == 1 {
            store.join_cluster(CLUSTER).unwrap();
        }
        let (_, entries) = load(&store).unwrap();
        assert_eq!(entries.len() as u64, if generation == 1 { 0 } else { 3 });
        store.open_generation(generation).unwrap();
        let entry =
            |partition| Record::put(1, partition, Version::new(1, generation), "key", vec![generation as u8; 100]);
        let mut entries: Vec<_> = contents.iter().map(|partition| (entry(*partition), store.age())).collect();
        for (record, _) in &entries {
            assert!(store.append(record.clone()).ticket().is_some());
        }
        store.flush().unwrap();
        collect(&store, &mut entries);
        let held: Vec<_> = contents.iter().map(|partition| (*partition, generation)).collect();
        store.seal(request(&store, &held)).unwrap();
        store.close().unwrap();
        most = most.max(disk.files().len());
        longest = longest.max(disk.files().iter().map(|(_, bytes)| bytes).sum());
    }
    assert!(most <= 24 && longest < 64 << 10, "{most} files, {longest} bytes of {stops} generations");
}

#[test]
fn half_a_copy_of_what_is_not_sealed_does_not_hold_a_seal() {
    let disk = SimulatedDisk::new();
    let store = written(&disk);
    // A copy that this member was being filled with, of a partition that went elsewhere then.
    assert!(store.append(Record::rewrite(9, Base::Broken)).ticket().is_some());
    let refused = store.seal(request(&store, &[(4, 3), (9, 1)]));
    assert!(matches!(&refused, Err(StoreError::Behind { partitions }) if partitions == &[9]), "{refused:?}");
    store.seal(request(&store, &[(4, 3)])).unwrap();
    store.close().unwrap();
    drop(store);
    let (report, entries) = load(&open(&disk).unwrap().0).unwrap();
    assert_eq!(entries.len(), 3);
    assert!(report.partitions.iter().any(|p| p.partition == 9 && !p.complete && p.interrupted), "{report:?}");
}

#[test]
fn a_seal_under_an_opened_generation_can_still_be_held_against_its_files() {
    let disk = SimulatedDisk::new();
    sealed(&disk);
    let (store, _) = open(&disk).unwrap();
    load(&store).unwrap();
    store.open_generation(2).unwrap();
    assert!(store.append(Record::complete(4, Version::new(1, 3))).ticket().is_some());
    store.flush().unwrap();
    store.verify_last_seal().unwrap();
    store.close().unwrap();
    drop(store);
    let sealed = disk.files().into_iter().find(|(path, _)| path.to_string_lossy().contains("gen-1/log-"));
    let (path, length) = sealed.unwrap();
    disk.flip(&path, length - 1, 1);
    let outcome = open(&disk).and_then(|(store, _)| store.verify_last_seal());
    assert!(refusal(outcome).to_string().contains("log-"));
}

//! Encryption at rest: what was given is nowhere on the disk, a missing key changes nothing, and keys change while it runs.
//!
//! Must not know: how files are encrypted, beyond that their first bytes say so.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use jet_hotstore::audit::{Depth, audit};
use jet_hotstore::disk::encrypted::Locked;
use jet_hotstore::{
    Cadence, Contents, Disk, EncryptedDisk, EpochId, KeyUse, Keys, Loaded, LogEntry, Options, PartitionContent, Record,
    Refused, SealRequest, SimulatedDisk, Space, Store, StoreError, Version, layout,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

const CLUSTER: Uuid = Uuid::from_u128(7);
/// Stands in everything that is given to the store.
const SECRET: &str = "the secret that nobody is to read";

fn dir() -> &'static Path {
    Path::new("/store")
}

/// Keys by name, each of one byte repeated.
fn door(disk: &SimulatedDisk, current: Option<&str>, given: &[(&str, u8)]) -> Arc<dyn Disk> {
    let (mounted, dir) = (SimulatedDisk::new(), Path::new("/keys"));
    mounted.make_dir(dir).unwrap();
    given.iter().for_each(|(name, byte)| mounted.plant(&dir.join(name), &[*byte; 32]));
    let keys = Keys::read(&mounted, dir, current).unwrap();
    Arc::new(EncryptedDisk::new(Arc::new(disk.clone()), Arc::new(keys), layout::shape_of))
}

fn open(door: &Arc<dyn Disk>) -> Result<(Store, Contents), StoreError> {
    let options = Options { cadence: Cadence::OnDemand, chunk_bytes: 6000, drop_bytes: 1, ..Options::default() };
    Store::open(dir(), door.clone(), options)
}

fn load(store: &Store) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut entries = BTreeMap::new();
    store
        .load(&mut |record| {
            if let Loaded::Put { key, value, .. } = record {
                entries.insert(key.to_vec(), value.to_vec());
            }
        })
        .unwrap();
    entries
}

fn put(store: &Store, n: u64) {
    let record = Record::put(1, 4, Version::new(1, n), format!("{SECRET} {n}"), format!("{SECRET}: {n}"));
    assert!(store.append(record).ticket().is_some());
}

fn expected(upto: u64) -> BTreeMap<Vec<u8>, Vec<u8>> {
    (1..=upto).map(|n| (format!("{SECRET} {n}").into_bytes(), format!("{SECRET}: {n}").into_bytes())).collect()
}

fn request(store: &Store, n: u64) -> SealRequest {
    let content = PartitionContent { partition: 4, version: Version::new(1, n), entries: n, digest: SECRET.to_owned() };
    SealRequest {
        operation: "op".to_owned(),
        attempt: 1,
        generation: store.generation(),
        partitions: vec![content],
        machine: SECRET.as_bytes().to_vec(),
        machine_index: 3,
        roster_digest: "r".to_owned(),
    }
}

/// A store with a bit of everything, open.
fn lived(door: &Arc<dyn Disk>) -> Store {
    let (store, _) = open(door).unwrap();
    store.join_cluster(CLUSTER).unwrap();
    store.open_generation(1).unwrap();
    assert!(store.append_space(&Space { id: 1, name: SECRET.to_owned(), flags: 0 }).unwrap().ticket().is_some());
    for n in 1..=100 {
        put(&store, n);
        if n % 10 == 0 {
            store.flush().unwrap();
        }
    }
    let mut epoch = store.epoch_writer(EpochId { job: 1, execution: 1, epoch: 9 }).unwrap();
    (0..50).for_each(|part| epoch.put(1, part, SECRET.as_bytes()).unwrap());
    epoch.finish().unwrap();
    let mut log = store.consensus_log().unwrap();
    log.save_vote(SECRET.as_bytes()).unwrap();
    for index in 1..=3 {
        log.append(&[LogEntry { index, term: 1, bytes: SECRET.as_bytes().to_vec() }]).unwrap();
    }
    log.save_snapshot(SECRET.as_bytes(), SECRET.as_bytes()).unwrap();
    store
}

fn raw(disk: &SimulatedDisk) -> Vec<(PathBuf, Vec<u8>)> {
    disk.files().into_iter().map(|(path, _)| (path.clone(), disk.read(&path).unwrap().unwrap())).collect()
}

fn tells(bytes: &[u8]) -> bool {
    bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes())
}

#[test]
fn what_was_given_is_nowhere_on_the_disk() {
    let (disk, clear) = (SimulatedDisk::new(), SimulatedDisk::new());
    let door = door(&disk, Some("k1"), &[("k1", 1)]);
    for (disk, door) in [(&disk, door.clone()), (&clear, Arc::new(clear.clone()) as Arc<dyn Disk>)] {
        let store = lived(&door);
        store.backup("b").unwrap();
        store.seal(request(&store, 100)).unwrap();
        store.close().unwrap();
        let telling = raw(disk).iter().filter(|(_, bytes)| tells(bytes)).count();
        assert_eq!(telling > 0, std::ptr::eq(disk, &clear), "{telling} files");
    }
    let (store, contents) = open(&door).unwrap();
    assert!(matches!(contents, Contents::Sealed(_)));
    assert_eq!(load(&store), expected(100));
    assert_eq!(store.read_epoch(EpochId { job: 1, execution: 1, epoch: 9 }).unwrap().count(), 50);
    let log = store.consensus_log().unwrap();
    assert_eq!(log.vote(), Some(SECRET.as_bytes()));
    assert_eq!(log.entries(1, 9).len(), 3);
    assert_eq!(log.snapshot().unwrap().bytes, SECRET.as_bytes());
}

/// Row 59 of the faults: key missing, wrong or changed.
#[test]
fn a_key_that_is_missing_wrong_or_changed_is_told_and_nothing_changes() {
    let disk = SimulatedDisk::new();
    let store = lived(&door(&disk, Some("k1"), &[("k1", 1)]));
    store.close().unwrap();
    drop(store);
    // One file of another key is enough, and an older state without it is not taken.
    let (store, _) = open(&door(&disk, Some("k2"), &[("k1", 1), ("k2", 2)])).unwrap();
    load(&store);
    store.resume().unwrap();
    let mut epoch = store.epoch_writer(EpochId { job: 1, execution: 1, epoch: 10 }).unwrap();
    epoch.put(1, 2, b"newer").unwrap();
    epoch.finish().unwrap();
    store.close().unwrap();
    drop(store);
    let before = raw(&disk);
    let no_key = |key: &str, known: &str| Locked::NoKey { key: key.to_owned(), known: known.to_owned() };
    let cases: [(&[(&str, u8)], Locked); 5] = [
        (&[], no_key("k1", "none")),
        (&[("k2", 2)], no_key("k1", "'k2'")),
        (&[("k1", 1)], no_key("k2", "'k1'")),
        (&[("k1", 3), ("k2", 2)], Locked::OtherKey { key: "k1".to_owned() }),
        (&[("k1", 1), ("k2", 1)], Locked::OtherKey { key: "k2".to_owned() }),
    ];
    for (given, why) in cases {
        match open(&door(&disk, None, given)) {
            Err(StoreError::Refused(Refused::Locked { why: told, .. })) => assert_eq!(told, why),
            other => panic!("{given:?}: {:?}", other.map(|(_, contents)| contents)),
        }
        assert!(raw(&disk) == before, "{given:?}: nothing is changed");
    }
    let Err(StoreError::Refused(refused)) = open(&(Arc::new(disk.clone()) as Arc<dyn Disk>)) else { panic!() };
    let told = refused.to_string();
    assert!(told.contains("encrypted with key 'k1'") && told.contains("mount the key"), "{told}");
    assert!(raw(&disk) == before);
    open(&door(&disk, None, &[("k1", 1), ("k2", 2)])).unwrap();
}

fn keys_in(disk: &SimulatedDisk, given: &[(&str, u8)]) -> Vec<Option<String>> {
    let told = audit(&door(disk, None, given), dir(), Depth::Everything).unwrap();
    assert!(told.is_whole(), "{:?}", told.findings);
    let mut keys: Vec<_> = told.keys.into_iter().filter(|KeyUse { files, .. }| *files > 0).map(|of| of.key).collect();
    keys.dedup();
    keys
}

/// In the clear, then one key, then another, then in the clear again: each time the old content moves by itself.
#[test]
fn keys_change_while_the_store_is_used_and_the_old_one_is_not_needed_any_more() {
    let disk = SimulatedDisk::new();
    lived(&(Arc::new(disk.clone()) as Arc<dyn Disk>)).close().unwrap();
    let all = [("k1", 1), ("k2", 2)];
    let mut n = 100;
    for (round, current) in [Some("k1"), Some("k2"), None].into_iter().enumerate() {
        let behind = door(&disk, current, &all);
        let (store, _) = open(&behind).unwrap();
        let entries = load(&store);
        assert_eq!(entries, expected(n), "round {round}");
        store.open_generation(store.generation() + 1).unwrap();
        let mut moves = 0;
        while let Some(due) = store.due_for_new_key().unwrap() {
            for (key, value) in &entries {
                let record = Record::put(1, 4, Version::new(1, n), key.clone(), value.clone());
                assert!(store.append_again(record).ticket().is_some());
            }
            assert!(store.append_moved(4, Version::new(1, n), &due).ticket().is_some());
            store.flush().unwrap();
            moves += 1;
        }
        assert!((1..20).contains(&moves), "round {round}: {moves} moves");
        let mut epoch = store.epoch_writer(EpochId { job: 1, execution: 1, epoch: 10 + round as u64 }).unwrap();
        epoch.put(1, 2, SECRET.as_bytes()).unwrap();
        epoch.finish().unwrap();
        store.drop_epoch(EpochId { job: 1, execution: 1, epoch: 9 + round as u64 }).unwrap();
        n += 1;
        put(&store, n);
        drop(store.consensus_log().unwrap());
        let mut log = store.consensus_log().unwrap();
        log.save_snapshot(SECRET.as_bytes(), SECRET.as_bytes()).unwrap();
        for attempt in ["first", "second"] {
            // What the first one retains goes with the second.
            let seal = SealRequest { operation: attempt.to_owned(), ..request(&store, n) };
            store.seal(seal).unwrap();
            store.open_generation(store.generation() + 1).unwrap();
        }
        store.close().unwrap();
        drop(store);
        let own: Vec<(&str, u8)> = all.into_iter().filter(|(name, _)| Some(*name) == current).collect();
        assert_eq!(keys_in(&disk, &own), [current.map(str::to_owned)], "round {round}: only with its own key");
    }
}

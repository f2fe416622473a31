//! Stores as each format wrote them, kept for ever: what is written today is read by every later version, or a format is left
//! behind on purpose and by name. And the bytes of the newest are where `FORMAT.md` says.
//!
//! `JET_GOLDEN=write` makes the fixtures of the present format, if there are none; a fixture is never written over.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use jet_hotstore::frame::FORMAT;
use jet_hotstore::{
    Base, Cadence, Contents, Disk, EncryptedDisk, EpochId, Keys, Loaded, LogEntry, Options, OsDisk, PartitionContent,
    Record, Refused, SealRequest, SimulatedDisk, Space, Store, StoreError, Version, layout,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

const CLUSTER: Uuid = Uuid::from_u128(0x4a45_5421);
const EPOCH: EpochId = EpochId { job: 0x0123_4567_89ab_cdef, execution: 2, epoch: 7 };
/// Every kind of store that there is.
const KINDS: [(&str, bool); 4] =
    [("sealed", false), ("crashed", false), ("sealed-encrypted", true), ("crashed-encrypted", true)];

fn dir() -> &'static Path {
    Path::new("/store")
}

fn room(format: u32, kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format!("format-{format}")).join(kind)
}

fn door(disk: &SimulatedDisk, encrypted: bool) -> Arc<dyn Disk> {
    let (mounted, keys) = (SimulatedDisk::new(), Path::new("/keys"));
    mounted.plant(&keys.join("fixture"), &[0x5a; 32]);
    let keys = Arc::new(Keys::read(&mounted, keys, Some("fixture")).unwrap());
    match encrypted {
        true => Arc::new(EncryptedDisk::new(Arc::new(disk.clone()), keys, layout::shape_of)),
        false => Arc::new(disk.clone()),
    }
}

fn open(disk: &SimulatedDisk, encrypted: bool) -> Result<(Store, Contents), StoreError> {
    let options = Options { cadence: Cadence::OnDemand, chunk_bytes: 5000, ..Options::default() };
    Store::open(dir(), door(disk, encrypted), options)
}

type Entries = BTreeMap<(u32, u16, Vec<u8>), Vec<u8>>;

/// What every fixture holds.
fn entries() -> Entries {
    let entry = |space: u32, partition: u16, key: &str, value: Vec<u8>| ((space, partition, key.into()), value);
    [
        entry(1, 0, "kept", b"first".to_vec()),
        entry(1, 0, "changed", b"second".to_vec()),
        entry(1, 8190, "long", vec![7; 6000]),
        entry(2, 5, "copied", b"by a rewrite".to_vec()),
        entry(2, 5, "", b"under an empty key".to_vec()),
        entry(2, 6, "empty", Vec::new()),
        entry(2, 9, "moved", b"out of an old chunk".to_vec()),
    ]
    .into()
}

fn versions() -> BTreeMap<u16, Version> {
    [
        (0, Version::new(1, 4)),
        (5, Version::new(2, 9)),
        (6, Version::new(1, 3)),
        (9, Version::new(1, 1)),
        (8190, Version::new(1, 1)),
    ]
    .into()
}

fn append(store: &Store, records: impl IntoIterator<Item = Record>) {
    for record in records {
        assert!(store.append(record).ticket().is_some());
    }
    store.flush().unwrap();
}

/// A bit of everything that a store can hold.
fn lived(store: &Store) {
    store.join_cluster(CLUSTER).unwrap();
    store.open_generation(1).unwrap();
    for (id, name) in [(1, "orders"), (2, "prices")] {
        assert!(store.append_space(&Space { id, name: name.into(), flags: u64::from(id) }).unwrap().ticket().is_some());
    }
    let v = Version::new;
    append(store, [Record::put(2, 9, v(1, 1), "moved", "out of an old chunk")]);
    append(store, [Record::put(1, 8190, v(1, 1), "long", vec![7; 6000])]);
    append(
        store,
        [
            Record::put(1, 0, v(1, 1), "kept", "first"),
            Record::put(1, 0, v(1, 2), "changed", "first"),
            Record::put(1, 0, v(1, 3), "changed", "second"),
            Record::remove(1, 0, v(1, 4), "never there"),
            Record::put(2, 6, v(1, 1), "cleared", "gone"),
            Record::clear(2, 6, v(1, 2)),
            Record::put(2, 6, v(1, 3), "empty", ""),
            Record::put(2, 7, v(1, 1), "given away", "gone"),
            Record::forget(7, v(1, 1)),
        ],
    );
    let copies =
        [Record::put(2, 5, v(2, 9), "copied", "by a rewrite"), Record::put(2, 5, v(2, 9), "", "under an empty key")];
    assert!(store.rewrite_partition(5, v(2, 9), Base::Broken, copies).ticket().is_some());
    store.flush().unwrap();
    let due = store.all_closed().unwrap();
    assert!(store.append_again(Record::put(2, 9, v(1, 1), "moved", "out of an old chunk")).ticket().is_some());
    assert!(store.append_moved(9, v(1, 1), &due).ticket().is_some());
    store.flush().unwrap();
    let mut epoch = store.epoch_writer(EPOCH).unwrap();
    epoch.put(3, 11, b"state of a vertex").unwrap();
    epoch.put(4, 0, b"").unwrap();
    epoch.finish().unwrap();
    let mut log = store.consensus_log().unwrap();
    log.save_vote(b"a vote").unwrap();
    log.append(&[
        LogEntry { index: 1, term: 1, bytes: b"an entry".to_vec() },
        LogEntry { index: 2, term: 1, bytes: b"another".to_vec() },
    ])
    .unwrap();
    log.save_snapshot(b"meta", b"a snapshot").unwrap();
    log.purge_upto(1, 1).unwrap();
}

fn seal(store: &Store) {
    let partitions = versions().into_iter().map(|(partition, version)| {
        let entries = entries().keys().filter(|(_, p, _)| *p == partition).count() as u64;
        PartitionContent { partition, version, entries, digest: format!("digest of {partition}") }
    });
    let request = SealRequest {
        operation: "9-golden".to_owned(),
        attempt: 2,
        generation: 1,
        partitions: partitions.collect(),
        machine: b"the cluster's memory".to_vec(),
        machine_index: 2,
        roster_digest: "roster".to_owned(),
    };
    store.seal(request).unwrap();
}

/// Everything comes back, is gone on from, and comes back once more.
fn holds_all(disk: &SimulatedDisk, kind: &str, encrypted: bool) {
    let (store, contents) = open(disk, encrypted).unwrap();
    let is_sealed = kind.starts_with("sealed");
    match &contents {
        Contents::Sealed(seal) if is_sealed => {
            let says = &seal.manifest;
            assert_eq!((says.operation.as_str(), says.attempt, says.generation), ("9-golden", 2, 1));
        }
        Contents::Unsealed { generation: 1, last_seal: None } if !is_sealed => {}
        other => panic!("{kind}: {other:?}"),
    }
    assert_eq!(load(&store), entries(), "{kind}");
    let parts: Vec<_> = store.read_epoch(EPOCH).unwrap().map(|part| part.unwrap()).collect();
    let parts: Vec<_> = parts.iter().map(|p| (p.vertex, p.partition, p.bytes.as_slice())).collect();
    assert_eq!(parts, [(3, 11, &b"state of a vertex"[..]), (4, 0, b"")]);
    let log = store.consensus_log().unwrap();
    assert_eq!(log.vote(), Some(&b"a vote"[..]));
    assert_eq!(log.entries(0, 9), [LogEntry { index: 2, term: 1, bytes: b"another".to_vec() }]);
    assert_eq!((log.purged(), log.snapshot().unwrap().bytes.as_slice()), (Some((1, 1)), &b"a snapshot"[..]));
    drop(log);
    store.open_generation(2).unwrap();
    append(&store, [Record::put(1, 0, Version::new(2, 1), "newer", "of a later version")]);
    store.close().unwrap();
    drop(store);
    let (store, _) = open(disk, encrypted).unwrap();
    let mut all = entries();
    all.insert((1, 0, b"newer".to_vec()), b"of a later version".to_vec());
    assert_eq!(load(&store), all, "{kind}: gone on from");
}

fn load(store: &Store) -> Entries {
    let mut found = Entries::new();
    store
        .load(&mut |record| match record {
            Loaded::Put { space, partition, key, value, .. } => {
                found.insert((space, partition, key.to_vec()), value.to_vec());
            }
            Loaded::Remove { space, partition, key, .. } => {
                found.remove(&(space, partition, key.to_vec()));
            }
            Loaded::Clear { space, partition, .. } => found.retain(|(s, p, _), _| (*s, *p) != (space, partition)),
        })
        .unwrap();
    found
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for name in OsDisk.list(dir).unwrap() {
        let path = dir.join(name);
        match OsDisk.length(&path).unwrap() {
            Some(_) => files.push(path),
            None => files.extend(files_below(&path)),
        }
    }
    files
}

fn fixture(format: u32, kind: &str) -> SimulatedDisk {
    let (disk, room) = (SimulatedDisk::new(), room(format, kind));
    for path in files_below(&room) {
        let bytes = OsDisk.read(&path).unwrap().unwrap();
        disk.plant(&dir().join(path.strip_prefix(&room).unwrap()), &bytes);
    }
    disk
}

fn write_missing() {
    for (kind, encrypted) in KINDS.into_iter().filter(|(kind, _)| !room(FORMAT, kind).exists()) {
        let disk = SimulatedDisk::new();
        disk.set_alignment(4096);
        let (store, _) = open(&disk, encrypted).unwrap();
        lived(&store);
        if kind.starts_with("sealed") {
            seal(&store);
            store.close().unwrap();
        } else {
            disk.cut_power();
        }
        drop(store);
        let disk = disk.reboot(jet_hotstore::Aftermath::Lost);
        for (path, _) in disk.files().into_iter().filter(|(path, _)| !path.ends_with("lock")) {
            let to = room(FORMAT, kind).join(path.strip_prefix(dir()).unwrap());
            OsDisk.make_dir(to.parent().unwrap()).unwrap();
            let mut file = OsDisk.create(&to).unwrap();
            file.write_at(0, &disk.read(&path).unwrap().unwrap()).unwrap();
        }
    }
}

#[test]
fn every_format_that_ever_was_is_read_and_gone_on_from() {
    if std::env::var_os("JET_GOLDEN").is_some_and(|golden| golden == "write") {
        write_missing();
    }
    for format in 1..=FORMAT {
        for (kind, encrypted) in KINDS {
            holds_all(&fixture(format, kind), kind, encrypted);
        }
    }
}

/// What a later version wrote is told as that, and nothing of it changes.
#[test]
fn a_newer_format_is_refused_by_name_and_left_as_it_is() {
    for (path, _) in fixture(FORMAT, "sealed").files() {
        let disk = fixture(FORMAT, "sealed");
        let mut bytes = disk.read(&path).unwrap().unwrap();
        let is_frame = bytes.len() >= 36 && bytes.starts_with(b"JET") && !path.ends_with("durable");
        if !is_frame || path.to_string_lossy().contains("raft") {
            continue;
        }
        bytes[8..12].copy_from_slice(&(FORMAT + 1).to_le_bytes());
        bytes[28..32].fill(0);
        let head = crc32c::crc32c(&bytes[..32]);
        bytes[32..36].copy_from_slice(&head.to_le_bytes());
        disk.plant(&path, &bytes);
        // Of two copies the other is whole: both are to be newer.
        if let Some(twin) = path.to_str().unwrap().strip_suffix(".a") {
            disk.plant(Path::new(&format!("{twin}.b")), &bytes);
        } else if path.extension().is_some_and(|end| end == "b") {
            continue;
        }
        let before: Vec<_> = disk.files().into_iter().map(|(path, _)| disk.read(&path).unwrap()).collect();
        let told = open(&disk, false).map(|(store, _)| load(&store));
        assert!(
            matches!(told, Err(StoreError::Refused(Refused::NewerFormat { found, .. })) if found == FORMAT + 1),
            "{}: {told:?}",
            path.display()
        );
        let after: Vec<_> = disk.files().into_iter().map(|(path, _)| disk.read(&path).unwrap()).collect();
        assert!(before == after, "{}", path.display());
    }
}

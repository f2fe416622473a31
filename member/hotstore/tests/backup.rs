//! Backups: what is in them, what refuses them, and that the store does not notice.
//!
//! Must not know: file formats, beyond where bytes lie.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "backup/gate.rs"]
mod gate;
#[path = "backup/waits.rs"]
mod waits;

use gate::Gate;
use jet_hotstore::audit::{Depth, audit};
use jet_hotstore::backup::{Is, MadeBy};
use jet_hotstore::{
    Aftermath, BackupError, BackupReport, Base, Cadence, Company, Contents, Disk, EpochId, Fault, Loaded, LogEntry,
    Options, OsDisk, PartitionContent, Record, Refused, SealRequest, SimulatedDisk, Space, Store, StoreError, Version,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const CLUSTER: Uuid = Uuid::from_u128(7);
const SET: Uuid = Uuid::from_u128(9);
const WAIT: Duration = Duration::from_secs(20);
type Entries = BTreeMap<(u16, Vec<u8>), Vec<u8>>;

fn dir() -> &'static Path {
    Path::new("/store")
}

fn at(name: &str) -> PathBuf {
    dir().join("backups").join(name)
}

fn options() -> Options {
    Options { cadence: Cadence::OnDemand, chunk_bytes: 400, drop_bytes: 1, ..Options::default() }
}

fn open_at(disk: &SimulatedDisk, dir: &Path) -> Result<(Store, Contents), StoreError> {
    Store::open(dir, Arc::new(disk.clone()), options())
}

fn put(store: &Store, partition: u16, n: u64) {
    let record = Record::put(1, partition, Version::new(1, n), format!("key {}", n % 5), format!("value {n}"));
    assert!(store.append(record).ticket().is_some());
}

fn epoch(store: &Store, epoch: u64) {
    let mut writer = store.epoch_writer(EpochId { job: 1, execution: 1, epoch }).unwrap();
    writer.put(1, 2, b"state").unwrap();
    writer.finish().unwrap();
}

/// Some chunks, an epoch, a consensus log with a vote; the last records are not durable.
fn begun(store: &Store) {
    store.join_cluster(CLUSTER).unwrap();
    store.open_generation(1).unwrap();
    assert!(store.append_space(&Space { id: 1, name: "orders".into(), flags: 0 }).unwrap().ticket().is_some());
    for n in 1..=12 {
        put(store, (n % 3) as u16, n);
        store.flush().unwrap();
    }
    epoch(store, 9);
    let mut log = store.consensus_log().unwrap();
    log.save_vote(b"vote 3").unwrap();
    log.append(&[LogEntry { index: 1, term: 3, bytes: b"one".to_vec() }]).unwrap();
    log.save_snapshot(b"meta", b"memory").unwrap();
    put(store, 1, 13);
}

fn written(disk: &SimulatedDisk) -> Store {
    let (store, _) = open_at(disk, dir()).unwrap();
    begun(&store);
    store
}

/// What the first `n` records leave, and every version with them.
fn content(n: u64) -> Entries {
    let key = |n: u64| (if n == 13 { 1 } else { (n % 3) as u16 }, format!("key {}", n % 5).into_bytes());
    (1..=n).map(|n| (key(n), format!("value {n}").into_bytes())).collect()
}

fn load(store: &Store) -> Result<Entries, StoreError> {
    let mut entries = Entries::new();
    store.load(&mut |record| match record {
        Loaded::Put { partition, key, value, .. } => drop(entries.insert((partition, key.to_vec()), value.to_vec())),
        Loaded::Remove { partition, key, .. } => drop(entries.remove(&(partition, key.to_vec()))),
        Loaded::Clear { partition, .. } => entries.retain(|(p, _), _| *p != partition),
    })?;
    Ok(entries)
}

/// What lies in a backup, opened on a disk of its own.
fn restored(disk: &SimulatedDisk, name: &str) -> Result<(Store, Entries), StoreError> {
    let (store, contents) = open_at(&disk.copy(), &at(name))?;
    assert!(matches!(contents, Contents::Unsealed { generation: 1, .. }), "{contents:?}");
    let entries = load(&store)?;
    Ok((store, entries))
}

fn names(store: &Store) -> Vec<(String, Is)> {
    store.backups().unwrap().into_iter().map(|told| (told.name, told.is)).collect()
}

fn seal(store: &Store) {
    let partitions = [(0, 12), (1, 13), (2, 11)].map(|(partition, n)| PartitionContent {
        partition,
        version: Version::new(1, n),
        entries: 1,
        digest: "d".into(),
    });
    let request = SealRequest {
        operation: "op".into(),
        attempt: 1,
        generation: store.generation(),
        partitions: partitions.to_vec(),
        machine: vec![5; 30],
        machine_index: 3,
        roster_digest: "r".into(),
    };
    store.seal(request).unwrap();
}

#[test]
fn a_backup_holds_what_was_appended_when_it_was_asked_for_and_nothing_later() {
    let disk = SimulatedDisk::new();
    let store = written(&disk);
    let report = store.backup("nightly").unwrap();
    assert_eq!((report.manifest.ticket, report.manifest.boot, report.manifest.generation), (14, store.boot(), 1));
    for n in 14..=30 {
        put(&store, 0, n);
        store.flush().unwrap();
    }
    epoch(&store, 10);
    store.drop_epoch(EpochId { job: 1, execution: 1, epoch: 9 }).unwrap();
    let (copy, entries) = restored(&disk, "nightly").unwrap();
    assert_eq!(entries, content(13));
    assert_eq!(copy.identity(), store.identity());
    assert!(copy.boot() > store.boot(), "a start of its own");
    let epochs: Vec<u64> = copy.epochs().iter().map(|info| info.id.epoch).collect();
    assert_eq!(epochs, [9]);
    assert_eq!(copy.read_epoch(EpochId { job: 1, execution: 1, epoch: 9 }).unwrap().map(Result::unwrap).count(), 1);
    let log = copy.consensus_log().unwrap();
    assert_eq!((log.vote(), log.last()), (Some(b"vote 3".as_slice()), Some((1, 3))));
    assert_eq!(log.snapshot().unwrap().bytes, b"memory");
    copy.resume().unwrap();
    put(&copy, 2, 99);
    copy.flush().unwrap();
}

#[test]
fn a_sealed_store_is_backed_up_sealed() {
    let disk = SimulatedDisk::new();
    let store = written(&disk);
    seal(&store);
    let report = store.backup("stop").unwrap();
    assert!(report.manifest.sealed);
    assert!(report.manifest.files.iter().filter(|file| file.chunk.is_some()).all(|file| file.digest.is_some()));
    store.open_generation(2).unwrap();
    put(&store, 0, 50);
    store.flush().unwrap();
    store.backup("later").unwrap();
    let (copy, contents) = open_at(&disk.copy(), &at("stop")).unwrap();
    assert!(matches!(contents, Contents::Sealed(seal) if seal.manifest.generation == 1));
    assert_eq!(load(&copy).unwrap(), content(13));
    copy.verify_seal().unwrap();
    let (copy, contents) = open_at(&disk.copy(), &at("later")).unwrap();
    assert!(matches!(&contents, Contents::Unsealed { generation: 2, last_seal: Some(_) }), "{contents:?}");
    copy.verify_last_seal().unwrap();
    assert_eq!(
        load(&copy).unwrap().len(),
        content(13).len() + 1 - usize::from(content(13).contains_key(&(0, b"key 0".to_vec())))
    );
}

#[test]
fn a_store_opened_sealed_is_backed_up_before_it_is_written_to() {
    let disk = SimulatedDisk::new();
    let store = written(&disk);
    seal(&store);
    store.close().unwrap();
    drop(store);
    let (store, _) = open_at(&disk, dir()).unwrap();
    store.backup("return").unwrap();
    let (copy, contents) = open_at(&disk.copy(), &at("return")).unwrap();
    assert!(matches!(contents, Contents::Sealed(_)));
    assert_eq!(load(&copy).unwrap(), content(13));
    drop(store);
}

#[test]
fn a_store_without_content_or_closed_is_not_backed_up() {
    let disk = SimulatedDisk::new();
    let (store, _) = open_at(&disk, dir()).unwrap();
    assert!(matches!(store.backup("x"), Err(BackupError::NotOpen { .. })));
    begun(&store);
    store.close().unwrap();
    assert!(matches!(store.backup("x"), Err(BackupError::NotOpen { .. })));
    drop(store);
    let (store, _) = open_at(&disk, dir()).unwrap();
    assert!(matches!(store.backup("x"), Err(BackupError::NotOpen { .. })), "found after a crash, not gone on from");
    assert_eq!(names(&store), []);
}

#[test]
fn a_name_is_a_directory_of_its_own_and_is_given_once() {
    let disk = SimulatedDisk::new();
    let store = written(&disk);
    for name in ["", "..", ".x", "a/b", "a.tmp", "ä", &"n".repeat(65)] {
        assert!(matches!(store.backup(name), Err(BackupError::Name { .. })), "{name:?}");
        assert!(matches!(store.remove_backup(name), Err(BackupError::Name { .. })), "{name:?}");
    }
    store.backup("2026-11-30_a.1").unwrap();
    assert!(matches!(store.backup("2026-11-30_a.1"), Err(BackupError::Exists { .. })));
    assert!(matches!(store.remove_backup("b"), Err(BackupError::NotThere { .. })));
    assert_eq!(names(&store), [("2026-11-30_a.1".to_owned(), Is::Untouched)]);
    assert_eq!(restored(&disk, "2026-11-30_a.1").unwrap().1, content(13));
}

#[test]
fn appending_and_collecting_go_on_while_chunks_are_linked() {
    let disk = SimulatedDisk::new();
    let gate = Gate::on(disk.clone(), "data/gen-1/log-");
    let (store, _) = Store::open(dir(), Arc::new(gate.clone()), options()).unwrap();
    begun(&store);
    gate.close();
    let manifest = std::thread::scope(|scope| {
        let backup = scope.spawn(|| store.backup("nightly"));
        assert!(gate.wait_until_somebody_waits(WAIT), "the first chunk is being linked");
        assert!(matches!(store.backup("other"), Err(BackupError::UnderWay { .. })));
        for (partition, n) in [(0, 20), (1, 21), (2, 22)] {
            put(&store, partition, n);
            let live = [Record::put(1, partition, Version::new(1, n), "key", "rewritten")];
            let rewritten = store.rewrite_partition(partition, Version::new(1, n), Base::Continues, live);
            assert!(rewritten.ticket().is_some());
            store.flush().unwrap();
        }
        let upto = store.flush().unwrap();
        store.wait_durable(upto, WAIT).unwrap();
        gate.open();
        backup.join().unwrap().unwrap().manifest
    });
    let end = manifest.end.map(|(id, _)| id);
    assert_eq!(restored(&disk, "nightly").unwrap().1, content(13));
    let both: Vec<_> = manifest.files.iter().filter(|file| file.chunk.is_some() && file.chunk != end).collect();
    let kept = both.iter().filter(|file| disk.length(&dir().join(&file.name)).unwrap().is_some()).count();
    assert_eq!((both.len() > 5, kept), (true, 0), "what died meanwhile is collected when it is linked");
    drop(store);
    let (store, _) = open_at(&disk, dir()).unwrap();
    assert_eq!(load(&store).unwrap().len(), 3);
}

/// Those who are backed up with it, played.
struct Others<F: Fn() -> Result<(), String>> {
    meet: F,
    given_up: Option<&'static str>,
}

impl<F: Fn() -> Result<(), String>> Company for Others<F> {
    fn begins(&self) {}

    fn meet(&self, _pressed: &dyn Fn() -> Option<String>) -> Result<(), String> {
        (self.meet)()
    }

    fn given_up(&self) -> Option<String> {
        self.given_up.map(str::to_owned)
    }
}

#[test]
fn nothing_becomes_durable_between_its_moment_and_the_word_of_all() {
    let disk = SimulatedDisk::new();
    let store = written(&disk);
    epoch(&store, 10);
    let mut log = store.consensus_log().unwrap();
    let (tell, done) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let (store, tell) = (&store, &tell);
        let log = std::sync::Mutex::new(Some(&mut log));
        let meet = || {
            put(store, 0, 50);
            let log = log.lock().unwrap().take().unwrap();
            let entry = LogEntry { index: 2, term: 3, bytes: b"two".to_vec() };
            scope.spawn(move || tell.send(("a record", store.flush().map(drop))));
            scope.spawn(move || tell.send(("an entry", log.append(&[entry]))));
            scope.spawn(move || {
                epoch(store, 11);
                tell.send(("an epoch", Ok(())))
            });
            scope.spawn(move || {
                let dropped = store.drop_epoch(EpochId { job: 1, execution: 1, epoch: 9 });
                tell.send(("a dropped epoch", dropped))
            });
            let early = done.recv_timeout(Duration::from_millis(200));
            assert!(early.is_err(), "{early:?}");
            Ok(())
        };
        // What has begun to be dropped may be done before the epoch that is newer.
        let report = store.backup_together("nightly", SET, &Others { meet, given_up: None }).unwrap();
        assert_eq!((report.manifest.name.as_str(), report.manifest.set), ("nightly", Some(SET)));
        for _ in 0..4 {
            let (what, done) = done.recv_timeout(WAIT).expect("everything goes on");
            done.unwrap_or_else(|error| panic!("{what}: {error}"));
        }
    });
    let (copy, entries) = restored(&disk, "nightly").unwrap();
    assert_eq!(entries, content(13));
    assert_eq!(copy.epochs().iter().map(|info| info.id.epoch).collect::<Vec<_>>(), [9, 10]);
    assert_eq!(copy.consensus_log().unwrap().last(), Some((1, 3)));
    let made_by = MadeBy { name: "nightly".into(), set: Some(SET), generation: 1 };
    assert_eq!((store.made_by(), copy.made_by()), (None, Some(&made_by)));
    assert_eq!(store.epochs().iter().map(|info| info.id.epoch).collect::<Vec<_>>(), [10, 11]);
}

#[test]
fn a_company_that_does_not_meet_or_gives_up_leaves_nothing() {
    let disk = SimulatedDisk::new();
    let store = written(&disk);
    let late = Others { meet: || Err("member 2 came too late".to_owned()), given_up: None };
    let ended = Others { meet: || Ok(()), given_up: Some("it was interrupted") };
    for (company, says) in [(&late as &dyn Company, "member 2 came too late"), (&ended, "it was interrupted")] {
        let error = store.backup_together("nightly", SET, company).unwrap_err();
        assert!(matches!(&error, BackupError::Company { why } if why == says), "{error}");
        assert_eq!(names(&store), []);
        assert!(store.may_back_up("nightly").is_ok());
    }
    put(&store, 0, 50);
    store.flush().unwrap();
    store.backup("nightly").unwrap();
    assert!(matches!(store.may_back_up("nightly"), Err(BackupError::Exists { .. })));
}

#[test]
fn members_that_keep_their_backups_in_one_directory_have_a_room_each() {
    let disk = SimulatedDisk::new();
    let kept = || Options { backups_in: Some(PathBuf::from("/kept")), ..options() };
    let (one, _) = Store::open(dir(), Arc::new(disk.clone()), kept()).unwrap();
    let (two, _) = Store::open(Path::new("/other"), Arc::new(disk.clone()), kept()).unwrap();
    for store in [&one, &two] {
        store.reaches_backups().unwrap();
        begun(store);
    }
    let both = [&one, &two].map(|store| store.backup("nightly").unwrap().dir);
    for (store, made) in [&one, &two].into_iter().zip(&both) {
        assert_eq!(*made, Path::new("/kept").join(store.identity().member.to_string()).join("backups/nightly"));
        assert_eq!(*made, store.backup_dir("nightly"));
        assert_eq!(names(store), [("nightly".to_owned(), Is::Untouched)]);
    }
    let (copy, _) = open_at(&disk.copy(), &both[1]).unwrap();
    assert_eq!((load(&copy).unwrap(), copy.identity()), (content(13), two.identity()));

    disk.put_elsewhere(Path::new("/kept"));
    let error = one.reaches_backups().unwrap_err();
    assert!(matches!(error, BackupError::OtherFileSystem { .. }), "{error}");
}

#[test]
fn removing_frees_what_only_the_backup_held() {
    let disk = SimulatedDisk::new();
    disk.set_capacity(Some(1 << 20));
    let free = || disk.free_bytes(dir()).unwrap();
    let store = written(&disk);
    for n in 14..=19 {
        let long = Record::put(1, 1, Version::new(1, n), format!("long {n}"), vec![n as u8; 20_000]);
        assert!(store.append(long).ticket().is_some());
        store.flush().unwrap();
    }
    let before = free();
    let BackupReport { linked_bytes, copied_bytes, .. } = store.backup("nightly").unwrap();
    let made = before - free();
    assert!(linked_bytes > 100_000 && made < copied_bytes + 40_000, "{linked_bytes} are linked, {made} were used");
    for partition in 0..3 {
        let live = [Record::put(1, partition, Version::new(1, 19), "key", "rewritten")];
        assert!(store.rewrite_partition(partition, Version::new(1, 19), Base::Continues, live).ticket().is_some());
        store.flush().unwrap();
    }
    let held = free();
    store.remove_backup("nightly").unwrap();
    assert!(free() > held + 100_000, "{} were free, {held} while the backup held what the store had dropped", free());
    assert_eq!(names(&store), []);
    assert!(disk.files().iter().all(|(path, _)| !path.starts_with("/store/backups")));
    assert_eq!(disk.list(Path::new("/store/backups")).unwrap(), Vec::<String>::new());
}

#[test]
fn what_was_opened_as_a_store_is_no_backup_any_more_and_is_not_removed() {
    let disk = SimulatedDisk::new();
    let store = written(&disk);
    store.backup("nightly").unwrap();
    assert!(
        matches!(open_at(&disk, &at("nightly")), Err(StoreError::Refused(Refused::InUse { dir: held })) if held == dir()),
        "the original runs"
    );
    drop(store);
    let (copy, _) = open_at(&disk, &at("nightly")).unwrap();
    assert_eq!(load(&copy).unwrap(), content(13));
    assert!(matches!(open_at(&disk, dir()), Err(StoreError::Refused(Refused::InUse { .. }))), "the backup runs");
    copy.resume().unwrap();
    put(&copy, 0, 40);
    copy.close().unwrap();
    drop(copy);
    let (store, _) = open_at(&disk, dir()).unwrap();
    assert_eq!(names(&store), [("nightly".to_owned(), Is::OpenedSince)]);
    assert!(matches!(store.remove_backup("nightly"), Err(BackupError::NotABackup { .. })));
    drop(store);
    let (copy, _) = open_at(&disk, &at("nightly")).unwrap();
    assert!(load(&copy).unwrap().values().any(|value| value == b"value 40"), "it lives on as a store");
}

#[test]
fn two_backups_of_a_store_do_not_run_at_once() {
    let disk = SimulatedDisk::new();
    let store = written(&disk);
    store.backup("a").unwrap();
    store.backup("b").unwrap();
    drop(store);
    let _a = open_at(&disk, &at("a")).unwrap();
    assert!(matches!(open_at(&disk, &at("b")), Err(StoreError::Refused(Refused::InUse { .. }))));
}

#[test]
fn a_backup_on_a_volume_of_another_name_needs_an_answer() {
    let disk = SimulatedDisk::new();
    let named = |volume: &str, adopt| Options { volume: Some(volume.into()), adopt, ..options() };
    let (store, _) = Store::open(dir(), Arc::new(disk.clone()), named("first", false)).unwrap();
    begun(&store);
    store.backup("nightly").unwrap();
    let open = |options| Store::open(&at("nightly"), Arc::new(disk.copy()), options);
    assert!(matches!(open(named("second", false)), Err(StoreError::Refused(Refused::OtherVolume { .. }))));
    assert_eq!(open(named("second", true)).unwrap().0.identity().volume, "named:second");
    assert!(open(named("first", false)).is_ok());
}

#[test]
fn every_file_that_is_missing_short_changed_or_strange_refuses_the_backup_by_name() {
    let disk = SimulatedDisk::new();
    let store = written(&disk);
    store.backup("old").unwrap();
    for n in 14..=20 {
        put(&store, 0, n);
        store.flush().unwrap();
    }
    epoch(&store, 10);
    store.backup("new").unwrap();
    let of = |name: &str| -> Vec<PathBuf> {
        let files = disk.files().into_iter().map(|(path, _)| path);
        files
            .filter(|path| path.starts_with(at(name)))
            .map(|path| path.strip_prefix(at(name)).unwrap().into())
            .collect()
    };
    let outside =
        |file: &Path| ["identity", "boot", "backup"].iter().any(|name| file.to_string_lossy().starts_with(name));
    let refuses = |spoilt: &SimulatedDisk, what: &str| match open_at(spoilt, &at("new")) {
        Err(StoreError::Refused(_)) => {
            let booted = spoilt.trace().iter().any(|call| call.contains("boot"));
            assert!(!booted, "{what}: refused after a boot was counted");
        }
        other => panic!("{what}: {:?}", other.map(|(_, contents)| contents)),
    };
    for file in of("new").iter().filter(|file| !outside(file)) {
        let (path, what) = (at("new").join(file), file.display().to_string());
        let bytes = disk.read(&path).unwrap().unwrap();
        let spoilt = disk.copy();
        spoilt.remove(&path).unwrap();
        refuses(&spoilt, &format!("{what} is missing"));
        let spoilt = disk.copy();
        spoilt.plant(&path, &bytes[..bytes.len() / 2]);
        refuses(&spoilt, &format!("{what} is short"));
        let spoilt = disk.copy();
        spoilt.flip(&path, 9, 1);
        refuses(&spoilt, &format!("{what} is changed"));
    }
    for file in of("old").iter().filter(|file| !of("new").contains(file)) {
        let mixed = disk.copy();
        mixed.plant(&at("new").join(file), &disk.read(&at("old").join(file)).unwrap().unwrap());
        refuses(&mixed, &format!("{} is of the older backup", file.display()));
    }
    let mixed = disk.copy();
    for copy in ["backup.a", "backup.b"] {
        mixed.plant(&at("new").join(copy), &disk.read(&at("old").join(copy)).unwrap().unwrap());
    }
    refuses(&mixed, "the manifest is of the older backup");
    assert_eq!(open_at(&disk.copy(), &at("new")).unwrap().1, Contents::Unsealed { generation: 1, last_seal: None });
}

#[test]
fn no_byte_of_a_backup_can_rot_unseen() {
    let disk = SimulatedDisk::new();
    let store = written(&disk);
    while store.prove_one().unwrap() {}
    store.backup("nightly").unwrap();
    let files = disk.files().into_iter().filter(|(path, _)| path.starts_with(at("nightly").join("data")));
    let mut flips = 0;
    for (path, length) in files {
        for offset in (0..length).step_by(23) {
            let rotten = disk.copy();
            rotten.flip(&path, offset, 0x20);
            let door: Arc<dyn Disk> = Arc::new(rotten.clone());
            let told = audit(&door, &at("nightly"), Depth::Everything).unwrap();
            let kept = restored(&rotten, "nightly").map(|(_, entries)| entries);
            assert!(!told.is_whole() || kept.as_ref().is_ok_and(|kept| *kept == content(13)), "{path:?} {offset}");
            assert!(kept.is_err() || kept.is_ok_and(|kept| kept == content(13)), "{path:?} {offset}: another content");
            flips += 1;
        }
    }
    assert!(flips > 100, "{flips}");
}

#[test]
fn links_that_cannot_be_are_refused_with_what_to_do_and_cost_nothing() {
    let refused = |prepare: &dyn Fn(&SimulatedDisk), says: &str| {
        let disk = SimulatedDisk::new();
        let store = written(&disk);
        prepare(&disk);
        let error = store.backup("nightly").unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
        assert!(store.health().failure.is_none(), "{error}");
        assert_eq!(names(&store), [], "{error}");
        put(&store, 0, 40);
        store.flush().unwrap();
        drop(store);
        let (store, _) = open_at(&disk, dir()).unwrap();
        assert!(load(&store).unwrap().values().any(|value| value == b"value 40"));
    };
    refused(&|disk| disk.put_elsewhere(&dir().join("backups")), "plain directory on the store's volume");
    refused(&|disk| disk.set_most_names(1), "remove older backups");
}

#[test]
fn a_full_disk_ends_the_backup_and_not_the_store() {
    let (mut refused, mut room) = (0, 0);
    loop {
        let disk = SimulatedDisk::new();
        let store = written(&disk);
        store.flush().unwrap();
        let used: u64 = disk.files().iter().map(|(_, length)| length).sum();
        disk.set_capacity(Some(used + room));
        let made = store.backup("nightly");
        disk.set_capacity(None);
        assert!(store.health().failure.is_none());
        put(&store, 0, 40);
        store.flush().unwrap();
        match made {
            Ok(_) => {
                assert_eq!(restored(&disk, "nightly").unwrap().1, content(13));
                break;
            }
            Err(error) => assert!(matches!(error, BackupError::NoRoom { .. }), "{error}"),
        }
        assert_eq!(names(&store), []);
        store.backup("nightly").unwrap();
        (refused, room) = (refused + 1, room + 64);
    }
    assert!(refused > 10, "{refused}");
}

#[test]
fn a_leftover_is_no_store_no_backup_and_is_gone_with_the_next_start() {
    let calls = |disk: &SimulatedDisk| {
        let store = written(disk);
        (disk.calls(), store.backup("nightly").map(|_| disk.calls()))
    };
    let (begin, end) = calls(&SimulatedDisk::new());
    let mut left = 0;
    for cut in begin + 1..=end.unwrap() {
        let disk = SimulatedDisk::new();
        disk.fault_at(cut, Fault::PowerCut);
        assert!(calls(&disk).1.is_err(), "call {cut}");
        let found = disk.reboot(Aftermath::Kept);
        let tmp = at("nightly.tmp");
        if !found.list(&tmp).unwrap().is_empty() {
            left += 1;
            assert!(matches!(open_at(&found.copy(), &tmp), Err(StoreError::Refused(_))), "cut at {cut}");
        }
        let (store, _) = open_at(&found, dir()).unwrap();
        load(&store).unwrap();
        let is = names(&store);
        assert!(is.iter().all(|(name, is)| *is != Is::Untouched || name == "nightly"), "{is:?}");
        store.resume().unwrap();
        assert!(names(&store).iter().all(|(_, is)| *is == Is::Untouched), "cut at {cut}: {:?}", names(&store));
    }
    assert!(left > 30, "{left}");
}

#[test]
fn a_consensus_log_that_is_written_to_meanwhile_is_copied_as_it_once_was() {
    let disk = SimulatedDisk::new();
    let store = written(&disk);
    let mut log = store.consensus_log().unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for index in 2..=400 {
                log.append(&[LogEntry { index, term: 3, bytes: vec![7; 50] }]).unwrap();
                if index % 50 == 0 {
                    log.save_snapshot(b"meta", &index.to_le_bytes()).unwrap();
                    log.purge_upto(index - 10, 3).unwrap();
                }
            }
        });
        let mut last = 0;
        for n in 0..12 {
            store.backup(&format!("b{n}")).unwrap();
            let (copy, _) = restored(&disk, &format!("b{n}")).unwrap();
            let log = copy.consensus_log().unwrap();
            let (index, _) = log.last().unwrap();
            assert!(index >= last, "{index} after {last}");
            last = index;
        }
        writer.join().unwrap();
    });
}

#[test]
fn a_backup_of_a_member_that_runs_on_a_real_file_system_is_opened_where_it_is_copied_to() {
    let home = tempfile::tempdir().unwrap();
    let (dir, elsewhere) = (home.path().join("store"), home.path().join("restored"));
    let chunk_bytes = 64 << 10;
    let options = || Options { chunk_bytes, drop_bytes: chunk_bytes, ..Options::default() };
    let (store, _) = Store::open(&dir, Arc::new(OsDisk), options()).unwrap();
    begun(&store);
    let mut reports = Vec::new();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 14..=6000 {
                put(&store, 0, n);
            }
        });
        reports.extend((0..3).map(|n| store.backup(&format!("b{n}")).unwrap()));
        writer.join().unwrap();
    });
    let mut last = 0;
    for report in reports {
        copy_all(&report.dir, &elsewhere);
        let (copy, _) = Store::open(&elsewhere, Arc::new(OsDisk), options()).unwrap();
        let entries = load(&copy).unwrap();
        // The first record describes the space.
        let n = report.manifest.ticket - 1;
        assert!(n >= last.max(13));
        assert!(entries.values().any(|value| *value == format!("value {n}").into_bytes()), "up to {n}");
        assert!(!entries.values().any(|value| *value == format!("value {}", n + 1).into_bytes()), "up to {n}");
        last = n;
        drop(copy);
        std::fs::remove_dir_all(&elsewhere).unwrap();
    }
    for n in 0..3 {
        store.remove_backup(&format!("b{n}")).unwrap();
    }
    assert_eq!(std::fs::read_dir(dir.join("backups")).unwrap().count(), 0);
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        match path.is_dir() {
            true => copy_all(&path, &to.join(name)),
            false => drop(std::fs::copy(&path, to.join(name)).unwrap()),
        }
    }
}

#[test]
fn an_audit_lists_the_backups_beside_a_store_and_tells_of_one_that_it_is_one() {
    let disk = SimulatedDisk::new();
    let store = written(&disk);
    store.backup("nightly").unwrap();
    disk.plant(&at("half.tmp").join("opened-1"), b"");
    let door: Arc<dyn Disk> = Arc::new(disk.clone());
    let told = audit(&door, dir(), Depth::Heads).unwrap();
    let listed: Vec<_> = told.backups.iter().map(|told| (told.name.as_str(), told.is.clone())).collect();
    assert_eq!(listed, [("half.tmp", Is::Unfinished), ("nightly", Is::Untouched)]);
    assert!(told.backup.is_none() && told.is_whole(), "{:?}", told.findings);
    let told = audit(&door, &at("nightly"), Depth::Everything).unwrap();
    assert!(told.is_whole(), "{:?}", told.findings);
    let says = told.backup.unwrap().manifest.unwrap();
    assert_eq!((says.name.as_str(), says.member), ("nightly", store.identity().member));
}

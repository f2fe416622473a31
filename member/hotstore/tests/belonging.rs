//! Whose store it is: founding, boots, log lines, and setting things aside.
//!
//! Must not know: file formats.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use jet_hotstore::quarantine::set_everything_aside;
use jet_hotstore::{
    Aftermath, Cadence, Contents, Disk, Fault, Founding, LogEntry, Options, Refused, SimulatedDisk, Store, StoreError,
    Version,
};
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

fn dir() -> &'static Path {
    Path::new("/store")
}

fn open(disk: &SimulatedDisk) -> (Store, Contents) {
    let options = Options { cadence: Cadence::OnDemand, ..Options::default() };
    Store::open(dir(), Arc::new(disk.clone()), options).unwrap()
}

fn promise(n: u128) -> Founding {
    Founding { id: Uuid::from_u128(n), list_digest: format!("list {n}") }
}

#[test]
fn a_promise_may_be_replaced_until_something_was_founded() {
    let disk = SimulatedDisk::new();
    let (store, contents) = open(&disk);
    assert_eq!(contents, Contents::Blank);
    let member = store.identity().member;
    store.promise_founding(&promise(1)).unwrap();
    store.promise_founding(&promise(2)).unwrap();
    drop(store);
    let (store, contents) = open(&disk.reboot(Aftermath::Lost));
    assert_eq!((contents, store.identity().member, store.boot()), (Contents::Founding(promise(2)), member, 2));
    store.record_founded(promise(2).id).unwrap();
    store.record_founded(promise(2).id).unwrap();
    assert!(store.promise_founding(&promise(3)).is_err());
    assert!(store.record_founded(promise(3).id).is_err());
    assert!(store.join_cluster(promise(3).id).is_err());
    store.raise_incarnation(2).unwrap();
    assert!(store.raise_incarnation(1).is_err());
    assert!(store.disk().read(&dir().join("founded")).unwrap().is_some());
}

#[test]
fn crash_every_boot_has_a_number_of_its_own() {
    let calls = {
        let disk = SimulatedDisk::new();
        drop(open(&disk));
        disk.calls()
    };
    for at in 1..=2 * calls {
        let disk = SimulatedDisk::new();
        disk.fault_at(at, Fault::PowerCut);
        let mut told = 0;
        for _ in 0..2 {
            let options = Options { cadence: Cadence::OnDemand, ..Options::default() };
            if let Ok((store, _)) = Store::open(dir(), Arc::new(disk.clone()), options) {
                told = store.boot();
            }
        }
        disk.cut_power();
        for aftermath in Aftermath::ALL {
            let (store, _) = open(&disk.reboot(aftermath));
            assert!(store.boot() > told, "cut at {at}, {aftermath:?}: boot {} after {told}", store.boot());
        }
    }
}

#[test]
fn a_consensus_log_that_was_begun_may_not_be_missing_and_a_new_line_sets_the_old_one_aside() {
    let disk = SimulatedDisk::new();
    let (store, _) = open(&disk);
    let mut log = store.consensus_log().unwrap();
    log.append(&[LogEntry { index: 1, term: 1, bytes: b"one".to_vec() }]).unwrap();
    let old = log.line();
    drop(log);
    assert_eq!(store.consensus_log().unwrap().last(), Some((1, 1)));
    for (path, _) in disk.files().into_iter().filter(|(path, _)| path.starts_with("/store/raft")) {
        disk.remove(&path).unwrap();
    }
    assert!(matches!(store.consensus_log().map(|_| ()), Err(StoreError::Refused(Refused::Missing { .. }))));
    disk.plant(&dir().join("raft/entries-9.rl"), b"what is left of it");
    assert!(matches!(store.consensus_log().map(|_| ()), Err(StoreError::Refused(_))));
    let new = store.new_log_line().unwrap();
    assert_ne!(new, old);
    assert_eq!(store.consensus_log().unwrap().last(), None);
    let aside = format!("/store/quarantine/1-raft-{old}/entries-9.rl");
    assert_eq!(disk.read(Path::new(&aside)).unwrap().unwrap(), b"what is left of it");
}

#[test]
fn everything_set_aside_leaves_a_blank_directory_and_every_byte() {
    let disk = SimulatedDisk::new();
    let (store, _) = open(&disk);
    store.join_cluster(Uuid::from_u128(1)).unwrap();
    store.open_generation(1).unwrap();
    assert!(store.append(jet_hotstore::Record::put(1, 1, Version::new(1, 1), "k", "v")).ticket().is_some());
    store.close().unwrap();
    let door: Arc<dyn Disk> = Arc::new(disk.clone());
    assert!(matches!(set_everything_aside(&door, dir(), "force"), Err(StoreError::Refused(Refused::InUse { .. }))));
    drop(store);
    let before: u64 = disk.files().iter().map(|(_, length)| length).sum();
    let place = set_everything_aside(&door, dir(), "force").unwrap();
    assert_eq!(disk.files().iter().map(|(_, length)| length).sum::<u64>(), before, "nothing was deleted");
    assert!(disk.files().iter().all(|(path, _)| path.starts_with(&place)), "{:?}", disk.files());
    let (store, contents) = open(&disk);
    assert_eq!(contents, Contents::Blank);
    assert!(store.usage().unwrap().quarantine > 0);
}

fn with_a_value(disk: &SimulatedDisk) -> Store {
    let (store, _) = open(disk);
    store.join_cluster(Uuid::from_u128(1)).unwrap();
    store.open_generation(1).unwrap();
    assert!(store.append(jet_hotstore::Record::put(1, 1, Version::new(1, 1), "k", "v")).ticket().is_some());
    store
}

#[test]
fn who_has_written_is_not_given_up_and_who_was_given_up_does_not_write() {
    let disk = SimulatedDisk::new();
    let store = with_a_value(&disk);
    assert!(store.has_written() && store.give_up("consent").is_err());
    store.close().unwrap();
    assert!(store.give_up("consent").is_err(), "it wrote, and stopped");
    drop(store);
    let (store, contents) = open(&disk);
    assert!(matches!(contents, Contents::Unsealed { generation: 1, .. }), "{contents:?}");
    store.load(&mut |_| {}).unwrap();
    assert!(!store.has_written());
    store.give_up("consent").unwrap();
    assert!(store.resume().is_err() && store.open_generation(2).is_err());
    let before: u64 = disk.files().iter().map(|(_, length)| length).sum();
    let another = Store::open(dir(), Arc::new(disk.clone()), Options::default());
    assert!(matches!(another, Err(StoreError::Refused(Refused::InUse { .. }))), "its process lives");
    assert_eq!(disk.files().iter().map(|(_, length)| length).sum::<u64>(), before);
    let old = store.identity().member;
    drop(store);
    let (store, contents) = open(&disk);
    assert_eq!(contents, Contents::Blank);
    assert_ne!(store.identity().member, old);
    assert!(disk.files().iter().any(|(path, _)| path.starts_with("/store/quarantine/1-given-up/data")));
}

#[test]
fn crash_a_store_that_is_given_up_is_whole_or_blank_and_never_half() {
    let is_log = |path: &Path| path.extension().is_some_and(|extension| extension == "jl");
    let begin = || {
        let disk = SimulatedDisk::new();
        with_a_value(&disk).close().unwrap();
        // As much of it as is durable.
        let log = disk.reboot(Aftermath::Lost).files().into_iter().find(|(path, _)| is_log(path)).unwrap();
        (disk, log.1)
    };
    let give_up = |disk: &SimulatedDisk| {
        let options = Options { cadence: Cadence::OnDemand, ..Options::default() };
        let (store, _) = Store::open(dir(), Arc::new(disk.clone()), options.clone())?;
        let told = store.give_up("consent");
        drop(store);
        Store::open(dir(), Arc::new(disk.clone()), options).map(|_| ())?;
        told
    };
    let (disk, _) = begin();
    let first = disk.calls();
    give_up(&disk).unwrap();
    let calls = disk.calls();
    for at in first + 1..=calls {
        let (disk, length) = begin();
        disk.fault_at(at, Fault::PowerCut);
        let told = give_up(&disk);
        disk.cut_power();
        for aftermath in Aftermath::ALL {
            let disk = disk.reboot(aftermath);
            let (_, contents) = open(&disk);
            let aside = disk
                .files()
                .iter()
                .any(|(path, found)| path.starts_with("/store/quarantine") && is_log(path) && *found >= length);
            match contents {
                Contents::Blank => assert!(aside, "cut at {at}, {aftermath:?}, {length} bytes: {:?}", disk.files()),
                Contents::Unsealed { generation: 1, .. } => assert!(told.is_err(), "cut at {at}, {aftermath:?}"),
                other => panic!("cut at {at}, {aftermath:?}: {other:?}"),
            }
        }
    }
}

//! An epoch that is written again: the one before counts until the new one is whole.
//!
//! Must not know: file formats.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::sync::Arc;

use jet_hotstore::{
    Aftermath, Cadence, EpochId, Options, PartitionContent, Record, SealRequest, SimulatedDisk, Store, Version,
};
use uuid::Uuid;

const ID: EpochId = EpochId { job: 1, execution: 2, epoch: 9 };

fn open(disk: &SimulatedDisk) -> Store {
    let options = Options { cadence: Cadence::OnDemand, ..Options::default() };
    let (store, _) = Store::open(Path::new("/store"), Arc::new(disk.clone()), options).unwrap();
    store
}

fn write(store: &Store, again: bool, parts: &[&str]) {
    let mut writer = if again { store.epoch_writer_again(ID) } else { store.epoch_writer(ID) }.unwrap();
    for (partition, part) in parts.iter().enumerate() {
        writer.put(1, partition as u16, part.as_bytes()).unwrap();
    }
    writer.finish().unwrap();
}

fn read(store: &Store) -> Vec<String> {
    let parts = store.read_epoch(ID).unwrap().map(Result::unwrap);
    parts.map(|part| String::from_utf8(part.bytes).unwrap()).collect()
}

/// Founded, generation 1 open, a record and an epoch of one part.
fn written(disk: &SimulatedDisk) -> Store {
    let store = open(disk);
    store.join_cluster(Uuid::from_u128(7)).unwrap();
    store.open_generation(1).unwrap();
    assert!(store.append(Record::put(1, 0, Version::new(1, 1), "key", "value")).ticket().is_some());
    write(&store, false, &["a"]);
    store.flush().unwrap();
    store
}

fn seal(store: &Store) {
    store.seal(request(store)).unwrap();
}

fn request(store: &Store) -> SealRequest {
    let content = PartitionContent { partition: 0, version: Version::new(1, 1), entries: 1, digest: "d".to_owned() };
    SealRequest {
        operation: "op".to_owned(),
        attempt: 1,
        generation: store.generation(),
        partitions: vec![content],
        machine: vec![5; 30],
        machine_index: 3,
        roster_digest: "r".to_owned(),
    }
}

fn epoch_files(disk: &SimulatedDisk) -> usize {
    disk.files().iter().filter(|(path, _)| path.file_name().unwrap().to_string_lossy().starts_with("epoch-")).count()
}

#[test]
fn it_takes_the_place_of_the_one_before_whole_or_not_at_all() {
    let disk = SimulatedDisk::new();
    let store = written(&disk);
    assert!(store.epoch_writer(ID).is_err(), "by accident nothing is written twice");
    let mut given_up = store.epoch_writer_again(ID).unwrap();
    given_up.put(1, 0, b"half").unwrap();
    drop(given_up);
    assert_eq!(read(&store), ["a"]);
    write(&store, true, &["a", "b"]);
    assert_eq!((read(&store), epoch_files(&disk)), (vec!["a".to_owned(), "b".to_owned()], 1));
    disk.cut_power();
    let store = open(&disk.reboot(Aftermath::Lost));
    assert_eq!(read(&store), ["a", "b"]);
}

#[test]
fn in_a_later_generation_the_older_file_goes_behind_it() {
    let disk = SimulatedDisk::new();
    let store = written(&disk);
    seal(&store);
    assert!(store.epoch_writer_again(ID).is_err(), "a sealed store is not written to");
    drop(store);
    let store = open(&disk);
    store.load(&mut |_| {}).unwrap();
    store.open_generation(2).unwrap();
    let old = store.epochs()[0].clone();
    write(&store, true, &["a", "b"]);
    assert_eq!(read(&store), ["a", "b"]);
    // The power goes before the older one does: one of the two is found, and both are the epoch.
    disk.cut_power();
    let found = disk.reboot(Aftermath::Lost);
    let store = open(&found);
    assert_eq!(store.epochs().len(), 1);
    assert!(["a", "ab"].contains(&read(&store).concat().as_str()));
    store.load(&mut |_| {}).unwrap();
    store.resume().unwrap();
    write(&store, true, &["a", "b"]);
    store.drop_replaced(&old).unwrap();
    assert_eq!((read(&store).concat().as_str(), epoch_files(&found)), ("ab", 1));
    drop(store);
    assert_eq!(read(&open(&found)), ["a", "b"]);
}

#[test]
fn a_seal_that_is_void_holds_no_file_of_its_generation() {
    let disk = SimulatedDisk::new();
    let store = written(&disk);
    seal(&store);
    assert!(store.epoch_writer_again(ID).is_err() && store.drop_job(ID.job).is_err(), "sealed");
    store.unseal().unwrap();
    write(&store, true, &["a", "b"]);
    assert_eq!(read(&store), ["a", "b"]);
    disk.cut_power();
    let found = disk.reboot(Aftermath::Lost);
    let store = open(&found);
    assert_eq!(read(&store), ["a", "b"], "the void seal counts again");
    store.load(&mut |_| {}).unwrap();
    store.resume().unwrap();
    store.drop_job(ID.job).unwrap();
    assert_eq!(epoch_files(&found), 0);
}

#[test]
fn what_a_half_made_seal_names_stays_until_a_new_file_says_that_it_is_void() {
    let mut seen = 0;
    for room in (0..8192).step_by(64) {
        let disk = SimulatedDisk::new();
        let store = written(&disk);
        let calls = disk.trace().len();
        disk.set_capacity(Some(disk.files().iter().map(|file| file.1).sum::<u64>() + room));
        let sealed = store.seal(request(&store));
        let begun = disk.trace()[calls..].iter().any(|call| call.contains("/seal-"));
        if sealed.is_ok() || !begun || store.health().failure.is_none() {
            continue;
        }
        seen += 1;
        assert!(
            store.drop_job(ID.job).is_err(),
            "room {room}: the seal may stand after a power loss, without its file"
        );
        disk.set_capacity(None);
        store.retry_in_new_file().unwrap();
        store.drop_job(ID.job).unwrap();
    }
    assert!(seen > 0, "no seal failed half way");
}

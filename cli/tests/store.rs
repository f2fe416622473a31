//! `jet store` over real directories: what it prints, how it ends, and that it changes nothing.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use jet_hotstore::layout::shape_of;
use jet_hotstore::{
    Disk, EncryptedDisk, Keys, Options, OsDisk, PartitionContent, Record, SealRequest, Space, Store, Version,
};
use uuid::Uuid;

fn jet(words: &[&str], dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_jet")).args(words).arg(dir).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A store with two entries of map `orders` in partition 4, sealed.
fn sealed(dir: &Path) {
    sealed_on(Arc::new(OsDisk), dir);
}

fn sealed_on(disk: Arc<dyn Disk>, dir: &Path) {
    let (store, _) = Store::open(dir, disk, Options::default()).unwrap();
    store.join_cluster(Uuid::from_u128(7)).unwrap();
    store.open_generation(1).unwrap();
    assert!(store.append_space(&Space { id: 3, name: "orders".into(), flags: 0 }).unwrap().ticket().is_some());
    for (n, key) in [(1, "a"), (2, "b")] {
        assert!(store.append(Record::put(3, 4, Version::new(1, n), key, "value")).ticket().is_some());
    }
    let content = PartitionContent { partition: 4, version: Version::new(1, 2), entries: 2, digest: "d".into() };
    let request = SealRequest {
        operation: "5-x".into(),
        attempt: 1,
        generation: 1,
        partitions: vec![content],
        machine: vec![5; 30],
        machine_index: 31,
        roster_digest: "r".into(),
    };
    store.seal(request).unwrap();
    store.close().unwrap();
}

fn bytes_of(dir: &Path, all: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            bytes_of(&path, all);
        } else {
            all.insert(path.display().to_string(), std::fs::read(&path).unwrap());
        }
    }
}

#[test]
fn a_sealed_store_is_told_verified_and_counted_and_left_as_it_was() {
    let place = tempfile::tempdir().unwrap();
    sealed(place.path());
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    bytes_of(place.path(), &mut before);
    let inspected = jet(&["store", "inspect"], place.path());
    let said = text(&inspected.stdout);
    for words in [
        "sealed in generation 1, not written to since",
        "operation 5-x attempt 1: 2 entries in 1 partition",
        "In use:      no",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let verified = jet(&["store", "verify"], place.path());
    assert!(text(&verified.stdout).ends_with("\nwhole: every byte that counts was read and proved\n"), "{verified:?}");
    let counted = text(&jet(&["store", "stats"], place.path()).stdout);
    assert!(counted.contains("3    orders   2         12 B"), "{counted}");
    let json = jet(&["store", "verify", "--json"], place.path());
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["standing"]["is"], "sealed");
    assert_eq!(json["content"]["spaces"][0]["entries"], 2);
    assert!([inspected, verified].iter().all(|run| run.status.success()));
    bytes_of(place.path(), &mut after);
    assert_eq!(before, after);
}

#[test]
fn one_flipped_byte_is_named_and_ends_with_3() {
    let place = tempfile::tempdir().unwrap();
    sealed(place.path());
    let log = place.path().join("data/gen-1/log-1.jl");
    let mut bytes = std::fs::read(&log).unwrap();
    let last = bytes.len() - 60;
    bytes[last] ^= 1;
    std::fs::write(&log, bytes).unwrap();
    let verified = jet(&["store", "verify"], place.path());
    let said = text(&verified.stdout);
    assert_eq!(verified.status.code(), Some(3));
    assert!(
        said.contains("NOT WHOLE: ") && said.contains("log-1.jl") && said.contains("restore this volume"),
        "{said}"
    );
    let counted = jet(&["store", "stats"], place.path());
    assert!(text(&counted.stdout).starts_with("The log could not be read to its end"), "{counted:?}");
}

#[test]
fn an_encrypted_store_is_told_with_its_key_and_without_it_why_not() {
    let (place, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(keys.path().join("k1"), "5e".repeat(32)).unwrap();
    let given = Keys::read(&OsDisk, keys.path(), Some("k1")).unwrap();
    sealed_on(Arc::new(EncryptedDisk::new(Arc::new(OsDisk), Arc::new(given), shape_of)), place.path());
    let mounted = keys.path().to_str().unwrap();
    let inspected = text(&jet(&["store", "inspect", "--keys", mounted], place.path()).stdout);
    assert!(inspected.contains("Encrypted:   with 'k1': "), "{inspected}");
    let verified = jet(&["store", "verify", "--keys", mounted], place.path());
    assert!(text(&verified.stdout).ends_with("\nwhole: every byte that counts was read and proved\n"), "{verified:?}");
    let without = jet(&["store", "verify"], place.path());
    let said = text(&without.stderr);
    assert!(
        !without.status.success() && said.contains("encrypted with key 'k1', which is not among the keys given (none)"),
        "{said}"
    );
    std::fs::write(keys.path().join("k1"), "short").unwrap();
    let said = text(&jet(&["store", "verify", "--keys", mounted], place.path()).stderr);
    assert!(said.contains("has 5 bytes: a key is 32 bytes"), "{said}");
}

#[test]
fn what_is_no_store_is_said_to_be_none() {
    let place = tempfile::tempdir().unwrap();
    let missing = jet(&["store", "inspect"], &place.path().join("nowhere"));
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        text(&missing.stderr).contains("nowhere is not a directory; give the base-dir of one member"),
        "{missing:?}"
    );
    let blank = jet(&["store", "inspect"], place.path());
    assert!(text(&blank.stdout).contains("blank: of no cluster yet"), "{blank:?}");
}

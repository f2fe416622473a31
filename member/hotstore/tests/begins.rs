//! A chunk whose beginning fails, at each call of it: what is acknowledged afterwards is found after a power loss.
//!
//! Must not know: which call does what.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use jet_hotstore::{
    Aftermath, Cadence, Fault, Loaded, Options, PartitionContent, Record, SealRequest, SimulatedDisk, Store,
    StoreError, Version,
};
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

fn open(disk: &SimulatedDisk) -> Result<Store, StoreError> {
    let options = Options { cadence: Cadence::OnDemand, ..Options::default() };
    Ok(Store::open(Path::new("/store"), Arc::new(disk.clone()), options)?.0)
}

/// A store with one entry, and its disk.
fn begun() -> (SimulatedDisk, Store) {
    let disk = SimulatedDisk::new();
    disk.set_alignment(512);
    let store = open(&disk).unwrap();
    store.join_cluster(Uuid::from_u128(1)).unwrap();
    store.open_generation(1).unwrap();
    put(&store, 1).unwrap();
    (disk, store)
}

/// Ok: it was acknowledged as durable, or not taken.
fn put(store: &Store, n: u64) -> Result<bool, StoreError> {
    let record = Record::put(1, 0, Version::new(1, n), vec![n as u8], vec![n as u8; 50]);
    let taken = store.append(record).ticket().is_some();
    if taken {
        store.flush()?;
    }
    Ok(taken)
}

fn found(disk: &SimulatedDisk) -> Result<Vec<u64>, StoreError> {
    let (store, mut found) = (open(disk)?, Vec::new());
    store.load(&mut |loaded| {
        if let Loaded::Put { version, .. } = loaded {
            found.push(version.sequence);
        }
    })?;
    Ok(found)
}

fn seal(store: &Store, attempt: u32, last: u64) -> Result<(), StoreError> {
    let version = Version::new(1, last);
    let content = PartitionContent { partition: 0, version, entries: last, digest: String::new() };
    let request = SealRequest {
        operation: "stop".to_owned(),
        attempt,
        generation: 1,
        partitions: vec![content],
        machine: Vec::new(),
        machine_index: 0,
        roster_digest: String::new(),
    };
    store.seal(request).map(drop)
}

#[test]
fn what_is_acknowledged_after_a_generation_that_could_not_be_opened_is_found() {
    let (mut failed, mut acknowledged) = (0, 0);
    for call in 1..40 {
        let (disk, store) = begun();
        disk.fault_at(disk.calls() + call, Fault::FailCall);
        let opened = store.open_generation(2);
        failed += u64::from(opened.is_err());
        let durable = put(&store, 2).unwrap_or(false);
        acknowledged += u64::from(durable && opened.is_err());
        disk.cut_power();
        for aftermath in Aftermath::ALL {
            let found = found(&disk.reboot(aftermath)).unwrap_or_else(|e| panic!("call {call}, {aftermath:?}: {e}"));
            assert!(found.starts_with(&[1]), "call {call}, {aftermath:?}: {found:?}");
            assert!(!durable || found == [1, 2], "call {call}, {aftermath:?}: {found:?}");
        }
    }
    assert!(failed > 5, "{failed} failed, {acknowledged} acknowledged all the same");
}

#[test]
fn a_seal_after_one_that_could_not_be_taken_back_is_loaded() {
    let (mut failed, mut sealed) = (0, 0);
    for call in 1..20 {
        let (disk, store) = begun();
        seal(&store, 1, 1).unwrap();
        disk.fault_at(disk.calls() + call, Fault::FailCall);
        if store.unseal().is_ok() {
            continue;
        }
        failed += 1;
        let again = seal(&store, 2, 1).or_else(|_| store.retry_in_new_file().and_then(|()| seal(&store, 2, 1)));
        sealed += u64::from(again.is_ok());
        drop(store);
        disk.cut_power();
        for aftermath in [Aftermath::Kept, Aftermath::Lost, Aftermath::NamesOnly] {
            let found = found(&disk.reboot(aftermath)).unwrap_or_else(|e| panic!("call {call}, {aftermath:?}: {e}"));
            assert_eq!(found, vec![1], "call {call}, {aftermath:?}");
        }
    }
    assert!(failed > 3 && sealed > 3, "{failed} failed, {sealed} sealed");
}

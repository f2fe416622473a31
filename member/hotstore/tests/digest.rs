//! What a seal says of a chunk is held against every byte of it, also where each record verifies by itself.
//!
//! Must not know: file formats, beyond the checksum of a record.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use jet_hotstore::log::chunk::read_header;
use jet_hotstore::log::record;
use jet_hotstore::{
    Cadence, Disk, Options, PartitionContent, Record, Refused, SealRequest, SimulatedDisk, Store, StoreError, Version,
};
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

const VALUE: &[u8] = b"what was sealed";
const OTHER: &[u8] = b"what was forged";

fn open(disk: &SimulatedDisk) -> Store {
    let options = Options { cadence: Cadence::OnDemand, ..Options::default() };
    Store::open(Path::new("/store"), Arc::new(disk.clone()), options).unwrap().0
}

fn sealed(disk: &SimulatedDisk) {
    let store = open(disk);
    store.join_cluster(Uuid::from_u128(7)).unwrap();
    store.open_generation(1).unwrap();
    let version = Version::new(1, 1);
    assert!(store.append(Record::put(1, 4, version, "key", VALUE)).ticket().is_some());
    let request = SealRequest {
        operation: "op".to_owned(),
        attempt: 1,
        generation: 1,
        partitions: vec![PartitionContent { partition: 4, version, entries: 1, digest: "d".to_owned() }],
        machine: Vec::new(),
        machine_index: 0,
        roster_digest: "r".to_owned(),
    };
    store.seal(request).unwrap();
}

#[test]
fn what_verifies_and_is_not_what_was_sealed_is_refused() {
    let disk = SimulatedDisk::new();
    sealed(&disk);
    let (log, _) =
        disk.files().into_iter().find(|(path, _)| path.extension().is_some_and(|kind| kind == "jl")).unwrap();
    let mut bytes = disk.read(&log).unwrap().unwrap();
    let file_id = read_header(&bytes, &log).unwrap().0.file_id;
    let value = bytes.windows(VALUE.len()).position(|window| window == VALUE).unwrap();
    let (begin, end) = (value - record::HEAD - "key".len(), value + VALUE.len());
    bytes[value..end].copy_from_slice(OTHER);
    let sum = record::checksum(file_id, begin as u64, &bytes[begin + 4..end]);
    bytes[begin..begin + 4].copy_from_slice(&sum.to_le_bytes());
    assert_eq!(record::decode(&bytes, begin, file_id).unwrap().value, OTHER, "the record verifies");
    disk.plant(&log, &bytes);
    match open(&disk).load(&mut |_| {}) {
        Err(StoreError::Refused(Refused::Digest { file, .. })) => assert_eq!(file, log),
        other => panic!("{other:?}"),
    }
}

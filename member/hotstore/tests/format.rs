//! `FORMAT.md` as a program: a second reader that knows nothing but that page reads what the store writes.
//!
//! Must not know: the store's own readers.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use jet_hotstore::{
    Cadence, Disk, EncryptedDisk, EpochId, Keys, LogEntry, Options, PartitionContent, Record, SealRequest,
    SimulatedDisk, Space, Store, Version, layout,
};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// crc32c of (file_id u64, offset u64, bytes).
fn placed(file_id: u64, offset: usize, bytes: &[u8]) -> u32 {
    let place = [file_id.to_le_bytes(), (offset as u64).to_le_bytes()].concat();
    crc32c::crc32c_append(crc32c::crc32c(&place), bytes)
}

/// The frame at the start: body, blob, length of the whole.
fn frame(magic: &str, bytes: &[u8]) -> (Value, Vec<u8>, usize) {
    assert_eq!(&bytes[..8], magic.as_bytes());
    assert_eq!(word(bytes, 8), 1, "format");
    let (body, blob) = (long(bytes, 12) as usize, long(bytes, 20) as usize);
    let mut head = bytes[..32].to_vec();
    head[28..].fill(0);
    assert_eq!(word(bytes, 32), crc32c::crc32c(&head), "crc head");
    let end = 36 + body + blob;
    assert_eq!(word(bytes, 28), crc32c::crc32c(&bytes[32..end]), "crc all");
    (serde_json::from_slice(&bytes[36..36 + body]).unwrap(), bytes[36 + body..end].to_vec(), end)
}

struct Told {
    kind: u8,
    copy: u8,
    partition: u16,
    space: u32,
    version: (u64, u64),
    key: Vec<u8>,
    value: Vec<u8>,
}

fn records(bytes: &[u8]) -> Vec<Told> {
    let (header, _, mut at) = frame("JETCHUNK", bytes);
    let file_id = header["file_id"].as_u64().unwrap();
    let mut told = Vec::new();
    while at < bytes.len() {
        let size = word(bytes, at + 4) as usize;
        let record = &bytes[at..at + size];
        assert_eq!(word(record, 0), placed(file_id, at, &record[4..]), "crc of the record at {at}");
        let (key, value) = (word(record, 32) as usize, word(record, 36) as usize);
        assert_eq!(size, 40 + key + value);
        told.push(Told {
            kind: record[8],
            copy: record[9],
            partition: u16::from_le_bytes([record[10], record[11]]),
            space: word(record, 12),
            version: (long(record, 16), long(record, 24)),
            key: record[40..40 + key].to_vec(),
            value: record[40 + key..].to_vec(),
        });
        at += size;
    }
    assert_eq!(at, bytes.len());
    told
}

fn epoch(bytes: &[u8]) -> Vec<(u32, u32, Vec<u8>)> {
    let (header, _, mut at) = frame("JETEPOCH", bytes);
    let file_id = header["file_id"].as_u64().unwrap();
    let footer = bytes.len() - 16;
    let (index_at, sum) = (long(bytes, footer) as usize, long(bytes, footer + 8));
    assert_eq!(sum, u64::from(placed(file_id, index_at, &bytes[index_at..footer])), "crc of the index");
    let (index, ..) = frame("JETINDEX", &bytes[index_at..]);
    assert_eq!(index["digest"], blake3::hash(&bytes[..index_at]).to_hex().as_str());
    let mut parts = Vec::new();
    while at < index_at {
        let length = word(bytes, at + 4) as usize;
        let part = &bytes[at..at + 16 + length];
        assert_eq!(word(part, 0), placed(file_id, at, &part[4..]), "crc of the part");
        parts.push((word(part, 8), word(part, 12), part[16..].to_vec()));
        at += part.len();
    }
    assert_eq!(index["parts"], parts.len());
    parts
}

/// Kind, index, term, payload of each.
fn entries(bytes: &[u8]) -> Vec<(u32, u64, u64, Vec<u8>)> {
    let (header, _, mut at) = frame("JETRAFTL", bytes);
    let file_id = header["file_id"].as_u64().unwrap();
    let mut told = Vec::new();
    while at < bytes.len() {
        let record = &bytes[at..at + word(bytes, at + 4) as usize];
        assert_eq!(word(record, 0), placed(file_id, at, &record[4..]), "crc of the entry");
        told.push((word(record, 8), long(record, 12), long(record, 20), record[28..].to_vec()));
        at += record.len();
    }
    told
}

struct Bytes(usize);

impl KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

/// The content of an encrypted file.
fn decrypted(raw: &[u8], key: &[u8; 32], name: &str) -> Vec<u8> {
    assert_eq!(&raw[..8], b"JETCRYPT");
    assert_eq!((word(raw, 8), word(raw, 16)), (1, 1), "format, algorithm");
    assert_eq!(word(raw, 4092), crc32c::crc32c(&raw[..4092]), "crc of the head");
    assert_eq!((usize::from(raw[68]), &raw[69..69 + name.len()]), (name.len(), name.as_bytes()));
    let drawn = Salt::new(HKDF_SHA256, &raw[20..52]).extract(key);
    let draw = |what: &[u8], bytes: usize| {
        let mut out = vec![0; bytes];
        let info = [b"jet hot-restart file ", what, &raw[12..16]];
        drawn.expand(&info, Bytes(bytes)).unwrap().fill(&mut out).unwrap();
        out
    };
    assert_eq!(raw[52..68], draw(b"check", 16));
    let own = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &draw(b"key", 32)).unwrap());
    let open = |number: u64, said: &[u8], bytes: &[u8]| {
        let (mut nonce, mut bytes) = ([0; 12], bytes.to_vec());
        nonce[..8].copy_from_slice(&number.to_le_bytes());
        own.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(said), &mut bytes).unwrap().to_vec()
    };
    let mut content = Vec::new();
    if word(raw, 12) == 1 {
        for (number, block) in raw[4096..].chunks(4096).enumerate() {
            content.extend(open(number as u64, &[], block));
        }
        return content;
    }
    let mut at = 4096;
    while at < raw.len() {
        let length = word(raw, at) as usize;
        let sum = crc32c::crc32c_append(crc32c::crc32c(&(at as u64).to_le_bytes()), &raw[at..at + 4]);
        assert_eq!(word(raw, at + 4), sum);
        content.extend(open(at as u64, &raw[at..at + 8], &raw[at + 8..at + 8 + length + 16]));
        at += 8 + length + 16;
    }
    content
}

fn written(encrypted: bool) -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    disk.set_alignment(4096);
    disk.plant(Path::new("/keys/k"), &[9; 32]);
    let keys = Arc::new(Keys::read(&disk, Path::new("/keys"), Some("k")).unwrap());
    let door: Arc<dyn Disk> = match encrypted {
        true => Arc::new(EncryptedDisk::new(Arc::new(disk.clone()), keys, layout::shape_of)),
        false => Arc::new(disk.clone()),
    };
    let options = Options { cadence: Cadence::OnDemand, ..Options::default() };
    let (store, _) = Store::open(Path::new("/store"), door, options).unwrap();
    store.join_cluster(Uuid::from_u128(7)).unwrap();
    store.open_generation(1).unwrap();
    assert!(store.append_space(&Space { id: 3, name: "orders".into(), flags: 5 }).unwrap().ticket().is_some());
    assert!(store.append(Record::put(3, 270, Version::new(4, 1), "key", "value")).ticket().is_some());
    assert!(store.append(Record::remove(3, 270, Version::new(4, 2), "gone").copied()).ticket().is_some());
    store.flush().unwrap();
    let mut epoch = store.epoch_writer(EpochId { job: 1, execution: 2, epoch: 3 }).unwrap();
    epoch.put(7, 270, b"state").unwrap();
    epoch.finish().unwrap();
    let mut log = store.consensus_log().unwrap();
    log.save_vote(b"vote").unwrap();
    log.append(&[LogEntry { index: 1, term: 8, bytes: b"entry".to_vec() }]).unwrap();
    let partitions =
        vec![PartitionContent { partition: 270, version: Version::new(4, 1), entries: 1, digest: "d".into() }];
    let request = SealRequest {
        operation: "op".into(),
        attempt: 1,
        generation: 1,
        partitions,
        machine: b"memory".to_vec(),
        machine_index: 1,
        roster_digest: "r".into(),
    };
    store.seal(request).unwrap();
    store.close().unwrap();
    disk
}

fn read(disk: &SimulatedDisk, name: &str, encrypted: bool) -> Vec<u8> {
    let raw = disk.read(&Path::new("/store").join(name)).unwrap().unwrap();
    if encrypted { decrypted(&raw, &[9; 32], "k") } else { raw }
}

#[test]
fn the_page_alone_is_enough_to_read_a_store() {
    for encrypted in [false, true] {
        let disk = written(encrypted);
        let chunk = read(&disk, "data/gen-1/log-1.jl", encrypted);
        assert_eq!(chunk.len() % if encrypted { 4080 } else { 4096 }, 0, "whole blocks");
        let told = records(&chunk);
        let kinds: Vec<u8> = told.iter().map(|record| record.kind).filter(|kind| *kind != 11).collect();
        assert_eq!(kinds[..3], [9, 1, 2], "Space, Put, Remove; then marks");
        let of = |kind: u8| told.iter().find(|record| record.kind == kind).unwrap();
        let space: Value = serde_json::from_slice(&of(9).value).unwrap();
        assert_eq!(space, serde_json::json!({"id": 3, "name": "orders", "flags": 5}));
        let put = of(1);
        assert_eq!((put.copy, put.partition, put.space, put.version), (0, 270, 3, (4, 1)));
        assert_eq!((put.key.as_slice(), put.value.as_slice()), (&b"key"[..], &b"value"[..]));
        assert_eq!((of(2).copy, of(2).version), (1, (4, 2)));
        assert_eq!(
            epoch(&read(&disk, "data/gen-1/epoch-0000000000000001-2-3.je", encrypted)),
            [(7, 270, b"state".to_vec())]
        );
        let raft = entries(&read(&disk, "raft/entries-1.rl", encrypted));
        assert_eq!(raft, [(4, 0, 0, b"vote".to_vec()), (1, 1, 8, b"entry".to_vec())]);
        let (slots, _, _) = frame("JETDURAB", &disk.read(Path::new("/store/raft/durable")).unwrap().unwrap());
        assert_eq!(slots["file"], 1);
        let seals = ["a", "b"].map(|copy| read(&disk, &format!("seal-1-1.{copy}"), encrypted));
        for seal in seals {
            let (body, machine, end) = frame("JETSEALM", &seal);
            assert_eq!((machine.as_slice(), end), (&b"memory"[..], seal.len()));
            let says = &body["record"];
            assert_eq!((&says["number"], &says["partitions"][0]["version"]["table"]), (&1.into(), &4.into()));
            let sealed = says["files"].as_array().unwrap().iter().find(|file| file["name"] == "data/gen-1/log-1.jl");
            assert_eq!(
                sealed.unwrap()["digest"],
                blake3::hash(&chunk).to_hex().as_str(),
                "of the content in the clear"
            );
        }
        let (identity, _, _) = frame("JETIDENT", &disk.read(Path::new("/store/identity.a")).unwrap().unwrap());
        assert!(identity["record"]["founding"].is_string());
    }
}

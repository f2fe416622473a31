//! What goes through the door, whoever holds which keys, and what a damaged disk gives back.
//!
//! Must not know: the store.

use super::*;
use crate::disk::simulated::SimulatedDisk;
use crate::disk::{batch, zeroed};
use crate::layout::shape_of;
use blocks::PLAIN;
use proptest::prelude::*;
use std::collections::HashSet;
use std::path::PathBuf;

const CHUNK: &str = "/s/log-1.jl";
const EPOCH: &str = "/s/epoch-1-1-1.je";
const ENTRIES: &str = "/s/entries-1.rl";

fn keys(current: Option<&str>, given: &[(&str, u8)]) -> Result<Keys, keys::KeyError> {
    let disk = SimulatedDisk::new();
    disk.make_dir(Path::new("/keys")).unwrap();
    for (name, byte) in given {
        disk.plant(&Path::new("/keys").join(name), &[*byte; 32]);
    }
    Keys::read(&disk, Path::new("/keys"), current)
}

fn door(behind: &SimulatedDisk, current: Option<&str>, given: &[(&str, u8)]) -> EncryptedDisk {
    EncryptedDisk::new(Arc::new(behind.clone()), Arc::new(keys(current, given).unwrap()), shape_of)
}

fn room() -> (SimulatedDisk, EncryptedDisk) {
    let behind = SimulatedDisk::new();
    behind.set_alignment(BLOCK);
    behind.make_dir(Path::new("/s")).unwrap();
    let door = door(&behind, Some("k1"), &[("k1", 1)]);
    (behind, door)
}

/// Bytes of which no two neighbouring blocks are alike.
fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at % 251) as u8 ^ (at / PLAIN) as u8).collect()
}

fn write(door: &EncryptedDisk, path: &str, pieces: &[usize]) -> Vec<u8> {
    let whole = content(pieces.iter().sum());
    let (mut file, mut at) = (door.create(Path::new(path)).unwrap(), 0);
    for piece in pieces {
        file.write_at(at as u64, &whole[at..at + piece]).unwrap();
        at += piece;
    }
    file.sync().unwrap();
    whole
}

fn append(door: &EncryptedDisk, path: &str, blocks: &[usize]) -> Vec<u8> {
    let whole = content(blocks.iter().sum::<usize>() * PLAIN);
    let (mut file, mut at) = (door.create_append(Path::new(path)).unwrap(), 0);
    assert_eq!(file.alignment(), PLAIN);
    for count in blocks {
        let mut filled = batch(0);
        filled.extend_from_slice(&whole[at..at + count * PLAIN]);
        file.append(at as u64, Arc::new(filled)).unwrap();
        at += count * PLAIN;
    }
    file.sync().unwrap();
    whole
}

/// What every way of reading gives.
fn assert_reads(door: &EncryptedDisk, path: &str, expected: &[u8]) {
    let path = Path::new(path);
    assert_eq!(door.length(path).unwrap(), Some(expected.len() as u64));
    assert!(door.read(path).unwrap().unwrap() == expected);
    assert!(door.read_past_cache(path).unwrap().unwrap() == expected);
    for offset in [0, 1, PLAIN - 1, PLAIN, PLAIN + 1, 2 * PLAIN, expected.len() / 2, expected.len()] {
        let rest = expected.get(offset..).unwrap_or_default();
        for length in [0, 1, 17, PLAIN, 3 * PLAIN + 5, expected.len() + 9] {
            let part = door.read_part(path, offset as u64, length).unwrap();
            assert!(part == rest[..rest.len().min(length)], "{offset} {length}");
            let mut into = zeroed(length.next_multiple_of(BLOCK));
            let read = door.read_into(path, offset as u64, &mut into).unwrap();
            assert!(into[..read] == rest[..rest.len().min(into.len())], "{offset} {length}");
        }
    }
}

#[test]
fn what_goes_in_comes_out_and_the_disk_never_sees_it() {
    let (behind, door) = room();
    let written = [
        (CHUNK, append(&door, CHUNK, &[1, 3, 300, 2])),
        (EPOCH, write(&door, EPOCH, &[10, PLAIN, 3 * PLAIN + 7, 1])),
        (ENTRIES, write(&door, ENTRIES, &[300, 5000, 0, 1])),
        ("/s/seal-1-1.a", write(&door, "/s/seal-1-1.a", &[PLAIN])),
        ("/s/snapshot", write(&door, "/s/snapshot", &[0])),
    ];
    for (path, expected) in &written {
        assert_reads(&door, path, expected);
        assert_eq!(door.key_of(Path::new(path)).unwrap().as_deref(), Some("k1"));
        let raw = behind.read(Path::new(path)).unwrap().unwrap();
        assert!(raw.starts_with(&head::MAGIC));
        let seen: HashSet<&[u8]> = raw.windows(16).collect();
        assert!(expected.chunks_exact(16).all(|window| !seen.contains(window)), "{path} tells what is in it");
    }
    let clear = write(&door, "/s/boot.a", &[40]);
    assert_eq!(behind.read(Path::new("/s/boot.a")).unwrap().unwrap(), clear);
    assert_eq!(door.key_of(Path::new("/s/boot.a")).unwrap(), None);
    assert_reads(&door, "/s/boot.a", &clear);
}

#[test]
fn two_files_of_the_same_content_have_nothing_in_common() {
    let (behind, door) = room();
    append(&door, CHUNK, &[4]);
    append(&door, "/s/log-2.jl", &[4]);
    let [one, other] = [CHUNK, "/s/log-2.jl"].map(|path| behind.read(Path::new(path)).unwrap().unwrap());
    assert!(one[BLOCK..].chunks(16).zip(other[BLOCK..].chunks(16)).all(|(a, b)| a != b));
}

/// A damaged head is in the clear to nobody: what is read then is never what was written.
#[test]
fn each_flipped_byte_is_zeros_or_no_content_at_all() {
    let (behind, door) = room();
    for (path, expected) in [
        (CHUNK, append(&door, CHUNK, &[3])),
        (EPOCH, write(&door, EPOCH, &[PLAIN + 9])),
        (ENTRIES, write(&door, ENTRIES, &[50, 70])),
    ] {
        let path = Path::new(path);
        let bytes = behind.length(path).unwrap().unwrap();
        for at in (0..bytes).filter(|at| at % 7 == 0 || *at > bytes - 200 || *at < 200) {
            behind.flip(path, at, 0x20);
            let seen = door.read(path).unwrap().unwrap();
            if at < BLOCK as u64 {
                assert!(!seen.starts_with(&expected[..16]), "{at}");
            } else {
                assert!(seen != expected, "{at}");
                let same = |(at, byte): (usize, &u8)| *byte == expected[at] || *byte == 0;
                assert!(seen.iter().enumerate().all(same), "{at}: a byte that was never written");
            }
            behind.flip(path, at, 0x20);
        }
        assert_reads(&door, path.to_str().unwrap(), &expected);
    }
}

#[test]
fn a_block_in_the_place_of_another_is_none() {
    let (behind, door) = room();
    let expected = append(&door, CHUNK, &[3]);
    let mut raw = behind.read(Path::new(CHUNK)).unwrap().unwrap();
    let (one, other) = raw[BLOCK..].split_at_mut(BLOCK);
    one.swap_with_slice(&mut other[..BLOCK]);
    behind.plant(Path::new(CHUNK), &raw);
    let seen = door.read(Path::new(CHUNK)).unwrap().unwrap();
    assert!(seen[..2 * PLAIN].iter().all(|byte| *byte == 0));
    assert!(seen[2 * PLAIN..] == expected[2 * PLAIN..]);
}

#[test]
fn a_missing_or_another_key_is_told_and_never_looks_like_damage() {
    let (behind, door) = room();
    append(&door, CHUNK, &[2]);
    write(&door, ENTRIES, &[9]);
    let locked = |error: io::Error| error.get_ref().and_then(|e| e.downcast_ref::<Locked>()).cloned().unwrap();
    for path in [CHUNK, ENTRIES].map(Path::new) {
        for (given, known) in [(&[][..], "none"), (&[("k2", 2), ("k3", 3)], "'k2', 'k3'")] {
            let other = self::door(&behind, None, given);
            let expected = Locked::NoKey { key: "k1".into(), known: known.into() };
            let mut into = [0; 10];
            assert_eq!(locked(other.read(path).unwrap_err()), expected);
            assert_eq!(locked(other.read_past_cache(path).unwrap_err()), expected);
            assert_eq!(locked(other.read_part(path, 0, 10).unwrap_err()), expected);
            assert_eq!(locked(other.read_into(path, 0, &mut into).unwrap_err()), expected);
            assert_eq!(other.length(path).unwrap(), door.length(path).unwrap(), "how long it is needs no key");
            assert_eq!(other.key_named(path).unwrap().as_deref(), Some("k1"));
            assert_eq!(locked(other.key_of(path).unwrap_err()), expected);
            assert_eq!(locked(other.open(path).err().unwrap()), expected);
        }
        assert_eq!(locked(behind.key_of(path).unwrap_err()), Locked::NoKey { key: "k1".into(), known: "none".into() });
        let other = self::door(&behind, None, &[("k1", 9)]);
        assert_eq!(locked(other.read(path).unwrap_err()), Locked::OtherKey { key: "k1".into() });
    }
    let mut raw = behind.read(Path::new(CHUNK)).unwrap().unwrap();
    raw[8] = 7;
    let sum = crc32c::crc32c(&raw[..BLOCK - 4]);
    raw[BLOCK - 4..BLOCK].copy_from_slice(&sum.to_le_bytes());
    behind.plant(Path::new(CHUNK), &raw);
    assert_eq!(locked(door.read(Path::new(CHUNK)).unwrap_err()), Locked::Newer { found: 7, known: 1 });
}

#[test]
fn keys_are_changed_by_writing_with_the_new_one_while_the_old_one_is_there() {
    let (behind, old) = room();
    let first = append(&old, CHUNK, &[2]);
    let both = door(&behind, Some("k2"), &[("k1", 1), ("k2", 2)]);
    let second = append(&both, "/s/log-2.jl", &[3]);
    assert_reads(&both, CHUNK, &first);
    assert_reads(&both, "/s/log-2.jl", &second);
    assert_eq!(both.key_of(Path::new("/s/log-2.jl")).unwrap().as_deref(), Some("k2"));
    let none = door(&behind, None, &[("k1", 1), ("k2", 2)]);
    let third = append_clear(&none, "/s/log-3.jl");
    assert_reads(&none, CHUNK, &first);
    assert_eq!(behind.read(Path::new("/s/log-3.jl")).unwrap().unwrap(), third);
}

fn append_clear(door: &EncryptedDisk, path: &str) -> Vec<u8> {
    let mut file = door.create_append(Path::new(path)).unwrap();
    let mut filled = zeroed(BLOCK);
    filled.fill(7);
    let whole = filled.to_vec();
    file.append(0, Arc::new(filled)).unwrap();
    file.sync().unwrap();
    whole
}

#[test]
fn a_file_of_grains_goes_on_where_it_ended_and_a_torn_one_does_not() {
    let (behind, door) = room();
    let mut expected = write(&door, ENTRIES, &[100, 20]);
    let path = Path::new(ENTRIES);
    let mut file = door.open(path).unwrap();
    for piece in [&b"more"[..], b"", b"and more"] {
        file.write_at(expected.len() as u64, piece).unwrap();
        file.sync().unwrap();
        expected.extend_from_slice(piece);
    }
    assert_reads(&door, ENTRIES, &expected);
    let raw = behind.read(path).unwrap().unwrap();
    let ends: Vec<usize> = (BLOCK..=raw.len())
        .filter(|end| {
            behind.plant(path, &raw[..*end]);
            let seen = door.read(path).unwrap().unwrap();
            assert!(expected.starts_with(&seen), "cut at {end}");
            door.open(path).is_ok()
        })
        .collect();
    assert_eq!(ends.len(), 6, "only behind a grain, or before the first: {ends:?}");
}

#[test]
fn what_would_be_encrypted_twice_is_refused() {
    let (_, door) = room();
    let mut file = door.create(Path::new(EPOCH)).unwrap();
    file.write_at(0, b"once").unwrap();
    assert!(file.write_at(0, b"twice").is_err());
    assert!(file.write_at(4, b"on").is_err(), "what failed is not gone on with");
    let mut file = door.create(Path::new(EPOCH)).unwrap();
    file.write_at(0, b"once").unwrap();
    file.sync().unwrap();
    assert!(file.write_at(4, b"behind the end").is_err());
    assert!(door.open(Path::new(EPOCH)).is_err());
    let mut file = door.create_append(Path::new(CHUNK)).unwrap();
    file.append(0, Arc::new(zeroed(BLOCK))).unwrap_err();
    let mut grains = door.create(Path::new(ENTRIES)).unwrap();
    assert!(grains.write_at(1, b"not at the end").is_err());
    assert!(grains.write_at(0, b"on").is_err());
}

#[test]
fn a_write_that_failed_ends_a_file() {
    use crate::disk::simulated::Fault;
    for path in [EPOCH, ENTRIES] {
        let (behind, door) = room();
        let mut file = door.create(Path::new(path)).unwrap();
        behind.fault_at(behind.calls() + 1, Fault::FailCall);
        file.write_at(0, &content(2 * PLAIN)).unwrap_err();
        behind.mend();
        assert!(file.write_at(0, &content(2 * PLAIN)).is_err());
        assert!(file.sync().is_err());
    }
}

#[test]
fn a_key_is_read_as_bytes_or_digits_and_what_is_none_is_named() {
    let disk = SimulatedDisk::new();
    let dir = PathBuf::from("/keys");
    disk.make_dir(&dir).unwrap();
    let read = |name: &str, bytes: &[u8], current: Option<&str>| {
        let disk = disk.copy();
        disk.plant(&dir.join(name), bytes);
        Keys::read(&disk, &dir, current)
    };
    let digits = "ab".repeat(32);
    assert_eq!(read("k", &[0xab; 32], Some("k")).unwrap().named("k"), Some(&[0xab; 32]));
    assert_eq!(read("k", digits.as_bytes(), Some("k")).unwrap().named("k"), Some(&[0xab; 32]));
    assert_eq!(read("k", format!("{digits}\n").as_bytes(), None).unwrap().named("k"), Some(&[0xab; 32]));
    let keys = read("k", &[0xab; 32], Some("k")).unwrap();
    assert!(!format!("{keys:?}").contains("171"), "a key is not printed");
    let said = |result: Result<Keys, keys::KeyError>| result.unwrap_err().to_string();
    for (name, bytes, words) in [
        ("k", &b"short"[..], "/keys/k has 5 bytes"),
        ("k", "zz".repeat(32).as_bytes(), "/keys/k has 64 bytes"),
        ("a key", &[1; 32], "/keys/a key is no name"),
    ] {
        assert!(said(read(name, bytes, None)).contains(words), "{words}");
    }
    assert!(said(read("k", &[1; 32], Some("other"))).contains("no key 'other' in /keys (there: 'k')"));
    assert!(read("..data", b"no key", None).is_ok(), "a mounted secret's own");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_part_of_what_was_written_in_any_pieces(pieces in proptest::collection::vec(0..9000usize, 0..8), offset in 0..40_000u64, length in 0..20_000usize) {
        let (_, door) = room();
        let expected = write(&door, EPOCH, &pieces);
        let begin = expected.len().min(offset as usize);
        let part = door.read_part(Path::new(EPOCH), offset, length).unwrap();
        prop_assert!(part == expected[begin..expected.len().min(begin + length)]);
    }
}

//! Rows 7, 8, 9, 10, 30 and 63: bytes that are not what was written, in files of the real disk.
//!
//! Law: seen before anything is handed out, and the file is named. Must not know: what the bytes mean, beyond a head's
//! version.

use crate::Cases;
use crate::volume::Volume;
use crate::writer::{Answer, Writer, holds, lives_on};
use jet_hotstore::audit::{Depth, audit};
use jet_hotstore::{Disk, OsDisk};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SECTOR: usize = 512;
const BLOCK: usize = 4096;
/// A process that asks for more dies.
const LITTLE_MEMORY: [&str; 2] = ["prlimit", "--as=3000000000"];

pub fn add(cases: &mut Cases) {
    cases.on_each("row_07_a_torn_sector_is_told_with_its_file", torn_sectors);
    cases.on_each("row_08_a_torn_manifest_falls_back_to_its_twin", torn_manifest);
    cases.on_each("row_09_flipped_and_missing_bytes_of_a_sealed_store", flipped);
    cases.on_each("row_10_swapped_blocks_and_files_of_two_members", misdirected);
    cases.on_each("row_30_a_newer_format_is_refused_untouched", newer);
    cases.on_each("row_63_garbage_in_the_directory", garbage);
}

fn sealed(volume: &Volume, name: &str) -> PathBuf {
    let dir = volume.dir(name);
    Writer::on(&dir).all(&["open", "go-on", "append 130", "rewrite 2", "flush", "epoch 1", "seal s", "close"]);
    dir
}

/// Files below a directory, but those that hold nothing that counts.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()) {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false if ["lock", "owner"].iter().any(|name| entry.file_name() == *name) => {}
            false => found.push(entry.path()),
        }
    }
    found.sort();
    found
}

/// What an audit of every byte finds.
fn findings(dir: &Path) -> Vec<String> {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let told = audit(&disk, dir, Depth::Everything).unwrap();
    told.findings.into_iter().map(|finding| finding.text).collect()
}

/// With other bytes in a file, looked at, and as before again.
fn with<T>(file: &Path, bytes: &[u8], look: impl FnOnce() -> T) -> T {
    let whole = fs::read(file).unwrap();
    fs::write(file, bytes).unwrap();
    let seen = look();
    fs::write(file, whole).unwrap();
    seen
}

fn is_named(dir: &Path, file: &Path, what: &str) {
    let told = findings(dir);
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(told.iter().any(|text| text.contains(name)), "{what} of {name}: {told:?}");
}

fn torn_sectors(volume: &Volume) {
    let dir = sealed(volume, "store");
    let mut torn = 0;
    for file in files(&dir).iter().filter(|file| file.extension().is_some_and(|end| end == "jl" || end == "je")) {
        let whole = fs::read(file).unwrap();
        for at in (0..whole.len()).step_by(SECTOR) {
            let mut bytes = whole.clone();
            let end = whole.len().min(at + SECTOR);
            bytes[at..end].fill(0);
            if bytes != whole {
                with(file, &bytes, || is_named(&dir, file, "a torn sector"));
                torn += 1;
            }
            if torn % 40 == 1 {
                with(file, &bytes, || Writer::on(&dir).must_not("open", file.file_name().unwrap().to_str().unwrap()));
            }
        }
    }
    assert!(torn > 200, "{torn} sectors");
    lives_on(&dir, 130);
}

fn torn_manifest(volume: &Volume) {
    let dir = sealed(volume, "store");
    let [first, second] = ["seal-1-1.a", "seal-1-1.b"].map(|name| dir.join(name));
    let whole = fs::read(&first).unwrap();
    for length in (0..whole.len()).step_by(97) {
        for copy in [&first, &second] {
            with(copy, &whole[..length], || {
                is_named(&dir, copy, "a torn copy");
                assert!(
                    jet_hotstore::inspect(&OsDisk, &dir)
                        .is_ok_and(|found| matches!(found, jet_hotstore::Contents::Sealed(_)))
                );
            });
        }
    }
    with(&first, &whole[..100], || {
        assert!(holds(&dir, 130).starts_with("sealed 1 by s"));
        with(&second, &whole[..200], || Writer::on(&dir).must_not("open", "seal-1-1.a"));
    });
    lives_on(&dir, 130);
}

fn flipped(volume: &Volume) {
    let dir = sealed(volume, "store");
    let mut cases = 0;
    for file in files(&dir) {
        let whole = fs::read(&file).unwrap();
        // An odd step meets every place in a block.
        for at in (0..whole.len()).step_by((whole.len() / 60).max(1) | 1) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            with(&file, &bytes, || is_named(&dir, &file, &format!("byte {at}")));
            with(&file, &whole[..at], || is_named(&dir, &file, &format!("the rest from {at}")));
            cases += 2;
        }
    }
    assert!(cases > 1000, "{cases} cases");
    lives_on(&dir, 130);
}

fn misdirected(volume: &Volume) {
    let (one, two) = (sealed(volume, "one"), sealed(volume, "two"));
    let chunk = "data/gen-1/log-1.jl";
    let whole = fs::read(one.join(chunk)).unwrap();
    let blocks = whole.len() / BLOCK;
    for first in 0..blocks {
        let second = (first + 1 + first % 3) % blocks;
        let mut bytes = whole.clone();
        bytes[first * BLOCK..][..BLOCK].copy_from_slice(&whole[second * BLOCK..][..BLOCK]);
        bytes[second * BLOCK..][..BLOCK].copy_from_slice(&whole[first * BLOCK..][..BLOCK]);
        if bytes != whole {
            with(&one.join(chunk), &bytes, || is_named(&one, &one.join(chunk), "swapped blocks"));
        }
    }
    for name in [chunk, "seal-1-1.a", "seal-1-1.b", "opened-1", "identity.a", "boot.a"] {
        let other = fs::read(two.join(name)).unwrap();
        with(&one.join(name), &other, || match (name, Writer::on(&one).tell("open")) {
            // A counter is nobody's.
            ("boot.a", _) => {}
            ("seal-1-1.a" | "seal-1-1.b" | "identity.a", Answer::Refused(why)) => {
                assert!(why.contains("not what its other copy"), "{name}: {why}");
            }
            (_, Answer::Refused(why)) => assert!(why.contains("volumes were mixed up"), "{name}: {why}"),
            (_, answer) => panic!("{name}: {answer:?}"),
        });
    }
    lives_on(&one, 130);
}

/// The same file as a program of the next format would write it.
fn of_next_format(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[8..12].copy_from_slice(&2u32.to_le_bytes());
    let mut head = bytes[..32].to_vec();
    head[28..].fill(0);
    bytes[32..36].copy_from_slice(&crc32c::crc32c(&head).to_le_bytes());
    bytes
}

fn newer(volume: &Volume) {
    let dir = sealed(volume, "store");
    for name in ["identity.a", "boot.b", "opened-1", "seal-1-1.b", "data/gen-1/log-1.jl"] {
        let file = dir.join(name);
        let bytes = of_next_format(&fs::read(&file).unwrap());
        with(&file, &bytes, || {
            Writer::on(&dir).must_not("open", "start a newer version");
            assert_eq!(fs::read(&file).unwrap(), bytes, "untouched");
        });
    }
    lives_on(&dir, 130);
}

fn garbage(volume: &Volume) {
    let dir = sealed(volume, "store");
    let rooms = [dir.clone(), dir.join("data"), dir.join("data/gen-1")];
    for room in &rooms {
        fs::write(room.join("notes.txt"), b"of somebody").unwrap();
        fs::write(room.join("log-x.jl"), b"no number").unwrap();
        fs::write(room.join("log-7.jl.tmp"), vec![3; 10_000]).unwrap();
        fs::create_dir(room.join("lost+found")).unwrap();
        std::os::unix::fs::symlink("nowhere", room.join("dangling")).unwrap();
    }
    assert!(holds(&dir, 130).starts_with("sealed 1 by s"), "what is not ours is left alone");
    huge(&dir);
    not_a_file(&dir);
    lives_on(&dir, 130);
}

/// A length that no memory has room for.
fn huge(dir: &Path) {
    let mut chunks =
        files(dir).into_iter().filter(|file| fs::read(file).is_ok_and(|bytes| bytes.starts_with(b"JETCHUNK")));
    for file in [chunks.next_back().unwrap(), dir.join("seal-1-1.a"), dir.join("opened-1")] {
        let whole = fs::read(&file).unwrap();
        with(&file, &whole, || {
            fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(1 << 36).unwrap();
            Writer::under(&LITTLE_MEMORY, dir).must_not("open", file.file_name().unwrap().to_str().unwrap());
        });
    }
}

/// What never ends, and what never begins.
fn not_a_file(dir: &Path) {
    for name in ["seal-1-2.a", "identity.a", "opened-9", "lock", "data/gen-1/log-9.jl", "data/gen-1/log-9.jl.tmp"] {
        let path = dir.join(name);
        let before = fs::read(&path).ok();
        for kind in ["link", "pipe"] {
            let _ = fs::remove_file(&path);
            match kind {
                "link" => std::os::unix::fs::symlink("/dev/zero", &path).unwrap(),
                _ => drop(crate::tools::run(&["mkfifo", path.to_str().unwrap()])),
            }
            let told = Writer::under(&LITTLE_MEMORY, dir).tell("open");
            // A lock may be taken on a device; below `data` only files are chunks, and what is missing is missed.
            let may_pass = name.starts_with("data") || (name, kind) == ("lock", "link");
            match told {
                Answer::Refused(why) => assert!(why.contains(name), "{name} as a {kind}: {why}"),
                Answer::Done(found) => assert!(may_pass && found.starts_with("sealed"), "{name} as a {kind}: {found}"),
                Answer::Gone => panic!("{name} as a {kind}: the process died"),
            }
        }
        let _ = fs::remove_file(&path);
        before.into_iter().for_each(|bytes| fs::write(&path, bytes).unwrap());
    }
}

//! Writes what the corpus begins with: files that somebody who means it badly would write, made of the real files beside them;
//! with `anew` also the real files of a small store, as the program leaves them. Run it in `member/hotstore/fuzz`, `anew` when
//! the format has changed, and then twice: the targets are built with one of the real files.
//!
//! Must not know: what the store says to them.

use fuzz_store::{DIR, folder};
use jet_hotstore::{
    Appended, Base, Cadence, EpochId, LogEntry, Options, PartitionContent, Record, SealRequest, SimulatedDisk, Space,
    Store, Version, frame,
};
use serde_json::value::RawValue;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

type Done = Result<(), Box<dyn Error>>;

fn main() -> Done {
    if std::env::args().nth(1).as_deref() == Some("anew") {
        real()?;
    }
    records()?;
    nasty()?;
    nasty_bytes()?;
    nasty_directories()
}

/// Files of a small store. Its ids are new each time, so that all that was found in files of the one before is of another store.
fn real() -> Done {
    let disk = SimulatedDisk::new();
    let store = written(&disk)?;
    let unsealed = short(folder::take(&disk));
    seal(&store)?;
    drop(store);
    let sealed = short(folder::take(&disk));
    save("recovery", "real-sealed", &folder::write(&sealed))?;
    save("recovery", "real-unsealed", &folder::write(&unsealed))?;
    save("recovery", "real-gone-on", &folder::write(&gone_on(&disk)?))?;
    for (name, bytes) in &sealed {
        let short = name.rsplit('/').next().unwrap_or(name);
        match bytes.get(..8) {
            Some(b"JETCHUNK") => save("chunk", &format!("real-{short}"), bytes)?,
            Some(b"JETEPOCH") => save("epoch", &format!("real-{short}"), bytes)?,
            Some(b"JETRAFTL" | b"JETDURAB" | b"JETRAFTS") => {}
            _ if name.ends_with(".b") || name == "owner" => {}
            _ => save("small", &format!("real-{short}"), bytes)?,
        }
    }
    let raft: folder::Files = sealed.into_iter().filter(|(name, _)| name.starts_with("raft/")).collect();
    save("consensus", "real", &folder::write(&raft))
}

/// Without the room behind the second slot of the durable record, which nobody reads.
fn short(mut files: folder::Files) -> folder::Files {
    for (_, bytes) in files.iter_mut().filter(|(name, _)| name == "raft/durable") {
        bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
    }
    files
}

fn save(target: &str, name: &str, bytes: &[u8]) -> Done {
    let room = Path::new("corpus").join(target);
    std::fs::create_dir_all(&room)?;
    Ok(std::fs::write(room.join(name), bytes)?)
}

fn open(disk: &SimulatedDisk) -> Result<Store, Box<dyn Error>> {
    let options = Options { cadence: Cadence::OnDemand, chunk_bytes: 600, ..Options::default() };
    Ok(Store::open(Path::new(DIR), Arc::new(disk.clone()), options)?.0)
}

fn taken(appended: &Appended) -> Done {
    appended.ticket().map(drop).ok_or_else(|| "a record was not taken".into())
}

fn written(disk: &SimulatedDisk) -> Result<Store, Box<dyn Error>> {
    let store = open(disk)?;
    store.promise_founding(&jet_hotstore::Founding { id: Uuid::from_u128(7), list_digest: "list".to_owned() })?;
    store.record_founded(Uuid::from_u128(7))?;
    let mut log = store.consensus_log()?;
    log.save_vote(b"vote")?;
    let entry = |index| LogEntry { index, term: 1, bytes: b"entry".to_vec() };
    log.append(&[entry(1), entry(2), entry(3)])?;
    log.save_snapshot(b"meta", b"snapshot")?;
    log.purge_upto(1, 1)?;
    log.append(&[entry(4)])?;
    store.open_generation(1)?;
    taken(&store.append_space(&Space { id: 3, name: "orders".into(), flags: 1 })?)?;
    let version = |n| Version::new(1, n);
    for n in 1..=3 {
        taken(&store.append(Record::put(3, 4, version(n), format!("key {n}"), vec![b'v'; 4 * n as usize])))?;
    }
    taken(&store.append(Record::remove(3, 4, version(4), "key 2")))?;
    taken(&store.append(Record::put(3, 5, version(1), "k", "value")))?;
    taken(&store.append(Record::clear(3, 5, version(2))))?;
    store.flush()?;
    taken(&store.append(Record::put(3, 6, version(1), "gone", "soon")))?;
    taken(&store.append(Record::forget(6, version(2))))?;
    let live = [Record::put(3, 4, version(4), "key 1", "vvvv"), Record::put(3, 4, version(4), "key 3", "copied")];
    taken(&store.rewrite_partition(4, version(4), Base::Continues, live))?;
    let mut epoch = store.epoch_writer(EpochId { job: 1, execution: 2, epoch: 9 })?;
    epoch.put(1, 2, b"state")?;
    epoch.put(2, 3, b"")?;
    epoch.finish()?;
    store.flush()?;
    Ok(store)
}

fn seal(store: &Store) -> Done {
    let content = |(partition, n, entries): (u16, u64, u64)| PartitionContent {
        partition,
        version: Version::new(1, n),
        entries,
        digest: "d".to_owned(),
    };
    store.seal(SealRequest {
        operation: "op".to_owned(),
        attempt: 1,
        generation: 1,
        partitions: [(4, 4, 2), (5, 2, 0)].map(content).to_vec(),
        machine: vec![5; 12],
        machine_index: 3,
        roster_digest: "r".to_owned(),
    })?;
    Ok(())
}

fn gone_on(disk: &SimulatedDisk) -> Result<folder::Files, Box<dyn Error>> {
    let store = open(disk)?;
    store.load(&mut |_| {})?;
    store.open_generation(2)?;
    taken(&store.append(Record::put(3, 4, Version::new(2, 1), "key 4", "later")))?;
    store.flush()?;
    drop(store);
    Ok(short(folder::take(disk)))
}

/// Records as they would lie at the start of a file.
fn records() -> Done {
    let version = Version::new(1, 2);
    let list = [
        ("put", Record::put(3, 4, version, "key", "value")),
        ("remove", Record::remove(3, 4, version, "key")),
        ("clear", Record::clear(3, 4, version)),
        ("complete", Record::complete(4, version)),
        ("forget", Record::forget(4, version)),
        ("rewrite", Record::rewrite(4, Base::Broken)),
        ("copy", Record::put(3, 4, version, "key", "value").copied()),
        ("mark", jet_hotstore::log::record::mark(0)),
    ];
    let mut all = jet_hotstore::disk::Batch::new(4096);
    for (name, record) in &list {
        let mut one = jet_hotstore::disk::Batch::new(4096);
        record.encode(0x6a65_7453, 0, &mut one);
        save("record", &format!("real-{name}"), &one)?;
        let at = all.len() as u64;
        record.encode(0x6a65_7453, at, &mut all);
    }
    save("record", "real-all", &all)?;
    let head = |size: u32, key: u32, value: u32| {
        let mut bytes = vec![0; 40];
        bytes[4..8].copy_from_slice(&size.to_le_bytes());
        bytes[8] = 1;
        bytes[32..36].copy_from_slice(&key.to_le_bytes());
        bytes[36..].copy_from_slice(&value.to_le_bytes());
        [bytes, b"key and value".to_vec()].concat()
    };
    save("record", "nasty-lengths-of-u32-max", &head(u32::MAX, u32::MAX, u32::MAX))?;
    save("record", "nasty-key-beyond-the-record", &head(53, 50, 0))?;
    save("record", "nasty-lengths-that-wrap", &head(53, u32::MAX, 14))?;
    save("record", "nasty-size-below-its-head", &head(39, 0, 0))?;
    save("record", "nasty-longest", &head((256 << 20) + 41, 0, (256 << 20) + 1))
}

/// A frame with a body that no program of ours would write.
fn framed(magic: &[u8; 8], body: &str, blob: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    match RawValue::from_string(body.to_owned()) {
        Ok(raw) => Ok(frame::encode(*magic, &raw, blob)?),
        // What is no JSON is put in the place of something that is.
        Err(_) => {
            let mut bytes = frame::encode(*magic, &"x".repeat(body.len().saturating_sub(2)), blob)?;
            let end = fuzz_store::mend::FRAME + body.len();
            bytes[fuzz_store::mend::FRAME..end].copy_from_slice(body.as_bytes());
            fuzz_store::mend::frame(&mut bytes, true, fuzz_store::mend::Depth::Sums);
            Ok(bytes)
        }
    }
}

const NUMBERS: [(&str, &str); 7] = [
    ("u64-max", "18446744073709551615"),
    ("beyond-u64", "18446744073709551616"),
    ("negative", "-1"),
    ("infinite", "1e999"),
    ("nan", "NaN"),
    ("fraction", "1.5"),
    ("huge", "99999999999999999999999999999999999999999999999999"),
];

fn nasty() -> Done {
    for (name, number) in NUMBERS {
        for (target, magic, body) in [
            ("small", b"JETBOOTN", r#"{"serial":#,"record":null}"#),
            ("small", b"JETIDENT", r#"{"serial":#,"record":{"member":"x"}}"#),
            ("small", b"JETOPEND", r#"{"generation":#}"#),
        ] {
            let kind = String::from_utf8_lossy(magic).to_lowercase();
            save(target, &format!("nasty-{kind}-{name}"), &framed(magic, &body.replace('#', number), b"")?)?;
        }
        replaced(name, number)?;
    }
    let deep = [r#"{"serial":1,"record":"#, &"[".repeat(300), &"]".repeat(300), "}"].concat();
    save("small", "nasty-nested-deep", &framed(b"JETSEALM", &deep, b"")?)?;
    let deep = [r#"{"serial":1,"unknown":"#, &r#"{"a":"#.repeat(300), "1", &"}".repeat(300), "}"].concat();
    save("small", "nasty-nested-deep-unknown", &framed(b"JETIDENT", &deep, b"")?)?;
    let long = [r#"{"serial":""#, &"\u{200b}".repeat(3000), r#"","record":null}"#].concat();
    save("small", "nasty-long-word-for-a-number", &framed(b"JETBOOTN", &long, b"")?)?;
    for (name, at) in [("body", 12), ("blob", 20)] {
        let mut bytes = framed(b"JETBOOTN", r#"{"serial":1,"record":null}"#, b"")?;
        bytes[at..at + 8].fill(0xff);
        save("small", &format!("nasty-{name}-length-of-u64-max"), &bytes)?;
    }
    Ok(())
}

/// Real files with one number of theirs replaced.
fn replaced(name: &str, number: &str) -> Done {
    let read = |target: &str, file: &str| std::fs::read(Path::new("corpus").join(target).join(file));
    for (target, file, keys) in [
        ("chunk", "real-log-1.jl", &["file_id", "boot", "after_seal", "first_bytes"][..]),
        ("epoch", "real-epoch-0000000000000001-2-9.je", &["job", "execution", "file_id", "parts", "bytes"][..]),
        ("small", "real-seal-1-1.a", &["serial", "number", "length", "start", "held", "base_bytes", "id", "boot"][..]),
        ("consensus", "real", &["first_bytes", "number", "serial", "length", "index", "file_id"][..]),
        ("recovery", "real-unsealed", &["first_bytes", "after_seal"][..]),
    ] {
        let bytes = read(target, file)?;
        let is_told = target == "chunk" || name == "u64-max" || (name == "negative" && target != "recovery");
        for key in keys.iter().filter(|_| is_told) {
            if let Some(changed) = with(&bytes, key, number) {
                save(target, &format!("nasty-{key}-{name}"), &changed)?;
            }
        }
    }
    Ok(())
}

/// The number behind the last place where `key` stands, replaced; checksums and lengths are for the targets to mend.
fn with(bytes: &[u8], key: &str, number: &str) -> Option<Vec<u8>> {
    let key = format!("\"{key}\":");
    let at = bytes.windows(key.len()).rposition(|window| window == key.as_bytes())? + key.len();
    let end = at + bytes[at..].iter().position(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'-'))?;
    Some([&bytes[..at], number.as_bytes(), &bytes[end..]].concat())
}

fn real_file(target: &str, name: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    Ok(std::fs::read(Path::new("corpus").join(target).join(name))?)
}

/// Numbers that stand in no JSON.
fn nasty_bytes() -> Done {
    let epoch = real_file("epoch", "real-epoch-0000000000000001-2-9.je")?;
    let part = fuzz_store::mend::FRAME + u64::from_le_bytes(epoch[12..20].try_into()?) as usize;
    for (name, at, number) in [
        ("part-of-partition-65538", 12, 65_538),
        ("part-length-of-u32-max", 4, u32::MAX),
        ("vertex-of-u32-max", 8, u32::MAX),
    ] {
        let mut bytes = epoch.clone();
        bytes[part + at..part + at + 4].copy_from_slice(&number.to_le_bytes());
        save("epoch", &format!("nasty-{name}"), &bytes)?;
    }
    let mut bytes = epoch.clone();
    let footer = bytes.len() - 16;
    bytes[footer..footer + 8].fill(0xff);
    save("epoch", "nasty-index-at-u64-max", &bytes)?;
    let mut files = folder::read(&real_file("consensus", "real")?);
    for (_, bytes) in files.iter_mut().filter(|(name, _)| name.starts_with("raft/entries-")) {
        bytes.extend_from_slice(&[0, 0, 0, 0, 28, 0, 0, 0, 3, 0, 0, 0]);
        bytes.extend_from_slice(&[0xff; 16]);
    }
    save("consensus", "nasty-purge-up-to-u64-max", &folder::write(&files))
}

/// No slot of the durable record is longer.
const ONE_SLOT: usize = 256;

fn nasty_directories() -> Done {
    let mut files = folder::read(&real_file("recovery", "real-sealed")?);
    // One slot of the durable record is enough here.
    files.iter_mut().filter(|(name, _)| name == "raft/durable").for_each(|(_, bytes)| bytes.truncate(ONE_SLOT));
    let sealed = folder::write(&files);
    let text = |bytes: &[u8], from: &str, to: &str| -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = bytes;
        while let Some(at) = rest.windows(from.len()).position(|window| window == from.as_bytes()) {
            out.extend_from_slice(&rest[..at]);
            out.extend_from_slice(to.as_bytes());
            rest = &rest[at + from.len()..];
        }
        out.extend_from_slice(rest);
        out
    };
    let changes = [
        (
            "chunk-number-of-u64-max",
            "log-3.jl",
            "log-18446744073709551615.jl",
            r#"{"number":3,"#,
            r#"{"number":18446744073709551615,"#,
        ),
        ("maps-twice", r#""spaces":[{"id":3,"#, r#""spaces":[{"id":3,"name":"other","flags":0},{"id":3,"#, "", ""),
        ("file-outside", r#""name":"data/gen-1/log-1.jl""#, r#""name":"../other/log-1.jl""#, "", ""),
        ("file-of-another-chunk", r#""name":"data/gen-1/log-1.jl""#, r#""name":"data/gen-1/log-2.jl""#, "", ""),
        ("plan-of-other-chunks", r#""start":{"chunk":{"number":2,"#, r#""start":{"chunk":{"number":1,"#, "", ""),
        (
            "consensus-file-of-u64-max",
            "entries-1.rl",
            "entries-18446744073709551615.rl",
            r#","number":1,"#,
            r#","number":18446744073709551615,"#,
        ),
    ];
    for (name, from, to, also, into) in changes {
        let mut bytes = text(&sealed, from, to);
        if !also.is_empty() {
            bytes = text(&bytes, also, into);
        }
        save("recovery", &format!("nasty-{name}"), &bytes)?;
    }
    Ok(())
}

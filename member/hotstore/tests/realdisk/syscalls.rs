//! Rows 11, 12, 13 and 16: calls of the system fail, once or for ever.
//!
//! Law: after a failed write or sync no chunk is written or synced again under any circumstances; what was acknowledged
//! stays. Must not know: which call is whose.

use crate::Cases;
use crate::script::{self, SCRIPT, calls, spread};
use crate::volume::Volume;
use crate::writer::{Answer, Writer, holds, lives_on};
use std::path::Path;

const MOMENTS: usize = 20;
/// Attempts of one command after which it must have gone well.
const ATTEMPTS: usize = 3;

pub fn add(cases: &mut Cases) {
    cases.on_each("row_11_fsync_fails_once", sync_fails_once);
    cases.on_each("row_12_fsync_fails_for_ever", |volume| for_ever(volume, "fdatasync"));
    cases.on_each("row_13_write_fails_once", write_fails_once);
    cases.on_each("row_13_write_fails_for_ever", |volume| for_ever(volume, "pwrite64"));
    cases.on_each("row_13_a_chunk_cannot_be_read", unreadable);
    cases.on_each("row_16_every_call_is_interrupted_once", interrupted);
    cases.on_each("row_16_writes_are_short", short);
}

/// A command, again after each failure; the process is begun anew where it could not even be opened.
fn insist(writer: &mut Writer, command: &str) {
    for _ in 0..ATTEMPTS {
        match writer.tell(command) {
            Answer::Done(_) => return,
            Answer::Refused(_) => drop(writer.tell("retry")),
            Answer::Gone => panic!("the process died at `{command}`"),
        }
    }
    panic!("`{command}` failed {ATTEMPTS} times");
}

fn traced<'a>(log: &'a str, inject: &'a str) -> [&'a str; 8] {
    ["strace", "-f", "-qq", "-y", "-o", log, "-e", inject]
}

fn sync_fails_once(volume: &Volume) {
    let log = volume.at().join("trace");
    let calls = calls(&volume.dir("counted"), &log);
    let syncs: Vec<usize> = (0..calls.len()).filter(|n| calls[*n].contains("sync")).collect();
    for n in spread(&syncs, MOMENTS) {
        let inject = script::at(&calls, n, "error=EIO");
        assert_eq!(fails_once(volume, &log, &[], &inject), 1, "{inject} was never reached");
    }
}

/// Runs the script with a fault and gives how many calls failed.
fn fails_once(volume: &Volume, log: &Path, above: &[&str], inject: &str) -> usize {
    let dir = volume.dir("store");
    let mut line = traced(log.to_str().unwrap(), inject).to_vec();
    line.extend(above);
    let mut writer = Writer::under(&line, &dir);
    SCRIPT[..SCRIPT.len() - 1].iter().for_each(|command| insist(&mut writer, command));
    let durable = writer.durable;
    writer.end();
    let failed = nothing_again(log);
    let found = lives_on(&dir, durable);
    assert!(found.starts_with("sealed 2 by second"), "{inject}: {found}");
    std::fs::remove_dir_all(&dir).unwrap();
    failed
}

/// Each file has a thread of its own, and the tracer counts each thread for itself: so a file is named.
fn write_fails_once(volume: &Volume) {
    let log = volume.at().join("trace");
    let small = ["identity.a", "identity.b", "boot.a", "owner", "opened-1", "opened-2", "seal-1-1.a", "seal-1-1.b"];
    let small = small.iter().map(|name| format!("{name}.tmp"));
    let chunks = [(1, 1), (1, 2), (1, 3), (2, 4), (2, 5), (2, 6)].map(|(g, n)| format!("data/gen-{g}/log-{n}.jl"));
    let epochs = [(1, 1), (2, 2)].map(|(g, n)| format!("data/gen-{g}/epoch-0000000000000001-1-{n}.je.tmp"));
    let mut met = 0;
    for name in small.chain(chunks).chain(epochs) {
        let path = volume.dir("store").join(&name);
        let inject = "inject=pwrite64:error=EIO:when=1";
        let failed = fails_once(volume, &log, &["-P", path.to_str().unwrap()], inject);
        assert!(failed <= 1, "{name}: {failed}");
        met += failed;
    }
    assert!(met >= 12, "only {met} writes failed");
}

/// A chunk whose write or sync failed is not touched again; gives how many calls failed.
fn nothing_again(log: &Path) -> usize {
    let text = std::fs::read_to_string(log).unwrap();
    let (mut failed, mut given_up) = (0, Vec::new());
    for line in text.lines() {
        let file = line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(file, _)| file);
        let touches = ["pwrite64(", "fdatasync("].iter().any(|call| line.contains(call));
        assert!(!(touches && given_up.contains(&file)), "touched again: {line}\nin {text}");
        if line.contains("(INJECTED)") {
            failed += 1;
            // A name that was only for the making is made again with another file behind it.
            if file.ends_with(".jl") {
                given_up.push(file);
            }
        }
    }
    failed
}

/// From a moment on every call fails: it is said with file and reason, records are taken on, nothing acknowledged goes.
fn for_ever(volume: &Volume, name: &str) {
    let dir = volume.dir("store");
    Writer::on(&dir).all(&[
        "open",
        "go-on",
        "append 50",
        "flush",
        "seal before",
        "go-on",
        "append 7",
        "flush",
        "close",
    ]);
    let log = volume.at().join("trace");
    let newest = newest_chunk(&dir);
    let inject = format!("inject={name}:error=EIO:when=1+");
    let next = dir.join(format!("data/gen-2/log-{}.jl", newest + 1));
    let tmp = dir.join(format!("data/gen-2/log-{}.jl.tmp", newest + 2));
    let mut line = traced(log.to_str().unwrap(), &inject).to_vec();
    for path in [&next, &tmp] {
        line.extend(["-P", path.to_str().unwrap()]);
    }
    let mut writer = Writer::under(&line, &dir);
    writer.all(&["open", "go-on", "append 5"]);
    let why = writer.must_not("flush", "os error 5");
    assert!(why.contains(next.to_str().unwrap()), "it names the file: {why}");
    writer.must("append 5");
    writer.must_not("flush", "nothing is written until it is retried");
    writer.must_not("retry", "os error 5");
    writer.must_not("seal never", "");
    assert!(writer.must("health").contains("failure: Some"));
    writer.must("append 5");
    let durable = writer.kill();
    assert!(nothing_again(&log) > 0);
    assert!(holds(&dir, 57.max(durable)).starts_with("unsealed 2"));
    lives_on(&dir, 57);
}

fn newest_chunk(dir: &Path) -> u64 {
    let rooms = std::fs::read_dir(dir.join("data")).unwrap().map(|room| room.unwrap().path());
    let names = rooms.flat_map(|room| std::fs::read_dir(room).unwrap()).map(|file| file.unwrap().file_name());
    let number = |name: std::ffi::OsString| name.to_str()?.strip_prefix("log-")?.strip_suffix(".jl")?.parse().ok();
    names.filter_map(number).max().unwrap()
}

fn unreadable(volume: &Volume) {
    let dir = volume.dir("store");
    Writer::on(&dir).all(&["open", "go-on", "append 200", "flush", "seal s", "close"]);
    let chunk = dir.join("data/gen-1/log-1.jl");
    let inject = "inject=pread64,read:error=EIO:when=1+";
    let above = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", chunk.to_str().unwrap(), "-e", inject];
    let why = Writer::under(&above, &dir).must_not("open", "os error 5");
    assert!(why.contains("log-1.jl"), "it names the file: {why}");
    assert!(lives_on(&dir, 200).starts_with("sealed 1 by s"), "a read that failed changed nothing");
}

fn interrupted(volume: &Volume) {
    let dir = volume.dir("store");
    let inject = "inject=pwrite64,fdatasync,fsync:error=EINTR:when=1+2";
    let log = volume.at().join("trace");
    let mut writer = Writer::under(&traced(log.to_str().unwrap(), inject), &dir);
    writer.all(&SCRIPT);
    let durable = writer.durable;
    writer.end();
    let text = std::fs::read_to_string(log).unwrap();
    assert!(text.matches("INJECTED").count() > 50, "nothing was interrupted");
    assert!(lives_on(&dir, durable).starts_with("sealed 2 by second"));
}

/// The limit on the size of files cuts a write short, and refuses the rest.
fn short(volume: &Volume) {
    let dir = volume.dir("store");
    // SIGXFSZ is left to the error that comes with it.
    let limited = ["env", "--ignore-signal=XFSZ", "prlimit", "--fsize=40960"];
    let mut writer = Writer::under(&limited, &dir);
    writer.all(&["open", "go-on", "append 10", "flush"]);
    writer.must("append 60");
    let why = writer.must_not("flush", "os error 27");
    assert!(why.contains(".jl"), "it names the file: {why}");
    writer.must_not("retry", "os error 27");
    let durable = writer.kill();
    assert_eq!(durable, 10);
    lives_on(&dir, durable);
}

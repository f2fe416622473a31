//! Row 15: the volume refuses: read-only in the middle, no quota, no right, no more files.
//!
//! Law: each is said with its own words and the file, and nothing acknowledged goes. Must not know: who refuses.

use crate::Cases;
use crate::tools::run;
use crate::volume::{Kind, Volume};
use crate::writer::{Writer, holds, lives_on};
use std::path::Path;

pub fn add(cases: &mut Cases) {
    cases.on_each("row_15_read_only_between_two_starts", read_only);
    cases.with_room("row_15_read_only_under_the_writer_on_ext4", aborted_ext4);
    cases.with_room("row_13_the_file_system_is_shut_down_under_the_writer_on_xfs", shut_down_xfs);
    cases.on_each("row_15_read_only_at_the_start", read_only_at_the_start);
    cases.on_each("row_15_the_quota_is_used_up", quota);
    cases.on_each("row_15_a_directory_takes_no_files", immutable);
    cases.on_each("row_15_no_more_open_files", no_more_files);
}

/// By hand only while no file is open for writing: the writer has closed its store, and opens it again.
fn read_only(volume: &Volume) {
    let dir = volume.dir("store");
    let mut writer = Writer::on(&dir);
    writer.all(&["open", "go-on", "append 30", "flush", "seal s", "go-on", "append 2", "flush", "drop"]);
    volume.remount("ro");
    writer.must_not("open", "os error 30");
    volume.remount("rw");
    writer.all(&["open", "check 32", "go-on", "append 3", "flush"]);
    lives_on(&dir, writer.kill());
}

/// Under the writer, as the kernel does with a file system that it finds damaged.
fn shut_down(room: &Path, kind: Kind, command: &dyn Fn(&str) -> Vec<String>, words: &str) {
    let volume = Volume::new(room, kind);
    let dir = volume.dir("store");
    let mut writer = Writer::on(&dir);
    writer.all(&["open", "go-on", "append 30", "flush", "append 5"]);
    let command = command(volume.at().to_str().unwrap());
    run(&command.iter().map(String::as_str).collect::<Vec<_>>());
    let why = writer.must_not("flush", words);
    assert!(why.contains("log-1.jl"), "it names the file: {why}");
    writer.must("append 5");
    writer.must_not("retry", "os error");
    writer.must_not("seal never", "");
    let durable = writer.kill();
    assert_eq!(durable, 30);
    volume.again();
    assert!(lives_on(&dir, durable).starts_with("unsealed 1"));
}

fn aborted_ext4(room: &Path) {
    let command = |at: &str| ["mount", "-o", "remount,abort", at].map(str::to_owned).to_vec();
    shut_down(room, Kind::Ext4, &command, "os error 30");
}

fn shut_down_xfs(room: &Path) {
    let command = |at: &str| ["xfs_io", "-x", "-c", "shutdown", at].map(str::to_owned).to_vec();
    shut_down(room, Kind::Xfs, &command, "os error 5");
}

fn read_only_at_the_start(volume: &Volume) {
    let dir = volume.dir("store");
    Writer::on(&dir).all(&["open", "go-on", "append 30", "flush", "seal s", "close"]);
    volume.remount("ro");
    Writer::on(&dir).must_not("open", "os error 30");
    volume.remount("rw");
    assert!(lives_on(&dir, 30).starts_with("sealed 1 by s"));
}

fn quota(volume: &Volume) {
    let dir = volume.dir("store");
    Writer::on(&dir).all(&["open", "go-on", "append 30", "flush", "close"]);
    let inject = "inject=pwrite64:error=EDQUOT:when=2+";
    let next = dir.join("data/gen-1/log-2.jl");
    let above = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", next.to_str().unwrap(), "-e", inject];
    let mut writer = Writer::under(&above, &dir);
    writer.all(&["open", "check 30", "go-on", "append 5", "flush", "append 5"]);
    let why = writer.must_not("flush", "os error 122");
    assert!(why.contains("log-2.jl"), "{why}");
    // In another file there is room.
    writer.all(&["retry", "flush"]);
    lives_on(&dir, writer.kill());
}

fn immutable(volume: &Volume) {
    let dir = volume.dir("store");
    let mut writer = Writer::on(&dir);
    writer.all(&["open", "go-on", "append 30", "flush", "seal first", "go-on", "append 5", "flush"]);
    let room = dir.join("data/gen-2");
    run(&["chattr", "+i", room.to_str().unwrap()]);
    writer.must("append 100");
    // A chunk is full and the next cannot be made: what is acknowledged is acknowledged, and the log stands.
    let _ = writer.tell("flush");
    writer.must_not("retry", "os error 1");
    writer.must("append 5");
    run(&["chattr", "-i", room.to_str().unwrap()]);
    writer.all(&["retry", "flush"]);
    lives_on(&dir, writer.kill());
}

fn no_more_files(volume: &Volume) {
    let dir = volume.dir("store");
    Writer::on(&dir).all(&["open", "go-on", "append 30", "flush", "close"]);
    // Three of its own, and the lock: one for the file, none for its directory.
    let mut refused = 0;
    for files in 4..12 {
        let limit = format!("--nofile={files}");
        let mut writer = Writer::under(&["prlimit", &limit], &dir);
        for command in ["open", "check 30", "go-on", "append 100", "flush"] {
            match writer.tell(command) {
                crate::writer::Answer::Done(_) => {}
                crate::writer::Answer::Refused(why) => {
                    assert!(why.contains("os error 24"), "{why}");
                    refused += 1;
                    break;
                }
                crate::writer::Answer::Gone => panic!("the process died at `{command}`"),
            }
        }
        let durable = writer.kill();
        holds(&dir, durable.max(30));
    }
    assert!(refused > 0, "the limit was never met");
    lives_on(&dir, 30);
}

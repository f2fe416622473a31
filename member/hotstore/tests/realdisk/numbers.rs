//! Rows 29 and 62: other numbers of cores than before, and many stops.
//!
//! Must not know: how many are many in production.

use crate::Cases;
use crate::volume::Volume;
use crate::writer::{CHUNK_BYTES, Writer, holds};
use std::path::Path;

/// Starts and stops of a process.
const CYCLES: u64 = 60;

pub fn add(cases: &mut Cases) {
    cases.on_each("row_29_loaded_on_other_cores_and_with_other_limits", other_cores);
    cases.on_each("row_62_sixty_stops_and_returns_leave_no_more_than_few", many_stops);
}

fn other_cores(volume: &Volume) {
    let dir = volume.dir("store");
    Writer::on(&dir).all(&["open", "go-on", "append 500", "flush", "epoch 1", "seal s", "close"]);
    for (cores, chunk_bytes) in [("0", CHUNK_BYTES), ("0", 64 << 20), ("0-1023", 1000)] {
        let mut reader = Writer::with(&["taskset", "--cpu-list", cores], &dir, &[chunk_bytes, 4 << 20]);
        reader.all(&["open", "check 500", "go-on", "append 70", "flush", "seal t", "drop", "open", "check 570"]);
        drop(reader);
        holds(&dir, 570);
    }
}

/// Files and bytes below a directory.
fn size_of(dir: &Path) -> (usize, u64) {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries.fold((0, 0), |(files, bytes), entry| {
        let (more, long) = match entry.file_type().unwrap().is_dir() {
            true => size_of(&entry.path()),
            false => (1, entry.metadata().unwrap().len()),
        };
        (files + more, bytes + long)
    })
}

fn many_stops(volume: &Volume) {
    let dir = volume.dir("store");
    let mut settled = None;
    for cycle in 1..=CYCLES {
        let mut writer = Writer::on(&dir);
        writer.must("open");
        writer.must(&format!("check {}", cycle - 1));
        writer.all(&["go-on", "append 1"]);
        writer.all(&["flush", "prove"]);
        for partition in 0..7 {
            writer.must(&format!("rewrite {partition}"));
        }
        writer.must(&format!("seal stop-{cycle}"));
        writer.must("close");
        writer.end();
        if cycle == CYCLES / 4 {
            settled = Some(size_of(&dir));
        }
    }
    let ((files, bytes), (files_then, bytes_then)) = (size_of(&dir), settled.unwrap());
    assert!(files <= files_then + 4, "{files_then} files, later {files}");
    // What was appended meanwhile, in each of the copies that are kept.
    let grown = CYCLES * 1200 * 4;
    assert!(bytes < bytes_then + grown, "{bytes_then} bytes, later {bytes}");
}

//! A copy of a consensus log that its owner goes on writing to.
//!
//! The law: it is a log that this member had at one moment, not before the copying began: the slot is read before the
//! entries that it speaks of, and the snapshot after them; what does not fit together was caught in motion, and is read
//! again. Must not know: who wants the copy.

use super::durable::Slots;
use super::reading::{self, numbers};
use super::{SNAPSHOT, SnapshotBody, log_path};
use crate::disk::Disk;
use crate::failure::{On, StoreError};
use crate::frame;
use crate::refusal::Refused;
use std::path::Path;
use uuid::Uuid;

/// So often is read what does not fit together. Each reading is longer than a write; a log that is begun anew in each of
/// them is none.
const TRIES: u32 = 16;
const COSTS: &str = "the consensus log in a backup";

/// The files of a log, with their names in its directory.
pub(crate) type Files = Vec<(String, Vec<u8>)>;

/// Reads the log of `line`; again only as long as `go_on` says so.
pub(crate) fn copy(disk: &dyn Disk, dir: &Path, line: Uuid, go_on: &dyn Fn() -> bool) -> Result<Files, StoreError> {
    let mut tries = 1;
    loop {
        match read_once(disk, dir, line) {
            Err(StoreError::Refused(_)) if tries < TRIES && go_on() => tries += 1,
            done => return done,
        }
    }
}

fn read_once(disk: &dyn Disk, dir: &Path, line: Uuid) -> Result<Files, StoreError> {
    let (slots_path, snapshot_path) = (dir.join("durable"), dir.join("snapshot"));
    let slots = present(disk, &slots_path)?;
    let number = numbers(disk, dir)?.last().copied().unwrap_or(1);
    let path = log_path(dir, number);
    let entries = present(disk, &path)?;
    let snapshot = disk.read(&snapshot_path).on("read", &snapshot_path)?;
    let slot = Slots::newest(&slots, &slots_path)?;
    if slot.line != line {
        return Err(Refused::OtherLine { file: slots_path, found: slot.line, own: line }.into());
    }
    reading::read_file(&path, &entries, line, number, Some(slot))?;
    let mut files = vec![("durable".to_owned(), slots), (format!("entries-{number}.rl"), entries)];
    if let Some(snapshot) = snapshot {
        let body = frame::decode::<SnapshotBody>(SNAPSHOT, &snapshot, &snapshot_path, COSTS)?.body;
        if body.line != line {
            return Err(Refused::OtherLine { file: snapshot_path, found: body.line, own: line }.into());
        }
        files.push(("snapshot".to_owned(), snapshot));
    }
    Ok(files)
}

fn present(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>, StoreError> {
    let found = disk.read(path).on("read", path)?;
    found.ok_or_else(|| Refused::Missing { file: path.to_path_buf(), why: "this log line was begun".to_owned() }.into())
}

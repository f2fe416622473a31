//! Reading the consensus log when it is opened.
//!
//! The law: see the head of the room; here it is decided what is cut and what is refused.
//! Must not know: what entries say.

use super::durable::{Durable, Slots};
use super::{Content, Header, LogSnapshot, MAGIC, SNAPSHOT, SnapshotBody, log_path, record};
use crate::disk::Disk;
use crate::failure::{On, StoreError};
use crate::frame;
use crate::layout::LARGEST;
use crate::refusal::Refused;
use std::path::Path;
use uuid::Uuid;

const COSTS: &str = "acknowledged entries and votes of this member";

pub(super) struct FoundLog {
    pub(super) content: Content,
    pub(super) number: u64,
    pub(super) serial: u64,
}

pub(super) fn numbers(disk: &dyn Disk, dir: &Path) -> Result<Vec<u64>, StoreError> {
    let names = disk.list(dir).on("list", dir)?;
    let mut numbers: Vec<u64> =
        names.iter().filter_map(|name| name.strip_prefix("entries-")?.strip_suffix(".rl")?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

pub(super) fn read(disk: &dyn Disk, dir: &Path, line: Uuid, may_begin: bool) -> Result<FoundLog, StoreError> {
    let slot_path = dir.join("durable");
    let slot = Slots::read(disk, &slot_path)?;
    if let Some(slot) = slot.filter(|slot| slot.line != line) {
        return Err(Refused::OtherLine { file: slot_path, found: slot.line, own: line }.into());
    }
    let numbers = numbers(disk, dir)?;
    for (number, file) in numbers
        .last()
        .map(|number| (*number, log_path(dir, *number)))
        .into_iter()
        .chain(slot.map(|slot| (slot.serial, slot_path.clone())))
    {
        if number > LARGEST {
            return Err(Refused::Inconsistent { file, why: format!("number {number} was never counted up to") }.into());
        }
    }
    let Some(number) = numbers.last().copied() else {
        return match (may_begin, slot) {
            (true, None) => Ok(FoundLog { content: Content::default(), number: 0, serial: 0 }),
            _ => Err(Refused::Missing { file: log_path(dir, 1), why: "this log line was begun".to_owned() }.into()),
        };
    };
    // Without a slot the first file was begun and the power went before anything was acknowledged.
    if slot.is_none() && !may_begin {
        return Err(Refused::Missing { file: slot_path, why: "this log line was begun".to_owned() }.into());
    }
    let path = log_path(dir, number);
    let bytes = disk.read(&path).on("read", &path)?.unwrap_or_default();
    let content = read_file(&path, &bytes, line, number, slot)?;
    Ok(FoundLog { content, number, serial: slot.map_or(0, |slot| slot.serial) })
}

pub(super) fn read_file(
    path: &Path,
    bytes: &[u8],
    line: Uuid,
    number: u64,
    slot: Option<Durable>,
) -> Result<Content, Refused> {
    let frame = frame::decode::<Header>(MAGIC, bytes, path, COSTS)?;
    let header = frame.body;
    if header.line != line {
        return Err(Refused::OtherLine { file: path.to_path_buf(), found: header.line, own: line });
    }
    if header.number != number {
        let why = format!("it says that it is file {}", header.number);
        return Err(Refused::Inconsistent { file: path.to_path_buf(), why });
    }
    let mut durable = header.first_bytes.saturating_add(frame.length as u64);
    match slot {
        Some(slot) if slot.file > number => {
            let why = format!("file {} was durable up to entry {}", slot.file, slot.index);
            return Err(Refused::Missing { file: path.with_file_name(format!("entries-{}.rl", slot.file)), why });
        }
        Some(slot) if slot.file == number => durable = durable.max(slot.length),
        _ => {}
    }
    let (mut content, mut at) = (Content::default(), frame.length);
    while at < bytes.len() {
        match record::decode(bytes, at, header.file_id) {
            Ok(raw) => {
                content.apply(raw.kind, raw.index, raw.term, raw.payload);
                at += raw.size;
            }
            Err(what) if (at as u64) < durable => {
                let (file, what) = (path.to_path_buf(), what.to_owned());
                return Err(Refused::Damaged { file, offset: at as u64, what, costs: COSTS.to_owned() });
            }
            Err(_) => break,
        }
    }
    if (at as u64) < durable {
        return Err(Refused::BelowDurable { file: path.to_path_buf(), found: at as u64, recorded: durable });
    }
    Ok(content)
}

pub(super) fn read_snapshot(disk: &dyn Disk, dir: &Path, line: Uuid) -> Result<Option<LogSnapshot>, StoreError> {
    let path = dir.join("snapshot");
    let Some(frame) = frame::load::<SnapshotBody>(disk, SNAPSHOT, &path, COSTS)? else { return Ok(None) };
    if frame.body.line != line {
        return Err(Refused::OtherLine { file: path, found: frame.body.line, own: line }.into());
    }
    Ok(Some(LogSnapshot { meta: frame.body.meta, bytes: frame.blob }))
}

/// Files that a newer, durable one replaced. A failure costs only room.
pub(super) fn remove_older(disk: &dyn Disk, dir: &Path, newest: u64) {
    let Ok(numbers) = numbers(disk, dir) else { return };
    for number in numbers.into_iter().filter(|number| *number < newest) {
        if let Err(error) = disk.remove(&log_path(dir, number)) {
            tracing::warn!(%error, number, "an old log file could not be removed; it only costs room");
        }
    }
}

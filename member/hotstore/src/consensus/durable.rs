//! The durable record of the consensus log: how far which file was synced, in two slots written in turn.
//!
//! The law: a slot is written only after the sync it speaks of; a log that ends below it lost acknowledged entries.
//! The slot itself is synced when entries are purged and when a file is begun, so after a power loss it may be behind, never ahead.
//! Must not know: entries.

use crate::disk::{Disk, DiskFile};
use crate::failure::{On, StoreError};
use crate::frame::{self, Magic};
use crate::refusal::Refused;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use uuid::Uuid;

const MAGIC: Magic = *b"JETDURAB";
/// Distance of the slots.
const SLOT: u64 = 4096;

/// What was durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Durable {
    pub(super) line: Uuid,
    /// Grows with each writing.
    pub(super) serial: u64,
    /// Number of the log file.
    pub(super) file: u64,
    /// Its durable length.
    pub(super) length: u64,
    /// Last index then; for messages.
    pub(super) index: u64,
}

pub(super) struct Slots {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    pub(super) last: Durable,
}

impl Slots {
    /// Reads the newest whole slot. `None`: the file is not there.
    pub(super) fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Durable>, StoreError> {
        let Some(bytes) = disk.read(path).on("read", path)? else { return Ok(None) };
        Ok(Some(Slots::newest(&bytes, path)?))
    }

    /// The newest whole slot of these bytes.
    pub(super) fn newest(bytes: &[u8], path: &Path) -> Result<Durable, Refused> {
        let costs = "how far the consensus log was acknowledged";
        let slots = [0, SLOT as usize]
            .map(|at| frame::decode::<Durable>(MAGIC, bytes.get(at..).unwrap_or_default(), path, costs));
        let newest =
            slots.iter().filter_map(|slot| slot.as_ref().ok()).map(|frame| frame.body).max_by_key(|d| d.serial);
        match (newest, slots) {
            (Some(durable), _) => Ok(durable),
            (None, [Err(reason), _]) => Err(reason),
            (None, _) => Err(Refused::Missing { file: path.to_path_buf(), why: "no slot is whole".to_owned() }),
        }
    }

    /// Makes a new file with both slots, durable on return.
    pub(super) fn create(disk: &dyn Disk, path: &Path, durable: Durable) -> Result<Slots, StoreError> {
        let mut bytes = frame::encode(MAGIC, &durable, &[])?;
        let one = bytes.clone();
        bytes.resize(SLOT as usize, 0);
        bytes.extend_from_slice(&one);
        bytes.resize(2 * SLOT as usize, 0);
        frame::save(disk, path, &bytes)?;
        let file = disk.open(path).on("open", path)?;
        Ok(Slots { path: path.to_path_buf(), file, last: durable })
    }

    /// Writes the slot that is not the newest.
    pub(super) fn write(&mut self, file: u64, length: u64, index: u64) -> Result<(), StoreError> {
        let next = Durable { serial: self.last.serial + 1, file, length, index, ..self.last };
        let bytes = frame::encode(MAGIC, &next, &[])?;
        self.file.write_at((next.serial % 2) * SLOT, &bytes).on("write", &self.path)?;
        self.last = next;
        Ok(())
    }

    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        self.file.sync().on("fsync", &self.path)
    }
}

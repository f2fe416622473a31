//! Snapshot epochs of jobs: one file each, whole and durable under its name or not there.
//!
//! The law: an epoch file is never changed and only dropped whole. A part that does not verify ends the reading with an error.
//! Must not know: what a part means, which epoch was committed where.

use crate::disk::{Disk, DiskFile};
use crate::failure::{On, StoreError};
use crate::frame::{self, Magic};
use crate::layout;
use crate::log::appender::Origin;
use crate::log::queue::Closed;
use crate::log::record::checksum;
use crate::refusal::Refused;
use crate::stillness::Stillness;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

const HEAD: Magic = *b"JETEPOCH";
const INDEX: Magic = *b"JETINDEX";
/// Bytes before a part's content.
pub const PART_HEAD: usize = 16;
/// The last bytes of the file: offset of the index, its checksum.
pub const FOOTER: usize = 16;
/// An index is shorter.
const LONGEST_INDEX: u64 = 4096;
/// A longer part is refused.
pub const LONGEST_PART: usize = 256 << 20;
/// Parts are written in pieces of about this many bytes.
const WRITE_BYTES: usize = 1 << 20;
const COSTS: &str = "this snapshot epoch of the job; an older durable one may be there";

/// Names one snapshot epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EpochId {
    /// Job.
    pub job: u64,
    /// Execution of the job.
    pub execution: u64,
    /// Epoch of that execution.
    pub epoch: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    founding: Uuid,
    member: Uuid,
    generation: u64,
    id: EpochId,
    file_id: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Index {
    parts: u64,
    bytes: u64,
    digest: String,
}

/// A finished epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochInfo {
    /// Its name.
    pub id: EpochId,
    /// Generation (directory) that it was written in.
    pub generation: u64,
    /// Number of parts.
    pub parts: u64,
    /// Bytes of all parts together.
    pub bytes: u64,
    /// blake3 over everything before the index, hex.
    pub digest: String,
    /// Length of the file.
    pub length: u64,
}

/// One part of an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochPart {
    /// Vertex of the job.
    pub vertex: u32,
    /// Partition.
    pub partition: u16,
    /// Content.
    pub bytes: Vec<u8>,
}

/// The finished epochs of a store.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    /// Nothing is put on it any more (a seal is being made or stands).
    pub(crate) closed: bool,
    /// Finished epochs.
    pub(crate) finished: BTreeMap<EpochId, EpochInfo>,
}

/// Writes one epoch. Dropped without [`EpochWriter::finish`], nothing of it counts.
pub struct EpochWriter {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    tmp: PathBuf,
    file: Box<dyn DiskFile>,
    hasher: blake3::Hasher,
    buffer: Vec<u8>,
    written: u64,
    file_id: u64,
    info: EpochInfo,
    failed: bool,
    shelf: Arc<Mutex<Shelf>>,
    still: Stillness,
}

impl EpochWriter {
    pub(crate) fn begin(
        disk: Arc<dyn Disk>,
        dir: &Path,
        origin: Origin,
        generation: u64,
        id: EpochId,
        shelf: Arc<Mutex<Shelf>>,
        still: Stillness,
    ) -> Result<Self, StoreError> {
        let path = layout::epoch(dir, generation, id.job, id.execution, id.epoch);
        let tmp = path.with_extension("je.tmp");
        let file_id = disk.fresh().as_u64_pair().0;
        let head = Head { founding: origin.founding, member: origin.member, generation, id, file_id };
        let buffer = frame::encode(HEAD, &head, &[])?;
        let file = disk.create(&tmp).on("create", &tmp)?;
        let info = EpochInfo { id, generation, parts: 0, bytes: 0, digest: String::new(), length: 0 };
        Ok(EpochWriter {
            disk,
            path,
            tmp,
            file,
            hasher: blake3::Hasher::new(),
            buffer,
            written: 0,
            file_id,
            info,
            failed: false,
            shelf,
            still,
        })
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.hasher.update(&self.buffer);
        self.file.write_at(self.written, &self.buffer).on("write", &self.tmp).inspect_err(|_| self.failed = true)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn usable(&self) -> Result<(), StoreError> {
        match self.failed {
            true => Err(StoreError::Failed { file: self.tmp.clone(), reason: "a former write failed".to_owned() }),
            false => Ok(()),
        }
    }

    /// Adds a part; not durable before [`EpochWriter::finish`].
    pub fn put(&mut self, vertex: u32, partition: u16, bytes: &[u8]) -> Result<(), StoreError> {
        self.usable()?;
        if bytes.len() > LONGEST_PART {
            let why = format!("{} bytes are more than {LONGEST_PART}", bytes.len());
            return Err(StoreError::Misuse { call: "put a part of an epoch", why });
        }
        let (start, offset) = (self.buffer.len(), self.written + self.buffer.len() as u64);
        self.buffer.extend_from_slice(&[0; 4]);
        self.buffer.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.buffer.extend_from_slice(&vertex.to_le_bytes());
        self.buffer.extend_from_slice(&u32::from(partition).to_le_bytes());
        self.buffer.extend_from_slice(bytes);
        let sum = checksum(self.file_id, offset, &self.buffer[start + 4..]);
        self.buffer[start..start + 4].copy_from_slice(&sum.to_le_bytes());
        self.info.parts += 1;
        self.info.bytes += bytes.len() as u64;
        if self.buffer.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    /// Makes the epoch durable and gives it its name.
    pub fn finish(mut self) -> Result<EpochInfo, StoreError> {
        self.usable()?;
        self.flush()?;
        let (parts, bytes) = (self.info.parts, self.info.bytes);
        self.info.digest = self.hasher.finalize().to_hex().to_string();
        let index = frame::encode(INDEX, &Index { parts, bytes, digest: self.info.digest.clone() }, &[])?;
        let at = self.written;
        self.buffer.extend_from_slice(&index);
        self.buffer.extend_from_slice(&at.to_le_bytes());
        self.buffer.extend_from_slice(&u64::from(checksum(self.file_id, at, &index)).to_le_bytes());
        self.flush()?;
        self.file.sync().on("fsync", &self.tmp)?;
        self.info.length = self.written;
        let still = self.still.clone();
        let _changes = still.change();
        // Held over the rename, so that a seal sees the epoch whole or never.
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        if shelf.closed {
            return Err(StoreError::Closed { call: "finish an epoch", why: Closed::Sealing });
        }
        self.disk.rename(&self.tmp, &self.path).on("rename", &self.tmp)?;
        // What lay there under this name is gone, whatever becomes of the directory.
        if let Some(replaced) = shelf.finished.get_mut(&self.info.id) {
            *replaced = self.info.clone();
        }
        let room = self.path.parent().unwrap_or(Path::new("."));
        self.disk.sync_dir(room).on("fsync the directory", room)?;
        shelf.finished.insert(self.info.id, self.info.clone());
        Ok(self.info.clone())
    }
}

fn damaged(file: &Path, offset: u64, what: &str) -> Refused {
    Refused::Damaged { file: file.to_path_buf(), offset, what: what.to_owned(), costs: COSTS.to_owned() }
}

fn head_of(bytes: &[u8], file: &Path) -> Result<(Head, usize), Refused> {
    let frame = frame::decode::<Head>(HEAD, bytes, file, COSTS)?;
    Ok((frame.body, frame.length))
}

/// Reads header and index of an epoch file, not its parts. Also gives founding id and member.
pub(crate) fn survey(disk: &dyn Disk, file: &Path, length: u64) -> Result<(Uuid, Uuid, EpochInfo), StoreError> {
    let start = disk.read_part(file, 0, 4096.min(length as usize)).on("read", file)?;
    let (head, _) = head_of(&start, file)?;
    if length < FOOTER as u64 {
        return Err(damaged(file, length, "ends before its footer").into());
    }
    let footer = disk.read_part(file, length - FOOTER as u64, FOOTER).on("read", file)?;
    let room = length - FOOTER as u64;
    if footer.len() < FOOTER {
        return Err(damaged(file, room, "ends before its footer").into());
    }
    let (at, sum) = (number(&footer, 0), number(&footer, 8));
    if at > room || room - at > LONGEST_INDEX {
        return Err(damaged(file, room, "footer fails its checksum").into());
    }
    let bytes = disk.read_part(file, at, (room - at) as usize).on("read", file)?;
    if u64::from(checksum(head.file_id, at, &bytes)) != sum {
        return Err(damaged(file, room, "footer fails its checksum").into());
    }
    let index = frame::decode::<Index>(INDEX, &bytes, file, COSTS)?.body;
    let (parts, bytes) = (index.parts, index.bytes);
    let info = EpochInfo { id: head.id, generation: head.generation, parts, bytes, digest: index.digest, length };
    Ok((head.founding, head.member, info))
}

fn number(bytes: &[u8], at: usize) -> u64 {
    let mut out = [0; 8];
    out.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(out)
}

/// Reads the parts of one epoch in the order in which they were put.
pub struct EpochReader {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file_id: u64,
    at: u64,
    end: u64,
    parts_left: u64,
    bytes_left: u64,
    hasher: blake3::Hasher,
    digest: String,
    done: bool,
}

impl EpochReader {
    pub(crate) fn open(disk: Arc<dyn Disk>, path: PathBuf, info: &EpochInfo) -> Result<Self, StoreError> {
        let start = disk.read_part(&path, 0, 4096.min(info.length as usize)).on("read", &path)?;
        let (head, head_length) = head_of(&start, &path)?;
        let footer = disk.read_part(&path, info.length - FOOTER as u64, FOOTER).on("read", &path)?;
        if footer.len() < FOOTER {
            return Err(damaged(&path, info.length, "ends before its footer").into());
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(&start[..head_length]);
        Ok(EpochReader {
            disk,
            file_id: head.file_id,
            at: head_length as u64,
            end: number(&footer, 0),
            parts_left: info.parts,
            bytes_left: info.bytes,
            hasher,
            digest: info.digest.clone(),
            done: false,
            path,
        })
    }

    fn step(&mut self) -> Result<Option<EpochPart>, StoreError> {
        if self.at == self.end {
            let is_all = self.parts_left == 0 && self.bytes_left == 0;
            return match is_all && self.hasher.finalize().to_hex().as_str() == self.digest {
                true => Ok(None),
                false => Err(damaged(&self.path, self.end, "its content is not what its index says").into()),
            };
        }
        let head = self.disk.read_part(&self.path, self.at, PART_HEAD).on("read", &self.path)?;
        let bad = damaged(&self.path, self.at, "part fails its checksum");
        if head.len() < PART_HEAD || self.parts_left == 0 {
            return Err(bad.into());
        }
        let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (length, vertex, partition) = (word(4) as usize, word(8), word(12));
        if length > LONGEST_PART || self.at + (PART_HEAD + length) as u64 > self.end {
            return Err(bad.into());
        }
        let whole = self.disk.read_part(&self.path, self.at, PART_HEAD + length).on("read", &self.path)?;
        if whole.len() < PART_HEAD + length || checksum(self.file_id, self.at, &whole[4..]) != word(0) {
            return Err(bad.into());
        }
        let Ok(partition) = u16::try_from(partition) else {
            return Err(damaged(&self.path, self.at, "part of a partition that cannot be").into());
        };
        self.bytes_left = self.bytes_left.checked_sub(length as u64).ok_or(bad)?;
        self.hasher.update(&whole);
        self.at += whole.len() as u64;
        self.parts_left -= 1;
        Ok(Some(EpochPart { vertex, partition, bytes: whole[PART_HEAD..].to_vec() }))
    }
}

impl Iterator for EpochReader {
    type Item = Result<EpochPart, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let item = self.step().transpose();
        self.done = !matches!(item, Some(Ok(_)));
        item
    }
}

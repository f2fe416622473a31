//! Files of grains: the head, then what each write gave, as one grain: its length and a checksum of that, the content, the tag.
//!
//! The law: a grain is encrypted once, under the number of the byte at which it begins. Reading ends where no grain begins;
//! one that does not decrypt reads as zeros. Must not know: what the content is.

use super::head::{FileKey, TAG_BYTES};
use super::{misuse, not_failed_before};
use crate::disk::{BLOCK, Batch, DiskFile};
use std::io;

/// Bytes before the content: length, checksum of it.
const BEFORE: usize = 8;

fn before(at: u64, length: u32) -> [u8; BEFORE] {
    let mut out = [0; BEFORE];
    out[..4].copy_from_slice(&length.to_le_bytes());
    let sum = crc32c::crc32c_append(crc32c::crc32c(&at.to_le_bytes()), &out[..4]);
    out[4..].copy_from_slice(&sum.to_le_bytes());
    out
}

/// Length of the content of the grain that begins at `at`; `None`: none does.
fn grain_at(raw: &[u8], at: usize) -> Option<usize> {
    let told: [u8; BEFORE] = raw.get(at..at + BEFORE)?.try_into().ok()?;
    let length = u32::from_le_bytes([told[0], told[1], told[2], told[3]]);
    let fits = raw.len() - at - BEFORE >= length as usize + TAG_BYTES;
    (before(at as u64, length) == told && fits).then_some(length as usize)
}

/// Bytes of content in a whole file.
pub(super) fn length(raw: &[u8]) -> u64 {
    let (mut sum, mut at) = (0, BLOCK);
    while let Some(length) = grain_at(raw, at) {
        sum += length as u64;
        at += BEFORE + length + TAG_BYTES;
    }
    sum
}

/// The content of a whole file.
pub(super) fn read_all(key: &FileKey, raw: &[u8]) -> Vec<u8> {
    read(key, raw).0
}

/// The content, and where the next grain would begin.
fn read(key: &FileKey, raw: &[u8]) -> (Vec<u8>, usize) {
    let (mut content, mut at) = (Vec::with_capacity(raw.len()), BLOCK);
    while let Some(length) = grain_at(raw, at) {
        let mut grain = raw[at + BEFORE..][..length + TAG_BYTES].to_vec();
        match key.open(at as u64, &raw[at..at + BEFORE], &mut grain) {
            Some(plain) => content.extend_from_slice(plain),
            None => content.resize(content.len() + length, 0),
        }
        at += BEFORE + length + TAG_BYTES;
    }
    (content, at)
}

/// A file that goes on after each sync.
pub(super) struct Grains {
    file: Box<dyn DiskFile>,
    key: FileKey,
    /// Not written yet.
    head: Batch,
    /// Where the next grain begins.
    at: u64,
    /// Bytes of content.
    length: u64,
    failed: bool,
}

impl Grains {
    pub fn begin(file: Box<dyn DiskFile>, head: Batch, key: FileKey) -> Self {
        Self { file, key, head, at: BLOCK as u64, length: 0, failed: false }
    }

    /// Goes on behind the last grain of a file that was saved whole a moment ago, and that nobody has written on since: a grain
    /// that was lost would be encrypted once more under its number.
    pub fn go_on(file: Box<dyn DiskFile>, key: FileKey, raw: &[u8]) -> io::Result<Self> {
        let (content, end) = read(&key, raw);
        if end != raw.len() {
            return Err(misuse("written on where it is whole; this one is not, a new one is needed"));
        }
        let (at, length) = (end as u64, content.len() as u64);
        Ok(Self { file, key, head: Batch::new(BLOCK), at, length, failed: false })
    }
}

impl DiskFile for Grains {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        not_failed_before(&mut self.failed)?;
        if offset != self.length {
            return Err(misuse("written in order"));
        }
        let length = u32::try_from(bytes.len()).map_err(|_| misuse("written in pieces below 4 GiB"))?;
        let before = before(self.at, length);
        let mut out = std::mem::replace(&mut self.head, Batch::new(BLOCK));
        let begin = self.at - out.len() as u64;
        out.extend_from_slice(&before);
        let content = out.len();
        out.extend_from_slice(bytes);
        let tag = self.key.seal(self.at, &before, &mut out[content..])?;
        out.extend_from_slice(tag.as_ref());
        self.file.write_at(begin, &out)?;
        self.at = begin + out.len() as u64;
        self.length += bytes.len() as u64;
        self.failed = false;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        not_failed_before(&mut self.failed)?;
        if !self.head.is_empty() {
            self.file.write_at(0, &self.head)?;
            self.head.clear();
        }
        self.file.sync()?;
        self.failed = false;
        Ok(())
    }
}

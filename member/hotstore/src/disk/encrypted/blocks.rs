//! Files of encrypted blocks: the head, then blocks of [`BLOCK`] bytes, each [`PLAIN`] bytes of content and the tag that proves
//! them; the last one may be shorter.
//!
//! The law: block n is encrypted once, under number n. What comes behind the end of a shorter block was never written. A block
//! that does not decrypt reads as zeros. Must not know: what the content is.

use super::head::{FileKey, TAG_BYTES};
use super::{misuse, not_failed_before};
use crate::disk::{AppendFile, BLOCK, Batch, Disk, DiskFile, batch, zeroed};
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Bytes of content in a block.
pub(super) const PLAIN: usize = BLOCK - TAG_BYTES;
/// Blocks read at once.
const AT_ONCE: usize = 256;

/// Where a block lies in the file.
fn place(block: u64) -> u64 {
    (block + 1).saturating_mul(BLOCK as u64)
}

/// Bytes of content in a file of this length.
pub(super) fn length(file: u64) -> u64 {
    let content = file.saturating_sub(BLOCK as u64);
    let (blocks, rest) = (content / BLOCK as u64, content % BLOCK as u64);
    blocks * PLAIN as u64 + plain_bytes(rest as usize) as u64
}

/// Bytes of content in what there is of a block. What is too short for a tag counts as one, so that it is not overlooked.
fn plain_bytes(there: usize) -> usize {
    if there == 0 { 0 } else { there.saturating_sub(TAG_BYTES).max(1) }
}

/// Encrypts content that fills blocks, but for the last of a file, to the end of `out`.
fn encrypt(key: &FileKey, mut block: u64, content: &[u8], out: &mut Batch) -> io::Result<()> {
    for plain in content.chunks(PLAIN) {
        let begin = out.len();
        out.extend_from_slice(plain);
        let tag = key.seal(block, &[], &mut out[begin..])?;
        out.extend_from_slice(tag.as_ref());
        block += 1;
    }
    Ok(())
}

/// Puts the content of a block in its place, zeros if it is not what was written; gives its length.
fn decrypt(key: &FileKey, block: u64, bytes: &mut [u8]) -> usize {
    let length = plain_bytes(bytes.len());
    if key.open(block, &[], bytes).is_none_or(<[u8]>::is_empty) {
        bytes[..length].fill(0);
    }
    length
}

/// The content of raw blocks, the first of which is number `first` and begins at `begin`.
fn content_of(key: &FileKey, first: u64, mut raw: Vec<u8>, begin: usize) -> Vec<u8> {
    let mut end = 0;
    for (number, at) in (begin..raw.len()).step_by(BLOCK).enumerate() {
        let bytes = (raw.len() - at).min(BLOCK);
        let length = decrypt(key, first + number as u64, &mut raw[at..at + bytes]);
        raw.copy_within(at..at + length, end);
        end += length;
    }
    raw.truncate(end);
    raw
}

/// The content of a whole file.
pub(super) fn read_all(key: &FileKey, raw: Vec<u8>) -> Vec<u8> {
    content_of(key, 0, raw, BLOCK)
}

/// Reads up to `length` bytes of content from `offset` on, as the disk reads parts: they may be in the page cache.
pub(super) fn read_part(
    disk: &dyn Disk,
    path: &Path,
    key: &FileKey,
    offset: u64,
    length: usize,
) -> io::Result<Vec<u8>> {
    let (first, skip) = (offset / PLAIN as u64, (offset % PLAIN as u64) as usize);
    let wanted = skip.saturating_add(length);
    let raw = disk.read_part(path, place(first), wanted.div_ceil(PLAIN).saturating_mul(BLOCK))?;
    let mut content = content_of(key, first, raw, 0);
    content.truncate(wanted);
    content.drain(..skip.min(content.len()));
    Ok(content)
}

/// Reads content from `offset` on until `into` is full or the file ends, as the disk reads into buffers: from the device.
pub(super) fn read_into(
    disk: &dyn Disk,
    path: &Path,
    key: &FileKey,
    offset: u64,
    into: &mut [u8],
) -> io::Result<usize> {
    let blocks = |bytes: usize| bytes.div_ceil(PLAIN) + 1;
    let mut raw = zeroed(blocks(into.len()).min(AT_ONCE) * BLOCK);
    let mut done = 0;
    while done < into.len() {
        let at = offset + done as u64;
        let (first, mut skip) = (at / PLAIN as u64, (at % PLAIN as u64) as usize);
        let wanted = blocks(into.len() - done).min(AT_ONCE) * BLOCK;
        let read = disk.read_into(path, place(first), &mut raw[..wanted])?;
        for (number, bytes) in raw[..read].chunks_mut(BLOCK).enumerate() {
            let length = decrypt(key, first + number as u64, bytes);
            let part = &bytes[skip.min(length)..length];
            let part = &part[..part.len().min(into.len() - done)];
            into[done..done + part.len()].copy_from_slice(part);
            (done, skip) = (done + part.len(), 0);
        }
        if read < wanted {
            break;
        }
    }
    Ok(done)
}

/// Takes batches and gives them on encrypted.
pub(super) struct Blocks {
    file: Box<dyn AppendFile>,
    key: FileKey,
    /// Not written yet.
    head: Option<Batch>,
    /// What was handed over last, of which nothing but the last two can be under way.
    given: VecDeque<Arc<Batch>>,
    spare: Option<Batch>,
    length: u64,
    failed: bool,
}

impl Blocks {
    pub fn begin(file: Box<dyn AppendFile>, head: Batch, key: FileKey) -> Self {
        Self { file, key, head: Some(head), given: VecDeque::new(), spare: None, length: 0, failed: false }
    }

    fn hand_over(&mut self, at: u64, out: Batch) -> io::Result<()> {
        let out = Arc::new(out);
        self.file.append(at, out.clone())?;
        self.given.push_back(out);
        if self.given.len() > 2 {
            self.spare = self.given.pop_front().and_then(|written| Arc::try_unwrap(written).ok());
        }
        Ok(())
    }
}

impl AppendFile for Blocks {
    fn alignment(&self) -> usize {
        PLAIN
    }

    fn append(&mut self, offset: u64, filled: Arc<Batch>) -> io::Result<()> {
        not_failed_before(&mut self.failed)?;
        if offset != self.length || !filled.len().is_multiple_of(PLAIN) {
            return Err(misuse("written in whole blocks, one behind the other"));
        }
        let blocks = filled.len() / PLAIN;
        let mut out = self.spare.take().unwrap_or_else(|| batch((blocks + 1) * BLOCK));
        out.clear();
        let head = self.head.take();
        out.extend_from_slice(head.as_deref().unwrap_or_default());
        let first = offset / PLAIN as u64;
        encrypt(&self.key, first, &filled, &mut out)?;
        let at = if head.is_some() { 0 } else { place(first) };
        self.hand_over(at, out)?;
        self.length += filled.len() as u64;
        self.failed = false;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        not_failed_before(&mut self.failed)?;
        if let Some(head) = self.head.take() {
            self.hand_over(0, head)?;
        }
        self.file.sync()?;
        self.failed = false;
        Ok(())
    }
}

/// A file that is written in order and ends with its sync.
pub(super) struct Whole {
    file: Box<dyn DiskFile>,
    key: FileKey,
    /// Encrypted and not written yet; the head at first.
    ready: Batch,
    /// Written.
    written: u64,
    /// Content of the block that is not full.
    rest: Vec<u8>,
    block: u64,
    failed: bool,
    ended: bool,
}

impl Whole {
    pub fn begin(file: Box<dyn DiskFile>, head: Batch, key: FileKey) -> Self {
        let rest = Vec::with_capacity(PLAIN);
        Self { file, key, ready: head, written: 0, rest, block: 0, failed: false, ended: false }
    }

    fn length(&self) -> u64 {
        self.block * PLAIN as u64 + self.rest.len() as u64
    }

    fn write_ready(&mut self) -> io::Result<()> {
        self.file.write_at(self.written, &self.ready)?;
        self.written += self.ready.len() as u64;
        self.ready.clear();
        Ok(())
    }

    fn encrypt_rest(&mut self) -> io::Result<()> {
        encrypt(&self.key, self.block, &self.rest, &mut self.ready)?;
        self.block += 1;
        self.rest.clear();
        Ok(())
    }
}

impl DiskFile for Whole {
    fn write_at(&mut self, offset: u64, mut bytes: &[u8]) -> io::Result<()> {
        not_failed_before(&mut self.failed)?;
        if self.ended || offset != self.length() {
            return Err(misuse("written in order, up to its sync, and not again"));
        }
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PLAIN - self.rest.len()));
            self.rest.extend_from_slice(now);
            bytes = later;
            if self.rest.len() == PLAIN {
                self.encrypt_rest()?;
            }
        }
        if !self.ready.is_empty() {
            self.write_ready()?;
        }
        self.failed = false;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        not_failed_before(&mut self.failed)?;
        if !self.rest.is_empty() && !self.ended {
            self.encrypt_rest()?;
            self.write_ready()?;
        }
        self.ended = true;
        self.file.sync()?;
        self.failed = false;
        Ok(())
    }
}

//! The chunk that is written to: what is filled, what was handed over, what is durable.
//!
//! The law: batches begin and end at blocks of the device, so that no byte is ever written twice. Must not know: when a
//! chunk is full, and what follows it.

use crate::disk::{AppendFile, BLOCK, Batch, batch};
use crate::failure::{On, StoreError};
use crate::log::chunk::{ChunkHeader, ChunkId};
use crate::log::record::{self, Record};
use std::path::PathBuf;

/// Records are handed to the disk in batches of about this many bytes.
pub const BATCH_BYTES: usize = 1 << 20;

pub(super) struct OpenChunk {
    pub id: ChunkId,
    pub file_id: u64,
    pub path: PathBuf,
    pub file: Box<dyn AppendFile>,
    /// Filled and not handed over yet.
    pub batch: Batch,
    /// Handed over.
    pub length: u64,
    pub durable: u64,
    /// Up to here a mark says that it is durable.
    pub marked: u64,
    /// Nothing is written behind it but records.
    pub ended: bool,
}

impl OpenChunk {
    /// Where the next record comes.
    pub fn end(&self) -> u64 {
        self.length + self.batch.len() as u64
    }

    pub fn put(&mut self, record: &Record) {
        record.encode(self.file_id, self.end(), &mut self.batch);
    }

    /// Says first what is durable by now.
    pub fn put_mark(&mut self) {
        self.ended = false;
        if self.batch.is_empty() && self.durable > self.marked {
            self.marked = self.durable;
            self.put(&record::mark(self.durable));
        }
    }

    /// Hands over what is filled.
    pub fn give(&mut self) -> Result<(), StoreError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        fill_up(&mut self.batch, self.file_id, self.length, self.file.alignment());
        let filled = std::mem::replace(&mut self.batch, batch(0));
        let length = filled.len() as u64;
        self.batch = self.file.append(self.length, filled).on("write", &self.path)?;
        if self.batch.capacity() > 2 * BATCH_BYTES {
            // One long record is no reason to keep so much.
            self.batch = batch(BATCH_BYTES + 16 * BLOCK);
        }
        self.length += length;
        Ok(())
    }
}

/// A chunk that has no name yet.
pub(super) struct First {
    pub file: Box<dyn AppendFile>,
    pub header: ChunkHeader,
    /// Empty, to be filled next.
    pub batch: Batch,
    pub length: u64,
    pub placed: Vec<(u64, Record)>,
}

/// Fills a batch that begins at `offset` up to the next block.
pub(super) fn fill_up(batch: &mut Batch, file_id: u64, offset: u64, alignment: usize) {
    let room = batch.len().next_multiple_of(alignment) - batch.len();
    if let Some(pad) = record::pad(room, alignment) {
        pad.encode(file_id, offset + batch.len() as u64, batch);
    }
}

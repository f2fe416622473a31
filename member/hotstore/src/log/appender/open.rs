//! The chunk that is written to: what was handed over, what is durable.
//!
//! The law: batches begin and end at blocks of the device, so that no byte is ever written twice. Must not know: when a
//! chunk is full, and what follows it.

use crate::disk::{AppendFile, Batch, batch};
use crate::failure::{On, StoreError};
use crate::log::chunk::{ChunkHeader, ChunkId};
use crate::log::lot::{Kept, Lot, fill_up};
use crate::log::plan::Head;
use crate::log::record;
use std::path::PathBuf;
use std::sync::Arc;

pub(super) struct OpenChunk {
    pub id: ChunkId,
    pub file_id: u64,
    pub path: PathBuf,
    pub file: Box<dyn AppendFile>,
    /// Handed over.
    pub length: u64,
    pub durable: u64,
    /// Up to here a mark says that it is durable.
    pub marked: u64,
    /// Nothing is written behind it but records.
    pub ended: bool,
}

impl OpenChunk {
    /// What is durable and was not said yet; it is from now on.
    fn news(&mut self) -> Option<u64> {
        self.ended = false;
        let news = self.durable > self.marked;
        self.marked = self.durable;
        news.then_some(self.durable)
    }

    /// Gives a lot its place; says first what is durable by now.
    pub fn place(&mut self, lot: Lot) -> Kept {
        let durable = self.news();
        lot.place((self.file_id, self.length), durable, self.file.alignment())
    }

    /// A mark alone, if there is something to say.
    pub fn mark(&mut self) -> Option<Arc<Batch>> {
        let durable = self.news()?;
        let mut mark = batch(2 * self.file.alignment());
        record::mark(durable).encode(self.file_id, self.length, &mut mark);
        fill_up(&mut mark, self.file_id, self.length, self.file.alignment());
        Some(Arc::new(mark))
    }

    /// Hands over what lies next.
    pub fn give(&mut self, batch: Arc<Batch>) -> Result<(), StoreError> {
        let length = batch.len() as u64;
        self.file.append(self.length, batch).on("write", &self.path)?;
        self.length += length;
        Ok(())
    }
}

/// A chunk that has no name yet.
pub(super) struct First {
    pub file: Box<dyn AppendFile>,
    pub header: ChunkHeader,
    pub length: u64,
    pub placed: Vec<(u64, Head)>,
}

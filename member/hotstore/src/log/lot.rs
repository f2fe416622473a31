//! Records on their way to the disk, as the bytes that they will be there: copied once, by whoever appends them, while they
//! are at hand.
//!
//! The law: a lot begins with room for a mark and keeps its records in order; sums are made when its place is known, and the
//! bytes stay until they are durable, so that a new file can carry them. Must not know: threads, when anything is synced.

use super::plan::Head;
use super::record::{self, Kind, MARK_SIZE, Record, Space};
use crate::disk::{BLOCK, Batch, batch};
use std::sync::Arc;

/// A lot takes no further record once it has so many bytes.
pub const LOT_BYTES: usize = 1 << 20;
/// A lot that is closed with less is a small one.
const SMALL_LOT: usize = LOT_BYTES / 8;
/// A record from this size on is a lot of its own.
pub const OWN_LOT: usize = 64 << 10;
/// A buffer longer than this is not kept for the next lot.
const KEPT_BYTES: usize = LOT_BYTES + OWN_LOT + 16 * BLOCK;

/// Records that are collected.
#[derive(Debug)]
pub struct Lot {
    bytes: Batch,
    records: u64,
    has_space: bool,
}

impl Lot {
    /// One that takes no record, and no room.
    pub fn none() -> Self {
        Lot { bytes: batch(0), records: 0, has_space: false }
    }

    /// An empty one in this buffer.
    pub fn new(mut buffer: Batch) -> Self {
        buffer.clear();
        buffer.extend_from_slice(&[0; MARK_SIZE]);
        Lot { bytes: buffer, records: 0, has_space: false }
    }

    /// An empty one that need not grow for records below [`OWN_LOT`].
    pub fn fresh() -> Self {
        Lot::new(batch(KEPT_BYTES))
    }

    /// One record alone.
    pub fn of(record: &Record) -> Self {
        let mut lot = Lot::new(batch(MARK_SIZE + record.size() + 4 * BLOCK));
        lot.push(record);
        lot
    }

    /// Adds a record.
    pub fn push(&mut self, record: &Record) {
        record.write(&mut self.bytes);
        self.records += 1;
        self.has_space |= record.kind == Kind::Space;
    }

    /// Takes what another holds, behind its own; gives the buffer of that one.
    pub fn absorb(&mut self, other: Lot) -> Batch {
        self.bytes.extend_from_slice(&other.bytes[MARK_SIZE..]);
        self.records += other.records;
        self.has_space |= other.has_space;
        other.bytes
    }

    /// Records that have no place yet, as few lots as hold them and no longer than they are.
    pub fn packed(records: &[Record]) -> Vec<Kept> {
        let mut left: usize = records.iter().map(Record::size).sum();
        let (mut lots, mut lot) = (Vec::new(), Lot::none());
        for record in records {
            if lot.records == 0 {
                lot = Lot::new(batch(MARK_SIZE + left.min(LOT_BYTES + record.size())));
            }
            lot.push(record);
            left -= record.size();
            if lot.is_full() || left == 0 {
                lots.push(std::mem::replace(&mut lot, Lot::none()).without_place());
            }
        }
        lots
    }

    /// The same in no more room than it needs, and its buffer for another, if it is small.
    pub fn fitted(self) -> (Self, Option<Batch>) {
        if !self.is_small() || self.bytes.capacity() < LOT_BYTES {
            return (self, None);
        }
        let mut bytes = batch(self.bytes.len() + 2 * BLOCK);
        bytes.extend_from_slice(&self.bytes);
        (Lot { bytes, records: self.records, has_space: self.has_space }, Some(self.bytes))
    }

    /// Records in it.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Bytes of its records.
    pub fn size(&self) -> usize {
        self.bytes.len().saturating_sub(MARK_SIZE)
    }

    /// Much less than its buffer: as it is, it takes more room, and a larger part of a block, than its bytes.
    pub fn is_small(&self) -> bool {
        self.size() < SMALL_LOT
    }

    /// No further record comes into it.
    pub fn is_full(&self) -> bool {
        self.size() >= LOT_BYTES
    }

    /// Spaces that it describes.
    pub fn spaces(&self) -> Vec<Space> {
        let described = || self.bytes_of_records().filter_map(record::space_in);
        if self.has_space { described().collect() } else { Vec::new() }
    }

    fn bytes_of_records(&self) -> impl Iterator<Item = &[u8]> {
        each(&self.bytes[MARK_SIZE..])
    }

    /// Gives it its place in a file: what is durable there is said first, if that is news, sums are made, and it is filled up to
    /// the next block.
    pub fn place(mut self, (file_id, offset): (u64, u64), durable: Option<u64>, alignment: usize) -> Kept {
        let (size, first) =
            (self.size(), durable.map_or_else(|| record::pad(MARK_SIZE, 1), |at| Some(record::mark(at))));
        if let Some(first) = first {
            first.encode_at((file_id, offset), &mut self.bytes[..MARK_SIZE]);
        }
        let mut notes = Vec::with_capacity(self.records as usize);
        let mut at = MARK_SIZE;
        while at < MARK_SIZE + size {
            let place = offset + at as u64;
            let end = at + record::size_of(&self.bytes, at);
            let bytes = &mut self.bytes[at..end];
            record::sum_at((file_id, place), bytes);
            // It was written from a record: it does not contradict itself.
            notes.extend(record::head_at(bytes, 0).ok().map(|head| (place, head)));
            at = end;
        }
        fill_up(&mut self.bytes, file_id, offset, alignment);
        Kept { bytes: Arc::new(self.bytes), notes, size }
    }

    /// It has no place: the next file carries it.
    pub fn without_place(self) -> Kept {
        Kept { size: self.size(), bytes: Arc::new(self.bytes), notes: Vec::new() }
    }
}

/// A lot that is not durable yet.
#[derive(Debug)]
pub struct Kept {
    /// As they are in the file.
    pub bytes: Arc<Batch>,
    /// Where each record lies, and what it says; empty where it has no place.
    pub notes: Vec<(u64, Head)>,
    size: usize,
}

impl Kept {
    /// Bytes of its records.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Writes its records to the end of `out`, which lies at the beginning of file `file_id`; says where each came.
    pub fn carry(&self, file_id: u64, out: &mut Batch, placed: &mut Vec<(u64, Head)>) {
        for bytes in each(&self.bytes[MARK_SIZE..MARK_SIZE + self.size]) {
            let at = out.len();
            out.extend_from_slice(bytes);
            record::sum_at((file_id, at as u64), &mut out[at..]);
            placed.extend(record::head_at(bytes, 0).ok().map(|head| (at as u64, head)));
        }
    }

    /// The buffer for another lot, if nobody reads it any more and it is no longer than others.
    pub fn buffer(self) -> Option<Batch> {
        Arc::try_unwrap(self.bytes).ok().filter(|bytes| (LOT_BYTES..=KEPT_BYTES).contains(&bytes.capacity()))
    }
}

/// The bytes of each record.
fn each(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (first, rest) =
            bytes.split_at_checked(if bytes.is_empty() { return None } else { record::size_of(bytes, 0) })?;
        bytes = rest;
        Some(first)
    })
}

/// Fills a batch that begins at `offset` up to the next block.
pub fn fill_up(batch: &mut Batch, file_id: u64, offset: u64, alignment: usize) {
    let room = batch.len().next_multiple_of(alignment) - batch.len();
    if let Some(pad) = record::pad(room, alignment) {
        pad.encode(file_id, offset + batch.len() as u64, batch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::record::Version;

    fn record(bytes: usize) -> Record {
        Record::put(1, 0, Version::new(1, 1), vec![7; 4], vec![8; bytes])
    }

    #[test]
    fn a_tail_that_is_carried_takes_little_more_than_its_bytes() {
        let records: Vec<Record> = (0..40_000).map(|n| record(if n % 1000 == 0 { 70_000 } else { 60 })).collect();
        let lots = Lot::packed(&records);
        let size: usize = records.iter().map(Record::size).sum();
        assert_eq!(lots.iter().map(Kept::size).sum::<usize>(), size);
        let held: usize = lots.iter().map(|kept| kept.bytes.capacity()).sum();
        assert!(held < size + size / 4, "{held} for {size} bytes in {} lots", lots.len());
        let (mut out, mut placed) = (batch(0), Vec::new());
        lots.iter().for_each(|kept| kept.carry(9, &mut out, &mut placed));
        let mut at = 0;
        for (record, (offset, head)) in records.iter().zip(&placed) {
            assert_eq!((*offset, head.size), (at, record.size() as u64));
            assert_eq!(&record::decode(&out, at as usize, 9).unwrap().to_record(), record);
            at += head.size;
        }
        assert_eq!((placed.len(), at as usize), (records.len(), out.len()));
        assert!(Lot::packed(&[]).is_empty());
    }

    #[test]
    fn a_small_lot_gives_its_buffer_back_and_keeps_its_records() {
        let mut lot = Lot::fresh();
        lot.push(&record(100));
        let (lot, buffer) = lot.fitted();
        assert_eq!((lot.records(), lot.size()), (1, record(100).size()));
        assert!(buffer.is_some_and(|buffer| buffer.capacity() >= LOT_BYTES) && lot.bytes.capacity() < 3 * BLOCK);
        let mut full = Lot::fresh();
        while !full.is_full() {
            full.push(&record(1000));
        }
        assert!(full.fitted().1.is_none());
    }
}

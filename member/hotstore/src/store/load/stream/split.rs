//! Where records begin in what is read, hopping from head to head.
//!
//! The law: a record goes to the sink of its partition as its head says it; if the head lies, the check of that sink finds
//! it. What a piece ends with in mid-record is put before the next one. Must not know: what becomes of records.

use super::{Failed, Home, Lot, Piece, Source, damaged};
use crate::disk::{BLOCK, batch};
use crate::failure::StoreError;
use crate::log::chunk;
use crate::log::plan::{Head, Place};
use crate::log::record::{self, HEAD, Kind, Raw};
use crate::refusal::Refused;
use crate::store::progress::Underway;
use std::sync::Arc;

/// Those who do the rest of the work.
pub(super) trait Onward {
    /// How many take records.
    fn lanes(&self) -> usize;
    /// Takes the next piece for the digest of its source.
    fn hash(&mut self, piece: &Arc<Piece>);
    /// Takes records of one lane.
    fn lot(&mut self, lane: usize, lot: Lot);
}

/// The state between two pieces.
pub(super) struct Split<'a, 'b, O> {
    pub sources: &'a [Source<'a>],
    pub onward: O,
    pub note: &'b mut dyn FnMut(Place, Raw<'_>),
    pub head: &'b mut dyn FnMut(Place, Head),
    pub far: Option<&'b Underway<'b>>,
    /// Source whose header was read, and its file id.
    pub begun: Option<(usize, u64)>,
    /// The beginning of a record that goes on in the next piece.
    pub rest: Vec<u8>,
    /// Sources that were found whole.
    pub whole: usize,
}

/// What a hop through a piece found.
struct Hopped {
    lists: Vec<Vec<u32>>,
    /// Here begins what goes on in the next piece.
    until: usize,
}

impl<O: Onward> Split<'_, '_, O> {
    /// Takes the next piece.
    pub(super) fn take(&mut self, read: Piece) -> Result<(), Failed> {
        if let Some(far) = self.far {
            far.done((read.end - read.start) as u64);
        }
        let source = &self.sources[read.source];
        let is_last = read.offset(read.end) == source.length;
        if !is_last && self.rest.len() + (read.end - read.start) < self.wanted() {
            self.rest.extend_from_slice(&read.bytes[read.start..read.end]);
            self.pass_on(Arc::new(read), 0, Vec::new());
            return Ok(());
        }
        let piece = self.joined(read);
        let (file_id, from) = self.header(&piece).map_err(|error| ((piece.source, piece.base), error))?;
        let hopped = self.hop(&piece, from, file_id)?;
        self.rest.clear();
        self.rest.extend_from_slice(&piece.bytes[hopped.until..piece.end]);
        if is_last && !self.rest.is_empty() {
            let at = piece.offset(hopped.until);
            return Err(((piece.source, at), damaged(source, at, "its recorded length is not the end of a record")));
        }
        self.pass_on(Arc::new(piece), file_id, hopped.lists);
        self.whole += usize::from(is_last);
        Ok(())
    }

    /// Bytes of the record that `rest` begins; 0: that is not known, or nothing is left.
    fn wanted(&self) -> usize {
        if self.rest.len() < HEAD { 0 } else { record::size_of(&self.rest, 0) }
    }

    /// The piece with what was left before it.
    fn joined(&mut self, mut read: Piece) -> Piece {
        let left = self.rest.len();
        if left <= read.start {
            read.start -= left;
            read.bytes[read.start..read.start + left].copy_from_slice(&self.rest);
            read.base -= left as u64;
            return read;
        }
        let fresh = &read.bytes[read.start..read.end];
        let mut bytes = batch((left + fresh.len()).next_multiple_of(BLOCK));
        bytes.extend_from_slice(&self.rest);
        bytes.extend_from_slice(fresh);
        let (base, end) = (read.base - left as u64, bytes.len());
        let home = read.home.take().map(|home| {
            let buffer = std::mem::replace(&mut read.bytes, batch(0));
            Home { buffer: Some(buffer), ..home }
        });
        Piece { source: read.source, bytes, start: 0, read: left, end, base, home }
    }

    /// File id, and where the next record begins.
    fn header(&mut self, piece: &Piece) -> Result<(u64, usize), StoreError> {
        if let Some((_, file_id)) = self.begun.filter(|(source, _)| *source == piece.source) {
            return Ok((file_id, piece.start));
        }
        let source = &self.sources[piece.source];
        let (header, length) = chunk::read_header(&piece.bytes[piece.start..piece.end], source.path)?;
        let recorded = chunk::first_durable(&header, length);
        if recorded > source.length {
            let (file, found) = (source.path.to_path_buf(), source.length);
            return Err(Refused::BelowDurable { file, found, recorded }.into());
        }
        self.begun = Some((piece.source, header.file_id));
        Ok((header.file_id, piece.start + length))
    }

    fn hop(&mut self, piece: &Piece, from: usize, file_id: u64) -> Result<Hopped, Failed> {
        let source = &self.sources[piece.source];
        let mut hopped = Hopped { lists: vec![Vec::new(); self.onward.lanes()], until: from };
        while piece.end - hopped.until >= HEAD {
            let at = hopped.until;
            let place = Place { chunk: source.id, offset: piece.offset(at) };
            let failed = |what| ((piece.source, place.offset), damaged(source, place.offset, what));
            let head = record::head_at(&piece.bytes, at).map_err(failed)?;
            if place.offset + head.size > source.length {
                return Err(failed("record ends before its recorded length"));
            }
            let size = head.size as usize;
            if size > piece.end - at {
                break;
            }
            (self.head)(place, head);
            match head.kind {
                Kind::Put | Kind::Remove | Kind::Clear if !hopped.lists.is_empty() => {
                    let lane = usize::from(head.partition) % hopped.lists.len();
                    hopped.lists[lane].push(at as u32);
                }
                _ => {
                    let raw = record::decode_at(&piece.bytes[at..piece.end], place.offset, file_id).map_err(failed)?;
                    (self.note)(place, raw);
                }
            }
            hopped.until = at + size;
        }
        Ok(hopped)
    }

    /// To everybody who has to do with it.
    fn pass_on(&mut self, piece: Arc<Piece>, file_id: u64, lists: Vec<Vec<u32>>) {
        self.onward.hash(&piece);
        for (lane, at) in lists.into_iter().enumerate().filter(|(_, at)| !at.is_empty()) {
            self.onward.lot(lane, Lot { piece: piece.clone(), file_id, at });
        }
    }
}

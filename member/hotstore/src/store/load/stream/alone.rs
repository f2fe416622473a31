//! The same reading without threads, for what is small.
//!
//! Must not know: more than `together` does.

use super::split::{Onward, Split};
use super::{Ended, Lot, Piece, Readers, Source, Take, buffer, check, hex, read_piece};
use crate::disk::Disk;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Digests, and how many sources were found whole.
pub(super) fn read(
    disk: &dyn Disk,
    sources: &[Source<'_>],
    readers: Readers<'_, '_>,
    piece: usize,
    ended: &Ended,
) -> (Vec<String>, usize) {
    let hashers = vec![blake3::Hasher::new(); if readers.hash { sources.len() } else { 0 }];
    let onward = Alone { sources, takes: readers.takes, hashers, ended };
    let (note, head, far) = (readers.note, readers.head, readers.far);
    let mut split = Split { sources, onward, note, head, far, begun: None, rest: Vec::new(), whole: 0 };
    for (number, source) in sources.iter().enumerate() {
        let mut at = 0;
        while at < source.length && !ended.flag.load(Ordering::Relaxed) {
            let piece = read_piece(disk, (number, source), at, buffer(piece), None);
            at = piece.as_ref().map_or(source.length, |piece| piece.offset(piece.end));
            if let Err((at, error)) = piece.and_then(|piece| split.take(piece)) {
                ended.with(at, error);
            }
        }
    }
    (hex(split.onward.hashers), split.whole)
}

struct Alone<'s, 'a, 'b> {
    sources: &'s [Source<'s>],
    takes: &'b mut [Take<'a>],
    hashers: Vec<blake3::Hasher>,
    ended: &'b Ended,
}

impl Onward for Alone<'_, '_, '_> {
    fn lanes(&self) -> usize {
        self.takes.len()
    }

    fn hash(&mut self, piece: &Arc<Piece>) {
        if let Some(hasher) = self.hashers.get_mut(piece.source) {
            hasher.update(piece.fresh());
        }
    }

    fn lot(&mut self, lane: usize, lot: Lot) {
        if let Err((at, error)) = check(&lot, self.takes[lane], self.sources) {
            self.ended.with(at, error);
        }
    }
}

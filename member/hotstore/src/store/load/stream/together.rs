//! The reading by threads: two read in turn, one hashes, one finds records, one for each lane checks and takes.
//!
//! The law: a thread that ends early has said why; buffers go round, so that what waits is bounded. Must not know: records.

use super::split::{Onward, Split};
use super::{Ended, Failed, Home, Lot, PIECES, Piece, Readers, Source, Take, buffer, check, hex, read_piece};
use crate::disk::{Batch, Disk};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// Pieces that wait for one thread.
const WAITING: usize = PIECES;
/// Those who read: while the answer to one is taken, the disk works for another.
const READERS: usize = 2;

/// Digests, and how many sources were found whole.
pub(super) fn read(
    disk: &dyn Disk,
    sources: &[Source<'_>],
    readers: Readers<'_, '_>,
    piece: usize,
    ended: &Ended,
) -> (Vec<String>, usize) {
    std::thread::scope(|scope| {
        let read_by = |reader: usize| {
            let (free, buffers) = channel();
            let (read, pieces) = sync_channel(PIECES / READERS);
            let pool = Pool { free, buffers, made: 0, piece };
            scope.spawn(move || read_each(disk, sources, reader, pool, &read, ended));
            pieces
        };
        let read: Vec<_> = (0..READERS).map(read_by).collect();
        let (to_hash, hashed) = sync_channel::<Arc<Piece>>(WAITING);
        let hasher = readers.hash.then(|| scope.spawn(move || hash(&hashed, sources.len(), ended)));
        let mut lanes = Vec::new();
        for take in readers.takes.iter_mut() {
            let (to, from) = sync_channel::<Lot>(WAITING);
            scope.spawn(move || check_all(&from, take, sources, ended));
            lanes.push(to);
        }
        let onward = Threads { lanes, to_hash: hasher.is_some().then_some(to_hash) };
        let (note, head, far) = (readers.note, readers.head, readers.far);
        let mut split = Split { sources, onward, note, head, far, begun: None, rest: Vec::new(), whole: 0 };
        // Each reads its share in order: together they are the order of the log, and each says its end.
        for piece in (0..READERS).cycle().map_while(|reader| read[reader].recv().ok()) {
            if let Err((at, error)) = piece.and_then(|piece| split.take(piece)) {
                ended.with(at, error);
            }
            if ended.flag.load(Ordering::Relaxed) {
                break;
            }
        }
        let whole = split.whole;
        drop(split);
        let hashed = hasher.map(|hasher| hasher.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        (hashed.unwrap_or_default(), whole)
    })
}

/// The other threads. Who does not take a piece any more has ended with an error, which is told.
struct Threads {
    lanes: Vec<SyncSender<Lot>>,
    to_hash: Option<SyncSender<Arc<Piece>>>,
}

impl Onward for Threads {
    fn lanes(&self) -> usize {
        self.lanes.len()
    }

    fn hash(&mut self, piece: &Arc<Piece>) {
        if let Some(to_hash) = &self.to_hash {
            let _ = to_hash.send(piece.clone());
        }
    }

    fn lot(&mut self, lane: usize, lot: Lot) {
        let _ = self.lanes[lane].send(lot);
    }
}

struct Pool {
    free: Sender<Batch>,
    buffers: Receiver<Batch>,
    made: usize,
    piece: usize,
}

impl Pool {
    fn next(&mut self) -> Option<Batch> {
        if self.made < PIECES / READERS {
            self.made += 1;
            return Some(buffer(self.piece));
        }
        self.buffers.recv().ok()
    }
}

/// Of all pieces, one behind the other, those whose number is `reader` modulo [`READERS`].
fn read_each(
    disk: &dyn Disk,
    sources: &[Source<'_>],
    reader: usize,
    mut pool: Pool,
    to: &SyncSender<Result<Piece, Failed>>,
    ended: &Ended,
) {
    let size = pool.piece;
    let pieces = sources
        .iter()
        .enumerate()
        .flat_map(|(number, source)| (0..source.length).step_by(size).map(move |at| (number, source, at)));
    for (number, source, at) in pieces.skip(reader).step_by(READERS) {
        if ended.flag.load(Ordering::Relaxed) {
            return;
        }
        let Some(bytes) = pool.next() else { return };
        let home = Home { to: pool.free.clone(), buffer: None };
        let piece = read_piece(disk, (number, source), at, bytes, Some(home));
        let failed = piece.is_err();
        if to.send(piece).is_err() || failed {
            return;
        }
    }
}

/// One that panics ends the reading as one that fails does.
struct Watched<'a>(&'a Ended);

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.flag.store(true, Ordering::Relaxed);
        }
    }
}

fn hash(from: &Receiver<Arc<Piece>>, sources: usize, ended: &Ended) -> Vec<String> {
    let _watched = Watched(ended);
    let mut hashers = vec![blake3::Hasher::new(); sources];
    for piece in from {
        hashers[piece.source].update(piece.fresh());
    }
    hex(hashers)
}

fn check_all(from: &Receiver<Lot>, take: Take<'_>, sources: &[Source<'_>], ended: &Ended) {
    let _watched = Watched(ended);
    for lot in from {
        if let Err((at, error)) = check(&lot, take, sources) {
            return ended.with(at, error);
        }
    }
}

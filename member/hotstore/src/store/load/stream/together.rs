//! The reading by threads: one reads, one hashes, one finds records, one for each lane checks and takes.
//!
//! The law: a thread that ends early has said why; buffers go round, so that what waits is bounded. Must not know: records.

use super::split::{Onward, Split};
use super::{Ended, Failed, Home, Lot, PIECES, Piece, Readers, Source, Take, buffer, check, hex, read_piece};
use crate::disk::{Batch, Disk};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// Pieces that wait for one thread.
const WAITING: usize = 4;

/// Digests, and how many sources were found whole.
pub(super) fn read(
    disk: &dyn Disk,
    sources: &[Source<'_>],
    readers: Readers<'_, '_>,
    piece: usize,
    ended: &Ended,
) -> (Vec<String>, usize) {
    std::thread::scope(|scope| {
        let (free, buffers) = channel();
        let (read, pieces) = sync_channel(WAITING);
        let pool = Pool { free, buffers, made: 0, piece };
        scope.spawn(move || read_all(disk, sources, pool, &read, ended));
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
        for piece in pieces {
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
        if self.made < PIECES {
            self.made += 1;
            return Some(buffer(self.piece));
        }
        self.buffers.recv().ok()
    }
}

fn read_all(
    disk: &dyn Disk,
    sources: &[Source<'_>],
    mut pool: Pool,
    to: &SyncSender<Result<Piece, Failed>>,
    ended: &Ended,
) {
    for (number, source) in sources.iter().enumerate() {
        let mut at = 0;
        while at < source.length {
            if ended.flag.load(Ordering::Relaxed) {
                return;
            }
            let Some(bytes) = pool.next() else { return };
            let home = Home { to: pool.free.clone(), buffer: None };
            let piece = read_piece(disk, (number, source), at, bytes, Some(home));
            at = piece.as_ref().map_or(source.length, |piece| piece.offset(piece.end));
            let failed = piece.is_err();
            if to.send(piece).is_err() || failed {
                return;
            }
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

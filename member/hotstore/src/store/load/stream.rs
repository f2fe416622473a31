//! Reading chunks once, in pieces, by several threads: two read, one hashes, one finds where records begin, and each sink
//! checks and takes those of its partitions, in the order of the log.
//!
//! Contents: here pieces and checks · `split` where records begin · `together` by threads · `alone` without them.
//!
//! The law: every record is checked before it is handed out, and whoever takes it forgets it if this ends with an error; at
//! most [`PIECES`] pieces are in RAM, each with the record that began before it. Must not know: which records count, and why
//! anybody reads.

use crate::disk::{BLOCK, Batch, Disk, batch, zeroed};
use crate::failure::{On, StoreError};
use crate::log::chunk::{COSTS, ChunkId};
use crate::log::plan::{Head, Place};
use crate::log::record::{self, Raw};
use crate::refusal::Refused;
use crate::store::progress::Underway;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

mod alone;
mod split;
mod together;

/// Bytes read at once.
const PIECE: usize = 4 << 20;
/// Room before a piece for the record that began in the one before; as much as the piece, where that is less.
const FRONT: usize = 16 * BLOCK;
/// Pieces in RAM.
const PIECES: usize = 8;
/// Less than that is read faster than threads are begun.
const SMALL: u64 = 1 << 20;

/// A chunk, of which this many bytes are read.
pub(crate) struct Source<'a> {
    pub id: ChunkId,
    pub path: &'a Path,
    pub length: u64,
}

/// Takes checked records of its partitions.
pub(crate) type Take<'a> = &'a mut (dyn FnMut(Place, Raw<'_>) + Send);

/// What is done with what is read.
pub(crate) struct Readers<'a, 'b> {
    /// Records of partition p go to number p modulo their number.
    pub takes: &'b mut [Take<'a>],
    /// Every record that is no content, and every one if nobody takes any; checked.
    pub note: &'b mut dyn FnMut(Place, Raw<'_>),
    /// Every record, by its head alone, before it is checked.
    pub head: &'b mut dyn FnMut(Place, Head),
    /// Also compute the digest of each source.
    pub hash: bool,
    /// Who is told how far it is.
    pub far: Option<&'b Underway<'b>>,
}

/// Reads all sources; gives their digests (blake3, hex), if asked for.
pub(crate) fn stream(
    disk: &dyn Disk,
    sources: &[Source<'_>],
    readers: Readers<'_, '_>,
) -> Result<Vec<String>, StoreError> {
    let ended = Ended::default();
    let longest = sources.iter().map(|source| source.length).max().unwrap_or(0);
    let piece = (longest as usize).next_multiple_of(BLOCK).clamp(BLOCK, PIECE);
    let total: u64 = sources.iter().map(|source| source.length).sum();
    let (digests, whole) = match total <= SMALL {
        true => alone::read(disk, sources, readers, piece, &ended),
        false => together::read(disk, sources, readers, piece, &ended),
    };
    match ended.error() {
        Some(error) => Err(error),
        // Whoever reads ends early only with an error.
        None if whole != sources.len() => Err(cut_short(sources, whole)),
        None => Ok(digests),
    }
}

/// Checks all records of sources; gives their digests, if asked for.
pub(crate) fn check_only(
    disk: &dyn Disk,
    sources: &[Source<'_>],
    note: &mut dyn FnMut(Place, Raw<'_>),
    head: &mut dyn FnMut(Place, Head),
    hash: bool,
    far: Option<&Underway<'_>>,
) -> Result<Vec<String>, StoreError> {
    let mut only_checked: Vec<_> = (0..threads()).map(|_| |_: Place, _: Raw<'_>| {}).collect();
    let mut takes: Vec<Take<'_>> = only_checked.iter_mut().map(|take| take as Take<'_>).collect();
    stream(disk, sources, Readers { takes: &mut takes, note, head, hash, far })
}

/// More threads than that check faster than any disk reads.
const MOST_THREADS: usize = 8;

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS)
}

/// Source and offset of what went wrong, and what.
type Failed = ((usize, u64), StoreError);

/// The first place at which something went wrong.
#[derive(Default)]
struct Ended {
    flag: AtomicBool,
    error: Mutex<Option<Failed>>,
}

impl Ended {
    fn with(&self, at: (usize, u64), error: StoreError) {
        self.flag.store(true, Ordering::Relaxed);
        let mut known = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|(first, _)| at < *first) {
            *known = Some((at, error));
        }
    }

    fn error(self) -> Option<StoreError> {
        self.error.into_inner().unwrap_or_else(PoisonError::into_inner).map(|(_, error)| error)
    }
}

/// Bytes of one source: those at `start..end`, the first of which lies at `base` of the file.
struct Piece {
    source: usize,
    bytes: Batch,
    start: usize,
    /// What was read begins here; before it lies what was left of the piece before.
    read: usize,
    end: usize,
    base: u64,
    home: Option<Home>,
}

/// Where the buffer of a piece goes when nobody needs the piece any more.
struct Home {
    to: Sender<Batch>,
    /// The buffer, where the piece has another: a record that began before it is longer than the room there.
    buffer: Option<Batch>,
}

impl Drop for Piece {
    fn drop(&mut self) {
        let Some(home) = self.home.take() else { return };
        let bytes = std::mem::replace(&mut self.bytes, batch(0));
        // Nobody reads any more: then nobody wants it.
        let _ = home.to.send(home.buffer.unwrap_or(bytes));
    }
}

impl Piece {
    fn offset(&self, at: usize) -> u64 {
        self.base + (at - self.start) as u64
    }

    /// What was read of the source, and not with the piece before.
    fn fresh(&self) -> &[u8] {
        &self.bytes[self.read..self.end]
    }
}

/// Records of one piece, by where they begin in it.
struct Lot {
    piece: Arc<Piece>,
    file_id: u64,
    at: Vec<u32>,
}

fn missing(source: &Source<'_>) -> StoreError {
    Refused::Missing { file: source.path.to_path_buf(), why: "it is part of the content".to_owned() }.into()
}

fn too_short(source: &Source<'_>, found: u64) -> StoreError {
    let (file, why) = (source.path.to_path_buf(), "the next chunk or the seal".to_owned());
    Refused::Length { file, found, recorded: source.length, why }.into()
}

fn cut_short(sources: &[Source<'_>], whole: usize) -> StoreError {
    let file = sources.get(whole).map(|source| source.path.to_path_buf()).unwrap_or_default();
    StoreError::Failed { file, reason: "reading it ended early".to_owned() }
}

fn damaged(source: &Source<'_>, offset: u64, what: &str) -> StoreError {
    let (file, what) = (source.path.to_path_buf(), what.to_owned());
    Refused::Damaged { file, offset, what, costs: COSTS.to_owned() }.into()
}

/// One piece of a source, from offset `at`.
fn read_piece(
    disk: &dyn Disk,
    (number, source): (usize, &Source<'_>),
    at: u64,
    mut bytes: Batch,
    home: Option<Home>,
) -> Result<Piece, Failed> {
    let front = front(bytes.len());
    let room = bytes.len() - front;
    let wanted = (source.length - at).min(room as u64) as usize;
    let read = match disk.read_into(source.path, at, &mut bytes[front..]) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing(source)),
        read => read.on("read", source.path),
    };
    let piece = read.and_then(|read| match read < wanted {
        true => Err(too_short(source, at + read as u64)),
        false => Ok(Piece { source: number, bytes, start: front, read: front, end: front + wanted, base: at, home }),
    });
    piece.map_err(|error| ((number, at), error))
}

/// A buffer for a piece, with room before it.
fn buffer(piece: usize) -> Batch {
    zeroed(piece + piece.min(FRONT))
}

/// How much of a buffer is the room before the piece.
fn front(buffer: usize) -> usize {
    (buffer / 2).min(FRONT)
}

fn hex(hashers: Vec<blake3::Hasher>) -> Vec<String> {
    hashers.into_iter().map(|hasher| hasher.finalize().to_hex().to_string()).collect()
}

/// Checks the records of a lot and hands them out.
fn check(lot: &Lot, take: Take<'_>, sources: &[Source<'_>]) -> Result<(), Failed> {
    let piece = &lot.piece;
    let source = &sources[piece.source];
    for at in &lot.at {
        let at = *at as usize;
        let offset = piece.offset(at);
        let raw = record::decode_at(&piece.bytes[at..piece.end], offset, lot.file_id);
        let raw = raw.map_err(|what| ((piece.source, offset), damaged(source, offset, what)))?;
        take(Place { chunk: source.id, offset }, raw);
    }
    Ok(())
}

//! One chunk file of the log: its header, and reading its records with the tail rule.
//!
//! The law: what is before the durable length must verify, or the chunk is refused; only a tail that nobody was told to
//! be durable may be cut. A mark (written after each sync) that lies behind a bad record proves that the record was durable.
//! Must not know: which records are live.

use super::record::{self, MARK_SIZE, Raw};
use crate::frame::{self, Magic};
use crate::refusal::Refused;
use serde::{Deserialize, Serialize};
use std::path::Path;
use uuid::Uuid;

pub(crate) const MAGIC: Magic = *b"JETCHUNK";
/// A chunk of this size is closed and a new one begun.
pub const CHUNK_BYTES: u64 = 64 << 20;

/// Where a chunk is: numbers grow through all generations of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChunkId {
    /// Number, unique in the store.
    pub number: u64,
    /// Generation (directory).
    pub generation: u64,
}

/// The chunk before, and how much of it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    /// Its place.
    pub id: ChunkId,
    /// Its durable length; what lies behind it in the file was carried over or never counted.
    pub length: u64,
}

/// Header of a chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkHeader {
    /// Cluster.
    pub founding: Uuid,
    /// Member.
    pub member: Uuid,
    /// Place.
    pub id: ChunkId,
    /// Random, part of every checksum in the file.
    pub file_id: u64,
    /// Boot that made it.
    pub boot: u64,
    /// Seals up to this number are void here: writing went on after them.
    pub after_seal: u64,
    /// The chunk before.
    pub previous: Option<Previous>,
    /// The oldest chunk that is needed; older ones are dead.
    pub floor: ChunkId,
    /// Bytes that were durable when the file got its name (header excluded).
    pub first_bytes: u64,
}

/// Costs of losing a chunk, in words.
pub const COSTS: &str = "changes of partitions in this chunk and all later ones";

/// Reads the header at the start of a chunk; also gives its length.
pub fn read_header(bytes: &[u8], file: &Path) -> Result<(ChunkHeader, usize), Refused> {
    let frame = frame::decode::<ChunkHeader>(MAGIC, bytes, file, COSTS)?;
    Ok((frame.body, frame.length))
}

/// Up to where a chunk with this header, which is `head` bytes long, was durable when it got its name.
pub(crate) fn first_durable(header: &ChunkHeader, head: usize) -> u64 {
    header.first_bytes.saturating_add(head as u64)
}

/// How much of a chunk must verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Exactly this length: sealed, or stated by the next chunk.
    Exactly(u64),
    /// The newest chunk of an unsealed log: a tail may be torn.
    Open,
}

/// What was found in a chunk besides its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Walked {
    /// Length up to which records verify.
    pub good: u64,
    /// Length up to which they are known to be durable.
    pub durable: u64,
    /// Records cut off behind `good`: those that still verify, and the torn one.
    pub cut_records: u64,
    /// Bytes cut off.
    pub cut_bytes: u64,
}

/// Visits all records of a chunk in order, marks and pads excluded.
pub fn walk<'a>(
    file: &Path,
    bytes: &'a [u8],
    extent: Extent,
    visit: &mut dyn FnMut(u64, Raw<'a>),
) -> Result<Walked, Refused> {
    let (header, head) = read_header(bytes, file)?;
    let end = match extent {
        Extent::Exactly(length) if length > bytes.len() as u64 => {
            let (found, why) = (bytes.len() as u64, "the next chunk or the seal".to_owned());
            return Err(Refused::Length { file: file.to_path_buf(), found, recorded: length, why });
        }
        Extent::Exactly(length) => length as usize,
        Extent::Open => bytes.len(),
    };
    let mut walked = Walked { durable: first_durable(&header, head), ..Walked::default() };
    let mut at = head;
    while at < end {
        match record::decode(&bytes[..end], at, header.file_id) {
            Ok(raw) => {
                match record::marked(&raw) {
                    Some(durable) => walked.durable = walked.durable.max(durable),
                    None if raw.kind == record::Kind::Pad => {}
                    None => visit(at as u64, raw),
                }
                at += raw.size();
            }
            Err(what) => {
                judge_tail(file, bytes, &header, extent, at, walked.durable, what)?;
                let is_nothing = record::head_at(bytes, at).is_ok_and(|head| record::is_bookkeeping(head.kind));
                walked.cut_records = (u64::from(!is_nothing) + verifying_after(bytes, at + 1, header.file_id)).max(1);
                walked.cut_bytes = (end - at) as u64;
                break;
            }
        }
    }
    walked.good = at as u64;
    if let Extent::Exactly(length) = extent
        && walked.good != length
    {
        let what = "its recorded length is not the end of a record".to_owned();
        return Err(Refused::Damaged { file: file.to_path_buf(), offset: length, what, costs: COSTS.to_owned() });
    }
    if walked.durable > walked.good {
        let (found, recorded) = (walked.good, walked.durable);
        return Err(Refused::BelowDurable { file: file.to_path_buf(), found, recorded });
    }
    match extent {
        Extent::Exactly(length) => walked.durable = length,
        Extent::Open if !ends_a_record(bytes, head, walked.durable as usize) => {
            let (offset, what) = (walked.durable, "what is said to be durable ends in a record".to_owned());
            return Err(Refused::Damaged { file: file.to_path_buf(), offset, what, costs: COSTS.to_owned() });
        }
        Extent::Open => {}
    }
    Ok(walked)
}

/// Whether one of the verified records from `at` on ends at `end`, or none begins before it.
fn ends_a_record(bytes: &[u8], mut at: usize, end: usize) -> bool {
    while at < end {
        at += record::size_of(bytes, at);
    }
    at == end
}

fn judge_tail(
    file: &Path,
    bytes: &[u8],
    header: &ChunkHeader,
    extent: Extent,
    at: usize,
    durable: u64,
    what: &str,
) -> Result<(), Refused> {
    let proven = marks_after(bytes, at, header.file_id).max(durable);
    if extent == Extent::Open && proven <= at as u64 {
        return Ok(());
    }
    Err(Refused::Damaged {
        file: file.to_path_buf(),
        offset: at as u64,
        what: what.to_owned(),
        costs: COSTS.to_owned(),
    })
}

fn marks_after(bytes: &[u8], from: usize, file_id: u64) -> u64 {
    let mut durable = 0;
    let mut at = from;
    while at + MARK_SIZE <= bytes.len() {
        let size_fits = bytes[at + 4..at + 8] == (MARK_SIZE as u32).to_le_bytes();
        if size_fits
            && bytes[at + 8] == record::Kind::Mark as u8
            && let Ok(raw) = record::decode(bytes, at, file_id)
        {
            durable = durable.max(record::marked(&raw).unwrap_or(0));
        }
        at += 1;
    }
    durable
}

/// Values that look like records may not make a search through a tail take for ever.
const SEARCH: usize = 4;

/// How many verify behind a bad place, or so many of them as a search of [`SEARCH`] times its length finds.
fn verifying_after(bytes: &[u8], from: usize, file_id: u64) -> u64 {
    let (mut at, mut found, mut summed) = (from, 0, 0);
    while at + record::HEAD <= bytes.len() && summed <= SEARCH * (bytes.len() - from) {
        let Ok(head) = record::head_at(bytes, at) else {
            at += 1;
            continue;
        };
        summed += (head.size as usize).min(bytes.len() - at);
        match record::decode(bytes, at, file_id) {
            Ok(raw) => {
                found += u64::from(!record::is_bookkeeping(raw.kind));
                at += raw.size();
            }
            Err(_) => at += 1,
        }
    }
    found
}

//! Bytes of one record of the consensus log.
//!
//! The law: the checksum covers the file's id and the offset.
//! Must not know: what an entry says.

use crate::layout::LARGEST;
use crate::log::record::checksum;

/// Bytes before the payload.
pub(super) const HEAD: usize = 28;

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// An entry.
    Entry = 1,
    /// Entries from this index on are gone.
    Truncate = 2,
    /// Entries up to this index are gone (in a snapshot).
    Purge = 3,
    /// The vote.
    Vote = 4,
}

pub(super) struct Raw<'a> {
    pub(super) kind: Kind,
    pub(super) index: u64,
    pub(super) term: u64,
    pub(super) payload: &'a [u8],
    pub(super) size: usize,
}

pub(super) fn encode(file_id: u64, offset: u64, kind: Kind, index: u64, term: u64, payload: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&((HEAD + payload.len()) as u32).to_le_bytes());
    out.extend_from_slice(&u32::from(kind as u8).to_le_bytes());
    out.extend_from_slice(&index.to_le_bytes());
    out.extend_from_slice(&term.to_le_bytes());
    out.extend_from_slice(payload);
    let sum = checksum(file_id, offset, &out[start + 4..]);
    out[start..start + 4].copy_from_slice(&sum.to_le_bytes());
}

pub(super) fn decode(file: &[u8], offset: usize, file_id: u64) -> Result<Raw<'_>, &'static str> {
    let rest = file.get(offset..).unwrap_or_default();
    if rest.len() < HEAD {
        return Err("record ends in its head");
    }
    let word = |at: usize| u32::from_le_bytes([rest[at], rest[at + 1], rest[at + 2], rest[at + 3]]);
    let long = |at: usize| u64::from(word(at)) | (u64::from(word(at + 4)) << 32);
    let size = word(4) as usize;
    if size < HEAD || size > rest.len() {
        return Err("record ends before its recorded length");
    }
    if checksum(file_id, offset as u64, &rest[4..size]) != word(0) {
        return Err("record fails its checksum");
    }
    let kind = match word(8) {
        1 => Kind::Entry,
        2 => Kind::Truncate,
        3 => Kind::Purge,
        4 => Kind::Vote,
        _ => return Err("record of an unknown kind"),
    };
    if matches!(kind, Kind::Entry | Kind::Purge) && long(12) > LARGEST {
        return Err("record of an index that was never counted up to");
    }
    Ok(Raw { kind, index: long(12), term: long(20), payload: &rest[HEAD..size], size })
}

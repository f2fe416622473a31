//! When old chunks are to be emptied, and which. Pure.
//!
//! The law: first in, first out. The oldest chunks are emptied when all together are longer than the live content allows, a
//! sixteenth of them at a time, so that whoever has to look through RAM for it does so sixteen times while the log is
//! written once. The open chunk is never emptied. Must not know: what is in them.
//!
//! At twice the live bytes and with changes that hit all keys alike a fifth of an oldest chunk is still live: 1.25 bytes are
//! written for each that was given (u = exp(−(1−u)·total/live)).

use super::chunk::ChunkId;

/// All needed chunks together may be this many twentieths of the live content …
const TWENTIETHS: u64 = 37;
/// … or longer than it by so many chunks, if that is more: a small store is not rewritten for ever.
const SPARE_CHUNKS: u64 = 4;
/// So many chunks may be needed beyond those that so many bytes fill: each start and each stop begins one, however little it
/// holds.
const SHORT_CHUNKS: u64 = 4;
/// At least this part of the needed chunks is emptied at a time.
const PART: u64 = 16;

/// Old chunks to be emptied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Bytes of theirs.
    pub bytes: u64,
    /// The first chunk that stays; all older ones are to be emptied.
    pub to: ChunkId,
}

/// What is to be emptied of a chain (oldest first, the last one open) that is needed from `floor` on.
pub fn due(chain: &[(ChunkId, u64)], floor: Option<ChunkId>, live: u64, chunk_bytes: u64) -> Option<Due> {
    let floor = floor?;
    let needed: Vec<_> = chain.iter().copied().filter(|(id, _)| *id >= floor).collect();
    let total: u64 = needed.iter().map(|(_, length)| length).sum();
    let chunk_bytes = chunk_bytes.max(1);
    let allowed =
        (live / 20).saturating_mul(TWENTIETHS).max(live.saturating_add(SPARE_CHUNKS.saturating_mul(chunk_bytes)));
    let too_many = (needed.len() as u64).saturating_sub(allowed / chunk_bytes + SHORT_CHUNKS);
    if total <= allowed && too_many == 0 {
        return None;
    }
    let bytes = total.saturating_sub(allowed).max(total / PART);
    let (mut chunks, mut emptied) = (0, 0);
    for (_, length) in needed.iter().rev().skip(1).rev() {
        if emptied >= bytes && chunks as u64 >= too_many {
            break;
        }
        emptied += length;
        chunks += 1;
    }
    let (to, _) = needed.get(chunks)?;
    (chunks > 0).then_some(Due { bytes: emptied, to: *to })
}

/// The oldest needed chunks up to `newest`, at least a part of all bytes, as [`due`] takes; not the open one.
pub fn oldest_upto(chain: &[(ChunkId, u64)], floor: Option<ChunkId>, newest: ChunkId) -> Option<Due> {
    let floor = floor.filter(|floor| *floor <= newest)?;
    let needed: Vec<_> = chain.iter().copied().filter(|(id, _)| *id >= floor).collect();
    let total: u64 = needed.iter().map(|(_, length)| length).sum();
    let mut bytes = 0;
    for pair in needed.windows(2) {
        let [(id, length), (next, _)] = pair else { break };
        bytes += length;
        if *id >= newest || bytes >= total / PART {
            return Some(Due { bytes, to: *next });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(lengths: &[u64]) -> Vec<(ChunkId, u64)> {
        let chunk = |(n, length): (usize, &u64)| (ChunkId { generation: 1, number: n as u64 + 1 }, *length);
        lengths.iter().enumerate().map(chunk).collect()
    }

    fn emptied(lengths: &[u64], floor: u64, live: u64) -> Option<(u64, u64)> {
        let floor = (floor > 0).then_some(ChunkId { generation: 1, number: floor });
        due(&chain(lengths), floor, live, 10).map(|due| (due.bytes, due.to.number))
    }

    #[test]
    fn the_oldest_chunks_go_a_part_at_a_time_up_to_the_newest_that_is_meant() {
        let id = |number| ChunkId { generation: 1, number };
        let upto = |lengths: &[u64], floor: u64, newest: u64| {
            oldest_upto(&chain(lengths), (floor > 0).then(|| id(floor)), id(newest))
                .map(|due| (due.bytes, due.to.number))
        };
        assert_eq!(upto(&[10; 40], 1, 30), Some((30, 4)), "a sixteenth of 400 is 25");
        assert_eq!(upto(&[10; 40], 29, 30), Some((10, 30)), "the floor has left the others");
        assert_eq!(upto(&[10; 40], 30, 30), Some((10, 31)), "the last of them");
        assert_eq!(upto(&[10; 40], 31, 30), None);
        assert_eq!(upto(&[10; 2], 1, 2), Some((10, 2)), "the open one stays");
        assert_eq!(upto(&[10; 2], 2, 2), None);
        assert_eq!(upto(&[10; 40], 0, 30), None, "nothing is needed");
    }

    #[test]
    fn the_oldest_chunks_go_when_all_are_too_long_or_too_many() {
        assert_eq!(emptied(&[10; 18], 1, 100), None, "no more than is allowed");
        assert_eq!(emptied(&[10; 19], 1, 100), Some((20, 3)), "as much as is too much, or a sixteenth");
        assert_eq!(emptied(&[10; 40], 1, 200), Some((30, 4)));
        assert_eq!(emptied(&[10; 40], 3, 200), Some((30, 6)), "what the floor has left counts no more");
        assert_eq!(emptied(&[10; 5], 1, 10), None, "a small store has room");
        assert_eq!(emptied(&[10; 6], 1, 10), Some((10, 2)));
        assert_eq!(emptied(&[1; 9], 1, 10), None, "short ones");
        assert_eq!(emptied(&[1; 11], 1, 10), Some((2, 3)), "too many short ones");
        assert_eq!(emptied(&[500], 1, 10), None, "the open one stays");
        assert_eq!(emptied(&[500, 1], 1, 10), Some((500, 2)));
        assert_eq!(emptied(&[500, 1], 0, 10), None, "nothing is needed");
        assert_eq!(
            due(&chain(&[u64::MAX / 2; 2]), Some(ChunkId { generation: 1, number: 1 }), u64::MAX, u64::MAX),
            None
        );
    }
}

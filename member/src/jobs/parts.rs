//! Parts of snapshots in the map: their numbers, where they lie, one digest over all of them.
//!
//! Law: the same parts give the same digest, whoever counts them in whatever order. Must not know: what a part means.

use jet_core::{Digest, PartitionId};
use jet_engine::Vertex;

use super::words::Mark;

/// Vertex of source offsets.
pub const SOURCE: u32 = 0;
/// Vertex of keyed state.
pub const STATE: u32 = 1;
/// Vertex of sink writes.
pub const SINK: u32 = 2;

/// Number of a vertex in the map.
pub fn vertex_number(vertex: Vertex) -> u32 {
    match vertex {
        Vertex::Source => SOURCE,
        Vertex::State => STATE,
        Vertex::Sink => SINK,
    }
}

/// Where a part lies: state and sink writes of a partition in that partition, ranges spread over all.
pub fn place(part: u32, partitions: u16) -> PartitionId {
    PartitionId(u16::try_from(part % u32::from(partitions.max(1))).unwrap_or_default())
}

/// The position just before a part, as the map's pages count.
pub fn before(vertex: u32, part: u32) -> Option<(u32, u32)> {
    match (vertex.checked_sub(1), part.checked_sub(1)) {
        (_, Some(part)) => Some((vertex, part)),
        (Some(vertex), None) => Some((vertex, u32::MAX)),
        (None, None) => None,
    }
}

/// A part as it is counted.
pub fn mark(vertex: u32, part: u32, bytes: &[u8]) -> Mark {
    Mark { vertex, part, digest: blake3::hash(bytes).to_hex().to_string() }
}

/// Digest over all parts of a snapshot.
pub fn digest(marks: &mut [Mark]) -> Digest {
    marks.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    for mark in marks.iter() {
        hasher.update(&mark.vertex.to_le_bytes());
        hasher.update(&mark.part.to_le_bytes());
        hasher.update(mark.digest.as_bytes());
    }
    hasher.finalize().into()
}

/// What is wrong with the parts of a snapshot, if anything: each once, a state part for every partition.
pub fn incomplete(marks: &[Mark], partitions: u16) -> Option<String> {
    let mut seen = std::collections::BTreeSet::new();
    if let Some(twice) = marks.iter().find(|mark| !seen.insert((mark.vertex, mark.part))) {
        return Some(format!("part {} of vertex {} was given twice", twice.part, twice.vertex));
    }
    (0..u32::from(partitions))
        .find(|part| !seen.contains(&(STATE, *part)))
        .map(|part| format!("state of partition {part} was given by nobody"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_knows_parts_and_not_their_order() {
        let (a, b) = (mark(1, 0, b"a"), mark(1, 1, b"b"));
        assert_eq!(digest(&mut [a.clone(), b.clone()]), digest(&mut [b.clone(), a.clone()]));
        assert_ne!(digest(&mut [a.clone(), b.clone()]), digest(&mut [a.clone(), mark(1, 1, b"c")]));
        assert_ne!(digest(&mut [a.clone(), b]), digest(&mut [a]));
    }

    #[test]
    fn each_part_once_and_state_of_every_partition() {
        let full: Vec<Mark> = (0..3).map(|part| mark(STATE, part, b"")).collect();
        assert_eq!(incomplete(&full, 3), None);
        assert!(incomplete(&full, 4).is_some_and(|why| why.contains("partition 3")));
        let twice: Vec<Mark> = full.iter().cloned().chain([mark(STATE, 1, b"x")]).collect();
        assert!(incomplete(&twice, 3).is_some_and(|why| why.contains("twice")));
    }

    #[test]
    fn before_a_part_is_the_last_position_that_is_smaller() {
        assert_eq!(before(0, 0), None);
        assert_eq!(before(0, 5), Some((0, 4)));
        assert_eq!(before(2, 0), Some((1, u32::MAX)));
        assert_eq!(place(272, 271), PartitionId(1));
    }
}

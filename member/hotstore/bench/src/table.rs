//! What a load fills: a table in RAM that can be asked for keys.
//!
//! The law: after `put` the bytes are the table's own; the store, the peers and the floor fill the same kind.
//! Must not know: where records come from.

use crate::content::PARTITIONS;
use anyhow::{Result, bail};
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use std::hash::BuildHasher;

/// A table of some partitions; one for each thread that loads.
pub trait Table: Send {
    /// Key has this value.
    fn put(&mut self, partition: u16, key: &[u8], value: &[u8]);
    /// Key is gone.
    fn remove(&mut self, partition: u16, key: &[u8]);
    /// Everything of the partition is gone.
    fn clear(&mut self, partition: u16);
    /// Value of a key.
    fn get(&self, partition: u16, key: &[u8]) -> Option<&[u8]>;
    /// Keys.
    fn entries(&self) -> u64;
}

/// An empty table of the kind of that name.
pub fn named(kind: &str) -> Result<Box<dyn Table>> {
    match kind {
        "arena" => Ok(Box::<Arena>::default()),
        "boxes" => Ok(Box::<Boxes>::default()),
        _ => bail!("a table is arena or boxes, not {kind}"),
    }
}

/// Two allocations an entry, the plain way.
#[derive(Default)]
struct Boxes {
    parts: HashMap<u16, Boxed>,
}

type Boxed = HashMap<Box<[u8]>, Box<[u8]>>;

impl Table for Boxes {
    fn put(&mut self, partition: u16, key: &[u8], value: &[u8]) {
        self.parts.entry(partition).or_default().insert(key.into(), value.into());
    }

    fn remove(&mut self, partition: u16, key: &[u8]) {
        self.parts.entry(partition).or_default().remove(key);
    }

    fn clear(&mut self, partition: u16) {
        self.parts.remove(&partition);
    }

    fn get(&self, partition: u16, key: &[u8]) -> Option<&[u8]> {
        self.parts.get(&partition)?.get(key).map(|value| &value[..])
    }

    fn entries(&self) -> u64 {
        self.parts.values().map(|part| part.len() as u64).sum()
    }
}

/// First segment of a partition, and the longest that is asked for ahead.
const SEGMENT_BYTES: (usize, usize) = (4 << 10, 256 << 10);
/// Two lengths before each entry.
const HEAD: usize = 8;

/// Entries lie one behind the other in segments; an index holds places and half a hash, so that growing it touches no entry.
struct Arena {
    parts: Vec<Part>,
    hasher: DefaultHashBuilder,
}

#[derive(Default)]
struct Part {
    segments: Vec<Vec<u8>>,
    index: HashTable<Spot>,
}

#[derive(Clone, Copy)]
struct Spot {
    hash: u32,
    segment: u32,
    offset: u32,
}

impl Default for Arena {
    fn default() -> Self {
        let parts = (0..PARTITIONS).map(|_| Part::default()).collect();
        Arena { parts, hasher: DefaultHashBuilder::default() }
    }
}

/// All 64 bits that the index wants, of the half that is kept.
fn widened(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn length(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, |four| u32::from_le_bytes(four) as usize)
}

impl Part {
    fn entry(&self, spot: Spot) -> (&[u8], &[u8]) {
        let segment = &self.segments[spot.segment as usize];
        let at = spot.offset as usize;
        let (key, value) = (length(segment, at), length(segment, at + 4));
        segment[at + HEAD..at + HEAD + key + value].split_at(key)
    }

    fn lay(&mut self, hash: u32, key: &[u8], value: &[u8]) -> Spot {
        let needed = HEAD + key.len() + value.len();
        let fits = self.segments.last().is_some_and(|last| last.capacity() - last.len() >= needed);
        if !fits {
            let doubled = self.segments.last().map_or(SEGMENT_BYTES.0, |last| 2 * last.capacity());
            self.segments.push(Vec::with_capacity(doubled.min(SEGMENT_BYTES.1).max(needed)));
        }
        let segment = self.segments.len() - 1;
        let bytes = &mut self.segments[segment];
        let offset = bytes.len() as u32;
        bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value);
        Spot { hash, segment: segment as u32, offset }
    }

    fn find(&self, hash: u32, key: &[u8]) -> Option<Spot> {
        self.index.find(widened(hash), |spot| spot.hash == hash && self.entry(*spot).0 == key).copied()
    }

    fn take_out(&mut self, spot: Spot) {
        let same = |other: &Spot| other.segment == spot.segment && other.offset == spot.offset;
        if let Ok(found) = self.index.find_entry(widened(spot.hash), same) {
            found.remove();
        }
    }
}

impl Arena {
    fn half(&self, key: &[u8]) -> u32 {
        (self.hasher.hash_one(key) >> 32) as u32
    }
}

impl Table for Arena {
    fn put(&mut self, partition: u16, key: &[u8], value: &[u8]) {
        let hash = self.half(key);
        let part = &mut self.parts[usize::from(partition)];
        if let Some(old) = part.find(hash, key) {
            part.take_out(old);
        }
        let spot = part.lay(hash, key, value);
        part.index.insert_unique(widened(hash), spot, |spot| widened(spot.hash));
    }

    fn remove(&mut self, partition: u16, key: &[u8]) {
        let hash = self.half(key);
        let part = &mut self.parts[usize::from(partition)];
        if let Some(old) = part.find(hash, key) {
            part.take_out(old);
        }
    }

    fn clear(&mut self, partition: u16) {
        self.parts[usize::from(partition)] = Part::default();
    }

    fn get(&self, partition: u16, key: &[u8]) -> Option<&[u8]> {
        let part = &self.parts[usize::from(partition)];
        part.find(self.half(key), key).map(|spot| part.entry(spot).1)
    }

    fn entries(&self) -> u64 {
        self.parts.iter().map(|part| part.index.len() as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_say_the_same() {
        for kind in ["arena", "boxes"] {
            let mut table = named(kind).unwrap();
            for n in 0..5000u64 {
                table.put((n % 3) as u16, &n.to_be_bytes(), &[n as u8; 300]);
                table.put((n % 3) as u16, &n.to_be_bytes(), &[n as u8, 1]);
            }
            table.remove(0, &3u64.to_be_bytes());
            table.clear(1);
            assert_eq!(table.entries(), 5000 - 1 - 1667, "{kind}");
            assert_eq!(table.get(2, &302u64.to_be_bytes()), Some(&[302u64 as u8, 1][..]), "{kind}");
            assert_eq!(table.get(0, &3u64.to_be_bytes()), None, "{kind}");
        }
    }
}

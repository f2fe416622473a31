//! An entry of a map, and how old its last record in the log is.
//!
//! The law: an age is never later than the chunk that holds the last record of the key; what is not known is as old as can
//! be. It says nothing about the content: two entries with the same value are equal. Must not know: chunks, but for their
//! order.

use std::ops::Bound;

use bytes::Bytes;

use crate::LogRecord;
use crate::content::{Content, Place};

/// Entries that are looked at in one go.
const LOOKED_AT: usize = 4096;
/// Bytes of entries that are found in one go.
const FOUND_BYTES: usize = 256 << 10;

/// Value of a key.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The value.
    pub value: Bytes,
    age: u32,
}

impl Entry {
    /// Of which the log has nothing yet.
    pub fn new(value: Bytes) -> Self {
        Entry { value, age: 0 }
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for Entry {}

/// How often a key came back into RAM of which the log may show something: who looks through the entries in pieces may have
/// passed its place, and begins again. It says nothing about the content.
#[derive(Clone, Copy, Debug, Default)]
pub struct Revived(pub u64);

impl PartialEq for Revived {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Revived {}

/// Old entries, and where to go on; `None`: there are no more.
pub type Older = (Vec<LogRecord>, Option<Place>);

impl Content {
    /// The last record of a key was appended when this was the number of the newest chunk, or was found in it.
    pub fn stamp(&mut self, map: &str, key: &Bytes, age: u64) {
        if let Some(entry) = self.maps.get_mut(map).and_then(|entries| entries.get_mut(key)) {
            entry.age = u32::try_from(age).unwrap_or(u32::MAX);
        }
    }

    /// Entries whose last record may lie in a chunk before number `than`, as the log shows them, after a place.
    pub fn older(&self, than: u64, after: Option<&Place>) -> Older {
        let (mut found, mut bytes, mut looked) = (Vec::new(), 0, 0);
        if after.is_none_or(|place| !place.removed) {
            let from = after.map_or(Bound::Unbounded, |place| Bound::Included(place.map.as_str()));
            for (map, entries) in self.maps.range::<str, _>((from, Bound::Unbounded)) {
                let start = after.filter(|place| place.map == *map);
                let start = start.map_or(Bound::Unbounded, |place| Bound::Excluded(place.key.clone()));
                for (key, entry) in entries.range((start, Bound::Unbounded)) {
                    looked += 1;
                    if let Some(value) = self.shown(map, key, entry).filter(|_| u64::from(entry.age) < than) {
                        bytes += key.len() + value.len();
                        found.push(put(map, key, value));
                    }
                    if bytes >= FOUND_BYTES || looked >= LOOKED_AT {
                        let place = Place { removed: false, map: map.clone(), key: key.clone() };
                        return (found, Some(place));
                    }
                }
            }
        }
        // Of keys that a sink removed and that the disk must still show no age is known.
        found.extend(self.shown_only_on_disk().map(|(map, key, value)| put(map, key, value)));
        (found, None)
    }

    fn shown<'a>(&'a self, map: &str, key: &Bytes, entry: &'a Entry) -> Option<&'a Bytes> {
        match self.pending.on_disk(map, key) {
            None => Some(&entry.value),
            Some(before) => before.as_ref(),
        }
    }

    fn shown_only_on_disk(&self) -> impl Iterator<Item = (&str, &Bytes, &Bytes)> {
        let in_ram = |map: &str, key: &Bytes| self.maps.get(map).is_some_and(|entries| entries.contains_key(key));
        let held = self.pending.held().filter(move |(map, key, _)| !in_ram(map, key));
        held.filter_map(|(map, key, held)| Some((map, key, held.before.as_ref()?)))
    }

    /// Bytes that a log of nothing but the entries would take, with so many for each.
    pub fn live_bytes(&self, of_an_entry: impl Fn(usize, usize) -> u64) -> u64 {
        let entries = self.maps.values().flatten();
        entries.map(|(key, entry)| of_an_entry(key.len(), entry.value.len())).sum()
    }
}

fn put(map: &str, key: &Bytes, value: &Bytes) -> LogRecord {
    LogRecord::Put { map: map.into(), key: key.clone(), value: value.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys((found, place): Older) -> (Vec<u32>, bool) {
        let key = |record: LogRecord| match record {
            LogRecord::Put { key, .. } => u32::from_be_bytes(key.as_ref().try_into().unwrap()),
            other => panic!("{other:?}"),
        };
        (found.into_iter().map(key).collect(), place.is_some())
    }

    #[test]
    fn what_is_older_is_found_once_in_pieces_and_a_new_value_keeps_its_age_until_it_is_logged() {
        let (mut content, bytes) = (Content::default(), |n: u32| Bytes::from(n.to_be_bytes().to_vec()));
        for n in 0..10_000u32 {
            content.set("a", &bytes(n), Some(bytes(n)));
            content.stamp("a", &bytes(n), u64::from(n % 10) + 1);
        }
        content.set("b", &bytes(7), Some(bytes(7)));
        let (mut found, mut place, mut turns) = (Vec::new(), None, 0);
        loop {
            let older = content.older(3, place.as_ref());
            place = older.1.clone();
            found.extend(keys(older).0);
            turns += 1;
            if place.is_none() {
                break;
            }
        }
        let mut expected: Vec<u32> = (0..10_000).filter(|n| n % 10 < 2).collect();
        expected.push(7);
        assert_eq!((found, turns), (expected, 3));
        content.set("b", &bytes(7), Some(bytes(8)));
        content.stamp("b", &bytes(7), 5);
        content.set("b", &bytes(7), Some(bytes(9)));
        let after = Place { removed: false, map: "a".into(), key: bytes(9_999) };
        assert_eq!(keys(content.older(5, Some(&after))), (vec![], false));
        assert_eq!(keys(content.older(6, Some(&after))), (vec![7], false));
        assert_eq!(content.revived.0, 0, "nothing came back");
        assert_eq!(content.live_bytes(|key, value| (key + value) as u64), 10_001 * 8);
    }
}

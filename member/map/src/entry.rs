//! An entry of a map, and how old its last record in the log is.
//!
//! The law: an age is never later than the chunk that holds the last record of the key; what is not known is as old as can
//! be. It says nothing about the content: two entries with the same value are equal. Must not know: chunks, but for their
//! order.

use std::ops::Bound;

use bytes::Bytes;

use crate::LogRecord;
use crate::content::{Content, Place};
use crate::entries;
use crate::life::{KEPT_BYTES, keep};

/// Entries that are looked at in one go.
const LOOKED_AT: usize = 4096;
/// Bytes of entries that are found in one go.
const FOUND_BYTES: usize = 256 << 10;

/// Value of a key.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The value.
    pub value: Bytes,
    /// How often it was changed since the key came, or the whole cluster. It says nothing about the content.
    pub changes: u32,
    age: u32,
}

impl Entry {
    /// Of which the log has nothing yet.
    pub fn new(value: Bytes) -> Self {
        Entry { value, changes: 0, age: 0 }
    }

    /// Another value; gives the one before.
    pub(crate) fn change(&mut self, value: Bytes) -> Bytes {
        self.changes = self.changes.wrapping_add(1);
        std::mem::replace(&mut self.value, value)
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

    /// A copy says how often an entry was changed.
    pub(crate) fn was_changed(&mut self, map: &str, key: &Bytes, changes: u32) {
        if changes > 0
            && let Some(entry) = self.maps.get_mut(map).and_then(|entries| entries.get_mut(key))
        {
            entry.changes = changes;
        }
    }

    /// Entries whose last record may lie in a chunk before number `than`, as the log shows them, after a place.
    pub fn older(&self, than: u64, after: Option<&Place>) -> Older {
        let (mut found, mut bytes, mut looked) = (Vec::new(), 0, 0);
        if let Some((from, mut place)) = Place::goes_on(after) {
            for (map, entries) in self.maps.range::<str, _>((from, Bound::Unbounded)) {
                let start = place.take().filter(|_| matches!(after, Some(Place::Entry { map: of, .. }) if of == map));
                for (at, key, entry) in entries::before(entries, start) {
                    looked += 1;
                    let shown = (u64::from(entry.age) < than).then(|| self.shown(map, key, entry)).flatten();
                    if let Some(value) = shown {
                        bytes += key.len() + value.len();
                        found.push(put(map, key, value));
                    }
                    if bytes >= FOUND_BYTES || looked >= LOOKED_AT {
                        return (found, Some(Place::Entry { map: map.clone(), at }));
                    }
                }
            }
        }
        // Of keys that a sink removed and that the disk must still show no age is known.
        found.extend(self.shown_only_on_disk().map(|(map, key, value)| put(map, key, value.clone())));
        (found, None)
    }

    fn shown(&self, map: &str, key: &Bytes, entry: &Entry) -> Option<Bytes> {
        match self.pending.on_disk(map, key) {
            None => Some(keep(&entry.value, self.limits(map, key))),
            Some(before) => before.clone(),
        }
    }

    fn shown_only_on_disk(&self) -> impl Iterator<Item = (&str, &Bytes, &Bytes)> {
        let in_ram = |map: &str, key: &Bytes| self.maps.get(map).is_some_and(|entries| entries.contains_key(key));
        let held = self.pending.held().filter(move |(map, key, _)| !in_ram(map, key));
        held.filter_map(|(map, key, held)| Some((map, key, held.before.as_ref()?)))
    }

    /// Bytes that a log of nothing but the entries would take, with so many for each.
    pub fn live_bytes(&self, of_an_entry: impl Fn(usize, usize) -> u64) -> u64 {
        let entries = self.maps.iter().flat_map(|(map, entries)| entries.iter().map(move |entry| (map, entry)));
        let kept = |map: &str, key: &[u8]| if self.limits(map, key).is_mortal() { KEPT_BYTES } else { 0 };
        entries.map(|(map, (key, entry))| of_an_entry(key.len(), entry.value.len() + kept(map, key))).sum()
    }
}

fn put(map: &str, key: &Bytes, value: Bytes) -> LogRecord {
    LogRecord::Put { map: map.into(), key: key.clone(), value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::no_sinks;
    use crate::{Epoch, ExecutionId, JobId, Op, SinkWrite, SnapshotId};

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
        let mut expected: Vec<u32> = (0..10_000).rev().filter(|n| n % 10 < 2).collect();
        expected.push(7);
        assert_eq!((found, turns), (expected, 3));
        content.set("b", &bytes(7), Some(bytes(8)));
        content.stamp("b", &bytes(7), 5);
        content.set("b", &bytes(7), Some(bytes(9)));
        let after = Place::Entry { map: "a".into(), at: 0 };
        assert_eq!(keys(content.older(5, Some(&after))), (vec![], false));
        assert_eq!(keys(content.older(6, Some(&after))), (vec![7], false));
        assert_eq!(content.revived.0, 0, "nothing came back");
        assert_eq!(content.live_bytes(|key, value| (key + value) as u64), 10_001 * 8);
    }

    fn bytes(n: u32) -> Bytes {
        Bytes::from(n.to_be_bytes().to_vec())
    }

    fn id(epoch: u64) -> SnapshotId {
        SnapshotId { job: JobId(1), execution: ExecutionId(1), epoch: Epoch(epoch) }
    }

    /// What a job's sink writes in an epoch that no disk has yet.
    fn sink(content: &mut Content, epoch: u64, n: u32, value: Option<u32>) {
        let write = SinkWrite { map: "a".into(), key: bytes(n), value: value.map(bytes) };
        let before = content.set("a", &write.key, write.value.clone());
        content.pending.note(id(epoch), &write, before);
    }

    fn cut_back() -> Op {
        Op::CutBack { id: id(0), by: ExecutionId(2) }
    }

    /// 5,000 entries, of which a sink has removed the first: only the disk shows it.
    fn first_is_removed() -> Content {
        let mut content = Content::default();
        (0..5_000).for_each(|n| drop(content.set("a", &bytes(n), Some(bytes(n)))));
        sink(&mut content, 1, 0, None);
        content
    }

    /// Goes on from a place as whoever moves or rewrites a partition does; gives the keys from there to the end.
    fn to_the_end(content: &Content, of_copies: bool, mut place: Option<Place>) -> Vec<u32> {
        let mut found = Vec::new();
        loop {
            let (records, next) = match of_copies {
                false => content.older(u64::MAX, place.as_ref()),
                true => {
                    let entries = content.on_disk_after(place.as_ref(), 1 << 12);
                    let next = entries.last().map(|(place, _)| place.clone());
                    (entries.into_iter().map(|(_, record)| record).collect(), next)
                }
            };
            found.extend(keys((records, None)).0);
            match next {
                Some(next) => place = Some(next),
                None => return found,
            }
        }
    }

    /// A key that comes back behind the place is in no piece, and is not only on disk any more at the end either: whoever
    /// goes through the content sees by the count that it has to look once more.
    #[test]
    fn a_key_that_comes_back_behind_the_place_is_told() {
        let comes_back: [fn(&mut Content); 2] =
            [|content| sink(content, 2, 0, Some(9)), |content| drop(content.apply(&cut_back(), no_sinks).unwrap())];
        for of_copies in [false, true] {
            for comes_back in comes_back {
                let mut content = first_is_removed();
                assert!(to_the_end(&content, of_copies, None).contains(&0), "the disk shows it");
                let seen = content.revived.0;
                let place = match of_copies {
                    false => content.older(u64::MAX, None).1,
                    true => content.on_disk_after(None, 1 << 12).pop().map(|(place, _)| place),
                };
                comes_back(&mut content);
                assert!(!to_the_end(&content, of_copies, place).contains(&0), "it is behind the place");
                assert_ne!(content.revived.0, seen);
                assert!(to_the_end(&content, of_copies, None).contains(&0), "once more from the begin");
            }
        }
    }

    #[test]
    fn what_a_sink_changes_in_its_place_sends_nobody_back() {
        let mut content = first_is_removed();
        let seen = content.revived.0;
        sink(&mut content, 2, 3_000, Some(7));
        sink(&mut content, 2, 10_000, Some(7));
        content.set("a", &bytes(4_000), None);
        assert_eq!(content.revived.0, seen);
    }
}

//! Maps that may have no more than so many entries.
//!
//! Laws. *A change like any other*: who goes to make room is said by the primary, in a change that is put in order behind the one
//! that took the room, so all replicas and disks lose the same entries. *The bound is that of a partition*, and is looked at
//! after each change of a client; what a job, a store or a copy brings is made room for with the next one. *Nearly the right ones*: of
//! [`LOOKED_AT`] entries that lie one behind another, begun somewhere else each time, those go that were used least; what was
//! just written and what is locked stays. *Use is noted where it is seen*: at the primary, in RAM alone; a new primary begins with
//! knowing nothing, and who was never seen used goes first. Nothing is noted of other maps. Must not know: who asks.

use std::collections::HashMap;

use bytes::Bytes;
use jet_map::{Content, Op, Query};

use crate::config::{Evicted, Room};

/// Entries that are compared, as in the original.
const LOOKED_AT: usize = 15;
/// Entries that go with one change, at most.
const GO_AT_ONCE: usize = 16;
/// Notes of keys that are gone are kept until there are so many times more than entries, and some.
const NOTES_TO_ENTRIES: usize = 2;
const NOTES_ANYWAY: usize = 64;

/// How a key was used.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    /// As counted by the partition itself.
    last: u64,
    often: u64,
}

/// Uses of the keys of maps with bounds, in one partition.
#[derive(Debug, Default)]
pub struct Uses {
    of: HashMap<String, HashMap<Bytes, Use>>,
    count: u64,
    begins: usize,
}

impl Uses {
    /// A key is read or written.
    fn note(&mut self, map: &str, key: &Bytes) {
        self.count += 1;
        let keys = match self.of.get_mut(map) {
            Some(keys) => keys,
            None => self.of.entry(map.to_owned()).or_default(),
        };
        let noted = keys.entry(key.clone()).or_default();
        *noted = Use { last: self.count, often: noted.often + 1 };
    }

    /// A question reads of a map with a bound. Nothing is noted of keys that are not there.
    pub fn read(&mut self, query: &Query, content: &Content) {
        let Some((map, entries)) = query.map().and_then(|map| Some((map, content.maps.get(map)?))) else { return };
        match query {
            Query::Get { key, .. } | Query::ContainsKey { key, .. } | Query::View { key, .. } => {
                std::slice::from_ref(key)
            }
            Query::GetAll { keys, .. } => keys,
            _ => &[],
        }
        .iter()
        .filter(|key| entries.contains_key(*key))
        .for_each(|key| self.note(map, key));
    }

    /// A change wrote of one; gives what is to go, if there is more than `most`.
    pub fn wrote(&mut self, op: &Op, content: &Content, room: Room, most: u64) -> Option<Op> {
        let written: Vec<&Bytes> = match op {
            Op::Put { key, .. } => vec![key],
            Op::PutAll { entries, .. } => entries.iter().map(|(key, _)| key).collect(),
            Op::Keyed(keyed) => vec![&keyed.key],
            _ => return None,
        };
        let map = op.map()?;
        written.iter().for_each(|key| self.note(map, key));
        let entries = content.maps.get(map)?;
        self.forget(map, |key| entries.contains_key(key), entries.len());
        let over = (entries.len() as u64).checked_sub(most).filter(|over| *over > 0)?;
        let goes = usize::try_from(over).unwrap_or(GO_AT_ONCE).min(GO_AT_ONCE);
        let mut found = Vec::new();
        self.begins = self.begins.wrapping_add(LOOKED_AT);
        for at in (0..entries.len().min(LOOKED_AT + written.len() + goes)).map(|n| (self.begins + n) % entries.len()) {
            let Some((key, _)) = entries.get_index(at) else { continue };
            if !written.contains(&key) && content.locks.held(map, key, content.now).is_none() {
                found.push(key);
            }
        }
        let used = |key: &Bytes| self.of.get(map).and_then(|keys| keys.get(key)).copied().unwrap_or_default();
        match room.evicted {
            Evicted::LeastRecent => found.sort_by_key(|key| used(key).last),
            Evicted::LeastFrequent => found.sort_by_key(|key| (used(key).often, used(key).last)),
            Evicted::Random | Evicted::Nobody => {}
        }
        let keys: Vec<Bytes> = found.into_iter().take(goes).cloned().collect();
        (!keys.is_empty()).then(|| Op::TakeOut { map: map.to_owned(), keys, evicted: true })
    }

    /// What is noted of keys that are gone is forgotten, now and then.
    fn forget(&mut self, map: &str, is_there: impl Fn(&Bytes) -> bool, entries: usize) {
        if let Some(keys) = self.of.get_mut(map).filter(|keys| keys.len() > entries * NOTES_TO_ENTRIES + NOTES_ANYWAY) {
            keys.retain(|key, _| is_there(key));
        }
    }

    /// This member leads the partition no more.
    pub fn clear(&mut self) {
        self.of.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::maps::Measure;
    use jet_map::replica::no_sinks;

    const MAP: &str = "m";

    fn key(n: u64) -> Bytes {
        Bytes::copy_from_slice(&n.to_le_bytes())
    }

    fn room(evicted: Evicted) -> Room {
        Room { size: 10, measure: Measure::PerPartition, evicted }
    }

    fn put(content: &mut Content, uses: &mut Uses, n: u64, evicted: Evicted) -> Vec<Bytes> {
        let op = Op::Put { map: MAP.into(), key: key(n), value: Bytes::from_static(b"v") };
        content.apply(&op, no_sinks).unwrap();
        let Some(goes) = uses.wrote(&op, content, room(evicted), 10) else { return Vec::new() };
        content.apply(&goes, no_sinks).unwrap();
        let Op::TakeOut { keys, evicted: true, .. } = goes else { panic!("{goes:?}") };
        keys
    }

    #[test]
    fn who_was_used_least_goes_and_what_was_just_written_stays() {
        for (evicted, expected) in [(Evicted::LeastRecent, 1), (Evicted::LeastFrequent, 2)] {
            let (mut content, mut uses) = (Content::default(), Uses::default());
            for n in 0..10 {
                assert!(put(&mut content, &mut uses, n, evicted).is_empty());
            }
            // All are read but the second; the third once, the others more often.
            let read = |uses: &mut Uses, n| uses.read(&Query::Get { map: MAP.into(), key: key(n) }, &content);
            if evicted == Evicted::LeastFrequent {
                read(&mut uses, 1);
            }
            (0..10).filter(|n| *n != 1 && *n != 2).for_each(|n| read(&mut uses, n));
            if evicted == Evicted::LeastRecent {
                read(&mut uses, 2);
            }
            uses.read(&Query::Get { map: MAP.into(), key: key(77) }, &content);
            assert_eq!(uses.of[MAP].len(), 10, "what is not there is not noted");
            assert_eq!(put(&mut content, &mut uses, 10, evicted), [key(expected)], "{evicted:?}");
        }
    }

    #[test]
    fn there_is_never_more_than_there_is_room_for_and_notes_do_not_grow() {
        let (mut content, mut uses) = (Content::default(), Uses::default());
        for n in 0..2_000 {
            put(&mut content, &mut uses, n, Evicted::LeastRecent);
            assert!(content.maps[MAP].len() <= 10, "after {n}");
            // What is one too many goes behind it.
            assert!(uses.of[MAP].len() <= 11 * NOTES_TO_ENTRIES + NOTES_ANYWAY);
        }
    }
}

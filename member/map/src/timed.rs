//! Things of keys that end by themselves: found by key, and those that end first without looking at the others.
//!
//! The law: what stands in the index is exactly what has an end. Must not know: what ends, what time it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::entries::{Places, in_order};

/// An end that never comes.
pub const NEVER: u64 = u64::MAX;

/// Something that ends at a tick.
pub trait Ends {
    /// From this tick on it is over; [`NEVER`]: it is not.
    fn end(&self) -> u64;
}

/// Of one partition, by map and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed<T> {
    of: BTreeMap<Arc<str>, Places<T>>,
    ends: BTreeSet<(u64, Arc<str>, Bytes)>,
}

impl<T> Default for Timed<T> {
    fn default() -> Self {
        Timed { of: BTreeMap::new(), ends: BTreeSet::new() }
    }
}

impl<T: Ends> Timed<T> {
    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// Of a key.
    pub fn get(&self, map: &str, key: &[u8]) -> Option<&T> {
        self.of.get(map)?.get(key)
    }

    /// Of the keys of a map.
    pub fn of_map(&self, map: &str) -> Option<&Places<T>> {
        self.of.get(map)
    }

    /// All, in order of maps and keys.
    pub fn in_order(&self) -> impl Iterator<Item = (&str, &Bytes, &T)> {
        self.of.iter().flat_map(|(map, keys)| in_order(keys).map(|(key, thing)| (map.as_ref(), key, thing)))
    }

    /// All.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes, &T)> {
        self.of.iter().flat_map(|(map, keys)| keys.iter().map(|(key, thing)| (map.as_ref(), key, thing)))
    }

    /// A key has it now, whatever it had before.
    pub fn put(&mut self, map: &str, key: &Bytes, thing: T) {
        let name = match self.of.get_key_value(map) {
            Some((name, _)) => name.clone(),
            None => Arc::from(map),
        };
        let end = thing.end();
        let before = self.of.entry(name.clone()).or_default().insert(key.clone(), thing).map(|before| before.end());
        if before == Some(end) {
            return;
        }
        if let Some(before) = before.filter(|before| *before != NEVER) {
            self.ends.remove(&(before, name.clone(), key.clone()));
        }
        if end != NEVER {
            self.ends.insert((end, name, key.clone()));
        }
    }

    /// A key has none any more; gives what it had.
    pub fn take(&mut self, map: &str, key: &Bytes) -> Option<T> {
        let name = self.of.get_key_value(map)?.0.clone();
        let keys = self.of.get_mut(map)?;
        let thing = keys.swap_remove(key)?;
        if keys.is_empty() {
            self.of.remove(map);
        }
        if thing.end() != NEVER {
            self.ends.remove(&(thing.end(), name, key.clone()));
        }
        Some(thing)
    }

    /// No key of this map has any more.
    pub fn take_map(&mut self, map: &str) {
        let Some((name, keys)) = self.of.remove_entry(map) else { return };
        for (key, thing) in keys.into_iter().filter(|(_, thing)| thing.end() != NEVER) {
            self.ends.remove(&(thing.end(), name.clone(), key));
        }
    }

    /// Keeps what is to stay.
    pub fn retain(&mut self, stays: impl Fn(&T) -> bool) {
        let gone: Vec<_> = self
            .iter()
            .filter(|(_, _, thing)| !stays(thing))
            .map(|(map, key, _)| (map.to_owned(), key.clone()))
            .collect();
        for (map, key) in gone {
            self.take(&map, &key);
        }
    }

    /// What is over at this tick, the longest over first.
    pub fn over(&self, now: u64) -> impl Iterator<Item = (&str, &Bytes)> {
        self.ends.iter().take_while(move |(end, _, _)| *end <= now).map(|(_, map, key)| (map.as_ref(), key))
    }

    /// How many have an end.
    pub fn ending(&self) -> usize {
        self.ends.len()
    }

    /// The first end.
    pub fn first_end(&self) -> Option<u64> {
        self.ends.first().map(|(end, _, _)| *end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Ends for u64 {
        fn end(&self) -> u64 {
            *self
        }
    }

    #[test]
    fn what_ends_first_is_found_first_and_what_is_gone_is_not_found() {
        let (mut timed, key) = (Timed::default(), |n: u8| Bytes::from(vec![n]));
        for (map, n, end) in [("a", 1, 30), ("a", 2, 10), ("b", 1, 20), ("b", 2, NEVER)] {
            timed.put(map, &key(n), end);
        }
        let over = |timed: &Timed<u64>, now| timed.over(now).map(|(m, k)| format!("{m}{}", k[0])).collect::<Vec<_>>();
        assert_eq!(
            (over(&timed, 9), over(&timed, 20), timed.first_end()),
            (vec![], vec!["a2".into(), "b1".into()], Some(10))
        );
        timed.put("a", &key(2), 40);
        timed.put("b", &key(2), 5);
        assert_eq!(over(&timed, u64::MAX), ["b2", "b1", "a1", "a2"]);
        assert_eq!(
            (timed.take("a", &key(1)), timed.take("a", &key(1)), timed.take("c", &key(1))),
            (Some(30), None, None)
        );
        timed.take_map("b");
        assert_eq!(over(&timed, u64::MAX), ["a2"]);
        timed.retain(|end| *end != 40);
        assert_eq!(timed, Timed::default());
    }
}

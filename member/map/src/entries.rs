//! The entries of one map in one partition: found by the hash of their key, gone through by their place.
//!
//! The law: equal changes give equal places. Who goes through them goes from the last place to the first, and may leave off
//! and go on from a place while they change: it finds every entry that was there all the time, one that moved perhaps twice.
//! What comes meanwhile lies behind it. In the order of their keys they are given for digests only, at the cost of sorting.
//! Must not know: what values are, why anybody goes through them.

use bytes::Bytes;
use indexmap::IndexMap;

use crate::Entry;

/// Room grows by this part of what there is; whole doublings would leave half of it empty at times.
const GROWS_BY: usize = 4;
/// Bytes of a key that are compared before the key itself is looked at.
const COMPARED_FIRST: usize = 8;

/// Things of keys by place.
pub type Places<T> = IndexMap<Bytes, T>;

/// Entries by place.
pub type Entries = Places<Entry>;

/// What lies before a place, the last first; no place: all.
pub fn before<T>(all: &Places<T>, place: Option<usize>) -> impl Iterator<Item = (usize, &Bytes, &T)> {
    let end = place.map_or(all.len(), |place| place.min(all.len()));
    (0..end).rev().filter_map(|at| all.get_index(at).map(|(key, thing)| (at, key, thing)))
}

/// Puts a key that is not there in the last place.
pub fn insert<T>(all: &mut Places<T>, key: Bytes, thing: T) {
    if all.len() == all.capacity() {
        all.reserve_exact((all.len() / GROWS_BY).max(1));
    }
    all.insert(key, thing);
}

/// All, in order of keys.
pub fn in_order<T>(all: &Places<T>) -> impl Iterator<Item = (&Bytes, &T)> {
    let first = all.first().map_or(&[][..], |(key, _)| key);
    let common = all.keys().fold(first.len(), |common, key| {
        first.iter().zip(key.iter()).take(common).take_while(|(one, other)| one == other).count()
    });
    let compared = |key: &Bytes| {
        let mut bytes = [0; COMPARED_FIRST];
        bytes.iter_mut().zip(&key[common..]).for_each(|(byte, of_key)| *byte = *of_key);
        u64::from_be_bytes(bytes)
    };
    let mut sorted: Vec<_> = all.iter().map(|(key, thing)| (compared(key), key, thing)).collect();
    sorted.sort_unstable_by(|one, other| one.0.cmp(&other.0).then_with(|| one.1.cmp(other.1)));
    sorted.into_iter().map(|(_, key, thing)| (key, thing))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn places(keys: &[Vec<u8>]) -> Places<usize> {
        let mut all = Places::new();
        for (n, key) in keys.iter().enumerate() {
            if !all.contains_key(&key[..]) {
                insert(&mut all, Bytes::copy_from_slice(key), n);
            }
        }
        all
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_the_keys(common in "[ab]{0,20}", keys in prop::collection::vec(prop::collection::vec(0u8..3, 0..12), 0..40)) {
            let keys: Vec<_> = keys.into_iter().map(|key| [common.as_bytes(), &key].concat()).collect();
            let all = places(&keys);
            let sorted: std::collections::BTreeSet<_> = keys.iter().cloned().collect();
            let given: Vec<_> = in_order(&all).map(|(key, _)| key.to_vec()).collect();
            prop_assert_eq!(given, sorted.into_iter().collect::<Vec<_>>());
        }

        /// Between two pieces keys go, stay and come.
        #[test]
        fn who_goes_on_from_a_place_misses_nothing_that_was_there_all_the_time(
            count in 1usize..60,
            pieces in prop::collection::vec((1usize..8, prop::collection::vec((0u8..80, any::<bool>()), 0..8)), 1..30),
        ) {
            let key = |n: u8| Bytes::from(vec![n]);
            let mut all = places(&(0..count).map(|n| vec![u8::try_from(n).unwrap()]).collect::<Vec<_>>());
            let mut always: std::collections::BTreeSet<_> = all.keys().cloned().collect();
            let (mut found, mut place) = (std::collections::BTreeSet::new(), None);
            let mut rest = pieces.into_iter();
            loop {
                let (most, changes) = rest.next().unwrap_or((usize::MAX, Vec::new()));
                let piece: Vec<_> = before(&all, place).take(most).map(|(at, key, _)| (at, key.clone())).collect();
                let Some((last, _)) = piece.last() else { break };
                place = Some(*last);
                found.extend(piece.into_iter().map(|(_, key)| key));
                for (n, comes) in changes {
                    match (comes, all.contains_key(&key(n))) {
                        (true, false) => insert(&mut all, key(n), 0),
                        (false, true) => {
                            all.swap_remove(&key(n));
                            always.remove(&key(n));
                        }
                        _ => {}
                    }
                }
            }
            prop_assert!(always.is_subset(&found), "{:?} of {:?}", always.difference(&found).collect::<Vec<_>>(), always);
        }
    }
}

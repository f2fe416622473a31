//! Whether the calls on one key could have happened one after the other.
//!
//! Law: each call that was told a value takes effect at one moment between its two times, one of unknown outcome at any
//! moment after its begin or never, one that was refused never (Wing and Gong, with the memory of Lowe). Must not know: how
//! the map works.

use std::collections::HashSet;

use crate::history::{Asked, Call, Told};

/// A history that cannot be explained.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("calls on key {key} cannot have happened one after the other: {explained} can, then none of {stuck:?}")]
pub struct NotLinear {
    /// The key.
    pub key: u64,
    /// How many calls could be put in order.
    pub explained: usize,
    /// Those of which none could be next.
    pub stuck: Vec<Call>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Seen {
    done: Vec<u64>,
    value: Option<u64>,
}

/// Looks for an order of the calls of one key, of which `first` was there before.
///
/// A change of unknown outcome is put only right before a call that was told its value: elsewhere nobody would have seen it. So
/// what is searched grows with the calls that were under way beside one another, and not with the unknown ones.
pub fn judge(calls: &[Call], first: Option<u64>) -> Result<(), NotLinear> {
    let mut calls: Vec<Call> = calls.iter().filter(|call| call.told != Told::Refused).copied().collect();
    // A read that was told nothing says nothing.
    calls.retain(|call| !(call.told == Told::Unknown && call.asked == Asked::Read));
    calls.sort_by_key(|call| (call.from, call.to));
    let words = calls.len().div_ceil(64);
    let mut visited: HashSet<Seen> = HashSet::new();
    let mut stack = vec![(Seen { done: vec![0; words], value: first }, 0_usize)];
    let (mut best, mut stuck) = (0, Vec::new());
    while let Some((at, explained)) = stack.pop() {
        if !visited.insert(at.clone()) {
            continue;
        }
        let open: Vec<usize> = (0..calls.len()).filter(|n| !at.has(*n)).collect();
        let (told, unknown): (Vec<usize>, Vec<usize>) = open.iter().partition(|n| calls[**n].told != Told::Unknown);
        let Some(first_end) = told.iter().map(|n| calls[*n].to).min() else { return Ok(()) };
        let may_be_next = |n: &usize| calls[*n].from <= first_end;
        let before = stack.len();
        for n in told.iter().copied().filter(may_be_next) {
            if let Some(value) = step(&calls[n], at.value) {
                stack.push((at.with(&[n], value), explained + 1));
            }
            // Of several that would do any is as good: who has begun may come at every later moment too.
            let before = unknown.iter().copied().filter(may_be_next).find_map(|u| {
                let Asked::Write(written) = calls[u].asked else { return None };
                Some((u, step(&calls[n], written)?))
            });
            if let Some((u, value)) = before {
                stack.push((at.with(&[u, n], value), explained + 2));
            }
        }
        if stack.len() == before && explained >= best {
            best = explained;
            stuck = told.iter().filter(|n| may_be_next(n)).map(|n| calls[*n]).collect();
        }
    }
    Err(NotLinear { key: calls.first().map_or(0, |call| call.key), explained: best, stuck })
}

impl Seen {
    fn has(&self, n: usize) -> bool {
        self.done[n / 64] & (1 << (n % 64)) != 0
    }

    fn with(&self, calls: &[usize], value: Option<u64>) -> Self {
        let mut done = self.done.clone();
        calls.iter().for_each(|n| done[n / 64] |= 1 << (n % 64));
        Seen { done, value }
    }
}

/// What is there after a call that was told a value, if it can come next.
fn step(call: &Call, value: Option<u64>) -> Option<Option<u64>> {
    match (call.asked, call.told) {
        (_, Told::Value(told)) if told != value => None,
        (Asked::Read, _) => Some(value),
        (Asked::Write(new), _) => Some(new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(asked: Asked, from: u64, to: u64, told: Told) -> Call {
        Call { client: 0, key: 7, asked, from, to, told }
    }

    fn write(value: u64, from: u64, to: u64, before: Option<u64>) -> Call {
        call(Asked::Write(Some(value)), from, to, Told::Value(before))
    }

    fn read(value: Option<u64>, from: u64, to: u64) -> Call {
        call(Asked::Read, from, to, Told::Value(value))
    }

    #[test]
    fn calls_beside_one_another_may_have_come_in_any_order() {
        let both = [write(1, 0, 10, None), write(2, 5, 15, Some(1)), read(Some(2), 16, 20)];
        assert_eq!(judge(&both, None), Ok(()));
        let other = [write(1, 0, 10, Some(2)), write(2, 5, 15, None), read(Some(1), 16, 20)];
        assert_eq!(judge(&other, None), Ok(()));
    }

    #[test]
    fn a_read_of_what_was_overwritten_before_it_began_is_found() {
        let stale = [write(1, 0, 1, None), write(2, 2, 3, Some(1)), read(Some(1), 4, 5)];
        assert!(judge(&stale, None).is_err());
        let lost = [write(1, 0, 1, None), read(None, 2, 3)];
        assert!(judge(&lost, None).is_err());
        let forward_and_back = [write(1, 0, 100, None), read(Some(1), 1, 2), read(None, 3, 4)];
        assert!(judge(&forward_and_back, None).is_err());
    }

    #[test]
    fn what_is_unknown_may_come_late_or_never_and_what_was_refused_never() {
        let unknown = call(Asked::Write(Some(9)), 0, 5, Told::Unknown);
        for seen in [None, Some(9)] {
            assert_eq!(judge(&[unknown, read(None, 6, 7), read(seen, 8, 9)], None), Ok(()), "{seen:?}");
        }
        let refused = call(Asked::Write(Some(9)), 0, 5, Told::Refused);
        assert!(judge(&[refused, read(Some(9), 6, 7)], None).is_err());
        assert!(judge(&[unknown, read(Some(9), 6, 7), read(None, 8, 9)], None).is_err(), "it does not go away again");
    }
}

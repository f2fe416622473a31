//! What clients asked and what they were told.
//!
//! Law: it holds nothing but that: times are those at which the client asked and was told. Where RAM of all copies was lost a
//! key may begin anew with any value that somebody had asked for; one of which changes wait for the disks only with one that
//! no acknowledged change came behind. Must not know: what really happened.

use std::collections::{BTreeMap, BTreeSet};

use crate::linear::{self, NotLinear};

/// What was asked about one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// What is there?
    Read,
    /// From now on this is there (a value that nobody else writes); `None`: nothing.
    Write(Option<u64>),
}

/// What was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// This is there (of a read), or was there before (of a write).
    Value(Option<u64>),
    /// Nothing has happened.
    Refused,
    /// It may have happened, or may yet.
    Unknown,
}

/// One call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Whose.
    pub client: usize,
    /// About which key.
    pub key: u64,
    /// What was asked.
    pub asked: Asked,
    /// When.
    pub from: u64,
    /// When it was told.
    pub to: u64,
    /// What.
    pub told: Told,
}

/// Of every third key changes wait for the disks.
pub fn waits_for_disks(key: u64) -> bool {
    key % 3 == 2
}

/// Whether the calls on every key could have happened one after the other, between any two losses.
pub fn explain(calls: &[Call], losses: &[u64]) -> Result<(), NotLinear> {
    let mut keys: BTreeMap<u64, Vec<Call>> = BTreeMap::new();
    for call in calls {
        keys.entry(call.key).or_default().push(*call);
    }
    keys.values().try_for_each(|calls| between_losses(calls, losses))
}

fn between_losses(calls: &[Call], losses: &[u64]) -> Result<(), NotLinear> {
    let mut asked_for = BTreeSet::from([None]);
    let mut from = 0;
    for until in losses.iter().copied().chain([u64::MAX]) {
        let part: Vec<Call> = calls.iter().filter_map(|call| within(call, from, until)).collect();
        let firsts: Vec<Option<u64>> = match from {
            0 => vec![None],
            _ if calls.iter().any(|call| waits_for_disks(call.key)) => on_disks(calls, from),
            _ => asked_for.iter().copied().collect(),
        };
        let mut judged = firsts.into_iter().map(|first| linear::judge(&part, first));
        let mut last = judged.next().unwrap_or(Ok(()));
        for next in judged {
            if last.is_ok() {
                break;
            }
            last = next;
        }
        last?;
        asked_for.extend(part.iter().filter_map(|call| match call.asked {
            Asked::Write(value) => Some(value),
            Asked::Read => None,
        }));
        from = until;
    }
    Ok(())
}

/// What may be there after everybody lost RAM at this moment, of a key of which changes wait for the disks.
fn on_disks(calls: &[Call], at: u64) -> Vec<Option<u64>> {
    let done = |call: &Call| matches!(call.told, Told::Value(_)) && call.to < at;
    let write = |call: &Call| match call.asked {
        Asked::Write(value) if call.told != Told::Refused && call.from < at => {
            Some((value, call.from, if done(call) { call.to } else { at }))
        }
        _ => None,
    };
    let mut writes: Vec<_> = calls.iter().filter_map(write).collect();
    writes.push((None, 0, 0));
    // The last that certainly came behind others.
    let last =
        calls.iter().filter(|call| done(call) && call.asked != Asked::Read).map(|call| call.from).max().unwrap_or(0);
    writes.into_iter().filter(|(_, _, to)| *to >= last).map(|(value, ..)| value).collect()
}

/// What a call says of the time between two losses: one that spans a loss may have happened on either side of it.
fn within(call: &Call, from: u64, until: u64) -> Option<Call> {
    let spans = call.from < from || call.to >= until;
    match call.asked {
        _ if call.from >= until || call.to < from && call.told != Told::Unknown => None,
        _ if !spans => Some(*call),
        Asked::Read => None,
        Asked::Write(_) if call.told == Told::Refused => None,
        Asked::Write(_) => Some(Call { from: call.from.max(from), told: Told::Unknown, ..*call }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(key: u64, asked: Asked, from: u64, told: Told) -> Call {
        Call { client: 0, key, asked, from, to: from + 10, told }
    }

    #[test]
    fn what_was_acknowledged_on_disks_survives_a_loss_and_what_was_not_may() {
        let done = |value| Told::Value(value);
        for (key, holds) in [(0, [true, true, true]), (2, [false, false, true])] {
            for (read, holds) in [None, Some(1), Some(2)].into_iter().zip(holds) {
                let calls = [
                    call(key, Asked::Write(Some(1)), 100, done(None)),
                    call(key, Asked::Write(Some(2)), 200, done(Some(1))),
                    call(key, Asked::Read, 900, done(read)),
                ];
                assert_eq!(explain(&calls, &[500]).is_ok(), holds, "key {key}, {read:?}");
            }
        }
        let unknown = [
            call(2, Asked::Write(Some(1)), 100, done(None)),
            call(2, Asked::Write(Some(2)), 200, Told::Unknown),
            call(2, Asked::Write(Some(3)), 300, Told::Refused),
        ];
        for (read, holds) in [(None, false), (Some(1), true), (Some(2), true), (Some(3), false)] {
            let calls = [&unknown[..], &[call(2, Asked::Read, 900, done(read))]].concat();
            assert_eq!(explain(&calls, &[500]).is_ok(), holds, "{read:?}");
        }
    }
}

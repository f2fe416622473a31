//! What clients asked and what they were told.
//!
//! Law: it holds nothing but that: times are those at which the client asked and was told. Where RAM of all copies was lost a
//! key may begin anew with any value that somebody had asked for. Must not know: what really happened.

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

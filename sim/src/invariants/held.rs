//! A committed stop holds until it is over.
//!
//! Law: who leads, and has itself sealed in the process that it is, does not end a committed stop: what it sealed is held until
//! everybody who sealed is gone, and of itself it knows that it is not. Must not know: who stops, and who returns.

use std::collections::BTreeMap;
use std::sync::Arc;

use jet_core::{ClusterState, LogIndex, Machine, RecoveringFrom};

use super::{Shown, Violated};

/// The newest machine that was seen last, and who led.
#[derive(Default)]
pub struct Held {
    newest: Arc<Machine>,
    /// The last entry that one had when it was first seen to lead a term.
    began: BTreeMap<(u64, usize), LogIndex>,
}

impl Held {
    /// Looks at the newest machine.
    pub fn look(&mut self, shown: &[Shown]) -> Result<(), Violated> {
        for one in shown {
            if let Some(leading) = one.standing.as_ref().and_then(|standing| standing.leading) {
                self.began.entry((leading.term, one.ordinal)).or_insert(leading.last);
            }
        }
        let Some(newest) = shown.iter().map(|one| &one.machine).max_by_key(|machine| machine.applied) else {
            return Ok(());
        };
        if newest.applied <= self.newest.applied {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.newest, newest.clone());
        let ClusterState::Recovering { from: RecoveringFrom::Sealed { op, .. }, .. } = &newest.state else {
            return Ok(());
        };
        if !matches!(&before.state, ClusterState::Passive { held_by: Some(held) } if held == op) {
            return Ok(());
        }
        let sealed = |one: &&Shown| {
            let seal = newest.operation(op).and_then(|operation| operation.seals.get(&one.member));
            seal.is_some_and(|seal| one.boot <= seal.boot)
        };
        // What came before its lead is another's.
        let leads = |one: &&Shown| {
            let leading = one.standing.as_ref().and_then(|standing| standing.leading);
            leading.is_some_and(|leading| {
                self.began.get(&(leading.term, one.ordinal)).is_some_and(|began| before.applied >= *began)
            })
        };
        match shown.iter().filter(leads).find(sealed) {
            Some(one) => Err(Violated::LeftTheStop { operation: op.to_string(), ordinal: one.ordinal }),
            None => Ok(()),
        }
    }
}

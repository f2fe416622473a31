//! A person who changes the state of the cluster by hand.
//!
//! Law: it asks any member, again and again, until the member that it reads says so or its patience is over. Must not know:
//! why.

use std::sync::Arc;

use jet_core::{Command, Machine, Settled};

use crate::dice::Dice;

/// Between two questions, in milliseconds.
const PAUSE: std::ops::Range<u64> = 20..300;
/// It gives up after so many milliseconds.
const PATIENCE: u64 = 4_000;

/// The person.
pub struct Person {
    dice: Dice,
    next: u64,
    wanted: Option<(Settled, u64)>,
}

impl Person {
    /// Of the world of a seed.
    pub fn new(seed: u64) -> Self {
        Person { dice: Dice::of(seed, "person"), next: 0, wanted: None }
    }

    /// This is to be the state.
    pub fn wants(&mut self, state: Settled, now: u64) {
        self.wanted = Some((state, now + PATIENCE));
    }

    /// From now on and for ever the cluster is to be ACTIVE.
    pub fn wants_it_back(&mut self) {
        self.wanted = Some((Settled::Active, u64::MAX));
    }

    /// It has nothing to ask for now.
    pub fn idle(&self, now: u64) -> bool {
        self.wanted.is_none() || now < self.next
    }

    /// By what each member that is up says of itself: whom to ask for what.
    pub fn look(&mut self, now: u64, up: &[(usize, Arc<Machine>)]) -> Option<(usize, Command)> {
        let (state, until) = self.wanted?;
        if now < self.next || up.is_empty() {
            return None;
        }
        self.next = now + self.dice.within(PAUSE);
        let (at, read) = self.dice.one_of(up).clone();
        let is_so = read.state == state.into();
        if now > until || (is_so && until < u64::MAX) {
            self.wanted = None;
        }
        let may_be_asked = read.state.settled().is_some() && read.open_operation().is_none();
        (may_be_asked && !is_so).then(|| (at, Command::SetState { state, absent: Vec::new() }))
    }
}

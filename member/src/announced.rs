//! A value that many wait for the next of.
//!
//! Law: they are woken in the order in which they came, so that a history of a cluster repeats (tokio's own `watch` wakes
//! those of one channel in an order of chance: here each has a channel of its own). Must not know: what it is.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// The value.
pub struct Announced<T>(Mutex<State<T>>);

struct State<T> {
    now: T,
    waiting: Vec<watch::Sender<T>>,
}

impl<T: Clone> Announced<T> {
    /// Begins with this one.
    pub fn new(first: T) -> Self {
        Self(Mutex::new(State { now: first, waiting: Vec::new() }))
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As it is.
    pub fn now(&self) -> T {
        self.state().now.clone()
    }

    /// From now on it is this one.
    pub fn announce(&self, next: T) {
        let mut state = self.state();
        state.waiting.retain(|waiting| !waiting.is_closed());
        for waiting in &state.waiting {
            waiting.send_replace(next.clone());
        }
        state.now = next;
    }

    /// To wait for the next.
    pub fn subscribe(&self) -> watch::Receiver<T> {
        let mut state = self.state();
        let (tell, told) = watch::channel(state.now.clone());
        // Those that wait no more are forgotten also while nothing is announced.
        state.waiting.retain(|waiting| !waiting.is_closed());
        state.waiting.push(tell);
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_and_who_waits_no_more_is_forgotten() {
        let announced = Announced::new(1);
        let (mut first, second) = (announced.subscribe(), announced.subscribe());
        drop(second);
        announced.announce(2);
        assert!(first.has_changed().unwrap());
        assert_eq!((*first.borrow_and_update(), announced.now(), announced.state().waiting.len()), (2, 2, 1));
        drop(first);
        let _third = announced.subscribe();
        assert_eq!(announced.state().waiting.len(), 1);
    }
}

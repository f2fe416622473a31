//! The order of changes that one connection makes of one key, where a change cannot be put in order at once: another member
//! leads its partition, a disk is waited for, somebody else has locked the key, the table changes.
//!
//! Law: of the changes that one thread of a client makes of a key the later is not begun while an earlier one goes the long
//! way, on which it may be tried more than once. Nobody waits for another thread: the one that has locked a key must not wait
//! for those that wait for the lock. Locks themselves, what is
//! tried for a time that the client says, and what is done to several keys take no part. Must not know: how a
//! change is made.
//!
//! Attacks: the later overtakes where the earlier is tried again (`a_later_change_waits_for_an_earlier_one`) · the owner of a
//! lock waits for itself (`another_thread_waits_for_nobody`) · a change that is given up keeps its place
//! (`who_gives_up_keeps_nobody`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// A key of a map, as one thread of the client sees it.
type Lane = (String, Bytes, i64);

/// The changes of one connection that go the long way. Cheap to clone.
#[derive(Clone, Default)]
pub struct Order {
    ways: Arc<Mutex<BTreeMap<Lane, Arc<Turn<()>>>>>,
}

/// A place in the order; until it is dropped those behind it wait.
pub struct Place {
    order: Order,
    lane: Lane,
    turn: Arc<Turn<()>>,
    held: Option<OwnedMutexGuard<()>>,
}

impl Order {
    /// The next place, if an earlier change of this key is not over. Its turn is to be waited for.
    pub fn behind(&self, map: &str, key: &[u8], thread: i64) -> Option<Place> {
        let ways = self.ways();
        if ways.is_empty() {
            return None;
        }
        let lane = (map.to_owned(), Bytes::copy_from_slice(key), thread);
        let turn = ways.get(&lane)?.clone();
        Some(Place { order: self.clone(), lane, turn, held: None })
    }

    /// The first place: no earlier change of this key goes the long way.
    pub fn first(&self, map: &str, key: &[u8], thread: i64) -> Place {
        let lane = (map.to_owned(), Bytes::copy_from_slice(key), thread);
        let turn = self.ways().entry(lane.clone()).or_default().clone();
        let held = turn.clone().try_lock_owned().ok();
        Place { order: self.clone(), lane, turn, held }
    }

    fn ways(&self) -> MutexGuard<'_, BTreeMap<Lane, Arc<Turn<()>>>> {
        self.ways.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until all that came before it are over. Places are given in the order in which this is first polled.
    pub async fn turn(&mut self) {
        if self.held.is_none() {
            self.held = Some(self.turn.clone().lock_owned().await);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.held = None;
        let mut ways = self.order.ways();
        // Here, and in the book: nobody else.
        if Arc::strong_count(&self.turn) <= 2 {
            ways.remove(&self.lane);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn is_its_turn(place: &mut Place) -> bool {
        let turn = std::pin::pin!(place.turn());
        matches!(turn.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(()))
    }

    #[tokio::test]
    async fn a_later_change_waits_for_an_earlier_one() {
        let order = Order::default();
        assert!(order.behind("m", b"k", 1).is_none());
        let mut first = order.first("m", b"k", 1);
        assert!(is_its_turn(&mut first));
        let behind = |n: usize| {
            let (order, mut place) = (order.clone(), order.behind("m", b"k", 1).unwrap());
            async move {
                place.turn().await;
                drop(place);
                let _ = order;
                n
            }
        };
        let mut later = [1, 2, 3].map(|n| Box::pin(behind(n)));
        let mut context = Context::from_waker(Waker::noop());
        later.iter_mut().for_each(|later| assert!(later.as_mut().poll(&mut context).is_pending()));
        drop(first);
        // Whoever is polled first: the order is that of their coming.
        let [one, two, three] = &mut later;
        assert!(three.as_mut().poll(&mut context).is_pending() && two.as_mut().poll(&mut context).is_pending());
        assert_eq!((one.await, two.await, three.await), (1, 2, 3));
        assert!(order.ways().is_empty(), "nothing is remembered of what is over");
    }

    #[test]
    fn another_thread_waits_for_nobody() {
        let order = Order::default();
        let _first = order.first("m", b"k", 1);
        assert!(order.behind("m", b"k", 2).is_none() && order.behind("m", b"l", 1).is_none());
        assert!(order.behind("n", b"k", 1).is_none());
    }

    #[test]
    fn who_gives_up_keeps_nobody() {
        let order = Order::default();
        let first = order.first("m", b"k", 1);
        let mut given_up = order.behind("m", b"k", 1).unwrap();
        assert!(!is_its_turn(&mut given_up));
        let mut last = order.behind("m", b"k", 1).unwrap();
        assert!(!is_its_turn(&mut last));
        drop((given_up, first));
        assert!(is_its_turn(&mut last));
        drop(last);
        assert!(order.ways().is_empty());
    }
}

//! What one connection has asked and is not answered yet.
//!
//! Laws. *What is begun goes on*, whether or not the client reads: it may hold places that others need, of calls to other
//! members, of answers about whole maps, of changes that wait for disks, and the doors of a stop wait for it. *Bounded*: in
//! number, in bytes of what was asked, and in the bytes that the answers are likely to have by those that came lately; what
//! has a large answer is begun one at a time, and only once most of what is answered was taken. What waits for other clients
//! (locks) must not keep this one's next requests, the unlock among them, from being read: it is bounded by refusing, before
//! anything is done. Must not know: sockets, what is asked.
//!
//! Attacks, each with its test in `connection/tests.rs`: sends and reads nothing
//! (`what_is_begun_goes_on_though_nothing_is_read`) · sends large requests (`bytes_that_are_asked_are_bounded`) · asks for
//! many large answers (`large_answers_are_made_one_at_a_time`) · more locks than may wait
//! (`a_lock_that_may_not_wait_is_refused_before_it_is_begun`).

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};

/// Requests of one connection that wait for something.
pub const IN_FLIGHT_MOST: usize = 256;
/// Bytes of them, from which on nothing is read; the last may be one message longer.
pub const ASKED_BYTES_MOST: usize = 16 << 20;
/// Bytes that their answers are likely to have, from which on nothing is read.
pub const EXPECTED_BYTES_MOST: usize = 16 << 20;
/// Requests of one connection that wait for what other requests do: for locks. With one more it is refused.
pub const PARKED_MOST: usize = 4_096;
/// Bytes of them.
pub const PARKED_BYTES_MOST: usize = 16 << 20;

/// How a request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// As most do.
    Plain,
    /// For what other clients do.
    Parked,
    /// It may have a large answer.
    Large,
}

/// A request that is not answered yet.
struct Asked {
    sort: Sort,
    bytes: usize,
    answer: BoxFuture<'static, BytesMut>,
}

impl Future for Asked {
    type Output = (Sort, usize, BytesMut);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(self.answer.as_mut().poll(cx));
        Poll::Ready((self.sort, self.bytes, answer))
    }
}

/// All of them.
#[derive(Default)]
pub struct Open {
    waiting: FuturesUnordered<Asked>,
    parked: FuturesUnordered<Asked>,
    /// With large answers, not begun yet.
    large: VecDeque<Asked>,
    /// One with a large answer is begun.
    large_runs: bool,
    bytes: usize,
    parked_bytes: usize,
    /// The largest answer lately.
    largest: usize,
}

impl Open {
    /// Whether another request may be begun.
    pub fn has_room(&self) -> bool {
        let count = self.waiting.len() + self.large.len();
        let expected = count.saturating_mul(self.largest);
        count < IN_FLIGHT_MOST && self.bytes < ASKED_BYTES_MOST && (count == 0 || expected < EXPECTED_BYTES_MOST)
    }

    /// Whether another of so many bytes may wait for locks.
    pub fn may_park(&self, bytes: usize) -> bool {
        let fits = self.parked_bytes.saturating_add(bytes) <= PARKED_BYTES_MOST;
        self.parked.len() < PARKED_MOST && (fits || self.parked.is_empty())
    }

    /// Nothing waits but for locks.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.large.is_empty()
    }

    /// A request of so many bytes; its answer, if it is there at once. `eager`: most of what is answered was taken.
    pub fn begin(
        &mut self,
        (sort, bytes): (Sort, usize),
        answer: BoxFuture<'static, BytesMut>,
        eager: bool,
        cx: &mut Context<'_>,
    ) -> Option<BytesMut> {
        let mut asked = Asked { sort, bytes, answer };
        let waits_its_turn = sort == Sort::Large && (self.large_runs || !self.large.is_empty() || !eager);
        if waits_its_turn {
            self.bytes += bytes;
            self.large.push_back(asked);
            return None;
        }
        if let Poll::Ready(answer) = asked.answer.as_mut().poll(cx) {
            self.note(answer.len());
            return Some(answer);
        }
        match sort {
            Sort::Parked => {
                self.parked_bytes += bytes;
                self.parked.push(asked);
            }
            Sort::Plain | Sort::Large => {
                self.bytes += bytes;
                self.large_runs |= sort == Sort::Large;
                self.waiting.push(asked);
            }
        }
        None
    }

    /// Begins what has a large answer, if it is its turn.
    pub fn begin_large(&mut self) -> bool {
        let Some(next) = self.large.pop_front_if(|_| !self.large_runs) else { return false };
        self.large_runs = true;
        self.waiting.push(next);
        true
    }

    /// The next answer that is there. To be asked until there is none, whatever became of those before.
    pub fn poll_answer(&mut self, cx: &mut Context<'_>) -> Option<BytesMut> {
        if let Poll::Ready(Some((sort, bytes, answer))) = self.waiting.poll_next_unpin(cx) {
            self.bytes -= bytes;
            self.large_runs &= sort != Sort::Large;
            self.note(answer.len());
            return Some(answer);
        }
        let Poll::Ready(Some((_, bytes, answer))) = self.parked.poll_next_unpin(cx) else { return None };
        self.parked_bytes -= bytes;
        Some(answer)
    }

    fn note(&mut self, bytes: usize) {
        self.largest = bytes.max(self.largest - self.largest / 8);
    }
}

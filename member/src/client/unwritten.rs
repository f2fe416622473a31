//! What is to be written to one connection.
//!
//! Laws. *In one piece*: what is ready is written at once with all that is ready beside it; a large answer is not copied for
//! that. *Bounded*: from [`UNWRITTEN_PAUSE`] on nothing more is read of the client, nor is it told anything unasked; who
//! lets [`ANSWERS_MOST`] of answers wait is cut off; so is who takes less than [`TAKEN_LEAST`] within [`STALLED`]
//! while something waits for it: one byte now and then keeps nothing. Must not know: what is said.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::AsyncWrite;
use tokio::time::Instant;

/// Bytes that wait to be written, from which on nothing is read.
pub const UNWRITTEN_PAUSE: usize = 1 << 20;
/// Bytes of answers that wait to be written, at which a client is cut off. One alone may be longer.
pub const ANSWERS_MOST: usize = 64 << 20;
/// Whoever has something to take takes [`TAKEN_LEAST`] of it within this, or all.
pub const STALLED: Duration = Duration::from_secs(30);
/// See [`STALLED`].
pub const TAKEN_LEAST: usize = 64 << 10;
/// Room for writing that is kept between answers.
const KEPT: usize = 64 << 10;

/// All of it.
#[derive(Default)]
pub struct Unwritten {
    /// Written next.
    pub out: BytesMut,
    /// Behind that, in order.
    answers: VecDeque<BytesMut>,
    answer_bytes: usize,
    /// Since when something waits that is not taken, and what was taken since.
    stuck: Option<Instant>,
    taken: usize,
}

impl Unwritten {
    /// Bytes.
    pub fn len(&self) -> usize {
        self.out.len() + self.answer_bytes
    }

    /// All is written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An answer is ready.
    pub fn answer(&mut self, answer: BytesMut) {
        if self.is_empty() {
            self.out = answer;
            return;
        }
        self.answer_bytes += answer.len();
        self.answers.push_back(answer);
    }

    /// It reads too slowly for what it asks.
    pub fn is_too_much(&self) -> bool {
        self.answer_bytes > ANSWERS_MOST && self.answers.len() > 1
    }

    /// It takes too little of what waits.
    pub fn is_stalled(&self, now: Instant) -> bool {
        self.stuck.is_some_and(|since| now - since > STALLED)
    }

    /// Writes what is taken; whether anything was. `Ok(None)`: the other end is gone.
    pub fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> std::io::Result<Option<bool>> {
        let mut moved = false;
        while self.fill() {
            match Pin::new(&mut *stream).poll_write(cx, &self.out) {
                Poll::Pending => {
                    self.stuck.get_or_insert_with(Instant::now);
                    return Ok(Some(moved));
                }
                Poll::Ready(Ok(0)) => return Ok(None),
                Poll::Ready(written) => self.was_taken(written?),
            }
            moved = true;
        }
        (self.stuck, self.taken) = (None, 0);
        if self.out.capacity() > KEPT {
            self.out = BytesMut::new();
        }
        match Pin::new(stream).poll_flush(cx) {
            Poll::Ready(Err(error)) => Err(error),
            _ => Ok(Some(moved)),
        }
    }

    fn was_taken(&mut self, bytes: usize) {
        self.out.advance(bytes);
        self.taken += bytes;
        if self.taken >= TAKEN_LEAST {
            (self.stuck, self.taken) = (None, 0);
        }
    }

    /// Brings what is written next together; whether there is anything.
    fn fill(&mut self) -> bool {
        let room = |out: usize, next: &BytesMut| out == 0 || out + next.len() <= KEPT;
        while let Some(next) = self.answers.pop_front_if(|next| room(self.out.len(), next)) {
            self.answer_bytes -= next.len();
            if self.out.is_empty() {
                self.out = next;
            } else {
                self.out.extend_from_slice(&next);
            }
        }
        !self.out.is_empty()
    }
}

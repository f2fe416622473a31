//! One client that is known: reading, answering, writing, bounds.
//!
//! Laws. *In order*: requests are begun in the order in which they came, each as far as it goes without waiting, so that
//! two changes of one key are made in that order; answers come as they are ready. *Bounded*: no request is read while
//! [`IN_FLIGHT_MOST`] wait (locks apart, of which [`PARKED_MOST`] may) or [`UNWRITTEN_PAUSE`] bytes are not written, so that a client that does not read its answers
//! stops itself; of what comes unasked no more is written meanwhile: of the cluster it is told the newest when there is room, and
//! events wait in a queue, at whose bound of [`EVENTS_MOST`] bytes it is cut off. *Alive*: who takes nothing for
//! [`STALLED`], or says nothing for [`SILENT`], is cut off. *In one piece*: what is ready is written at once with all
//! that is ready beside it. Where these laws are not kept yet is said in docs/clients.md. Must not know: what a request asks.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use jet_protocol::frames::{Decoder, FrameError, Message};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::call::{Begun, Caller, Calls};
use super::door::Session;
use super::views::View;
use crate::map::Lost;

/// Requests of one connection that wait for something.
pub const IN_FLIGHT_MOST: usize = 256;
/// Requests of one connection that wait for what other requests do: for locks. With one more it is refused.
pub const PARKED_MOST: usize = 4_096;
/// Bytes that wait to be written, from which on nothing is read.
pub const UNWRITTEN_PAUSE: usize = 1 << 20;
/// Bytes of events that wait until there is room to write them, at which a client is cut off.
pub const EVENTS_MOST: usize = 8 << 20;
/// Nothing was taken of what waits for so long.
pub const STALLED: Duration = Duration::from_secs(30);
/// Nothing was said for so long; official clients ping every five seconds.
pub const SILENT: Duration = Duration::from_secs(300);
/// What is being answered when a connection is closed has so long.
const ENDING: Duration = Duration::from_secs(1);
/// Between two looks at the clock.
const LOOK: Duration = Duration::from_secs(5);
/// Read at a time; more only where more lies there.
const READ: usize = 16 << 10;
/// Room for writing that is kept between answers.
const KEPT: usize = 64 << 10;

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
pub enum Over {
    /// It went.
    #[error("it closed the connection")]
    Gone,
    /// The socket failed.
    #[error("the connection failed: {0}")]
    Failed(#[from] std::io::Error),
    /// What came cannot be read on.
    #[error(transparent)]
    Frames(#[from] FrameError),
    /// [`STALLED`].
    #[error("it took nothing of {unwritten} bytes for {STALLED:?}")]
    Stalled {
        /// What waits.
        unwritten: usize,
    },
    /// [`EVENTS_MOST`].
    #[error("it reads too slowly: {0}")]
    Slow(#[from] Lost),
    /// [`SILENT`].
    #[error("it said nothing for {SILENT:?}")]
    Silent,
    /// The cluster is stopped, comes back or has come back: it is another one to clients.
    #[error("the cluster into which it was let in is closed")]
    Closed,
    /// This process ends.
    #[error("this member ends")]
    Ending,
}

impl Over {
    /// Worth a line in the log: it was not the client's wish.
    pub fn is_told(&self) -> bool {
        !matches!(self, Self::Gone | Self::Failed(_))
    }
}

/// Serves until it is over.
pub async fn serve<S>(
    stream: &mut S,
    decoder: Decoder,
    session: Arc<Session>,
    calls: Calls,
    view: watch::Receiver<Arc<View>>,
    ending: CancellationToken,
) -> Over
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (now, seen) = (Instant::now(), view.borrow().clone());
    let mut connection = Connection {
        stream,
        decoder,
        out: BytesMut::new(),
        waiting: FuturesUnordered::new(),
        parked: FuturesUnordered::new(),
        caller: calls.caller(session.clone()),
        session,
        calls,
        news: None,
        view,
        seen,
        ending: Box::pin(ending.cancelled_owned()),
        closing: None,
        look,
        heard: now,
        stuck: None,
    };
    connection.look_at_the_cluster();
    std::future::poll_fn(|cx| connection.poll(cx)).await
}

struct Connection<'a, S> {
    stream: &'a mut S,
    decoder: Decoder,
    /// To be written.
    out: BytesMut,
    waiting: FuturesUnordered<BoxFuture<'static, BytesMut>>,
    parked: FuturesUnordered<BoxFuture<'static, BytesMut>>,
    caller: Caller,
    session: Arc<Session>,
    calls: Calls,
    /// The wait for another view.
    news: Option<BoxFuture<'static, Option<watch::Receiver<Arc<View>>>>>,
    view: watch::Receiver<Arc<View>>,
    seen: Arc<View>,
    ending: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Nothing is read any more: why, and until when what waits may still be answered.
    closing: Option<(Over, Instant)>,
    look: Interval,
    heard: Instant,
    /// Since when nothing is taken of what is to be written.
    stuck: Option<Instant>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        loop {
            if self.ending.as_mut().poll(cx).is_ready() {
                self.close(Over::Ending);
            }
            let mut moved = self.poll_news(cx);
            moved |= self.poll_waiting(cx);
            moved |= match self.poll_told(cx) {
                Ok(moved) => moved,
                Err(lost) => return Poll::Ready(lost.into()),
            };
            moved |= match self.poll_write(cx) {
                Ok(moved) => moved,
                Err(over) => return Poll::Ready(over),
            };
            moved |= match self.poll_read(cx) {
                Ok(moved) => moved,
                Err(over) => return Poll::Ready(over),
            };
            if let Some(over) = self.poll_bounds(cx) {
                return Poll::Ready(over);
            }
            if !moved {
                return Poll::Pending;
            }
        }
    }

    /// Nothing is read any more.
    fn close(&mut self, why: Over) {
        if self.closing.is_none() {
            self.closing = Some((why, Instant::now() + ENDING));
            self.look = tokio::time::interval(ENDING / 10);
        }
    }

    fn poll_news(&mut self, cx: &mut Context<'_>) -> bool {
        let news = self.news.get_or_insert_with(|| {
            let mut view = self.view.clone();
            Box::pin(async move { view.changed().await.is_ok().then_some(view) })
        });
        let Poll::Ready(changed) = news.as_mut().poll(cx) else { return false };
        self.news = None;
        match changed {
            Some(view) => {
                self.view = view;
                self.look_at_the_cluster();
            }
            None => self.close(Over::Ending),
        }
        true
    }

    fn look_at_the_cluster(&mut self) {
        self.seen = self.view.borrow_and_update().clone();
        if self.seen.cluster != Some(self.session.cluster) {
            self.close(Over::Closed);
        }
    }

    /// Writes what it has to be told, as long as there is room. Of another cluster it is told nothing.
    fn poll_told(&mut self, cx: &mut Context<'_>) -> Result<bool, Lost> {
        let before = self.out.len();
        if before < UNWRITTEN_PAUSE && self.closing.is_none() {
            self.caller.tell(&self.seen, &mut self.out);
        }
        while self.out.len() < UNWRITTEN_PAUSE && self.closing.is_none() {
            match self.caller.listeners.poll_told(cx, &mut self.out) {
                Poll::Ready(told) => told?,
                Poll::Pending => break,
            }
        }
        Ok(self.out.len() > before)
    }

    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        while self.out.len() < UNWRITTEN_PAUSE
            && let Poll::Ready(Some(answer)) = self.waiting.poll_next_unpin(cx)
        {
            self.append(answer);
            moved = true;
        }
        while self.out.len() < UNWRITTEN_PAUSE
            && let Poll::Ready(Some(answer)) = self.parked.poll_next_unpin(cx)
        {
            self.append(answer);
            moved = true;
        }
        moved
    }

    fn append(&mut self, answer: BytesMut) {
        if self.out.is_empty() {
            self.out = answer;
        } else {
            self.out.extend_from_slice(&answer);
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<bool, Over> {
        let mut moved = false;
        while !self.out.is_empty() {
            match Pin::new(&mut *self.stream).poll_write(cx, &self.out) {
                Poll::Pending => {
                    self.stuck.get_or_insert_with(Instant::now);
                    return Ok(moved);
                }
                Poll::Ready(Err(error)) => return Err(error.into()),
                Poll::Ready(Ok(0)) => return Err(Over::Gone),
                Poll::Ready(Ok(written)) => {
                    self.out.advance(written);
                    self.stuck = None;
                    moved = true;
                }
            }
        }
        if self.out.capacity() > KEPT {
            self.out = BytesMut::new();
        }
        match Pin::new(&mut *self.stream).poll_flush(cx) {
            Poll::Ready(Err(error)) => Err(error.into()),
            _ => Ok(moved),
        }
    }

    fn has_room(&self) -> bool {
        self.closing.is_none() && self.waiting.len() < IN_FLIGHT_MOST && self.out.len() < UNWRITTEN_PAUSE
    }

    /// Reads what is there, and begins what it asks.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Result<bool, Over> {
        let mut moved = self.begin_all(cx)?;
        while self.has_room() {
            match self.poll_fill(cx) {
                Poll::Pending => return Ok(moved),
                Poll::Ready(Err(error)) => return Err(error.into()),
                Poll::Ready(Ok(0)) => return Err(Over::Gone),
                Poll::Ready(Ok(read)) => {
                    self.heard = Instant::now();
                    moved |= self.begin_all(cx)?;
                    // All that was there: what it asked is answered before it is looked for more.
                    if read < READ {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(moved)
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        let mut room = [std::mem::MaybeUninit::uninit(); READ];
        let mut read = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut *self.stream).poll_read(cx, &mut read))?;
        self.decoder.feed(read.filled());
        Poll::Ready(Ok(read.filled().len()))
    }

    fn begin_all(&mut self, cx: &mut Context<'_>) -> Result<bool, Over> {
        let mut moved = false;
        while self.has_room() {
            let Some(message) = self.decoder.next_message()? else { break };
            self.begin(&message, cx);
            moved = true;
        }
        Ok(moved)
    }

    fn begin(&mut self, message: &Message, cx: &mut Context<'_>) {
        match self.calls.begin(message, &mut self.caller, &self.seen, &mut self.out) {
            Begun::Answered => {}
            Begun::Waits(mut answer) => match answer.as_mut().poll(cx) {
                Poll::Ready(answer) => self.append(answer),
                Poll::Pending => self.waiting.push(answer),
            },
            Begun::Parks(mut answer) => match answer.as_mut().poll(cx) {
                Poll::Ready(answer) => self.append(answer),
                Poll::Pending if self.parked.len() < PARKED_MOST => self.parked.push(answer),
                Poll::Pending => self.calls.refuse(message, PARKED_MOST, &mut self.out),
            },
        }
    }

    fn poll_bounds(&mut self, cx: &mut Context<'_>) -> Option<Over> {
        let unwritten = self.out.len();
        if let Some((_, until)) = &self.closing
            && ((self.out.is_empty() && self.waiting.is_empty()) || Instant::now() >= *until)
        {
            return self.closing.take().map(|(why, _)| why);
        }
        while self.look.poll_tick(cx).is_ready() {
            let now = Instant::now();
            if self.stuck.is_some_and(|since| now - since > STALLED) {
                return Some(Over::Stalled { unwritten });
            }
            if now - self.heard > SILENT && self.waiting.is_empty() && self.parked.is_empty() {
                return Some(Over::Silent);
            }
        }
        None
    }
}

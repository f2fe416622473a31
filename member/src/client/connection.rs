//! One client that is known: reading, answering, writing, bounds.
//!
//! Laws. *In order*: requests are begun in the order in which they came, each as far as it goes without waiting; answers
//! come as they are ready. *Together*: what was read is answered when those connections of the thread that have something to
//! read were read too: who takes answers of many is woken once for all of them, and not for each. *Bounded*: no request is read while [`Open`] has no room for it or much is not written
//! ([`Unwritten`]), so that a client that does not read its answers stops itself, and what it has asked goes on meanwhile; of
//! what comes unasked no more is written meanwhile: of the cluster it is told the newest when there is room, and events wait
//! in a queue, at whose bound of [`EVENTS_MOST`] bytes it is cut off. *Alive*: who takes too little of what waits for it, or says nothing for [`SILENT`], is cut off, whatever it waits for:
//! official clients ping also while they wait for a lock. Must not know: what a request asks.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use futures::future::BoxFuture;
use jet_protocol::frames::{Decoder, FrameError, Message};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::call::{Begun, Caller, Calls};
use super::door::Session;
use super::open::{Open, PARKED_MOST, Sort};
use super::unwritten::{STALLED, TAKEN_LEAST, UNWRITTEN_PAUSE, Unwritten};
use super::views::View;
use crate::map::Lost;

/// Bytes of events that wait until there is room to write them, at which a client is cut off.
pub const EVENTS_MOST: usize = 8 << 20;
/// Nothing was said for so long; official clients ping every five seconds.
pub const SILENT: Duration = Duration::from_secs(300);
/// What is being answered when a connection is closed has so long.
const ENDING: Duration = Duration::from_secs(1);
/// Between two looks at the clock.
const LOOK: Duration = Duration::from_secs(5);
/// Read at a time; more only where more lies there.
const READ: usize = 16 << 10;

/// Who begins what is asked on a connection.
pub trait Begins {
    /// What is known of a connection.
    type Caller;
    /// Of a client that has asked for nothing yet.
    fn caller(&self, session: Arc<Session>) -> Self::Caller;
    /// Writes what is new of the cluster, if it wants to know.
    fn tell(caller: &mut Self::Caller, view: &View, out: &mut BytesMut);
    /// Writes the next event.
    fn poll_told(caller: &mut Self::Caller, cx: &mut Context<'_>, out: &mut BytesMut) -> Poll<Result<(), Lost>>;
    /// Whether a request may come to wait for what other clients do.
    fn may_park(&self, message: &Message) -> bool;
    /// Begins it.
    fn begin(&self, message: &Message, caller: &mut Self::Caller, view: &View, out: &mut BytesMut) -> Begun;
    /// It is not begun: as many wait for locks as may.
    fn refuse(&self, message: &Message, most: usize, out: &mut BytesMut);
}

impl Begins for Calls {
    type Caller = Caller;

    fn caller(&self, session: Arc<Session>) -> Caller {
        Calls::caller(self, session)
    }

    fn tell(caller: &mut Caller, view: &View, out: &mut BytesMut) {
        caller.tell(view, out);
    }

    fn poll_told(caller: &mut Caller, cx: &mut Context<'_>, out: &mut BytesMut) -> Poll<Result<(), Lost>> {
        caller.listeners.poll_told(cx, out)
    }

    fn may_park(&self, message: &Message) -> bool {
        Calls::may_park(message)
    }

    fn begin(&self, message: &Message, caller: &mut Caller, view: &View, out: &mut BytesMut) -> Begun {
        Calls::begin(self, message, caller, view, out)
    }

    fn refuse(&self, message: &Message, most: usize, out: &mut BytesMut) {
        Calls::refuse(self, message, most, out);
    }
}

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
    #[error("it took less than {TAKEN_LEAST} of the {unwritten} bytes that wait for it in {STALLED:?}")]
    Stalled {
        /// What waits.
        unwritten: usize,
    },
    /// [`EVENTS_MOST`].
    #[error("it reads too slowly: {0}")]
    Slow(#[from] Lost),
    /// More answers wait for it than may.
    #[error("it reads too slowly: {unwritten} bytes of answers wait for it")]
    TooMuch {
        /// What waits.
        unwritten: usize,
    },
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
pub async fn serve<S, C>(
    stream: &mut S,
    decoder: Decoder,
    session: Arc<Session>,
    calls: Arc<C>,
    view: watch::Receiver<Arc<View>>,
    ending: CancellationToken,
) -> Over
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    C: Begins,
{
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (now, seen) = (Instant::now(), view.borrow().clone());
    let mut connection = Connection {
        stream,
        decoder,
        unwritten: Unwritten::default(),
        open: Open::default(),
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
    };
    connection.look_at_the_cluster();
    std::future::poll_fn(|cx| connection.poll(cx)).await
}

struct Connection<'a, S, C: Begins> {
    stream: &'a mut S,
    decoder: Decoder,
    unwritten: Unwritten,
    open: Open,
    caller: C::Caller,
    session: Arc<Session>,
    /// Everybody's: what stood here each connection would have, and its future more than once.
    calls: Arc<C>,
    /// The wait for another view.
    news: Option<BoxFuture<'static, Option<watch::Receiver<Arc<View>>>>>,
    view: watch::Receiver<Arc<View>>,
    seen: Arc<View>,
    ending: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Nothing is read any more: why, and until when what waits may still be answered.
    closing: Option<(Over, Instant)>,
    look: Interval,
    heard: Instant,
}

impl<S: AsyncRead + AsyncWrite + Unpin, C: Begins> Connection<'_, S, C> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        loop {
            if self.ending.as_mut().poll(cx).is_ready() {
                self.close(Over::Ending);
            }
            let mut again = self.poll_news(cx);
            again |= self.poll_open(cx);
            let turned = self.poll_told(cx).map_err(Over::from).and_then(|()| {
                again |= self.poll_write(cx)?;
                self.poll_read(cx)
            });
            let began = match turned {
                Ok(began) => began,
                Err(over) => return Poll::Ready(over),
            };
            if let Some(over) = self.poll_bounds(cx) {
                return Poll::Ready(over);
            }
            if began {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if !again {
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
    fn poll_told(&mut self, cx: &mut Context<'_>) -> Result<(), Lost> {
        if self.unwritten.len() < UNWRITTEN_PAUSE && self.closing.is_none() {
            C::tell(&mut self.caller, &self.seen, &mut self.unwritten.out);
        }
        while self.unwritten.len() < UNWRITTEN_PAUSE && self.closing.is_none() {
            match C::poll_told(&mut self.caller, cx, &mut self.unwritten.out) {
                Poll::Ready(told) => told?,
                Poll::Pending => break,
            }
        }
        Ok(())
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = self.unwritten.len() < UNWRITTEN_PAUSE && self.open.begin_large();
        while let Some(answer) = self.open.poll_answer(cx) {
            self.unwritten.answer(answer);
            moved = true;
        }
        moved
    }

    /// Whether there is room now that there was not: for what was passed over before.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<bool, Over> {
        let was_full = self.unwritten.len() >= UNWRITTEN_PAUSE;
        let wrote = self.unwritten.poll_write(self.stream, cx)?.ok_or(Over::Gone)?;
        Ok(wrote && was_full)
    }

    fn has_room(&self) -> bool {
        self.closing.is_none() && self.open.has_room() && self.unwritten.len() < UNWRITTEN_PAUSE
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
        let bytes = message.bytes().len();
        if self.calls.may_park(message) && !self.open.may_park(bytes) {
            return self.calls.refuse(message, PARKED_MOST, &mut self.unwritten.out);
        }
        let eager = self.unwritten.len() < UNWRITTEN_PAUSE;
        let begun = self.calls.begin(message, &mut self.caller, &self.seen, &mut self.unwritten.out);
        let answer = match begun {
            Begun::Answered => return,
            Begun::Waits(answer) => self.open.begin((Sort::Plain, bytes), answer, eager, cx),
            Begun::Parks(answer) => self.open.begin((Sort::Parked, bytes), answer, eager, cx),
            Begun::Large(answer) => self.open.begin((Sort::Large, bytes), answer, eager, cx),
        };
        if let Some(answer) = answer {
            self.unwritten.answer(answer);
        }
    }

    fn poll_bounds(&mut self, cx: &mut Context<'_>) -> Option<Over> {
        let unwritten = self.unwritten.len();
        if self.unwritten.is_too_much() {
            return Some(Over::TooMuch { unwritten });
        }
        if let Some((_, until)) = &self.closing
            && ((unwritten == 0 && self.open.is_idle()) || Instant::now() >= *until)
        {
            return self.closing.take().map(|(why, _)| why);
        }
        while self.look.poll_tick(cx).is_ready() {
            let now = Instant::now();
            if self.unwritten.is_stalled(now) {
                return Some(Over::Stalled { unwritten });
            }
            // Whoever is not listened to cannot be heard.
            self.heard = if self.has_room() { self.heard } else { now };
            if now - self.heard > SILENT {
                return Some(Over::Silent);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;

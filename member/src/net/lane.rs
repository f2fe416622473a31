//! Requests and answers on one connection: the caller's side and the answering side.
//!
//! Law: at most [`IN_FLIGHT`] requests are open in each direction; the next waits. A connection that stays silent for
//! [`SILENCE`] although it was pinged is over, and every open call of it answers `Unknown`. Must not know: bodies.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, BufWriter, ReadHalf, WriteHalf};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::frame::{self, FRAME_LIMIT, FrameError};
use super::hello::Peer;
use super::{CallError, Handler};

/// Requests open at a time, in one direction.
pub const IN_FLIGHT: usize = 512;
/// Frames that wait to be written.
const WRITE_QUEUE: usize = 512;
/// Pause between pings.
const PING: Duration = Duration::from_millis(500);
/// Nothing heard for so long: the connection is over.
pub const SILENCE: Duration = Duration::from_secs(4);

const REQUEST: u8 = 0;
const ANSWER: u8 = 1;
const PING_FRAME: u8 = 2;
const PONG_FRAME: u8 = 3;

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Bytes>>>>;
type Queue = mpsc::Sender<(u8, u64, Bytes)>;

/// The calling side of one connection.
#[derive(Clone)]
pub struct Caller {
    queue: Queue,
    waiting: Waiting,
    next: Arc<AtomicU64>,
    permits: Arc<Semaphore>,
}

impl Caller {
    pub async fn call(&self, to: Uuid, request: Bytes, timeout: Duration) -> Result<Bytes, CallError> {
        let deadline = tokio::time::Instant::now() + timeout;
        let not_sent = CallError::NotConnected { to };
        let _permit = match tokio::time::timeout_at(deadline, self.permits.acquire()).await {
            Ok(Ok(permit)) => permit,
            _ => return Err(not_sent),
        };
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (tell, told) = oneshot::channel();
        lock(&self.waiting).insert(id, tell);
        let forget = Forget { waiting: &self.waiting, id };
        match tokio::time::timeout_at(deadline, self.queue.send((REQUEST, id, request))).await {
            Ok(Ok(())) => {}
            _ => return Err(not_sent),
        }
        let answer = tokio::time::timeout_at(deadline, told).await;
        drop(forget);
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(CallError::Unknown { to, why: "the connection ended" }),
            Err(_) => Err(CallError::Unknown { to, why: "time ran out" }),
        }
    }
}

/// Takes a call out of the waiting list also when its future is dropped.
struct Forget<'a> {
    waiting: &'a Waiting,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        lock(self.waiting).remove(&self.id);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the calling side of `connection`; the future drives it until it ends and says why.
pub fn caller<S>(connection: S, over: CancellationToken) -> (Caller, impl Future<Output = FrameError>)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (read, write) = tokio::io::split(connection);
    let (queue, queued) = mpsc::channel(WRITE_QUEUE);
    let waiting: Waiting = Arc::default();
    let caller =
        Caller { queue, waiting: waiting.clone(), next: Arc::default(), permits: Arc::new(Semaphore::new(IN_FLIGHT)) };
    let drive = async move {
        let reading = read_answers(read, waiting.clone());
        let end = tokio::select! {
            () = over.cancelled() => FrameError::Closed,
            e = writing(write, queued, true) => e,
            e = reading => e,
        };
        lock(&waiting).clear();
        end
    };
    (caller, drive)
}

async fn read_answers<S: AsyncRead + Send>(read: ReadHalf<S>, waiting: Waiting) -> FrameError {
    let mut read = BufReader::with_capacity(64 << 10, read);
    loop {
        let (kind, id, body) = match next(&mut read).await {
            Ok(frame) => frame,
            Err(e) => return e,
        };
        if kind == ANSWER
            && let Some(tell) = lock(&waiting).remove(&id)
        {
            let _ = tell.send(body);
        }
    }
}

/// Answers the requests on `connection` until it ends; says why.
pub async fn answer<S>(connection: S, from: Peer, handler: Arc<dyn Handler>, over: CancellationToken) -> FrameError
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (read, write) = tokio::io::split(connection);
    let (queue, queued) = mpsc::channel(WRITE_QUEUE);
    tokio::select! {
        () = over.cancelled() => FrameError::Closed,
        e = writing(write, queued, false) => e,
        e = read_requests(read, from, handler, queue) => e,
    }
}

async fn read_requests<S: AsyncRead + Send>(
    read: ReadHalf<S>,
    from: Peer,
    handler: Arc<dyn Handler>,
    queue: Queue,
) -> FrameError {
    let mut read = BufReader::with_capacity(64 << 10, read);
    let permits = Arc::new(Semaphore::new(IN_FLIGHT));
    loop {
        let (kind, id, body) = match next(&mut read).await {
            Ok(frame) => frame,
            Err(e) => return e,
        };
        if kind == PING_FRAME && queue.send((PONG_FRAME, id, Bytes::new())).await.is_err() {
            return FrameError::Closed;
        }
        if kind != REQUEST {
            continue;
        }
        let Ok(permit) = permits.clone().acquire_owned().await else { return FrameError::Closed };
        let answer = handler.handle(from, body);
        let queue = queue.clone();
        tokio::spawn(async move {
            let _ = queue.send((ANSWER, id, answer.await)).await;
            drop(permit);
        });
    }
}

async fn next<R: AsyncRead + Unpin>(read: &mut R) -> Result<(u8, u64, Bytes), FrameError> {
    let frame = tokio::time::timeout(SILENCE, frame::read(read, FRAME_LIMIT));
    let mut payload = frame.await.map_err(|_| FrameError::Io(std::io::ErrorKind::TimedOut.into()))??;
    if payload.len() < 9 {
        return Err(FrameError::Checksum { length: payload.len() });
    }
    let kind = payload.get_u8();
    let id = payload.get_u64_le();
    Ok((kind, id, payload))
}

async fn writing<S>(write: WriteHalf<S>, mut queued: mpsc::Receiver<(u8, u64, Bytes)>, pings: bool) -> FrameError
where
    S: AsyncWrite + Send,
{
    let mut write = BufWriter::with_capacity(64 << 10, write);
    let mut ping = tokio::time::interval(PING);
    ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let (kind, id, body) = tokio::select! {
            frame = queued.recv() => match frame {
                Some(frame) => frame,
                None => return FrameError::Closed,
            },
            _ = ping.tick(), if pings => (PING_FRAME, 0, Bytes::new()),
        };
        if let Err(e) = put(&mut write, kind, id, &body).await {
            return e;
        }
        while let Ok((kind, id, body)) = queued.try_recv() {
            if let Err(e) = put(&mut write, kind, id, &body).await {
                return e;
            }
        }
        if let Err(e) = write.flush().await {
            return e.into();
        }
    }
}

async fn put<W: AsyncWrite + Unpin>(write: &mut W, kind: u8, id: u64, body: &Bytes) -> Result<(), FrameError> {
    let mut head = [kind, 0, 0, 0, 0, 0, 0, 0, 0];
    head[1..].copy_from_slice(&id.to_le_bytes());
    frame::write(write, &head, body).await
}

//! Streams between the members of one runtime generation, in the blocking form that the engine takes.
//!
//! Law: a stream is taken for the generation, member and boot that it was opened for and for no other; it is handed over
//! once both ends are ready; when one end is over, the other sees it at once. Must not know: what flows.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use jet_core::machine::RuntimeGeneration;
use jet_core::{Boot, Machine, MemberId};
use jet_engine::PeerSocket;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tracing::debug;

use crate::net::{EngineStream, Net};

/// All members must be ready within this time: it includes what they read back from their disks.
pub const FORM_WITHIN: Duration = Duration::from_secs(120);
/// What an end says when it is ready.
const READY: u8 = b'R';
/// Pause before a peer is dialled again.
const DIAL_AGAIN: Duration = Duration::from_millis(50);
/// Streams that wait for their generation, at most; the oldest generation's goes first.
const WAITING: usize = 64;
/// Bytes carried at a time.
const CARRIED: usize = 128 << 10;

/// Streams that peers opened, until they are taken.
#[derive(Default)]
pub struct Desk {
    arrived: Mutex<BTreeMap<(u64, MemberId), EngineStream>>,
    changed: Notify,
}

impl Desk {
    /// Takes what peers open, for as long as the network lives.
    pub async fn receive(self: Arc<Self>, mut streams: mpsc::Receiver<EngineStream>) {
        while let Some(stream) = streams.recv().await {
            let mut arrived = self.arrived();
            arrived.insert((stream.generation, MemberId(stream.peer.member)), stream);
            if arrived.len() > WAITING {
                arrived.pop_first();
            }
            drop(arrived);
            self.changed.notify_waiters();
        }
    }

    fn arrived(&self) -> MutexGuard<'_, BTreeMap<(u64, MemberId), EngineStream>> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take(
        &self,
        generation: u64,
        from: MemberId,
        boot: Boot,
        deadline: Instant,
    ) -> Result<EngineStream, String> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut arrived = self.arrived();
                arrived.retain(|(of, _), _| *of >= generation);
                match arrived.remove(&(generation, from)) {
                    Some(stream) if stream.peer.boot == boot.0 => return Ok(stream),
                    _ => {}
                }
            }
            if tokio::time::timeout_at(deadline, changed).await.is_err() {
                return Err(format!("member {from} opened no stream within {FORM_WITHIN:?}"));
            }
        }
    }
}

/// Place of the member that lets the others begin: the last to say that it is ready.
const LAST: usize = 0;

type Sockets = Vec<Option<Box<dyn PeerSocket>>>;

/// One stream to each other member of the generation, by place. The lower place dials. Nobody begins before every part of
/// every snapshot is where the others look for it, and `verified` by one of them.
pub async fn form(
    net: &Net,
    desk: &Desk,
    generation: &RuntimeGeneration,
    machine: &Machine,
    me: usize,
    verified: impl Future<Output = Result<(), String>>,
) -> Result<Sockets, String> {
    let deadline = Instant::now() + FORM_WITHIN;
    let ways = generation.members.iter().enumerate().map(|(place, member)| async move {
        match place == me {
            true => Ok(None),
            false => open(net, desk, generation, machine, (place, me), *member, deadline).await.map(Some),
        }
    });
    let mut streams = futures::future::try_join_all(ways).await?;
    if me != LAST {
        each(&mut streams, deadline, say).await?;
    }
    each(&mut streams, deadline, hear).await?;
    if me == LAST {
        verified.await?;
        each(&mut streams, deadline, say).await?;
    }
    streams.into_iter().map(|stream| stream.map(socket).transpose()).collect()
}

async fn open(
    net: &Net,
    desk: &Desk,
    generation: &RuntimeGeneration,
    machine: &Machine,
    (place, me): (usize, usize),
    member: MemberId,
    deadline: Instant,
) -> Result<EngineStream, String> {
    let entry = machine.roster.get(&member).ok_or_else(|| format!("member {member} is not in the roster"))?;
    match place > me {
        true => dial(net, member, entry.boot, generation.number.0, deadline).await,
        false => desk.take(generation.number.0, member, entry.boot, deadline).await,
    }
}

/// One word on every stream.
async fn each<F>(streams: &mut [Option<EngineStream>], deadline: Instant, word: F) -> Result<(), String>
where
    F: for<'a> Fn(&'a mut EngineStream) -> BoxFuture<'a, std::io::Result<()>>,
{
    let words = streams.iter_mut().flatten().map(|stream| {
        let member = stream.peer.member;
        let word = word(stream);
        async move {
            let said = tokio::time::timeout_at(deadline, word).await;
            let said = said.map_err(|_| format!("member {member} was not ready within {FORM_WITHIN:?}"))?;
            said.map_err(|error| format!("the stream to member {member} cannot be used: {error}"))
        }
    });
    futures::future::try_join_all(words).await.map(|_| ())
}

fn say(stream: &mut EngineStream) -> BoxFuture<'_, std::io::Result<()>> {
    Box::pin(async {
        stream.connection.write_all(&[READY]).await?;
        stream.connection.flush().await
    })
}

fn hear(stream: &mut EngineStream) -> BoxFuture<'_, std::io::Result<()>> {
    Box::pin(async {
        match stream.connection.read_u8().await? {
            READY => Ok(()),
            other => Err(std::io::Error::other(format!("it said {other} where 'ready' was due"))),
        }
    })
}

fn socket(stream: EngineStream) -> Result<Box<dyn PeerSocket>, String> {
    let member = stream.peer.member;
    bridge(stream).map_err(|error| format!("the stream to member {member} cannot be used: {error}"))
}

async fn dial(net: &Net, to: MemberId, boot: Boot, generation: u64, deadline: Instant) -> Result<EngineStream, String> {
    loop {
        let why = match net.open_stream(to.0, generation).await {
            Ok(stream) if stream.peer.boot == boot.0 => return Ok(stream),
            Ok(stream) => format!("it runs as boot {}, not {boot}", stream.peer.boot),
            Err(error) => error.to_string(),
        };
        if Instant::now() + DIAL_AGAIN > deadline {
            return Err(format!("no stream to member {to} within {FORM_WITHIN:?}: {why}"));
        }
        tokio::time::sleep(DIAL_AGAIN).await;
    }
}

/// The blocking end of a stream; a task carries between the two until either is over.
fn bridge(stream: EngineStream) -> std::io::Result<Box<dyn PeerSocket>> {
    let (engine, carried) = UnixStream::pair()?;
    carried.set_nonblocking(true)?;
    let carried = tokio::net::UnixStream::from_std(carried)?;
    tokio::spawn(async move {
        let EngineStream { peer, generation, over, connection, .. } = stream;
        let (from_peer, to_peer) = tokio::io::split(connection);
        let (from_engine, to_engine) = carried.into_split();
        let end = tokio::select! {
            () = over.cancelled() => Ok(()),
            end = carry(from_peer, to_engine) => end,
            end = carry(from_engine, to_peer) => end,
        };
        debug!(member = %peer.member, generation, ?end, "a stream of the engine is over");
    });
    Ok(Box::new(engine))
}

async fn carry<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(mut from: R, mut to: W) -> std::io::Result<()> {
    let mut buffer = vec![0; CARRIED];
    loop {
        let n = from.read(&mut buffer).await?;
        let Some(bytes) = buffer.get(..n).filter(|bytes| !bytes.is_empty()) else { return to.shutdown().await };
        to.write_all(bytes).await?;
        to.flush().await?;
    }
}

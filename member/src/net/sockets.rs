//! The network over sockets: mutual TLS, one listener, one connection for each lane to each peer.
//!
//! Law: who a peer is comes from its certificate and its hello, never from an address. Must not know: what is said on a lane.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use rustls::{ClientConfig, ServerConfig};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::hello::{Hello, LANES, Lane, Peer};
use super::registry::{Registry, Ticket};
use super::{CallError, EngineStream, Handler, Way, accept, dial};

/// Streams for the engine that wait to be taken.
const STREAMS_WAITING: usize = 64;
/// Callers that are called back.
const CALLERS_KEPT: usize = 128;
/// Refusals remembered, so as not to be said again.
const REFUSALS_KEPT: usize = 16;

/// What the network needs to be told at its start.
pub struct NetOptions {
    /// Who we are.
    pub me: Hello,
    /// Our listener's settings.
    pub server: Arc<ServerConfig>,
    /// Our settings as a caller.
    pub client: Arc<ClientConfig>,
    /// Namespace and cluster that a peer's certificate must name.
    pub namespace: String,
    /// See `namespace`.
    pub cluster: String,
    /// Names and addresses (with ports) where peers may be.
    pub peers: Vec<String>,
    /// Port of a peer whose hint names none.
    pub default_port: u16,
}

pub(crate) struct Shared {
    pub options: NetOptions,
    me: watch::Sender<Hello>,
    registry: Mutex<Registry>,
    connected: watch::Sender<u64>,
    /// Boots of members met so far: whoever is met is up, and so is tried at once.
    pub met: watch::Sender<u64>,
    pub hints: watch::Sender<BTreeSet<String>>,
    /// Where those listen that have called, by member.
    pub callers: watch::Sender<BTreeMap<Uuid, SocketAddr>>,
    handlers: [OnceLock<Arc<dyn Handler>>; LANES],
    pub streams: mpsc::Sender<EngineStream>,
    /// The last refusals, so that a caller that goes on calling is one line.
    refusals: Mutex<VecDeque<String>>,
}

/// This member's end of the network, over sockets.
pub struct Sockets(Arc<Shared>);

impl Sockets {
    /// Starts nothing yet; the second value yields the streams that peers open for the engine.
    pub fn new(options: NetOptions) -> (Self, mpsc::Receiver<EngineStream>) {
        let (streams, taken) = mpsc::channel(STREAMS_WAITING);
        let me = watch::Sender::new(options.me.clone());
        let shared = Arc::new(Shared {
            options,
            me,
            registry: Mutex::new(Registry::default()),
            connected: watch::Sender::new(0),
            met: watch::Sender::new(0),
            hints: watch::Sender::new(BTreeSet::new()),
            callers: watch::Sender::default(),
            handlers: [const { OnceLock::new() }; LANES],
            streams,
            refusals: Mutex::default(),
        });
        (Self(shared), taken)
    }
}

impl Way for Sockets {
    fn serve(&self, lane: Lane, handler: Arc<dyn Handler>) {
        let _ = self.0.handlers[lane.index()].set(handler);
    }

    fn start(&self, address: SocketAddr) -> BoxFuture<'_, std::io::Result<()>> {
        Box::pin(async move {
            let listener = tokio::net::TcpListener::bind(address).await?;
            tokio::spawn(accept::run(self.0.clone(), listener));
            tokio::spawn(dial::run(self.0.clone()));
            Ok(())
        })
    }

    fn call(&self, to: Uuid, lane: Lane, request: Bytes, timeout: Duration) -> BoxFuture<'_, Result<Bytes, CallError>> {
        let caller = self.0.registry().caller(to, lane);
        Box::pin(async move { caller.ok_or(CallError::NotConnected { to })?.call(to, request, timeout).await })
    }

    fn peers(&self, lane: Lane) -> Vec<Peer> {
        self.0.registry().peers(lane)
    }

    fn addresses(&self) -> BTreeMap<Uuid, SocketAddr> {
        let registry = self.0.registry();
        let peers = registry.peers(Lane::Control).into_iter();
        peers.filter_map(|peer| Some((peer.member, registry.address(peer.member)?))).collect()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.connected.subscribe()
    }

    fn founded(&self, founding: Uuid, incarnation: u32) {
        self.0.me.send_if_modified(|me| {
            let changed = me.founding != Some(founding) || me.incarnation != incarnation;
            me.founding = Some(founding);
            me.incarnation = incarnation;
            changed
        });
    }

    fn hint(&self, hosts: BTreeSet<String>) {
        let port = self.0.options.default_port;
        let hosts = hosts.iter().map(|host| crate::config::settings::with_port(host, port)).collect();
        self.0.hints.send_replace(hosts);
    }

    fn open_stream(&self, to: Uuid, generation: u64) -> BoxFuture<'_, Result<EngineStream, CallError>> {
        Box::pin(async move {
            let address = self.0.registry().address(to).ok_or(CallError::NotConnected { to })?;
            dial::stream(&self.0, to, address, generation).await
        })
    }
}

impl Shared {
    pub fn enter(&self, peer: Peer) -> Ticket {
        let ticket = self.registry().enter(peer);
        if ticket.met {
            self.met.send_modify(|n| *n += 1);
        }
        ticket
    }

    pub fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn me(&self) -> Hello {
        self.me.borrow().clone()
    }

    pub fn handler(&self, lane: Lane) -> Option<Arc<dyn Handler>> {
        self.handlers[lane.index()].get().cloned()
    }

    /// A peer has called that listens there. Of more than [`CALLERS_KEPT`] those are kept that were there.
    pub fn called(&self, peer: Peer, listens: SocketAddr) {
        self.callers.send_if_modified(|known| {
            let has_room = known.len() < CALLERS_KEPT || known.contains_key(&peer.member);
            has_room && known.insert(peer.member, listens) != Some(listens)
        });
    }

    /// These words of refusal were not said lately.
    pub fn is_news(&self, words: &str) -> bool {
        let mut said = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let news = !said.iter().any(|known| known == words);
        if news {
            said.push_back(words.to_owned());
            if said.len() > REFUSALS_KEPT {
                said.pop_front();
            }
        }
        news
    }

    pub fn changed(&self) {
        self.connected.send_modify(|n| *n += 1);
    }
}

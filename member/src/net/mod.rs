//! The members' own network: mutual TLS, one frame format, requests with answers, and raw streams for the engine.
//!
//! Law: who a peer is comes from its certificate and its hello, never from an address; a lower boot of a member than
//! one already seen is refused and its connections are dropped; another founding id or incarnation is refused;
//! everything in flight is bounded. Must not know: what is said on a lane.
//!
//! - [`frame`]: length and checksum · [`hello`]: who speaks, and why not · [`registry`]: who is connected under which boot
//! - [`lane`]: requests and answers on one connection · [`dial`]: finding and keeping peers · [`accept`]: the listener
//! - [`stream`]: an authenticated byte stream for one runtime generation of the engine

mod accept;
mod dial;
pub mod frame;
pub mod hello;
mod lane;
mod registry;
pub mod stream;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use rustls::{ClientConfig, ServerConfig};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

pub use hello::{Lane, Peer};
pub use lane::IN_FLIGHT;
pub use stream::EngineStream;

use hello::{Hello, LANES};
use registry::Registry;

/// Streams for the engine that wait to be taken.
const STREAMS_WAITING: usize = 64;
/// Refusals remembered, so as not to be said again.
const REFUSALS_KEPT: usize = 16;
/// Hints kept at most.
const HINTS_KEPT: usize = 64;

/// Why a call has no answer.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum CallError {
    /// Nothing was sent.
    #[error("no connection to member {to}")]
    NotConnected {
        /// Who was called.
        to: Uuid,
    },
    /// Sent, or perhaps sent, and no answer came.
    #[error("no answer from member {to} ({why}); whether it was done is not known")]
    Unknown {
        /// Who was called.
        to: Uuid,
        /// What happened.
        why: &'static str,
    },
}

/// Takes the requests of one lane. The part before the future runs in the order in which one peer sent; what must
/// keep that order belongs there.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn handle(&self, from: Peer, request: Bytes) -> BoxFuture<'static, Bytes>;
}

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
    options: NetOptions,
    me: watch::Sender<Hello>,
    registry: Mutex<Registry>,
    connected: watch::Sender<u64>,
    /// Boots of members met so far: whoever is met is up, and so is tried at once.
    met: watch::Sender<u64>,
    hints: watch::Sender<BTreeSet<String>>,
    handlers: [OnceLock<Arc<dyn Handler>>; LANES],
    streams: mpsc::Sender<EngineStream>,
    /// The last refusals, so that a caller that goes on calling is one line.
    refusals: Mutex<VecDeque<String>>,
}

/// This member's end of the network. Cheap to clone.
#[derive(Clone)]
pub struct Net {
    shared: Arc<Shared>,
}

impl Net {
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
            handlers: [const { OnceLock::new() }; LANES],
            streams,
            refusals: Mutex::default(),
        });
        (Self { shared }, taken)
    }

    /// Sets who answers the requests of a lane; the first call counts.
    pub fn serve(&self, lane: Lane, handler: Arc<dyn Handler>) {
        let _ = self.shared.handlers[lane.index()].set(handler);
    }

    /// Binds the listener and begins to look for peers. Ends when the process does.
    pub async fn start(&self, address: SocketAddr) -> std::io::Result<()> {
        let listener = tokio::net::TcpListener::bind(address).await?;
        tokio::spawn(accept::run(self.shared.clone(), listener));
        tokio::spawn(dial::run(self.shared.clone()));
        Ok(())
    }

    /// Asks `to` on a lane and waits for the answer.
    pub async fn call(&self, to: Uuid, lane: Lane, request: Bytes, timeout: Duration) -> Result<Bytes, CallError> {
        let caller = self.shared.registry().caller(to, lane).ok_or(CallError::NotConnected { to })?;
        caller.call(to, request, timeout).await
    }

    /// Everybody to whom this lane is open now.
    pub fn peers(&self, lane: Lane) -> Vec<Peer> {
        self.shared.registry().peers(lane)
    }

    /// Where everybody is to whom the control lane is open now.
    pub fn addresses(&self) -> BTreeMap<Uuid, SocketAddr> {
        let registry = self.shared.registry();
        let peers = registry.peers(Lane::Control).into_iter();
        peers.filter_map(|peer| Some((peer.member, registry.address(peer.member)?))).collect()
    }

    /// Changes with every connection that comes or goes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.connected.subscribe()
    }

    /// From now on our hello carries this founding id and incarnation.
    pub fn founded(&self, founding: Uuid, incarnation: u32) {
        self.shared.me.send_if_modified(|me| {
            let changed = me.founding != Some(founding) || me.incarnation != incarnation;
            me.founding = Some(founding);
            me.incarnation = incarnation;
            changed
        });
    }

    /// Addresses where peers may be, beside the configured ones; the newest hints replace the older. Answers how
    /// many were kept.
    pub fn hint(&self, hosts: impl IntoIterator<Item = String>) -> usize {
        let port = self.shared.options.default_port;
        let hints: BTreeSet<String> =
            hosts.into_iter().map(|h| crate::config::settings::with_port(&h, port)).take(HINTS_KEPT).collect();
        let kept = hints.len();
        self.shared.hints.send_replace(hints);
        kept
    }

    /// Opens a raw stream to a peer for one runtime generation of the engine.
    pub async fn open_stream(&self, to: Uuid, generation: u64) -> Result<EngineStream, CallError> {
        let address = self.shared.registry().address(to).ok_or(CallError::NotConnected { to })?;
        dial::stream(&self.shared, to, address, generation).await
    }
}

impl Shared {
    fn enter(&self, peer: Peer) -> registry::Ticket {
        let ticket = self.registry().enter(peer);
        if ticket.met {
            self.met.send_modify(|n| *n += 1);
        }
        ticket
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn me(&self) -> Hello {
        self.me.borrow().clone()
    }

    fn handler(&self, lane: Lane) -> Option<Arc<dyn Handler>> {
        self.handlers[lane.index()].get().cloned()
    }

    /// These words of refusal were not said lately.
    fn is_news(&self, words: &str) -> bool {
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

    fn changed(&self) {
        self.connected.send_modify(|n| *n += 1);
    }
}

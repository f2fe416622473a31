//! The members' own network: requests with answers, and raw streams for the engine.
//!
//! Law: who a peer is comes from what it has shown, never from an address; a lower boot of a member than one already seen
//! is refused and its connections are dropped; another founding id or incarnation is refused; everything in flight is
//! bounded. Must not know: what is said on a lane.
//!
//! - here: what the network is to whoever uses it ([`Way`])
//! - [`sockets`]: mutual TLS, one frame format · [`frame`]: length and checksum · [`hello`]: who speaks, and why not ·
//!   [`registry`]: who is connected under which boot
//! - [`lane`]: requests and answers on one connection · [`dial`]: finding and keeping peers · [`accept`]: the listener
//! - [`stream`]: an authenticated byte stream for one runtime generation of the engine

mod accept;
mod dial;
pub mod frame;
pub mod hello;
mod lane;
mod registry;
mod sockets;
pub mod stream;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

pub use hello::{Lane, Peer};
pub use lane::IN_FLIGHT;
pub use sockets::NetOptions;
pub use stream::EngineStream;

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

/// How members reach each other: by sockets, or in a simulated world.
pub trait Way: Send + Sync + 'static {
    /// Sets who answers the requests of a lane; the first call counts.
    fn serve(&self, lane: Lane, handler: Arc<dyn Handler>);
    /// Begins to be there for others, and to look for them. Ends when the process does.
    fn start(&self, address: SocketAddr) -> BoxFuture<'_, std::io::Result<()>>;
    /// Asks `to` on a lane and waits for the answer.
    fn call(&self, to: Uuid, lane: Lane, request: Bytes, timeout: Duration) -> BoxFuture<'_, Result<Bytes, CallError>>;
    /// Everybody to whom this lane is open now.
    fn peers(&self, lane: Lane) -> Vec<Peer>;
    /// Where everybody is to whom the control lane is open now.
    fn addresses(&self) -> BTreeMap<Uuid, SocketAddr>;
    /// Changes with every connection that comes or goes.
    fn changes(&self) -> watch::Receiver<u64>;
    /// From now on our hello carries this founding id and incarnation.
    fn founded(&self, founding: Uuid, incarnation: u32);
    /// Places where peers may be, beside the configured ones; they replace earlier ones.
    fn hint(&self, hosts: BTreeSet<String>);
    /// Opens a raw stream to a peer for one runtime generation of the engine.
    fn open_stream(&self, to: Uuid, generation: u64) -> BoxFuture<'_, Result<EngineStream, CallError>>;
}

/// This member's end of the network. Cheap to clone.
#[derive(Clone)]
pub struct Net {
    way: Arc<dyn Way>,
}

impl Net {
    /// Over sockets. Starts nothing yet; the second value yields the streams that peers open for the engine.
    pub fn new(options: NetOptions) -> (Self, mpsc::Receiver<EngineStream>) {
        let (sockets, streams) = sockets::Sockets::new(options);
        (Self::over(Arc::new(sockets)), streams)
    }

    /// Over another way.
    pub fn over(way: Arc<dyn Way>) -> Self {
        Self { way }
    }

    /// Sets who answers the requests of a lane; the first call counts.
    pub fn serve(&self, lane: Lane, handler: Arc<dyn Handler>) {
        self.way.serve(lane, handler);
    }

    /// Binds the listener and begins to look for peers. Ends when the process does.
    pub async fn start(&self, address: SocketAddr) -> std::io::Result<()> {
        self.way.start(address).await
    }

    /// Asks `to` on a lane and waits for the answer.
    pub async fn call(&self, to: Uuid, lane: Lane, request: Bytes, timeout: Duration) -> Result<Bytes, CallError> {
        self.way.call(to, lane, request, timeout).await
    }

    /// Everybody to whom this lane is open now.
    pub fn peers(&self, lane: Lane) -> Vec<Peer> {
        self.way.peers(lane)
    }

    /// Where everybody is to whom the control lane is open now.
    pub fn addresses(&self) -> BTreeMap<Uuid, SocketAddr> {
        self.way.addresses()
    }

    /// Changes with every connection that comes or goes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.way.changes()
    }

    /// From now on our hello carries this founding id and incarnation.
    pub fn founded(&self, founding: Uuid, incarnation: u32) {
        self.way.founded(founding, incarnation);
    }

    /// Addresses where peers may be, beside the configured ones; the newest hints replace the older. Answers how
    /// many were kept.
    pub fn hint(&self, hosts: impl IntoIterator<Item = String>) -> usize {
        let hosts: BTreeSet<String> = hosts.into_iter().take(HINTS_KEPT).collect();
        let kept = hosts.len();
        self.way.hint(hosts);
        kept
    }

    /// Opens a raw stream to a peer for one runtime generation of the engine.
    pub async fn open_stream(&self, to: Uuid, generation: u64) -> Result<EngineStream, CallError> {
        self.way.open_stream(to, generation).await
    }
}

//! A raw, authenticated byte stream between two members for one runtime generation of the engine.
//!
//! Law: the peer's identity and boot were checked; `over` fires when a higher boot of the peer is seen. Must not
//! know: what flows.

use tokio::net::TcpStream;
use tokio_rustls::TlsStream;
use tokio_util::sync::CancellationToken;

use super::hello::Peer;

/// One stream, not yet used.
pub struct EngineStream {
    /// The other end.
    pub peer: Peer,
    /// The generation that it was opened for.
    pub generation: u64,
    /// We dialled.
    pub opened_here: bool,
    /// Fires when the peer's boot is over.
    pub over: CancellationToken,
    /// The bytes.
    pub connection: TlsStream<TcpStream>,
}

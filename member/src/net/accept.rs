//! The listener: handshake, hello, then the connection goes to whom it is for.
//!
//! Law: a peer has [`GREETING`] to say who it is; at most [`GREETED_AT_ONCE`] are being asked. Must not know: bodies.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jet_admin_api::identity::{Identity, Role};
use jet_admin_api::tls::peer_identity;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{debug, info, warn};

use super::hello::{Answer, HelloRefused, Opening, Peer, Purpose, judge};
use super::sockets::Shared;
use super::stream::EngineStream;
use super::{frame, lane};

/// Time for handshake and hello.
pub const GREETING: Duration = Duration::from_secs(5);
/// Connections in handshake at a time.
const GREETED_AT_ONCE: usize = 64;

/// Why a connection was not accepted.
#[derive(Debug, thiserror::Error)]
pub(super) enum GreetError {
    #[error("TLS: {0}")]
    Tls(std::io::Error),
    #[error("its certificate is not a member's of this cluster: {0}")]
    Certificate(String),
    #[error("it said nothing for {GREETING:?}")]
    Silent,
    #[error("{0}")]
    Frame(#[from] frame::FrameError),
    #[error("its hello cannot be understood: {0}")]
    Words(#[from] serde_json::Error),
    #[error("{0}")]
    Refused(#[from] HelloRefused),
}

pub(super) async fn run(shared: Arc<Shared>, listener: TcpListener) {
    let permits = Arc::new(Semaphore::new(GREETED_AT_ONCE));
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        let (tcp, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "cannot accept a connection of a member");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let shared = shared.clone();
        tokio::spawn(async move {
            let greeted = tokio::time::timeout(GREETING, greet(&shared, tcp)).await.unwrap_or(Err(GreetError::Silent));
            drop(permit);
            match greeted {
                Ok((connection, peer, purpose)) => serve(&shared, connection, peer, purpose).await,
                Err(GreetError::Refused(HelloRefused::Myself)) => {}
                Err(GreetError::Tls(error)) => debug!(%address, %error, "a connection ended in its handshake"),
                Err(error) if shared.is_news(&error.to_string()) => {
                    info!(%address, %error, "a connection of a member is refused")
                }
                Err(error) => debug!(%address, %error, "a connection of a member is refused again"),
            }
        });
    }
}

async fn greet(shared: &Shared, tcp: TcpStream) -> Result<(TlsStream<TcpStream>, Peer, Purpose), GreetError> {
    let _ = tcp.set_nodelay(true);
    let from = tcp.peer_addr().ok();
    let mut tls = TlsAcceptor::from(shared.options.server.clone()).accept(tcp).await.map_err(GreetError::Tls)?;
    let certified = certified(shared, tls.get_ref().1.peer_certificates())?;
    let opening: Opening = serde_json::from_slice(&frame::read(&mut tls, frame::HELLO_LIMIT).await?)?;
    let known = shared.registry().known_boot(opening.hello.member);
    let judged = judge(&shared.me(), &opening.hello, certified, known);
    let answer = match &judged {
        Ok(_) => Answer::Welcome(shared.me()),
        Err(refused) => Answer::Refused(refused.clone()),
    };
    say(&mut tls, &answer).await?;
    let peer = judged?;
    if let Some(from) = from.filter(|_| opening.listens > 0) {
        shared.called(peer, SocketAddr::new(from.ip(), opening.listens));
    }
    Ok((tls, peer, opening.purpose))
}

/// The ordinal in the peer's certificate, if that is a member's of our cluster.
pub(super) fn certified(
    shared: &Shared,
    chain: Option<&[rustls_pki_types::CertificateDer<'_>]>,
) -> Result<u32, GreetError> {
    let leaf = chain.and_then(|c| c.first()).ok_or_else(|| GreetError::Certificate("none was shown".into()))?;
    let identity = peer_identity(leaf).map_err(|e| GreetError::Certificate(e.to_string()))?;
    match identity {
        Identity { namespace, cluster, role: Role::Member(ordinal) }
            if namespace == shared.options.namespace && cluster == shared.options.cluster =>
        {
            Ok(ordinal)
        }
        other => Err(GreetError::Certificate(other.uri())),
    }
}

pub(super) async fn say<W, T>(to: &mut W, words: &T) -> Result<(), GreetError>
where
    W: AsyncRead + AsyncWrite + Unpin,
    T: serde::Serialize,
{
    frame::write(to, &[], &serde_json::to_vec(words)?).await?;
    to.flush().await.map_err(frame::FrameError::from)?;
    Ok(())
}

async fn serve(shared: &Arc<Shared>, connection: TlsStream<TcpStream>, peer: Peer, purpose: Purpose) {
    match purpose {
        Purpose::Lane(lane) => {
            let Some(handler) = shared.handler(lane) else { return };
            let ticket = shared.enter(peer);
            let end = lane::answer(connection, peer, handler, ticket.over).await;
            shared.registry().leave(peer.member, ticket.number);
            debug!(member = %peer.member, ?lane, %end, "a peer's connection ended");
        }
        Purpose::Engine { generation } => {
            let over = shared.enter(peer);
            let stream =
                EngineStream { peer, generation, opened_here: false, over: over.over, connection: connection.into() };
            if shared.streams.try_send(stream).is_err() {
                warn!(member = %peer.member, generation, "a stream for the engine is refused: too many wait");
            }
        }
    }
}

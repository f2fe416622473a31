//! The admin port: mutual TLS, HTTP/1.1, and on each request the identity that the certificate names.
//!
//! Law: a caller has [`HANDSHAKE`] to shake hands; at most [`CONNECTIONS`] are open. Must not know: routes.

use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use jet_admin_api::tls::peer_identity;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, info, warn};

use super::router::nameless;

/// Time for the handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// A refused caller has so long, and may send so much more, until it has read why.
const LINGERING: Duration = Duration::from_secs(1);
const LINGERING_BYTES: u64 = 64 << 10;
/// Connections open at a time.
const CONNECTIONS: usize = 512;

/// Serves until the process ends.
pub async fn run(listener: TcpListener, tls: Arc<ServerConfig>, router: Router) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        let (tcp, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "cannot accept a connection to the admin port");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (tls, router) = (tls.clone(), router.clone());
        tokio::spawn(async move {
            if let Err(error) = one(tcp, tls, router).await {
                debug!(%address, %error, "a connection to the admin port ended");
            }
            drop(permit);
        });
    }
}

async fn one(
    tcp: TcpStream,
    tls: Arc<ServerConfig>,
    router: Router,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let _ = tcp.set_nodelay(true);
    let stream = match tokio::time::timeout(HANDSHAKE, TlsAcceptor::from(tls).accept(tcp).into_fallible()).await? {
        Ok(stream) => stream,
        Err((error, tcp)) => {
            let_it_be_read(tcp).await;
            return Err(error.into());
        }
    };
    let leaf = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let router = match leaf.map(peer_identity) {
        Some(Ok(identity)) => router.layer(Extension(identity)),
        Some(Err(error)) => {
            info!(%error, "a caller of the admin port is refused");
            nameless(&error)
        }
        None => return Ok(()),
    };
    let service = TowerToHyperService::new(router);
    auto::Builder::new(TokioExecutor::new()).http1_only().serve_connection(TokioIo::new(stream), service).await
}

/// What was said last must not be overtaken by a reset: what the caller sends meanwhile is read and thrown away.
pub async fn let_it_be_read(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let _ = stream.shutdown().await;
    let mut rest = stream.take(LINGERING_BYTES);
    let _ = tokio::time::timeout(LINGERING, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
}

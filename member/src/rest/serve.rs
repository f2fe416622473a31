//! The port of clients and of the REST: the client protocol, plain text as scripts and probes speak it, or mutual TLS, told
//! apart by the first bytes.
//!
//! Law: what is no request of ours is closed without a byte; a request is read whole before anything is answered, so that
//! a closed connection is not taken for a broken one; sizes, times and numbers are bounded by the files that the process may
//! open, and whoever says nothing takes the place of nobody for long. Must not know: endpoints, what clients ask.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use jet_admin_api::identity::{Identity, Role};
use jet_admin_api::rest::form::FORM_LIMIT;
use jet_admin_api::tls::peer_identity;
use jet_protocol::PREAMBLE;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::door::{Asked, Door};
use crate::admin::serve::let_it_be_read;
use crate::client::registry::{Stranger, Strangers};
use crate::member::Member;

/// Connections that speak HTTP, of all that are open: as many clients as there is room for, and who has not said anything.
const HTTP_CONNECTIONS: usize = 64;
/// Time for the first bytes, for the handshake, for the head of a request and for its body, each.
const READING: Duration = Duration::from_secs(5);
/// Time for what is being answered when the process ends.
const DRAINING: Duration = Duration::from_secs(2);
/// Pause after a connection that could not be accepted.
const AFTER_FAILURE: Duration = Duration::from_millis(50);

/// Connections that are open, so that an answer is not cut off by the end of the process that it tells of.
#[derive(Default)]
pub struct Callers {
    ending: CancellationToken,
    open: TaskTracker,
}

impl Callers {
    /// Idle connections are closed; what is being answered has a bounded time.
    pub async fn drain(&self) {
        self.ending.cancel();
        self.open.close();
        if tokio::time::timeout(DRAINING, self.open.wait()).await.is_err() {
            info!("callers of the REST did not take their answers within {DRAINING:?}");
        }
    }
}

/// What lies behind the port.
struct Behind {
    member: Arc<Member>,
    /// The REST, if it is on.
    door: Option<Arc<Door>>,
    tls: Arc<ServerConfig>,
    http: Semaphore,
    strangers: Strangers,
}

/// Serves until the process ends, with room for so many clients.
pub async fn run(
    (listener, room): (TcpListener, usize),
    tls: Arc<ServerConfig>,
    member: Arc<Member>,
    door: Option<Arc<Door>>,
) {
    let strangers = Strangers::beside(room);
    let permits = Arc::new(Semaphore::new(room + strangers.most() + HTTP_CONNECTIONS));
    let ending = member.callers().ending.clone();
    let behind = Arc::new(Behind { member, door, tls, http: Semaphore::new(HTTP_CONNECTIONS), strangers });
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = ending.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (tcp, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "cannot accept a connection to the port of clients and the REST");
                tokio::time::sleep(AFTER_FAILURE).await;
                continue;
            }
        };
        let Some(stranger) = behind.strangers.enter(address.ip()) else {
            debug!(%address, "closed at once: too many callers of its address have not said yet who they are");
            continue;
        };
        let behind = behind.clone();
        behind.member.callers().open.clone().spawn(async move {
            if let Err(error) = one(tcp, (address, stranger), &behind).await {
                debug!(%address, %error, "a connection to the port of clients and the REST ended");
            }
            drop(permit);
        });
    }
}

type Ended = Result<(), Box<dyn std::error::Error + Send + Sync>>;

async fn one(tcp: TcpStream, (from, stranger): (SocketAddr, Stranger), behind: &Behind) -> Ended {
    let _ = tcp.set_nodelay(true);
    let at = tcp.local_addr()?;
    let mut first = [0; PREAMBLE.len()];
    let read = tokio::time::timeout(READING, tcp.peek(&mut first)).await??;
    match (spoken(first.get(..read).unwrap_or_default()), &behind.door, behind.member.clients()) {
        (Spoken::Clients, _, Some(clients)) => {
            clients.clone().serve(tcp, (from, stranger), behind.member.callers().ending.clone()).await;
            Ok(())
        }
        (Spoken::Http, Some(door), _) => {
            let _permit = tokio::time::timeout(READING, behind.http.acquire()).await??;
            drop(stranger);
            requests(tcp, at, from.ip(), door.clone()).await
        }
        (Spoken::Tls, Some(door), _) => {
            let _permit = tokio::time::timeout(READING, behind.http.acquire()).await??;
            drop(stranger);
            over_tls(tcp, at, from.ip(), behind.tls.clone(), door.clone()).await
        }
        (spoken, ..) => {
            let_it_be_read(tcp).await;
            Err(format!("what is spoken on it is not served: {spoken:?}").into())
        }
    }
}

async fn over_tls(tcp: TcpStream, at: SocketAddr, from: IpAddr, tls: Arc<ServerConfig>, door: Arc<Door>) -> Ended {
    let stream = tokio::time::timeout(READING, TlsAcceptor::from(tls).accept(tcp)).await??;
    let leaf = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let identity = leaf.map(peer_identity).transpose()?;
    let (namespace, cluster) = (door.member().namespace(), door.member().cluster_name());
    match identity.filter(|identity| may_call(identity, namespace, cluster)) {
        Some(_) => requests(stream, at, from, door).await,
        None => {
            let_it_be_read(stream).await;
            Err("the certificate is not of an admin of this cluster".into())
        }
    }
}

fn may_call(identity: &Identity, namespace: &str, cluster: &str) -> bool {
    let known = identity.namespace == namespace && identity.cluster == cluster;
    known && matches!(identity.role, Role::Admin | Role::Operator)
}

#[derive(Debug, PartialEq, Eq)]
enum Spoken {
    Clients,
    Http,
    Tls,
    Nothing,
}

/// By the first bytes, of which there may be fewer than three yet.
fn spoken(first: &[u8]) -> Spoken {
    const HANDSHAKE: u8 = 22;
    const METHODS: [&[u8]; 5] = [b"GET", b"HEA", b"POS", b"PUT", b"DEL"];
    match first {
        [] => Spoken::Nothing,
        [HANDSHAKE, ..] => Spoken::Tls,
        _ if PREAMBLE.starts_with(first) => Spoken::Clients,
        _ if METHODS.iter().any(|method| method.starts_with(first)) => Spoken::Http,
        _ => Spoken::Nothing,
    }
}

async fn requests<S>(stream: S, at: SocketAddr, from: IpAddr, door: Arc<Door>) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let ending = door.member().callers().ending.clone();
    let service = service_fn(move |request| answer(request, at, from, door.clone()));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READING)
        .title_case_headers(true)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return Ok(ended?),
        () = ending.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    Ok(connection.await?)
}

/// An error closes the connection without a byte.
async fn answer(
    request: Request<Incoming>,
    at: SocketAddr,
    from: IpAddr,
    door: Arc<Door>,
) -> Result<Response<Full<Bytes>>, Closed> {
    let (head, body) = request.into_parts();
    let reading = tokio::time::timeout(READING, Limited::new(body, FORM_LIMIT).collect());
    let body = reading.await.map_err(|_| Closed)?.map_err(|_| Closed)?.to_bytes();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let asked = Asked { method: head.method.as_str().to_owned(), target, body: body.to_vec(), at, from };
    door.answer(&asked).await.map(Response::from).ok_or(Closed)
}

#[derive(Debug, thiserror::Error)]
#[error("a request that is not answered")]
struct Closed;

#[cfg(test)]
mod tests {
    use super::*;

    /// A member's first bytes, a client's, the first of a handshake, and methods that a real member does not answer.
    #[test]
    fn the_first_bytes_tell_who_speaks() {
        for http in ["GET", "HEA", "POS", "PUT", "DEL", "G"] {
            assert_eq!(spoken(http.as_bytes()), Spoken::Http, "{http}");
        }
        assert_eq!(spoken(&[22, 3, 1]), Spoken::Tls);
        for client in ["CP2", "CP", "C"] {
            assert_eq!(spoken(client.as_bytes()), Spoken::Clients, "{client}");
        }
        for nothing in ["HZC", "CP1", "OPT", "PAT", "get", ""] {
            assert_eq!(spoken(nothing.as_bytes()), Spoken::Nothing, "{nothing}");
        }
    }

    #[test]
    fn over_tls_only_an_admin_of_this_cluster_is_let_in() {
        let may = |cluster: &str, role| may_call(&Identity::new("prod", cluster, role), "prod", "orders");
        assert!(may("orders", Role::Admin) && may("orders", Role::Operator));
        assert!(!may("orders", Role::Client) && !may("orders", Role::Member(0)) && !may("other", Role::Admin));
    }
}

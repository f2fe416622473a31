//! Finding peers by names and hints, and keeping a connection for each lane to each of them.
//!
//! Law: addresses are only places to try; whom one finds there decides. The pause between tries is bounded on both
//! sides, and a boot of a member that is met for the first time ends it: a member that starts later than its peers is
//! found when it calls, and not when their pause is over. Must not know: bodies.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jet_admin_api::identity::any_member_server_name;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tracing::{debug, info};
use uuid::Uuid;

use super::accept::{GREETING, GreetError, certified, say};
use super::hello::{Answer, HelloRefused, Lane, Opening, Peer, Purpose, judge};
use super::sockets::Shared;
use super::stream::EngineStream;
use super::{CallError, frame, lane};

/// Pause between two looks at the names.
const LOOK: Duration = Duration::from_millis(1000);
/// Shortest and longest pause after a failed try.
const RETRY_SHORTEST: Duration = Duration::from_millis(50);
const RETRY_LONGEST: Duration = Duration::from_secs(1);
/// Pause after having found oneself, or a peer that another address reached already.
const NOT_NEEDED: Duration = Duration::from_secs(2);
/// Addresses tried at most.
const ADDRESSES: usize = 128;

pub(super) async fn run(shared: Arc<Shared>) {
    let mut tries: BTreeMap<SocketAddr, Vec<JoinHandle<()>>> = BTreeMap::new();
    let (wanted_tell, wanted) = watch::channel(BTreeSet::new());
    let (mut hints, mut callers) = (shared.hints.subscribe(), shared.callers.subscribe());
    loop {
        let mut names: BTreeSet<String> = shared.options.peers.iter().cloned().collect();
        names.extend(hints.borrow_and_update().iter().cloned());
        let mut addresses = look_up(names).await;
        addresses.extend(callers.borrow_and_update().values());
        wanted_tell.send_replace(addresses.clone());
        tries.retain(|_, tasks| tasks.iter().any(|t| !t.is_finished()));
        for address in addresses {
            tries.entry(address).or_insert_with(|| {
                Lane::ALL
                    .into_iter()
                    .map(|lane| tokio::spawn(keep(shared.clone(), address, lane, wanted.clone())))
                    .collect()
            });
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = hints.changed() => {}
            _ = callers.changed() => {}
        }
    }
}

async fn look_up(names: BTreeSet<String>) -> BTreeSet<SocketAddr> {
    let mut found = BTreeSet::new();
    let looked = futures::future::join_all(names.into_iter().map(|name| async move {
        let answer = tokio::time::timeout(GREETING, tokio::net::lookup_host(name.clone())).await;
        match answer {
            Ok(Ok(addresses)) => addresses.collect::<Vec<_>>(),
            Ok(Err(error)) => {
                debug!(%name, %error, "a peer's name is not known (yet)");
                Vec::new()
            }
            Err(_) => Vec::new(),
        }
    }))
    .await;
    for addresses in looked {
        found.extend(addresses.into_iter().take(ADDRESSES));
    }
    found.into_iter().take(ADDRESSES).collect()
}

/// Keeps one lane to whoever is at `address`, until the address is wanted no more.
async fn keep(shared: Arc<Shared>, address: SocketAddr, lane: Lane, wanted: watch::Receiver<BTreeSet<SocketAddr>>) {
    let mut pause = RETRY_SHORTEST;
    let mut said = None;
    let mut met = shared.met.subscribe();
    while wanted.borrow().contains(&address) {
        match tokio::time::timeout(GREETING, greet(&shared, address, Purpose::Lane(lane)))
            .await
            .unwrap_or(Err(GreetError::Silent))
        {
            Ok((connection, peer)) => {
                if shared.registry().has(peer.member, lane) {
                    drop(connection);
                    tokio::time::sleep(NOT_NEEDED).await;
                    continue;
                }
                pause = RETRY_SHORTEST;
                said = None;
                hold(&shared, address, lane, connection, peer).await;
            }
            Err(GreetError::Refused(HelloRefused::Myself)) => pause = NOT_NEEDED,
            Err(error) => {
                let words = error.to_string();
                if matches!(error, GreetError::Refused(_) | GreetError::Certificate(_)) && said.as_ref() != Some(&words)
                {
                    info!(%address, error = %words, "a peer refuses us or is refused");
                    said = Some(words);
                }
                pause = (pause * 2).min(RETRY_LONGEST);
                if let Ok(Ok(())) = tokio::time::timeout(pause, met.changed()).await {
                    pause = RETRY_SHORTEST;
                }
                continue;
            }
        }
        tokio::time::sleep(pause).await;
    }
}

async fn hold(shared: &Arc<Shared>, address: SocketAddr, lane: Lane, connection: TlsStream<TcpStream>, peer: Peer) {
    let ticket = shared.enter(peer);
    let (caller, drive) = lane::caller(connection, ticket.over);
    shared.registry().open(peer, lane, ticket.number, address, caller);
    shared.changed();
    if lane == Lane::Control {
        info!(member = %peer.member, ordinal = peer.ordinal, boot = peer.boot, %address, "connected to a member");
    }
    let end = drive.await;
    shared.registry().leave(peer.member, ticket.number);
    shared.changed();
    if lane == Lane::Control {
        info!(member = %peer.member, ordinal = peer.ordinal, boot = peer.boot, %end, "a member's connection ended");
    }
}

async fn greet(
    shared: &Shared,
    address: SocketAddr,
    purpose: Purpose,
) -> Result<(TlsStream<TcpStream>, Peer), GreetError> {
    let tcp = TcpStream::connect(address).await.map_err(GreetError::Tls)?;
    let _ = tcp.set_nodelay(true);
    let name = any_member_server_name(&shared.options.namespace, &shared.options.cluster);
    let name = ServerName::try_from(name).map_err(|e| GreetError::Certificate(e.to_string()))?;
    let mut tls =
        TlsConnector::from(shared.options.client.clone()).connect(name, tcp).await.map_err(GreetError::Tls)?;
    let certified = certified(shared, tls.get_ref().1.peer_certificates())?;
    let listens = shared.options.default_port;
    say(&mut tls, &Opening { hello: shared.me(), purpose, listens }).await?;
    let hello = match serde_json::from_slice(&frame::read(&mut tls, frame::HELLO_LIMIT).await?)? {
        Answer::Welcome(hello) => hello,
        Answer::Refused(refused) => return Err(refused.into()),
    };
    let known = shared.registry().known_boot(hello.member);
    Ok((tls, judge(&shared.me(), &hello, certified, known)?))
}

pub(super) async fn stream(
    shared: &Arc<Shared>,
    to: Uuid,
    address: SocketAddr,
    generation: u64,
) -> Result<EngineStream, CallError> {
    let greeted = tokio::time::timeout(GREETING, greet(shared, address, Purpose::Engine { generation })).await;
    match greeted {
        Ok(Ok((connection, peer))) if peer.member == to => {
            let ticket = shared.enter(peer);
            Ok(EngineStream { peer, generation, opened_here: true, over: ticket.over, connection: connection.into() })
        }
        _ => Err(CallError::NotConnected { to }),
    }
}

//! Networks of members in one process, connected to one another by mutual TLS.
//!
//! Must not know: what is said.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jet_admin_api::identity::Role;
use jet_member::net::hello::{Hello, WIRE_VERSION};
use jet_member::net::{Lane, Net, NetOptions};
use uuid::Uuid;

use crate::pki::{NAMESPACE, Pki};

pub const CLUSTER: &str = "orders";
/// Bound on every wait.
pub const PATIENCE: Duration = Duration::from_secs(30);
const GLANCE: Duration = Duration::from_millis(20);

pub fn uuid(n: usize) -> Uuid {
    Uuid::from_u128(n as u128 + 1)
}

/// One end for each member, not started.
pub fn unconnected(size: usize) -> Vec<(Net, SocketAddr)> {
    let pki = Pki::new(CLUSTER);
    let addresses: Vec<SocketAddr> =
        crate::ports::free(size).into_iter().map(|port| ([127, 0, 0, 1], port).into()).collect();
    let net = |n: usize| {
        let ordinal = u32::try_from(n).unwrap();
        let tls = pki.issue(Role::Member(ordinal));
        let me = Hello { wire: WIRE_VERSION, member: uuid(n), ordinal, boot: 1, founding: None, incarnation: 0 };
        let (net, _streams) = Net::new(NetOptions {
            me,
            server: tls.server().unwrap(),
            client: tls.client().unwrap(),
            namespace: NAMESPACE.into(),
            cluster: CLUSTER.into(),
            peers: addresses.iter().map(ToString::to_string).collect(),
            default_port: 0,
        });
        net
    };
    (0..size).map(net).zip(addresses.clone()).collect()
}

/// Starts them; returns when everybody has every lane to everybody else. Handlers are to be there already.
pub async fn connect(nets: &[(Net, SocketAddr)]) {
    for (net, address) in nets {
        net.start(*address).await.unwrap();
    }
    until("everybody is connected", || async {
        let open = |net: &Net| Lane::ALL.iter().map(|lane| net.peers(*lane).len()).min().unwrap();
        let least = nets.iter().map(|(net, _)| open(net)).min().unwrap();
        if least == nets.len() - 1 { Ok(()) } else { Err(format!("{least} peers")) }
    })
    .await;
}

/// Waits until `look` says `Ok`; fails with its last words.
pub async fn until<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    let begun = Instant::now();
    loop {
        let last = match look().await {
            Ok(found) => return found,
            Err(last) => last,
        };
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}; last: {last}");
        tokio::time::sleep(GLANCE).await;
    }
}

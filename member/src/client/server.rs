//! What all connections of clients share, and the way in for each.
//!
//! Law: whoever ends up here spoke the protocol's first bytes; each step from there is bounded, and why it ended stands in
//! the log. Must not know: what is asked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jet_protocol::PREAMBLE;
use jet_protocol::frames::Decoder;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info};
use uuid::Uuid;

use super::call::Calls;
use super::connection;
use super::door::{AUTHENTICATING, Door, NotLetIn};
use super::registry::{Registry, Stranger};
use super::threads::Threads;
use super::views::{self, View};
use crate::admin::serve::let_it_be_read;
use crate::cluster::Node;
use crate::config::Clients;
use crate::map::MapService;
use crate::ports::{Cluster, Jobs, Maps};

/// A member that serves nobody lets who comes wait so long, which also keeps clients from coming again and again.
const SERVED_WITHIN: Duration = Duration::from_secs(1);

/// Clients of this member.
pub struct Server {
    door: Door,
    registry: Registry,
    view: watch::Receiver<Arc<View>>,
    calls: Arc<Calls>,
    member: Uuid,
    threads: Threads,
}

impl Server {
    /// Of a member that runs, with room for so many; begins to look at the cluster.
    pub fn start(
        (cluster, clients, room): (&str, &Clients, usize),
        node: Arc<Node>,
        maps: Arc<dyn Maps>,
        service: MapService,
        jobs: Arc<dyn Jobs>,
    ) -> Self {
        let (seen, view) = watch::channel(Arc::new(View::default()));
        let member = node.me().0;
        tokio::spawn(views::keep_watching(node.clone(), maps, clients.port, seen));
        service.keep_freeing(clients.gone_after);
        let (door, registry) = (Door::new(cluster, clients), Registry::new(room));
        Self {
            door,
            registry,
            calls: Arc::new(Calls::new(service, jobs, node, view.clone())),
            view,
            member,
            threads: Threads::start(),
        }
    }

    /// Connected now.
    pub fn connected(&self) -> usize {
        self.registry.open()
    }

    /// The view, of a cluster that is served if it soon is: doors open a moment before it is seen here.
    async fn served(&self) -> Arc<View> {
        let mut view = self.view.clone();
        let seen = tokio::time::timeout(SERVED_WITHIN, view.wait_for(|view| view.cluster.is_some()));
        match seen.await {
            Ok(Ok(view)) => view.clone(),
            _ => self.view.borrow().clone(),
        }
    }

    /// Serves one client until it goes, is cut off, or `ending`: on a thread of its own sort.
    pub async fn serve(
        self: Arc<Self>,
        tcp: TcpStream,
        (from, stranger): (SocketAddr, Stranger),
        ending: CancellationToken,
    ) {
        let moved = self.threads.next().spawn(async move {
            let own = tcp.local_addr()?;
            let stream = TcpStream::from_std(tcp.into_std()?)?;
            self.serve_here(stream, own, (from, stranger), ending).await;
            Ok::<_, std::io::Error>(())
        });
        match moved.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%from, %error, "a client went"),
            Err(error) => error!(%from, %error, "a connection of a client broke down; the client may come again"),
        }
    }

    async fn serve_here<S>(
        &self,
        mut stream: S,
        own: SocketAddr,
        (from, stranger): (SocketAddr, Stranger),
        ending: CancellationToken,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let Some(_place) = self.registry.enter() else {
            let most = self.registry.most();
            info!(%from, most, "a client is not let in: as many are connected as there is room for");
            return;
        };
        let mut decoder = Decoder::new();
        let let_in = async {
            let mut preamble = [0; PREAMBLE.len()];
            let read = tokio::time::timeout(AUTHENTICATING, stream.read_exact(&mut preamble));
            read.await.map_err(|_| NotLetIn::Silent)??;
            if preamble != PREAMBLE {
                return Err(NotLetIn::Stranger);
            }
            let view = self.served().await;
            self.door.let_in(&mut stream, &mut decoder, (own, from), self.member, &view).await
        };
        let session = match let_in.await {
            Ok(session) => Arc::new(session),
            Err(NotLetIn::Gone(_)) => return,
            Err(why) => {
                info!(%from, %why, "a client is not let in");
                return let_it_be_read(stream).await;
            }
        };
        drop(stranger);
        info!(%from, client = session.name, "a client is let in");
        let (calls, view) = (self.calls.clone(), self.view.clone());
        let over = connection::serve(&mut stream, decoder, session.clone(), calls, view, ending).await;
        if over.is_told() {
            info!(%from, client = session.name, %over, "a client is cut off");
        } else {
            debug!(%from, client = session.name, %over, "a client went");
        }
    }
}

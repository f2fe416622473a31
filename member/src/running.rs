//! What takes part of a member whose store is open: consensus, maps and jobs, agent and supervisor, on some network.
//!
//! Law: others find it only when it can answer; at its end nothing is written behind the last flush. Must not know: where the
//! network and the store come from.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jet_core::agent::Doors;
use tracing::{info, warn};

use crate::cluster::act::Agent;
use crate::cluster::consensus::{ConsensusError, Kept};
use crate::cluster::control::Control;
use crate::cluster::{Node, supervise};
use crate::config::Founding;
use crate::net::hello::{Hello, WIRE_VERSION};
use crate::net::{Lane, Net};
use crate::ports::{Cluster, Jobs, Maps};
use crate::store::Keeper;

/// Time for what is under way when the process is asked to end.
const DRAINING: Duration = Duration::from_secs(3);
/// Pause between two looks at the doors meanwhile.
const DRAINING_LOOK: Duration = Duration::from_millis(5);
/// Time for closing the store after that.
const CLOSING: Duration = Duration::from_secs(8);

/// What a member brings.
pub struct Own {
    /// Number in its certificate.
    pub ordinal: u32,
    /// The members' network.
    pub net: Net,
    /// Its store.
    pub keeper: Arc<Keeper>,
    /// Who founds.
    pub founding: Founding,
    /// Where others find it.
    pub address: SocketAddr,
}

/// Why it does not take part.
#[derive(Debug, thiserror::Error)]
pub enum NotRunning {
    /// Nobody would find it.
    #[error("the members' network: {0}")]
    Listen(std::io::Error),
    /// Its log.
    #[error(transparent)]
    Consensus(#[from] ConsensusError),
}

/// What runs.
pub struct Running {
    /// The member in the cluster.
    pub node: Arc<Node>,
    /// Who carries out what is decided.
    pub agent: Arc<Agent>,
    /// Its maps.
    pub maps: Arc<dyn Maps>,
    /// Its jobs.
    pub jobs: Arc<dyn Jobs>,
}

/// Who speaks.
pub fn hello(keeper: &Keeper, ordinal: u32) -> Hello {
    Hello {
        wire: WIRE_VERSION,
        member: keeper.member().0,
        ordinal,
        boot: keeper.boot().0,
        founding: keeper.founded(),
        incarnation: keeper.incarnation(),
    }
}

/// Begins to take part, with the log that was read.
pub async fn take_part<M>(own: Own, log: Option<Kept>, make: M) -> Result<Running, NotRunning>
where
    M: FnOnce(Arc<dyn Cluster>) -> (Arc<dyn Maps>, Arc<dyn Jobs>),
{
    let node = Node::new(own.ordinal, own.net.clone(), own.keeper, own.founding);
    let (maps, jobs) = make(node.clone());
    node.attach(maps.clone(), jobs.clone());
    own.net.serve(Lane::Control, Arc::new(Control(node.clone())));
    own.net.start(own.address).await.map_err(NotRunning::Listen)?;
    node.start(log).await?;
    let agent = Agent::new(node.clone(), maps.clone(), jobs.clone());
    tokio::spawn(agent.clone().run());
    tokio::spawn(supervise::run(node.clone()));
    Ok(Running { node, agent, maps, jobs })
}

impl Running {
    /// What does not go on here, in words.
    pub fn trouble(&self) -> Option<String> {
        let troubles: Vec<String> = self.node.without_vote().into_iter().chain(self.agent.trouble()).collect();
        (!troubles.is_empty()).then(|| troubles.join("; "))
    }

    /// Ends its part. Who serves flushes everything; what is sealed, recovers or is blank is left untouched.
    pub async fn end(&self, serves: bool) {
        // Else the next look at the cluster would open the doors again, behind the last flush.
        self.agent.end();
        if serves {
            self.jobs.stop();
            self.maps.set_doors(Doors::ClosedForAll);
            let drained = self.drain().await;
            let keeper = self.node.keeper().clone();
            let closing = crate::host::blocking(move || keeper.close());
            match tokio::time::timeout(CLOSING, closing).await {
                Ok(Ok(Ok(()))) if drained => info!("everything is flushed; the place in the cluster stays open"),
                Ok(Ok(Ok(()))) => warn!(
                    "what was acknowledged is flushed; calls that other members did not confirm within {DRAINING:?} get no answer"
                ),
                Ok(Ok(Err(error))) => warn!(%error, "the store could not be closed in order"),
                _ => warn!("the store could not be closed in time"),
            }
        }
        self.node.stop().await;
    }

    /// Waits until nothing is in flight behind the closed doors, within [`DRAINING`]; whether it is so.
    async fn drain(&self) -> bool {
        let closed = async {
            while self.maps.doors() != Doors::ClosedForAll {
                tokio::time::sleep(DRAINING_LOOK).await;
            }
        };
        tokio::time::timeout(DRAINING, closed).await.is_ok()
    }
}

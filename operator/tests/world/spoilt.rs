//! Operators with a bug put back on purpose: what must be caught if the harness is worth anything.
//!
//! Law: each differs from the operator in one thing. Must not know: how it is caught.

use std::sync::Arc;

use async_trait::async_trait;
use jet_admin_api::client::CallError;
use jet_admin_api::member::MemberView;
use jet_operator::api::{JetCluster, JetClusterStatus};
use jet_operator::cluster::facts::{Facts, KubeFacts};
use jet_operator::cluster::plan::Act;
use jet_operator::cluster::port::{Kubernetes, PortError};
use jet_operator::cluster::story::Line;
use jet_operator::members::{Command, Door, Members};

use super::World;
use super::proxy::Proxy;
use super::run::Run;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    Repeats,
    Overwrites,
}

struct Spoilt {
    bug: Bug,
    world: World,
    proxy: Arc<Proxy>,
}

/// What got no answer is sent again at once.
pub fn repeats(run: &mut Run) {
    spoil(run, Bug::Repeats);
}

/// A write names the newest version instead of the one that was looked at.
pub fn overwrites(run: &mut Run) {
    spoil(run, Bug::Overwrites);
}

fn spoil(run: &mut Run, bug: Bug) {
    let spoilt = Arc::new(Spoilt { bug, world: run.world.clone(), proxy: run.proxy.clone() });
    (run.kube, run.members) = (spoilt.clone(), spoilt);
}

impl Spoilt {
    /// Facts and act as if the look had been the newest.
    fn renewed(&self, facts: &Facts, act: &Act) -> (Facts, Act) {
        let (mut facts, mut act) = (facts.clone(), act.clone());
        let state = self.world.lock();
        let version = state.cluster.as_ref().and_then(|cluster| cluster.metadata.resource_version.clone());
        facts.cluster.metadata.resource_version = version;
        if let (Some(seen), Some(set)) = (&mut facts.kube.set, &state.set) {
            (seen.uid, seen.resource_version) = (set.uid.clone(), set.rv.to_string());
            if let Act::ApplySet(object) = &mut act {
                object.body["metadata"]["uid"] = set.uid.clone().into();
                object.body["metadata"]["resourceVersion"] = set.rv.to_string().into();
            }
        }
        (facts, act)
    }
}

#[async_trait]
impl Kubernetes for Spoilt {
    async fn read(&self) -> Result<Option<(JetCluster, KubeFacts)>, PortError> {
        self.proxy.read().await
    }

    async fn write(&self, facts: &Facts, act: &Act) -> Result<(), PortError> {
        let (facts, act) = match self.bug {
            Bug::Overwrites => self.renewed(facts, act),
            _ => (facts.clone(), act.clone()),
        };
        match (self.proxy.write(&facts, &act).await, self.bug) {
            (Err(PortError::Unknown { .. }), Bug::Repeats) => self.proxy.write(&facts, &act).await,
            (answer, _) => answer,
        }
    }

    async fn write_status(&self, cluster: &JetCluster, status: &JetClusterStatus) -> Result<JetCluster, PortError> {
        self.proxy.write_status(cluster, status).await
    }

    async fn tell(&self, cluster: &JetCluster, lines: &[Line]) {
        self.proxy.tell(cluster, lines).await;
    }
}

#[async_trait]
impl Members for Spoilt {
    async fn look(&self, door: &Door) -> Result<MemberView, CallError> {
        self.proxy.look(door).await
    }

    async fn command(&self, door: &Door, command: &Command) -> Result<String, CallError> {
        match (self.proxy.command(door, command).await, self.bug) {
            (Err(CallError::Unknown { .. }), Bug::Repeats) => self.proxy.command(door, command).await,
            (answer, _) => answer,
        }
    }

    async fn hint(&self, door: &Door, peers: &[Door]) {
        self.proxy.hint(door, peers).await;
    }

    async fn moment(&self) {
        self.proxy.moment().await;
    }
}

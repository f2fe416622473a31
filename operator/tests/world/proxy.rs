//! Between operator and world: counts writes and commands, and kills the operator before or after the n-th.
//!
//! Law: a killed operator does nothing more, not even an answer is seen. Must not know: what is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use jet_admin_api::client::CallError;
use jet_admin_api::member::MemberView;
use jet_operator::api::{JetCluster, JetClusterStatus};
use jet_operator::cluster::facts::{Facts, KubeFacts};
use jet_operator::cluster::plan::Act;
use jet_operator::cluster::port::{Kubernetes, PortError};
use jet_operator::cluster::story::Line;
use jet_operator::members::{Command, Door, Members};
use tokio::sync::Notify;

use super::World;

/// Where the operator dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kill {
    Never,
    Before(u64),
    After(u64),
}

pub struct Proxy {
    pub kube: Arc<dyn Kubernetes>,
    pub members: Arc<dyn Members>,
    pub kill: Kill,
    pub writes: AtomicU64,
    pub killed: Notify,
    /// What is read instead of the world: an operator that lags behind.
    pub stale: Option<(JetCluster, KubeFacts)>,
}

impl Proxy {
    pub fn new(world: World, kill: Kill) -> Self {
        Self::between(Arc::new(world.clone()), Arc::new(world), kill)
    }

    pub fn between(kube: Arc<dyn Kubernetes>, members: Arc<dyn Members>, kill: Kill) -> Self {
        Self { kube, members, kill, writes: AtomicU64::new(0), killed: Notify::new(), stale: None }
    }

    async fn before(&self) -> u64 {
        let n = self.writes.fetch_add(1, Ordering::SeqCst);
        if self.kill == Kill::Before(n) {
            self.die().await;
        }
        n
    }

    async fn after(&self, n: u64) {
        if self.kill == Kill::After(n) {
            self.die().await;
        }
    }

    async fn die(&self) {
        self.killed.notify_one();
        std::future::pending::<()>().await;
    }
}

#[async_trait]
impl Kubernetes for Proxy {
    async fn read(&self) -> Result<Option<(JetCluster, KubeFacts)>, PortError> {
        match &self.stale {
            Some(stale) => Ok(Some(stale.clone())),
            None => self.kube.read().await,
        }
    }

    async fn write(&self, facts: &Facts, act: &Act) -> Result<(), PortError> {
        let n = self.before().await;
        let answer = self.kube.write(facts, act).await;
        self.after(n).await;
        answer
    }

    async fn write_status(&self, cluster: &JetCluster, status: &JetClusterStatus) -> Result<(), PortError> {
        let n = self.before().await;
        let answer = self.kube.write_status(cluster, status).await;
        self.after(n).await;
        answer
    }

    async fn tell(&self, cluster: &JetCluster, lines: &[Line]) {
        self.kube.tell(cluster, lines).await;
    }
}

#[async_trait]
impl Members for Proxy {
    async fn look(&self, door: &Door) -> Result<MemberView, CallError> {
        self.members.look(door).await
    }

    async fn command(&self, door: &Door, command: &Command) -> Result<String, CallError> {
        let n = self.before().await;
        let answer = self.members.command(door, command).await;
        self.after(n).await;
        answer
    }

    async fn hint(&self, door: &Door, peers: &[Door]) {
        self.members.hint(door, peers).await;
    }
}

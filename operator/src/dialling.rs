//! How members of a cluster are reached: with which key pair, at which addresses.
//!
//! Law: the operator shows the cluster's own identity and no other; who answers is verified by name, never by
//! address. Must not know: what is said to members.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jet_admin_api::client::{CallError, MemberClient};
use jet_admin_api::identity::member_server_name;
use jet_admin_api::member::MemberView;
use jet_admin_api::tls::TlsError;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client, Resource, ResourceExt};
use tokio::sync::Mutex;

use crate::api::annotations::MAINTENANCE;
use crate::api::spec::TlsIssuer;
use crate::api::{DesiredState, JetCluster, names};
use crate::job::door;
use crate::job::pass::is_conflict;
use crate::members::{Command, Dialled, Door, Members};
use crate::pki::custody::{self, CustodyError, Subject};
use crate::pki::{self, Badge, Wallet};

/// Members that a job's pass asks at most for who leads, ready ones first.
const ASKED: usize = 5;

/// Putting key pairs in place takes at most this long, so that one hung call holds up no other cluster.
const CUSTODY: Duration = Duration::from_secs(15);

/// Why members cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum DiallingError {
    /// Key pairs.
    #[error(transparent)]
    Custody(#[from] CustodyError),
    /// Key pairs that rustls does not take.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A look at pods.
    #[error("cannot list the pods of {cluster}: {source}")]
    Pods {
        /// Which cluster.
        cluster: String,
        /// The client's words.
        source: Box<kube::Error>,
    },
    /// The API server took too long.
    #[error("the key pairs of {cluster} are not in place after {} s: the API server does not answer", CUSTODY.as_secs())]
    Slow {
        /// Which cluster.
        cluster: String,
    },
    /// An object that was never stored.
    #[error("JetCluster {cluster} has no uid: it was not read from the API server")]
    NotStored {
        /// Which cluster.
        cluster: String,
    },
}

impl DiallingError {
    /// Somebody wrote in between: look again at once.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Custody(CustodyError::Api { source, .. }) if is_conflict(source))
    }
}

/// Key pairs of all clusters, and the way to their members.
pub struct Dialling {
    client: Client,
    namespace: String,
    wallet: Wallet,
    /// A cluster's pass and its jobs' passes come at the same time: one of them puts the key pairs in place.
    in_custody: Mutex<()>,
}

impl Dialling {
    /// `namespace` is the operator's own: the authorities' keys lie there.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self { client, namespace: namespace.to_owned(), wallet: Wallet::default(), in_custody: Mutex::default() }
    }

    /// The port to a cluster's members.
    pub async fn members(&self, cluster: &JetCluster) -> Result<Dialled, DiallingError> {
        let tls = self.badge(cluster, may_scale_up(cluster)).await?.tls()?;
        Ok(Dialled::new(cluster.namespace().unwrap_or_default(), cluster.name_any(), tls))
    }

    /// Clients of the members that have an address, ready ones first.
    pub async fn door(&self, cluster: &JetCluster) -> Result<door::Members<door::Dialled>, DiallingError> {
        let (namespace, name) = (cluster.namespace().unwrap_or_default(), cluster.name_any());
        let tls = self.badge(cluster, false).await?.tls()?;
        let mut found: Vec<_> =
            self.pods(&namespace, &name).await?.iter().filter_map(|pod| place(&name, pod)).collect();
        found.sort();
        let client = |(_, ordinal, host): (bool, u32, String)| {
            let host = if host.contains(':') { format!("[{host}]") } else { host };
            let address = format!("{host}:{}", names::PORT_ADMIN);
            let server = member_server_name(&namespace, &name, ordinal);
            let client = MemberClient::new(address, &server, tls.clone()).ok()?;
            Some(door::Dialled { ordinal, client })
        };
        Ok(door::Members { members: found.into_iter().filter_map(client).collect(), asked: ASKED })
    }

    /// Forgets a cluster that is gone.
    pub fn forget(&self, namespace: &str, cluster: &str) {
        self.wallet.forget(namespace, cluster);
    }

    /// The operator's key pair for a cluster; puts everybody's in place when it is time to look.
    async fn badge(&self, cluster: &JetCluster, fresh: bool) -> Result<Arc<Badge>, DiallingError> {
        let (namespace, name) = (cluster.namespace().unwrap_or_default(), cluster.name_any());
        let ordinals = ordinals(cluster);
        let known = || self.wallet.get(&namespace, &name, ordinals, Instant::now()).filter(|_| !fresh);
        if let Some(badge) = known() {
            return Ok(badge);
        }
        let _alone = self.in_custody.lock().await;
        if let Some(badge) = known() {
            return Ok(badge);
        }
        let credentials = match cluster.spec.tls.issuer {
            TlsIssuer::Provided => custody::provided(&self.client, &namespace, &name).await?,
            TlsIssuer::Operator => {
                let owner = cluster.controller_owner_ref(&());
                let subject = Subject {
                    no_pods: self.pods(&namespace, &name).await?.is_empty(),
                    owner: owner.ok_or_else(|| DiallingError::NotStored { cluster: name.clone() })?,
                    namespace: namespace.clone(),
                    cluster: name.clone(),
                    ordinals,
                };
                let ensure = pki::ensure(&self.client, &self.namespace, &subject, Timestamp::now());
                let slow = |_| DiallingError::Slow { cluster: name.clone() };
                tokio::time::timeout(CUSTODY, ensure).await.map_err(slow)??
            }
        };
        Ok(self.wallet.put(&namespace, &name, ordinals, credentials, Instant::now()))
    }

    async fn pods(&self, namespace: &str, cluster: &str) -> Result<Vec<Pod>, DiallingError> {
        let selector: Vec<_> =
            names::selector(cluster).into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let listed = api.list(&ListParams::default().labels(&selector.join(","))).await;
        let failed = |source| DiallingError::Pods { cluster: cluster.to_owned(), source: Box::new(source) };
        Ok(listed.map_err(failed)?.items)
    }
}

/// No pod runs and none is to be kept away: the next pass may start members, which read their key pairs as they start.
fn may_scale_up(cluster: &JetCluster) -> bool {
    let runs = cluster.status.as_ref().is_some_and(|status| status.replicas > 0);
    let kept_away = cluster.annotations().contains_key(MAINTENANCE) || cluster.spec.state == DesiredState::Stopped;
    !runs && !kept_away
}

/// Key pairs for the wished members and for the recorded ones, whichever are more.
fn ordinals(cluster: &JetCluster) -> u32 {
    let recorded =
        cluster.status.as_ref().and_then(|status| status.roster.as_ref()).map_or(0, |roster| roster.members.len());
    u32::try_from(cluster.spec.size).unwrap_or(0).max(u32::try_from(recorded).unwrap_or(u32::MAX))
}

/// (not ready, ordinal, address) of a member pod that has an address.
fn place(cluster: &str, pod: &Pod) -> Option<(bool, u32, String)> {
    let status = pod.status.as_ref()?;
    let ready = status.conditions.iter().flatten().any(|it| it.type_ == "Ready" && it.status == "True");
    Some((!ready, names::ordinal_of(cluster, &pod.name_any())?, status.pod_ip.clone()?))
}

/// Members of a cluster for which there is no key pair.
pub struct Nobody;

#[async_trait]
impl Members for Nobody {
    async fn look(&self, door: &Door) -> Result<MemberView, CallError> {
        Err(not_dialled(door))
    }

    async fn command(&self, door: &Door, _: &Command) -> Result<String, CallError> {
        Err(not_dialled(door))
    }

    async fn hint(&self, _: &Door, _: &[Door]) {}
}

fn not_dialled(door: &Door) -> CallError {
    CallError::NotSent {
        address: door.host.clone(),
        reason: "the operator has no key pair for this cluster".to_owned(),
    }
}

//! One process from start to end: probes, CRDs, lease, controllers.
//!
//! Law: it works only while it holds the lease, and ends when it loses it; a standby is ready too. Must not know:
//! what a pass does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kube::api::ListParams;
use kube::{Api, Client};

use crate::api::JetCluster;
use crate::controllers::{self, Context};
use crate::job::JetJob;
use crate::runtime::election::{Election, ElectionError};
use crate::runtime::server::{self, Health};
use crate::runtime::stop::Stop;
use crate::runtime::telemetry::Telemetry;

/// The CRDs are looked for again after this.
const CRDS_AGAIN: Duration = Duration::from_secs(2);
/// Controllers have this long to finish the steps in hand.
const FINISH: Duration = Duration::from_secs(20);

/// How one process is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Namespaces that are watched; empty: all.
    pub watch: Vec<String>,
    /// The operator's own namespace.
    pub namespace: String,
    /// Name of the lease.
    pub lease: String,
    /// Who this process is on the lease.
    pub identity: String,
    /// Where probes are served; `None`: nowhere (tests).
    pub probes: Option<SocketAddr>,
}

/// Why the process ended otherwise than asked.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The lease went.
    #[error(transparent)]
    Election(#[from] ElectionError),
    /// Probes cannot be served.
    #[error("cannot serve probes on {address}: {source}")]
    Probes {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// Runs until stopped, or until the lease is lost.
pub async fn run(client: Client, options: Options, stop: Stop) -> Result<(), ProcessError> {
    let (health, telemetry) = (Arc::new(Health::default()), Arc::new(Telemetry::default()));
    let probes = serve_probes(&options, &health, &telemetry, &stop);
    let work = lead(client, &options, &health, &telemetry, &stop);
    tokio::pin!(probes);
    tokio::pin!(work);
    tokio::select! {
        served = &mut probes => {
            stop.throw();
            let _ = work.await;
            served
        }
        worked = &mut work => {
            stop.throw();
            worked
        }
    }
}

async fn serve_probes(
    options: &Options,
    health: &Arc<Health>,
    telemetry: &Arc<Telemetry>,
    stop: &Stop,
) -> Result<(), ProcessError> {
    let Some(address) = options.probes else {
        stop.wait().await;
        return Ok(());
    };
    let served = server::serve(address, health.clone(), telemetry.clone(), stop.clone()).await;
    served.map_err(|source| ProcessError::Probes { address, source })
}

async fn lead(
    client: Client,
    options: &Options,
    health: &Health,
    telemetry: &Arc<Telemetry>,
    stop: &Stop,
) -> Result<(), ProcessError> {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), identity = options.identity, watch = ?options.watch, "started");
    if !await_crds(&client, options, health, stop).await {
        return Ok(());
    }
    health.set_ready(true);
    telemetry.leads(&options.lease, false);
    let mut election = Election::new(client.clone(), &options.namespace, &options.lease, &options.identity);
    if !election.win(stop, || health.breathe()).await {
        return Ok(());
    }
    telemetry.leads(&options.lease, true);
    // Controllers have a switch of their own: the lease is given back only after they have finished.
    let work = Stop::default();
    let context = Arc::new(Context::new(client, options, telemetry.clone()));
    let mut controllers = tokio::spawn(controllers::run(context, options.watch.clone(), work.clone()));
    let held = tokio::select! {
        held = election.hold(stop, || health.breathe()) => held,
        _ = &mut controllers => Ok(()),
    };
    telemetry.leads(&options.lease, false);
    work.throw();
    if held.is_err() {
        // Somebody else may work from now on: what is in hand is dropped, its writes carry preconditions.
        controllers.abort();
    } else if tokio::time::timeout(FINISH, &mut controllers).await.is_err() {
        tracing::warn!("steps in hand did not end within {} s", FINISH.as_secs());
        controllers.abort();
    }
    if held.is_ok() {
        election.release().await;
    }
    Ok(held?)
}

/// `false`: stopped meanwhile.
async fn await_crds(client: &Client, options: &Options, health: &Health, stop: &Stop) -> bool {
    let few = ListParams::default().limit(1);
    let mut told = None;
    loop {
        health.breathe();
        let namespace = options.watch.first();
        let (clusters, jobs): (Api<JetCluster>, Api<JetJob>) = match namespace {
            None => (Api::all(client.clone()), Api::all(client.clone())),
            Some(namespace) => (Api::namespaced(client.clone(), namespace), Api::namespaced(client.clone(), namespace)),
        };
        let missing = match (clusters.list(&few).await, jobs.list(&few).await) {
            (Ok(_), Ok(_)) => return true,
            (Err(error), _) => format!("JetClusters cannot be listed: {}", words(&error)),
            (_, Err(error)) => format!("JetJobs cannot be listed: {}", words(&error)),
        };
        if told.as_ref() != Some(&missing) {
            tracing::warn!("{missing}; waiting (are the CRDs installed?)");
            told = Some(missing);
        }
        if stop.or_after(CRDS_AGAIN).await {
            return false;
        }
    }
}

/// The API server's own sentence where there is one.
fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

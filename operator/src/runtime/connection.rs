//! The bounds on every call to the API server.
//!
//! Law: no call without a deadline; no retry inside the client, because a retried write hides its conflict.
//! Must not know: what is called.

use std::time::Duration;

use kube::{Client, Config};

/// A silent connection is given up after this; longer than the API server's bookmark interval of watches (1 min).
const READ: Duration = Duration::from_secs(90);
const CONNECT: Duration = Duration::from_secs(5);
const WRITE: Duration = Duration::from_secs(15);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// Neither in a pod nor with a kubeconfig.
    #[error("no Kubernetes to talk to: run in a pod with a ServiceAccount, or set KUBECONFIG ({0})")]
    NoConfig(#[from] kube::config::InferConfigError),
    /// The configuration does not make a client.
    #[error("the Kubernetes configuration is not usable: {0}")]
    Unusable(#[from] kube::Error),
}

/// Client from the pod's ServiceAccount or the kubeconfig.
pub async fn connect() -> Result<Client, ConnectionError> {
    Ok(Client::try_from(bounded(Config::infer().await?))?)
}

/// A configuration with our bounds.
pub fn bounded(mut config: Config) -> Config {
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(READ);
    config.write_timeout = Some(WRITE);
    config.reset_reader_on_write = true;
    config
}

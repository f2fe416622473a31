//! How `jet` finds a member and shows who it is.
//!
//! Law: the certificate in `--tls-dir` says who calls; nothing is trusted that the cluster's CA did not sign.
//! Must not know: Kubernetes (port-forward, Services are the caller's).

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jet_admin_api::client::MemberClient;
use jet_admin_api::identity::any_member_server_name;
use jet_admin_api::tls::Material;

/// Longest that a command waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the cluster is and who calls.
#[derive(Args, Clone, Debug)]
pub struct Connection {
    /// Admin API of any member, host:port
    #[arg(long, global = true, env = "JET_MEMBER", default_value = "127.0.0.1:8443")]
    pub member: String,
    /// Directory with ca.crt, tls.crt and tls.key (the Secret <cluster>-admin)
    #[arg(long, global = true, env = "JET_TLS_DIR", default_value = "/etc/jet/admin")]
    pub tls_dir: PathBuf,
}

/// Why a command did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The material is missing or unusable.
    #[error(
        "{0}\nGive --tls-dir a directory with ca.crt, tls.crt and tls.key, for example from: kubectl get secret <cluster>-admin"
    )]
    Tls(#[from] jet_admin_api::tls::TlsError),
    /// An answer cannot be printed as JSON.
    #[error("the answer cannot be printed as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Only what runs can be restarted.
    #[error("job '{name}' is {status}; only a running job is restarted (jet resume for a suspended one)")]
    NotRunning {
        /// Which.
        name: String,
        /// What it is.
        status: String,
    },
    /// A restart went half way.
    #[error("job '{name}' is suspended and was not resumed: {why}; resume it with: jet resume {name}")]
    LeftSuspended {
        /// Which.
        name: String,
        /// Why.
        why: String,
    },
    /// The call failed or was refused.
    #[error(transparent)]
    Call(#[from] jet_admin_api::client::CallError),
}

impl Connection {
    /// A client of the member that the flags name.
    pub fn client(&self) -> Result<MemberClient, ConnectionError> {
        let material = Material::read(&self.tls_dir, "tls")?;
        let identity = material.identity()?;
        let name = any_member_server_name(&identity.namespace, &identity.cluster);
        Ok(MemberClient::new(&self.member, &name, material.client()?)?.with_timeout(PATIENCE))
    }
}

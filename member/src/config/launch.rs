//! Flags and environment of the `jet-member` program.
//!
//! Law: here is what differs between two members of one cluster, and what the platform decides (ports, paths);
//! what the cluster's user decides is in the YAML files. Must not know: YAML.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Starts one member.
#[derive(Clone, Debug, Parser)]
#[command(name = "jet-member", version, about = "One member of a stream-processing cluster")]
pub struct Launch {
    /// `hazelcast-jet.yaml`; `hazelcast.yaml` is read from beside it. Without it both are looked for in
    /// `<JET_HOME>/config`.
    #[arg(long, env = "JET_CONFIG")]
    pub config: Option<PathBuf>,
    /// Installation directory; the store's default place is `<JET_HOME>/recovery`.
    #[arg(long, env = "JET_HOME", default_value = ".")]
    pub home: PathBuf,
    /// Number of this member, as in its pod's name.
    #[arg(long, env = "JET_ORDINAL")]
    pub ordinal: Option<u32>,
    /// Name of the pod; the ordinal is its last part when none is given.
    #[arg(long, env = "JET_POD_NAME")]
    pub pod_name: Option<String>,
    /// Kubernetes namespace, `local` without Kubernetes; a part of every certificate's name.
    #[arg(long, env = "JET_NAMESPACE", default_value = "local")]
    pub namespace: String,
    /// Name of the cluster in certificates; the `cluster-name` of the files when not given.
    #[arg(long, env = "JET_CLUSTER")]
    pub cluster: Option<String>,
    /// Directory with `ca.crt`, `<ordinal>.crt`, `<ordinal>.key`.
    #[arg(long, env = "JET_TLS", default_value = "/etc/jet/tls")]
    pub tls: PathBuf,
    /// Who gives the founding permit to a blank member.
    #[arg(long, env = "JET_FOUNDING", value_enum)]
    pub founding: Option<PermitFrom>,
    /// Address that every port is bound to.
    #[arg(long, env = "JET_BIND", default_value = "0.0.0.0")]
    pub bind: IpAddr,
    /// Member to member.
    #[arg(long, env = "JET_MEMBER_PORT", default_value_t = 5702)]
    pub member_port: u16,
    /// Admin API.
    #[arg(long, env = "JET_ADMIN_PORT", default_value_t = 8443)]
    pub admin_port: u16,
    /// Port of clients and of the Hazelcast-shaped REST; the `network.port` of the files when not given.
    #[arg(long, env = "JET_CLIENT_PORT")]
    pub client_port: Option<u16>,
    /// File with one `name:password` on each line: who is let in as a client; read anew for each. Without it the cluster's
    /// name lets in.
    #[arg(long, env = "JET_CLIENT_CREDENTIALS_FILE")]
    pub client_credentials_file: Option<PathBuf>,
    /// File that holds the password which the REST asks of whoever changes something; read anew for each request.
    #[arg(long, env = "JET_REST_PASSWORD_FILE")]
    pub rest_password_file: Option<PathBuf>,
    /// Probes and metrics, plaintext.
    #[arg(long, env = "JET_HEALTH_PORT", default_value_t = 8080)]
    pub health_port: u16,
    /// Id of the volume that the store lies on; the file system's id when not given.
    #[arg(long, env = "JET_VOLUME_ID")]
    pub volume_id: Option<String>,
    /// Log format.
    #[arg(long, env = "JET_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
}

/// Who gives the founding permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PermitFrom {
    /// The operator, over the admin API.
    Operator,
    /// The configured member list (none: this member alone).
    Configuration,
}

/// Format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum LogFormat {
    Text,
    Json,
}

impl Launch {
    /// The ordinal as given, or the number at the end of the pod's name.
    pub fn ordinal(&self) -> Option<u32> {
        self.ordinal.or_else(|| self.pod_name.as_ref()?.rsplit('-').next()?.parse().ok())
    }

    /// Under Kubernetes only the operator may permit a founding, because only it can see that no volume of this
    /// name was sealed before.
    pub fn permit_from(&self) -> PermitFrom {
        match self.founding {
            Some(from) => from,
            None if self.pod_name.is_some() || std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() => {
                PermitFrom::Operator
            }
            None => PermitFrom::Configuration,
        }
    }
}

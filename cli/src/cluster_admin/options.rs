//! Options of `jet-cluster-admin`.
//!
//! Law: names and defaults are the original's; an option that we do not know is an error and not skipped. Must not know:
//! what becomes of them.

use std::path::PathBuf;

use clap::Parser;
use jet_admin_api::rest::Endpoint;
use jet_admin_api::tls::Material;

/// State, shutdown and version of a cluster, over the REST of one of its members.
#[derive(Clone, Debug, Parser)]
#[command(name = "jet-cluster-admin", disable_version_flag = true, args_override_self = true)]
pub struct Options {
    /// get-state, change-state, shutdown, force-start, partial-start, get-cluster-version or change-cluster-version
    #[arg(short, long)]
    pub operation: Option<String>,
    /// State to change to: active, no_migration, frozen or passive
    #[arg(short, long)]
    pub state: Option<String>,
    /// Address of a member
    #[arg(short, long)]
    pub address: Option<String>,
    /// Port of its REST
    #[arg(short, long)]
    pub port: Option<u16>,
    /// Name of the cluster
    #[arg(short, long = "clustername", alias = "groupname")]
    pub clustername: Option<String>,
    /// Password of the REST; better given in the environment, where others do not see it
    #[arg(short = 'P', long, env = "JET_CLUSTER_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,
    /// Cluster version to change to, MAJOR.MINOR
    #[arg(short, long)]
    pub version: Option<String>,
    /// With partial-start and force-start: what it told without, so that exactly that is consented to
    #[arg(long)]
    pub consent: Option<String>,
    /// Print what is sent and answered to standard error, without the password
    #[arg(short, long)]
    pub debug: bool,
    /// Speak TLS; needs --cacert, --cert and --key
    #[arg(long)]
    pub https: bool,
    /// Refused: a member and its caller always verify each other
    #[arg(long)]
    pub insecure: bool,
    /// CA certificates of the cluster, PEM
    #[arg(long)]
    pub cacert: Option<PathBuf>,
    /// Own certificate, PEM
    #[arg(long)]
    pub cert: Option<PathBuf>,
    /// Own key, PEM
    #[arg(long)]
    pub key: Option<PathBuf>,
    /// End with 2, 3 or 4 when what was asked for is invalid, failed or was not permitted; without it with 0, as the
    /// original
    #[arg(long)]
    pub strict: bool,
    /// Stay until it is so: the cluster stopped and the member gone, or the member in the state; implies --strict
    #[arg(long)]
    pub wait: bool,
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Operation {
    GetState,
    ChangeState,
    Shutdown,
    ForceStart,
    PartialStart,
    GetClusterVersion,
    ChangeClusterVersion,
}

impl Operation {
    /// All of them.
    pub const ALL: [Operation; 7] = [
        Operation::GetState,
        Operation::ChangeState,
        Operation::Shutdown,
        Operation::ForceStart,
        Operation::PartialStart,
        Operation::GetClusterVersion,
        Operation::ChangeClusterVersion,
    ];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Operation::GetState => "get-state",
            Operation::ChangeState => "change-state",
            Operation::Shutdown => "shutdown",
            Operation::ForceStart => "force-start",
            Operation::PartialStart => "partial-start",
            Operation::GetClusterVersion => "get-cluster-version",
            Operation::ChangeClusterVersion => "change-cluster-version",
        }
    }

    /// Whom to ask for it.
    pub fn endpoint(self) -> Endpoint {
        match self {
            Operation::GetState => Endpoint::State,
            Operation::ChangeState => Endpoint::ChangeState,
            Operation::Shutdown => Endpoint::ClusterShutdown,
            Operation::ForceStart => Endpoint::ForceStart,
            Operation::PartialStart => Endpoint::PartialStart,
            Operation::GetClusterVersion => Endpoint::Version,
            Operation::ChangeClusterVersion => Endpoint::ChangeVersion,
        }
    }
}

/// What the files of `--https` are.
pub const PEM_FILES: &str = "--cacert, --cert and --key name PEM files that the cluster has issued";

/// States that a person may choose.
pub const STATES: [&str; 4] = ["active", "no_migration", "frozen", "passive"];

impl Options {
    /// `--operation`, or its default; `None`: there is no such operation.
    pub fn operation(&self) -> Option<Operation> {
        let name = self.operation.as_deref().unwrap_or(Operation::GetState.name());
        Operation::ALL.into_iter().find(|operation| operation.name() == name)
    }

    /// `--state`, if it is one.
    pub fn state(&self) -> Option<&'static str> {
        let wanted = self.state.as_deref()?;
        STATES.into_iter().find(|state| state.eq_ignore_ascii_case(wanted))
    }

    /// Failures are exit codes.
    pub fn strict(&self) -> bool {
        self.strict || self.wait
    }

    /// `--address`, or its default.
    pub fn address(&self) -> &str {
        self.address.as_deref().unwrap_or("127.0.0.1")
    }

    /// `--port`, or its default.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(5701)
    }

    /// `--clustername`, or its default.
    pub fn clustername(&self) -> &str {
        self.clustername.as_deref().unwrap_or("jet")
    }

    /// `--password`, or its default.
    pub fn password(&self) -> &str {
        self.password.as_deref().unwrap_or("jet-pass")
    }

    /// Key pair for TLS, if it is to be spoken; else what is wrong.
    pub fn material(&self) -> Result<Option<Material>, String> {
        if self.insecure {
            return Err(
                "--insecure is refused: a member and its caller always verify each other; give --cacert, --cert \
                        and --key"
                    .into(),
            );
        }
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|e| format!("cannot read {}: {e}; {PEM_FILES}", path.display()))
        };
        match (self.https, &self.cacert, &self.cert, &self.key) {
            (false, None, None, None) => Ok(None),
            (false, ..) => Err("--cacert, --cert and --key are for --https".into()),
            (true, Some(ca), Some(cert), Some(key)) => {
                Ok(Some(Material { ca: read(ca)?, cert: read(cert)?, key: read(key)? }))
            }
            (true, ..) => Err("--https needs --cacert, --cert and --key: the member asks for a certificate too".into()),
        }
    }
}

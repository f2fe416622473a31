//! The program `jet-operator`: arguments in, exit code out.
//!
//! Law: it decides nothing. Must not know: clusters, jobs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use jet_operator::process::{self, Options};
use jet_operator::runtime::stop::Stop;
use jet_operator::runtime::{connection, logs};
use jet_operator::{crds, uninstall};

/// Between saying why not and the end: Helm reads a Job's log the moment that it failed, and was seen to find it empty.
const READ: Duration = Duration::from_secs(1);

/// Operator of lossless stream-processing clusters.
#[derive(Debug, Parser)]
#[command(name = "jet-operator", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watches JetClusters and JetJobs until stopped.
    Run(Run),
    /// Prints the CRDs, or writes them into a source tree.
    Crds {
        /// Root of the source tree: writes crds/ and charts/jet/templates/crds/.
        #[arg(long)]
        write: Option<PathBuf>,
    },
    /// Fails if a JetCluster exists: nobody would bring a stopped one back.
    CheckUninstall {
        /// Looks in this namespace only; may be given again.
        #[arg(long)]
        watch_namespace: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
struct Run {
    /// Watches this namespace only; may be given again. Without it: all.
    #[arg(long, env = "JET_WATCH_NAMESPACES", value_delimiter = ',')]
    watch_namespace: Vec<String>,
    /// Namespace of the lease and of the authorities' keys.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    namespace: String,
    /// Name of the lease.
    #[arg(long, env = "JET_LEASE", default_value = "jet-operator")]
    lease: String,
    /// Who this process is on the lease.
    #[arg(long, env = "POD_NAME")]
    identity: Option<String>,
    /// Where /livez, /readyz and /metrics are served.
    #[arg(long, env = "JET_PROBES", default_value = "0.0.0.0:8080")]
    probes: SocketAddr,
    /// Log format.
    #[arg(long, env = "JET_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: logs::Format,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let is_read_by_helm = matches!(arguments.command, Command::CheckUninstall { .. });
    let outcome = match arguments.command {
        Command::Crds { write } => print_or_write(write.as_deref()),
        Command::Run(run) => in_runtime(serve(run)),
        Command::CheckUninstall { watch_namespace } => in_runtime(check_uninstall(watch_namespace)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("jet-operator: {message}");
            if is_read_by_helm {
                std::thread::sleep(READ);
            }
            ExitCode::FAILURE
        }
    }
}

fn in_runtime(work: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| format!("no runtime: {error}"))?.block_on(work)
}

async fn serve(run: Run) -> Result<(), String> {
    logs::start(run.log_format);
    let stop = Stop::default();
    stop.on_signals().map_err(|error| format!("cannot listen to signals: {error}"))?;
    let client = connection::connect().await.map_err(|error| error.to_string())?;
    let options = Options {
        watch: run.watch_namespace,
        namespace: run.namespace,
        lease: run.lease,
        identity: run
            .identity
            .unwrap_or_else(|| format!("process-{}-{:08x}", std::process::id(), rand::random::<u32>())),
        probes: Some(run.probes),
    };
    process::run(client, options, stop).await.map_err(|error| error.to_string())
}

async fn check_uninstall(namespaces: Vec<String>) -> Result<(), String> {
    let client = connection::connect().await.map_err(|error| error.to_string())?;
    uninstall::check(&client, &namespaces).await.map_err(|error| error.to_string())
}

fn print_or_write(root: Option<&Path>) -> Result<(), String> {
    for (file, crd) in crds::all() {
        let plain = crds::plain(&crd).map_err(|error| error.to_string())?;
        let Some(root) = root else {
            println!("---\n{plain}");
            continue;
        };
        let template = crds::template(&crd).map_err(|error| error.to_string())?;
        for (directory, text) in [("crds", plain), ("charts/jet/templates/crds", template)] {
            let path = root.join(directory).join(file);
            std::fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
    }
    Ok(())
}

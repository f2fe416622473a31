//! `kubectl-jet`: a kubectl plugin that tells how a JetCluster is.
//!
//! Law: reads only. Must not know: members.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use futures::{StreamExt, TryStreamExt};
use jet_cli::status;
use kube::Client;
use kube::runtime::watcher::{self, watch_object};

/// Tell how a JetCluster is.
#[derive(Parser)]
#[command(name = "kubectl-jet", bin_name = "kubectl jet", version)]
struct Cli {
    /// Namespace; default: that of the current context
    #[arg(short, long, global = true)]
    namespace: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show state, operation, blockers and conditions; stays and shows progress while an operation runs
    Status {
        /// JetCluster
        name: String,
        /// Print once, do not follow
        #[arg(long)]
        once: bool,
    },
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("cannot use the Kubernetes context: {0}")]
    Context(#[from] kube::Error),
    #[error("cannot watch the JetCluster: {0}")]
    Watch(#[from] watcher::Error),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let Command::Status { name, once } = cli.command;
    match show(cli.namespace.as_deref(), &name, once).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kubectl jet: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn show(namespace: Option<&str>, name: &str, once: bool) -> Result<(), Failure> {
    let api = status::jetclusters(Client::try_default().await?, namespace);
    let object = api.get(name).await?;
    print!("{}", status::describe(&object));
    if once || !status::busy(&object) {
        return Ok(());
    }
    let mut last = status::describe(&object);
    let mut changes = watch_object(api, name).boxed();
    while let Some(change) = changes.try_next().await? {
        let Some(object) = change else { break };
        let text = status::describe(&object);
        if text != last {
            print!("\n{text}");
            last = text;
        }
        if !status::busy(&object) {
            break;
        }
    }
    Ok(())
}

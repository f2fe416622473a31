//! `kubectl-jet`: a kubectl plugin that tells how a JetCluster is.
//!
//! Law: reads only, and members only through the API server. Must not know: certificates.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use jet_cli::live::{self, Live};
use jet_cli::status;
use kube::Client;
use kube::api::DynamicObject;
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
    /// Show state, operation, blockers and conditions; stays while an operation runs and shows how far members are:
    /// live where you may get pods/proxy, else as the status tells it
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
    #[error(
        "cannot use the Kubernetes context: {0}; KUBECONFIG or ~/.kube/config must name one (kubectl config get-contexts)"
    )]
    Context(#[source] kube::Error),
    #[error("there is no JetCluster '{name}' in {place}; kubectl get jetclusters -A lists them")]
    Absent { name: String, place: String },
    #[error(
        "this Kubernetes knows no JetClusters; install the chart, or choose another context (kubectl config use-context)"
    )]
    Unknown,
    #[error(
        "cannot read the JetCluster '{name}': {reason}; is this the right context (kubectl config current-context)?"
    )]
    Read { name: String, reason: String },
    #[error("cannot watch the JetCluster: {0}; run it again")]
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

const NOT_FOUND: u16 = 404;
/// Pause between two looks at members.
const LOOK: Duration = Duration::from_secs(1);

fn unread(error: kube::Error, name: &str, place: String) -> Failure {
    match error {
        // By its code: of a kind that is not known the server answers with a page, and says no name.
        kube::Error::Api(status) if status.code == NOT_FOUND => {
            let named = status.details.as_ref().is_some_and(|details| details.name == name);
            if named { Failure::Absent { name: name.into(), place } } else { Failure::Unknown }
        }
        kube::Error::Api(status) => Failure::Read { name: name.into(), reason: status.message.clone() },
        other => Failure::Read { name: name.into(), reason: whole(&other) },
    }
}

/// An error with what it comes from: the outer ones say little.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(inner) = next {
        let words = inner.to_string();
        if !text.contains(&words) {
            text += &format!(": {words}");
        }
        next = inner.source();
    }
    text
}

async fn show(namespace: Option<&str>, name: &str, once: bool) -> Result<(), Failure> {
    let client = Client::try_default().await.map_err(Failure::Context)?;
    let home = namespace.unwrap_or(client.default_namespace()).to_owned();
    let api = status::jetclusters(client.clone(), namespace);
    let place = format!("namespace '{home}'");
    let object = api.get(name).await.map_err(|error| unread(error, name, place))?;
    let live = ask(&client, &home, &object).await;
    print!("{}", status::describe(&object, &live));
    if once || !status::busy(&object) {
        return Ok(());
    }
    follow(&client, &home, watch_object(api, name).boxed(), (object, live)).await
}

/// Members are only asked while something waits for them.
async fn ask(client: &Client, namespace: &str, object: &DynamicObject) -> Live {
    if status::busy(object) { live::ask(client, namespace, object).await } else { Live::new() }
}

/// All of it when the status is another one; when only a member came further, that.
async fn follow(
    client: &Client,
    namespace: &str,
    mut changes: BoxStream<'_, Result<Option<DynamicObject>, watcher::Error>>,
    (mut object, live): (DynamicObject, Live),
) -> Result<(), Failure> {
    let mut last = (status::describe(&object, &Live::new()), status::far(&object, &live));
    let mut looks = tokio::time::interval(LOOK);
    while status::busy(&object) {
        tokio::select! {
            change = changes.try_next() => match change? {
                Some(Some(changed)) => object = changed,
                _ => break,
            },
            _ = looks.tick() => {}
        }
        let live = ask(client, namespace, &object).await;
        let next = (status::describe(&object, &Live::new()), status::far(&object, &live));
        if next.0 != last.0 {
            print!("\n{}", status::describe(&object, &live));
        } else if next.1 != last.1 {
            print!("{}", next.1);
        }
        last = next;
    }
    Ok(())
}

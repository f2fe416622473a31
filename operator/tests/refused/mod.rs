//! Bad input at a real API server and at the operator: which words a person reads. `docs/bad-input.md` has them.
//!
//! Law: what was refused has changed nothing. Must not know: how it is judged.
//!
//! - [`fields`]: of a JetCluster and a JetJob · [`wishes`]: annotations, and what only the operator may touch
//! - [`operator`]: what no schema can say, as the operator's conditions say it

mod fields;
mod operator;
mod wishes;

use std::path::PathBuf;
use std::process::Command;

use jet_operator::api::JetCluster;
use jet_pages::Table;
use kube::{Api, Client};

use crate::server::{Server, run};

/// The page.
pub const PAGE: &str = "bad-input.md";

/// Exit code and words of the kubectl plugin against this server.
pub fn plugin(server: &Server, arguments: &[&str]) -> (i32, String) {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_jet-operator")).with_file_name("kubectl-jet");
    assert!(program.is_file(), "{} is not built: cargo build --workspace --bins", program.display());
    run(Command::new(program).env("KUBECONFIG", server.kubeconfig()).args(arguments), "")
}

/// Every refusal; how many. `without_the_chart` is what the plugin said before the chart was there.
pub async fn all(server: &Server, client: &Client, without_the_chart: (i32, String)) -> usize {
    let tables = [
        fields::clusters(server, client).await,
        fields::jobs(server),
        wishes::asked(server, client).await,
        operator::judged(server, client).await,
        plugins(server, without_the_chart),
    ];
    tables.iter().for_each(|table| table.keep(PAGE));
    tables.iter().map(Table::len).sum()
}

fn plugins(server: &Server, (code, said): (i32, String)) -> Table {
    let mut table = Table::of("kubectl-jet with a Kubernetes");
    table.saw(
        "kubectl jet status orders, without the chart",
        format!("exit {code}"),
        &said,
        &["JetClusters", "install the chart"],
    );
    let (code, said) = plugin(server, &["status", "ordres", "-n", "prod"]);
    let must = ["JetCluster 'ordres'", "namespace 'prod'", "kubectl get jetclusters -A"];
    table.saw("kubectl jet status ordres -n prod", format!("exit {code}"), &said, &must);
    table
}

/// What changes with every write.
async fn version(client: &Client) -> Option<String> {
    let clusters: Api<JetCluster> = Api::namespaced(client.clone(), "prod");
    clusters.get("orders").await.unwrap().metadata.resource_version
}

fn exit(code: i32) -> String {
    assert_ne!(code, 0);
    format!("exit {code}")
}

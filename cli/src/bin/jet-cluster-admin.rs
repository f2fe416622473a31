//! `jet-cluster-admin`: state, shutdown and version of a cluster, as the documents have it.
//!
//! Law: the exit code is the original's, or with `--strict` what happened. Must not know: lines, endpoints.

use std::process::ExitCode;

use clap::Parser;
use jet_cli::cluster_admin::{Options, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    let end = run(&options, &mut std::io::stdout()).await;
    ExitCode::from(end.code(options.strict()))
}

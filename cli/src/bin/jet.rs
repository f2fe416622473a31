//! `jet`: jobs, cluster and bounded SQL, over a member's admin API.
//!
//! Law: exit 0 only when what was asked is true; refusals go to standard error with their way out.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use jet_cli::connection::{Connection, ConnectionError};
use jet_cli::{cluster, jobs, sql};

/// Watch and steer a lossless stream-processing cluster.
#[derive(Parser)]
#[command(name = "jet", version)]
struct Cli {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List jobs with their status and the snapshot that they would go on from
    ListJobs {
        /// Print JSON for programs
        #[arg(long)]
        json: bool,
    },
    /// Print what the called member says of itself, as JSON
    Member,
    /// Show cluster state, members and the operation in progress
    Cluster,
    /// Run a bounded SELECT over maps
    Sql {
        /// One SELECT
        statement: String,
        /// Rows at most
        #[arg(long, default_value_t = 10_000)]
        limit: u32,
        /// Print CSV for programs
        #[arg(long)]
        csv: bool,
    },
    /// Submit a job written in SQL
    Submit {
        /// Job name
        name: String,
        /// CREATE MAPPING …; CREATE JOB … AS INSERT INTO … SELECT …
        sql: String,
    },
    /// Suspend a job with a snapshot
    Suspend {
        /// Job name
        name: String,
    },
    /// Resume a suspended job from its snapshot
    Resume {
        /// Job name
        name: String,
    },
    /// Restart a running job from its last snapshot
    Restart {
        /// Job name
        name: String,
    },
    /// Cancel a job for good
    Cancel {
        /// Job name
        name: String,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli).await {
        Ok((text, whole)) => {
            print!("{text}");
            if whole { ExitCode::SUCCESS } else { ExitCode::from(3) }
        }
        Err(error) => {
            eprintln!("jet: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<(String, bool), ConnectionError> {
    let client = cli.connection.client()?;
    let text = match cli.command {
        Command::ListJobs { json: true } => jobs::as_json(&client).await?,
        Command::ListJobs { json: false } => jobs::list(&client).await?,
        Command::Member => cluster::member_as_json(&client).await?,
        Command::Cluster => cluster::show(&client).await?,
        Command::Sql { statement, limit, csv } => {
            let form = if csv { sql::Form::Csv } else { sql::Form::Table };
            return sql::select(&client, statement, limit, form).await;
        }
        Command::Submit { name, sql } => jobs::submit(&client, name, sql).await?,
        Command::Suspend { name } => jobs::act(&client, &name, "suspend").await?,
        Command::Resume { name } => jobs::act(&client, &name, "resume").await?,
        Command::Restart { name } => jobs::restart(&client, &name).await?,
        Command::Cancel { name } => jobs::act(&client, &name, "cancel").await?,
    };
    Ok((text, true))
}

//! `jet`: jobs, cluster, backups and bounded SQL, over a member's admin API.
//!
//! Law: exit 0 only when what was asked is true; refusals go to standard error with their way out.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use jet_cli::connection::{Connection, ConnectionError};
use jet_cli::{backup, cluster, jobs, sql, store};

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
    /// Look into a member's hot-restart directory, without a cluster
    #[command(subcommand)]
    Store(store::Ask),
    #[command(flatten)]
    Cluster(OfCluster),
}

#[derive(Subcommand)]
enum OfCluster {
    /// List jobs with their status and the snapshot that they would go on from
    ListJobs {
        /// Print JSON for programs
        #[arg(long)]
        json: bool,
    },
    /// Print what the called member says of itself, as JSON
    Member,
    /// Show cluster state, members, the operation in progress, and how far the called member's store is with it
    Cluster,
    /// Let a member leave the cluster: what lies with it is moved to the others first
    Leave {
        /// Number of the member
        ordinal: u32,
    },
    /// Back up every member's store at one moment while the cluster runs
    Backup(backup::Ask),
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

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
enum JetError {
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error(transparent)]
    Store(#[from] store::StoreAskError),
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

async fn run(cli: Cli) -> Result<(String, bool), JetError> {
    let asked = match cli.command {
        Command::Store(ask) => return Ok(store::ask(&ask)?),
        Command::Cluster(asked) => asked,
    };
    let client = cli.connection.client()?;
    let text = match asked {
        OfCluster::ListJobs { json: true } => jobs::as_json(&client).await?,
        OfCluster::ListJobs { json: false } => jobs::list(&client).await?,
        OfCluster::Member => cluster::member_as_json(&client).await?,
        OfCluster::Cluster => cluster::show(&client).await?,
        OfCluster::Leave { ordinal } => cluster::leave(&client, ordinal).await?,
        OfCluster::Backup(ask) => return Ok(backup::ask(&client, &ask).await?),
        OfCluster::Sql { statement, limit, csv } => {
            let form = if csv { sql::Form::Csv } else { sql::Form::Table };
            return Ok(sql::select(&client, statement, limit, form).await?);
        }
        OfCluster::Submit { name, sql } => jobs::submit(&client, name, sql).await?,
        OfCluster::Suspend { name } => jobs::act(&client, &name, "suspend").await?,
        OfCluster::Resume { name } => jobs::act(&client, &name, "resume").await?,
        OfCluster::Restart { name } => jobs::restart(&client, &name).await?,
        OfCluster::Cancel { name } => jobs::act(&client, &name, "cancel").await?,
    };
    Ok((text, true))
}

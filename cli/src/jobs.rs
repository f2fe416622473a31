//! `jet list-jobs`, `submit`, `suspend`, `resume`, `cancel`.
//!
//! Law: a job is named as the cluster names it; what was done is printed with its log index. Must not know: plans.

use jet_admin_api::client::MemberClient;
use jet_admin_api::job::{JobView, SnapshotView, SubmitJob};
use jet_admin_api::operation::Done;

use crate::columns::aligned;
use crate::connection::ConnectionError;

/// One line a job: what it does now and what it would go on from.
pub async fn list(client: &MemberClient) -> Result<String, ConnectionError> {
    Ok(table(&client.jobs().await?))
}

/// All jobs as the API answers them.
pub async fn as_json(client: &MemberClient) -> Result<String, ConnectionError> {
    Ok(serde_json::to_string(&client.jobs().await?)? + "\n")
}

/// Submits `sql` as job `name`.
pub async fn submit(client: &MemberClient, name: String, sql: String) -> Result<String, ConnectionError> {
    Ok(said(&client.submit(&SubmitJob { name, sql, snapshot_interval_ms: None }).await?))
}

/// `verb` is `suspend`, `resume` or `cancel`.
pub async fn act(client: &MemberClient, name: &str, verb: &str) -> Result<String, ConnectionError> {
    Ok(said(&client.job(name, verb).await?))
}

fn said(done: &Done) -> String {
    format!("{} (log index {})\n", done.what, done.index)
}

fn table(jobs: &[JobView]) -> String {
    if jobs.is_empty() {
        return "no jobs\n".into();
    }
    let rows: Vec<Vec<String>> = jobs
        .iter()
        .map(|job| {
            vec![
                job.id.to_string(),
                job.name.clone(),
                format!("{:?}", job.status),
                format!("{:?}", job.guarantee),
                job.snapshot.as_ref().map_or_else(|| "-".into(), snapshot),
                job.verdict.map_or_else(|| "-".into(), |verdict| format!("{verdict:?}")),
                job.cause.clone().unwrap_or_default(),
            ]
        })
        .collect();
    aligned(&["ID", "NAME", "STATUS", "GUARANTEE", "SNAPSHOT", "VERDICT", "CAUSE"], &rows)
}

fn snapshot(snapshot: &SnapshotView) -> String {
    let kind = if snapshot.terminal { "terminal" } else { "durable" };
    format!("{}/{} {kind}, {} rows", snapshot.execution, snapshot.epoch, snapshot.rows_read)
}

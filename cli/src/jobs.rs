//! `jet list-jobs`, `submit`, `suspend`, `resume`, `restart`, `cancel`.
//!
//! Law: a job is named as the cluster names it; what was done is printed with its log index. Must not know: plans.

use jet_admin_api::client::MemberClient;
use jet_admin_api::job::{JobStatus, JobView, SnapshotView, SubmitJob};
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

/// Suspends a running job and resumes it, so that it goes on in a new execution from its last snapshot.
pub async fn restart(client: &MemberClient, name: &str) -> Result<String, ConnectionError> {
    may_be_restarted(&client.jobs().await?, name)?;
    let suspended = act(client, name, "suspend").await?;
    let resumed = act(client, name, "resume").await;
    let left = |why: ConnectionError| ConnectionError::LeftSuspended { name: name.into(), why: why.to_string() };
    Ok(suspended + &resumed.map_err(left)?)
}

/// What a person has suspended must not be resumed by a restart.
fn may_be_restarted(jobs: &[JobView], name: &str) -> Result<(), ConnectionError> {
    let mut named = jobs.iter().filter(|job| job.name == name).map(|job| job.status);
    let last = named.next_back();
    match last {
        Some(JobStatus::Running | JobStatus::Starting) => Ok(()),
        other => Err(ConnectionError::NotRunning {
            name: name.into(),
            status: other.map_or_else(|| "unknown here".into(), |status| format!("{status:?}")),
        }),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use jet_admin_api::job::Guarantee;

    fn job(id: u64, name: &str, status: JobStatus) -> JobView {
        JobView {
            id,
            name: name.into(),
            sql: String::new(),
            guarantee: Guarantee::ExactlyOnce,
            status,
            execution: 1,
            failures: 0,
            cause: None,
            snapshot: None,
            started_from: None,
            verdict: None,
        }
    }

    #[test]
    fn only_what_runs_is_restarted() {
        // The name was used before.
        let jobs =
            |status| vec![job(1, "a", JobStatus::Cancelled), job(2, "a", status), job(3, "b", JobStatus::Running)];
        for (status, may) in [
            (JobStatus::Running, true),
            (JobStatus::Starting, true),
            (JobStatus::Suspended, false),
            (JobStatus::Waiting, false),
            (JobStatus::Completed, false),
            (JobStatus::Held, false),
        ] {
            assert_eq!(may_be_restarted(&jobs(status), "a").is_ok(), may, "{status:?}");
        }
        let said = may_be_restarted(&jobs(JobStatus::Running), "c").unwrap_err().to_string();
        assert!(said.contains("'c' is unknown here"), "{said}");
    }
}

//! Wishes that were kept and came too late for their activation.
//!
//! Law: they are carried out once the leader shows that they are not so, one command a call, and the record goes after the
//! last. Must not know: plans of JetJobs.

use jet_admin_api::client::CallError;
use kube::Client;

use super::door::Door;
use super::pass::JobError;
use super::wishes;

/// Something is kept for a cluster's jobs.
pub async fn is_anything_kept(client: &Client, namespace: &str, cluster: &str) -> Result<bool, JobError> {
    Ok(wishes::read(client, namespace, cluster).await?.record != Default::default())
}

/// Carries out what is outstanding, then removes the record; `true`: look again soon.
pub async fn settle(client: &Client, namespace: &str, cluster: &str, door: &dyn Door) -> Result<bool, JobError> {
    let kept = wishes::read(client, namespace, cluster).await?;
    if kept.record == Default::default() {
        return Ok(false);
    }
    let Ok(view) = door.serving().await else {
        return Ok(false);
    };
    let Some(machine) = view.cluster else {
        return Ok(false);
    };
    let Some((job, verb)) = wishes::outstanding(&kept.record.wishes, &machine.jobs) else {
        wishes::remove(client, namespace, cluster, &kept).await?;
        return Ok(false);
    };
    tracing::info!(
        cluster,
        job,
        verb,
        "a wish made while the cluster was stopped came after its activation; carried out now"
    );
    match door.job(job, verb).await {
        Ok(_) => Ok(true),
        // A stop has begun: its return comes by here again.
        Err(CallError::Refused(refusal)) => {
            tracing::info!(cluster, job, verb, %refusal, "not now");
            Ok(false)
        }
        Err(source) => Err(JobError::Member { verb, job: job.to_owned(), source }),
    }
}

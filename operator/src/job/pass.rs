//! One pass over a JetJob: observe, plan, carry out one step, write the status if it changed.
//!
//! Law: the status that a step rests on is written before the step's effect; writes carry resourceVersions. Must
//! not know: how a cluster stops or returns.

use std::sync::Arc;
use std::time::Duration;

use jet_admin_api::client::CallError;
use jet_admin_api::job::SnapshotView;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::FINALIZER;
use super::door::{Door, Shut};
use super::plan::{ClusterFacts, Facts, Step, plan};
use super::report::report;
use super::resource::{JetJob, JetJobStatus};
use super::wishes::{self, WishesError};
use crate::api::records::SealRecord;
use crate::api::{FIELD_MANAGER, JetCluster};
use crate::cluster::observe;

/// Look again after this while something moves.
pub const MOVING: Duration = Duration::from_secs(1);
/// Look again after this at rest.
pub const RESTING: Duration = Duration::from_secs(10);
/// Steps of the protocol in which the seal is live and no activation was sent (Stopped to MembersComplete).
const ASLEEP: std::ops::RangeInclusive<i32> = 9..=12;

/// Why a pass failed.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The API server refused or did not answer.
    #[error("cannot {verb} {object}: {source}")]
    Api {
        /// What was tried.
        verb: &'static str,
        /// On what.
        object: String,
        /// The client's words.
        source: Box<kube::Error>,
    },
    /// Wishes.
    #[error(transparent)]
    Wishes(#[from] WishesError),
    /// A member did not do it.
    #[error("cannot {verb} job {job}: {source}")]
    Member {
        /// What was tried.
        verb: &'static str,
        /// On which job.
        job: String,
        /// The client's words.
        source: CallError,
    },
}

impl JobError {
    /// A fixed word for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            JobError::Api { source, .. } if is_conflict(source) => "conflict",
            JobError::Api { .. } => "api",
            JobError::Wishes(WishesError::Api { source, .. }) if is_conflict(source) => "conflict",
            JobError::Wishes(_) => "wishes",
            JobError::Member { .. } => "member",
        }
    }
}

/// A write lost against a newer one.
pub fn is_conflict(error: &kube::Error) -> bool {
    // 409 is both "changed meanwhile" and "exists meanwhile".
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

/// One pass; answers when to look again.
pub async fn pass(
    client: &Client,
    job: Arc<JetJob>,
    cluster: Option<&JetCluster>,
    door: &dyn Door,
    now: Timestamp,
) -> Result<Duration, JobError> {
    let facts = observe(client, &job, cluster, door).await?;
    let step = plan(&facts);
    let refusal = carry_out(client, &facts, &step, door).await?;
    if matches!(step, Step::Release | Step::AddFinalizer | Step::RecordSubmission { .. }) {
        return Ok(Duration::ZERO);
    }
    let mut status = report(&facts, refusal.as_deref(), &now.to_string());
    if matches!(step, Step::Suspend) {
        status.suspended_by_wish = true;
    }
    write_status(client, &facts, &status).await?;
    // A refused submission is tried again, but no faster than a person can change anything about it.
    let settled = refusal.is_some() || matches!(step, Step::Rest) && status.phase.as_deref() != Some("Starting");
    Ok(if settled { RESTING } else { MOVING })
}

async fn observe(
    client: &Client,
    job: &JetJob,
    cluster: Option<&JetCluster>,
    door: &dyn Door,
) -> Result<Facts, JobError> {
    let namespace = job.namespace().unwrap_or_default();
    let kept = wishes::read(client, &namespace, &job.spec.cluster).await?;
    let sealed = match cluster.filter(|cluster| sealed_by(cluster).is_some()) {
        Some(cluster) => sealed_snapshot(client, &namespace, cluster, job).await?,
        None => None,
    };
    let deleting = job.metadata.deletion_timestamp.is_some();
    Ok(Facts {
        name: job.name_any(),
        deleting,
        finalizer: job.finalizers().iter().any(|finalizer| finalizer == FINALIZER),
        namespace_terminating: deleting && is_terminating(client, &namespace).await,
        cluster: look(cluster, door).await,
        kept: kept.record.wishes,
        sealed,
        object: job.clone(),
    })
}

/// Unknown counts as not terminating: the finalizer then waits for the cluster.
async fn is_terminating(client: &Client, namespace: &str) -> bool {
    let api: Api<Namespace> = Api::all(client.clone());
    match api.get_opt(namespace).await {
        Ok(Some(namespace)) => namespace.metadata.deletion_timestamp.is_some(),
        Ok(None) => true,
        Err(_) => false,
    }
}

async fn look(cluster: Option<&JetCluster>, door: &dyn Door) -> ClusterFacts {
    let Some(cluster) = cluster else {
        return ClusterFacts::Absent;
    };
    match door.serving().await {
        Ok(view) => match view.cluster {
            Some(machine) => ClusterFacts::Serving { founding_id: machine.founding_id.to_string(), jobs: machine.jobs },
            None => ClusterFacts::Silent { why: format!("member {} has no cluster", view.ordinal) },
        },
        Err(shut) => {
            let status = cluster.status.as_ref();
            let phase = status.and_then(|status| status.phase.clone()).unwrap_or_else(|| "not yet there".to_owned());
            let sealed_by = sealed_by(cluster);
            match shut {
                Shut::Silent(why) if sealed_by.is_none() => ClusterFacts::Silent { why },
                Shut::Closed(why) => ClusterFacts::Closed { why, sealed_by },
                Shut::Silent(_) => {
                    ClusterFacts::Closed { why: format!("cluster {} is {phase}", cluster.name_any()), sealed_by }
                }
            }
        }
    }
}

/// The live seal's operation, while wishes for its activation can still be kept.
fn sealed_by(cluster: &JetCluster) -> Option<String> {
    let status = cluster.status.as_ref()?;
    let seal = status.seal.as_ref().filter(|seal| seal.live)?;
    let asleep = status.operation.as_ref().is_none_or(|operation| ASLEEP.contains(&operation.step_number));
    asleep.then(|| seal.operation.clone())
}

/// What the live seal keeps for this job. A record that cannot be read is the cluster's to tell.
async fn sealed_snapshot(
    client: &Client,
    namespace: &str,
    cluster: &JetCluster,
    job: &JetJob,
) -> Result<Option<SnapshotView>, JobError> {
    let seal = cluster.status.as_ref().and_then(|status| status.seal.as_ref());
    let number = job.status.as_ref().and_then(|status| status.job_id).and_then(|id| u64::try_from(id).ok());
    let (Some(seal), Some(number)) = (seal, number) else { return Ok(None) };
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let record = api.get_opt(&seal.record).await.map_err(|source| JobError::Api {
        verb: "read",
        object: format!("ConfigMap {}", seal.record),
        source: Box::new(source),
    })?;
    let record: Option<SealRecord> = record.as_ref().and_then(observe::held);
    Ok(record.and_then(|record| record.jobs.into_iter().find(|job| job.id == number)?.snapshot))
}

/// Carries out one step; `Some`: the members' refusal of a submission, which is an answer and not a failure.
async fn carry_out(client: &Client, facts: &Facts, step: &Step, door: &dyn Door) -> Result<Option<String>, JobError> {
    let namespace = facts.object.namespace().unwrap_or_default();
    let cluster = &facts.object.spec.cluster;
    match step {
        Step::Rest => {}
        Step::AddFinalizer => set_finalizer(client, facts, true).await?,
        Step::Release => set_finalizer(client, facts, false).await?,
        Step::KeepWishes { operation, wishes: mine } => {
            let kept = wishes::read(client, &namespace, cluster).await?;
            let record = wishes::with(&kept.record, operation, &facts.name, mine);
            wishes::write(client, &namespace, cluster, &kept, &record).await?;
        }
        Step::RecordSubmission { founding_id, after } => {
            let mut status = facts.object.status.clone().unwrap_or_default();
            status.founding_id = Some(founding_id.clone());
            status.submitted_after = i64::try_from(*after).ok();
            write_status(client, facts, &status).await?;
        }
        Step::Submit(job) => match door.submit(job).await {
            Ok(done) => tracing::info!(job = facts.name, cluster, index = done.index, "submitted"),
            Err(CallError::Refused(refusal)) => return Ok(Some(refusal.to_string())),
            Err(source) => return Err(JobError::Member { verb: "submit", job: facts.name.clone(), source }),
        },
        Step::Cancel => command(door, facts, "cancel").await?,
        Step::Suspend => command(door, facts, "suspend").await?,
        Step::Resume => command(door, facts, "resume").await?,
    }
    Ok(None)
}

async fn command(door: &dyn Door, facts: &Facts, verb: &'static str) -> Result<(), JobError> {
    let done = door.job(&facts.name, verb).await;
    let done = done.map_err(|source| JobError::Member { verb, job: facts.name.clone(), source })?;
    tracing::info!(job = facts.name, cluster = facts.object.spec.cluster, index = done.index, verb, "done");
    Ok(())
}

async fn set_finalizer(client: &Client, facts: &Facts, on: bool) -> Result<(), JobError> {
    let mut finalizers = facts.object.finalizers().to_vec();
    finalizers.retain(|finalizer| finalizer != FINALIZER);
    if on {
        finalizers.push(FINALIZER.to_owned());
    }
    // A merge patch replaces the list; the resourceVersion makes it lose against whoever changed it meanwhile.
    let patch = json!({ "metadata": {
        "finalizers": finalizers, "resourceVersion": facts.object.metadata.resource_version, "uid": facts.object.metadata.uid,
    } });
    let jobs = jobs(client, facts);
    match jobs.patch(&facts.name, &PatchParams::default(), &Patch::Merge(&patch)).await {
        Err(kube::Error::Api(status)) if !on && status.is_not_found() => Ok(()),
        written => written.map(drop).map_err(api("patch", format!("JetJob {}", facts.name))),
    }
}

async fn write_status(client: &Client, facts: &Facts, status: &JetJobStatus) -> Result<(), JobError> {
    if facts.object.status.as_ref() == Some(status) {
        return Ok(());
    }
    let mut object = facts.object.clone();
    object.metadata.managed_fields = None;
    object.status = Some(status.clone());
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let written = jobs(client, facts).replace_status(&facts.name, &params, &object).await;
    written.map(drop).map_err(api("write the status of", format!("JetJob {}", facts.name)))
}

/// Something is kept for a cluster's jobs.
pub async fn is_anything_kept(client: &Client, namespace: &str, cluster: &str) -> Result<bool, JobError> {
    Ok(wishes::read(client, namespace, cluster).await?.record != Default::default())
}

/// Carries out what was kept but came too late for the activation, then removes the record. One command a call;
/// `true`: look again soon.
pub async fn settle(client: &Client, namespace: &str, cluster: &str, door: &dyn Door) -> Result<bool, JobError> {
    let kept = wishes::read(client, namespace, cluster).await?;
    if kept.record == Default::default() {
        return Ok(false);
    }
    let Ok(view) = door.serving().await else {
        return Ok(false);
    };
    let jobs = view.cluster.map(|machine| machine.jobs).unwrap_or_default();
    let Some((job, verb)) = wishes::outstanding(&kept.record.wishes, &jobs) else {
        wishes::remove(client, namespace, cluster, &kept).await?;
        return Ok(false);
    };
    tracing::info!(
        cluster,
        job,
        verb,
        "a wish made while the cluster was stopped came after its activation; carried out now"
    );
    let done = door.job(job, verb).await;
    done.map_err(|source| JobError::Member { verb, job: job.to_owned(), source })?;
    Ok(true)
}

fn jobs(client: &Client, facts: &Facts) -> Api<JetJob> {
    Api::namespaced(client.clone(), &facts.object.namespace().unwrap_or_default())
}

fn api(verb: &'static str, object: String) -> impl FnOnce(kube::Error) -> JobError {
    move |source| JobError::Api { verb, object, source: Box::new(source) }
}

//! One pass over a JetJob: observe, plan, carry out one step, write the status if it changed.
//!
//! Law: what a step rests on is written down before the step's effect; writes carry resourceVersions, and what members are
//! told is told only while the object is the one that was looked at. Must not know: how a cluster stops or returns.

use std::sync::Arc;
use std::time::Duration;

use jet_admin_api::client::CallError;
use jet_admin_api::refusal::Code;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::FINALIZER;
use super::door::{Door, Shut};
use super::evidence::Asked;
use super::plan::{ClusterFacts, Facts, Step, plan};
use super::report::report;
use super::resource::{JetJob, JetJobStatus};
use super::wishes::{self, WishesError};
use crate::api::annotations::JOB_ASKED;
use crate::api::records::{LedgerJob, SealRecord};
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
    /// Somebody wrote since it was looked at.
    #[error(
        "JetJob {job}, or what is kept for it, was changed since it was looked at: nothing was asked of the members"
    )]
    Outdated {
        /// Which.
        job: String,
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
            JobError::Outdated { .. } => "conflict",
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
    if matches!(step, Step::Release | Step::AddFinalizer | Step::Record(_)) {
        return Ok(Duration::ZERO);
    }
    let status = report(&facts, refusal.as_deref(), &now.to_string());
    write_status(client, &facts, &status).await?;
    // A refused submission is tried again, but no faster than a person can change anything about it.
    let moves = status.phase.as_deref() == Some("Starting") || matches!(facts.cluster, ClusterFacts::Behind { .. });
    let settled = refusal.is_some() || matches!(step, Step::Rest) && !moves;
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
    let ledger = match cluster.filter(|cluster| sealed_by(cluster).is_some()) {
        Some(cluster) => ledger(client, &namespace, cluster).await?,
        None => None,
    };
    let deleting = job.metadata.deletion_timestamp.is_some();
    Ok(Facts {
        name: job.name_any(),
        deleting,
        finalizer: job.finalizers().iter().any(|finalizer| finalizer == FINALIZER),
        namespace_terminating: deleting && is_terminating(client, &namespace).await,
        cluster: look(cluster, door).await,
        kept: kept.record,
        ledger,
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
                Shut::Behind(why) => ClusterFacts::Behind { why },
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

/// The jobs in the live seal. A record that cannot be read is the cluster's to tell.
async fn ledger(client: &Client, namespace: &str, cluster: &JetCluster) -> Result<Option<Vec<LedgerJob>>, JobError> {
    let Some(seal) = cluster.status.as_ref().and_then(|status| status.seal.as_ref()) else { return Ok(None) };
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let record = maps.get_opt(&seal.record).await.map_err(api("read", format!("ConfigMap {}", seal.record)))?;
    let record: Option<SealRecord> = record.as_ref().and_then(observe::held);
    Ok(record.map(|record| record.jobs))
}

/// Carries out one step; `Some`: the members' refusal of a submission, which is an answer and not a failure.
async fn carry_out(client: &Client, facts: &Facts, step: &Step, door: &dyn Door) -> Result<Option<String>, JobError> {
    let namespace = facts.object.namespace().unwrap_or_default();
    let cluster = &facts.object.spec.cluster;
    match step {
        Step::Rest => {}
        Step::AddFinalizer => set_finalizer(client, facts, true).await?,
        Step::Release => set_finalizer(client, facts, false).await?,
        Step::Keep { operation, number, wish } => {
            confirm(client, facts).await?;
            let kept = wishes::read(client, &namespace, cluster).await?;
            let record = wishes::with(&kept.record, operation, &facts.name, *number, wish.as_ref());
            wishes::write(client, &namespace, cluster, &kept, &record).await?;
        }
        Step::Record(asked) => record(client, facts, asked).await?,
        Step::Submit(job) => {
            confirm(client, facts).await?;
            match door.submit(job).await {
                Ok(done) => tracing::info!(job = facts.name, cluster, index = done.index, "submitted"),
                Err(CallError::Refused(refusal)) if is_answer(refusal.code) => return Ok(Some(refusal.to_string())),
                Err(source) => return Err(JobError::Member { verb: "submit", job: facts.name.clone(), source }),
            }
        }
        Step::Cancel => command(client, door, facts, "cancel").await?,
        Step::Suspend => command(client, door, facts, "suspend").await?,
        Step::Resume => command(client, door, facts, "resume").await?,
    }
    Ok(None)
}

/// With the others nothing is known of the outcome.
fn is_answer(code: Code) -> bool {
    !matches!(code, Code::NoLeader | Code::Internal)
}

/// The object was read some time ago, perhaps from a cache; members take no precondition on it, and the record of wishes is
/// another object.
async fn confirm(client: &Client, facts: &Facts) -> Result<(), JobError> {
    let now = jobs(client, facts).get_opt(&facts.name).await;
    let now = now.map_err(api("read", format!("JetJob {}", facts.name)))?;
    let version = |job: &JetJob| (job.uid(), job.resource_version());
    if now.as_ref().map(version) == Some(version(&facts.object)) {
        return Ok(());
    }
    Err(JobError::Outdated { job: facts.name.clone() })
}

async fn command(client: &Client, door: &dyn Door, facts: &Facts, verb: &'static str) -> Result<(), JobError> {
    confirm(client, facts).await?;
    // A kept wish that is granted late would undo it.
    let namespace = facts.object.namespace().unwrap_or_default();
    if wishes::read(client, &namespace, &facts.object.spec.cluster).await?.record != facts.kept {
        return Err(JobError::Outdated { job: facts.name.clone() });
    }
    let done = door.job(&facts.name, verb).await;
    let done = done.map_err(|source| JobError::Member { verb, job: facts.name.clone(), source })?;
    tracing::info!(job = facts.name, cluster = facts.object.spec.cluster, index = done.index, verb, "done");
    Ok(())
}

/// The resourceVersion makes it lose against whoever changed the object meanwhile.
async fn record(client: &Client, facts: &Facts, asked: &Asked) -> Result<(), JobError> {
    let text = serde_json::to_string(asked).map_err(|error| {
        api("write", format!("what is asked for JetJob {}", facts.name))(kube::Error::SerdeError(error))
    })?;
    let patch = json!({ "metadata": {
        "annotations": { JOB_ASKED: text },
        "resourceVersion": facts.object.metadata.resource_version, "uid": facts.object.metadata.uid,
    } });
    let written = jobs(client, facts).patch(&facts.name, &PatchParams::default(), &Patch::Merge(&patch)).await;
    written.map(drop).map_err(api("patch", format!("JetJob {}", facts.name)))
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

fn jobs(client: &Client, facts: &Facts) -> Api<JetJob> {
    Api::namespaced(client.clone(), &facts.object.namespace().unwrap_or_default())
}

fn api(verb: &'static str, object: String) -> impl FnOnce(kube::Error) -> JobError {
    move |source| JobError::Api { verb, object, source: Box::new(source) }
}

//! The two controllers: what wakes a pass, how often it looks again, what becomes of a failure.
//!
//! Law: passes over different objects are bounded in number, one object has one pass at a time; a conflict is no
//! failure; whatever wakes nobody is seen by looking again. Must not know: what a pass decides.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{StreamExt, future};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::runtime::controller::{Action, Config};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::{Controller, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::api::{ConditionType, JetCluster, names};
use crate::cluster::{self, observe::Kube};
use crate::dialling::{Dialling, DiallingError, Nobody};
use crate::job::{self, JetJob, door};
use crate::members::Members;
use crate::process::Options;
use crate::runtime::backoff::Backoff;
use crate::runtime::stop::Stop;
use crate::runtime::telemetry::Telemetry;

/// Passes at the same time, by kind.
const CONCURRENCY: u16 = 16;
/// Changes that come together make one pass. Every step of a stop and a return waits for it once.
const DEBOUNCE: Duration = Duration::from_millis(10);
/// The same for jobs, which are woken by every write to their cluster's status: a stop or a return writes a dozen.
const JOB_DEBOUNCE: Duration = Duration::from_millis(250);
/// Look again after a conflict.
const AFTER_CONFLICT: Duration = Duration::from_millis(100);

/// The kind of a write that lost against a newer one.
const CONFLICT: &str = "conflict";
const CLUSTERS: &str = "jetcluster";
const JOBS: &str = "jetjob";

/// What passes share.
pub struct Context {
    client: Client,
    dialling: Dialling,
    backoff: Backoff,
    telemetry: Arc<Telemetry>,
    recorder: Recorder,
    phases: Mutex<BTreeMap<(String, String), String>>,
}

impl Context {
    /// For one process.
    pub fn new(client: Client, options: &Options, telemetry: Arc<Telemetry>) -> Self {
        let reporter = Reporter { controller: "jet-operator".to_owned(), instance: Some(options.identity.clone()) };
        Self {
            recorder: Recorder::new(client.clone(), reporter),
            dialling: Dialling::new(client.clone(), &options.namespace),
            client,
            backoff: Backoff::default(),
            telemetry,
            phases: Mutex::default(),
        }
    }
}

/// Why a pass failed.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// Key pairs and addresses of members.
    #[error(transparent)]
    Dialling(#[from] DiallingError),
    /// A cluster.
    #[error(transparent)]
    Cluster(#[from] cluster::PassError),
    /// A job.
    #[error(transparent)]
    Job(#[from] job::pass::JobError),
}

impl PassError {
    /// A fixed word for metrics.
    fn kind(&self) -> &'static str {
        match self {
            PassError::Dialling(error) if error.is_conflict() => CONFLICT,
            PassError::Dialling(_) => "dialling",
            PassError::Cluster(error) if error.is_conflict() => CONFLICT,
            PassError::Cluster(_) => "kubernetes",
            PassError::Job(error) => error.kind(),
        }
    }
}

/// Runs both controllers in every watched namespace until stopped.
pub async fn run(context: Arc<Context>, namespaces: Vec<String>, stop: Stop) {
    let scopes: Vec<Option<String>> =
        if namespaces.is_empty() { vec![None] } else { namespaces.into_iter().map(Some).collect() };
    let runs = scopes.into_iter().map(|scope| {
        let (context, stop) = (context.clone(), stop.clone());
        async move {
            future::join(clusters(context.clone(), scope.as_deref(), &stop), jobs(context, scope.as_deref(), &stop))
                .await
        }
    });
    future::join_all(runs).await;
}

fn api<K>(client: &Client, scope: Option<&str>) -> Api<K>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
{
    match scope {
        None => Api::all(client.clone()),
        Some(namespace) => Api::namespaced(client.clone(), namespace),
    }
}

/// Our objects of any kind; others never reach this process.
fn ours() -> watcher::Config {
    watcher::Config::default().labels(names::LABEL_CLUSTER)
}

/// The cluster that a labelled object belongs to. Pods and claims are not owned by the JetCluster.
fn cluster_of<K: Resource>(object: K) -> Option<ObjectRef<JetCluster>> {
    let name = object.labels().get(names::LABEL_CLUSTER)?.clone();
    Some(ObjectRef::new(&name).within(&object.namespace()?))
}

async fn clusters(context: Arc<Context>, scope: Option<&str>, stop: &Stop) {
    let client = &context.client;
    Controller::new(api::<JetCluster>(client, scope), watcher::Config::default())
        .watches(api::<StatefulSet>(client, scope), ours(), cluster_of)
        .watches(api::<Pod>(client, scope), ours(), cluster_of)
        .watches(api::<PersistentVolumeClaim>(client, scope), ours(), cluster_of)
        .watches(api::<ConfigMap>(client, scope), ours(), cluster_of)
        .watches(api::<PodDisruptionBudget>(client, scope), ours(), cluster_of)
        .with_config(Config::default().concurrency(CONCURRENCY).debounce(DEBOUNCE))
        .graceful_shutdown_on(stop.wait())
        .run(cluster_pass, on_error(CLUSTERS), context.clone())
        .for_each(|outcome| async move { note(CLUSTERS, outcome) })
        .await;
}

async fn jobs(context: Arc<Context>, scope: Option<&str>, stop: &Stop) {
    let client = &context.client;
    let controller = Controller::new(api::<JetJob>(client, scope), watcher::Config::default());
    let known = controller.store();
    controller
        .watches(api::<JetCluster>(client, scope), watcher::Config::default(), move |cluster| {
            let (name, namespace) = (cluster.name_any(), cluster.namespace());
            let on_it = |job: &Arc<JetJob>| job.spec.cluster == name && job.namespace() == namespace;
            known.state().into_iter().filter(on_it).map(|job| ObjectRef::from_obj(job.as_ref())).collect::<Vec<_>>()
        })
        .with_config(Config::default().concurrency(CONCURRENCY).debounce(JOB_DEBOUNCE))
        .graceful_shutdown_on(stop.wait())
        .run(job_pass, on_error(JOBS), context.clone())
        .for_each(|outcome| async move { note(JOBS, outcome) })
        .await;
}

fn note<T: Debug, E: std::error::Error + 'static, Q: std::error::Error + 'static>(
    controller: &'static str,
    outcome: Result<T, kube::runtime::controller::Error<E, Q>>,
) {
    // Failures of passes were told by `on_error`; what remains are those of watches.
    if let Err(kube::runtime::controller::Error::QueueError(error)) = outcome {
        tracing::warn!(controller, %error, "a watch failed; it begins anew");
    }
}

fn on_error<K>(controller: &'static str) -> impl Fn(Arc<K>, &PassError, Arc<Context>) -> Action
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    move |object, error, context| {
        let kind = error.kind();
        let key = format!("{controller}/{}", key(object.as_ref()));
        if kind == CONFLICT {
            tracing::debug!(object = key, %error, "a newer write won; looking again");
            return Action::requeue(AFTER_CONFLICT);
        }
        context.telemetry.failure(controller, kind);
        let wait = context.backoff.failed(&key);
        tracing::warn!(object = key, %error, "the pass failed; again in {wait:?}");
        Action::requeue(wait)
    }
}

fn key<K: Resource<DynamicType = ()>>(object: &K) -> String {
    format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}

async fn cluster_pass(object: Arc<JetCluster>, context: Arc<Context>) -> Result<Action, PassError> {
    let begun = Instant::now();
    let outcome = pass_over_cluster(&object, &context).await;
    finish(&context, CLUSTERS, &key(object.as_ref()), begun, outcome)
}

async fn job_pass(object: Arc<JetJob>, context: Arc<Context>) -> Result<Action, PassError> {
    let begun = Instant::now();
    let outcome = pass_over_job(&object, &context).await;
    finish(&context, JOBS, &key(object.as_ref()), begun, outcome)
}

fn finish(
    context: &Context,
    controller: &'static str,
    key: &str,
    begun: Instant,
    outcome: Result<Option<Duration>, PassError>,
) -> Result<Action, PassError> {
    let result = match &outcome {
        Ok(_) => "success",
        Err(error) if error.kind() == CONFLICT => "requeue",
        Err(_) => "error",
    };
    context.telemetry.pass(controller, result, begun.elapsed());
    let again = outcome?;
    context.backoff.succeeded(&format!("{controller}/{key}"));
    Ok(again.map_or_else(Action::await_change, Action::requeue))
}

async fn pass_over_cluster(object: &Arc<JetCluster>, context: &Context) -> Result<Option<Duration>, PassError> {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let members = match context.dialling.members(object).await {
        Ok(members) => Some(members),
        // Deletion must not wait for key pairs: in a terminating namespace none can be made.
        Err(error) if object.metadata.deletion_timestamp.is_some() => {
            tracing::warn!(cluster = name, %error, "members cannot be dialled");
            None
        }
        Err(error) => {
            tell(context, object.as_ref(), "CertificatesNotReady", &error.to_string()).await;
            return Err(error.into());
        }
    };
    let port: &dyn Members = members.as_ref().map_or(&Nobody, |members| members as &dyn Members);
    let kubernetes = Kube::new(context.client.clone(), context.recorder.clone(), &namespace, &name);
    let passed = cluster::pass(&kubernetes, port, Timestamp::now().as_second(), Uuid::new_v4()).await?;
    note_phase(context, object, &namespace, &name);
    if passed.again.is_none() {
        context.dialling.forget(&namespace, &name);
        return Ok(None);
    }
    settle(object, context, passed.again).await
}

/// Wishes that came too late for an activation are carried out once the doors are open.
async fn settle(
    object: &JetCluster,
    context: &Context,
    again: Option<Duration>,
) -> Result<Option<Duration>, PassError> {
    let open = object
        .status
        .iter()
        .flat_map(|status| &status.conditions)
        .any(|condition| condition.type_ == ConditionType::DoorsOpen.as_str() && condition.status == "True");
    if !open || object.metadata.deletion_timestamp.is_some() {
        return Ok(again);
    }
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    // To find the members' addresses costs more than to see that nothing is to be said to them.
    if !job::settle::is_anything_kept(&context.client, &namespace, &name).await? {
        return Ok(again);
    }
    let door = context.dialling.door(object).await?;
    let more = job::settle::settle(&context.client, &namespace, &name, &door).await?;
    Ok(if more { Some(job::pass::MOVING) } else { again })
}

async fn pass_over_job(object: &Arc<JetJob>, context: &Context) -> Result<Option<Duration>, PassError> {
    let namespace = object.namespace().unwrap_or_default();
    let clusters: Api<JetCluster> = Api::namespaced(context.client.clone(), &namespace);
    let cluster = clusters.get_opt(&object.spec.cluster).await.map_err(|source| job::pass::JobError::Api {
        verb: "read",
        object: format!("JetCluster {}", object.spec.cluster),
        source: Box::new(source),
    })?;
    let door = match &cluster {
        Some(cluster) if cluster.metadata.deletion_timestamp.is_none() => context.dialling.door(cluster).await?,
        _ => door::Members { members: Vec::new(), asked: 0 },
    };
    let again = job::pass::pass(&context.client, object.clone(), cluster.as_ref(), &door, Timestamp::now()).await?;
    Ok(Some(again))
}

/// An Event; a failed one is logged and never fails a pass.
async fn tell(context: &Context, cluster: &JetCluster, reason: &str, note: &str) {
    let event = Event {
        type_: EventType::Warning,
        reason: reason.to_owned(),
        note: Some(note.chars().take(1000).collect()),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    if let Err(error) = context.recorder.publish(&event, &cluster.object_ref(&())).await {
        tracing::warn!(%error, reason, "an event was not published");
    }
}

fn note_phase(context: &Context, cluster: &JetCluster, namespace: &str, name: &str) {
    let phase = cluster.status.as_ref().and_then(|status| status.phase.clone());
    let mut phases = context.phases.lock().unwrap_or_else(PoisonError::into_inner);
    let place = (namespace.to_owned(), name.to_owned());
    let before = match &phase {
        Some(phase) => phases.insert(place, phase.clone()),
        None => phases.remove(&place),
    };
    context.telemetry.phase(namespace, name, before.as_deref(), phase.as_deref());
}

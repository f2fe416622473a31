//! The real port, reading: everything under a cluster's name.
//!
//! Law: reads only, all from the API server itself (no cache: a pass must see its own last write); what may not be read
//! is unknown, not absent. Must not know: plans.

use std::collections::BTreeMap;

use futures::future::{join_all, try_join_all};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, PersistentVolumeClaim, Pod};
use kube::api::{ListParams, ObjectMeta};
use kube::core::DynamicObject;
use kube::runtime::events::Recorder;
use kube::{Api, Client, ResourceExt};
use serde::de::DeserializeOwned;

use crate::api::records::{KEY, WishesRecord};
use crate::api::{FIELD_MANAGER, JetCluster, annotations as keys, names};
use crate::cluster::desired::{self, Budget, Object};
use crate::cluster::evidence::{Evidence, Kept};
use crate::cluster::facts::{ClaimFacts, Hand, KubeFacts, PodFacts, SetFacts};
use crate::cluster::port::PortError;

/// Objects of one kind in a namespace that are looked at.
const MOST: u32 = 2000;

/// One cluster in a real Kubernetes.
pub struct Kube {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) recorder: Recorder,
}

impl Kube {
    /// A port for one cluster.
    pub fn new(client: Client, recorder: Recorder, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { recorder, client, namespace: namespace.into(), name: name.into() }
    }

    pub(super) async fn look(&self) -> Result<Option<(JetCluster, KubeFacts)>, PortError> {
        let clusters: Api<JetCluster> = Api::namespaced(self.client.clone(), &self.namespace);
        let cluster = clusters.get_opt(&self.name).await.map_err(|e| unknown("JetCluster", &self.name, &e))?;
        let Some(cluster) = cluster else { return Ok(None) };
        let seen = self.under(&cluster).await?;
        Ok(Some((cluster, seen)))
    }

    async fn under(&self, cluster: &JetCluster) -> Result<KubeFacts, PortError> {
        let sets: Api<StatefulSet> = Api::namespaced(self.client.clone(), &self.namespace);
        let (of_pods, of_records) = (selector(&self.name), format!("{}={}", names::LABEL_CLUSTER, self.name));
        let (set, pods, claims, maps, companions) = tokio::try_join!(
            async {
                sets.get_opt(&names::stateful_set(&self.name)).await.map_err(|e| unknown("StatefulSet", &self.name, &e))
            },
            self.list::<Pod>("pods", &of_pods),
            self.list::<PersistentVolumeClaim>("claims", ""),
            self.list::<ConfigMap>("records", &of_records),
            self.companions(cluster),
        )?;
        let mut seen = KubeFacts { evidence: evidence(&maps), ..KubeFacts::default() };
        let deleting = cluster.metadata.deletion_timestamp.is_some();
        seen.namespace_terminating = deleting && self.namespace_terminating().await;
        for (object, meta) in companions {
            note_foreign(cluster, &object.api.kind, &meta, &mut seen.foreign);
            let digest = meta.annotations.unwrap_or_default().remove(keys::APPLIED).unwrap_or_default();
            seen.applied.insert((object.api.kind, object.name), digest);
        }
        if let Some(set) = set {
            note_foreign(cluster, "StatefulSet", &set.metadata, &mut seen.foreign);
            seen.set = Some(set_facts(&set));
        }
        seen.claims = claims
            .iter()
            .filter_map(|c| Some((names::ordinal_of(&self.name, c.name_any().strip_prefix("data-")?)?, claim_facts(c))))
            .collect();
        seen.pods =
            pods.iter().filter_map(|p| Some((names::ordinal_of(&self.name, &p.name_any())?, pod_facts(p)))).collect();
        self.look_at_nodes(&mut seen.pods).await;
        Ok(seen)
    }

    async fn list<K>(&self, what: &str, labels: &str) -> Result<Vec<K>, PortError>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), &self.namespace);
        let params = if labels.is_empty() { ListParams::default() } else { ListParams::default().labels(labels) };
        api.list(&params.limit(MOST)).await.map(|list| list.items).map_err(|e| unknown(what, &self.name, &e))
    }

    /// The companions that exist, with their metadata.
    async fn companions(&self, cluster: &JetCluster) -> Result<Vec<(Object, ObjectMeta)>, PortError> {
        let objects = desired::companions(cluster, Budget::Closed).unwrap_or_default();
        let found = try_join_all(objects.into_iter().map(|object| async move {
            let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.namespace, &object.api);
            let found = api.get_opt(&object.name).await.map_err(|e| unknown(&object.api.kind, &object.name, &e))?;
            Ok::<_, PortError>(found.map(|found| (object, found.metadata)))
        }));
        Ok(found.await?.into_iter().flatten().collect())
    }

    async fn namespace_terminating(&self) -> bool {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let namespace = api.get_opt(&self.namespace).await.ok().flatten();
        namespace.is_some_and(|n| n.metadata.deletion_timestamp.is_some())
    }

    /// Nodes of pods that are not ready; not permitted means not known.
    async fn look_at_nodes(&self, pods: &mut BTreeMap<u32, PodFacts>) {
        let api: Api<Node> = Api::all(self.client.clone());
        let troubled = pods.values_mut().filter(|pod| (!pod.ready || pod.deleting) && pod.node.is_some());
        join_all(troubled.map(|pod| {
            let api = api.clone();
            async move {
                let node = api.get_opt(pod.node.as_deref().unwrap_or_default()).await;
                pod.node_ready = match node {
                    Ok(Some(node)) => Some(node_is_ready(&node)),
                    Ok(None) => Some(false),
                    Err(_) => None,
                };
            }
        }))
        .await;
    }
}

fn selector(name: &str) -> String {
    names::selector(name).iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",")
}

fn unknown(kind: &str, name: &str, error: &kube::Error) -> PortError {
    PortError::Unknown { what: format!("{kind} of {name}"), reason: error.to_string() }
}

/// Controlled by somebody who is not this JetCluster.
fn note_foreign(cluster: &JetCluster, kind: &str, meta: &ObjectMeta, foreign: &mut Vec<String>) {
    let controller = meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    if controller.is_some_and(|owner| Some(&owner.uid) != cluster.metadata.uid.as_ref()) {
        foreign.push(format!("{kind}/{}", meta.name.clone().unwrap_or_default()));
    }
}

fn set_facts(set: &StatefulSet) -> SetFacts {
    let annotations = set.annotations();
    let (spec, status) = (set.spec.as_ref(), set.status.as_ref());
    let mut unreadable = None;
    let operation = stamp(annotations, keys::STAMP_OPERATION, &mut unreadable);
    let spent = stamp(annotations, keys::STAMP_SPENT, &mut unreadable);
    SetFacts {
        uid: set.uid().unwrap_or_default(),
        resource_version: set.resource_version().unwrap_or_default(),
        replicas: spec.and_then(|s| s.replicas).unwrap_or(1),
        update_revision: status.and_then(|s| s.update_revision.clone()).unwrap_or_default(),
        observed: status.and_then(|s| s.observed_generation) == set.metadata.generation,
        deleting: set.metadata.deletion_timestamp.is_some(),
        applied: annotations.get(keys::APPLIED).cloned().unwrap_or_default(),
        operation,
        seal: annotations.get(keys::STAMP_SEAL).cloned(),
        activating: annotations.get(keys::STAMP_ACTIVATING).cloned(),
        spent,
        unreadable,
        misshapen: spec.and_then(desired::stateful_set::misshapen),
        owned: hands(&set.metadata, |manager| manager == FIELD_MANAGER)
            .next()
            .map(|hand| hand.fields)
            .unwrap_or_default(),
        hands: hands(&set.metadata, |manager| manager != FIELD_MANAGER).collect(),
    }
}

/// Those who own fields of the template.
fn hands(meta: &ObjectMeta, whose: impl Fn(&str) -> bool) -> impl Iterator<Item = Hand> {
    let all = meta.managed_fields.iter().flatten();
    all.filter(move |entry| whose(entry.manager.as_deref().unwrap_or_default())).filter_map(|entry| {
        let fields = entry.fields_v1.as_ref()?.0.pointer("/f:spec/f:template")?.clone();
        Some(Hand { manager: entry.manager.clone().unwrap_or_default(), fields })
    })
}

fn stamp<T: DeserializeOwned>(
    annotations: &BTreeMap<String, String>,
    key: &str,
    unreadable: &mut Option<String>,
) -> Option<T> {
    let read = serde_json::from_str(annotations.get(key)?);
    if read.is_err() {
        *unreadable = Some(key.to_owned());
    }
    read.ok()
}

fn claim_facts(claim: &PersistentVolumeClaim) -> ClaimFacts {
    let stamp = claim.annotations().get(keys::CLAIM_STAMP).and_then(|text| serde_json::from_str(text).ok());
    ClaimFacts {
        uid: claim.uid().unwrap_or_default(),
        resource_version: claim.resource_version().unwrap_or_default(),
        bound: claim.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Bound"),
        volume: claim.spec.as_ref().and_then(|s| s.volume_name.clone()).unwrap_or_default(),
        deleting: claim.metadata.deletion_timestamp.is_some(),
        stamp,
    }
}

fn pod_facts(pod: &Pod) -> PodFacts {
    let status = pod.status.as_ref();
    let conditions = status.and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    let holds = |type_: &str| conditions.iter().any(|c| c.type_ == type_ && c.status == "True");
    PodFacts {
        uid: pod.uid().unwrap_or_default(),
        ip: status
            .and_then(|s| s.pod_ip.clone())
            .filter(|_| status.and_then(|s| s.phase.as_deref()) == Some("Running")),
        node: pod.spec.as_ref().and_then(|s| s.node_name.clone()),
        node_ready: None,
        ready: holds("Ready"),
        revision: pod.labels().get("controller-revision-hash").cloned().unwrap_or_default(),
        deleting: pod.metadata.deletion_timestamp.is_some(),
        trouble: trouble(pod),
    }
}

/// Why a pod does not run, if Kubernetes says so.
fn trouble(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let unscheduled = status.conditions.iter().flatten().find(|c| c.type_ == "PodScheduled" && c.status == "False");
    if let Some(condition) = unscheduled {
        let message = condition.message.clone().unwrap_or_default();
        return Some(format!("it cannot be placed on a node: {message}"));
    }
    let states = status.container_statuses.iter().flatten().chain(status.init_container_statuses.iter().flatten());
    let mut waiting = states.filter_map(|c| c.state.as_ref()?.waiting.as_ref());
    let normal = ["ContainerCreating", "PodInitializing"];
    let bad = waiting.find(|w| w.reason.as_deref().is_some_and(|r| !normal.contains(&r)));
    bad.map(|w| {
        let (reason, message) = (w.reason.clone().unwrap_or_default(), w.message.clone().unwrap_or_default());
        format!("its container does not start: {reason} {message}").trim_end().to_owned()
    })
}

fn node_is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True")
}

/// All records among a cluster's ConfigMaps.
pub fn evidence(maps: &[ConfigMap]) -> Evidence {
    let mut evidence = Evidence::default();
    for map in maps {
        let kind = map.labels().get(names::LABEL_EVIDENCE).map(String::as_str);
        let bad = &mut evidence.unreadable;
        match kind {
            Some("founding") => evidence.founding = record(map, bad).or(evidence.founding.take()),
            Some("roster") => evidence.rosters.extend(record(map, bad)),
            Some("seal") => evidence.seals.extend(record(map, bad)),
            Some("wishes") => evidence.wishes = record::<WishesRecord>(map, bad).map(|kept| kept.record),
            _ => {}
        }
    }
    evidence.rosters.sort_by_key(|kept| kept.record.sequence);
    evidence.seals.sort_by_key(|kept| kept.record.sequence);
    evidence
}

/// What a record's ConfigMap holds; `None`: it cannot be read.
pub fn held<T: DeserializeOwned>(map: &ConfigMap) -> Option<T> {
    let text = map.data.as_ref().and_then(|data| data.get(KEY));
    text.and_then(|text| serde_json::from_str(text).ok())
}

fn record<T: DeserializeOwned>(map: &ConfigMap, unreadable: &mut Vec<String>) -> Option<Kept<T>> {
    let record = held(map);
    if record.is_none() {
        unreadable.push(map.name_any());
    }
    Some(Kept { name: map.name_any(), uid: map.uid().unwrap_or_default(), record: record? })
}

/// Field manager that last set what asks for a stop, restart or deletion. It is chosen by the client: not the user.
pub fn requester(cluster: &JetCluster) -> String {
    let asks = ["f:jet.lossless.dev/maintenance", "f:jet.lossless.dev/restart"];
    let entries = cluster.metadata.managed_fields.iter().flatten();
    let set = entries.filter(|entry| {
        let Some(fields) = entry.fields_v1.as_ref().map(|f| &f.0) else { return false };
        let annotated =
            fields.pointer("/f:metadata/f:annotations").is_some_and(|a| asks.iter().any(|key| a.get(key).is_some()));
        annotated
            || fields.pointer("/f:spec/f:state").is_some() && cluster.spec.state == crate::api::DesiredState::Stopped
    });
    let newest = set.max_by_key(|entry| entry.time.as_ref().map(|t| t.0));
    newest.and_then(|entry| entry.manager.clone()).unwrap_or_else(|| "unknown".into())
}

//! The real port, writing: one side effect with its precondition.
//!
//! Law: every state-machine write carries uid and resourceVersion, records are created and never replaced; an answer of
//! the API server is a conflict, a refusal, or unknown, and nothing else. Must not know: why it is done.

use std::collections::BTreeMap;

use async_trait::async_trait;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod};
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions};
use kube::core::DynamicObject;
use kube::runtime::events::{Event, EventType};
use kube::{Api, Resource};
use serde::Serialize;
use serde_json::{Value, json};

use crate::api::records::KEY;
use crate::api::{FIELD_MANAGER, FINALIZER, JetCluster, JetClusterStatus, MEMBERS_MANAGER, annotations as keys, names};
use crate::cluster::desired::{Object, stateful_set};
use crate::cluster::facts::{Facts, KubeFacts};
pub use crate::cluster::observe::Kube;
use crate::cluster::plan::Act;
use crate::cluster::plan::act::{Mark, TakeUp};
use crate::cluster::port::{Kubernetes, PortError};
use crate::cluster::story::Line;

#[async_trait]
impl Kubernetes for Kube {
    async fn read(&self) -> Result<Option<(JetCluster, KubeFacts)>, PortError> {
        self.look().await
    }

    async fn write(&self, facts: &Facts, act: &Act) -> Result<(), PortError> {
        match act {
            Act::Finalizer(on) => self.finalizer(&facts.cluster, *on).await,
            Act::TakeUp(take) => self.take_up(&facts.cluster, take).await,
            Act::Apply(object) | Act::ApplySet(object) => self.apply(object).await,
            Act::Mark(mark) => self.mark(facts, mark).await,
            Act::CreateFounding(record) => self.create(names::founding(&self.name), "founding", record).await,
            Act::CreateRoster(record) => {
                self.create(names::roster(&self.name, record.sequence), "roster", record).await
            }
            Act::CreateSeal(record) => self.create(names::seal(&self.name, record.sequence), "seal", record).await,
            Act::PruneRecord { name, uid } => {
                let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
                gone(api.delete(name, &only(uid)).await.map(drop), "ConfigMap", name)
            }
            Act::ReplacePod { ordinal, uid } => {
                let api: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
                let pod = names::pod(&self.name, *ordinal);
                gone(api.delete(&pod, &only(uid)).await.map(drop), "Pod", &pod)
            }
            Act::StampClaim { ordinal, stamp } => {
                let text = serde_json::to_string(stamp).unwrap_or_default();
                let claim = facts.kube.claims.get(ordinal);
                let patch = json!({ "metadata": {
                    "uid": claim.map(|c| &c.uid), "resourceVersion": claim.map(|c| &c.resource_version),
                    "annotations": { keys::CLAIM_STAMP: text },
                } });
                self.merge::<PersistentVolumeClaim>(&names::claim(&self.name, *ordinal), &patch).await
            }
            Act::Remember(_) | Act::Command { .. } | Act::Row(_) => Ok(()),
        }
    }

    async fn write_status(&self, cluster: &JetCluster, status: &JetClusterStatus) -> Result<JetCluster, PortError> {
        let api: Api<JetCluster> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut object = cluster.clone();
        object.metadata.managed_fields = None;
        object.status = Some(status.clone());
        let written = api.replace_status(&self.name, &params(), &object).await;
        answer(written, "the status of JetCluster", &self.name)
    }

    async fn tell(&self, cluster: &JetCluster, lines: &[Line]) {
        let reference = cluster.object_ref(&());
        for line in lines {
            let event = Event {
                type_: if line.warning { EventType::Warning } else { EventType::Normal },
                reason: line.reason.clone(),
                note: Some(line.note.chars().take(1000).collect()),
                action: line.action.clone(),
                secondary: None,
            };
            if let Err(error) = self.recorder.publish(&event, &reference).await {
                tracing::debug!(%error, "an event was not published");
            }
        }
    }
}

impl Kube {
    async fn finalizer(&self, cluster: &JetCluster, on: bool) -> Result<(), PortError> {
        let mut finalizers = cluster.metadata.finalizers.clone().unwrap_or_default();
        finalizers.retain(|f| f != FINALIZER);
        if on {
            finalizers.push(FINALIZER.to_owned());
        }
        let patch = json!({ "metadata": {
            "finalizers": finalizers, "uid": cluster.metadata.uid, "resourceVersion": cluster.metadata.resource_version,
        } });
        self.merge::<JetCluster>(&self.name, &patch).await
    }

    async fn take_up(&self, cluster: &JetCluster, take: &TakeUp) -> Result<(), PortError> {
        let mut annotations = BTreeMap::from([(keys::MEMBERS_REQUEST, take.number.as_str())]);
        if take.wish {
            annotations.insert(keys::MAINTENANCE, keys::MAINTENANCE_SHUTDOWN);
        }
        let patch = json!({ "metadata": {
            "annotations": annotations, "uid": cluster.metadata.uid, "resourceVersion": cluster.metadata.resource_version,
        } });
        self.merge_as::<JetCluster>(MEMBERS_MANAGER, &self.name, &patch).await
    }

    async fn apply(&self, object: &Object) -> Result<(), PortError> {
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.namespace, &object.api);
        let written =
            api.patch(&object.name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&object.body)).await;
        answer(written.map(drop), &object.api.kind, &object.name)
    }

    async fn mark(&self, facts: &Facts, mark: &Mark) -> Result<(), PortError> {
        let set = facts.kube.set.as_ref();
        let stamps: BTreeMap<&String, Value> =
            mark.stamps.iter().map(|(key, value)| (key, value.clone().map_or(Value::Null, Value::String))).collect();
        let mut patch = json!({ "metadata": {
            "uid": set.map(|s| &s.uid), "resourceVersion": set.map(|s| &s.resource_version), "annotations": stamps,
        } });
        if let Some(replicas) = mark.replicas {
            // In the same write: claims stay, and pods are those of the roster, whatever others wrote before.
            patch["spec"] = stateful_set::shape();
            patch["spec"]["replicas"] = replicas.into();
        }
        self.merge::<StatefulSet>(&names::stateful_set(&self.name), &patch).await
    }

    async fn merge<K>(&self, name: &str, patch: &Value) -> Result<(), PortError>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        self.merge_as::<K>(FIELD_MANAGER, name, patch).await
    }

    async fn merge_as<K>(&self, manager: &str, name: &str, patch: &Value) -> Result<(), PortError>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), &self.namespace);
        let params = PatchParams { field_manager: Some(manager.into()), ..PatchParams::default() };
        answer(api.patch(name, &params, &Patch::Merge(patch)).await.map(drop), &K::kind(&()), name)
    }

    /// Records have no owner: they outlive the resource.
    async fn create<T: Serialize>(&self, name: String, kind: &str, record: &T) -> Result<(), PortError> {
        let text = serde_json::to_string_pretty(record)
            .map_err(|e| PortError::Refused { what: name.clone(), reason: e.to_string() })?;
        let mut labels = names::labels(&self.name);
        labels.insert(names::LABEL_EVIDENCE.into(), kind.into());
        let map = ConfigMap {
            metadata: ObjectMeta { name: Some(name.clone()), labels: Some(labels), ..ObjectMeta::default() },
            data: Some([(KEY.to_owned(), text)].into()),
            immutable: Some(true),
            ..ConfigMap::default()
        };
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        answer(api.create(&params(), &map).await.map(drop), "ConfigMap", &name)
    }
}

fn params() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() }
}

fn only(uid: &str) -> DeleteParams {
    DeleteParams::default().preconditions(Preconditions { uid: Some(uid.to_owned()), resource_version: None })
}

/// What is gone already was deleted.
fn gone(written: Result<(), kube::Error>, kind: &str, name: &str) -> Result<(), PortError> {
    match written {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => answer(other, kind, name),
    }
}

/// What the API server's answer to a write means.
pub fn answer<T>(written: Result<T, kube::Error>, kind: &str, name: &str) -> Result<T, PortError> {
    let what = format!("{kind} {name}");
    match written {
        Ok(written) => Ok(written),
        // 404 of a patch with a uid: it was deleted in between.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Err(PortError::Conflict { what }),
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 403 | 405 | 422) => {
            Err(PortError::Refused { what, reason: status.message.clone() })
        }
        Err(error) => Err(PortError::Unknown { what, reason: error.to_string() }),
    }
}

//! StatefulSet controller and kubelet of a real API server that has neither: one step when asked.
//!
//! Law: objects in the API server and members of the small world follow each other; a fall of replicas is judged before
//! it is carried out. Must not know: plans.

use jet_operator::api::names;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{ClaimObject, Map, Set, World};

pub struct Hands {
    pub client: Client,
    pub namespace: String,
    pub world: World,
}

impl Hands {
    fn api<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// One second of the world.
    pub async fn tick(&self) {
        self.mirror().await;
        let before: Vec<u32> = self.world.lock().pods.keys().copied().collect();
        self.world.tick();
        let (pods, new_claims) = {
            let state = self.world.lock();
            let pods: Vec<_> = state
                .pods
                .iter()
                .map(|(o, p)| {
                    (*o, p.running(), p.deleting, p.revision.clone(), state.member_view(*o).is_some_and(|v| v.ready))
                })
                .collect();
            let claims: Vec<u32> =
                state.claims.iter().filter(|(_, c)| c.uid.starts_with("claim-")).map(|(o, _)| *o).collect();
            (pods, claims)
        };
        for ordinal in new_claims {
            self.make_claim(ordinal).await;
        }
        for ordinal in before.iter().filter(|o| !pods.iter().any(|p| p.0 == **o)) {
            let _ = self
                .api::<Pod>()
                .delete(&names::pod("orders", *ordinal), &DeleteParams::default().grace_period(0))
                .await;
        }
        for (ordinal, running, deleting, revision, ready) in pods {
            if !deleting {
                self.show_pod(ordinal, running, &revision, ready).await;
            }
        }
    }

    /// What the operator wrote, into the small world.
    async fn mirror(&self) {
        let set = self.api::<StatefulSet>().get_opt("orders").await.unwrap();
        let maps = self.api::<ConfigMap>().list(&ListParams::default()).await.unwrap();
        if let Some(set) = &set {
            let status = json!({ "status": { "replicas": 0, "observedGeneration": set.metadata.generation, "updateRevision": revision(set) } });
            self.status::<StatefulSet>("orders", &status).await;
        }
        let mut state = self.world.lock();
        for map in maps.items.iter().filter(|m| m.labels().contains_key(names::LABEL_EVIDENCE)) {
            state.maps.insert(map.name_any(), Map { uid: map.uid().unwrap_or_default(), ..Map::default() });
        }
        let Some(set) = set else {
            state.set = None;
            return;
        };
        let replicas = set.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
        if state.set.is_some() {
            state.check_replicas(replicas);
        }
        state.set = Some(Set {
            uid: set.uid().unwrap_or_default(),
            rv: 0,
            replicas,
            annotations: set.annotations().clone(),
            template: revision(&set),
        });
    }

    async fn make_claim(&self, ordinal: u32) {
        let claim: PersistentVolumeClaim = serde_json::from_value(json!({
            "metadata": { "name": names::claim("orders", ordinal), "labels": names::labels("orders") },
            "spec": { "accessModes": ["ReadWriteOnce"], "volumeName": format!("pv-{ordinal}"), "resources": { "requests": { "storage": "1Gi" } } },
        }))
        .unwrap();
        let made = self.api::<PersistentVolumeClaim>().create(&PostParams::default(), &claim).await.unwrap();
        self.status::<PersistentVolumeClaim>(&claim.name_any(), &json!({ "status": { "phase": "Bound" } })).await;
        if let Some(claim) = self.world.lock().claims.get_mut(&ordinal) {
            *claim = ClaimObject { uid: made.uid().unwrap_or_default(), ..claim.clone() };
        }
    }

    async fn show_pod(&self, ordinal: u32, running: bool, revision: &str, ready: bool) {
        let name = names::pod("orders", ordinal);
        let api = self.api::<Pod>();
        let known = api.get_opt(&name).await.unwrap();
        if known.is_none() {
            let mut labels = names::labels("orders");
            labels.insert("controller-revision-hash".into(), revision.into());
            let pod: Pod = serde_json::from_value(json!({
                "metadata": { "name": name, "labels": labels },
                "spec": { "automountServiceAccountToken": false, "containers": [{ "name": "member", "image": "x/y:1" }] },
            }))
            .unwrap();
            api.create(&PostParams::default(), &pod).await.unwrap();
        }
        let is = |pod: &Pod| {
            let status = pod.status.as_ref();
            let ready = status
                .into_iter()
                .flat_map(|s| s.conditions.iter().flatten())
                .any(|c| c.type_ == "Ready" && c.status == "True");
            (status.and_then(|s| s.phase.clone()), ready)
        };
        let phase = if running { "Running" } else { "Pending" };
        if known.as_ref().map(is) != Some((Some(phase.to_owned()), ready)) {
            let ip = format!("10.0.0.{}", ordinal + 1);
            let word = if ready { "True" } else { "False" };
            self.status::<Pod>(
                &name,
                &json!({ "status": {
                "phase": phase, "podIP": running.then_some(&ip), "podIPs": running.then(|| json!([{ "ip": ip }])),
                "conditions": [{ "type": "Ready", "status": word }],
            } }),
            )
            .await;
        }
    }

    async fn status<K>(&self, name: &str, patch: &Value)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
    {
        self.api::<K>().patch_status(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }
}

/// As the StatefulSet controller would name it: it follows the template.
fn revision(set: &StatefulSet) -> String {
    set.annotations().get("jet.lossless.dev/applied").cloned().unwrap_or_default()
}

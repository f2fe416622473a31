//! The members' StatefulSet.
//!
//! Law: Parallel (a return needs all members at once), OnDelete and nothing else (the operator alone decides who
//! restarts), claims are retained whatever happens to it; replicas come from the plan. Must not know: evidence.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{
    StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec, StatefulSetUpdateStrategy,
};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::ResourceExt;
use serde_json::{Value, json};

use super::{DesiredError, metadata, template};
use crate::api::{JetCluster, names};

/// Revisions kept.
const REVISIONS: i32 = 10;
const RETAIN: &str = "Retain";
const ON_DELETE: &str = "OnDelete";

/// The StatefulSet with `replicas` and the plan's stamps.
pub fn stateful_set(
    cluster: &JetCluster,
    replicas: i32,
    stamps: &BTreeMap<String, String>,
) -> Result<StatefulSet, DesiredError> {
    let name = cluster.name_any();
    let mut meta = metadata(cluster, names::stateful_set(&name));
    meta.annotations = (!stamps.is_empty()).then(|| stamps.clone());
    Ok(StatefulSet {
        metadata: meta,
        spec: Some(StatefulSetSpec {
            replicas: Some(replicas),
            selector: LabelSelector { match_labels: Some(names::selector(&name)), ..LabelSelector::default() },
            service_name: Some(names::headless_service(&name)),
            pod_management_policy: Some("Parallel".to_owned()),
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some(ON_DELETE.to_owned()),
                rolling_update: None,
            }),
            persistent_volume_claim_retention_policy: Some(StatefulSetPersistentVolumeClaimRetentionPolicy {
                when_deleted: Some(RETAIN.to_owned()),
                when_scaled: Some(RETAIN.to_owned()),
            }),
            revision_history_limit: Some(REVISIONS),
            template: template::template(cluster)?,
            volume_claim_templates: Some(vec![claim(cluster)]),
            ..StatefulSetSpec::default()
        }),
        status: None,
    })
}

/// As a merge patch: what must hold whenever replicas change. Claims are retained, nobody but the operator restarts a pod,
/// and ordinals begin at 0.
pub fn shape() -> Value {
    json!({
        "persistentVolumeClaimRetentionPolicy": { "whenDeleted": RETAIN, "whenScaled": RETAIN },
        "updateStrategy": { "type": ON_DELETE, "rollingUpdate": null },
        "ordinals": null,
    })
}

/// What of that does not hold.
pub fn misshapen(spec: &StatefulSetSpec) -> Option<String> {
    let policy = spec.persistent_volume_claim_retention_policy.as_ref();
    let lets_go = policy.into_iter().flat_map(|policy| [&policy.when_deleted, &policy.when_scaled]).flatten();
    if lets_go.into_iter().any(|word| word != RETAIN) {
        return Some("its claims would go with it".into());
    }
    let strategy = spec.update_strategy.as_ref().and_then(|strategy| strategy.type_.as_deref());
    if strategy != Some(ON_DELETE) {
        return Some("its pods would be restarted by themselves".into());
    }
    let start = spec.ordinals.as_ref().and_then(|ordinals| ordinals.start).unwrap_or(0);
    (start != 0).then(|| format!("its ordinals begin at {start}: other members would be started"))
}

/// The claim template; claims have no owner, so they outlive everything.
fn claim(cluster: &JetCluster) -> PersistentVolumeClaim {
    let storage = &cluster.spec.storage;
    let requests = BTreeMap::from([("storage".to_owned(), Quantity(storage.size.clone()))]);
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(names::CLAIM_TEMPLATE.to_owned()),
            labels: Some(names::labels(&cluster.name_any())),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: storage.storage_class_name.clone(),
            resources: Some(VolumeResourceRequirements { requests: Some(requests), limits: None }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}

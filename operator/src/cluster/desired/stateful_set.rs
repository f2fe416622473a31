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

use super::{DesiredError, metadata, template};
use crate::api::{JetCluster, names};

/// Revisions kept.
const REVISIONS: i32 = 10;

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
                type_: Some("OnDelete".to_owned()),
                rolling_update: None,
            }),
            persistent_volume_claim_retention_policy: Some(StatefulSetPersistentVolumeClaimRetentionPolicy {
                when_deleted: Some("Retain".to_owned()),
                when_scaled: Some("Retain".to_owned()),
            }),
            revision_history_limit: Some(REVISIONS),
            template: template::template(cluster)?,
            volume_claim_templates: Some(vec![claim(cluster)]),
            ..StatefulSetSpec::default()
        }),
        status: None,
    })
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

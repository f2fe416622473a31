//! What the objects of a cluster should be: pure builders.
//!
//! Law: the same JetCluster gives the same bytes; replicas and stamps are handed in by the plan and always written
//! (an apply that leaves out a field that it once set would reset it). Must not know: what exists, when to apply.
//!
//! - [`stateful_set`]: the members' StatefulSet · [`template`]: their pod template · [`overlay`]: the user's part of it
//! - [`services`]: headless and client Service, ServiceAccount · [`config`]: hazelcast.yaml, hazelcast-jet.yaml
//! - [`budget`]: PodDisruptionBudget · [`network`]: NetworkPolicy · [`object`]: any of them, ready to be applied

pub mod budget;
pub mod config;
pub mod network;
pub mod object;
pub mod overlay;
pub mod services;
pub mod stateful_set;
pub mod template;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt};

use crate::api::{JetCluster, names};

pub use budget::Budget;
pub use object::Object;

/// What cannot be built from the spec.
#[derive(Debug, thiserror::Error)]
pub enum DesiredError {
    /// The overlay does not make a pod template.
    #[error("spec.podTemplate does not make a pod template: {reason}")]
    Overlay {
        /// What is wrong.
        reason: String,
    },
    /// The configuration cannot be written.
    #[error("spec.config cannot be written as YAML: {reason}")]
    Config {
        /// What is wrong.
        reason: String,
    },
    /// An object cannot be written.
    #[error("cannot write {kind} {name}: {reason}")]
    Object {
        /// Kind.
        kind: String,
        /// Name.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

/// Every object but the StatefulSet, in the order in which they are applied.
pub fn companions(cluster: &JetCluster, budget: Budget) -> Result<Vec<Object>, DesiredError> {
    Ok(vec![
        Object::of(&services::service_account(cluster))?,
        Object::of(&config::config_map(cluster)?)?,
        Object::of(&services::headless(cluster))?,
        Object::of(&services::client(cluster))?,
        Object::of(&network::policy(cluster))?,
        Object::of(&budget::disruption_budget(cluster, budget))?,
    ])
}

/// The StatefulSet, ready to be applied.
pub fn members(cluster: &JetCluster, replicas: i32, stamps: &BTreeMap<String, String>) -> Result<Object, DesiredError> {
    Object::of(&stateful_set::stateful_set(cluster, replicas, stamps)?)
}

/// Reference by which our objects go when the JetCluster goes (claims and records have none).
pub fn owner(cluster: &JetCluster) -> Option<OwnerReference> {
    cluster.controller_owner_ref(&())
}

fn metadata(cluster: &JetCluster, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: cluster.namespace(),
        labels: Some(names::labels(&cluster.name_any())),
        owner_references: owner(cluster).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
pub(crate) mod tests;

//! How many members others may evict at once.
//!
//! Law: one, and broken ones always, only while everything is backed up; else none, and broken ones only if the
//! budget is healthy (a member that loads its store is "broken" to Kubernetes and must not be evicted). Must not
//! know: when everything is backed up.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use super::metadata;
use crate::api::{JetCluster, names};

/// Whether evictions are let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// None.
    Closed,
    /// One at a time.
    One,
}

/// The PodDisruptionBudget.
pub fn disruption_budget(cluster: &JetCluster, budget: Budget) -> PodDisruptionBudget {
    let name = cluster.name_any();
    let (unavailable, policy) = match budget {
        Budget::Closed => (0, "IfHealthyBudget"),
        Budget::One => (1, "AlwaysAllow"),
    };
    PodDisruptionBudget {
        metadata: metadata(cluster, names::disruption_budget(&name)),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(unavailable)),
            selector: Some(LabelSelector { match_labels: Some(names::selector(&name)), ..LabelSelector::default() }),
            unhealthy_pod_eviction_policy: Some(policy.to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}

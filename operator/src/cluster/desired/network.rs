//! Who may open connections to members.
//!
//! Law: member traffic from members only; the admin port from members, operators and pods that are labelled as
//! admin in the same namespace; clients from the same namespace; probes and metrics from anywhere. What members
//! open themselves is not restricted: jobs read from where they are told. Must not know: certificates.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use super::metadata;
use crate::api::{JetCluster, names};

/// Label with which a pod of the same namespace may reach the admin port: `true`.
pub const ADMIN_LABEL: &str = "jet.lossless.dev/admin";
/// Label of the operator's pods, in any namespace.
pub const OPERATOR_NAME: &str = "jet-operator";

/// The NetworkPolicy.
pub fn policy(cluster: &JetCluster) -> NetworkPolicy {
    let name = cluster.name_any();
    let members =
        NetworkPolicyPeer { pod_selector: Some(labels(names::selector(&name))), ..NetworkPolicyPeer::default() };
    let operators = NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector::default()),
        pod_selector: Some(labels(one("app.kubernetes.io/name", OPERATOR_NAME))),
        ip_block: None,
    };
    let admins =
        NetworkPolicyPeer { pod_selector: Some(labels(one(ADMIN_LABEL, "true"))), ..NetworkPolicyPeer::default() };
    let neighbours = NetworkPolicyPeer { pod_selector: Some(LabelSelector::default()), ..NetworkPolicyPeer::default() };
    let rules = vec![
        rule(names::PORT_MEMBERS, vec![members.clone()]),
        rule(names::PORT_ADMIN, vec![members, operators, admins]),
        rule(names::PORT_CLIENT, vec![neighbours]),
        rule(names::PORT_PROBES, Vec::new()),
    ];
    NetworkPolicy {
        metadata: metadata(cluster, names::network_policy(&name)),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(labels(names::selector(&name))),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(rules),
            egress: None,
        }),
    }
}

fn rule(port: i32, from: Vec<NetworkPolicyPeer>) -> NetworkPolicyIngressRule {
    let port = NetworkPolicyPort {
        port: Some(IntOrString::Int(port)),
        protocol: Some("TCP".to_owned()),
        ..NetworkPolicyPort::default()
    };
    // An absent `from` is everybody; an empty one would be too, by the letter of the API, but reads as nobody.
    NetworkPolicyIngressRule { ports: Some(vec![port]), from: (!from.is_empty()).then_some(from) }
}

fn labels(labels: BTreeMap<String, String>) -> LabelSelector {
    LabelSelector { match_labels: Some(labels), ..LabelSelector::default() }
}

fn one(key: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(key.to_owned(), value.to_owned())])
}

//! How members are found: by each other and the operator in any state, by clients when ready.
//!
//! Law: the door in the member is the gate; the client Service only follows readiness. Must not know: readiness.

use k8s_openapi::api::core::v1::{Service, ServiceAccount, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use super::metadata;
use crate::api::{JetCluster, names};

/// Names of the ports, as in the member container.
pub const CLIENT: &str = "client";
/// Member to member.
pub const MEMBERS: &str = "members";
/// Admin API.
pub const ADMIN: &str = "admin";
/// Probes and metrics.
pub const PROBES: &str = "probes";

/// The headless Service: every member, ready or not.
pub fn headless(cluster: &JetCluster) -> Service {
    let name = cluster.name_any();
    service(
        cluster,
        names::headless_service(&name),
        ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            publish_not_ready_addresses: Some(true),
            ports: Some(vec![
                port(MEMBERS, names::PORT_MEMBERS),
                port(ADMIN, names::PORT_ADMIN),
                port(PROBES, names::PORT_PROBES),
            ]),
            ..ServiceSpec::default()
        },
    )
}

/// The client Service: ready members.
pub fn client(cluster: &JetCluster) -> Service {
    let ports = vec![port(CLIENT, names::PORT_CLIENT), port(ADMIN, names::PORT_ADMIN)];
    let spec = ServiceSpec { ports: Some(ports), type_: Some("ClusterIP".to_owned()), ..ServiceSpec::default() };
    service(cluster, names::client_service(&cluster.name_any()), spec)
}

/// ServiceAccount of the members: they have nothing to say to the API server.
pub fn service_account(cluster: &JetCluster) -> ServiceAccount {
    ServiceAccount {
        metadata: metadata(cluster, names::service_account(&cluster.name_any())),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

fn service(cluster: &JetCluster, name: String, spec: ServiceSpec) -> Service {
    let spec = ServiceSpec { selector: Some(names::selector(&cluster.name_any())), ..spec };
    Service { metadata: metadata(cluster, name), spec: Some(spec), status: None }
}

fn port(name: &str, number: i32) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port: number,
        target_port: Some(IntOrString::String(name.to_owned())),
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    }
}

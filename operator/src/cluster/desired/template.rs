//! The members' pod template.
//!
//! Law: restricted (no root, read-only root file system, no capabilities, no token); liveness asks only the event
//! loop, readiness is the door; nothing in it differs from member to member. Must not know: which member a pod is.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, EnvVarSource,
    HTTPGetAction, LocalObjectReference, ObjectFieldSelector, PodSecurityContext, PodSpec, PodTemplateSpec, Probe,
    ResourceRequirements, SeccompProfile, SecretVolumeSource, SecurityContext, TopologySpreadConstraint, Volume,
    VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use serde_json::Value;

use super::overlay::merge;
use super::services::{ADMIN, CLIENT, MEMBERS, PROBES};
use super::{DesiredError, config};
use crate::api::{JetCluster, names};

/// Neither root nor anybody of the node.
const NOBODY: i64 = 65532;
/// Volume with the keys for encryption at rest.
const KEYS: &str = "encryption-keys";
/// Annotation of the template with the configuration's digest.
const CONFIG_DIGEST: &str = "jet.lossless.dev/config";

/// Our template over the user's overlay.
pub fn template(cluster: &JetCluster) -> Result<PodTemplateSpec, DesiredError> {
    let ours = ours(cluster)?;
    let Some(overlay) = &cluster.spec.pod_template else {
        return Ok(ours);
    };
    let failed = |error: serde_json::Error| DesiredError::Overlay { reason: error.to_string() };
    let mut merged = merge(overlay, &serde_json::to_value(ours).map_err(failed)?);
    member_first(&mut merged);
    serde_json::from_value(merged).map_err(failed)
}

/// `kubectl logs` and `exec` without `-c` take the first container.
fn member_first(template: &mut Value) {
    if let Some(containers) = template.pointer_mut("/spec/containers").and_then(Value::as_array_mut) {
        containers
            .sort_by_key(|container| container.get("name").and_then(Value::as_str) != Some(names::MEMBER_CONTAINER));
    }
}

fn ours(cluster: &JetCluster) -> Result<PodTemplateSpec, DesiredError> {
    let spec = &cluster.spec;
    let name = cluster.name_any();
    let secrets: Vec<_> =
        spec.image_pull_secrets.iter().map(|name| LocalObjectReference { name: name.clone() }).collect();
    let pod = PodSpec {
        service_account_name: Some(names::service_account(&name)),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(spec.maintenance.grace_period_seconds.into()),
        image_pull_secrets: (!secrets.is_empty()).then_some(secrets),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(NOBODY),
            run_as_group: Some(NOBODY),
            fs_group: Some(NOBODY),
            fs_group_change_policy: Some("OnRootMismatch".to_owned()),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
            ..PodSecurityContext::default()
        }),
        topology_spread_constraints: Some(vec![spread(&name)]),
        containers: vec![container(cluster)],
        volumes: Some(volumes(cluster)),
        ..PodSpec::default()
    };
    Ok(PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(names::labels(&name)),
            annotations: Some(BTreeMap::from([(CONFIG_DIGEST.to_owned(), config::digest(cluster)?)])),
            ..ObjectMeta::default()
        }),
        spec: Some(pod),
    })
}

fn container(cluster: &JetCluster) -> Container {
    let spec = &cluster.spec;
    Container {
        name: names::MEMBER_CONTAINER.to_owned(),
        image: Some(spec.image.clone()),
        image_pull_policy: spec.image_pull_policy.clone(),
        args: Some(vec!["--config".to_owned(), format!("{}/{}", names::CONFIG_DIR, config::JET)]),
        env: Some(vec![
            from_field("JET_POD_NAME", "metadata.name"),
            from_field("JET_NAMESPACE", "metadata.namespace"),
            variable("JET_CLUSTER", &cluster.name_any()),
            variable("JET_TLS", names::TLS_DIR),
        ]),
        ports: Some(vec![
            port(CLIENT, names::PORT_CLIENT),
            port(MEMBERS, names::PORT_MEMBERS),
            port(ADMIN, names::PORT_ADMIN),
            port(PROBES, names::PORT_PROBES),
        ]),
        // A member that does not start says why in its last line: `kubectl describe pod` shows it.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        readiness_probe: Some(probe("/readyz", 1, 2)),
        liveness_probe: Some(probe("/livez", 10, 6)),
        resources: Some(ResourceRequirements {
            requests: quantities(&spec.resources.requests),
            limits: quantities(&spec.resources.limits),
            claims: None,
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            run_as_non_root: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(mounts(cluster)),
        ..Container::default()
    }
}

fn mounts(cluster: &JetCluster) -> Vec<VolumeMount> {
    let mut mounts = vec![
        mount(names::CLAIM_TEMPLATE, names::DATA_DIR, false),
        mount("config", names::CONFIG_DIR, true),
        mount("tls", names::TLS_DIR, true),
        mount("tmp", "/tmp", false),
    ];
    if cluster.spec.hot_restart.encryption.is_some() {
        mounts.push(mount(KEYS, names::KEYS_DIR, true));
    }
    mounts
}

fn volumes(cluster: &JetCluster) -> Vec<Volume> {
    let name = cluster.name_any();
    let volume = |name: &str| Volume { name: name.to_owned(), ..Volume::default() };
    let secret = |volume_name: &str, secret: &str| Volume {
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.to_owned()),
            default_mode: Some(0o440),
            ..SecretVolumeSource::default()
        }),
        ..volume(volume_name)
    };
    let mut volumes = vec![
        Volume {
            config_map: Some(ConfigMapVolumeSource {
                name: names::config_map(&name),
                ..ConfigMapVolumeSource::default()
            }),
            ..volume("config")
        },
        secret("tls", &names::members_secret(&name)),
        Volume { empty_dir: Some(EmptyDirVolumeSource::default()), ..volume("tmp") },
    ];
    let encryption = cluster.spec.hot_restart.encryption.iter();
    volumes.extend(encryption.map(|encryption| secret(KEYS, &encryption.keys_secret_name)));
    volumes
}

/// Over nodes if there are several; never so that a member waits for another node.
fn spread(cluster: &str) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew: 1,
        topology_key: "kubernetes.io/hostname".to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(LabelSelector {
            match_labels: Some(names::selector(cluster)),
            ..LabelSelector::default()
        }),
        ..TopologySpreadConstraint::default()
    }
}

fn probe(path: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(PROBES.to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        timeout_seconds: Some(period.clamp(2, 5)),
        ..Probe::default()
    }
}

fn port(name: &str, number: i32) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: number,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}

fn variable(name: &str, value: &str) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.to_owned()), value_from: None }
}

fn from_field(name: &str, field: &str) -> EnvVar {
    let selector = ObjectFieldSelector { api_version: Some("v1".to_owned()), field_path: field.to_owned() };
    EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource { field_ref: Some(selector), ..EnvVarSource::default() }),
    }
}

fn quantities(map: &BTreeMap<String, String>) -> Option<BTreeMap<String, Quantity>> {
    let quantities: BTreeMap<_, _> = map.iter().map(|(name, value)| (name.clone(), Quantity(value.clone()))).collect();
    (!quantities.is_empty()).then_some(quantities)
}

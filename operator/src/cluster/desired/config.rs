//! The members' configuration files.
//!
//! Law: the user's part is merged first, ours last; keys that decide about the promise are refused by name with the
//! field to use instead. Must not know: what a member makes of a key.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::overlay::merge;
use super::{DesiredError, metadata};
use crate::api::{JetCluster, names};

/// File for the data grid's part.
pub const HAZELCAST: &str = "hazelcast.yaml";
/// File for the jobs' part; the member is started with this one and finds the other beside it.
pub const JET: &str = "hazelcast-jet.yaml";

/// Keys of `spec.config.hazelcast` that are ours, and what to use instead.
const OWNED_HAZELCAST: [(&str, &str); 8] = [
    ("cluster-name", "metadata.name"),
    ("instance-name", "metadata.name"),
    ("hot-restart-persistence", "spec.hotRestart and spec.losslessRestart"),
    ("persistence", "spec.hotRestart and spec.losslessRestart"),
    ("network.join", "nothing: members find each other through the headless Service"),
    ("network.port", "nothing: ports are fixed"),
    ("network.ssl", "spec.tls"),
    ("properties.hazelcast.partition.count", "spec.partitionCount"),
];
/// Keys of `spec.config.jet` that are ours, and what to use instead.
const OWNED_JET: [(&str, &str); 2] =
    [("instance.lossless-restart-enabled", "spec.losslessRestart"), ("instance.backup-count", "spec.backupCount")];

/// Names in `map` that speak of every map without its own setting.
const EVERY_MAP: [&str; 2] = ["default", "*"];
/// Groups of the members' REST that are not opened without a password.
const CHANGING_GROUPS: [&str; 2] = ["CLUSTER_WRITE", "HOT_RESTART"];
/// Variable of the member that names the file with the password.
const PASSWORD_FILE: &str = "JET_REST_PASSWORD_FILE";

/// The ConfigMap with both files.
pub fn config_map(cluster: &JetCluster) -> Result<ConfigMap, DesiredError> {
    let data = BTreeMap::from([
        (HAZELCAST.to_owned(), yaml(&json!({ "hazelcast": hazelcast(cluster) }))?),
        (JET.to_owned(), yaml(&json!({ "hazelcast-jet": jet(cluster) }))?),
    ]);
    Ok(ConfigMap {
        metadata: metadata(cluster, names::config_map(&cluster.name_any())),
        data: Some(data),
        ..ConfigMap::default()
    })
}

/// Digest over both files: in the pod template, so that a changed file is a new revision.
pub fn digest(cluster: &JetCluster) -> Result<String, DesiredError> {
    let data = config_map(cluster)?.data.unwrap_or_default();
    let mut hasher = blake3::Hasher::new();
    for (file, text) in data {
        hasher.update(file.as_bytes());
        hasher.update(&[0]);
        hasher.update(text.as_bytes());
        hasher.update(&[0]);
    }
    Ok(hasher.finalize().to_hex()[..16].to_owned())
}

/// Keys in `spec.config` that are refused, each with the way out.
pub fn refusals(cluster: &JetCluster) -> Vec<String> {
    let config = &cluster.spec.config;
    let parts = [("hazelcast", &config.hazelcast, &OWNED_HAZELCAST[..]), ("jet", &config.jet, &OWNED_JET[..])];
    let mut out = Vec::new();
    for (part, value, owned) in parts {
        for (key, instead) in owned {
            if value.as_ref().is_some_and(|value| has(value, key)) {
                out.push(format!("spec.config.{part}: the key {key} is the operator's; use {instead}"));
            }
        }
    }
    out.extend(unlike_every_map(cluster).into_iter().map(|name| {
        format!(
            "spec.config.hazelcast: map.{name}.hot-restart.fsync is not true, and spec.hotRestart.fsync is: both are the \
             setting of every map without its own; leave out one of them"
        )
    }));
    out.extend(opened_without_password(cluster).into_iter().map(|group| {
        format!(
            "spec.config.hazelcast: network.rest-api opens {group}, which changes the cluster, and names no password: \
             mount a Secret by spec.podTemplate and name its file in the variable {PASSWORD_FILE} of the container \
             {}, or leave the group closed",
            names::MEMBER_CONTAINER
        )
    }));
    out
}

/// What names every map without its own setting and contradicts the one of the cluster: members pass that over for it.
fn unlike_every_map(cluster: &JetCluster) -> Vec<&'static str> {
    let maps = cluster.spec.config.hazelcast.as_ref().and_then(|value| value.get("map"));
    let Some(maps) = maps.filter(|_| cluster.spec.hot_restart.fsync) else { return Vec::new() };
    let fsync = |name: &str| maps.get(name).and_then(|map| map.pointer("/hot-restart/fsync"));
    EVERY_MAP.into_iter().filter(|name| fsync(name).is_some_and(|fsync| !is_true(Some(fsync)))).collect()
}

/// Groups of the REST that change something and that no member opens without a password.
fn opened_without_password(cluster: &JetCluster) -> Vec<&'static str> {
    let rest = cluster.spec.config.hazelcast.as_ref().and_then(|value| value.pointer("/network/rest-api"));
    let Some(rest) = rest.filter(|rest| is_true(rest.get("enabled"))) else { return Vec::new() };
    let opened = |group: &&str| is_true(rest.pointer(&format!("/endpoint-groups/{group}/enabled")));
    if names_a_password(cluster) { Vec::new() } else { CHANGING_GROUPS.into_iter().filter(opened).collect() }
}

/// As the members read it: quoted or not.
fn is_true(value: Option<&Value>) -> bool {
    value.is_some_and(|value| value.as_bool() == Some(true) || value.as_str() == Some("true"))
}

/// Variables that come from elsewhere may name it too.
fn names_a_password(cluster: &JetCluster) -> bool {
    let template = cluster.spec.pod_template.as_ref();
    let containers = template.and_then(|template| template.pointer("/spec/containers")).and_then(Value::as_array);
    let member = |container: &&Value| container.get("name").and_then(Value::as_str) == Some(names::MEMBER_CONTAINER);
    let Some(member) = containers.into_iter().flatten().find(member) else { return false };
    let variables = member.get("env").and_then(Value::as_array).into_iter().flatten();
    let names_it = |variable: &Value| {
        let named = variable.get("name").and_then(Value::as_str) == Some(PASSWORD_FILE);
        named && variable.get("value").and_then(Value::as_str) != Some("")
    };
    member.get("envFrom").is_some() || variables.into_iter().any(names_it)
}

fn hazelcast(cluster: &JetCluster) -> Value {
    let spec = &cluster.spec;
    let name = cluster.name_any();
    let namespace = cluster.namespace().unwrap_or_default();
    let mut ours = json!({
        "cluster-name": name,
        "network": {
            "port": { "port": names::PORT_CLIENT, "auto-increment": false },
            "join": {
                "multicast": { "enabled": false },
                "tcp-ip": { "enabled": true, "member-list": [format!("{}.{namespace}.svc", names::headless_service(&name))] },
            },
        },
        "properties": { "hazelcast.partition.count": spec.partition_count },
        "hot-restart-persistence": {
            "enabled": true,
            "base-dir": names::RECOVERY_DIR,
            "validation-timeout-seconds": spec.hot_restart.validation_timeout_seconds,
            "data-load-timeout-seconds": spec.hot_restart.data_load_timeout_seconds,
            "cluster-data-recovery-policy": "FULL_RECOVERY_ONLY",
            "auto-remove-stale-data": false,
        },
    });
    if let Some(encryption) = &spec.hot_restart.encryption {
        let mut directory = json!({ "path": names::KEYS_DIR });
        if let Some(current) = &encryption.current_key {
            directory["current-key"] = current.as_str().into();
        }
        ours["hot-restart-persistence"]["encryption-at-rest"] =
            json!({ "enabled": encryption.current_key.is_some(), "secure-store": { "directory": directory } });
    }
    if let Some(parallelism) = spec.hot_restart.parallelism {
        ours["hot-restart-persistence"]["parallelism"] = parallelism.into();
    }
    if spec.hot_restart.fsync {
        ours["map"] = json!({ "default": { "hot-restart": { "enabled": true, "fsync": true } } });
    }
    merge(&spec.config.hazelcast.clone().unwrap_or_else(|| json!({})), &ours)
}

fn jet(cluster: &JetCluster) -> Value {
    let ours = json!({ "instance": {
        "backup-count": cluster.spec.backup_count,
        "lossless-restart-enabled": cluster.spec.lossless_restart,
    } });
    merge(&cluster.spec.config.jet.clone().unwrap_or_else(|| json!({})), &ours)
}

/// Whether a dotted key is there; a key may itself hold dots (`hazelcast.partition.count`).
fn has(value: &Value, key: &str) -> bool {
    let Some(object) = value.as_object() else { return false };
    object.contains_key(key)
        || key.match_indices('.').any(|(at, _)| object.get(&key[..at]).is_some_and(|inner| has(inner, &key[at + 1..])))
}

fn yaml(value: &Value) -> Result<String, DesiredError> {
    serde_norway::to_string(value).map_err(|error| DesiredError::Config { reason: error.to_string() })
}

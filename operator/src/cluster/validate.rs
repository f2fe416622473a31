//! Every rule of the schema again, and those that a schema cannot say.
//!
//! Law: each sentence names the field and the way out. Must not know: what exists.

use kube::ResourceExt;

use crate::api::JetCluster;
use crate::api::spec::MAX_NAME;
use crate::cluster::desired;

/// Largest cluster that was run under this operator.
pub const MAX_SIZE: i32 = 5;
/// Most partitions that a founding takes.
pub const MAX_PARTITIONS: i32 = 8191;
/// As Kubernetes knows them.
const PULL_POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];

/// What is wrong with a spec; empty: nothing.
pub fn spec(cluster: &JetCluster) -> Vec<String> {
    let mut wrong = numbers(cluster);
    wrong.extend(texts(cluster));
    wrong.extend(hot_restart(cluster));
    wrong.extend(desired::config::refusals(cluster));
    wrong.extend(cluster.spec.pod_template.iter().flat_map(desired::overlay::refusals));
    wrong
}

/// The sentences of those that are bad.
fn refused(of: impl IntoIterator<Item = (bool, String)>) -> Vec<String> {
    of.into_iter().filter(|(bad, _)| *bad).map(|(_, sentence)| sentence).collect()
}

fn numbers(cluster: &JetCluster) -> Vec<String> {
    let spec = &cluster.spec;
    refused([
        (spec.size < 1, "spec.size must be at least 1; to stop the cluster set spec.state to Stopped".into()),
        (
            spec.size > MAX_SIZE,
            format!(
                "spec.size is {}, at most {MAX_SIZE} is offered: larger clusters were not run under this operator yet",
                spec.size
            ),
        ),
        (
            !(1..=MAX_PARTITIONS).contains(&spec.partition_count),
            format!("spec.partitionCount must be between 1 and {MAX_PARTITIONS}"),
        ),
        (!(0..=6).contains(&spec.backup_count), "spec.backupCount must be between 0 and 6".into()),
        // One backup is the default, of a cluster of one member too.
        (
            spec.backup_count > 1 && spec.backup_count >= spec.size,
            format!(
                "spec.backupCount is {} and spec.size {}: each member holds at most one copy of a partition; lower \
                 spec.backupCount or raise spec.size",
                spec.backup_count, spec.size
            ),
        ),
    ])
}

fn texts(cluster: &JetCluster) -> Vec<String> {
    let spec = &cluster.spec;
    let mut wrong = refused([
        (
            cluster.name_any().len() > MAX_NAME,
            format!("the name is longer than {MAX_NAME} characters: choose a shorter one"),
        ),
        (
            spec.image.is_empty() || spec.image.contains(char::is_whitespace),
            "spec.image must name the members' image without blanks, for example registry.example/jet-member:0.1.0"
                .into(),
        ),
        (
            !is_version(&spec.version),
            format!(
                "spec.version is '{}': it must be MAJOR.MINOR.PATCH of the member program, for example 0.1.0",
                spec.version
            ),
        ),
        (
            spec.image_pull_policy.as_deref().is_some_and(|policy| !PULL_POLICIES.contains(&policy)),
            format!(
                "spec.imagePullPolicy must be one of {}; leave it out for Kubernetes' default",
                PULL_POLICIES.join(", ")
            ),
        ),
    ]);
    wrong.extend(refused(quantities(cluster).into_iter().map(|(field, text)| {
        (!is_quantity(text), format!("{field} is '{text}': write a quantity of Kubernetes, for example 10Gi"))
    })));
    wrong
}

fn hot_restart(cluster: &JetCluster) -> Vec<String> {
    let hot_restart = &cluster.spec.hot_restart;
    refused([(
        hot_restart.parallelism.is_some_and(|logs| logs != 1),
        "spec.hotRestart.parallelism: a member of this version writes one log; leave it out or set it to 1".into(),
    )])
}

fn is_version(text: &str) -> bool {
    let (numbers, rest) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
    let parts: Vec<&str> = numbers.split('.').collect();
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let fits = |c: char| c.is_ascii_alphanumeric() || ".+-".contains(c);
    parts.len() == 3 && parts.iter().all(is_number) && rest.len() != 1 && rest.chars().all(fits)
}

fn quantities(cluster: &JetCluster) -> Vec<(String, &str)> {
    let (storage, resources) = (&cluster.spec.storage, &cluster.spec.resources);
    let mut all = vec![("spec.storage.size".to_owned(), storage.size.as_str())];
    for (part, map) in [("requests", &resources.requests), ("limits", &resources.limits)] {
        all.extend(map.iter().map(|(name, text)| (format!("spec.resources.{part}.{name}"), text.as_str())));
    }
    all
}

/// A number with a suffix as Kubernetes has them; whether it is above 0 the schema says.
fn is_quantity(text: &str) -> bool {
    const SUFFIXES: [&str; 16] = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let exponent = suffix.strip_prefix(['e', 'E']).is_some_and(|digits| digits.parse::<i32>().is_ok());
    number.parse::<f64>().is_ok() && (exponent || SUFFIXES.contains(&suffix))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::spec;
    use crate::api::JetCluster;

    fn cluster(spec: Value) -> JetCluster {
        let mut whole = json!({ "size": 3, "version": "0.1.0", "image": "jet-member" });
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        serde_json::from_value(json!({
            "apiVersion": "jet.lossless.dev/v1alpha1", "kind": "JetCluster",
            "metadata": { "name": "orders", "namespace": "prod" }, "spec": whole,
        }))
        .unwrap()
    }

    /// The REST with a group opened, and the member's variables.
    fn with_rest(group: &str, env: Value) -> Value {
        let rest = json!({ "enabled": true, "endpoint-groups": { group: { "enabled": true } } });
        json!({
            "config": { "hazelcast": { "network": { "rest-api": rest } } },
            "podTemplate": { "spec": { "containers": [{ "name": "member", "env": env }] } },
        })
    }

    #[test]
    fn what_no_member_would_start_with_is_refused_at_the_door_with_the_way_out() {
        for (spec_part, field, way_out) in [
            (json!({ "hotRestart": { "parallelism": 2 } }), "spec.hotRestart.parallelism", "set it to 1"),
            (
                json!({
                    "hotRestart": { "fsync": true },
                    "config": { "hazelcast": { "map": { "default": { "hot-restart": { "fsync": false } } } } },
                }),
                "map.default.hot-restart.fsync",
                "leave out one of them",
            ),
            (
                json!({
                    "hotRestart": { "fsync": true },
                    "config": { "hazelcast": { "map": { "*": { "hot-restart": { "fsync": "false" } } } } },
                }),
                "map.*.hot-restart.fsync",
                "leave out one of them",
            ),
            (with_rest("CLUSTER_WRITE", json!([])), "opens CLUSTER_WRITE", "JET_REST_PASSWORD_FILE"),
            (
                with_rest("HOT_RESTART", json!([{ "name": "JET_REST_PASSWORD_FILE", "value": "" }])),
                "opens HOT_RESTART",
                "leave the group closed",
            ),
            (json!({ "size": 6 }), "spec.size", "at most 5"),
            (json!({ "size": 0 }), "spec.size", "spec.state"),
            (json!({ "partitionCount": 8192 }), "spec.partitionCount", "8191"),
            (json!({ "backupCount": 3 }), "spec.backupCount", "raise spec.size"),
            (json!({ "image": "" }), "spec.image", "jet-member:0.1.0"),
            (json!({ "image": "jet-member: 0.1.0" }), "spec.image", "without blanks"),
            (json!({ "version": "latest" }), "spec.version", "0.1.0"),
            (json!({ "version": "0.1" }), "spec.version", "0.1.0"),
            (json!({ "imagePullPolicy": "always" }), "spec.imagePullPolicy", "IfNotPresent"),
            (json!({ "storage": { "size": "10 GB" } }), "spec.storage.size", "10Gi"),
            (json!({ "resources": { "limits": { "memory": "2GB" } } }), "spec.resources.limits.memory", "10Gi"),
        ] {
            let wrong = spec(&cluster(spec_part.clone()));
            assert!(
                wrong.len() == 1 && wrong[0].contains(field) && wrong[0].contains(way_out),
                "{spec_part}: {wrong:?}"
            );
        }
    }

    #[test]
    fn what_members_start_with_is_let_in() {
        for spec_part in [
            json!({}),
            json!({ "size": 1, "version": "1.2.3-rc.1+b", "storage": { "size": "1.5e3" }, "backupCount": 1 }),
            json!({ "resources": { "requests": { "cpu": "500m", "memory": "2Gi" }, "limits": { "cpu": "0.5" } } }),
            json!({ "size": 5, "hotRestart": { "fsync": false, "parallelism": 1 }, "partitionCount": 8191 }),
            json!({ "config": { "hazelcast": { "map": { "prices": { "hot-restart": { "fsync": true } } } } } }),
            json!({
                "hotRestart": { "fsync": true },
                "config": { "hazelcast": { "map": {
                    "default": { "hot-restart": { "fsync": "true" } },
                    "prices": { "hot-restart": { "fsync": false } },
                    "price*": { "hot-restart": { "fsync": false } },
                    "*": { "hot-restart": { "fsync": true } },
                } } },
            }),
            json!({ "config": { "hazelcast": { "map": { "*": { "hot-restart": { "fsync": false } } } } } }),
            with_rest("CLUSTER_WRITE", json!([{ "name": "JET_REST_PASSWORD_FILE", "value": "/run/rest/password" }])),
            with_rest("HEALTH_CHECK", json!([])),
            json!({ "config": { "hazelcast": { "network": { "rest-api": { "endpoint-groups": { "CLUSTER_WRITE": { "enabled": true } } } } } } }),
        ] {
            assert_eq!(spec(&cluster(spec_part.clone())), Vec::<String>::new(), "{spec_part}");
        }
    }
}

//! Every rule of the schema again, and those that a schema cannot say.
//!
//! Law: each sentence names the field and the way out. Must not know: what exists.

use kube::ResourceExt;

use crate::api::JetCluster;
use crate::api::spec::MAX_NAME;
use crate::cluster::desired;

/// Largest cluster: every member of this version votes.
pub const MAX_SIZE: i32 = 5;
/// Most partitions that a founding takes.
pub const MAX_PARTITIONS: i32 = 8191;

/// What is wrong with a spec; empty: nothing.
pub fn spec(cluster: &JetCluster) -> Vec<String> {
    let spec = &cluster.spec;
    let mut wrong = Vec::new();
    let mut refuse = |bad: bool, sentence: String| {
        if bad {
            wrong.push(sentence);
        }
    };
    refuse(spec.size < 1, "spec.size must be at least 1; to stop the cluster set spec.state to Stopped".into());
    refuse(
        spec.size > MAX_SIZE,
        format!("spec.size is {}, at most {MAX_SIZE} is offered: every member of this version votes", spec.size),
    );
    refuse(
        cluster.name_any().len() > MAX_NAME,
        format!("the name is longer than {MAX_NAME} characters: choose a shorter one"),
    );
    refuse(
        !(1..=MAX_PARTITIONS).contains(&spec.partition_count),
        format!("spec.partitionCount must be between 1 and {MAX_PARTITIONS}"),
    );
    refuse(!(0..=6).contains(&spec.backup_count), "spec.backupCount must be between 0 and 6".into());
    refuse(spec.image.is_empty(), "spec.image is empty: name the members' image".into());
    refuse(
        spec.hot_restart.fsync,
        "spec.hotRestart.fsync is true: maps that wait for the device are not offered in this version; leave it out or \
         set it to false (the backups of spec.backupCount guard what the disk does not have yet)"
            .into(),
    );
    refuse(
        spec.hot_restart.parallelism.is_some_and(|logs| logs != 1),
        "spec.hotRestart.parallelism: a member of this version writes one log; leave it out or set it to 1".into(),
    );
    wrong.extend(desired::config::refusals(cluster));
    wrong.extend(spec.pod_template.iter().flat_map(desired::overlay::refusals));
    wrong
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
            (json!({ "hotRestart": { "fsync": true } }), "spec.hotRestart.fsync", "set it to false"),
            (json!({ "hotRestart": { "parallelism": 2 } }), "spec.hotRestart.parallelism", "set it to 1"),
            (
                json!({ "config": { "hazelcast": { "map": { "prices": { "hot-restart": { "fsync": true } } } } } }),
                "map.prices.hot-restart.fsync",
                "set it to false",
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
            json!({ "size": 5, "hotRestart": { "fsync": false, "parallelism": 1 }, "partitionCount": 8191 }),
            json!({ "config": { "hazelcast": { "map": { "prices": { "hot-restart": { "fsync": false } } } } } }),
            with_rest("CLUSTER_WRITE", json!([{ "name": "JET_REST_PASSWORD_FILE", "value": "/run/rest/password" }])),
            with_rest("HEALTH_CHECK", json!([])),
            json!({ "config": { "hazelcast": { "network": { "rest-api": { "endpoint-groups": { "CLUSTER_WRITE": { "enabled": true } } } } } } }),
        ] {
            assert_eq!(spec(&cluster(spec_part.clone())), Vec::<String>::new(), "{spec_part}");
        }
    }
}

//! Tables over the builders: each row is a promise that an object keeps.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;

pub(crate) fn orders(spec: Value) -> JetCluster {
    let mut base = json!({ "size": 3, "version": "0.1.0", "image": "registry.example/jet-member:0.1.0" });
    base = overlay::merge(&base, &spec);
    serde_json::from_value(json!({
        "apiVersion": "jet.lossless.dev/v1alpha1", "kind": "JetCluster",
        "metadata": { "name": "orders", "namespace": "prod", "uid": "6c1f" },
        "spec": base,
    }))
    .unwrap()
}

fn set(cluster: &JetCluster) -> Value {
    members(cluster, 3, &BTreeMap::from([("jet.lossless.dev/operation".to_owned(), "{}".to_owned())])).unwrap().body
}

fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    value.pointer(path).unwrap_or(&Value::Null)
}

#[test]
fn the_stateful_set_keeps_its_promises() {
    let set = set(&orders(json!({ "storage": { "size": "2Gi", "storageClassName": "retained" } })));
    for (path, wanted) in [
        ("/spec/replicas", json!(3)),
        ("/spec/podManagementPolicy", json!("Parallel")),
        ("/spec/updateStrategy", json!({ "type": "OnDelete" })),
        ("/spec/persistentVolumeClaimRetentionPolicy", json!({ "whenDeleted": "Retain", "whenScaled": "Retain" })),
        ("/spec/serviceName", json!("orders-members")),
        ("/spec/template/spec/terminationGracePeriodSeconds", json!(600)),
        ("/spec/template/spec/automountServiceAccountToken", json!(false)),
        ("/spec/template/spec/securityContext/runAsNonRoot", json!(true)),
        ("/spec/template/spec/securityContext/runAsUser", json!(65532)),
        ("/spec/template/spec/containers/0/securityContext/readOnlyRootFilesystem", json!(true)),
        ("/spec/template/spec/containers/0/args", json!(["--config", "/etc/jet/hazelcast-jet.yaml"])),
        ("/spec/template/spec/containers/0/readinessProbe/httpGet", json!({ "path": "/readyz", "port": "probes" })),
        ("/spec/template/spec/containers/0/livenessProbe/httpGet", json!({ "path": "/livez", "port": "probes" })),
        ("/spec/volumeClaimTemplates/0/spec/storageClassName", json!("retained")),
        ("/spec/volumeClaimTemplates/0/spec/resources/requests/storage", json!("2Gi")),
        ("/metadata/ownerReferences/0/kind", json!("JetCluster")),
        ("/metadata/annotations/jet.lossless.dev~1operation", json!("{}")),
    ] {
        assert_eq!(at(&set, path), &wanted, "{path}");
    }
    assert_eq!(
        at(&set, "/spec/volumeClaimTemplates/0/metadata/ownerReferences"),
        &Value::Null,
        "claims outlive their cluster"
    );
}

#[test]
fn replicas_zero_is_written_not_left_out() {
    let zero = members(&orders(json!({})), 0, &BTreeMap::new()).unwrap();
    assert_eq!(at(&zero.body, "/spec/replicas"), &json!(0));
}

#[test]
fn the_same_spec_gives_the_same_digest_and_another_one_another() {
    let digest = |spec, replicas| members(&orders(spec), replicas, &BTreeMap::new()).unwrap().digest;
    assert_eq!(digest(json!({}), 3), digest(json!({}), 3));
    assert_ne!(digest(json!({}), 3), digest(json!({}), 0));
    assert_ne!(
        digest(json!({}), 3),
        digest(json!({ "config": { "jet": { "instance": { "cooperative-thread-count": 2 } } } }), 3)
    );
    let names: Vec<_> = companions(&orders(json!({})), Budget::Closed)
        .unwrap()
        .into_iter()
        .map(|o| format!("{}/{}", o.api.kind, o.name))
        .collect();
    assert_eq!(
        names,
        [
            "ServiceAccount/orders-members",
            "ConfigMap/orders-config",
            "Service/orders-members",
            "Service/orders",
            "NetworkPolicy/orders-members",
            "PodDisruptionBudget/orders"
        ]
    );
}

#[test]
fn an_overlay_adds_and_never_takes_away() {
    let overlay = json!({ "podTemplate": {
        "metadata": { "annotations": { "team": "x" } },
        "spec": {
            "nodeSelector": { "disk": "fast" },
            "containers": [
                { "name": "sidecar", "image": "s" },
                { "name": "member", "env": [{ "name": "EXTRA", "value": "1" }],
                  "volumeMounts": [{ "name": "flights", "mountPath": "/flights", "readOnly": true }] },
            ],
            "volumes": [{ "name": "flights", "persistentVolumeClaim": { "claimName": "flights" } }],
        },
    } });
    let cluster = orders(overlay);
    assert_eq!(overlay::refusals(cluster.spec.pod_template.as_ref().unwrap()), Vec::<String>::new());
    let set = set(&cluster);
    let spec = at(&set, "/spec/template/spec");
    assert_eq!(spec["containers"][0]["name"], "member");
    assert_eq!(spec["containers"][1]["name"], "sidecar");
    assert_eq!(spec["nodeSelector"]["disk"], "fast");
    let names = |list: &Value| {
        list.as_array().unwrap().iter().map(|v| v["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&spec["volumes"]), ["flights", "config", "tls", "tmp"]);
    assert_eq!(names(&spec["containers"][0]["volumeMounts"]), ["flights", "data", "config", "tls", "tmp"]);
    assert!(names(&spec["containers"][0]["env"]).contains(&"EXTRA".to_owned()));
    assert_eq!(at(&set, "/spec/template/metadata/annotations/team"), "x");
    assert!(at(&set, "/spec/template/metadata/annotations/jet.lossless.dev~1config").is_string());
}

#[test]
fn what_would_undo_the_promise_is_refused_by_name() {
    for (overlay, word) in [
        (json!({ "spec": { "terminationGracePeriodSeconds": 1 } }), "gracePeriodSeconds"),
        (json!({ "spec": { "serviceAccountName": "root" } }), "serviceAccountName"),
        (json!({ "spec": { "containers": [{ "name": "member", "image": "x" }] } }), "spec.image"),
        (
            json!({ "spec": { "containers": [{ "name": "member", "volumeMounts": [{ "name": "v", "mountPath": "/data/recovery" }] }] } }),
            "/data/recovery",
        ),
        (json!({ "spec": { "volumes": [{ "name": "data", "emptyDir": {} }] } }), "data"),
        (json!({ "metadata": { "labels": { "app.kubernetes.io/instance": "y" } } }), "app.kubernetes.io/instance"),
        (json!({ "template": {} }), "template"),
    ] {
        let refusals = overlay::refusals(&overlay);
        assert!(refusals.len() == 1 && refusals[0].contains(word), "{overlay}: {refusals:?}");
    }
    for (config, word) in [
        (json!({ "hazelcast": { "hot-restart-persistence": { "base-dir": "/tmp" } } }), "spec.hotRestart"),
        (json!({ "hazelcast": { "cluster-name": "x" } }), "metadata.name"),
        (json!({ "hazelcast": { "network": { "join": {} } } }), "network.join"),
        (json!({ "hazelcast": { "properties": { "hazelcast.partition.count": 7 } } }), "spec.partitionCount"),
        (json!({ "jet": { "instance": { "lossless-restart-enabled": false } } }), "spec.losslessRestart"),
    ] {
        let refusals = config::refusals(&orders(json!({ "config": config.clone() })));
        assert!(refusals.len() == 1 && refusals[0].contains(word), "{config}: {refusals:?}");
    }
}

#[test]
fn the_overlay_that_is_no_template_is_an_error_and_no_panic() {
    let cluster = orders(json!({ "podTemplate": { "spec": { "nodeSelector": 7 } } }));
    assert!(matches!(members(&cluster, 1, &BTreeMap::new()), Err(DesiredError::Overlay { .. })));
}

#[test]
fn the_configuration_holds_the_documented_keys() {
    let cluster = orders(
        json!({ "config": { "hazelcast": { "map": { "prices": { "hot-restart": { "enabled": true, "fsync": false } } } } } }),
    );
    let data = config::config_map(&cluster).unwrap().data.unwrap();
    let read = |file: &str| serde_norway::from_str::<Value>(&data[file]).unwrap();
    let grid = read(config::HAZELCAST);
    for (path, wanted) in [
        ("/hazelcast/cluster-name", json!("orders")),
        ("/hazelcast/hot-restart-persistence/base-dir", json!("/data/recovery")),
        ("/hazelcast/properties/hazelcast.partition.count", json!(271)),
        ("/hazelcast/map/prices/hot-restart/fsync", json!(false)),
        ("/hazelcast/map/default", Value::Null),
        ("/hazelcast/network/join/tcp-ip/member-list", json!(["orders-members.prod.svc"])),
    ] {
        assert_eq!(at(&grid, path), &wanted, "{path}");
    }
    assert_eq!(at(&read(config::JET), "/hazelcast-jet/instance/lossless-restart-enabled"), &json!(true));
}

#[test]
fn keys_are_mounted_and_named_as_the_spec_says() {
    let with = |encryption: Value| orders(json!({ "hotRestart": { "encryption": encryption } }));
    let grid = |cluster: &JetCluster| {
        let data = config::config_map(cluster).unwrap().data.unwrap();
        let grid = serde_norway::from_str::<Value>(&data[config::HAZELCAST]).unwrap();
        at(&grid, "/hazelcast/hot-restart-persistence/encryption-at-rest").clone()
    };
    let on = with(json!({ "keysSecretName": "volume-keys", "currentKey": "k2" }));
    let directory = json!({ "path": "/etc/jet/keys", "current-key": "k2" });
    assert_eq!(grid(&on), json!({ "enabled": true, "secure-store": { "directory": directory } }));
    let only_read = with(json!({ "keysSecretName": "volume-keys" }));
    let directory = json!({ "path": "/etc/jet/keys" });
    assert_eq!(grid(&only_read), json!({ "enabled": false, "secure-store": { "directory": directory } }));
    for cluster in [on, only_read] {
        let set = set(&cluster);
        let pod = at(&set, "/spec/template/spec");
        let volumes = pod["volumes"].as_array().unwrap();
        let keys = volumes.iter().find(|volume| volume["name"] == "encryption-keys").unwrap();
        assert_eq!(keys["secret"], json!({ "secretName": "volume-keys", "defaultMode": 0o440 }));
        let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
        let mount = mounts.iter().find(|mount| mount["name"] == "encryption-keys").unwrap();
        assert_eq!((&mount["mountPath"], &mount["readOnly"]), (&json!("/etc/jet/keys"), &json!(true)));
    }
    assert_eq!(grid(&orders(json!({}))), Value::Null);
}

#[test]
fn fsync_of_the_cluster_is_that_of_every_map_without_its_own() {
    let own = json!({ "hazelcast": { "map": { "prices": { "hot-restart": { "fsync": false } } } } });
    let cluster = orders(json!({ "hotRestart": { "fsync": true }, "config": own }));
    let data = config::config_map(&cluster).unwrap().data.unwrap();
    let grid = serde_norway::from_str::<Value>(&data[config::HAZELCAST]).unwrap();
    assert_eq!(at(&grid, "/hazelcast/map/default/hot-restart"), &json!({ "enabled": true, "fsync": true }));
    assert_eq!(at(&grid, "/hazelcast/map/prices/hot-restart/fsync"), &json!(false));
}

#[test]
fn the_budget_lets_broken_members_go_only_when_everything_is_backed_up() {
    let budget =
        |budget| serde_json::to_value(budget::disruption_budget(&orders(json!({})), budget)).unwrap()["spec"].clone();
    assert_eq!(
        (
            budget(Budget::Closed)["maxUnavailable"].clone(),
            budget(Budget::Closed)["unhealthyPodEvictionPolicy"].clone()
        ),
        (json!(0), json!("IfHealthyBudget"))
    );
    assert_eq!(
        (budget(Budget::One)["maxUnavailable"].clone(), budget(Budget::One)["unhealthyPodEvictionPolicy"].clone()),
        (json!(1), json!("AlwaysAllow"))
    );
}

#[test]
fn foreign_namespaces_reach_neither_the_admin_nor_the_member_port() {
    let policy = serde_json::to_value(network::policy(&orders(json!({})))).unwrap();
    for rule in policy["spec"]["ingress"].as_array().unwrap() {
        let port = rule["ports"][0]["port"].as_i64().unwrap();
        let from = rule.get("from").and_then(Value::as_array);
        match port {
            8080 => assert!(from.is_none()),
            _ => assert!(from.unwrap().iter().all(|peer| {
                peer.get("namespaceSelector").is_none()
                    || peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == "jet-operator"
            })),
        }
    }
}

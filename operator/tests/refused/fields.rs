//! Fields, as kubectl and the API server refuse them: some in Kubernetes' own words, which are not ours to choose.
//!
//! Law: a refused object is not made, a refused change not begun. Must not know: policies.

use jet_pages::Table;
use kube::Client;
use serde_json::{Value, json};

use super::{exit, version};
use crate::server::Server;

/// A good one; `spec` is laid over it, `null` takes a field away.
fn cluster(name: &str, spec: &Value) -> Value {
    let mut whole = json!({ "size": 3, "version": "0.1.0", "image": "x/jet-member:0.1.0" });
    let fields = whole.as_object_mut().unwrap();
    for (field, value) in spec.as_object().unwrap() {
        fields.insert(field.clone(), value.clone());
    }
    fields.retain(|_, value| !value.is_null());
    json!({ "apiVersion": "jet.lossless.dev/v1alpha1", "kind": "JetCluster", "metadata": { "name": name, "namespace": "prod" },
        "spec": whole })
}

fn refused_to_make(server: &Server, table: &mut Table, given: &str, object: &Value, must: &[&str]) {
    let (code, said) = server.kubectl_ends(&["create", "-f", "-"], &object.to_string());
    table.saw(given, exit(code), &said, must);
}

/// Of this kind there are only these.
fn only(server: &Server, kind: &str, names: &str) {
    let (_, found) = server.kubectl(&["get", "--namespace=prod", kind, "-o", "jsonpath={.items[*].metadata.name}"], "");
    assert_eq!(found, names, "something that was refused was made");
}

fn refused_to_change(server: &Server, table: &mut Table, what: [&str; 2], given: &str, must: &[&str]) {
    let patch = json!({ "spec": serde_json::from_str::<Value>(given).unwrap() }).to_string();
    let (code, said) =
        server.kubectl_ends(&["--namespace=prod", "patch", what[0], what[1], "--type=merge", "-p", &patch], "");
    table.saw(&format!("later: {given}"), exit(code), &said, must);
}

/// Of a JetCluster.
pub async fn clusters(server: &Server, client: &Client) -> Table {
    let mut table = Table::of("JetCluster");
    for (given, must) in made() {
        let spec: Value = serde_json::from_str(given).unwrap();
        refused_to_make(server, &mut table, given, &cluster("mistaken", &spec), must);
    }
    let long = "o".repeat(53);
    table.mask(&long, "<53 characters>");
    let must = ["longer than 52 characters", "choose a shorter one"];
    refused_to_make(server, &mut table, &format!("metadata.name: {long}"), &cluster(&long, &json!({})), &must);

    only(server, "jetclusters", "orders");

    let before = version(client).await;
    for (given, must) in changed() {
        refused_to_change(server, &mut table, ["jetcluster", "orders"], given, must);
    }
    assert_eq!(version(client).await, before, "a refused change was made");
    while_an_operation_is_under_way(server, &mut table);
    table
}

type Rows = &'static [(&'static str, &'static [&'static str])];

/// Given to a new one.
fn made() -> Rows {
    &[
        (r#"{"sise": 5}"#, &[r#"unknown field "spec.sise""#]),
        (r#"{"size": null}"#, &["spec.size", "Required value"]),
        (r#"{"size": "three"}"#, &["spec.size", "must be of type integer"]),
        (r#"{"size": 0}"#, &["spec.size", "set spec.state to Stopped"]),
        (r#"{"size": 6}"#, &["spec.size", "at most 5"]),
        (r#"{"state": "stoped"}"#, &["spec.state", r#"supported values: "Running", "Stopped""#]),
        (r#"{"version": "latest"}"#, &["spec.version", "for example 0.1.0"]),
        (r#"{"image": ""}"#, &["spec.image", "for example registry.example/jet-member:0.1.0"]),
        (r#"{"image": "x/jet-member: 0.1.0"}"#, &["spec.image", "without blanks"]),
        (r#"{"imagePullPolicy": "always"}"#, &["spec.imagePullPolicy", "Always, IfNotPresent or Never"]),
        (r#"{"storage": {"size": "10 GB"}}"#, &["spec.storage.size", "for example 10Gi"]),
        (r#"{"storage": {"size": "0"}}"#, &["spec.storage.size", "above 0"]),
        (r#"{"resources": {"limits": {"memory": "2GB"}}}"#, &["spec.resources.limits", "memory: 2Gi"]),
        (r#"{"backupCount": 3}"#, &["backupCount", "raise size"]),
        (r#"{"backupCount": 7, "size": 5}"#, &["spec.backupCount", "less than or equal to 6"]),
        (r#"{"partitionCount": 0}"#, &["spec.partitionCount", "greater than or equal to 1"]),
        (r#"{"hotRestart": {"fsync": "on"}}"#, &["spec.hotRestart.fsync", "must be of type boolean"]),
        (r#"{"hotRestart": {"parallelism": 2}}"#, &["spec.hotRestart.parallelism", "set it to 1"]),
        (
            r#"{"hotRestart": {"encryption": {"currentKey": "k1"}}}"#,
            &["spec.hotRestart.encryption.keysSecretName", "Required value"],
        ),
        (
            r#"{"hotRestart": {"encryption": {"keysSecretName": "volume-keys", "currentKey": ".k1"}}}"#,
            &["spec.hotRestart.encryption.currentKey", "name of an entry of the Secret"],
        ),
        (
            r#"{"hotRestart": {"validationTimeoutSeconds": "10 minutes"}}"#,
            &["spec.hotRestart.validationTimeoutSeconds", "must be of type integer"],
        ),
        (
            r#"{"maintenance": {"gracePeriodSeconds": 5}}"#,
            &["spec.maintenance.gracePeriodSeconds", "greater than or equal to 30"],
        ),
        (r#"{"tls": {"issuer": "operator"}}"#, &["spec.tls.issuer", r#"supported values: "Operator", "Provided""#]),
        (r#"{"config": {"hazelcast": "map: {}"}}"#, &["spec.config.hazelcast", "must be of type object"]),
    ]
}

/// Given to one that is there.
fn changed() -> Rows {
    &[
        (r#"{"partitionCount": 7}"#, &["spec.partitionCount", "make a new cluster and copy the data"]),
        (
            r#"{"hotRestart": {"encryption": {"keysSecretName": "volume-keys", "currentKey": "the key"}}}"#,
            &["spec.hotRestart.encryption.currentKey", "name of an entry of the Secret"],
        ),
        (
            r#"{"hotRestart": {"encryption": {"keysSecretName": "volume-keys", "currentKey": ""}}}"#,
            &["spec.hotRestart.encryption.currentKey", "at least 1 chars long"],
        ),
        (r#"{"storage": {"size": "1Gi"}}"#, &["spec.storage.size", "set it back"]),
        (r#"{"storage": {"size": "20Gi"}}"#, &["spec.storage.size", "enlarge the claims themselves"]),
        (r#"{"storage": {"storageClassName": "fast"}}"#, &["spec.storage", "make a new cluster and copy the data"]),
    ]
}

fn while_an_operation_is_under_way(server: &Server, table: &mut Table) {
    let status = |operation: Value| {
        let patch = json!({ "status": { "operation": operation } }).to_string();
        let arguments =
            ["--namespace=prod", "patch", "jet", "orders", "--subresource=status", "--type=merge", "-p", &patch];
        let (good, said) = server.kubectl(&arguments, "");
        assert!(good, "{said}");
    };
    status(json!({ "id": "1-a", "kind": "Stop", "step": "Fenced", "stepNumber": 3, "requestedBy": "x",
        "acceptedAt": "2026-01-01T00:00:00Z" }));
    for given in [r#"{"size": 5}"#, r#"{"backupCount": 0}"#] {
        let must = ["is frozen while an operation is under way", "jet.lossless.dev/abort=<operation id>"];
        refused_to_change(server, table, ["jetcluster", "orders"], given, &must);
    }
    status(Value::Null);
}

fn job(name: &str, spec: &Value) -> Value {
    let mut whole = json!({ "cluster": "orders", "sql": "CREATE JOB a AS INSERT INTO b SELECT 1" });
    let fields = whole.as_object_mut().unwrap();
    fields.extend(spec.as_object().unwrap().clone());
    fields.retain(|_, value| !value.is_null());
    json!({ "apiVersion": "jet.lossless.dev/v1alpha1", "kind": "JetJob", "metadata": { "name": name, "namespace": "prod" },
        "spec": whole })
}

/// Of a JetJob.
pub fn jobs(server: &Server) -> Table {
    let mut table = Table::of("JetJob");
    let rows: Rows = &[
        (r#"{"sql": null}"#, &["spec.sql", "Required value"]),
        (r#"{"sql": ""}"#, &["spec.sql", "at least 1 chars long"]),
        (r#"{"state": "Paused"}"#, &["spec.state", r#"supported values: "Running", "Suspended""#]),
        (r#"{"snapshotIntervalMillis": "1s"}"#, &["spec.snapshotIntervalMillis", "must be of type integer"]),
        (r#"{"snapshotIntervalMillis": 10}"#, &["spec.snapshotIntervalMillis", "greater than or equal to 50"]),
    ];
    for (given, must) in rows {
        refused_to_make(server, &mut table, given, &job("mistaken", &serde_json::from_str(given).unwrap()), must);
    }
    let long = "o".repeat(64);
    table.mask(&long, "<64 characters>");
    let must = ["longer than 63 characters", "choose a shorter one"];
    refused_to_make(server, &mut table, &format!("metadata.name: {long}"), &job(&long, &json!({})), &must);

    only(server, "jetjobs", "");
    let (good, said) = server.kubectl(&["create", "-f", "-"], &job("kept", &json!({})).to_string());
    assert!(good, "{said}");
    let rows: Rows = &[
        (
            r#"{"sql": "CREATE JOB a AS INSERT INTO b SELECT 2"}"#,
            &["spec.sql", "make another JetJob under another name"],
        ),
        (r#"{"cluster": "other"}"#, &["spec.cluster", "make another JetJob"]),
    ];
    for (given, must) in rows {
        refused_to_change(server, &mut table, ["jetjob", "kept"], given, must);
    }
    let (good, said) = server.kubectl(&["--namespace=prod", "delete", "jetjob", "kept"], "");
    assert!(good, "{said}");
    table
}

//! What no schema can say: the operator says it in a condition, and makes nothing of such a cluster.
//!
//! Law: passes of the real operator over the real API server; no member is there. Must not know: policies.

use async_trait::async_trait;
use jet_admin_api::client::CallError;
use jet_admin_api::member::MemberView;
use jet_operator::api::JetCluster;
use jet_operator::cluster::apply::Kube;
use jet_operator::cluster::pass;
use jet_operator::members::{Command, Door, Members};
use jet_pages::Table;
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::events::{Recorder, Reporter};
use kube::{Api, Client};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::server::Server;

/// Passes until a condition must be there.
const PASSES: u64 = 8;
/// Who writes annotations past the policies: what the operator does when they are not installed.
const OPERATOR: &str = "--as=system:serviceaccount:jet-system:jet-operator";

struct Nobody;

#[async_trait]
impl Members for Nobody {
    async fn look(&self, door: &Door) -> Result<MemberView, CallError> {
        panic!("a member was looked for: {door:?}");
    }

    async fn command(&self, door: &Door, command: &Command) -> Result<String, CallError> {
        panic!("{door:?} was told to {}", command.name());
    }

    async fn hint(&self, door: &Door, _: &[Door]) {
        panic!("{door:?} was told of others");
    }
}

const ROWS: &[(&str, &[&str])] = &[
    (r#"{"config": {"hazelcast": {"cluster-name": "sales"}}}"#, &["cluster-name", "use metadata.name"]),
    (
        r#"{"config": {"hazelcast": {"properties": {"hazelcast.partition.count": 7}}}}"#,
        &["hazelcast.partition.count", "use spec.partitionCount"],
    ),
    (r#"{"config": {"hazelcast": {"network": {"port": 5711}}}}"#, &["network.port", "ports are fixed"]),
    (r#"{"config": {"jet": {"instance": {"backup-count": 2}}}}"#, &["instance.backup-count", "use spec.backupCount"]),
    (
        r#"{"config": {"hazelcast": {"map": {"*": {"hot-restart": {"fsync": false}}}}}, "hotRestart": {"fsync": true}}"#,
        &["map.*.hot-restart.fsync", "leave out one of them"],
    ),
    (r#"{"podTemplate": {"sepc": {}}}"#, &["spec.podTemplate.sepc", "it has metadata"]),
    (
        r#"{"podTemplate": {"spec": {"terminationGracePeriodSeconds": 5}}}"#,
        &["terminationGracePeriodSeconds", "use spec.maintenance.gracePeriodSeconds"],
    ),
    (
        r#"{"podTemplate": {"spec": {"containers": [{"name": "member", "image": "mine"}]}}}"#,
        &["containers[member].image", "use spec.image"],
    ),
];

/// Every spec that only the operator refuses, and a word that it does not know.
pub async fn judged(server: &Server, client: &Client) -> Table {
    let mut table = Table::of("operator");
    let clusters: Api<JetCluster> = Api::namespaced(client.clone(), "prod");
    let plain = json!({ "apiVersion": "jet.lossless.dev/v1alpha1", "kind": "JetCluster", "metadata": { "name": "judged" },
        "spec": { "size": 3, "version": "0.1.0", "image": "x/jet-member:0.1.0", "config": { "jet": {} } } });
    clusters.create(&PostParams::default(), &serde_json::from_value(plain).unwrap()).await.unwrap();
    for (given, must) in ROWS {
        let spec: Value = serde_json::from_str(given).unwrap();
        // A merge adds to what is there: what the row before gave goes first.
        for spec in [json!({ "config": null, "hotRestart": null, "podTemplate": null }), spec] {
            let patch = Patch::Merge(json!({ "spec": spec }));
            clusters.patch("judged", &PatchParams::default(), &patch).await.unwrap();
        }
        let said = condition(client, &clusters, "InvalidSpec").await;
        table.saw(given, "condition Stalled, InvalidSpec", &said, must);
    }
    let typo = "jet.lossless.dev/maintenance=shutdwon";
    let (good, said) = server.kubectl(&["--namespace=prod", "annotate", OPERATOR, "jetcluster", "judged", typo], "");
    assert!(good, "{said}");
    let said = condition(client, &clusters, "InvalidRequest").await;
    let must = ["shutdwon", "jet.lossless.dev/maintenance", "or the annotation is removed"];
    table.saw(&format!("{typo}, without the policies"), "condition Stalled, InvalidRequest", &said, &must);
    let sets: Api<StatefulSet> = Api::namespaced(client.clone(), "prod");
    assert!(sets.get_opt("judged").await.unwrap().is_none(), "members were made of a refused spec");
    table
}

/// The message of `Stalled` with this reason over the newest generation, once a pass has written it.
async fn condition(client: &Client, clusters: &Api<JetCluster>, reason: &str) -> String {
    let reporter = Reporter { controller: "jet-operator".into(), instance: None };
    let kube = Kube::new(client.clone(), Recorder::new(client.clone(), reporter), "prod", "judged");
    let mut last = Value::Null;
    for n in 0..PASSES {
        pass(&kube, &Nobody, 1_700_000_000, Uuid::from_u128(u128::from(n) + 1)).await.unwrap();
        let object = clusters.get("judged").await.unwrap();
        last = serde_json::to_value(&object.status).unwrap();
        let mut conditions = last["conditions"].as_array().into_iter().flatten();
        let found = conditions.find(|c| {
            c["type"] == "Stalled"
                && c["status"] == "True"
                && c["reason"] == reason
                && c["observedGeneration"] == json!(object.metadata.generation)
        });
        if let Some(found) = found {
            return found["message"].as_str().unwrap().to_owned();
        }
    }
    panic!("no condition Stalled with {reason} after {PASSES} passes: {last:#}");
}

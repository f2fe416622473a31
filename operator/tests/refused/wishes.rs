//! Annotations that ask for something, and objects that only the operator changes: the chart's admission policies.
//!
//! Law: the policies are in force (the test before has waited for them), and the user `dev` may edit and nothing more.
//! Must not know: the operator.

use jet_pages::Table;
use kube::Client;
use serde_json::json;

use super::{exit, version};
use crate::server::Server;

type Row<'a> = (&'a str, &'a [&'a str]);

const ON_THE_CLUSTER: &[Row<'static>] = &[
    (
        "annotate jetcluster orders jet.lossless.dev/maintenance=shutdwon",
        &["jet.lossless.dev/maintenance", "one value: shutdown"],
    ),
    (
        "annotate jetcluster orders jet.lossless.dev/maintenance=",
        &["jet.lossless.dev/maintenance", "remove the annotation"],
    ),
    ("annotate jetcluster orders jet.lossless.dev/pause=yes", &["jet.lossless.dev/pause", "one value: true"]),
    ("annotate jetcluster orders jet.lossless.dev/delete=true", &["jet.lossless.dev/delete", "one value: abandon"]),
    (
        "annotate jetcluster orders jet.lossless.dev/restart=monday,again",
        &["jet.lossless.dev/restart", "letters, digits"],
    ),
    ("annotate jetcluster orders jet.lossless.dev/abort=", &["abort", "1 to 128 characters"]),
    (
        "annotate --as=dev jetcluster orders jet.lossless.dev/maintenance=shutdown",
        &["jetclusters/maintenance", "jet-system-jet-operator-edit"],
    ),
    (
        "annotate --as=dev jetcluster orders jet.lossless.dev/accept-data-loss=abc",
        &["jetclusters/consent", "jet-system-jet-operator-consent"],
    ),
];

const ON_WHAT_IS_THE_OPERATORS: &[Row<'static>] = &[
    ("delete pvc data-orders-1 --wait=false", &["sealed state of a stopped Jet cluster", "jet.lossless.dev/release="]),
    ("delete configmap orders-seal-5", &["sealed state of a stopped Jet cluster", "jet.lossless.dev/release="]),
    (
        "annotate --overwrite pvc data-orders-1 jet.lossless.dev/store=mine",
        &["jet.lossless.dev/store", "leave it as it is"],
    ),
    ("delete statefulset orders --wait=false", &["Jet cluster", "jet.lossless.dev/maintenance=shutdown"]),
    (
        "scale statefulset orders --replicas=0",
        &["replicas of this StatefulSet", "jet.lossless.dev/maintenance=shutdown"],
    ),
    (
        "annotate statefulset orders jet.lossless.dev/operation=mine",
        &["jet.lossless.dev/operation", "leave them as they are"],
    ),
];

/// Every wish that is refused.
pub async fn asked(server: &Server, client: &Client) -> Table {
    let mut table = Table::of("annotations");
    let sealed = json!({ "apiVersion": "v1", "kind": "List", "items": [
        { "apiVersion": "v1", "kind": "PersistentVolumeClaim",
          "metadata": { "name": "data-orders-1", "namespace": "prod", "labels": { "jet.lossless.dev/cluster": "orders" },
            "annotations": { "jet.lossless.dev/store": r#"{"member":"m","seal":"0123456789abcdef0123"}"# } },
          "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } } },
        { "apiVersion": "v1", "kind": "ConfigMap",
          "metadata": { "name": "orders-seal-5", "namespace": "prod",
            "labels": { "jet.lossless.dev/cluster": "orders", "jet.lossless.dev/evidence": "seal" } },
          "data": { "record.json": r#"{"digest":"0123456789abcdef0123"}"# } },
    ] });
    let (good, said) = server.kubectl(&["create", "-f", "-"], &sealed.to_string());
    assert!(good, "{said}");
    let before = (version(client).await, theirs(server));
    for (command, must) in ON_THE_CLUSTER.iter().chain(ON_WHAT_IS_THE_OPERATORS) {
        let arguments: Vec<&str> = ["--namespace=prod"].into_iter().chain(command.split(' ')).collect();
        let (code, said) = server.kubectl_ends(&arguments, "");
        table.saw(&format!("kubectl {command}"), exit(code), &said, must);
    }
    assert_eq!((version(client).await, theirs(server)), before, "something that was refused was done");
    table
}

/// Versions of the objects that only the operator changes.
fn theirs(server: &Server) -> String {
    let objects = ["pvc/data-orders-1", "configmap/orders-seal-5", "statefulset/orders"];
    let get = ["--namespace=prod", "get", "-o", "jsonpath={.items[*].metadata.resourceVersion}"];
    let (good, said) = server.kubectl(&[&get[..], &objects].concat(), "");
    assert!(good, "{said}");
    said
}

//! `kubectl jet status`: one JetCluster in a person's words, live while an operation runs.
//!
//! Law: everything comes from the object's status, nothing is guessed; a field that is absent is left out. Must not
//! know: the operator's types (fields are read by name, so an older plugin shows a newer status).

use std::fmt::Write;

use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::{Client, ResourceExt};
use serde_json::Value;

use crate::columns::aligned;

/// Steps of a stop and a return, as the status counts them.
const LAST_STOP_STEP: u64 = 9;
const LAST_STEP: u64 = 15;

/// The JetClusters of `namespace` (default: the context's).
pub fn jetclusters(client: Client, namespace: Option<&str>) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("jet.lossless.dev", "v1alpha1", "JetCluster"));
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::default_namespaced_with(client, &resource),
    }
}

/// What a person wants to know about one cluster.
pub fn describe(object: &DynamicObject) -> String {
    let status = object.data.get("status").unwrap_or(&Value::Null);
    let mut text =
        format!("{}  {}\n", object.name_any(), words(status, "/phase").unwrap_or("not seen by the operator yet"));
    operation(&mut text, status);
    for blocker in list(status, "/blockers") {
        let field = |name: &str| blocker.get(name).and_then(Value::as_str).unwrap_or_default();
        let _ = writeln!(text, "  ! {}: {} {}", field("object"), field("reason"), field("message"));
        if let Some(command) = blocker.get("command").and_then(Value::as_str) {
            let _ = writeln!(text, "    try: {command}");
        }
    }
    let conditions: Vec<Vec<String>> = list(status, "/conditions")
        .iter()
        .map(|condition| {
            ["type", "status", "reason", "message"]
                .iter()
                .map(|f| condition.get(*f).and_then(Value::as_str).unwrap_or_default().into())
                .collect()
        })
        .collect();
    if !conditions.is_empty() {
        text += "\n";
        text += &aligned(&["CONDITION", "STATUS", "REASON", "MESSAGE"], &conditions);
    }
    text
}

/// Whether the cluster is in the middle of something, so that a watcher should stay.
pub fn busy(object: &DynamicObject) -> bool {
    object.data.pointer("/status/operation/step").is_some()
        && object.data.pointer("/status/conditions").and_then(Value::as_array).is_some_and(|conditions| {
            conditions.iter().any(|c| {
                c.get("type").and_then(Value::as_str) == Some("Reconciling")
                    && c.get("status").and_then(Value::as_str) == Some("True")
            })
        })
}

fn operation(text: &mut String, status: &Value) {
    let Some(operation) = status.pointer("/operation").filter(|o| !o.is_null()) else { return };
    let step = operation.get("stepNumber").or_else(|| operation.get("number")).and_then(Value::as_u64);
    let name =
        operation.get("step").map(|s| s.as_str().map_or_else(|| s.to_string(), str::to_owned)).unwrap_or_default();
    let id = operation.get("id").and_then(Value::as_str).unwrap_or_default();
    let kind = operation.get("kind").and_then(Value::as_str).unwrap_or("operation");
    let _ = write!(text, "  {kind} {id}: {name}");
    if let Some(step) = step {
        let (done, of) = if step <= LAST_STOP_STEP {
            (step, LAST_STOP_STEP)
        } else {
            (step - LAST_STOP_STEP, LAST_STEP - LAST_STOP_STEP)
        };
        let _ = write!(text, "  [{}{}] {done}/{of}", "#".repeat(done as usize), ".".repeat((of - done) as usize));
    }
    text.push('\n');
    if let Some(progress) = operation.get("progress").and_then(Value::as_str).filter(|p| !p.is_empty()) {
        let _ = writeln!(text, "  {progress}");
    }
}

fn words<'a>(status: &'a Value, pointer: &str) -> Option<&'a str> {
    status.pointer(pointer).and_then(Value::as_str)
}

fn list<'a>(status: &'a Value, pointer: &str) -> &'a [Value] {
    status.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

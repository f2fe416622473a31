//! `kubectl jet status`: one JetCluster in a person's words, live while an operation runs.
//!
//! Law: everything comes from the object's status, but for how far stores are, which members that answer tell better;
//! nothing is guessed; a field that is absent is left out. Must not know: the operator's types (fields are read by
//! name, so an older plugin shows a newer status).

use std::collections::BTreeMap;
use std::fmt::Write;

use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::{Client, ResourceExt};
use serde_json::Value;

use crate::columns::aligned;
use crate::live::Live;

/// Steps of a stop and a return, as the status counts them.
const LAST_STOP_STEP: u64 = 9;
const LAST_STEP: u64 = 15;

/// Rows of a table at most; the status has the worst first.
const ROWS: usize = 12;

/// The JetClusters of `namespace` (default: the context's).
pub fn jetclusters(client: Client, namespace: Option<&str>) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("jet.lossless.dev", "v1alpha1", "JetCluster"));
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::default_namespaced_with(client, &resource),
    }
}

/// What a person wants to know about one cluster.
pub fn describe(object: &DynamicObject, live: &Live) -> String {
    let status = object.data.get("status").unwrap_or(&Value::Null);
    let mut text =
        format!("{}  {}\n", object.name_any(), words(status, "/phase").unwrap_or("not seen by the operator yet"));
    summary(&mut text, status);
    operation(&mut text, status);
    text += &far(object, live);
    for blocker in list(status, "/blockers") {
        let field = |name: &str| blocker.get(name).and_then(Value::as_str).unwrap_or_default();
        let _ = writeln!(text, "  ! {}: {} {}", field("object"), field("reason"), field("message"));
        if let Some(command) = blocker.get("command").and_then(Value::as_str) {
            let _ = writeln!(text, "    try: {command}");
        }
    }
    let sections = [
        (
            "/conditions",
            &["type", "status", "reason", "message"][..],
            &["CONDITION", "STATUS", "REASON", "MESSAGE"][..],
        ),
        (
            "/jobs/items",
            &["name", "status", "snapshot", "verdict", "cause"],
            &["JOB", "STATUS", "SNAPSHOT", "VERDICT", "CAUSE"],
        ),
    ];
    for (pointer, fields, header) in sections {
        let all = list(status, pointer);
        let rows: Vec<Vec<String>> = all.iter().take(ROWS).map(|row| cells(row, fields)).collect();
        if !rows.is_empty() {
            text += "\n";
            text += &aligned(header, &rows);
        }
        if all.len() > ROWS {
            let _ = writeln!(text, "… and {} more in status{}", all.len() - ROWS, pointer.replace('/', "."));
        }
    }
    text
}

fn cells(row: &Value, fields: &[&str]) -> Vec<String> {
    fields.iter().map(|field| row.get(*field).and_then(Value::as_str).unwrap_or_default().to_owned()).collect()
}

/// Members, state and jobs as far as they are known.
fn summary(text: &mut String, status: &Value) {
    let known = [("members", "/members"), ("state", "/clusterState"), ("jobs", "/jobs/summary")];
    let known: Vec<String> =
        known.iter().filter_map(|(name, pointer)| Some(format!("{name} {}", words(status, pointer)?))).collect();
    if !known.is_empty() {
        let _ = writeln!(text, "  {}", known.join("   "));
    }
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
    // Steps outside the protocol have the number 0.
    let step = operation.get("stepNumber").and_then(Value::as_u64).filter(|step| *step > 0);
    let name =
        operation.get("step").map(|s| s.as_str().map_or_else(|| s.to_string(), str::to_owned)).unwrap_or_default();
    let id = operation.get("id").and_then(Value::as_str).unwrap_or_default();
    let kind = operation.get("kind").and_then(Value::as_str).unwrap_or("operation");
    let returns = step.is_some_and(|step| step > LAST_STOP_STEP);
    let _ = write!(text, "  {} {id}: {name}", if returns { "return from" } else { kind });
    if let Some(step) = step {
        let (done, of) = match returns {
            true => (step.min(LAST_STEP) - LAST_STOP_STEP, LAST_STEP - LAST_STOP_STEP),
            false => (step, LAST_STOP_STEP),
        };
        let _ = write!(text, "  [{}{}] {done}/{of}", "#".repeat(done as usize), ".".repeat((of - done) as usize));
    }
    text.push('\n');
    if let Some(waits) = operation.get("waitingFor").and_then(Value::as_str).filter(|waits| !waits.is_empty()) {
        let _ = writeln!(text, "  waits for: {waits}");
    }
}

/// A line for each member that saves or loads: as it is now, of those that answered, else as it was when the status was
/// written.
pub fn far(object: &DynamicObject, live: &Live) -> String {
    let status = object.data.get("status").unwrap_or(&Value::Null);
    let told = list(status, "/progress/members").iter();
    let mut all: BTreeMap<&str, &str> =
        told.filter_map(|member| Some((words(member, "/pod")?, words(member, "/message")?))).collect();
    for (pod, now) in live {
        match now {
            Some(now) => all.insert(pod, now),
            None => all.remove(pod.as_str()),
        };
    }
    let mut text = String::new();
    for (pod, message) in all.iter().take(ROWS) {
        let _ = writeln!(text, "  {pod}: {message}");
    }
    if all.len() > ROWS {
        let _ = writeln!(text, "  … and {} more in status.progress", all.len() - ROWS);
    }
    text
}

fn words<'a>(status: &'a Value, pointer: &str) -> Option<&'a str> {
    status.pointer(pointer).and_then(Value::as_str)
}

fn list<'a>(status: &'a Value, pointer: &str) -> &'a [Value] {
    status.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(status: Value) -> DynamicObject {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("jet.lossless.dev", "v1alpha1", "JetCluster"));
        let mut object = DynamicObject::new("orders", &resource);
        object.data = json!({ "status": status });
        object
    }

    fn described(status: Value) -> String {
        describe(&object(status), &Live::new())
    }

    #[test]
    fn what_it_waits_for_and_the_way_out_are_told() {
        let operation =
            |step: &str, number: u64| json!({ "id": "4-ab", "kind": "Stop", "step": step, "stepNumber": number });
        let mut stopped = operation("Stopped", 9);
        stopped["waitingFor"] = "the return: remove it".into();
        let text = described(json!({ "phase": "Stopped", "members": "0/3", "operation": stopped }));
        assert_eq!(
            text,
            "orders  Stopped\n  members 0/3\n  Stop 4-ab: Stopped  [#########] 9/9\n  waits for: the return: remove it\n"
        );
        let text = described(json!({ "phase": "Returning", "operation": operation("ScaledUp", 11) }));
        assert!(text.contains("return from 4-ab: ScaledUp  [##....] 2/6"), "{text}");
        let text = described(json!({ "phase": "RollingBack", "operation": operation("RollingBack", 0) }));
        assert!(text.contains("Stop 4-ab: RollingBack\n"), "no number, no bar: {text}");
        let newer = described(json!({ "operation": operation("Later", 99) }));
        assert!(newer.contains("[######] 6/6"), "an operator that knows more steps is still shown: {newer}");
        let blocker = json!({ "object": "pod/orders-2", "reason": "NodeUnavailable", "message": "gone", "command": "kubectl get node" });
        let text = described(json!({ "phase": "Held", "blockers": [blocker] }));
        assert!(text.contains("  ! pod/orders-2: NodeUnavailable gone\n    try: kubectl get node\n"), "{text}");
    }

    #[test]
    fn how_far_members_are_stands_under_the_step_that_waits_for_them() {
        let member = |n: usize| json!({ "pod": format!("orders-{n}"), "message": "sealing, 3.1 of 8.0 GiB read back" });
        let operation = json!({ "id": "4-ab", "kind": "Stop", "step": "Sealed", "stepNumber": 6 });
        let text = described(json!({ "operation": operation, "progress": { "members": [member(1), member(2)] } }));
        let lines = "\n  orders-1: sealing, 3.1 of 8.0 GiB read back\n  orders-2: sealing, 3.1 of 8.0 GiB read back\n";
        assert!(text.ends_with(&format!("Stop 4-ab: Sealed  [######...] 6/9{lines}")), "{text}");
        let status = json!({ "progress": { "members": [member(1), member(2)] } });
        let live = [("orders-0", Some("loading")), ("orders-1", Some("sealing, 4.0 of 8.0 GiB")), ("orders-2", None)];
        let live = live.map(|(pod, now)| (pod.to_owned(), now.map(String::from))).into_iter().collect();
        assert_eq!(
            far(&object(status), &live),
            "  orders-0: loading\n  orders-1: sealing, 4.0 of 8.0 GiB\n",
            "what is now"
        );
        let members: Vec<Value> = (0..ROWS + 2).map(member).collect();
        let text = described(json!({ "progress": { "members": members } }));
        assert!(text.ends_with("  … and 2 more in status.progress\n"), "{text}");
    }

    #[test]
    fn many_jobs_are_cut_and_said_to_be() {
        let items: Vec<Value> =
            (0..ROWS + 3).map(|n| json!({ "name": format!("j{n}"), "status": "Running" })).collect();
        let text = described(json!({ "jobs": { "items": items } }));
        assert!(text.ends_with("… and 3 more in status.jobs.items\n") && !text.contains("j12"), "{text}");
    }

    #[test]
    fn a_cluster_that_nobody_looked_at_says_so() {
        assert_eq!(described(Value::Null), "orders  not seen by the operator yet\n");
    }
}

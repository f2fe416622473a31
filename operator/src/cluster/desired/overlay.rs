//! The user's part of the pod template: merged first, ours last.
//!
//! Law: what would undo the promise is refused by name with the field to use instead, never silently overwritten.
//! Must not know: what our part of the template is.

use serde_json::{Map, Value};

use crate::api::names;

/// Lists of objects are merged by the first of these keys that all their items have.
const KEYS: [&str; 3] = ["mountPath", "name", "topologyKey"];

/// Fields of the pod that are ours, and what to use instead.
const OWNED_POD: [(&str, &str); 9] = [
    ("terminationGracePeriodSeconds", "spec.maintenance.gracePeriodSeconds"),
    ("serviceAccountName", "nothing: members have an account of their own without a token"),
    ("serviceAccount", "nothing: members have an account of their own without a token"),
    ("automountServiceAccountToken", "nothing: members have no token"),
    ("restartPolicy", "nothing: it is Always"),
    ("hostname", "nothing: a member's identity hangs on the pod's name"),
    ("subdomain", "nothing: a member's identity hangs on the pod's name"),
    ("hostNetwork", "nothing: members have fixed ports"),
    ("imagePullSecrets", "spec.imagePullSecrets"),
];
/// Fields of the member container that are ours, and what to use instead.
const OWNED_CONTAINER: [(&str, &str); 9] = [
    ("image", "spec.image"),
    ("imagePullPolicy", "spec.imagePullPolicy"),
    ("command", "spec.config"),
    ("args", "spec.config"),
    ("ports", "nothing: ports are fixed"),
    ("resources", "spec.resources"),
    ("livenessProbe", "nothing: it asks only the event loop"),
    ("readinessProbe", "nothing: the door decides it"),
    ("lifecycle", "nothing: the member handles SIGTERM"),
];
/// Volumes that are ours.
const OWNED_VOLUMES: [&str; 5] = [names::CLAIM_TEMPLATE, "config", "tls", "tmp", "encryption-keys"];

/// `over` laid over `under`: objects by field, lists of named objects by name, everything else replaced.
pub fn merge(under: &Value, over: &Value) -> Value {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            let mut out = under.clone();
            for (key, value) in over {
                let merged = under.get(key).map_or_else(|| value.clone(), |below| merge(below, value));
                out.insert(key.clone(), merged);
            }
            Value::Object(out)
        }
        (Value::Array(under), Value::Array(over)) => merge_lists(under, over),
        (_, over) => over.clone(),
    }
}

fn merge_lists(under: &[Value], over: &[Value]) -> Value {
    let all = || under.iter().chain(over);
    let Some(key) = KEYS.iter().find(|key| all().all(|item| item.get(**key).is_some_and(Value::is_string))) else {
        return Value::Array(over.to_vec());
    };
    let mut out = under.to_vec();
    for item in over {
        match out.iter_mut().find(|below| below.get(*key) == item.get(*key)) {
            Some(below) => *below = merge(below, item),
            None => out.push(item.clone()),
        }
    }
    Value::Array(out)
}

/// What in an overlay is refused, each with the way out.
pub fn refusals(overlay: &Value) -> Vec<String> {
    let mut out = Vec::new();
    let Some(overlay) = overlay.as_object() else {
        return vec!["spec.podTemplate is not an object".to_owned()];
    };
    for key in overlay.keys().filter(|key| !["metadata", "spec"].contains(&key.as_str())) {
        out.push(format!("spec.podTemplate.{key} is unknown; it has metadata (labels, annotations) and spec"));
    }
    refuse_metadata(overlay, &mut out);
    let empty = Map::new();
    let pod = overlay.get("spec").and_then(Value::as_object).unwrap_or(&empty);
    refuse_fields("spec.podTemplate.spec", pod, &OWNED_POD, &mut out);
    for container in items(pod, "containers").filter(|item| named(item, names::MEMBER_CONTAINER)) {
        if let Some(fields) = container.as_object() {
            refuse_fields("spec.podTemplate.spec.containers[member]", fields, &OWNED_CONTAINER, &mut out);
            refuse_mounts(fields, &mut out);
        }
    }
    for volume in items(pod, "volumes").filter(|item| OWNED_VOLUMES.iter().any(|name| named(item, name))) {
        out.push(format!(
            "spec.podTemplate.spec.volumes[{}]: the name is the operator's; choose another one",
            volume["name"]
        ));
    }
    out
}

fn refuse_metadata(overlay: &Map<String, Value>, out: &mut Vec<String>) {
    let labels = overlay.get("metadata").and_then(|metadata| metadata.get("labels")).and_then(Value::as_object);
    let ours = names::labels("x");
    for key in labels.into_iter().flat_map(Map::keys).filter(|key| ours.contains_key(*key)) {
        out.push(format!("spec.podTemplate.metadata.labels.{key}: the label is the operator's; choose another one"));
    }
}

fn refuse_fields(place: &str, fields: &Map<String, Value>, owned: &[(&str, &str)], out: &mut Vec<String>) {
    for (key, instead) in owned.iter().filter(|(key, _)| fields.contains_key(*key)) {
        out.push(format!("{place}.{key} is the operator's; use {instead}"));
    }
}

fn refuse_mounts(container: &Map<String, Value>, out: &mut Vec<String>) {
    for mount in items(container, "volumeMounts") {
        let path = mount.get("mountPath").and_then(Value::as_str).unwrap_or_default().trim_end_matches('/');
        let below = |root: &str| path == root || path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
        if [names::DATA_DIR, names::CONFIG_DIR].into_iter().any(below) {
            out.push(format!("spec.podTemplate.spec.containers[member].volumeMounts: {path} lies in a directory of the operator; mount it elsewhere"));
        }
    }
}

fn items<'a>(object: &'a Map<String, Value>, key: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    object.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn named(item: &Value, name: &str) -> bool {
    item.get("name").and_then(Value::as_str) == Some(name)
}

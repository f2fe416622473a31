//! What others wrote into the members' template.
//!
//! Law: a value that we set is set back at once (under OnDelete no template restarts a pod by itself, but the next pod that
//! is made takes it); what others added beside is named and restarts nothing. Must not know: how it is told apart in the
//! API server's answer.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::status::Blocker;
use crate::api::{Reason, annotations as keys, names};
use crate::cluster::desired;
use crate::cluster::facts::{Facts, Hand, SetFacts};
use crate::cluster::plan::act::{Plan, Step, blocker};
use crate::cluster::plan::objects;

/// Who took a value of ours.
pub fn hand(facts: &Facts) -> Option<&Hand> {
    let set = facts.kube.set.as_ref().filter(|set| !set.hands.is_empty())?;
    let wished = desired::members(&facts.cluster, 0, &BTreeMap::new()).ok()?.body;
    let template = wished.pointer("/spec/template")?;
    set.hands.iter().find(|hand| took(&hand.fields, Some(&set.owned), template))
}

/// Sets back what is ours at rest, while the template that we wish is the one that was applied last.
pub fn set_back(facts: &Facts, replicas: u32) -> Option<Plan> {
    facts.kube.set.as_ref().filter(|set| objects::template_is_current(facts, set))?;
    let message = format!("{} changed the members' template: it is set back", hand(facts)?.manager);
    Some(objects::apply_set(facts, Step::Running, replicas, &[], &message))
}

/// Who wrote into a template that some member does not have yet.
pub fn named(facts: &Facts) -> Vec<Blocker> {
    let waits = |set: &&SetFacts| facts.kube.pods.values().any(|pod| pod.revision != set.update_revision);
    let hands = facts.kube.set.iter().filter(waits).flat_map(|set| &set.hands);
    let name = facts.name();
    hands
        .map(|hand| {
            let message = format!(
                "{} wrote into the members' template: no member restarts because of it, but a pod that is made anew takes \
                 it; to restart all without losing state ask for a stop and return",
                hand.manager
            );
            let command = format!("kubectl annotate jetcluster {name} {}=$(date +%s) --overwrite", keys::RESTART);
            blocker(format!("statefulset/{}", names::stateful_set(&name)), Reason::Drift, message, Some(command))
        })
        .collect()
}

/// Whether a managed-fields tree has a value that `wished` sets and that is no longer owned by us: who shares it has
/// the same.
fn took(fields: &Value, owned: Option<&Value>, wished: &Value) -> bool {
    let Some(fields) = fields.as_object() else { return false };
    if fields.is_empty() {
        return owned.is_none();
    }
    fields.iter().any(|(key, below)| {
        let owned = owned.and_then(|owned| owned.get(key));
        match key.split_once(':') {
            Some(("f", name)) => wished.get(name).is_some_and(|wished| took(below, owned, wished)),
            Some(("k", text)) => element(text, wished).is_some_and(|wished| took(below, owned, wished)),
            // The element itself ("."), or a value of a set: what is in it comes beside it.
            _ => false,
        }
    })
}

/// The element of a list by its key.
fn element<'a>(key: &str, wished: &'a Value) -> Option<&'a Value> {
    let key: serde_json::Map<String, Value> = serde_json::from_str(key).ok()?;
    wished.as_array()?.iter().find(|item| key.iter().all(|(name, value)| item.get(name) == Some(value)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::took;

    #[test]
    fn what_we_set_is_told_from_what_others_add_beside_it() {
        let wished = json!({
            "metadata": { "annotations": { "jet.lossless.dev/config": "d" } },
            "spec": { "containers": [{ "name": "member", "image": "jet:1", "ports": [{ "containerPort": 5701, "protocol": "TCP" }] }] },
        });
        let member = r#"k:{"name":"member"}"#;
        let shared = json!({ "f:spec": { "f:containers": { member: { "f:image": {} } } } });
        let nothing = json!({});
        for (fields, owned, ours) in [
            (
                json!({ "f:metadata": { "f:annotations": { "f:kubectl.kubernetes.io/restartedAt": {} } } }),
                &nothing,
                false,
            ),
            (json!({ "f:metadata": { "f:annotations": { "f:jet.lossless.dev/config": {} } } }), &nothing, true),
            (json!({ "f:spec": { "f:containers": { member: { "f:image": {} } } } }), &nothing, true),
            (json!({ "f:spec": { "f:containers": { member: { "f:image": {} } } } }), &shared, false),
            (json!({ "f:spec": { "f:containers": { member: { ".": {}, "f:env": {} } } } }), &nothing, false),
            (
                json!({ "f:spec": { "f:containers": { r#"k:{"name":"sidecar"}"#: { "f:image": {} } } } }),
                &nothing,
                false,
            ),
            (json!({ "f:spec": { "f:nodeSelector": {} } }), &nothing, false),
        ] {
            assert_eq!(took(&fields, Some(owned), &wished), ours, "{fields}");
        }
    }
}

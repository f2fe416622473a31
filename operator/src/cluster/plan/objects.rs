//! Which object is not as it should be.
//!
//! Law: the members' template is written only where no open store would be restarted by it. Must not know: steps.

use std::collections::BTreeMap;

use crate::api::annotations as keys;
use crate::api::records::ClaimStamp;
use crate::api::{Reason, names};
use crate::cluster::desired::{self, Budget, DesiredError, Object};
use crate::cluster::facts::{Facts, SetFacts};
use crate::cluster::plan::act::{Act, Plan, Step};

/// The first companion object that is not as applied.
pub fn companion(facts: &Facts, step: Step, budget: Budget) -> Option<Plan> {
    first_wrong(facts, step, budget, |_| false)
}

/// The same while members run. Their configuration waits with the template that it belongs to: a process that is started again
/// reads it, in a pod that has only what the former template mounts. One that is gone is made again, as it would be now.
pub fn companion_of_running(facts: &Facts, step: Step, budget: Budget) -> Option<Plan> {
    let config = names::config_map(&facts.name());
    let template_waits = facts.kube.set.as_ref().is_some_and(|set| !template_is_current(facts, set));
    first_wrong(facts, step, budget, |object| {
        template_waits && object.name == config && facts.kube.applied.contains_key(&key_of(object))
    })
}

fn key_of(object: &Object) -> (String, String) {
    (object.api.kind.clone(), object.name.clone())
}

fn first_wrong(facts: &Facts, step: Step, budget: Budget, waits: impl Fn(&Object) -> bool) -> Option<Plan> {
    match desired::companions(&facts.cluster, budget) {
        Ok(objects) => {
            let is_wrong = |object: &Object| facts.kube.applied.get(&key_of(object)) != Some(&object.digest);
            let wrong = objects.into_iter().find(|object| is_wrong(object) && !waits(object))?;
            let message = format!("{} {} is written", wrong.api.kind, wrong.name);
            Some(Plan::acts(step, Reason::Reconciled, message, Act::Apply(Box::new(wrong))))
        }
        Err(error) => Some(wrong_spec(step, &error)),
    }
}

/// Only the disruption budget: during an operation nothing else may stand in the way.
pub fn budget(facts: &Facts, step: Step, budget: Budget) -> Option<Plan> {
    let object = Object::of(&desired::budget::disruption_budget(&facts.cluster, budget));
    match object {
        Ok(object) => {
            let known = facts.kube.applied.get(&key_of(&object));
            (known != Some(&object.digest)).then(|| {
                Plan::acts(step, Reason::Reconciled, "the disruption budget is written", Act::Apply(Box::new(object)))
            })
        }
        Err(error) => Some(wrong_spec(step, &error)),
    }
}

/// Digest of the template alone, whatever replicas and stamps are.
pub fn template_digest(facts: &Facts) -> Result<String, DesiredError> {
    Ok(desired::members(&facts.cluster, 0, &BTreeMap::new())?.digest)
}

/// The template on the StatefulSet is the wished one.
pub fn template_is_current(facts: &Facts, set: &SetFacts) -> bool {
    template_digest(facts).is_ok_and(|digest| digest == set.applied)
}

/// Applies the StatefulSet's template with `replicas`; stamps stay as they are unless given.
pub fn apply_set(facts: &Facts, step: Step, replicas: u32, extra: &[(&str, String)], message: &str) -> Plan {
    let mut stamps = facts.kube.set.as_ref().map(stamps_of).unwrap_or_default();
    stamps.extend(extra.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    let made = template_digest(facts).and_then(|digest| {
        let replicas = i32::try_from(replicas).unwrap_or(i32::MAX);
        let mut object = desired::members(&facts.cluster, replicas, &stamps)?;
        if let Some(applied) = object.body.pointer_mut("/metadata/annotations") {
            applied[keys::APPLIED] = digest.clone().into();
        }
        // uid and resourceVersion: an apply of ours must lose against any newer write.
        if let Some(set) = &facts.kube.set {
            object.body["metadata"]["uid"] = set.uid.clone().into();
            object.body["metadata"]["resourceVersion"] = set.resource_version.clone().into();
        }
        object.digest = digest;
        Ok(object)
    });
    match made {
        Ok(object) => Plan::acts(step, Reason::Reconciled, message, Act::ApplySet(Box::new(object))),
        Err(error) => wrong_spec(step, &error),
    }
}

/// Stamps claims with what they should carry.
pub fn stamps(unstamped: Vec<(u32, ClaimStamp)>, with: &str) -> Option<(String, Act)> {
    let ordinals: Vec<_> = unstamped.iter().map(|(ordinal, _)| ordinal.to_string()).collect();
    let acts = unstamped.into_iter().map(|(ordinal, stamp)| Act::StampClaim { ordinal, stamp }).collect();
    let noun = if ordinals.len() == 1 { "claim" } else { "claims" };
    Some((format!("{noun} {} stamped with {with}", ordinals.join(", ")), Act::row(acts)?))
}

/// Stamps as they are.
pub fn stamps_of(set: &SetFacts) -> BTreeMap<String, String> {
    let mut stamps = BTreeMap::new();
    let mut put = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            stamps.insert(key.to_owned(), value);
        }
    };
    put(keys::STAMP_OPERATION, set.operation.as_ref().and_then(|v| serde_json::to_string(v).ok()));
    put(keys::STAMP_SPENT, set.spent.as_ref().and_then(|v| serde_json::to_string(v).ok()));
    put(keys::STAMP_SEAL, set.seal.clone());
    put(keys::STAMP_ACTIVATING, set.activating.clone());
    stamps
}

/// A pod of an old template whose store is blank or sealed and read-only.
pub fn outdated_pod(facts: &Facts, step: Step) -> Option<Plan> {
    let set = facts.kube.set.as_ref().filter(|set| set.observed && !set.update_revision.is_empty())?;
    let (ordinal, pod) =
        facts.kube.pods.iter().find(|(_, pod)| pod.revision != set.update_revision && !pod.deleting)?;
    let message =
        format!("{} is of an old template and has no open store: it is replaced", names::pod(&facts.name(), *ordinal));
    Some(Plan::acts(step, Reason::Reconciled, message, Act::ReplacePod { ordinal: *ordinal, uid: pod.uid.clone() }))
}

fn wrong_spec(step: Step, error: &DesiredError) -> Plan {
    Plan::stalled(step, Reason::InvalidSpec, error.to_string())
}

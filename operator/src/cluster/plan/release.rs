//! Finalizer and deletion.
//!
//! Law: deletion is a stop, then release; what never formed is released at once; a terminating namespace is released in
//! the first pass; `abandon` releases as it is, and volumes stay. Must not know: steps of the stop.

use crate::api::{FINALIZER, Reason};
use crate::cluster::evidence::standing::{Standing, standing};
use crate::cluster::facts::Facts;
use crate::cluster::plan::act::{Act, Plan, Step};
use crate::cluster::plan::request::Requests;

/// What comes before everything else.
pub fn before_all(facts: &Facts, requests: &Requests) -> Option<Plan> {
    let held = facts.cluster.metadata.finalizers.iter().flatten().any(|f| f == FINALIZER);
    if facts.kube.namespace_terminating {
        let message = "the namespace is going away: its claims go with it";
        return Some(if held { release(message) } else { Plan::waits(Step::Releasing, Reason::Deleting, message) });
    }
    if !requests.delete {
        return (!held).then(|| {
            Plan::acts(Step::Creating, Reason::Creating, "deletion will be a stop first", Act::Finalizer(true))
        });
    }
    if !held {
        return Some(Plan::waits(Step::Releasing, Reason::Deleting, "released"));
    }
    if requests.abandon {
        return Some(release("released as it is, as asked; volumes stay"));
    }
    never_formed(facts).then(|| release("it never formed: released"))
}

/// Takes the finalizer away.
pub fn release(message: &str) -> Plan {
    Plan::acts(Step::Releasing, Reason::Deleting, message, Act::Finalizer(false))
}

fn never_formed(facts: &Facts) -> bool {
    match standing(facts) {
        Ok(Standing::Nothing) => true,
        // A silent member may have been founded: only those that all say otherwise prove it.
        Ok(Standing::Founding(kept)) => {
            kept.record.ordinals.iter().all(|ordinal| facts.view(*ordinal).is_some_and(|view| view.cluster.is_none()))
        }
        _ => false,
    }
}

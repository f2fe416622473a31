//! Facts → at most one step. Pure and total.
//!
//! Law: one act; each step is recognised from facts, never from memory; what is not understood changes nothing.
//! Must not know: clients, clocks.
//!
//! - [`act`]: what a pass may do · [`absentee`]: why a member is not there · [`request`]: what a person asks for · [`asked`]: what is asked of the members · [`operation`]: which operation is open
//! - [`founding`]: blank members to a cluster · [`rest`]: running · [`stop`]: steps 1–9 · [`comeback`]: steps 10–15
//! - [`release`]: deletion · [`drift`]: what others wrote · [`safety`]: why not

pub mod absentee;
pub mod act;
pub mod asked;
pub mod comeback;
pub mod drift;
pub mod founding;
pub mod objects;
pub mod operation;
pub mod release;
pub mod request;
pub mod rest;
pub mod safety;
pub mod stop;

use crate::api::Reason;
use crate::cluster::evidence::standing::{Standing, standing};
use crate::cluster::facts::Facts;
use crate::cluster::validate;

pub use act::{Act, Plan, Step};
use request::Requests;

/// Plans one pass.
pub fn plan(facts: &Facts) -> Plan {
    let requests = Requests::read(facts);
    if let Some(plan) = release::before_all(facts, &requests) {
        return plan;
    }
    let open = operation::open(facts);
    let carry = |plan: Plan| plan.carrying(open.clone());
    if let Some(plan) = halted(facts, &requests) {
        return carry(plan);
    }
    let standing = match standing(facts) {
        Ok(standing) => standing,
        Err(disagreement) => return carry(Plan::stalled(Step::Held, Reason::RosterDisagrees, disagreement.0)),
    };
    if let Some(plan) = request::first_sight(facts) {
        return carry(plan);
    }
    let size = facts.cluster.spec.size.max(0).cast_unsigned();
    if let Standing::Sealed(seal) = &standing {
        if standing.roster_size() != Some(size) {
            return carry(Plan::stalled(
                Step::Stopped,
                Reason::SealDisagrees,
                format!(
                    "spec.size is {size}, the seal {} has {} members; set spec.size back: nothing is started",
                    seal.name,
                    seal.record.members.len()
                ),
            ));
        }
        return carry(comeback::plan(facts, &requests, seal, open.as_ref()));
    }
    // An abort is heard first: what is asked of the members may be refused again and again.
    let aborts = open.as_ref().is_some_and(|open| requests.abort.as_ref() == Some(&open.id));
    if let Some(plan) = (!aborts).then(|| asked::plan(facts, &requests, open.as_ref())).flatten() {
        return carry(plan);
    }
    if let Some(open) = &open {
        return carry(stop::plan(facts, &requests, &standing, open));
    }
    if let Some(plan) = request::accept(facts, &requests, &standing) {
        return plan;
    }
    match &standing {
        Standing::Nothing | Standing::Founding(_) => founding::plan(facts, &standing),
        _ => rest::plan(facts, &requests, &standing),
    }
}

/// What stops everything, whatever else is asked.
fn halted(facts: &Facts, requests: &Requests) -> Option<Plan> {
    if let Some(foreign) = facts.kube.foreign.first() {
        let message = format!("{foreign} is controlled by somebody else; delete or rename it, or rename this cluster");
        return Some(Plan::stalled(Step::Held, Reason::ForeignChild, message));
    }
    if requests.paused {
        return Some(Plan::waits(
            Step::Held,
            Reason::Paused,
            "paused by annotation; remove jet.lossless.dev/pause to go on",
        ));
    }
    if let Some(invalid) = &requests.invalid {
        return Some(Plan::stalled(Step::Held, Reason::InvalidRequest, invalid.clone()));
    }
    if let Some(stamp) = facts.kube.set.as_ref().and_then(|s| s.unreadable.as_ref()) {
        return Some(Plan::stalled(
            Step::Held,
            Reason::InvalidRequest,
            format!("the stamp {stamp} on the StatefulSet cannot be read; restore or remove it"),
        ));
    }
    let wrong = validate::spec(&facts.cluster);
    (!wrong.is_empty()).then(|| Plan::stalled(Step::Held, Reason::InvalidSpec, wrong.join("; ")))
}

#[cfg(test)]
mod tests;

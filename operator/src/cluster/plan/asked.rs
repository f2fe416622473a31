//! Stops that are asked of the members: how one becomes a wish on the resource.
//!
//! Law: it becomes a wish once, by one write that carries its number and fails if anything about the resource changed
//! meanwhile; whoever takes the wish back is not overruled by it. Only the leader's own words count, because who lags
//! behind may still tell of one that was answered. Must not know: who asks, how a stop is made.
//!
//! | what happens in between | what comes of it |
//! |---|---|
//! | the operator dies after the write | the number stands beside the wish: it is only answered |
//! | a person removes the annotation | the same; it is not written again |
//! | two operators, or an old look | the second write is a conflict |
//! | paused, or nothing may be planned | it waits in the members, and lapses there |
//! | the status is erased | nothing of it was there |

use jet_admin_api::cluster::ClusterView;
use jet_admin_api::stop_request::{RequestAnswer, StopRequestView};

use crate::api::annotations as keys;
use crate::api::records::OperationStamp;
use crate::api::{MEMBERS_MANAGER, Reason};
use crate::cluster::facts::Facts;
use crate::cluster::plan::act::{Act, Plan, Step, TakeUp};
use crate::cluster::plan::request::{self, Requests};
use crate::members::Command;

/// One step for the request that waits.
pub fn plan(facts: &Facts, requests: &Requests, open: Option<&OperationStamp>) -> Option<Plan> {
    let (ordinal, machine) = facts.leader()?;
    let asked = machine.stop_request.as_ref().filter(|request| request.answer.is_none())?;
    let step = if open.is_some() { (Step::Preflight, Reason::Stopping) } else { (Step::Running, Reason::Running) };
    let acts = |message: String, act| Some(Plan::acts(step.0, step.1, message, act));
    if is_taken(facts, machine, asked) {
        let answer = answer(facts, requests, open);
        let message = format!("the stop that {} asked of the members: {}", asked.requested_by, answer.why);
        let command = Command::AnswerRequest { asked: asked.asked, answer };
        return acts(message, Act::Command { ordinal, command });
    }
    // A wish of before that was taken back is forgotten first, so that this one is another.
    let wished = requests.wants_stop();
    if !wished && open.is_none() && request::spent(facts).is_some_and(|spent| !requests.still_wishes(&spent.wish)) {
        return None;
    }
    let message = match wished {
        true => format!("a stop that {} asked of the members is asked for already", asked.requested_by),
        false => format!("{} asked the members for a stop: {MEMBERS_MANAGER} writes the wish", asked.requested_by),
    };
    acts(message, Act::TakeUp(TakeUp { number: format!("{}/{}", log(machine), asked.asked), wish: !wished }))
}

/// Numbers of one log rise; those of another cluster, or of one founded anew, tell nothing.
fn log(machine: &ClusterView) -> String {
    format!("{}.{}", machine.founding_id, machine.incarnation)
}

fn is_taken(facts: &Facts, machine: &ClusterView, asked: &StopRequestView) -> bool {
    let Some((of, taken)) = facts.annotation(keys::MEMBERS_REQUEST).and_then(|number| number.rsplit_once('/')) else {
        return false;
    };
    *of == log(machine) && taken.parse::<u64>().is_ok_and(|taken| taken >= asked.asked)
}

fn answer(facts: &Facts, requests: &Requests, open: Option<&OperationStamp>) -> RequestAnswer {
    let no = |why| RequestAnswer { taken_up: false, why };
    if !requests.wants_stop() {
        return no(format!("{} was written for it, and somebody has removed it", keys::MAINTENANCE));
    }
    let spent = request::spent(facts).filter(|spent| open.is_none() && requests.wish().as_ref() == Some(&spent.wish));
    match spent {
        Some(spent) => no(format!(
            "it is asked for already, and operation {} for it was {}: {}; to try again: kubectl annotate jetcluster {} \
             {}={} --overwrite",
            spent.operation,
            spent.outcome,
            spent.reason,
            facts.name(),
            keys::RETRY,
            spent.operation
        )),
        None if requests.delete => RequestAnswer { taken_up: true, why: "the cluster is being deleted".into() },
        None => RequestAnswer { taken_up: true, why: format!("asked for by {}", requests.stop.join(" and ")) },
    }
}

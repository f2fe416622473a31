//! Events that read like a story: what was done, what it waits for, what went wrong.
//!
//! Law: an event for each done step and for each change of standing, none for a pass that changed nothing. Must not
//! know: how events are published.

use crate::api::{ConditionType, JetClusterStatus};
use crate::cluster::pass::Outcome;
use crate::cluster::plan::{Act, Plan, Step};

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Warning, else Normal.
    pub warning: bool,
    /// CamelCase.
    pub reason: String,
    /// What was tried.
    pub action: String,
    /// One sentence.
    pub note: String,
}

/// What to tell after a pass.
pub fn lines(old: Option<&JetClusterStatus>, new: &JetClusterStatus, plan: &Plan, outcome: &Outcome) -> Vec<Line> {
    let mut lines = Vec::new();
    let operation = plan.operation.as_ref().or(plan.ended.as_ref().map(|(op, _)| op));
    let tail = operation.map(|op| format!(" (operation {})", op.id)).unwrap_or_default();
    let line = |warning: bool, reason: String, note: String| Line {
        warning,
        reason,
        action: format!("{:?}", plan.step),
        note: format!("{note}{tail}"),
    };
    match outcome {
        Outcome::Done(_) if tells(plan) => lines.push(line(plan.spent.is_some(), reason(plan), plan.message.clone())),
        Outcome::Not(why) if !was_said(old, why) => lines.push(line(true, "NotDone".into(), why.clone())),
        _ => {}
    }
    let standing = |s: Option<&JetClusterStatus>| s.and_then(|s| s.phase.clone()).unwrap_or_default();
    if standing(old) != standing(Some(new)) && matches!(plan.step, Step::Stopped | Step::Running) {
        lines.push(line(false, format!("{:?}", plan.step), plan.message.clone()));
    }
    let stalled = |s: Option<&JetClusterStatus>| {
        let stalled =
            s.into_iter().flat_map(|s| s.conditions.iter()).find(|c| c.type_ == ConditionType::Stalled.as_str());
        stalled.map(|c| (c.reason.clone(), c.message.clone()))
    };
    if let Some((reason, message)) = stalled(Some(new)).filter(|now| stalled(old).as_ref() != Some(now)) {
        lines.push(line(true, reason, message));
    }
    let known = old.map(|s| s.blockers.as_slice()).unwrap_or_default();
    for blocker in new.blockers.iter().filter(|b| !known.iter().any(|k| k.object == b.object && k.reason == b.reason)) {
        lines.push(line(true, blocker.reason.clone(), format!("{}: {}", blocker.object, blocker.message)));
    }
    lines
}

fn was_said(old: Option<&JetClusterStatus>, why: &str) -> bool {
    old.is_some_and(|s| s.blockers.iter().any(|b| b.message == why))
}

fn tells(plan: &Plan) -> bool {
    match plan.act {
        Some(Act::Apply(_) | Act::StampClaim { .. } | Act::PruneRecord { .. } | Act::Remember(_)) => false,
        Some(_) => true,
        None => false,
    }
}

fn reason(plan: &Plan) -> String {
    match (&plan.ended, plan.step) {
        (Some((_, outcome)), _) => format!("Stop{outcome}").replace("StopReturned", "Returned"),
        (None, step) => format!("{step:?}"),
    }
}

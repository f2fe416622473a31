//! Events that read like a story: what was done, what it waits for, what went wrong.
//!
//! Law: an event for each done step and for each change of standing, none for a pass that changed nothing. Must not
//! know: how events are published.

use crate::api::status::Blocker;
use crate::api::{ConditionType, JetClusterStatus, Reason};
use crate::cluster::pass::Outcome;
use crate::cluster::plan::{Act, Plan, Step};

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Warning, else Normal.
    pub warning: bool,
    /// CamelCase.
    pub reason: String,
    /// What was tried, on what: events that share reason and action are counted as one, and only the first note stays.
    pub action: String,
    /// One sentence.
    pub note: String,
}

/// What to tell after a pass.
pub fn lines(old: Option<&JetClusterStatus>, new: &JetClusterStatus, plan: &Plan, outcome: &Outcome) -> Vec<Line> {
    let mut lines = Vec::new();
    let operation = plan.operation.as_ref().or(plan.ended.as_ref().map(|(op, _)| op));
    let tail = operation.map(|op| format!(" (operation {})", op.id)).unwrap_or_default();
    let about = |warning: bool, reason: String, action: String, note: String| Line {
        warning,
        reason,
        action,
        note: format!("{note}{tail}"),
    };
    let line = |warning, reason, note| about(warning, reason, format!("{:?}", plan.step), note);
    match outcome {
        Outcome::Done(_) | Outcome::Nothing if tells(plan) => {
            let warning = plan.spent.is_some() || plan.reason == Reason::NotApplicable;
            lines.push(about(warning, reason(plan), deed(plan), plan.message.clone()));
        }
        Outcome::Not(why) if !was_said(old, why) => lines.push(line(true, "NotDone".into(), why.clone())),
        _ => {}
    }
    let standing = |s: Option<&JetClusterStatus>| s.and_then(|s| s.phase.clone()).unwrap_or_default();
    if standing(old) != standing(Some(new)) && matches!(plan.step, Step::Stopped | Step::Running) {
        lines.push(line(false, standing(Some(new)), rest(plan, new)));
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
        if !is_on_its_way(plan, blocker) {
            let note = format!("{}: {}", blocker.object, blocker.message);
            lines.push(about(true, blocker.reason.clone(), format!("Await {}", blocker.object), note));
        }
    }
    lines
}

/// A member that is only on its way is no warning: the status names it meanwhile, and what keeps it away is told.
fn is_on_its_way(plan: &Plan, blocker: &Blocker) -> bool {
    let starting =
        matches!(plan.step, Step::Creating | Step::Founding | Step::ScaledUp | Step::MembersComplete | Step::Activated);
    let moving = [Reason::MembersMissing, Reason::MembersRecovering].map(Reason::as_str);
    starting && blocker.command.is_none() && moving.contains(&blocker.reason.as_str())
}

/// What is true now that it rests.
fn rest(plan: &Plan, new: &JetClusterStatus) -> String {
    let ready = new.conditions.iter().find(|c| c.type_ == ConditionType::Ready.as_str());
    match (plan.step, ready) {
        (Step::Running, Some(ready)) => ready.message.clone(),
        _ => plan.message.clone(),
    }
}

fn deed(plan: &Plan) -> String {
    match &plan.act {
        Some(Act::Command { ordinal, command }) => format!("{} {ordinal}", command.name()),
        Some(Act::CreateFounding(_)) => "CreateFounding".into(),
        Some(Act::CreateRoster(record)) => format!("CreateRoster {}", record.sequence),
        Some(Act::CreateSeal(record)) => format!("CreateSeal {}", record.sequence),
        _ => format!("{:?}", plan.step),
    }
}

fn was_said(old: Option<&JetClusterStatus>, why: &str) -> bool {
    old.is_some_and(|s| s.blockers.iter().any(|b| b.message == why))
}

fn tells(plan: &Plan) -> bool {
    match plan.act {
        Some(Act::Remember(_)) => plan.reason == Reason::NotApplicable,
        Some(Act::Apply(_) | Act::StampClaim { .. } | Act::PruneRecord { .. }) => false,
        Some(_) => true,
        None => false,
    }
}

fn reason(plan: &Plan) -> String {
    match (&plan.ended, plan.step) {
        (Some((_, outcome)), _) => format!("Stop{outcome}").replace("StopReturned", "Returned"),
        (None, _) if plan.reason == Reason::NotApplicable => plan.reason.as_str().into(),
        (None, step) => format!("{step:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::plan::act::blocker;

    fn waiting(step: Step, reason: Reason, command: Option<String>) -> Vec<Line> {
        let absent = blocker("pod/orders-2", reason, "it is not there", command);
        let plan = Plan::waits(step, reason, "waits").blocked_by(vec![absent]);
        let new = JetClusterStatus { blockers: plan.blockers.clone(), ..JetClusterStatus::default() };
        lines(None, &new, &plan, &Outcome::Nothing)
    }

    #[test]
    fn a_member_that_only_starts_is_no_warning_and_one_that_cannot_is() {
        assert_eq!(waiting(Step::ScaledUp, Reason::MembersMissing, None), []);
        let stuck = waiting(Step::ScaledUp, Reason::NodeUnavailable, Some("kubectl describe pod orders-2".into()));
        assert!(stuck.first().is_some_and(|line| line.warning && line.note.contains("orders-2")), "{stuck:?}");
        assert_eq!(waiting(Step::Running, Reason::MembersMissing, None).len(), 1, "one that runs no more is told");
    }

    #[test]
    fn two_things_are_never_counted_as_one() {
        let absent = |ordinal: u32| {
            blocker(format!("pod/orders-{ordinal}"), Reason::NodeUnavailable, "its node does not answer", None)
        };
        let plan = Plan::waits(Step::Running, Reason::MembersMissing, "waits").blocked_by(vec![absent(1), absent(2)]);
        let new = JetClusterStatus { blockers: plan.blockers.clone(), ..JetClusterStatus::default() };
        let told = lines(None, &new, &plan, &Outcome::Nothing);
        let keys: std::collections::BTreeSet<_> = told.iter().map(|line| (&line.reason, &line.action)).collect();
        assert_eq!(keys.len(), 2, "{told:?}");
    }
}

//! Events that read like a story: what was done, what it waits for, what went wrong.
//!
//! Law: an event for each done step and for each change of standing, none for a pass that changed nothing. Must not
//! know: how events are published.

use crate::api::status::Blocker;
use crate::api::{Condition, ConditionType, JetClusterStatus, Reason};
use crate::cluster::pass::Outcome;
use crate::cluster::plan::{Act, Plan, Step};
use crate::members::Command;

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
    // The same step of another operation is another thing: its note names that one's seal.
    let about = |warning: bool, reason: String, action: String, note: String| Line {
        warning,
        reason,
        action: format!("{action}{tail}"),
        note: format!("{note}{tail}"),
    };
    let line = |warning, reason, note| about(warning, reason, format!("{:?}", plan.step), note);
    // What became of jobs is known before what is done on it.
    if let Some(jobs) = news(old, new, ConditionType::JobsPreserved).filter(|jobs| jobs.status != "Unknown") {
        lines.push(line(jobs.status == "False", jobs.reason.clone(), jobs.message.clone()));
    }
    match outcome {
        Outcome::Done(_) | Outcome::Nothing if tells(plan) => {
            let warning = plan.spent.is_some() || plan.reason == Reason::NotApplicable || is_declined(plan);
            lines.push(about(warning, reason(plan), deed(plan), plan.message.clone()));
        }
        Outcome::Not(why) if !was_said(old, why) => lines.push(line(true, "NotDone".into(), why.clone())),
        _ => {}
    }
    let standing = |s: Option<&JetClusterStatus>| s.and_then(|s| s.phase.clone()).unwrap_or_default();
    let at_rest = matches!(plan.step, Step::Stopped | Step::Running) && standing(Some(new)) != "Founding";
    if standing(old) != standing(Some(new)) && at_rest {
        lines.push(line(false, standing(Some(new)), rest(plan, new)));
    }
    if let Some(stalled) = news(old, new, ConditionType::Stalled) {
        lines.push(line(true, stalled.reason.clone(), stalled.message.clone()));
    }
    let known = old.map(|s| s.blockers.as_slice()).unwrap_or_default();
    for blocker in new.blockers.iter().filter(|b| !known.iter().any(|k| k.object == b.object && k.reason == b.reason)) {
        if !is_on_its_way(plan, new, blocker) {
            let note = format!("{}: {}", blocker.object, blocker.message);
            lines.push(about(true, blocker.reason.clone(), format!("Await {}", blocker.object), note));
        }
    }
    lines
}

/// A condition that says something else than before.
fn news<'a>(old: Option<&JetClusterStatus>, new: &'a JetClusterStatus, type_: ConditionType) -> Option<&'a Condition> {
    let now = condition(new, type_)?;
    let before = old.and_then(|old| condition(old, type_));
    let same = |known: &Condition| (&known.reason, &known.message) == (&now.reason, &now.message);
    (!before.is_some_and(same)).then_some(now)
}

fn condition(status: &JetClusterStatus, type_: ConditionType) -> Option<&Condition> {
    status.conditions.iter().find(|condition| condition.type_ == type_.as_str())
}

/// A member that is only on its way is no warning: the status names it meanwhile, and what keeps it away is told.
fn is_on_its_way(plan: &Plan, new: &JetClusterStatus, blocker: &Blocker) -> bool {
    let forming = new.phase.as_deref() == Some("Founding");
    let starting =
        matches!(plan.step, Step::Creating | Step::Founding | Step::ScaledUp | Step::MembersComplete | Step::Activated);
    let moving = [Reason::MembersMissing, Reason::MembersRecovering].map(Reason::as_str);
    // A process that was just started does not listen yet.
    let first = forming || matches!(plan.step, Step::Creating | Step::Founding);
    let silent = first && blocker.reason == Reason::MemberUnreachable.as_str();
    silent || (starting || forming) && blocker.command.is_none() && moving.contains(&blocker.reason.as_str())
}

/// What is true now that it rests.
fn rest(plan: &Plan, new: &JetClusterStatus) -> String {
    match (plan.step, condition(new, ConditionType::Ready)) {
        (Step::Running, Some(ready)) => ready.message.clone(),
        _ => plan.message.clone(),
    }
}

fn deed(plan: &Plan) -> String {
    let first = match &plan.act {
        Some(Act::Row(acts)) => acts.first(),
        act => act.as_ref(),
    };
    match first {
        Some(Act::Command { command: Command::AnswerRequest { asked, .. }, .. }) => format!("AnswerRequest {asked}"),
        Some(Act::Command { ordinal, command }) => format!("{} {ordinal}", command.name()),
        Some(Act::TakeUp(take)) => format!("TakeUp {}", take.number),
        Some(Act::CreateFounding(_)) => "CreateFounding".into(),
        Some(Act::CreateRoster(record)) => format!("CreateRoster {}", record.sequence),
        Some(Act::CreateSeal(record)) => format!("CreateSeal {}", record.sequence),
        _ => format!("{:?}", plan.step),
    }
}

fn was_said(old: Option<&JetClusterStatus>, why: &str) -> bool {
    old.is_some_and(|s| s.blockers.iter().any(|b| b.message == why))
}

/// Nothing comes of a stop that was asked of the members.
fn is_declined(plan: &Plan) -> bool {
    matches!(&plan.act, Some(Act::Command { command: Command::AnswerRequest { answer, .. }, .. }) if !answer.taken_up)
}

fn tells(plan: &Plan) -> bool {
    plan.act.as_ref().is_some_and(|act| is_told(plan, act))
}

fn is_told(plan: &Plan, act: &Act) -> bool {
    match act {
        // That it is taken up was told when it was.
        Act::Command { command: Command::AnswerRequest { .. }, .. } => is_declined(plan),
        Act::Remember(_) => plan.reason == Reason::NotApplicable,
        Act::Apply(_) | Act::StampClaim { .. } | Act::PruneRecord { .. } => false,
        // The permit was told when it was recorded; to whom it goes is in the log.
        Act::Command { command: Command::Found(_), .. } => false,
        Act::Row(acts) => acts.iter().any(|act| is_told(plan, act)),
        _ => true,
    }
}

fn reason(plan: &Plan) -> String {
    match (&plan.ended, plan.step) {
        (None, _) if matches!(plan.act, Some(Act::TakeUp(_))) => "AskedOfMembers".into(),
        (None, _) if is_declined(plan) => "RequestDeclined".into(),
        (Some((_, outcome)), _) => format!("Stop{outcome}").replace("StopReturned", "Returned"),
        (None, _) if plan.reason == Reason::NotApplicable => plan.reason.as_str().into(),
        (None, step) => format!("{step:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::records::OperationStamp;
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
        let logs = || Some("kubectl logs orders-2".to_owned());
        assert_eq!(waiting(Step::Creating, Reason::MemberUnreachable, logs()), []);
        assert_eq!(waiting(Step::ScaledUp, Reason::MemberUnreachable, logs()).len(), 1, "a return is not left silent");
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

    #[test]
    fn the_steps_of_two_operations_are_two_stories() {
        let stopped = |id: &str| {
            let wish = crate::api::records::WishKey::Stop;
            let operation = OperationStamp { id: id.into(), wish, requested_by: "kubectl".into(), accepted_at: 0 };
            let plan = Plan::waits(Step::Stopped, Reason::SealedAndStopped, "sealed").carrying(Some(operation));
            let new = JetClusterStatus { phase: Some("Stopped".into()), ..JetClusterStatus::default() };
            lines(None, &new, &plan, &Outcome::Nothing)
        };
        let (first, second) = (stopped("1-aaaa"), stopped("2-bbbb"));
        assert!(first.len() == 1 && second.len() == 1, "{first:?} {second:?}");
        assert_ne!(first[0].action, second[0].action, "else only the first one's note would be shown, with a count");
    }

    #[test]
    fn what_became_of_the_jobs_is_told_once_and_a_loss_is_a_warning() {
        let status = |status: &str, message: &str| {
            let condition = Condition {
                type_: "JobsPreserved".into(),
                status: status.into(),
                reason: "x".into(),
                message: message.into(),
                last_transition_time: String::new(),
                observed_generation: 1,
            };
            JetClusterStatus { conditions: vec![condition], ..JetClusterStatus::default() }
        };
        let plan = Plan::waits(Step::JobsVerified, Reason::Returning, "waits");
        let told = |old: &JetClusterStatus, new: &JetClusterStatus| lines(Some(old), new, &plan, &Outcome::Nothing);
        let (open, kept) = (status("Unknown", "starting"), status("True", "all went on"));
        let lost = status("False", "flights: ResumedFromOlder");
        assert!(told(&open, &kept).first().is_some_and(|line| !line.warning && line.note == "all went on"));
        assert!(told(&open, &lost).first().is_some_and(|line| line.warning && line.note.contains("flights")));
        assert_eq!(told(&kept, &kept), [], "told once");
        assert_eq!(told(&kept, &open), [], "what is open is no news");
    }
}

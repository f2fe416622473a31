//! Conditions.
//!
//! Law: `Stopped` is True only at a live seal with no pods and replicas 0; `Ready` only with open doors. Must not know:
//! what is done next.

use crate::api::condition::counted;
use crate::api::status::{Blocker, ProgressStatus};
use crate::api::{Condition, ConditionType, Reason};
use crate::cluster::evidence::jobs::{self, Fate, Outcome};
use crate::cluster::evidence::standing::{Standing, standing};
use crate::cluster::facts::Facts;
use crate::cluster::plan::act::{Plan, Step};
use crate::cluster::plan::request::Requests;
use crate::cluster::plan::safety;
use crate::cluster::status::progress;

struct Judged {
    status: &'static str,
    reason: Reason,
    message: String,
}

fn judged(yes: bool, reason: Reason, message: impl Into<String>) -> Judged {
    Judged { status: if yes { "True" } else { "False" }, reason, message: message.into() }
}

fn unknown(message: &str) -> Judged {
    Judged { status: "Unknown", reason: Reason::NotYetObserved, message: message.into() }
}

fn against(blockers: &[Blocker], good: Reason, bad: Reason, fine: &str) -> Judged {
    match blockers.first() {
        None => judged(true, good, fine),
        Some(_) => {
            let said: Vec<_> = blockers.iter().take(5).map(|b| format!("{}: {}", b.object, b.message)).collect();
            judged(false, bad, said.join("; "))
        }
    }
}

/// Sealed, no pods, replicas 0: the power may go.
pub fn is_stopped(facts: &Facts) -> bool {
    let Ok(Standing::Sealed(seal)) = standing(facts) else { return false };
    let mark = format!("{}/{}", seal.name, seal.uid);
    let down = facts.kube.set.as_ref().is_some_and(|set| set.replicas == 0 && set.seal.as_ref() == Some(&mark));
    down && facts.kube.pods.is_empty()
}

/// All conditions that hold or are known.
pub fn conditions(facts: &Facts, plan: &Plan, requests: &Requests, far: Option<&ProgressStatus>) -> Vec<Condition> {
    let old = facts.cluster.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    let generation = facts.cluster.metadata.generation.unwrap_or_default();
    let make = |type_: ConditionType| {
        let judged = judge(type_, facts, plan, requests, far)?;
        let known = old.iter().find(|c| c.type_ == type_.as_str() && c.status == judged.status);
        Some(Condition {
            type_: type_.as_str().into(),
            status: judged.status.into(),
            reason: judged.reason.as_str().into(),
            message: shortened(judged.message),
            last_transition_time: known.map_or_else(|| facts.now_text(), |c| c.last_transition_time.clone()),
            observed_generation: generation,
        })
    };
    ConditionType::ALL.into_iter().filter_map(make).collect()
}

fn shortened(message: String) -> String {
    const MOST: usize = 1024;
    if message.len() <= MOST { message } else { message.chars().take(MOST / 4).collect::<String>() + " …" }
}

fn judge(
    type_: ConditionType,
    facts: &Facts,
    plan: &Plan,
    requests: &Requests,
    far: Option<&ProgressStatus>,
) -> Option<Judged> {
    let stopped = is_stopped(facts);
    Some(match type_ {
        ConditionType::Ready => ready(facts, plan, stopped),
        ConditionType::Reconciling => {
            let resting = matches!(plan.step, Step::Running | Step::Stopped | Step::Held) && plan.act.is_none();
            return (!resting && !plan.stalled && !matches!(plan.step, Step::Releasing))
                .then(|| judged(true, plan.reason, and_how_far(&plan.message, far)));
        }
        ConditionType::Stalled => return plan.stalled.then(|| judged(true, plan.reason, plan.message.clone())),
        ConditionType::Stopped => stopped_condition(facts, plan, stopped),
        ConditionType::MembersComplete => members_complete(facts, stopped),
        ConditionType::StopReady => stop_ready(facts, plan),
        ConditionType::VolumesIntact => volumes_intact(facts, requests),
        ConditionType::JobsPreserved => jobs_preserved(facts),
        ConditionType::DoorsOpen => {
            let open = doors_open(facts);
            judged(
                open,
                if open { Reason::DoorsOpen } else { Reason::DoorsClosed },
                if open { "clients are served" } else { "no client is served" },
            )
        }
    })
}

/// What is waited for, and how far those are who take long for it.
fn and_how_far(message: &str, far: Option<&ProgressStatus>) -> String {
    far.map_or_else(|| message.to_owned(), |far| format!("{message}; {}", progress::sentence(far)))
}

fn doors_open(facts: &Facts) -> bool {
    facts.machine().is_some_and(|m| m.roster.iter().all(|r| facts.view(r.ordinal).is_some_and(|v| v.doors_open)))
}

fn ready(facts: &Facts, plan: &Plan, stopped: bool) -> Judged {
    if stopped {
        return judged(false, Reason::StoppedAsAsked, "sealed and stopped");
    }
    let all = safety::absentees(facts).is_empty() && facts.machine().is_some();
    if all && doors_open(facts) {
        return judged(true, Reason::Running, "all members are there and clients are served");
    }
    if !all && facts.machine().is_some() && plan.operation.is_none() {
        return judged(false, Reason::MembersMissing, safety::incomplete_message(facts));
    }
    judged(false, plan.reason, plan.message.clone())
}

fn stopped_condition(facts: &Facts, plan: &Plan, stopped: bool) -> Judged {
    if stopped {
        let seal = facts.kube.evidence.seal().map(|k| k.name.clone()).unwrap_or_default();
        return judged(true, Reason::SealedAndStopped, format!("sealed as {seal}; no member runs: the power may go"));
    }
    let reason = if plan.operation.is_some() { plan.reason } else { Reason::Running };
    let message = match facts.kube.pods.is_empty() {
        true => "no member runs, and nothing says that their state is sealed",
        false => "members run: the power must stay on",
    };
    judged(false, reason, message)
}

fn members_complete(facts: &Facts, stopped: bool) -> Judged {
    if stopped {
        return judged(false, Reason::StoppedAsAsked, "no member runs");
    }
    match standing(facts) {
        Ok(Standing::Sealed(seal)) => against(
            &safety::why_not_activate(facts, &seal.record),
            Reason::AllPresent,
            Reason::MembersMissing,
            "the recorded members are there on their sealed stores",
        ),
        Ok(Standing::Running(_) | Standing::Unrecorded { .. }) => against(
            &safety::absentees(facts),
            Reason::AllPresent,
            Reason::MembersMissing,
            "the recorded members are there",
        ),
        _ => judged(false, Reason::Founding, "the cluster is not founded yet"),
    }
}

fn stop_ready(facts: &Facts, plan: &Plan) -> Judged {
    if is_stopped(facts) {
        return judged(false, Reason::StoppedAsAsked, "it is stopped already");
    }
    if plan.operation.is_some() && plan.step != Step::Preflight {
        return judged(false, plan.reason, "an operation is under way");
    }
    if facts.machine().is_none() {
        return unknown("no member answers");
    }
    against(
        &safety::why_not_stop(facts),
        Reason::PreflightPassed,
        Reason::PreflightRefused,
        "a stop asked for now would pass preflight",
    )
}

fn volumes_intact(facts: &Facts, requests: &Requests) -> Judged {
    match standing(facts) {
        Ok(Standing::Sealed(seal)) => {
            let wrong = safety::why_not_return(facts, requests, &seal.record);
            let reason = wrong.first().map_or(Reason::VolumeReplaced, |b| {
                if b.reason == Reason::VolumeReplaced.as_str() { Reason::VolumeReplaced } else { Reason::ClaimMissing }
            });
            against(&wrong, Reason::VolumesAsRecorded, reason, "each claim is the recorded one")
        }
        Ok(Standing::Running(kept)) => {
            let wrong = kept
                .record
                .members
                .iter()
                .filter(|m| !facts.kube.claims.get(&m.ordinal).is_some_and(|c| c.bound && !c.deleting))
                .count();
            if wrong == 0 {
                judged(true, Reason::VolumesAsRecorded, "each claim is there and bound")
            } else {
                judged(false, Reason::ClaimMissing, format!("{wrong} claims are missing, unbound or being deleted"))
            }
        }
        _ => unknown("nothing is recorded yet"),
    }
}

fn jobs_preserved(facts: &Facts) -> Judged {
    let old = facts
        .cluster
        .status
        .as_ref()
        .and_then(|s| s.conditions.iter().find(|c| c.type_ == ConditionType::JobsPreserved.as_str()));
    let Some(seal) = facts.kube.evidence.seal() else {
        return Judged { reason: Reason::NoLedger, ..unknown("no stop was recorded yet") };
    };
    if matches!(standing(facts), Ok(Standing::Sealed(_))) {
        let jobs = seal.record.jobs.iter().filter(|job| !jobs::ended(job.status)).count();
        let jobs = counted(jobs as u64, "job", "jobs");
        return unknown(&format!("decided at the return, by the snapshots of {jobs} in {}", seal.name));
    }
    let Some(machine) = facts.machine() else {
        return unknown("no member answers");
    };
    // A ledger speaks about one return; jobs that came and went later are no concern of it.
    if let Some(known) = old
        .filter(|c| c.status != "Unknown" && machine.operation.as_ref().is_none_or(|op| op.id != seal.record.operation))
    {
        return Judged {
            status: if known.status == "True" { "True" } else { "False" },
            reason: if known.status == "True" { Reason::AllResumed } else { Reason::JobNotResumed },
            message: known.message.clone(),
        };
    }
    let outcomes = jobs::outcomes(&seal.record, machine);
    let lost: Vec<_> = outcomes.iter().filter_map(loss).collect();
    if !lost.is_empty() {
        return judged(false, Reason::JobNotResumed, lost.join("; "));
    }
    if outcomes.iter().any(|outcome| outcome.fate == Fate::Open) {
        return unknown("jobs are starting");
    }
    judged(true, Reason::AllResumed, preserved(&outcomes, &seal.name))
}

/// What a job has not got of what the ledger promises.
fn loss(outcome: &Outcome) -> Option<String> {
    let name = &outcome.name;
    outcome.fate.is_loss().then(|| match outcome.fate {
        Fate::Judged(verdict) => format!("{name}: {verdict:?}"),
        _ => format!("{name}: it does not run, and what it has is older than its sealed snapshot, or nothing"),
    })
}

/// Only jobs that went on are said to have gone on.
fn preserved(outcomes: &[Outcome], seal: &str) -> String {
    let named = |fate: Fate| outcomes.iter().filter(|o| o.fate == fate).map(|o| o.name.as_str()).collect::<Vec<_>>();
    let (kept, cancelled) = (named(Fate::Kept), named(Fate::Cancelled));
    let went_on = outcomes.len() - kept.len() - cancelled.len();
    let jobs = counted(outcomes.len() as u64, "job", "jobs");
    let mut said = format!("{went_on} of {jobs} in {seal} went on from the snapshot there");
    if !kept.is_empty() {
        said += &format!("; suspended as they were sealed: {}", kept.join(", "));
    }
    if !cancelled.is_empty() {
        said += &format!("; cancelled by a person: {}", cancelled.join(", "));
    }
    said
}

#[cfg(test)]
mod tests {
    use jet_admin_api::job::Verdict;

    use super::*;

    #[test]
    fn only_jobs_that_went_on_are_said_to_have_gone_on() {
        let outcome = |name: &str, fate| Outcome { name: name.into(), fate };
        let resumed = outcome("flights", Fate::Judged(Verdict::Resumed));
        let (kept, cancelled) = (outcome("idle", Fate::Kept), outcome("old", Fate::Cancelled));
        assert_eq!(
            preserved(std::slice::from_ref(&resumed), "s-4"),
            "1 of 1 job in s-4 went on from the snapshot there"
        );
        let said = preserved(&[resumed, kept, cancelled], "s-4");
        assert!(said.starts_with("1 of 3 jobs in s-4 went on"), "{said}");
        assert!(said.contains("as they were sealed: idle") && said.contains("by a person: old"), "{said}");
        assert!(
            loss(&outcome("idle", Fate::Short)).is_some_and(|said| said.contains("older than its sealed snapshot"))
        );
        assert_eq!(loss(&outcome("idle", Fate::Kept)), None);
    }
}

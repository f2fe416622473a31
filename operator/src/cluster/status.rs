//! Facts, plan and outcome → status. Pure.
//!
//! Law: no sentence carries a time or a counter that moves by itself, but for how far stores are, which `progress` lets move
//! rarely; `lastTransitionTime` moves only with the status; `Reconciling` and `Stalled` are absent when they do not hold.
//! Must not know: how it is written.

use jet_admin_api::member::MemberPhase;

use crate::api::records::{OperationStamp, SpentWish};
use crate::api::status::{
    BLOCKERS_LISTED, Blocker, HISTORY_KEPT, HistoryEntry, OperationStatus, RosterMemberStatus, RosterStatus,
    SealStatus, SpentStatus, VolumesStatus,
};
use crate::api::{JetClusterStatus, Reason, annotations as keys, names};
use crate::cluster::evidence::standing::{Standing, standing};
use crate::cluster::facts::{Facts, Seen};
use crate::cluster::pass::Outcome;
use crate::cluster::plan::act::{Act, Plan, Step, blocker};
use crate::cluster::plan::request::{self, Requests};
use crate::cluster::plan::{operation, safety};

mod conditions;
mod jobs;
pub mod progress;

/// The whole status.
pub fn status(facts: &Facts, plan: &Plan, outcome: &Outcome) -> JetClusterStatus {
    let old = facts.cluster.status.clone().unwrap_or_default();
    let requests = Requests::read(facts);
    let remember = match &plan.act {
        Some(Act::Remember(remember)) => Some(remember),
        _ => None,
    };
    let done = matches!(outcome, Outcome::Done(_));
    let progress = progress::progress(facts, old.progress.as_ref());
    let handled = remember.map(|r| r.handled.clone()).or(old.handled.clone());
    let founding_id =
        remember.and_then(|r| r.founding_id.clone()).or(known_founding(facts)).or(old.founding_id.clone());
    let open = if plan.ended.is_some() && !done {
        plan.ended.as_ref().map(|(op, _)| op.clone())
    } else {
        plan.operation.clone()
    };
    let spent = if done && plan.ended.is_some() { plan.spent.clone() } else { request::spent(facts) };
    JetClusterStatus {
        observed_generation: facts.cluster.metadata.generation,
        phase: Some(phase(facts, plan).into()),
        conditions: conditions::conditions(facts, plan, &requests, progress.as_ref()),
        members: Some(members(facts)),
        replicas: i32::try_from(facts.kube.pods.len()).unwrap_or(i32::MAX),
        selector: Some(selector(facts)),
        cluster_state: facts.machine().map(|m| word(&m.state)),
        founding_id,
        operation: open.map(|open| operation_status(facts, plan, &requests, &open)),
        progress,
        spent: spent.map(|s| spent_status(&s)),
        stop_requested_by: requests.stop.iter().map(|s| (*s).to_owned()).collect(),
        handled,
        roster: roster(facts),
        seal: seal(facts),
        jobs: jobs::jobs(facts).or(old.jobs.clone()),
        volumes: volumes(facts),
        blockers: blockers(facts, plan, outcome),
        history: history(facts, plan, done, old.history),
    }
}

/// The JSON word of an enum of the members' API.
fn word<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

fn known_founding(facts: &Facts) -> Option<String> {
    let machine = facts.machine().map(|m| m.founding_id);
    machine.or(facts.kube.evidence.founding.as_ref().map(|k| k.record.founding_id)).map(|id| id.to_string())
}

fn phase(facts: &Facts, plan: &Plan) -> &'static str {
    if facts.deleting() && matches!(plan.step, Step::Releasing | Step::Stopped) {
        return "Deleting";
    }
    let at_rest = plan.operation.is_none() && plan.ended.is_none();
    match plan.step {
        Step::Creating => "Creating",
        Step::Founding => "Founding",
        Step::Held => held_phase(facts),
        Step::RollingBack => "RollingBack",
        Step::Releasing => "Deleting",
        Step::Stopped => "Stopped",
        // Not before its records are written, so that what is told of it has an order.
        Step::Running | Step::RosterRecorded if at_rest && plan.act.is_some() && is_forming(facts) => "Founding",
        Step::Running | Step::RosterRecorded if at_rest => {
            if safety::absentees(facts).is_empty() {
                "Running"
            } else if is_forming(facts) {
                "Founding"
            } else {
                "Degraded"
            }
        }
        Step::Running => "Running",
        Step::Preflight
        | Step::Fenced
        | Step::RosterRecorded
        | Step::Frozen
        | Step::Sealed
        | Step::Committed
        | Step::ScaledDown => "Stopping",
        Step::VolumesChecked | Step::ScaledUp | Step::MembersComplete | Step::Activated | Step::JobsVerified => {
            "Returning"
        }
        Step::Open => {
            if plan.ended.is_some() {
                "Running"
            } else {
                "Returning"
            }
        }
    }
}

/// Its members were never all there: they are still on their way for the first time. A status alone does not tell: it may
/// have been erased.
fn is_forming(facts: &Facts) -> bool {
    let first = facts.kube.evidence.seals.is_empty() && facts.machine().is_none_or(|machine| machine.generation <= 1);
    let phase = facts.cluster.status.as_ref().and_then(|status| status.phase.as_deref());
    first && matches!(phase, None | Some("Creating" | "Founding"))
}

/// A held pass says where it stands, not that it stands.
fn held_phase(facts: &Facts) -> &'static str {
    if conditions::is_stopped(facts) { "Stopped" } else { "Held" }
}

/// Recorded members that are there / recorded members, as the members tell it: a pod's readiness comes later.
fn members(facts: &Facts) -> String {
    let standing = standing(facts);
    let wanted = standing.as_ref().ok().and_then(Standing::roster_size);
    let wanted = wanted.unwrap_or(facts.cluster.spec.size.max(0).cast_unsigned());
    let there = facts.members.values().filter_map(|seen| match seen {
        Seen::View(view) => Some(view.phase),
        Seen::Silent(_) => None,
    });
    let there = there.filter(|phase| match standing {
        Ok(Standing::Sealed(_)) => matches!(phase, MemberPhase::WaitingForActivate | MemberPhase::Serving),
        _ => matches!(phase, MemberPhase::Serving | MemberPhase::Sealed),
    });
    format!("{}/{wanted}", there.count())
}

fn selector(facts: &Facts) -> String {
    names::selector(&facts.name()).iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",")
}

/// What an operation waits for that has nothing to do now.
fn waiting_for(facts: &Facts, plan: &Plan, requests: &Requests) -> String {
    if plan.act.is_some() {
        return String::new();
    }
    if plan.step != Step::Stopped || plan.stalled || requests.delete {
        return plan.message.clone();
    }
    let way = |who: &&str| match *who {
        "Spec" => "spec.state: Running".to_owned(),
        _ => format!("kubectl annotate jetcluster {} {}-", facts.name(), keys::MAINTENANCE),
    };
    format!("the return: {}", requests.stop.iter().map(way).collect::<Vec<_>>().join(", and "))
}

fn operation_status(facts: &Facts, plan: &Plan, requests: &Requests, open: &OperationStamp) -> OperationStatus {
    let (kind, nonce) = operation::kind_of(&open.wish);
    let accepted_at = jiff::Timestamp::from_second(open.accepted_at).map(|t| t.to_string()).unwrap_or_default();
    // A record or an adopted operation has no time of its own: it keeps the one first written.
    let known = facts
        .cluster
        .status
        .as_ref()
        .and_then(|s| s.operation.as_ref())
        .filter(|o| o.id == open.id)
        .map(|o| o.accepted_at.clone());
    OperationStatus {
        id: open.id.clone(),
        kind: kind.into(),
        nonce,
        step: format!("{:?}", plan.step),
        step_number: plan.step.number(),
        waiting_for: waiting_for(facts, plan, requests),
        requested_by: open.requested_by.clone(),
        accepted_at: known.unwrap_or(accepted_at),
    }
}

fn spent_status(spent: &SpentWish) -> SpentStatus {
    let (kind, nonce) = operation::kind_of(&spent.wish);
    SpentStatus {
        operation: spent.operation.clone(),
        kind: kind.into(),
        nonce,
        outcome: spent.outcome.clone(),
        reason: spent.reason.clone(),
    }
}

fn roster(facts: &Facts) -> Option<RosterStatus> {
    let record = &facts.kube.evidence.roster()?.record;
    let seen = |ordinal: u32| match facts.members.get(&ordinal) {
        Some(Seen::View(view)) => format!("{:?}", view.phase),
        Some(Seen::Silent(_)) => "Silent".into(),
        None => "NoPod".into(),
    };
    let members = record.members.iter().map(|m| RosterMemberStatus {
        pod: names::pod(&facts.name(), m.ordinal),
        uuid: m.uuid.to_string(),
        seen: seen(m.ordinal),
    });
    Some(RosterStatus {
        sequence: record.sequence.cast_signed(),
        generation: record.generation.cast_signed(),
        digest: record.digest.clone(),
        members: members.collect(),
    })
}

fn seal(facts: &Facts) -> Option<SealStatus> {
    let kept = facts.kube.evidence.seal()?;
    let live = matches!(standing(facts), Ok(Standing::Sealed(live)) if live.uid == kept.uid);
    Some(SealStatus {
        record: kept.name.clone(),
        operation: kept.record.operation.clone(),
        generation: kept.record.generation.cast_signed(),
        digest: kept.record.digest.clone(),
        committed_at: kept.record.committed_at.clone(),
        live,
    })
}

fn volumes(facts: &Facts) -> Option<VolumesStatus> {
    let Ok(Standing::Sealed(kept)) = standing(facts) else { return None };
    let adopt_digest = safety::adopt_digest(facts, &kept.record)?;
    let replaced = safety::replaced_claims(facts, &kept.record);
    let replaced = replaced.iter().map(|(ordinal, _)| names::claim(&facts.name(), *ordinal)).collect();
    Some(VolumesStatus { replaced, adopt_digest })
}

fn blockers(facts: &Facts, plan: &Plan, outcome: &Outcome) -> Vec<Blocker> {
    let mut blockers = plan.blockers.clone();
    if let Outcome::Not(why) = outcome {
        let reason =
            if matches!(plan.act, Some(Act::Command { .. })) { Reason::CommandRefused } else { Reason::WriteRefused };
        blockers.insert(0, blocker(format!("jetcluster/{}", facts.name()), reason, why.clone(), None));
    }
    blockers.truncate(BLOCKERS_LISTED);
    blockers
}

fn history(facts: &Facts, plan: &Plan, done: bool, mut history: Vec<HistoryEntry>) -> Vec<HistoryEntry> {
    if let Some((operation, outcome)) = plan.ended.as_ref().filter(|_| done) {
        let (kind, _) = operation::kind_of(&operation.wish);
        history.retain(|h| h.operation != operation.id);
        history.insert(
            0,
            HistoryEntry {
                operation: operation.id.clone(),
                kind: kind.into(),
                outcome: (*outcome).into(),
                at: facts.now_text(),
            },
        );
        history.truncate(HISTORY_KEPT);
    }
    history
}

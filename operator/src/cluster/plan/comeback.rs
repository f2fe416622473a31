//! Steps 8 to 15 of the maintenance protocol: at a live seal, down to Stopped or back to running.
//!
//! Law: the wish alone decides the direction until the activation is stamped; from then on only forward. Nothing is
//! activated but the recorded roster, each on its sealed store. Must not know: how a stop came to its seal.

use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::operation::{Activate, OperationStep};

use crate::api::annotations as keys;
use crate::api::records::{OperationStamp, SealRecord, WishKey};
use crate::api::{Reason, names};
use crate::cluster::desired::Budget;
use crate::cluster::evidence::jobs::Fate;
use crate::cluster::evidence::{Kept, jobs, roster};
use crate::cluster::facts::{Facts, SetFacts};
use crate::cluster::plan::act::{Act, Mark, Plan, Remember, Step, blocker};
use crate::cluster::plan::request::{self, Requests};
use crate::cluster::plan::{absentee, drift, objects, operation, release, rest, safety};
use crate::job::wishes;
use crate::members::Command;

/// Verdicts of jobs are waited for this long after the activation; then the doors open and the condition says which
/// job has none.
pub const VERDICTS_WITHIN_SECONDS: i64 = 120;

/// One step at a live seal.
pub fn plan(facts: &Facts, requests: &Requests, seal: &Kept<SealRecord>, open: Option<&OperationStamp>) -> Plan {
    let open = open.filter(|open| open.id == seal.record.operation).cloned().unwrap_or_else(|| of_record(facts, seal));
    let mark = format!("{}/{}", seal.name, seal.uid);
    let plan = match &facts.kube.set {
        None => {
            let stamp = serde_json::to_string(&open).unwrap_or_default();
            let extra = [(keys::STAMP_SEAL, mark), (keys::STAMP_OPERATION, stamp)];
            objects::apply_set(
                facts,
                Step::ScaledDown,
                0,
                &extra,
                "the members' StatefulSet is made again, with no replicas",
            )
        }
        Some(set) if set.seal.as_ref() != Some(&mark) => down(facts, seal, set, &open, mark),
        Some(set) if set.replicas == 0 => at_zero(facts, requests, seal, &open),
        Some(set) => up(facts, requests, seal, set, &open),
    };
    plan.carrying(Some(open))
}

fn of_record(facts: &Facts, seal: &Kept<SealRecord>) -> OperationStamp {
    OperationStamp {
        id: seal.record.operation.clone(),
        wish: WishKey::Stop,
        requested_by: seal.name.clone(),
        accepted_at: facts.now,
    }
}

/// Steps 7 and 8: claims carry the seal, then replicas go to 0 with the stamp.
fn down(facts: &Facts, seal: &Kept<SealRecord>, set: &SetFacts, open: &OperationStamp, mark: String) -> Plan {
    if let Some(plan) = objects::budget(facts, Step::Committed, Budget::Closed) {
        return plan;
    }
    if let Some((message, act)) = unstamped(facts, &seal.record) {
        return Plan::acts(Step::Committed, Reason::Stopping, message, act);
    }
    let against = safety::why_not_scale_down(facts, &seal.record);
    if !against.is_empty() {
        return Plan::stalled(Step::Committed, Reason::SealDiffers, "members stay up: something would be lost")
            .blocked_by(against);
    }
    let stamp = serde_json::to_string(open).ok();
    let write = Mark::default()
        .replicas(0)
        .stamp(keys::STAMP_SEAL, Some(mark))
        .stamp(keys::STAMP_OPERATION, stamp)
        .stamp(keys::STAMP_ACTIVATING, None);
    let message = format!("replicas {} → 0, justified by {}", set.replicas, seal.name);
    Plan::acts(Step::ScaledDown, Reason::Stopping, message, Act::Mark(write))
}

/// Claims that do not carry this seal yet.
pub fn unstamped(facts: &Facts, record: &SealRecord) -> Option<(String, Act)> {
    let members: Vec<_> = record.members.iter().map(|m| (m.ordinal, m.uuid)).collect();
    objects::stamps(roster::unstamped(facts, &members, record.founding_id, Some(&record.digest)), "the seal")
}

/// Step 9, and the turn to the return.
fn at_zero(facts: &Facts, requests: &Requests, seal: &Kept<SealRecord>, open: &OperationStamp) -> Plan {
    if !facts.kube.pods.is_empty() {
        return Plan::waits(Step::ScaledDown, Reason::Stopping, "pods are ending").blocked_by(lingering(facts));
    }
    if requests.delete {
        let against = safety::why_not_delete(facts, &seal.record);
        return if against.is_empty() {
            release::release("sealed and stopped: released; claims and records stay")
        } else {
            Plan::stalled(Step::Stopped, Reason::Deleting, "it cannot be released").blocked_by(against)
        };
    }
    if requests.wants_stop() {
        if let Some(nonce) = requests.restart.clone().filter(|nonce| open.wish != WishKey::Restart(nonce.clone())) {
            return not_applicable(facts, nonce);
        }
        if let Some(plan) = request::late_abort(facts, requests, Step::Stopped) {
            return plan;
        }
        return Plan::waits(
            Step::Stopped,
            Reason::SealedAndStopped,
            format!("sealed as {} and stopped: the power may go", seal.name),
        )
        .blocked_by(safety::why_not_return(facts, requests, &seal.record));
    }
    let against = safety::why_not_return(facts, requests, &seal.record);
    if !against.is_empty() {
        return Plan::stalled(Step::VolumesChecked, Reason::VolumeReplaced, "the return waits for its volumes")
            .blocked_by(against);
    }
    if let Some(plan) = objects::companion(facts, Step::VolumesChecked, Budget::Closed) {
        return plan;
    }
    let size = members(&seal.record);
    // One write with the whole template: whoever wrote into it meanwhile has no part in the pods that are made now.
    objects::apply_set(
        facts,
        Step::ScaledUp,
        size,
        &[],
        &format!("the return begins: replicas 0 → {size}, all at once"),
    )
}

fn members(record: &SealRecord) -> u32 {
    record.members.iter().map(|m| m.ordinal + 1).max().unwrap_or(0)
}

fn not_applicable(facts: &Facts, nonce: String) -> Plan {
    let mut handled = request::handled(facts);
    handled.restart = Some(nonce);
    handled.restart_outcome = Some("NotApplicable".into());
    let remember = Remember { handled, ..Remember::default() };
    Plan::acts(
        Step::Stopped,
        Reason::NotApplicable,
        "a restart does not apply while stopped: remove what asks for the stop, and it returns",
        Act::Remember(remember),
    )
}

/// Pods that end, the one on a dead node with the way out.
fn lingering(facts: &Facts) -> Vec<crate::api::status::Blocker> {
    let dead = facts.kube.pods.iter().filter(|(_, pod)| pod.node_ready == Some(false));
    dead.map(|(ordinal, pod)| {
        let node = pod.node.clone().unwrap_or_default();
        let message = format!("it cannot end because node {node} does not answer; the pod is never deleted by force");
        let command = format!("kubectl taint node {node} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute");
        blocker(format!("pod/{}", names::pod(&facts.name(), *ordinal)), Reason::NodeUnavailable, message, Some(command))
    })
    .collect()
}

/// Steps 11 to 13, or back to 0 while that is harmless.
fn up(facts: &Facts, requests: &Requests, seal: &Kept<SealRecord>, set: &SetFacts, open: &OperationStamp) -> Plan {
    let record = &seal.record;
    let activating = set.activating.as_deref() == Some(open.id.as_str());
    if !activating && requests.wants_stop() {
        let message = format!("the stop is wished again: replicas {} → 0 at the same seal", set.replicas);
        return Plan::acts(Step::ScaledDown, Reason::Stopping, message, Act::Mark(Mark::default().replicas(0)));
    }
    let size = members(record);
    if set.replicas != i32::try_from(size).unwrap_or(i32::MAX) {
        return Plan::acts(
            Step::ScaledUp,
            Reason::Returning,
            "replicas follow the seal",
            Act::Mark(Mark::default().replicas(size)),
        );
    }
    if facts.machine().is_some_and(|machine| activating && machine.state == ClusterStateView::Activating) {
        return Plan::waits(Step::Activated, Reason::Returning, "members open the next generation");
    }
    if let Some(plan) = (!activating).then(|| starting(facts, requests, record, set)).flatten() {
        return plan;
    }
    let against = safety::why_not_activate(facts, record);
    if !against.is_empty() {
        let message = absentee::complete_message(facts, record);
        return Plan::waits(Step::MembersComplete, Reason::MembersMissing, message).blocked_by(against);
    }
    if !activating {
        let write = Mark::default().stamp(keys::STAMP_ACTIVATING, Some(open.id.clone()));
        return Plan::acts(
            Step::MembersComplete,
            Reason::Returning,
            "all members are there, each on its sealed store",
            Act::Mark(write),
        );
    }
    activate(facts, record, open)
}

/// What is looked at again while members start and no store is open.
fn starting(facts: &Facts, requests: &Requests, record: &SealRecord, set: &SetFacts) -> Option<Plan> {
    let against = safety::why_not_return(facts, requests, record);
    if !against.is_empty() {
        let message = "the return waits for its volumes";
        return Some(Plan::stalled(Step::VolumesChecked, Reason::VolumeReplaced, message).blocked_by(against));
    }
    if let Some(plan) = objects::companion(facts, Step::ScaledUp, Budget::Closed) {
        return Some(plan);
    }
    if !objects::template_is_current(facts, set) || drift::hand(facts).is_some() {
        let message = "the newest template is applied: no store is open yet";
        return Some(objects::apply_set(facts, Step::ScaledUp, members(record), &[], message));
    }
    objects::outdated_pod(facts, Step::ScaledUp)
}

fn activate(facts: &Facts, record: &SealRecord, open: &OperationStamp) -> Plan {
    let Some(ordinal) = facts.speaker() else {
        return Plan::waits(Step::Activated, Reason::MemberUnreachable, "no member answers");
    };
    let wishes = facts
        .kube
        .evidence
        .wishes
        .as_ref()
        .filter(|kept| kept.operation == open.id)
        .map(|kept| wishes::of_sleepers(&kept.wishes, &record.jobs))
        .unwrap_or_default();
    let activate = Activate { sealed_generation: record.generation, wishes };
    let command = Command::Activate { operation: open.id.clone(), activate };
    let message = format!("generation {} is activated", record.generation + 1);
    Plan::acts(Step::Activated, Reason::Returning, message, Act::Command { ordinal, command })
}

/// Steps 13 to 15 once the machine says Activated or Opened.
pub fn after_activation(facts: &Facts, open: &OperationStamp) -> Plan {
    let size = facts.machine().and_then(|m| m.roster.iter().map(|r| r.ordinal + 1).max()).unwrap_or(0);
    let Some(set) = &facts.kube.set else {
        return objects::apply_set(facts, Step::Activated, size, &[], "the members' StatefulSet is made again");
    };
    if set.replicas != i32::try_from(size).unwrap_or(i32::MAX) {
        return Plan::acts(
            Step::Activated,
            Reason::Returning,
            "replicas follow the roster",
            Act::Mark(Mark::default().replicas(size)),
        );
    }
    if let Some(plan) = rest::records(facts, None) {
        return Plan { step: Step::Activated, reason: Reason::Returning, ..plan };
    }
    if operation::in_machine(facts, &open.id).is_some_and(|op| op.step == OperationStep::Opened) {
        return opened(facts, open);
    }
    let undecided = undecided(facts, open);
    let since = facts.kube.evidence.roster().map_or(facts.now, |kept| kept.record.recorded_at);
    if !undecided.is_empty() && facts.now < since + VERDICTS_WITHIN_SECONDS {
        let message = format!("jobs go on from their snapshots; no verdict yet: {}", undecided.join(", "));
        return Plan::waits(Step::JobsVerified, Reason::Returning, message);
    }
    let Some(ordinal) = facts.speaker() else {
        return Plan::waits(Step::Open, Reason::MemberUnreachable, "no member answers");
    };
    let command = Command::Open { operation: open.id.clone() };
    Plan::acts(Step::Open, Reason::Returning, "the doors open", Act::Command { ordinal, command })
}

/// Jobs of the ledger of which nothing is decided.
fn undecided(facts: &Facts, open: &OperationStamp) -> Vec<String> {
    let seal = facts.kube.evidence.seals.iter().find(|kept| kept.record.operation == open.id);
    let (Some(seal), Some(machine)) = (seal, facts.machine()) else {
        return Vec::new();
    };
    let outcomes = jobs::outcomes(&seal.record, machine).into_iter();
    outcomes.filter(|outcome| outcome.fate == Fate::Open).map(|outcome| outcome.name).collect()
}

/// Everything is as before the stop but the stamps: they go last.
fn opened(facts: &Facts, open: &OperationStamp) -> Plan {
    let budget = match objects::budget(facts, Step::Open, rest::budget(facts)) {
        Some(plan) if plan.act.is_none() => return plan,
        plan => plan.and_then(|plan| plan.act),
    };
    let write = keys::STAMPS.iter().fold(Mark::default(), |mark, key| mark.stamp(key, None));
    let Some(acts) = Act::row(budget.into_iter().chain([Act::Mark(write)]).collect()) else {
        return Plan::waits(Step::Open, Reason::Running, "the return is complete");
    };
    let mut plan = Plan::acts(Step::Open, Reason::Running, "the return is complete", acts);
    plan.ended = Some((open.clone(), "Returned"));
    plan
}

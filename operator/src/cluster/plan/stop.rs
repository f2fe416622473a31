//! Steps 1 to 8 of the maintenance protocol: from a wish to replicas 0.
//!
//! Law: until Committed it can be taken back, and is at any deadline; from Committed on only forward; replicas go to 0
//! only with a stamp that names the seal record. Must not know: the return.

use jet_admin_api::operation::{Abort, BeginOperation, Commit, Freeze, OperationStep, OperationView};

use crate::api::annotations as keys;
use crate::api::condition::counted;
use crate::api::records::{OperationStamp, SpentWish, WishKey};
use crate::api::status::Blocker;
use crate::api::{Reason, names};
use crate::cluster::desired::Budget;
use crate::cluster::evidence::standing::Standing;
use crate::cluster::evidence::{roster, seals};
use crate::cluster::facts::Facts;
use crate::cluster::plan::act::{Act, Mark, Plan, Step};
use crate::cluster::plan::request::Requests;
use crate::cluster::plan::{comeback, objects, operation, rest, safety};
use crate::members::Command;

/// Slack before the operator aborts what the members' own deadline should have ended.
pub const ABORT_SLACK_SECONDS: i64 = 30;

/// One step of it.
pub fn plan(facts: &Facts, requests: &Requests, standing: &Standing<'_>, open: &OperationStamp) -> Plan {
    let stamped =
        facts.kube.set.as_ref().and_then(|set| set.operation.as_ref()).is_some_and(|stamp| stamp.id == open.id);
    let machine = operation::in_machine(facts, &open.id);
    if facts.kube.set.is_none() {
        // Every later write is on it; it comes back with the members that there are, never with fewer.
        let stamp = serde_json::to_string(open).unwrap_or_default();
        let extra: &[_] = if machine.is_some() { &[(keys::STAMP_OPERATION, stamp)] } else { &[] };
        let size = standing.roster_size().unwrap_or_default();
        return objects::apply_set(facts, Step::Fenced, size, extra, "the members' StatefulSet is made again");
    }
    match machine.map(|op| op.step) {
        Some(OperationStep::Committed) => return committed(facts, open, stamped),
        Some(OperationStep::Activated | OperationStep::Opened) => return comeback::after_activation(facts, open),
        Some(OperationStep::Aborted) => return aborted(facts, requests, open, machine),
        _ => {}
    }
    // An operation that only the members know is stamped first: the write loses if this look at Kubernetes is old, so that
    // an operator that lags behind never takes back what it has not heard of.
    if machine.is_some() && !stamped {
        return adopt(open, "the operation of the members is stamped");
    }
    if let Some(plan) = taken_back(facts, requests, open, machine) {
        return plan;
    }
    let Some(machine) = machine else {
        return before_begin(facts, standing, open, stamped);
    };
    if let Some(plan) = objects::budget(facts, Step::Fenced, Budget::Closed) {
        return plan;
    }
    if let Some(plan) = rest::records(facts, None) {
        return plan;
    }
    frozen(facts, open, machine)
}

/// Preflight, the stamp, the budget, Begin: in this order.
fn before_begin(facts: &Facts, standing: &Standing<'_>, open: &OperationStamp, stamped: bool) -> Plan {
    let against = if matches!(standing, Standing::Running(_) | Standing::Unrecorded { .. }) {
        safety::why_not_stop(facts)
    } else {
        safety::not_formed(facts)
    };
    if let Some(superseded) = superseded(facts, open) {
        return spend(open, "RolledBack", superseded);
    }
    if !against.is_empty() {
        return refused(facts, open, against);
    }
    let budget = objects::budget(facts, Step::Fenced, Budget::Closed);
    if !stamped {
        let message = format!("the {} is accepted, asked for by {}", operation::noun(&open.wish), open.requested_by);
        let mut plan = stamp(open, &message);
        plan.act = Act::row(plan.act.into_iter().chain(budget.and_then(|budget| budget.act)).collect());
        return plan;
    }
    if let Some(plan) = budget {
        return plan;
    }
    let Some(ordinal) = facts.speaker() else {
        return Plan::waits(Step::Fenced, Reason::MemberUnreachable, "no member answers");
    };
    let begin = BeginOperation {
        id: open.id.clone(),
        requested_by: open.requested_by.clone(),
        accepted_job_loss: safety::accepted_losses(facts),
    };
    Plan::acts(
        Step::Fenced,
        Reason::Stopping,
        "members take no new jobs from here to the end of the operation",
        Act::Command { ordinal, command: Command::Begin(begin) },
    )
}

fn stamp(open: &OperationStamp, message: &str) -> Plan {
    let mark =
        Mark::default().stamp(keys::STAMP_OPERATION, serde_json::to_string(open).ok()).stamp(keys::STAMP_SPENT, None);
    Plan::acts(Step::Fenced, Reason::Stopping, message, Act::Mark(mark))
}

/// The same for an operation that began elsewhere; a spent wish stays spent.
fn adopt(open: &OperationStamp, message: &str) -> Plan {
    let mark = Mark::default().stamp(keys::STAMP_OPERATION, serde_json::to_string(open).ok());
    Plan::acts(Step::Fenced, Reason::Stopping, message, Act::Mark(mark))
}

/// A refused preflight may be tried again until the start deadline; then the wish is spent.
fn refused(facts: &Facts, open: &OperationStamp, against: Vec<Blocker>) -> Plan {
    let deadline = open.accepted_at + i64::from(facts.cluster.spec.maintenance.start_deadline_seconds);
    let said = against.iter().map(|b| b.message.clone()).collect::<Vec<_>>().join("; ");
    if facts.now >= deadline {
        return spend(open, "Refused", said).blocked_by(against);
    }
    Plan::waits(Step::Preflight, Reason::PreflightRefused, said).blocked_by(against)
}

/// Ends the operation and marks its wish as spent, in one write.
fn spend(open: &OperationStamp, outcome: &'static str, reason: impl Into<String>) -> Plan {
    let reason = reason.into();
    let spent = SpentWish {
        operation: open.id.clone(),
        wish: open.wish.clone(),
        outcome: outcome.into(),
        reason: reason.clone(),
    };
    let mark =
        Mark::default().stamp(keys::STAMP_OPERATION, None).stamp(keys::STAMP_SPENT, serde_json::to_string(&spent).ok());
    let message = format!("operation {} ends: {outcome}: {reason}", open.id);
    let mut plan = Plan::acts(Step::RollingBack, Reason::StopNotRetried, message, Act::Mark(mark));
    plan.spent = Some(spent);
    plan.ended = Some((open.clone(), outcome));
    plan
}

/// Another operation with a higher number was seen: ours can never begin.
fn superseded(facts: &Facts, open: &OperationStamp) -> Option<String> {
    let machine = facts.machine()?;
    let ours = operation::number(&open.id);
    let other = machine.operation.as_ref().filter(|op| op.id != open.id)?;
    (machine.highest_operation >= ours).then(|| format!("operation {} came before it", other.id))
}

/// The wish is gone, or the abort is asked for, or the time is over.
fn taken_back(
    facts: &Facts,
    requests: &Requests,
    open: &OperationStamp,
    machine: Option<&OperationView>,
) -> Option<Plan> {
    let maintenance = &facts.cluster.spec.maintenance;
    let given = i64::from(maintenance.start_deadline_seconds)
        + i64::from(maintenance.commit_within_seconds)
        + ABORT_SLACK_SECONDS;
    let is_spent =
        facts.kube.set.as_ref().and_then(|set| set.spent.as_ref()).is_some_and(|spent| spent.operation == open.id);
    let why = if is_spent {
        "its wish is spent"
    } else if requests.abort.as_deref() == Some(open.id.as_str()) {
        "aborted by annotation"
    } else if !requests.still_wishes(&open.wish) {
        "the wish was withdrawn"
    } else if facts.now > open.accepted_at + given && open.requested_by != "members" {
        "not committed in time"
    } else {
        return None;
    };
    if machine.is_none() {
        // Nothing was begun as far as the members know; one that begins late is aborted when it shows.
        return Some(spend(open, "Aborted", why));
    }
    let Some(ordinal) = facts.speaker() else {
        return Some(Plan::waits(
            Step::RollingBack,
            Reason::MemberUnreachable,
            "no member answers; members roll back by themselves",
        ));
    };
    let command = Command::Abort { operation: open.id.clone(), abort: Abort { reason: why.into() } };
    Some(Plan::acts(Step::RollingBack, Reason::RollingBack, why, Act::Command { ordinal, command }))
}

fn aborted(facts: &Facts, requests: &Requests, open: &OperationStamp, machine: Option<&OperationView>) -> Plan {
    if let Some(plan) = objects::budget(facts, Step::RollingBack, rest::budget(facts)) {
        return plan;
    }
    let reason = machine.and_then(|op| op.aborted_because.clone()).unwrap_or_else(|| "rolled back".into());
    if requests.still_wishes(&open.wish) || matches!(open.wish, WishKey::Restart(_)) {
        return spend(open, "RolledBack", reason);
    }
    let mut plan = spend(open, "Aborted", reason);
    plan.spent = None;
    plan.act = Some(Act::Mark(Mark::default().stamp(keys::STAMP_OPERATION, None).stamp(keys::STAMP_SPENT, None)));
    plan
}

/// Steps 5 to 7 as the machine shows them.
fn frozen(facts: &Facts, open: &OperationStamp, machine: &OperationView) -> Plan {
    let Some(ordinal) = facts.speaker() else {
        return Plan::waits(Step::Frozen, Reason::MemberUnreachable, "no member answers");
    };
    let act =
        |step, message: &str, command| Plan::acts(step, Reason::Stopping, message, Act::Command { ordinal, command });
    let progress =
        |otherwise: &str| if machine.progress.is_empty() { otherwise.to_owned() } else { machine.progress.clone() };
    match machine.step {
        OperationStep::Begun => {
            let seconds = facts.cluster.spec.maintenance.commit_within_seconds.max(0);
            let freeze = Freeze { commit_within_ms: u64::from(seconds.cast_unsigned()) * 1000 };
            act(
                Step::Frozen,
                "every job takes its terminal snapshot, then nothing changes any more",
                Command::Freeze { operation: open.id.clone(), freeze },
            )
        }
        OperationStep::Freezing => {
            Plan::waits(Step::Frozen, Reason::Stopping, progress("terminal snapshots are taken"))
        }
        OperationStep::Quiesced => Plan::waits(Step::Sealed, Reason::Stopping, progress("members seal their stores"))
            .blocked_by(safety::hindered_seals(facts, machine)),
        OperationStep::Sealed => {
            let against = safety::why_not_commit(facts, machine);
            if !against.is_empty() {
                return Plan::waits(Step::Sealed, Reason::SealDiffers, "not every member shows its seal")
                    .blocked_by(against);
            }
            let roster_digest = facts.kube.evidence.roster().map(|k| k.record.digest.clone()).unwrap_or_default();
            act(
                Step::Committed,
                "every member shows its seal: the stop is committed",
                Command::Commit { operation: open.id.clone(), commit: Commit { roster_digest } },
            )
        }
        _ => Plan::waits(Step::Frozen, Reason::Stopping, progress("")),
    }
}

/// Committed in the machine, and no live seal record yet: it is written now, and when it is, on the claims that it is there.
fn committed(facts: &Facts, open: &OperationStamp, stamped: bool) -> Plan {
    if roster::is_ahead(facts) {
        let message = "the members that answer have not heard of their activation, and their leader does not answer";
        return Plan::waits(Step::Activated, Reason::MemberUnreachable, message);
    }
    if !stamped {
        return adopt(open, "the committed operation of the members is stamped");
    }
    let record = facts.machine().and_then(|machine| Some((machine, machine.operation.as_ref()?)));
    let record = record.map(|(machine, op)| seals::from_machine(facts, machine, op));
    match record {
        Some(Ok(record)) => {
            let message = format!(
                "{} is recorded: generation {}, {}, {}",
                names::seal(&facts.name(), record.sequence),
                record.generation,
                counted(record.jobs.len() as u64, "job", "jobs"),
                counted(record.entries, "entry", "entries")
            );
            let stamps = comeback::unstamped(facts, &record).map(|(_, act)| act);
            let acts = [Act::CreateSeal(Box::new(record))].into_iter().chain(stamps).collect();
            Plan { act: Act::row(acts), ..Plan::waits(Step::Committed, Reason::Stopping, message) }
        }
        Some(Err(why)) => Plan::stalled(Step::Committed, Reason::SealDiffers, why),
        None => Plan::waits(Step::Committed, Reason::MemberUnreachable, "no member answers"),
    }
}

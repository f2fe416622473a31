//! From blank members to a cluster, once.
//!
//! Law: the founding id is in the status and in a ConfigMap made by create before any permit is sent; a permit is sent to
//! blank members only, and only while nobody has a cluster. Must not know: what a member does with a permit.

use jet_admin_api::founding::FoundingPermit;
use jet_admin_api::member::{MemberPhase, MemberView};

use crate::api::records::FoundingRecord;
use crate::api::{DesiredState, Reason, names};
use crate::cluster::desired::Budget;
use crate::cluster::evidence::standing::Standing;
use crate::cluster::facts::Facts;
use crate::cluster::plan::act::{Act, Plan, Remember, Step, blocker};
use crate::cluster::plan::{objects, request, safety};
use crate::members::Command;

/// One step of it.
pub fn plan(facts: &Facts, standing: &Standing<'_>) -> Plan {
    let spec = &facts.cluster.spec;
    if matches!(standing, Standing::Nothing) && facts.kube.set.is_none() && stop_wished(facts) {
        return Plan::waits(
            Step::Held,
            Reason::StoppedAsAsked,
            "nothing was founded yet and the stop is wished: nothing is started",
        );
    }
    if let Some(plan) = objects::companion(facts, Step::Creating, Budget::Closed) {
        return plan;
    }
    let size = match standing {
        Standing::Founding(kept) => kept.record.ordinals.len().try_into().unwrap_or(0),
        _ => spec.size.max(0).cast_unsigned(),
    };
    match &facts.kube.set {
        None => return objects::apply_set(facts, Step::Creating, size, &[], "the members' StatefulSet is made"),
        Some(set)
            if set.replicas != i32::try_from(size).unwrap_or(i32::MAX) || !objects::template_is_current(facts, set) =>
        {
            return objects::apply_set(facts, Step::Creating, size, &[], "the members' StatefulSet is written");
        }
        Some(_) => {}
    }
    if let Some(plan) = objects::outdated_pod(facts, Step::Creating).filter(|_| nobody_founded(facts)) {
        return plan;
    }
    let Standing::Founding(kept) = standing else {
        return begin(facts, size);
    };
    send(facts, &kept.record)
}

fn stop_wished(facts: &Facts) -> bool {
    facts.cluster.spec.state == DesiredState::Stopped || !request::Requests::read(facts).stop.is_empty()
}

fn nobody_founded(facts: &Facts) -> bool {
    facts.views().all(|(_, view)| view.cluster.is_none())
}

/// Id into the status, then the record; both before any permit.
fn begin(facts: &Facts, size: u32) -> Plan {
    let recorded = facts.cluster.status.as_ref().and_then(|s| s.founding_id.as_ref()).and_then(|id| id.parse().ok());
    let Some(founding_id) = recorded else {
        let remember =
            Remember { handled: request::handled(facts), founding_id: Some(facts.fresh.to_string()), operation: None };
        return Plan::acts(Step::Founding, Reason::Founding, "the founding id is chosen", Act::Remember(remember));
    };
    let record = FoundingRecord {
        founding_id,
        ordinals: (0..size).collect(),
        partition_count: u16::try_from(facts.cluster.spec.partition_count).unwrap_or(271),
        backup_count: u8::try_from(facts.cluster.spec.backup_count).unwrap_or(1),
    };
    Plan::acts(Step::Founding, Reason::Founding, "the founding permit is recorded", Act::CreateFounding(record))
}

/// The permit to each blank member, once all are there.
fn send(facts: &Facts, record: &FoundingRecord) -> Plan {
    let missing: Vec<_> = record.ordinals.iter().filter(|o| facts.view(**o).is_none()).collect();
    if !missing.is_empty() {
        let blockers = missing.iter().map(|o| safety::absentee(facts, **o)).collect();
        return Plan::waits(Step::Creating, Reason::Creating, "not all members answer yet").blocked_by(blockers);
    }
    let blank = |view: &MemberView| view.phase == MemberPhase::NoStore;
    let next = record.ordinals.iter().find(|o| facts.view(**o).is_some_and(blank));
    if let Some(ordinal) = next {
        if !nobody_founded(facts) {
            let object = format!("pod/{}", names::pod(&facts.name(), *ordinal));
            let message = "its volume is blank though the others are founded";
            let blockers = vec![blocker(object, Reason::NoStore, message, None)];
            return Plan::stalled(Step::Founding, Reason::NoStore, message).blocked_by(blockers);
        }
        let permit = FoundingPermit {
            founding_id: record.founding_id,
            ordinals: record.ordinals.clone(),
            partition_count: record.partition_count,
            backup_count: record.backup_count,
        };
        let message = format!("the permit goes to member {ordinal}");
        return Plan::acts(
            Step::Founding,
            Reason::Founding,
            message,
            Act::Command { ordinal: *ordinal, command: Command::Found(permit) },
        );
    }
    Plan::waits(Step::Founding, Reason::Founding, "all members hold the permit; they found")
}

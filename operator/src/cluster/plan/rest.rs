//! A running cluster at rest: objects and records are as they should be.
//!
//! Law: replicas follow the roster; a template that would restart an open store is not written, nor the configuration that
//! goes with it; evictions are let through only while everything is backed up. Must not know: stops and returns.

use crate::api::records::SEALS_KEPT;
use crate::api::status::Blocker;
use crate::api::{Reason, annotations as keys};
use crate::cluster::desired::Budget;
use crate::cluster::evidence::roster;
use crate::cluster::evidence::standing::Standing;
use crate::cluster::facts::Facts;
use crate::cluster::plan::act::{Act, Mark, Plan, Step, blocker};
use crate::cluster::plan::request::Requests;
use crate::cluster::plan::{drift, objects, request, safety};

/// One step of it.
pub fn plan(facts: &Facts, requests: &Requests, standing: &Standing<'_>) -> Plan {
    let replicas = standing.roster_size().unwrap_or_default();
    if let Some(plan) = set(facts, replicas) {
        return plan;
    }
    if let Some(plan) = drift::set_back(facts, replicas) {
        return plan;
    }
    if let Some(plan) = objects::companion_of_running(facts, Step::Running, budget(facts)) {
        return plan;
    }
    if let Some(plan) = records(facts, None) {
        return plan;
    }
    if facts.machine().is_some_and(|machine| machine.generation == 0) {
        return Plan::waits(Step::Founding, Reason::Founding, "the members open their first generation");
    }
    if let Some(plan) = prune(facts) {
        return plan;
    }
    let absent = safety::absentees(facts);
    if !absent.is_empty() {
        let all = safety::incomplete_message(facts);
        return Plan::waits(Step::Running, Reason::MembersMissing, all).blocked_by(absent);
    }
    if let Some(spent) = request::spent(facts).filter(|spent| requests.wish().as_ref() == Some(&spent.wish)) {
        let message = format!(
            "operation {} was {}: {}; it is not tried again by itself",
            spent.operation, spent.outcome, spent.reason
        );
        let retry =
            format!("kubectl annotate jetcluster {} {}={} --overwrite", facts.name(), keys::RETRY, spent.operation);
        let blockers =
            vec![blocker(format!("jetcluster/{}", facts.name()), Reason::StopNotRetried, message.clone(), Some(retry))];
        return Plan::stalled(Step::Running, Reason::StopNotRetried, message).blocked_by(blockers);
    }
    if let Some(plan) = request::late_abort(facts, requests, Step::Running) {
        return plan;
    }
    Plan::waits(Step::Running, Reason::Running, "it runs").blocked_by(waiting_changes(facts, replicas))
}

fn set(facts: &Facts, replicas: u32) -> Option<Plan> {
    let Some(set) = &facts.kube.set else {
        return Some(objects::apply_set(facts, Step::Running, replicas, &[], "the members' StatefulSet is made again"));
    };
    if set.replicas != i32::try_from(replicas).unwrap_or(i32::MAX) {
        let message = format!("replicas were {} and the roster has {replicas} members: set back", set.replicas);
        return Some(Plan::acts(
            Step::Running,
            Reason::Reconciled,
            message,
            Act::Mark(Mark::default().replicas(replicas)),
        ));
    }
    if let Some(why) = &set.misshapen {
        let message = format!("the members' StatefulSet was changed by somebody else, {why}: set back");
        return Some(Plan::acts(Step::Running, Reason::Drift, message, Act::Mark(Mark::default().replicas(replicas))));
    }
    let leftovers = [(keys::STAMP_SEAL, set.seal.is_some()), (keys::STAMP_ACTIVATING, set.activating.is_some())];
    let mark =
        leftovers.iter().filter(|(_, there)| *there).fold(Mark::default(), |mark, (key, _)| mark.stamp(key, None));
    (!mark.stamps.is_empty())
        .then(|| Plan::acts(Step::Running, Reason::Reconciled, "stamps of an ended operation go", Act::Mark(mark)))
}

/// Roster record and claim stamps as the machine has them.
pub fn records(facts: &Facts, seal: Option<&str>) -> Option<Plan> {
    let machine = facts.machine()?;
    // In generation 0 no store is open yet: the roster of 1, which follows at once, is the first that held anything.
    if roster::is_ahead(facts) || machine.generation == 0 {
        return None;
    }
    let members: Vec<_> = machine.roster.iter().map(|m| (m.ordinal, m.uuid)).collect();
    let stamps = objects::stamps(roster::unstamped(facts, &members, machine.founding_id, seal), "its member");
    if !roster::is_recorded(facts) {
        let record = roster::from_machine(facts)?;
        let message = format!("roster {} of generation {} is recorded", record.sequence, record.generation);
        let acts = [Act::CreateRoster(record)].into_iter().chain(stamps.map(|(_, act)| act)).collect();
        return Some(Plan { act: Act::row(acts), ..Plan::waits(Step::RosterRecorded, Reason::Reconciled, message) });
    }
    let (message, act) = stamps?;
    Some(Plan::acts(Step::RosterRecorded, Reason::Reconciled, message, act))
}

/// Evictions are let through only while nothing would be lost by one.
pub fn budget(facts: &Facts) -> Budget {
    if safety::why_not_evict(facts).is_empty() { Budget::One } else { Budget::Closed }
}

fn prune(facts: &Facts) -> Option<Plan> {
    let evidence = &facts.kube.evidence;
    let old_seal =
        evidence.seals.len().checked_sub(SEALS_KEPT + 1).and_then(|i| evidence.seals.get(i)).map(|k| (&k.name, &k.uid));
    let old_roster = evidence
        .rosters
        .len()
        .checked_sub(SEALS_KEPT + 1)
        .and_then(|i| evidence.rosters.get(i))
        .map(|k| (&k.name, &k.uid));
    let (name, uid) = old_seal.or(old_roster)?;
    let act = Act::PruneRecord { name: name.clone(), uid: uid.clone() };
    Some(Plan::acts(Step::Running, Reason::Reconciled, format!("the old record {name} goes"), act))
}

/// Changes of the spec that wait for a stop and return.
fn waiting_changes(facts: &Facts, replicas: u32) -> Vec<Blocker> {
    let object = format!("jetcluster/{}", facts.name());
    let mut waiting = Vec::new();
    if facts.cluster.spec.size.max(0).cast_unsigned() != replicas {
        let message = format!(
            "spec.size is {} and the roster has {replicas} members: changing the size of a founded cluster is not offered by this version",
            facts.cluster.spec.size
        );
        waiting.push(blocker(object.clone(), Reason::ChangeWaits, message, None));
    }
    if facts.kube.set.as_ref().is_some_and(|set| !objects::template_is_current(facts, set)) {
        let command = format!("kubectl annotate jetcluster {} {}=$(date +%s) --overwrite", facts.name(), keys::RESTART);
        let message = "image, resources or configuration changed: applied at the next stop and return";
        waiting.push(blocker(object, Reason::ChangeWaits, message, Some(command)));
    }
    waiting.extend(drift::named(facts));
    waiting
}

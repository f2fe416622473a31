//! Why a member is not there: the first broken link of pod → claim → volume → node → container → store.
//!
//! Law: one sentence and at most one command for each; what could not be seen is called unseen. Must not know: what
//! is done about it.

use jet_admin_api::member::MemberPhase;

use crate::api::records::SealRecord;
use crate::api::status::Blocker;
use crate::api::{Reason, names};
use crate::cluster::facts::{Facts, Seen};
use crate::cluster::plan::act::blocker;

/// The first broken link of one member.
pub fn why(facts: &Facts, ordinal: u32) -> Blocker {
    let name = facts.name();
    let pod_name = names::pod(&name, ordinal);
    let claim_name = names::claim(&name, ordinal);
    let at_pod = |reason, message: String, command| blocker(format!("pod/{pod_name}"), reason, message, command);
    let at_claim = |reason, message: String, command| blocker(format!("claim/{claim_name}"), reason, message, command);
    let describe = |what: &str| Some(format!("kubectl describe {what}"));

    let Some(pod) = facts.kube.pods.get(&ordinal) else {
        return at_pod(
            Reason::MembersMissing,
            "the pod does not exist".into(),
            describe(&format!("statefulset {name}")),
        );
    };
    match facts.kube.claims.get(&ordinal) {
        None => {
            return at_claim(
                Reason::ClaimMissing,
                "the claim does not exist".into(),
                describe(&format!("pod {pod_name}")),
            );
        }
        Some(claim) if claim.deleting => {
            return at_claim(
                Reason::ClaimDeleting,
                "the claim is being deleted: the pod cannot start on it".into(),
                describe(&format!("pvc {claim_name}")),
            );
        }
        Some(claim) if !claim.bound && pod.node.is_some() => {
            return at_claim(
                Reason::ClaimMissing,
                "the claim is not bound to a volume".into(),
                describe(&format!("pvc {claim_name}")),
            );
        }
        Some(_) => {}
    }
    if pod.deleting {
        return at_pod(Reason::MembersMissing, "the pod is ending".into(), None);
    }
    if pod.node_ready == Some(false) {
        let node = pod.node.clone().unwrap_or_default();
        return at_pod(
            Reason::NodeUnavailable,
            format!("its node {node} does not answer"),
            describe(&format!("node {node}")),
        );
    }
    if let Some(trouble) = &pod.trouble {
        let reason = if pod.node.is_none() { Reason::NodeUnavailable } else { Reason::PodCannotStart };
        return at_pod(reason, trouble.clone(), describe(&format!("pod {pod_name}")));
    }
    match facts.members.get(&ordinal) {
        None => at_pod(Reason::MembersMissing, "the pod has no address yet".into(), None),
        Some(Seen::Silent(why)) => at_pod(
            Reason::MemberUnreachable,
            format!("the member does not answer: {why}"),
            Some(format!("kubectl logs {pod_name}")),
        ),
        Some(Seen::View(view)) => {
            let waits = if view.waiting_for.is_empty() { String::new() } else { format!(": {}", view.waiting_for) };
            let reason = match view.phase {
                MemberPhase::NoStore => Reason::NoStore,
                MemberPhase::Held => Reason::StoreRefused,
                _ => Reason::MembersRecovering,
            };
            at_pod(reason, format!("the member is {:?}{waits}", view.phase), None)
        }
    }
}

/// How many of the sealed members are there.
pub fn complete_message(facts: &Facts, record: &SealRecord) -> String {
    let there = record
        .members
        .iter()
        .filter(|m| {
            facts.view(m.ordinal).is_some_and(|v| v.uuid == m.uuid && v.phase == MemberPhase::WaitingForActivate)
        })
        .count();
    format!("{there} of {} recorded members are there on their sealed stores", record.members.len())
}

//! What was sealed, and whether what a member shows is it.
//!
//! Law: a seal record is made only of a committed operation, from the machine's own record of every member's seal. Must
//! not know: when to stop or start.

use jet_admin_api::cluster::ClusterView;
use jet_admin_api::member::MemberView;
use jet_admin_api::operation::{OperationStep, OperationView};

use crate::api::records::{SealEntry, SealRecord};
use crate::cluster::evidence::jobs;
use crate::cluster::facts::Facts;

/// The record of the machine's committed operation; a sentence if the machine's words do not make one.
pub fn from_machine(facts: &Facts, machine: &ClusterView, operation: &OperationView) -> Result<SealRecord, String> {
    let quiesced = operation.quiesced.as_ref().ok_or("the committed operation has no Quiesced")?;
    let mut members = Vec::new();
    for member in &machine.roster {
        let seal = operation.seals.iter().find(|s| s.member == member.uuid);
        let seal = seal.ok_or_else(|| format!("the committed operation has no seal of member {}", member.ordinal))?;
        let claim = facts.kube.claims.get(&member.ordinal);
        members.push(SealEntry {
            ordinal: member.ordinal,
            uuid: member.uuid,
            claim_uid: claim.map(|c| c.uid.clone()).unwrap_or_default(),
            volume: claim.map(|c| c.volume.clone()).unwrap_or_default(),
            digest: seal.seal.digest.clone(),
            content_digest: seal.seal.content_digest.clone(),
            attempt: seal.seal.attempt,
            entries: seal.seal.entries,
            bytes: seal.seal.bytes,
        });
    }
    members.sort_by_key(|m| m.ordinal);
    let mut record = SealRecord {
        sequence: facts.kube.evidence.next_sequence(),
        operation: operation.id.clone(),
        founding_id: machine.founding_id,
        incarnation: machine.incarnation,
        generation: machine.generation,
        roster_digest: machine.roster_digest.clone(),
        former_state: machine.former_state,
        quiesced_index: quiesced.index,
        entries: quiesced.entries,
        members,
        jobs: jobs::ledger(machine),
        version: facts.views().map(|(_, v)| v.version.clone()).next().unwrap_or_default(),
        committed_at: String::new(),
        digest: String::new(),
    };
    record.digest = digest(&record);
    record.committed_at = facts.now_text();
    Ok(record)
}

/// Digest over everything but the time and itself.
pub fn digest(record: &SealRecord) -> String {
    let bare = SealRecord { committed_at: String::new(), digest: String::new(), ..record.clone() };
    let text = serde_json::to_vec(&bare).unwrap_or_default();
    blake3::hash(&text).to_hex()[..32].to_string()
}

/// Why what a member shows is not its sealed store; `None`: it is.
pub fn why_not_sealed_store(record: &SealRecord, entry: &SealEntry, view: &MemberView) -> Option<String> {
    if view.uuid != entry.uuid {
        let whose = record.members.iter().find(|other| other.uuid == view.uuid);
        let whose = whose
            .map_or_else(|| "a member that was not sealed here".into(), |other| format!("member {}", other.ordinal));
        return Some(format!(
            "its volume holds the store of {whose} ({}) and not the recorded {}: stop again and give each claim its own volume",
            view.uuid, entry.uuid
        ));
    }
    if let Some(founding) = view.founding_id.filter(|id| *id != record.founding_id) {
        return Some(format!("its store is of cluster {founding}, not {}", record.founding_id));
    }
    let Some(seal) = &view.store.seal else {
        return Some("its store has no seal".into());
    };
    if seal.generation != record.generation || seal.operation != record.operation || seal.attempt != entry.attempt {
        return Some(format!(
            "its seal is of generation {} operation {} attempt {}, the recorded one of generation {} operation {} attempt {}",
            seal.generation, seal.operation, seal.attempt, record.generation, record.operation, entry.attempt
        ));
    }
    if seal.digest != entry.digest {
        return Some(format!("its seal's digest is {}, the recorded one {}", seal.digest, entry.digest));
    }
    (!seal.verified).then(|| "its seal is not verified against its files yet".into())
}

/// The machine has left this seal behind: its generation was activated.
pub fn is_spent(record: &SealRecord, machine: &ClusterView) -> bool {
    let activated = machine.operation.as_ref().is_some_and(|op| {
        op.id == record.operation && matches!(op.step, OperationStep::Activated | OperationStep::Opened)
    });
    machine.founding_id == record.founding_id
        && (machine.incarnation > record.incarnation || machine.generation > record.generation || activated)
}

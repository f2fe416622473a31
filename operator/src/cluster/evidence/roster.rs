//! Who the members are.
//!
//! Law: a roster record repeats the members' machine; it is written again whenever the machine has another roster or
//! generation, unless who shows it only lags behind. Must not know: when.

use crate::api::records::{ClaimStamp, RosterEntry, RosterRecord};
use crate::cluster::facts::Facts;

/// The record that the machine asks for; `None` without a machine.
pub fn from_machine(facts: &Facts) -> Option<RosterRecord> {
    let machine = facts.machine()?;
    let mut members: Vec<RosterEntry> = machine
        .roster
        .iter()
        .map(|member| {
            let claim = facts.kube.claims.get(&member.ordinal);
            RosterEntry {
                ordinal: member.ordinal,
                uuid: member.uuid,
                claim_uid: claim.map(|c| c.uid.clone()).unwrap_or_default(),
                volume: claim.map(|c| c.volume.clone()).unwrap_or_default(),
            }
        })
        .collect();
    members.sort_by_key(|m| m.ordinal);
    Some(RosterRecord {
        sequence: facts.kube.evidence.next_sequence(),
        founding_id: machine.founding_id,
        incarnation: machine.incarnation,
        generation: machine.generation,
        digest: machine.roster_digest.clone(),
        members,
        recorded_at: facts.now,
    })
}

/// Whether the newest roster says what the machine says.
pub fn is_recorded(facts: &Facts) -> bool {
    match (facts.machine(), facts.kube.evidence.roster()) {
        (Some(machine), Some(kept)) => {
            kept.record.digest == machine.roster_digest
                && kept.record.generation == machine.generation
                && kept.record.incarnation == machine.incarnation
        }
        _ => false,
    }
}

/// Its members have not heard what is recorded of them, and the leader is not here to say that it is otherwise: what they
/// show is the past, and is not recorded again.
pub fn is_ahead(facts: &Facts) -> bool {
    let (Some(machine), Some(kept)) = (facts.machine(), facts.kube.evidence.roster()) else { return false };
    let behind = (machine.incarnation, machine.generation) < (kept.record.incarnation, kept.record.generation);
    behind && !facts.views().any(|(_, view)| Some(view.uuid) == machine.leader)
}

/// Claims whose stamps are not what they should be, with the stamps that they should have. `seal`: digest of the live seal.
pub fn unstamped(
    facts: &Facts,
    roster: &[(u32, uuid::Uuid)],
    founding_id: uuid::Uuid,
    seal: Option<&str>,
) -> Vec<(u32, ClaimStamp)> {
    let stamps = roster.iter().filter_map(|(ordinal, member)| {
        let claim = facts.kube.claims.get(ordinal)?;
        let wanted = ClaimStamp { member: *member, founding_id, seal: seal.map(str::to_owned) };
        (claim.stamp.as_ref() != Some(&wanted)).then_some((*ordinal, wanted))
    });
    stamps.collect()
}

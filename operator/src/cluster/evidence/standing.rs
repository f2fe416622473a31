//! Where a cluster stands, from all evidence together.
//!
//! Law: replicas come from here, never from the wished size once there is evidence; sources that contradict each other
//! are named and nothing is started. Must not know: wishes.

use std::collections::BTreeSet;

use crate::api::records::{FoundingRecord, RosterRecord, SealRecord};
use crate::cluster::evidence::{Kept, seals};
use crate::cluster::facts::Facts;

/// Where it stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing<'a> {
    /// Nothing was ever here.
    Nothing,
    /// A permit was recorded, no roster yet.
    Founding(&'a Kept<FoundingRecord>),
    /// It was running with these members.
    Running(&'a Kept<RosterRecord>),
    /// Stopped at this seal (or on the way there or back).
    Sealed(&'a Kept<SealRecord>),
    /// Stores without a record: so many pods are needed to ask them.
    Unrecorded {
        /// Highest ordinal + 1.
        replicas: u32,
    },
}

/// Two sources that disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement(pub String);

impl Standing<'_> {
    /// How many members there are by evidence; `None`: nothing was founded.
    pub fn roster_size(&self) -> Option<u32> {
        match self {
            Standing::Nothing => None,
            Standing::Founding(kept) => kept.record.ordinals.iter().max().map(|o| o + 1),
            Standing::Running(kept) => kept.record.members.iter().map(|m| m.ordinal + 1).max(),
            Standing::Sealed(kept) => kept.record.members.iter().map(|m| m.ordinal + 1).max(),
            Standing::Unrecorded { replicas } => Some(*replicas),
        }
    }
}

/// Judges all evidence.
pub fn standing(facts: &Facts) -> Result<Standing<'_>, Disagreement> {
    let evidence = &facts.kube.evidence;
    if let Some(bad) = evidence.unreadable.first() {
        return Err(Disagreement(format!(
            "the record {bad} cannot be read; restore it, or remove it if nothing depends on it"
        )));
    }
    agree_on_founding(facts)?;
    let roster = evidence.roster();
    let seal = evidence.seal().filter(|seal| roster.is_none_or(|r| r.record.sequence < seal.record.sequence));
    if let Some(seal) = seal {
        match facts.machine() {
            Some(machine) if seals::is_spent(&seal.record, machine) => {}
            _ => return Ok(Standing::Sealed(seal)),
        }
    }
    if let Some(roster) = roster {
        return Ok(Standing::Running(roster));
    }
    if let Some(replicas) = stores(facts) {
        return Ok(Standing::Unrecorded { replicas });
    }
    Ok(evidence.founding.as_ref().map_or(Standing::Nothing, Standing::Founding))
}

/// Stores that exist though no roster or seal does: highest ordinal + 1.
fn stores(facts: &Facts) -> Option<u32> {
    let stamped = facts.kube.claims.iter().filter(|(_, c)| c.stamp.is_some()).map(|(o, _)| *o);
    let founded = facts.views().filter(|(_, v)| v.cluster.is_some()).map(|(o, _)| o);
    stamped.chain(founded).chain(machine_ordinals(facts)).max().map(|o| o + 1)
}

fn machine_ordinals(facts: &Facts) -> impl Iterator<Item = u32> {
    facts.machine().into_iter().flat_map(|m| m.roster.iter().map(|r| r.ordinal))
}

fn agree_on_founding(facts: &Facts) -> Result<(), Disagreement> {
    let evidence = &facts.kube.evidence;
    let mut ids = BTreeSet::new();
    let mut said = Vec::new();
    let mut note = |id: uuid::Uuid, who: String| {
        if ids.insert(id) {
            said.push(format!("{who} says {id}"));
        }
    };
    for kept in &evidence.seals {
        note(kept.record.founding_id, kept.name.clone());
    }
    for kept in &evidence.rosters {
        note(kept.record.founding_id, kept.name.clone());
    }
    for (ordinal, view) in facts.views() {
        if let Some(id) = view.founding_id {
            note(id, format!("member {ordinal}"));
        }
    }
    if let Some(kept) = &evidence.founding {
        note(kept.record.founding_id, kept.name.clone());
    }
    for (ordinal, claim) in &facts.kube.claims {
        if let Some(stamp) = &claim.stamp {
            note(stamp.founding_id, format!("claim {ordinal}"));
        }
    }
    if said.len() > 1 {
        return Err(Disagreement(format!("two clusters under one name: {}", said.join("; "))));
    }
    Ok(())
}

//! Who lives, who runs anew, who is lost.
//!
//! Law: lost is who cannot hold a lease any more: neither of this leader nor of the one before. Must not know: what
//! follows from it.

use std::collections::BTreeMap;

use crate::ids::{Boot, MemberId};
use crate::machine::Machine;
use crate::report::{DRIFT_MS, LEASE_MS, Observations, Observed};

/// After so long without an answer a member's lease has run out on its own clock.
pub const LOST_AFTER_MS: u64 = LEASE_MS + DRIFT_MS;
/// After so long the copies of a lost member are made elsewhere; before, its return is the cheaper repair.
pub const REPAIR_AFTER_MS: u64 = 10_000;

/// What the leader may hold of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Heard under its recorded boot.
    Here,
    /// Heard under a later boot: what it had in RAM is gone.
    Anew {
        /// The later boot.
        boot: Boot,
        /// Its volume.
        volume_id: String,
    },
    /// Not heard, and its lease is over.
    Lost {
        /// For how long, at least.
        silent_ms: u64,
    },
    /// Not heard, and its lease may still run.
    Unsure,
}

/// All roster members.
pub struct Roll {
    members: BTreeMap<MemberId, Presence>,
    collecting: bool,
}

impl Roll {
    /// Judges every roster member.
    pub fn call(machine: &Machine, observations: &Observations) -> Self {
        let mut members = BTreeMap::new();
        let mut collecting = false;
        for (member, entry) in &machine.roster {
            let observed = observations.members.get(member).filter(|observed| observed.boot >= entry.boot);
            collecting |= observed.is_none() && observations.leader_for_ms < LOST_AFTER_MS;
            members.insert(*member, judge(observed, entry.boot, observations.leader_for_ms));
        }
        Self { members, collecting }
    }

    /// Somebody was not heard yet and may still be.
    pub fn collecting(&self) -> bool {
        self.collecting
    }

    /// Of one member.
    pub fn of(&self, member: MemberId) -> Option<&Presence> {
        self.members.get(&member)
    }

    /// Heard under its recorded boot.
    pub fn is_here(&self, member: MemberId) -> bool {
        self.of(member) == Some(&Presence::Here)
    }

    /// Its lease is over.
    pub fn is_lost(&self, member: MemberId) -> bool {
        matches!(self.of(member), Some(Presence::Lost { .. }))
    }

    /// All, in UUID order.
    pub fn iter(&self) -> impl Iterator<Item = (MemberId, &Presence)> {
        self.members.iter().map(|(member, presence)| (*member, presence))
    }

    /// Members heard under their recorded boots.
    pub fn here(&self) -> Vec<MemberId> {
        self.iter().filter(|(_, presence)| **presence == Presence::Here).map(|(member, _)| member).collect()
    }

    /// Everybody is heard, under whatever boot.
    pub fn all_heard(&self) -> bool {
        self.members.values().all(|presence| matches!(presence, Presence::Here | Presence::Anew { .. }))
    }

    /// No RAM of a recorded boot is left, as far as can be known, and somebody runs anew.
    pub fn nobody_lives(&self) -> bool {
        let over = |presence: &Presence| matches!(presence, Presence::Anew { .. } | Presence::Lost { .. });
        self.members.values().all(over)
            && self.members.values().any(|presence| matches!(presence, Presence::Anew { .. }))
    }

    /// Boots that are heard.
    pub fn boots(&self, machine: &Machine) -> BTreeMap<MemberId, Boot> {
        let boot = |(member, presence): (MemberId, &Presence)| match presence {
            Presence::Here => machine.roster.get(&member).map(|entry| (member, entry.boot)),
            Presence::Anew { boot, .. } => Some((member, *boot)),
            Presence::Lost { .. } | Presence::Unsure => None,
        };
        self.iter().filter_map(boot).collect()
    }
}

fn judge(observed: Option<&Observed>, recorded: Boot, leader_for_ms: u64) -> Presence {
    match observed {
        Some(observed) if observed.heard_ms_ago < LOST_AFTER_MS => {
            if observed.boot == recorded {
                Presence::Here
            } else {
                Presence::Anew { boot: observed.boot, volume_id: observed.volume_id.clone() }
            }
        }
        // A leader before this one may have granted a lease until the moment that this one began.
        other => {
            let silent_ms = other.map_or(leader_for_ms, |observed| observed.heard_ms_ago.min(leader_for_ms));
            if silent_ms >= LOST_AFTER_MS { Presence::Lost { silent_ms } } else { Presence::Unsure }
        }
    }
}

/// Roster members that are not heard under their recorded boot: what a change of state must know.
pub fn absent(machine: &Machine, observations: &Observations) -> Vec<MemberId> {
    let roll = Roll::call(machine, observations);
    roll.iter().filter(|(_, presence)| **presence != Presence::Here).map(|(member, _)| member).collect()
}

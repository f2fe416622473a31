//! A log that begins in the midst: the machine of the furthest survivor, and who votes from there on.
//!
//! Law: it begins where that log ended and under the term of its last entry, so that no position is given twice; nobody has
//! given a vote in it for a later one. Must not know: who consented, when it is begun.

use std::collections::{BTreeMap, BTreeSet};

use jet_core::Machine;
use jet_core::refounding::End;
use openraft::{EmptyNode, EntryPayload};
use serde::{Deserialize, Serialize};

use super::Consensus;
use super::disk::{DiskFailed, LogDisk};
use super::log;
use super::types::{LogId, Membership, Meta, Voter};

/// All that a log tells, also what was perhaps not committed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Whole {
    /// Its last entry.
    pub last: LogId,
    /// After it.
    pub machine: Machine,
    /// Sets of voters of each of which a majority elects a leader.
    pub electing: Vec<BTreeSet<jet_core::Voter>>,
}

/// What every survivor begins with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Beginning {
    /// The last entry of the furthest log.
    pub last: LogId,
    /// After it, and after the consent.
    pub machine: Machine,
    /// Every survivor, under the line of its new log.
    pub survivors: BTreeSet<Voter>,
}

impl Consensus {
    /// The last entry of the log; `None`: there is none.
    pub fn end(&self) -> Option<End> {
        self.log.last().map(end)
    }

    /// All that the log tells.
    pub fn whole(&self) -> Option<Whole> {
        let last = self.log.last()?;
        let published = self.machine.published().borrow().clone();
        let mut machine = Machine::clone(&published.machine);
        for entry in self.log.behind(published.index) {
            if let EntryPayload::Normal(command) = entry.payload {
                jet_core::apply(&mut machine, entry.log_id.index, command);
            }
        }
        Some(Whole { last, machine, electing: self.electing() })
    }
}

/// In the words of who judges.
pub fn end(last: LogId) -> End {
    let led_by = last.leader_id.voted_for().map_or_else(jet_core::Voter::default, Into::into);
    End { term: last.leader_id.term, led_by, index: last.index }
}

/// Writes it into a log of which nothing was begun.
pub fn begin(mut disk: impl LogDisk, me: Voter, beginning: &Beginning) -> Result<(), DiskFailed> {
    let Beginning { last, machine, survivors } = beginning;
    let unwritable =
        |e: serde_json::Error| DiskFailed(format!("what a new incarnation begins with cannot be written: {e}"));
    let voters: BTreeSet<Voter> = machine.voters().into_iter().map(Into::into).collect();
    let nodes: BTreeMap<Voter, EmptyNode> = survivors.iter().map(|voter| (*voter, EmptyNode {})).collect();
    let meta = Meta {
        last_log_id: Some(*last),
        last_membership: Membership::new(Some(*last), openraft::Membership::new(vec![voters], nodes)),
        snapshot_id: format!("{}-{}", last.leader_id, last.index),
    };
    let (meta, data) =
        (serde_json::to_vec(&meta).map_err(unwritable)?, serde_json::to_vec(machine).map_err(unwritable)?);
    disk.save_snapshot(&meta, &data)?;
    disk.save_mark(&log::mark_of_a_beginning(*last, me).map_err(unwritable)?)?;
    disk.purge_upto(last.index, last.leader_id.term)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use jet_core::MemberId;
    use openraft::CommittedLeaderId;

    use super::*;
    use crate::cluster::consensus::Kept;
    use crate::cluster::consensus::disk::RamDisk;

    #[test]
    fn a_log_that_begins_in_the_midst_is_read_as_one_whose_beginning_was_forgotten() {
        let disk = RamDisk::default();
        let me = Voter { member: MemberId(uuid::Uuid::from_u128(1)), line: 9 };
        let last = LogId::new(CommittedLeaderId::new(4, Voter::default()), 17);
        let machine = Machine { applied: 17, ..Machine::default() };
        begin(disk.clone(), me, &Beginning { last, machine: machine.clone(), survivors: BTreeSet::from([me]) })
            .unwrap();
        let kept = Kept::read(disk).unwrap();
        assert_eq!(kept.log.last(), Some(last));
        assert_eq!(*kept.machine.published().borrow().machine, machine);
        assert_eq!(kept.machine.last_applied(), 17);
    }
}

//! The partition table: who holds which partition.
//!
//! Law: a replica counts only under the boot that filled it and only when synced; what does not count is never
//! primary. Must not know: what lies in a partition.

pub mod assign;

use serde::{Deserialize, Serialize};

use crate::ids::{Boot, MemberId, PartitionId, TableVersion};

/// Who holds what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionTable {
    /// Grows with each change.
    pub version: TableVersion,
    /// By partition number.
    pub partitions: Vec<PartitionEntry>,
}

/// One partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionEntry {
    /// Table version at which its primary was installed: the first half of every version that it writes.
    pub installed: TableVersion,
    /// Table version at which this entry last changed: the fence that data messages of this partition carry.
    pub changed: TableVersion,
    /// First the primary, then backups; empty: absent.
    pub replicas: Vec<Replica>,
}

/// One copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// Where.
    pub member: MemberId,
    /// The boot whose RAM holds it.
    pub boot: Boot,
    /// It acknowledged everything; the primary waits for it. An unsynced one is being filled and counts for nothing.
    pub synced: bool,
}

impl PartitionEntry {
    /// The primary, if the partition is not absent.
    pub fn primary(&self) -> Option<&Replica> {
        self.replicas.first()
    }

    /// The copy of `member`.
    pub fn replica(&self, member: MemberId) -> Option<&Replica> {
        self.replicas.iter().find(|replica| replica.member == member)
    }

    /// Copies that count.
    pub fn synced(&self) -> impl Iterator<Item = &Replica> {
        self.replicas.iter().filter(|replica| replica.synced)
    }
}

impl PartitionTable {
    /// One entry.
    pub fn entry(&self, partition: PartitionId) -> Option<&PartitionEntry> {
        self.partitions.get(usize::from(partition.0))
    }

    /// All entries with their numbers.
    pub fn entries(&self) -> impl Iterator<Item = (PartitionId, &PartitionEntry)> {
        (0..=u16::MAX).map(PartitionId).zip(&self.partitions)
    }

    /// Table version at which a primary was installed last: whoever led a partition under this one leads it now.
    pub fn last_installed(&self) -> TableVersion {
        self.partitions.iter().map(|entry| entry.installed).max().unwrap_or_default()
    }

    /// By partition who holds it, first the primary.
    pub fn lists(&self) -> Vec<Vec<MemberId>> {
        let list = |entry: &PartitionEntry| entry.replicas.iter().map(|replica| replica.member).collect();
        self.partitions.iter().map(list).collect()
    }

    /// Partitions without any replica.
    pub fn absent(&self) -> Vec<PartitionId> {
        self.entries().filter(|(_, entry)| entry.replicas.is_empty()).map(|(partition, _)| partition).collect()
    }

    /// How many partitions `member` is the primary of.
    pub fn primaries_of(&self, member: MemberId) -> usize {
        self.partitions.iter().filter_map(PartitionEntry::primary).filter(|primary| primary.member == member).count()
    }

    /// How many partitions name `member`, in step or not.
    pub fn places_of(&self, member: MemberId) -> usize {
        self.partitions.iter().filter(|entry| entry.replica(member).is_some()).count()
    }

    /// Partitions of which `member` holds a copy that counts, in order.
    pub fn held_by(&self, member: MemberId) -> Vec<PartitionId> {
        self.entries()
            .filter(|(_, entry)| entry.replica(member).is_some_and(|replica| replica.synced))
            .map(|(partition, _)| partition)
            .collect()
    }
}

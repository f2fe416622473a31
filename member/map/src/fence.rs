//! Who may send what to whom, by the partition table.
//!
//! The law: sender and receiver judge by the same change of the partition's entry; the older one catches up first. A
//! replica counts under its boot only. Must not know: leases, sockets.

use crate::{Boot, MemberId, PartitionEntry, PartitionId, PartitionTable, Refusal, TableVersion};

/// One process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Member.
    pub member: MemberId,
    /// Its boot.
    pub boot: Boot,
}

/// Who sends, and under which change of the partition's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Process.
    pub process: Process,
    /// `changed` of the partition's entry as the sender sees it.
    pub changed: TableVersion,
}

/// What a process is for a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Orders changes.
    Primary,
    /// Follows; it counts when it is synced.
    Backup {
        /// It counts.
        synced: bool,
    },
    /// Has nothing to do with it.
    Nothing,
}

/// The entry of a partition.
pub fn entry(table: &PartitionTable, partition: PartitionId) -> Result<&PartitionEntry, Refusal> {
    table.entry(partition).ok_or(Refusal::NoSuchPartition { partition })
}

/// The role of a process.
pub fn role(entry: &PartitionEntry, me: Process) -> Role {
    let mine = |replica: &jet_core::Replica| replica.member == me.member && replica.boot == me.boot;
    match entry.replicas.iter().position(mine) {
        Some(0) if entry.replicas[0].synced => Role::Primary,
        Some(at) => Role::Backup { synced: entry.replicas[at].synced },
        None => Role::Nothing,
    }
}

/// Whether this process may order changes of a partition.
pub fn judge_primary(table: &PartitionTable, me: Process, partition: PartitionId) -> Result<&PartitionEntry, Refusal> {
    let entry = entry(table, partition)?;
    if entry.replicas.is_empty() {
        return Err(Refusal::Absent { partition });
    }
    match role(entry, me) {
        Role::Primary => Ok(entry),
        _ => Err(Refusal::NotPrimary { partition, primary: entry.primary().map(|replica| replica.member) }),
    }
}

/// Whether a process may take a partition's changes or copy from a sender.
pub fn judge_follow(
    table: &PartitionTable,
    me: Process,
    partition: PartitionId,
    sender: Sender,
) -> Result<(), Refusal> {
    let entry = entry(table, partition)?;
    if sender.changed < entry.changed {
        return Err(Refusal::StaleTable { sender: sender.changed, receiver: entry.changed });
    }
    if sender.changed > entry.changed {
        return Err(Refusal::BehindTable { sender: sender.changed, receiver: entry.changed });
    }
    if role(entry, sender.process) != Role::Primary {
        let Process { member, boot } = sender.process;
        return Err(Refusal::WrongSender { partition, member, boot });
    }
    match role(entry, me) {
        Role::Backup { .. } => Ok(()),
        Role::Primary | Role::Nothing => Err(Refusal::NotReplica { partition }),
    }
}

//! What a member tells the leader, over and over.
//!
//! Law: facts of one process, under its boot; the leader judges, the member does not. Must not know: other members.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{
    Boot, Epoch, ExecutionId, JobId, LogIndex, MemberId, OperationId, PartitionId, RuntimeNumber, TableVersion, Version,
};
use crate::job::{SnapshotRecord, SnapshotRef};
use crate::machine::Machine;
use crate::operation::PartitionContent;
use crate::recovery::HeldEpoch;
use crate::view;

/// A lease lasts so long from the sending of the request that was answered.
pub const LEASE_MS: u64 = 2_000;
/// Bound on how much two monotonic clocks drift apart within a lease, with the scheduling of both ends.
pub const DRIFT_MS: u64 = 500;

/// A lease as its holder keeps it. Who leads a partition answers only while it holds one, looked at *after* the value
/// was read or the backups acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Holder's clock at the *sending* of the request that was granted.
    pub asked_at_ms: u64,
    /// The leader's table version at the grant: a holder that has not applied it may have been deposed by it.
    pub table_version: TableVersion,
}

impl Lease {
    /// It runs, under the table that the holder knows.
    pub fn holds(&self, known: TableVersion, now_ms: u64) -> bool {
        self.table_version > TableVersion(0)
            && known >= self.table_version
            && now_ms < self.asked_at_ms.saturating_add(LEASE_MS)
    }
}

/// What one member says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberReport {
    /// Last applied entry.
    pub applied: LogIndex,
    /// Last fsynced entry.
    pub durable: LogIndex,
    /// The runtime generation that it has built and runs.
    pub runtime: Option<RuntimeNumber>,
    /// The runtime generation that fell down here, with the cause.
    pub runtime_lost: Option<(RuntimeNumber, String)>,
    /// Only while its doors are closed for all under this operation and nothing is in flight; made anew whenever a
    /// version in it changes.
    pub contents: Option<ContentsReport>,
    /// The entry as of which `committed` is final: everything up to it was applied (from then on no snapshot of an
    /// execution that the machine does not run is committed here), and then every partition led here was in step, to
    /// its last write, on all copies that count. A record that only its primary has may still be lost with it.
    pub committed_at: LogIndex,
    /// Newest committed snapshot (RAM) of each job whose record lies in a partition led here.
    pub committed: Vec<EpochReport>,
    /// Every snapshot that is kept and of which all parts that belong here are durable (also when none belongs here).
    pub flushed: Vec<EpochReport>,
    /// The store is behind RAM; the cause.
    pub lagging: Option<String>,
    /// Copies that move here and that its disk has whole: all that this process had of them, with their parts of durable
    /// snapshots, when it learned that they are in step. By partition, with the entry's `changed` that they are in step
    /// under. `None`: it cannot carry out a move or a hand-over at all.
    #[serde(default)]
    pub on_disk: Option<Vec<(PartitionId, TableVersion)>>,
    /// Line of its log; 0: it does not say.
    #[serde(default)]
    pub line: u64,
    /// Dataflow workers that it can give to a runtime generation; 0: it does not say.
    #[serde(default)]
    pub workers: u16,
}

/// Content of every replica that a member holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentsReport {
    /// Under which operation.
    pub op: OperationId,
    /// Which attempt.
    pub attempt: u32,
    /// Under which table.
    pub table_version: TableVersion,
    /// Snapshots that are in the digests.
    #[serde(default)]
    pub counted: Vec<HeldEpoch>,
    /// Its replicas, by partition.
    pub contents: Vec<PartitionContent>,
}

impl ContentsReport {
    /// It says what `me` holds now: nothing moved since the count, and no copy came in step since, which does not change
    /// the table's version. `held`: by partition, the version here.
    pub fn is_still_true(&self, machine: &Machine, me: MemberId, held: &[Option<Version>]) -> bool {
        let told = self.contents.iter().map(|content| content.partition);
        let same = |c: &PartitionContent| held.get(usize::from(c.partition.0)).copied().flatten() == Some(c.version);
        self.table_version == machine.table.version
            && self.counted == view::counted_snapshots(machine)
            && told.eq(machine.table.held_by(me))
            && self.contents.iter().all(same)
    }
}

/// A snapshot of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct EpochReport {
    pub job: JobId,
    pub execution: ExecutionId,
    pub epoch: Epoch,
    pub record: SnapshotRecord,
}

impl EpochReport {
    /// As something to go on from.
    pub fn to_ref(&self) -> SnapshotRef {
        SnapshotRef {
            execution: self.execution,
            epoch: self.epoch,
            record: self.record.clone(),
            index: 0,
            terminal: None,
        }
    }
}

/// A member as the leader hears it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Milliseconds of the leader's monotonic clock since the last answer was received.
    pub heard_ms_ago: u64,
    /// Boot that answered last.
    pub boot: Boot,
    /// Its volume.
    pub volume_id: String,
    /// Its last report, of this boot.
    pub report: MemberReport,
}

/// All that the supervisor judges by, beside the machine. A member that was never heard is not in `members`; the
/// leader itself is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observations {
    /// By member.
    pub members: BTreeMap<MemberId, Observed>,
    /// How long this process has led, without a break.
    pub leader_for_ms: u64,
    /// How long this leader has seen which operation open; [`crate::supervisor::Watch`] keeps it.
    pub operation_for_ms: Option<(OperationId, u64)>,
    /// The same of the stop that was asked for and waits.
    pub request_for_ms: Option<(LogIndex, u64)>,
    /// Hand-overs that this leader has seen; [`crate::supervisor::Watch`] keeps them.
    pub releases: Vec<ReleaseSeen>,
}

/// A hand-over as one leader has seen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleaseSeen {
    /// Of which partition.
    pub partition: PartitionId,
    /// The entry's `changed` by which it is released.
    pub changed: TableVersion,
    /// It is not over.
    pub stands: bool,
    /// So long; of one that is over: since its end.
    pub for_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Digest;
    use crate::partition::{PartitionEntry, Replica};

    #[test]
    fn contents_are_counted_anew_when_anything_moved_behind_the_count() {
        let at = |seq| Version { installed: TableVersion(1), seq };
        let content = |partition, seq| PartitionContent {
            partition: PartitionId(partition),
            version: at(seq),
            entries: 1,
            digest: Digest::default(),
        };
        let me = MemberId::default();
        let entry = |synced| PartitionEntry {
            replicas: vec![Replica { member: me, boot: Boot(1), synced }],
            ..PartitionEntry::default()
        };
        let mut machine = Machine::default();
        machine.table.version = TableVersion(4);
        machine.table.partitions = vec![entry(true), entry(false), entry(true)];
        let report = ContentsReport {
            op: OperationId { seq: 1, random: "x".into() },
            attempt: 1,
            table_version: TableVersion(4),
            counted: Vec::new(),
            contents: vec![content(0, 7), content(2, 9)],
        };
        let held = [Some(at(7)), None, Some(at(9))];
        assert!(report.is_still_true(&machine, me, &held));
        for moved in [[Some(at(8)), None, Some(at(9))], [Some(at(7)), None, Some(at(10))], [Some(at(7)), None, None]] {
            assert!(!report.is_still_true(&machine, me, &moved), "{moved:?}");
        }
        assert!(!report.is_still_true(&machine, me, &[]));
        let other = vec![HeldEpoch { job: JobId(1), execution: ExecutionId(1), epoch: Epoch(1) }];
        assert!(!ContentsReport { counted: other, ..report.clone() }.is_still_true(&machine, me, &held));
        let mut synced = machine.clone();
        synced.table.partitions[1] = entry(true);
        let all = [Some(at(7)), Some(at(3)), Some(at(9))];
        assert!(!report.is_still_true(&synced, me, &all), "a copy that came in step is not told");
        machine.table.version = TableVersion(5);
        assert!(!report.is_still_true(&machine, me, &held));
    }
}

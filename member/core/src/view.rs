//! Digests and figures that others ask for.
//!
//! Law: a digest is over a canonical form that is written down here. Must not know: who asks.

use crate::ids::{Digest, MemberId, TableVersion};
use crate::job::{Job, SnapshotRef};
use crate::machine::Machine;
use crate::operation::PartitionContent;
use crate::recovery::HeldEpoch;

/// Digest over UUID → ordinal of the roster: one line `<uuid> <ordinal>` for each member, in UUID order.
pub fn roster_digest(machine: &Machine) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for (member, entry) in &machine.roster {
        hasher.update(format!("{member} {}\n", entry.ordinal).as_bytes());
    }
    hasher.finalize().into()
}

/// The snapshots that contents are compared and sealed with: the newest that is a fact, of every job that is not ended.
pub fn counted_snapshots(machine: &Machine) -> Vec<HeldEpoch> {
    let alive = machine.jobs.values().filter(|job| !job.ended());
    alive.filter_map(|job| job.snapshot.as_ref().map(|snapshot| named(job, snapshot))).collect()
}

fn named(job: &Job, snapshot: &SnapshotRef) -> HeldEpoch {
    HeldEpoch { job: job.id, execution: snapshot.execution, epoch: snapshot.epoch }
}

/// What of a machine a digest of the copies that a member holds depends on. The machine that was known while a store was
/// read may be one of long ago, when the log is still being applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Basis {
    table: TableVersion,
    counted: Vec<HeldEpoch>,
    durable: Vec<HeldEpoch>,
}

impl Basis {
    /// Of this machine.
    pub fn of(machine: &Machine) -> Self {
        let durable = machine.jobs.values().filter_map(|job| job.durable.as_ref().map(|snapshot| named(job, snapshot)));
        Self { table: machine.table.version, durable: durable.collect(), counted: counted_snapshots(machine) }
    }
}

/// Digest over contents: one line `<partition> <installed>.<seq> <entries> <digest>` for each partition, as given.
pub fn content_digest<'a>(contents: impl IntoIterator<Item = &'a PartitionContent>) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for content in contents {
        hasher.update(
            format!("{} {} {} {}\n", content.partition, content.version, content.entries, content.digest).as_bytes(),
        );
    }
    hasher.finalize().into()
}

/// What the seal of `member` must claim: the digest over the partitions of which it holds a copy, in order.
pub fn member_content_digest(machine: &Machine, member: MemberId, contents: &[PartitionContent]) -> Digest {
    let held = machine.table.held_by(member);
    content_digest(contents.iter().filter(|content| held.binary_search(&content.partition).is_ok()))
}

/// Digest of the whole machine: equal on members that applied the same entries.
pub fn machine_digest(machine: &Machine) -> Digest {
    match serde_json::to_vec(machine) {
        Ok(json) => blake3::hash(&json).into(),
        Err(_) => Digest::default(),
    }
}

/// Partition figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionFigures {
    /// All.
    pub count: u16,
    /// Backups that each should have.
    pub backups_wanted: u8,
    /// Have all copies, in step.
    pub fully_backed: u16,
    /// Have none.
    pub absent: u16,
    /// Copies under way.
    pub migrating: u16,
}

/// What is on its way between members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MoveFigures {
    /// Copies that move.
    pub moving: usize,
    /// Those of them that are in step, and wait for a disk or for their primary.
    pub in_step: usize,
    /// Partitions that are being handed over, and answer nobody for that moment.
    pub handed_over: usize,
    /// Members that were admitted and have opened nothing yet.
    pub joining: Vec<MemberId>,
    /// Members that are to leave, each with the places that it has yet.
    pub leaving: Vec<(MemberId, usize)>,
}

/// Figures of what moves.
pub fn move_figures(machine: &Machine) -> MoveFigures {
    let in_step = machine.moves.copies.iter().filter(|(partition, moving)| {
        let place = machine.table.entry(**partition).and_then(|entry| entry.replica(moving.to));
        place.is_some_and(|place| place.synced)
    });
    let leaving = machine.membership.leaving.iter().map(|member| (*member, machine.table.places_of(*member)));
    MoveFigures {
        moving: machine.moves.copies.len(),
        in_step: in_step.count(),
        handed_over: machine.moves.releasing.len(),
        joining: machine.membership.joining.iter().copied().collect(),
        leaving: leaving.collect(),
    }
}

/// Figures of the table.
pub fn partition_figures(machine: &Machine) -> PartitionFigures {
    let wanted = machine.copies_wanted();
    let count = |test: &dyn Fn(&crate::partition::PartitionEntry) -> usize| {
        machine.table.partitions.iter().map(test).sum::<usize>()
    };
    let narrow = |figure: usize| u16::try_from(figure).unwrap_or(u16::MAX);
    PartitionFigures {
        count: narrow(machine.table.partitions.len()),
        backups_wanted: u8::try_from(wanted - 1).unwrap_or(u8::MAX),
        fully_backed: narrow(count(&|entry| usize::from(entry.synced().count() >= wanted))),
        absent: narrow(count(&|entry| usize::from(entry.replicas.is_empty()))),
        migrating: narrow(count(&|entry| entry.replicas.iter().filter(|replica| !replica.synced).count())),
    }
}

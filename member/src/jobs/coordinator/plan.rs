//! What the coordinator does next for one job: facts → one step.
//!
//! Law: EXACT: nothing new is opened before what is committed is published; a terminal snapshot is the last of its
//! execution; a job is complete only when its last snapshot is durable. Facts that are not known are waited for. Must
//! not know: how a step is done.

use jet_core::{Epoch, ExecutionId};

use crate::jobs::words::Standing;

/// A point in the life of a job.
pub type Point = (ExecutionId, Epoch);

/// What an operation wants of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Nothing.
    No,
    /// Its terminal snapshot.
    Wanted,
    /// Nothing more: its terminal snapshot is recorded.
    Recorded,
}

/// The newest committed snapshot of the job, as its home partition has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Last {
    /// Which.
    pub point: Point,
    /// The job's tasks ended there.
    pub terminal: bool,
}

/// What one judges by.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Current execution.
    pub execution: ExecutionId,
    /// What it started from.
    pub restored: Option<Point>,
    /// How it stands on each member of the generation; `None`: somebody has not said.
    pub members: Option<Vec<Standing>>,
    /// `None`: not asked yet.
    pub last: Option<Option<Last>>,
    /// Newest snapshot that is published by this coordinator.
    pub published: Option<Point>,
    /// Newest one that is durable on every replica.
    pub durable: Option<Point>,
    /// Operation.
    pub stop: Stop,
    /// Time between epochs.
    pub interval_ms: u64,
    /// Since this coordinator opened the last epoch or began.
    pub since_opened_ms: u64,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing now.
    Wait,
    /// Ask the job's home for its newest committed snapshot.
    Learn,
    /// Tell members of the commit, apply its sink writes everywhere, drop older snapshots.
    Publish(Point),
    /// Open this epoch, or go on with it if it is open, and commit it.
    Snapshot {
        /// Number.
        epoch: Epoch,
        /// The tasks end there.
        terminal: bool,
    },
    /// Count the terminal snapshot again and record it.
    Terminal(Point),
    /// The job is complete.
    Complete,
    /// The job failed.
    Fail {
        /// Why.
        cause: String,
        /// It had committed a snapshot of this execution.
        progressed: bool,
    },
    /// This generation cannot go on; the next one can.
    GiveUp(String),
}

/// The next step.
pub fn plan(facts: &Facts) -> Step {
    let Some(members) = facts.members.as_ref().filter(|members| !members.is_empty()) else { return Step::Wait };
    let Some(last) = facts.last else { return Step::Learn };
    let own = last.filter(|last| last.point.0 == facts.execution);
    if let Some(cause) = members.iter().find_map(|standing| standing.trouble.clone()) {
        return Step::Fail { cause, progressed: own.is_some() };
    }
    let base = own.map(|last| last.point).or(facts.restored);
    if let Some(base) = base.filter(|base| facts.published < Some(*base) || left_behind(members, own)) {
        return Step::Publish(base);
    }
    match open(members) {
        Ok(None) => {}
        Ok(Some((epoch, terminal))) => return Step::Snapshot { epoch, terminal },
        Err(why) => return Step::GiveUp(why),
    }
    let exhausted = members.iter().all(|standing| standing.exhausted);
    if let Some(own) = own.filter(|own| own.terminal) {
        return ended(facts, own, exhausted);
    }
    let newest = members.iter().map(|standing| standing.committed).max().max(base.map(|base| base.1));
    let epoch = Epoch(newest.map_or(0, |epoch| epoch.0) + 1);
    match facts.stop {
        Stop::Recorded => Step::Wait,
        Stop::Wanted => Step::Snapshot { epoch, terminal: true },
        Stop::No if exhausted => Step::Snapshot { epoch, terminal: true },
        Stop::No if facts.since_opened_ms >= facts.interval_ms => Step::Snapshot { epoch, terminal: false },
        Stop::No => Step::Wait,
    }
}

/// After a terminal snapshot of this execution.
fn ended(facts: &Facts, own: Last, exhausted: bool) -> Step {
    match facts.stop {
        // Its results could be lost with all members, and nobody would make them again.
        _ if exhausted && facts.durable >= Some(own.point) => Step::Complete,
        Stop::Wanted => Step::Terminal(own.point),
        Stop::No | Stop::Recorded => Step::Wait,
    }
}

/// Somebody was not told of the newest commit.
fn left_behind(members: &[Standing], own: Option<Last>) -> bool {
    own.is_some_and(|own| members.iter().any(|standing| standing.committed < own.point.1))
}

/// What is open; all must have opened the same.
fn open(members: &[Standing]) -> Result<Option<(Epoch, bool)>, String> {
    let mut found = None;
    for open in members.iter().filter_map(|standing| standing.open) {
        match found {
            Some(known) if known != open => {
                return Err(format!("members have different epochs open: {known:?} and {open:?}"));
            }
            _ => found = Some(open),
        }
    }
    Ok(found)
}

/// What one judges by when it is about the disk.
#[derive(Clone, Copy, Debug)]
pub struct DiskFacts {
    /// Newest committed snapshot of which all sink writes are applied.
    pub published: Option<Point>,
    /// Newest one that is durable on every replica.
    pub durable: Option<Point>,
    /// The one that is being written or waits to be called durable.
    pub target: Option<Point>,
    /// Since it was written everywhere; `None`: it is not.
    pub written_for_ms: Option<u64>,
    /// Since the last one was given up.
    pub since_failure_ms: Option<u64>,
    /// Every member of the roster can be asked.
    pub all_here: bool,
}

/// What is to be done about the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskStep {
    /// Nothing now.
    Wait,
    /// Have this one written by every member.
    Write(Point),
    /// The target is durable, or will not be: choose again.
    Forget,
}

/// A snapshot that was written everywhere and is not called durable for so long gives way to a newer one.
pub const DURABLE_WITHIN_MS: u64 = 10_000;
/// Pause after a snapshot that could not be written.
pub const AFTER_FAILURE_MS: u64 = 1_000;

/// The next step about the disk.
pub fn plan_disk(facts: &DiskFacts) -> DiskStep {
    if let Some(target) = facts.target {
        let stale = facts.written_for_ms.is_some_and(|ms| ms > DURABLE_WITHIN_MS);
        return if facts.durable >= Some(target) || stale { DiskStep::Forget } else { DiskStep::Wait };
    }
    let rested = facts.since_failure_ms.is_none_or(|ms| ms >= AFTER_FAILURE_MS);
    match facts.published {
        Some(point) if facts.durable < Some(point) && facts.all_here && rested => DiskStep::Write(point),
        _ => DiskStep::Wait,
    }
}

#[cfg(test)]
mod tests {
    use jet_core::JobId;

    use super::*;

    fn point(execution: u64, epoch: u64) -> Point {
        (ExecutionId(execution), Epoch(epoch))
    }

    fn standing(open: Option<(u64, bool)>, committed: u64) -> Standing {
        let open = open.map(|(epoch, terminal)| (Epoch(epoch), terminal));
        Standing {
            job: JobId(1),
            execution: ExecutionId(2),
            open,
            committed: Epoch(committed),
            exhausted: false,
            trouble: None,
        }
    }

    /// Runs in execution 2, restored from (1, 4), epoch 5 committed and published.
    fn calm() -> Facts {
        Facts {
            execution: ExecutionId(2),
            restored: Some(point(1, 4)),
            members: Some(vec![standing(None, 5), standing(None, 5)]),
            last: Some(Some(Last { point: point(2, 5), terminal: false })),
            published: Some(point(2, 5)),
            durable: Some(point(1, 4)),
            stop: Stop::No,
            interval_ms: 1000,
            since_opened_ms: 0,
        }
    }

    fn with(change: impl FnOnce(&mut Facts)) -> Step {
        let mut facts = calm();
        change(&mut facts);
        plan(&facts)
    }

    fn terminal_commit(facts: &mut Facts) {
        facts.last = Some(Some(Last { point: point(2, 5), terminal: true }));
    }

    fn exhausted(facts: &mut Facts) {
        facts.members.iter_mut().flatten().for_each(|standing| standing.exhausted = true);
    }

    #[test]
    fn what_is_not_known_is_waited_for() {
        assert_eq!(with(|_| {}), Step::Wait);
        assert_eq!(with(|f| f.members = None), Step::Wait);
        assert_eq!(with(|f| f.members = Some(Vec::new())), Step::Wait);
        assert_eq!(with(|f| f.last = None), Step::Learn);
    }

    #[test]
    fn an_epoch_opens_at_its_interval_and_one_later_than_everything_known() {
        let next = |terminal| Step::Snapshot { epoch: Epoch(6), terminal };
        assert_eq!(with(|f| f.since_opened_ms = 999), Step::Wait);
        assert_eq!(with(|f| f.since_opened_ms = 1000), next(false));
        let fresh = |f: &mut Facts| {
            (f.restored, f.last, f.published, f.since_opened_ms) = (None, Some(None), None, 1000);
            f.members = Some(vec![standing(None, 0)]);
        };
        assert_eq!(with(fresh), Step::Snapshot { epoch: Epoch(1), terminal: false });
        let restored = |f: &mut Facts| {
            (f.last, f.published, f.since_opened_ms) =
                (Some(Some(Last { point: point(1, 4), terminal: true })), Some(point(1, 4)), 1000);
            f.members = Some(vec![standing(None, 4)]);
        };
        assert_eq!(with(restored), Step::Snapshot { epoch: Epoch(5), terminal: false });
    }

    #[test]
    fn what_is_committed_is_published_before_anything_else_opens() {
        assert_eq!(with(|f| (f.published, f.since_opened_ms) = (Some(point(1, 4)), 5000)), Step::Publish(point(2, 5)));
        assert_eq!(with(|f| (f.published, f.stop) = (None, Stop::Wanted)), Step::Publish(point(2, 5)));
        let restored_only = |f: &mut Facts| (f.last, f.published, f.since_opened_ms) = (Some(None), None, 5000);
        assert_eq!(with(restored_only), Step::Publish(point(1, 4)));
        let behind = |f: &mut Facts| f.members = Some(vec![standing(Some((5, false)), 4), standing(None, 5)]);
        assert_eq!(with(behind), Step::Publish(point(2, 5)));
    }

    #[test]
    fn a_commit_of_another_execution_is_not_what_this_one_goes_on_from() {
        let later_leftover = |f: &mut Facts| {
            f.last = Some(Some(Last { point: point(1, 9), terminal: false }));
            f.published = Some(point(1, 4));
            f.since_opened_ms = 1000;
            f.members = Some(vec![standing(None, 4)]);
        };
        assert_eq!(with(later_leftover), Step::Snapshot { epoch: Epoch(5), terminal: false });
    }

    #[test]
    fn an_open_epoch_is_gone_on_with_whoever_opened_it() {
        let half_open = |f: &mut Facts| f.members = Some(vec![standing(Some((6, false)), 5), standing(None, 5)]);
        assert_eq!(with(half_open), Step::Snapshot { epoch: Epoch(6), terminal: false });
        let stop_in_the_middle = |f: &mut Facts| {
            half_open(f);
            f.stop = Stop::Wanted;
        };
        assert_eq!(with(stop_in_the_middle), Step::Snapshot { epoch: Epoch(6), terminal: false });
        let at_odds =
            |f: &mut Facts| f.members = Some(vec![standing(Some((6, false)), 5), standing(Some((6, true)), 5)]);
        assert!(matches!(with(at_odds), Step::GiveUp(_)));
    }

    #[test]
    fn a_stop_takes_a_terminal_snapshot_counts_it_and_leaves_it() {
        assert_eq!(with(|f| f.stop = Stop::Wanted), Step::Snapshot { epoch: Epoch(6), terminal: true });
        let committed = |f: &mut Facts| {
            terminal_commit(f);
            f.stop = Stop::Wanted;
        };
        assert_eq!(with(committed), Step::Terminal(point(2, 5)));
        let recorded = |f: &mut Facts| {
            terminal_commit(f);
            (f.stop, f.since_opened_ms) = (Stop::Recorded, 9000);
        };
        assert_eq!(with(recorded), Step::Wait);
        assert_eq!(with(|f| (f.stop, f.since_opened_ms) = (Stop::Recorded, 9000)), Step::Wait);
    }

    #[test]
    fn a_job_is_complete_when_its_last_snapshot_is_durable() {
        assert_eq!(with(exhausted), Step::Snapshot { epoch: Epoch(6), terminal: true });
        let committed = |f: &mut Facts| {
            exhausted(f);
            terminal_commit(f);
        };
        assert_eq!(with(committed), Step::Wait);
        let durable = |f: &mut Facts| {
            committed(f);
            f.durable = Some(point(2, 5));
        };
        assert_eq!(with(durable), Step::Complete);
        let stopped_before = |f: &mut Facts| {
            committed(f);
            f.stop = Stop::Wanted;
        };
        assert_eq!(with(stopped_before), Step::Terminal(point(2, 5)));
        let one_reads_still = |f: &mut Facts| {
            exhausted(f);
            f.members.iter_mut().flatten().take(1).for_each(|standing| standing.exhausted = false);
        };
        assert_eq!(with(one_reads_still), Step::Wait);
    }

    #[test]
    fn a_failure_anywhere_fails_the_job_and_says_whether_it_had_progressed() {
        let fail = |f: &mut Facts| {
            f.members.iter_mut().flatten().skip(1).for_each(|standing| standing.trouble = Some("no such file".into()))
        };
        assert_eq!(with(fail), Step::Fail { cause: "no such file".into(), progressed: true });
        let at_once = |f: &mut Facts| {
            fail(f);
            f.last = Some(Some(Last { point: point(1, 4), terminal: false }));
        };
        assert_eq!(with(at_once), Step::Fail { cause: "no such file".into(), progressed: false });
    }

    #[test]
    fn one_snapshot_at_a_time_goes_to_the_disks_and_newer_ones_are_skipped_meanwhile() {
        let facts = DiskFacts {
            published: Some(point(2, 9)),
            durable: Some(point(2, 3)),
            target: None,
            written_for_ms: None,
            since_failure_ms: None,
            all_here: true,
        };
        assert_eq!(plan_disk(&facts), DiskStep::Write(point(2, 9)));
        assert_eq!(plan_disk(&DiskFacts { all_here: false, ..facts }), DiskStep::Wait);
        assert_eq!(plan_disk(&DiskFacts { since_failure_ms: Some(10), ..facts }), DiskStep::Wait);
        assert_eq!(plan_disk(&DiskFacts { durable: Some(point(2, 9)), ..facts }), DiskStep::Wait);
        assert_eq!(plan_disk(&DiskFacts { published: None, ..facts }), DiskStep::Wait);
        let writing = DiskFacts { target: Some(point(2, 5)), ..facts };
        assert_eq!(plan_disk(&writing), DiskStep::Wait);
        assert_eq!(plan_disk(&DiskFacts { written_for_ms: Some(100), ..writing }), DiskStep::Wait);
        assert_eq!(plan_disk(&DiskFacts { durable: Some(point(2, 5)), ..writing }), DiskStep::Forget);
        assert_eq!(plan_disk(&DiskFacts { written_for_ms: Some(DURABLE_WITHIN_MS + 1), ..writing }), DiskStep::Forget);
    }
}

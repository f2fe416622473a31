//! Having a committed snapshot written by every member, beside the job.
//!
//! Law: ASIDE: nothing waits for it but the word "durable"; one snapshot of a job is on its way at a time, newer ones
//! are skipped meanwhile; until every member holds its parts for the disk, the map keeps them. Must not know: files.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use jet_core::{JobId, Machine, MemberId, SnapshotRef};
use jet_map::CommitRecord;
use tokio::time::Instant;
use tracing::debug;

use super::plan::{DiskFacts, DiskStep, Point, plan_disk};
use super::{Aborts, ask};
use crate::jobs::Shared;
use crate::jobs::words::{Answer, Ask};
use crate::net::Lane;

/// A member is asked at least so often.
const ASK_WITHIN: Duration = Duration::from_secs(5);
/// Pause between two questions to a member that writes.
const WRITING_PAUSE: Duration = Duration::from_millis(100);
/// A member that cannot be asked for so long ends the try.
const AWAY_TRIES: u32 = 20;

/// How it ended; 0: not yet.
const WRITTEN: u8 = 1;
const FAILED: u8 = 2;

/// The way of one job's snapshots to the disks.
pub(super) struct Disk {
    shared: Arc<Shared>,
    target: Option<Target>,
    failed: Option<Instant>,
}

struct Target {
    point: Point,
    state: Arc<State>,
    written: Option<Instant>,
    _writing: Aborts,
}

#[derive(Default)]
struct State {
    taken: AtomicBool,
    end: AtomicU8,
}

impl Disk {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, target: None, failed: None }
    }

    /// The map must keep this one.
    pub(super) fn pinned(&self) -> Option<Point> {
        self.target.as_ref().filter(|target| !target.state.taken.load(Ordering::Acquire)).map(|target| target.point)
    }

    /// One look; begins at most one thing.
    pub(super) fn step(
        &mut self,
        machine: &Machine,
        job: JobId,
        published: Option<Point>,
        last: Option<&CommitRecord>,
    ) {
        if let Some(target) = &mut self.target {
            match target.state.end.load(Ordering::Acquire) {
                WRITTEN => {
                    target.written.get_or_insert_with(Instant::now);
                }
                FAILED => {
                    self.target = None;
                    self.failed = Some(Instant::now());
                }
                _ => {}
            }
        }
        let millis = |since: Instant| u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let facts = DiskFacts {
            published: published.filter(|point| last.is_some_and(|record| record.id.point() == *point)),
            durable: machine.jobs.get(&job).and_then(|job| job.durable.as_ref()).map(SnapshotRef::position),
            target: self.target.as_ref().map(|target| target.point),
            written_for_ms: self.target.as_ref().and_then(|target| target.written).map(millis),
            since_failure_ms: self.failed.map(millis),
            all_here: self.all_here(machine),
        };
        match (plan_disk(&facts), last) {
            (DiskStep::Write(point), Some(record)) => self.write(machine, point, record.clone()),
            (DiskStep::Forget, _) => self.target = None,
            _ => {}
        }
    }

    fn all_here(&self, machine: &Machine) -> bool {
        let peers = self.shared.net.peers(Lane::Jobs);
        machine
            .roster
            .keys()
            .all(|member| *member == self.shared.cluster.me() || peers.iter().any(|peer| peer.member == member.0))
    }

    fn write(&mut self, machine: &Machine, point: Point, record: CommitRecord) {
        let state = Arc::<State>::default();
        let members: Vec<MemberId> = machine.roster.keys().copied().collect();
        let (shared, told) = (self.shared.clone(), state.clone());
        let writing = tokio::spawn(async move {
            let end = match everybody(&shared, members, &record, &told).await {
                Ok(()) => WRITTEN,
                Err(why) => {
                    debug!(job = %record.id.job, epoch = %record.id.epoch, %why, "a snapshot is not written everywhere");
                    FAILED
                }
            };
            told.end.store(end, Ordering::Release);
        });
        self.target = Some(Target { point, state, written: None, _writing: Aborts(writing.abort_handle()) });
    }
}

async fn everybody(
    shared: &Arc<Shared>,
    members: Vec<MemberId>,
    record: &CommitRecord,
    state: &State,
) -> Result<(), String> {
    let taken: Arc<[AtomicBool]> = members.iter().map(|_| AtomicBool::new(false)).collect();
    let writes = members.iter().enumerate().map(|(place, member)| {
        let taken = taken.clone();
        async move {
            let note = || {
                if let Some(mine) = taken.get(place) {
                    mine.store(true, Ordering::Release);
                }
                if taken.iter().all(|one| one.load(Ordering::Acquire)) {
                    state.taken.store(true, Ordering::Release);
                }
            };
            one(shared, *member, record, note).await
        }
    });
    futures::future::try_join_all(writes).await.map(|_| ())
}

async fn one(shared: &Arc<Shared>, member: MemberId, record: &CommitRecord, taken: impl Fn()) -> Result<(), String> {
    let mut away = 0;
    loop {
        match ask(shared, member, Ask::Flush { record: record.clone() }, ASK_WITHIN).await {
            Ok(Answer::Noted) => {
                taken();
                return Ok(());
            }
            Ok(Answer::Writing { taken: true }) => taken(),
            Ok(Answer::Writing { taken: false }) => {}
            Ok(Answer::Elsewhere(why)) => return Err(format!("member {member}: {why}")),
            Ok(_) => return Err(format!("member {member} gave an answer of another kind")),
            Err(why) if away >= AWAY_TRIES => return Err(why),
            Err(_) => away += 1,
        }
        tokio::time::sleep(WRITING_PAUSE).await;
    }
}

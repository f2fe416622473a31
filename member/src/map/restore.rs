//! A snapshot that a job goes on from: back to its places, from RAM or from epoch files, here or elsewhere.
//!
//! Law: what is taken back names the execution that goes on and is refused once that, or a later one, has left anything;
//! a file gives its sink writes where they are missing and nowhere else; parts that are given back are no snapshot until
//! all of them are there; who is told to end takes nothing more back. Must not know: what parts mean.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jet_core::{ClusterState, ExecutionId, Job, JobId, JobStatus, Machine, MemberId, PartitionId};
use jet_map::wire::{Request, Response};
use jet_map::{Op, PartitionEpoch, Refusal, Requester, SinkWrite, SnapshotId};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::calls::{FIND_WITHIN, MOST_CHANGE_BYTES};
use super::cell::Cell;
use super::epochs::name;
use super::load::counted;
use super::{MapService, Shared, lock};

/// What came back of a snapshot to this member's partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Parts.
    pub parts: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Partitions whose parts came from an epoch file.
    pub from_disk: u32,
}

impl Restored {
    fn count<'a>(&mut self, parts: impl Iterator<Item = &'a Bytes>) {
        for bytes in parts {
            self.parts += 1;
            self.bytes += bytes.len() as u64;
        }
    }
}

/// What of a snapshot a partition lacks in RAM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lacks {
    parts: bool,
    sinks: bool,
}

/// Bytes of sink writes that are given back in one change.
const SINK_BYTES: usize = 4 << 20;
/// Partitions that are cut back at a time: each waits for its backups.
const CUT_AT_ONCE: usize = 32;
/// Between two looks at jobs that do not run, and after one that did not find what it wants.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Files of one snapshot, as they are needed.
#[derive(Default)]
struct Search {
    /// This member's own file, read when it is first needed.
    own: Option<BTreeMap<PartitionId, PartitionEpoch>>,
    /// Members that did not answer are not waited for again.
    silent: BTreeSet<MemberId>,
}

impl MapService {
    /// Makes the partitions that this member leads hold exactly this snapshot of a job, for execution `by`: later parts
    /// and sink writes are taken back, missing parts come from an epoch file, here or elsewhere. To be called before the
    /// job is built. `ended`: asked between partitions.
    pub async fn restore_snapshot(
        &self,
        id: SnapshotId,
        by: ExecutionId,
        ended: impl Fn() -> bool,
    ) -> Result<Restored, Refusal> {
        let (mut restored, mut search) = (Restored::default(), Search::default());
        let mut led = self.shared.cells();
        led.retain(|cell| cell.state().lead.is_some());
        for some in led.chunks(CUT_AT_ONCE) {
            if ended() {
                return Err(Refusal::NotNow { what: "the generation is over".into() });
            }
            let _alone = self.shared.restoring.lock().await;
            let cut = |cell: &Arc<Cell>| self.shared.restore_op(cell.partition, Op::CutBack { id, by });
            futures::future::try_join_all(some.iter().map(cut)).await?;
            for cell in some {
                self.shared.give_back(cell, id, by, true, &mut search, &mut restored).await?;
            }
        }
        debug!(?id, %by, ?restored, "maps: snapshot in place");
        Ok(restored)
    }
}

/// Gives jobs that do not run what files have of them, as long as there is a member: nobody else does, a client that
/// writes meanwhile is later than the file, and no content is counted without it.
pub fn keep_whole(shared: &Arc<Shared>) {
    let weak = Arc::downgrade(shared);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let Some(shared) = weak.upgrade() else { return };
            let machine = shared.cluster.machine();
            if takes_changes(&machine.state)
                && lock(&shared.known).written
                && let Err(refusal) = shared.make_whole(&machine).await
            {
                debug!(%refusal, "maps: jobs that do not run lack something that files have");
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    });
}

fn takes_changes(state: &ClusterState) -> bool {
    matches!(
        state,
        ClusterState::Active | ClusterState::NoMigration | ClusterState::Frozen | ClusterState::InTransition { .. }
    )
}

/// Of a job that does not run: the snapshot that it would go on from, and of one that ended what it published last.
fn idle_snapshots(machine: &Machine, cells: &[Arc<Cell>]) -> BTreeSet<SnapshotId> {
    let runs = |job: JobId| machine.runtime.iter().flat_map(|runtime| &runtime.jobs).any(|run| run.job == job);
    let unsettled = cells.iter().flat_map(|cell| cell.state().replica.content().unsettled().collect::<Vec<_>>());
    let ended = |id: &SnapshotId| machine.jobs.get(&id.job).is_some_and(|job| job.ended() && job.counts(id.point()));
    counted(machine).into_iter().chain(unsettled.filter(ended)).filter(|id| !runs(id.job)).collect()
}

impl Shared {
    /// Gives the partitions that this member leads what RAM lacks of jobs that do not run.
    pub(super) async fn make_whole(self: &Arc<Self>, machine: &Machine) -> Result<(), Refusal> {
        let cells = self.cells();
        let mut first = Ok(());
        for id in idle_snapshots(machine, &cells) {
            let Some(job) = machine.jobs.get(&id.job) else { continue };
            let (by, ended) = (job.execution.next(), job.ended());
            let (mut restored, mut search) = (Restored::default(), Search::default());
            for cell in cells.iter().filter(|cell| cell.state().lead.is_some()) {
                let lacks = self.lacks(cell, id, &mut Restored::default());
                if lacks == Lacks::default() || (ended && !lacks.sinks) || has_newer(cell, id, job) {
                    continue;
                }
                let now = self.cluster.machine();
                if !takes_changes(&now.state) || now.jobs.get(&id.job).is_none_or(|now| now.execution != job.execution)
                {
                    return Ok(());
                }
                let _alone = self.restoring.lock().await;
                let given = self.give_back(cell, id, by, !ended, &mut search, &mut restored).await;
                let lacks = self.lacks(cell, id, &mut Restored::default());
                let still = lacks.sinks || (lacks.parts && !ended);
                let missing = || Refusal::NotNow { what: said_not_whole(machine, id, cell.partition) };
                first = first.and(given).and(if still { Err(missing()) } else { Ok(()) });
            }
            if restored != Restored::default() {
                info!(?id, ?restored, "maps: the snapshot of a job that does not run is in place");
            }
        }
        first
    }

    /// A snapshot that counts, or results of a job that is over, of which a copy held here has not everything in RAM; in
    /// words.
    pub(super) fn not_whole(&self, machine: &Machine) -> Option<String> {
        let counted = counted(machine);
        let ended =
            |id: &SnapshotId| machine.jobs.get(&id.job).is_some_and(|job| job.ended() && job.counts(id.point()));
        let cells = self.cells();
        machine.table.held_by(self.cluster.me()).into_iter().find_map(|partition| {
            let state = cells.get(usize::from(partition.0))?.state();
            let content = state.replica.content();
            let mut lacking = counted.iter().copied().filter(|id| content.whole(*id).is_none());
            let mut unsettled = content.unsettled().filter(|id| counted.contains(id) || ended(id));
            let id = lacking.next().or_else(|| unsettled.next())?;
            Some(said_not_whole(machine, id, partition))
        })
    }

    async fn give_back(
        self: &Arc<Self>,
        cell: &Cell,
        id: SnapshotId,
        by: ExecutionId,
        with_parts: bool,
        search: &mut Search,
        restored: &mut Restored,
    ) -> Result<(), Refusal> {
        let partition = cell.partition;
        let lacks = self.lacks(cell, id, restored);
        if lacks == Lacks::default() {
            return Ok(());
        }
        let found = self.find_file(partition, id, lacks.sinks, search).await;
        let published = found.as_ref().is_some_and(has_published);
        if lacks.sinks && !published && !search.silent.is_empty() {
            let what =
                format!("what job {} published last of partition {partition} is at members that do not answer", id.job);
            return Err(Refusal::NotNow { what });
        }
        let Some(file) = found else { return Ok(()) };
        if lacks.parts && with_parts {
            restored.from_disk += 1;
            restored.count(file.parts.values());
            self.restore_op(partition, Op::RestoreBegin { id, by }).await?;
            for ((vertex, part), bytes) in file.parts {
                self.restore_op(partition, Op::SnapshotPart { id, vertex, part, bytes }).await?;
            }
            self.restore_op(partition, Op::RestoreEnd { id, by }).await?;
        }
        if lacks.sinks && published {
            self.give_back_sinks(partition, id, by, file.writes).await?;
        }
        Ok(())
    }

    /// In changes that one message carries; only the last says that all are there.
    async fn give_back_sinks(
        self: &Arc<Self>,
        partition: PartitionId,
        id: SnapshotId,
        by: ExecutionId,
        writes: Vec<SinkWrite>,
    ) -> Result<(), Refusal> {
        let (mut some, mut bytes) = (Vec::new(), 0);
        for write in writes {
            bytes += write.map.len() + write.key.len() + write.value.as_ref().map_or(0, Bytes::len);
            some.push(write);
            if bytes >= SINK_BYTES {
                let writes = std::mem::take(&mut some);
                self.restore_op(partition, Op::SinkRestore { id, by, writes, last: false }).await?;
                bytes = 0;
            }
        }
        self.restore_op(partition, Op::SinkRestore { id, by, writes: some, last: true }).await
    }

    /// Here and nowhere else: another primary looks for itself at what it has.
    async fn restore_op(self: &Arc<Self>, partition: PartitionId, op: Op) -> Result<(), Refusal> {
        let deadline = Instant::now() + FIND_WITHIN;
        loop {
            if op.size() > MOST_CHANGE_BYTES {
                return Err(Refusal::TooLarge { bytes: op.size(), most: MOST_CHANGE_BYTES });
            }
            match self.invoke_here(partition, Requester::Job, op.clone(), false).await {
                Err(Refusal::Busy { .. } | Refusal::NotLoaded { .. }) if Instant::now() < deadline => {
                    self.pause().await
                }
                result => return result.map(|_| ()),
            }
        }
    }

    /// What a file has to give of it. What came here otherwise than by a file has every sink write that counts.
    fn lacks(&self, cell: &Cell, id: SnapshotId, restored: &mut Restored) -> Lacks {
        let state = cell.state();
        let content = state.replica.content();
        let published = content.markers.get(&id.job).is_some_and(|marker| *marker >= id.point());
        let parts = content.whole(id);
        restored.count(parts.into_iter().flat_map(BTreeMap::values));
        Lacks { parts: parts.is_none(), sinks: !published && (parts.is_none() || content.from_files.contains(&id)) }
    }

    /// What a file has of a partition, this member's own first. `published`: rather one that was written when the sinks
    /// had published.
    async fn find_file(
        self: &Arc<Self>,
        partition: PartitionId,
        id: SnapshotId,
        published: bool,
        search: &mut Search,
    ) -> Option<PartitionEpoch> {
        let me = self.cluster.me();
        if search.own.is_none() {
            let own = self.own_file(id).await.unwrap_or_else(|why| {
                warn!(?id, %why, "maps: an epoch cannot be read; others are asked");
                search.silent.insert(me);
                BTreeMap::new()
            });
            search.own = Some(own);
        }
        let mut found = search.own.as_mut().and_then(|files| files.remove(&partition));
        let others: Vec<_> = self.cluster.machine().roster.keys().copied().filter(|member| *member != me).collect();
        for member in others {
            if found.as_ref().is_some_and(|file| !published || has_published(file)) {
                break;
            }
            if search.silent.contains(&member) {
                continue;
            }
            match self.fetch(member, partition, id).await {
                Ok(parts) => {
                    let file = parts.and_then(|parts| PartitionEpoch::from_parts(id, parts).ok());
                    found = file.filter(|file| found.is_none() || has_published(file)).or(found);
                }
                Err(_) => drop(search.silent.insert(member)),
            }
        }
        found
    }

    /// All that this member's file has of a snapshot; an error: there is one, and it cannot be read.
    async fn own_file(self: &Arc<Self>, id: SnapshotId) -> Result<BTreeMap<PartitionId, PartitionEpoch>, String> {
        if !self.store.epochs().iter().any(|info| info.id == name(id)) {
            return Ok(BTreeMap::new());
        }
        let shared = self.clone();
        let read = crate::host::blocking(move || shared.read_file(id).map(|(_, files)| files)).await;
        read.map_err(|error| error.to_string())?.map_err(|why| why.to_string())
    }

    /// What an epoch file at another member holds of a partition; an error: it was not told.
    async fn fetch(
        &self,
        member: MemberId,
        partition: PartitionId,
        id: SnapshotId,
    ) -> Result<Option<Vec<(u32, Bytes)>>, Refusal> {
        let mut all = Vec::new();
        loop {
            let from = u32::try_from(all.len()).unwrap_or(u32::MAX);
            match self.call(member, Request::FetchEpoch { partition, id, from }, false).await? {
                Response::Epoch { found: true, parts, more } if !parts.is_empty() || !more => {
                    all.extend(parts);
                    if !more {
                        return Ok(Some(all));
                    }
                }
                Response::Refused(refusal) => return Err(refusal),
                _ => return Ok(None),
            }
        }
    }
}

/// It was written when the sinks had published its epoch.
fn has_published(file: &PartitionEpoch) -> bool {
    file.marker.is_some_and(|marker| marker >= file.id.point())
}

/// A later snapshot of the job lies here: what is known to count is about to change.
fn has_newer(cell: &Cell, id: SnapshotId, job: &Job) -> bool {
    let newer = |of: &SnapshotId| of.job == id.job && of.point() > id.point() && job.counts(of.point());
    cell.state().replica.content().snapshots.keys().any(newer)
}

fn said_not_whole(machine: &Machine, id: SnapshotId, partition: PartitionId) -> String {
    let job = machine.jobs.get(&id.job);
    let name = job.map_or_else(|| id.job.to_string(), |job| format!("'{}'", job.name));
    let way_out = match job.map(|job| job.status) {
        Some(JobStatus::Held) => "put back the volume that has them and start its member again, or cancel the job",
        _ if job.is_some_and(Job::ended) => "they are on their way",
        _ => "resume or cancel the job if that stays so",
    };
    format!(
        "job {name}: what it has in execution {}, epoch {} is not all in RAM: partition {partition} lacks parts or results, and no member has given them from its file yet; {way_out}",
        id.execution, id.epoch
    )
}

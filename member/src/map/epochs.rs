//! Snapshots of jobs: from RAM to an epoch file, and what is read of files when a member starts.
//!
//! Law: one epoch of a job is in flight to the disk; older files go only when a newer epoch is durable everywhere and the
//! log has its sink writes; a file counts for the partitions that it names, and is reported only while it names every
//! copy that counts here; written again it loses nothing that it had, and one that only wants its key is not written again.
//! Must not know: what parts mean.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jet_core::report::EpochReport;
use jet_core::{Digest, Job, JobId, Machine, PartitionId, SnapshotRecord};
use jet_hotstore::{EpochId, EpochInfo, EpochWriter, Refused, StoreError};
use jet_map::epoch::HEADER_VERTEX;
use jet_map::wire::Response;
use jet_map::{PartitionEpoch, Refusal, Role, SnapshotId};
use tracing::{debug, info, warn};

use super::cell::OnDisk;
use super::{MapService, Shared, lock};

/// Vertex of the part that holds the snapshot's record.
const RECORD_VERTEX: u32 = u32::MAX - 2;
/// The log has the sink writes of a durable epoch within this, or the older files stay for now.
const DURABLE_WITHIN: Duration = Duration::from_secs(30);
/// Bytes of parts in one answer to a peer.
const ANSWER_BYTES: usize = 4 << 20;

/// What is on its way, and what is there.
#[derive(Default)]
pub struct Flushes {
    in_flight: BTreeSet<JobId>,
    /// The last one of each job whose parts are held for the disk.
    taken: BTreeMap<JobId, SnapshotId>,
    /// Every file that is kept.
    finished: BTreeMap<SnapshotId, File>,
    /// Jobs whose older files are about to go.
    leaving: BTreeSet<JobId>,
}

/// What is known of a file.
struct File {
    report: EpochReport,
    partitions: BTreeSet<PartitionId>,
}

/// The record of a snapshot, and what its file has of each partition.
type Read = (Option<SnapshotRecord>, BTreeMap<PartitionId, PartitionEpoch>);

/// What is to be taken of a file.
struct Due {
    id: SnapshotId,
    bytes: u64,
    parts: bool,
    sinks: bool,
}

/// Why a file does not give what it has.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub(super) enum Unread {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Parts(#[from] Refusal),
}

impl Unread {
    /// It is whole, and another key or program reads it: nothing may take its place.
    fn is_locked(&self) -> bool {
        matches!(self, Unread::Store(StoreError::Refused(Refused::Locked { .. } | Refused::NewerFormat { .. })))
    }
}

/// Why an epoch is not written.
#[derive(Clone, Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum FlushError {
    #[error("job {job}: another epoch is on its way to the disk; choose a newer one afterwards")]
    InFlight { job: JobId },
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("snapshot {id:?} was not written: {why}")]
    Store { id: SnapshotId, why: String },
}

impl MapService {
    /// Writes an epoch of a job to this member's disk: the parts of its replicas, and the sink writes that the log does
    /// not have. To be called on every member for the same epochs.
    pub async fn flush_epoch(&self, id: SnapshotId, record: SnapshotRecord) -> Result<(), FlushError> {
        let shared = self.shared.clone();
        let run = crate::host::blocking(move || shared.flush_epoch(id, record));
        run.await.map_err(|error| FlushError::Store { id, why: error.to_string() })?
    }

    /// The parts of this snapshot are held for the disk, or were: the partitions may drop them.
    pub fn flush_took(&self, id: SnapshotId) -> bool {
        lock(&self.shared.flushes).taken.get(&id.job) == Some(&id)
    }
}

impl Shared {
    pub(super) fn flush_epoch(&self, id: SnapshotId, record: SnapshotRecord) -> Result<(), FlushError> {
        if !self.has_file(id) {
            return self.flush_with(id, record, |record| {
                let taken = self.take_parts(id, BTreeMap::new())?;
                let writer = self.store.epoch_writer(name(id)).map_err(|error| unwritten(id, error))?;
                write_epoch(id, writer, record, taken)
            });
        }
        match self.not_in_file(id) {
            Some(partition) => {
                info!(?id, %partition, "maps: an epoch is written again, with partitions that came here since");
                self.flush_again(id, record)
            }
            None => Ok(()),
        }
    }

    fn has_file(&self, id: SnapshotId) -> bool {
        self.store.epochs().iter().any(|info| info.id == name(id))
    }

    /// A copy that counts here and that the file of an epoch does not name.
    fn not_in_file(&self, id: SnapshotId) -> Option<PartitionId> {
        let counting = self.counting();
        let flushes = lock(&self.flushes);
        let named = flushes.finished.get(&id).map(|file| &file.partitions);
        counting.into_iter().find(|partition| !named.is_some_and(|named| named.contains(partition)))
    }

    /// The file of an epoch names this partition.
    pub(super) fn file_names(&self, id: SnapshotId, partition: PartitionId) -> bool {
        lock(&self.flushes).finished.get(&id).is_some_and(|file| file.partitions.contains(&partition))
    }

    /// Partitions of which this member's copy counts.
    fn counting(&self) -> Vec<PartitionId> {
        let (machine, me) = (self.cluster.machine(), self.me());
        let counts = |role| matches!(role, Role::Primary | Role::Backup { synced: true });
        let entries = machine.table.entries();
        entries.filter(|(_, entry)| counts(jet_map::fence::role(entry, me))).map(|(partition, _)| partition).collect()
    }

    /// Writes an epoch again, in place of its file: partitions came here since that was written.
    fn flush_again(&self, id: SnapshotId, record: SnapshotRecord) -> Result<(), FlushError> {
        self.flush_with(id, record, |record| {
            let old = self.store.epochs().into_iter().find(|info| info.id == name(id));
            let kept = match self.read_file(id) {
                Ok((_, kept)) => kept,
                Err(why) if why.is_locked() => return Err(unwritten(id, why)),
                // One that is damaged has nothing to lose; RAM must then have everything.
                Err(why) => {
                    warn!(?id, %why, "maps: an epoch cannot be read and is written again");
                    BTreeMap::new()
                }
            };
            let taken = self.take_parts(id, kept)?;
            let writer = self.store.epoch_writer_again(name(id)).map_err(|error| unwritten(id, error))?;
            let written = write_epoch(id, writer, record, taken)?;
            if let Some(Err(error)) = old.map(|old| self.store.drop_replaced(&old)) {
                debug!(%error, ?id, "maps: the file that was replaced stays for now");
            }
            Ok(written)
        })
    }

    fn flush_with(
        &self,
        id: SnapshotId,
        record: SnapshotRecord,
        write: impl FnOnce(&SnapshotRecord) -> Result<BTreeSet<PartitionId>, FlushError>,
    ) -> Result<(), FlushError> {
        if !lock(&self.flushes).in_flight.insert(id.job) {
            return Err(FlushError::InFlight { job: id.job });
        }
        let result = write(&record);
        let mut flushes = lock(&self.flushes);
        flushes.in_flight.remove(&id.job);
        result.map(|partitions| drop(flushes.finished.insert(id, File { report: reported(id, record), partitions })))
    }

    /// The parts of every copy that counts here, and whatever else the file has.
    fn take_parts(
        &self,
        id: SnapshotId,
        mut kept: BTreeMap<PartitionId, PartitionEpoch>,
    ) -> Result<BTreeMap<PartitionId, PartitionEpoch>, FlushError> {
        let mut taken = BTreeMap::new();
        for partition in self.counting() {
            let cell = self.cell(partition)?;
            let (here, unsettled) = {
                let mut state = cell.state();
                let here = state.replica.begin_epoch(id)?;
                (here, state.replica.content().unsettled().any(|unsettled| unsettled == id))
            };
            taken.insert(partition, chosen(partition, here, unsettled, kept.remove(&partition))?);
        }
        // What is held here no more may be in no other file yet.
        taken.extend(kept);
        lock(&self.flushes).taken.insert(id.job, id);
        Ok(taken)
    }

    /// An epoch is durable on every replica: its sink writes go to the log, then older files go. One at a time of a job;
    /// who comes meanwhile is looked for again.
    pub fn epoch_is_durable(self: &Arc<Self>, id: SnapshotId) {
        if !lock(&self.flushes).leaving.insert(id.job) {
            return;
        }
        let shared = self.clone();
        crate::host::blocking(move || {
            shared.log_sinks(id);
            let logged = shared.store.flush().and_then(|ticket| shared.store.wait_durable(ticket, DURABLE_WITHIN));
            // A partition that is behind does not have its sink writes in the log; the old file still has them.
            if logged.is_ok() && shared.cells_behind().is_empty() {
                shared.drop_files_before(id);
            }
            lock(&shared.flushes).leaving.remove(&id.job);
        });
    }

    fn is_unsettled(&self, job: JobId) -> bool {
        let unsettled = |cell: &Arc<super::cell::Cell>| {
            cell.state().replica.content().unsettled().any(|unsettled| unsettled.job == job)
        };
        self.cells().iter().any(unsettled)
    }

    fn drop_files_before(&self, id: SnapshotId) {
        if id == super::all_of(id.job) {
            // Published and in files only: it goes when it was given back.
            if self.is_unsettled(id.job) {
                return;
            }
            match self.store.drop_job(id.job.0) {
                Ok(()) => lock(&self.flushes).finished.retain(|kept, _| kept.job != id.job),
                Err(error) => debug!(%error, job = %id.job, "maps: epochs of an ended job stay for now"),
            }
            return;
        }
        for old in self.store.epochs().into_iter().filter(|info| info.id.job == id.job.0 && info.id < name(id)) {
            match self.store.drop_epoch(old.id) {
                Ok(()) => drop(lock(&self.flushes).finished.remove(&snapshot(old.id))),
                Err(error) => debug!(%error, ?old.id, "maps: an old epoch stays for now"),
            }
        }
    }

    /// Files that are not needed go as soon as the log has what they have, also where it was behind at first.
    pub(super) fn drop_what_is_not_needed(self: &Arc<Self>) {
        let machine = self.cluster.machine();
        let kept = self.store.epochs();
        let older = |id: &SnapshotId| kept.iter().any(|info| info.id.job == id.job.0 && info.id < name(*id));
        let may_go = |id: &SnapshotId| *id != super::all_of(id.job) || !self.is_unsettled(id.job);
        super::durable(&machine).filter(older).filter(may_go).for_each(|id| self.epoch_is_durable(id));
    }

    /// Newest committed snapshots of jobs at home here as primary; those on this disk that have every copy that counts here.
    pub fn epoch_reports(&self) -> (Vec<EpochReport>, Vec<EpochReport>) {
        let mut committed: BTreeMap<JobId, EpochReport> = BTreeMap::new();
        for cell in self.cells() {
            let state = cell.state();
            if state.lead.is_none() {
                continue;
            }
            for (id, commit) in &state.replica.content().commits {
                let record = SnapshotRecord {
                    bytes: commit.bytes,
                    rows_read: commit.rows_read,
                    digest: Digest(commit.digest.clone()),
                    table_version: commit.table_version,
                };
                committed.insert(id.job, reported(*id, record));
            }
        }
        let counting = self.counting();
        let flushes = lock(&self.flushes);
        let whole = flushes.finished.values().filter(|file| counting.iter().all(|p| file.partitions.contains(p)));
        (committed.into_values().collect(), whole.map(|file| file.report.clone()).collect())
    }

    /// While loading: what finished epochs have, into the replicas that they belong to. Of a snapshot that is durable
    /// everywhere also the sink writes, because nobody makes those of an ended job again. The machine may be one of long
    /// ago: a job that it does not know is not taken for a job that is no more, and what is durable is looked at again.
    pub fn load_epochs(&self, machine: &Machine) {
        let due: Vec<_> = self.store.epochs().into_iter().filter_map(|info| self.due_of(machine, &info)).collect();
        let far = self.store.loads(due.iter().map(|due| due.bytes).sum());
        for Due { id, parts, sinks, .. } in due {
            match self.read_file_and_tell(id, &|bytes| far.done(bytes)) {
                Ok((record, files)) => {
                    let partitions = files.keys().copied().collect();
                    self.load_files(files, sinks, parts);
                    if let Some(record) = record.filter(|_| parts) {
                        lock(&self.flushes).finished.insert(id, File { report: reported(id, record), partitions });
                    }
                }
                Err(why) => warn!(?id, %why, "maps: an epoch cannot be read"),
            }
        }
    }

    /// What of a file is to be taken now, if anything; it is taken for taken from here on.
    fn due_of(&self, machine: &Machine, info: &EpochInfo) -> Option<Due> {
        let id = snapshot(info.id);
        let job = machine.jobs.get(&id.job);
        let ended = job.is_some_and(Job::ended);
        let is_durable = |job: &Job| job.durable.as_ref().is_some_and(|durable| durable.position() == id.point());
        let mut known = lock(&self.known);
        let parts = !ended && known.parts_taken.insert(id);
        let sinks = job.is_some_and(is_durable) && known.sinks_taken.insert(id);
        (parts || sinks).then_some(Due { id, bytes: info.bytes, parts, sinks })
    }

    fn load_files(&self, files: BTreeMap<PartitionId, PartitionEpoch>, sinks: bool, parts: bool) {
        let cells = self.cells();
        for (partition, file) in files {
            let Some(cell) = cells.get(usize::from(partition.0)) else { continue };
            let mut state = cell.state();
            // A copy from its primary has everything, and perhaps another history.
            if !state.from_store {
                continue;
            }
            if sinks && state.replica.load_sinks(&file) {
                state.on_disk = OnDisk::Behind;
            }
            if parts {
                state.replica.load_epoch(file);
            }
        }
    }

    pub(super) fn read_file(&self, id: SnapshotId) -> Result<Read, Unread> {
        self.read_file_and_tell(id, &|_| {})
    }

    /// Tells the bytes of each part.
    fn read_file_and_tell(&self, id: SnapshotId, tell: &dyn Fn(u64)) -> Result<Read, Unread> {
        let (mut record, mut parts): (_, BTreeMap<PartitionId, Vec<(u32, Bytes)>>) = (None, BTreeMap::new());
        for part in self.store.read_epoch(name(id))? {
            let part = part?;
            tell(part.bytes.len() as u64);
            match part.vertex {
                RECORD_VERTEX => record = serde_json::from_slice(&part.bytes).ok(),
                vertex => parts.entry(PartitionId(part.partition)).or_default().push((vertex, Bytes::from(part.bytes))),
            }
        }
        let mut files = BTreeMap::new();
        for (partition, parts) in parts {
            files.insert(partition, PartitionEpoch::from_parts(id, parts)?);
        }
        Ok((record, files))
    }

    /// Raw parts of one partition in this member's file, if there is one that has it.
    fn file_parts(&self, partition: PartitionId, id: SnapshotId) -> Result<Option<Vec<(u32, Bytes)>>, StoreError> {
        if !self.has_file(id) {
            return Ok(None);
        }
        let mut found = Vec::new();
        for part in self.store.read_epoch(name(id))? {
            let part = part?;
            if part.partition == partition.0 && part.vertex != RECORD_VERTEX {
                found.push((part.vertex, Bytes::from(part.bytes)));
            }
        }
        Ok(found.iter().any(|(vertex, _)| *vertex == HEADER_VERTEX).then_some(found))
    }

    /// For another member.
    pub async fn read_epoch_for_peer(
        self: &Arc<Self>,
        partition: PartitionId,
        id: SnapshotId,
        from: u32,
    ) -> Result<Response, Refusal> {
        let shared = self.clone();
        let read = crate::host::blocking(move || shared.file_parts(partition, id)).await;
        // What cannot be read is not told to be absent.
        let unread = |error: &dyn std::fmt::Display| Refusal::NotNow { what: error.to_string() };
        let Some(parts) = read.map_err(|error| unread(&error))?.map_err(|error| unread(&error))? else {
            return Ok(Response::Epoch { found: false, parts: Vec::new(), more: false });
        };
        let (mut taken, mut bytes) = (Vec::new(), 0);
        let mut rest = parts.into_iter().skip(from as usize).peekable();
        while let Some(part) = rest.next_if(|part| taken.is_empty() || bytes + part.1.len() <= ANSWER_BYTES) {
            bytes += part.1.len();
            taken.push(part);
        }
        Ok(Response::Epoch { found: true, parts: taken, more: rest.peek().is_some() })
    }
}

fn unwritten(id: SnapshotId, why: impl std::fmt::Display) -> FlushError {
    FlushError::Store { id, why: why.to_string() }
}

fn write_epoch(
    id: SnapshotId,
    mut writer: EpochWriter,
    record: &SnapshotRecord,
    taken: BTreeMap<PartitionId, PartitionEpoch>,
) -> Result<BTreeSet<PartitionId>, FlushError> {
    let record = serde_json::to_vec(record).map_err(|error| unwritten(id, error))?;
    writer.put(RECORD_VERTEX, 0, &record).map_err(|error| unwritten(id, error))?;
    for (partition, epoch) in &taken {
        for (vertex, bytes) in epoch.to_parts() {
            writer.put(vertex, partition.0, &bytes).map_err(|error| unwritten(id, error))?;
        }
    }
    writer.finish().map_err(|error| unwritten(id, error))?;
    Ok(taken.into_keys().collect())
}

/// What of a partition goes to the file: what that has already, unless it was written before the sinks had published.
fn chosen(
    partition: PartitionId,
    here: PartitionEpoch,
    unsettled: bool,
    kept: Option<PartitionEpoch>,
) -> Result<PartitionEpoch, FlushError> {
    let (id, published) = (here.id, Some(here.id.point()));
    match kept {
        // Every partition of a job has a part in every snapshot: where there is none, it was dropped meanwhile.
        None if here.parts.is_empty() => {
            Err(unwritten(id, format!("its parts of partition {partition} are not here any more; choose a newer one")))
        }
        None if unsettled => Err(unwritten(
            id,
            format!("its sink writes of partition {partition} are in another member's file; ask again"),
        )),
        None => Ok(here),
        Some(kept) if !here.parts.is_empty() && here.parts != kept.parts => {
            let why = format!(
                "RAM and the file differ in partition {partition}; the file stays as it is, wait for a newer snapshot"
            );
            Err(unwritten(id, why))
        }
        Some(kept) if kept.marker >= published || here.marker < published => Ok(kept),
        Some(kept) => Ok(PartitionEpoch { parts: kept.parts, commit: kept.commit.or(here.commit), ..here }),
    }
}

fn reported(id: SnapshotId, record: SnapshotRecord) -> EpochReport {
    EpochReport { job: id.job, execution: id.execution, epoch: id.epoch, record }
}

pub(super) fn name(id: SnapshotId) -> EpochId {
    EpochId { job: id.job.0, execution: id.execution.0, epoch: id.epoch.0 }
}

fn snapshot(id: EpochId) -> SnapshotId {
    SnapshotId { job: JobId(id.job), execution: jet_core::ExecutionId(id.execution), epoch: jet_core::Epoch(id.epoch) }
}

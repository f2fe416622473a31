//! Changes and questions: here when this member is primary, else at the primary.
//!
//! Law: a change is answered when every replica that counts has it (where its map asks for that: on disk too) and the lease
//! still holds; a question when everything that it saw is acknowledged. What may be asked again is asked again within a bound, a change only if nothing of it
//! can have happened. Must not know: who the callers are.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use jet_core::{Machine, TableVersion, Version};
use jet_map::fence::judge_primary;
use jet_map::op::Acknowledged;
use jet_map::wire::{Request, Response};
use jet_map::{Lead, Looked, MemberId, Op, PartitionId, Query, QueryReply, Refusal, Reply, Requester, partition_of};
use std::sync::Arc;
use tokio::time::Instant;

use super::cell::{Cell, Ordered, State};
use super::doors::InFlight;
use super::{MapService, Shared, time};
use crate::net::{CallError, Lane};

/// A change waits for its followers this long, and within it for disks where it does.
pub const CONFIRM_WITHIN: Duration = Duration::from_secs(5);
/// A call looks for the primary this long.
pub const FIND_WITHIN: Duration = Duration::from_secs(5);
/// A message to another member waits this long for its answer (a little longer than the change itself).
pub const ANSWER_WITHIN: Duration = Duration::from_secs(6);
/// The table that a lease names is applied within this, or there is no lease.
const APPLIED_WITHIN: Duration = Duration::from_millis(500);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);
/// Between two tries of who waits for a lock, at the longest: nobody tells of one whose time is over, or that another member
/// leads.
const LONGEST_PAUSE: Duration = Duration::from_millis(320);
/// Largest change; below what one frame of the network carries.
pub const MOST_CHANGE_BYTES: usize = 12 << 20;
/// Bytes of a page of a scan.
pub const PAGE_BYTES: u32 = 1 << 20;
/// Partitions that a scan asks at a time.
const SCAN_AT_A_TIME: usize = 8;

impl MapService {
    /// A change of a partition. Where somebody else has locked a key of it, it is asked again as long as for the primary.
    pub async fn invoke(&self, partition: PartitionId, requester: Requester, op: Op) -> Result<Acknowledged, Refusal> {
        self.invoke_within(partition, requester, op, FIND_WITHIN).await
    }

    /// The same, where a lock is waited for so long.
    pub async fn invoke_within(
        &self,
        partition: PartitionId,
        requester: Requester,
        op: Op,
        locked: Duration,
    ) -> Result<Acknowledged, Refusal> {
        if op.size() > MOST_CHANGE_BYTES {
            return Err(Refusal::TooLarge { bytes: op.size(), most: MOST_CHANGE_BYTES });
        }
        let _in_flight = self.shared.doors.write();
        self.shared.doors.door().admit(requester, &op)?;
        let (deadline, unlocked_by) = (Instant::now() + FIND_WITHIN, Instant::now() + locked);
        let to_disk = self.shared.waits_for_disks(requester, &op);
        let mut patience = PAUSE;
        let cell = self.shared.cell(partition).ok();
        loop {
            // From before the try on: what becomes free behind it is not missed.
            let unlocked = cell.as_ref().map(|cell| cell.unlocked.notified());
            match self.shared.invoke_once(partition, requester, op.clone(), to_disk.then_some(deadline)).await {
                Err(Refusal::Locked { .. }) if Instant::now() < unlocked_by => {
                    let at_most = (Instant::now() + patience).min(unlocked_by);
                    match unlocked {
                        Some(unlocked) => drop(tokio::time::timeout_at(at_most, unlocked).await),
                        None => tokio::time::sleep_until(at_most).await,
                    }
                    patience = (patience * 2).min(LONGEST_PAUSE);
                }
                Err(locked @ Refusal::Locked { .. }) => return Err(locked),
                Err(refusal) if refusal.may_ask_again() && Instant::now() < deadline => self.shared.pause().await,
                result => return result,
            }
        }
    }

    /// Frees what a client has locked that is gone. To be asked again where it fails.
    pub async fn free_locks(&self, client: uuid::Uuid) -> Result<(), Refusal> {
        let partitions = (0..self.partitions()).map(PartitionId);
        let free = |partition| self.invoke(partition, Requester::Client, Op::FreeLocks { client });
        let mut freed = futures::stream::iter(partitions.map(free)).buffer_unordered(SCAN_AT_A_TIME);
        while let Some(freed) = freed.next().await {
            freed?;
        }
        Ok(())
    }

    /// A question to a partition.
    pub async fn ask(&self, partition: PartitionId, requester: Requester, query: Query) -> Result<QueryReply, Refusal> {
        let _in_flight = self.shared.doors.read();
        self.shared.doors.door().admit_query(requester, &query)?;
        let deadline = Instant::now() + FIND_WITHIN;
        loop {
            let result = match self.shared.primary(partition)? {
                None => self.shared.ask_here(partition, requester, query.clone()).await,
                Some(member) => self.shared.ask_there(member, partition, requester, query.clone()).await,
            };
            let again = |refusal: &Refusal| {
                refusal.may_ask_again() || matches!(refusal, Refusal::Unreachable { .. } | Refusal::Unconfirmed { .. })
            };
            match result {
                Err(refusal) if again(&refusal) && Instant::now() < deadline => self.shared.pause().await,
                result => return result,
            }
        }
    }

    /// Number of partitions; 0 before founding.
    pub fn partitions(&self) -> u16 {
        u16::try_from(self.shared.cluster.machine().table.partitions.len()).unwrap_or(u16::MAX)
    }

    /// The partition of a key.
    pub fn partition_of(&self, key: &[u8]) -> PartitionId {
        partition_of(key, self.partitions())
    }

    /// Value of a key.
    pub async fn get_as(&self, requester: Requester, map: String, key: Bytes) -> Result<Option<Bytes>, Refusal> {
        let partition = self.partition_of(&key);
        match self.ask(partition, requester, Query::Get { map, key }).await? {
            QueryReply::Value(value) => Ok(value),
            other => Err(odd(&other)),
        }
    }

    /// All entries of a map, partition by partition; refuses when one partition cannot answer or there are more than
    /// `most` bytes.
    pub async fn scan(&self, requester: Requester, map: &str, most: usize) -> Result<Vec<(Bytes, Bytes)>, Refusal> {
        let partitions = (0..self.partitions()).map(PartitionId);
        let mut pages = futures::stream::iter(
            partitions.map(|partition| self.scan_partition(partition, requester, map.to_owned(), most)),
        )
        .buffer_unordered(SCAN_AT_A_TIME);
        let (mut all, mut bytes) = (Vec::new(), 0);
        while let Some(entries) = pages.next().await {
            let entries = entries?;
            bytes += entries.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
            if bytes > most {
                return Err(Refusal::TooLarge { bytes, most });
            }
            all.extend(entries);
        }
        Ok(all)
    }

    /// Entries of a map in one partition, in order of keys.
    pub async fn scan_partition(
        &self,
        partition: PartitionId,
        requester: Requester,
        map: String,
        most: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Refusal> {
        let (mut all, mut from, mut bytes) = (BTreeMap::new(), None, 0);
        loop {
            let query = Query::Scan { map: map.clone(), from, bytes: PAGE_BYTES };
            let QueryReply::Page { entries, next } = self.ask(partition, requester, query).await? else {
                return Err(Refusal::Unreadable { why: "an answer of another kind".into() });
            };
            bytes += entries.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
            // Between two pages an entry may have moved, and is found again.
            all.extend(entries);
            if bytes > most {
                return Err(Refusal::TooLarge { bytes, most });
            }
            from = next;
            if from.is_none() {
                return Ok(all.into_iter().collect());
            }
        }
    }

    /// All parts of a snapshot in one partition: vertex, part, bytes.
    pub async fn snapshot_parts(
        &self,
        partition: PartitionId,
        id: jet_map::SnapshotId,
    ) -> Result<Vec<(u32, u32, Bytes)>, Refusal> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let query = Query::SnapshotParts { id, after, bytes: PAGE_BYTES };
            let QueryReply::Parts { parts, more } = self.ask(partition, Requester::Job, query).await? else {
                return Err(Refusal::Unreadable { why: "an answer of another kind".into() });
            };
            after = parts.last().map(|(vertex, part, _)| (*vertex, *part));
            all.extend(parts);
            if !more {
                return Ok(all);
            }
        }
    }
}

/// A change that is in order here and not acknowledged.
pub(super) struct InOrder {
    cell: Arc<Cell>,
    ordered: Ordered,
    to_disk: bool,
    deadline: Instant,
    _in_flight: InFlight,
}

impl Shared {
    /// Where the primary is; `None`: here.
    fn primary(&self, partition: PartitionId) -> Result<Option<MemberId>, Refusal> {
        let machine = self.cluster.machine();
        match judge_primary(&machine.table, self.me(), partition) {
            Ok(_) => Ok(None),
            // A replica that names this member under another boot is not here: the table is about to change.
            Err(Refusal::NotPrimary { primary: Some(member), .. }) if member != self.cluster.me() => Ok(Some(member)),
            Err(Refusal::NotPrimary { partition, .. }) => Err(Refusal::Absent { partition }),
            Err(other) => Err(other),
        }
    }

    /// One try, here or there. `to_disk`: it waits for the disks, and until then for a place among those that do; nobody
    /// keeps one between two tries, nor takes one who would wait for a partition to be written whole.
    pub(super) async fn invoke_once(
        self: &Arc<Self>,
        partition: PartitionId,
        requester: Requester,
        op: Op,
        to_disk: Option<Instant>,
    ) -> Result<Acknowledged, Refusal> {
        let primary = self.primary(partition)?;
        let _place = match to_disk {
            Some(deadline) => {
                if primary.is_none() {
                    self.judge_disk(partition)?;
                }
                Some(self.place_to_wait(deadline).await?)
            }
            None => None,
        };
        match primary {
            None => self.invoke_here(partition, requester, op, to_disk.is_some()).await,
            Some(member) => self.invoke_there(member, partition, requester, op, to_disk.is_some()).await,
        }
    }

    pub(super) async fn pause(&self) {
        let _ = tokio::time::timeout(PAUSE, self.applied.notified()).await;
    }

    /// As primary: a change. `to_disk`: the member that was asked has a map of which changes wait for the disks.
    pub async fn invoke_here(
        self: &Arc<Self>,
        partition: PartitionId,
        requester: Requester,
        op: Op,
        to_disk: bool,
    ) -> Result<Acknowledged, Refusal> {
        let ordered = self.order_here(partition, requester, op, to_disk)?;
        self.finish_here(ordered).await
    }

    /// The part of it that is over at once: the change is in order, or nothing of it has happened.
    pub(super) fn order_here(
        self: &Arc<Self>,
        partition: PartitionId,
        requester: Requester,
        op: Op,
        to_disk: bool,
    ) -> Result<InOrder, Refusal> {
        let in_flight = self.doors.write();
        self.doors.door().admit(requester, &op)?;
        let to_disk = to_disk || self.waits_for_disks(requester, &op);
        if to_disk {
            self.judge_disk(partition)?;
        }
        let cell = self.cell(partition)?;
        let deadline = Instant::now() + CONFIRM_WITHIN;
        let ordered = match Self::nothing_to_free(&cell, &op) {
            Some(nothing) => nothing,
            None => cell.order(self, requester, op)?,
        };
        self.kick(&cell);
        Ok(InOrder { cell, ordered, to_disk, deadline, _in_flight: in_flight })
    }

    /// The rest of it.
    pub(super) async fn finish_here(self: &Arc<Self>, in_order: InOrder) -> Result<Acknowledged, Refusal> {
        let InOrder { cell, ordered, to_disk, deadline, _in_flight } = in_order;
        self.confirmed(&cell, ordered.installed, ordered.version, deadline).await?;
        if to_disk && ordered.logs {
            self.on_every_disk(&cell, &ordered, deadline).await?;
        }
        Ok(self.acknowledged(ordered))
    }

    /// What is told of a change that every replica that counts has.
    pub(super) fn acknowledged(&self, ordered: Ordered) -> Acknowledged {
        let table_version = self.cluster.machine().table.version;
        Acknowledged { reply: ordered.reply, version: ordered.version, table_version }
    }

    /// A client that is gone has locked nothing here: there is nothing to put in order.
    fn nothing_to_free(cell: &Cell, op: &Op) -> Option<Ordered> {
        let Op::FreeLocks { client } = op else { return None };
        let state = cell.state();
        let (installed, content) = (state.lead.as_ref()?.installed, state.replica.content());
        let locked = content.locks.iter().any(|(.., lock)| lock.owner.client == *client);
        let version = state.replica.version();
        let (reply, is_acknowledged, answering) = (Reply::AlreadySo, false, state.handing.answering());
        (!locked && state.handing.judge(cell.partition).is_ok()).then_some(Ordered {
            version,
            reply,
            installed,
            logs: false,
            is_acknowledged,
            answering,
        })
    }

    /// What of the machine forbids a record, or taking something back. To be asked under the lock of the record's
    /// partition: who has applied the end of an execution and looks at the partition afterwards has seen its last record.
    pub fn judge_record(machine: &Machine, op: &Op) -> Result<(), Refusal> {
        let (job, execution) = match op {
            Op::SnapshotCommit(record) => (record.id.job, record.id.execution),
            Op::CutBack { id, by } | Op::SinkRestore { id, by, .. } => (id.job, *by),
            Op::RestoreBegin { id, by } | Op::RestoreEnd { id, by } => (id.job, *by),
            _ => return Ok(()),
        };
        let gives_back = matches!(op, Op::RestoreBegin { .. } | Op::RestoreEnd { .. } | Op::SinkRestore { .. });
        // Who leads every partition led it when the parts were acknowledged: copies may move meanwhile.
        let counted = machine.table.last_installed()..=machine.table.version;
        if let Op::SnapshotCommit(record) = op
            && !counted.contains(&record.table_version)
        {
            return Err(Refusal::TableMoved { id: record.id, given: record.table_version, now: machine.table.version });
        }
        let mut running = machine.runtime.iter().flat_map(|runtime| &runtime.jobs).filter(|run| run.job == job);
        let known = machine.jobs.get(&job).map_or_else(Default::default, |job| job.execution);
        let admitted = match running.next() {
            Some(run) => run.execution == execution,
            // A job that does not run is given back what the next execution will go on from.
            None => gives_back && execution == known.next(),
        };
        if admitted {
            return Ok(());
        }
        Err(Refusal::OldExecution { job, given: execution, known })
    }

    /// As primary: a question.
    pub async fn ask_here(
        self: &Arc<Self>,
        partition: PartitionId,
        requester: Requester,
        query: Query,
    ) -> Result<QueryReply, Refusal> {
        let _in_flight = self.doors.read();
        self.doors.door().admit_query(requester, &query)?;
        let cell = self.cell(partition)?;
        let (reply, installed, version, _answering) = {
            let mut state = cell.state();
            let Some(lead) = &state.lead else { return Err(Refusal::NotPrimary { partition, primary: None }) };
            let installed = lead.installed;
            if let Query::SnapshotParts { id, .. } = &query
                && state.replica.content().partial.contains(id)
            {
                return Err(Refusal::NotLoaded { partition });
            }
            let seen = state.replica.version();
            let reply = self.look(partition, &mut state, &query)?;
            let (version, answering) = (state.replica.version(), state.handing.answering());
            drop(state);
            if version != seen {
                self.kick(&cell);
            }
            (reply, installed, version, answering)
        };
        self.confirmed(&cell, installed, version, Instant::now() + CONFIRM_WITHIN).await?;
        Ok(reply)
    }

    /// An answer as of now. Where it is one because of the time, that comes to all copies with it.
    pub(super) fn look(&self, partition: PartitionId, state: &mut State, query: &Query) -> Result<QueryReply, Refusal> {
        state.handing.judge(partition)?;
        if query.map().is_some_and(|map| self.maps.room(map).is_some()) {
            state.uses.read(query, state.replica.content());
        }
        let content = state.replica.content();
        if content.is_timeless() {
            return Ok(content.ask(query));
        }
        let Looked { reply, then } = content.look(query, state.tick());
        // Behind closed doors time stands still where it was: who was dead by then is not seen again.
        if let Some(op) = then.filter(|_| time::goes(&self.cluster.machine())) {
            state.lead.as_ref().map_or(Ok(()), Lead::admit)?;
            state.order(self, partition, Requester::Primary, op)?;
        }
        Ok(reply)
    }

    /// Waits until a version is acknowledged under the same installation, then looks at the lease.
    pub(super) async fn confirmed(
        &self,
        cell: &Cell,
        installed: TableVersion,
        version: Version,
        deadline: Instant,
    ) -> Result<(), Refusal> {
        let partition = cell.partition;
        let unconfirmed = |why: &str| Refusal::Unconfirmed { partition, why: why.into() };
        loop {
            let moved = cell.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            {
                let mut state = cell.state();
                if state.lead.as_ref().is_none_or(|lead| lead.installed != installed) {
                    return Err(unconfirmed("another primary was installed meanwhile"));
                }
                if state.settle().is_some_and(|upto| upto >= version) {
                    break;
                }
            }
            if tokio::time::timeout_at(deadline, moved).await.is_err() {
                return Err(unconfirmed("not every backup answered in time"));
            }
        }
        match self.holds_lease().await {
            false => Err(unconfirmed("this member holds no lease")),
            true if cell.still_leads(installed) => Ok(()),
            true => Err(unconfirmed("another primary was installed meanwhile")),
        }
    }

    /// This member holds a lease, or does as soon as it has applied the table that its lease names: the lease may be quicker.
    /// Whoever asks looks afterwards whether it still leads: by a later table another may.
    pub(super) async fn holds_lease(&self) -> bool {
        let within = Instant::now() + APPLIED_WITHIN;
        loop {
            let applied = self.applied.notified();
            tokio::pin!(applied);
            applied.as_mut().enable();
            if self.cluster.leased() {
                return true;
            }
            if tokio::time::timeout_at(within, applied).await.is_err() {
                return self.cluster.leased();
            }
        }
    }

    async fn invoke_there(
        &self,
        member: MemberId,
        partition: PartitionId,
        requester: Requester,
        op: Op,
        to_disk: bool,
    ) -> Result<Acknowledged, Refusal> {
        match self.call(member, Request::Invoke { partition, requester, op, to_disk }, true).await? {
            Response::Acknowledged(acknowledged) => Ok(acknowledged),
            Response::Refused(refusal) => Err(refusal),
            other => Err(odd(&other)),
        }
    }

    async fn ask_there(
        &self,
        member: MemberId,
        partition: PartitionId,
        requester: Requester,
        query: Query,
    ) -> Result<QueryReply, Refusal> {
        match self.call(member, Request::Ask { partition, requester, query }, false).await? {
            Response::Answer(reply) => Ok(reply),
            Response::Refused(refusal) => Err(refusal),
            other => Err(odd(&other)),
        }
    }

    /// Asks another member. A change whose answer is lost may have happened.
    pub async fn call(&self, member: MemberId, request: Request, changes: bool) -> Result<Response, Refusal> {
        let partition = request.partition();
        match self.net.call(member.0, Lane::Data, request.encode(), ANSWER_WITHIN).await {
            Ok(bytes) => Response::decode(bytes),
            Err(CallError::Unknown { why, .. }) if changes => Err(Refusal::Unconfirmed { partition, why: why.into() }),
            Err(error) => Err(Refusal::Unreachable { member, why: error.to_string() }),
        }
    }
}

fn odd(answer: &impl std::fmt::Debug) -> Refusal {
    let text: String = format!("{answer:?}").chars().take(80).collect();
    Refusal::Unreadable { why: format!("an answer of another kind: {text}") }
}

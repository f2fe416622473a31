//! A client's change of a map with fsync waits for the disks: it is answered when every replica that counts has it on its
//! own disk, behind an fsync, as well as in RAM.
//!
//! Laws:
//! 1. **RAM first.** It waits as every change does, and then for the disks, both within the one bound of a change. A disk
//!    is asked only for what is acknowledged in RAM: every later chain of the partition has that, and so has the newest
//!    replica that the disks show after a loss of all.
//! 2. **Whose disks.** The primary's, and that of every follower that counts at the moment of the answer. Who comes to
//!    count meanwhile is waited for; who leaves the table, no more. Without backups it is the own disk alone.
//! 3. **What a disk has.** A version of this installation that the log was given, in step, and that was synced. A partition
//!    that is behind, or being written whole, is not there before it was written whole and that is synced. What was there
//!    stays: until a rewrite is complete, the content before it counts.
//! 4. **Never silently.** At the bound, as soon as a disk that counts says that its log has failed, where another primary
//!    was installed meanwhile or the lease is gone, the answer is [`Refusal::NotOnDisk`]: it is in RAM, and may not be on
//!    disk. Nothing is taken back, and a log that goes on has it too.
//! 5. **Nobody else waits.** No lock is held and no thread of the runtime is blocked; appending stays as it is. Each disk
//!    has one question at a time, of all partitions that somebody waits for, and its log syncs once for all of it. At most
//!    [`MOST_WAITING`] changes of this member's callers wait, so that half of a lane stays free for others. A job never
//!    waits: what its sink writes is made durable with its snapshot.
//! 6. **A stop** closes the doors first, and who waits here is in flight: there is an answer, within the bound, before a
//!    door is said to be closed. In PASSIVE nobody comes in.
//!
//! A reader may see a value before it is on disk. Must not know: files, why a map is one that waits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jet_core::{MemberId, PartitionId, TableVersion, Version};
use jet_hotstore::Ticket;
use jet_map::fence::Process;
use jet_map::wire::{OnDisk, Request, Response, WantedOnDisk};
use jet_map::{Asked, Op, Refusal, Requester};
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;
use tracing::debug;

use super::asks::Next;
use super::calls::CONFIRM_WITHIN;
use super::cell::{Cell, Ordered};
use super::{Shared, lock};
use crate::net::IN_FLIGHT;

/// Changes of callers of one member that wait for disks at a time; more wait for their turn.
pub const MOST_WAITING: usize = IN_FLIGHT / 2;
/// A disk is waited for so long before it is said what it has; less than a follower has to answer.
const SYNCED_WITHIN: Duration = Duration::from_secs(3);

/// Changes of one partition that wait.
#[derive(Default)]
pub struct Waits {
    waiting: usize,
    /// The newest of them.
    newest: Version,
    /// How often a log that they wait for was said to have failed, and the last words.
    failures: u64,
    why: String,
}

impl Waits {
    /// What is to be asked for, if anybody waits.
    fn wanted(&self) -> Option<Version> {
        (self.waiting > 0).then_some(self.newest)
    }

    fn failed(&mut self, why: String) {
        self.failures += 1;
        self.why = why;
    }
}

/// One change that waits.
struct Waiting<'a> {
    cell: &'a Cell,
    installed: TableVersion,
    version: Version,
    /// Failures that were told before.
    failures: u64,
}

impl<'a> Waiting<'a> {
    fn begin(cell: &'a Cell, ordered: &Ordered) -> Self {
        let mut state = cell.state();
        let waits = &mut state.waits;
        waits.waiting += 1;
        waits.newest = waits.newest.max(ordered.version);
        let (installed, version, failures) = (ordered.installed, ordered.version, waits.failures);
        Self { cell, installed, version, failures }
    }

    /// Whose disks lack it; none: it is on all of them.
    fn lacking(&self) -> Result<Vec<MemberId>, Refusal> {
        let state = self.cell.state();
        let Some(lead) = state.lead.as_ref().filter(|lead| lead.installed == self.installed) else {
            return Err(self.not_on_disk("another primary was installed meanwhile".into()));
        };
        let lacking = lead.lacking_on_disk(self.version);
        if !lacking.is_empty() && state.waits.failures > self.failures {
            return Err(self.not_on_disk(state.waits.why.clone()));
        }
        Ok(lacking)
    }

    fn not_on_disk(&self, why: String) -> Refusal {
        Refusal::NotOnDisk { partition: self.cell.partition, why }
    }

    fn is_late(&self, lacking: &[MemberId]) -> Refusal {
        let disks: Vec<_> = lacking.iter().map(ToString::to_string).collect();
        self.not_on_disk(format!("not within {CONFIRM_WITHIN:?} on that of {}", disks.join(" and of ")))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.cell.state().waits.waiting -= 1;
    }
}

/// One partition in a question to a disk.
struct Question {
    cell: Arc<Cell>,
    asked: Asked,
    wanted: WantedOnDisk,
}

impl Shared {
    /// Whether a change is answered only when it is on disk.
    pub(super) fn waits_for_disks(&self, requester: Requester, op: &Op) -> bool {
        requester == Requester::Client && op.map().is_some_and(|map| self.fsync.waits(map))
    }

    /// A place among those that wait. Where there is none until then, nothing has happened.
    pub(super) async fn place_to_wait(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, Refusal> {
        match tokio::time::timeout_at(deadline, self.waiting.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(Refusal::ManyWait { most: MOST_WAITING }),
        }
    }

    /// As primary: waits until a change that all replicas acknowledged is on their disks, then looks at the lease.
    pub(super) async fn on_every_disk(
        self: &Arc<Self>,
        cell: &Cell,
        ordered: &Ordered,
        deadline: Instant,
    ) -> Result<(), Refusal> {
        let waiting = Waiting::begin(cell, ordered);
        loop {
            let moved = cell.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            let lacking = waiting.lacking()?;
            if lacking.is_empty() {
                break;
            }
            self.want(cell.partition, &lacking);
            if tokio::time::timeout_at(deadline, moved).await.is_err() {
                return Err(waiting.is_late(&lacking));
            }
        }
        if self.cluster.leased() { Ok(()) } else { Err(waiting.not_on_disk("this member holds no lease".into())) }
    }

    fn want(self: &Arc<Self>, partition: PartitionId, disks: &[MemberId]) {
        for disk in disks {
            let begins = lock(&self.asks).want(*disk, partition, Instant::now());
            if begins {
                tokio::spawn(self.clone().keep_asking(*disk));
            }
        }
    }

    /// Asks one disk as long as anything of it is wanted.
    async fn keep_asking(self: Arc<Self>, disk: MemberId) {
        loop {
            let next = lock(&self.asks).next(disk, Instant::now());
            match next {
                Next::Ask(partitions) => self.ask_disk(disk, partitions).await,
                Next::Wait(until, more) => {
                    let _ = tokio::time::timeout_at(until, more.notified()).await;
                }
                Next::End => return,
            }
        }
    }

    async fn ask_disk(&self, disk: MemberId, partitions: Vec<PartitionId>) {
        let questions: Vec<_> = partitions.into_iter().filter_map(|partition| self.question(disk, partition)).collect();
        let wanted: Vec<_> = questions.iter().map(|question| question.wanted).collect();
        if wanted.is_empty() {
            return;
        }
        let answer = match disk == self.cluster.me() {
            true => self.on_own_disk(wanted).await,
            false => self.on_disk_of(disk, wanted).await,
        };
        self.told(disk, questions, &answer);
    }

    /// Nothing, where nobody waits any more or the disk has it by now.
    fn question(&self, disk: MemberId, partition: PartitionId) -> Option<Question> {
        let cell = self.cell(partition).ok()?;
        let (asked, changed, version) = {
            let state = cell.state();
            let (lead, version) = (state.lead.as_ref()?, state.waits.wanted()?);
            let asked = lead.lacking_on_disk(version).contains(&disk).then(|| lead.asking(disk)).flatten()?;
            (asked, lead.changed, version)
        };
        Some(Question { cell, asked, wanted: WantedOnDisk { partition, changed, version } })
    }

    fn told(&self, disk: MemberId, questions: Vec<Question>, answer: &OnDisk) {
        let there: BTreeMap<PartitionId, Version> = answer.there.iter().copied().collect();
        for Question { cell, asked, wanted } in questions {
            let found = there.get(&wanted.partition).filter(|found| **found >= wanted.version);
            match (found, &answer.failed) {
                (Some(found), _) => {
                    if let Some(lead) = &mut cell.state().lead {
                        lead.on_disk(asked, *found);
                    }
                }
                (None, Some(why)) => cell.state().waits.failed(format!("the log of member {disk} failed: {why}")),
                (None, None) => {
                    lock(&self.asks).was_not_there(disk, wanted.partition, Instant::now());
                    continue;
                }
            }
            cell.moved.notify_waiters();
        }
    }

    async fn on_disk_of(&self, member: MemberId, wanted: Vec<WantedOnDisk>) -> OnDisk {
        match self.to_follower(member, Request::OnDisk { wanted }).await {
            Ok(Response::OnDisk(answer)) => answer,
            other => {
                debug!(to = %member, ?other, "maps: a follower does not say what is on its disk");
                OnDisk::default()
            }
        }
    }

    /// As follower, to the primary of these partitions.
    pub(super) async fn on_disk_for(&self, from: Process, mut wanted: Vec<WantedOnDisk>) -> OnDisk {
        wanted.retain(|wanted| self.judge_now(from, wanted.partition, wanted.changed).is_ok());
        self.on_own_disk(wanted).await
    }

    /// Has what the log was given of these synced, and says what is there.
    async fn on_own_disk(&self, wanted: Vec<WantedOnDisk>) -> OnDisk {
        let given: Vec<_> = wanted.iter().filter_map(|wanted| self.given(wanted)).collect();
        let last = given.iter().map(|(.., ticket)| *ticket).max();
        if let Some(last) = last.filter(|last| *last > self.store.durable_upto()) {
            let store = self.store.clone();
            let synced = move || store.flush().and_then(|_| store.wait_durable(last, SYNCED_WITHIN));
            let waited = tokio::task::spawn_blocking(synced).await;
            if !matches!(waited, Ok(Ok(()))) {
                debug!(?waited, "maps: what was asked for is not on disk yet");
            }
        }
        let durable = self.store.durable_upto();
        let there = given.into_iter().filter(|(.., ticket)| *ticket <= durable);
        let there: Vec<_> = there.map(|(partition, version, _)| (partition, version)).collect();
        let failure = if there.len() < wanted.len() { self.store.health().failure } else { None };
        OnDisk { there, failed: failure.map(|failure| format!("{}: {}", failure.file.display(), failure.reason)) }
    }

    fn given(&self, wanted: &WantedOnDisk) -> Option<(PartitionId, Version, Ticket)> {
        let cell = self.cell(wanted.partition).ok()?;
        let (version, ticket) = cell.state().in_log(wanted.version)?;
        Some((wanted.partition, version, ticket))
    }
}

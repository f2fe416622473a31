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
//!    that is behind, or being written whole, is not there before it was written whole and that is synced; who asks for it
//!    makes it the next that is written. What was there stays: until a rewrite is complete, the content before it counts.
//! 4. **Never silently.** At the bound, as soon as a disk that counts says that its log has failed, where another primary
//!    was installed meanwhile or the lease is gone, the answer is [`Refusal::NotOnDisk`]: it is in RAM, and may not be on
//!    disk. Nothing is taken back, and a log that goes on has it too. What can be known before is told before: where the
//!    primary's own disk is behind, or too many wait, nothing has happened.
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
use super::cell::{Cell, Ordered, State};
use super::{Shared, lock};
use crate::net::IN_FLIGHT;

/// Changes of callers of one member that wait for disks at a time; more wait for their turn.
pub const MOST_WAITING: usize = IN_FLIGHT / 2;
/// A disk is waited for so long before it is said what it has. Much less than its slowest syncs take: what came meanwhile is
/// asked for soon, and found when the sync is over that it is in.
const SYNCED_WITHIN: Duration = Duration::from_millis(200);

/// Changes of one partition that wait.
#[derive(Default)]
pub struct Waits {
    waiting: usize,
    /// The newest of them.
    newest: Version,
    /// How often a log that they wait for was said to have failed, and whose did last, in its words.
    failures: u64,
    failed: Option<(MemberId, String)>,
}

impl Waits {
    /// What is to be asked for, if anybody waits.
    pub(super) fn wanted(&self) -> Option<Version> {
        (self.waiting > 0).then_some(self.newest)
    }

    fn failed(&mut self, disk: MemberId, why: &str) {
        self.failures += 1;
        self.failed = Some((disk, format!("the log of member {disk} failed: {why}")));
    }

    /// Why one of these disks will not have it, if that was said since `told` failures.
    fn failed_since(&self, told: u64, lacking: &[MemberId]) -> Option<&String> {
        let (disk, why) = self.failed.as_ref().filter(|_| self.failures > told)?;
        lacking.contains(disk).then_some(why)
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
        match state.waits.failed_since(self.failures, &lacking) {
            Some(why) => Err(self.not_on_disk(why.clone())),
            None => Ok(lacking),
        }
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
        requester == Requester::Client && op.map().is_some_and(|map| self.maps.fsync.waits(map))
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
        match self.holds_lease().await && cell.still_leads(ordered.installed) {
            true => Ok(()),
            false => Err(waiting.not_on_disk("this member holds no lease".into())),
        }
    }

    fn want(self: &Arc<Self>, partition: PartitionId, disks: &[MemberId]) {
        for disk in disks {
            let begins = lock(&self.asks).want(*disk, partition, Instant::now());
            if begins {
                self.home.spawn(self.clone().keep_asking(*disk));
            }
        }
    }

    /// Asks for what would be told if it were on the disks, and nobody waits for any more.
    pub(super) fn ask_for_untold(self: &Arc<Self>, cell: &Cell) {
        let lacking = {
            let state = cell.state();
            let wanted = state.untold.wanted().filter(|_| state.waits.wanted().is_none());
            wanted.and_then(|version| Some(state.lead.as_ref()?.lacking_on_disk(version)))
        };
        self.want(cell.partition, &lacking.unwrap_or_default());
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
            let (lead, version) = (state.lead.as_ref()?, state.waits.wanted().max(state.untold.wanted())?);
            let asked = lead.lacking_on_disk(version).contains(&disk).then(|| lead.asking(disk)).flatten()?;
            (asked, lead.changed, version)
        };
        Some(Question { cell, asked, wanted: WantedOnDisk { partition, changed, version } })
    }

    fn told(&self, disk: MemberId, questions: Vec<Question>, answer: &OnDisk) {
        let there: BTreeMap<PartitionId, Version> = answer.there.iter().copied().collect();
        for Question { cell, asked, wanted } in questions {
            let found = there.get(&wanted.partition).copied().unwrap_or_default();
            let look_again = {
                let mut state = cell.state();
                let look_again = state.takes(asked, wanted.version, found, answer.failed.as_deref());
                state.settle();
                look_again
            };
            match look_again {
                true => cell.moved.notify_waiters(),
                false => lock(&self.asks).was_not_there(disk, wanted.partition, Instant::now()),
            }
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
        let cells: Vec<_> =
            wanted.iter().filter_map(|wanted| Some((wanted, self.cell(wanted.partition).ok()?))).collect();
        let durable = self.store.durable_upto();
        let last = cells.iter().filter_map(|(wanted, cell)| self.on_its_way(cell, wanted.version, durable)).max();
        if let Some(last) = last {
            let store = self.store.clone();
            let synced = move || store.flush().and_then(|_| store.wait_durable(last, SYNCED_WITHIN));
            let waited = crate::host::blocking(synced).await;
            if !matches!(waited, Ok(Ok(()))) {
                debug!(?waited, "maps: what was asked for is not on disk yet");
            }
        }
        let durable = self.store.durable_upto();
        let (mut there, mut lacks) = (Vec::with_capacity(cells.len()), cells.len() < wanted.len());
        for (wanted, cell) in &cells {
            let found = cell.state().marks.durable(durable);
            lacks |= found < wanted.version;
            there.push((wanted.partition, found));
        }
        let failure = if lacks { self.store.health().failure } else { None };
        OnDisk { there, failed: failure.map(|failure| format!("{}: {}", failure.file.display(), failure.reason)) }
    }

    /// What is waited for of a partition, if it is not there yet and the log was given something of it.
    fn on_its_way(&self, cell: &Cell, wanted: Version, durable: Ticket) -> Option<Ticket> {
        let mut state = cell.state();
        if state.is_behind() {
            self.ask_for_whole(cell.partition);
        }
        state.mark();
        if state.marks.durable(durable) >= wanted { None } else { state.marks.ticket(wanted) }
    }
}

impl State {
    /// What a disk was found to have where a version was wanted, or why its log failed. Whether those that wait are to look
    /// again; else it is asked again later.
    fn takes(&mut self, asked: Asked, wanted: Version, found: Version, failed: Option<&str>) -> bool {
        let Some(lead) = &mut self.lead else { return true };
        let is_more = lead.on_disk(asked, found);
        // A disk that nobody waits for any more fails nobody.
        match failed.filter(|_| lead.still_lacks(asked, wanted)) {
            Some(why) => self.waits.failed(asked.member, why),
            None => return is_more || !lead.still_lacks(asked, wanted),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jet_core::{Boot, PartitionEntry, Replica};
    use jet_map::replica::no_sinks;
    use jet_map::{Lead, Reply};

    const INSTALLED: TableVersion = TableVersion(5);

    fn member(n: u128) -> MemberId {
        MemberId(uuid::Uuid::from_u128(n))
    }

    /// Member 1 leads; these follow.
    fn entry(followers: &[u128]) -> PartitionEntry {
        let replica = |n: &u128| Replica { member: member(*n), boot: Boot(1), synced: true };
        let replicas = [1].iter().chain(followers).map(replica).collect();
        PartitionEntry { installed: INSTALLED, changed: INSTALLED, replicas }
    }

    /// A partition that member 1 leads.
    fn led(me: Process, followers: &[u128]) -> Cell {
        let cell = Cell::new(PartitionId(0), no_sinks, Arc::default());
        cell.state().lead = Some(Lead::begin(PartitionId(0), me, &entry(followers)));
        cell
    }

    fn asked(cell: &Cell, n: u128) -> Asked {
        cell.state().lead.as_ref().and_then(|lead| lead.asking(member(n))).unwrap()
    }

    fn at(seq: u64) -> Version {
        Version { installed: INSTALLED, seq }
    }

    #[test]
    fn a_log_fails_those_that_wait_for_it_and_nobody_once_its_disk_counts_no_more() {
        let me = Process { member: member(1), boot: Boot(1) };
        let (cell, version) = (led(me, &[2, 3]), at(4));
        let says = |asked: Asked, failed: &str| {
            let look_again = cell.state().takes(asked, version, Version::default(), Some(failed));
            assert!(look_again, "those that wait look again");
        };
        let fails_by_the_second = |waiting: &Waiting| {
            let told = waiting.lacking().unwrap_err().to_string();
            assert!(told.contains(&format!("the log of member {} failed: no room", member(2))), "{told}");
        };
        let ordered = Ordered {
            version,
            reply: Reply::Done,
            installed: INSTALLED,
            is_acknowledged: false,
            logs: true,
            answering: Default::default(),
        };
        let (second, third) = (asked(&cell, 2), asked(&cell, 3));
        let waiting = Waiting::begin(&cell, &ordered);
        assert_eq!(waiting.lacking(), Ok(vec![member(2), member(3), member(1)]));
        says(second, "no room");
        fails_by_the_second(&waiting);

        // That was said to who waited then; of who comes now nobody's log has failed.
        let later = Waiting::begin(&cell, &ordered);
        let leaves = |followers: &[u128]| cell.state().lead.as_mut().unwrap().follow_table(me, &entry(followers));
        leaves(&[2]);
        says(third, "the device is gone");
        assert_eq!(later.lacking(), Ok(vec![member(2), member(1)]), "a disk that left fails who does not wait for it");
        says(second, "no room");
        // Nor does it hide what a disk says that counts.
        says(third, "the device is gone");
        fails_by_the_second(&later);
        leaves(&[]);
        assert_eq!(later.lacking(), Ok(vec![member(1)]), "one that failed and left is waited for no more");
    }

    #[test]
    fn what_is_there_of_an_earlier_change_is_looked_at_and_what_is_wanted_is_asked_for_again() {
        let cell = led(Process { member: member(1), boot: Boot(1) }, &[]);
        let own = asked(&cell, 1);
        let takes = |found: Version| cell.state().takes(own, at(4), found, None);
        assert!(!takes(Version::default()), "nothing is there: it is asked for again later");
        assert!(takes(at(3)), "who waits for that looks again");
        assert!(!takes(at(3)), "that is known");
        assert!(takes(at(4)));
    }
}

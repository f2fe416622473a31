//! One partition of this member: its replica, what it knows as primary, and how the log stands to it.
//!
//! Law: order of changes is order of the lock; records reach the log's queue under the same lock. Nothing waits under
//! it, and nobody goes on with what was left half done under it. Must not know: the network.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use jet_core::{MemberId, PartitionEntry, PartitionId, TableVersion, Version};
use jet_hotstore::Ticket;
use jet_map::door::judge;
use jet_map::fence::role;
use jet_map::{Content, DecodeSink, Lead, Op, Refusal, Replica, Reply, Requester, Role};
use tokio::sync::Notify;

use super::Shared;
use super::disks::Waits;
use super::handing::{Answering, Handing};
use super::marks::Marks;
use super::room::Uses;
use super::time::Ticks;
use super::told::{Listeners, Untold};

/// One partition.
pub struct Cell {
    pub partition: PartitionId,
    state: Mutex<State>,
    /// Something that a waiting call looks at has changed.
    pub moved: Notify,
    /// A key may be free that was locked.
    pub unlocked: Notify,
}

/// How the log stands to the replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDisk {
    /// Every change is handed over.
    InStep,
    /// It must be written whole; changes are not handed over meanwhile.
    Behind,
    /// It is being written whole; changes are handed over between its pieces.
    Rewriting,
}

pub struct State {
    pub replica: Replica,
    pub lead: Option<Lead>,
    /// Followers that the agent let us copy to though they do not count yet.
    pub shipping: BTreeSet<MemberId>,
    /// Followers with a task that sends to them.
    pub sending: BTreeSet<MemberId>,
    pub on_disk: OnDisk,
    /// Version of the last record that the log took.
    pub logged: Version,
    /// Of that record; of what was loaded: before all others.
    pub ticket: Ticket,
    /// Of the record that ended the last writing whole of it.
    pub whole: Option<Ticket>,
    /// What was on its way to the disk when somebody asked.
    pub marks: Marks,
    /// Changes that wait for the disks.
    pub waits: Waits,
    /// Time of the partition.
    pub ticks: Ticks,
    /// What listeners are still to be told.
    pub untold: Untold,
    /// Of maps that may have no more than so many entries.
    pub uses: Uses,
    /// Copies begun here.
    pub copies: u64,
    /// The content was read from the store, where sink writes that are not durable are not.
    pub from_store: bool,
    /// Whether this member gives its place as primary, and who waits for an answer yet.
    pub handing: Handing,
}

/// A change that was put in order.
pub struct Ordered {
    pub version: Version,
    pub reply: Reply,
    pub installed: jet_core::TableVersion,
    /// The log got something of it.
    pub logs: bool,
    /// Every replica that counts has it already.
    pub is_acknowledged: bool,
    /// Until this is dropped nobody else leads by the word of this member.
    #[expect(dead_code, reason = "it is counted")]
    pub answering: Answering,
}

/// Why a change was not put in order.
pub enum NotOrdered {
    /// It is not to be done.
    Refused(Refusal),
    /// Not here, or not now; nothing was done.
    Back(Op),
}

impl Cell {
    pub fn new(partition: PartitionId, decode: DecodeSink, listeners: Arc<Listeners>) -> Self {
        let state = State {
            replica: Replica::empty(partition, decode),
            lead: None,
            shipping: BTreeSet::new(),
            sending: BTreeSet::new(),
            on_disk: OnDisk::Behind,
            logged: Version::default(),
            ticket: Ticket(0),
            whole: None,
            marks: Marks::default(),
            waits: Waits::default(),
            ticks: Ticks::begin(),
            untold: Untold::of(partition, listeners),
            uses: Uses::default(),
            copies: 0,
            from_store: false,
            handing: Handing::default(),
        };
        Self { partition, state: Mutex::new(state), moved: Notify::new(), unlocked: Notify::new() }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|broken| {
            crate::host::is_half_done(&format!("partition {}", self.partition));
            broken.into_inner()
        })
    }

    /// Takes over an entry of the table. `fresh`: of a cluster that holds nothing yet.
    pub fn follow_table(&self, shared: &Shared, entry: &PartitionEntry, installs: bool, fresh: bool) {
        let mut state = self.state();
        let me = shared.me();
        let role = role(entry, me);
        state.handing.follow_table(entry.changed);
        if fresh && matches!(role, Role::Primary | Role::Backup { synced: true }) {
            state.found(entry.installed);
        }
        if role != Role::Primary {
            state.lead = None;
            state.shipping.clear();
            state.untold.clear();
            state.uses.clear();
        } else {
            match &mut state.lead {
                Some(lead) if lead.installed == entry.installed => lead.follow_table(me, entry),
                _ => {
                    state.lead = Some(Lead::begin(self.partition, me, entry));
                    state.shipping.clear();
                }
            }
            let installed = state.replica.version().installed;
            if installs && installed < entry.installed {
                // Refused only by a replica of a later installation; calls then say so.
                let op = state.replica.installs();
                let _ = state.order(shared, self.partition, Requester::Primary, op);
            }
            state.settle();
        }
        drop(state);
        self.moved.notify_waiters();
    }

    /// It leads as it did under this installation.
    pub fn still_leads(&self, installed: TableVersion) -> bool {
        self.state().lead.as_ref().is_some_and(|lead| lead.installed == installed)
    }

    /// As primary: puts a change in order, or says why not.
    pub fn order(&self, shared: &Shared, requester: Requester, op: Op) -> Result<Ordered, Refusal> {
        let mut state = self.state();
        self.order_in(&mut state, shared, requester, op)
    }

    /// The same, and the change is given back where the caller may look for another way, or wait.
    #[expect(clippy::result_large_err, reason = "what goes back is the change itself, and costs nothing to move")]
    pub fn order_now(&self, shared: &Shared, requester: Requester, op: Op) -> Result<Ordered, NotOrdered> {
        let mut state = self.state();
        if state.lead.as_ref().is_none_or(|lead| lead.admit().is_err()) || state.handing.judge(self.partition).is_err()
        {
            return Err(NotOrdered::Back(op));
        }
        // Somebody may have locked its key.
        let spare = (!state.replica.content().locks.is_empty()).then(|| op.clone());
        match (self.order_in(&mut state, shared, requester, op), spare) {
            (Ok(ordered), _) => Ok(ordered),
            (Err(Refusal::Locked { .. }), Some(op)) => Err(NotOrdered::Back(op)),
            (Err(refusal), _) => Err(NotOrdered::Refused(refusal)),
        }
    }

    fn order_in(&self, state: &mut State, shared: &Shared, requester: Requester, op: Op) -> Result<Ordered, Refusal> {
        let machine = shared.cluster.machine();
        judge(&machine.state, requester, &op)?;
        Shared::judge_record(&machine, &op)?;
        if let Some(lead) = &state.lead {
            lead.admit()?;
        }
        let frees = matches!(op, Op::Unlock { .. } | Op::FreeLocks { .. } | Op::Expire { .. });
        let op = shared.lives_as_configured(requester, op);
        let room = shared.room_of(requester, &op).map(|room| (room, op.clone()));
        let mut ordered = state.order(shared, self.partition, requester, op)?;
        if frees {
            self.unlocked.notify_waiters();
        }
        if let Some(((room, most), op)) = room
            && let Some(goes) = state.uses.wrote(&op, state.replica.content(), room, most)
        {
            // Refused only where the change before it was too.
            let _ = state.order(shared, self.partition, Requester::Primary, goes);
        }
        ordered.is_acknowledged = state.settle().is_some_and(|upto| upto >= ordered.version);
        Ok(ordered)
    }
}

impl State {
    /// An empty copy of a cluster that is being founded, equal to all others. It has a version, unlike a replica that
    /// nobody filled: what comes back without one was lost.
    fn found(&mut self, installed: TableVersion) {
        let version = Version { installed, seq: 0 };
        if *self.replica.content() == Content::default() && self.replica.version() < version {
            self.replica.loaded(Content::default(), version);
            self.on_disk = OnDisk::InStep;
        }
    }

    pub fn order(
        &mut self,
        shared: &Shared,
        partition: PartitionId,
        requester: Requester,
        op: Op,
    ) -> Result<Ordered, Refusal> {
        self.handing.judge(partition)?;
        let tick = self.tick();
        let Some(lead) = &mut self.lead else { return Err(Refusal::NotPrimary { partition, primary: None }) };
        let (installed, bytes) = (lead.installed, op.size());
        let told = shared.listeners.listen_to(&op);
        let kept = told && op.map().is_some_and(|map| shared.maps.fsync.waits(map));
        let to_disk = kept && shared.waits_for_disks(requester, &op);
        let jet_map::Ordered { version, reply, log, events } = self.replica.order(installed, tick, op, told)?;
        lead.sequenced(version, bytes);
        let logs = !log.is_empty();
        self.untold.add(version, events, kept, to_disk && logs);
        self.log(shared, partition, log);
        let answering = self.handing.answering();
        Ok(Ordered { version, reply, installed, logs, is_acknowledged: false, answering })
    }

    /// Nothing is handed over before it is written whole.
    pub fn is_behind(&self) -> bool {
        self.on_disk == OnDisk::Behind
    }

    /// Somebody asks what of this the disk has: notes how far the log was given everything. What the log has so stays on the
    /// disk until newer content lies beside it whole.
    pub fn mark(&mut self) {
        if self.on_disk == OnDisk::InStep {
            self.marks.given(self.logged, self.ticket);
        }
    }

    /// Counts what is acknowledged, and tells it; gives the newest acknowledged version.
    pub fn settle(&mut self) -> Option<Version> {
        let lead = self.lead.as_mut()?;
        let upto = lead.acknowledged(self.replica.version());
        match lead.is_alone() {
            true => self.replica.confirmed_alone(upto),
            false => self.replica.confirmed(upto),
        }
        if !self.untold.is_empty() {
            let lead = &*lead;
            self.untold.tell(lead.installed, upto, |version| lead.lacking_on_disk(version).is_empty());
        }
        Some(upto)
    }
}

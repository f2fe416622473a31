//! Maps of this member: partitions in RAM behind the network, the log and the doors.
//!
//! Law: `jet-map` decides; here its answers are carried. A reply leaves only after every replica that counts has the
//! change and the lease was looked at; the disk is waited for by no change but a client's of a map with fsync. Must not
//! know: what values mean.
//!
//! | room | what is in it |
//! |---|---|
//! | [`cell`] | one partition: replica, lead, and how the log stands to it |
//! | [`calls`] | changes and questions, here or at the primary elsewhere; scans · [`now`] those that are over at once |
//! | [`disks`] | a change that waits for the disks · [`asks`] which disk is asked for what, and when · [`marks`] what is there of what was asked for |
//! | [`lines`] | sending to followers, together · [`follow`] alone · [`serve`] answering other members |
//! | [`journal`] | records for the log, and writing a partition whole again · [`turns`] which first · [`collect`] emptying old chunks |
//! | [`handing`] a primary that gives its place · [`arrivals`] copies that move here, until the disk has them |
//! | [`load`] | from the store back to RAM · [`epochs`] snapshots of jobs to disk · [`restore`] and back |
//! | [`settle`] | before a seal: the disk at what RAM holds |
//! | [`told`] | who listens, and what is told when · [`elsewhere`] hearing of what other members tell |
//! | [`gone`] | locks of clients that are gone |
//! | [`room`] | maps that may have no more than so many entries |
//! | [`doors`] | who is let in, and what is still in flight · [`finality`] up to which entry reports are final |
//! | [`port`] | what the shell asks for |

mod arrivals;
mod asks;
mod calls;
mod cell;
mod collect;
mod disks;
mod doors;
mod elsewhere;
mod epochs;
mod finality;
mod follow;
mod gone;
mod handing;
mod journal;
mod lines;
mod load;
mod marks;
mod now;
mod port;
mod restore;
mod room;
mod serve;
mod settle;
#[cfg(test)]
pub(crate) mod tests;
mod time;
mod told;
mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use jet_core::{ClusterState, Generation, Machine, TableVersion};
use jet_hotstore::Store;
use jet_map::fence::Process;
use jet_map::{DecodeSink, Limits, Op, PartitionId, Point, Refusal, Requester, SnapshotId};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};

use crate::clock::Moment;
use crate::config::{MapSettings, Room};
use crate::net::{Lane, Net};
use crate::ports::Cluster;
use asks::Asks;
use cell::Cell;
use doors::DoorBook;
use epochs::Flushes;
use finality::Finality;
use journal::Spaces;
use turns::Turns;

pub use epochs::FlushError;
pub use gone::Connected;
pub use now::{Invoked, Unacknowledged};
pub use restore::Restored;
pub use told::{Emptied, Heard, Hearing, Kinds, Listeners, Lost, Wish};

/// Whole copies that are sent at a time.
const COPIES_AT_A_TIME: usize = 4;

/// The maps of one member. Cheap to clone.
#[derive(Clone)]
pub struct MapService {
    shared: Arc<Shared>,
}

struct Shared {
    /// Where what goes on behind a call runs: callers may be on threads of their own, which end before.
    home: Handle,
    net: Net,
    store: Arc<Store>,
    cluster: Arc<dyn Cluster>,
    decode: DecodeSink,
    cells: RwLock<Vec<Arc<Cell>>>,
    doors: DoorBook,
    spaces: Mutex<Spaces>,
    /// What of the machine was carried out.
    known: Mutex<Known>,
    /// [`Cluster::machine`] gives another machine.
    applied: Notify,
    copying: Semaphore,
    lines: lines::Lines,
    /// A partition is behind on disk.
    behind: Notify,
    turns: Mutex<Turns>,
    flushes: Mutex<Flushes>,
    /// Held by who gives a snapshot back.
    restoring: tokio::sync::Mutex<()>,
    finality: Mutex<Finality>,
    arrivals: Mutex<arrivals::Arrivals>,
    live: Mutex<collect::Live>,
    /// What is said of single maps.
    maps: MapSettings,
    /// Members with replicas.
    members: AtomicUsize,
    asks: Mutex<Asks>,
    /// Places of those that wait for disks.
    waiting: Semaphore,
    listeners: Arc<Listeners>,
    elsewhere: Arc<elsewhere::Elsewhere>,
    /// Clients of this member.
    here: Arc<gone::Here>,
}

#[derive(Default)]
struct Known {
    table: TableVersion,
    installs: bool,
    durable: BTreeMap<jet_core::JobId, Point>,
    ended: BTreeSet<jet_core::JobId>,
    /// RAM has what lies in the store.
    loaded: bool,
    /// The last machine that was carried out whole.
    carried: jet_core::LogIndex,
    /// The store takes what changes in RAM, or did.
    written: bool,
    /// Time goes on.
    time_goes: bool,
    /// Epochs whose parts, and epochs whose sink writes, were taken from their files.
    parts_taken: BTreeSet<SnapshotId>,
    sinks_taken: BTreeSet<SnapshotId>,
}

impl MapService {
    /// Maps of this member; begins to answer other members on their lanes.
    pub fn new(
        net: Net,
        store: Arc<Store>,
        cluster: Arc<dyn Cluster>,
        decode: DecodeSink,
        maps: impl Into<MapSettings>,
    ) -> Self {
        let shared = Arc::new(Shared {
            home: Handle::current(),
            net: net.clone(),
            store,
            cluster,
            decode,
            cells: RwLock::default(),
            doors: DoorBook::default(),
            spaces: Mutex::default(),
            known: Mutex::default(),
            applied: Notify::new(),
            copying: Semaphore::new(COPIES_AT_A_TIME),
            lines: lines::Lines::default(),
            behind: Notify::new(),
            turns: Mutex::default(),
            flushes: Mutex::default(),
            restoring: tokio::sync::Mutex::default(),
            finality: Mutex::default(),
            arrivals: Mutex::default(),
            live: Mutex::default(),
            maps: maps.into(),
            members: AtomicUsize::new(1),
            asks: Mutex::default(),
            waiting: Semaphore::new(disks::MOST_WAITING),
            listeners: Arc::default(),
            elsewhere: Arc::default(),
            here: Arc::default(),
        });
        for lane in [Lane::Data, Lane::Copies] {
            net.serve(lane, Arc::new(serve::DataHandler { shared: Arc::downgrade(&shared) }));
        }
        journal::keep_in_step(&shared);
        restore::keep_whole(&shared);
        time::keep_burying(&shared);
        Self { shared }
    }
}

impl Shared {
    fn me(&self) -> Process {
        Process { member: self.cluster.me(), boot: self.cluster.boot() }
    }

    fn cells(&self) -> Vec<Arc<Cell>> {
        self.cells.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn cell(&self, partition: PartitionId) -> Result<Arc<Cell>, Refusal> {
        let cells = self.cells.read().unwrap_or_else(PoisonError::into_inner);
        cells.get(usize::from(partition.0)).cloned().ok_or(Refusal::NoSuchPartition { partition })
    }

    /// A change of a client, with what it leaves open of the life of its entries as the configuration says.
    fn lives_as_configured(&self, requester: Requester, op: Op) -> Op {
        if requester != Requester::Client {
            return op;
        }
        let limits = op.map().map_or(Limits::NONE, |map| self.maps.limits(map));
        if limits.is_mortal() { op.lives(limits) } else { op }
    }

    /// How many entries the map that a client changes may have in a partition.
    fn room_of(&self, requester: Requester, op: &Op) -> Option<(Room, u64)> {
        let room = self.maps.room(op.map().filter(|_| requester == Requester::Client)?)?;
        let partitions = self.cells.read().unwrap_or_else(PoisonError::into_inner).len();
        Some((room, room.in_partition(self.members.load(Ordering::Relaxed), partitions)))
    }

    /// One cell for each partition of the table, empty at first.
    fn make_cells(&self, count: usize) {
        let time_goes = lock(&self.known).time_goes;
        let mut cells = self.cells.write().unwrap_or_else(PoisonError::into_inner);
        while cells.len() < count {
            let partition = PartitionId(u16::try_from(cells.len()).unwrap_or(u16::MAX));
            let cell = Cell::new(partition, self.decode, self.listeners.clone());
            cell.state().ticks.goes(time_goes, Moment::now());
            cells.push(Arc::new(cell));
        }
    }

    /// Carries out what a machine changed: leads follow the table, new primaries are installed, durable epochs reach
    /// the log.
    fn carry_out(self: &Arc<Self>, machine: &Machine) {
        self.make_cells(machine.table.partitions.len());
        self.carry_out_time(machine);
        let installs = installs(&machine.state);
        let (table_changed, durable) = {
            let mut known = lock(&self.known);
            let changed = known.table != machine.table.version || known.installs != installs;
            (known.table, known.installs) = (machine.table.version, installs);
            // Not while stores are being read: nothing is to be taken from them then.
            let runs = machine.state.runs();
            let ended =
                machine.jobs.values().filter(|job| runs && job.ended() && known.ended.insert(job.id)).map(|job| job.id);
            let ended: Vec<_> = ended.map(all_of).collect();
            (changed, newly_durable(&mut known.durable, machine).into_iter().chain(ended).collect::<Vec<_>>())
        };
        if table_changed {
            let replicas = machine.table.entries().flat_map(|(_, entry)| &entry.replicas);
            let members: BTreeSet<_> = replicas.map(|replica| replica.member).collect();
            self.members.store(members.len().max(1), Ordering::Relaxed);
            for (cell, (_, entry)) in self.cells().iter().zip(machine.table.entries()) {
                cell.follow_table(self, entry, installs, machine.generation == Generation(0));
                self.kick(cell);
            }
        }
        for id in durable {
            self.epoch_is_durable(id);
        }
        lock(&self.known).carried = machine.applied;
    }
}

/// Whether a new primary may write its first change: not while sealed contents must stay as they are.
fn installs(state: &ClusterState) -> bool {
    match state {
        ClusterState::Recovering { table_recovered, .. } => *table_recovered,
        ClusterState::InTransition { .. } => true,
        ClusterState::Passive { held_by } => held_by.is_none(),
        other => other.settled().is_some(),
    }
}

/// Everything of a job: what an ended one has published is nobody's to take back.
fn all_of(job: jet_core::JobId) -> jet_map::SnapshotId {
    jet_map::SnapshotId { job, execution: jet_core::ExecutionId(u64::MAX), epoch: jet_core::Epoch(u64::MAX) }
}

/// Every epoch of which the log is to have the sink writes.
fn durable(machine: &Machine) -> impl Iterator<Item = jet_map::SnapshotId> + '_ {
    // Not while stores are being read: nothing is to be taken from them then.
    let runs = machine.state.runs();
    machine.jobs.values().filter_map(move |job| match &job.durable {
        _ if job.ended() => runs.then(|| all_of(job.id)),
        Some(durable) => Some(SnapshotId { job: job.id, execution: durable.execution, epoch: durable.epoch }),
        None => None,
    })
}

fn newly_durable(known: &mut BTreeMap<jet_core::JobId, Point>, machine: &Machine) -> Vec<jet_map::SnapshotId> {
    let mut found = Vec::new();
    for job in machine.jobs.values() {
        let Some(durable) = &job.durable else { continue };
        if known.get(&job.id).is_none_or(|point| *point < durable.position()) {
            known.insert(job.id, durable.position());
            found.push(jet_map::SnapshotId { job: job.id, execution: durable.execution, epoch: durable.epoch });
        }
    }
    found
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

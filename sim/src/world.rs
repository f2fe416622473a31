//! A whole cluster by seed: time, who runs when, what goes wrong, and what must hold all the same.
//!
//! Law: one thread, and nothing but the seed decides; a history ends with every fault mended, and then everything is there
//! again within [`HEALED_WITHIN`]. Must not know: how members work.

use std::collections::BTreeMap;
use std::sync::Arc;

use jet_core::agent::Doors;
use jet_core::{ClusterState, Command, Machine, PartitionEntry, Replica};
use jet_hotstore::{Aftermath, SimulatedDisk};
use jet_member::ports::Cluster;
use jet_member::running::Running;

use crate::clients::Clients;
use crate::dice::Dice;
use crate::faults::{Event, early, plan};
use crate::history;
use crate::invariants::{Invariants, Shown, Violated};
use crate::linear;
use crate::network::{Network, QUANTUM};
use crate::operator::{Act, Operator};
use crate::person::Person;
use crate::process::Process;
use crate::trace::Trace;

/// A cluster is founded within so many milliseconds,
const FOUNDED_WITHIN: u64 = 30_000;
/// after everything is mended it is whole within so many,
pub const HEALED_WITHIN: u64 = 90_000;
/// it stops and returns within so many,
const STOPPED_WITHIN: u64 = 90_000;
/// and a call is told within so many.
const TOLD_WITHIN: u64 = 20_000;
/// Between two looks at what must hold, in quanta.
const LOOK: u64 = 5;

/// What a history is made of.
#[derive(Clone, Debug)]
pub struct Script {
    /// Members.
    pub members: usize,
    /// Partitions.
    pub partitions: u16,
    /// Backups of each.
    pub backups: u8,
    /// Clients.
    pub clients: usize,
    /// Keys.
    pub keys: u64,
    /// Of a hundred calls so many are changes. Where there are many, who leads a partition without the others soon holds one
    /// that nobody confirms, and answers nothing more about it: what is read from it then is seen where there are few.
    pub writes: u64,
    /// At each member is one more client, who only reads, and stays there.
    pub some_stay: bool,
    /// Clocks run up to so many thousandths faster or slower.
    pub drift: u64,
    /// Milliseconds in which things go wrong.
    pub lasts: u64,
    /// Milliseconds in which things go wrong before the cluster is founded.
    pub rough: u64,
    /// The disks lag far behind RAM.
    pub lags: bool,
    /// Processes are young, and beat in quick succession, as long as on real machines.
    pub young: bool,
}

impl Default for Script {
    fn default() -> Self {
        Script {
            members: 3,
            partitions: 5,
            backups: 1,
            clients: 4,
            keys: 6,
            writes: 60,
            some_stay: false,
            drift: 10,
            lasts: 8_000,
            rough: 0,
            lags: false,
            young: false,
        }
    }
}

impl Script {
    /// Of a seed: most clusters have three members and one backup.
    pub fn of(seed: u64) -> Self {
        let (members, backups) = match seed % 10 {
            0 => (1, 0),
            1 => (2, 1),
            2 => (4, 1),
            3 => (5, 2),
            // More than may vote.
            4 => (7, 1),
            _ => (3, if seed.is_multiple_of(7) { 2 } else { 1 }),
        };
        let rough = if seed % 4 == 1 { 2_500 } else { 0 };
        let (some_stay, writes) = match seed % 6 {
            1 => (true, 4),
            4 => (true, 25),
            _ => (false, 60),
        };
        // Within a lease and what clocks may drift in it.
        let drift = if some_stay { 80 } else { 10 };
        let (lags, young) = (seed % 5 == 4, seed % 16 == 8);
        Script { members, backups, writes, some_stay, drift, rough, lags, young, ..Script::default() }
    }
}

/// What does not hold.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Broken {
    /// Something that holds at every moment.
    #[error("at {at} ms: {violated}")]
    Violated {
        /// When.
        at: u64,
        /// What.
        violated: Violated,
    },
    /// Calls that cannot be explained.
    #[error(transparent)]
    NotLinear(#[from] linear::NotLinear),
    /// It does not get there.
    #[error("{what}: not within {within} ms: {last}")]
    NotYet {
        /// What was waited for.
        what: &'static str,
        /// How long.
        within: u64,
        /// How it stood.
        last: String,
    },
    /// A process did not begin, on a disk in good order.
    #[error("member {ordinal} does not begin: {why}")]
    NotBegun {
        /// Which.
        ordinal: usize,
        /// Why.
        why: String,
    },
}

/// A history that went well.
#[derive(Clone, Debug)]
pub struct Told {
    /// Of the trace.
    pub digest: String,
    /// Calls of clients.
    pub calls: usize,
    /// Calls that were told a value.
    pub answered: usize,
    /// Milliseconds that were simulated.
    pub lasted: u64,
    /// Faults that had their time.
    pub faults: usize,
    /// Stops that were carried through.
    pub stops: u64,
    /// How often RAM was lost.
    pub losses: usize,
}

/// A member, up or down.
pub(crate) struct Slot {
    pub process: Option<Process>,
    pub disk: Option<SimulatedDisk>,
    pub up_at: Option<u64>,
    pub paused_until: Option<u64>,
    pub drift: i64,
    /// Its disk fails until then.
    pub fails_until: Option<u64>,
    /// Its disk is slow until then.
    pub slow_until: Option<u64>,
    /// The power goes with a call to the disk, which is found so.
    pub at_call: Option<Aftermath>,
}

/// The world of one seed.
pub struct World {
    pub(crate) seed: u64,
    pub(crate) script: Script,
    pub(crate) now: u64,
    pub(crate) dice: Dice,
    pub(crate) network: Network,
    pub(crate) slots: Vec<Slot>,
    pub(crate) operator: Operator,
    pub(crate) person: Person,
    pub(crate) trace: Trace,
    pub(crate) healing: BTreeMap<u64, Vec<(usize, usize)>>,
    pub(crate) fast_at: Option<u64>,
    pub(crate) faults: usize,
    /// The newest machine that was seen.
    pub(crate) newest: Arc<Machine>,
    /// When RAM was lost of which the disks need not have all.
    pub(crate) losses: Vec<u64>,
    clients: Clients,
    invariants: Invariants,
}

/// One history.
pub fn run(seed: u64, script: &Script, trace: Trace) -> Result<Told, Broken> {
    let mut world = World::new(seed, script.clone(), trace);
    if script.rough > 0 {
        world.suffer(early(seed, script.members, script.rough), script.rough, false)?;
        world.heal();
    }
    world.until("founded", FOUNDED_WITHIN, false, World::whole)?;
    let events = plan(seed, script.members, script.some_stay, world.now, world.now + script.lasts);
    world.suffer(events, script.lasts, true)?;
    world.heal();
    world.until("whole again", HEALED_WITHIN, true, |world| world.operator.idle() && world.whole())?;
    world.stop_once_more()?;
    world.read_all()?;
    world.judge()
}

impl World {
    fn new(seed: u64, script: Script, trace: Trace) -> Self {
        let mut dice = Dice::of(seed, "world");
        let slot = |ordinal: usize| {
            let disk = SimulatedDisk::new();
            disk.seed(seed.wrapping_mul(1_000_003) + ordinal as u64);
            let drift = dice.within(0..2 * script.drift + 1) as i64 - script.drift as i64;
            let up_at = Some(dice.within(0..50));
            Slot {
                process: None,
                disk: Some(disk),
                up_at,
                paused_until: None,
                drift,
                fails_until: None,
                slow_until: None,
                at_call: None,
            }
        };
        let slots = (0..script.members).map(slot).collect();
        let network = Network::new(seed, trace.clone());
        let clients = Clients::new(seed, &script, trace.clone());
        let operator = Operator::new(seed, script.members);
        World {
            seed,
            script,
            now: 0,
            dice,
            network,
            slots,
            operator,
            person: Person::new(seed),
            trace,
            healing: BTreeMap::new(),
            fast_at: None,
            faults: 0,
            newest: Arc::default(),
            losses: Vec::new(),
            clients,
            invariants: Invariants::default(),
        }
    }

    fn suffer(&mut self, events: Vec<Event>, lasts: u64, asks: bool) -> Result<(), Broken> {
        let end = self.now + lasts;
        let mut events = events.into_iter().peekable();
        while self.now < end {
            while let Some(event) = events.next_if(|event| event.at <= self.now) {
                self.go_wrong(event.fault);
            }
            self.step(asks)?;
        }
        Ok(())
    }

    /// A cluster that is whole stops when it is asked to, and returns.
    fn stop_once_more(&mut self) -> Result<(), Broken> {
        let done = self.operator.done;
        let end = self.now + STOPPED_WITHIN;
        while self.operator.done == done && self.now < end {
            if self.operator.idle() {
                let known = self.highest_operation();
                self.operator.stop(known);
            }
            self.step(true)?;
        }
        if self.operator.done == done {
            return Err(Broken::NotYet { what: "stopped and returned", within: STOPPED_WITHIN, last: self.words() });
        }
        self.until("whole after a stop", HEALED_WITHIN, true, World::whole)
    }

    fn read_all(&mut self) -> Result<(), Broken> {
        self.until("all calls told", TOLD_WITHIN, false, |world| world.clients.idle())?;
        for key in 0..self.script.keys {
            let Some(process) = self.slots.iter().find_map(|slot| slot.process.as_ref()) else { continue };
            self.clients.read(self.now, process, key);
            self.until("a last read", TOLD_WITHIN, false, |world| world.clients.idle())?;
        }
        Ok(())
    }

    fn judge(self) -> Result<Told, Broken> {
        let calls = &self.clients.calls;
        let at = self.now;
        self.invariants.closed.judge(calls).map_err(|violated| Broken::Violated { at, violated })?;
        history::explain(calls, &self.losses)?;
        let answered = calls.iter().filter(|call| matches!(call.told, history::Told::Value(_)));
        Ok(Told {
            digest: self.trace.digest(),
            calls: calls.len(),
            answered: answered.count(),
            lasted: self.now,
            faults: self.faults,
            stops: self.operator.done,
            losses: self.losses.len(),
        })
    }

    fn until(
        &mut self,
        what: &'static str,
        within: u64,
        asks: bool,
        holds: impl Fn(&World) -> bool,
    ) -> Result<(), Broken> {
        let end = self.now + within;
        while !holds(self) {
            if self.now >= end {
                return Err(Broken::NotYet { what, within, last: self.words() });
            }
            for _ in 0..LOOK {
                self.step(asks)?;
            }
        }
        Ok(())
    }

    fn step(&mut self, asks: bool) -> Result<(), Broken> {
        self.now += QUANTUM;
        self.go_right()?;
        self.network.tick(self.now);
        let mut order: Vec<usize> = (0..self.slots.len()).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, self.dice.within(0..at as u64 + 1) as usize);
        }
        for ordinal in order {
            let slot = &self.slots[ordinal];
            let (Some(process), None) = (&slot.process, slot.paused_until) else { continue };
            let arrived = self.network.arrived(ordinal);
            process.turn(self.now, arrived, &self.network);
        }
        self.operate();
        let awake = self.slots.iter().filter(|slot| slot.paused_until.is_none());
        let processes: Vec<&Process> =
            awake.filter_map(|slot| slot.process.as_ref()).filter(|process| process.runs()).collect();
        self.clients.step(self.now, &processes, asks);
        match self.now.is_multiple_of(LOOK * QUANTUM) {
            true => self.look(),
            false => Ok(()),
        }
    }

    fn operate(&mut self) {
        if self.operator.idle() && self.person.idle(self.now) {
            return;
        }
        let machine = |slot: (usize, &Slot)| {
            let process = slot.1.process.as_ref().filter(|_| slot.1.paused_until.is_none())?;
            Some((slot.0, process.look(|running| running.node.machine())?))
        };
        let up: Vec<_> = self.slots.iter().enumerate().filter_map(machine).collect();
        if let Some((at, command)) = self.person.look(self.now, &up) {
            self.propose(at, command);
        }
        match self.operator.look(self.now, &up) {
            None => {}
            Some(Act::Propose(at, command)) => self.propose(at, *command),
            Some(Act::TakeDown) => self.take_down(),
            Some(Act::Return) => self.bring_back(),
        }
    }

    fn propose(&self, at: usize, command: Command) {
        let Some(process) = &self.slots[at].process else { return };
        let Some((running, _)) = process.running() else { return };
        process.spawn(async move { drop(running.node.clone().propose(command).await) });
    }

    pub(crate) fn highest_operation(&self) -> u64 {
        let processes = self.slots.iter().filter_map(|slot| slot.process.as_ref());
        let known = processes.filter_map(|process| process.look(|running| running.node.machine().highest_operation));
        known.max().unwrap_or(0)
    }

    /// Everybody is here and the cluster runs, and every partition has all its copies under these boots.
    pub(crate) fn whole(&self) -> bool {
        self.backed(|state| *state == ClusterState::Active) && self.served()
    }

    fn served(&self) -> bool {
        let serves = |running: &Running| running.maps.doors() == Doors::Open && running.node.presence().was_leased();
        self.slots.iter().all(|slot| slot.process.as_ref().and_then(|process| process.look(serves)) == Some(true))
    }

    /// Everybody is here in such a state, and every partition has all its copies under these boots.
    pub(crate) fn backed(&self, such: impl Fn(&ClusterState) -> bool) -> bool {
        let mut boots = BTreeMap::new();
        for slot in &self.slots {
            let Some(process) = slot.process.as_ref().filter(|_| slot.paused_until.is_none()) else { return false };
            let Some((running, _)) = process.running() else { return false };
            boots.insert(running.node.keeper().member(), running.node.keeper().boot());
        }
        let full = |machine: &Machine| {
            let wanted = machine.copies_wanted();
            let counts = |replica: &&Replica| replica.synced && boots.get(&replica.member) == Some(&replica.boot);
            let partitions = &machine.table.partitions;
            let full = |entry: &PartitionEntry| {
                entry.replicas.iter().filter(counts).count() >= wanted && entry.replicas.len() == wanted
            };
            such(&machine.state) && !partitions.is_empty() && partitions.iter().all(full)
        };
        let processes = self.slots.iter().filter_map(|slot| slot.process.as_ref());
        processes.into_iter().all(|process| process.look(|running| full(&running.node.machine())) == Some(true))
    }

    fn look(&mut self) -> Result<(), Broken> {
        self.hear();
        let show = |(ordinal, slot): (usize, &Slot)| {
            slot.process.as_ref()?.look(|running| Shown {
                ordinal,
                member: running.node.keeper().member(),
                boot: running.node.keeper().boot(),
                opened: running.node.keeper().opened().0,
                standing: running.node.standing(),
                machine: running.node.machine(),
                doors: running.maps.doors(),
            })
        };
        let shown: Vec<Shown> = self.slots.iter().enumerate().filter_map(show).collect();
        for one in &shown {
            let Some(standing) = &one.standing else { continue };
            let figures = [one.ordinal as u64, self.now, standing.applied, standing.durable, standing.term];
            self.trace.note("stands", &figures);
        }
        let at = self.now;
        self.invariants.look(at, &shown).map_err(|violated| Broken::Violated { at, violated })
    }

    fn words(&self) -> String {
        let one = |(ordinal, slot): (usize, &Slot)| {
            let Some(process) = &slot.process else { return format!("{ordinal}: down until {:?}", slot.up_at) };
            let words = process.look(|running| {
                let machine = running.node.machine();
                let figures = jet_core::view::partition_figures(&machine);
                let operation = machine.open_operation().map(|operation| (&operation.id, operation.step));
                format!(
                    "{ordinal}: {:?} {operation:?} {figures:?} doors {:?} {:?} {:?} {:?} {:?}",
                    machine.state,
                    running.maps.doors(),
                    running.node.standing(),
                    running.trouble(),
                    running.node.lagging(),
                    running.agent.busy(),
                )
            });
            words.unwrap_or_else(|| format!("{ordinal}: not begun ({:?})", process.failed()))
        };
        let all: Vec<String> = self.slots.iter().enumerate().map(one).collect();
        format!("at {} ms:\n{}", self.now, all.join("\n"))
    }
}

//! One process of a member: a runtime with a clock of its own, on a disk that outlives it.
//!
//! Law: it runs only in its turns, up to a moment of the world, and does not see the others' future; when it is killed
//! nothing of it is left but the disk. Must not know: what others do.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use jet_hotstore::{Cadence, Options, SimulatedDisk};
use jet_map::{DecodeSink, SinkDelta};
use jet_member::cluster::node::read_log;
use jet_member::config::{Founding, Fsync};
use jet_member::host::{Host, stand_in};
use jet_member::idle::NoJobs;
use jet_member::map::MapService;
use jet_member::net::Net;
use jet_member::running::{Own, Running, hello, take_part};
use jet_member::store::Keeper;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::dice::Dice;
use crate::network::{Arrived, Network, QUANTUM};

/// Between two looks of who writes the store's log, in milliseconds.
const FLUSHES: Range<u64> = 1..40;
/// The same where the disks lag far behind RAM.
const RARE_FLUSHES: Range<u64> = 50..900;
/// Maps of which a change waits for the disks.
pub const ON_DISK: &str = "d";

/// What a real machine tidies up after many is tidied up after so many times fewer: a log of consensus is purged in a history.
const SOONER: u64 = 40;
/// A process is young for so many times less than on a real machine, or every history would be one of beats in quick
/// succession.
const GROWN_UP_SOONER: u32 = 40;
/// What waits for a disk in good order waits so many milliseconds at most.
pub const DISK: u64 = 8;

/// The clock and the disk's turns of one process.
pub struct Machine {
    begun: Cell<Option<Instant>>,
    on_for: Duration,
    dice: RefCell<Dice>,
    slowest: Cell<u64>,
    grows_up_sooner: u32,
}

impl Machine {
    fn elapsed(&self) -> Duration {
        self.begun.get().map_or(Duration::ZERO, |begun| Instant::now().saturating_duration_since(begun))
    }
}

impl Host for Machine {
    fn now(&self) -> Duration {
        self.on_for + self.elapsed()
    }

    fn disk(&self) -> BoxFuture<'static, ()> {
        let wait = self.dice.borrow_mut().within(0..self.slowest.get());
        Box::pin(tokio::time::sleep(Duration::from_millis(wait)))
    }

    fn one_of(&self, numbers: Range<u64>) -> u64 {
        self.dice.borrow_mut().within(numbers)
    }

    fn after(&self, usual: u64) -> u64 {
        usual / SOONER
    }

    fn youth(&self, usual: Duration) -> Duration {
        usual / self.grows_up_sooner
    }
}

/// What runs, or why it does not.
pub type Started = Result<(Arc<Running>, MapService), String>;

/// What a process is begun with.
#[derive(Clone, Debug)]
pub struct Begin {
    /// Number of the member.
    pub ordinal: usize,
    /// How many there are.
    pub members: u32,
    /// Partitions.
    pub partitions: u16,
    /// Backups of each.
    pub backups: u8,
    /// Milliseconds that the world is old.
    pub at: u64,
    /// Its clock runs so many thousandths faster.
    pub drift: i64,
    /// Its log is flushed rarely.
    pub lags: bool,
    /// It is young as long as on a real machine.
    pub young: bool,
    /// Of its dice.
    pub seed: u64,
}

/// A process.
pub struct Process {
    /// What it began with.
    pub begin: Begin,
    machine: Rc<Machine>,
    runtime: Option<Runtime>,
    started: Arc<Mutex<Option<Started>>>,
    broken: Arc<AtomicBool>,
    /// Its disk.
    pub disk: SimulatedDisk,
}

impl Process {
    /// Begins on a disk.
    pub fn begin(begin: Begin, disk: SimulatedDisk, network: &Network) -> std::io::Result<Self> {
        let dice = Dice::of(begin.seed ^ begin.at, "process");
        let machine = Rc::new(Machine {
            begun: Cell::new(None),
            on_for: Duration::from_millis(1_000_000 + begin.at),
            dice: RefCell::new(dice),
            slowest: Cell::new(DISK),
            grows_up_sooner: if begin.young { 1 } else { GROWN_UP_SOONER },
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
        let started: Arc<Mutex<Option<Started>>> = Arc::default();
        let broken = Arc::<AtomicBool>::default();
        let process = Process {
            begin,
            machine,
            runtime: Some(runtime),
            started: started.clone(),
            broken: broken.clone(),
            disk: disk.clone(),
        };
        let (own, network) = (process.begin.clone(), network.clone());
        process.within(|runtime, machine| {
            let _in = runtime.enter();
            machine.begun.set(Some(Instant::now()));
            runtime.spawn(async move {
                let result = start(own, disk, network).await;
                if let Ok((running, _)) = &result {
                    let node = running.node.clone();
                    tokio::spawn(async move {
                        node.broken_down().await;
                        broken.store(true, Ordering::Relaxed);
                    });
                }
                *started.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            });
        });
        Ok(process)
    }

    fn within<T>(&self, work: impl FnOnce(&Runtime, &Rc<Machine>) -> T) -> Option<T> {
        let runtime = self.runtime.as_ref()?;
        let before = stand_in(Some(self.machine.clone()));
        let done = work(runtime, &self.machine);
        stand_in(before);
        Some(done)
    }

    fn local(&self, at: u64) -> Option<Instant> {
        let elapsed = at.saturating_sub(self.begin.at) as i64;
        let micros = elapsed * 1000 + elapsed * self.begin.drift;
        Some(self.machine.begun.get()? + Duration::from_micros(micros.max(0) as u64))
    }

    /// Runs up to a moment of the world, with what has come for it.
    pub fn turn(&self, now: u64, arrived: Vec<Arrived>, network: &Network) {
        let Some(until) = self.local(now + QUANTUM) else { return };
        let ordinal = self.begin.ordinal;
        self.within(|runtime, _| {
            runtime.block_on(async {
                for letter in arrived {
                    let (answer, network) = (letter.handler.handle(letter.from, letter.request), network.clone());
                    tokio::spawn(async move { network.answer(ordinal, letter.call, answer.await) });
                }
                tokio::time::sleep_until(until).await;
            });
        });
    }

    /// Its clock goes on, and nothing of it ran meanwhile.
    pub fn wake(&self, now: u64) {
        let Some(until) = self.local(now) else { return };
        self.within(|runtime, _| {
            runtime.block_on(async { tokio::time::advance(until.saturating_duration_since(Instant::now())).await });
        });
    }

    /// What waits for its disk waits so many milliseconds at most.
    pub fn disk_takes(&self, most: u64) {
        self.machine.slowest.set(most.max(1));
    }

    /// What runs.
    pub fn running(&self) -> Option<(Arc<Running>, MapService)> {
        let started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        started.as_ref()?.as_ref().ok().cloned()
    }

    /// Whether it runs.
    pub fn runs(&self) -> bool {
        let started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(*started, Some(Ok(_)))
    }

    /// Its consensus has broken down: the program ends itself then, and is begun again.
    pub fn ends_itself(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Why it does not.
    pub fn failed(&self) -> Option<String> {
        let started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        started.as_ref()?.as_ref().err().cloned()
    }

    /// Does something in it.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.within(|runtime, _| drop(runtime.spawn(work)));
    }

    /// Looks at it as one of its tasks would.
    pub fn look<T>(&self, look: impl FnOnce(&Running) -> T) -> Option<T> {
        let (running, _) = self.running()?;
        self.within(|runtime, _| {
            let _in = runtime.enter();
            look(&running)
        })
    }

    /// It is killed; the disk is as the system has it.
    pub fn kill(mut self) -> SimulatedDisk {
        let left = self.disk.copy();
        self.disk.cut_power();
        let runtime = self.runtime.take();
        let before = stand_in(Some(self.machine.clone()));
        *self.started.lock().unwrap_or_else(PoisonError::into_inner) = None;
        drop(runtime);
        stand_in(before);
        left
    }
}

/// There are no jobs.
fn no_sinks(_: &[u8]) -> Result<SinkDelta, String> {
    Err("a part of a job, where there are no jobs".into())
}

async fn start(begin: Begin, disk: SimulatedDisk, network: Network) -> Started {
    let options =
        Options { volume: Some(format!("disk-{}", begin.ordinal)), cadence: Cadence::OnDemand, ..Options::default() };
    let keeper = Arc::new(Keeper::open_as(Arc::new(disk), Path::new("store"), options).map_err(|e| e.to_string())?);
    let log = read_log(&keeper).await.map_err(|e| e.to_string())?;
    let net = Net::over(network.come(begin.ordinal, hello(&keeper, begin.ordinal as u32)));
    let founding = Founding::Configuration {
        members: begin.members,
        partition_count: begin.partitions,
        backup_count: begin.backups,
    };
    let address = SocketAddr::from(([127, 0, 0, 1], 5701));
    let own = Own { ordinal: begin.ordinal as u32, net: net.clone(), keeper: keeper.clone(), founding, address };
    let mut maps = None;
    let decode: DecodeSink = no_sinks;
    let store = keeper.store();
    let running = take_part(own, log, |cluster| {
        let service = MapService::new(net, store, cluster, decode, Fsync::of(&[ON_DISK]));
        maps = Some(service.clone());
        (Arc::new(service), Arc::new(NoJobs::default()))
    });
    let running = running.await.map_err(|e| e.to_string())?;
    let pauses = if begin.lags { RARE_FLUSHES } else { FLUSHES };
    tokio::spawn(write(keeper, pauses, Dice::of(begin.seed ^ begin.at, "writer")));
    Ok((Arc::new(running), maps.ok_or("it has no maps")?))
}

/// Who writes the store's log.
async fn write(keeper: Arc<Keeper>, pauses: Range<u64>, mut dice: Dice) {
    loop {
        tokio::time::sleep(Duration::from_millis(dice.within(pauses.clone()))).await;
        let store = keeper.store();
        let _ = jet_member::host::blocking(move || store.flush()).await;
    }
}

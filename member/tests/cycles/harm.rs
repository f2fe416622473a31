//! What is done to the cluster, drawn by seed and cycle, and when it may be done.
//!
//! Law: the promise for acknowledged writes is one loss at a time, so one is killed only while all copies are in RAM; what
//! lies sealed on every disk may be killed at any time, all of it at once. Must not know: what must hold afterwards.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jet_admin_api::client::MemberClient;
use jet_admin_api::cluster::ClusterStateView;
use tokio::sync::Notify;

use super::driver::Records;
use super::plant::{Plant, SIZE};

/// Pause between two looks whether a harm may be done.
const LOOK: Duration = Duration::from_millis(20);

/// xorshift64*, seeded through splitmix: the same on every machine.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64, cycle: u64) -> Self {
        let mut z = seed.wrapping_add(cycle.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self((z ^ (z >> 31)) | 1)
    }

    /// Less than `many`.
    pub fn below(&mut self, many: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % many
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Kill(u32),
    Cut(u32, Duration),
    Crash(u32, Duration),
    /// All members at once; only what is sealed.
    All,
    Driver,
}

#[derive(Clone, Copy, Debug)]
pub struct Harm {
    /// Since the phase began.
    pub after: Duration,
    pub what: What,
}

/// The harms of one cycle by its phases.
#[derive(Debug)]
pub struct Harms {
    pub load: Vec<Harm>,
    pub stop: Vec<Harm>,
    pub stopped: Vec<Harm>,
    pub back: Vec<Harm>,
}

impl Harms {
    pub fn draw(seed: u64, cycle: u64) -> Self {
        let mut dice = Dice::new(seed, cycle);
        let mut some = |most: u64, within_ms: u64| {
            let mut harms: Vec<Harm> = (0..dice.below(most + 1)).map(|_| one(&mut dice, within_ms)).collect();
            harms.sort_by_key(|harm| harm.after);
            harms
        };
        Self { load: some(2, 1_000), stop: some(3, 1_000), stopped: some(1, 100), back: some(3, 1_500) }
    }
}

fn one(dice: &mut Dice, within_ms: u64) -> Harm {
    let after = Duration::from_millis(dice.below(within_ms));
    let whom = u32::try_from(dice.below(SIZE.into())).unwrap();
    let time = Duration::from_millis(300 + dice.below(4_000));
    let what = match dice.below(10) {
        0..4 => What::Kill(whom),
        4..6 => What::Cut(whom, time),
        6..8 => What::Crash(whom, time),
        8 => What::All,
        _ => What::Driver,
    };
    Harm { after, what }
}

pub struct Hand<'a> {
    pub plant: &'a Plant,
    pub members: &'a [MemberClient],
    pub records: &'a Mutex<Records>,
    pub kill_driver: &'a Notify,
    /// What was done, in words.
    pub done: &'a Mutex<Vec<String>>,
}

impl Hand<'_> {
    /// Does harm while `work` goes on; what could not be done before it ended is left out.
    pub async fn during<T>(&self, harms: &[Harm], work: impl Future<Output = T>) -> T {
        let (over, begun) = (AtomicBool::new(false), Instant::now());
        let strikes = async {
            for harm in harms {
                while !over.load(Ordering::Relaxed) {
                    if begun.elapsed() >= harm.after && self.strike(harm.what, begun).await {
                        break;
                    }
                    tokio::time::sleep(LOOK).await;
                }
            }
        };
        let work = async {
            let ended = work.await;
            over.store(true, Ordering::Relaxed);
            ended
        };
        tokio::join!(work, strikes).0
    }

    /// Whether it was done.
    async fn strike(&self, what: What, begun: Instant) -> bool {
        if what == What::All {
            // Until all are dead nobody is asked to open what is sealed.
            let _alone = self.plant.gate.lock().await;
            let at_rest = self.records.lock().unwrap().at_rest();
            return at_rest && (0..SIZE).filter(|ordinal| self.plant.kill(*ordinal)).count() > 1 && {
                self.tell(what, begun);
                true
            };
        }
        if what != What::Driver && !self.may_lose_one().await {
            return false;
        }
        match what {
            What::Kill(ordinal) => {
                if !self.plant.kill(ordinal) {
                    return false;
                }
            }
            What::Cut(ordinal, time) => {
                self.plant.cut(ordinal);
                tokio::time::sleep(time).await;
                self.plant.heal(ordinal);
            }
            What::Crash(ordinal, time) => {
                self.plant.crash(ordinal);
                tokio::time::sleep(time).await;
                self.plant.boot(ordinal);
            }
            What::All | What::Driver => self.kill_driver.notify_one(),
        }
        self.tell(what, begun);
        true
    }

    fn tell(&self, what: What, begun: Instant) {
        self.done.lock().unwrap().push(format!("{what:?} by {:.1} s", begun.elapsed().as_secs_f64()));
    }

    /// Every member has the RAM that the machine counts on, and each partition has all its copies.
    async fn may_lose_one(&self) -> bool {
        if self.records.lock().unwrap().at_rest() {
            return true;
        }
        let views = futures::future::join_all(self.members.iter().map(MemberClient::member)).await;
        let Ok(views) = views.into_iter().collect::<Result<Vec<_>, _>>() else { return false };
        let clusters = views.iter().filter_map(|view| view.cluster.as_ref());
        let Some(machine) = clusters.max_by_key(|cluster| (cluster.generation, cluster.applied_index)) else {
            return false;
        };
        let same = views.iter().all(|view| machine.roster.iter().any(|m| m.uuid == view.uuid && m.boot == view.boot));
        let parts = &machine.partitions;
        let backed = parts.fully_backed == parts.count && parts.migrating == 0;
        // Until the new generation is open nobody has written anything that is not sealed.
        let closed = matches!(machine.state, ClusterStateView::Recovering | ClusterStateView::Activating);
        same && (backed || closed && self.records.lock().unwrap().activating)
    }
}

//! Laws STOP, HOLD, RESUME and EXACT again and again: stops and returns in a row, under load, with random kills of members,
//! nodes and of who drives them; real processes, each node in a network of its own, stores on a disk.
//!
//! `JET_FULL=1` runs a hundred cycles; `JET_CYCLES=n` another number, `JET_SEED=s` the harms of that seed, `JET_CYCLE=k`
//! begins (a new cluster) with the harms of cycle k.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod driver;
mod growth;
mod harm;
mod lan;
mod plant;
#[path = "../world/mod.rs"]
mod world;
mod writer;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use driver::{Driver, End, Records, Wish};
use growth::Measured;
use harm::{Hand, Harms};
use jet_admin_api::client::MemberClient;
use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::identity::{Role, any_member_server_name};
use jet_admin_api::job::SubmitJob;
use jet_admin_api::map::SqlQuery;
use jet_admin_api::member::MemberPhase;
use plant::{Plant, SIZE};
use tokio::sync::Notify;
use writer::Writer;

/// Cycles of `make test` and of the full run.
const SHORT: u64 = 2;
const FULL: u64 = 100;
/// Bound on each wait: machines may be busy, and a stop may be rolled back many times.
const PATIENCE: Duration = Duration::from_secs(240);
const LOOK: Duration = Duration::from_millis(50);
/// What a load is, at least: events counted and writes acknowledged.
const EVENTS: u64 = 1_000;
const WRITES: u64 = 40;
/// Stops of one cycle that may be rolled back: each of its harms can cost one, and its aftermath another.
const ROLLED_BACK: u64 = 12;

const LEDGER: &str = "CREATE MAPPING numbers TYPE Generator OPTIONS ('keys'='50', 'rate'='2000');
    CREATE MAPPING ledger (key BIGINT, events BIGINT, highest BIGINT, total BIGINT) TYPE Map;
    CREATE JOB ledger OPTIONS ('snapshot-interval'='300ms') AS
    INSERT INTO ledger SELECT key, COUNT(*), MAX(number), SUM(number) FROM numbers GROUP BY key;";

#[test]
fn nothing_is_lost_or_grows_over_stops_and_returns_with_random_kills() {
    if !lan::is_inside() {
        return lan::run_inside("nothing_is_lost_or_grows_over_stops_and_returns_with_random_kills");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(run());
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text}: a number")))
}

async fn run() {
    let full = std::env::var_os("JET_FULL").is_some();
    let many = number("JET_CYCLES").unwrap_or(if full { FULL } else { SHORT });
    let seed = number("JET_SEED")
        .unwrap_or_else(|| u64::from(std::process::id()) ^ jiff::Timestamp::now().as_second().unsigned_abs());
    let first = number("JET_CYCLE").unwrap_or(0);
    let site = Arc::new(Site::founded().await);
    let mut tasks = tokio::task::JoinSet::new();
    let (keeper, writer) = (site.clone(), site.clone());
    tasks.spawn(async move { keeper.plant.keep().await });
    tasks.spawn(async move { writer.writer.write(seed).await });
    let (begun, mut measured) = (Instant::now(), Vec::new());
    for cycle in first..first + many {
        println!("cycle {cycle}: again by JET_SEED={seed} JET_CYCLE={cycle} JET_CYCLES={}", first + many - cycle);
        measured.push(site.cycle(seed, cycle).await);
    }
    println!("{}", growth::judge(&measured).unwrap_or_else(|grown| panic!("{grown}")).join("\n"));
    println!("{many} cycles in {:.0} s", begun.elapsed().as_secs_f64());
}

/// The cluster, who drives it and who uses it.
struct Site {
    plant: Plant,
    operator: Vec<MemberClient>,
    client: Vec<MemberClient>,
    writer: Writer,
    records: Mutex<Records>,
    kill_driver: Notify,
    words: Mutex<String>,
    harmed: Mutex<Vec<String>>,
    /// Number of the last operation.
    operations: Mutex<u64>,
    counted: Mutex<u64>,
}

impl Site {
    /// A founded cluster of three with the ledger's job.
    async fn founded() -> Self {
        let plant = Plant::new();
        let clients = |role: Role, bound| {
            let state = plant.state();
            let tls = state.world.pki.issue(role).client().unwrap();
            let name = any_member_server_name(world::NAMESPACE, world::CLUSTER);
            let one =
                |o| MemberClient::new(state.world.admin_address(o), &name, tls.clone()).unwrap().with_timeout(bound);
            (0..SIZE).map(one).collect::<Vec<_>>()
        };
        let (operator, client) =
            (clients(Role::Operator, Duration::from_secs(3)), clients(Role::Client, Duration::from_secs(10)));
        let writer = Writer::new(client.clone());
        let site = Self {
            plant,
            operator,
            client,
            writer,
            records: Mutex::default(),
            kill_driver: Notify::new(),
            words: Mutex::default(),
            harmed: Mutex::default(),
            operations: Mutex::default(),
            counted: Mutex::default(),
        };
        site.found().await;
        site
    }

    async fn found(&self) {
        let permit = jet_admin_api::founding::FoundingPermit {
            founding_id: uuid::Uuid::new_v4(),
            ordinals: (0..SIZE).collect(),
            partition_count: 31,
            backup_count: 1,
        };
        for member in &self.operator {
            self.until("a permit is taken", || async { member.found(&permit).await.map_err(|e| e.to_string()) }).await;
        }
        self.until("all serve", || self.whole()).await;
        let job = SubmitJob { name: "ledger".into(), sql: LEDGER.into(), snapshot_interval_ms: None };
        self.until("the job is taken", || async { self.operator[0].submit(&job).await.map_err(|e| e.to_string()) })
            .await;
    }

    /// Waits until `look` has a value; fails with its last words, what was done, and the logs.
    async fn until<T, F: Future<Output = Result<T, String>>>(&self, what: &str, mut look: impl FnMut() -> F) -> T {
        let begun = Instant::now();
        loop {
            match look().await {
                Ok(found) => return found,
                Err(last) => {
                    assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}: {last}\n{}", self.story())
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn story(&self) -> String {
        let (harmed, words) = (self.harmed.lock().unwrap().clone(), self.words.lock().unwrap().clone());
        format!("harms {harmed:?}\ndriver: {words}\n{}", self.plant.state().world.logs())
    }

    /// Every member serves, and every partition has all its copies.
    async fn whole(&self) -> Result<(), String> {
        for member in &self.operator {
            let view = member.member().await.map_err(|e| e.to_string())?;
            let cluster = view.cluster.as_ref().ok_or("no cluster")?;
            let backed = cluster.partitions.fully_backed == cluster.partitions.count;
            let active = cluster.state == ClusterStateView::Active;
            if !(view.ready && view.phase == MemberPhase::Serving && active && backed) {
                return Err(world::brief(&view));
            }
        }
        Ok(())
    }

    fn hand(&self) -> Hand<'_> {
        let Self { plant, operator: members, records, kill_driver, harmed: done, .. } = self;
        Hand { plant, members, records, kill_driver, done }
    }

    /// Carries a wish out, by one driver after the other if they are killed.
    async fn drive(&self, wish: Wish) -> End {
        let begun = Instant::now();
        loop {
            let Self { plant, operator: members, records, words, .. } = self;
            let driver = Driver { plant, members, records, words };
            tokio::select! {
                end = driver.carry_out(wish.clone()) => return end,
                () = self.kill_driver.notified() => {}
                () = tokio::time::sleep(PATIENCE.saturating_sub(begun.elapsed())) => {
                    panic!("not within {PATIENCE:?}\n{}", self.story())
                }
            }
        }
    }

    /// Load, stop, darkness, return, and what must hold then.
    async fn cycle(&self, seed: u64, cycle: u64) -> Measured {
        let (harms, begun) = (Harms::draw(seed, cycle), Instant::now());
        self.harmed.lock().unwrap().clear();
        let counted = *self.counted.lock().unwrap();
        let written = self.writer.acknowledged().await;
        self.hand().during(&harms.load, self.load(counted, written)).await;
        let memory = self.memory();
        let rolled_back = self.hand().during(&harms.stop, self.stop()).await;
        self.writer.all_ended().await;
        let measured = self.measure(memory);
        let stopped = begun.elapsed().as_secs_f64();
        self.hand().during(&harms.stopped, tokio::time::sleep(LOOK * 2)).await;
        let end = self.hand().during(&harms.back, self.drive(Wish::Return)).await;
        assert!(matches!(end, End::Returned), "{end:?}");
        let keys = self.until("the client's keys are read", || self.writer.check(cycle as usize % SIZE as usize)).await;
        let now = self.until("the ledger is read", || self.ledger()).await;
        assert!(now >= counted, "{counted} events were counted before, and now {now}\n{}", self.story());
        *self.counted.lock().unwrap() = now;
        self.plant.no_surprise();
        println!(
            "cycle {cycle}: {now} events, {keys} keys, {rolled_back} stops rolled back, stopped after {stopped:.1} s, back \
             after {:.1} s, {measured:?}, {:?}",
            begun.elapsed().as_secs_f64(),
            self.harmed.lock().unwrap()
        );
        measured
    }

    async fn load(&self, counted: u64, written: u64) {
        self.until("the job counts and the client writes", || async {
            let (now, told) = (self.ledger().await?, self.writer.acknowledged().await);
            let enough = now >= counted + EVENTS && told >= written + WRITES;
            if enough { Ok(()) } else { Err(format!("{now} of {counted} events, {told} of {written} writes")) }
        })
        .await;
    }

    /// Asks until a stop is not rolled back; each wish is tried once.
    async fn stop(&self) -> u64 {
        for rolled_back in 0..ROLLED_BACK {
            let number = {
                let mut last = self.operations.lock().unwrap();
                *last += 1;
                *last
            };
            match self.drive(Wish::Stop { operation: format!("{number}-cycles") }).await {
                End::Stopped => return rolled_back,
                End::RolledBack(why) => self.harmed.lock().unwrap().push(format!("rolled back: {why}")),
                End::Returned => unreachable!("a stop was wished"),
            }
            self.until("all serve again", || self.whole()).await;
        }
        panic!("{ROLLED_BACK} stops were rolled back in one cycle\n{}", self.story());
    }

    /// Events in the ledger, each number of each key counted exactly once.
    async fn ledger(&self) -> Result<u64, String> {
        let query = SqlQuery { sql: "SELECT key, events, highest, total FROM ledger".into(), limit: 1_000 };
        let mut last = String::new();
        for member in &self.client {
            match member.sql(&query).await {
                Ok(rows) => return Ok(rows.rows.iter().map(|row| self.counted_once(row)).sum()),
                Err(why) => last = why.to_string(),
            }
        }
        Err(last)
    }

    fn counted_once(&self, row: &[Option<String>]) -> u64 {
        let cells: Vec<u64> = row.iter().map(|cell| cell.as_ref().unwrap().parse().unwrap()).collect();
        let [key, events, highest, total] = cells[..] else { panic!("{row:?}") };
        let once = events == highest + 1 && total == highest * (highest + 1) / 2;
        assert!(once, "key {key}: {events} events, highest {highest}, total {total}: not each once\n{}", self.story());
        events
    }

    fn memory(&self) -> u64 {
        let state = self.plant.state();
        state.world.members.values().map(|process| growth::resident(process.id())).max().unwrap_or(0)
    }

    fn measure(&self, memory: u64) -> Measured {
        let state = self.plant.state();
        let stores: Vec<PathBuf> = (0..SIZE).map(|ordinal| state.world.home(ordinal).join("recovery")).collect();
        growth::measure(stores.iter().map(PathBuf::as_path), memory)
    }
}

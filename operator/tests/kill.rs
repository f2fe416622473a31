//! The operator is killed before and after every write and command of every scenario, with its status kept and erased,
//! and the same end is reached; a second, lagging operator changes nothing about that.
//!
//! Laws: STOP HOLD RESUME CRASH. Runs against a small in-memory Kubernetes with its preconditions, and scripted members.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod world;

use jet_operator::api::annotations as keys;
use jet_operator::cluster::pass;
use uuid::Uuid;
use world::World;
use world::proxy::{Kill, Proxy};

/// Passes within which every goal must be reached.
const PASSES: u32 = 400;

#[derive(Clone, Copy, Debug)]
struct Fault {
    kill: Kill,
    erase: bool,
    /// Every pass is also made by an operator that sees the world of so many passes ago.
    lag: usize,
}

const NONE: Fault = Fault { kill: Kill::Never, erase: false, lag: 0 };

/// One operator (and a lagging one) over one world.
struct Run {
    world: World,
    fault: Fault,
    proxy: Proxy,
    past: Vec<(jet_operator::api::JetCluster, jet_operator::cluster::facts::KubeFacts)>,
    n: u64,
}

impl Run {
    fn new(world: World, fault: Fault) -> Self {
        let proxy = Proxy::new(world.clone(), fault.kill);
        Self { world, fault, proxy, past: Vec::new(), n: 0 }
    }

    async fn one(&mut self) {
        self.n += 1;
        let now = self.world.lock().now;
        self.lagging(now).await;
        let effects = self.world.lock().effects;
        let fresh = Uuid::from_u64_pair(0xabcd_0000_0000_0000 | self.n << 32, self.n);
        let died = tokio::select! {
            _ = pass(&self.proxy, &self.proxy, now, fresh) => false,
            () = self.proxy.killed.notified() => true,
        };
        if died {
            // A new process: nothing is remembered, perhaps not even the status.
            self.proxy.kill = Kill::Never;
            if self.fault.erase {
                self.world.erase_status();
            }
        }
        let did = self.world.lock().effects - effects;
        assert!(did <= 1, "{did} side effects in one pass");
        self.world.tick();
        let breaches = self.world.lock().breaches.clone();
        assert!(breaches.is_empty(), "{breaches:?} with {:?}\n{}", self.fault, story(&self.world));
    }

    async fn lagging(&mut self, now: i64) {
        if self.fault.lag == 0 {
            return;
        }
        let facts = self.world.lock().facts();
        if let Some(cluster) = self.world.lock().cluster.clone() {
            self.past.push((cluster, facts));
        }
        if self.past.len() > self.fault.lag {
            let mut proxy = Proxy::new(self.world.clone(), Kill::Never);
            proxy.stale = Some(self.past.remove(0));
            let _ = pass(&proxy, &proxy, now, Uuid::from_u64_pair(0xdddd_0000_0000_0000, self.n)).await;
        }
    }

    async fn until(&mut self, what: &str, goal: impl Fn(&World) -> bool) {
        for _ in 0..PASSES {
            if goal(&self.world) {
                return;
            }
            self.one().await;
        }
        panic!("{what} was not reached with {:?}\n{}", self.fault, story(&self.world));
    }

    /// Goes on for a while during which `law` must hold.
    async fn always(&mut self, passes: u32, what: &str, law: impl Fn(&World) -> bool) {
        for _ in 0..passes {
            self.one().await;
            assert!(law(&self.world), "{what} was broken with {:?}\n{}", self.fault, story(&self.world));
        }
    }
}

fn story(world: &World) -> String {
    let state = world.lock();
    let status =
        state.cluster.as_ref().map(|c| serde_json::to_string_pretty(&c.status).unwrap_or_default()).unwrap_or_default();
    let events: Vec<_> = state
        .events
        .iter()
        .map(|l| format!("  {} {}: {}", if l.warning { "!" } else { " " }, l.reason, l.note))
        .collect();
    format!(
        "{}\nset {:?}\nmachine {:?}\nmaps {:?}\nstatus {status}",
        events.join("\n"),
        state.set,
        state.machine,
        state.maps.keys()
    )
}

fn generation(world: &World) -> u64 {
    world.lock().machine.as_ref().map_or(0, |m| m.generation)
}

fn serves(world: &World, generation: u64) -> bool {
    let ready = world.condition("Ready") == "True" && world.reason("Reconciling").is_empty();
    let state = world.lock();
    let done = state.set.as_ref().is_some_and(|s| !s.annotations.contains_key(keys::STAMP_OPERATION));
    ready && done && state.machine.as_ref().is_some_and(|m| m.generation == generation && m.doors)
}

fn stopped(world: &World) -> bool {
    world.condition("Stopped") == "True"
}

fn ask(world: &World) {
    world.annotate(keys::MAINTENANCE, Some(keys::MAINTENANCE_SHUTDOWN));
}

fn withdraw(world: &World) {
    world.annotate(keys::MAINTENANCE, None);
}

async fn founded(fault: Fault) -> Run {
    let mut run = Run::new(World::new(), fault);
    run.until("founding", |w| serves(w, 1)).await;
    run
}

/// Founding, stop, return.
async fn cycle(fault: Fault) -> u64 {
    let mut run = founded(fault).await;
    ask(&run.world);
    run.until("Stopped", stopped).await;
    run.always(5, "stays stopped", stopped).await;
    withdraw(&run.world);
    run.until("the return", |w| serves(w, 2)).await;
    {
        let state = run.world.lock();
        assert_eq!((state.foundings, state.commits), (1, 1), "founded and committed once");
        let job = &state.machine.as_ref().unwrap().jobs[0];
        assert_eq!(job.started_from, job.snapshot, "the job went on from its terminal snapshot");
    }
    assert_eq!(run.world.condition("JobsPreserved"), "True");
    run.always(5, "rests", |w| serves(w, 2)).await;
    run.proxy.writes.load(std::sync::atomic::Ordering::SeqCst)
}

/// Every kill point of a scenario: (write, before or after, status kept or erased).
async fn at_every_write<F: Future<Output = u64>>(scenario: impl Fn(Fault) -> F) {
    let writes = scenario(NONE).await;
    assert!(writes > 5, "a scenario without writes proves nothing");
    let mut ran = 1;
    for n in 0..writes {
        for kill in [Kill::Before(n), Kill::After(n)] {
            for erase in [false, true] {
                scenario(Fault { kill, erase, lag: 0 }).await;
                ran += 1;
            }
        }
    }
    for lag in 1..12 {
        scenario(Fault { kill: Kill::Never, erase: false, lag }).await;
        ran += 1;
    }
    println!("{writes} writes, {ran} runs");
}

#[tokio::test]
async fn stop_and_return_survive_a_kill_at_every_write() {
    at_every_write(cycle).await;
}

#[tokio::test]
async fn restart_by_nonce_happens_at_most_once_wherever_the_operator_dies() {
    at_every_write(|fault| async move {
        let mut run = founded(fault).await;
        run.world.annotate(keys::RESTART, Some("n1"));
        // With the status erased between Accepted and the stamp the nonce is taken for handled (R3).
        let may_be_lost = fault.erase;
        run.until("one restart", |w| serves(w, 2) || may_be_lost && serves(w, 1) && handled(w)).await;
        let reached = generation(&run.world);
        run.always(20, "no second restart", |w| generation(w) <= 2 && generation(w) >= reached).await;
        run.proxy.writes.load(std::sync::atomic::Ordering::SeqCst)
    })
    .await;
}

fn handled(world: &World) -> bool {
    let state = world.lock();
    let status = state.cluster.as_ref().and_then(|c| c.status.as_ref());
    status.is_some_and(|s| {
        s.operation.is_none() && s.handled.as_ref().is_some_and(|h| h.restart.as_deref() == Some("n1"))
    })
}

#[tokio::test]
async fn deleted_and_applied_again_comes_back() {
    at_every_write(|fault| async move {
        let mut run = founded(fault).await;
        run.world.delete_cluster();
        run.until("released", |w| w.lock().cluster.is_none()).await;
        assert_eq!(run.world.lock().commits, 1, "deletion is a stop");
        run.world.create_cluster();
        run.until("back", |w| serves(w, 2)).await;
        assert_eq!(run.world.lock().foundings, 1);
        run.proxy.writes.load(std::sync::atomic::Ordering::SeqCst)
    })
    .await;
}

#[tokio::test]
async fn rolled_back_stop_does_not_loop() {
    at_every_write(|fault| async move {
        let mut run = founded(fault).await;
        run.world.lock().job_stuck = true;
        let within = i64::from(run.world.lock().cluster.as_ref().unwrap().spec.maintenance.commit_within_seconds);
        ask(&run.world);
        run.until("frozen", |w| w.lock().machine.as_ref().unwrap().freeze_deadline.is_some()).await;
        run.world.lock().now += within + 5;
        run.until("spent", |w| w.reason("Stalled") == "StopNotRetried").await;
        run.world.lock().job_stuck = false;
        run.always(30, "no second try by itself", |w| !stopped(w) && w.lock().commits == 0).await;
        withdraw(&run.world);
        run.until("forgotten", |w| w.condition("Stalled").is_empty() && serves(w, 1)).await;
        ask(&run.world);
        run.until("Stopped", stopped).await;
        run.proxy.writes.load(std::sync::atomic::Ordering::SeqCst)
    })
    .await;
}

#[tokio::test]
async fn refused_stop_does_not_fire_later() {
    let mut run = founded(NONE).await;
    {
        let mut state = run.world.lock();
        state.broken.push(2);
        if let Some(pod) = state.pods.get_mut(&2) {
            pod.age = 0;
        }
    }
    ask(&run.world);
    run.until("refused", |w| w.reason("StopReady") == "PreflightRefused").await;
    run.world.lock().now += 601;
    run.until("spent", |w| {
        w.reason("Stalled") == "StopNotRetried" || w.reason("MembersComplete") == "MembersMissing" && spent(w)
    })
    .await;
    run.world.lock().broken.clear();
    run.always(60, "does not stop at 3 in the morning", |w| w.lock().commits == 0 && !stopped(w)).await;
    assert_eq!(run.world.reason("Stalled"), "StopNotRetried");
    let operation =
        run.world.lock().cluster.as_ref().unwrap().status.as_ref().unwrap().spent.as_ref().unwrap().operation.clone();
    run.world.annotate(keys::RETRY, Some(&operation));
    run.until("Stopped by retry", stopped).await;
}

fn spent(world: &World) -> bool {
    world.lock().cluster.as_ref().and_then(|c| c.status.as_ref()).is_some_and(|s| s.spent.is_some())
}

#[tokio::test]
async fn typo_while_stopped_does_not_start() {
    let mut run = founded(NONE).await;
    ask(&run.world);
    run.until("Stopped", stopped).await;
    for typo in ["shutdwon", ""] {
        run.world.annotate(keys::MAINTENANCE, Some(typo));
        run.always(10, "stays", |w| w.lock().set.as_ref().unwrap().replicas == 0).await;
        assert_eq!(run.world.reason("Stalled"), "InvalidRequest");
        assert_eq!(run.world.condition("Stopped"), "True");
    }
    withdraw(&run.world);
    run.until("the return", |w| serves(w, 2)).await;
}

#[tokio::test]
async fn return_taken_back_keeps_the_seal() {
    at_every_write(|fault| async move {
        let mut run = founded(fault).await;
        ask(&run.world);
        run.until("Stopped", stopped).await;
        run.world.lock().broken.push(1);
        withdraw(&run.world);
        run.until("member 1 is missed", |w| {
            w.lock().set.as_ref().unwrap().replicas == 3 && w.reason("MembersComplete") == "MembersMissing"
        })
        .await;
        run.always(10, "holds", |w| generation(w) == 1 && !w.lock().machine.as_ref().unwrap().doors).await;
        ask(&run.world);
        run.until("Stopped again", stopped).await;
        assert_eq!(run.world.lock().commits, 1, "the same seal");
        run.world.lock().broken.clear();
        withdraw(&run.world);
        run.until("the return", |w| serves(w, 2)).await;
        run.proxy.writes.load(std::sync::atomic::Ordering::SeqCst)
    })
    .await;
}

#[tokio::test]
async fn withdrawn_before_the_commit_goes_back() {
    at_every_write(|fault| async move {
        let mut run = founded(fault).await;
        run.world.lock().job_stuck = true;
        ask(&run.world);
        run.until("freezing", |w| w.lock().machine.as_ref().unwrap().operation.is_some()).await;
        withdraw(&run.world);
        run.until("back", |w| serves(w, 1)).await;
        run.always(10, "runs", |w| w.lock().commits == 0).await;
        run.proxy.writes.load(std::sync::atomic::Ordering::SeqCst)
    })
    .await;
}

#[tokio::test]
async fn foreign_hands_while_stopped_change_nothing() {
    let mut run = founded(NONE).await;
    ask(&run.world);
    run.until("Stopped", stopped).await;
    // Somebody scales by hand.
    {
        let mut state = run.world.lock();
        let rv = state.bump();
        let set = state.set.as_mut().unwrap();
        (set.replicas, set.rv) = (3, rv);
    }
    run.until("back at 0", |w| stopped(w) && w.lock().set.as_ref().unwrap().replicas == 0).await;
    // Somebody deletes the StatefulSet.
    run.world.lock().set = None;
    run.until("made again with 0", |w| stopped(w) && w.lock().set.as_ref().is_some_and(|s| s.replicas == 0)).await;
    assert!(run.world.lock().pods.is_empty());
    withdraw(&run.world);
    run.until("the return", |w| serves(w, 2)).await;
}

#[tokio::test]
async fn a_stateful_set_deleted_in_mid_stop_is_made_again_and_the_stop_goes_on() {
    let mut run = founded(NONE).await;
    ask(&run.world);
    run.until("accepted", |w| w.lock().cluster.as_ref().unwrap().status.as_ref().unwrap().operation.is_some()).await;
    run.world.lock().set = None;
    run.world.lock().job_stuck = true;
    run.until("freezing", |w| w.lock().machine.as_ref().unwrap().freeze_deadline.is_some()).await;
    run.world.lock().set = None;
    run.world.lock().job_stuck = false;
    run.until("Stopped", stopped).await;
    withdraw(&run.world);
    run.until("the return", |w| serves(w, 2)).await;
}

#[tokio::test]
async fn a_replaced_claim_is_asked_about_and_a_blank_one_never_activated() {
    let mut run = founded(NONE).await;
    ask(&run.world);
    run.until("Stopped", stopped).await;
    let uid = run.world.lock().next("claim");
    run.world.lock().claims.get_mut(&1).unwrap().uid = uid;
    run.until("asked about", |w| w.reason("VolumesIntact") == "VolumeReplaced").await;
    withdraw(&run.world);
    run.always(20, "holds", |w| w.lock().set.as_ref().unwrap().replicas == 0).await;
    let digest = run
        .world
        .lock()
        .cluster
        .as_ref()
        .unwrap()
        .status
        .as_ref()
        .unwrap()
        .volumes
        .as_ref()
        .unwrap()
        .adopt_digest
        .clone();
    let store = std::mem::take(&mut run.world.lock().claims.get_mut(&1).unwrap().store);
    run.world.annotate(keys::ADOPT_VOLUMES, Some(&digest));
    run.until("missed", |w| {
        w.lock().set.as_ref().unwrap().replicas == 3 && w.reason("MembersComplete") == "MembersMissing"
    })
    .await;
    run.always(20, "a blank volume is not the member", |w| generation(w) == 1).await;
    run.world.lock().claims.get_mut(&1).unwrap().store = store;
    run.until("the return", |w| serves(w, 2)).await;
}

#[tokio::test]
async fn three_cycles_and_a_death_of_everything_in_between() {
    let mut run = founded(NONE).await;
    for generation in 1..4 {
        ask(&run.world);
        run.until("Stopped", stopped).await;
        withdraw(&run.world);
        run.until("the return", |w| serves(w, generation + 1)).await;
        // All pods die at once, outside any operation.
        for pod in run.world.lock().pods.values_mut() {
            pod.age = 0;
        }
        run.until("seen to be down", |w| w.condition("Ready") == "False").await;
        run.until("recovered", |w| serves(w, generation + 1)).await;
    }
    run.always(10, "rests", |w| serves(w, 4)).await;
    let seals = run.world.lock().maps.keys().filter(|n| n.starts_with("orders-seal-")).count();
    assert_eq!(seals, 3, "the last seals are kept");
}

#[tokio::test]
async fn the_story_can_be_read() {
    let mut run = founded(NONE).await;
    ask(&run.world);
    run.until("Stopped", stopped).await;
    withdraw(&run.world);
    run.until("the return", |w| serves(w, 2)).await;
    let told: Vec<String> = run.world.lock().events.iter().map(|l| l.reason.clone()).collect();
    println!("{}", story(&run.world));
    for reason in [
        "Founding",
        "Fenced",
        "Frozen",
        "Committed",
        "ScaledDown",
        "Stopped",
        "ScaledUp",
        "MembersComplete",
        "Activated",
        "Open",
        "Returned",
    ] {
        assert!(told.iter().any(|t| t == reason), "{reason} is not told: {told:?}");
    }
}

//! An operator (and a lagging one) over one world, pass after pass.
//!
//! Law: a pass says little and then writes at most one thing, and no promise is broken between two passes, whatever goes wrong. Must not
//! know: which faults, which flows.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jet_operator::api::JetCluster;
use jet_operator::cluster::facts::KubeFacts;
use jet_operator::cluster::pass::{self, pass};
use jet_operator::cluster::plan::Act;
use jet_operator::cluster::port::Kubernetes;
use jet_operator::members::Members;
use uuid::Uuid;

use super::faults::{Fault, Schedule};
use super::jobs::passes::Passes;
use super::proxy::Proxy;
use super::{Effect, World};

/// Passes within which every goal must be reached.
const PASSES: u32 = 600;
/// Passes in a row without an effect: it rests.
const RESTING: u32 = 8;

/// What did not hold, with the world's story.
#[derive(Clone)]
pub struct Broken(pub String);

impl fmt::Debug for Broken {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}

pub type Held<T = ()> = Result<T, Broken>;

pub struct Run {
    pub world: World,
    pub proxy: Arc<Proxy>,
    /// What the operator calls: the proxy, or something that spoils the operator and calls the proxy.
    pub kube: Arc<dyn Kubernetes>,
    pub members: Arc<dyn Members>,
    /// Every pass is also made by an operator that sees the world of so many passes ago.
    lag: usize,
    past: Vec<(JetCluster, KubeFacts)>,
    pub passes: Passes,
    /// Its flow is of jobs: a fault at one place is at a place of their passes, one by seed anywhere.
    pub of_jobs: bool,
    calm: bool,
    /// The last pass over the cluster is to be followed by the next then, unless something is written before.
    rests_until: i64,
    rested_at: Option<String>,
    n: u64,
}

impl Run {
    pub fn new(world: World) -> Self {
        let proxy = Arc::new(Proxy::new(world.clone()));
        let (kube, members) = (proxy.clone(), proxy.clone());
        let passes = Passes::new(&world, &proxy);
        Self {
            world,
            proxy,
            kube,
            members,
            lag: 0,
            past: Vec::new(),
            passes,
            of_jobs: false,
            calm: false,
            rests_until: 0,
            rested_at: None,
            n: 0,
        }
    }

    /// From here on it meets what the schedule says.
    pub fn arm(&mut self, schedule: Schedule, lag: usize) {
        self.proxy.schedule(schedule);
        self.lag = lag;
        self.calm = self.of_jobs && !matches!(schedule, Schedule::Seed(_));
        self.rests_until = 0;
    }

    /// Nothing goes wrong any more, until nothing is done any more.
    pub async fn rest(&mut self) -> Held {
        self.arm(Schedule::Never, 0);
        let mut idle = 0;
        for _ in 0..PASSES {
            let effects = self.world.lock().effects;
            self.one().await?;
            idle = if self.world.lock().effects == effects { idle + 1 } else { 0 };
            if idle == RESTING {
                return Ok(());
            }
        }
        Err(self.broken("it never rests"))
    }

    pub async fn one(&mut self) -> Held {
        self.n += 1;
        let now = self.world.lock().now;
        Box::pin(self.lagging(now)).await;
        let before = self.world.lock().cluster.clone();
        let version = before.as_ref().and_then(|cluster| cluster.metadata.resource_version.clone());
        let rests = self.calm && now < self.rests_until && version == self.rested_at;
        // On the heap: a test's thread has a small stack, and flows await passes many times.
        let unheard = if rests { 1 } else { Box::pin(self.over_cluster(now)).await? };
        Box::pin(self.settle(before.as_ref())).await?;
        Box::pin(self.over_jobs()).await?;
        for _ in 0..unheard {
            self.world.tick();
            let breaches = self.world.lock().breaches.clone();
            if !breaches.is_empty() {
                return Err(self.broken(&format!("{breaches:?}")));
            }
        }
        Ok(())
    }

    /// Answers how many seconds nothing is heard after it.
    async fn over_cluster(&mut self, now: i64) -> Held<u64> {
        self.proxy.calm(self.calm);
        self.world.lock().in_pass.clear();
        let met = self.proxy.begin_pass();
        if met == Some(Fault::StatusErased) {
            self.world.erase_status();
        }
        let fresh = Uuid::from_u64_pair(0xabcd_0000_0000_0000 | self.n << 32, self.n);
        let again = tokio::select! {
            passed = pass(self.kube.as_ref(), self.members.as_ref(), now, fresh) => passed.ok().and_then(|p| p.again),
            () = self.proxy.killed.notified() => None,
        };
        // A new process: nothing is remembered, perhaps not even the status.
        if self.proxy.died_of().is_some_and(Fault::erases) {
            self.world.erase_status();
        }
        let wrong = too_much(&self.world.lock().in_pass);
        if let Some(wrong) = wrong {
            return Err(self.broken(&wrong));
        }
        self.proxy.calm(false);
        let version = self.world.lock().cluster.as_ref().and_then(|cluster| cluster.metadata.resource_version.clone());
        (self.rested_at, self.rests_until) = (version, now);
        if again == Some(pass::RESTING) {
            self.rests_until += i64::try_from(seconds(pass::RESTING)).unwrap_or(0);
        }
        Ok(if met == Some(Fault::DroppedEvents) { again.map_or(1, seconds) } else { 1 })
    }

    async fn lagging(&mut self, now: i64) {
        if self.lag == 0 {
            return;
        }
        self.lagging_over_jobs(self.lag, now).await;
        let facts = self.world.lock().facts();
        if let Some(cluster) = self.world.lock().cluster.clone() {
            self.past.push((cluster, facts));
        }
        if self.past.len() > self.lag {
            let mut proxy = Proxy::new(self.world.clone());
            proxy.stale = Some(self.past.remove(0));
            let _ = pass(&proxy, &proxy, now, Uuid::from_u64_pair(0xdddd_0000_0000_0000, self.n)).await;
        }
    }

    pub async fn until(&mut self, what: &str, goal: impl Fn(&World) -> bool) -> Held {
        for _ in 0..PASSES {
            if goal(&self.world) {
                return Ok(());
            }
            self.one().await?;
        }
        Err(self.broken(&format!("{what} was not reached")))
    }

    /// Goes on for a while during which `law` must hold.
    pub async fn always(&mut self, passes: u32, what: &str, law: impl Fn(&World) -> bool) -> Held {
        for _ in 0..passes {
            self.one().await?;
            if !law(&self.world) {
                return Err(self.broken(&format!("{what} was broken")));
            }
        }
        Ok(())
    }

    pub fn broken(&self, what: &str) -> Broken {
        Broken(format!("{what}\n{}", self.world.story()))
    }
}

pub fn seconds(pause: Duration) -> u64 {
    pause.as_secs() + u64::from(pause.subsec_nanos() > 0)
}

/// Of one look at Kubernetes: a few things are said, each once, then at most one is written; several only of one step,
/// each after the one before is done.
fn too_much(did: &[Effect]) -> Option<String> {
    let told = did.iter().take_while(|effect| matches!(effect, Effect::Told(..))).count();
    let written: Vec<_> = did[told..]
        .iter()
        .map(|effect| match effect {
            Effect::Written(Act::StampClaim { .. }) => "a claim",
            Effect::Written(Act::CreateSeal(_) | Act::CreateRoster(_)) => "the record",
            Effect::Written(Act::Mark(_)) => "the set",
            Effect::Written(Act::Apply(object)) if object.api.kind == "PodDisruptionBudget" => "the budget",
            Effect::Written(_) => "else",
            Effect::Told(..) => "said afterwards",
        })
        .collect();
    let claims = |written: &[&str]| written.iter().all(|what| *what == "a claim");
    let fits = match &written[..] {
        [] | [_] | ["the set", "the budget"] | ["the budget", "the set"] => true,
        ["the record", rest @ ..] => claims(rest),
        all => claims(all),
    };
    let again = did.iter().enumerate().find(|(n, effect)| did[..*n].contains(effect));
    (told > pass::TURNS || !fits || again.is_some())
        .then(|| format!("{} side effects in one pass: {told} said, then {written:?}; twice: {again:?}", did.len()))
}

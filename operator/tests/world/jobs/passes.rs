//! When the operator looks at a JetJob: as it or its cluster is written to, and when the last pass said so.
//!
//! Law: a pass has at most one side effect; a watch may show an object as it was. Must not know: what a pass decides.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jet_operator::api::JetCluster;
use jet_operator::job::pass::pass;
use jet_operator::job::settle::settle;
use jet_operator::job::{JetJob, door};
use jiff::Timestamp;
use kube::{Client, ResourceExt};

use super::port::{self, Scripted};
use crate::world::World;
use crate::world::faults::{Call, Fault};
use crate::world::proxy::Proxy;
use crate::world::run::{Held, Run, seconds};

/// Versions of an object that are remembered, to be shown again.
const REMEMBERED: usize = 40;
/// Seconds after a pass that failed.
const FAILED: i64 = 1;

/// A JetJob and its cluster.
type Seen = (Arc<JetJob>, Option<Arc<JetCluster>>);

/// What wakes the next pass over a JetJob.
#[derive(Default)]
struct Waking {
    due: i64,
    looked_at: Vec<String>,
    /// No watch event comes.
    deaf: bool,
}

/// What the operator does about jobs.
pub struct Passes {
    client: Client,
    waking: BTreeMap<String, Waking>,
    past: BTreeMap<String, VecDeque<Seen>>,
    /// Of a second operator, which meets no faults and sees all JetJobs as they were.
    other: Arc<Proxy>,
    others_client: Client,
    others_past: VecDeque<Vec<Seen>>,
}

impl Passes {
    pub fn new(world: &World, proxy: &Arc<Proxy>) -> Self {
        let other = Arc::new(Proxy::new(world.clone()));
        Self {
            client: port::client(world, proxy),
            waking: BTreeMap::new(),
            past: BTreeMap::new(),
            others_client: port::client(world, &other),
            other,
            others_past: VecDeque::new(),
        }
    }
}

fn versions((job, cluster): &Seen) -> Vec<String> {
    let cluster = cluster.as_ref().and_then(|cluster| cluster.resource_version());
    [job.uid(), job.resource_version(), cluster].into_iter().map(Option::unwrap_or_default).collect()
}

fn open(cluster: &JetCluster) -> bool {
    let mut conditions = cluster.status.iter().flat_map(|status| &status.conditions);
    let open = conditions.any(|condition| condition.type_ == "DoorsOpen" && condition.status == "True");
    open && cluster.metadata.deletion_timestamp.is_none()
}

impl Run {
    fn door(&self) -> door::Members<Scripted> {
        port::door(&self.world, &self.proxy)
    }

    fn objects(&self) -> Vec<Seen> {
        let state = self.world.lock();
        if state.jobs.objects.is_empty() {
            return Vec::new();
        }
        let cluster = state.cluster.clone().map(Arc::new);
        state.jobs.objects.values().map(|job| (Arc::new(job.clone()), cluster.clone())).collect()
    }

    fn one_effect(&self, before: u32) -> Held {
        let did = self.world.lock().effects - before;
        if did > 1 { Err(self.broken(&format!("{did} side effects in one pass"))) } else { Ok(()) }
    }

    /// After a pass over the cluster, which was so before: wishes that came too late.
    pub async fn settle(&mut self, before: Option<&JetCluster>) -> Held {
        let (kept, effects) = {
            let state = self.world.lock();
            (state.maps.contains_key("orders-wishes"), state.effects)
        };
        if !kept || !before.is_some_and(open) {
            return Ok(());
        }
        self.proxy.begin_pass();
        let door = self.door();
        tokio::select! {
            _ = settle(&self.passes.client, "prod", "orders", &door) => {}
            () = self.proxy.killed.notified() => drop(self.proxy.died_of()),
        }
        self.one_effect(effects)
    }

    /// A pass over each JetJob that something wakes.
    pub async fn over_jobs(&mut self) -> Held {
        for seen in self.objects() {
            let now = self.world.lock().now;
            let waking = self.passes.waking.get(&seen.0.name_any());
            let wakes = |waking: &Waking| now >= waking.due || !waking.deaf && waking.looked_at != versions(&seen);
            if waking.is_none_or(wakes) {
                self.over_job(seen).await?;
            }
        }
        Ok(())
    }

    async fn over_job(&mut self, mut seen: Seen) -> Held {
        let name = seen.0.name_any();
        let effects = self.world.lock().effects;
        let met = self.proxy.begin_pass();
        if met == Some(Fault::StatusErased) {
            self.world.erase_job_status(&name);
            seen.0 = self.world.job_object(&name).map_or(seen.0, Arc::new);
        }
        let looked_at = versions(&seen);
        let again = match self.shown(&name, seen) {
            None => FAILED,
            Some((job, cluster)) => self.pass(job, cluster).await,
        };
        if self.proxy.died_of().is_some_and(Fault::erases) {
            self.world.erase_job_status(&name);
        }
        let (due, deaf) = (self.world.lock().now + again, met == Some(Fault::DroppedEvents));
        self.passes.waking.insert(name, Waking { due, looked_at, deaf });
        self.one_effect(effects)
    }

    /// What the watch shows of the object, and what the API server says of its cluster; `None`: one of them says nothing.
    fn shown(&mut self, name: &str, seen: Seen) -> Option<Seen> {
        let past = self.passes.past.entry(name.to_owned()).or_default();
        past.push_front(seen.clone());
        past.truncate(REMEMBERED);
        let read = || match self.proxy.next(Call::Read) {
            None => Some(0),
            Some(strike) if strike.fault == Fault::StaleRead => Some(usize::try_from(strike.depth).unwrap_or(0)),
            Some(strike) => {
                if strike.fault == Fault::Silence {
                    self.proxy.wait();
                }
                None
            }
        };
        let (job, cluster) = (read()?, read()?);
        let at = |depth: usize| past.get(depth).or(past.back()).unwrap_or(&seen);
        Some((at(job).0.clone(), at(cluster).1.clone()))
    }

    /// Seconds until it looks again.
    async fn pass(&self, job: Arc<JetJob>, cluster: Option<Arc<JetCluster>>) -> i64 {
        let now = Timestamp::from_second(self.world.lock().now).unwrap_or_default();
        let door = self.door();
        tokio::select! {
            passed = pass(&self.passes.client, job, cluster.as_deref(), &door, now) => {
                passed.map_or(FAILED, |again| i64::try_from(seconds(again)).unwrap_or(FAILED))
            }
            () = self.proxy.killed.notified() => 0,
        }
    }

    /// A second operator, which sees the JetJobs and their cluster of so many passes ago.
    pub async fn lagging_over_jobs(&mut self, lag: usize, now: i64) {
        let objects = self.objects();
        self.passes.others_past.push_back(objects);
        if self.passes.others_past.len() <= lag {
            return;
        }
        let now = Timestamp::from_second(now).unwrap_or_default();
        for (job, cluster) in self.passes.others_past.pop_front().unwrap_or_default() {
            let door = port::door(&self.world, &self.passes.other);
            let _ = pass(&self.passes.others_client, job, cluster.as_deref(), &door, now).await;
        }
    }
}

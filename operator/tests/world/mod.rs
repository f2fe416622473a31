//! A small Kubernetes and scripted members behind the operator's two ports.
//!
//! Law: it has the API server's preconditions (uid, resourceVersion, create-once), a StatefulSet controller and a kubelet
//! that take a tick, and it records every breach of a promise. Must not know: plans.

#![allow(dead_code)]

pub mod end;
pub mod faults;
pub mod flows;
pub mod hands;
pub mod jobs;
pub mod kubernetes;
pub mod members;
pub mod proxy;
pub mod run;
pub mod spoilt;
pub mod trial;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jet_admin_api::stop_request::RequestAnswer;
use jet_operator::api::JetCluster;
use jet_operator::api::annotations as keys;
use jet_operator::cluster::plan::Act;
use jet_operator::cluster::story::Line;
use jet_operator::members::Command;
use serde_json::{Value, json};
use uuid::Uuid;

use members::{Machine, Store};

/// A StatefulSet.
#[derive(Clone, Debug, Default)]
pub struct Set {
    pub uid: String,
    pub rv: u64,
    pub replicas: i32,
    pub annotations: BTreeMap<String, String>,
    pub template: String,
}

impl Set {
    pub fn stamp_operation(&self) -> Option<String> {
        let stamp: Value = serde_json::from_str(self.annotations.get(keys::STAMP_OPERATION)?).ok()?;
        stamp["id"].as_str().map(str::to_owned)
    }

    /// Names of what the plan stamped.
    pub fn stamps(&self) -> Vec<String> {
        keys::STAMPS.iter().filter(|key| self.annotations.contains_key(**key)).map(|key| (*key).to_owned()).collect()
    }
}

/// A pod with its member.
#[derive(Clone, Debug, Default)]
pub struct PodObject {
    pub uid: String,
    pub age: u32,
    pub revision: String,
    pub deleting: bool,
}

impl PodObject {
    pub fn running(&self) -> bool {
        self.age >= 1
    }
}

/// A claim with what lies on it.
#[derive(Clone, Debug, Default)]
pub struct ClaimObject {
    pub uid: String,
    pub rv: u64,
    pub stamp: Option<String>,
    pub store: Store,
    pub deleting: bool,
}

/// A record.
#[derive(Clone, Debug, Default)]
pub struct Map {
    pub uid: String,
    pub rv: u64,
    pub kind: String,
    pub text: String,
}

/// Everything.
#[derive(Default)]
pub struct State {
    pub now: i64,
    pub counter: u64,
    pub cluster: Option<JetCluster>,
    pub set: Option<Set>,
    pub applied: BTreeMap<(String, String), String>,
    pub pods: BTreeMap<u32, PodObject>,
    pub claims: BTreeMap<u32, ClaimObject>,
    pub maps: BTreeMap<String, Map>,
    pub events: Vec<Line>,
    pub machine: Option<Machine>,
    pub permit: Option<(Uuid, Vec<u32>)>,
    pub foundings: u32,
    pub begun: u32,
    pub commits: u32,
    /// Wishes that were written for a request.
    pub wishes: u32,
    pub breaches: Vec<String>,
    /// Ordinals whose pods never start.
    pub broken: Vec<u32>,
    /// No terminal snapshot is ever taken.
    pub job_stuck: bool,
    pub effects: u32,
    /// The same in this pass.
    pub in_pass: Vec<Effect>,
    /// The status was lost at least once.
    pub erased: bool,
    pub jobs: jobs::Jobs,
}

/// What an operator did.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Written(Act),
    Told(u32, Command),
}

/// The shared world.
#[derive(Clone, Default)]
pub struct World(Arc<Mutex<State>>);

impl World {
    /// A namespace with one new JetCluster of three members.
    pub fn new() -> Self {
        let world = Self::default();
        world.lock().now = 1_700_000_000;
        world.create_cluster();
        world
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `kubectl apply`.
    pub fn create_cluster(&self) {
        let mut state = self.lock();
        let uid = state.next("uid");
        let rv = state.bump().to_string();
        state.cluster = serde_json::from_value(json!({
            "apiVersion": "jet.lossless.dev/v1alpha1", "kind": "JetCluster",
            "metadata": { "name": "orders", "namespace": "prod", "uid": uid, "resourceVersion": rv, "generation": 1 },
            "spec": { "size": 3, "version": "0.1.0", "image": "registry.example/jet-member:0.1.0" },
        }))
        .ok();
    }

    /// `kubectl annotate`; `None` removes.
    pub fn annotate(&self, key: &str, value: Option<&str>) {
        let mut state = self.lock();
        let rv = state.bump().to_string();
        let Some(cluster) = &mut state.cluster else { return };
        let annotations = cluster.metadata.annotations.get_or_insert_default();
        match value {
            Some(value) => annotations.insert(key.into(), value.into()),
            None => annotations.remove(key),
        };
        cluster.metadata.resource_version = Some(rv);
    }

    /// `jet-cluster-admin -o shutdown`; whether the members took it.
    pub fn ask_members(&self) -> bool {
        self.lock().request_stop()
    }

    /// What became of what was asked of the members; `None`: it waits, or nothing was asked.
    pub fn answer(&self) -> Option<RequestAnswer> {
        let state = self.lock();
        state.machine.as_ref().and_then(|machine| machine.request.as_ref()?.answer.clone())
    }

    /// Value of an annotation.
    pub fn annotation(&self, key: &str) -> Option<String> {
        let state = self.lock();
        state.cluster.as_ref().and_then(|cluster| cluster.metadata.annotations.as_ref()?.get(key).cloned())
    }

    /// `kubectl delete`.
    pub fn delete_cluster(&self) {
        let mut state = self.lock();
        let rv = state.bump().to_string();
        let now = jiff::Timestamp::from_second(state.now).unwrap_or_default();
        if let Some(cluster) = &mut state.cluster {
            cluster.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now));
            cluster.metadata.resource_version = Some(rv);
        }
    }

    /// The status is lost.
    pub fn erase_status(&self) {
        let mut state = self.lock();
        let rv = state.bump().to_string();
        state.erased = true;
        if let Some(cluster) = &mut state.cluster {
            cluster.status = None;
            cluster.metadata.resource_version = Some(rv);
        }
    }

    /// Every process of the members dies at once.
    pub fn power_cut(&self) {
        let mut state = self.lock();
        for pod in state.pods.values_mut() {
            pod.age = 0;
        }
        if let Some(machine) = &mut state.machine {
            (machine.recovering, machine.doors) = (true, false);
            machine.end_request(false, "all members were started anew");
        }
    }

    /// Status of a condition.
    pub fn condition(&self, type_: &str) -> String {
        let state = self.lock();
        let status = state.cluster.as_ref().and_then(|c| c.status.as_ref());
        let condition = status.into_iter().flat_map(|s| &s.conditions).find(|c| c.type_ == type_);
        condition.map(|c| c.status.clone()).unwrap_or_default()
    }

    /// Reason of a condition.
    pub fn reason(&self, type_: &str) -> String {
        let state = self.lock();
        let status = state.cluster.as_ref().and_then(|c| c.status.as_ref());
        let condition = status.into_iter().flat_map(|s| &s.conditions).find(|c| c.type_ == type_);
        condition.map(|c| c.reason.clone()).unwrap_or_default()
    }

    /// What happened, and where it stands.
    pub fn story(&self) -> String {
        let state = self.lock();
        let status = state.cluster.as_ref().and_then(|c| serde_json::to_string_pretty(&c.status).ok());
        let events: Vec<_> = state
            .events
            .iter()
            .map(|l| format!("  {} {}: {}", if l.warning { "!" } else { " " }, l.reason, l.note))
            .collect();
        format!(
            "{}\nset {:?}\nmachine {:?}\nmaps {:?}\nstatus {}{}",
            events.join("\n"),
            state.set,
            state.machine,
            state.maps.keys(),
            status.unwrap_or_default(),
            state.jobs.story(),
        )
    }

    /// A second of the world: StatefulSet controller, kubelet, members.
    pub fn tick(&self) {
        let mut state = self.lock();
        state.now += 1;
        state.set_controller();
        state.members_tick();
        state.check();
    }
}

impl State {
    pub fn bump(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    pub fn next(&mut self, what: &str) -> String {
        format!("{what}-{}", self.bump())
    }

    pub fn next_uuid(&mut self) -> Uuid {
        Uuid::from_u64_pair(7, self.bump())
    }

    fn set_controller(&mut self) {
        let Some(set) = self.set.clone() else {
            return;
        };
        let wanted = u32::try_from(set.replicas).unwrap_or(0);
        self.pods.retain(|_, pod| !pod.deleting);
        for ordinal in 0..wanted {
            if !self.claims.contains_key(&ordinal) {
                let (uid, rv) = (self.next("claim"), self.bump());
                self.claims.insert(ordinal, ClaimObject { uid, rv, ..ClaimObject::default() });
            }
            if !self.pods.contains_key(&ordinal) {
                let uid = self.next("pod");
                self.pods.insert(ordinal, PodObject { uid, revision: set.template.clone(), ..PodObject::default() });
            }
        }
        let broken = self.broken.clone();
        for (ordinal, pod) in &mut self.pods {
            if *ordinal >= wanted {
                pod.deleting = true;
            } else if !broken.contains(ordinal) {
                pod.age += 1;
            }
        }
    }

    /// Promises that hold at every moment.
    fn check(&mut self) {
        let stopped = self
            .cluster
            .as_ref()
            .and_then(|c| c.status.as_ref())
            .is_some_and(|s| s.conditions.iter().any(|c| c.type_ == "Stopped" && c.status == "True"));
        let sealed = self.roster_ordinals().iter().all(|o| self.claims.get(o).is_some_and(|c| c.store.seal.is_some()));
        if stopped
            && !(sealed && self.pods.is_empty())
            && self.broken.is_empty()
            && self.set.as_ref().is_some_and(|s| s.replicas == 0)
        {
            self.breaches.push("Stopped is True and not every store is sealed, or a pod runs".into());
        }
        if self.foundings > 1 {
            self.breaches.push("founded twice".into());
        }
    }
}

//! The same kills against a real API server: schema, defaulting, server-side apply, conflicts and status as they are; and
//! answers that the API server did not give, or that the operator did not get.
//!
//! Laws: STOP RESUME CRASH. StatefulSet controller, kubelet and members are scripted. Where no API server can be had the
//! test fails and says how to get one.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[allow(dead_code)]
mod server;
mod world;

use std::sync::Arc;
use std::time::Instant;

use futures::{StreamExt, stream};
use jet_operator::api::{JetCluster, annotations as keys};
use jet_operator::cluster::apply::Kube;
use jet_operator::cluster::pass;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::events::{Recorder, Reporter};
use kube::{Api, Client};
use serde_json::{Value, json};
use server::faulty::{Faulty, Hit};
use uuid::Uuid;
use world::World;
use world::faults::{Fault, Schedule};
use world::hands::Hands;
use world::proxy::Proxy;

/// Passes within which every goal must be reached.
const PASSES: u32 = 300;
/// Of so many requests of the operator one meets a fault. Primes: no request of a pass is always the one.
const SPOILT: [usize; 4] = [17, 29, 41, 61];
/// Field manager of a person's annotation.
const PERSON: &str = "kubectl-annotate";
/// Clusters at the same time.
const AT_ONCE: usize = 4;

struct Run {
    client: Client,
    hands: Hands,
    proxy: Proxy,
    /// The operator may be told that nothing is known.
    faulty: bool,
    what: String,
    n: u64,
}

impl Run {
    /// The operator's own client is `operator`.
    async fn new(client: &Client, operator: &Client, namespace: String, schedule: Schedule) -> Self {
        let world = World::new();
        world.lock().cluster = None;
        let space: Namespace = serde_json::from_value(json!({ "metadata": { "name": namespace } })).unwrap();
        Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &space).await.unwrap();
        let cluster: JetCluster = serde_json::from_value(json!({
            "apiVersion": "jet.lossless.dev/v1alpha1", "kind": "JetCluster", "metadata": { "name": "orders" },
            "spec": { "size": 3, "version": "0.1.0", "image": "x/jet-member:0.1.0" },
        }))
        .unwrap();
        Api::<JetCluster>::namespaced(client.clone(), &namespace)
            .create(&PostParams::default(), &cluster)
            .await
            .unwrap();
        let reporter = Reporter { controller: "jet-operator".into(), instance: None };
        let kube = Kube::new(operator.clone(), Recorder::new(operator.clone(), reporter), namespace.as_str(), "orders");
        let what = format!("{namespace}: {schedule:?}");
        let proxy = Proxy::between(Arc::new(kube), Arc::new(world.clone()), schedule);
        Self {
            client: client.clone(),
            hands: Hands { client: client.clone(), namespace, world },
            proxy,
            faulty: false,
            what,
            n: 0,
        }
    }

    fn clusters(&self) -> Api<JetCluster> {
        Api::namespaced(self.client.clone(), &self.hands.namespace)
    }

    async fn one(&mut self) {
        self.n += 1;
        let now = self.hands.world.lock().now;
        let fresh = Uuid::from_u64_pair(0xabcd_0000_0000_0000 | self.n << 32, self.n);
        tokio::select! {
            done = pass(&self.proxy, &self.proxy, now, fresh) => {
                if let Err(error) = done {
                    let fits = error.is_conflict() || self.faulty;
                    assert!(fits, "{}: {error}", self.what);
                }
            }
            () = self.proxy.killed.notified() => {}
        }
        if self.proxy.died_of().is_some_and(Fault::erases) {
            let patch = json!({ "status": null });
            self.clusters().patch_status("orders", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
        }
        self.hands.tick().await;
        let breaches = self.hands.world.lock().breaches.clone();
        assert!(breaches.is_empty(), "{}: {breaches:?}", self.what);
    }

    /// Until a condition has this status and, if given, the members are at this generation.
    async fn until(&mut self, condition: &str, generation: u64) {
        let mut status = Value::Null;
        for _ in 0..PASSES {
            let object = self.clusters().get("orders").await.unwrap();
            status = serde_json::to_value(&object.status).unwrap();
            let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
            let holds = conditions.iter().any(|c| c["type"] == condition && c["status"] == "True");
            let at = self.hands.world.lock().machine.as_ref().map_or(0, |m| m.generation);
            if holds && at == generation && (condition == "Stopped" || status["operation"].is_null()) {
                return;
            }
            self.one().await;
        }
        panic!("{}: {condition} at generation {generation} was not reached: {status:#}", self.what);
    }

    async fn ask(&self, value: Value) {
        let patch = json!({ "metadata": { "annotations": { keys::MAINTENANCE: value } } });
        let by = PatchParams { field_manager: Some(PERSON.into()), ..PatchParams::default() };
        self.clusters().patch("orders", &by, &Patch::Merge(&patch)).await.unwrap();
    }
}

/// The stop is asked of the members: the operator writes the wish.
async fn killed(client: &Client, namespace: String, schedule: Schedule) -> u64 {
    let mut run = Run::new(client, client, namespace, schedule).await;
    run.until("Ready", 1).await;
    assert!(run.hands.world.ask_members(), "{}", run.what);
    stops_and_returns(&mut run, "jet-member").await;
    run.proxy.places(Fault::DiesBefore)
}

/// The operator's own client meets `hits` in turn, one at every `one_in`-th request.
async fn spoilt(server: &server::Server, one_in: usize) {
    let faulty = Faulty::default();
    let (client, operator) = (server.client(), server.client_through(&faulty));
    let mut run = Run::new(&client, &operator, format!("spoilt-at-{one_in}"), Schedule::Never).await;
    run.faulty = true;
    let reads = [Hit::Says(500), Hit::Says(429), Hit::Unreached, Hit::LostReply, Hit::Says(410)];
    let writes = [Hit::LostReply, Hit::Says(429), Hit::Says(409), Hit::Unreached, Hit::Says(500), Hit::Says(410)];
    let (mut asked, mut read, mut written) = (0, 0, 0);
    faulty.plan(move |request| {
        asked += 1;
        let (hits, count) = if request.writes { (&writes[..], &mut written) } else { (&reads[..], &mut read) };
        (asked % one_in == 0).then(|| {
            *count += 1;
            hits[*count % hits.len()]
        })
    });
    run.until("Ready", 1).await;
    run.ask(json!(keys::MAINTENANCE_SHUTDOWN)).await;
    stops_and_returns(&mut run, PERSON).await;
    println!("one request in {one_in} spoilt: {} passes", run.n);
}

async fn stops_and_returns(run: &mut Run, by: &str) {
    run.until("Stopped", 1).await;
    let status = run.clusters().get("orders").await.unwrap().status.unwrap_or_default();
    assert_eq!(status.operation.map(|operation| operation.requested_by).as_deref(), Some(by), "{}", run.what);
    run.ask(Value::Null).await;
    run.until("Ready", 2).await;
    run.until("JobsPreserved", 2).await;
    let state = run.hands.world.lock();
    let activations = state.machine.as_ref().map(|m| m.activations);
    assert_eq!((state.foundings, state.begun, state.commits, activations), (1, 1, 1, Some(1)), "{}", run.what);
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_and_return_survive_kills_over_a_real_api_server() {
    let Some(bin) = server::programs_or_left_out() else { return };
    let server = server::Server::start(bin);
    let client = server.client();
    let crds = server::room().join("../crds");
    let (good, said) = server.kubectl(&["apply", "-f", crds.to_str().expect("UTF-8")], "");
    assert!(good, "{said}");
    let (good, said) = server
        .kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "crd/jetclusters.jet.lossless.dev"], "");
    assert!(good, "{said}");

    let begun = Instant::now();
    let writes = killed(&client, "quiet".into(), Schedule::Never).await;
    println!("one quiet cycle: {writes} writes and commands in {:?}", begun.elapsed());
    // Each write has one of the four faults here; all four are in `kill.rs`.
    let kills = [Fault::DiesBefore, Fault::DiesAfterErased, Fault::DiesBeforeErased, Fault::DiesAfter];
    let runs: Vec<_> = (0..writes)
        .zip(kills.into_iter().cycle())
        .map(|(n, kill)| killed(&client, format!("killed-at-{n}"), Schedule::At(kill, n)))
        .collect();
    let ran = stream::iter(runs).buffer_unordered(AT_ONCE).count().await;
    println!("{ran} cycles, each killed at another write, in {:?}", begun.elapsed());
    let ran = stream::iter(SPOILT.map(|one_in| spoilt(&server, one_in))).buffer_unordered(AT_ONCE).count().await;
    println!("{ran} cycles with answers spoilt, in {:?}", begun.elapsed());
}

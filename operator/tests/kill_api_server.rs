//! The same kills against a real API server: schema, defaulting, server-side apply, conflicts and status as they are.
//!
//! Laws: STOP RESUME CRASH. StatefulSet controller, kubelet and members are scripted. Where no API server can be had the
//! test fails and says how to get one.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[allow(dead_code)]
mod server;
mod world;

use std::sync::Arc;
use std::sync::atomic::Ordering;
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
use uuid::Uuid;
use world::World;
use world::hands::Hands;
use world::proxy::{Kill, Proxy};

/// Passes within which every goal must be reached.
const PASSES: u32 = 300;
/// Clusters at the same time.
const AT_ONCE: usize = 4;

struct Run {
    client: Client,
    hands: Hands,
    proxy: Proxy,
    erase: bool,
    what: String,
    n: u64,
}

impl Run {
    async fn new(client: &Client, namespace: String, kill: Kill, erase: bool) -> Self {
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
        let kube = Kube::new(client.clone(), Recorder::new(client.clone(), reporter), namespace.as_str(), "orders");
        let what = format!("{namespace}: {kill:?}, status {}", if erase { "erased" } else { "kept" });
        let proxy = Proxy::between(Arc::new(kube), Arc::new(world.clone()), kill);
        Self {
            client: client.clone(),
            hands: Hands { client: client.clone(), namespace, world },
            proxy,
            erase,
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
        let died = tokio::select! {
            done = pass(&self.proxy, &self.proxy, now, fresh) => {
                if let Err(error) = done {
                    assert!(error.is_conflict(), "{}: {error}", self.what);
                }
                false
            }
            () = self.proxy.killed.notified() => true,
        };
        if died {
            self.proxy.kill = Kill::Never;
            if self.erase {
                let patch = json!({ "status": null });
                self.clusters().patch_status("orders", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
            }
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
        self.clusters().patch("orders", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }
}

async fn cycle(client: &Client, namespace: String, kill: Kill, erase: bool) -> u64 {
    let mut run = Run::new(client, namespace, kill, erase).await;
    run.until("Ready", 1).await;
    run.ask(json!(keys::MAINTENANCE_SHUTDOWN)).await;
    run.until("Stopped", 1).await;
    run.ask(Value::Null).await;
    run.until("Ready", 2).await;
    run.until("JobsPreserved", 2).await;
    let state = run.hands.world.lock();
    assert_eq!((state.foundings, state.commits), (1, 1), "{}", run.what);
    run.proxy.writes.load(Ordering::SeqCst)
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
    let writes = cycle(&client, "quiet".into(), Kill::Never, false).await;
    println!("one quiet cycle: {writes} writes and commands in {:?}", begun.elapsed());
    // Each write has one of the four faults here; all four are in `kill.rs`.
    let runs: Vec<_> = (0..writes)
        .map(|n| (n, if n % 2 == 0 { Kill::Before(n) } else { Kill::After(n) }, n / 2 % 2 == 0))
        .map(|(n, kill, erase)| cycle(&client, format!("killed-at-{n}"), kill, erase))
        .collect();
    let ran = stream::iter(runs).buffer_unordered(AT_ONCE).count().await;
    println!("{ran} cycles, each killed at another write, in {:?}", begun.elapsed());
}

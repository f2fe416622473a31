//! What watches miss is seen: they end, they begin with 410, the API server answers 429 and 500, and a resource made
//! meanwhile gets its members all the same.
//!
//! Law: CRASH. The real controllers over a real API server; no members. Where no API server can be had the test fails and
//! says how to get one.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[allow(dead_code)]
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use jet_operator::api::JetCluster;
use jet_operator::controllers::{self, Context};
use jet_operator::process::Options;
use jet_operator::runtime::stop::Stop;
use jet_operator::runtime::telemetry::Telemetry;
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;
use server::faulty::{Faulty, Hit};

/// Every goal is reached within this, however loaded the machine is.
const WITHIN: Duration = Duration::from_secs(180);
/// Looked again after this.
const AGAIN: Duration = Duration::from_millis(200);
/// Requests in a row that meet a fault. Few: each lengthens the pause after it, as it should.
const STRUCK: u32 = 4;

async fn make(client: &Client, name: &str) {
    let cluster: JetCluster = serde_json::from_value(json!({
        "apiVersion": "jet.lossless.dev/v1alpha1", "kind": "JetCluster", "metadata": { "name": name },
        "spec": { "size": 3, "version": "0.1.0", "image": "x/jet-member:0.1.0" },
    }))
    .unwrap();
    Api::<JetCluster>::namespaced(client.clone(), "prod").create(&PostParams::default(), &cluster).await.unwrap();
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < WITHIN, "{what}: not within {WITHIN:?}");
        tokio::time::sleep(AGAIN).await;
    }
}

async fn has_members(client: &Client, name: &str) {
    let sets: Api<StatefulSet> = Api::namespaced(client.clone(), "prod");
    until(&format!("the StatefulSet of {name}"), async || sets.get_opt(name).await.unwrap().is_some()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_watches_miss_is_seen() {
    let Some(bin) = server::programs_or_left_out() else { return };
    let server = server::Server::start(bin);
    for namespace in ["jet-system", "prod"] {
        let (good, said) = server.kubectl(&["create", "namespace", namespace], "");
        assert!(good, "{said}");
    }
    let crds = server::room().join("../crds");
    let (good, said) = server.kubectl(&["apply", "-f", crds.to_str().expect("UTF-8")], "");
    assert!(good, "{said}");
    let (good, said) = server.kubectl(
        &[
            "wait",
            "--for=condition=Established",
            "--timeout=120s",
            "crd/jetclusters.jet.lossless.dev",
            "crd/jetjobs.jet.lossless.dev",
        ],
        "",
    );
    assert!(good, "{said}");

    let (client, faulty, stop) = (server.client(), Faulty::default(), Stop::default());
    let options = Options {
        watch: vec!["prod".into()],
        namespace: "jet-system".into(),
        lease: "lease".into(),
        identity: "one".into(),
        probes: None,
    };
    let context = Arc::new(Context::new(server.client_through(&faulty), &options, Arc::new(Telemetry::default())));
    let work = tokio::spawn(controllers::run(context, options.watch, stop.clone()));
    make(&client, "quiet").await;
    has_members(&client, "quiet").await;
    for (name, hit, writes) in [
        ("ended", None, false),
        ("gone", Some(Hit::Gone), false),
        ("busy", Some(Hit::Says(429)), false),
        ("failed", Some(Hit::Says(500)), false),
        ("written-busy", Some(Hit::Says(429)), true),
        ("lost", Some(Hit::LostReply), true),
    ] {
        let begun = Instant::now();
        strike(&faulty, hit, writes).await;
        make(&client, name).await;
        has_members(&client, name).await;
        println!("{name}: {:?}", begun.elapsed());
    }
    stop.throw();
    work.await.unwrap();
}

/// Every watch ends, and those of JetClusters that follow (or the next writes) meet `hit`. Ends when the watches have met it.
async fn strike(faulty: &Faulty, hit: Option<Hit>, writes: bool) {
    let met = Arc::new(AtomicU32::new(0));
    let count = met.clone();
    faulty.plan(move |asked| {
        let fits = if writes { asked.writes } else { asked.watches && asked.path.ends_with("/jetclusters") };
        let hit = hit.filter(|_| fits && count.load(Ordering::SeqCst) < STRUCK)?;
        count.fetch_add(1, Ordering::SeqCst);
        Some(hit)
    });
    faulty.cut_watches();
    if hit.is_some() && !writes {
        until("watches meet the fault", async || met.load(Ordering::SeqCst) == STRUCK).await;
    }
}

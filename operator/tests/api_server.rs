//! What the operator and its chart do against a real API server: rules, policies, key pairs, lease, JetJobs.
//!
//! Law: where no API server can be had the test fails and says how to get one. Must not know:
//! members (a scripted door stands for them).

// Helpers of a test stand outside of its function; what they cannot do ends the test with the reason.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod refused;
mod server;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jet_admin_api::client::CallError;
use jet_admin_api::job::{Guarantee, JobStatus, JobView, SubmitJob};
use jet_admin_api::member::MemberView;
use jet_admin_api::operation::{Done, JobWish};
use jet_operator::api::JetCluster;
use jet_operator::api::records::KeptWish;
use jet_operator::job::door::{Door, Shut};
use jet_operator::job::{self, JetJob, wishes};
use jet_operator::pki::custody::{CustodyError, Subject};
use jet_operator::pki::{self, authority_secret};
use jet_operator::runtime::election::Election;
use jet_operator::runtime::stop::Stop;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client, Resource};
use serde_json::json;
use server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn against_a_real_api_server() {
    let Some(bin) = server::programs_or_left_out() else { return };
    let server = Server::start(bin);
    let client = server.client();
    let without_the_chart = refused::plugin(&server, &["status", "orders"]);
    // Where nothing was installed, nothing stands against an uninstallation.
    jet_operator::uninstall::check(&client, &[]).await.unwrap();
    prepare(&server);
    for (name, verdict) in [
        ("rules refuse with the way out", rules(&server)),
        ("policies guard words, claims, records and members", policies(&server)),
    ] {
        println!("{name}: {verdict} checks");
    }
    println!("{} refusals are as docs/bad-input.md says", refused::all(&server, &client, without_the_chart).await);
    custody(&client).await;
    println!("key pairs: issued once, brought back, never replaced under running members");
    election(&client).await;
    println!("lease: one of two, given back, taken over");
    jobs(&client).await;
    println!("JetJob: submitted once, cancelled on deletion, wishes kept while stopped");
}

fn prepare(server: &Server) {
    let (good, said) = server.chart(&[]);
    assert!(!good && said.contains("image.repository is not set"), "{said}");
    let (good, chart) = server.chart(&["--set", "image.repository=registry.example"]);
    assert!(good, "{chart}");
    for namespace in ["jet-system", "prod"] {
        must(server.kubectl(&["create", "namespace", namespace], ""));
    }
    must(server.kubectl(&["apply", "-f", "-"], &chart));
    let established = [
        "wait",
        "--for=condition=Established",
        "--timeout=60s",
        "crd/jetclusters.jet.lossless.dev",
        "crd/jetjobs.jet.lossless.dev",
    ];
    must(server.kubectl(&established, ""));
    must(server.kubectl(&["apply", "-f", "-"], CLUSTER));
}

const CLUSTER: &str = r#"{"apiVersion": "jet.lossless.dev/v1alpha1", "kind": "JetCluster",
  "metadata": {"name": "orders", "namespace": "prod"}, "spec": {"size": 3, "version": "0.1.0", "image": "x/jet-member:0.1.0"}}"#;

fn must((good, said): (bool, String)) -> String {
    assert!(good, "{said}");
    said
}

/// Each command is refused with that word.
fn refused(server: &Server, table: &[(&[&str], &str)]) -> usize {
    for (command, word) in table {
        let (good, said) = server.kubectl(&[&["--namespace", "prod"], *command].concat(), "");
        assert!(!good && said.contains(word), "{command:?} should be refused with '{word}': {said}");
    }
    table.len()
}

fn rules(server: &Server) -> usize {
    let patch = |text: &'static str| ["patch", "jet", "orders", "--type=merge", "-p", text];
    let operation = r#"{"status":{"operation":{"id":"1-a","kind":"Stop","step":"Fenced","stepNumber":3,"requestedBy":"x","acceptedAt":"2026-01-01T00:00:00Z"}}}"#;
    let mut checks = refused(
        server,
        &[
            (&patch(r#"{"spec":{"size":0}}"#), "jet.lossless.dev/maintenance=shutdown"),
            (&patch(r#"{"spec":{"partitionCount":7}}"#), "fixed when the cluster is founded"),
            (&patch(r#"{"spec":{"state":"Off"}}"#), "Unsupported value"),
            (&patch(r#"{"spec":{"size":6}}"#), "larger clusters were not run under this operator yet"),
            (&patch(r#"{"spec":{"hotRestart":{"parallelism":2}}}"#), "writes one log"),
            (
                &patch(r#"{"spec":{"hotRestart":{"encryption":{"keysSecretName":"k","currentKey":"k/1"}}}}"#),
                "encryption.currentKey must be the name",
            ),
        ],
    );
    // What a Secret can have as a name, this can be.
    let named = patch(r#"{"spec":{"hotRestart":{"encryption":{"keysSecretName":"k","currentKey":"K_1.new-one"}}}}"#);
    must(server.kubectl(&[&["-n", "prod"], &named[..], &["--dry-run=server"]].concat(), ""));
    must(server.kubectl(
        &["-n", "prod", "patch", "jet", "orders", "--subresource=status", "--type=merge", "-p", operation],
        "",
    ));
    checks += refused(server, &[(&patch(r#"{"spec":{"size":5}}"#), "frozen while an operation is under way")]);
    must(server.kubectl(
        &[
            "-n",
            "prod",
            "patch",
            "jet",
            "orders",
            "--subresource=status",
            "--type=merge",
            "-p",
            r#"{"status":{"operation":null}}"#,
        ],
        "",
    ));
    must(server.kubectl(&[&["-n", "prod"], &patch(r#"{"spec":{"size":5}}"#)[..]].concat(), ""));
    must(server.kubectl(&[&["-n", "prod"], &patch(r#"{"spec":{"size":3}}"#)[..]].concat(), ""));
    checks
}

fn policies(server: &Server) -> usize {
    let objects = json!({ "apiVersion": "v1", "kind": "List", "items": [
        { "apiVersion": "v1", "kind": "PersistentVolumeClaim",
          "metadata": { "name": "data-orders-0", "namespace": "prod", "labels": { "jet.lossless.dev/cluster": "orders" },
            "annotations": { "jet.lossless.dev/store": r#"{"member":"m","seal":"0123456789abcdef0123"}"# } },
          "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } } },
        { "apiVersion": "v1", "kind": "ConfigMap",
          "metadata": { "name": "orders-seal-4", "namespace": "prod",
            "labels": { "jet.lossless.dev/cluster": "orders", "jet.lossless.dev/evidence": "seal" } },
          "data": { "record.json": r#"{"digest":"0123456789abcdef0123"}"# } },
        { "apiVersion": "apps/v1", "kind": "StatefulSet",
          "metadata": { "name": "orders", "namespace": "prod", "labels": { "jet.lossless.dev/cluster": "orders" } },
          "spec": { "replicas": 3, "serviceName": "x", "selector": { "matchLabels": labels() },
            "template": { "metadata": { "labels": labels() }, "spec": { "containers": [{ "name": "c", "image": "x" }] } } } },
    ] });
    must(server.kubectl(&["create", "-f", "-"], &objects.to_string()));
    must(server.kubectl(&["create", "clusterrolebinding", "dev", "--clusterrole=edit", "--user=dev"], ""));
    must(server.kubectl(
        &["create", "clusterrole", "patcher", "--verb=get,patch,update", "--resource=jetclusters.jet.lossless.dev"],
        "",
    ));
    must(server.kubectl(&["create", "clusterrolebinding", "patcher", "--clusterrole=patcher", "--user=dev"], ""));
    // Policies are compiled and watched: they hold a moment after they were made.
    let typo = ["-n", "prod", "annotate", "--dry-run=server", "jet", "orders", "jet.lossless.dev/maintenance=shutdwon"];
    let begun = std::time::Instant::now();
    while server.kubectl(&typo, "").0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "the policies are not in force");
        std::thread::sleep(Duration::from_millis(200));
    }
    let mut checks = refused(
        server,
        &[
            (&["annotate", "jet", "orders", "jet.lossless.dev/maintenance=shutdwon"], "one value: shutdown"),
            (&["annotate", "jet", "orders", "jet.lossless.dev/maintenance="], "one value: shutdown"),
            (&["annotate", "jet", "orders", "jet.lossless.dev/restart=a b"], "1 to 128 characters"),
            (
                &["annotate", "--as=dev", "jet", "orders", "jet.lossless.dev/maintenance=shutdown"],
                "jetclusters/maintenance",
            ),
            (
                &["annotate", "--as=dev", "jet", "orders", "jet.lossless.dev/accept-data-loss=abc"],
                "jetclusters/consent",
            ),
            (&["delete", "pvc", "data-orders-0", "--wait=false"], "sealed state of a stopped Jet cluster"),
            (
                &["annotate", "--overwrite", "pvc", "data-orders-0", "jet.lossless.dev/store=x"],
                "only the operator writes it",
            ),
            (&["delete", "cm", "orders-seal-4"], "sealed state of a stopped Jet cluster"),
            (&["delete", "sts", "orders", "--wait=false"], "maintenance=shutdown"),
            (&["scale", "sts", "orders", "--replicas=0"], "replicas of this StatefulSet are the operator's"),
            (
                &["patch", "sts", "orders", "--type=merge", "-p", r#"{"spec":{"replicas":0}}"#],
                "replicas of this StatefulSet are the operator's",
            ),
            (&["annotate", "sts", "orders", "jet.lossless.dev/operation=x"], "the operator's memory"),
            (
                &["delete", "crd", "jetclusters.jet.lossless.dev", "--wait=false"],
                "deleting the definition jetclusters.jet.lossless.dev deletes every JetCluster of every namespace",
            ),
        ],
    );
    must(server.kubectl(&["-n", "prod", "annotate", "jet", "orders", "jet.lossless.dev/maintenance=shutdown"], ""));
    must(server.kubectl(&["-n", "prod", "annotate", "jet", "orders", "jet.lossless.dev/maintenance-"], ""));
    for object in [["pvc", "data-orders-0"], ["cm", "orders-seal-4"]] {
        must(server.kubectl(
            &["-n", "prod", "annotate", object[0], object[1], "jet.lossless.dev/release=0123456789abcdef0123"],
            "",
        ));
        must(server.kubectl(&["-n", "prod", "delete", object[0], object[1], "--wait=false"], ""));
        checks += 1;
    }
    checks
}

fn labels() -> serde_json::Value {
    json!({ "app.kubernetes.io/name": "jet", "app.kubernetes.io/component": "member", "app.kubernetes.io/instance": "orders" })
}

async fn custody(client: &Client) {
    let clusters: Api<JetCluster> = Api::namespaced(client.clone(), "prod");
    let cluster = clusters.get("orders").await.unwrap();
    let mut subject = Subject {
        namespace: "prod".into(),
        cluster: "orders".into(),
        owner: cluster.controller_owner_ref(&()).unwrap(),
        ordinals: 3,
        no_pods: false,
    };
    let now = Timestamp::now();
    let ensure = async |subject: &Subject| pki::ensure(client, "jet-system", subject, now).await;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), "prod");
    let keys: Api<Secret> = Api::namespaced(client.clone(), "jet-system");
    let version = async || secrets.get("orders-members").await.unwrap().metadata.resource_version;

    let first = ensure(&subject).await.unwrap();
    first.material().client().unwrap();
    let written = version().await;
    assert_eq!(ensure(&subject).await.unwrap(), first);
    assert_eq!(version().await, written, "a second look writes nothing");

    subject.ordinals = 5;
    ensure(&subject).await.unwrap();
    let data = secrets.get("orders-members").await.unwrap().data.unwrap();
    assert_eq!(data.len(), 11, "{:?}", data.keys());
    assert!(!data.contains_key("ca.key"), "the authority's key stays in the operator's namespace");

    secrets.delete("orders-members", &DeleteParams::default()).await.unwrap();
    assert_eq!(ensure(&subject).await.unwrap(), first, "the same authority issues again");

    keys.delete(&authority_secret("prod", "orders"), &DeleteParams::default()).await.unwrap();
    let lost = ensure(&subject).await.unwrap_err();
    assert!(matches!(lost, CustodyError::Lost { .. }), "{lost}");
    subject.no_pods = true;
    let second = ensure(&subject).await.unwrap();
    assert_ne!(second.authority, first.authority);
    subject.no_pods = false;
    assert_eq!(ensure(&subject).await.unwrap(), second);
}

async fn election(client: &Client) {
    let stop = Stop::default();
    let candidate = |name: &str| Election::new(client.clone(), "jet-system", "lease", name);
    let (mut one, mut two) = (candidate("one"), candidate("two"));
    assert!(one.win(&stop, || ()).await);
    let early = tokio::time::timeout(Duration::from_secs(3), two.win(&stop, || ())).await;
    assert!(early.is_err(), "two leaders");
    one.release().await;
    let second = tokio::time::timeout(Duration::from_secs(10), two.win(&stop, || ())).await;
    assert_eq!(second, Ok(true), "a released lease is taken at the next look");
    let again = tokio::time::timeout(Duration::from_secs(3), one.win(&stop, || ())).await;
    assert!(again.is_err(), "two leaders");
}

/// Members that do what they are told.
#[derive(Default)]
struct Scripted {
    jobs: Mutex<Vec<JobView>>,
    log: Mutex<Vec<String>>,
    shut: Mutex<bool>,
}

#[async_trait]
impl Door for Scripted {
    async fn serving(&self) -> Result<MemberView, Shut> {
        if *self.shut.lock().unwrap() {
            return Err(Shut::Silent("nobody is there".into()));
        }
        let view = json!({
            "uuid": "00000000-0000-0000-0000-000000000001", "ordinal": 0, "boot": 1, "version": "t", "phase": "Serving",
            "ready": true, "doors_open": true,
            "store": { "state": "Open", "generation": 1, "volume_id": "v", "live_bytes": 0, "retained_bytes": 0, "free_bytes": 0 },
            "cluster": {
                "founding_id": "00000000-0000-0000-0000-00000000000f", "incarnation": 1, "generation": 1, "state": "ACTIVE",
                "applied_index": 1, "durable_index": 1, "roster": [], "roster_digest": "", "highest_operation": 0,
                "partitions": { "count": 1, "backups_wanted": 0, "fully_backed": 1, "absent": 0, "migrating": 0, "table_version": 1 },
                "jobs": *self.jobs.lock().unwrap(),
            },
        });
        Ok(serde_json::from_value(view).unwrap())
    }

    async fn submit(&self, job: &SubmitJob) -> Result<Done, CallError> {
        self.log.lock().unwrap().push(format!("submit {}", job.name));
        let mut jobs = self.jobs.lock().unwrap();
        let id = jobs.len() as u64 + 1;
        jobs.push(JobView {
            id,
            name: job.name.clone(),
            sql: job.sql.clone(),
            guarantee: Guarantee::ExactlyOnce,
            status: JobStatus::Running,
            execution: 1,
            failures: 0,
            cause: None,
            snapshot: None,
            started_from: None,
            verdict: None,
        });
        Ok(Done { index: id, what: "submitted".into() })
    }

    async fn job(&self, name: &str, verb: &str) -> Result<Done, CallError> {
        self.log.lock().unwrap().push(format!("{verb} {name}"));
        for job in self.jobs.lock().unwrap().iter_mut().filter(|job| job.name == name) {
            job.status = if verb == "cancel" { JobStatus::Cancelled } else { JobStatus::Suspended };
        }
        Ok(Done { index: 9, what: verb.into() })
    }
}

/// Passes over `name` until `done` says so; at most so many.
async fn passes(client: &Client, name: &str, door: &Scripted, done: impl Fn(Option<&JetJob>) -> bool) {
    let api: Api<JetJob> = Api::namespaced(client.clone(), "prod");
    let clusters: Api<JetCluster> = Api::namespaced(client.clone(), "prod");
    for _ in 0..12 {
        let found = api.get_opt(name).await.unwrap();
        if done(found.as_ref()) {
            return;
        }
        let found = found.expect("gone before its time");
        let cluster = clusters.get_opt("orders").await.unwrap();
        job::pass::pass(client, Arc::new(found), cluster.as_ref(), door, Timestamp::now()).await.unwrap();
    }
    panic!("{name} after 12 passes: {:#?}", api.get_opt(name).await.unwrap().map(|job| (job.metadata, job.status)));
}

async fn jobs(client: &Client) {
    let api: Api<JetJob> = Api::namespaced(client.clone(), "prod");
    let clusters: Api<JetCluster> = Api::namespaced(client.clone(), "prod");
    let make = async |name: &str| {
        let job = json!({ "apiVersion": "jet.lossless.dev/v1alpha1", "kind": "JetJob", "metadata": { "name": name },
            "spec": { "cluster": "orders", "sql": format!("CREATE JOB {name} AS INSERT INTO a SELECT 1") } });
        api.create(&Default::default(), &serde_json::from_value(job).unwrap()).await.unwrap()
    };
    let phase = |wanted: &'static str| {
        move |job: Option<&JetJob>| job.and_then(|job| job.status.as_ref()?.phase.as_deref()) == Some(wanted)
    };
    let door = Scripted::default();

    make("flights").await;
    passes(client, "flights", &door, phase("Running")).await;
    assert_eq!(*door.log.lock().unwrap(), ["submit flights"]);
    let running = api.get("flights").await.unwrap();
    job::pass::pass(
        client,
        Arc::new(running.clone()),
        clusters.get_opt("orders").await.unwrap().as_ref(),
        &door,
        Timestamp::now(),
    )
    .await
    .unwrap();
    let later = api.get("flights").await.unwrap();
    assert_eq!(later.metadata.resource_version, running.metadata.resource_version, "an unchanged world writes nothing");

    // Its job vanishes: it is lost, and not submitted again.
    let vanished = door.jobs.lock().unwrap().pop().unwrap();
    passes(client, "flights", &door, phase("Lost")).await;
    assert_eq!(door.log.lock().unwrap().len(), 1);
    door.jobs.lock().unwrap().push(vanished);
    passes(client, "flights", &door, phase("Running")).await;

    // Stopped: deletion is released at once and its cancellation kept; the next of that name does not erase it.
    let seal = json!({ "status": { "seal": { "record": "orders-seal-4", "operation": "4-ab", "generation": 1, "digest": "d",
        "committedAt": "2026-01-01T00:00:00Z", "live": true } } });
    clusters.patch_status("orders", &PatchParams::default(), &Patch::Merge(&seal)).await.unwrap();
    *door.shut.lock().unwrap() = true;
    api.delete("flights", &DeleteParams::default()).await.unwrap();
    passes(client, "flights", &door, |job| job.is_none()).await;
    let kept = wishes::read(client, "prod", "orders").await.unwrap();
    assert_eq!(
        (kept.record.operation.as_str(), &kept.record.wishes[..]),
        ("4-ab", &[KeptWish { wish: JobWish::Cancel { job: "flights".into() }, number: Some(1) }][..])
    );
    make("flights").await;
    passes(client, "flights", &door, phase("Pending")).await;

    // Open again: what came too late for the activation is settled first, then the new one is submitted.
    *door.shut.lock().unwrap() = false;
    assert!(job::settle::settle(client, "prod", "orders", &door).await.unwrap());
    assert!(!job::settle::settle(client, "prod", "orders", &door).await.unwrap());
    passes(client, "flights", &door, phase("Running")).await;
    assert_eq!(*door.log.lock().unwrap(), ["submit flights", "cancel flights", "submit flights"]);

    // Its status is lost: what was asked for it is written on it.
    api.patch_status("flights", &PatchParams::default(), &Patch::Merge(&json!({ "status": null }))).await.unwrap();
    assert_eq!(api.get("flights").await.unwrap().status, None);
    api.delete("flights", &DeleteParams::default()).await.unwrap();
    passes(client, "flights", &door, |job| job.is_none()).await;
    assert_eq!(door.log.lock().unwrap()[3..], ["cancel flights"]);
}

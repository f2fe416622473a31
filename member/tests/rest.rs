//! The Hazelcast-shaped REST of real members, and `jet-cluster-admin` against it: answers to the byte, changes of state,
//! shutdown and return, exit codes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod world;

use jet_admin_api::client::CallError;
use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::identity::Role;
use jet_admin_api::operation::OperationStep;
use jet_admin_api::refusal::Code;
use jet_admin_api::stop_request::{RequestAnswer, StopRequestView};
use world::rest::{admin, ask, ended, expect, get, health, hears, post, said, waiting};
use world::{CLUSTER, PASSWORD, World};

/// Longer than a leader takes what it sees for something that was there before it.
const LED: std::time::Duration = std::time::Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_groups_answer_as_a_real_member_does_and_closed_ones_not_at_all() {
    let mut world = World::with_rest(1, &[]);
    world.start_all();
    world.serving([0], ClusterStateView::Active).await;
    let port = world.rest_port(0);
    // Recorded from a real member of one.
    let well = concat!(
        r#"{"nodeState":"ACTIVE","clusterState":"ACTIVE","clusterSafe":true,"#,
        r#""migrationQueueSize":0,"clusterSize":1}"#
    );
    world
        .until("all is well", || async {
            let said = health(port)?;
            if said == well { Ok(()) } else { Err(said) }
        })
        .await;
    let (status, head, body) = ask(port, "GET", "/hazelcast/health", "").unwrap();
    assert_eq!((status, body.as_str()), (200, well));
    assert!(head.contains("Content-Type: application/json") && !head.contains("Date:"), "{head}");
    for (path, expected) in [
        ("/hazelcast/health/node-state", said(200, r#""ACTIVE""#)),
        ("/hazelcast/health/cluster-state", said(200, r#""ACTIVE""#)),
        ("/hazelcast/health/cluster-safe", said(200, "")),
        ("/hazelcast/health/migration-queue-size", said(200, "0")),
        ("/hazelcast/health/cluster-size", said(200, "1")),
        ("/hazelcast/health/ready", said(200, "")),
        ("/hazelcast/health/nope", said(400, "")),
        ("/hazelcast/rest/instance", said(200, r#"{"name":"orders-0"}"#)),
        ("/hazelcast/rest/license", said(404, "")),
        ("/hazelcast/rest/management/cluster/version", said(200, r#"{"status":"success","version":"1.0"}"#)),
        ("/hazelcast/rest/maps/m/k", None),
        ("/hazelcast/rest/management/cluster", None),
        ("/", None),
    ] {
        assert_eq!(get(port, path), expected, "{path}");
    }
    let few = r#"{"status":"fail","message":"This endpoint expects at least 2 parameters"}"#;
    let state = r#"{"status":"success","state":"active"}"#;
    for (body, expected) in [
        ("orders&pw", said(200, state)),
        ("orders&", said(200, state)),
        ("ord%65rs&pw&more", said(200, state)),
        ("clusterName=orders&password=pw", said(403, r#"{"status":"fail","message":"unauthenticated"}"#)),
        ("orders", said(400, few)),
        ("", said(400, few)),
    ] {
        assert_eq!(post(port, "state/", body), expected, "{body}");
    }
    let (_, head, _) = ask(port, "HEAD", "/hazelcast/health", "").unwrap();
    assert!(head.to_lowercase().contains("hazelcast-clusterstate: active"), "{head}");
    assert_eq!(ask(port, "HEAD", "/hazelcast/health/ready", "").unwrap().0, 404);
    assert_eq!(ask(port, "DELETE", "/hazelcast/rest/management/cluster/state", "").unwrap().0, 404);
    for closed in ["changeState", "clusterShutdown", "memberShutdown", "forceStart", "hotBackup"] {
        assert_eq!(post(port, closed, &format!("{CLUSTER}&{PASSWORD}&frozen")), None, "{closed}");
    }
    for method in ["OPTIONS", "PATCH", "HZC"] {
        assert!(ask(port, method, "/hazelcast/health", "").is_none(), "{method}");
    }
    expect(port, "-o get-state", 0, "The cluster state is 'active'.").await;
    expect(port, "-o change-state -s frozen", 52, "Is REST API enabled on the server?").await;
    world.kill(0);
    expect(port, "-o get-state", 7, "Unable to connect to the host. Is the server running?").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_is_changed_by_whoever_knows_the_password_and_by_nobody_else() {
    let mut world = World::with_rest(3, &["CLUSTER_WRITE", "HOT_RESTART"]);
    world.start_all();
    world.serving(0..3, ClusterStateView::Active).await;
    let port = world.rest_port(1);
    for (arguments, plain, strict, line) in [
        ("-o change-state -s frozen -c other", 0, 4, "does not take this cluster name and password"),
        ("-o change-state -s frozen -P wrong", 0, 4, "does not take this cluster name and password"),
        ("-o shutdown -P jet-pass", 0, 4, "does not take this cluster name and password"),
        ("-o change-state -s sleepy", 0, 2, "valid states are 'active', 'no_migration', 'frozen', 'passive'"),
        ("-o stop", 0, 2, "valid operations are 'get-state'"),
        ("-o force-start", 0, 3, "takes part in a cluster that runs"),
        ("-o partial-start", 0, 3, "nothing was changed"),
        ("-o change-cluster-version -v 4.1", 0, 3, "Node is compatible with: [1.0]"),
        ("-o get-cluster-version", 0, 0, "Cluster is at version 1.0."),
        ("-o change-cluster-version -v 1.0", 0, 0, "Cluster version changed to 1.0."),
    ] {
        expect(port, arguments, plain, line).await;
        expect(port, &format!("{arguments} --strict"), strict, line).await;
    }
    expect(port, "-o get-state", 0, "The cluster state is 'active'.").await;
    let (status, told) = post(port, "hotBackup", "orders&a pass%26word%25%2B").unwrap();
    assert!(status == 200 && told.contains("on 3 members"), "{status} {told}");
    world.put(0, "key", "value").await.unwrap();

    expect(port, "-o change-state -s FROZEN --wait", 0, "The cluster is now in the 'frozen' state").await;
    expect(port, "-o change-state -s frozen --strict", 0, "Cluster is already in the 'frozen' state.").await;
    world.put(0, "key", "written in frozen").await.unwrap();
    // A member missing is told, and the state is not left without it: what a real member would drop.
    world.kill(2);
    for ordinal in [0, 1] {
        world
            .until("the absence is noticed", || async {
                let health = health(world.rest_port(ordinal))?;
                if health.contains(r#""clusterSafe":false"#) && health.contains(r#""clusterSize":2"#) {
                    Ok(())
                } else {
                    Err(health)
                }
            })
            .await;
    }
    assert_eq!(get(port, "/hazelcast/health/cluster-safe"), said(503, ""));
    world
        .until("a leader refuses, by the name of the missing", || async {
            let (code, text) = admin(port, "-o change-state -s active --strict").await;
            if code == 3 && text.contains("member 2") && text.contains("is not back") { Ok(()) } else { Err(text) }
        })
        .await;
    world.start(2);
    world.serving(0..3, ClusterStateView::Frozen).await;
    expect(port, "-o change-state -s passive --wait", 0, "The cluster is now in the 'passive' state").await;
    // Doors close one after another, each when its member has applied the change.
    world
        .until("writers are refused", || async {
            match world.put(1, "late", "value").await {
                Err(CallError::Refused(why)) if why.code == Code::DoorsClosed => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    assert_eq!(world.get(1, "key").await.unwrap().as_deref(), Some("written in frozen"));
    assert_eq!(get(port, "/hazelcast/health/ready"), said(200, ""));
    expect(port, "-o change-state -s active --wait", 0, "The cluster is now in the 'active' state").await;
    world.serving(0..3, ClusterStateView::Active).await;
    world.put(2, "key", "and on").await.unwrap();

    // Who is wrong again and again has to wait, and is not judged meanwhile.
    let form = |password: &str| format!("orders&{password}&frozen");
    let braked = (0..20).map(|_| post(port, "changeState", &form("wrong")).unwrap()).find(|(status, _)| *status != 403);
    let (status, why) = braked.expect("a brake");
    assert!(status == 429 && why.contains("from 127.0.0.1") && why.contains("ask again in"), "{status} {why}");
    expect(port, "-o get-state", 0, "The cluster state is 'active'.").await;
    world
        .until("the right one is judged again", || async {
            match post(port, "changeState", &form("a pass%26word%25%2B")).unwrap() {
                (200, _) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_ends_every_process_and_the_former_state_comes_back_by_itself() {
    let mut world = World::with_rest(3, &["CLUSTER_WRITE"]);
    world.start_all();
    world.serving(0..3, ClusterStateView::Active).await;
    world.put(0, "key", "value").await.unwrap();
    let port = world.rest_port(0);
    // Where we differ on purpose: with --wait the line is true when it is printed.
    expect(port, "-o shutdown --wait", 0, "Cluster shutdown completed.").await;
    world.all_end();

    world.start(0);
    world.start(1);
    world
        .until("two of three wait", || async {
            let health = health(world.rest_port(0))?;
            let waits = health.contains(r#""nodeState":"STARTING","clusterState":"IN_TRANSITION","clusterSafe":false"#);
            let missing = world.view(0).await?.waiting_for;
            if waits && missing.contains("member 2") { Ok(()) } else { Err(format!("{health} {missing}")) }
        })
        .await;
    assert_eq!(get(world.rest_port(0), "/hazelcast/health/ready"), said(503, ""));
    world.start(2);
    world.serving(0..3, ClusterStateView::Active).await;
    assert_eq!(world.get(2, "key").await.unwrap().as_deref(), Some("value"));

    // A state that a person chose survives.
    expect(port, "-o change-state -s passive --wait", 0, "'passive'").await;
    expect(port, "-o shutdown --wait", 0, "Cluster shutdown completed.").await;
    world.all_end();
    world.start_all();
    world
        .until("passive again, by no operation any more", || async {
            let cluster = world.view(0).await?.cluster.ok_or("no cluster")?;
            let step = cluster.operation.map(|operation| operation.step);
            let back = cluster.state == ClusterStateView::Passive && step == Some(OperationStep::Opened);
            if back { Ok(()) } else { Err(format!("{:?} {step:?}", cluster.state)) }
        })
        .await;
    expect(port, "-o get-state", 0, "The cluster state is 'passive'.").await;
    expect(port, "-o change-state -s active --wait", 0, "'active'").await;
    world.serving(0..3, ClusterStateView::Active).await;
    assert_eq!(world.get(1, "key").await.unwrap().as_deref(), Some("value"));

    let form = "orders&a pass%26word%25%2B";
    assert_eq!(post(world.rest_port(2), "memberShutdown", form), said(200, r#"{"status":"success"}"#));
    world.members.remove(&2).unwrap().ends(world::PATIENCE);
    world.start(2);
    world.serving(0..3, ClusterStateView::Active).await;
}

/// The last stop that was asked of the members, once `fits`.
async fn request(world: &World, fits: impl Fn(&StopRequestView) -> bool) -> StopRequestView {
    world
        .until("the request is as it must be", || async {
            let request = world.view(0).await?.cluster.and_then(|cluster| cluster.stop_request);
            request.clone().filter(&fits).ok_or_else(|| format!("{request:?}"))
        })
        .await
}

/// What a leader finds in its first moments is declined as asked of another: this law is one of time.
async fn has_led(world: &World) {
    let begun = std::time::Instant::now();
    let over = || async { if begun.elapsed() > LED { Ok(()) } else { Err("not yet".to_owned()) } };
    world.until("the leader has led for longer than that", over).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_an_operator_a_shutdown_is_remembered_for_it_and_it_is_told_what_becomes_of_it() {
    let mut world = World::with_rest(1, &["CLUSTER_WRITE"]);
    world.permit_from = "operator";
    world.start_all();
    world.found().await;
    let port = world.rest_port(0);
    let (status, why) = post(port, "memberShutdown", "orders&a pass%26word%25%2B").unwrap();
    assert!(status == 500 && why.contains("delete its pod"), "{why}");
    let nothing = r#"{"status":"fail","message":"there was no operation yet"}"#;
    assert_eq!(post(port, "operation", "orders&"), said(200, nothing));

    has_led(&world).await;
    // Asked twice it is one wish, and nothing is begun by it.
    for _ in 0..2 {
        expect(port, "-o shutdown --strict", 0, "the operator stops the cluster (kubectl get jetcluster orders)").await;
    }
    let first = request(&world, |request| request.answer.is_none()).await;
    assert_eq!(first.requested_by, "rest");
    let asks = world.client_as(0, Role::Admin).request_stop().await.unwrap();
    assert_eq!(asks.what, "already so");
    for role in [Role::Client, Role::Member(0)] {
        let refused = world.client_as(0, role).request_stop().await;
        assert!(matches!(refused, Err(CallError::Refused(why)) if why.code == Code::Forbidden));
    }
    expect(port, "-o get-state", 0, "The cluster state is 'active'.").await;

    // The operator says no.
    let (waits, mut said) = waiting(port, "-o shutdown --wait");
    hears(&mut said, "remember this request").await;
    let no = RequestAnswer { taken_up: false, why: "it is not tried again by itself".into() };
    world.operator(0).answer_request(first.asked, &no).await.unwrap();
    let (code, text) = ended(waits.wait_with_output().await.unwrap());
    assert!(code == 3 && text.contains("the cluster goes on: the stop is not made: it is not tried again"), "{text}");

    // It says yes, and does it.
    let (waits, mut said) = waiting(port, "-o shutdown --wait");
    let second = request(&world, |request| request.answer.is_none()).await;
    assert!(second.asked > first.asked);
    let generation = world.stop("1-a").await;
    hears(&mut said, "Committed").await;
    world.terminate_all();
    let (code, text) = ended(waits.wait_with_output().await.unwrap());
    assert!(code == 0 && text.contains("Cluster shutdown completed."), "{text}");
    world.start_all();
    world.resume("1-a", generation).await;
    let done = request(&world, |request| request.asked == second.asked).await.answer.unwrap();
    assert_eq!((done.taken_up, done.why.as_str()), (true, "operation 1-a began"));

    // It dies with the cluster that it was asked of.
    has_led(&world).await;
    expect(port, "-o shutdown --strict", 0, "Cluster shutdown completed.").await;
    request(&world, |request| request.answer.is_none()).await;
    world.kill(0);
    world.start(0);
    world.serving([0], ClusterStateView::Active).await;
    let void = request(&world, |request| request.answer.is_some()).await.answer.unwrap();
    // The recovery ends it, or the leader that finds it, whoever comes first.
    let why = void.why.contains("started anew") || void.why.contains("leader changed");
    assert!(!void.taken_up && why, "{void:?}");
    let told = post(port, "operation", "orders&").unwrap().1;
    assert!(told.contains(r#""status":"fail""#) && told.contains("the stop is not made"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_port_speaks_tls_to_admins_of_the_cluster() {
    let mut world = World::with_rest(1, &[]);
    world.start_all();
    world.serving([0], ClusterStateView::Active).await;
    let port = world.rest_port(0);
    let with = |role: Role| {
        let dir = world.dir.path();
        let material = world.pki.issue(role);
        for (name, pem) in [("ca.pem", &material.ca), ("cert.pem", &material.cert), ("key.pem", &material.key)] {
            std::fs::write(dir.join(name), pem).unwrap();
        }
        let at = |name| dir.join(name).display().to_string();
        format!("--https --cacert {} --cert {} --key {}", at("ca.pem"), at("cert.pem"), at("key.pem"))
    };
    expect(port, &with(Role::Admin), 0, "The cluster state is 'active'.").await;
    expect(port, &with(Role::Client), 52, "Unable to send or receive data").await;
    expect(port, "--https", 2, "--cacert").await;
    expect(port, "--https --insecure", 2, "--insecure is refused").await;
}

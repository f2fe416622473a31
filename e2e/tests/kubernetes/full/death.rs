//! Things that die in the middle of something.
//!
//! Law: whatever dies, the same end is reached after repair, and what is sealed stays closed.

use std::time::{Duration, Instant};

use jet_e2e::faults::{crash_node, kill_pod, kill_program, operator_pod, signal_pod, start_node};
use jet_e2e::forbidden::Forbidden;
use jet_e2e::jet::{Jet, OPERATION};
use jet_e2e::shell::{attempt, holds_for, run, wait_for};
use jet_e2e::world::World;

/// Long enough for several passes of the operator.
const A_WHILE: Duration = Duration::from_secs(8);

/// A member's node on which the operator does not run.
fn node_without_operator(world: &World, jet: &Jet<'_>) -> (String, String) {
    let operator = operator_pod().expect("a lease holder");
    let node_of = |namespace: &str, pod: &str| {
        run("kubectl", &["-n", namespace, "get", "pod", pod, "-o", "jsonpath={.spec.nodeName}"])
    };
    let elsewhere = node_of("jet-system", &operator);
    let placed = jet.pods().into_iter().map(|pod| (node_of(&world.namespace, &pod), pod));
    placed.into_iter().find(|(node, _)| *node != elsewhere).expect("a member on another node")
}

/// Looks, as fast as kubectl can, until the open operation is at a step or beyond all of them.
fn crash_at(jet: &Jet<'_>, node: &str, step: &str, end: &str) -> String {
    let from = Instant::now();
    loop {
        let now = jet.status("/operation/step");
        if now == step || jet.condition(end).0 == "True" {
            crash_node(node);
            return now;
        }
        assert!(from.elapsed() < OPERATION, "{step} was not seen; the step is '{now}'");
    }
}

#[test]
fn node_crashed_in_each_step() {
    let world = World::new("node_crashed_in_each_step");
    let jet = Jet::ready_with(&world, "orders", 3, "  maintenance:\n    commitWithinSeconds: 20\n");
    // Enough state that each step takes a while.
    jet.ledger(10_000, 2_000, 2_000);
    let mut counted = jet.counted_beyond(20_000);
    let uuids = jet.uuids();
    let (node, pod) = node_without_operator(&world, &jet);
    let mut met = Vec::new();
    for step in ["Fenced", "Frozen", "Sealed", "Committed"] {
        let hold = (step == "Committed").then(|| Forbidden::seal_records(&world));
        jet.ask_stop();
        met.push(format!("stop {}", crash_at(&jet, &node, step, "Stopped")));
        start_node(&node);
        drop(hold);
        wait_for("the stop ends one way or the other", OPERATION, || {
            match (jet.condition("Stopped"), jet.condition("Stalled")) {
                ((stopped, _), _) if stopped == "True" => Ok(()),
                (_, (stalled, why)) if stalled == "True" && why.contains("StopNotRetried") => Ok(()),
                ((_, why), (_, stalled)) => Err(format!("{why}; {stalled}; {}", jet.status("/operation"))),
            }
        });
        jet.ask_return();
        jet.wait("MembersComplete", "True");
        jet.wait("DoorsOpen", "True");
        jet.wait("Ready", "True");
        counted = jet.counted_beyond(counted);
    }
    for step in ["ScaledUp", "MembersComplete", "Activated", "JobsVerified"] {
        jet.stop();
        jet.ask_return();
        met.push(format!("return {}", crash_at(&jet, &node, step, "DoorsOpen")));
        start_node(&node);
        wait_for("all doors are open", OPERATION, || match jet.condition("DoorsOpen") {
            (status, _) if status == "True" && jet.condition("MembersComplete").0 == "True" => Ok(()),
            (status, why) => Err(format!("{status} {why} {}", jet.status("/operation"))),
        });
        jet.wait("Ready", "True");
        counted = jet.counted_beyond(counted);
    }
    println!("{pod} on {node} crashed at: {met:?}");
    let different: std::collections::BTreeSet<_> = met.iter().collect();
    assert!(different.len() >= 5, "crashes met several steps, not only {met:?}");
    assert_eq!(jet.uuids(), uuids);
}

#[test]
fn apiserver_restarted_in_mid_stop() {
    let world = World::new("apiserver_restarted_in_mid_stop");
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(10_000, 2_000, 2_000);
    let mut counted = jet.counted_beyond(20_000);
    let uuids = jet.uuids();
    let back = || {
        wait_for("the API server answers again", Duration::from_secs(60), || {
            attempt("kubectl", &["get", "--raw", "/readyz"], None)
        });
    };
    let mut met = Vec::new();
    for step in ["Fenced", "Frozen", "Committed"] {
        jet.ask_stop();
        met.push(wait_for("it has begun", OPERATION, || match jet.status("/operation/step") {
            now if now == step || jet.condition("Stopped").0 == "True" => Ok(now),
            now => Err(now),
        }));
        kill_program("apiserver");
        back();
        jet.wait("Stopped", "True");
        jet.ask_return();
        kill_program("apiserver");
        back();
        jet.wait("DoorsOpen", "True");
        jet.wait("Ready", "True");
        counted = jet.counted_beyond(counted);
    }
    println!("killed at {met:?}");
    assert!(
        met.iter().any(|step| !["Stopped", ""].contains(&&**step)),
        "it was killed in the middle of a stop: {met:?}"
    );
    assert_eq!(jet.uuids(), uuids);
}

#[test]
fn sealed_member_restarted_by_the_kubelet_stays_closed() {
    let world = World::new("sealed_member_restarted_by_the_kubelet_stays_closed");
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(10, 500, 0);
    let counted = jet.counted_beyond(1_000);
    let hold = Forbidden::replicas_0(&world);
    jet.ask_stop();
    wait_for("the seal is recorded and the pods cannot go", OPERATION, || match jet.seal() {
        seal if seal.is_empty() => Err(jet.status("/operation")),
        seal => Ok(seal),
    });
    let seal = jet.seal();
    let before = jet.members().view(1).unwrap().boot;
    kill_pod(&world.namespace, "orders-1");
    wait_for("the kubelet started it again", OPERATION, || {
        let view = jet.members().view(1)?;
        if view.boot > before { Ok(()) } else { Err(format!("boot {}", view.boot)) }
    });
    holds_for("it and the others stay closed", A_WHILE, || {
        for ordinal in 0..3 {
            let view = jet.members().view(ordinal)?;
            if view.ready || view.doors_open || !view.work.is_empty() {
                return Err(format!("member {ordinal} is open: {:?}", view.phase));
            }
        }
        match jet.members().get(1, "notes", "x") {
            Err(_) => Ok(()),
            Ok(value) => Err(format!("served {value:?}")),
        }
    });
    drop(hold);
    jet.wait("Stopped", "True");
    assert_eq!(jet.seal(), seal, "one seal");
    jet.come_back();
    jet.counted_beyond(counted);
}

#[test]
fn namespace_deleted_in_mid_stop() {
    let world = World::new("namespace_deleted_in_mid_stop");
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(10, 500, 0);
    jet.counted_beyond(1_000);
    let hold = Forbidden::replicas_0(&world);
    jet.ask_stop();
    wait_for("it is in the middle", OPERATION, || match jet.seal() {
        seal if seal.is_empty() => Err(jet.status("/operation")),
        _ => Ok(()),
    });
    let restarts = || {
        let all = "jsonpath={range .items[*]}{.metadata.name}={.status.containerStatuses[*].restartCount} {end}";
        run("kubectl", &["-n", "jet-system", "get", "pods", "-l", "app.kubernetes.io/name=jet-operator", "-o", all])
    };
    let before = restarts();
    run("kubectl", &["delete", "namespace", &world.namespace, "--timeout=240s"]);
    drop(hold);
    let left = attempt("kubectl", &["get", "namespace", &world.namespace], None).unwrap_err();
    assert!(left.contains("NotFound"), "{left}");
    assert_eq!(restarts(), before, "the operator goes on");
}

#[test]
fn second_operator_is_fenced() {
    let world = World::new("second_operator_is_fenced");
    run("kubectl", &["-n", "jet-system", "scale", "deployment/jet-operator", "--replicas=2"]);
    run("kubectl", &["-n", "jet-system", "rollout", "status", "deployment/jet-operator", "--timeout=120s"]);
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(10, 500, 0);
    let mut counted = jet.counted_beyond(1_000);
    for round in 0..2 {
        let holder = operator_pod().expect("a lease holder");
        if round == 1 {
            // It is frozen in the middle of an operation of its own.
            jet.ask_stop();
            wait_for("the stop has begun", OPERATION, || match jet.status("/operation/id") {
                id if id.is_empty() => Err("none".into()),
                id => Ok(id),
            });
        }
        signal_pod("jet-system", &holder, "STOP");
        wait_for("the other one leads", OPERATION, || match operator_pod() {
            Some(now) if now != holder => Ok(()),
            other => Err(format!("{other:?}")),
        });
        if round == 0 {
            jet.ask_stop();
        }
        // The first wakes while the second works: whatever it still holds in its hand is refused.
        signal_pod("jet-system", &holder, "CONT");
        jet.wait("Stopped", "True");
        let records = world.kubectl(&["get", "configmap", "-l", "jet.lossless.dev/evidence=seal", "-o", "name"]);
        assert_eq!(records.lines().count(), round + 1, "one seal a stop: {records}");
        jet.come_back();
        counted = jet.counted_beyond(counted);
    }
    let history = jet.object().pointer("/status/history").and_then(|h| h.as_array().map(Vec::len));
    assert_eq!(history, Some(2), "two operations, each once");
    run("kubectl", &["-n", "jet-system", "scale", "deployment/jet-operator", "--replicas=1"]);
}

//! Requests that must be refused, with nothing changed.
//!
//! Law: a refusal is seen where a person looks (conditions, admission), and what ran goes on.

use std::time::Duration;

use jet_e2e::faults::{crash_node, empty_volume, operator_pod, start_node};
use jet_e2e::jet::{Jet, OPERATION};
use jet_e2e::policies::Policies;
use jet_e2e::shell::{holds_for, run, wait_for};
use jet_e2e::world::World;

#[test]
fn stop_refused_while_a_member_is_down() {
    let world = World::new("stop_refused_while_a_member_is_down");
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(10, 500, 0);
    let counted = jet.counted_beyond(1_000);
    let node_of = |namespace: &str, pod: &str| {
        run("kubectl", &["-n", namespace, "get", "pod", pod, "-o", "jsonpath={.spec.nodeName}"])
    };
    let operator = operator_pod().expect("a lease holder");
    let elsewhere = node_of("jet-system", &operator);
    let pod = jet.pods().into_iter().find(|pod| node_of(&world.namespace, pod) != elsewhere).expect("another node");
    let node = node_of(&world.namespace, &pod);
    crash_node(&node);
    wait_for("the members miss it", OPERATION, || match jet.condition("MembersComplete") {
        (status, why) if status == "False" && why.contains(&pod) => Ok(()),
        (status, why) => Err(format!("{status} {why}")),
    });
    jet.ask_stop();
    let why = wait_for("the refusal names the member", OPERATION, || match jet.condition("StopReady") {
        (status, why) if status == "False" && why.contains(&pod) => Ok(why),
        (status, why) => Err(format!("{status} {why}")),
    });
    println!("{why}");
    holds_for("nothing is changed", Duration::from_secs(5), || {
        let (pods, object) = (jet.pods(), jet.object());
        let replicas = object.pointer("/status/replicas").cloned().unwrap_or_default();
        let step = object.pointer("/status/operation/step").and_then(|s| s.as_str()).unwrap_or("none").to_owned();
        let asleep = ["none", "Preflight"].contains(&step.as_str());
        if pods.len() == 3 && asleep { Ok(()) } else { Err(format!("{pods:?}, replicas {replicas}, step {step}")) }
    });
    jet.ask_return();
    start_node(&node);
    jet.wait("MembersComplete", "True");
    jet.wait("Ready", "True");
    jet.counted_beyond(counted);
}

#[test]
fn unknown_annotation_value_is_refused() {
    let world = World::new("unknown_annotation_value_is_refused");
    let jet = Jet::ready(&world, "orders", 3);
    let said =
        world.try_kubectl(&["annotate", "jetcluster", "orders", "jet.lossless.dev/maintenance=shutdwon"]).unwrap_err();
    assert!(said.contains("shutdown"), "admission says what may be asked: {said}");

    let without = Policies::taken_away();
    wait_for("the policy is gone", Duration::from_secs(30), || {
        world.try_kubectl(&["annotate", "jetcluster", "orders", "jet.lossless.dev/maintenance=shutdwon", "--overwrite"])
    });
    let why = jet.wait_reason("Stalled", "InvalidRequest");
    println!("{why}");
    holds_for("running stays running", Duration::from_secs(5), || {
        if jet.pods().len() == 3 { Ok(()) } else { Err(format!("{:?}", jet.pods())) }
    });
    jet.ask_return();
    drop(without);
}

#[test]
fn blank_volumes_never_found_a_second_cluster() {
    let world = World::new("blank_volumes_never_found_a_second_cluster");
    let jet = Jet::ready(&world, "orders", 3);
    jet.stop();
    let said = world.try_kubectl(&["delete", "pvc", "--all", "--timeout=60s"]).unwrap_err();
    assert!(said.contains("sealed state"), "sealed claims are not deleted: {said}");
    for ordinal in 0..3 {
        empty_volume(&world.namespace, &format!("data-orders-{ordinal}"));
    }
    jet.ask_return();
    let why = jet.wait_reason("MembersComplete", "orders-");
    println!("{why}");
    holds_for("nothing is founded anew", Duration::from_secs(8), || {
        let (doors, why) = jet.condition("DoorsOpen");
        if doors == "True" { Err(why) } else { Ok(()) }
    });
}

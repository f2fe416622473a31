//! Stops and returns that must succeed.
//!
//! Law: after each, the members are the original ones and the ledger has counted every number exactly once.

use std::time::Duration;

use jet_e2e::faults::scale_operator;
use jet_e2e::jet::{Jet, OPERATION};
use jet_e2e::shell::{holds_for, run, wait_for};
use jet_e2e::world::World;

#[test]
fn lossless_stop_and_return() {
    let world = World::new("lossless_stop_and_return");
    world.readme("apply");
    let jet = Jet { world: &world, name: "orders".into() };
    jet.wait("Ready", "True");
    let counted = jet.counted_beyond(2_000);
    let uuids = jet.uuids();
    assert_eq!(uuids.len(), 3, "three members are in the roster");
    jet.members().put(0, "notes", "before", "the stop").unwrap();

    world.readme("stop");
    assert_eq!(jet.pods(), Vec::<String>::new(), "Stopped means that no pod is left");

    world.readme("return");
    jet.wait("Ready", "True");
    assert_eq!(jet.uuids(), uuids, "the original members are back");
    assert_eq!(jet.members().get(1, "notes", "before").unwrap().as_deref(), Some("the stop"));
    jet.counted_beyond(counted + 1_000);
    let (verdict, why) = jet.condition("JobsPreserved");
    assert_eq!(verdict, "True", "{why}");
    let events = world.kubectl(&[
        "get",
        "events",
        "--field-selector",
        "involvedObject.kind=JetCluster",
        "-o",
        "custom-columns=R:.reason,M:.message",
    ]);
    println!("{events}");
}

#[test]
fn stop_by_spec_state_and_return() {
    let world = World::new("stop_by_spec_state_and_return");
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(10, 500, 0);
    let counted = jet.counted_beyond(1_000);
    let wish = |state: &str| {
        world.kubectl(&[
            "patch",
            "jetcluster",
            "orders",
            "--type=merge",
            "-p",
            &format!("{{\"spec\":{{\"state\":\"{state}\"}}}}"),
        ])
    };
    wish("Stopped");
    jet.wait("Stopped", "True");
    assert_eq!(jet.pods(), Vec::<String>::new());
    wish("Running");
    jet.wait("DoorsOpen", "True");
    jet.counted_beyond(counted);
}

#[test]
fn return_waits_for_a_missing_member() {
    let world = World::new("return_waits_for_a_missing_member");
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(10, 500, 0);
    let counted = jet.counted_beyond(1_000);
    let node = world.kubectl(&["get", "pod", "orders-2", "-o", "jsonpath={.spec.nodeName}"]);
    jet.stop();

    run("kubectl", &["cordon", &node]);
    jet.ask_return();
    jet.wait_reason("MembersComplete", "orders-2");
    let answers = || wait_for("the members that are there answer", OPERATION, || jet.members().view(0).map(drop));
    answers();
    holds_for("no client is served and no job runs while orders-2 is missing", Duration::from_secs(8), || {
        let work = jet.members().view(0)?.work;
        match jet.members().get(0, "notes", "x") {
            Err(_) if work.is_empty() => Ok(()),
            Err(_) => Err(format!("member 0 works: {work:?}")),
            Ok(value) => Err(format!("member 0 served {value:?}")),
        }
    });
    run("kubectl", &["uncordon", &node]);
    jet.wait("DoorsOpen", "True");
    let counted = jet.counted_beyond(counted);

    jet.stop();
    run("kubectl", &["cordon", &node]);
    jet.ask_return();
    jet.wait_reason("MembersComplete", "orders-2");
    scale_operator(0);
    answers();
    holds_for("without the operator the members alone hold the barrier", Duration::from_secs(8), || {
        let view = jet.members().view(0)?;
        if view.doors_open || view.ready { Err(format!("{:?}, doors open", view.phase)) } else { Ok(()) }
    });
    run("kubectl", &["uncordon", &node]);
    wait_for("the complete roster waits, closed, for Activate", OPERATION, || {
        let view = jet.members().view(0)?;
        if format!("{:?}", view.phase) == "WaitingForActivate" {
            Ok(())
        } else {
            Err(format!("{:?}: {}", view.phase, view.waiting_for))
        }
    });
    assert!(jet.members().get(0, "notes", "x").is_err(), "closed until Activate");
    scale_operator(1);
    jet.wait("DoorsOpen", "True");
    jet.counted_beyond(counted);
}

#[test]
fn delete_keeps_volumes() {
    let world = World::new("delete_keeps_volumes");
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(10, 500, 0);
    let counted = jet.counted_beyond(1_000);
    let uuids = jet.uuids();
    jet.members().put(0, "notes", "before", "the deletion").unwrap();
    world.kubectl(&["delete", "jetcluster", "orders", "--timeout=240s"]);
    let claims = world.kubectl(&["get", "pvc", "-o", "name"]);
    assert_eq!(claims.lines().count(), 3, "deleting keeps the volumes: {claims}");
    assert_eq!(jet.pods(), Vec::<String>::new(), "deletion is a stop");
    world.apply(&jet.manifest(3)).unwrap();
    jet.wait("DoorsOpen", "True");
    jet.wait("Ready", "True");
    assert_eq!(jet.uuids(), uuids, "the original members are back");
    assert_eq!(jet.members().get(1, "notes", "before").unwrap().as_deref(), Some("the deletion"));
    jet.counted_beyond(counted);
}

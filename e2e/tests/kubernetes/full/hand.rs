//! A colleague's kubectl.
//!
//! Law: what would lose state is refused at the door, operator or not; where the door is open it loses nothing.

use std::time::Duration;

use jet_e2e::faults::Cordoned;
use jet_e2e::jet::{Jet, OPERATION};
use jet_e2e::policies::Policies;
use jet_e2e::shell::{attempt, holds_for, wait_for};
use jet_e2e::world::World;

/// Long enough for several passes of the operator.
const A_WHILE: Duration = Duration::from_secs(8);

/// Boot numbers of all members.
fn boots(jet: &Jet<'_>) -> Result<Vec<u64>, String> {
    (0..3).map(|ordinal| jet.members().view(ordinal).map(|view| view.boot)).collect()
}

#[test]
fn scale_sts_by_hand() {
    let world = World::new("scale_sts_by_hand");
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(10, 500, 0);
    let counted = jet.counted_beyond(1_000);
    let uuids = jet.uuids();
    for refused in [
        &["scale", "statefulset", "orders", "--replicas=0"][..],
        &["patch", "statefulset", "orders", "-p", r#"{"spec":{"replicas":2}}"#],
        &["delete", "statefulset", "orders", "--cascade=orphan", "--timeout=10s"],
        // What becomes of the claims, who restarts pods, and which pods there are.
        &[
            "patch",
            "statefulset",
            "orders",
            "-p",
            r#"{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenScaled":"Delete"}}}"#,
        ],
        &["patch", "statefulset", "orders", "-p", r#"{"spec":{"updateStrategy":{"type":"RollingUpdate"}}}"#],
        &["patch", "statefulset", "orders", "-p", r#"{"spec":{"ordinals":{"start":3}}}"#],
    ] {
        let said = world.try_kubectl(refused).expect_err("it is refused");
        let way_out = said.contains("jet.lossless.dev/maintenance=shutdown") || said.contains("change the JetCluster");
        assert!(way_out, "the way out is named: {said}");
        println!("{}", said.lines().last().unwrap_or_default());
    }
    assert_eq!(jet.pods().len(), 3);
    let mut counted = jet.counted_beyond(counted);

    let without = Policies::taken_away();
    let lets_go = r#"{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenScaled":"Delete","whenDeleted":"Delete"}}}"#;
    wait_for("the policy is gone", Duration::from_secs(60), || {
        world.try_kubectl(&["patch", "statefulset", "orders", "-p", lets_go])
    });
    let keeps = "jsonpath={.spec.persistentVolumeClaimRetentionPolicy.whenScaled}";
    wait_for("claims are kept again", OPERATION, || {
        match world.kubectl(&["get", "statefulset", "orders", "-o", keeps]).as_str() {
            "Retain" => Ok(()),
            word => Err(word.to_owned()),
        }
    });
    for replicas in ["0", "1"] {
        let before = boots(&jet).expect("all answer");
        wait_for("the policy is gone", Duration::from_secs(60), || {
            world.try_kubectl(&["scale", "statefulset", "orders", &format!("--replicas={replicas}")])
        });
        wait_for("the operator sets it back", OPERATION, || {
            match world.kubectl(&["get", "statefulset", "orders", "-o", "jsonpath={.spec.replicas}"]).as_str() {
                "3" => Ok(()),
                replicas => Err(replicas.to_owned()),
            }
        });
        wait_for("who was taken down is back", OPERATION, || match boots(&jet)? {
            now if now.iter().zip(&before).skip(1).all(|(now, before)| now > before) => Ok(()),
            now => Err(format!("{before:?}, now {now:?}")),
        });
        jet.wait("MembersComplete", "True");
        jet.wait("DoorsOpen", "True");
        jet.wait("Ready", "True");
        counted = jet.counted_beyond(counted);
    }
    drop(without);
    assert_eq!(jet.uuids(), uuids, "the original members are back");
    jet.counted_beyond(counted + 2_000);
}

#[test]
fn rollout_restart_by_hand_is_gated() {
    let world = World::new("rollout_restart_by_hand_is_gated");
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(10, 500, 0);
    let counted = jet.counted_beyond(1_000);
    let said = world.try_kubectl(&["rollout", "restart", "statefulset/orders"]).expect_err("it is refused");
    assert!(said.contains("jet.lossless.dev/restart="), "the way out is named: {said}");
    println!("{}", said.lines().last().unwrap_or_default());

    let before = boots(&jet).unwrap();
    let without = Policies::taken_away();
    wait_for("the policy is gone", Duration::from_secs(60), || {
        world.try_kubectl(&["rollout", "restart", "statefulset/orders"])
    });
    world.kubectl(&["set", "image", "statefulset/orders", "member=localhost/another:1"]);
    wait_for("the image is set back and the other change named", OPERATION, || {
        let image = world.kubectl(&[
            "get",
            "statefulset",
            "orders",
            "-o",
            "jsonpath={.spec.template.spec.containers[0].image}",
        ]);
        let told = jet.status("/blockers");
        match image == "localhost/jet-member:dev" && told.contains("Drift") && told.contains("kubectl-rollout") {
            true => Ok(()),
            false => Err(format!("{image}; {told}")),
        }
    });
    drop(without);
    holds_for("no member restarts because of it", A_WHILE, || match boots(&jet)? {
        now if now == before => Ok(()),
        now => Err(format!("{before:?} became {now:?}")),
    });
    jet.wait("Ready", "True");
    let counted = jet.counted_beyond(counted);
    jet.annotate("restart", "after-the-rollout");
    wait_for("the restart that loses nothing is done", OPERATION, || {
        match (boots(&jet), jet.condition("DoorsOpen").0) {
            (Ok(now), doors) if doors == "True" && now.iter().zip(&before).all(|(now, before)| now > before) => Ok(()),
            (now, doors) => Err(format!("{now:?}, doors {doors}")),
        }
    });
    jet.wait("Ready", "True");
    wait_for("and nothing is told of it any more", OPERATION, || match jet.status("/blockers") {
        told if told.contains("Drift") => Err(told),
        _ => Ok(()),
    });
    jet.counted_beyond(counted);
}

#[test]
fn drain_waits_and_never_loses() {
    let world = World::new("drain_waits_and_never_loses");
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(10, 500, 0);
    let counted = jet.counted_beyond(1_000);
    let node_of = |pod: &str| world.kubectl(&["get", "pod", pod, "-o", "jsonpath={.spec.nodeName}"]);
    let (first, second) = (node_of("orders-1"), node_of("orders-2"));
    let selector = "--pod-selector=app.kubernetes.io/instance=orders";
    // Whatever happens here, they are there for the tests that follow.
    let marked = [Cordoned::node(&first), Cordoned::node(&second)];
    let drain = |node: &str, time: &str| {
        let timeout = format!("--timeout={time}");
        attempt("kubectl", &["drain", node, "--ignore-daemonsets", "--delete-emptydir-data", selector, &timeout], None)
    };
    wait_for("the first drain is let through", OPERATION, || drain(&first, "60s"));
    let said = drain(&second, "15s").expect_err("the second waits: a member is missing");
    assert!(said.contains("disruption budget"), "{said}");
    jet.ask_stop();
    let why = jet.wait_reason("StopReady", "orders-1");
    println!("{why}");
    holds_for("two members go on while the third may not be placed", A_WHILE, || match jet.pods().len() {
        3 => Ok(()),
        pods => Err(format!("{pods} pods")),
    });
    jet.ask_return();
    let counted = jet.counted_beyond(counted);
    drop(marked);
    jet.wait("MembersComplete", "True");
    jet.wait("Ready", "True");
    let counted = jet.counted_beyond(counted + 500);
    jet.stop();
    jet.come_back();
    jet.counted_beyond(counted);
}

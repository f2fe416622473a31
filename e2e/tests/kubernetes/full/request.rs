//! A stop that is asked of the members by whoever has no hands in Kubernetes.
//!
//! Law: it is the operator's stop like any other, once, and told by its annotation; what was asked once never comes again.

use std::process::Command;
use std::time::Duration;

use jet_e2e::forward::Forward;
use jet_e2e::jet::{Jet, OPERATION};
use jet_e2e::shell::{holds_for, run, wait_for};
use jet_e2e::world::{OPERATOR_NAMESPACE, World};

const PASSWORD: &str = "a pass&word%+";
/// Longer than the operator rests between two looks.
const LOOKED: Duration = Duration::from_secs(15);

/// The REST opened, its password in a Secret, as `docs/rest.md` has it.
fn with_rest(jet: &Jet<'_>) -> String {
    jet.manifest(3)
        + r"  config:
    hazelcast:
      network:
        rest-api:
          enabled: true
          endpoint-groups:
            CLUSTER_WRITE: {enabled: true}
  podTemplate:
    spec:
      volumes:
        - name: rest
          secret: {secretName: rest, defaultMode: 0440}
      containers:
        - name: member
          env:
            - {name: JET_REST_PASSWORD_FILE, value: /run/rest/password}
          volumeMounts:
            - {name: rest, mountPath: /run/rest, readOnly: true}
"
}

/// `jet-cluster-admin` over a port-forward to one member: exit code, and what it printed.
fn admin(world: &World, ordinal: u32, arguments: &[&str]) -> (i32, String) {
    let forward = Forward::to(&world.namespace, &format!("orders-{ordinal}"), 5701).unwrap();
    let mut command = Command::new("jet-cluster-admin");
    command.args(["-a", "127.0.0.1", "-p", &forward.port.to_string(), "-c", "orders", "--strict"]).args(arguments);
    let ran = command.env("JET_CLUSTER_PASSWORD", PASSWORD).output().unwrap();
    (ran.status.code().unwrap(), String::from_utf8_lossy(&ran.stdout).into_owned())
}

fn asks_for_the_stop(world: &World, ordinal: u32) {
    let (code, said) = admin(world, ordinal, &["-o", "shutdown"]);
    assert!(code == 0 && said.contains("the operator stops the cluster"), "{code}: {said}");
}

fn text(jet: &Jet<'_>, pointer: &str) -> Option<String> {
    jet.object().pointer(pointer).and_then(|value| value.as_str()).map(str::to_owned)
}

/// It runs, and nobody wishes anything else.
fn goes_on(jet: &Jet<'_>) -> Result<(), String> {
    let (ready, why) = jet.condition("Ready");
    let wish = text(jet, "/metadata/annotations/jet.lossless.dev~1maintenance");
    if ready == "True" && jet.pods().len() == 3 && wish.is_none() {
        Ok(())
    } else {
        Err(format!("{ready} {why} {wish:?}"))
    }
}

#[test]
fn shutdown_by_jet_cluster_admin_under_the_operator() {
    let world = World::new("shutdown_by_jet_cluster_admin_under_the_operator");
    world.kubectl(&["create", "secret", "generic", "rest", &format!("--from-literal=password={PASSWORD}")]);
    let jet = Jet { world: &world, name: "orders".into() };
    world.apply(&with_rest(&jet)).unwrap();
    jet.wait("Ready", "True");
    jet.ledger(10, 500, 0);
    let (uuids, counted) = (jet.uuids(), jet.counted_beyond(1_000));

    asks_for_the_stop(&world, 1);
    jet.wait("Stopped", "True");
    assert_eq!(jet.pods(), Vec::<String>::new());
    assert_eq!(text(&jet, "/status/operation/requestedBy").as_deref(), Some("jet-member"));
    let wish = text(&jet, "/metadata/annotations/jet.lossless.dev~1maintenance");
    assert_eq!(wish.as_deref(), Some("shutdown"), "removing it is the return");
    jet.come_back();
    assert_eq!(jet.uuids(), uuids);
    let counted = jet.counted_beyond(counted);

    // A new operator finds nothing to do.
    run("kubectl", &["-n", OPERATOR_NAMESPACE, "rollout", "restart", "deployment/jet-operator"]);
    run("kubectl", &["-n", OPERATOR_NAMESPACE, "rollout", "status", "deployment/jet-operator", "--timeout=120s"]);
    holds_for("what was asked once does not come again", LOOKED, || goes_on(&jet));

    // Paused, it waits, and is taken up when the pause ends.
    world.kubectl(&["annotate", "jetcluster", "orders", "jet.lossless.dev/pause=true"]);
    asks_for_the_stop(&world, 2);
    wait_for("the members remember it", OPERATION, || {
        let cluster = jet.members().view(0)?.cluster.ok_or("no cluster")?;
        let waits = cluster.stop_request.as_ref().is_some_and(|request| request.answer.is_none());
        if waits { Ok(()) } else { Err(format!("{:?}", cluster.stop_request)) }
    });
    holds_for("nothing is begun while paused", LOOKED, || {
        let wish = text(&jet, "/metadata/annotations/jet.lossless.dev~1maintenance");
        if jet.pods().len() == 3 && wish.is_none() { Ok(()) } else { Err(format!("{:?} {wish:?}", jet.pods())) }
    });
    world.kubectl(&["annotate", "jetcluster", "orders", "jet.lossless.dev/pause-"]);
    jet.wait("Stopped", "True");
    jet.come_back();
    jet.counted_beyond(counted);
}

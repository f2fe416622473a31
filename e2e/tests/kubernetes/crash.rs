//! Things that die: members, all members, the operator at each step.
//!
//! Law: a kill is SIGKILL by PID; Raft leader, primary and the operator's lease holder are each hit by name.

use std::time::{Duration, Instant};

use jet_e2e::faults::{kill_pod, kill_pods, killed as kill, operator_pod};
use jet_e2e::jet::{Jet, OPERATION};
use jet_e2e::shell::wait_for;
use jet_e2e::world::World;

#[test]
fn one_member_killed_while_running() {
    let world = World::new("one_member_killed_while_running");
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(10, 500, 0);
    let mut counted = jet.counted_beyond(1_000);
    let leader = {
        let cluster = jet.members().view(0).unwrap().cluster.expect("a cluster");
        cluster.roster.iter().find(|m| Some(m.uuid) == cluster.leader).map(|m| m.ordinal).expect("a leader")
    };
    for ordinal in [leader, (leader + 1) % 3] {
        kill_pod(&world.namespace, &format!("orders-{ordinal}"));
        counted = jet.counted_beyond(counted + 1_000);
        jet.wait("MembersComplete", "True");
        jet.wait("Ready", "True");
    }
}

#[test]
fn all_members_killed_at_once() {
    let world = World::new("all_members_killed_at_once");
    let jet = Jet::ready(&world, "orders", 3);
    // 26,000 groups of about 2 KiB: more than 50 MB of job state.
    jet.ledger(26_000, 5_000, 2_000);
    let counted = jet.counted_beyond(60_000);
    kill_pods(&world.namespace, &jet.pods());
    wait_for("the whole roster is back and jobs run", OPERATION, || {
        let object = jet.object();
        let phase = object.pointer("/status/phase").and_then(|p| p.as_str()).unwrap_or("none").to_owned();
        if phase == "Running" { Ok(()) } else { Err(phase) }
    });
    jet.counted_beyond(counted);
    let view = jet.members().view(0).unwrap().cluster.expect("a cluster");
    println!("verdicts: {:?}", view.jobs.iter().map(|j| (&j.name, &j.verdict, &j.started_from)).collect::<Vec<_>>());
}

#[test]
fn operator_killed_at_each_step() {
    let world = World::new("operator_killed_at_each_step");
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(10, 500, 0);
    let counted = jet.counted_beyond(1_000);
    let uuids = jet.uuids();
    jet.ask_stop();
    let mut killed = kill_operator_at_each_step(&jet, "Stopped");
    jet.wait("Stopped", "True");
    jet.ask_return();
    killed.extend(kill_operator_at_each_step(&jet, "DoorsOpen"));
    jet.wait("DoorsOpen", "True");
    assert_eq!(jet.uuids(), uuids);
    jet.counted_beyond(counted);
    println!("operator killed at {killed:?}");
    assert!(killed.len() >= 4, "the operator was hit at several steps, not only at {killed:?}");
}

/// Kills the lease holder each time that the step changes, until the condition is True.
fn kill_operator_at_each_step(jet: &Jet<'_>, end: &str) -> Vec<String> {
    let (mut killed, from) = (Vec::new(), Instant::now());
    let mut last = String::new();
    while jet.condition(end).0 != "True" {
        assert!(from.elapsed() < Duration::from_secs(400), "{end}: not within 400 s; killed at {killed:?}");
        let object = jet.object();
        let step = object.pointer("/status/operation/step").and_then(|s| s.as_str()).unwrap_or_default().to_owned();
        if !step.is_empty() && step != last && operator_pod().is_some_and(|pod| kill("jet-system", &pod)) {
            killed.push(step.clone());
            last = step;
        }
    }
    killed
}

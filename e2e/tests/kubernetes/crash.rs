//! Things that die: members, all members, the operator at each step.
//!
//! Law: a kill is SIGKILL by PID; Raft leader, primary and the operator's lease holder are each hit by name.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jet_admin_api::job::Verdict;
use jet_e2e::faults::{kill_pod, kill_pods, killed as kill, operator_pod};
use jet_e2e::figure::keep;
use jet_e2e::jet::{Jet, OPERATION};
use jet_e2e::shell::wait_for;
use jet_e2e::world::World;

#[test]
fn one_member_killed_while_running() {
    let world = World::new("one_member_killed_while_running");
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(10, 500, 0);
    let mut counted = jet.counted_beyond(1_000);
    let leader = jet.leader();
    let primary = (leader + 1) % 3;
    let primaries = jet.members().view(primary).unwrap().primaries;
    assert!(primaries > 0, "orders-{primary} is primary of {primaries} partitions");
    for ordinal in [leader, primary] {
        kill_pod(&world.namespace, &format!("orders-{ordinal}"));
        counted = jet.counted_beyond(counted + 1_000);
        jet.wait("MembersComplete", "True");
        jet.wait("Ready", "True");
    }
    println!("killed: Raft leader orders-{leader}; orders-{primary}, primary of {primaries} partitions");
}

/// Events a second of the job whose members all die.
const RATE: u64 = 5_000;
/// Least job state at the crash.
const STATE_BYTES: u64 = 50_000_000;

#[test]
fn all_members_killed_at_once() {
    let world = World::new("all_members_killed_at_once");
    let jet = Jet::ready(&world, "orders", 3);
    // 26,000 groups of about 2 KiB: more than 50 MB of job state.
    jet.ledger(26_000, RATE, 2_000);
    let counted = jet.counted_beyond(60_000);
    let durable = jet.job("ledger").unwrap().snapshot.expect("a durable epoch");
    let looked = Instant::now();
    let read = jet.rows_read("ledger");
    kill_pods(&world.namespace, &jet.pods());
    let since = looked.elapsed().as_secs_f64();
    wait_for("the whole roster is back and jobs run", OPERATION, || {
        let job = jet.job("ledger")?;
        if job.verdict.is_some() && job.started_from.is_some() { Ok(()) } else { Err(format!("{job:?}")) }
    });
    jet.counted_beyond(counted);
    let job = jet.job("ledger").unwrap();
    let from = job.started_from.unwrap();
    // The source makes RATE numbers a second; those read after the epoch are its age.
    let age = since + (read.saturating_sub(from.rows_read)) as f64 / RATE as f64;
    println!("{:?} from epoch {}/{}, {age:.2} s old, {} bytes", job.verdict, from.execution, from.epoch, from.bytes);
    assert_eq!(job.verdict, Some(Verdict::ResumedFromOlder), "the verdict says that it was a crash");
    assert!(from.bytes >= STATE_BYTES, "{} bytes of job state", from.bytes);
    let (position, known) = ((from.execution, from.epoch), (durable.execution, durable.epoch));
    assert!(position >= known, "{position:?} is older than {known:?}, which was durable before the crash");
    keep("crash.epoch.age", age, "s", "three members killed at once, 5000 events/s, more than 50 MB of job state");
}

#[test]
fn operator_killed_at_each_step() {
    let world = World::new("operator_killed_at_each_step");
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(10, 500, 0);
    let counted = jet.counted_beyond(1_000);
    let uuids = jet.uuids();
    let mut killed = BTreeSet::new();
    for _ in 0..MOST_CYCLES {
        jet.ask_stop();
        kill_operator_at_new_steps(&jet, "Stopped", &mut killed);
        jet.wait("Stopped", "True");
        jet.ask_return();
        kill_operator_at_new_steps(&jet, "DoorsOpen", &mut killed);
        jet.wait("DoorsOpen", "True");
        assert_eq!(jet.uuids(), uuids);
        if killed.len() >= STEPS_KILLED {
            break;
        }
    }
    jet.counted_beyond(counted);
    println!("operator killed at {killed:?}");
    assert!(killed.len() >= STEPS_KILLED, "the operator was hit at several steps, not only at {killed:?}");
}

/// A step that lasts milliseconds is not seen in every stop.
const MOST_CYCLES: usize = 6;
const STEPS_KILLED: usize = 5;

/// Kills the lease holder at each step at which it was not killed before, until the condition is True.
fn kill_operator_at_new_steps(jet: &Jet<'_>, end: &str, killed: &mut BTreeSet<String>) {
    let from = Instant::now();
    while jet.condition(end).0 != "True" {
        assert!(from.elapsed() < Duration::from_secs(400), "{end}: not within 400 s; killed at {killed:?}");
        let object = jet.object();
        let step = object.pointer("/status/operation/step").and_then(|s| s.as_str()).unwrap_or_default().to_owned();
        let is_new = !step.is_empty() && !killed.contains(&step);
        if is_new && operator_pod().is_some_and(|pod| kill("jet-system", &pod)) {
            killed.insert(step);
        }
    }
}

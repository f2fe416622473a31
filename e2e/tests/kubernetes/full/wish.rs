//! What is asked for, mistyped, refused, taken back.
//!
//! Law: a wish is tried once, and only absence of the wish means return.

use std::time::Duration;

use jet_e2e::faults::{Cordoned, scale_operator, unwritable};
use jet_e2e::jet::{Jet, OPERATION};
use jet_e2e::policies::Policies;
use jet_e2e::shell::{attempt, holds_for, wait_for};
use jet_e2e::world::World;

/// Long enough for several passes of the operator.
const A_WHILE: Duration = Duration::from_secs(8);
/// Deadlines that a test waits for.
const SHORT_DEADLINES: &str = "  maintenance:\n    startDeadlineSeconds: 15\n    commitWithinSeconds: 15\n";

/// Nothing was stopped and nothing is being stopped.
fn still_runs(jet: &Jet<'_>) -> Result<(), String> {
    let (pods, step) = (jet.pods().len(), jet.status("/operation/step"));
    if pods == 3 && step.is_empty() { Ok(()) } else { Err(format!("{pods} pods, step '{step}'")) }
}

#[test]
fn typo_while_stopped_does_not_start() {
    let world = World::new("typo_while_stopped_does_not_start");
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(10, 500, 0);
    let counted = jet.counted_beyond(1_000);
    jet.stop();
    let without = Policies::taken_away();
    for value in ["shutdwon", ""] {
        wait_for("the policy is gone", Duration::from_secs(60), || {
            let pair = format!("jet.lossless.dev/maintenance={value}");
            world.try_kubectl(&["annotate", "jetcluster", "orders", &pair, "--overwrite"])
        });
        println!("{}", jet.wait_reason("Stalled", &format!("InvalidRequest: the value {value:?}")));
        holds_for("a word that is not understood starts nothing", A_WHILE, || {
            match (jet.pods().len(), jet.condition("Stopped")) {
                (0, (stopped, _)) if stopped == "True" => Ok(()),
                (pods, (stopped, why)) => Err(format!("{pods} pods, Stopped={stopped} {why}")),
            }
        });
    }
    jet.ask_stop();
    wait_for("the word is right again", OPERATION, || match jet.condition("Stalled") {
        (status, _) if status == "absent" => Ok(()),
        (status, why) => Err(format!("Stalled={status} {why}")),
    });
    drop(without);
    jet.come_back();
    jet.counted_beyond(counted);
}

#[test]
fn refused_stop_does_not_fire_later() {
    let world = World::new("refused_stop_does_not_fire_later");
    let jet = Jet::ready_with(&world, "orders", 3, &format!("  losslessRestart: false\n{SHORT_DEADLINES}"));
    jet.ledger(10, 500, 0);
    let counted = jet.counted_beyond(1_000);
    jet.ask_stop();
    println!("{}", jet.wait_reason("StopReady", "acceptJobLoss"));
    let why = jet.wait_reason("Stalled", "StopNotRetried");
    println!("{why}");
    assert!(why.contains("Refused") && why.contains("ledger"), "the spent wish names the culprit: {why}");
    let job = jet.job("ledger").unwrap();
    jet.patch_spec(&format!("{{\"maintenance\":{{\"acceptJobLoss\":[\"{}@{}\"]}}}}", job.name, job.id));
    jet.wait("StopReady", "True");
    holds_for("what stood against it is gone, and it does not fire", A_WHILE, || still_runs(&jet));
    jet.ask_return();
    wait_for("the wish is withdrawn", OPERATION, || match jet.status("/spent") {
        spent if spent.is_empty() => Ok(()),
        spent => Err(spent),
    });
    jet.stop();
    jet.come_back();
    jet.counted_beyond(counted);
}

#[test]
fn rolled_back_stop_does_not_loop() {
    let world = World::new("rolled_back_stop_does_not_loop");
    let jet = Jet::ready_with(&world, "orders", 3, SHORT_DEADLINES);
    jet.ledger(10, 500, 0);
    let counted = jet.counted_beyond(1_000);
    let fault = unwritable(&world.namespace, "data-orders-1");
    jet.ask_stop();
    wait_for("the status names the volume while it waits", OPERATION, || match jet.status("/blockers") {
        told if told.contains("data-orders-1") && told.contains("cannot be sealed") => Ok(()),
        told => Err(told),
    });
    let why = jet.wait_reason("Stalled", "StopNotRetried");
    println!("{why}");
    assert!(why.contains("member 1") && why.contains("not permitted"), "the culprit and its reason: {why}");
    let counted = jet.counted_beyond(counted + 1_000);
    drop(fault);
    wait_for("nothing hinders that volume any more", OPERATION, || match jet.members().view(1)?.store.lagging {
        None => Ok(()),
        Some(why) => Err(why),
    });
    holds_for("rolled back once, and not tried again by itself", A_WHILE, || still_runs(&jet));
    let history = jet.object().pointer("/status/history").cloned().unwrap_or_default();
    assert_eq!(history.as_array().map(Vec::len), Some(1), "one try is in the history: {history}");
    let spent = jet.status("/spent/operation");
    jet.annotate("retry", &spent);
    jet.wait("Stopped", "True");
    jet.come_back();
    jet.counted_beyond(counted);
}

#[test]
fn abort_before_commit_and_refused_after() {
    let world = World::new("abort_before_commit_and_refused_after");
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(10, 500, 0);
    let counted = jet.counted_beyond(1_000);
    let fault = unwritable(&world.namespace, "data-orders-2");
    jet.ask_stop();
    let operation = jet.wait_step("Sealed");
    jet.annotate("abort", &operation);
    let why = jet.wait_reason("Stalled", "StopNotRetried");
    assert!(why.contains("aborted by annotation"), "{why}");
    let counted = jet.counted_beyond(counted + 500);
    drop(fault);
    jet.ask_return();
    wait_for("the abort is consumed", OPERATION, || match jet.status("/handled/abortOutcome") {
        outcome if outcome == "Aborted" => Ok(()),
        outcome => Err(outcome),
    });
    jet.stop();
    let operation = jet.status("/operation/id");
    jet.annotate("abort", &operation);
    wait_for("an abort after the commit is refused", OPERATION, || match jet.status("/handled/abortOutcome") {
        outcome if outcome == "NotApplicable" => Ok(()),
        outcome => Err(outcome),
    });
    holds_for("and changes nothing", A_WHILE, || match (jet.pods().len(), jet.condition("Stopped").0) {
        (0, stopped) if stopped == "True" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let events = world.kubectl(&["get", "events", "-o", "custom-columns=R:.reason,M:.message"]);
    assert!(events.contains("NotApplicable") && events.contains("cannot be aborted"), "{events}");
    jet.come_back();
    jet.counted_beyond(counted);
}

#[test]
fn return_taken_back_keeps_the_seal() {
    let world = World::new("return_taken_back_keeps_the_seal");
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(10, 500, 0);
    let counted = jet.counted_beyond(1_000);
    let uuids = jet.uuids();
    let node = world.kubectl(&["get", "pod", "orders-2", "-o", "jsonpath={.spec.nodeName}"]);
    jet.stop();
    let seal = jet.seal();
    let marked = Cordoned::node(&node);
    jet.ask_return();
    jet.wait_reason("MembersComplete", "orders-2");
    wait_for("the members that are there wait", OPERATION, || match jet.members().view(0)?.phase {
        phase if format!("{phase:?}") == "Recovering" => Ok(()),
        phase => Err(format!("{phase:?}")),
    });
    jet.ask_stop();
    jet.wait("Stopped", "True");
    assert_eq!(jet.pods(), Vec::<String>::new());
    assert_eq!(jet.seal(), seal, "stopped at the same seal, and no other was written");
    drop(marked);
    jet.come_back();
    assert_eq!(jet.uuids(), uuids);
    jet.counted_beyond(counted);
}

#[test]
fn operator_away_for_the_whole_freeze() {
    let world = World::new("operator_away_for_the_whole_freeze");
    let jet = Jet::ready_with(&world, "orders", 3, SHORT_DEADLINES);
    jet.ledger(10, 500, 0);
    let counted = jet.counted_beyond(1_000);
    let fault = unwritable(&world.namespace, "data-orders-0");
    jet.ask_stop();
    jet.wait_step("Sealed");
    scale_operator(0);
    wait_for("the members roll back by themselves", OPERATION, || {
        let cluster = jet.members().view(1)?.cluster.ok_or("no cluster")?;
        let step = cluster.operation.as_ref().map(|op| format!("{:?}", op.step)).unwrap_or_default();
        match format!("{:?}", cluster.state).as_str() {
            "Active" if step == "Aborted" => Ok(()),
            state => Err(format!("{state}, operation {step}")),
        }
    });
    let counted = jet.counted_beyond(counted + 1_000);
    drop(fault);
    scale_operator(1);
    println!("{}", jet.wait_reason("Stalled", "StopNotRetried"));
    holds_for("the operator that is back does not try again", A_WHILE, || still_runs(&jet));
    let budget = attempt(
        "kubectl",
        &["-n", &world.namespace, "get", "pdb", "orders", "-o", "jsonpath={.spec.maxUnavailable}"],
        None,
    );
    assert_eq!(budget.as_deref(), Ok("1"), "the disruption budget is back");
    jet.counted_beyond(counted);
}

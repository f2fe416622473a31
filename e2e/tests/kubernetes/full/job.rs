//! Jobs that are not simply running, and clients.
//!
//! Law: a job that cannot run holds nobody hostage and loses nothing; a loss needs a word that names it; what a client was
//! told to be written is there afterwards.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jet_e2e::jet::{Jet, OPERATION};
use jet_e2e::shell::wait_for;
use jet_e2e::world::World;

/// A JetJob.
fn job(name: &str, state: &str, sql: &str) -> String {
    format!(
        "apiVersion: jet.lossless.dev/v1alpha1\nkind: JetJob\nmetadata:\n  name: {name}\nspec:\n  cluster: orders\n  state: {state}\n  sql: |\n    {sql}\n"
    )
}

fn into_map(name: &str, options: &str, value: &str) -> String {
    format!(
        "CREATE MAPPING events_{name} TYPE Generator OPTIONS ({options}); CREATE MAPPING {name} (key BIGINT, events BIGINT) TYPE \
         Map OPTIONS ('key'='key'); CREATE JOB {name} AS INSERT INTO {name} SELECT key, {value} FROM events_{name} GROUP BY key;"
    )
}

fn wait_status(jet: &Jet<'_>, name: &str, status: &str) {
    wait_for(&format!("job {name} is {status}"), OPERATION, || match jet.job(name)? {
        job if format!("{:?}", job.status) == status => Ok(()),
        job => Err(format!("{:?} {:?}", job.status, job.cause)),
    });
}

#[test]
fn suspended_ended_and_crash_looping_jobs_do_not_block_the_stop() {
    let world = World::new("suspended_ended_and_crash_looping_jobs_do_not_block_the_stop");
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(10, 500, 0);
    let counted = jet.counted_beyond(1_000);
    let apply = |yaml: &str| world.apply(yaml).unwrap_or_else(|said| panic!("{said}"));
    let idle = into_map("idle", "'rate'='100', 'keys'='3'", "COUNT(*)");
    apply(&job("idle", "Running", &idle));
    wait_for("the job that will be suspended has a snapshot", OPERATION, || match jet.job("idle")?.snapshot {
        Some(_) => Ok(()),
        None => Err("none".into()),
    });
    world.kubectl(&["patch", "jetjob", "idle", "--type=merge", "-p", r#"{"spec":{"state":"Suspended"}}"#]);
    apply(&job("ended", "Running", &into_map("ended", "'count'='50', 'keys'='1'", "COUNT(*)")));
    // The cast fails on the first row, at each start.
    let broken =
        into_map("broken", "'rate'='100', 'keys'='1'", "SUM(CAST(CONCAT('x', CAST(number AS VARCHAR)) AS BIGINT))");
    apply(&job("broken", "Running", &broken));
    wait_status(&jet, "idle", "Suspended");
    wait_status(&jet, "ended", "Completed");
    wait_status(&jet, "broken", "Suspended");
    let cause = jet.job("broken").unwrap().cause.unwrap_or_default();
    assert!(!cause.is_empty(), "the cause of a job that was suspended by itself is kept");
    println!("broken: {cause}");
    let idle = jet.job("idle").unwrap().snapshot.map(|s| (s.execution, s.epoch));
    let events = || jet.members().get(0, "ended", "0").map(|value| value.unwrap_or_default());
    let result = events().unwrap();

    jet.wait("StopReady", "True");
    jet.stop();
    jet.come_back();
    assert_eq!(jet.job("idle").unwrap().snapshot.map(|s| (s.execution, s.epoch)), idle, "suspended with its snapshot");
    wait_status(&jet, "idle", "Suspended");
    wait_status(&jet, "broken", "Suspended");
    assert_eq!(jet.job("broken").unwrap().cause.unwrap_or_default(), cause);
    assert_eq!(events().unwrap(), result, "the ended job's result is there");
    let (preserved, why) = jet.condition("JobsPreserved");
    println!("{why}");
    assert!(preserved == "True" && why.contains("idle"), "{preserved} {why}");
    jet.counted_beyond(counted);
    world.kubectl(&["patch", "jetjob", "idle", "--type=merge", "-p", r#"{"spec":{"state":"Running"}}"#]);
    wait_status(&jet, "idle", "Running");
}

#[test]
fn job_without_guarantee_needs_consent() {
    // Every SQL job is exactly-once; without lossless restart none of them is promised anything.
    let world = World::new("job_without_guarantee_needs_consent");
    let said = world
        .apply(&job(
            "loose",
            "Running",
            &into_map("loose", "'rate'='1'", "COUNT(*)")
                .replace("CREATE JOB loose", "CREATE JOB loose OPTIONS ('guarantee'='none')"),
        ))
        .map(drop);
    let jet = Jet::ready_with(&world, "orders", 3, "  losslessRestart: false\n");
    assert_eq!(said, Ok(()), "what SQL means is judged by the members");
    let told = wait_for("a job without guarantee is refused by name", OPERATION, || {
        match world.kubectl(&["get", "jetjob", "loose", "-o", "jsonpath={.status.message}"]) {
            message if message.contains("every job is exactly-once") => Ok(message),
            message => Err(message),
        }
    });
    println!("{told}");
    jet.ledger(10, 500, 0);
    let counted = jet.counted_beyond(1_000);
    jet.ask_stop();
    let why = jet.wait_reason("StopReady", "losslessRestart is off");
    println!("{why}");
    let job = jet.job("ledger").unwrap();
    let consent = format!("{}@{}", job.name, job.id);
    assert!(why.contains(&consent), "the word of consent is in it: {why}");
    jet.patch_spec("{\"maintenance\":{\"acceptJobLoss\":[\"ledger@9999\"]}}");
    jet.wait_reason("StopReady", "losslessRestart is off");
    assert_eq!(jet.pods().len(), 3, "another job's consent is none");
    jet.patch_spec(&format!("{{\"maintenance\":{{\"acceptJobLoss\":[\"{consent}\"]}}}}"));
    jet.wait("Stopped", "True");
    jet.come_back();
    // What was given up was kept all the same: members of this version write every terminal snapshot.
    jet.counted_beyond(counted);
}

#[test]
fn client_connected_before_the_stop_is_cut_off_and_served_after() {
    let world = World::new("client_connected_before_the_stop_is_cut_off_and_served_after");
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(10, 500, 0);
    let counted = jet.counted_beyond(1_000);
    let (writing, opened) = (AtomicBool::new(true), Instant::now());
    let told = std::thread::scope(|scope| {
        let client = scope.spawn(|| write_until(&jet, &writing));
        wait_for("the client writes", OPERATION, || match jet.members().get(1, "notes", "5")? {
            Some(_) => Ok(()),
            None => Err("not yet".into()),
        });
        jet.stop();
        let stopped = opened.elapsed();
        jet.come_back();
        let served = jet.members().put(0, "notes", "after", "the return");
        writing.store(false, Ordering::SeqCst);
        let told = client.join().expect("the client ends");
        assert!(served.is_ok(), "{served:?}");
        println!(
            "stopped after {stopped:?}: {} writes acknowledged, {} refused, first refusal: {}",
            told.acknowledged.len(),
            told.refused,
            told.why
        );
        told
    });
    assert!(told.refused > 0, "it was cut off");
    assert!(told.after_a_refusal, "it was served again");
    for (key, value) in &told.acknowledged {
        assert_eq!(jet.members().get(2, "notes", key).unwrap().as_ref(), Some(value), "{key} was acknowledged");
    }
    jet.counted_beyond(counted);
}

/// What a client was told.
#[derive(Default)]
struct Told {
    acknowledged: BTreeMap<String, String>,
    refused: u64,
    why: String,
    after_a_refusal: bool,
}

/// Writes one entry after the other, through whichever member answers.
fn write_until(jet: &Jet<'_>, writing: &AtomicBool) -> Told {
    let (mut told, mut number) = (Told::default(), 0_u64);
    let pause = Duration::from_millis(50);
    while writing.load(Ordering::SeqCst) {
        let (key, value) = (number.to_string(), format!("v{number}"));
        match jet.members().put(u32::try_from(number % 3).unwrap_or(0), "notes", &key, &value) {
            Ok(_) => {
                told.after_a_refusal |= told.refused > 0;
                told.acknowledged.insert(key, value);
            }
            Err(said) => {
                if told.refused == 0 {
                    told.why = said;
                }
                told.refused += 1;
                std::thread::sleep(pause);
            }
        }
        number += 1;
    }
    told
}

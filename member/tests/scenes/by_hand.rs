//! States that a person chooses: what each lets through, and that it is there again when all members were ended one after
//! another.
//!
//! Must not know: the client protocol, which is not spoken yet.

use std::time::{Duration, Instant};

use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::identity::Role;
use jet_admin_api::job::{JobStatus, JobView, Verdict};
use jet_admin_api::map::SqlQuery;
use jet_admin_api::operation::OperationStep;
use jet_admin_api::refusal::Code;

use crate::world::ledger::{Expected, counted, is_a_prefix, submit, view, wait_counted, wait_status};
use crate::world::rest::{expect, get, health, post, said};
use crate::world::{CLUSTER, PASSWORD, PATIENCE, World, brief};
use crate::{agreed, all_shown_is_durable, endless, job, refuses, serving_three, with_rest};

/// A call that is tried again is tried for so long: what is refused sooner was not.
const TRIED_AGAIN_FOR: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_passive_by_hand_survives_a_restart_of_all() {
    let mut world = serving_three(with_rest()).await;
    let (ledger, idle) = (endless("ledger"), endless("idle"));
    for job in [&ledger, &idle] {
        submit(&world, job).await;
    }
    for job in [&ledger, &idle] {
        wait_counted(&world, 0, job, 1).await;
    }
    world.operator(0).job(idle.name, "suspend").await.unwrap();
    s15_a_job_cannot_opt_out_of_coming_back(&world).await;
    r1_states_have_the_originals_words(&world, &ledger).await;

    world.put(0, "key", "value").await.unwrap();
    expect(world.rest_port(0), "-o change-state -s passive --wait", 0, "'passive'").await;
    agreed(&world, 0..3, ClusterStateView::Passive).await;
    s13_passive_reads_and_refuses_writes_at_once_r5(&world).await;
    s14_no_job_is_submitted_in_passive(&world, &ledger).await;
    let (waits, shown) = r23_passive_shows_nothing_that_is_not_on_disk(&world, &ledger).await;

    for ordinal in 0..3 {
        world.members.remove(&ordinal).unwrap().terminate(PATIENCE);
    }
    world.start_all();
    agreed(&world, 0..3, ClusterStateView::Passive).await;
    expect(world.rest_port(1), "-o get-state", 0, "'passive'").await;
    s13_passive_reads_and_refuses_writes_at_once_r5(&world).await;
    r27_no_job_begins_in_passive(&world, &ledger, &waits).await;
    // What a store has of a job's results only in the files of its snapshots is given back behind the return.
    wait_counted(&world, 1, &ledger, shown).await;
    assert_eq!(is_a_prefix(&world, 1, &ledger).await, shown, "what was shown in PASSIVE is there again");

    expect(world.rest_port(1), "-o change-state -s active --wait", 0, "'active'").await;
    let runs = wait_status(&world, 1, &ledger, JobStatus::Running).await;
    let (from, was) = (runs.started_from.clone().unwrap(), waits.snapshot.unwrap());
    assert_eq!((from.execution, from.epoch, from.rows_read), (was.execution, was.epoch, was.rows_read));
    // No operation sealed anything, so nobody can prove that there was nothing newer: that is said, although there was not.
    assert_eq!(runs.verdict, Some(Verdict::ResumedFromOlder));
    wait_counted(&world, 2, &ledger, shown + 1).await;
    is_a_prefix(&world, 0, &ledger).await;
    r26_a_suspended_job_stays_suspended(&world, &idle).await;
    r9_a_shutdown_in_passive_gives_passive_back_with_its_jobs(&mut world, &[&ledger, &idle]).await;
}

/// R1: the four states and the passing one have the original's words: lower case as a state, upper case as health. Its
/// numbers on the wire are the client protocol's, which is not spoken: who begins it gets no byte.
async fn r1_states_have_the_originals_words(world: &World, ledger: &Expected) {
    let form = format!("{CLUSTER}&{}", PASSWORD.replace('%', "%25").replace('&', "%26").replace('+', "%2B"));
    let internal = post(world.rest_port(2), "changeState", &format!("{form}&in_transition")).unwrap();
    assert_eq!(internal.0, 500);
    assert!(internal.1.contains("IN_TRANSITION is an internal state!"), "{internal:?}");
    for (state, word, jobs_run) in [
        ("no_migration", "NO_MIGRATION", true),
        // Where the original lets jobs run, ours pause: in FROZEN nothing moves.
        ("frozen", "FROZEN", false),
        ("active", "ACTIVE", true),
    ] {
        expect(world.rest_port(0), &format!("-o change-state -s {state} --wait"), 0, &format!("'{state}'")).await;
        for at in 0..3 {
            let port = world.rest_port(at);
            world
                .until(&format!("member {at} says {word}"), || async {
                    let said = health(port)?;
                    let all = said.contains(&format!(r#""nodeState":"ACTIVE","clusterState":"{word}""#));
                    if all { Ok(()) } else { Err(said) }
                })
                .await;
            assert_eq!(post(port, "state", &form), said(200, &format!(r#"{{"status":"success","state":"{state}"}}"#)));
            assert_eq!(get(port, "/hazelcast/health/cluster-state"), said(200, &format!("{word:?}")));
        }
        world.put(1, "state", state).await.unwrap();
        let status = if jobs_run { JobStatus::Running } else { JobStatus::Waiting };
        wait_status(world, 1, ledger, status).await;
        if jobs_run {
            let seen = counted(world, 1, ledger).await.unwrap();
            wait_counted(world, 1, ledger, seen + 1).await;
        }
    }
}

/// R5: refused by an allow list, at once, with the state's name; and told, not tried again.
async fn s13_passive_reads_and_refuses_writes_at_once_r5(world: &World) {
    for at in 0..3 {
        world
            .until(&format!("the doors of member {at} are closed"), || async {
                let view = world.view(at).await?;
                if view.doors_open { Err(brief(&view)) } else { Ok(()) }
            })
            .await;
        let begun = Instant::now();
        refuses(world.put(at, "key", "late").await, Code::DoorsClosed, "PASSIVE");
        assert!(begun.elapsed() < TRIED_AGAIN_FOR, "refused after {:?}", begun.elapsed());
        assert_eq!(world.get(at, "key").await.unwrap().as_deref(), Some("value"));
        let query = SqlQuery { sql: "SELECT this FROM flights WHERE __key = 'key'".into(), limit: 2 };
        let rows = world.client_as(at, Role::Client).sql(&query).await.unwrap().rows;
        assert_eq!(rows, [[Some("value".to_owned())]]);
    }
}

/// R5: what lasts may not be begun in PASSIVE; a wish about a job that is there is taken, since nothing runs that it could
/// disturb, and is granted when the cluster is active.
async fn s14_no_job_is_submitted_in_passive(world: &World, ledger: &Expected) {
    let late = endless("late");
    let begun = Instant::now();
    let refused = world.operator(1).submit(&job(late.name, &late.sql)).await;
    refuses(refused, Code::ClusterState, "submitting a job is not permitted while the cluster is PASSIVE");
    assert!(begun.elapsed() < TRIED_AGAIN_FOR);
    world.operator(1).job(ledger.name, "suspend").await.unwrap();
    wait_status(world, 1, ledger, JobStatus::Suspended).await;
    world.operator(1).job(ledger.name, "resume").await.unwrap();
}

/// Where the original takes a terminal snapshot on the way into PASSIVE, ours stops its jobs at once: they go on from the
/// last committed snapshot, and a row that is read again counts once. That snapshot reaches sinks and disks behind the
/// closed doors, so that what PASSIVE shows is what every return from it shows.
async fn r23_passive_shows_nothing_that_is_not_on_disk(world: &World, ledger: &Expected) -> (JobView, u64) {
    all_shown_is_durable(world, ledger, JobStatus::Waiting).await
}

async fn r27_no_job_begins_in_passive(world: &World, ledger: &Expected, before: &JobView) {
    let now = wait_status(world, 1, ledger, JobStatus::Waiting).await;
    assert_eq!((now.execution, now.id), (before.execution, before.id));
    for at in 0..3 {
        assert!(world.view(at).await.unwrap().work.is_empty(), "member {at} runs a job in PASSIVE");
    }
}

/// Its results are there, it has not run, and it runs when a person says so. Named snapshots are not offered: who asks for
/// one reads that.
async fn r26_a_suspended_job_stays_suspended(world: &World, idle: &Expected) {
    let job = view(world, 2, idle.name).await.unwrap();
    assert_eq!(job.status, JobStatus::Suspended, "{job:?}");
    let kept = is_a_prefix(world, 2, idle).await;
    assert_eq!(job.snapshot.as_ref().map(|snapshot| snapshot.rows_read), Some(kept));
    let query = SqlQuery { sql: "CREATE SNAPSHOT kept FOR JOB idle".into(), limit: 1 };
    refuses(
        world.client_as(0, Role::Client).sql(&query).await,
        Code::BadSql,
        "only mappings and jobs are created by SQL",
    );
    world.operator(2).job(idle.name, "resume").await.unwrap();
    wait_counted(world, 2, idle, kept + 1).await;
    is_a_prefix(world, 2, idle).await;
}

/// Their snapshots are sealed as they were when PASSIVE came, and from nothing else they go on.
async fn r9_a_shutdown_in_passive_gives_passive_back_with_its_jobs(world: &mut World, jobs: &[&Expected]) {
    expect(world.rest_port(2), "-o change-state -s passive --wait", 0, "'passive'").await;
    expect(world.rest_port(2), "-o shutdown --wait", 0, "Cluster shutdown completed.").await;
    world.all_end();
    world.start_all();
    agreed(world, 0..3, ClusterStateView::Passive).await;
    world
        .until("the return is complete", || async {
            let step =
                world.view(0).await?.cluster.and_then(|cluster| cluster.operation).map(|operation| operation.step);
            if step == Some(OperationStep::Opened) { Ok(()) } else { Err(format!("{step:?}")) }
        })
        .await;
    for job in jobs {
        wait_status(world, 0, job, JobStatus::Waiting).await;
    }
    expect(world.rest_port(0), "-o change-state -s active --wait", 0, "'active'").await;
    for job in jobs {
        let runs = wait_status(world, 0, job, JobStatus::Running).await;
        assert_eq!(runs.verdict, Some(Verdict::Resumed), "{runs:?}");
        wait_counted(world, 1, job, runs.started_from.unwrap().rows_read + 1).await;
        is_a_prefix(world, 2, job).await;
    }
}

/// Where the original leaves a job suspended or failed that has auto-scaling off, ours has no such switch: every job comes
/// back by itself, and every job is exactly-once. Who asks for another reads that.
async fn s15_a_job_cannot_opt_out_of_coming_back(world: &World) {
    let sql = |options: &str| endless("fixed").sql.replace("'snapshot-interval'='300ms'", options);
    for (options, words) in [
        ("'auto-scaling'='false'", "a job takes snapshot-interval and guarantee"),
        ("'guarantee'='none'", "every job is exactly-once; write that or leave it out"),
    ] {
        refuses(world.operator(0).submit(&job("fixed", &sql(options))).await, Code::BadSql, words);
    }
}

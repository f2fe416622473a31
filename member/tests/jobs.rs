//! Law EXACT with real processes: whatever is done to the members, the results are those that were computed apart.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod world;

use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::job::{JobStatus, SubmitJob, Verdict};
use jet_admin_api::member::MemberPhase;
use world::World;
use world::ledger::{
    counted, delays, goes_on_from_terminal, is_exact, ledger, rows_in, submit, view, wait_counted, wait_status,
};

/// The bound on the age of a durable snapshot after a crash of all members.
const DURABLE_AGE_S: u64 = 3;

async fn founded() -> World {
    let mut world = World::new(3);
    world.start_all();
    world.found().await;
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_go_on_from_exactly_where_they_stopped() {
    let mut world = founded().await;
    let jobs = [ledger(400_000, Some(20_000)), delays(&world, 100_000, 5_000)];
    for job in &jobs {
        submit(&world, job).await;
    }
    for job in &jobs {
        wait_counted(&world, 1, job, 1).await;
    }
    let generation = world.stop("1-stop").await;
    let stopped = world.view(0).await.unwrap().cluster.unwrap();
    let base = stopped.operation.as_ref().unwrap().base_index;
    let terminals: Vec<_> = stopped.jobs.iter().map(|job| job.snapshot.clone().unwrap()).collect();
    for terminal in &terminals {
        assert!(terminal.terminal && terminal.index > base, "{terminal:?} is not after {base}");
    }
    world.terminate_all();

    world.start_all();
    world.resume("1-stop", generation).await;
    // All are looked at while they run: both end at about the same time.
    let mut views = Vec::new();
    for job in &jobs {
        views.push(goes_on_from_terminal(&world, job).await);
    }
    for ((job, terminal), view) in jobs.iter().zip(&terminals).zip(views) {
        assert_eq!(view.started_from.as_ref(), Some(terminal));
        is_exact(&world, 2, job).await;
        // Not one row was read a second time.
        assert_eq!(rows_in(&world, job.name, view.execution).await.unwrap(), job.rows - terminal.rows_read);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_in_full_flow_loses_no_row_in_flight() {
    let mut world = founded().await;
    let job = ledger(60_000_000, None);
    submit(&world, &job).await;
    wait_counted(&world, 0, &job, 1).await;
    let generation = world.stop("1-stop").await;
    world.terminate_all();
    world.start_all();
    world.resume("1-stop", generation).await;
    let view = goes_on_from_terminal(&world, &job).await;
    is_exact(&world, 0, &job).await;
    assert_eq!(
        rows_in(&world, job.name, view.execution).await.unwrap(),
        job.rows - view.started_from.unwrap().rows_read
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_member_costs_no_row_and_counts_none_twice() {
    let mut world = founded().await;
    let jobs = [ledger(500_000, Some(20_000)), delays(&world, 125_000, 5_000)];
    for job in &jobs {
        submit(&world, job).await;
    }
    for job in &jobs {
        wait_counted(&world, 0, job, 1).await;
    }
    world.kill(1);
    for job in &jobs {
        let seen = counted(&world, 0, job).await.unwrap_or(0);
        wait_counted(&world, 0, job, seen + job.rows / 20).await;
        let view = view(&world, 0, job.name).await.unwrap();
        assert!(view.started_from.is_some() && view.execution > 1, "{view:?}");
    }
    world.start(1);
    world.serving(0..3, ClusterStateView::Active).await;
    for job in &jobs {
        is_exact(&world, 1, job).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_crash_of_all_jobs_go_on_from_a_durable_snapshot_that_is_young() {
    let mut world = founded().await;
    let rate = 20_000;
    let jobs = [ledger(600_000, Some(rate)), delays(&world, 150_000, 5_000)];
    for job in &jobs {
        submit(&world, job).await;
    }
    for job in &jobs {
        wait_counted(&world, 0, job, job.rows / 10).await;
    }
    let visible = counted(&world, 0, &jobs[0]).await.unwrap();
    for ordinal in 0..3 {
        world.kill(ordinal);
    }
    world.start_all();
    world.all_in(0..3, MemberPhase::Serving).await;
    for job in &jobs {
        let view = wait_status(&world, 0, job, JobStatus::Running).await;
        let from = view.started_from.clone().expect("from a durable snapshot");
        assert!(from.index > 0 && !from.terminal, "{view:?}");
        assert_eq!(view.verdict, Some(Verdict::ResumedFromOlder), "{view:?}");
        if job.name == "ledger" {
            let least = visible.saturating_sub(DURABLE_AGE_S * rate);
            assert!(
                from.rows_read >= least,
                "it goes on at {} although {visible} were visible: older than {DURABLE_AGE_S} s",
                from.rows_read
            );
        }
    }
    for job in &jobs {
        is_exact(&world, 0, job).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_may_be_the_one_that_is_killed() {
    let mut world = founded().await;
    let job = ledger(400_000, Some(20_000));
    submit(&world, &job).await;
    wait_counted(&world, 0, &job, 1).await;
    let cluster = world.view(0).await.unwrap().cluster.unwrap();
    let leader = cluster.roster.iter().find(|member| Some(member.uuid) == cluster.leader).unwrap().ordinal;
    let other = (leader + 1) % 3;
    world.kill(leader);
    let seen = counted(&world, other, &job).await.unwrap_or(0);
    wait_counted(&world, other, &job, seen + job.rows / 20).await;
    world.start(leader);
    is_exact(&world, other, &job).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_that_do_not_run_hold_no_stop_and_keep_what_they_wrote() {
    let mut world = founded().await;
    let good = ledger(300_000, Some(15_000));
    let gone = delays(&world, 50_000, 5_000);
    submit(&world, &good).await;
    submit(&world, &gone).await;
    wait_counted(&world, 0, &gone, 1).await;
    world.operator(0).job(gone.name, "cancel").await.unwrap();
    let bad = SubmitJob {
        name: "bad".into(),
        sql: gone
            .sql
            .replace("airport VARCHAR, delay BIGINT", "airport BIGINT, delay BIGINT")
            .replace("delays", "bad")
            .replace("(airport VARCHAR", "(airport BIGINT"),
        snapshot_interval_ms: None,
    };
    world.operator(0).submit(&bad).await.unwrap();
    let failed = world
        .until("the failing job is suspended", || async {
            let view = view(&world, 0, "bad").await?;
            if view.status == JobStatus::Suspended { Ok(view) } else { Err(format!("{view:?}")) }
        })
        .await;
    assert!(
        failed.cause.as_ref().is_some_and(|cause| cause.contains("flights.csv")) && failed.failures == 3,
        "{failed:?}"
    );
    wait_status(&world, 0, &good, JobStatus::Running).await;
    let before = counted(&world, 0, &gone).await.unwrap();
    let seen = counted(&world, 0, &good).await.unwrap_or(0);
    wait_counted(&world, 0, &good, seen + 1).await;
    // At once behind the suspension: its last snapshot is not on any disk yet.
    world.operator(0).job(good.name, "suspend").await.unwrap();
    let generation = world.stop("1-stop").await;
    world.terminate_all();
    world.start_all();
    world.resume("1-stop", generation).await;
    assert_eq!(counted(&world, 1, &gone).await.unwrap(), before, "a cancelled job keeps what it wrote");
    assert_eq!(view(&world, 1, good.name).await.unwrap().status, JobStatus::Suspended);
    world.operator(0).job(good.name, "resume").await.unwrap();
    is_exact(&world, 1, &good).await;
}

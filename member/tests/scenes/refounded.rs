//! A majority of those that vote is lost for good, and who is left has every partition.
//!
//! The original has no majority to lose, and no word for which of two halves goes on. Ours waits, until a person says that the
//! absent are lost: first a new incarnation begins, then what is missing without them is consented to (S3). Must not know:
//! Kubernetes.

use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::job::JobStatus;
use jet_admin_api::member::MemberPhase;

use crate::world::ledger::{goes_on_from_terminal, is_a_prefix, submit, wait_counted, wait_status};
use crate::world::rest::{admin, consent, expect};
use crate::world::{World, brief};
use crate::{agreed, endless};

const KEYS: u32 = 200;

async fn two() -> World {
    let mut world = World::with_rest(2, &["CLUSTER_WRITE", "HOT_RESTART"]);
    world.start_all();
    world.serving(0..2, ClusterStateView::Active).await;
    for n in 0..KEYS {
        world.put(n % 2, &format!("key-{n}"), &format!("value-{n}")).await.unwrap();
    }
    world
}

/// The consent that is asked for with these words.
async fn told(world: &World, words: &str) -> String {
    world
        .until(words, || async {
            let (_, said) = admin(world.rest_port(0), "-o partial-start").await;
            consent(&said).filter(|_| said.contains(words)).ok_or(said)
        })
        .await
}

async fn partial_start(world: &World, words: &str, done: &str) {
    let consent = told(world, words).await;
    let arguments = format!("-o partial-start --strict --consent {consent}");
    expect(world.rest_port(0), &arguments, 0, done).await;
}

async fn nothing_is_missing(world: &World) {
    world.until("doors are open", || async { world.get(0, "key-0").await.map_err(|e| e.to_string()) }).await;
    for n in 0..KEYS {
        assert_eq!(world.get(0, &format!("key-{n}")).await.unwrap(), Some(format!("value-{n}")), "key-{n}");
    }
}

/// It has the cluster's old incarnation, and nobody speaks to it.
async fn the_lost_one_stays_away(world: &mut World) {
    world.start(1);
    world
        .until("it finds nobody", || async {
            let view = world.view(1).await?;
            assert_ne!(view.phase, MemberPhase::Serving, "{}", brief(&view));
            if view.waiting_for.contains("a majority") { Ok(()) } else { Err(brief(&view)) }
        })
        .await;
    world.put(0, "later", "value").await.unwrap();
    agreed(world, 0..1, ClusterStateView::Active).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_is_lost_after_a_shutdown_and_the_other_goes_on_exactly() {
    let mut world = two().await;
    let ledger = endless("ledger");
    submit(&world, &ledger).await;
    wait_counted(&world, 0, &ledger, 1).await;
    expect(world.rest_port(0), "-o partial-start --strict", 3, "nothing was changed").await;
    expect(world.rest_port(0), "-o shutdown --wait", 0, "Cluster shutdown completed.").await;
    world.all_end();
    world.start(0);
    let before = world.view(0).await;
    let first = told(&world, "can begin incarnation 2 of the cluster").await;
    for wrong in ["yes".to_owned(), first.chars().rev().collect()] {
        expect(world.rest_port(0), &format!("-o partial-start --strict --consent {wrong}"), 3, "something else than")
            .await;
    }
    partial_start(&world, "can begin incarnation 2 of the cluster", "incarnation 2 of the cluster begins").await;
    partial_start(&world, "no content is missing", "Cluster partial-start completed.").await;
    world.serving(0..1, ClusterStateView::Active).await;
    nothing_is_missing(&world).await;
    if let Ok(before) = before {
        assert_eq!(world.view(0).await.unwrap().uuid, before.uuid, "it is the same member");
    }
    let from = goes_on_from_terminal(&world, &ledger).await.started_from.unwrap();
    wait_counted(&world, 0, &ledger, from.rows_read + 1).await;
    is_a_prefix(&world, 0, &ledger).await;
    assert_eq!(wait_status(&world, 0, &ledger, JobStatus::Running).await.failures, 0);
    the_lost_one_stays_away(&mut world).await;
    // It stops and comes back as any cluster does.
    world.kill(1);
    expect(world.rest_port(0), "-o shutdown --wait", 0, "Cluster shutdown completed.").await;
    world.start(0);
    world.serving(0..1, ClusterStateView::Active).await;
    nothing_is_missing(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_is_lost_in_a_crash_and_the_other_goes_on_by_consent() {
    let mut world = two().await;
    for ordinal in 0..2 {
        world.on_disk(ordinal).await;
    }
    world.kill(1);
    let running = consent_is_refused(&world).await;
    assert!(running.contains("has gone on writing since its start"), "{running}");
    world.kill(0);
    world.start(0);
    partial_start(&world, "can begin incarnation 2 of the cluster", "incarnation 2 of the cluster begins").await;
    partial_start(&world, "theirs may be newer", "Cluster partial-start completed.").await;
    world.serving(0..1, ClusterStateView::Active).await;
    nothing_is_missing(&world).await;
    the_lost_one_stays_away(&mut world).await;
}

/// Until nobody leads any more.
async fn consent_is_refused(world: &World) -> String {
    world
        .until("nobody leads", || async {
            let (_, said) = admin(world.rest_port(0), "-o partial-start").await;
            if said.contains("no member leads") { Ok(said) } else { Err(said) }
        })
        .await
}

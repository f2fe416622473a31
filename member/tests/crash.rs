//! Law CRASH with real processes: one member lost is replaced and filled anew; all lost means wait for the whole roster.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod world;

use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::member::MemberPhase;
use world::{World, brief};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_member_is_promoted_away_and_filled_anew() {
    let mut world = World::new(3);
    world.start_all();
    world.found().await;
    let before = world.view(1).await.unwrap();
    world.kill(1);
    world
        .until("the others lead every partition", || async {
            let view = world.view(0).await?;
            let cluster = view.cluster.clone().ok_or("no cluster")?;
            let gone = cluster.roster.iter().any(|m| m.ordinal == 1 && !m.present);
            if gone && cluster.state == ClusterStateView::Active && cluster.partitions.absent == 0 && view.ready {
                Ok(())
            } else {
                Err(brief(&view))
            }
        })
        .await;
    world.start(1);
    world.serving(0..3, ClusterStateView::Active).await;
    let after = world.view(1).await.unwrap();
    assert_eq!((after.uuid, after.boot), (before.uuid, before.boot + 1));
    assert_eq!(after.cluster.unwrap().generation, before.cluster.unwrap().generation, "one loss is no activation");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_crash_of_all_a_majority_waits_for_the_last_member() {
    let mut world = World::new(3);
    world.start_all();
    world.found().await;
    let before = world.view(0).await.unwrap().cluster.unwrap();
    for ordinal in 0..3 {
        world.kill(ordinal);
    }
    world.start(0);
    world.start(1);
    world
        .until("a majority recovers and names member 2", || async {
            let view = world.view(0).await?;
            let cluster = view.cluster.clone().ok_or("no cluster")?;
            let missing: Vec<u32> = cluster.missing.iter().map(|m| m.ordinal).collect();
            assert_ne!(view.phase, MemberPhase::Serving, "{}", brief(&view));
            if cluster.state == ClusterStateView::Recovering && missing == [2] { Ok(()) } else { Err(brief(&view)) }
        })
        .await;
    assert!(world.put(0, "key", "value").await.is_err(), "a recovering cluster took a put");
    world.start(2);
    world.serving(0..3, ClusterStateView::Active).await;
    let after = world.view(0).await.unwrap().cluster.unwrap();
    assert_eq!(after.generation, before.generation + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_member_alone_founds_crashes_and_returns() {
    let mut world = World::new(1);
    world.start_all();
    world.found().await;
    world.put(0, "key", "value").await.unwrap();
    let generation = world.stop("1-stop").await;
    world.terminate_all();
    world.start_all();
    world.resume("1-stop", generation).await;
    assert_eq!(world.get(0, "key").await.unwrap().as_deref(), Some("value"));
    world.kill(0);
    world.start_all();
    world.serving(0..1, ClusterStateView::Active).await;
    assert_eq!(world.get(0, "key").await.unwrap().as_deref(), Some("value"));
}

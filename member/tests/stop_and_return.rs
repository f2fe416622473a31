//! Laws STOP, HOLD, RESUME with real processes: a cluster is founded, stopped, switched off, on again, and has everything.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod world;

use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::member::{MemberPhase, StoreState};
use world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_cluster_comes_back_with_its_members_and_generation() {
    let mut world = World::new(3);
    world.start_all();
    world.all_in(0..3, MemberPhase::NoStore).await;
    world.found().await;
    let before = world.view(0).await.unwrap();
    let generation = world.stop("1-stop").await;
    for ordinal in 0..3 {
        let view = world.view(ordinal).await.unwrap();
        assert_eq!(view.store.state, StoreState::Sealed);
        assert!(!view.doors_open && !view.ready);
    }
    world.terminate_all();

    world.start_all();
    let back = world.all_in(0..3, MemberPhase::WaitingForActivate).await;
    assert!(back.iter().all(|view| !view.doors_open && view.store.seal.as_ref().is_some_and(|seal| seal.verified)));
    assert_eq!(back[0].uuid, before.uuid);
    world.resume("1-stop", generation).await;
    let after = world.view(0).await.unwrap().cluster.unwrap();
    assert_eq!(after.generation, generation + 1);
    assert_eq!(after.roster_digest, before.cluster.unwrap().roster_digest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_member_missing_means_wait_and_name_it() {
    let mut world = World::new(3);
    world.start_all();
    world.found().await;
    let generation = world.stop("1-stop").await;
    world.terminate_all();
    world.start(0);
    world.start(1);
    let said = world
        .until("the absent member is named", || async {
            let view = world.view(0).await?;
            let cluster = view.cluster.clone().ok_or("no cluster yet")?;
            let names: Vec<u32> = cluster.missing.iter().map(|m| m.ordinal).collect();
            if names == [2] && view.phase == MemberPhase::Recovering { Ok(cluster) } else { Err(world::brief(&view)) }
        })
        .await;
    assert_eq!(said.state, ClusterStateView::Recovering);
    let activate = jet_admin_api::operation::Activate { sealed_generation: generation, wishes: Vec::new() };
    let refused = world.operator(0).activate("1-stop", &activate).await;
    assert!(refused.is_err(), "activated without member 2: {refused:?}");
    world.start(2);
    world.resume("1-stop", generation).await;
}

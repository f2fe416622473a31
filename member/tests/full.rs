//! Law ASIDE with real processes: a disk that takes nothing for a while costs a member its vote, and nothing else; with the
//! room the vote is back by itself, in the same process.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod world;

use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::operation::BeginOperation;
use world::{World, brief};

const KEYS: u32 = 20;

async fn filled() -> World {
    let mut world = World::refusable(3);
    world.start_all();
    world.found().await;
    for n in 0..KEYS {
        world.put(n % 3, &format!("key-{n}"), "value").await.unwrap();
    }
    world
}

/// Waits until this member says that it has no vote.
async fn without_vote(world: &World, ordinal: u32) {
    world
        .until("it says that it has no vote", || async {
            let view = world.view(ordinal).await?;
            if view.waiting_for.contains("does not vote") { Ok(()) } else { Err(brief(&view)) }
        })
        .await;
    let metrics = world::rest::ask_plain(&world.health_address(ordinal), "/metrics");
    assert!(metrics.contains("jet_without_vote 1"), "{metrics}");
}

/// Everybody votes and serves with all copies, as the processes that they were.
async fn healed(world: &World, boots: [u64; 3]) {
    world.serving(0..3, ClusterStateView::Active).await;
    for ordinal in 0..3 {
        let view = world
            .until("it waits for nothing", || async {
                let view = world.view(ordinal).await?;
                if view.waiting_for.is_empty() { Ok(view) } else { Err(brief(&view)) }
            })
            .await;
        assert_eq!(view.boot, boots[ordinal as usize], "member {ordinal} gave up its RAM");
    }
}

async fn stops_and_returns(world: &mut World, op: &str) {
    let generation = world.stop(op).await;
    world.terminate_all();
    world.start_all();
    world.resume(op, generation).await;
    for n in 0..KEYS {
        assert_eq!(world.get(n % 3, &format!("key-{n}")).await.unwrap().as_deref(), Some("value"), "key-{n}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_whose_disk_was_full_learns_what_was_decided_meanwhile_and_the_cluster_stops_and_returns() {
    let mut world = filled().await;
    world.members[&1].may_write(false);
    // What everybody has to learn, for the partitions of both: another member is started anew.
    world.kill(2);
    world.start(2);
    without_vote(&world, 1).await;
    world
        .until("the others have decided it", || async {
            let view = world.view(0).await?;
            let cluster = view.cluster.as_ref().ok_or("no cluster")?;
            let boot = cluster.roster.iter().find(|member| member.ordinal == 2).map(|member| member.boot);
            if boot == Some(2) { Ok(()) } else { Err(brief(&view)) }
        })
        .await;
    world.members[&1].may_write(true);
    healed(&world, [1, 1, 2]).await;
    stops_and_returns(&mut world, "1-stop").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_disks_were_full_at_once_the_cluster_goes_on_with_the_room() {
    let mut world = filled().await;
    world.members.values().for_each(|member| member.may_write(false));
    let begin = BeginOperation { id: "1-stop".into(), requested_by: "test".into(), accepted_job_loss: Vec::new() };
    assert!(world.operator(0).begin(&begin).await.is_err(), "decided by logs that cannot be written");
    for ordinal in 0..3 {
        without_vote(&world, ordinal).await;
    }
    world.members.values().for_each(|member| member.may_write(true));
    healed(&world, [1, 1, 1]).await;
    for n in 0..KEYS {
        assert_eq!(world.get(n % 3, &format!("key-{n}")).await.unwrap().as_deref(), Some("value"), "key-{n}");
    }
    stops_and_returns(&mut world, "1-stop").await;
}

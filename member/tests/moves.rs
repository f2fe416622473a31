//! Members that come to a living cluster and go, real processes, under load: what lies with them moves first, no call is
//! answered by two, nothing that was acknowledged is lost, and at no moment are there fewer copies than there should be.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "moves/load.rs"]
mod load;
#[path = "moves/scaling.rs"]
mod scaling;
mod world;

use std::collections::BTreeMap;

use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::job::JobStatus;
use jet_admin_api::member::MemberPhase;
use load::Load;
use scaling::*;
use world::{World, ledger};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_members_become_five_and_three_again_under_load() {
    let mut world = founded(5, 3).await;
    let load = Load::begin(&world, &[0, 1, 2]);
    load.has_written(50).await;
    let copies = Copies::watch(&world, 0);
    come(&mut world, &[3, 4]).await;
    balanced(&world, 0, &[0, 1, 2, 3, 4]).await;
    world.serving(0..5, ClusterStateView::Active).await;
    leave(&world, 4).await;
    leave(&world, 3).await;
    balanced(&world, 0, &[0, 1, 2]).await;
    copies.were_never_fewer().await;
    let written = load.end().await;
    written.was_answered_always();
    written.is_held(&world, &[0, 1, 2]).await;

    // Who left is held until somebody ends it, and its store is of nobody.
    world.all_in([3, 4], MemberPhase::Held).await;
    world.members.remove(&4).unwrap().terminate(world::PATIENCE);
    world.start(4);
    world.all_in([4], MemberPhase::NoStore).await;
    assert!(world::tree_has(&world.home(4), b"JETLEFT1"), "what it had is put aside, not deleted");
    // And as another member it comes in again.
    come(&mut world, &[]).await;
    permit(&world, 4).await;
    balanced(&world, 0, &[0, 1, 2, 4]).await;
    written.is_held(&world, &[4, 0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_member_becomes_two_and_neither_leaves_the_other_alone() {
    let mut world = founded(2, 1).await;
    let load = Load::begin(&world, &[0]);
    load.has_written(20).await;
    let refused = world.operator(0).leave(0).await.unwrap_err().to_string();
    assert!(refused.contains("nobody would be left"), "{refused}");
    come(&mut world, &[1]).await;
    balanced(&world, 0, &[0, 1]).await;
    for ordinal in [0, 1] {
        let refused = world.operator(1 - ordinal).leave(ordinal).await.unwrap_err().to_string();
        assert!(refused.contains("1 copies of each partition would be left of 2"), "{refused}");
    }
    let written = load.end().await;
    written.is_held(&world, &[0, 1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_member_list_lets_in_where_nobody_gives_permits_and_who_left_ends() {
    let mut world = World::new(3);
    world.permit_from = "configuration";
    let list = world.dir.path().join("config/hazelcast.yaml");
    let all = std::fs::read_to_string(&list).unwrap();
    std::fs::write(&list, shorter(&all)).unwrap();
    world.start(0);
    world.start(1);
    world.serving(0..2, ClusterStateView::Active).await;
    std::fs::write(&list, all).unwrap();
    world.start(2);
    balanced(&world, 0, &[0, 1, 2]).await;
    world.put(2, "key", "value").await.unwrap();
    leave(&world, 2).await;
    world.members.remove(&2).unwrap().ends(world::PATIENCE);
    assert_eq!(world.get(0, "key").await.unwrap(), Some("value".into()));
    // Started again by mistake it stays out, and says why.
    world.start(2);
    let held = world.all_in([2], MemberPhase::Held).await;
    assert!(held[0].waiting_for.contains("left its cluster"), "{}", held[0].waiting_for);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_sent_away_before_it_knows_the_cluster_learns_that_it_has_left() {
    let mut world = founded(4, 3).await;
    world.start(3);
    world.all_in([3], MemberPhase::NoStore).await;
    // It cannot begin its log: it comes into the roster, and learns of nothing.
    std::fs::write(world.home(3).join("recovery/raft"), "in the way").unwrap();
    permit(&world, 3).await;
    leave(&world, 3).await;
    world
        .until("its store says so", || async {
            let offered = offer(&world, 0, 3).await;
            match world::tree_has(&world.home(3), b"JETLEFT1") {
                true => Ok(()),
                false => Err(format!("{offered:?} {:?}", world.view(3).await.map(|view| world::brief(&view)))),
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn source_and_receiver_are_killed_in_the_midst_of_moves() {
    let mut world = founded(5, 3).await;
    let load = Load::begin(&world, &[0, 1, 2]);
    load.has_written(50).await;
    come(&mut world, &[3]).await;
    moving(&world, 0).await;
    world.kill(3);
    world.start(3);
    moving(&world, 0).await;
    // A source, and perhaps the leader.
    world.kill(1);
    world.start(1);
    balanced(&world, 0, &[0, 1, 2, 3]).await;
    world.operator(0).leave(2).await.unwrap();
    moving(&world, 0).await;
    world.kill(2);
    world.start(2);
    left(&world, 0, 2).await;
    balanced(&world, 0, &[0, 1, 3]).await;
    load.end().await.is_held(&world, &[0, 1, 3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_is_killed_in_the_midst_of_moves_and_then_all() {
    let mut world = founded(5, 3).await;
    let load = Load::begin(&world, &[0, 1, 2]);
    load.has_written(50).await;
    come(&mut world, &[3]).await;
    moving(&world, 0).await;
    let leader = leader(&world, 0).await;
    world.kill(leader);
    world.start(leader);
    moving(&world, (leader + 1) % 3).await;
    let written = load.end().await;
    for ordinal in 0..4 {
        world.on_disk(ordinal).await;
    }
    for ordinal in 0..4 {
        world.kill(ordinal);
    }
    for ordinal in 0..4 {
        world.start(ordinal);
    }
    balanced(&world, 0, &[0, 1, 2, 3]).await;
    written.is_held(&world, &[0, 1, 2, 3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_and_a_return_in_the_midst_of_moves() {
    let mut world = founded(5, 3).await;
    let load = Load::begin(&world, &[0, 1, 2]);
    load.has_written(50).await;
    come(&mut world, &[3, 4]).await;
    moving(&world, 0).await;
    world.operator(0).leave(1).await.unwrap();
    moving(&world, 0).await;
    let written = load.end().await;
    let generation = world.stop("1-stop").await;
    world.terminate_all();
    world.start_all();
    world.resume("1-stop", generation).await;
    left(&world, 0, 1).await;
    balanced(&world, 0, &[0, 2, 3, 4]).await;
    written.is_held(&world, &[0, 2, 3, 4]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_counts_each_row_once_while_members_come_and_go() {
    let mut world = founded(5, 3).await;
    let job = ledger::ledger(60_000, Some(2_000));
    ledger::submit(&world, &job).await;
    ledger::wait_counted(&world, 0, &job, 2_000).await;
    come(&mut world, &[3, 4]).await;
    balanced(&world, 0, &[0, 1, 2, 3, 4]).await;
    ledger::is_a_prefix(&world, 0, &job).await;
    leave(&world, 4).await;
    leave(&world, 0).await;
    world.kill(1);
    world.start(1);
    ledger::wait_status(&world, 2, &job, JobStatus::Completed).await;
    // The one that was killed is asked for what it leads.
    world.serving(1..4, ClusterStateView::Active).await;
    ledger::is_exact(&world, 2, &job).await;
}

/// A list of members without its last one.
fn shorter(document: &str) -> String {
    let (head, _) = document.rsplit_once(", '").unwrap();
    format!("{head}]}}\n")
}

/// By number: how many partitions it leads.
type Led = BTreeMap<u32, u32>;

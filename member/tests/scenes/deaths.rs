//! Members that die while the state of the cluster is changed, or while it is shut down: whoever is left agrees.
//!
//! Must not know: jobs.

use std::path::PathBuf;

use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::operation::OperationStep;
use jet_admin_api::refusal::Code;

use crate::world::change::clear;
use crate::world::rest::{admin, expect};
use crate::world::{PATIENCE, World};
use crate::{agreed, cluster, endless, job, refuses, roles, serving_three, with_rest};

/// More than the tries to seal that a member makes while a test runs.
const TRIES: u32 = 120;

/// Where the original rolls a change back when a member dies before all are prepared, and counts it as done afterwards,
/// ours has no before and after: a change is one entry of the log that a majority has, or it is not there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s11_a_member_that_dies_during_a_change_has_it_when_it_is_back() {
    let mut world = serving_three(with_rest()).await;
    let (_, asked, dies) = roles(&world).await;
    let port = world.rest_port(asked);
    // Before: nobody has noticed yet.
    world.kill(dies);
    expect(port, "-o change-state -s frozen --strict", 0, "'frozen'").await;
    r6_the_absent_member_keeps_its_place(&world, asked).await;
    world.start(dies);
    world.serving(0..3, ClusterStateView::Frozen).await;
    // After: it may have heard of it, or not.
    expect(port, "-o change-state -s passive --strict", 0, "'passive'").await;
    world.kill(dies);
    world.start(dies);
    agreed(&world, 0..3, ClusterStateView::Passive).await;
    expect(port, "-o change-state -s active --wait --strict", 0, "'active'").await;
    world.serving(0..3, ClusterStateView::Active).await;

    s12_a_leader_that_dies_before_it_was_agreed_leaves_one_state_behind_r2(&mut world).await;
    s12_a_leader_that_dies_after_it_was_agreed_takes_nothing_with_it(&mut world).await;
}

/// R6: it is waited for by its UUID, and everything that it held is still its own.
async fn r6_the_absent_member_keeps_its_place(world: &World, at: u32) {
    let before = cluster(world, at).await;
    world
        .until("its absence is noticed", || async {
            let cluster = world.view(at).await?.cluster.ok_or("no cluster")?;
            let absent = cluster.roster.iter().filter(|member| !member.present).count();
            if absent == 1 { Ok(()) } else { Err(format!("{:?}", cluster.roster)) }
        })
        .await;
    let after = cluster(world, at).await;
    assert_eq!((after.roster.len(), after.state), (3, ClusterStateView::Frozen));
    assert_eq!(after.partitions.table_version, before.partitions.table_version, "FROZEN: the table moved");
}

/// R2: the caller is not kept waiting beyond a bound, and is not told what nobody knows. R3: there is no lock that a
/// lease would have to end.
async fn s12_a_leader_that_dies_before_it_was_agreed_leaves_one_state_behind_r2(world: &mut World) {
    let (leader, one, other) = roles(world).await;
    world.pause(one);
    world.pause(other);
    let (code, said) = admin(world.rest_port(leader), "-o change-state -s frozen --strict").await;
    // The second, if it had lost the lead just before.
    let honest = said.contains("whether it was done is not known") || said.contains("nothing was done");
    assert!(code == 3 && honest, "{code}: {said}");
    world.kill(leader);
    world.go_on(one);
    world.go_on(other);
    world.start(leader);
    let state = world
        .until("all three have one state", || async {
            let mut seen = Vec::new();
            for ordinal in 0..3 {
                let view = world.view(ordinal).await?;
                let cluster = view.cluster.ok_or("no cluster")?;
                seen.push((cluster.state, cluster.applied_index, cluster.leader.is_some()));
            }
            let same = seen.iter().all(|one| *one == seen[0] && one.2);
            let settled = matches!(seen[0].0, ClusterStateView::Active | ClusterStateView::Frozen);
            if same && settled { Ok(seen[0].0) } else { Err(format!("{seen:?}")) }
        })
        .await;
    agreed(world, 0..3, state).await;
    if state == ClusterStateView::Frozen {
        expect(world.rest_port(one), "-o change-state -s active --wait --strict", 0, "'active'").await;
    }
    world.serving(0..3, ClusterStateView::Active).await;
}

async fn s12_a_leader_that_dies_after_it_was_agreed_takes_nothing_with_it(world: &mut World) {
    let (leader, one, other) = roles(world).await;
    expect(world.rest_port(leader), "-o change-state -s frozen --strict", 0, "'frozen'").await;
    world.kill(leader);
    agreed(world, [one, other], ClusterStateView::Frozen).await;
    world.start(leader);
    world.serving(0..3, ClusterStateView::Frozen).await;
    expect(world.rest_port(leader), "-o change-state -s active --wait --strict", 0, "'active'").await;
    world.serving(0..3, ClusterStateView::Active).await;
}

/// The members of a shutdown that begins and cannot end: this one cannot seal.
async fn held_up(world: &World, ordinal: u32) -> Vec<PathBuf> {
    let generation = cluster(world, ordinal).await.generation;
    let in_the_way = world.obstruct(ordinal, (1..TRIES).map(|number| format!("seal-{generation}-{number}.a")));
    expect(world.rest_port(ordinal), "-o shutdown --strict", 0, "Cluster shutdown completed.").await;
    world
        .until("the others are sealed", || async {
            let operation = cluster(world, ordinal).await.operation.ok_or("no operation")?;
            assert_ne!(operation.step, OperationStep::Aborted, "{operation:?}");
            if operation.seals.len() == 2 { Ok(()) } else { Err(format!("{operation:?}")) }
        })
        .await;
    in_the_way
}

/// R10: who begins is answered first, what becomes of it is asked for; and whoever dies before it is decided is a reason to
/// give the former state back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s11_a_shutdown_in_which_members_die_is_given_up_or_carried_on() {
    let mut world = serving_three(with_rest()).await;
    world.put(0, "key", "value").await.unwrap();
    let (_, asked, stands_still) = roles(&world).await;
    world.pause(stands_still);
    let (code, said) = admin(world.rest_port(asked), "-o shutdown --wait").await;
    assert!(code == 3 && said.contains("the cluster is as before") && said.contains("was not heard for"), "{said}");
    world.go_on(stands_still);
    world.serving(0..3, ClusterStateView::Active).await;

    r4_a_passing_state_is_not_what_comes_back(&mut world).await;
    s12_a_shutdown_whose_leader_dies_is_carried_on_by_the_next(&mut world).await;
    assert_eq!(world.get(1, "key").await.unwrap().as_deref(), Some("value"));
}

/// R3: while it lasts nobody else changes anything, and the state is shown as what it is.
async fn r4_a_passing_state_is_not_what_comes_back(world: &mut World) {
    let (_, _, cannot_seal) = roles(world).await;
    let in_the_way = held_up(world, cannot_seal).await;
    let port = world.rest_port(cannot_seal);
    expect(port, "-o get-state", 0, "'passive'").await;
    for asked in ["-o change-state -s frozen --strict", "-o shutdown --strict"] {
        expect(port, asked, 3, "is not permitted while the cluster is PASSIVE, held by operation").await;
    }
    let late = endless("late");
    refuses(world.operator(0).submit(&job(late.name, &late.sql)).await, Code::ClusterState, "PASSIVE");
    refuses(world.put(0, "key", "late").await, Code::DoorsClosed, "PASSIVE");
    (0..3).for_each(|ordinal| world.kill(ordinal));
    clear(&in_the_way);
    world.start_all();
    world.serving(0..3, ClusterStateView::Active).await;
    let operation = cluster(world, 0).await.operation.unwrap();
    assert_eq!(operation.step, OperationStep::Aborted);
    assert!(
        operation.aborted_because.unwrap().contains("all members were started again before the stop was committed")
    );
}

async fn s12_a_shutdown_whose_leader_dies_is_carried_on_by_the_next(world: &mut World) {
    let (leader, one, cannot_seal) = roles(world).await;
    let in_the_way = held_up(world, cannot_seal).await;
    let generation = cluster(world, one).await.generation;
    world.kill(leader);
    world
        .until("another one leads", || async {
            let cluster = world.view(one).await?.cluster.ok_or("no cluster")?;
            let of = |ordinal| cluster.roster.iter().find(|member| member.ordinal == ordinal).map(|member| member.uuid);
            let leads = cluster.leader.is_some() && cluster.leader != of(leader);
            if leads { Ok(()) } else { Err(format!("{:?}", cluster.leader)) }
        })
        .await;
    clear(&in_the_way);
    for ordinal in [one, cannot_seal] {
        world.members.remove(&ordinal).unwrap().ends(PATIENCE);
    }
    world.start_all();
    world.serving(0..3, ClusterStateView::Active).await;
    let back = cluster(world, one).await;
    assert_eq!(back.generation, generation + 1);
    assert_eq!(back.operation.map(|operation| operation.step), Some(OperationStep::Opened));
}

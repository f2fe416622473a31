//! Members that end and come back one at a time while the others go on: in FROZEN, in ACTIVE, during a change of state,
//! during a stop.
//!
//! Must not know: operators.

use std::collections::BTreeMap;

use jet_admin_api::cluster::{ClusterStateView, RosterMember};
use jet_admin_api::job::JobStatus;
use jet_admin_api::operation::OperationStep;

use crate::world::ledger::{is_a_prefix, submit, wait_counted, wait_status};
use crate::world::rest::{admin, expect};
use crate::world::{PATIENCE, World};
use crate::{cluster, endless, roles, serving_three, with_rest};

const KEYS: u32 = 60;
/// Changes of state that are tried until one meets copies that are under way.
const MEETINGS: u32 = 20;

type Written = BTreeMap<String, String>;

async fn write(world: &World, at: u32, what: &str, written: &mut Written) {
    for n in 0..KEYS {
        let (key, value) = (format!("key-{n}"), format!("{what} {n}"));
        world.put(at, &key, &value).await.unwrap();
        written.insert(key, value);
    }
}

async fn holds(world: &World, at: u32, written: &Written) {
    for (key, value) in written {
        assert_eq!(world.get(at, key).await.unwrap().as_ref(), Some(value), "{key} by way of member {at}");
    }
}

/// Who is who, in which process.
async fn members(world: &World) -> Vec<(uuid::Uuid, u32, u64)> {
    let mut members = Vec::new();
    for ordinal in 0..3 {
        let view = world.view(ordinal).await.unwrap();
        members.push((view.uuid, ordinal, view.boot));
    }
    members
}

/// Where the original's table stays as it is and what the absent one led is not served, ours keeps every copy with its members
/// and only lets another of them lead: FROZEN serves on. A copy is never made on a member that had none, so a member that
/// ends without a word (the second) is no other than one that ends in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_one_by_one_in_frozen_everybody_keeps_its_id_and_its_copies() {
    let mut world = serving_three(with_rest()).await;
    let mut written = Written::new();
    write(&world, 0, "before", &mut written).await;
    expect(world.rest_port(0), "-o change-state -s frozen --wait", 0, "'frozen'").await;
    world.serving(0..3, ClusterStateView::Frozen).await;
    let before = members(&world).await;
    for ordinal in 0..3 {
        let asked = (ordinal + 1) % 3;
        if ordinal == 1 {
            world.kill(ordinal);
        } else {
            world.members.remove(&ordinal).unwrap().terminate(PATIENCE);
        }
        // What it led is led by another only once it is back or can have no lease any more; who asks waits for neither.
        world.start(ordinal);
        world.serving(0..3, ClusterStateView::Frozen).await;
        write(&world, asked, &format!("after {ordinal}"), &mut written).await;
        let partitions = cluster(&world, asked).await.partitions;
        assert_eq!((partitions.absent, partitions.migrating), (0, 0), "{partitions:?}");
    }
    let after = members(&world).await;
    let expected: Vec<_> = before.into_iter().map(|(uuid, ordinal, boot)| (uuid, ordinal, boot + 1)).collect();
    assert_eq!(after, expected);
    for at in 0..3 {
        holds(&world, at, &written).await;
    }
    expect(world.rest_port(2), "-o change-state -s active --wait", 0, "'active'").await;
    world.serving(0..3, ClusterStateView::Active).await;

    s7_who_is_killed_in_active_is_the_same_member_and_is_filled_with_all_that_was_acknowledged(&mut world, written)
        .await;
    s10_a_state_changed_while_copies_are_made_is_taken_and_they_go_on(&mut world).await;
}

/// Then each of the others is killed too: what answers is what was filled.
async fn s7_who_is_killed_in_active_is_the_same_member_and_is_filled_with_all_that_was_acknowledged(
    world: &mut World,
    mut written: Written,
) {
    let before = members(world).await;
    for ordinal in [2, 0, 1] {
        let asked = (ordinal + 1) % 3;
        world.kill(ordinal);
        world
            .until("the others lead what it led", || async {
                for n in 0..KEYS {
                    let (key, value) = (format!("key-{n}"), format!("without {ordinal}"));
                    world.put(asked, &key, &value).await.map_err(|e| e.to_string())?;
                }
                Ok(())
            })
            .await;
        written.values_mut().for_each(|value| *value = format!("without {ordinal}"));
        world.start(ordinal);
        world.serving(0..3, ClusterStateView::Active).await;
        holds(world, ordinal, &written).await;
    }
    let after = members(world).await;
    let expected: Vec<_> = before.into_iter().map(|(uuid, ordinal, boot)| (uuid, ordinal, boot + 1)).collect();
    assert_eq!(after, expected);
}

/// Where the original refuses a change of state while partitions are moved, so that it fails for a reason that goes away by
/// itself, ours takes it: a copy that is being made counts for nothing before it is whole, and goes on in every state that
/// lasts.
async fn s10_a_state_changed_while_copies_are_made_is_taken_and_they_go_on(world: &mut World) {
    let mut met = false;
    for _ in 0..MEETINGS {
        let (_, asked, restarts) = roles(world).await;
        let port = world.rest_port(asked);
        let boot = |roster: &[RosterMember]| roster.iter().find(|m| m.ordinal == restarts).map(|m| m.boot);
        let before = boot(&cluster(world, asked).await.roster);
        world.kill(restarts);
        world.start(restarts);
        let under_way = world
            .until("it is known to be back", || async {
                let cluster = world.view(asked).await?.cluster.ok_or("no cluster")?;
                let back = boot(&cluster.roster) > before;
                if back { Ok(cluster.partitions.migrating) } else { Err(format!("{:?}", cluster.roster)) }
            })
            .await;
        expect(port, "-o change-state -s frozen --strict", 0, "'frozen'").await;
        let now = cluster(world, asked).await;
        met |= under_way > 0 && now.state == ClusterStateView::Frozen && now.partitions.migrating > 0;
        world.serving(0..3, ClusterStateView::Frozen).await;
        expect(port, "-o change-state -s active --wait --strict", 0, "'active'").await;
        world.serving(0..3, ClusterStateView::Active).await;
        if met {
            return;
        }
    }
    panic!("no change of state met a copy that was under way\n{}", world.logs());
}

/// The original does not look at what became of the snapshot. Here a member stands still, so its parts cannot be taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r28_a_stop_without_its_terminal_snapshot_is_none_and_says_so() {
    let world = serving_three(with_rest()).await;
    let ledger = endless("ledger");
    submit(&world, &ledger).await;
    let shown = wait_counted(&world, 0, &ledger, 1).await;
    let (_, asked, stands_still) = roles(&world).await;
    world.pause(stands_still);
    let (code, said) = admin(world.rest_port(asked), "-o shutdown --wait").await;
    assert!(code == 3 && said.contains("the cluster is as before"), "{code}: {said}");
    world.go_on(stands_still);
    let operation = cluster(&world, asked).await.operation.unwrap();
    assert_eq!(operation.step, OperationStep::Aborted);
    assert!(operation.aborted_because.is_some_and(|why| said.contains(&why)), "{said}");
    world.serving(0..3, ClusterStateView::Active).await;
    wait_status(&world, asked, &ledger, JobStatus::Running).await;
    wait_counted(&world, asked, &ledger, shown + 1).await;
    is_a_prefix(&world, asked, &ledger).await;
}

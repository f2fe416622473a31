//! A shutdown of the whole cluster and its return: who is waited for, who is not let in, what is touched meanwhile.
//!
//! Must not know: Kubernetes.

use std::path::PathBuf;

use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::identity::Role;
use jet_admin_api::job::JobStatus;
use jet_admin_api::map::SqlQuery;
use jet_admin_api::member::MemberPhase;
use jet_admin_api::refusal::Code;

use crate::world::ledger::{Expected, goes_on_from_terminal, is_a_prefix, submit, wait_counted, wait_status};
use crate::world::rest::{expect, get, said};
use crate::world::{CLUSTER, World, brief};
use crate::{endless, job, refuses, serving_three, with_rest};

const BOUND: &str = "validation-timeout-seconds";

/// R18: where the original does not start with another number of threads than its store was written with, any number
/// will do, also a different one on each member: stores belong to members and partitions, not to threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_a_shutdown_and_its_return_lose_and_double_no_row_also_with_other_threads_r18() {
    let world = with_rest().and_a_stranger();
    world.configure(
        "hazelcast.yaml",
        &format!("  cluster-name: {CLUSTER}\n"),
        &format!("  hot-restart-persistence: {{enabled: true, {BOUND}: 1}}\n"),
    );
    (0..3).for_each(|ordinal| world.set_workers(ordinal, 2));
    let mut world = serving_three(world).await;
    let ledger = endless("ledger");
    submit(&world, &ledger).await;
    let visible = wait_counted(&world, 0, &ledger, 1).await;
    expect(world.rest_port(0), "-o shutdown --wait", 0, "Cluster shutdown completed.").await;
    world.all_end();

    s2_two_of_three_wait_are_overdue_and_touch_nothing(&mut world).await;
    for (ordinal, workers) in [(0, 1), (1, 2), (2, 3)] {
        world.set_workers(ordinal, workers);
    }
    world.start_all();
    world.serving(0..3, ClusterStateView::Active).await;
    goes_on_exactly(&world, &ledger, visible).await;
}

/// It was visible up to `visible` at least.
async fn goes_on_exactly(world: &World, ledger: &Expected, visible: u64) {
    let from = goes_on_from_terminal(world, ledger).await.started_from.unwrap();
    assert!(from.rows_read >= visible, "{visible} rows were visible: {from:?}");
    wait_counted(world, 1, ledger, from.rows_read + 1).await;
    is_a_prefix(world, 2, ledger).await;
    assert_eq!(wait_status(world, 0, ledger, JobStatus::Running).await.failures, 0);
}

/// Where the original's members fail after the bound, ours stay, say that it is over and for whom they wait: nobody has to
/// start them again, and no deadline decides what only a person may. R25: what jobs have on disk is not tidied up by a
/// member that knows no jobs yet (it is alone) or waits.
async fn s2_two_of_three_wait_are_overdue_and_touch_nothing(world: &mut World) {
    let left: Vec<_> = (0..3).map(|ordinal| world.left_behind(ordinal)).collect();
    let untouched = |world: &World| {
        for ordinal in [1, 2] {
            assert_eq!(world.left_behind(ordinal), left[ordinal as usize], "r25: member {ordinal}\n{}", world.logs());
        }
    };
    world.start(1);
    r12_the_bound_is_an_alarm(world, 1, "a majority").await;
    untouched(world);
    world.start(2);
    r12_the_bound_is_an_alarm(world, 1, "member 0").await;
    untouched(world);
    r13_r8_a_user_is_refused_until_the_return_is_complete(world).await;
    s9_a_stranger_is_not_let_in_and_disturbs_nobody(world).await;
    untouched(world);
    // Started again in the middle of the wait, as a kubelet would.
    world.terminate_all();
    untouched(world);
}

async fn r12_the_bound_is_an_alarm(world: &World, at: u32, waits_for: &str) {
    world
        .until(&format!("member {at} says that its return is overdue, and that it waits for {waits_for}"), || async {
            let view = world.view(at).await?;
            assert_ne!(view.phase, MemberPhase::Serving, "{}", brief(&view));
            let told = view.waiting_for.contains(waits_for) && view.waiting_for.contains(BOUND);
            if told { Ok(()) } else { Err(brief(&view)) }
        })
        .await;
    let metrics = crate::world::rest::ask_plain(&world.health_address(at), "/metrics");
    assert!(metrics.contains("jet_return_overdue 1"), "{metrics}");
}

async fn r13_r8_a_user_is_refused_until_the_return_is_complete(world: &World) {
    let client = world.client_as(1, Role::Client);
    refuses(world.put(1, "key", "value").await, Code::DoorsClosed, "RECOVERING");
    refuses(world.get(1, "key").await, Code::DoorsClosed, "RECOVERING");
    let query = SqlQuery { sql: "SELECT key FROM ledger".into(), limit: 1 };
    refuses(client.sql(&query).await, Code::DoorsClosed, "RECOVERING");
    let other = endless("other");
    refuses(world.operator(1).submit(&job(other.name, &other.sql)).await, Code::ClusterState, "RECOVERING");
    refuses(world.operator(1).job("ledger", "suspend").await, Code::ClusterState, "RECOVERING");
    let port = world.rest_port(1);
    for asked in ["-o change-state -s active --strict", "-o change-state -s passive --strict", "-o shutdown --strict"] {
        expect(port, asked, 3, "is not permitted while the cluster is RECOVERING").await;
    }
    assert_eq!(get(port, "/hazelcast/health/ready"), said(503, ""));
    expect(port, "-o get-state", 0, "'in_transition'").await;
}

/// Where the original's start fails on an unexpected member, ours goes on waiting for its own: the recorded roster says
/// who belongs to it, so a stranger is a stranger, whatever it says of itself and whenever it comes.
async fn s9_a_stranger_is_not_let_in_and_disturbs_nobody(world: &mut World) {
    world.start(3);
    world.all_in([3], MemberPhase::NoStore).await;
    // And one in the place of member 0, with its certificate, an empty volume and leave to found.
    let kept = set_aside(world, 0);
    world.start(0);
    world
        .until("the newcomer is told that the cluster is founded", || async {
            let view = world.view(0).await?;
            let told =
                view.phase == MemberPhase::Founding && view.waiting_for.contains("was founded by another permit");
            if told { Ok(()) } else { Err(brief(&view)) }
        })
        .await;
    for at in [1, 2] {
        world
            .until("the recorded member 0 is waited for, and nobody else", || async {
                let view = world.view(at).await?;
                let cluster = view.cluster.clone().ok_or("no cluster")?;
                let missing: Vec<u32> = cluster.missing.iter().map(|member| member.ordinal).collect();
                let holds = cluster.state == ClusterStateView::Recovering && cluster.roster.len() == 3;
                if holds && missing == [0] { Ok(()) } else { Err(brief(&view)) }
            })
            .await;
    }
    assert_eq!(world.view(3).await.unwrap().phase, MemberPhase::NoStore);
    world.kill(3);
    world.kill(0);
    std::fs::remove_dir_all(world.home(0)).unwrap();
    std::fs::rename(kept, world.home(0)).unwrap();
}

fn set_aside(world: &World, ordinal: u32) -> PathBuf {
    let kept = world.dir.path().join("kept");
    std::fs::rename(world.home(ordinal), &kept).unwrap();
    kept
}

//! Laws CRASH, RESUME and STOP with real processes that are started again at the worst moments: what a store holds is
//! read before it is written to, and what was sealed or opened counts in the next process too.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod world;

use std::collections::BTreeMap;

use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::member::MemberPhase;
use jet_admin_api::operation::{Activate, BeginOperation, Commit, Freeze, OperationStep};
use world::change::clear;
use world::{CLUSTER, World, brief};

const KEYS: u32 = 60;
/// More than the tries that a member makes while a test runs.
const TRIES: u32 = 120;

/// A cluster of three with entries, all of them on disk.
async fn filled() -> (World, BTreeMap<String, String>) {
    let mut world = World::new(3);
    world.start_all();
    world.found().await;
    let mut acknowledged = BTreeMap::new();
    for n in 0..KEYS {
        let (key, value) = (format!("key-{n}"), format!("value-{n}"));
        world.put(n % 3, &key, &value).await.unwrap();
        acknowledged.insert(key, value);
    }
    for ordinal in 0..3 {
        world.on_disk(ordinal).await;
    }
    (world, acknowledged)
}

async fn holds(world: &World, ordinal: u32, acknowledged: &BTreeMap<String, String>) {
    for (key, value) in acknowledged {
        let what = format!("member {ordinal} answers {key}");
        let found =
            world.until(&what, || async { world.get(ordinal, key).await.map_err(|error| error.to_string()) }).await;
        assert_eq!(found.as_ref(), Some(value), "{key} through member {ordinal}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_killed_at_once_bring_back_what_only_they_had() {
    let (mut world, acknowledged) = filled().await;
    let before = world.view(0).await.unwrap().cluster.unwrap();
    for _ in 0..2 {
        // Partitions with both copies on these two are in no RAM any more, and on their disks alone.
        world.kill(1);
        world.kill(2);
        world.start(1);
        world.start(2);
        world.serving(0..3, ClusterStateView::Active).await;
        holds(&world, 0, &acknowledged).await;
    }
    let after = world.view(0).await.unwrap().cluster.unwrap();
    assert_eq!(after.generation, before.generation + 2, "it recovered from disks, twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_by_one_started_again_and_then_all_at_once_nothing_is_lost() {
    let (mut world, acknowledged) = filled().await;
    for ordinal in [1, 2] {
        world.kill(ordinal);
        world.start(ordinal);
        world.serving(0..3, ClusterStateView::Active).await;
    }
    for ordinal in 0..3 {
        world.on_disk(ordinal).await;
    }
    (0..3).for_each(|ordinal| world.kill(ordinal));
    world.start_all();
    world.serving(0..3, ClusterStateView::Active).await;
    holds(&world, 1, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_killed_while_the_next_generation_is_opened_returns_too() {
    let (mut world, acknowledged) = filled().await;
    let generation = world.stop("1-stop").await;
    world.terminate_all();
    world.start_all();
    world.all_in(0..3, MemberPhase::WaitingForActivate).await;
    // Member 2 cannot open the generation yet, the others can.
    let in_the_way = world.obstruct(2, [format!("opened-{}", generation + 1)]);
    let activate = Activate { sealed_generation: generation, wishes: Vec::new() };
    world.operator(0).activate("1-stop", &activate).await.unwrap();
    for ordinal in [0, 1] {
        world
            .until("the next generation is opened", || async {
                let view = world.view(ordinal).await?;
                if view.store.generation == generation + 1 { Ok(()) } else { Err(brief(&view)) }
            })
            .await;
    }
    world.kill(1);
    world.start(1);
    world
        .until("the return begins anew", || async {
            let view = world.view(0).await?;
            let state = view.cluster.as_ref().map(|cluster| cluster.state);
            if state == Some(ClusterStateView::Recovering) { Ok(()) } else { Err(brief(&view)) }
        })
        .await;
    clear(&in_the_way);
    world.resume("1-stop", generation).await;
    holds(&world, 1, &acknowledged).await;
    let after = world.view(0).await.unwrap().cluster.unwrap();
    assert_eq!(after.generation, generation + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_started_again_before_it_sealed_seals_what_its_disk_has() {
    let (mut world, acknowledged) = filled().await;
    let operator = world.operator(0);
    let begin = BeginOperation { id: "1-stop".into(), requested_by: "test".into(), accepted_job_loss: Vec::new() };
    operator.begin(&begin).await.unwrap();
    // Each try to seal has a number of its own.
    let in_the_way = world.obstruct(1, (1..TRIES).map(|number| format!("seal-1-{number}.a")));
    operator.freeze("1-stop", &Freeze { commit_within_ms: 120_000 }).await.unwrap();
    world
        .until("all but member 1 are sealed", || async {
            let operation = operator.cluster().await.map_err(|e| e.to_string())?.operation.ok_or("no operation")?;
            let mut sealed: Vec<u32> = operation.seals.iter().map(|seal| seal.ordinal).collect();
            sealed.sort_unstable();
            assert_ne!(operation.step, OperationStep::Aborted, "{operation:?}");
            if sealed == [0, 2] { Ok(()) } else { Err(format!("{operation:?}")) }
        })
        .await;
    world.kill(1);
    clear(&in_the_way);
    world.start(1);
    let cluster = world
        .until("sealed", || async {
            let cluster = operator.cluster().await.map_err(|e| e.to_string())?;
            let step = cluster.operation.as_ref().map(|operation| operation.step);
            assert_ne!(step, Some(OperationStep::Aborted), "{cluster:?}");
            if step == Some(OperationStep::Sealed) { Ok(cluster) } else { Err(format!("{:?}", cluster.operation)) }
        })
        .await;
    operator.commit("1-stop", &Commit { roster_digest: cluster.roster_digest.clone() }).await.unwrap();
    world.all_in(0..3, MemberPhase::Sealed).await;
    world.terminate_all();
    world.start_all();
    world.resume("1-stop", cluster.generation).await;
    holds(&world, 1, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_founder_killed_before_the_first_generation_opens_is_waited_for_and_filled() {
    let mut world = World::new(3);
    world.start_all();
    world.all_in(0..3, MemberPhase::NoStore).await;
    let in_the_way = world.obstruct(2, ["opened-1".into()]);
    world.permit().await;
    for ordinal in [0, 1] {
        world
            .until("the first generation is opened", || async {
                let view = world.view(ordinal).await?;
                if view.store.generation == 1 { Ok(()) } else { Err(brief(&view)) }
            })
            .await;
    }
    let founded = world.view(0).await.unwrap().cluster.map(|cluster| cluster.partitions.table_version);
    world.kill(1);
    world.start(1);
    world
        .until("the founders recover", || async {
            let view = world.view(0).await?;
            let table = view.cluster.as_ref().map(|cluster| cluster.partitions.table_version);
            if table > founded { Ok(()) } else { Err(brief(&view)) }
        })
        .await;
    clear(&in_the_way);
    world.serving(0..3, ClusterStateView::Active).await;
    world.put(1, "key", "value").await.unwrap();
    assert_eq!(world.get(2, "key").await.unwrap().as_deref(), Some("value"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_killed_right_after_founding_are_no_cluster_without_copies() {
    let mut world = World::new(3);
    world.start_all();
    world.found().await;
    (0..3).for_each(|ordinal| world.kill(ordinal));
    world.start_all();
    world.serving(0..3, ClusterStateView::Active).await;
    world.put(1, "key", "value").await.unwrap();
    assert_eq!(world.get(2, "key").await.unwrap().as_deref(), Some("value"));
}

/// The numbers of partitions in a member's lines with these words.
fn told(log: &str, words: &str) -> Vec<u32> {
    let number = |line: &str| line.split("partitions=").nth(1)?.split(' ').next()?.parse().ok();
    log.lines().filter(|line| line.contains(words)).filter_map(number).collect()
}

/// What fsync of a map is for. What a member leads came back whole and is not written whole again, so nobody waits for that;
/// the copies that it was given are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn right_after_a_kill_of_all_changes_of_a_map_with_fsync_are_on_every_disk_again() {
    let mut world = World::new(3);
    let fsync = "  map: {'fl*': {hot-restart: {enabled: true, fsync: true}}}\n";
    world.configure("hazelcast.yaml", &format!("  cluster-name: {CLUSTER}\n"), fsync);
    world.start_all();
    world.found().await;
    let mut acknowledged = BTreeMap::new();
    for round in 0..3 {
        for n in 0..KEYS {
            let (key, value) = (format!("key-{n}"), format!("{round}-{n}"));
            if let Err(told) = world.put(n % 3, &key, &value).await {
                panic!("round {round}: {key} through member {} is not on every disk: {told}{}", n % 3, world.logs());
            }
            acknowledged.insert(key, value);
        }
        // No write is under way.
        (0..3).for_each(|ordinal| world.kill(ordinal));
        world.start_all();
        world.serving(0..3, ClusterStateView::Active).await;
    }
    holds(&world, 0, &acknowledged).await;
    for ordinal in 0..3 {
        let log = world.log(ordinal);
        let (held, whole) = (told(&log, "maps: loaded"), told(&log, "partitions were written whole to the log"));
        assert!(
            !held.is_empty() && whole.iter().all(|whole| held.iter().all(|held| whole < held)),
            "{whole:?} of {held:?}"
        );
    }
}

//! Maps over real processes: what was acknowledged is there after a stop and return, after a kill, after a kill of all.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod world;

use std::collections::BTreeMap;

use jet_admin_api::cluster::ClusterStateView;
use world::World;

const KEYS: u32 = 60;
/// So many of the last acknowledged writes are looked for: what is lost at an end is what came last.
const LAST: u32 = 50;

/// Puts through every member in turn; gives what was acknowledged.
async fn fill(world: &World, through: &[u32], round: u32) -> BTreeMap<String, String> {
    let mut acknowledged = BTreeMap::new();
    for n in 0..KEYS {
        let (key, value) = (format!("key-{n}"), format!("{round}-{n}"));
        let member = through[n as usize % through.len()];
        world.put(member, &key, &value).await.unwrap_or_else(|error| panic!("put {key} through {member}: {error}"));
        acknowledged.insert(key, value);
    }
    acknowledged
}

/// Every member that is asked has every acknowledged value, within the harness's patience.
async fn holds(world: &World, ordinals: &[u32], acknowledged: &BTreeMap<String, String>) {
    for ordinal in ordinals {
        for (key, value) in acknowledged {
            let what = format!("member {ordinal} answers {key}");
            let found = world
                .until(&what, || async { world.get(*ordinal, key).await.map_err(|error| error.to_string()) })
                .await;
            assert_eq!(found.as_ref(), Some(value), "{key} through member {ordinal}");
        }
    }
}

async fn fully_backed(world: &World, through: u32) {
    world
        .until("every partition has all its copies", || async {
            let view = world.view(through).await?;
            let partitions = view.cluster.as_ref().map(|cluster| cluster.partitions.clone()).ok_or("no cluster")?;
            if partitions.fully_backed == partitions.count { Ok(()) } else { Err(world::brief(&view)) }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_come_back_after_a_stop() {
    let mut world = World::new(3);
    world.start_all();
    world.found().await;
    let acknowledged = fill(&world, &[0, 1, 2], 1).await;
    let generation = world.stop("1-stop").await;
    assert!(world.put(0, "key-0", "late").await.is_err(), "a sealed cluster took a put");
    world.terminate_all();
    world.start_all();
    world.resume("1-stop", generation).await;
    holds(&world, &[0, 1, 2], &acknowledged).await;
    let later = fill(&world, &[2, 1, 0], 2).await;
    holds(&world, &[0], &later).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_member_takes_nothing_acknowledged_with_it() {
    let mut world = World::new(3);
    world.start_all();
    world.found().await;
    fully_backed(&world, 0).await;
    let acknowledged = fill(&world, &[0, 1, 2], 1).await;
    world.kill(1);
    holds(&world, &[0, 2], &acknowledged).await;
    let later = fill(&world, &[0, 2], 2).await;
    world.start(1);
    world.serving([0, 1, 2], ClusterStateView::Active).await;
    fully_backed(&world, 0).await;
    // What the returned member holds is a copy, and counts: the next loss shows it.
    world.kill(2);
    holds(&world, &[0, 1], &later).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_come_back_after_a_kill_of_all() {
    let mut world = World::new(3);
    world.start_all();
    world.found().await;
    let acknowledged = fill(&world, &[0, 1, 2], 1).await;
    for ordinal in 0..3 {
        world.on_disk(ordinal).await;
    }
    (0..3).for_each(|ordinal| world.kill(ordinal));
    world.start_all();
    world.serving([0, 1, 2], ClusterStateView::Active).await;
    holds(&world, &[0, 1, 2], &acknowledged).await;
}

/// Puts one key after the other until it is refused; gives how many were acknowledged.
async fn put_until_refused(world: &World, writer: u32) -> u32 {
    let mut n = 0;
    while world.put(0, &format!("{writer}-{n}"), "value").await.is_ok() {
        n += 1;
    }
    n
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_while_a_member_was_ended_is_on_its_disk() {
    let mut world = World::new(1);
    world.start_all();
    world.found().await;
    let ended = world.members.remove(&0).unwrap();
    let end = async {
        // The writers are at work.
        world
            .until("some are acknowledged", || async {
                let found = world.get(0, "0-20").await.map_err(|e| e.to_string())?;
                found.map(|_| ()).ok_or_else(|| "not yet".to_owned())
            })
            .await;
        tokio::task::spawn_blocking(move || ended.terminate(world::PATIENCE)).await.unwrap()
    };
    let writers = futures::future::join_all((0..4).map(|writer| put_until_refused(&world, writer)));
    let (acknowledged, _) = tokio::join!(writers, end);
    world.start(0);
    world.serving([0], ClusterStateView::Active).await;
    for (writer, count) in acknowledged.into_iter().enumerate() {
        for n in count.saturating_sub(LAST)..count {
            let key = format!("{writer}-{n}");
            assert_eq!(
                world.get(0, &key).await.unwrap().as_deref(),
                Some("value"),
                "{key} of {count} was acknowledged"
            );
        }
    }
}

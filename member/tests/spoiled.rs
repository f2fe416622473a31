//! Law STOP with real processes: one changed byte in the RAM of one copy, and the stop is refused, by name.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod world;

use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::member::StoreState;
use jet_admin_api::operation::{BeginOperation, Freeze, OperationStep, OperationView};
use uuid::Uuid;
use world::{World, memory, tree_has};

const KEY: &str = "spoiled";

/// The members whose stores hold the value: primary and backup, once both have written it.
async fn holders(world: &World, value: &str) -> Vec<u32> {
    world
        .until("two members have the value in their logs", || async {
            let dir = |ordinal: &u32| world.home(*ordinal).join("recovery/data");
            let found: Vec<u32> = (0..world.size).filter(|o| tree_has(&dir(o), value.as_bytes())).collect();
            if found.len() == 2 { Ok(found) } else { Err(format!("{found:?}")) }
        })
        .await
}

/// The value with one bit of its last byte changed.
fn spoiled(value: &str) -> Vec<u8> {
    let mut bytes = value.as_bytes().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    bytes
}

/// Changes one byte of the value wherever the backup has it in RAM; tells which member that is.
async fn spoil_the_backup(world: &World, value: &str) -> u32 {
    let (good, bad) = (value.as_bytes(), spoiled(value));
    for ordinal in holders(world, value).await {
        let pid = world.members[&ordinal].id();
        assert!(memory::replace(pid, good, &bad) > 0, "member {ordinal} has the value on its disk and not in its RAM");
        // The primary answers. If what it answers is as before, it was the backup's byte.
        let answered = world
            .until("the primary answers", || async { world.get(0, KEY).await.map_err(|e| e.to_string()) })
            .await
            .unwrap();
        if answered == value {
            return ordinal;
        }
        assert_eq!(answered.as_bytes(), bad);
        assert!(memory::replace(pid, &bad, good) > 0);
    }
    panic!("both holders answer reads");
}

/// Begins and freezes; gives the operation when it has ended.
async fn refused_stop(world: &World, op: &str) -> OperationView {
    let operator = world.operator(0);
    let begin = BeginOperation { id: op.into(), requested_by: "test".into(), accepted_job_loss: Vec::new() };
    operator.begin(&begin).await.unwrap();
    operator.freeze(op, &Freeze { commit_within_ms: 60_000 }).await.unwrap();
    world
        .until("the stop is refused", || async {
            let operation = operator.cluster().await.map_err(|e| e.to_string())?.operation.ok_or("no operation")?;
            let going_on = matches!(operation.step, OperationStep::Begun | OperationStep::Freezing);
            assert!(going_on || operation.step == OperationStep::Aborted, "it went on: {operation:?}");
            if going_on { Err(format!("{:?}: {}", operation.step, operation.progress)) } else { Ok(operation) }
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_changed_byte_in_a_backups_ram_makes_quiesced_fail_and_names_the_partition() {
    let mut world = World::new(3);
    world.start_all();
    world.found().await;
    let value = format!("marker-{}-{}", Uuid::new_v4(), Uuid::new_v4());
    world.until("the value is taken", || async { world.put(0, KEY, &value).await.map_err(|e| e.to_string()) }).await;
    let backup = spoil_the_backup(&world, &value).await;

    let operation = refused_stop(&world, "1-stop").await;
    let why = operation.aborted_because.clone().unwrap();
    let partition = jet_map::partition_of(KEY.as_bytes(), world.partitions);
    let uuid = world.view(backup).await.unwrap().uuid;
    assert!(why.contains(&format!("partition {partition} differs")), "{why}");
    assert!(why.contains(&format!("member {backup} ({uuid}")), "{why} does not name member {backup} {uuid}");
    assert!(operation.quiesced.is_none() && operation.seals.is_empty(), "{operation:?}");

    // Nothing is sealed, and the cluster is what it was before.
    world.serving(0..3, ClusterStateView::Active).await;
    for ordinal in 0..3 {
        let store = world.view(ordinal).await.unwrap().store;
        assert!(store.state == StoreState::Open && store.seal.is_none(), "member {ordinal}: {store:?}");
    }
    assert_eq!(world.get(0, KEY).await.unwrap().as_deref(), Some(value.as_str()));
    world.put(1, "after", "the refusal").await.unwrap();
    // No second try forgets it.
    let again = refused_stop(&world, "2-stop").await.aborted_because.unwrap();
    assert!(again.contains(&format!("partition {partition} differs")), "{again}");

    // The way out: what the member started anew is given is a copy of the primary's, and the stop goes through.
    world.kill(backup);
    world.start(backup);
    world.serving(0..3, ClusterStateView::Active).await;
    let generation = world.stop("3-stop").await;
    world.terminate_all();
    world.start_all();
    world.resume("3-stop", generation).await;
    for ordinal in 0..3 {
        assert_eq!(world.get(ordinal, KEY).await.unwrap().as_deref(), Some(value.as_str()));
        assert_eq!(world.get(ordinal, "after").await.unwrap().as_deref(), Some("the refusal"));
    }
}

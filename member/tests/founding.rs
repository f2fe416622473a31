//! Founding without an operator: the configured member list is the permit.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod world;

use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::member::MemberPhase;
use world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configured_list_founds_only_when_all_of_it_is_there() {
    let mut world = World::new(3);
    world.permit_from = "configuration";
    world.start(0);
    world.start(1);
    world.all_in([0], MemberPhase::Founding).await;
    world.start(2);
    world.serving(0..3, ClusterStateView::Active).await;
    let cluster = world.view(2).await.unwrap().cluster.unwrap();
    assert_eq!(cluster.roster.iter().map(|m| m.ordinal).collect::<std::collections::BTreeSet<_>>().len(), 3);
    assert_eq!(cluster.partitions.count, 271);
    // Nothing failed on the way: a member that is not founded yet waits, and says so.
    for ordinal in 0..3 {
        let log = std::fs::read_to_string(world.dir.path().join(format!("member-{ordinal}.log"))).unwrap();
        assert!(!log.contains("does not go on"), "member {ordinal} told a failure: {log}");
    }
    world.put(1, "key", "value").await.unwrap();
    let generation = world.stop("1-stop").await;
    world.terminate_all();
    world.start_all();
    world.resume("1-stop", generation).await;
    assert_eq!(world.get(0, "key").await.unwrap().as_deref(), Some("value"));
    assert_eq!(world.view(0).await.unwrap().cluster.unwrap().founding_id, cluster.founding_id);
}

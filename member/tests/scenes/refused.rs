//! Settings of the original that are not offered: who writes one reads which, and why, and nothing is started.
//!
//! Must not know: clusters.

use crate::world::{CLUSTER, PATIENCE, World};

/// What a member says that ends because of this section of `hazelcast.yaml`.
fn refusal(section: &str) -> String {
    let mut world = World::new(1);
    world.configure("hazelcast.yaml", &format!("  cluster-name: {CLUSTER}\n"), section);
    world.start(0);
    world.members.remove(&0).unwrap().fails(PATIENCE)
}

/// R18: a store has one log in this version. Threads are another matter: their number may change at each start.
#[test]
fn r18_parallelism_of_the_store_is_refused_by_name() {
    let said = refusal("  hot-restart-persistence: {enabled: true, parallelism: 4}\n");
    assert!(said.contains("parallelism") && said.contains("only '1' is offered"), "{said}");
}

/// S3, R14: no loss of data is chosen by configuration, and none by the passing of time.
#[test]
fn r14_partial_recovery_is_refused_by_name() {
    let said = refusal("  hot-restart-persistence: {cluster-data-recovery-policy: PARTIAL_RECOVERY_MOST_COMPLETE}\n");
    assert!(said.contains("FULL_RECOVERY_ONLY") && said.contains("nothing that loses data"), "{said}");
}

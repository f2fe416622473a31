//! Bad input at real members: configuration, flags, stores, certificates, the REST, the admin API, SQL, clients. The words that a
//! person reads are those of `docs/bad-input.md`.
//!
//! Law: what was refused has changed nothing. Must not know: how it is judged.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "bad_input/asked.rs"]
mod asked;
#[path = "clients/caller.rs"]
mod caller;
#[path = "bad_input/callers.rs"]
mod callers;
#[path = "bad_input/clients.rs"]
mod clients;
#[path = "bad_input/jobs.rs"]
mod jobs;
#[path = "bad_input/keys.rs"]
mod keys;
#[path = "bad_input/programs.rs"]
mod programs;
#[path = "bad_input/started.rs"]
mod started;
#[path = "bad_input/stores.rs"]
mod stores;
mod world;

use jet_admin_api::cluster::ClusterStateView;
use jet_pages::Table;
use world::World;

/// The page.
const PAGE: &str = "bad-input.md";

#[test]
fn a_member_that_is_told_nonsense_does_not_start_and_says_why() {
    let world = World::new(1);
    for table in [started::configured(&world), started::launched(&world)] {
        table.keep(PAGE);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_not_as_it_must_be_is_held_as_it_is_and_named() {
    stores::held().await.keep(PAGE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_cannot_use_its_keys_is_held_and_makes_no_store() {
    keys::unusable().await.keep(PAGE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_a_member_for_nonsense_reads_why_and_nothing_is_done() {
    let mut world = World::with_rest(1, &["CLUSTER_WRITE"]);
    world.start_all();
    world.serving([0], ClusterStateView::Active).await;
    let mut tables: Vec<Table> =
        vec![asked::rest(&world), asked::cluster_admin(&world), asked::admin_api(&world).await];
    tables.extend([
        jobs::submitted(&world),
        jobs::named(&world),
        callers::certificates(&world),
        clients::spoken(&world),
    ]);
    nothing_was_done(&world).await;
    tables.iter().for_each(|table| table.keep(PAGE));
}

async fn nothing_was_done(world: &World) {
    let cluster = world.operator(0).cluster().await.unwrap();
    assert_eq!((cluster.state, cluster.highest_operation), (ClusterStateView::Active, 0), "{cluster:?}");
    assert!(cluster.jobs.is_empty(), "{:?}", cluster.jobs);
    world.serving([0], ClusterStateView::Active).await;
    world.put(0, "key", "value").await.unwrap();
}

//! What clients that are gone have locked.

use std::time::{Duration, Instant};

use jet_admin_api::cluster::ClusterStateView;
use jet_protocol::message::client::authentication;
use jet_protocol::message::map::*;

use crate::caller::{Caller, hello, text};
use crate::world::World;

/// As the members are told.
const GONE_AFTER: Duration = Duration::from_millis(2_000);
const KEYS: usize = 12;

async fn of(members: u32) -> World {
    let mut world = World::for_clients(members);
    let file = world.dir.path().join("config/hazelcast.yaml");
    let kept = format!("  network:\n    client-protocol: {{locks-kept-seconds: {}}}\n", GONE_AFTER.as_secs());
    let text = std::fs::read_to_string(&file).unwrap().replacen("  network:\n", &kept, 1);
    std::fs::write(&file, text).unwrap();
    world.start_all();
    world.serving(0..members, ClusterStateView::Active).await;
    world
}

fn key(n: usize) -> jet_protocol::data::Data {
    text(&format!("key-{n}"))
}

/// Locks keys of several partitions for ever.
fn locks(client: &mut Caller) {
    for n in 0..KEYS {
        client.ask(&lock::Request { thread: 7, ttl: -1, reference: n as i64, name: "m".into(), key: key(n) }).unwrap();
    }
}

fn locked(client: &mut Caller) -> usize {
    let mut is_locked = |n| client.ask(&is_locked::Request { name: "m".into(), key: key(n) }).unwrap().locked;
    (0..KEYS).filter(|n| is_locked(*n)).count()
}

async fn until_free(world: &World, client: &mut Caller) {
    let client = std::sync::Mutex::new(client);
    world
        .until("the locks are free", || async {
            match locked(*client.lock().unwrap()) {
                0 => Ok(()),
                left => Err(format!("{left} keys are locked")),
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_locks_of_a_client_are_free_when_it_is_gone_from_every_member_and_no_sooner() {
    let world = of(2).await;
    let who = hello();
    let mut owner = Caller::tried(&world.client_address(0), &who).unwrap();
    let elsewhere = Caller::tried(&world.client_address(1), &authentication::Request { ..who.clone() }).unwrap();
    let mut other = Caller::new(&world.client_address(0));
    locks(&mut owner);
    drop(owner);
    // It is still at the other member: for longer than it may be away.
    let gone = Instant::now();
    while gone.elapsed() < GONE_AFTER * 2 {
        assert_eq!(locked(&mut other), KEYS, "after {:?}", gone.elapsed());
    }
    let gone = Instant::now();
    drop(elsewhere);
    until_free(&world, &mut other).await;
    assert!(gone.elapsed() > GONE_AFTER * 3 / 4, "after {:?}", gone.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_locks_of_a_client_whose_only_member_went_with_it_are_free_too() {
    let mut world = of(3).await;
    let mut owner = Caller::new(&world.client_address(2));
    locks(&mut owner);
    let mut other = Caller::new(&world.client_address(0));
    assert_eq!(locked(&mut other), KEYS);
    drop(owner);
    world.kill(2);
    world.start(2);
    world.serving(0..3, ClusterStateView::Active).await;
    until_free(&world, &mut Caller::new(&world.client_address(1))).await;
}

//! What is said of single maps.

use jet_admin_api::cluster::ClusterStateView;
use jet_protocol::message::map::*;

use crate::caller::{Caller, text};
use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_live_as_long_as_their_map_says_and_make_room_where_it_is_bounded() {
    let mut world = World::for_clients(3);
    let file = world.dir.path().join("config/hazelcast.yaml");
    let maps = "hazelcast:\n  map:\n    short: {time-to-live-seconds: 1}\n    \
                'small-*': {eviction: {size: 62, max-size-policy: PER_NODE, eviction-policy: LRU}}\n";
    let told = std::fs::read_to_string(&file).unwrap().replacen("hazelcast:\n", maps, 1);
    std::fs::write(&file, told).unwrap();
    world.start_all();
    world.serving(0..3, ClusterStateView::Active).await;
    let mut client = Caller::new(&world.client_address(0));
    let put = |name: &str, ttl, key: &str| put::Request {
        thread: 1,
        ttl,
        name: name.into(),
        key: text(key),
        value: text("v"),
    };
    let size = |client: &mut Caller, name: &str| client.ask(&size::Request { name: name.into() }).unwrap().size;

    client.ask(&put("short", -1, "as the map says")).unwrap();
    client.ask(&put("short", 0, "for ever")).unwrap();
    client.ask(&put("long", -1, "k")).unwrap();
    let shared = std::sync::Mutex::new(&mut client);
    world
        .until("what the map gives a second is gone", || async {
            match size(&mut shared.lock().unwrap(), "short") {
                1 => Ok(()),
                other => Err(format!("{other} entries")),
            }
        })
        .await;
    let there = |client: &mut Caller, name: &str, key: &str| {
        client.ask(&contains_key::Request { thread: 1, name: name.into(), key: text(key) }).unwrap().contained
    };
    assert!(there(&mut client, "short", "for ever") && there(&mut client, "long", "k"));

    let flags = event_type::EVICTED;
    let listener = add_entry_listener::Request { include_value: true, flags, local_only: true, name: "small-1".into() };
    client.ask(&listener).unwrap();
    for n in 0..2_000 {
        client.ask(&put("small-1", -1, &format!("key-{n}"))).unwrap();
        client.ask(&put("large", -1, &format!("key-{n}"))).unwrap();
    }
    let partitions = 271;
    let small = size(&mut client, "small-1");
    assert!((1..=partitions).contains(&small), "{small} entries: each partition has room for one");
    assert_eq!(size(&mut client, "large"), 2_000);
    assert!(there(&mut client, "small-1", "key-1999"), "what was just written stays");
    let evicted: add_entry_listener::Entry = client.told();
    assert_eq!((evicted.event_type, evicted.former), (event_type::EVICTED, Some(text("v"))));
    // What one member evicted no other has: it leads them after the other is gone.
    world.kill(0);
    let mut other = Caller::new(&world.client_address(1));
    let left = world.until("all is led here", || async { other_size(&world).map_err(|why| format!("{why:?}")) }).await;
    assert_eq!(left, small);
    assert!(there(&mut other, "small-1", "key-1999"));
}

fn other_size(world: &World) -> Result<i32, jet_protocol::message::NoAnswer> {
    Caller::new(&world.client_address(1)).ask(&size::Request { name: "small-1".into() }).map(|answer| answer.size)
}

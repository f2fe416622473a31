//! What clients are told of changes.

use std::collections::BTreeMap;

use jet_admin_api::cluster::ClusterStateView;
use jet_protocol::frames::Message;
use jet_protocol::message::client::{add_distributed_object_listener, create_proxy, destroy_proxy, ping};
use jet_protocol::message::map::*;
use jet_protocol::message::take;
use uuid::Uuid;

use crate::caller::{Caller, text};
use crate::world::World;

const ALL: i32 = 0x7f;

async fn of(members: u32) -> (World, Vec<Caller>) {
    let mut world = World::for_clients(members);
    world.start_all();
    world.serving(0..members, ClusterStateView::Active).await;
    let callers = (0..members).map(|n| Caller::new(&world.client_address(n))).collect();
    (world, callers)
}

fn put(key: &str, value: &str) -> put::Request {
    put::Request { thread: 1, ttl: -1, name: "m".into(), key: text(key), value: text(value) }
}

fn listener(flags: i32, include_value: bool) -> add_entry_listener::Request {
    add_entry_listener::Request { include_value, flags, local_only: true, name: "m".into() }
}

/// Registers, and gives registration and correlation.
fn listens(client: &mut Caller, request: &add_entry_listener::Request) -> (Uuid, i64) {
    let correlation = client.send(request);
    (client.answer::<add_entry_listener::Request>(correlation).unwrap().registration, correlation)
}

/// All events that came to a client by now, in order.
fn told(client: &mut Caller) -> Vec<(Message, add_entry_listener::Entry)> {
    // What was told before this answer was written came before it.
    client.ask(&ping::Request {}).unwrap();
    let (events, others) = std::mem::take(&mut client.others).into_iter().partition(|message: &Message| {
        use jet_protocol::message::Body;
        message.kind() == add_entry_listener::Entry::KIND
    });
    client.others = others;
    let read = |message: Message| {
        let event = take(&message).unwrap();
        (message, event)
    };
    Vec::into_iter(events).map(read).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_hears_of_each_change_once_in_order_and_as_it_asked() {
    let (_world, mut clients) = of(1).await;
    let [client] = &mut clients[..] else { panic!("one client") };
    let (registration, correlation) = listens(client, &listener(ALL, true));
    let (thread, name, key) = (1, || "m".into(), || text("k"));
    client.ask(&put("k", "1")).unwrap();
    client.ask(&put("k", "2")).unwrap();
    client.ask(&remove::Request { thread, name: name(), key: key() }).unwrap();
    client.ask(&put("k", "3")).unwrap();
    assert_eq!(client.ask(&delete::Request { thread, name: name(), key: key() }).unwrap().deleted, Some(true));
    assert_eq!(client.ask(&delete::Request { thread, name: name(), key: key() }).unwrap().deleted, Some(false));
    client.ask(&put("k", "4")).unwrap();
    client.ask(&evict::Request { thread, name: name(), key: key() }).unwrap();
    for n in 0..5 {
        client.ask(&put(&format!("k{n}"), "v")).unwrap();
    }
    client.ask(&clear::Request { name: name() }).unwrap();
    client.ask(&clear::Request { name: name() }).unwrap();
    let events = told(client);
    assert!(events.iter().all(|(message, _)| message.correlation() == correlation));
    let seen: Vec<_> = events
        .into_iter()
        .map(|(_, e)| (e.event_type, e.affected, e.former, e.value))
        .filter(|(.., value)| *value != Some(text("v")))
        .collect();
    let some = |value| Some(text(value));
    assert_eq!(
        seen,
        [
            (event_type::ADDED, 1, None, some("1")),
            (event_type::UPDATED, 1, some("1"), some("2")),
            (event_type::REMOVED, 1, some("2"), None),
            (event_type::ADDED, 1, None, some("3")),
            (event_type::REMOVED, 1, None, None),
            (event_type::ADDED, 1, None, some("4")),
            (event_type::EVICTED, 1, some("4"), None),
            (event_type::CLEAR_ALL, 5, None, None),
        ]
    );
    let removal = || remove_entry_listener::Request { name: name(), registration };
    assert!(client.ask(&removal()).unwrap().removed && !client.ask(&removal()).unwrap().removed);
    client.ask(&put("k", "5")).unwrap();
    assert_eq!(told(client), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_listens_at_each_member_hears_each_change_once_and_again_after_a_stop_of_all() {
    let mut world = World::for_clients(3);
    world.permit_from = "operator";
    world.start_all();
    world.found().await;
    hears_each_once(&world, "first");
    let generation = world.stop("1-stop").await;
    world.terminate_all();
    world.start_all();
    world.resume("1-stop", generation).await;
    hears_each_once(&world, "second");
}

fn hears_each_once(world: &World, value: &str) {
    let mut clients: Vec<_> = (0..3).map(|n| Caller::new(&world.client_address(n))).collect();
    let request = listener(event_type::ADDED | event_type::UPDATED | event_type::CLEAR_ALL, false);
    for client in &mut clients {
        listens(client, &request);
    }
    for n in 0..100 {
        clients[n % 3].ask(&put(&format!("k{n}"), value)).unwrap();
    }
    let mut counts: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let mut each = Vec::new();
    for client in &mut clients {
        let events = told(client);
        assert!(events.iter().all(|(_, event)| event.value.is_none() && event.former.is_none()));
        each.push(events.len());
        for (_, event) in events {
            *counts.entry(event.key.unwrap().as_bytes().to_vec()).or_default() += 1;
        }
    }
    assert!(counts.len() == 100 && counts.values().all(|count| *count == 1), "{each:?}: {counts:?}");
    assert!(each.iter().all(|count| *count > 0), "each member tells of what it leads: {each:?}");
    clients[1].ask(&clear::Request { name: "m".into() }).unwrap();
    let cleared: Vec<_> =
        clients.iter_mut().flat_map(told).map(|(_, event)| (event.event_type, event.affected)).collect();
    assert_eq!(cleared, [(event_type::CLEAR_ALL, 100)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_of_a_key_hears_of_it_alone_and_one_of_objects_of_maps() {
    let (_world, mut clients) = of(1).await;
    let [client] = &mut clients[..] else { panic!("one client") };
    let (include_value, flags, local_only) = (true, ALL, true);
    let of_key =
        add_entry_listener_to_key::Request { include_value, flags, local_only, name: "m".into(), key: text("a") };
    client.ask(&of_key).unwrap();
    client.ask(&add_distributed_object_listener::Request { local_only }).unwrap();
    client.ask(&put("b", "1")).unwrap();
    client.ask(&put("a", "2")).unwrap();
    let event: add_entry_listener_to_key::Entry = client.told();
    assert_eq!((event.key, event.value), (Some(text("a")), Some(text("2"))));
    let service = || "hz:impl:mapService".into();
    client.ask(&create_proxy::Request { name: "n".into(), service: service() }).unwrap();
    client.ask(&destroy_proxy::Request { name: "n".into(), service: service() }).unwrap();
    for change in ["CREATED", "DESTROYED"] {
        let event: add_distributed_object_listener::DistributedObjectChanged = client.told();
        assert_eq!((event.name.as_str(), event.change.as_str()), ("n", change));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_one_connection_hears_of_all_members_each_change_once() {
    let (_world, mut clients) = of(3).await;
    let [client, others @ ..] = &mut clients[..] else { panic!("three clients") };
    let request = add_entry_listener::Request { local_only: false, ..listener(ALL, false) };
    let (registration, correlation) = listens(client, &request);
    for n in 0..100 {
        others[n % 2].ask(&put(&format!("k{n}"), "v")).unwrap();
    }
    others[0].ask(&clear::Request { name: "m".into() }).unwrap();
    let mut keys: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let mut cleared = Vec::new();
    while keys.len() < 100 || cleared.is_empty() {
        let event: add_entry_listener::Entry = client.told();
        match event.key {
            Some(key) => *keys.entry(key.as_bytes().to_vec()).or_default() += 1,
            None => cleared.push((event.event_type, event.affected)),
        }
    }
    assert!(keys.values().all(|count| *count == 1), "{keys:?}");
    assert_eq!(cleared, [(event_type::CLEAR_ALL, 100)]);
    assert!(told(client).iter().all(|(message, _)| message.correlation() == correlation));
    assert!(client.ask(&remove_entry_listener::Request { name: "m".into(), registration }).unwrap().removed);
    others[1].ask(&put("k", "v")).unwrap();
    // What was on its way when it was removed is not told either.
    let again = listens(client, &request).1;
    others[1].ask(&put("k", "w")).unwrap();
    let updated: add_entry_listener::Entry = client.told();
    assert_eq!((updated.event_type, again != correlation), (event_type::UPDATED, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_near_cache_may_not_hold_is_told_without_a_gap_and_a_new_registration_is_far_ahead() {
    let (world, mut clients) = of(1).await;
    let [client] = &mut clients[..] else { panic!("one client") };
    let request = || add_near_cache_invalidation_listener::Request { flags: 256, local_only: true, name: "m".into() };
    client.ask(&request()).unwrap();
    let member = world.view(0).await.unwrap().uuid;
    let metadata = || fetch_near_cache_invalidation_metadata::Request { member, names: vec!["m".into()] };
    let before = client.ask(&metadata()).unwrap();
    assert_eq!((before.partitions.len(), before.sequences[0].1.len()), (271, 271));
    for value in ["1", "2"] {
        client.ask(&put("a", value)).unwrap();
    }
    let [first, second] = [(); 2].map(|()| client.told::<add_near_cache_invalidation_listener::Invalidation>());
    assert_eq!((first.key, first.partition, second.sequence), (Some(text("a")), second.partition, first.sequence + 1));
    let after = client.ask(&metadata()).unwrap();
    let ids: BTreeMap<Uuid, i32> = after.partitions.iter().map(|(number, id)| (*id, *number)).collect();
    let upto: BTreeMap<i32, i64> = after.sequences[0].1.iter().copied().collect();
    assert_eq!(upto[&ids[&second.partition]], second.sequence);
    assert_eq!(before.partitions, after.partitions);
    client.ask(&clear::Request { name: "m".into() }).unwrap();
    let cleared: add_near_cache_invalidation_listener::Invalidation = client.told();
    assert_eq!(cleared.key, None);
    // Who comes again may have missed something: for it everything is far ahead.
    let mut again = Caller::new(&world.client_address(0));
    again.ask(&request()).unwrap();
    let now = again.ask(&metadata()).unwrap();
    let now: BTreeMap<i32, i64> = now.sequences[0].1.iter().copied().collect();
    assert!(upto.iter().all(|(partition, sequence)| now[partition] > sequence + 1_000), "{upto:?} {now:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_its_events_is_cut_off_and_nobody_waits_for_it() {
    let (world, mut clients) = of(1).await;
    let [slow] = &mut clients[..] else { panic!("one client") };
    listens(slow, &listener(ALL, true));
    let mut other = Caller::new(&world.client_address(0));
    listens(&mut other, &listener(event_type::ADDED, false));
    // More than socket buffers, what is written ahead and what waits.
    let value = "v".repeat(1 << 20);
    for n in 0..64 {
        other.ask(&put(&format!("k{n}"), &value)).unwrap();
    }
    assert_eq!(told(&mut other).len(), 64);
    let came = clients.remove(0).closed();
    assert!(came.len() < 64, "{} events came", came.len());
    other.ask(&put("k", "v")).unwrap();
    // It comes again.
    let mut back = Caller::new(&world.client_address(0));
    listens(&mut back, &listener(ALL, true));
    other.ask(&put("k", "w")).unwrap();
    assert_eq!(back.told::<add_entry_listener::Entry>().value, Some(text("w")));
}

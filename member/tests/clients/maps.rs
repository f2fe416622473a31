//! Requests to maps, each answered as the original answers it.

use bytes::BytesMut;
use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::identity::Role;
use jet_protocol::data::{Data, Value};
use jet_protocol::frames::Message;
use jet_protocol::message::client::{
    create_proxy, destroy_proxy, fetch_schema, get_distributed_objects, ping, send_schema, statistics,
};
use jet_protocol::message::map::*;
use jet_protocol::structure::{FieldDescriptor, Schema};

use crate::caller::{Caller, text};
use crate::world::World;

const MAPS: &str = "hz:impl:mapService";

async fn one() -> World {
    let mut world = World::for_clients(1);
    world.start_all();
    world.serving([0], ClusterStateView::Active).await;
    world
}

fn key(n: usize) -> Data {
    text(&format!("key-{n}"))
}

fn sorted(mut keys: Vec<Data>) -> Vec<Data> {
    keys.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    keys
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_asks_of_a_map_is_done_and_answered() {
    let world = one().await;
    let mut client = Caller::new(&world.client_address(0));
    let name = || "m".into();
    let (thread, ttl) = (1, -1);
    let put = |n, value: &str| put::Request { thread, ttl, name: name(), key: key(n), value: text(value) };
    let get = |n| get::Request { thread, name: name(), key: key(n) };

    client.ask(&create_proxy::Request { name: name(), service: MAPS.into() }).unwrap();
    assert_eq!(client.ask(&get(0)).unwrap().value, None);
    assert_eq!(client.ask(&put(0, "a")).unwrap().former, None);
    assert_eq!(client.ask(&put(0, "b")).unwrap().former, Some(text("a")));
    client.ask(&set::Request { thread, ttl: 0, name: name(), key: key(0), value: text("c") }).unwrap();
    assert_eq!(client.ask(&get(0)).unwrap().value, Some(text("c")));
    assert!(client.ask(&contains_key::Request { thread, name: name(), key: key(0) }).unwrap().contained);
    assert!(!client.ask(&contains_key::Request { thread, name: name(), key: key(1) }).unwrap().contained);
    assert!(client.ask(&contains_value::Request { name: name(), value: text("c") }).unwrap().contained);
    assert!(!client.ask(&contains_value::Request { name: name(), value: text("a") }).unwrap().contained);
    assert_eq!(client.ask(&remove::Request { thread, name: name(), key: key(0) }).unwrap().former, Some(text("c")));
    assert_eq!(client.ask(&remove::Request { thread, name: name(), key: key(0) }).unwrap().former, None);
    assert_eq!(client.ask(&put(0, "d")).unwrap().former, None);
    assert_eq!(client.ask(&delete::Request { thread, name: name(), key: key(0) }).unwrap().deleted, Some(true));
    assert!(client.ask(&is_empty::Request { name: name() }).unwrap().empty);

    let entries: Vec<(Data, Data)> = (0..500).map(|n| (key(n), text(&n.to_string()))).collect();
    client.ask(&put_all::Request { name: name(), entries: entries.clone(), trigger_map_loader: None }).unwrap();
    assert_eq!(client.ask(&size::Request { name: name() }).unwrap().size, 500);
    assert!(!client.ask(&is_empty::Request { name: name() }).unwrap().empty);
    let some = client.ask(&get_all::Request { name: name(), keys: vec![key(7), key(900), key(8)] }).unwrap().entries;
    assert_eq!(some, [entries[7].clone(), entries[8].clone()]);
    let all_keys = sorted(entries.iter().map(|(key, _)| key.clone()).collect());
    let all_values = sorted(entries.iter().map(|(_, value)| value.clone()).collect());
    assert_eq!(sorted(client.ask(&key_set::Request { name: name() }).unwrap().keys), all_keys);
    assert_eq!(sorted(client.ask(&values::Request { name: name() }).unwrap().values), all_values);
    let mut all = client.ask(&entry_set::Request { name: name() }).unwrap().entries;
    all.sort_by(|(a, _), (b, _)| a.as_bytes().cmp(b.as_bytes()));
    assert_eq!(all.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), all_keys);

    client.ask(&set::Request { thread, ttl, name: "n".into(), key: key(0), value: text("other") }).unwrap();
    client.ask(&clear::Request { name: name() }).unwrap();
    assert_eq!(client.ask(&size::Request { name: name() }).unwrap().size, 0);
    assert_eq!(client.ask(&size::Request { name: "n".into() }).unwrap().size, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maps_and_schemas_are_known_until_they_are_destroyed_and_no_map_of_ours_is() {
    let world = one().await;
    let mut client = Caller::new(&world.client_address(0));
    let names = |client: &mut Caller| {
        let objects = client.ask(&get_distributed_objects::Request {}).unwrap().objects;
        assert!(objects.iter().all(|object| object.service.as_str() == MAPS));
        objects.iter().map(|object| object.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&mut client), Vec::<String>::new());
    client.ask(&create_proxy::Request { name: "made".into(), service: MAPS.into() }).unwrap();
    let filled = set::Request { thread: 1, ttl: -1, name: "filled".into(), key: key(0), value: text("v") };
    client.ask(&filled).unwrap();
    assert_eq!(names(&mut client), ["filled", "made"]);
    for name in ["filled", "made"] {
        client.ask(&destroy_proxy::Request { name: name.into(), service: MAPS.into() }).unwrap();
    }
    assert_eq!(names(&mut client), Vec::<String>::new());
    assert_eq!(client.ask(&size::Request { name: "filled".into() }).unwrap().size, 0);
    let (code, why) =
        client.refused(&create_proxy::Request { name: "q".into(), service: "hz:impl:queueService".into() });
    assert!(code == 61 && why.contains("hz:impl:queueService"), "{code} {why}");
    let (code, why) = client.refused(&size::Request { name: "__clients.maps".into() });
    assert!(code == 23 && why.contains("the cluster's own"), "{code} {why}");

    let field = FieldDescriptor { kind: 17, name: "name".into() };
    let schema = Schema { type_name: "person".into(), fields: vec![field] };
    let id = jet_protocol::data::fingerprint(&schema);
    assert_eq!(client.ask(&fetch_schema::Request { schema: id }).unwrap().schema, None);
    let members = client.ask(&send_schema::Request { schema: schema.clone() }).unwrap().members;
    assert_eq!(members, [world.view(0).await.unwrap().uuid]);
    let mut other = Caller::new(&world.client_address(0));
    assert_eq!(other.ask(&fetch_schema::Request { schema: id }).unwrap().schema, Some(schema));
    other.ask(&ping::Request {}).unwrap();
    other.ask(&statistics::Request { timestamp: 1, attributes: "a=b".into(), metrics: Default::default() }).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_is_the_same_to_a_client_a_job_and_the_command_line() {
    let world = one().await;
    let mut client = Caller::new(&world.client_address(0));
    let json = |text: &str| Value::Json(text.into()).data();
    let get = |key| get::Request { thread: 1, name: "flights".into(), key };
    // As a sink of a job writes it, and `jet put`.
    world.put(0, "\"LH400\"", r#"{"to":"JFK"}"#).await.unwrap();
    assert_eq!(client.ask(&get(json("\"LH400\""))).unwrap().value, Some(json(r#"{"to":"JFK"}"#)));
    // A text is not the JSON of it: nobody looks for one under the other.
    assert_eq!(client.ask(&get(text("LH400"))).unwrap().value, None);
    let (key, value) = (json("\"BA1\""), json(r#"{"to":"LHR"}"#));
    client.ask(&set::Request { thread: 1, ttl: -1, name: "flights".into(), key, value }).unwrap();
    let told = world.client_as(0, Role::Client).get("flights", "\"BA1\"").await.unwrap();
    assert_eq!(told.value.as_deref(), Some(r#"{"to":"LHR"}"#));
    let keys = client.ask(&key_set::Request { name: "flights".into() }).unwrap().keys;
    assert_eq!(sorted(keys), sorted(vec![json("\"LH400\""), json("\"BA1\"")]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_at_once_is_done_in_its_order() {
    let world = one().await;
    let mut client = Caller::new(&world.client_address(0));
    let mut out = BytesMut::new();
    let set = |n: usize| put::Request { thread: 1, ttl: -1, name: "m".into(), key: key(n % 7), value: key(n) };
    let sent: Vec<i64> = (0..7_000).map(|n| client.put(&set(n), &mut out)).collect();
    client.write(&out);
    for (n, correlation) in sent.into_iter().enumerate() {
        let former = client.answer::<put::Request>(correlation).unwrap().former;
        assert_eq!(former, n.checked_sub(7).map(key), "of the put {n}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_changed_only_if_it_is_as_the_client_expects() {
    let world = one().await;
    let mut client = Caller::new(&world.client_address(0));
    let (thread, ttl) = (1, -1);
    let name = || "m".into();
    let put_if_absent =
        |value: &str| put_if_absent::Request { thread, ttl, name: name(), key: key(0), value: text(value) };
    let replace = |value: &str| replace::Request { thread, name: name(), key: key(0), value: text(value) };
    let if_same = |expected: &str, value: &str| {
        let (expected, value) = (text(expected), text(value));
        replace_if_same::Request { thread, name: name(), key: key(0), expected, value }
    };
    assert_eq!(client.ask(&replace("a")).unwrap().former, None);
    assert!(!client.ask(&if_same("a", "b")).unwrap().replaced);
    assert_eq!(client.ask(&put_if_absent("a")).unwrap().present, None);
    assert_eq!(client.ask(&put_if_absent("b")).unwrap().present, Some(text("a")));
    assert_eq!(client.ask(&replace("b")).unwrap().former, Some(text("a")));
    assert!(!client.ask(&if_same("a", "c")).unwrap().replaced);
    assert!(client.ask(&if_same("b", "c")).unwrap().replaced);
    let remove = |value: &str| remove_if_same::Request { thread, name: name(), key: key(0), value: text(value) };
    assert!(!client.ask(&remove("b")).unwrap().removed);
    assert!(client.ask(&remove("c")).unwrap().removed);
    client.ask(&set::Request { thread, ttl, name: name(), key: key(1), value: text("v") }).unwrap();
    assert!(client.ask(&evict::Request { thread, name: name(), key: key(1) }).unwrap().evicted);
    assert!(!client.ask(&evict::Request { thread, name: name(), key: key(1) }).unwrap().evicted);
    assert!(client.ask(&is_empty::Request { name: name() }).unwrap().empty);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_lives_as_long_as_the_client_says() {
    let world = one().await;
    let mut client = Caller::new(&world.client_address(0));
    let (thread, name) = (1, || "m".into());
    let set = |n, ttl| set::Request { thread, ttl, name: name(), key: key(n), value: text("v") };
    client.ask(&set(0, 200)).unwrap();
    client.ask(&set(1, 0)).unwrap();
    client.ask(&set(2, 3_600_000)).unwrap();
    let view = |n| get_entry_view::Request { thread, name: name(), key: key(n) };
    let seen = client.ask(&view(2)).unwrap().view.unwrap();
    assert_eq!((seen.ttl, seen.value), (3_600_000, text("v")));
    assert_eq!(client.ask(&view(1)).unwrap().view.unwrap().ttl, i64::MAX);
    assert!(client.ask(&set_ttl::Request { ttl: 200, name: name(), key: key(2) }).unwrap().set);
    assert!(!client.ask(&set_ttl::Request { ttl: 200, name: name(), key: key(9) }).unwrap().set);
    let get = |n| get::Request { thread, name: name(), key: key(n) };
    for n in [0, 2] {
        let begun = std::time::Instant::now();
        while client.ask(&get(n)).unwrap().value.is_some() {
            assert!(begun.elapsed() < crate::world::PATIENCE, "key {n} lives on");
        }
    }
    assert_eq!(client.ask(&view(0)).unwrap().view, None);
    assert_eq!(client.ask(&get(1)).unwrap().value, Some(text("v")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_key_waits_for_its_owner_and_its_owner_for_nobody() {
    let world = one().await;
    let (mut owner, mut other) = (Caller::new(&world.client_address(0)), Caller::new(&world.client_address(0)));
    let name = || "m".into();
    let lock = |thread, reference| lock::Request { thread, ttl: -1, reference, name: name(), key: key(0) };
    let unlock = |thread, reference| unlock::Request { thread, reference, name: name(), key: key(0) };
    let set = |value: &str| set::Request { thread: 1, ttl: -1, name: name(), key: key(0), value: text(value) };
    let try_put =
        |value: &str| try_put::Request { thread: 1, timeout: 50, name: name(), key: key(0), value: text(value) };
    let try_lock = || try_lock::Request { thread: 1, lease: -1, timeout: 0, reference: 77, name: name(), key: key(0) };
    let is_locked = |client: &mut Caller| client.ask(&is_locked::Request { name: name(), key: key(0) }).unwrap().locked;
    owner.ask(&lock(1, 1)).unwrap();
    owner.ask(&lock(1, 2)).unwrap();
    assert!(is_locked(&mut other));
    owner.ask(&set("owner")).unwrap();
    assert!(!other.ask(&try_put("other")).unwrap().put);
    assert!(!other.ask(&try_lock()).unwrap().locked);
    let (code, why) = other.refused(&unlock(1, 3));
    assert!(code == 26 && why.starts_with("Current thread is not owner of the lock!"), "{code} {why}");

    // Hundreds that wait on one connection keep nobody from unlocking on it.
    other.send(&set("after"));
    let waiting: Vec<i64> = (0..300).map(|n| owner.send(&lock(100 + n, 1_000 + n))).collect();
    owner.ask(&unlock(1, 4)).unwrap();
    assert!(is_locked(&mut owner), "locked twice, unlocked once");
    owner.ask(&unlock(1, 5)).unwrap();
    let is_granted = |message: &Message| waiting.contains(&message.correlation());
    while !owner.others.iter().any(is_granted) {
        let message = owner.read().unwrap();
        owner.others.push(message);
    }
    owner.ask(&force_unlock::Request { reference: 9_999, name: name(), key: key(0) }).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_iterator_gives_every_entry_of_its_partition() {
    let world = one().await;
    let mut client = Caller::new(&world.client_address(0));
    let entries: Vec<(Data, Data)> = (0..2_000).map(|n| (key(n), text(&"v".repeat(1_000)))).collect();
    client.ask(&put_all::Request { name: "m".into(), entries, trigger_map_loader: None }).unwrap();
    let (mut keys, mut fetched) = (Vec::new(), Vec::new());
    for partition in 0..271 {
        let mut pointers = vec![(i32::MAX, -1)];
        while pointers[0].0 >= 0 {
            let ask = fetch_keys::Request { batch: 10, name: "m".into(), pointers };
            let answer = client.ask_of(partition, &ask).unwrap();
            (pointers, keys) = (answer.pointers, [keys, answer.keys].concat());
        }
        let mut pointers = vec![(i32::MAX, -1)];
        while pointers[0].0 >= 0 {
            let ask = fetch_entries::Request { batch: 10, name: "m".into(), pointers };
            let answer = client.ask_of(partition, &ask).unwrap();
            pointers = answer.pointers;
            fetched.extend(answer.entries.into_iter().map(|(key, _)| key));
        }
    }
    let all = sorted((0..2_000).map(key).collect());
    assert_eq!(sorted(keys), all);
    assert_eq!(sorted(fetched), all);
}

//! What a bad client can do: little, and to itself.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use jet_admin_api::cluster::ClusterStateView;
use jet_protocol::fields::Secret;
use jet_protocol::message::NoAnswer;
use jet_protocol::message::client::{authentication, ping, status};
use jet_protocol::message::map::*;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::caller::{Caller, hello, text};
use crate::world::World;

/// Members say within this that somebody has said too little for too long.
const SILENCE: Duration = Duration::from_secs(30);
/// Who takes nothing is cut off within this.
const CUT_OFF: Duration = Duration::from_secs(60);
const MIB: usize = 1 << 20;

async fn one() -> World {
    let mut world = World::for_clients(1);
    world.start_all();
    world.serving([0], ClusterStateView::Active).await;
    world
}

fn resident(world: &World) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.members[&0].id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

fn get(name: &str, key: &str) -> get::Request {
    get::Request { thread: 1, name: name.into(), key: text(key) }
}

fn set(key: &str, value: &str) -> set::Request {
    set::Request { thread: 1, ttl: -1, name: "m".into(), key: text(key), value: text(value) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_understood_or_not_offered_is_told_and_the_connection_goes_on() {
    let world = one().await;
    let mut client = Caller::new(&world.client_address(0));
    let mut out = BytesMut::new();
    let unknown = client.put_raw(0x01fe00, &[], &mut out);
    let malformed = client.put_raw(0x010200, &[1, 2, 3], &mut out);
    let offered = client.put(&ping::Request {}, &mut out);
    client.write(&out);
    let (code, why) = client.refused_as::<ping::Request>(unknown);
    assert!(code == 61 && why.contains("0x01fe00"), "{code} {why}");
    let (code, why) = client.refused_as::<get::Request>(malformed);
    assert!(code == 21 && why.contains("map.get"), "{code} {why}");
    client.answer::<ping::Request>(offered).unwrap();
    let (code, why) = client.refused(&get(&"n".repeat(5_000), "k"));
    assert!(code == 23 && why.contains("5000 bytes"), "{code} {why}");
    let huge = set("k", &"v".repeat(13 * MIB));
    let (code, why) = client.refused(&huge);
    assert!(code == 69 && why.contains("larger than"), "{code} {why}");
    client.ask(&ping::Request {}).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_is_told_why_and_closed_and_costs_little() {
    let mut world = World::for_clients(1);
    let file = world.dir.path().join("clients");
    std::fs::write(&file, "ann:secret\n").unwrap();
    world.credentials = Some(file.clone());
    world.start_all();
    world.serving([0], ClusterStateView::Active).await;
    let address = world.client_address(0);
    let ann = |password: &str| authentication::Request {
        username: Some("ann".into()),
        password: Some(Secret(password.into())),
        ..hello()
    };
    let status_of = |hello: &authentication::Request| {
        let mut caller = Caller::stranger(&address);
        let answer = caller.ask(hello).unwrap();
        assert_eq!((answer.member, answer.partition_count), (None, -1), "a stranger is told nothing");
        assert_eq!(caller.closed(), []);
        answer.status
    };
    for other in [hello(), ann("wrong"), authentication::Request { cluster_name: "other".into(), ..ann("secret") }] {
        assert_eq!(status_of(&other), status::CREDENTIALS_FAILED);
    }
    let version = authentication::Request { serialization_version: 2, ..ann("secret") };
    assert_eq!(status_of(&version), status::SERIALIZATION_VERSION_MISMATCH);
    let mut client = Caller::tried(&address, &ann("secret")).unwrap();

    // Before it has said who it is: a request, rubbish, more than that takes, a giant length, fragments.
    let mut early = Caller::stranger(&address);
    let (code, why) = early.refused(&get("m", "k"));
    assert!(code == 3 && why.contains("before an authentication"), "{code} {why}");
    assert_eq!(early.closed(), []);
    for bytes in [vec![0xff; 64], vec![0; 64], giant(i32::MAX), giant(5_000), b"GET / HTTP/1.1\r\n\r\n".to_vec()] {
        let mut stranger = Caller::stranger(&address);
        stranger.write(&bytes);
        assert_eq!(stranger.closed(), [], "{bytes:?}");
    }
    let mut garbage = TcpStream::connect(&address).unwrap();
    garbage.write_all(b"CPX").unwrap();
    garbage.set_read_timeout(Some(SILENCE)).unwrap();
    assert_eq!(garbage.read(&mut [0; 1]).unwrap(), 0);

    // Who says nothing, or not enough, is closed; meanwhile others are served.
    let begun = Instant::now();
    let mut silent: Vec<TcpStream> = (0..500).map(|_| TcpStream::connect(&address).unwrap()).collect();
    for (n, stream) in silent.iter_mut().enumerate() {
        stream.write_all(&b"CP2\x28\0\0\0"[..n % 7]).unwrap();
        stream.set_read_timeout(Some(SILENCE)).unwrap();
    }
    client.ask(&set("k", "v")).unwrap();
    for stream in &mut silent {
        let closed = stream.read(&mut [0; 1]);
        assert!(matches!(closed, Ok(0)) || closed.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset));
    }
    assert!(begun.elapsed() < SILENCE);
    assert_eq!(client.ask(&get("m", "k")).unwrap().value, Some(text("v")));

    // Guessing is braked; a changed file counts at once, for those who come.
    let braked = (0..20).find_map(|_| match Caller::stranger(&address).ask(&ann("guess")) {
        Err(NoAnswer::Failed(answer)) => Some(answer.errors[0].clone()),
        _ => None,
    });
    let braked = braked.expect("a brake");
    assert!(braked.code == 3 && braked.message.unwrap().contains("nothing is judged"));
    client.ask(&ping::Request {}).unwrap();
}

fn giant(length: i32) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    bytes.put_i32_le(length);
    bytes.put_u16_le(0xc000);
    bytes.to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_stops_itself_and_nobody_else() {
    let world = one().await;
    let address = world.client_address(0);
    let mut other = Caller::new(&address);
    other.ask(&set("large", &"v".repeat(MIB))).unwrap();
    let before = resident(&world);
    let mut slow = Caller::new(&address);
    let mut out = BytesMut::new();
    let sent: Vec<i64> = (0..300).map(|_| slow.put(&get("m", "large"), &mut out)).collect();
    slow.write(&out);
    let begun = Instant::now();
    for n in 0..200 {
        other.ask(&set("small", &n.to_string())).unwrap();
        assert_eq!(other.ask(&get("m", "small")).unwrap().value, Some(text(&n.to_string())));
    }
    let grown = resident(&world).saturating_sub(before);
    assert!(grown < 48 * MIB, "{} MiB wait for a client that does not read", grown / MIB);
    assert!(begun.elapsed() < SILENCE, "others wait for it");
    // Once it reads it gets all of it.
    for correlation in sent {
        let value = slow.answer::<get::Request>(correlation).unwrap().value.unwrap();
        assert_eq!(value.as_bytes().len(), MIB + 12);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_nothing_is_cut_off_and_others_are_served_meanwhile() {
    let world = one().await;
    let address = world.client_address(0);
    let mut other = Caller::new(&address);
    other.ask(&set("large", &"v".repeat(MIB))).unwrap();
    let mut slow: Vec<Caller> = (0..4).map(|_| Caller::new(&address)).collect();
    for client in &mut slow {
        let mut out = BytesMut::new();
        // Answers of one key, of several, and of the whole map: more of them than are made at a time, of all clients.
        for _ in 0..50 {
            client.put(&get("m", "large"), &mut out);
            client.put(&get_all::Request { name: "m".into(), keys: vec![text("large")] }, &mut out);
            client.put(&entry_set::Request { name: "m".into() }, &mut out);
        }
        client.write(&out);
    }
    let begun = Instant::now();
    let mut longest = Duration::ZERO;
    while begun.elapsed() < CUT_OFF && !world.log(0).contains("is cut off") {
        let asked = Instant::now();
        assert_eq!(other.ask(&entry_set::Request { name: "m".into() }).unwrap().entries.len(), 1);
        longest = longest.max(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let log = world.log(0);
    assert!(log.contains("it took less than 65536"), "{}", world.logs());
    assert!(longest < Duration::from_secs(5), "others waited {longest:?}");
    assert!(begun.elapsed() > jet_member::client::unwritten::STALLED, "after {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_clients_cost_little_and_one_too_many_is_closed() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let world = one().await;
    let address = world.client_address(0);
    let before = resident(&world);
    let mut idle: Vec<Caller> = (0..10_000).map(|_| Caller::new(&address)).collect();
    let each = resident(&world).saturating_sub(before) / idle.len();
    assert!(each < 16 << 10, "an idle client costs {each} bytes");
    let metrics = crate::world::rest::ask_plain(&world.health_address(0), "/metrics");
    assert!(metrics.contains("jet_clients 10000"), "{metrics}");
    for (n, client) in idle.iter_mut().enumerate().step_by(997) {
        client.ask(&set("k", &n.to_string())).unwrap();
        assert_eq!(client.ask(&get("m", "k")).unwrap().value, Some(text(&n.to_string())));
    }
    let most = jet_member::client::registry::CONNECTIONS_MOST;
    idle.extend((idle.len()..most).map(|_| Caller::new(&address)));
    assert_eq!(Caller::stranger(&address).closed(), []);
    drop(idle.split_off(most - 1));
    world.until("there is room again", || async { Caller::tried_again(&address) }).await.ask(&get("m", "k")).unwrap();
}

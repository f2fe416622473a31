//! What is said on the port of clients by who speaks the client protocol badly, is not to be let in, or asks for what there
//! is not.
//!
//! Law: others are served meanwhile and afterwards. Must not know: what maps hold.

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::BytesMut;
use jet_pages::Table;
use jet_protocol::data::Data;
use jet_protocol::error::ErrorCode;
use jet_protocol::message::client::{authentication, create_proxy, ping, status};
use jet_protocol::message::{Ask, NoAnswer, map};

use super::caller::{Caller, hello, text};
use crate::world::{PATIENCE, World};

/// Each in the words of the client's exception, or of the status of its authentication.
pub fn spoken(world: &World) -> Table {
    let mut table = Table::of("clients");
    let address = world.client_address(0);
    let mut other = Caller::new(&address);
    let_in(&mut table, &address);
    bytes(&mut table, world, &address);
    asked(&mut table, &address);
    other.ask(&ping::Request {}).unwrap();
    table
}

fn let_in(table: &mut Table, address: &str) {
    let cases = [
        ("another cluster-name", authentication::Request { cluster_name: "sales".into(), ..hello() }),
        ("a serialization version of 2", authentication::Request { serialization_version: 2, ..hello() }),
    ];
    for (given, hello) in cases {
        let mut caller = Caller::stranger(address);
        let told = caller.ask(&hello).unwrap().status;
        let (name, must) = match told {
            status::CREDENTIALS_FAILED => ("CREDENTIALS_FAILED", "CREDENTIALS_FAILED"),
            status::SERIALIZATION_VERSION_MISMATCH => ("SERIALIZATION_VERSION_MISMATCH", "VERSION"),
            other => panic!("status {other}"),
        };
        assert_eq!(caller.closed(), [], "it is closed");
        table.saw(given, "closed", &format!("status {told}, {name}"), &[must]);
    }
    let mut early = Caller::stranger(address);
    let (code, why) = early.refused(&map::size::Request { name: "m".into() });
    assert_eq!(early.closed(), [], "it is closed");
    table.saw("a request before the authentication", "closed", &said(code, &why), &["came before an authentication"]);
}

/// What is no message: the log says it, the connection is closed without a byte.
fn bytes(table: &mut Table, world: &World, address: &str) {
    let cases: [(&str, &[u8], &str); 6] = [
        ("`HZC`, as members of the original begin", b"HZC\0\0\0\0", ""),
        ("`CP3`, another version of the protocol", b"CP3\0\0\0\0\0\0", ""),
        ("a frame of 2 GiB", b"CP2\xff\xff\xff\x7f\x00\xc0", "is not let in"),
        ("a frame of 5,000 bytes before the authentication", b"CP2\x88\x13\0\0\x00\xc0", "is not let in"),
        ("a frame of 0 bytes", b"CP2\0\0\0\0\0\0\0\0", "is not let in"),
        ("rubbish behind `CP2`", &[&b"CP2"[..], &[0xff; 64]].concat(), "is not let in"),
    ];
    for (given, bytes, logged) in cases {
        let before = world.log(0).len();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(bytes).unwrap();
        let mut told = Vec::new();
        let _ = stream.read_to_end(&mut told);
        assert!(told.is_empty(), "{given}: {told:?}");
        let log = world.log(0)[before..].to_owned();
        let why = log.lines().find(|line| !logged.is_empty() && line.contains(logged)).and_then(|line| {
            let from = line.find("why=")?;
            Some(line[from + 4..].to_owned())
        });
        assert_eq!(why.is_some(), !logged.is_empty(), "{given}: {log}");
        let said = why.map_or_else(|| "nothing".to_owned(), |why| format!("in the log: {why}"));
        table.saw(given, "closed", &said, &[if logged.is_empty() { "nothing" } else { "in the log" }]);
    }
}

fn asked(table: &mut Table, address: &str) {
    let mut client = Caller::new(address);
    let mut out = BytesMut::new();
    let unknown = client.put_raw(0x01_fe00, &[], &mut out);
    let cut = client.put_raw(0x01_0200, &[1, 2, 3], &mut out);
    client.write(&out);
    let (code, why) = client.refused_as::<ping::Request>(unknown);
    table.saw("a message of an unknown kind", "goes on", &said(code, &why), &["0x01fe00"]);
    let (code, why) = client.refused_as::<map::get::Request>(cut);
    table.saw("map.get of three bytes", "goes on", &said(code, &why), &["map.get"]);
    let get = |name: &str, key: Data| map::get::Request { thread: 1, name: name.into(), key };
    let mut hashed = text("k").as_bytes().to_vec();
    hashed[3] = 9;
    let hashed = Data::try_from(bytes::Bytes::from(hashed)).unwrap();
    let set =
        map::set::Request { thread: 1, ttl: -1, name: "m".into(), key: text("k"), value: text(&"v".repeat(13 << 20)) };
    let unlock = map::unlock::Request { name: "m".into(), key: text("k"), thread: 1, reference: 1 };
    let queue = create_proxy::Request { name: "q".into(), service: "hz:impl:queueService".into() };
    saw(table, &mut client, "a map's name of 5,000 letters", &get(&"n".repeat(5_000), text("k")), &["5000 bytes"]);
    saw(table, &mut client, "a map of our own", &get("__clients.maps", text("k")), &["choose another name"]);
    saw(table, &mut client, "a key with a partition hash", &get("m", hashed), &["use one without"]);
    saw(table, &mut client, "a value of 13 MiB", &set, &["larger than"]);
    saw(table, &mut client, "unlock of what it has not locked", &unlock, &["not locked by who unlocks it"]);
    saw(table, &mut client, "a queue", &queue, &["only maps"]);
    client.ask(&ping::Request {}).unwrap();
}

fn saw<R: Ask>(table: &mut Table, client: &mut Caller, given: &str, request: &R, must: &[&str]) {
    let correlation = client.send(request);
    let told = match client.answer::<R>(correlation) {
        Err(NoAnswer::Failed(answer)) => {
            let first = &answer.errors[0];
            said(first.code, &first.message.as_ref().map(|text| text.to_string()).unwrap_or_default())
        }
        Err(other) => panic!("{given}: {other}"),
        Ok(_) => panic!("{given} was not refused"),
    };
    table.saw(given, "goes on", &told, must);
}

/// The exception that a client throws, by its class.
fn said(code: i32, why: &str) -> String {
    let of = ErrorCode::ALL.iter().find(|known| **known as i32 == code);
    let class = of.map_or("?", |code| code.class_name().rsplit('.').next().unwrap_or_default());
    format!("{class}: {why}")
}

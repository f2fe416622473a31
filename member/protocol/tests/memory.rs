//! What reading may take: four times what came, whatever it is.
//!
//! Must not know: how lists are charged.

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../fuzz/src/memory.rs"]
mod memory;

use bytes::BytesMut;
use jet_protocol::data::{Data, Value};
use jet_protocol::fields::Text;
use jet_protocol::frames::{Decoder, Malformed, Message};
use jet_protocol::limits::MAX_AMPLIFICATION;
use jet_protocol::message::{self, Ask, DecodeError, NO_PARTITION, Request, RequestError, client, map, sql};
use jet_protocol::structure::{FieldDescriptor, Schema, SqlQueryId};
use memory::{MORE, TIMES, bounded, taken};

#[global_allocator]
static COUNTED: memory::Counted = memory::Counted;

const ITEMS: usize = 5_000;

fn message<R: Ask>(request: &R) -> Message {
    let mut decoder = Decoder::new();
    decoder.authenticated();
    message::put_request(request, 1, NO_PARTITION, decoder.space()).unwrap();
    decoder.next_message().unwrap().unwrap()
}

/// Whether it was read, within the bound.
fn is_read<R: Ask>(request: &R) -> bool {
    let message = message(request);
    match bounded(R::NAME, message.bytes().len(), || Request::take(&message)) {
        Ok(_) => true,
        Err(RequestError::Malformed(DecodeError::Field { why: Malformed::Amplified { .. }, .. })) => false,
        Err(other) => panic!("{other}"),
    }
}

fn execute(sql: String) -> sql::execute::Request {
    sql::execute::Request {
        timeout_millis: -1,
        cursor_buffer: 4096,
        expected_result: 0,
        sql: sql.into(),
        parameters: vec![None; ITEMS],
        schema: None,
        query: SqlQueryId { member_high: 0, member_low: 0, local_high: 0, local_low: 0 },
        skip_statistics: None,
    }
}

#[test]
fn reading_takes_no_more_than_four_times_what_came() {
    assert_eq!(TIMES, MAX_AMPLIFICATION);
    let smallest = || Data::new(0, b"");
    let name = || Text::from("m");
    assert!(is_read(&map::get_all::Request { name: name(), keys: vec![smallest(); ITEMS] }));
    let entries = vec![(smallest(), smallest()); ITEMS];
    assert!(is_read(&map::put_all::Request { name: name(), entries, trigger_map_loader: Some(false) }));
    let pointers = vec![(0, 0); ITEMS];
    assert!(is_read(&map::fetch_keys::Request { name: name(), batch: 1, pointers }));
    let field = FieldDescriptor { kind: 1, name: "f".into() };
    let schema = Schema { type_name: "t".into(), fields: vec![field; 2] };
    assert!(is_read(&client::send_all_schemas::Request { schemas: vec![schema; ITEMS] }));
    // Each null of a statement stands for a question mark of it.
    assert!(is_read(&execute(format!("INSERT INTO t VALUES ({})", "?,".repeat(ITEMS)))));
    let proxies = vec![(Text::from("orders"), Text::from("hz:impl:mapService")); ITEMS];
    assert!(is_read(&client::create_proxies::Request { proxies }));

    // Nothing that means anything is listed so.
    assert!(!is_read(&execute(String::new())));
    assert!(!is_read(&client::create_proxies::Request { proxies: vec![(Text::default(), Text::default()); ITEMS] }));

    for text in [None, Some(""), Some("text")] {
        let texts = vec![text.map(Into::into); ITEMS];
        let data = Value::Strings(texts).data();
        assert!(bounded("an array", data.as_bytes().len(), || Value::of(&data)).is_ok());
    }

    // Cutting a stream into messages takes nothing but a count for each piece that was read.
    let mut stream = BytesMut::new();
    for _ in 0..ITEMS {
        message::put_request(&map::size::Request { name: name() }, 1, NO_PARTITION, &mut stream).unwrap();
    }
    let mut decoder = Decoder::new();
    decoder.authenticated();
    decoder.space().extend_from_slice(&stream);
    let (messages, took) = taken(|| std::iter::from_fn(|| decoder.next_message().unwrap()).count());
    assert_eq!(messages, ITEMS);
    assert!(took <= MORE, "{took} bytes");
}

//! What reading may take: four times what came, whatever it is.
//!
//! One test alone, because the allocator counts for the whole process.

#![allow(clippy::unwrap_used, missing_docs)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::BytesMut;
use jet_protocol::data::{Data, Value};
use jet_protocol::fields::Text;
use jet_protocol::frames::{Decoder, Malformed, Message};
use jet_protocol::limits::MAX_AMPLIFICATION;
use jet_protocol::message::{self, Ask, DecodeError, NO_PARTITION, Request, RequestError, client, map, sql};
use jet_protocol::structure::{FieldDescriptor, Schema, SqlQueryId};

struct Counted;

static TAKEN: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static COUNTED: Counted = Counted;

// An allocator cannot be had otherwise; this one only counts.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, bytes: *mut u8, layout: Layout) {
        unsafe { System.dealloc(bytes, layout) }
    }
}

/// That several slices share one piece of memory is counted in memory.
const SHARED: usize = 64;

const ITEMS: usize = 5_000;

fn taken<T>(read: impl FnOnce() -> T) -> (T, usize) {
    let before = TAKEN.load(Ordering::Relaxed);
    let read = black_box(read());
    (read, TAKEN.load(Ordering::Relaxed) - before)
}

fn message<R: Ask>(request: &R) -> Message {
    let mut decoder = Decoder::new();
    decoder.authenticated();
    message::put_request(request, 1, NO_PARTITION, decoder.space()).unwrap();
    decoder.next_message().unwrap().unwrap()
}

/// Whether it was read, within the bound.
fn is_read<R: Ask>(request: &R) -> bool {
    let message = message(request);
    let came = message.bytes().len();
    let (read, took) = taken(|| Request::take(&message));
    assert!(took <= came * MAX_AMPLIFICATION + SHARED, "{}: {took} bytes for {came}", R::NAME);
    match read {
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
        let (read, took) = taken(|| Value::of(&data));
        assert!(read.is_ok());
        assert!(took <= data.as_bytes().len() * MAX_AMPLIFICATION + SHARED, "{text:?}: {took} bytes");
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
    assert!(took <= SHARED, "{took} bytes");
}

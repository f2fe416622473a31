//! Writes the seeds of the corpus: what real clients say in a minute, values of every type, and what nobody should send.
//!
//! Must not know: what the targets look for.

use std::fs;
use std::path::Path;

use bytes::{BufMut, BytesMut};
use fuzz_protocol::stream::input;
use jet_protocol::data::{Data, Value, type_id};
use jet_protocol::error::{ErrorAnswer, ErrorCode};
use jet_protocol::fields::Secret;
use jet_protocol::frames::flag;
use jet_protocol::message::{self, Answer, Ask, Event, NO_PARTITION, client, map, sql};
use jet_protocol::sql_page::{Column, Decimal, FixedColumn, JsonValue, SqlPage};
use jet_protocol::structure::{
    Address, AnchorDataList, EntryView, FieldDescriptor, IndexConfig, MemberInfo, MemberVersion, PagingPredicate,
    Schema, SqlError, SqlQueryId,
};
use uuid::Uuid;

fn write(target: &str, name: &str, bytes: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target).join(name);
    fs::write(&path, bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

fn asked<R: Ask>(name: &str, request: R) {
    let mut out = BytesMut::new();
    message::put_request(&request, 7, NO_PARTITION, &mut out).expect("short");
    write("stream", name, &input(&out));
}

fn answered<A: Answer>(name: &str, answer: A) {
    let mut out = BytesMut::new();
    message::put_answer(&answer, 7, &mut out).expect("short");
    write("stream", name, &input(&out));
}

fn told<E: Event>(name: &str, event: E) {
    let mut out = BytesMut::new();
    message::put_event(&event, 7, &mut out).expect("short");
    write("stream", name, &input(&out));
}

fn key() -> Data {
    Value::String("k".into()).data()
}

fn member() -> MemberInfo {
    MemberInfo {
        uuid: Uuid::from_u128(1),
        lite: false,
        address: Address { port: 5701, host: "10.0.0.1".into() },
        attributes: vec![("zone".into(), "a".into())],
        version: MemberVersion { major: 5, minor: 7, patch: 0 },
        addresses: Some(vec![]),
    }
}

fn requests() {
    let authentication = client::authentication::Request {
        uuid: Some(Uuid::from_u128(2)),
        serialization_version: 1,
        cluster_name: "dev".into(),
        username: Some("u".into()),
        password: Some(Secret("p".into())),
        client_type: "JVM".into(),
        client_version: "5.7.0".into(),
        client_name: "c".into(),
        labels: vec!["l".into()],
        routing_mode: Some(1),
        cp_direct_to_leader: Some(false),
    };
    asked("authentication", authentication);
    asked("create-proxies", client::create_proxies::Request { proxies: vec![("m".into(), "s".into())] });
    let fields = vec![FieldDescriptor { kind: 17, name: "name".into() }];
    let schema = Schema { type_name: "person".into(), fields };
    asked("schemas", client::send_all_schemas::Request { schemas: vec![schema; 2] });
    let entries = vec![(key(), key()); 2];
    asked("put-all", map::put_all::Request { name: "m".into(), entries, trigger_map_loader: Some(true) });
    asked("fetch-keys", map::fetch_keys::Request { name: "m".into(), batch: 9, pointers: vec![(1, 2), (3, 4)] });
    let index =
        IndexConfig { index_type: 0, name: None, attributes: vec!["a".into()], bitmap: None, btree: Some(None) };
    asked("add-index", map::add_index::Request { name: "m".into(), index });
    let predicate = PagingPredicate {
        page_size: 10,
        page: 1,
        iteration_type: 2,
        anchors: AnchorDataList { pages: vec![0], anchors: vec![(key(), key())] },
        predicate: None,
        comparator: None,
        partition_key: None,
        partition_keys: Some(None),
    };
    asked("paging", map::key_set_with_paging_predicate::Request { name: "m".into(), predicate });
    let execute = sql::execute::Request {
        timeout_millis: -1,
        cursor_buffer: 4096,
        expected_result: 0,
        sql: "SELECT ?, ?".into(),
        parameters: vec![Some(key()), None],
        schema: None,
        query: SqlQueryId { member_high: 1, member_low: 2, local_high: 3, local_low: 4 },
        skip_statistics: Some(false),
    };
    asked("execute", execute);
}

fn answers() {
    answered("error", ErrorAnswer::of(ErrorCode::IllegalState, "not now"));
    told("members", client::add_cluster_view_listener::MembersView { version: 1, members: vec![member(); 2] });
    let partitions = vec![(Uuid::from_u128(1), vec![0, 1]), (Uuid::from_u128(2), vec![2])];
    told("partitions", client::add_cluster_view_listener::PartitionsView { version: 1, partitions });
    let view = EntryView {
        cost: 1,
        creation_time: 2,
        expiration_time: 3,
        hits: 4,
        last_access_time: 5,
        last_stored_time: 6,
        last_update_time: 7,
        version: 8,
        ttl: 9,
        max_idle: 10,
        key: key(),
        value: key(),
    };
    answered("entry-view", map::get_entry_view::Answer { max_idle: 1, view: Some(view) });
    let columns = vec![
        Column::Fixed(FixedColumn::of::<i64>(&[Some(1), None, Some(3)])),
        Column::Varchar(vec![Some("a".into()), None, None]),
        Column::Null(3),
        Column::Decimal(vec![Some(Decimal { unscaled: vec![1, 2].into(), scale: 1 }), None, None]),
        Column::Json(vec![Some(JsonValue { text: "{}".into() }), None, None]),
        Column::Fixed(FixedColumn::of::<bool>(&[None, None, None])),
    ];
    answered("page", sql::fetch::Answer { page: Some(SqlPage { last: true, columns }), error: None });
    let error = SqlError {
        code: 1008,
        member: Uuid::from_u128(1),
        message: Some("no".into()),
        suggestion: Some(None),
        cause: Some(None),
    };
    answered("sql-error", sql::fetch::Answer { page: None, error: Some(error) });
}

/// Frames that nobody should send.
fn nasty() {
    let frame = |flags: u16, payload: &[u8]| {
        let mut out = BytesMut::new();
        out.put_i32_le(payload.len() as i32 + 6);
        out.put_u16_le(flags);
        out.put_slice(payload);
        out
    };
    let head = |kind: u32| [&kind.to_le_bytes()[..], &[0; 12]].concat();
    let stream = |frames: &[BytesMut]| input(&frames.concat().as_slice().into());
    let unknown = stream(&[frame(flag::UNFRAGMENTED | flag::FINAL, &head(0x01_2e00))]);
    write("stream", "nasty-unknown", &unknown);
    let fragments = [
        frame(flag::BEGIN_FRAGMENT, &[1; 8]),
        frame(flag::UNFRAGMENTED | flag::FINAL, &head(0x00_0b00)),
        frame(flag::END_FRAGMENT, &[1; 8]),
        frame(flag::FINAL, b"more"),
    ];
    write("stream", "fragments", &stream(&fragments));
    let mut empty = vec![frame(flag::UNFRAGMENTED, &head(0x00_0e00)), frame(flag::BEGIN, b"")];
    empty.extend((0..64).map(|_| frame(0, b"")));
    empty.push(frame(flag::END | flag::FINAL, b""));
    write("stream", "nasty-empty-texts", &stream(&empty));
    let deep: Vec<_> = [frame(flag::UNFRAGMENTED, &head(0x01_2300)), frame(0, b"m")]
        .into_iter()
        .chain((0..64).map(|_| frame(flag::BEGIN, b"")))
        .chain([frame(flag::FINAL, b"")])
        .collect();
    write("stream", "nasty-deep", &stream(&deep));
    let mut rows = head(0x21_0501)[..13].to_vec();
    rows[12] = 0;
    let page = [
        frame(flag::UNFRAGMENTED, &rows),
        frame(flag::BEGIN, b""),
        frame(0, &[1]),
        frame(0, &[5, 0, 0, 0]),
        frame(0, &[3, 0xff, 0xff, 0xff, 0x7f]),
        frame(flag::END, b""),
        frame(flag::NULL | flag::FINAL, b""),
    ];
    write("stream", "nasty-rows", &stream(&page));
    write("stream", "nasty-length", &[0, 255, 0xff, 0xff, 0xff, 0x7f, 0, 0xc0]);
    write("stream", "nasty-stranger", &[1, 255, 0xff, 0xff, 0, 0, 0, 0xc0]);
}

fn values() {
    let values = [
        ("null", Value::Null),
        ("integer", Value::Integer(7)),
        ("double", Value::Double(7.5)),
        ("text", Value::String("größe".into())),
        ("json", Value::Json("{\"a\":1}".into())),
        ("uuid", Value::Uuid(Uuid::from_u128(3))),
        ("bytes", Value::Bytes(vec![1, 2, 3].into())),
        ("booleans", Value::Booleans(vec![true, false])),
        ("longs", Value::Longs(vec![1, -1])),
        ("texts", Value::Strings(vec![Some("a".into()), None, Some("".into())])),
    ];
    for (name, value) in values {
        write("data", name, value.data().as_bytes());
    }
    write("data", "nasty-opaque", Data::new(type_id::COMPACT, &[0; 12]).as_bytes());
    write("data", "nasty-length", Data::new(type_id::LONG_ARRAY, &[0x7f, 0xff, 0xff, 0xff, 0]).as_bytes());
    write("data", "nasty-negative", Data::new(type_id::STRING, &[0xff; 8]).as_bytes());
    write("data", "nasty-not-text", Data::new(type_id::STRING, &[0, 0, 0, 1, 0xff]).as_bytes());
    write("data", "nasty-texts", Data::new(type_id::STRING_ARRAY, &[0, 0, 0, 3, 0, 0, 0, 0]).as_bytes());
    write("data", "nasty-carried", &[0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xf9, 0, 0]);
}

fn main() {
    requests();
    answers();
    nasty();
    values();
}

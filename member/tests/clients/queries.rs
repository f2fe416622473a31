//! Questions about values, and statements, each answered as the original answers it.

use bytes::{BufMut, BytesMut};
use jet_admin_api::cluster::ClusterStateView;
use jet_protocol::data::{Data, Value, fingerprint, type_id};
use jet_protocol::error::ErrorCode;
use jet_protocol::message::client::send_schema;
use jet_protocol::message::map::*;
use jet_protocol::message::sql::{close, execute, fetch};
use jet_protocol::sql_page::Column;
use jet_protocol::structure::{AnchorDataList, FieldDescriptor, PagingPredicate, Schema, SqlQueryId};

use crate::caller::{Caller, text};
use crate::world::World;

async fn one() -> World {
    let mut world = World::for_clients(1);
    world.start_all();
    world.serving([0], ClusterStateView::Active).await;
    world
}

/// An object of a known factory whose first field is a text.
fn object(factory: i32, class: i32, first: &str) -> Data {
    let mut out = BytesMut::new();
    out.put_u8(1);
    out.put_i32(factory);
    out.put_i32(class);
    out.put_i32(first.len() as i32);
    out.put_slice(first.as_bytes());
    Data::new(type_id::IDENTIFIED, &out)
}

fn words(words: &str) -> Data {
    object(-20, 0, words)
}

fn fill(client: &mut Caller, name: &str, entries: Vec<(Data, Data)>) {
    client.ask(&put_all::Request { name: name.into(), entries, trigger_map_loader: None }).unwrap();
}

fn people() -> Vec<(Data, Data)> {
    let person = |n: usize| Value::Json(format!(r#"{{"age":{n},"name":"p{n}"}}"#).into()).data();
    (0..500).map(|n| (text(&format!("k{n:03}")), person(n))).collect()
}

fn sorted(mut found: Vec<Data>) -> Vec<Data> {
    found.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_predicate_holds_of_is_found_summed_and_removed() {
    let world = one().await;
    let mut client = Caller::new(&world.client_address(0));
    let name = || "m".into();
    fill(&mut client, "m", people());
    let ask = |predicate: &str| key_set_with_predicate::Request { name: name(), predicate: words(predicate) };
    let wanted: Vec<Data> = people().into_iter().take(7).map(|(key, _)| key).collect();
    assert_eq!(sorted(client.ask(&ask("age < 7")).unwrap().keys), wanted);
    let (code, why) = client.refused(&ask("age =="));
    assert_eq!((code, why.starts_with("Invalid SQL: [age ==]")), (ErrorCode::IllegalArgument as i32, true), "{why}");
    let custom = key_set_with_predicate::Request { name: name(), predicate: Data::new(-2, b"\0\0\0\0\x03a.B") };
    assert_eq!(client.refused(&custom).0, ErrorCode::UnsupportedOperation as i32);

    let (aggregator, predicate) = (object(-29, 13, "age"), words("age >= 498"));
    let sum = aggregate_with_predicate::Request { name: name(), aggregator, predicate };
    assert_eq!(client.ask(&sum).unwrap().result, Some(Value::Long(997).data()));
    let names = project_with_predicate::Request {
        name: name(),
        projection: object(-30, 0, "name"),
        predicate: words("name LIKE 'p49_'"),
    };
    assert_eq!(client.ask(&names).unwrap().results.len(), 10);

    client.ask(&remove_all::Request { name: name(), predicate: words("age BETWEEN 10 AND 489") }).unwrap();
    assert_eq!(client.ask(&size::Request { name: name() }).unwrap().size, 20);
    assert_eq!(client.ask(&ask("age > 9 AND age < 490")).unwrap().keys, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_go_on_behind_those_before_and_compact_values_are_looked_into() {
    let world = one().await;
    let mut client = Caller::new(&world.client_address(0));
    fill(&mut client, "m", people());
    let mut anchors = AnchorDataList { pages: Vec::new(), anchors: Vec::new() };
    let mut all = Vec::new();
    for page in 0..4 {
        let predicate = PagingPredicate {
            page_size: 150,
            page,
            iteration_type: 0,
            anchors,
            predicate: None,
            comparator: None,
            partition_key: None,
            partition_keys: None,
        };
        let found = client.ask(&key_set_with_paging_predicate::Request { name: "m".into(), predicate }).unwrap();
        anchors = found.anchors;
        all.push(found.keys);
    }
    assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [150, 150, 150, 50]);
    assert_eq!(all.concat(), people().into_iter().map(|(key, _)| key).collect::<Vec<_>>());

    let schema = Schema {
        type_name: "point".into(),
        fields: vec![FieldDescriptor { kind: 9, name: "x".into() }, FieldDescriptor { kind: 17, name: "name".into() }],
    };
    let id = fingerprint(&schema);
    let point = |x: i32| {
        let mut out = BytesMut::new();
        out.put_i64(id);
        out.put_i32(9);
        out.put_i32(x);
        out.put_i32(1);
        out.put_slice(b"p\x04");
        Data::new(type_id::COMPACT, &out)
    };
    fill(&mut client, "points", (0..9).map(|x| (text(&x.to_string()), point(x))).collect());
    let ask = values_with_predicate::Request { name: "points".into(), predicate: words("x > 6 AND name = 'p'") };
    assert_eq!(client.refused(&ask).0, ErrorCode::Serialization as i32);
    client.ask(&send_schema::Request { schema }).unwrap();
    assert_eq!(sorted(client.ask(&ask).unwrap().values), [point(7), point(8)]);
}

fn statement(n: i64, sql: &str, parameters: Vec<Option<Data>>) -> execute::Request {
    execute::Request {
        timeout_millis: -1,
        cursor_buffer: 4,
        expected_result: 0,
        sql: sql.into(),
        parameters,
        schema: None,
        query: query(n),
        skip_statistics: None,
    }
}

fn query(n: i64) -> SqlQueryId {
    SqlQueryId { member_high: 0, member_low: 0, local_high: 7, local_low: n }
}

fn texts(column: &Column) -> Vec<String> {
    match column {
        Column::Varchar(texts) => texts.iter().map(|text| text.as_ref().unwrap().to_string()).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_read_maps_by_mappings_that_are_kept_and_rows_are_fetched() {
    let world = one().await;
    let mut client = Caller::new(&world.client_address(0));
    fill(&mut client, "people", people());
    let make = "CREATE MAPPING people (__key VARCHAR, name VARCHAR, age BIGINT) TYPE IMap \
                OPTIONS ('keyFormat'='varchar', 'valueFormat'='json-flat')";
    let mut n = 0;
    let mut done = |client: &mut Caller, sql: &str, parameters| {
        n += 1;
        client.ask(&statement(n, sql, parameters)).unwrap()
    };
    let code = |answer: execute::Answer| answer.error.map(|error| error.code);
    assert_eq!(code(done(&mut client, "SELECT name FROM people", vec![])), Some(1_010));
    assert_eq!(done(&mut client, make, vec![]).update_count, 0);
    assert_eq!(code(done(&mut client, make, vec![])), Some(-1));
    assert_eq!(code(done(&mut client, "SELEC", vec![])), Some(1_008));

    let asked = "SELECT name FROM people WHERE age < ? AND name <> ? ORDER BY age";
    let answer = done(&mut client, asked, vec![Some(Value::Integer(11).data()), Some(text("p3"))]);
    assert_eq!((answer.update_count, &answer.error), (-1, &None));
    let (mut page, mut found) = (answer.page.unwrap(), Vec::new());
    let own = query(4 + 1);
    loop {
        found.extend(texts(&page.columns[0]));
        if page.last {
            break;
        }
        let next = client.ask(&fetch::Request { cursor_buffer: 4, query: own.clone() }).unwrap();
        assert_eq!(next.error, None);
        page = next.page.unwrap();
    }
    assert_eq!(found, [0, 1, 2, 4, 5, 6, 7, 8, 9, 10].map(|n| format!("p{n}")));
    let gone = client.ask(&fetch::Request { cursor_buffer: 4, query: own.clone() }).unwrap();
    assert_eq!(gone.error.map(|error| error.code), Some(1_003));
    client.ask(&close::Request { query: own }).unwrap();

    // Whoever comes later finds the mapping, at whatever member.
    let mut other = Caller::new(&world.client_address(0));
    let shown = done(&mut other, "SHOW MAPPINGS", vec![]).page.unwrap();
    assert_eq!(texts(&shown.columns[0]), ["people"]);
    assert_eq!(done(&mut other, "DROP MAPPING people", vec![]).error, None);
    assert_eq!(code(done(&mut client, "SELECT name FROM people", vec![])), Some(1_010));
}

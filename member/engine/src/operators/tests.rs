//! Operators without a runtime: ranges, lanes, shards, entries.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use arrow::array::{Array, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use proptest::prelude::*;

use super::entry::{Entry, SinkDelta, entries, rows};
use super::file::{FileRange, split};
use super::generator::GeneratorLane;
use super::keyed::KeyedState;
use super::part::{decode_batch, encode_batch};
use super::program::{FileSpec, GeneratorSpec, MapSink};
use super::route::Router;
use super::source::{RangeOffset, RangeSource};
use super::step;
use crate::sql::{DiskFiles, compile, plan_job};

fn spec(path: &std::path::Path, content: &[u8], ranges: u32) -> FileSpec {
    let head = &content[..content.len().min(super::file::HEAD_BYTES)];
    FileSpec {
        path: path.display().to_string(),
        length: content.len() as u64,
        data_start: content.iter().position(|byte| *byte == b'\n').map_or(content.len(), |at| at + 1) as u64,
        head_digest: blake3::hash(head).to_hex().to_string(),
        delimiter: b',',
        null: Some("NA".into()),
        bad_as_null: false,
        ranges,
        rate: None,
        fields: vec![0, 1],
        line_fields: 2,
    }
}

fn two_columns() -> Arc<Schema> {
    Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Utf8, true)]))
}

/// Reads a range in pieces, closing and opening it at its offset after each piece.
fn read_range(spec: &FileSpec, range: u32, piece: usize) -> Vec<(Option<i64>, Option<String>)> {
    let mut seen = Vec::new();
    let mut offset = RangeOffset::START;
    loop {
        let mut source = FileRange::open(spec, two_columns(), range, offset).unwrap();
        let Some(batch) = source.next(piece).unwrap() else { return seen };
        offset = RangeOffset::decode(&source.offset().encode()).unwrap();
        let (a, b) = (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_string::<i32>());
        for row in 0..batch.num_rows() {
            seen.push((a.is_valid(row).then(|| a.value(row)), b.is_valid(row).then(|| b.value(row).to_string())));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_number_of_ranges_gives_each_row_exactly_once(
        texts in prop::collection::vec("[a-z,\" ]{0,12}", 0..40),
        ranges in 1u32..60,
        piece in 1usize..7,
        last_newline in any::<bool>(),
        carriage in any::<bool>(),
    ) {
        let end = if carriage { "\r\n" } else { "\n" };
        let mut content = format!("a,b{end}");
        let mut expected = Vec::new();
        for (number, text) in texts.iter().enumerate() {
            let quoted = format!("\"{}\"", text.replace('"', "\"\""));
            content.push_str(&format!("{number},{quoted}{end}"));
            expected.push((Some(number as i64), (!text.is_empty()).then(|| text.clone())));
        }
        if !last_newline && !texts.is_empty() {
            content.truncate(content.len() - end.len());
        }
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content.as_bytes()).unwrap();
        let spec = spec(file.path(), content.as_bytes(), ranges);
        let seen: Vec<_> = (0..ranges).flat_map(|range| read_range(&spec, range, piece)).collect();
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn lanes_give_each_number_of_each_key_once(keys in 1u64..30, count in 0u64..200, lanes in 1u32..15, piece in 1usize..9) {
        let schema = Arc::new(Schema::new(vec![Field::new("k", DataType::Int64, true), Field::new("n", DataType::Int64, true)]));
        let spec = GeneratorSpec { keys, count: Some(count), lanes, rate: None, payload: 0 };
        let mut seen: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for lane in 0..lanes {
            let mut offset = RangeOffset::START;
            while let Some(batch) = GeneratorLane::open(&spec, schema.clone(), lane, offset).next(piece).unwrap() {
                let (k, n) = (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_primitive::<Int64Type>());
                for row in 0..batch.num_rows() {
                    seen.entry(k.value(row)).or_default().push(n.value(row));
                }
                offset.position = Some(offset.position.unwrap_or(0) + batch.num_rows() as u64);
            }
        }
        let expected: BTreeMap<i64, Vec<i64>> = (0..keys.min(count))
            .map(|key| (key as i64, (0..(count / keys + u64::from(key < count % keys)) as i64).collect()))
            .collect();
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn no_damage_to_a_part_goes_unseen(at in 0usize..400, bit in 0u8..8, cut in 0usize..400) {
        let batch = RecordBatch::try_new(two_columns(), vec![
            Arc::new(Int64Array::from(vec![1, 2, 3])), Arc::new(StringArray::from(vec!["x", "y", "z"]))]).unwrap();
        let bytes = encode_batch(Some(&batch)).unwrap();
        prop_assert_eq!(decode_batch(&bytes, "part").unwrap().unwrap(), batch);
        let mut flipped = bytes.to_vec();
        let at = at % flipped.len();
        flipped[at] ^= 1 << bit;
        prop_assert!(decode_batch(&flipped, "part").is_err());
        prop_assert!(decode_batch(&bytes[..cut % bytes.len()], "part").is_err());
    }

    #[test]
    fn deltas_and_rows_survive_their_bytes(keys in prop::collection::vec((any::<i64>(), any::<Option<f64>>(), ".{0,9}"), 0..20)) {
        let schema = Arc::new(Schema::new(vec![
            Field::new("t", DataType::Utf8, true), Field::new("k", DataType::Int64, true), Field::new("f", DataType::Float64, true)]));
        let sink = MapSink { map: "m".into(), schema: schema.clone(), key: vec![1, 0] };
        let batch = RecordBatch::try_new(schema.clone(), vec![
            Arc::new(StringArray::from_iter_values(keys.iter().map(|k| k.2.clone()))),
            Arc::new(Int64Array::from_iter_values(keys.iter().map(|k| k.0))),
            Arc::new(Float64Array::from_iter(keys.iter().map(|k| k.1.filter(|f| f.is_finite()))))]).unwrap();
        let delta = SinkDelta { map: "m".into(), entries: entries(&sink, &batch).unwrap() };
        prop_assert_eq!(super::entry::delta_of_distinct(&sink, &batch).unwrap(), delta.encode());
        let again = SinkDelta::decode(&delta.encode()).unwrap();
        prop_assert_eq!(&again, &delta);
        let pairs = again.entries.iter().map(|entry| (entry.key.as_slice(), entry.value.as_slice()));
        prop_assert_eq!(rows(&schema, &sink.key, pairs).unwrap(), batch);
    }
}

#[test]
fn another_file_than_the_planned_one_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "a,b\n1,x\n").unwrap();
    let spec = spec(file.path(), b"a,b\n1,x\n", 1);
    let open =
        || FileRange::open(&spec, two_columns(), 0, RangeOffset::START).map(|_| ()).map_err(|error| error.to_string());
    open().unwrap();
    std::fs::write(file.path(), "a,b\n1,x\n2,y\n").unwrap();
    assert_eq!(read_range(&spec, 0, 5).len(), 1, "what is appended later is not read");
    std::fs::write(file.path(), "a,b\n2,x\n").unwrap();
    assert!(open().unwrap_err().contains("another content"));
    std::fs::write(file.path(), "a,b\n").unwrap();
    assert!(open().unwrap_err().contains("4 bytes"));
    std::fs::remove_file(file.path()).unwrap();
    assert!(open().unwrap_err().contains("cannot be opened"));
}

#[test]
fn lines_split_as_csv_says() {
    for (line, fields) in [
        ("a,b", vec!["a", "b"]),
        ("", vec![""]),
        (",", vec!["", ""]),
        ("\"a,b\",c", vec!["a,b", "c"]),
        ("\"a\"\"b\"", vec!["a\"b"]),
        ("\"\",x", vec!["", "x"]),
        ("\"open", vec!["open"]),
        ("a\"b,c", vec!["a\"b", "c"]),
    ] {
        let mut found = Vec::new();
        split(line, ',', &mut found);
        assert_eq!(found, fields, "{line}");
    }
}

fn job(select: &str, map: &str) -> Arc<super::program::Program> {
    let sql = format!(
        "CREATE MAPPING g (k BIGINT, n BIGINT, t VARCHAR) TYPE Generator OPTIONS ('keys'='20', 'count'='1000', 'payload'='3');
         CREATE MAPPING m ({map}) TYPE Map;
         CREATE JOB j AS INSERT INTO m {select}"
    );
    Arc::new(compile(&plan_job(&sql, &[], &DiskFiles).unwrap()).unwrap())
}

/// Runs a job by hand over `batches` boundaries, moving all shards to a fresh state after each.
fn run(program: &Arc<super::program::Program>, boundaries: usize) -> BTreeMap<String, String> {
    const PARTITIONS: u32 = 5;
    let router = Router::new(Arc::new(|key: &[u8]| crc32c::crc32c(key) % PARTITIONS), vec![0; PARTITIONS as usize]);
    let mut state = KeyedState::new(program.clone(), 0..PARTITIONS);
    let mut map = BTreeMap::new();
    let mut sources: Vec<_> =
        (0..12).map(|range| super::source::open(program, range, RangeOffset::START).unwrap()).collect();
    for boundary in 0..boundaries {
        let piece = if boundary + 1 == boundaries { usize::MAX } else { 9 };
        for source in &mut sources {
            let Some(batch) = source.next(piece).unwrap() else { continue };
            let batch = step::run(&program.before, batch).unwrap();
            for routed in router.route(&batch, &program.route_by).unwrap() {
                let mut start = 0;
                for (partition, end) in routed.runs {
                    state.on_batch(partition, routed.batch.slice(start, end as usize - start)).unwrap();
                    start = end as usize;
                }
            }
        }
        let mut fresh = KeyedState::new(program.clone(), 0..PARTITIONS);
        for partition in 0..PARTITIONS {
            let export = state.export(partition).unwrap();
            fresh.import(partition, &export.encode_state().unwrap()).unwrap();
            if let Some((delta, count)) = export.encode_delta(program).unwrap() {
                let delta = SinkDelta::decode(&delta).unwrap();
                assert_eq!(delta.entries.len() as u64, count);
                for Entry { key, value } in delta.entries {
                    map.insert(String::from_utf8(key).unwrap(), String::from_utf8(value).unwrap());
                }
            }
            let again = state.export(partition).unwrap();
            assert!(again.encode_delta(program).unwrap().is_none(), "nothing changed since");
            assert_eq!(again.encode_state().unwrap(), export.encode_state().unwrap());
        }
        // Half of the boundaries go on with the frozen state, half with the imported one.
        if boundary % 2 == 0 {
            state = fresh;
        }
    }
    map
}

#[test]
fn each_aggregate_survives_export_and_import() {
    let select = "SELECT k, COUNT(*), COUNT(CASE WHEN n % 2 = 0 THEN n END), SUM(n), AVG(n), MIN(n), MAX(n), MIN(t), MAX(t),
                  SUM(n * 0.5), SUM(CASE WHEN n < 0 THEN n END), AVG(CAST(k AS DECIMAL(10,2))), MAX(n) - MIN(n) FROM g GROUP BY k";
    let map = "k BIGINT, c BIGINT, even BIGINT, s BIGINT, a DOUBLE, lo BIGINT, hi BIGINT, tlo VARCHAR, thi VARCHAR, d DOUBLE, none BIGINT, dec DECIMAL(14,6), span BIGINT";
    let program = job(select, map);
    let once = run(&program, 1);
    assert_eq!(once.len(), 20);
    let seven = r#"{"c":50,"even":25,"s":1225,"a":24.5,"lo":0,"hi":49,"tlo":"7-000","thi":"7-049","d":612.5,"none":null,"dec":"7.000000","span":49}"#;
    assert_eq!(once["7"], seven);
    for boundaries in 2..6 {
        assert_eq!(run(&program, boundaries), once, "{boundaries} boundaries");
    }
}

#[test]
fn several_keys_in_another_order_and_nulls_are_groups() {
    let sql = "CREATE MAPPING g (k BIGINT, n BIGINT, t VARCHAR) TYPE Generator OPTIONS ('keys'='20', 'count'='1000');
         CREATE MAPPING m (c BIGINT, t VARCHAR, odd BIGINT) TYPE Map OPTIONS ('key'='odd,t');
         CREATE JOB j AS INSERT INTO m (odd, t, c)
         SELECT k % 2, CASE WHEN k < 10 THEN 'low' END, COUNT(*) FROM g WHERE k <> 3 GROUP BY k % 2, CASE WHEN k < 10 THEN 'low' END";
    let program = Arc::new(compile(&plan_job(sql, &[], &DiskFiles).unwrap()).unwrap());
    let expected: BTreeMap<String, String> =
        [("[0,\"low\"]", 250), ("[1,\"low\"]", 200), ("[0,null]", 250), ("[1,null]", 250)]
            .map(|(k, c)| (k.into(), format!("{{\"c\":{c}}}")))
            .into();
    assert_eq!(run(&program, 1), expected);
    assert_eq!(run(&program, 4), expected);
}

#[test]
fn a_job_without_aggregate_upserts_the_last_row_of_a_key() {
    let program = job("SELECT k, n * 10 AS v FROM g WHERE k BETWEEN 4 AND 6", "k BIGINT, v INTEGER");
    for boundaries in [1, 3] {
        let map = run(&program, boundaries);
        assert_eq!(map.len(), 3);
        assert_eq!(map["5"], "{\"v\":490}");
    }
}

#[test]
fn a_state_of_another_job_is_refused() {
    let one = job("SELECT k, COUNT(*) FROM g GROUP BY k", "k BIGINT, c BIGINT");
    let other = job("SELECT k, MAX(t) FROM g GROUP BY k", "k BIGINT, t VARCHAR");
    let mut state = KeyedState::new(one.clone(), [0]);
    let batch = RecordBatch::try_new(one.exchange.clone(), vec![Arc::new(Int64Array::from(vec![1, 2]))]).unwrap();
    state.on_batch(0, batch).unwrap();
    let bytes = state.export(0).unwrap().encode_state().unwrap();
    let refused = KeyedState::new(other, [0]).import(0, &bytes).unwrap_err();
    assert!(refused.to_string().contains("the snapshot has columns"), "{refused}");
    assert!(state.on_batch(1, RecordBatch::new_empty(one.exchange.clone())).is_err());
}

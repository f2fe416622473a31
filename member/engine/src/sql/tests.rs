//! What the dialect takes, what it refuses and in which words.

use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};

use super::*;

const SCRIPT: &str = "
    -- trips by vendor
    CREATE MAPPING trips (vendor BIGINT, fare DOUBLE, note VARCHAR) TYPE File
      OPTIONS ('path'='/data/trips.csv', 'format'='csv', 'rate'='6000', 'null'='NA');
    CREATE OR REPLACE MAPPING totals (vendor BIGINT, trips BIGINT, fare DOUBLE) TYPE Map;
    CREATE JOB IF NOT EXISTS totals OPTIONS ('snapshot-interval'='500ms', 'guarantee'='exactly-once') AS
      INSERT INTO totals SELECT vendor, COUNT(*), SUM(fare) FROM trips WHERE fare > 0 GROUP BY vendor;";

struct Given(&'static str);

impl LookAtFiles for Given {
    fn look(&self, path: &str) -> Result<FileFacts, String> {
        match path {
            "/data/trips.csv" => Ok(FileFacts { length: self.0.len() as u64, head: self.0.as_bytes().to_vec() }),
            _ => Err("No such file".into()),
        }
    }
}

const FILE: Given = Given("Note,Vendor,fare,more\na,1,2.5,x\n");

#[test]
fn a_script_becomes_a_plan_that_travels() {
    let plan = plan_job(SCRIPT, &[], &FILE).unwrap();
    assert_eq!((plan.name.as_str(), plan.options.snapshot_interval_ms), ("totals", 500));
    let again: JobPlan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
    assert_eq!(again, plan);
    assert_eq!(plan_job(SCRIPT, &[], &FILE).unwrap(), plan, "planning is deterministic");
    let program = compile(&again).unwrap();
    let crate::SourceSpec::File(file) = &program.source else { panic!("not a file") };
    assert_eq!(
        (file.fields.as_slice(), file.line_fields, file.data_start, file.rate),
        ([1usize, 2].as_slice(), 4, 22, Some(6000))
    );
    assert_eq!(program.sink.map, "totals");
}

#[test]
fn a_plan_of_another_engine_or_text_is_refused() {
    let plan = plan_job(SCRIPT, &[], &FILE).unwrap();
    let refuse = |change: fn(&mut JobPlan)| {
        let mut plan = plan.clone();
        change(&mut plan);
        compile(&plan).map(|_| ()).unwrap_err()
    };
    assert!(matches!(
        refuse(|plan| plan.engine = "jet-engine 0.0.9".into()),
        SqlError::Fingerprint { what: "the engine", .. }
    ));
    assert!(matches!(
        refuse(|plan| plan.query = plan.query.replace("> 0", "> 1")),
        SqlError::Fingerprint { what: "the program", .. }
    ));
    assert!(matches!(
        refuse(|plan| plan.state_fingerprint = String::new()),
        SqlError::Fingerprint { what: "the state's schema", .. }
    ));
    let other = plan_job(&SCRIPT.replace("SUM(fare)", "MAX(fare)"), &[], &FILE).unwrap();
    assert_ne!(other.state_fingerprint, plan.state_fingerprint);
    let filtered = plan_job(&SCRIPT.replace("> 0", "> 1"), &[], &FILE).unwrap();
    assert_eq!(filtered.state_fingerprint, plan.state_fingerprint, "a filter changes no state");
    assert_ne!(filtered.fingerprint, plan.fingerprint);
}

#[test]
fn what_is_not_supported_is_refused_by_name_and_with_a_way_out() {
    let select = "SELECT vendor, COUNT(*), SUM(fare) FROM trips WHERE fare > 0 GROUP BY vendor";
    for (query, words) in [
        ("SELECT vendor, COUNT(*), SUM(fare) FROM trips GROUP BY vendor HAVING COUNT(*) > 1", "HAVING"),
        ("SELECT vendor, COUNT(*), SUM(fare) FROM trips GROUP BY vendor ORDER BY 2", "ORDER BY"),
        ("SELECT vendor, COUNT(*), SUM(fare) FROM trips GROUP BY vendor LIMIT 3", "LIMIT"),
        ("SELECT vendor, COUNT(DISTINCT fare), SUM(fare) FROM trips GROUP BY vendor", "DISTINCT"),
        ("SELECT vendor, COUNT(*), STDDEV(fare) FROM trips GROUP BY vendor", "aggregate stddev"),
        ("SELECT 1, COUNT(*), SUM(fare) FROM trips", "without GROUP BY"),
        ("SELECT COUNT(*), vendor, SUM(fare) FROM trips GROUP BY vendor", "not a GROUP BY column"),
        ("SELECT vendor, COUNT(*), SUM(fare) FROM trips GROUP BY vendor, note", "not in the key"),
        ("SELECT note, COUNT(*), SUM(fare) FROM trips GROUP BY note", "the map wants Int64"),
        ("SELECT vendor, COUNT(*) FROM trips GROUP BY vendor", "2 columns into mapping 'totals'"),
        ("SELECT vendor, 1, random() FROM trips", "random()"),
        ("SELECT a.vendor, 1, 1.0 FROM trips a JOIN trips b ON a.vendor = b.vendor", "JOIN"),
        ("SELECT vendor, 1, 1.0 FROM trips UNION ALL SELECT vendor, 1, 1.0 FROM trips", "UNION"),
        ("SELECT vendor, ROW_NUMBER() OVER (PARTITION BY note), 1.0 FROM trips", "OVER"),
        ("SELECT vendor, 1, 1.0 FROM totals", "as a source of a job"),
        ("SELECT vendor, 1, 1.0 FROM nowhere", "mapping 'nowhere' is unknown"),
        ("SELECT vendor, 1, colour FROM trips", "colour"),
        ("SELECT vendor, (SELECT MAX(fare) FROM trips), 1.0 FROM trips", "subquery"),
    ] {
        let refused = plan_job(&SCRIPT.replace(select, query), &[], &FILE).map(|_| ()).expect_err(query).to_string();
        assert!(refused.contains(words), "{query}: {refused}");
    }
}

#[test]
fn options_and_statements_that_are_not_understood_are_refused() {
    for (from, to, words) in [
        ("'rate'='6000'", "'rate'='fast'", "whole number"),
        ("'rate'='6000'", "'speed'='6000'", "option 'speed' is unknown"),
        ("'format'='csv'", "'format'='json'", "only csv"),
        ("'path'='/data/trips.csv'", "'path'='/data/none.csv'", "No such file"),
        ("vendor BIGINT, fare DOUBLE, note VARCHAR", "vendor BIGINT, price DOUBLE", "column 'price' is unknown"),
        ("fare DOUBLE, note", "fare BLOB, note", "type BLOB"),
        ("TYPE File", "TYPE Kafka", "mapping type 'kafka'"),
        ("'500ms'", "'1ms'", "50ms to 1h"),
        ("exactly-once", "at-most-once", "exactly-once"),
        ("'guarantee'", "'guaranty'", "snapshot-interval and guarantee"),
        ("CREATE JOB IF NOT EXISTS totals", "CREATE VIEW v", "CREATE VIEW"),
        ("GROUP BY vendor;", "GROUP BY vendor; SELECT 1;", "SELECT in the script"),
        ("GROUP BY vendor;", "GROUP BY vendor) ;", "expected"),
        ("INSERT INTO totals SELECT", "SELECT", "expected INSERT INTO or SINK INTO"),
        ("INSERT INTO totals", "INSERT INTO trips", "only a map"),
        ("CREATE JOB IF NOT EXISTS totals", "CREATE JOB \"a/b\"", "name 'a/b'"),
    ] {
        assert!(SCRIPT.contains(from), "{from}");
        let refused = plan_job(&SCRIPT.replace(from, to), &[], &FILE).map(|_| ()).expect_err(to).to_string();
        assert!(refused.contains(words), "{to}: {refused}");
    }
}

#[test]
fn known_mappings_and_the_synonyms_work() {
    let known: Vec<Mapping> = parse(SCRIPT)
        .unwrap()
        .into_iter()
        .filter_map(|s| if let Statement::CreateMapping(m) = s { Some(m) } else { None })
        .collect();
    let job = "CREATE JOB x AS SINK INTO totals (fare, vendor, trips) SELECT SUM(fare), vendor, COUNT(*) FROM trips AS t GROUP BY vendor";
    assert_eq!(plan_job(job, &known, &FILE).unwrap().sink.name, "totals");
}

fn table() -> BoundedTable {
    let schema = Arc::new(Schema::new(vec![Field::new("v", DataType::Int64, true)]));
    let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(Int64Array::from_iter_values(0..50))]).unwrap();
    BoundedTable { name: "m".into(), schema, batches: vec![batch.slice(0, 20), batch.slice(20, 30)] }
}

fn bounded(query: &str, limit: usize) -> Result<BoundedRows, SqlError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run_bounded(
        query,
        vec![table()],
        limit,
    ))
}

#[test]
fn a_bounded_select_reads_and_says_when_it_is_cut() {
    let answer = bounded("SELECT COUNT(*) AS n, SUM(v) FROM m WHERE v >= 10", 10).unwrap();
    assert!(!answer.truncated);
    assert_eq!(answer.batches[0].column(0).as_primitive::<Int64Type>().value(0), 40);
    let rows = |answer: &BoundedRows| answer.batches.iter().map(RecordBatch::num_rows).sum::<usize>();
    let all = bounded("SELECT v FROM m ORDER BY v", 50).unwrap();
    assert_eq!((rows(&all), all.truncated), (50, false));
    let cut = bounded("SELECT v FROM m ORDER BY v DESC", 7).unwrap();
    assert_eq!((rows(&cut), cut.truncated), (7, true));
    assert_eq!(bounded_tables("SELECT a.v FROM m a, (SELECT 1 FROM other) b").unwrap(), ["m", "other"]);
}

#[test]
fn a_bounded_query_only_reads() {
    for query in [
        "CREATE TABLE t AS SELECT 1",
        "INSERT INTO m VALUES (1)",
        "SELECT 1; SELECT 2",
        "SELECT * FROM none",
        "DROP TABLE m",
        "",
    ] {
        assert!(bounded(query, 10).is_err(), "{query}");
    }
}

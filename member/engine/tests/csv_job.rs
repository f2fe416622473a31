//! A CSV file through a job equals the same SELECT over the file read at once by other code.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write;

use jet_engine::plan_job;
use jet_engine::sql::DiskFiles;
use support::Cluster;

#[test]
fn nulls_filters_and_groups_of_a_file_are_exact_across_a_trip() {
    let mut content = String::from("id,Vendor,fare,zone\n");
    let mut expected: BTreeMap<String, (u64, f64, i64)> = BTreeMap::new();
    for id in 0..60_000i64 {
        let vendor = match id % 7 {
            0 => None,
            other => Some(other % 3),
        };
        let fare = (id % 5 != 4).then(|| f64::from((id % 40) as i32) * 0.25);
        let text =
            |value: Option<String>| value.unwrap_or_else(|| if id % 2 == 0 { "NA".into() } else { String::new() });
        let (v, f) = (text(vendor.map(|v| v.to_string())), text(fare.map(|f| f.to_string())));
        writeln!(content, "{id},{v},{f},\"zone, {}\"", id % 11).unwrap();
        if fare.is_some_and(|fare| fare > 1.0) {
            let group = expected.entry(vendor.map_or("null".into(), |v| v.to_string())).or_default();
            *group = (group.0 + 1, group.1 + fare.unwrap(), group.2.max(id));
        }
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    let sql = format!(
        "CREATE MAPPING trips (vendor BIGINT, fare DOUBLE, id BIGINT) TYPE File
           OPTIONS ('path'='{}', 'format'='csv', 'null'='NA', 'rate'='60000', 'ranges'='7');
         CREATE MAPPING totals (vendor BIGINT, trips BIGINT, fare DOUBLE, last BIGINT) TYPE Map;
         CREATE JOB totals AS INSERT INTO totals
           SELECT vendor, COUNT(*), SUM(fare), MAX(id) FROM trips WHERE fare > 1.0 GROUP BY vendor",
        file.path().display()
    );
    let mut cluster = Cluster::new(plan_job(&sql, &[], &DiskFiles).unwrap());
    cluster.start(3, 1);
    cluster.wait_rows(10_000);
    cluster.snapshot(false);
    cluster.wait_rows(20_000);
    cluster.trip(2);
    cluster.start(2, 2);
    cluster.complete();
    let expected: BTreeMap<String, String> = expected
        .into_iter()
        .map(|(vendor, (trips, fare, last))| {
            (vendor, format!("{{\"trips\":{trips},\"fare\":{fare:?},\"last\":{last}}}"))
        })
        .collect();
    assert_eq!(cluster.map(), expected);
}

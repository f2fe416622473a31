//! Epochs under load: rows a second, bytes and milliseconds of each snapshot, as JSON lines.
//!
//! `cargo run --release -p jet-engine --example epochs -- members workers keys epochs`
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use jet_engine::plan_job;
use jet_engine::sql::DiskFiles;
use support::*;

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).map(|word| word.parse().expect("a number")).collect();
    let [members, workers, keys, epochs] = numbers.as_slice() else { panic!("members workers keys epochs") };
    let mut cluster = Cluster::new(plan_job(&ledger_sql(&format!("'keys'='{keys}'")), &[], &DiskFiles).unwrap());
    cluster.start(*members, *workers);
    let (mut before, mut since) = (0, Instant::now());
    for epoch in 1..=*epochs as u64 {
        let end = Instant::now() + Duration::from_secs(1);
        while Instant::now() < end {
            std::thread::park_timeout(end.saturating_duration_since(Instant::now()));
        }
        let opened = Instant::now();
        cluster.open(epoch, false);
        let all = members * workers;
        cluster.keep.wait("done", |kept| kept.done.get(&(1, epoch)).is_some_and(|done| done.len() == all));
        let ms = opened.elapsed().as_millis();
        cluster.commit(epoch);
        let rate = (cluster.rows_in() - before) as f64 / since.elapsed().as_secs_f64();
        (before, since) = (cluster.rows_in(), Instant::now());
        let kept = cluster.keep.kept.lock().unwrap();
        let bytes: u64 = kept.done.values().last().unwrap().iter().map(|done| done.bytes).sum();
        println!("{{\"epoch\":{epoch},\"rows_per_s\":{rate:.0},\"done_ms\":{ms},\"snapshot_bytes\":{bytes}}}");
    }
}

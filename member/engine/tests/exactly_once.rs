//! EXACT and CRASH for the engine: whatever ends a generation, the ledger is right after it.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use jet_engine::operators::source::RangeOffset;
use jet_engine::runtime::RestoreParts;
use jet_engine::sql::DiskFiles;
use jet_engine::{JobRestore, Report, Vertex, plan_job};
use support::*;

fn ledger(keys: u64, count: u64) -> Cluster {
    let sql = ledger_sql(&format!("'keys'='{keys}', 'count'='{count}'"));
    Cluster::new(plan_job(&sql, &[], &DiskFiles).unwrap())
}

#[test]
fn exact_across_trips_on_other_members_and_workers() {
    let (keys, count) = (997, 3_000_000);
    let mut cluster = ledger(keys, count);
    cluster.start(3, 1);
    cluster.wait_rows(100_000);
    cluster.snapshot(false);
    cluster.wait_rows(300_000);
    cluster.snapshot(false);
    for (members, workers, lost) in [(2, 2, 1), (1, 3, 0), (3, 2, 2)] {
        cluster.wait_rows(50_000);
        // Killed in the middle of an epoch: some members know of it, no commit follows.
        let epoch = cluster.next_epoch();
        cluster.members[0].open_epoch(JOB, epoch, false).unwrap();
        let causes = cluster.trip(lost % cluster.members.len());
        assert!(causes.iter().any(|cause| cause == "the test ended it"), "{causes:?}");
        cluster.start(members, workers);
        cluster.snapshot(false);
    }
    cluster.complete();
    assert_eq!(difference(&cluster.map(), &oracle(keys, count)), None);
}

#[test]
fn resume_from_a_terminal_snapshot_goes_on_exactly_there() {
    let (keys, count) = (101, 1_000_000);
    let mut cluster = ledger(keys, count);
    cluster.start(3, 1);
    cluster.wait_rows(200_000);
    cluster.snapshot(true);
    let ended = cluster.rows_in();
    let refused = cluster.members[0].open_epoch(JOB, cluster.next_epoch(), false).unwrap_err();
    assert!(refused.to_string().contains("terminal"), "{refused}");
    let stood: u64 =
        cluster.members.iter().flat_map(|m| m.counters(JOB).unwrap().offsets).map(|(_, offset)| offset.rows).sum();
    assert_eq!(stood, ended, "tasks ended at the boundary");
    cluster.trip(0);
    cluster.start(2, 1);
    let from: u64 = {
        wait_for(
            "offsets",
            || cluster.members.iter().map(|m| m.counters(JOB).unwrap().offsets.len()).sum::<usize>() == 12,
            || cluster.states(),
        );
        cluster
            .keep
            .kept
            .lock()
            .unwrap()
            .parts
            .iter()
            .filter(|(k, _)| k.vertex == Vertex::Source)
            .map(|(_, b)| RangeOffset::decode(b).unwrap().rows)
            .sum()
    };
    assert_eq!(from, ended);
    cluster.complete();
    assert_eq!(difference(&cluster.map(), &oracle(keys, count)), None);
    let stops: Vec<_> = cluster.trip(0);
    assert_eq!(stops.len(), 2);
}

#[test]
fn a_short_job_is_exhausted_and_complete() {
    let mut cluster = ledger(1000, 10);
    cluster.start(2, 2);
    cluster.complete();
    assert_eq!(difference(&cluster.map(), &oracle(1000, 10)), None);
    let kept = cluster.keep.kept.lock().unwrap();
    let told = kept.reports.iter().filter(|(_, report)| matches!(report, Report::Exhausted { .. })).count();
    assert_eq!(told, 2, "each member says once that it has read all");
}

/// A shell that restores wrongly: the oracle must see it, else it proves nothing.
struct Wrong {
    right: Parts,
    rows: i64,
    /// One range is spoilt, and one that was not read to its end: its position is what a shift changes.
    spoilt: AtomicBool,
}

impl RestoreParts for Wrong {
    fn part(&self, vertex: Vertex, partition: u32) -> Result<Option<Bytes>, String> {
        let found = self.right.part(vertex, partition)?;
        let Some(bytes) = found.as_ref().filter(|_| vertex == Vertex::Source) else { return Ok(found) };
        let mut offset = RangeOffset::decode(bytes).unwrap();
        let Some(position) = offset.position.filter(|position| *position > 0 && !offset.exhausted) else {
            return Ok(found);
        };
        if self.spoilt.swap(true, Ordering::SeqCst) {
            return Ok(found);
        }
        offset.position = Some(position.checked_add_signed(self.rows).unwrap());
        Ok(Some(offset.encode()))
    }
}

#[test]
fn mutants_that_lose_or_repeat_one_row_are_caught_by_the_oracle() {
    for rows in [1, -1] {
        let (keys, count) = (50, 1_200_000);
        let mut cluster = ledger(keys, count);
        cluster.start(2, 1);
        cluster.wait_rows(100_000);
        cluster.snapshot(false);
        let (execution, epoch) = cluster.keep.kept.lock().unwrap().committed.unwrap();
        cluster.trip(0);
        let right = Parts(cluster.keep.clone(), execution, epoch);
        let wrong = Arc::new(Wrong { right, rows, spoilt: AtomicBool::new(false) });
        cluster.restore = Some(JobRestore { epoch, parts: wrong.clone() });
        cluster.start(2, 1);
        cluster.complete();
        assert!(wrong.spoilt.load(Ordering::SeqCst), "the snapshot was not of mid-stream: nothing was spoilt");
        let seen = difference(&cluster.map(), &oracle(keys, count));
        assert!(seen.is_some(), "a shift of {rows} row went unseen");
    }
}

#[test]
fn a_snapshot_with_a_missing_or_broken_part_is_refused() {
    for vertex in [Vertex::State, Vertex::Source] {
        for broken in [false, true] {
            let mut cluster = ledger(100, 1_000_000);
            cluster.start(2, 1);
            cluster.wait_rows(10_000);
            cluster.snapshot(false);
            cluster.trip(0);
            {
                let mut kept = cluster.keep.kept.lock().unwrap();
                let key = *kept.parts.keys().find(|key| key.vertex == vertex && key.partition == 3).unwrap();
                let bytes = kept.parts.remove(&key).unwrap();
                if broken {
                    let mut bytes = bytes.to_vec();
                    let last = bytes.len() - 1;
                    bytes[last] ^= 1;
                    kept.parts.insert(key, bytes.into());
                }
                kept.reports.clear();
            }
            cluster.start(2, 1);
            cluster.keep.wait("the failure", |kept| {
                kept.reports.iter().any(|(_, report)| matches!(report, Report::JobFailed { .. }))
            });
            let word = if broken { "cannot read" } else { "has no" };
            let told = format!("{:?}", cluster.keep.kept.lock().unwrap().reports);
            assert!(told.contains(word), "{told}");
            // It takes part in no snapshot.
            let epoch = cluster.next_epoch();
            cluster.open(epoch, false);
            cluster.trip(0);
            let all = cluster.keep.kept.lock().unwrap().done.get(&(2, epoch)).map_or(0, Vec::len);
            assert!(all < 2, "a job that failed was committed");
        }
    }
}

#[test]
fn a_large_state_keeps_its_epochs_and_comes_back() {
    let (keys, count) = (200_000, 1_000_000);
    let sql = format!(
        "CREATE MAPPING numbers (key BIGINT, number BIGINT, text VARCHAR) TYPE Generator OPTIONS ('keys'='{keys}', 'count'='{count}', 'payload'='200');
         CREATE MAPPING out (key BIGINT, count BIGINT, text VARCHAR) TYPE Map;
         CREATE JOB large AS SINK INTO out SELECT key, COUNT(*), MAX(text) FROM numbers GROUP BY key"
    );
    let mut cluster = Cluster::new(plan_job(&sql, &[], &DiskFiles).unwrap());
    cluster.start(3, 1);
    cluster.wait_rows(600_000);
    cluster.snapshot(false);
    let bytes: u64 =
        cluster.keep.kept.lock().unwrap().done.values().last().unwrap().iter().map(|done| done.bytes).sum();
    assert!(bytes > 50_000_000, "{bytes}");
    cluster.trip(1);
    cluster.start(2, 2);
    cluster.complete();
    let map = cluster.map();
    assert_eq!(map.len() as u64, keys);
    for (key, value) in &map {
        assert_eq!(value, &format!("{{\"count\":5,\"text\":\"{key}-{:0>200}\"}}", 4), "key {key}");
    }
}

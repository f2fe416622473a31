//! What goes wrong has a name: no hang, no panic that reaches anybody, no bound that does not hold.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jet_engine::runtime::{CREDIT_ROWS, StartRefused};
use jet_engine::sql::DiskFiles;
use jet_engine::{JobStart, Report, RuntimeGeneration, compile, plan_job};
use support::*;

fn endless() -> Cluster {
    Cluster::new(plan_job(&ledger_sql("'keys'='5000'"), &[], &DiskFiles).unwrap())
}

#[test]
fn a_flipped_byte_anywhere_in_the_stream_is_named_and_ends_the_generation() {
    // The hello of two peers has 104 bytes; after it come frames of headers, progress and rows.
    let spread = (0..30u64).map(|i| 104 + i * i * i * 37 + i);
    for flip_at in [110, 113, 121, 150, 333, 4_097].into_iter().chain(spread) {
        let mut cluster = endless();
        cluster.meddle = Some(Meddle { flip_at: Some(flip_at), ..Meddle::default() });
        cluster.start(3, 1);
        let tripped = || cluster.members.iter().all(|member| member.cause().is_some());
        wait_for(&format!("the end after a flip at {flip_at}"), tripped, || cluster.states());
        let cause = cluster.members[0].cause().unwrap();
        assert!(cause.contains("checksum") || cause.contains("frame of"), "flip at {flip_at}: {cause}");
        for member in cluster.members.drain(..) {
            member.join();
        }
        // The process lives on.
        cluster.meddle = None;
        cluster.start(2, 1);
        cluster.snapshot(false);
    }
}

#[test]
fn a_panic_in_a_worker_is_a_cause_and_the_process_lives_on() {
    let mut cluster = endless();
    let right = cluster.hash.clone();
    cluster.hash = Arc::new(|_: &[u8]| panic!("a bug in the hash"));
    cluster.start(3, 1);
    let causes: Vec<String> = cluster.members.drain(..).map(|member| member.join()).collect();
    assert!(causes.iter().any(|cause| cause.contains("panicked: a bug in the hash")), "{causes:?}");
    cluster.hash = right;
    cluster.start(3, 1);
    cluster.wait_rows(1000);
    cluster.snapshot(false);
}

#[test]
fn a_trip_ends_every_member_within_a_moment() {
    let mut cluster = endless();
    cluster.start(3, 2);
    cluster.wait_rows(100_000);
    let began = Instant::now();
    let causes = cluster.trip(1);
    let took = began.elapsed();
    assert_eq!(causes.len(), 3);
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(causes[0].contains("member 1") || causes[0].contains("member 2"), "{causes:?}");
}

#[test]
fn a_stalled_member_stops_the_sources_within_their_credit_and_they_go_on_after_it() {
    let mut cluster = endless();
    let meddle = Meddle::default();
    cluster.meddle = Some(meddle.clone());
    cluster.start(3, 1);
    cluster.wait_rows(200_000);
    meddle.stall.store(true, Ordering::Relaxed);
    // Stands still: the same count over and over again.
    let mut last = (0, 0);
    wait_for(
        "a standstill",
        || {
            let rows = cluster.rows_in();
            last = if rows == last.0 { (rows, last.1 + 1) } else { (rows, 0) };
            last.1 > 300
        },
        || cluster.states(),
    );
    for member in &cluster.members {
        let most = member.counters(JOB).unwrap().most_in_flight;
        assert!(most <= CREDIT_ROWS as u64, "{most} rows in flight");
    }
    meddle.stall.store(false, Ordering::Relaxed);
    cluster.wait_rows(last.0 + 200_000);
    cluster.snapshot(false);
}

#[test]
fn the_rate_is_of_the_whole_job() {
    let sql = ledger_sql("'keys'='100', 'rate'='6000'");
    let mut cluster = Cluster::new(plan_job(&sql, &[], &DiskFiles).unwrap());
    cluster.start(3, 1);
    let began = Instant::now();
    cluster.wait_rows(9_000);
    let took = began.elapsed().as_secs_f64();
    assert!(took > 1.2, "9000 rows at 6000 a second took {took} s");
    assert!(cluster.rows_in() < (began.elapsed().as_secs_f64() * 6000.0) as u64 + 600);
}

#[test]
fn one_epoch_at_a_time() {
    let mut cluster = endless();
    cluster.start(1, 1);
    let member = &cluster.members[0];
    assert!(member.open_epoch(99, 1, false).is_err());
    member.open_epoch(JOB, 3, false).unwrap();
    assert!(member.open_epoch(JOB, 4, false).unwrap_err().to_string().contains("epoch 3 is open"));
    assert!(member.committed(JOB, 2).is_err());
    cluster.commit(3);
    assert!(cluster.members[0].open_epoch(JOB, 3, false).unwrap_err().to_string().contains("the last one is 3"));
    cluster.snapshot(false);
    cluster.members[0].end_job(JOB).unwrap();
    assert!(cluster.members[0].counters(JOB).is_none());
}

#[test]
fn a_job_can_join_and_leave_a_running_generation() {
    let mut cluster = endless();
    cluster.start(2, 1);
    let plan = plan_job(&ledger_sql("'keys'='10', 'count'='1000'"), &[], &DiskFiles).unwrap();
    for member in &cluster.members {
        let program = Arc::new(compile(&plan).unwrap());
        let start = JobStart { job: 8, execution: 1, fingerprint: plan.fingerprint.clone(), program, restore: None };
        member.add_job(start.clone()).unwrap();
        assert!(member.add_job(start).is_err());
    }
    let second = |member: &jet_engine::GenerationHandle| member.counters(8).unwrap();
    wait_for("the second job", || cluster.members.iter().all(|m| second(m).exhausted), || cluster.states());
    assert_eq!(cluster.members.iter().map(|m| second(m).rows_in).sum::<u64>(), 1000);
    cluster.members.iter().for_each(|member| member.end_job(8).unwrap());
    cluster.snapshot(false);
}

#[test]
fn members_that_disagree_about_the_jobs_refuse_each_other() {
    let cluster = endless();
    let mut all = streams(2, None);
    let mut make = |me: usize, number: u64, execution: u64| RuntimeGeneration {
        number,
        members: 2,
        me,
        workers: 1,
        owners: vec![0; PARTITIONS as usize],
        partition_of: hash(),
        jobs: vec![JobStart {
            job: JOB,
            execution,
            fingerprint: cluster.plan.fingerprint.clone(),
            program: Arc::new(compile(&cluster.plan).unwrap()),
            restore: None,
        }],
        sockets: std::mem::take(&mut all[me]),
        snapshots: cluster.keep.clone(),
        events: Arc::new(MemberEvents(me, cluster.keep.clone())),
    };
    let (a, b) = (make(0, 4, 1), make(1, 4, 2));
    let other = std::thread::spawn(move || b.start().map(|_| ()));
    let refused = a.start().map(|_| ()).unwrap_err();
    assert!(matches!(refused, StartRefused::Peer { member: 1, .. }), "{refused}");
    assert!(refused.to_string().contains("another list of jobs"), "{refused}");
    assert!(other.join().unwrap().is_err());
    let mut all = streams(2, None);
    let mut make = |me: usize, number: u64| RuntimeGeneration {
        number,
        sockets: std::mem::take(&mut all[me]),
        ..describe(&cluster, me)
    };
    let (a, b) = (make(0, 4), make(1, 5));
    let other = std::thread::spawn(move || b.start().map(|_| ()));
    assert!(a.start().map(|_| ()).unwrap_err().to_string().contains("is in generation 5, not 4"));
    assert!(other.join().unwrap().is_err());
}

fn describe(cluster: &Cluster, me: usize) -> RuntimeGeneration {
    RuntimeGeneration {
        number: 0,
        members: 2,
        me,
        workers: 1,
        owners: vec![0; PARTITIONS as usize],
        partition_of: hash(),
        jobs: Vec::new(),
        sockets: Vec::new(),
        snapshots: cluster.keep.clone(),
        events: Arc::new(MemberEvents(me, cluster.keep.clone())),
    }
}

#[test]
fn a_bad_value_fails_the_job_by_name_and_not_the_generation() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "k,v\n1,2\n1,x\n").unwrap();
    let sql = format!(
        "CREATE MAPPING f (k BIGINT, v BIGINT) TYPE File OPTIONS ('path'='{}', 'ranges'='2');
         CREATE MAPPING m (k BIGINT, s BIGINT) TYPE Map;
         CREATE JOB j AS INSERT INTO m SELECT k, SUM(v) FROM f GROUP BY k",
        file.path().display()
    );
    let mut cluster = Cluster::new(plan_job(&sql, &[], &DiskFiles).unwrap());
    cluster.start(2, 1);
    cluster
        .keep
        .wait("the failure", |kept| kept.reports.iter().any(|(_, report)| matches!(report, Report::JobFailed { .. })));
    let told = format!("{:?}", cluster.keep.kept.lock().unwrap().reports);
    assert!(told.contains("column 'v'") && told.contains("bad-values"), "{told}");
    assert!(cluster.members.iter().all(|member| member.cause().is_none()));
}

//! All members killed at once: which state, which jobs and which data are there afterwards.
//!
//! Must not know: operators.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::job::{JobStatus, JobView, Verdict};

use crate::world::ledger::{Expected, counting, is_a_prefix, is_exact, submit, view, wait_counted, wait_status};
use crate::world::rest::expect;
use crate::world::{CLUSTER, Process, World};
use crate::{all_shown_is_durable, endless, serving_three, with_rest};

const KEY: &str = "counter";
/// Writes under way when all are killed.
const WRITES: u64 = 20;
/// Puts of several writers that are acknowledged when all are killed, at least.
const PUTS: usize = 60;
const WRITERS: u32 = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_the_last_state_comes_back_after_a_kill_of_all() {
    let mut world = serving_three(with_rest()).await;
    let (ledger, idle, short) = (endless("ledger"), endless("idle"), counting("short", 2_000, None));
    for job in [&ledger, &idle, &short] {
        submit(&world, job).await;
    }
    is_exact(&world, 0, &short).await;
    for job in [&ledger, &idle] {
        wait_counted(&world, 0, job, 1).await;
    }
    world.operator(0).job(idle.name, "suspend").await.unwrap();
    world.put(0, KEY, "0").await.unwrap();
    expect(world.rest_port(0), "-o change-state -s frozen --wait", 0, "'frozen'").await;
    for ordinal in 0..3 {
        world.on_disk(ordinal).await;
    }
    // Jobs pause in FROZEN, and what they have shown is on disk a moment later.
    all_shown_is_durable(&world, &ledger, JobStatus::Waiting).await;
    all_shown_is_durable(&world, &idle, JobStatus::Suspended).await;

    (0..3).for_each(|ordinal| world.kill(ordinal));
    world.start_all();
    world.serving(0..3, ClusterStateView::Frozen).await;
    assert_eq!(world.get(1, KEY).await.unwrap().as_deref(), Some("0"));
    assert_eq!(view(&world, 1, ledger.name).await.unwrap().status, JobStatus::Waiting);
    r26_what_did_not_run_is_as_it_was(&world, &idle, &short).await;
    expect(world.rest_port(1), "-o change-state -s active --wait", 0, "'active'").await;
    goes_on(&world, &ledger).await;

    let written = write_until_all_are_killed(&mut world).await;
    world.start_all();
    world.serving(0..3, ClusterStateView::Active).await;
    let found: u64 = world.get(0, KEY).await.unwrap().unwrap().parse().unwrap();
    // Without fsync what came last may be gone; what is there was written.
    assert!(found <= written, "{found} was never written, {written} was the last");
    goes_on(&world, &ledger).await;
    r26_what_did_not_run_is_as_it_was(&world, &idle, &short).await;
    r24_a_snapshot_that_is_not_whole_is_not_gone_on_from(&mut world, &ledger, &idle).await;
}

/// S6, R20: of a map with fsync nothing is lost that was acknowledged: a killed process takes with it what waited in its RAM to
/// be written. What a power cut takes from a disk is shown on simulated ones, beside the code of the maps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_with_fsync_a_kill_of_all_loses_nothing_acknowledged_r20() {
    let world = with_rest();
    let fsync = "  map: {'fl*': {hot-restart: {enabled: true, fsync: true}}}\n";
    world.configure("hazelcast.yaml", &format!("  cluster-name: {CLUSTER}\n"), fsync);
    let mut world = serving_three(world).await;
    let mut acknowledged = Vec::new();
    for round in 0..2 {
        acknowledged.extend(put_until_all_are_killed(&mut world, round).await);
        world.start_all();
        world.serving(0..3, ClusterStateView::Active).await;
        for (n, key) in acknowledged.iter().enumerate() {
            let found = world.get(u32::try_from(n).unwrap() % 3, key).await.unwrap();
            assert_eq!(found.as_deref(), Some("value"), "{key} of {} was acknowledged", acknowledged.len());
        }
    }
}

/// Several writers through all members until nobody is there any more; gives the keys that were acknowledged.
async fn put_until_all_are_killed(world: &mut World, round: u32) -> Vec<String> {
    let processes = std::mem::take(&mut world.members);
    let (world, acknowledged) = (&*world, Mutex::new(Vec::new()));
    let writer = |writer: u32| {
        let acknowledged = &acknowledged;
        async move {
            for n in 0_u32.. {
                let key = format!("{round}-{writer}-{n}");
                if world.put(writer % 3, &key, "value").await.is_err() {
                    return;
                }
                acknowledged.lock().unwrap().push(key);
            }
        }
    };
    let kills = async {
        world
            .until("some are acknowledged", || async {
                let count = acknowledged.lock().unwrap().len();
                if count > PUTS { Ok(()) } else { Err(format!("{count} are acknowledged")) }
            })
            .await;
        processes.into_values().for_each(Process::kill);
    };
    tokio::join!(futures::future::join_all((0..WRITERS).map(writer)), kills);
    acknowledged.into_inner().unwrap()
}

/// From a durable snapshot, which is said to be older than what was.
async fn goes_on(world: &World, job: &Expected) {
    let runs = wait_status(world, 1, job, JobStatus::Running).await;
    assert_eq!(runs.verdict, Some(Verdict::ResumedFromOlder));
    let from = runs.started_from.unwrap();
    wait_counted(world, 1, job, from.rows_read + 1).await;
    is_a_prefix(world, 2, job).await;
}

async fn r26_what_did_not_run_is_as_it_was(world: &World, idle: &Expected, short: &Expected) {
    assert_eq!(view(world, 2, idle.name).await.unwrap().status, JobStatus::Suspended);
    is_a_prefix(world, 2, idle).await;
    is_exact(world, 2, short).await;
}

/// One number after the other into one key, until nobody is there any more; gives the last that was tried.
async fn write_until_all_are_killed(world: &mut World) -> u64 {
    let processes = std::mem::take(&mut world.members);
    let (world, tried) = (&*world, AtomicU64::new(0));
    let writes =
        async { while world.put(0, KEY, &(tried.fetch_add(1, Ordering::SeqCst) + 1).to_string()).await.is_ok() {} };
    let kills = async {
        world
            .until("some are acknowledged", || async {
                let tried = tried.load(Ordering::SeqCst);
                if tried > WRITES { Ok(()) } else { Err(format!("{tried} are tried")) }
            })
            .await;
        processes.into_values().for_each(Process::kill);
    };
    tokio::join!(writes, kills);
    tried.into_inner()
}

/// R24: a snapshot is counted part by part before a job goes on from it. What is bad in one file is taken from another
/// copy; what a whole store lacks holds the job, which says so: nothing older is taken in its place, and other jobs go on.
async fn r24_a_snapshot_that_is_not_whole_is_not_gone_on_from(world: &mut World, ledger: &Expected, idle: &Expected) {
    let durable = killed_with_a_snapshot_of_its_last_run(world, ledger).await;
    let id = durable.id;
    for file in epochs(&world.home(1).join("recovery/data"), id) {
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, bytes).unwrap();
    }
    world.start_all();
    world.serving(0..3, ClusterStateView::Active).await;
    goes_on(world, ledger).await;
    let (from, known) = (view(world, 0, ledger.name).await.unwrap().started_from.unwrap(), durable.snapshot.unwrap());
    assert!((from.execution, from.epoch) >= (known.execution, known.epoch), "{from:?} is older than {known:?}");

    killed_with_a_snapshot_of_its_last_run(world, ledger).await;
    for file in epochs(&world.home(1).join("recovery/data"), id) {
        std::fs::remove_file(file).unwrap();
    }
    world.start_all();
    world.serving(0..3, ClusterStateView::Active).await;
    let held = wait_status(world, 0, ledger, JobStatus::Held).await;
    assert!(held.cause.unwrap().contains("is not whole on every store"));
    world.operator(0).job(idle.name, "resume").await.unwrap();
    goes_on(world, idle).await;
}

async fn killed_with_a_snapshot_of_its_last_run(world: &mut World, job: &Expected) -> JobView {
    let durable = world
        .until("a snapshot of this run is durable", || async {
            let view = view(world, 0, job.name).await?;
            let durable = view.snapshot.as_ref().is_some_and(|snapshot| snapshot.execution == view.execution);
            if durable { Ok(view) } else { Err(format!("{view:?}")) }
        })
        .await;
    (0..3).for_each(|ordinal| world.kill(ordinal));
    durable
}

fn epochs(dir: &Path, job: u64) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        if entry.path().is_dir() {
            found.extend(epochs(&entry.path(), job));
        } else if entry.file_name().to_string_lossy().starts_with(&format!("epoch-{job:016x}-")) {
            found.push(entry.path());
        }
    }
    found
}

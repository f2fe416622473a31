//! How far a seal or a load is can be seen while it goes on, and who looks waits for no disk.
//!
//! Must not know: file formats.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "proof/request.rs"]
mod request;

use jet_hotstore::{Cadence, Doing, EpochId, Options, Progress, Record, SimulatedDisk, Store, Usage, Version};
use request::request;
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use uuid::Uuid;

const PARTITIONS: u16 = 3;
const ROUNDS: u64 = 20;
/// Read by one thread, in many short chunks; and by several, in a few pieces of a long one.
const SHAPES: [(usize, u64); 2] = [(500, 4096), (200_000, 64 << 20)];
const SHORT: (usize, u64) = SHAPES[0];
const BOUND: Duration = Duration::from_secs(30);

fn open(disk: &SimulatedDisk, chunk_bytes: u64) -> Arc<Store> {
    let options = Options { cadence: Cadence::OnDemand, chunk_bytes, ..Options::default() };
    Arc::new(Store::open(Path::new("/store"), Arc::new(disk.clone()), options).unwrap().0)
}

fn append_round(store: &Store, n: u64, value_bytes: usize) {
    for partition in 0..PARTITIONS {
        let value = vec![n as u8; value_bytes];
        let record = Record::put(1, partition, Version::new(1, n), format!("key {n}"), value);
        assert!(store.append(record).ticket().is_some());
    }
}

fn written(disk: &SimulatedDisk, (value_bytes, chunk_bytes): (usize, u64)) -> Arc<Store> {
    let store = open(disk, chunk_bytes);
    store.join_cluster(Uuid::from_u128(7)).unwrap();
    store.open_generation(1).unwrap();
    for n in 1..=ROUNDS {
        append_round(&store, n, value_bytes);
        store.flush().unwrap();
    }
    store
}

/// Bytes of all that it names.
fn seal(store: &Store, last: u64) -> u64 {
    store.seal(request(PARTITIONS, last, last)).unwrap().manifest.bytes
}

fn load(store: &Store) {
    store.load(&mut |_| {}).unwrap();
}

/// A look before each read that belongs to this.
fn looks<T>(disk: &SimulatedDisk, store: &Arc<Store>, work: impl FnOnce() -> T) -> (T, Vec<Progress>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (looks, of) = (seen.clone(), Arc::downgrade(store));
    disk.watch_reads(move || looks.lock().unwrap().extend(of.upgrade().map(|store| store.progress())));
    let done = work();
    disk.watch_reads(|| {});
    (done, Arc::try_unwrap(seen).unwrap().into_inner().unwrap())
}

/// Nothing shrinks, something is always left before a read, and at the end it is all.
fn is_told(seen: &[Progress], doing: Doing, total: u64) {
    let seen: Vec<_> = seen.iter().filter(|look| look.doing == doing).collect();
    assert!(seen.len() >= 3, "{seen:?}");
    for look in &seen {
        assert_eq!(look.total, total, "{look:?}");
        assert!(look.left() > 0, "{look:?}");
    }
    for pair in seen.windows(2) {
        assert!(pair[0].work == pair[1].work && pair[0].done <= pair[1].done, "{pair:?}");
        assert!(pair[0].lasts <= pair[1].lasts, "{pair:?}");
    }
}

fn is_over(store: &Store, total: u64) {
    let end = store.progress();
    assert_eq!((end.doing, end.done, end.total), (Doing::Idle, total, total), "{end:?}");
    assert_eq!(end.pace(None).slow, None);
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let by = Instant::now() + BOUND;
    while !holds() {
        assert!(Instant::now() < by, "{what}");
        thread::yield_now();
    }
}

/// The room on the volume, if that is told at all while somebody works.
fn room<'scope>(scope: &'scope thread::Scope<'scope, '_>, store: &'scope Store) -> Option<Usage> {
    let (tell, told) = mpsc::channel();
    scope.spawn(move || tell.send(store.usage().unwrap()));
    told.recv_timeout(BOUND).ok()
}

#[test]
fn a_seal_tells_what_is_left_to_read_back_and_ends_with_nothing_left() {
    for shape in SHAPES {
        let disk = SimulatedDisk::new();
        let store = written(&disk, shape);
        let (bytes, seen) = looks(&disk, &store, || seal(&store, ROUNDS));
        is_told(&seen, Doing::ReadingBack, bytes);
        is_over(&store, bytes);
        if shape == SHORT {
            assert!(seen.iter().any(|look| look.done > 0), "{seen:?}");
        }
    }
}

#[test]
fn what_was_read_back_before_is_no_work_of_a_seal() {
    let disk = SimulatedDisk::new();
    let store = written(&disk, SHORT);
    let ((), seen) = looks(&disk, &store, || while store.prove_one().unwrap() {});
    assert!(seen.iter().all(|look| look.doing == Doing::Idle), "a running cluster does not seal: {seen:?}");
    let bytes = seal(&store, ROUNDS);
    let told = store.progress();
    assert!(told.done == told.total && told.total > 0 && told.total < bytes / 2, "{told:?} of {bytes}");
}

#[test]
fn snapshots_are_told_when_they_are_sealed_and_when_they_are_loaded() {
    let disk = SimulatedDisk::new();
    let store = written(&disk, SHORT);
    let mut epoch = store.epoch_writer(EpochId { job: 1, execution: 1, epoch: 1 }).unwrap();
    for partition in 0..PARTITIONS {
        epoch.put(1, partition, &vec![7; 4 << 20]).unwrap();
    }
    let length = epoch.finish().unwrap().length;
    let (bytes, seen) = looks(&disk, &store, || seal(&store, ROUNDS));
    is_told(&seen, Doing::Hashing, length);
    is_over(&store, length);
    drop(store);
    let store = open(&disk, SHORT.1);
    let ((), seen) = looks(&disk, &store, || load(&store));
    is_told(&seen, Doing::Loading, bytes);
    is_over(&store, bytes);
    let ((), seen) = looks(&disk, &store, || drop(store.verify_seal().unwrap()));
    is_told(&seen, Doing::Hashing, bytes);
    is_over(&store, bytes);
}

#[test]
fn a_load_tells_what_is_left_of_what_a_seal_names() {
    for shape in SHAPES {
        let disk = SimulatedDisk::new();
        let bytes = seal(&written(&disk, shape), ROUNDS);
        let store = open(&disk, shape.1);
        let ((), seen) = looks(&disk, &store, || load(&store));
        is_told(&seen, Doing::Loading, bytes);
        is_over(&store, bytes);
    }
}

#[test]
fn a_load_after_a_crash_reads_twice_and_ends_with_nothing_left_where_a_tail_is_left_out() {
    let disk = SimulatedDisk::new();
    drop(written(&disk, SHORT));
    let logs = || disk.files().into_iter().filter(|(path, _)| path.extension().is_some_and(|kind| kind == "jl"));
    let (newest, _) = logs().next_back().unwrap();
    let mut bytes = jet_hotstore::Disk::read(&disk, &newest).unwrap().unwrap();
    bytes.extend_from_slice(&[0xab; 100]);
    disk.plant(&newest, &bytes);
    let store = open(&disk, SHORT.1);
    let (report, seen) = looks(&disk, &store, || store.load(&mut |_| {}).unwrap());
    assert!(report.cut.is_some(), "{report:?}");
    let total = store.progress().total;
    let all: u64 = logs().map(|(_, length)| length).sum();
    assert!(total > all && total <= 2 * all, "{total} of {all} bytes, each twice");
    is_told(&seen, Doing::Loading, total);
    is_over(&store, total);
}

#[test]
fn a_load_that_fails_is_over_and_shows_how_far_it_came() {
    let disk = SimulatedDisk::new();
    seal(&written(&disk, SHORT), ROUNDS);
    let store = open(&disk, SHORT.1);
    disk.fail_read_at(disk.reads() + 3);
    assert!(store.load(&mut |_| {}).is_err());
    let end = store.progress();
    assert!(end.doing == Doing::Idle && end.done > 0 && end.left() > 0, "{end:?}");
    assert_eq!(end.pace(None).slow, None, "what is over is not slow");
}

#[test]
fn who_looks_does_not_wait_for_a_load_from_a_disk_that_is_slow() {
    let disk = SimulatedDisk::new();
    let bytes = seal(&written(&disk, SHORT), ROUNDS);
    let store = open(&disk, SHORT.1);
    thread::scope(|scope| {
        let (pass, reads) = mpsc::channel::<()>();
        let reads = Mutex::new(reads);
        // Each read waits to be let through, until nobody is there any more who could.
        disk.watch_reads(move || {
            let _ = reads.lock().unwrap().recv();
        });
        let loading = scope.spawn(|| load(&store));
        let through = |pass: &Sender<()>| pass.send(()).unwrap();
        let mut last = 0;
        for _ in 0..3 {
            through(&pass);
            until("a chunk more is read", || store.progress().done > last);
            last = store.progress().done;
        }
        let (look, room) = (store.progress(), room(scope, &store));
        assert!(look.doing == Doing::Loading && look.total == bytes && look.left() > 0, "{look:?}");
        assert_eq!(room.map(|room| room.live), Some(bytes));
        drop(pass);
        loading.join().unwrap();
    });
    is_over(&store, bytes);
}

/// Also when a test fails meanwhile: else its threads wait for ever.
struct Frozen(SimulatedDisk);

impl Drop for Frozen {
    fn drop(&mut self) {
        self.0.thaw();
    }
}

#[test]
fn who_looks_does_not_wait_for_a_seal_whose_disk_hangs() {
    let disk = SimulatedDisk::new();
    let store = written(&disk, SHORT);
    append_round(&store, ROUNDS + 1, SHORT.0);
    let waiting = store.health().waiting_bytes as u64;
    let before = store.usage().unwrap().live;
    thread::scope(|scope| {
        disk.freeze();
        let frozen = Frozen(disk.clone());
        let sealing = scope.spawn(|| seal(&store, ROUNDS + 1));
        until("it flushes", || store.progress().doing == Doing::Flushing);
        let (look, room) = (store.progress(), room(scope, &store));
        assert_eq!((look.doing, look.done, look.total), (Doing::Flushing, 0, waiting));
        assert_eq!(room.map(|room| room.live), Some(before), "as it was");
        drop(frozen);
        sealing.join().unwrap();
    });
    let end = store.progress();
    assert!(end.doing == Doing::Idle && end.left() == 0, "{end:?}");
}

//! The consensus log: what was acknowledged comes back after a power cut at every call, and what is damaged is refused.
//!
//! Must not know: file formats.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use jet_hotstore::{Aftermath, ConsensusLog, Disk, Fault, LogEntry, Refused, SimulatedDisk, StoreError};
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

const LINE: Uuid = Uuid::from_u128(3);

fn open(disk: &SimulatedDisk, may_begin: bool) -> Result<ConsensusLog, StoreError> {
    disk.make_dir(Path::new("/s")).map_err(|source| StoreError::Io { action: "make", file: "/s".into(), source })?;
    ConsensusLog::open(Arc::new(disk.clone()), Path::new("/s/raft"), LINE, may_begin)
}

fn entry(index: u64, term: u64) -> LogEntry {
    LogEntry { index, term, bytes: format!("entry {index} of term {term}").into_bytes() }
}

type View = (Option<Vec<u8>>, Vec<LogEntry>, Option<(u64, u64)>, Option<Vec<u8>>);

fn view(log: &ConsensusLog) -> View {
    (log.vote().map(<[u8]>::to_vec), log.entries(0, 100), log.purged(), log.snapshot().map(|s| s.bytes.clone()))
}

fn step(log: &mut ConsensusLog, n: usize) -> Result<(), StoreError> {
    match n {
        0 => log.save_vote(b"vote 1"),
        1 => log.append(&[entry(1, 1), entry(2, 1), entry(3, 1)]),
        2 => log.append(&[entry(4, 1)]),
        3 => log.save_vote(b"vote 2"),
        4 => log.truncate_from(3),
        5 => log.append(&[entry(3, 2), entry(4, 2), entry(5, 2)]),
        6 => log.save_snapshot(b"meta", b"snapshot at 4"),
        7 => log.purge_upto(4, 2),
        _ => log.append(&[entry(6, 2)]),
    }
}

const STEPS: usize = 9;

/// A disk after all steps, and what the log held behind each.
fn whole() -> (SimulatedDisk, Vec<View>) {
    let mut views = Vec::new();
    let whole = SimulatedDisk::new();
    let mut log = open(&whole, true).unwrap();
    views.push(view(&log));
    for n in 0..STEPS {
        step(&mut log, n).unwrap();
        views.push(view(&log));
    }
    (whole, views)
}

/// All that was acknowledged is found, and nothing beyond the step that was under way.
fn is_allowed(found: &View, views: &[View], acked: usize) -> bool {
    let allowed = &views[acked..views.len().min(acked + 2)];
    let partial = acked == 1 || acked == 5;
    let prefix =
        partial && found.0 == allowed[0].0 && allowed[1].1.starts_with(&found.1) && found.1.starts_with(&allowed[0].1);
    allowed.contains(found) || prefix
}

#[test]
fn crash_power_cut_at_every_call() {
    // A begun log may be refused as `begun` only when the caller was told; the first opening is the beginning.
    let (whole, views) = whole();
    for at in 1..=whole.calls() + 1 {
        let disk = SimulatedDisk::new();
        disk.fault_at(at, Fault::PowerCut);
        let mut acked = None;
        if let Ok(mut log) = open(&disk, true) {
            acked = Some(0);
            while let Some(n) = acked.filter(|n| *n < STEPS) {
                match step(&mut log, n) {
                    Ok(()) => acked = Some(n + 1),
                    Err(_) => break,
                }
            }
        }
        disk.cut_power();
        for aftermath in Aftermath::ALL {
            let found = open(&disk.reboot(aftermath), acked.is_none());
            let found = view(&found.unwrap_or_else(|error| panic!("cut at {at}, {aftermath:?}: {error}")));
            let acked = acked.unwrap_or(0);
            assert!(is_allowed(&found, &views, acked), "cut at {at}, {aftermath:?}: {found:?} behind step {acked}");
        }
    }
}

#[test]
fn damage_other_lines_and_missing_logs_are_refused() {
    let disk = SimulatedDisk::new();
    let mut log = open(&disk, true).unwrap();
    (0..STEPS).for_each(|n| step(&mut log, n).unwrap());
    let expected = view(&log);
    drop(log);
    let path = disk.files().into_iter().find(|(p, _)| p.to_string_lossy().contains("entries-")).unwrap();
    for at in 0..path.1 {
        let bad = disk.copy();
        bad.flip(&path.0, at, 4);
        assert!(matches!(open(&bad, false), Err(StoreError::Refused(_))), "byte {at}");
        let bytes = disk.read(&path.0).unwrap().unwrap();
        let short = disk.copy();
        short.plant(&path.0, &bytes[..at as usize]);
        assert!(matches!(open(&short, false), Err(StoreError::Refused(_))), "cut at {at}");
    }
    let longer = disk.copy();
    let bytes = disk.read(&path.0).unwrap().unwrap();
    longer.plant(&path.0, &[bytes, vec![9; 70]].concat());
    assert_eq!(view(&open(&longer, false).unwrap()), expected, "a torn tail that nobody was told of is cut");
    let other = ConsensusLog::open(Arc::new(disk.clone()), Path::new("/s/raft"), Uuid::from_u128(4), false);
    assert!(matches!(other.map(|_| ()), Err(StoreError::Refused(Refused::OtherLine { .. }))));
    assert!(matches!(
        open(&SimulatedDisk::new(), false).map(|_| ()),
        Err(StoreError::Refused(Refused::Missing { .. }))
    ));
}

#[test]
fn a_failed_sync_closes_the_log_for_good() {
    let disk = SimulatedDisk::new();
    let mut log = open(&disk, true).unwrap();
    step(&mut log, 0).unwrap();
    disk.fault_at(disk.calls() + 2, Fault::FailCall);
    assert!(step(&mut log, 1).is_err());
    let calls = disk.calls();
    assert!(matches!(step(&mut log, 2), Err(StoreError::Failed { .. })) && log.failure().is_some());
    assert_eq!(disk.calls(), calls, "nothing is tried again on that file");
}

#[test]
fn crash_a_log_that_failed_is_opened_anew_with_all_that_was_acknowledged() {
    let (whole, views) = whole();
    let begun = SimulatedDisk::new();
    open(&begun, true).unwrap();
    for (fault, at) in Fault::TOLD.iter().flat_map(|fault| (begun.calls() + 1..=whole.calls()).map(|at| (*fault, at))) {
        let disk = SimulatedDisk::new();
        let mut log = open(&disk, true).unwrap();
        disk.fault_at(at, fault);
        let acked = (0..STEPS).find(|n| step(&mut log, *n).is_err()).unwrap_or(STEPS);
        drop(log);
        let lasts = fault != Fault::FailCall && disk.was_struck();
        assert!(!lasts || open(&disk, false).is_err(), "{fault:?} at {at}: it is opened on a disk that takes nothing");
        disk.mend();
        let mut log = open(&disk, false).unwrap_or_else(|error| panic!("{fault:?} at {at}: {error}"));
        let found = view(&log);
        assert!(is_allowed(&found, &views, acked), "{fault:?} at {at}: {found:?} behind step {acked}");
        let next = log.last().map_or(1, |(index, _)| index + 1);
        log.append(&[entry(next, 3)]).unwrap();
        let expected = view(&log);
        for aftermath in Aftermath::ALL {
            let found = view(&open(&disk.reboot(aftermath), false).unwrap());
            assert_eq!(found, expected, "{fault:?} at {at}, then {aftermath:?}");
        }
    }
}

#[test]
fn openings_that_find_no_room_leave_a_full_disk_no_fuller() {
    let (whole, views) = whole();
    let used = |disk: &SimulatedDisk| disk.files().iter().map(|(_, length)| length).sum::<u64>();
    let (mut refused, mut opened) = (0, 0);
    for room in (0..20_000).step_by(100) {
        let disk = whole.copy();
        disk.set_capacity(Some(used(&disk) + room));
        if open(&disk, false).is_ok() {
            opened += 1;
            continue;
        }
        refused += 1;
        let after_one = disk.files().len();
        for _ in 0..4 {
            let _ = open(&disk, false);
            assert!(disk.files().len() <= after_one, "{room} bytes of room: {:?}", disk.files());
        }
        disk.set_capacity(None);
        assert_eq!(view(&open(&disk, false).unwrap()), views[STEPS], "{room} bytes of room");
    }
    assert!(refused > 0 && opened > 0, "{refused} {opened}");
}

//! Crash tests of the whole store: power cut and failing calls at every changing call of a long script.
//!
//! The law (CRASH): whatever the moment, the store opens again in a state that was once true, not older than what was
//! acknowledged, never with a wrong value; and this harness sees it when the disk breaks its contract.
//! Must not know: how the store does it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "crash/backups.rs"]
mod backups;
#[path = "crash/driver.rs"]
mod driver;
#[path = "crash/model.rs"]
mod model;

use driver::{Driver, Step, WAYS, Way, Wrong, script, scripts, scripts_once};
use jet_hotstore::{Aftermath, Fault, SimulatedDisk, StoreError};
use std::path::PathBuf;

fn calls_of(steps: &[Step]) -> u64 {
    calls_with(steps, WAYS[1])
}

fn calls_with(steps: &[Step], way: Way) -> u64 {
    let mut driver = Driver::on(SimulatedDisk::new(), way);
    driver.run(steps).expect("the script runs on a healthy disk");
    driver.disk.calls()
}

/// Where a script begins to do what no other does: with its first backup, or at once.
fn first_call(steps: &[Step], way: Way) -> u64 {
    let before = steps.iter().position(|step| matches!(step, Step::Backup(_))).unwrap_or(0);
    if before == 0 { 1 } else { calls_with(&steps[..before], way) }
}

/// Runs the script with the power cut at call `at`.
fn cut_at(at: u64, steps: &[Step], lies: bool, way: Way) -> Driver {
    let mut driver = Driver::on(SimulatedDisk::new(), way);
    if lies {
        driver.disk.lie_about_sync();
    }
    driver.disk.fault_at(at, Fault::PowerCut);
    match driver.run(steps) {
        Ok(()) => {}
        Err(Wrong::Store(_)) if driver.disk.is_off() => {}
        Err(wrong) => panic!("before the cut at {at}: {wrong:?}"),
    }
    driver.disk.cut_power();
    driver
}

fn what_happened(driver: &Driver) -> String {
    let trace = driver.disk.trace();
    trace[trace.len().saturating_sub(12)..].join("\n  ")
}

#[test]
fn crash_power_cut_at_every_call() {
    let mut cases = 0;
    for (steps, way) in scripts() {
        let calls = calls_with(&steps, way);
        assert!(calls > 280, "the script is long enough to mean something: {calls} calls");
        for at in first_call(&steps, way)..=calls + 1 {
            let crashed = cut_at(at, &steps, false, way);
            for aftermath in Aftermath::ALL {
                let mut driver = crashed.after_crash(crashed.disk.reboot(aftermath));
                if let Err(wrong) = driver.second_life() {
                    panic!("cut at {at}, {aftermath:?}: {wrong:?}\nlast calls:\n  {}", what_happened(&crashed));
                }
                cases += 1;
            }
        }
    }
    println!("{cases} cases");
}

#[test]
fn crash_power_cut_again_during_recovery() {
    let steps = script();
    let calls = calls_of(&steps);
    let mut cases = 0;
    for at in (1..=calls + 1).step_by(10) {
        let crashed = cut_at(at, &steps, false, WAYS[1]);
        for aftermath in [Aftermath::Torn, Aftermath::Holes, Aftermath::Lost] {
            let found = crashed.disk.reboot(aftermath);
            let mut healthy = crashed.after_crash(found.copy());
            healthy.second_life().expect("proved by the other test");
            for second in 1..=healthy.disk.calls() {
                let mut driver = crashed.after_crash(found.copy());
                driver.disk.fault_at(second, Fault::PowerCut);
                let first = driver.second_life();
                assert!(first.is_err() && driver.disk.is_off(), "cut at {at}, then {second}: {first:?}");
                for again in [Aftermath::Lost, Aftermath::Torn] {
                    let mut last = driver.after_crash(driver.disk.reboot(again));
                    cases += 1;
                    if let Err(wrong) = last.second_life() {
                        panic!(
                            "cut at {at} {aftermath:?}, then {second} {again:?}: {wrong:?}\n  {}",
                            what_happened(&driver)
                        );
                    }
                }
            }
        }
    }
    println!("{cases} cases");
    assert!(cases > 20_000, "{cases} cases");
}

#[test]
fn crash_one_failing_call_then_power_loss() {
    for steps in scripts_once() {
        (first_call(&steps, WAYS[1])..=calls_of(&steps)).for_each(|at| one_call_fails(at, &steps));
    }
}

fn one_call_fails(at: u64, steps: &[Step]) {
    let mut driver = Driver::new(SimulatedDisk::new());
    driver.disk.fault_at(at, Fault::FailCall);
    let mut opened = driver.open();
    if opened.is_err() {
        opened = driver.open();
    }
    opened.unwrap_or_else(|wrong| panic!("call {at} fails while opening: {wrong:?}"));
    for step in steps {
        let mut result = driver.step_with_retries(*step);
        if matches!((&result, step), (Err(Wrong::Store(_)), Step::Reopen)) {
            result = driver.step(*step);
        }
        result.unwrap_or_else(|wrong| panic!("call {at} fails, at {step:?}: {wrong:?}\n  {}", what_happened(&driver)));
    }
    driver.disk.cut_power();
    for aftermath in [Aftermath::Lost, Aftermath::Kept, Aftermath::Torn] {
        let mut last = driver.after_crash(driver.disk.reboot(aftermath));
        if let Err(wrong) = last.second_life() {
            panic!("call {at} failed, then power loss {aftermath:?}: {wrong:?}");
        }
    }
}

#[test]
fn crash_a_half_made_seal_is_void_once_writing_went_on() {
    let steps = script();
    let calls = calls_of(&steps);
    let mut half_made = 0;
    for at in 1..=calls {
        let mut driver = Driver::new(SimulatedDisk::new());
        if driver.open().is_err() {
            continue;
        }
        driver.disk.fault_at(at, Fault::FailCall);
        for step in &steps {
            let result =
                if matches!(step, Step::Seal(_)) { driver.step(*step) } else { driver.step_with_retries(*step) };
            match (result, step) {
                (Ok(()), _) => continue,
                (Err(Wrong::Store(_)), Step::Seal(_)) if !driver.is_sealed() => {
                    driver.step(Step::Put(0, 99, 99, 9)).expect("callers are not held up");
                    driver.step_with_retries(Step::Flush).expect("the log goes on");
                    half_made += 1;
                    driver.disk.cut_power();
                    for aftermath in Aftermath::ALL {
                        let mut last = driver.after_crash(driver.disk.reboot(aftermath));
                        last.second_life()
                            .unwrap_or_else(|wrong| panic!("seal failed at call {at}, then {aftermath:?}: {wrong:?}"));
                    }
                }
                _ => {}
            }
            break;
        }
    }
    assert!(half_made > 20, "only {half_made} seals failed");
}

/// Files whose loss is a loss.
fn data_files(files: Vec<(PathBuf, u64)>) -> Vec<PathBuf> {
    let names = files.into_iter().map(|(path, _)| path);
    let is_unfinished =
        |path: &PathBuf| path.ancestors().any(|path| path.extension().is_some_and(|kind| kind == "tmp"));
    names.filter(|path| !is_unfinished(path) && !path.ends_with("owner") && !path.ends_with("lock")).collect()
}

/// A second life, or a refusal by name that leaves every file; gives whether it was refused.
fn lives_or_is_refused(driver: &mut Driver, what: &str) -> bool {
    match driver.second_life() {
        Ok(()) => false,
        Err(Wrong::Store(StoreError::Refused(refused))) => {
            let (before, after) = (data_files(driver.found.clone()), data_files(driver.disk.files()));
            let gone: Vec<_> = before.iter().filter(|path| !after.contains(path) && driver.is_closed()).collect();
            assert!(gone.is_empty(), "{what}: refused ({refused}), and {gone:?} are gone");
            true
        }
        Err(wrong) => panic!("{what}: {wrong:?}"),
    }
}

fn with_each(faults: &[Fault]) -> Vec<(Fault, Vec<Step>, Way)> {
    faults.iter().flat_map(|fault| scripts().into_iter().map(|(steps, way)| (*fault, steps, way))).collect()
}

/// The disk says that it failed, once, for ever or for want of room: mended, everything goes on, and nothing is lost.
#[test]
fn crash_every_call_with_every_fault_that_is_told() {
    let mut cases = 0;
    for (fault, steps, way) in with_each(&[Fault::FailForEver, Fault::RunsFull]) {
        for at in first_call(&steps, way)..=calls_with(&steps, way) {
            let mut driver = Driver::on(SimulatedDisk::new(), way);
            driver.disk.fault_at(at, fault);
            let mut opened = driver.open();
            if opened.is_err() {
                driver.disk.mend();
                opened = driver.open();
            }
            opened.unwrap_or_else(|wrong| panic!("{fault:?} at {at}, while opening: {wrong:?}"));
            for step in &steps {
                if driver.step_with_retries(*step).is_ok() {
                    continue;
                }
                // As it is found if the power goes before anybody mends it.
                for aftermath in [Aftermath::Lost, Aftermath::Torn] {
                    let mut last = driver.after_crash(driver.disk.reboot(aftermath));
                    last.second_life()
                        .unwrap_or_else(|wrong| panic!("{fault:?} at {at}, then {aftermath:?}: {wrong:?}"));
                    cases += 1;
                }
                driver.disk.mend();
                driver.step_with_retries(*step).unwrap_or_else(|wrong| {
                    panic!("{fault:?} at {at}, mended, at {step:?}: {wrong:?}\n  {}", what_happened(&driver))
                });
            }
            driver.disk.cut_power();
            for aftermath in Aftermath::ALL {
                let mut last = driver.after_crash(driver.disk.reboot(aftermath));
                last.second_life()
                    .unwrap_or_else(|wrong| panic!("{fault:?} at {at}, mended, then {aftermath:?}: {wrong:?}"));
                cases += 1;
            }
        }
    }
    println!("{cases} cases");
    assert!(cases > 15_000, "{cases} cases");
}

/// The disk says Ok and did something else. While no power is lost: the exact state, or a refusal, or a tail that is told as
/// cut. With a power loss on top: a state that was once true, or a refusal. Never a wrong value.
#[test]
fn crash_every_call_with_every_silent_fault() {
    let (mut cases, mut refused, mut harmless) = (0, 0, 0);
    for (fault, steps, way) in with_each(&Fault::SILENT) {
        for at in first_call(&steps, way)..=calls_with(&steps, way) {
            let mut driver = Driver::on(SimulatedDisk::new(), way);
            driver.disk.fault_at(at, fault);
            driver.model.tail_may_go = true;
            let ended = driver.run(&steps);
            if !driver.disk.was_struck() {
                continue;
            }
            let what = format!("{fault:?} at {at}");
            match ended {
                Ok(()) => {}
                Err(Wrong::Store(StoreError::Refused(_))) => refused += 1,
                Err(wrong) => panic!("{what}: {wrong:?}\n  {}", what_happened(&driver)),
            }
            driver.disk.cut_power();
            for aftermath in Aftermath::ALL {
                let mut last = driver.after_crash(driver.disk.reboot(aftermath));
                last.model.betrayed = aftermath != Aftermath::Kept;
                let is_refused = lives_or_is_refused(&mut last, &format!("{what}, then {aftermath:?}"));
                refused += u64::from(is_refused);
                harmless += u64::from(!is_refused);
                cases += 1;
            }
        }
    }
    println!("{cases} cases: {refused} refused by name, {harmless} went on from what was once true");
    assert!(
        cases > 7_000 && refused > 2_000 && harmless > 2_000,
        "{cases} cases, {refused} refused, {harmless} harmless"
    );
}

/// A read fails once: nothing is concluded from it, and the next try finds everything.
#[test]
fn crash_every_read_fails_once() {
    let steps = script();
    let mut driver = Driver::new(SimulatedDisk::new());
    driver.run(&steps).expect("a healthy disk");
    let found = driver.disk.reboot(Aftermath::Kept);
    let mut healthy = driver.after_crash(found.copy());
    healthy.second_life().expect("a healthy disk");
    let reads = healthy.disk.reads();
    for at in 1..=reads {
        let mut driver = driver.after_crash(found.copy());
        driver.disk.fail_read_at(at);
        match driver.second_life() {
            Ok(()) | Err(Wrong::Store(StoreError::Io { .. })) => {}
            other => panic!("read {at} of {reads} fails: {other:?}"),
        }
        let mut again = driver.after_crash(driver.disk.reboot(Aftermath::Kept));
        again.second_life().unwrap_or_else(|wrong| panic!("after read {at} of {reads} had failed: {wrong:?}"));
    }
    assert!(reads > 40, "{reads} reads");
}

/// The harness proves itself: on a disk that ignores every sync, acknowledged states are lost and it must say so.
#[test]
fn crash_harness_sees_a_disk_that_lies_about_sync() {
    let steps = script();
    let calls = calls_of(&steps);
    let seen = (1..=calls + 1).filter(|at| {
        let crashed = cut_at(*at, &steps, true, WAYS[1]);
        crashed.after_crash(crashed.disk.reboot(Aftermath::Lost)).second_life().is_err()
            || crashed.after_crash(crashed.disk.reboot(Aftermath::NamesOnly)).second_life().is_err()
    });
    let seen = seen.count() as u64;
    assert!(seen > calls / 2, "only {seen} of {calls} cuts on a lying disk were noticed");
}

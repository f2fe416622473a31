//! Crash tests of the whole store: power cut and failing calls at every changing call of a long script.
//!
//! The law (CRASH): whatever the moment, the store opens again in a state that was once true, not older than what was
//! acknowledged, never with a wrong value; and this harness sees it when the disk breaks its contract.
//! Must not know: how the store does it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "crash/driver.rs"]
mod driver;
#[path = "crash/model.rs"]
mod model;

use driver::{Driver, Step, Wrong, script};
use jet_hotstore::{Aftermath, Fault, SimulatedDisk};

fn calls_of(steps: &[Step]) -> u64 {
    let mut driver = Driver::new(SimulatedDisk::new());
    driver.run(steps).expect("the script runs on a healthy disk");
    driver.disk.calls()
}

/// Runs the script with the power cut at call `at`.
fn cut_at(at: u64, steps: &[Step], lies: bool) -> Driver {
    let mut driver = Driver::new(SimulatedDisk::new());
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
    let steps = script();
    let calls = calls_of(&steps);
    assert!(calls > 300, "the script is long enough to mean something: {calls} calls");
    for at in 1..=calls + 1 {
        let crashed = cut_at(at, &steps, false);
        for aftermath in Aftermath::ALL {
            let mut driver = crashed.after_crash(crashed.disk.reboot(aftermath));
            if let Err(wrong) = driver.second_life() {
                panic!("cut at {at}, {aftermath:?}: {wrong:?}\nlast calls:\n  {}", what_happened(&crashed));
            }
        }
    }
}

#[test]
fn crash_power_cut_again_during_recovery() {
    let steps = script();
    let calls = calls_of(&steps);
    for at in (1..=calls + 1).step_by(11) {
        let crashed = cut_at(at, &steps, false);
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
}

#[test]
fn crash_one_failing_call_then_power_loss() {
    let steps = script();
    let calls = calls_of(&steps);
    for at in 1..=calls {
        let mut driver = Driver::new(SimulatedDisk::new());
        driver.disk.fault_at(at, Fault::FailCall);
        let mut opened = driver.open();
        if opened.is_err() {
            opened = driver.open();
        }
        opened.unwrap_or_else(|wrong| panic!("call {at} fails while opening: {wrong:?}"));
        for step in &steps {
            let mut result = driver.step_with_retries(*step);
            if matches!((&result, step), (Err(Wrong::Store(_)), Step::Reopen)) {
                result = driver.step(*step);
            }
            result.unwrap_or_else(|wrong| {
                panic!("call {at} fails, at {step:?}: {wrong:?}\n  {}", what_happened(&driver))
            });
        }
        driver.disk.cut_power();
        for aftermath in [Aftermath::Lost, Aftermath::Kept, Aftermath::Torn] {
            let mut last = driver.after_crash(driver.disk.reboot(aftermath));
            if let Err(wrong) = last.second_life() {
                panic!("call {at} failed, then power loss {aftermath:?}: {wrong:?}");
            }
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

/// The harness proves itself: on a disk that ignores every sync, acknowledged states are lost and it must say so.
#[test]
fn crash_harness_sees_a_disk_that_lies_about_sync() {
    let steps = script();
    let calls = calls_of(&steps);
    let seen = (1..=calls + 1).filter(|at| {
        let crashed = cut_at(*at, &steps, true);
        crashed.after_crash(crashed.disk.reboot(Aftermath::Lost)).second_life().is_err()
            || crashed.after_crash(crashed.disk.reboot(Aftermath::NamesOnly)).second_life().is_err()
    });
    let seen = seen.count() as u64;
    assert!(seen > calls / 2, "only {seen} of {calls} cuts on a lying disk were noticed");
}

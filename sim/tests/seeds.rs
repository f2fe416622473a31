//! Histories by seed: `JET_SEED` is the first, `JET_SEEDS` how many, on as many threads as there are cores.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use jet_sim::trace::Trace;
use jet_sim::world::{Broken, Script, Told, run};

/// Histories of a run that nobody asked for more.
const HISTORIES: u64 = 2_000;
/// Of these a few run twice.
const TWICE: u64 = 20;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Runs these seeds; of the broken ones the first that was found.
fn histories(from: u64, count: u64) -> (Vec<Told>, Option<(u64, Broken)>) {
    let (next, stop) = (AtomicU64::new(from), AtomicBool::new(false));
    let (told, broken) = (Mutex::new(Vec::new()), Mutex::new(BTreeMap::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + count {
                        return;
                    }
                    match run(seed, &Script::of(seed), Trace::default()) {
                        Ok(one) => told.lock().unwrap_or_else(PoisonError::into_inner).push(one),
                        Err(why) => {
                            stop.store(true, Ordering::Relaxed);
                            broken.lock().unwrap_or_else(PoisonError::into_inner).insert(seed, why);
                        }
                    }
                }
            });
        }
    });
    let broken = broken.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().next();
    (told.into_inner().unwrap_or_else(PoisonError::into_inner), broken)
}

#[test]
fn every_history_can_be_explained_and_ends_whole() {
    let (from, count) = (number("JET_SEED", 1), number("JET_SEEDS", HISTORIES));
    let begun = Instant::now();
    let (told, broken) = histories(from, count);
    if let Some((seed, why)) = broken {
        println!("seed {seed}: {why}");
        panic!("seed {seed}: {why}\nagain: JET_SEED={seed} JET_SEEDS=1");
    }
    let took = begun.elapsed().as_secs_f64();
    let sum = |figure: fn(&Told) -> u64| told.iter().map(figure).sum::<u64>();
    println!(
        "{count} histories in {took:.1} s, {:.0} s of them simulated: {} faults, {} stops and returns, {} losses of all RAM, {} calls of which {} were told a value",
        sum(|one| one.lasted) as f64 / 1000.0,
        sum(|one| one.faults as u64),
        sum(|one| one.stops),
        sum(|one| one.losses as u64),
        sum(|one| one.calls as u64),
        sum(|one| one.answered as u64),
    );
    // Histories in which nothing happens show nothing.
    assert!(sum(|one| one.stops) >= count, "every history ends with a stop and a return");
    assert!(sum(|one| one.answered as u64) > 50 * count, "clients are served");
}

/// With the whole trace of each kept: the first line in which two runs differ is told.
#[test]
fn a_seed_replays_to_the_last_letter() {
    let from = number("JET_SEED", 1);
    for seed in from..from + number("JET_TWICE", TWICE) {
        let traces = [Trace::kept(), Trace::kept()];
        let told = traces.each_ref().map(|trace| run(seed, &Script::of(seed), trace.clone()).map(|told| told.digest));
        let [one, two] = traces.each_ref().map(Trace::lines);
        if let Some(at) = one.iter().zip(&two).position(|(a, b)| a != b) {
            panic!(
                "seed {seed}: after {:#?} it goes on with {} or with {}",
                &one[at.saturating_sub(5)..at],
                one[at],
                two[at]
            );
        }
        assert_eq!(one.len(), two.len(), "seed {seed}");
        assert_eq!(told[0].as_ref().ok(), told[1].as_ref().ok(), "seed {seed}");
    }
}

//! Histories by seed: `JET_SEED` is the first, `JET_SEEDS` how many, on as many threads as there are cores.

use jet_sim::seeds::histories;
use jet_sim::trace::Trace;
use jet_sim::world::{Script, run};

/// Histories of a run that nobody asked for more.
const HISTORIES: u64 = 2_000;
/// Of these a few run twice.
const TWICE: u64 = 20;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn every_history_can_be_explained_and_ends_whole() {
    let (from, count) = (number("JET_SEED", 1), number("JET_SEEDS", HISTORIES));
    let ran = histories(from, |seed| seed < from + count);
    if let Some((seed, why)) = &ran.broken {
        println!("seed {seed}: {why}");
        panic!("seed {seed}: {why}\nagain: JET_SEED={seed} JET_SEEDS=1");
    }
    println!("{ran}");
    // Histories in which nothing happens show nothing.
    assert!(ran.stops >= count, "every history ends with a stop and a return");
    assert!(ran.answered > 50 * count, "clients are served");
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

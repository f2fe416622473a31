//! Whatever goes wrong between the operator and its world, each flow comes to the end that it comes to without, and has
//! every effect as often.
//!
//! Laws: STOP HOLD RESUME CRASH. Some hundred seeds in every run; every fault at every place, and more seeds, when
//! `JET_FAULTS` asks for it ([`Asked`]). That run writes `docs/crash-matrix.md`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod world;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use world::faults::{Fault, Schedule};
use world::flows::Flow;
use world::run::{Broken, Held};
use world::spoilt;
use world::trial::{Outcome, Trial};

/// Seeds of every run.
const SEEDS: Range<u64> = 0..500;
/// What a longer run is asked for with.
const VARIABLE: &str = "JET_FAULTS";
/// A longer run says how far it is after so many.
const SAID_AFTER: u64 = 1000;

/// What [`VARIABLE`] asks for.
enum Asked {
    /// `seeds:<from>..<to>`, or nothing.
    Seeds(Range<u64>),
    /// `places`, or `places:<from>` to go on where a run was ended.
    Places { from: u64 },
    /// `place:<number>`: one again.
    Place(u64),
}

fn asked() -> Asked {
    let Ok(text) = std::env::var(VARIABLE) else { return Asked::Seeds(SEEDS) };
    let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| wrong(text));
    match text.split_once(':') {
        None if text == "places" => Asked::Places { from: 0 },
        Some(("places", from)) => Asked::Places { from: number(from) },
        Some(("place", at)) => Asked::Place(number(at)),
        Some(("seeds", range)) => {
            let (from, to) = range.split_once("..").unwrap_or_else(|| wrong(range));
            Asked::Seeds(number(from)..number(to))
        }
        _ => wrong(&text),
    }
}

fn wrong(text: &str) -> ! {
    panic!("{VARIABLE}: not '{text}' but seeds:<from>..<to>, places, places:<from>, or place:<number>")
}

/// The operator's client needs a runtime; time is the world's.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Each flow without faults.
fn quiet() -> BTreeMap<Flow, Outcome> {
    Flow::all().into_iter().map(|flow| (flow, block_on(Trial::quiet(flow)).unwrap())).collect()
}

/// Each fault at each place, in one fixed order.
fn places(quiet: &BTreeMap<Flow, Outcome>) -> Vec<Trial> {
    let of_flow = |(flow, outcome): (&Flow, &Outcome)| {
        let flow = *flow;
        let at = |(fault, count): (&Fault, &u64)| {
            let fault = *fault;
            (0..*count).map(move |n| Trial::of(flow, Schedule::At(fault, n))).collect::<Vec<_>>()
        };
        outcome.places.iter().flat_map(at).collect::<Vec<_>>()
    };
    quiet.iter().flat_map(of_flow).collect()
}

fn by_seed(seed: u64) -> Trial {
    let flows = Flow::all();
    let flow = flows[usize::try_from(seed).unwrap() % flows.len()];
    Trial::of(flow, Schedule::Seed(seed))
}

/// Runs trials by number on every core; `Err` has the number of the first that failed.
fn on_every_core(numbers: Range<u64>, trial: impl Fn(u64) -> Held + Sync) -> Result<(), (u64, Broken)> {
    let next = AtomicU64::new(numbers.start);
    let failed: Mutex<Option<(u64, Broken)>> = Mutex::default();
    let begun = Instant::now();
    let work = || {
        while failed.lock().unwrap().is_none() {
            let number = next.fetch_add(1, Ordering::SeqCst);
            if number >= numbers.end {
                return;
            }
            if number.is_multiple_of(SAID_AFTER) && number > numbers.start {
                println!("{number} of {} after {:?}", numbers.end, begun.elapsed());
            }
            if let Err(broken) = trial(number) {
                let mut first = failed.lock().unwrap();
                if first.as_ref().is_none_or(|(known, _)| number < *known) {
                    *first = Some((number, broken));
                }
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
    println!("{} runs in {:?}", numbers.end - numbers.start, begun.elapsed());
    failed.into_inner().unwrap().map_or(Ok(()), Err)
}

#[test]
fn every_seed_ends_as_without_faults() {
    let Asked::Seeds(seeds) = asked() else { return };
    let quiet = quiet();
    let ran = on_every_core(seeds, |seed| {
        let trial = by_seed(seed);
        block_on(trial.against(&quiet[&trial.flow]))
    });
    if let Err((seed, broken)) = ran {
        panic!("seed {seed}; again with {VARIABLE}=seeds:{seed}..{}: {broken:?}", seed + 1);
    }
}

#[test]
fn every_fault_at_every_place_ends_as_without() {
    let (from, to) = match asked() {
        Asked::Seeds(_) => {
            println!("left out: {VARIABLE}=places runs it");
            return;
        }
        Asked::Places { from } => (from, None),
        Asked::Place(at) => (at, Some(at + 1)),
    };
    let quiet = quiet();
    let places = places(&quiet);
    let all = places.len() as u64;
    let ran = on_every_core(from..to.unwrap_or(all), |at| {
        let trial = places[usize::try_from(at).unwrap()];
        block_on(trial.against(&quiet[&trial.flow]))
    });
    if let Err((at, broken)) = ran {
        panic!("{at} of {all}; again with {VARIABLE}=place:{at}, on from there with places:{at}: {broken:?}");
    }
    if from == 0 && to.is_none() {
        std::fs::write(document(), matrix(&quiet)).unwrap();
        println!("written: {}", document().display());
    }
}

fn document() -> PathBuf {
    // Asked when the test runs: checkouts may share what was built.
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("run by cargo")).join("../docs/crash-matrix.md")
}

const HEAD: &str = "<!-- DO NOT EDIT: written by the run that it tells of: \
JET_FAULTS=places cargo test -p jet-operator --test faults -->

# Crash matrix

What was done to the operator, and in which flow. Each number is so many runs of that flow: in each the fault met another
call, and each came to the same end as the flow without faults, with every effect as often. In the flows of JetJobs the calls
are those of their own passes, and the status that is erased is theirs. The same faults by seed, many in one run and at the
calls of all passes, are in every run of the tests.
";

/// The document, as a run of all places writes it.
fn matrix(quiet: &BTreeMap<Flow, Outcome>) -> String {
    let mut text = HEAD.to_owned();
    let all: u64 = quiet.values().flat_map(|outcome| outcome.places.values()).sum();
    let _ = write!(text, "\n{all} runs.\n\n| flow |");
    for fault in Fault::ALL {
        let _ = write!(text, " {} |", fault.name());
    }
    let _ = write!(text, "\n|---|{}\n", "---:|".repeat(Fault::ALL.len()));
    for (flow, outcome) in quiet {
        let _ = write!(text, "| {} |", flow.name());
        for fault in Fault::ALL {
            let _ = write!(text, " {} |", outcome.places.get(&fault).unwrap_or(&0));
        }
        text.push('\n');
    }
    text.push_str("\nWhat is done in each flow, in order, writes of the status apart:\n\n");
    for (flow, outcome) in quiet {
        let _ = writeln!(text, "- **{}**: {}", flow.name(), counted(&outcome.deeds).join(" · "));
    }
    text
}

/// Equal ones in a row are one, with their number.
fn counted(deeds: &[String]) -> Vec<String> {
    let rows = deeds.chunk_by(|one, next| one == next);
    rows.map(|row| if row.len() == 1 { row[0].clone() } else { format!("{} ×{}", row[0], row.len()) }).collect()
}

#[test]
fn the_crash_matrix_is_of_these_flows() {
    if matches!(asked(), Asked::Places { .. }) {
        return;
    }
    let found = std::fs::read_to_string(document()).unwrap_or_default();
    assert!(
        found == matrix(&quiet()),
        "docs/crash-matrix.md is not of these flows and faults: run {VARIABLE}=places cargo test -p jet-operator --test faults"
    );
}

/// How a spoilt operator is caught by one fault, having done all that it must without.
fn is_caught(spoil: fn(&mut world::run::Run), flows: &[Flow], fault: Fault) -> Option<String> {
    flows.iter().find_map(|flow| {
        let quiet = block_on(Trial::quiet(*flow)).unwrap();
        let spoilt = Trial { spoil: Some(spoil), ..Trial::of(*flow, Schedule::Never) };
        block_on(spoilt.against(&quiet)).unwrap();
        let places = quiet.places.get(&fault).copied().unwrap_or(0);
        let trials = (0..places).map(|n| Trial { spoil: Some(spoil), ..Trial::of(*flow, Schedule::At(fault, n)) });
        let mut broken = trials.filter_map(|trial| block_on(trial.against(&quiet)).err());
        broken.next().map(|broken| broken.0)
    })
}

#[test]
fn an_operator_that_repeats_what_got_no_answer_is_caught() {
    let caught = is_caught(spoilt::repeats, &[Flow::Stop], Fault::LostReply).expect("not caught");
    assert!(caught.contains("side effects in one pass") && caught.contains("twice: Some"), "{caught}");
}

#[test]
fn an_operator_that_writes_without_precondition_is_caught() {
    let caught = is_caught(spoilt::overwrites, &Flow::ALL, Fault::StaleRead);
    println!("{}", caught.expect("not caught").lines().next().unwrap_or_default());
}

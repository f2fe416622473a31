//! Every state of the cluster, and what becomes of every command in it: the page `docs/states.md`.
//!
//! Law: the scenes are reached by commands alone; what the page says is what `apply` and the agents did here. A change of
//! state that is not in the diagram cannot be brought about by any command of any scene. Must not know: planners.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod states;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jet_core::{ClusterState, Outcome, Settled, apply, outcome};
use states::commands::{self, Row};
use states::scenes::{self, Scene};

const FORMER: [Settled; 4] = [Settled::Active, Settled::NoMigration, Settled::Frozen, Settled::Passive];

fn page() -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("run by cargo")).join("../../docs/states.md")
}

fn keep(section: &str, seen: &str) {
    jet_pages::section::keep(&page(), section, seen);
}

fn try_out(scene: &Scene, row: &Row) -> (Outcome, jet_core::Machine) {
    let mut machine = scene.machine.clone();
    let index = machine.applied + 1;
    let outcome = apply(&mut machine, index, (row.command)(&scene.machine));
    (outcome, machine)
}

#[test]
fn every_state_is_on_the_page_with_its_doors() {
    let mut text = String::from("| no | state | more | doors | jobs run |\n|---|---|---|---|---|\n");
    let mut met = BTreeSet::new();
    for (no, scene) in (1..).zip(scenes::of(Settled::Active)) {
        met.insert(scenes::number(&scene.machine.state));
        let state = scene.machine.state.name();
        text += &format!("| {no} | {state} | {} | {} | {} |\n", scene.more, scene.doors(), scene.runs_jobs());
    }
    assert_eq!(met, (0..scenes::STATES).collect(), "a state of the cluster has no scene");
    keep("states", &text);
}

#[test]
fn every_command_in_every_state_is_on_the_page() {
    let scenes = scenes::of(Settled::Active);
    let rows = commands::all();
    let tried: BTreeSet<_> = rows.iter().map(|row| commands::number(&(row.command)(&scenes[2].machine))).collect();
    assert_eq!(tried, (0..commands::COMMANDS).collect(), "a command is not tried");
    let mut text = String::from("| command | does it in | is so already in | is refused in |\n|---|---|---|---|\n");
    for row in rows {
        let mut done = BTreeMap::<String, Vec<usize>>::new();
        let (mut already, mut refused) = (Vec::new(), BTreeMap::<String, Vec<usize>>::new());
        for (no, scene) in (1..).zip(&scenes) {
            let (outcome, after) = try_out(scene, &row);
            match outcome {
                Outcome::Done { what, .. } if what == outcome::ALREADY => already.push(no),
                Outcome::Done { .. } if after.state.name() == scene.machine.state.name() => {
                    done.entry(String::new()).or_default().push(no)
                }
                Outcome::Done { .. } => done.entry(format!(" → {}", after.state.name())).or_default().push(no),
                Outcome::Refused(why) => refused.entry(format!("{:?}", why.kind())).or_default().push(no),
            }
        }
        let to = done.iter().map(|(to, nos)| format!("{}{to}", numbers(nos))).collect::<Vec<_>>().join("; ");
        let why = refused.iter().map(|(why, nos)| format!("{why}: {}", numbers(nos))).collect::<Vec<_>>().join("; ");
        text += &format!("| {} | {to} | {} | {why} |\n", row.name, numbers(&already));
    }
    keep("commands", &text);
}

/// `1–3, 5`.
fn numbers(nos: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for no in nos {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *no => *last = *no,
            _ => runs.push((*no, *no)),
        }
    }
    let run = |(first, last): &(usize, usize)| match last - first {
        0 => format!("{first}"),
        1 => format!("{first}, {last}"),
        _ => format!("{first}–{last}"),
    };
    runs.iter().map(run).collect::<Vec<_>>().join(", ")
}

/// From, to, by which commands.
type Moves = BTreeMap<(String, String), BTreeSet<&'static str>>;

fn moves() -> Moves {
    let mut moves = Moves::new();
    for scene in FORMER.into_iter().flat_map(scenes::of) {
        for row in commands::all() {
            let (_, after) = try_out(&scene, &row);
            let (from, to) = (node(&scene.machine), node(&after));
            if from != to {
                moves.entry((from, to)).or_default().insert(row.of);
            }
        }
    }
    moves
}

/// PASSIVE by hand lasts, PASSIVE of an operation passes: two nodes.
fn node(machine: &jet_core::Machine) -> String {
    let name = machine.state.name();
    match &machine.state {
        ClusterState::Passive { held_by: Some(_) } => format!("{name}_HELD"),
        _ => name.into(),
    }
}

#[test]
fn the_allowed_changes_of_state_are_those_of_the_diagram() {
    let moves = moves();
    let mut text = String::from("```mermaid\nstateDiagram-v2\n    [*] --> UNFOUNDED\n");
    for ((from, to), by) in &moves {
        let by: Vec<_> = by.iter().copied().collect();
        text += &format!("    {from} --> {to}: {}\n", by.join(", "));
    }
    text += "```\n";
    let targets =
        |of: &str| -> Vec<&str> { moves.keys().filter(|(from, _)| from == of).map(|(_, to)| to.as_str()).collect() };
    // What must be true of any diagram.
    let settled = ["ACTIVE", "FROZEN", "NO_MIGRATION", "PASSIVE"];
    assert_eq!(targets("UNFOUNDED"), ["ACTIVATING"]);
    assert_eq!(targets("RECOVERING"), ["ACTIVATING"], "only the whole roster leaves a recovery");
    assert_eq!(targets("ACTIVATING"), [&settled[..], &["RECOVERING"]].concat());
    for from in settled {
        let others = settled.into_iter().filter(|to| *to != from);
        let mut expected: Vec<_> = others.chain(["IN_TRANSITION", "RECOVERING"]).collect();
        expected.sort_unstable();
        assert_eq!(targets(from), expected, "{from}");
    }
    keep("moves", &text);
}

/// The commands of all scenes, thrown at each: nothing that fits elsewhere leads where the diagram does not.
#[test]
fn no_command_of_any_other_state_leads_off_the_diagram() {
    let known = moves();
    let scenes: Vec<_> = FORMER.into_iter().flat_map(scenes::of).collect();
    let rows = commands::all();
    let all: Vec<_> = scenes.iter().flat_map(|scene| rows.iter().map(|row| (row.command)(&scene.machine))).collect();
    let mut tried = 0;
    for scene in &scenes {
        for command in &all {
            let mut machine = scene.machine.clone();
            apply(&mut machine, scene.machine.applied + 1, command.clone());
            tried += 1;
            let pair = (node(&scene.machine), node(&machine));
            let allowed = pair.0 == pair.1 || known.contains_key(&pair);
            assert!(allowed, "{command:?} leads from {} to {} in: {}", pair.0, pair.1, scene.more);
        }
    }
    assert!(tried > 100_000, "{tried}");
}

/// After Commit no door leads back; what is decided is decided.
#[test]
fn a_committed_stop_is_left_by_a_return_alone() {
    for scene in FORMER.into_iter().flat_map(scenes::of).filter(|scene| scene.more == scenes::COMMITTED) {
        let left: BTreeSet<_> = commands::all()
            .iter()
            .map(|row| (row.of, node(&try_out(&scene, row).1)))
            .filter(|(_, to)| to != "PASSIVE_HELD")
            .collect();
        assert_eq!(left, BTreeSet::from([("Recover", "RECOVERING".to_owned())]));
    }
}

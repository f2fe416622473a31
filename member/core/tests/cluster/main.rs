//! A whole cluster in one thread, by seed: machine, supervisor and agents over a log that is ordered but reached by
//! lossy, slow, repeating messages; members crash, all crash, are cut off; an operator stops and returns them.
//!
//! Law: the world knows the truth (disks, RAM, what clients were told, what sinks published) and holds the machine
//! against it after every entry; a world with one rule taken out must be caught. Must not know: how rules are coded.
//!
//! | room | what is in it |
//! |---|---|
//! | `comings` | members that come and go |
//! | `dice` | the only chance |
//! | `node` | one member: disk, RAM, agent |
//! | `data` | writes, reads, copies, the engine |
//! | `operator` | stops and returns |
//! | `truth` | invariants |
//! | `world` | time, messages, faults |

mod comings;
mod data;
mod dice;
mod node;
mod operator;
mod truth;
mod world;

use world::{ASKING, LATE, MOVING, Rule, Settings, World};

/// Runs one seed; the first broken invariant, if any.
fn run(seed: u64, without: Option<Rule>) -> Result<World, String> {
    let mut world = World::new(seed, Settings::of(seed), without);
    world.run().map(|()| world)
}

/// `JET_SEEDS=FROM..TO`: others than those of each run.
fn seeds() -> Option<Vec<u64>> {
    let asked = std::env::var("JET_SEEDS").ok()?;
    let range = asked.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    Some(range.unwrap_or_else(|| panic!("JET_SEEDS={asked}: FROM..TO is expected")).collect())
}

#[test]
fn every_law_holds_by_any_seed() {
    let (mut stops, mut crashes, mut again, mut acked) = (0, 0, 0, 0);
    // 3600 loses who led in the middle of a recovery, with a disk that is behind its RAM; in 4679 a member that reads its
    // log again comes by an older stop than the one that it is sealed for.
    for seed in seeds().unwrap_or_else(|| (0..400).chain([3600, 4679]).collect()) {
        match run(seed, None) {
            Ok(world) => {
                stops += world.truth_of_run.returns;
                crashes += world.truth_of_run.crash_recoveries;
                again += world.truth_of_run.chosen_again;
                acked += world.truth_of_run.acknowledged;
            }
            Err(broken) => panic!("seed {seed}: {broken}"),
        }
    }
    if seeds().is_some() {
        return;
    }
    // The worlds must have met what they are there to prove.
    assert!(
        stops > 100 && crashes > 100 && again > 100 && acked > 10_000,
        "{stops} returns, {crashes} crash recoveries, {again} copies at a second choice, {acked} writes"
    );
}

#[test]
fn a_stop_that_is_asked_of_the_members_fires_once_and_never_after_its_answer() {
    let (mut wished, mut returns) = (0, 0);
    for seed in ASKING..ASKING + 40 {
        let world = run(seed, None).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
        wished += world.truth_of_run.wished.len();
        returns += world.truth_of_run.returns;
    }
    assert!(wished > 40 && returns > 40, "{wished} wishes, {returns} returns");
}

#[test]
fn a_leader_that_is_late_lets_nobody_read_what_is_over() {
    let (mut granted_nothing, mut acked) = (0, 0);
    for seed in LATE..LATE + 100 {
        let world = run(seed, None).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
        granted_nothing += world.truth_of_run.granted_nothing;
        acked += world.truth_of_run.acknowledged;
    }
    assert!(granted_nothing > 1_000 && acked > 2_000, "{granted_nothing} grants withheld, {acked} writes");
}

#[test]
fn members_come_and_go_and_copies_move() {
    let (mut came, mut went, mut moved, mut handed, mut halted, mut acked) = (0, 0, 0, 0, 0, 0);
    for seed in MOVING..MOVING + 200 {
        let world = run(seed, None).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
        let seen = &world.truth_of_run.moves;
        (came, went, moved) = (came + seen.came, went + seen.went, moved + seen.moved);
        (handed, halted) = (handed + seen.handed_over, halted + seen.halted);
        acked += world.truth_of_run.acknowledged;
    }
    let met = format!("{came} came, {went} went, {moved} moved, {handed} handed over, {halted} halted, {acked} writes");
    println!("{met}");
    assert!(came > 100 && went > 50 && moved > 500 && handed > 200 && halted > 20 && acked > 10_000, "{met}");
}

#[test]
fn a_seed_repeats_to_the_bit() {
    for seed in [3, 17, LATE + 1, MOVING + 2] {
        let digest = |()| run(seed, None).map(|world| jet_core::view::machine_digest(&world.machine)).ok();
        assert_eq!(digest(()), digest(()));
    }
}

/// Some seed shows the law broken; a hang alone proves nothing.
fn caught(without: Rule) {
    caught_in(without, 0..1500);
}

fn caught_in(without: Rule, mut seeds: std::ops::Range<u64>) {
    let broken = |seed| {
        run(seed, Some(without)).err().filter(|broken| !broken.starts_with("not settled")).map(|broken| (seed, broken))
    };
    let Some((seed, broken)) = seeds.find_map(broken) else { panic!("no seed misses the rule {without:?}") };
    println!("{without:?}: seed {seed}: {broken}");
}

#[test]
fn versions_need_the_installing_table() {
    caught(Rule::VersionNamesItsPrimary);
}

#[test]
fn a_partition_without_copies_waits() {
    caught(Rule::AbsentWaits);
}

#[test]
fn half_a_copy_is_no_copy() {
    caught(Rule::OnlyCompleteCopies);
}

#[test]
fn abort_after_commit_is_refused() {
    caught(Rule::FirstDecisionWins);
}

#[test]
fn the_whole_roster_leaves_recovery() {
    caught(Rule::WholeRoster);
}

#[test]
fn promotion_waits_for_the_lease() {
    caught(Rule::PromotionWaits);
}

#[test]
fn the_lease_is_looked_at() {
    caught(Rule::LeaseIsChecked);
}

#[test]
fn a_lease_names_its_table() {
    caught(Rule::LeaseNamesItsTable);
}

#[test]
fn a_primary_waits_for_the_copy_that_it_proposed() {
    caught(Rule::PrimaryWaitsBeforeSynced);
}

#[test]
fn the_engine_starts_only_when_its_last_life_is_over() {
    caught(Rule::ReportsAreFinal);
}

#[test]
fn a_store_is_read_before_it_is_written_to() {
    caught(Rule::ReadBeforeWritten);
}

#[test]
fn a_seal_has_the_quiesced_content() {
    caught(Rule::SealIsCompared);
}

#[test]
fn a_wish_goes_with_its_number() {
    caught_in(Rule::TakenUpByNumber, ASKING..ASKING + 200);
}

#[test]
fn a_leader_grants_nothing_before_it_serves_by_all_that_it_began_with() {
    caught_in(Rule::LeaderHasPublishedItsLog, LATE..LATE + 1500);
}

#[test]
fn who_is_deposed_is_granted_nothing_until_that_is_published() {
    caught_in(Rule::DeposedUntilPublished, LATE..LATE + 1500);
}

#[test]
fn a_source_stays_until_the_copy_is_on_disk() {
    caught_in(Rule::SourceUntilOnDisk, MOVING..MOVING + 1500);
}

#[test]
fn a_move_never_lowers_the_number_of_copies() {
    caught_in(Rule::MovedLeavesEnough, MOVING..MOVING + 1500);
}

#[test]
fn a_living_primary_is_replaced_by_its_own_word() {
    caught_in(Rule::WordOfThePrimary, MOVING..MOVING + 1500);
}

#[test]
fn nothing_moves_in_a_stop_or_another_state() {
    caught_in(Rule::HaltedByAStop, MOVING..MOVING + 1500);
}

#[test]
fn who_holds_something_has_not_left() {
    caught_in(Rule::LeftHoldsNothing, MOVING..MOVING + 1500);
}

//! Three replicas of one partition over a lossy, late, repeating network, by seed: crashes, isolation, promotion, repair.
//!
//! The law under test: an acknowledged write is in the primary for ever; when the network heals all replicas are equal. What
//! is said to be on disk is on the disk of every replica that counts then, and on the newest disk for ever.
//! Mutants of the rules prove that the harness sees.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod world;

use world::{Mutant, World};

const SEEDS: u64 = 2_000;
const SEEDS_WITH_DISKS: u64 = 600;
const STEPS: usize = 600;

fn run(seed: u64, mutant: Option<Mutant>) -> Result<(), String> {
    let mut world = World::new(seed, mutant);
    for step in 0..STEPS {
        world.step();
        world.check().map_err(|why| format!("seed {seed} step {step}: {why}"))?;
    }
    world.heal().map_err(|why| format!("seed {seed} after healing: {why}"))
}

#[test]
fn acknowledged_writes_stay_and_replicas_become_equal() {
    for seed in 0..SEEDS {
        run(seed, None).unwrap();
    }
}

#[test]
fn the_histories_are_worth_something() {
    let mut totals = world::Counts::default();
    for seed in 0..60 {
        let mut world = World::new(seed, None);
        (0..STEPS).for_each(|_| world.step());
        world.heal().unwrap();
        totals.add(world.counts);
    }
    assert!(totals.acknowledged > 1_000, "{totals:?}");
    assert!(totals.promotions > 30 && totals.copies > 100 && totals.crashes > 50, "{totals:?}");
    assert!(totals.refused_stale > 20 && totals.elsewhere > 20, "{totals:?}");
}

#[test]
fn mutants_are_seen() {
    for mutant in Mutant::ALL {
        let seen = (0..SEEDS).find_map(|seed| run(seed, Some(mutant)).err());
        assert!(seen.is_some(), "{mutant:?} was not seen in {SEEDS} seeds");
    }
}

fn run_with_disks(seed: u64, mutant: Option<Mutant>) -> Result<usize, String> {
    let mut world = World::new(seed, mutant);
    for step in 0..STEPS {
        world.step();
        world.disk_step();
        world.check().and_then(|()| world.check_disks()).map_err(|why| format!("seed {seed} step {step}: {why}"))?;
    }
    Ok(world.counts.on_disk)
}

#[test]
fn what_was_said_to_be_on_disk_is_there_whoever_crashes_or_leads_afterwards() {
    let told: usize = (0..SEEDS_WITH_DISKS).map(|seed| run_with_disks(seed, None).unwrap()).sum();
    assert!(told > 2_000, "{told} changes were told to be on disk");
    for mutant in Mutant::OF_DISKS {
        let seen = (0..SEEDS_WITH_DISKS).find_map(|seed| run_with_disks(seed, Some(mutant)).err());
        assert!(seen.is_some(), "{mutant:?} was not seen in {SEEDS_WITH_DISKS} seeds");
    }
}

#[test]
fn a_deposed_primary_that_learns_of_the_disks_says_nothing() {
    World::new(1, None).deposed_primary_learns_of_the_disks().unwrap();
    assert!(World::new(1, Some(Mutant::DisksWithoutLease)).deposed_primary_learns_of_the_disks().is_err());
}

#[test]
fn a_lease_counts_only_for_who_knows_the_table_of_its_grant() {
    World::new(1, None).deposed_primary_with_a_new_lease_is_asked().unwrap();
    assert!(World::new(1, Some(Mutant::LeaseWithoutTable)).deposed_primary_with_a_new_lease_is_asked().is_err());
}

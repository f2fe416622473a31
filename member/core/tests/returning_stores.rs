//! Whose store comes back, and which of its copies count.
//!
//! Law: a name that somebody gave to a volume is compared, what a file system calls itself is only recorded; a replica
//! that nobody filled is no copy. Must not know: planners.

use std::collections::BTreeMap;

use jet_core::agent::{self, Access, Action, Doors, LocalFacts, OwnSeal};
use jet_core::operation::SealRecord;
use jet_core::roster::{Founder, RosterEntry};
use jet_core::{
    Boot, ClusterState, Command, Digest, FoundingId, Generation, Machine, MemberId, OperationId, PartitionContent,
    PartitionEntry, PartitionId, Refused, Restored, StoreReport, TableVersion, Version, apply, safety,
};

fn member(n: u8) -> MemberId {
    MemberId(uuid::Uuid::from_u128(u128::from(n) + 1))
}

fn act(machine: &mut Machine, command: Command) -> Result<(), Refused> {
    let index = machine.applied + 1;
    match apply(machine, index, command) {
        jet_core::Outcome::Done { .. } => Ok(()),
        jet_core::Outcome::Refused(refused) => Err(refused),
    }
}

/// Two members that run in generation 1, with one partition on both.
fn running(volume_id: &str) -> Result<Machine, Refused> {
    let entry = |n: u8| RosterEntry {
        ordinal: u32::from(n),
        boot: Boot(1),
        volume_id: if n == 0 { volume_id.into() } else { "named:other".into() },
        log_line: 1,
    };
    let mut machine = Machine::default();
    let found = Command::Found {
        id: FoundingId::default(),
        members: (0..2).map(|n| Founder { member: member(n), entry: entry(n) }).collect(),
        partition_count: 1,
        backup_count: 1,
        permit_digest: Digest("p".into()),
    };
    act(&mut machine, found)?;
    for n in 0..2 {
        act(&mut machine, Command::Opened { member: member(n), boot: Boot(1), generation: Generation(1) })?;
    }
    Ok(machine)
}

fn rejoined(n: u8, volume_id: &str, copy: Option<Version>) -> Command {
    rejoined_as(Boot(2), n, volume_id, copy)
}

fn rejoined_as(boot: Boot, n: u8, volume_id: &str, copy: Option<Version>) -> Command {
    let store =
        StoreReport { generation: Generation(1), seal: None, partitions: vec![copy], epochs: vec![], restored: None };
    Command::Rejoined { member: member(n), boot, volume_id: volume_id.into(), store }
}

#[test]
fn a_volume_is_told_by_the_name_that_it_was_given() -> Result<(), Refused> {
    // Recorded, found, recorded afterwards; none: refused.
    let cases = [
        ("fs:1", "fs:1", Some("fs:1")),
        ("fs:1", "fs:2", Some("fs:2")),
        ("fs:1", "named:a", Some("named:a")),
        ("named:a", "fs:2", Some("named:a")),
        ("named:a", "named:a", Some("named:a")),
        ("named:a", "named:b", None),
    ];
    for (recorded, found, expected) in cases {
        let boot = Command::Boot { member: member(0), boot: Boot(2), volume_id: found.into() };
        let all = BTreeMap::from([(member(0), Boot(2)), (member(1), Boot(2))]);
        let returns = [vec![boot], vec![Command::Recover { observed: all }, rejoined(0, found, None)]];
        for commands in returns {
            let mut machine = running(recorded)?;
            let result = commands.into_iter().try_for_each(|command| act(&mut machine, command));
            let known = machine.roster.get(&member(0)).map(|entry| entry.volume_id.as_str());
            match expected {
                Some(_) => assert_eq!((result, known), (Ok(()), expected), "{recorded}, then {found}"),
                None => {
                    assert!(
                        matches!(result, Err(Refused::VolumeDiffers { .. })),
                        "{recorded}, then {found}: {result:?}"
                    );
                    assert_eq!(known, Some(recorded), "a refused volume was recorded");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_replica_that_nobody_filled_is_no_copy() -> Result<(), Refused> {
    let written = Version { installed: TableVersion(1), seq: 7 };
    let cases = [(Some(Version::default()), None, None), (Some(Version::default()), Some(written), Some(member(1)))];
    for (first, second, expected) in cases {
        let mut machine = running("named:a")?;
        act(&mut machine, Command::Recover { observed: BTreeMap::from([(member(0), Boot(2)), (member(1), Boot(2))]) })?;
        act(&mut machine, rejoined(0, "named:a", first))?;
        act(&mut machine, rejoined(1, "named:other", second))?;
        for n in 0..2 {
            let loaded = Command::Loaded { member: member(n), boot: Boot(2), content_digest: Digest::default() };
            act(&mut machine, loaded)?;
        }
        act(&mut machine, Command::RecoverTable {})?;
        let primary = machine.table.entry(PartitionId(0)).and_then(|entry| entry.primary()).map(|p| p.member);
        assert_eq!(primary, expected);
        if expected.is_none() {
            assert!(act(&mut machine, Command::SelfActivate {}).is_err(), "it went on without the partition");
            assert!(matches!(machine.state, ClusterState::Recovering { .. }));
        }
    }
    Ok(())
}

fn loaded(n: u8, boot: u64) -> Command {
    Command::Loaded { member: member(n), boot: Boot(boot), content_digest: Digest::default() }
}

/// The copies of the one partition, and the `changed` of its entry.
fn copies(machine: &Machine) -> (Vec<(MemberId, Boot, bool)>, TableVersion) {
    let entry = machine.table.entry(PartitionId(0)).cloned().unwrap_or_default();
    (entry.replicas.iter().map(|r| (r.member, r.boot, r.synced)).collect(), entry.changed)
}

#[test]
fn what_was_copied_in_a_recovery_counts_when_newest_copies_are_chosen_again() -> Result<(), Refused> {
    let at = |seq| Some(Version { installed: TableVersion(1), seq });
    // In step before the other one fell; who falls, with what on its disk; who leads then, and which copies count.
    let cases = [
        // The survivor had more in RAM than on its disk, and the other one has all of it.
        (true, 0, 450, vec![(member(1), Boot(2), true), (member(0), Boot(3), false)]),
        // Not in step: the disk of the one that fell is the newest that is known.
        (false, 0, 450, vec![(member(0), Boot(3), true), (member(1), Boot(2), false)]),
        (false, 0, 350, vec![(member(1), Boot(2), true), (member(0), Boot(3), false)]),
        // The one that leads lives: nothing that others bring is newer.
        (true, 1, 400, vec![(member(0), Boot(2), true), (member(1), Boot(3), false)]),
        (false, 1, 400, vec![(member(0), Boot(2), true), (member(1), Boot(3), false)]),
    ];
    for (in_step, falls, on_disk, expected) in cases {
        let row = format!("in step {in_step}, {falls} falls and has {on_disk}");
        let mut machine = running("named:a")?;
        act(&mut machine, Command::Recover { observed: BTreeMap::from([(member(0), Boot(2)), (member(1), Boot(2))]) })?;
        let volume = |n| if n == 0 { "named:a" } else { "named:other" };
        for (n, seq) in [(0, 500), (1, 400)] {
            act(&mut machine, rejoined(n, volume(n), at(seq)))?;
            act(&mut machine, loaded(n, 2))?;
        }
        act(&mut machine, Command::RecoverTable {})?;
        let (first, table_version) = copies(&machine);
        assert_eq!(first, [(member(0), Boot(2), true), (member(1), Boot(2), false)], "{row}");
        if in_step {
            act(
                &mut machine,
                Command::Synced { partition: PartitionId(0), member: member(1), boot: Boot(2), table_version },
            )?;
        }
        act(&mut machine, rejoined_as(Boot(3), falls, volume(falls), at(on_disk)))?;
        act(&mut machine, loaded(falls, 3))?;
        act(&mut machine, Command::RecoverTable {})?;
        assert_eq!(copies(&machine).0, expected, "{row}");
        // And once more: a choice after a choice is still of this recovery.
        let (again, table_version) = copies(&machine);
        let unsynced = again.iter().find(|(_, _, synced)| !synced).map_or(member(0), |(member, ..)| *member);
        let boot = again.iter().find(|(member, ..)| *member == unsynced).map_or(Boot(0), |(_, boot, _)| *boot);
        act(&mut machine, Command::Synced { partition: PartitionId(0), member: unsynced, boot, table_version })?;
        let (leader, leader_boot) = (again[0].0, Boot(again[0].1.0 + 1));
        let leads = u8::from(leader == member(1));
        act(&mut machine, rejoined_as(leader_boot, leads, volume(leads), at(1)))?;
        act(&mut machine, loaded(leads, leader_boot.0))?;
        act(&mut machine, Command::RecoverTable {})?;
        assert_eq!(copies(&machine).0, [(unsynced, boot, true), (leader, leader_boot, false)], "{row}");
    }
    Ok(())
}

#[test]
fn the_first_choice_of_a_recovery_goes_by_what_everybody_tells() -> Result<(), Refused> {
    // Another partition is lost; member 1 lives, in step by the table of before, and the one that led has a write more.
    let mut machine = running("named:a")?;
    machine.table.partitions.push(PartitionEntry::default());
    act(&mut machine, Command::Recover { observed: BTreeMap::from([(member(0), Boot(2)), (member(1), Boot(1))]) })?;
    for (n, boot, volume, seq) in [(0, 2, "named:a", 7), (1, 1, "named:other", 6)] {
        act(&mut machine, rejoined_as(Boot(boot), n, volume, Some(Version { installed: TableVersion(1), seq })))?;
        act(&mut machine, loaded(n, boot))?;
    }
    act(&mut machine, Command::RecoverTable {})?;
    assert_eq!(copies(&machine).0, [(member(0), Boot(2), true), (member(1), Boot(1), false)]);
    Ok(())
}

#[test]
fn of_equal_copies_one_that_lives_goes_before_one_that_was_read_from_a_disk() -> Result<(), Refused> {
    let at = |seq| Some(Version { installed: TableVersion(1), seq });
    // Boots that come back, and what they tell; who leads then. The first member is wished for.
    let cases = [
        ([(2, 7), (1, 7)], (member(1), Boot(1))),
        ([(1, 7), (2, 7)], (member(0), Boot(1))),
        ([(1, 7), (1, 7)], (member(0), Boot(1))),
        ([(2, 7), (2, 7)], (member(0), Boot(2))),
        // A life does not make up for a version.
        ([(2, 8), (1, 7)], (member(0), Boot(2))),
    ];
    for (told, expected) in cases {
        let mut machine = running("named:a")?;
        // Another partition is lost, so the cluster recovers while members of it live.
        machine.table.partitions.push(PartitionEntry::default());
        let observed = (0..2).map(|n| (member(n), Boot(told[usize::from(n)].0))).collect();
        act(&mut machine, Command::Recover { observed })?;
        for (n, volume) in [(0, "named:a"), (1, "named:other")] {
            let (boot, seq) = told[usize::from(n)];
            act(&mut machine, rejoined_as(Boot(boot), n, volume, at(seq)))?;
            act(&mut machine, loaded(n, boot))?;
        }
        act(&mut machine, Command::RecoverTable {})?;
        let (leader, boot, synced) = copies(&machine).0[0];
        assert_eq!(((leader, boot), synced), (expected, true), "{told:?}");
    }
    Ok(())
}

/// The log is read again after a start: on its way it comes by a stop that was rolled back before the one that counts.
#[test]
fn an_old_stop_seals_nothing_over_a_later_one() -> Result<(), Refused> {
    let op = OperationId { seq: 3, random: "x".into() };
    let mut machine = running("named:a")?;
    let begin = Command::Begin { op: op.clone(), requested_by: "t".into(), accepted: vec![], transient: false };
    act(&mut machine, begin)?;
    act(&mut machine, Command::Freeze { op: op.clone(), commit_within_ms: 1_000 })?;
    let content = PartitionContent {
        partition: PartitionId(0),
        version: Version { installed: TableVersion(1), seq: 9 },
        entries: 1,
        digest: Digest::default(),
    };
    act(&mut machine, Command::Quiesced { op: op.clone(), attempt: 1, contents: vec![content] })?;
    let quiesced = machine.operation(&op).and_then(|op| op.quiesced.clone()).unwrap_or_else(|| panic!("not quiesced"));
    let sealed = |seq, attempt| OwnSeal {
        op: OperationId { seq, random: "x".into() },
        attempt,
        record: SealRecord {
            boot: Boot(1),
            volume_id: "named:a".into(),
            generation: Generation(1),
            digest: Digest("d".into()),
            content_digest: quiesced.members[&member(0)].clone(),
            quiesced_index: quiesced.index,
            entries: 1,
            bytes: 1,
        },
    };
    // What the store is sealed for, what is opened there; whether it is sealed now.
    let cases = [
        (None, 1, true),
        (Some(sealed(2, 7)), 1, true),
        (Some(sealed(3, 1)), 1, false),
        (Some(sealed(3, 2)), 1, false),
        (Some(sealed(4, 1)), 1, false),
        (None, 2, false),
    ];
    for (sealed, opened, expected) in cases {
        let facts = LocalFacts {
            boot: Boot(2),
            volume_id: "named:a".into(),
            holds: None,
            access: Access::Read,
            loaded: Some(quiesced.members[&member(0)].clone()),
            doors: Doors::ClosedForAll,
            reports_contents: None,
            sealed: sealed.clone(),
            opened: Generation(opened),
            ..LocalFacts::default()
        };
        let actions = agent::plan(&machine, member(0), &facts);
        let seals = actions.iter().any(|action| matches!(action, Action::Seal { .. }));
        assert_eq!(seals, expected, "{sealed:?} {opened}: {actions:?}");
        assert_eq!(agent::why_not_seal(&machine, member(0), &facts), None);
        let other = LocalFacts { loaded: Some(Digest("less".into())), ..facts };
        let actions = agent::plan(&machine, member(0), &other);
        assert!(!actions.iter().any(|action| matches!(action, Action::Seal { .. })), "{actions:?}");
        let why = agent::why_not_seal(&machine, member(0), &other);
        assert_eq!(why.is_some_and(|why| why.contains("has less on its disk")), sealed.is_none(), "{sealed:?}");
    }
    Ok(())
}

/// A store that comes back under a boot, with its generation and the backup that it was restored from.
fn back(n: u8, boot: u64, generation: u64, restored: Option<Restored>) -> Command {
    let partitions = vec![Some(Version { installed: TableVersion(1), seq: 3 })];
    let store = StoreReport { generation: Generation(generation), seal: None, partitions, epochs: vec![], restored };
    Command::Rejoined { member: member(n), boot: Boot(boot), volume_id: "named:other".into(), store }
}

fn of(name: &str, set: u128, generation: u64) -> Option<Restored> {
    Some(Restored { name: name.into(), set: uuid::Uuid::from_u128(set), generation: Generation(generation) })
}

fn recover(machine: &mut Machine, boot: u64) -> Result<(), Refused> {
    let observed = BTreeMap::from([(member(0), Boot(boot)), (member(1), Boot(boot))]);
    act(machine, Command::Recover { observed })
}

/// Both have loaded, and the newest copies are chosen.
fn chosen(machine: &mut Machine, boot: u64) -> Result<(), Refused> {
    (0..2).try_for_each(|n| act(machine, loaded(n, boot)))?;
    act(machine, Command::RecoverTable {})
}

#[test]
fn stores_of_one_backup_come_back_together_and_beside_no_others() -> Result<(), Refused> {
    // What each was restored from; whether the cluster comes back.
    let cases = [
        (None, None, true),
        (of("nightly", 1, 1), of("nightly", 1, 1), true),
        (of("nightly", 1, 1), of("nightly", 2, 1), false),
        (of("nightly", 1, 1), None, false),
        (None, of("nightly", 1, 1), false),
        // One of an earlier generation was restored long ago: the cluster has gone on since, with everything.
        (of("nightly", 1, 0), None, true),
        (of("nightly", 1, 0), of("nightly", 2, 0), true),
        (of("nightly", 1, 0), of("nightly", 2, 1), false),
    ];
    for (one, other, comes_back) in cases {
        let mut machine = running("named:other")?;
        recover(&mut machine, 2)?;
        act(&mut machine, back(0, 2, 1, one.clone()))?;
        assert_eq!(safety::why_mixed(&machine), None, "nobody knows yet");
        act(&mut machine, back(1, 2, 1, other.clone()))?;
        let result = chosen(&mut machine, 2);
        assert_eq!(result.is_ok(), comes_back, "{one:?} {other:?}: {result:?}");
        if let Err(refused) = result {
            let (text, told) = (refused.to_string(), |n: u8| format!("member {n} ({})", member(n)));
            assert!(text.contains(&told(0)) && text.contains(&told(1)) && text.contains("'nightly'"), "{text}");
        }
    }
    Ok(())
}

#[test]
fn a_crash_in_the_first_start_of_a_restored_cluster_is_recovered_from() -> Result<(), Refused> {
    let mut machine = running("named:other")?;
    let set = || of("nightly", 1, 1);
    recover(&mut machine, 2)?;
    (0..2).try_for_each(|n| act(&mut machine, back(n, 2, 1, set())))?;
    chosen(&mut machine, 2)?;
    in_step(&mut machine)?;
    act(&mut machine, Command::SelfActivate {})?;
    act(&mut machine, Command::Opened { member: member(0), boot: Boot(2), generation: Generation(2) })?;

    recover(&mut machine, 3)?;
    for (n, generation) in [(0, 2), (1, 1)] {
        act(&mut machine, back(n, 3, generation, set()))?;
    }
    chosen(&mut machine, 3)?;
    in_step(&mut machine)?;
    act(&mut machine, Command::SelfActivate {})?;
    for n in 0..2 {
        act(&mut machine, Command::Opened { member: member(n), boot: Boot(3), generation: Generation(2) })?;
    }
    assert_eq!(machine.state, ClusterState::Active);

    // From then on it says nothing, also where a copy of the other's volume took its place.
    recover(&mut machine, 4)?;
    for (n, restored) in [(0, set()), (1, None)] {
        act(&mut machine, back(n, 4, 2, restored))?;
    }
    chosen(&mut machine, 4)
}

/// The copies of the one partition are.
fn in_step(machine: &mut Machine) -> Result<(), Refused> {
    let (copies, table_version) = copies(machine);
    let fills = copies.into_iter().filter(|(.., synced)| !synced);
    let partition = PartitionId(0);
    fills
        .map(|(member, boot, _)| Command::Synced { partition, member, boot, table_version })
        .try_for_each(|command| act(machine, command))
}

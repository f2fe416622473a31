//! Whose store comes back, and which of its copies count.
//!
//! Law: a name that somebody gave to a volume is compared, what a file system calls itself is only recorded; a replica
//! that nobody filled is no copy. Must not know: planners.

use std::collections::BTreeMap;

use jet_core::roster::{Founder, RosterEntry};
use jet_core::{
    Boot, ClusterState, Command, Digest, FoundingId, Generation, Machine, MemberId, PartitionId, Refused, StoreReport,
    TableVersion, Version, apply,
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
    let store = StoreReport { generation: Generation(1), seal: None, partitions: vec![copy], epochs: vec![] };
    Command::Rejoined { member: member(n), boot: Boot(2), volume_id: volume_id.into(), store }
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

//! Which copies a primary begins beside those that are under way.
//!
//! Law: a receiver that takes none keeps no other from its own. Must not know: how a copy is made.

use std::collections::BTreeMap;

use jet_core::agent::{self, Access, Action, Copying, Doors, LocalFacts};
use jet_core::roster::RosterEntry;
use jet_core::{
    Boot, ClusterState, Generation, Machine, MemberId, PartitionEntry, PartitionId, PartitionTable, Replica,
    TableVersion,
};

const PARTITIONS: u16 = 40;
const AT_A_TIME: usize = agent::COPIES_AT_A_TIME;
const TO_EACH: usize = agent::COPIES_TO_EACH;

fn member(n: u32) -> MemberId {
    MemberId(uuid::Uuid::from_u128(u128::from(n) + 1))
}

fn replica(n: u32) -> Replica {
    Replica { member: member(n), boot: Boot(1), synced: n == 0 }
}

/// Member 0 leads everything; members 1 and 2 have places that are to be filled, of every partition.
fn machine(state: ClusterState) -> Machine {
    let entry = |n| RosterEntry { ordinal: n, boot: Boot(1), volume_id: String::new(), log_line: 1 };
    let places = PartitionEntry {
        installed: TableVersion(1),
        changed: TableVersion(4),
        replicas: (0..3).map(replica).collect(),
    };
    Machine {
        generation: Generation(1),
        state,
        roster: (0..3).map(|n| (member(n), entry(n))).collect(),
        table: PartitionTable { version: TableVersion(4), partitions: vec![places; usize::from(PARTITIONS)] },
        ..Machine::default()
    }
}

/// How many copies are begun now, by receiver, beside so many that were: receiver, how many, complete.
fn begun(machine: &Machine, before: &[(u32, usize, bool)]) -> [usize; 3] {
    let mut copies = BTreeMap::new();
    for (to, count, complete) in before {
        let copying = Copying { boot: Boot(1), changed: TableVersion(4), complete: *complete };
        let free: Vec<_> = (0..PARTITIONS).filter(|p| !copies.contains_key(&(PartitionId(*p), member(*to)))).collect();
        copies.extend(free.into_iter().take(*count).map(|p| ((PartitionId(p), member(*to)), copying)));
    }
    let facts = LocalFacts {
        boot: Boot(1),
        access: Access::Written,
        opened: Generation(1),
        doors: Doors::Open,
        copies,
        ..LocalFacts::default()
    };
    let mut begun = [0; 3];
    for action in agent::plan(machine, member(0), &facts) {
        if let Action::ShipPartition { to, .. } = action {
            begun[(0..3).find(|n| member(*n) == to).map_or(0, |n| n as usize)] += 1;
        }
    }
    begun
}

#[test]
fn a_receiver_that_takes_no_copy_keeps_no_other_from_its_own() {
    for state in [ClusterState::Active, ClusterState::Frozen, ClusterState::Passive { held_by: None }] {
        let machine = machine(state);
        // Every place went to the first one before the second was there; nothing of it moves.
        assert_eq!(begun(&machine, &[(1, AT_A_TIME, false)]), [0, 0, TO_EACH]);
        // What the second takes makes room for more to it, to its last.
        assert_eq!(begun(&machine, &[(1, AT_A_TIME, false), (2, 9, true)]), [0, 0, TO_EACH]);
        assert_eq!(begun(&machine, &[(1, AT_A_TIME, false), (2, 9, true), (2, TO_EACH, false)]), [0, 0, 0]);
    }
}

#[test]
fn copies_that_are_under_way_are_bounded() {
    let machine = machine(ClusterState::Active);
    assert_eq!(begun(&machine, &[]).iter().sum::<usize>(), AT_A_TIME);
    assert_eq!(begun(&machine, &[(1, 3, false), (2, 3, false)]).iter().sum::<usize>(), AT_A_TIME - 6);
    assert_eq!(begun(&machine, &[(1, AT_A_TIME, false), (2, TO_EACH, false)]), [0, 0, 0]);
}

//! Moves of copies and hand-overs of primaries, as the machine judges them.
//!
//! Law: each scenario is one that loses a write, serves twice or hangs if it goes otherwise. Must not know: planners.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use jet_core::command::TableChange;
use jet_core::moves::{MOVES_AT_A_TIME, RELEASES_AT_A_TIME};
use jet_core::roster::{Founder, RosterEntry};
use jet_core::safety::Reason;
use jet_core::{
    Boot, ClusterState, Command, Digest, FoundingId, Generation, Machine, MemberId, OperationId, Outcome, PartitionId,
    Refused, Settled, TableVersion, apply,
};

const P: PartitionId = PartitionId(0);

fn member(n: u8) -> MemberId {
    MemberId(uuid::Uuid::from_u128(u128::from(n) + 1))
}

struct Cluster(Machine);

impl Cluster {
    fn of(members: u8, partitions: u16, backups: u8) -> Self {
        let entry = |n: u8| RosterEntry { ordinal: u32::from(n), boot: Boot(1), volume_id: "v".into(), log_line: 1 };
        let mut cluster = Self(Machine::default());
        let (id, permit_digest) = (FoundingId::default(), Digest::default());
        let founders = (0..members).map(|n| Founder { member: member(n), entry: entry(n) }).collect();
        let found =
            Command::Found { id, members: founders, partition_count: partitions, backup_count: backups, permit_digest };
        cluster.done(found);
        for n in 0..members {
            cluster.done(Command::Opened { member: member(n), boot: Boot(1), generation: Generation(1) });
        }
        cluster
    }

    fn ask(&mut self, command: Command) -> Outcome {
        let index = self.0.applied + 1;
        apply(&mut self.0, index, command)
    }

    fn done(&mut self, command: Command) {
        let outcome = self.ask(command.clone());
        assert!(outcome.is_done(), "{command:?}: {outcome:?}");
    }

    fn refused(&mut self, command: Command) -> Refused {
        match self.ask(command.clone()) {
            Outcome::Refused(refused) => refused,
            done => panic!("{command:?}: {done:?}"),
        }
    }

    fn not_moved(&mut self, command: Command) -> Vec<Reason> {
        match self.refused(command) {
            Refused::NotMoved { why, .. } => why,
            other => panic!("{other:?}"),
        }
    }

    fn changed(&self, partition: PartitionId) -> TableVersion {
        self.0.table.entry(partition).unwrap().changed
    }

    fn list(&self) -> Vec<(MemberId, bool)> {
        self.0.table.entry(P).unwrap().replicas.iter().map(|replica| (replica.member, replica.synced)).collect()
    }

    fn step(&self, to: MemberId) -> Command {
        Command::Synced { partition: P, member: to, boot: Boot(1), table_version: self.changed(P) }
    }

    fn moving(&self, partition: PartitionId, from: MemberId, to: MemberId) -> Command {
        Command::Move { partition, from, to, table_version: self.changed(partition) }
    }

    fn moved(&self, from: MemberId) -> Command {
        Command::Moved { partition: P, from, table_version: self.changed(P) }
    }

    fn releasing(&self, partition: PartitionId, to: MemberId) -> Command {
        Command::Releasing { partition, to, table_version: self.changed(partition) }
    }

    fn released(&self, by: MemberId, at: TableVersion) -> Command {
        Command::Released { partition: P, member: by, boot: Boot(1), table_version: at }
    }

    /// Primary, backup and one that has no place of the first partition.
    fn three(&self) -> [MemberId; 3] {
        let list = self.list();
        let free = (0..3).map(member).find(|other| list.iter().all(|(holder, _)| holder != other)).unwrap();
        [list[0].0, list[1].0, free]
    }
}

#[test]
fn a_copy_moves_and_its_source_goes_last() {
    let mut cluster = Cluster::of(3, 1, 1);
    let [a, b, c] = cluster.three();
    cluster.done(cluster.moving(P, b, c));
    assert_eq!(cluster.list(), [(a, true), (b, true), (c, false)]);
    assert_eq!(cluster.not_moved(cluster.moved(b)), [Reason::CopiesMissing { in_step: 1, wanted: 2 }]);
    cluster.done(cluster.step(c));
    assert_eq!(cluster.not_moved(cluster.moved(a)), [Reason::Leads { member: a }, Reason::Moves]);
    cluster.done(cluster.moved(b));
    assert_eq!(cluster.list(), [(a, true), (c, true)]);
    assert!(cluster.0.moves.are_none());
}

#[test]
fn a_move_never_lowers_the_number_of_copies() {
    let mut cluster = Cluster::of(3, 1, 1);
    let [a, b, c] = cluster.three();
    cluster.done(cluster.moving(P, b, c));
    cluster.done(cluster.step(c));
    // Its primary runs anew: what it had is gone, and the source is one of two again.
    cluster.done(Command::Boot { member: a, boot: Boot(2), volume_id: "v".into() });
    assert_eq!(cluster.list(), [(b, true), (c, true), (a, false)]);
    let why = cluster.not_moved(cluster.moved(b));
    assert_eq!(why, [Reason::CopiesMissing { in_step: 1, wanted: 2 }, Reason::Leads { member: b }]);
    // Lost for good, it is no move any more.
    let changes = vec![TableChange { partition: P, replicas: vec![b, c] }];
    cluster.done(Command::Table { base_version: cluster.0.table.version, changes });
    assert!(cluster.0.moves.are_none());
    assert!(cluster.not_moved(cluster.moved(c)).contains(&Reason::CopiesMissing { in_step: 1, wanted: 2 }));
}

#[test]
fn what_misses_a_copy_does_not_move() {
    let mut cluster = Cluster::of(3, 1, 1);
    let [a, b, c] = cluster.three();
    cluster.done(Command::Boot { member: b, boot: Boot(2), volume_id: "v".into() });
    let missing = [Reason::CopiesMissing { in_step: 1, wanted: 2 }, Reason::CopiesUnderWay];
    assert_eq!(cluster.not_moved(cluster.moving(P, b, c)), missing);
    assert_eq!(cluster.not_moved(cluster.releasing(P, b)), [Reason::CopiesUnderWay]);
    assert_eq!(cluster.not_moved(cluster.releasing(P, a))[1], Reason::Leads { member: a });
}

#[test]
fn a_living_primary_gives_its_place_by_its_own_word() {
    let mut cluster = Cluster::of(3, 1, 1);
    let [a, b, _] = cluster.three();
    let (before, known) = (cluster.0.table.entry(P).unwrap().installed, cluster.changed(P));
    assert!(matches!(cluster.refused(cluster.released(a, known)), Refused::BadTable { .. }), "nobody asked it");
    cluster.done(cluster.releasing(P, b));
    let at = cluster.changed(P);
    assert!(matches!(cluster.refused(cluster.released(b, at)), Refused::BadTable { .. }), "not the primary");
    cluster.done(cluster.released(a, at));
    assert_eq!(cluster.list(), [(b, true), (a, true)], "who gave its place holds its copy");
    assert!(cluster.0.table.entry(P).unwrap().installed > before);
}

#[test]
fn a_late_release_replaces_nobody() {
    let mut cluster = Cluster::of(3, 1, 1);
    let [a, b, _] = cluster.three();
    cluster.done(cluster.releasing(P, b));
    let first = cluster.changed(P);
    cluster.done(Command::KeepPrimary { partition: P, table_version: first });
    // From here on it serves again, also while it is asked once more and has not heard of it.
    assert!(matches!(cluster.refused(cluster.released(a, first)), Refused::StaleTable { .. }));
    cluster.done(cluster.releasing(P, b));
    assert!(matches!(cluster.refused(cluster.released(a, first)), Refused::StaleTable { .. }));
    assert_eq!(cluster.list()[0].0, a);
    // And a late wish that it keeps its place ends no later release.
    cluster.done(Command::KeepPrimary { partition: P, table_version: first });
    assert!(cluster.0.release(P).is_some());
}

#[test]
fn a_release_is_taken_back_by_whatever_changes_the_entry() {
    let mut cluster = Cluster::of(3, 1, 1);
    let [a, b, _] = cluster.three();
    cluster.done(cluster.releasing(P, b));
    let at = cluster.changed(P);
    // Who was to lead runs anew: it holds nothing.
    cluster.done(Command::Boot { member: b, boot: Boot(2), volume_id: "v".into() });
    assert!(cluster.0.release(P).is_none());
    assert!(matches!(cluster.refused(cluster.released(a, at)), Refused::StaleTable { .. }));
}

#[test]
fn nothing_moves_from_a_stop_or_a_change_of_state_on() {
    let op = OperationId { seq: 1, random: "x".into() };
    let begin = Command::Begin { op: op.clone(), requested_by: "t".into(), accepted: Vec::new(), transient: false };
    let states = [Settled::NoMigration, Settled::Frozen, Settled::Passive];
    let states = states.map(|state| Command::SetState { state, absent: Vec::new() });
    for halt in states.into_iter().chain([begin]) {
        let mut cluster = Cluster::of(3, 1, 1);
        let [a, b, c] = cluster.three();
        cluster.done(cluster.moving(P, b, c));
        let known = cluster.changed(P);
        cluster.done(halt.clone());
        assert_eq!(cluster.list(), [(a, true), (b, true)], "{halt:?}");
        assert!(cluster.0.moves.are_none() && cluster.changed(P) > known, "{halt:?}");
        cluster.refused(cluster.moving(P, b, c));
        cluster.refused(cluster.releasing(P, b));

        // What is in step stays, one more than there should be, and moves on later.
        let mut cluster = Cluster::of(3, 1, 1);
        cluster.done(cluster.moving(P, b, c));
        cluster.done(cluster.step(c));
        cluster.done(cluster.releasing(P, c));
        let at = cluster.changed(P);
        cluster.done(halt.clone());
        assert_eq!(cluster.list().len(), 3);
        assert!(cluster.0.moves.releasing.is_empty() && cluster.0.moves.copies.len() == 1);
        assert!(matches!(cluster.refused(cluster.released(a, at)), Refused::StaleTable { .. }));
        cluster.refused(cluster.moved(b));
        if let Command::Begin { .. } = halt {
            cluster.done(Command::Abort { op: op.clone(), reason: "t".into() });
        } else {
            cluster.done(Command::SetState { state: Settled::Active, absent: Vec::new() });
        }
        assert_eq!(cluster.0.state, ClusterState::Active);
        cluster.done(cluster.moved(b));
    }
}

#[test]
fn what_moves_at_a_time_is_bounded() {
    let mut cluster = Cluster::of(3, 40, 1);
    let mut begun = (0, 0);
    for partition in (0..40).map(PartitionId) {
        let list: Vec<_> = cluster.0.table.lists()[usize::from(partition.0)].clone();
        let to = (0..3).map(member).find(|member| !list.contains(member)).unwrap();
        match cluster.ask(cluster.moving(partition, list[1], to)) {
            Outcome::Refused(Refused::NotMoved { why, .. }) => {
                assert_eq!(why, [Reason::TooManyMoves { most: MOVES_AT_A_TIME }]);
                begun.1 += usize::from(cluster.ask(cluster.releasing(partition, list[1])).is_done());
            }
            outcome => begun.0 += usize::from(outcome.is_done()),
        }
    }
    assert_eq!(begun, (MOVES_AT_A_TIME, RELEASES_AT_A_TIME));
}

#[test]
fn asked_twice_it_is_so_already() {
    let mut cluster = Cluster::of(3, 1, 1);
    let [_, b, c] = cluster.three();
    let (moving, at) = (cluster.moving(P, b, c), cluster.0.table.version);
    cluster.done(moving.clone());
    cluster.done(moving);
    assert_eq!(cluster.0.table.version, at.next());
    cluster.done(cluster.step(c));
    let releasing = cluster.releasing(P, c);
    cluster.done(releasing.clone());
    cluster.done(releasing);
    assert_eq!(cluster.0.table.version, at.next().next());
}

//! Members that come and go, as the machine judges them.
//!
//! Law: each scenario is one that loses a write, serves twice or hangs if it goes otherwise. Must not know: planners.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};

use jet_core::agent::{self, Access, Action, LocalFacts};
use jet_core::command::TableChange;
use jet_core::membership::KEPT_LEFT;
use jet_core::report::{MemberReport, Observations, Observed};
use jet_core::roster::{Founder, MEMBERS_MOST, RosterEntry};
use jet_core::safety::{self, Reason};
use jet_core::supervisor::voting::{Step, Voting, step};
use jet_core::{
    Boot, ClusterState, Command, Digest, FoundingId, Generation, Machine, MemberId, OperationId, Outcome, PartitionId,
    Refused, Settled, StoreReport, Voter, apply,
};

fn member(n: u8) -> MemberId {
    MemberId(uuid::Uuid::from_u128(u128::from(n) + 1))
}

fn founder(n: u8, ordinal: u32) -> Founder {
    Founder { member: member(n), entry: RosterEntry { ordinal, boot: Boot(1), volume_id: "v".into(), log_line: 1 } }
}

fn admit(n: u8) -> Command {
    Command::Admit { member: founder(n, u32::from(n)), opened: Generation(0), permit_digest: Digest("p".into()) }
}

struct Cluster(Machine);

impl Cluster {
    fn of(members: u8, backups: u8) -> Self {
        let mut cluster = Self(Machine::default());
        let (id, permit_digest) = (FoundingId::default(), Digest::default());
        let members: Vec<_> = (0..members).map(|n| founder(n, u32::from(n))).collect();
        let count = members.len() as u8;
        cluster.done(Command::Found { id, members, partition_count: 1, backup_count: backups, permit_digest });
        (0..count).for_each(|n| cluster.opens(n, 1));
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

    fn opens(&mut self, n: u8, generation: u64) {
        let boot = self.0.roster[&member(n)].boot;
        self.done(Command::Opened { member: member(n), boot, generation: Generation(generation) });
    }

    fn refused(&mut self, command: Command) -> Refused {
        match self.ask(command.clone()) {
            Outcome::Refused(refused) => refused,
            done => panic!("{command:?}: {done:?}"),
        }
    }

    fn why_not(&mut self, command: Command) -> Vec<Reason> {
        match self.refused(command) {
            Refused::NotAdmitted { why, .. } | Refused::NotLeft { why, .. } => why,
            other => panic!("{other:?}"),
        }
    }

    fn holders(&self) -> Vec<MemberId> {
        self.0.table.lists()[0].clone()
    }

    /// Neither holds the partition nor votes any more.
    fn lets_go_of_its_vote(&mut self, n: u8) {
        let base = self.0.voters.changes;
        self.done(Command::Voters { base, add: None, remove: Some(member(n)) });
    }
}

#[test]
fn a_blank_member_joins_before_it_is_given_anything() {
    let mut cluster = Cluster::of(2, 2);
    cluster.done(admit(5));
    cluster.done(admit(5));
    assert_eq!((cluster.0.roster.len(), cluster.0.copies_wanted(), cluster.0.candidates().len()), (3, 2, 2));
    assert_eq!(cluster.0.voting_members(), BTreeSet::from([member(0), member(1)]));
    let replicas = [cluster.holders(), vec![member(5)]].concat();
    let change = TableChange { partition: PartitionId(0), replicas };
    let base_version = cluster.0.table.version;
    cluster.refused(Command::Table { base_version, changes: vec![change] });
    cluster.opens(5, 1);
    assert_eq!((cluster.0.copies_wanted(), cluster.0.candidates().len()), (3, 3));
}

#[test]
fn a_number_has_one_member() {
    let mut cluster = Cluster::of(3, 1);
    let of = |ordinal| Command::Admit {
        member: founder(9, ordinal),
        opened: Generation(0),
        permit_digest: Digest::default(),
    };
    // Whether it is away is not asked.
    assert_eq!(cluster.why_not(of(1)), [Reason::OrdinalHeld { ordinal: 1, by: member(1) }]);
    let other_number =
        Command::Admit { member: founder(1, 7), opened: Generation(0), permit_digest: Digest::default() };
    assert_eq!(cluster.why_not(other_number), [Reason::OrdinalHeld { ordinal: 1, by: member(1) }]);
    let opened = Generation(4);
    let old = Command::Admit { member: founder(9, 9), opened, permit_digest: Digest::default() };
    assert_eq!(cluster.why_not(old), [Reason::NotBlank { opened }]);
}

#[test]
fn members_come_and_go_in_active_alone() {
    let op = OperationId { seq: 1, random: "x".into() };
    let begin = Command::Begin { op, requested_by: "t".into(), accepted: Vec::new(), transient: false };
    let set = |state| Command::SetState { state, absent: Vec::new() };
    for other in [set(Settled::NoMigration), set(Settled::Frozen), set(Settled::Passive), begin] {
        let mut cluster = Cluster::of(3, 1);
        cluster.done(other);
        for command in [admit(5), Command::Leave { member: member(1) }] {
            assert!(matches!(cluster.refused(command), Refused::State { .. } | Refused::Held { .. }));
        }
    }
}

#[test]
fn there_are_no_more_members_than_may_be() {
    let mut cluster = Cluster::of(MEMBERS_MOST as u8, 1);
    assert_eq!(cluster.why_not(admit(200)), [Reason::TooManyMembers { most: MEMBERS_MOST }]);
}

#[test]
fn who_leaves_is_out_when_nothing_lies_with_it() {
    let mut cluster = Cluster::of(3, 1);
    let [primary, backup] = cluster.holders()[..] else { panic!() };
    let free = (0..3).map(member).find(|other| !cluster.holders().contains(other)).unwrap();
    let left = Command::Left { member: backup };
    assert!(cluster.why_not(left.clone()).contains(&Reason::NotLeaving));
    cluster.done(Command::Leave { member: backup });
    assert_eq!(cluster.why_not(left.clone()), [Reason::HasPlaces { places: 1 }, Reason::Votes]);
    let at = |cluster: &Cluster| cluster.0.table.partitions[0].changed;
    let (partition, table_version) = (PartitionId(0), at(&cluster));
    cluster.done(Command::Move { partition, from: backup, to: free, table_version });
    let table_version = at(&cluster);
    cluster.done(Command::Synced { partition, member: free, boot: Boot(1), table_version });
    cluster.done(Command::Moved { partition, from: backup, table_version });
    assert_eq!(cluster.why_not(left.clone()), [Reason::Votes]);
    let n = (0..3).find(|n| member(*n) == backup).unwrap();
    cluster.lets_go_of_its_vote(n);
    cluster.done(left.clone());
    cluster.done(left);
    assert_eq!(cluster.0.roster.keys().copied().collect::<BTreeSet<_>>(), BTreeSet::from([primary, free]));
    // Told so by its log or by the others, it marks its store.
    let actions = agent::plan(&cluster.0, backup, &LocalFacts { boot: Boot(1), ..LocalFacts::default() });
    assert!(matches!(actions[..], [Action::PutAside { .. }]), "{actions:?}");
}

#[test]
fn who_left_does_not_come_back() {
    let mut cluster = Cluster::of(3, 0);
    let n = (0..3).find(|n| !cluster.holders().contains(&member(*n))).unwrap();
    cluster.done(Command::Leave { member: member(n) });
    cluster.lets_go_of_its_vote(n);
    cluster.done(Command::Left { member: member(n) });
    let index = cluster.0.applied;
    assert_eq!(cluster.why_not(admit(n)), [Reason::WasHere { ordinal: u32::from(n), index }]);
    let boot = Command::Boot { member: member(n), boot: Boot(2), volume_id: "v".into() };
    assert!(matches!(cluster.refused(boot), Refused::UnknownMember { .. }));
}

#[test]
fn marks_of_those_that_left_are_bounded() {
    let mut cluster = Cluster::of(1, 0);
    for n in 10..120 {
        cluster.done(admit(n));
        cluster.done(Command::Leave { member: member(n) });
        cluster.done(Command::Left { member: member(n) });
    }
    assert_eq!(cluster.0.membership.left.len(), KEPT_LEFT);
    assert!(cluster.0.membership.left.contains_key(&member(119)));
    assert!(!cluster.0.membership.left.contains_key(&member(10)));
}

#[test]
fn who_holds_the_last_copy_does_not_leave() {
    let mut cluster = Cluster::of(1, 1);
    assert_eq!(cluster.why_not(Command::Leave { member: member(0) }), [Reason::NobodyStays]);
    // One that joins holds nothing for others yet.
    cluster.done(admit(5));
    assert_eq!(cluster.why_not(Command::Leave { member: member(0) }), [Reason::NobodyStays]);
    cluster.opens(5, 1);
    assert_eq!(cluster.why_not(Command::Leave { member: member(0) }), [Reason::FewerCopies { now: 2, then: 1 }]);
    cluster.done(admit(6));
    cluster.opens(6, 1);
    cluster.done(Command::Leave { member: member(0) });
    // Of two told at once the second is told what the first leaves.
    assert_eq!(cluster.why_not(Command::Leave { member: member(5) }), [Reason::FewerCopies { now: 2, then: 1 }]);
    let why = cluster.why_not(Command::Left { member: member(0) });
    assert!(why.contains(&Reason::HasPlaces { places: 1 }), "{why:?}");
}

#[test]
fn an_absent_partition_keeps_everybody() {
    let mut cluster = Cluster::of(3, 0);
    let holder = cluster.holders()[0];
    let n = (0..3).find(|n| member(*n) != holder).unwrap();
    cluster.done(Command::Leave { member: member(n) });
    cluster.lets_go_of_its_vote(n);
    cluster.done(Command::Boot { member: holder, boot: Boot(2), volume_id: "v".into() });
    let why = cluster.why_not(Command::Left { member: member(n) });
    assert!(why.iter().any(|why| matches!(why, Reason::PartitionsAbsent { .. })), "{why:?}");
}

#[test]
fn a_recovery_does_not_wait_for_who_holds_nothing() {
    let mut cluster = Cluster::of(2, 1);
    cluster.done(admit(5));
    cluster.done(Command::Recover { observed: BTreeMap::from([(member(0), Boot(2)), (member(1), Boot(2))]) });
    let version = jet_core::Version { installed: jet_core::TableVersion(1), seq: 7 };
    let store = |generation, held| StoreReport {
        generation: Generation(generation),
        seal: None,
        partitions: vec![held],
        epochs: Vec::new(),
        restored: None,
    };
    let back = |n, store| Command::Rejoined { member: member(n), boot: Boot(2), volume_id: "v".into(), store };
    // It may come, blank; with an old store of something it may not.
    let older = cluster.refused(back(5, store(0, Some(version))));
    assert!(matches!(older, Refused::SealDiffers { .. }), "{older:?}");
    for n in 0..2 {
        cluster.done(back(n, store(1, Some(version))));
        cluster.done(Command::Loaded { member: member(n), boot: Boot(2), content_digest: Digest::default() });
    }
    assert_eq!(safety::why_not_complete(&cluster.0), []);
    cluster.done(Command::RecoverTable {});
    let entry = cluster.0.table.partitions[0].clone();
    for replica in entry.replicas.iter().filter(|replica| !replica.synced) {
        let (partition, member, boot) = (PartitionId(0), replica.member, replica.boot);
        cluster.done(Command::Synced { partition, member, boot, table_version: entry.changed });
    }
    cluster.done(Command::SelfActivate {});
    cluster.opens(0, 2);
    cluster.opens(1, 2);
    assert_eq!(cluster.0.state, ClusterState::Active);
    assert!(cluster.0.membership.joining.contains(&member(5)), "it joins later, in the generation that runs then");
    cluster.opens(5, 2);
    assert!(cluster.0.membership.joining.is_empty());
}

#[test]
fn a_stop_names_who_joins() {
    let mut cluster = Cluster::of(2, 1);
    cluster.done(admit(5));
    let op = OperationId { seq: 1, random: "x".into() };
    cluster.done(Command::Begin { op: op.clone(), requested_by: "t".into(), accepted: Vec::new(), transient: false });
    let Refused::Unsafe { why, .. } = cluster.refused(Command::Freeze { op: op.clone(), commit_within_ms: 1 }) else {
        panic!()
    };
    assert_eq!(why, [Reason::Joining { ordinal: 5, member: member(5) }]);
    // It goes on joining meanwhile, and the stop goes on after that.
    cluster.opens(5, 1);
    cluster.done(Command::Freeze { op, commit_within_ms: 1 });
}

#[test]
fn only_a_blank_store_opens_the_generation_that_runs() {
    let mut cluster = Cluster::of(2, 1);
    cluster.done(admit(5));
    let blank = |access, opened| LocalFacts {
        boot: Boot(1),
        access,
        opened: Generation(opened),
        holds: Some(StoreReport {
            generation: Generation(opened),
            seal: None,
            partitions: Vec::new(),
            epochs: Vec::new(),
            restored: None,
        }),
        ..LocalFacts::default()
    };
    let does = |cluster: &Cluster, n, facts: &LocalFacts| agent::plan(&cluster.0, member(n), facts);
    assert!(does(&cluster, 5, &blank(Access::Unread, 0)).contains(&Action::LoadStore));
    assert!(does(&cluster, 5, &blank(Access::Read, 0)).contains(&Action::OpenGeneration(Generation(1))));
    let opened = Command::Opened { member: member(5), boot: Boot(1), generation: Generation(1) };
    assert!(does(&cluster, 5, &blank(Access::Written, 1)).contains(&Action::Propose(opened)));
    // A founder with such a store was put back in time, and is left as it is.
    let founder = does(&cluster, 0, &blank(Access::Read, 0));
    assert!(!founder.contains(&Action::OpenGeneration(Generation(1))), "{founder:?}");
}

/// The next step of a leader that hears everybody, all caught up. `voters`: those of consensus.
fn next(cluster: &Cluster, voters: &[u8]) -> Option<Step> {
    let report = MemberReport { durable: 9, line: 1, ..MemberReport::default() };
    let observed = |(member, entry): (&MemberId, &RosterEntry)| {
        let (boot, volume_id, report) = (entry.boot, String::new(), report.clone());
        (*member, Observed { heard_ms_ago: 0, boot, volume_id, report })
    };
    let members = cluster.0.roster.iter().map(observed).collect();
    let observations = Observations { members, leader_for_ms: 60_000, ..Observations::default() };
    let voters: BTreeSet<_> = voters.iter().map(|n| Voter { member: member(*n), line: 1 }).collect();
    let learners = cluster.0.roster.keys().map(|member| Voter { member: *member, line: 1 });
    let learners = learners.filter(|voter| !voters.contains(voter)).collect();
    let voting = Voting { halves: vec![voters], learners, committed: true };
    step(&cluster.0, &observations, member(0), &voting)
}

#[test]
fn who_leaves_gives_its_vote_and_is_out_after_that() {
    let mut cluster = Cluster::of(3, 0);
    assert_eq!(cluster.holders(), [member(0)]);
    assert_eq!(next(&cluster, &[0, 1, 2]), None);
    cluster.done(Command::Leave { member: member(2) });
    // Nobody is there to vote in its place.
    let gives = |base, add| Command::Voters { base, add, remove: Some(member(2)) };
    assert_eq!(next(&cluster, &[0, 1, 2]), Some(Step::Propose(gives(0, None))));
    cluster.done(admit(5));
    assert_eq!(next(&cluster, &[0, 1, 2]), Some(Step::Propose(gives(0, None))), "who joins is not waited for");
    cluster.opens(5, 1);
    assert_eq!(next(&cluster, &[0, 1, 2]), Some(Step::Propose(gives(0, Some(member(5))))));
    cluster.done(gives(0, Some(member(5))));
    // Out of the roster only after it is out of every majority.
    let of = |voters: &[u8]| voters.iter().map(|n| Voter { member: member(*n), line: 1 }).collect::<BTreeSet<_>>();
    assert_eq!(next(&cluster, &[0, 1, 2]), Some(Step::Vote(of(&[0, 1, 5]))));
    assert_eq!(next(&cluster, &[0, 1, 5]), Some(Step::Propose(Command::Left { member: member(2) })));
    cluster.done(Command::Left { member: member(2) });
    assert_eq!(next(&cluster, &[0, 1, 5]), None);
}

#[test]
fn an_engine_is_built_on_who_has_joined_and_not_on_who_holds_nothing_and_leaves() {
    let mut cluster = Cluster::of(3, 0);
    cluster.done(admit(5));
    assert_eq!([0, 1, 5].map(|n| cluster.0.works(member(n))), [true, true, false]);
    cluster.opens(5, 1);
    cluster.done(Command::Leave { member: member(0) });
    cluster.done(Command::Leave { member: member(1) });
    assert_eq!([0, 1, 5].map(|n| cluster.0.works(member(n))), [true, false, true], "the first leads yet");
}

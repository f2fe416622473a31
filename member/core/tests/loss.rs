//! Going on without a member that does not come back: what a consent is to, and what it does.
//!
//! Law: each scenario is one that loses a write, serves twice or hangs if it goes otherwise. Must not know: planners.

#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(dead_code, reason = "the rows of commands serve the page of states too")]

mod states;

use std::collections::BTreeSet;

use jet_core::loss::{Loss, preview};
use jet_core::safety::Reason;
use jet_core::{
    Boot, ClusterState, Command, Digest, Generation, JobStatus, Machine, MemberId, OperationId, OperationStep, Outcome,
    PartitionId, Refused, Settled, TableVersion, Version, apply,
};
use states::commands;
use states::scenes::{MEMBERS, PARTITIONS, found, member};

struct Cluster(Machine);

impl Cluster {
    /// It runs, with a job.
    fn running() -> Self {
        let mut cluster = Self(Machine::default());
        cluster.done(found("p"));
        cluster.times("Opened", MEMBERS).go("Submit of the same job").go("Runtime").go("Running");
        cluster
    }

    fn ask(&mut self, command: Command) -> Outcome {
        let index = self.0.applied + 1;
        apply(&mut self.0, index, command)
    }

    fn done(&mut self, command: Command) -> &mut Self {
        let outcome = self.ask(command.clone());
        assert!(outcome.is_done(), "{command:?}: {outcome:?}");
        self
    }

    /// The command of that row, as it fits here.
    fn go(&mut self, name: &str) -> &mut Self {
        let row = commands::all().into_iter().find(|row| row.name == name).unwrap_or_else(|| panic!("no row {name}"));
        self.done((row.command)(&self.0))
    }

    fn times(&mut self, name: &str, times: u8) -> &mut Self {
        (0..times).for_each(|_| {
            self.go(name);
        });
        self
    }

    /// A stop that comes back by itself, whole; of its members the first ones are back, and have loaded.
    fn stopped(back: u8, transient: bool) -> Self {
        let mut cluster = Self::running();
        let op = OperationId { seq: 1, random: "x".into() };
        cluster.done(Command::Begin { op, requested_by: "t".into(), accepted: Vec::new(), transient });
        cluster.go("Freeze").go("Terminal").go("Quiesced").times("Sealed", MEMBERS).go("Commit");
        cluster.comes(back);
        cluster
    }

    fn crashed(back: u8) -> Self {
        let mut cluster = Self::running();
        cluster.comes(back);
        cluster
    }

    fn comes(&mut self, back: u8) {
        self.go("Recover with every boot later").times("Rejoined", back).times("Loaded", back);
    }

    fn refused(&mut self, members: &BTreeSet<MemberId>, consent: Digest) -> Refused {
        let before = self.0.clone();
        match self.ask(Command::GoOnWithout { members: members.clone(), consent }) {
            Outcome::Refused(refused) => {
                self.0.applied = before.applied;
                assert_eq!(self.0, before, "a refusal changes nothing");
                refused
            }
            done => panic!("not refused: {done:?}"),
        }
    }

    fn consent(&mut self, members: &BTreeSet<MemberId>) -> Loss {
        let loss = preview(&self.0, members).unwrap();
        self.done(Command::GoOnWithout { members: members.clone(), consent: loss.digest() });
        loss
    }

    /// All that are left open the next generation.
    fn opens(&mut self) {
        let ClusterState::Activating { generation, .. } = self.0.state else { panic!("{:?}", self.0.state) };
        for (member, entry) in self.0.roster.clone() {
            self.done(Command::Opened { member, boot: entry.boot, generation });
        }
    }
}

fn last() -> BTreeSet<MemberId> {
    BTreeSet::from([member(MEMBERS - 1)])
}

fn why(machine: &Machine, members: &BTreeSet<MemberId>) -> String {
    preview(machine, members).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[test]
fn after_a_stop_nothing_is_missing_and_the_stop_is_done() {
    let mut cluster = Cluster::stopped(MEMBERS - 1, true);
    let op = cluster.0.operations.values().next().unwrap().id.clone();
    let loss = cluster.consent(&last());
    assert_eq!((loss.perhaps_newer, loss.jobs.len(), loss.stopped_by), (0, 0, Some(op.clone())));
    let snapshot = cluster.0.jobs.values().next().unwrap().snapshot.clone();
    cluster.done(Command::Activate { op: op.clone(), sealed_generation: cluster.0.generation, wishes: Vec::new() });
    for entry in &cluster.0.table.partitions {
        assert!(!entry.replicas.is_empty() && entry.replicas.iter().all(|copy| copy.member != member(MEMBERS - 1)));
        assert!(entry.replicas.iter().all(|copy| copy.synced && copy.boot == Boot(2)), "{entry:?}");
    }
    cluster.opens();
    assert_eq!((&cluster.0.state, cluster.0.generation), (&ClusterState::Active, Generation(2)));
    assert_eq!(cluster.0.operation(&op).unwrap().step, OperationStep::Activated);
    cluster.done(Command::Open { op });
    let job = cluster.0.jobs.values().next().unwrap();
    assert_eq!((job.status, &job.snapshot), (JobStatus::Starting, &snapshot), "it goes on exactly");
    cluster.done(Command::SetState { state: Settled::Frozen, absent: Vec::new() });
}

#[test]
fn a_primary_that_is_given_up_is_followed_by_another_installation() {
    let mut cluster = Cluster::stopped(MEMBERS - 1, true);
    let led: Vec<bool> =
        cluster.0.table.partitions.iter().map(|entry| entry.primary().unwrap().member == member(MEMBERS - 1)).collect();
    assert!(led.contains(&true) && led.contains(&false), "{led:?}");
    cluster.consent(&last());
    let op = cluster.0.operations.values().next().unwrap().id.clone();
    cluster.done(Command::Activate { op, sealed_generation: cluster.0.generation, wishes: Vec::new() });
    let version = cluster.0.table.version;
    for (entry, led) in cluster.0.table.partitions.iter().zip(led) {
        assert_eq!(entry.installed == version, led, "{entry:?}");
    }
}

#[test]
fn who_comes_back_makes_the_consent_void() {
    for mut cluster in [Cluster::stopped(MEMBERS - 1, true), Cluster::crashed(MEMBERS - 1)] {
        let consent = preview(&cluster.0, &last()).unwrap().digest();
        let wrong = cluster.refused(&last(), Digest("yes".into()));
        assert!(matches!(&wrong, Refused::ConsentDiffers { known, .. } if *known == consent), "{wrong}");
        cluster.go("Rejoined");
        let back = cluster.refused(&last(), consent.clone());
        assert!(matches!(back, Refused::ConsentDiffers { .. }), "{back}");
        let others = BTreeSet::from([member(0), member(MEMBERS - 1)]);
        let more = cluster.refused(&others, consent);
        assert!(matches!(more, Refused::NotGivenUp { .. } | Refused::ConsentDiffers { .. }), "{more}");
    }
    // Of another crash than the one that it was given for.
    let mut cluster = Cluster::crashed(MEMBERS - 1);
    let consent = preview(&cluster.0, &last()).unwrap().digest();
    cluster.go("Rejoined").go("Loaded").done(Command::RecoverTable {});
    cluster.times("Synced", u8::try_from(PARTITIONS).unwrap()).done(Command::SelfActivate {});
    cluster.opens();
    cluster.comes(MEMBERS - 1);
    assert!(matches!(cluster.refused(&last(), consent), Refused::ConsentDiffers { .. }));
}

#[test]
fn everybody_else_is_back_and_has_loaded() {
    let mut cluster = Cluster::stopped(MEMBERS - 2, true);
    assert!(why(&cluster.0, &last()).contains("is not back"));
    cluster.go("Rejoined");
    assert!(why(&cluster.0, &last()).contains("has not loaded"));
    cluster.go("Loaded");
    preview(&cluster.0, &last()).unwrap();
    assert!(why(&cluster.0, &BTreeSet::new()).contains("no member is named"));
    assert!(why(&cluster.0, &BTreeSet::from([member(9)])).contains("not of the roster"));
    let all = (0..MEMBERS).map(member).collect();
    assert!(why(&cluster.0, &all).contains("nobody would be left"));
    assert!(why(&Cluster::running().0, &last()).contains("no member is waited for"));
}

#[test]
fn a_partition_that_lies_only_there_is_not_given_up() {
    // Two of three members hold all copies of some partition.
    let two = BTreeSet::from([member(1), member(2)]);
    let sealed = Cluster::stopped(1, true);
    let told = preview(&sealed.0, &two).unwrap_err();
    assert!(told.iter().any(|reason| matches!(reason, Reason::OnlyThere { .. })), "{told:?}");
    // After a crash: nobody else was in step, whatever lies on the others' disks.
    let mut crashed = Cluster::crashed(MEMBERS - 1);
    for copy in &mut crashed.0.table.partitions[1].replicas {
        copy.synced = copy.member == member(MEMBERS - 1);
    }
    let told = preview(&crashed.0, &last()).unwrap_err();
    assert_eq!(told, vec![Reason::OnlyThere { count: 1, first: PartitionId(1) }]);
    crashed.0.table.partitions[1].replicas.clear();
    assert!(preview(&crashed.0, &last()).is_err(), "who had it last is not known");
    // In step, and lost with the process: half a copy is none.
    let mut crashed = Cluster::crashed(MEMBERS - 1);
    let ClusterState::Recovering { rejoined, .. } = &mut crashed.0.state else { panic!() };
    for rejoin in rejoined.values_mut() {
        rejoin.store.partitions[1] = Some(Version { installed: TableVersion(0), seq: 0 });
    }
    assert_eq!(preview(&crashed.0, &last()).unwrap_err(), vec![Reason::OnlyThere { count: 1, first: PartitionId(1) }]);
}

#[test]
fn after_a_crash_a_job_with_a_snapshot_is_held() {
    let mut cluster = Cluster::running();
    cluster.go("Durable");
    assert!(cluster.0.jobs.values().next().unwrap().snapshot.is_some());
    cluster.comes(MEMBERS - 1);
    let loss = cluster.consent(&last());
    assert!(loss.perhaps_newer > 0 && loss.jobs.len() == 1 && loss.jobs[0].held, "{loss:?}");
    cluster.done(Command::RecoverTable {});
    assert!(cluster.0.table.absent().is_empty());
    assert_eq!(cluster.0.jobs.values().next().unwrap().status, JobStatus::Held);
}

#[test]
fn two_consents_are_judged_together() {
    let mut cluster = Cluster::stopped(MEMBERS - 1, true);
    let consent = preview(&cluster.0, &last()).unwrap().digest();
    cluster.consent(&last());
    // Of some partition all copies lay with these two.
    let other = cluster.0.table.partitions.iter().find(|entry| entry.replica(member(MEMBERS - 1)).is_some());
    let other = other.unwrap().replicas.iter().find(|copy| copy.member != member(MEMBERS - 1)).unwrap().member;
    let told = preview(&cluster.0, &BTreeSet::from([other])).unwrap_err();
    assert!(told.iter().any(|reason| matches!(reason, Reason::OnlyThere { .. })), "{told:?}");
    assert!(!cluster.ask(Command::GoOnWithout { members: BTreeSet::from([other]), consent }).is_done());
}

#[test]
fn what_is_loaded_by_another_process_is_another_loss() {
    let mut cluster = Cluster::crashed(MEMBERS - 1);
    let consent = preview(&cluster.0, &last()).unwrap().digest();
    let ClusterState::Recovering { rejoined, .. } = &mut cluster.0.state else { panic!() };
    rejoined.values_mut().next().unwrap().boot = Boot(9);
    assert!(matches!(cluster.refused(&last(), consent), Refused::ConsentDiffers { .. }));
}

#[test]
fn after_a_crash_copies_are_filled_among_those_that_stay_before_anything_runs() {
    let mut cluster = Cluster::crashed(MEMBERS - 1);
    cluster.consent(&last());
    cluster.done(Command::RecoverTable {});
    assert!(!cluster.ask(Command::SelfActivate {}).is_done(), "each partition has one copy");
    cluster.times("Synced", u8::try_from(PARTITIONS).unwrap()).done(Command::SelfActivate {});
    cluster.opens();
    assert_eq!(cluster.0.state, ClusterState::Active);
}

#[test]
fn who_was_given_up_is_of_no_cluster_any_more() {
    let mut cluster = Cluster::crashed(MEMBERS - 1);
    let rejoined = cluster.0.clone();
    cluster.consent(&last());
    // It comes with all that it has.
    let row = commands::all().into_iter().find(|row| row.name == "Rejoined").unwrap();
    let late = cluster.ask((row.command)(&rejoined));
    assert!(matches!(late, Outcome::Refused(Refused::UnknownMember { .. })), "{late:?}");
    let boot = Command::Boot { member: member(MEMBERS - 1), boot: Boot(9), volume_id: "v".into() };
    assert!(matches!(cluster.ask(boot), Outcome::Refused(_)));
    assert!(cluster.0.membership.left.contains_key(&member(MEMBERS - 1)));
    let again = cluster.ask(Command::GoOnWithout { members: last(), consent: Digest::default() });
    assert!(matches!(again, Outcome::Done { what, .. } if what == jet_core::outcome::ALREADY));
}

#[test]
fn who_is_given_up_does_not_vote() {
    let mut cluster = Cluster::crashed(MEMBERS - 1);
    let changes = cluster.0.voters.changes;
    cluster.consent(&last());
    assert_eq!(cluster.0.voting_members(), (0..MEMBERS - 1).map(member).collect());
    assert_eq!(cluster.0.voters.changes, changes + 1);
}

#[test]
fn a_stop_that_somebody_else_carries_out_is_theirs() {
    let cluster = Cluster::stopped(MEMBERS - 1, false);
    assert!(why(&cluster.0, &last()).contains("is carried out by whoever asked for it"));
}

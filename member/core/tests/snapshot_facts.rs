//! Which snapshots count, and which are waited for.
//!
//! Law: EXACT: a crash or a seal closes executions, and the choice of a recovery is final, also when the first engine
//! after it falls before anything was cut back. STOP: what a job published is under a fact before it is sealed. Must not
//! know: the map.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use jet_core::command::RuntimeWish;
use jet_core::recovery::HeldEpoch;
use jet_core::report::{ContentsReport, EpochReport, MemberReport, Observations, Observed};
use jet_core::roster::{Founder, RosterEntry};
use jet_core::{
    Boot, Command, Digest, Epoch, ExecutionId, FoundingId, Generation, Guarantee, Job, JobId, JobStatus, Machine,
    MemberId, OperationId, Outcome, PartitionContent, PartitionId, SnapshotRecord, SnapshotRef, StoreReport,
    TableVersion, Verdict, Version, Wish, apply, supervisor,
};

const PARTITIONS: u16 = 3;
const MEMBERS: u128 = 2;

fn member(n: u128) -> MemberId {
    MemberId(uuid::Uuid::from_u128(n))
}

struct World {
    machine: Machine,
    index: u64,
    boot: Boot,
}

impl World {
    /// Two members, one job in its first execution, epoch 56 durable everywhere.
    fn with_durable_56() -> Self {
        let mut world = World { machine: Machine::default(), index: 0, boot: Boot(1) };
        let founder = |n: u128| Founder {
            member: member(n),
            entry: RosterEntry { ordinal: n as u32, boot: Boot(1), volume_id: format!("v{n}"), log_line: 1 },
        };
        world.does(Command::Found {
            id: FoundingId::default(),
            members: (0..MEMBERS).map(founder).collect(),
            partition_count: PARTITIONS,
            backup_count: 1,
            permit_digest: Digest::default(),
        });
        world.opens(1);
        world.does(Command::Submit {
            name: "j".into(),
            sql: String::new(),
            guarantee: Guarantee::ExactlyOnce,
            interval_ms: 1,
            plan: String::new(),
            fingerprint: String::new(),
        });
        world.runs(None);
        world.does(durable(1, 56));
        world
    }

    fn try_(&mut self, command: Command) -> Outcome {
        self.index += 1;
        apply(&mut self.machine, self.index, command)
    }

    fn does(&mut self, command: Command) {
        match self.try_(command.clone()) {
            Outcome::Done { .. } => {}
            Outcome::Refused(refused) => panic!("{command:?}: {refused}"),
        }
    }

    fn refuses(&mut self, command: Command) {
        assert!(matches!(self.try_(command.clone()), Outcome::Refused(_)), "{command:?} is not refused");
    }

    fn opens(&mut self, generation: u64) {
        for n in 0..MEMBERS {
            self.does(Command::Opened { member: member(n), boot: self.boot, generation: Generation(generation) });
        }
    }

    fn job(&self) -> &Job {
        &self.machine.jobs[&JobId(1)]
    }

    fn runtime(&self, restore: Option<SnapshotRef>) -> Command {
        Command::Runtime {
            fence: self.machine.fence,
            members: (0..MEMBERS).map(member).collect(),
            jobs: vec![RuntimeWish { job: JobId(1), restore }],
            workers: 0,
        }
    }

    fn runs(&mut self, restore: Option<SnapshotRef>) {
        self.does(self.runtime(restore));
    }

    fn falls(&mut self) {
        self.does(Command::RuntimeLost { number: self.machine.last_runtime, cause: "t".into() });
    }

    /// Power loss of all; member 0 has a file of epoch 57 beside that of 56.
    fn crashes(&mut self) {
        self.boot = Boot(self.boot.0 + 1);
        let (boot, generation) = (self.boot, self.machine.generation);
        self.does(Command::Recover { observed: (0..MEMBERS).map(|n| (member(n), boot)).collect() });
        for n in 0..MEMBERS {
            let held = |epoch| HeldEpoch { job: JobId(1), execution: ExecutionId(1), epoch: Epoch(epoch) };
            let store = StoreReport {
                generation,
                seal: None,
                partitions: vec![Some(Version { installed: TableVersion(1), seq: 7 }); usize::from(PARTITIONS)],
                epochs: if n == 0 { vec![held(56), held(57)] } else { vec![held(56)] },
                restored: None,
            };
            self.does(Command::Rejoined { member: member(n), boot, volume_id: format!("v{n}"), store });
            self.does(Command::Loaded { member: member(n), boot, content_digest: Digest::default() });
        }
        self.does(Command::RecoverTable {});
        let unsynced: Vec<_> = self
            .machine
            .table
            .entries()
            .flat_map(|(p, e)| e.replicas.iter().filter(|r| !r.synced).map(move |r| (p, r.member, e.changed)))
            .collect();
        for (partition, member, table_version) in unsynced {
            self.does(Command::Synced { partition, member, boot, table_version });
        }
        self.does(Command::SelfActivate {});
        self.opens(generation.0 + 1);
    }

    /// Everybody is here, final as of now; member 0 tells of these commits.
    fn observed(&self, committed: &[(u64, u64)], flushed: &[(u64, u64)]) -> Observations {
        let told = |points: &[(u64, u64)]| points.iter().map(|(execution, epoch)| report(*execution, *epoch)).collect();
        let observed = |n: u128| Observed {
            heard_ms_ago: 0,
            boot: self.boot,
            volume_id: format!("v{n}"),
            report: MemberReport {
                committed_at: self.machine.applied,
                committed: if n == 0 { told(committed) } else { Vec::new() },
                flushed: told(flushed),
                ..MemberReport::default()
            },
        };
        Observations {
            members: (0..MEMBERS).map(|n| (member(n), observed(n))).collect(),
            leader_for_ms: 60_000,
            ..Observations::default()
        }
    }

    fn freezes(&mut self) -> OperationId {
        let op = OperationId { seq: 1, random: "x".into() };
        self.does(Command::Begin { op: op.clone(), requested_by: "t".into(), accepted: vec![], transient: false });
        self.does(Command::Freeze { op: op.clone(), commit_within_ms: 1_000 });
        op
    }

    /// From Freeze to a return that only has to be opened.
    fn stops_and_activates(&mut self, op: &OperationId, wishes: Vec<Wish>) {
        let content = |p| PartitionContent {
            partition: PartitionId(p),
            version: Version { installed: TableVersion(1), seq: 9 },
            entries: 1,
            digest: Digest::default(),
        };
        self.does(Command::Quiesced { op: op.clone(), attempt: 1, contents: (0..PARTITIONS).map(content).collect() });
        for n in 0..MEMBERS {
            let seal = self.seal(op, n);
            self.does(Command::Sealed { op: op.clone(), attempt: 1, member: member(n), seal });
        }
        self.does(Command::Commit { op: op.clone(), roster_digest: jet_core::view::roster_digest(&self.machine) });
        self.boot = Boot(2);
        self.does(Command::Recover { observed: BTreeMap::from([(member(0), Boot(2))]) });
        for n in 0..MEMBERS {
            self.comes_back(op, n);
        }
        self.does(Command::Activate { op: op.clone(), sealed_generation: Generation(1), wishes });
    }

    fn seal(&self, op: &OperationId, n: u128) -> jet_core::SealRecord {
        let quiesced = self.machine.operation(op).unwrap().quiesced.as_ref().unwrap();
        jet_core::SealRecord {
            boot: Boot(1),
            volume_id: format!("v{n}"),
            generation: Generation(1),
            digest: Digest(format!("d{n}")),
            content_digest: quiesced.members[&member(n)].clone(),
            quiesced_index: quiesced.index,
            entries: 1,
            bytes: 1,
        }
    }

    /// With what it sealed, under the present boot.
    fn comes_back(&mut self, op: &OperationId, n: u128) {
        let (sealed, boot) = (self.seal(op, n), self.boot);
        let seal = jet_core::recovery::StoreSeal {
            generation: Generation(1),
            operation: op.clone(),
            attempt: 1,
            digest: sealed.digest,
            content_digest: sealed.content_digest.clone(),
        };
        let store = StoreReport {
            generation: Generation(1),
            seal: Some(seal),
            partitions: vec![],
            epochs: vec![],
            restored: None,
        };
        self.does(Command::Rejoined { member: member(n), boot, volume_id: format!("v{n}"), store });
        self.does(Command::Loaded { member: member(n), boot, content_digest: sealed.content_digest });
    }

    /// The same, with equal contents of everybody.
    fn still(&self, op: &OperationId, committed: &[(u64, u64)], flushed: &[(u64, u64)]) -> Observations {
        let mut observations = self.observed(committed, flushed);
        let counted = jet_core::view::counted_snapshots(&self.machine);
        for (member, observed) in &mut observations.members {
            let content = |partition: PartitionId| PartitionContent {
                partition,
                version: Version { installed: TableVersion(1), seq: 9 },
                entries: 1,
                digest: Digest::default(),
            };
            observed.report.contents = Some(ContentsReport {
                op: op.clone(),
                attempt: self.machine.operation(op).unwrap().attempt,
                table_version: self.machine.table.version,
                counted: counted.clone(),
                contents: self.machine.table.held_by(*member).into_iter().map(content).collect(),
            });
        }
        observations
    }

    /// What the next engine would go on from.
    fn planned(&self, committed: &[(u64, u64)]) -> Option<(u64, u64)> {
        let commands = supervisor::plan(&self.machine, &self.observed(committed, &[]));
        let wishes = commands.iter().find_map(|command| match command {
            Command::Runtime { jobs, .. } => Some(jobs),
            _ => None,
        });
        wishes.expect("a runtime is planned")[0].restore.as_ref().map(|r| (r.execution.0, r.epoch.0))
    }
}

fn record() -> SnapshotRecord {
    SnapshotRecord { bytes: 1, rows_read: 1, digest: Digest("d".into()), table_version: TableVersion(1) }
}

fn report(execution: u64, epoch: u64) -> EpochReport {
    EpochReport { job: JobId(1), execution: ExecutionId(execution), epoch: Epoch(epoch), record: record() }
}

fn durable(execution: u64, epoch: u64) -> Command {
    Command::Durable { job: JobId(1), execution: ExecutionId(execution), epoch: Epoch(epoch), record: record() }
}

fn terminal(op: &OperationId, epoch: u64, record: SnapshotRecord) -> Command {
    Command::Terminal { op: op.clone(), job: JobId(1), execution: ExecutionId(1), epoch: Epoch(epoch), record }
}

/// The disks are faster than the counting again: the stop waited for a terminal snapshot that could not come any more.
#[test]
fn a_snapshot_is_durable_and_terminal_in_either_order() {
    let facts = |durable_first: bool| {
        let mut world = World::with_durable_56();
        let op = world.freezes();
        let terminal = terminal(&op, 57, record());
        let commands = if durable_first { [durable(1, 57), terminal] } else { [terminal, durable(1, 57)] };
        commands.into_iter().for_each(|command| world.does(command));
        assert!(world.job().has_terminal(&op), "{:?}", world.job());
        let mut job = world.job().clone();
        for snapshot in [&mut job.snapshot, &mut job.durable] {
            snapshot.as_mut().unwrap().index = 0;
        }
        job
    };
    assert_eq!(facts(true), facts(false));
}

#[test]
fn what_is_durable_becomes_terminal_only_with_the_content_that_it_has() {
    let mut world = World::with_durable_56();
    let op = world.freezes();
    world.does(durable(1, 57));
    world.refuses(terminal(&op, 57, SnapshotRecord { digest: Digest("other".into()), ..record() }));
    world.refuses(terminal(&op, 56, record()));
    assert!(!world.job().has_terminal(&op));
}

#[test]
fn an_epoch_that_a_crash_left_half_is_not_gone_on_from_after_the_first_engine_fell() {
    let mut world = World::with_durable_56();
    world.crashes();
    assert_eq!(world.planned(&[(1, 57)]), Some((1, 56)));
    world.runs(world.job().snapshot.clone());
    world.falls();
    // Nothing was cut back yet: the home of the job still tells of 57.
    assert_eq!(world.planned(&[(1, 57)]), Some((1, 56)));
    world.refuses(world.runtime(Some(report(1, 57).to_ref())));
    // What the new execution commits counts, beside the leftover.
    assert_eq!(world.planned(&[(1, 57), (2, 57)]), Some((2, 57)));
    world.runs(Some(report(2, 57).to_ref()));
}

#[test]
fn a_leftover_of_a_closed_execution_never_becomes_durable() {
    let mut world = World::with_durable_56();
    world.crashes();
    world.runs(world.job().snapshot.clone());
    let planned = supervisor::plan(&world.machine, &world.observed(&[], &[(1, 57)]));
    assert!(!planned.iter().any(|command| matches!(command, Command::Durable { .. })), "{planned:?}");
    world.refuses(durable(1, 57));
    world.does(durable(2, 57));
    assert_eq!(world.job().durable.as_ref().map(SnapshotRef::position), Some((ExecutionId(2), Epoch(57))));
}

#[test]
fn a_suspended_job_with_a_leftover_holds_no_stop() {
    let mut world = World::with_durable_56();
    world.crashes();
    world.runs(world.job().snapshot.clone());
    world.falls();
    world.does(Command::Suspend { name: "j".into() });
    let op = world.freezes();
    let planned = supervisor::plan(&world.machine, &world.still(&op, &[(1, 57)], &[]));
    assert!(planned.iter().any(|command| matches!(command, Command::Quiesced { .. })), "{planned:?}");
}

#[test]
fn what_a_job_published_before_the_cluster_was_frozen_is_durable_before_a_stop_is_sealed() {
    for state in [jet_core::Settled::Frozen, jet_core::Settled::Passive] {
        let mut world = World::with_durable_56();
        world.does(Command::SetState { state, absent: vec![] });
        assert_eq!(world.job().status, JobStatus::Waiting);
        let op = world.freezes();
        let planned = supervisor::plan(&world.machine, &world.still(&op, &[(1, 60)], &[(1, 56)]));
        assert_eq!(planned, [], "60 was published and only 56 is on the disks");
        let planned = supervisor::plan(&world.machine, &world.still(&op, &[(1, 60)], &[(1, 56), (1, 60)]));
        assert_eq!(planned, [durable(1, 60)]);
        world.does(durable(1, 60));
        let planned = supervisor::plan(&world.machine, &world.still(&op, &[(1, 60)], &[(1, 56), (1, 60)]));
        assert!(planned.iter().any(|command| matches!(command, Command::Quiesced { .. })), "{planned:?}");
    }
}

#[test]
fn a_return_closes_what_was_sealed() {
    let mut world = World::with_durable_56();
    world.falls();
    world.does(Command::Suspend { name: "j".into() });
    let op = world.freezes();
    world.stops_and_activates(&op, vec![]);
    world.opens(2);
    world.does(Command::Open { op });
    world.does(Command::Resume { name: "j".into() });
    assert_eq!(world.planned(&[(1, 57)]), Some((1, 56)));
    world.runs(world.job().snapshot.clone());
    world.falls();
    assert_eq!(world.planned(&[(1, 57)]), Some((1, 56)));
    world.refuses(world.runtime(Some(report(1, 57).to_ref())));
}

#[test]
fn a_wish_changes_nothing_that_seals_are_compared_with_before_everybody_has_opened() {
    let wishes = || vec![Wish::Suspend { job: "j".into() }, Wish::Cancel { job: "j".into() }];
    let mut world = World::with_durable_56();
    world.does(Command::SetState { state: jet_core::Settled::Frozen, absent: vec![] });
    let op = world.freezes();
    let sealed_with = jet_core::view::counted_snapshots(&world.machine);
    assert_eq!(sealed_with.len(), 1);
    world.stops_and_activates(&op, wishes());
    // One falls before its Opened: everybody loads again, and is held against what was sealed.
    world.boot = Boot(3);
    world.does(Command::Recover { observed: BTreeMap::from([(member(1), Boot(3))]) });
    assert_eq!(jet_core::view::counted_snapshots(&world.machine), sealed_with);
    for n in 0..MEMBERS {
        world.comes_back(&op, n);
    }
    assert!(!world.job().ended(), "a wish of an activation that did not come about was granted");
    world.does(Command::Activate { op, sealed_generation: Generation(1), wishes: wishes() });
    assert_eq!(jet_core::view::counted_snapshots(&world.machine), sealed_with);
    world.opens(2);
    assert_eq!(world.job().status, JobStatus::Cancelled);
}

#[test]
fn wishes_are_granted_one_after_another_and_what_runs_on_is_started() {
    let cases = [
        (vec![], JobStatus::Suspended),
        (vec![Wish::Resume { job: "j".into() }], JobStatus::Starting),
        (vec![Wish::Resume { job: "j".into() }, Wish::Suspend { job: "j".into() }], JobStatus::Suspended),
        (vec![Wish::Cancel { job: "other".into() }], JobStatus::Suspended),
    ];
    for (wishes, expected) in cases {
        let mut world = World::with_durable_56();
        world.falls();
        world.does(Command::Suspend { name: "j".into() });
        let op = world.freezes();
        world.stops_and_activates(&op, wishes.clone());
        world.opens(2);
        assert_eq!(world.job().status, expected, "{wishes:?}");
    }
}

/// A stop while the job runs, and a return; the members are about to build.
fn returned() -> (World, OperationId) {
    let mut world = World::with_durable_56();
    let op = world.freezes();
    let (job, execution, epoch) = (JobId(1), ExecutionId(1), Epoch(57));
    world.does(Command::Terminal { op: op.clone(), job, execution, epoch, record: record() });
    world.stops_and_activates(&op, vec![]);
    world.opens(2);
    (world, op)
}

impl World {
    fn builds(&mut self) {
        self.does(Command::Running { number: self.machine.last_runtime });
    }

    fn fails(&mut self) {
        let (job, execution) = (JobId(1), self.job().execution);
        self.does(Command::JobFailed { job, execution, cause: "not whole".into(), progressed: false });
    }
}

#[test]
fn a_job_is_called_resumed_only_when_it_runs() {
    let (mut world, op) = returned();
    for failures in 1..=3 {
        assert_eq!(world.job().verdict, None, "before try {failures}");
        world.runs(world.job().snapshot.clone());
        assert_eq!(world.job().verdict, None, "ordered is not built");
        world.fails();
    }
    assert_eq!((world.job().status, world.job().verdict), (JobStatus::Suspended, Some(Verdict::Held)));
    // A person sees to it after all.
    world.does(Command::Open { op });
    world.does(Command::Resume { name: "j".into() });
    world.runs(world.job().snapshot.clone());
    assert_eq!(world.job().verdict, Some(Verdict::Held));
    world.builds();
    assert_eq!(world.job().verdict, Some(Verdict::Resumed));
    // What comes later is no matter of the return.
    for _ in 0..3 {
        world.fails();
        if world.job().status == JobStatus::Starting {
            world.runs(world.job().snapshot.clone());
        }
    }
    assert_eq!((world.job().status, world.job().verdict), (JobStatus::Suspended, Some(Verdict::Resumed)));
}

#[test]
fn the_verdict_is_of_what_the_job_runs_from() {
    // The engine fell before it ran; what the job had committed by then is not lost.
    let (mut world, _) = returned();
    world.runs(world.job().snapshot.clone());
    world.falls();
    world.runs(Some(report(2, 58).to_ref()));
    world.builds();
    assert_eq!(world.job().verdict, Some(Verdict::Resumed));

    // It came to its end before everybody had said that it runs.
    let (mut world, _) = returned();
    world.runs(world.job().snapshot.clone());
    world.does(Command::JobCompleted { job: JobId(1), execution: world.job().execution });
    assert_eq!(world.job().verdict, Some(Verdict::Resumed));

    let mut world = World::with_durable_56();
    world.crashes();
    world.runs(world.job().snapshot.clone());
    world.falls();
    world.runs(world.job().snapshot.clone());
    world.builds();
    assert_eq!(world.job().verdict, Some(Verdict::ResumedFromOlder));
}

#[test]
fn a_job_that_never_ran_loses_nothing_by_beginning() {
    for (runs_before, expected) in [(false, Verdict::Resumed), (true, Verdict::RestartedFromZero)] {
        let mut world = World::with_durable_56();
        let (sql, plan, fingerprint) = (String::new(), String::new(), String::new());
        let (name, guarantee) = ("none".into(), Guarantee::None);
        world.does(Command::Submit { name, sql, guarantee, interval_ms: 1, plan, fingerprint });
        let both = |world: &World| Command::Runtime {
            fence: world.machine.fence,
            members: (0..MEMBERS).map(member).collect(),
            jobs: [(1, world.job().snapshot.clone()), (2, None)]
                .map(|(job, restore)| RuntimeWish { job: JobId(job), restore })
                .into(),
            workers: 0,
        };
        world.falls();
        if runs_before {
            world.does(both(&world));
        }
        world.crashes();
        // The first life after the return falls before it is built.
        for _ in 0..2 {
            if world.machine.runtime.is_some() {
                world.falls();
            }
            world.does(both(&world));
        }
        world.builds();
        assert_eq!(world.machine.jobs[&JobId(2)].verdict, Some(expected), "ran before: {runs_before}");
    }
}

#[test]
fn a_verdict_speaks_of_one_return() {
    let (mut world, op) = returned();
    world.runs(world.job().snapshot.clone());
    world.builds();
    world.does(Command::Open { op });
    assert_eq!(world.job().verdict, Some(Verdict::Resumed));
    // 57 is not on every disk.
    world.crashes();
    assert_eq!((world.job().verdict, world.job().status), (None, JobStatus::Starting));
}

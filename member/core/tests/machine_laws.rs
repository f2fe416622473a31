//! Laws of `apply` under any commands at all, sensible or not.
//!
//! Law: what holds here holds whatever a supervisor, an operator or a member may propose. Must not know: planners.

// Dice are read digit by digit: `%` says so.
#![allow(clippy::manual_is_multiple_of)]

use std::collections::BTreeMap;

use jet_core::job::JobStatus;
use jet_core::operation::OperationStep;
use jet_core::roster::{Founder, RosterEntry};
use jet_core::voters::VOTERS_MOST;
use jet_core::{
    Boot, ClusterState, Command, Digest, Epoch, ExecutionId, FoundingId, Generation, Guarantee, JobId, Machine,
    MemberId, OperationId, Outcome, PartitionContent, PartitionId, RequestAnswer, RuntimeNumber, SealRecord, Settled,
    SnapshotRecord, StoreReport, TableVersion, Version, Wish, apply, command, recovery, safety, view,
};
use proptest::prelude::*;

const PARTITIONS: u16 = 3;

fn member(n: u8) -> MemberId {
    MemberId(uuid::Uuid::from_u128(u128::from(n % 4)))
}

fn founded() -> Machine {
    let entry =
        |n: u8| RosterEntry { ordinal: u32::from(n), boot: Boot(1), volume_id: format!("named:v{n}"), log_line: 1 };
    let members = (0..3).map(|n| Founder { member: member(n), entry: entry(n) }).collect();
    let mut machine = Machine::default();
    let found = Command::Found {
        id: FoundingId::default(),
        members,
        partition_count: PARTITIONS,
        backup_count: 1,
        permit_digest: Digest("p".into()),
    };
    assert!(apply(&mut machine, 1, found).is_done());
    machine
}

/// A command that fits the machine half of the time, so that random walks get far.
fn command(machine: &Machine, kind: u8, a: u8, b: u8, c: u8) -> Command {
    let op = match machine.open_operation() {
        Some(operation) if c % 8 > 0 => operation.id.clone(),
        _ => OperationId {
            seq: machine.highest_operation + u64::from(c % 3),
            random: if b % 4 == 0 { "y".into() } else { "x".into() },
        },
    };
    let who = member(a);
    let boot = Boot(machine.roster.get(&who).map_or(1, |entry| entry.boot.0) + u64::from(b % 2));
    let volume_id = format!("named:v{}", if c % 16 == 0 { 9 } else { a % 4 });
    let record = SnapshotRecord {
        bytes: 1,
        rows_read: u64::from(b),
        digest: Digest("s".into()),
        table_version: TableVersion(machine.table.version.0 - u64::from(c % 16 == 1)),
    };
    let (job, execution) =
        machine.jobs.values().nth(usize::from(a % 2)).map_or((JobId(1), ExecutionId(1)), |job| (job.id, job.execution));
    let name = format!("job-{}", a % 2);
    let quiesced = machine.operation(&op).and_then(|operation| operation.quiesced.clone());
    let content_digest = quiesced
        .as_ref()
        .filter(|_| c % 16 > 0)
        .and_then(|quiesced| quiesced.members.get(&who).cloned())
        .unwrap_or_default();
    let seal = machine.operation(&op).and_then(|operation| operation.seals.get(&who).cloned());
    let partition = PartitionId(u16::from(b) % PARTITIONS);
    match if c % 4 == 0 { kind % 43 } else { next_kind(machine, kind) } {
        0 => Command::Boot { member: who, boot, volume_id },
        1 => Command::Table {
            base_version: machine.table.version,
            changes: vec![command::TableChange { partition, replicas: vec![who, member(c)] }],
        },
        2 => Command::Synced {
            partition,
            member: who,
            boot: Boot(boot.0 - u64::from(b % 2)),
            table_version: machine.table.entry(partition).map(|entry| entry.changed).unwrap_or_default(),
        },
        3 => Command::SetState {
            state: [Settled::Active, Settled::NoMigration, Settled::Frozen, Settled::Passive][usize::from(b % 4)],
            absent: if c % 4 == 0 { vec![who] } else { vec![] },
        },
        4 => Command::Begin { op, requested_by: "t".into(), accepted: vec![], transient: false },
        5 | 6 => Command::Freeze { op, commit_within_ms: 1 },
        7 | 8 => Command::Terminal { op, job, execution, epoch: Epoch(u64::from(b)), record },
        9 | 10 => {
            let content = |(partition, entry): (PartitionId, &jet_core::PartitionEntry)| PartitionContent {
                partition,
                version: Version { installed: entry.installed, seq: 1 },
                entries: 1,
                digest: Digest("c".into()),
            };
            Command::Quiesced {
                op,
                attempt: 1,
                contents: machine.table.entries().map(content).take(if c % 16 == 0 { 2 } else { 3 }).collect(),
            }
        }
        11..=13 => {
            let quiesced_index = quiesced.map_or(0, |quiesced| quiesced.index);
            let seal = SealRecord {
                boot,
                volume_id,
                generation: machine.generation,
                digest: Digest(format!("d{}", a % 4)),
                content_digest,
                quiesced_index,
                entries: 1,
                bytes: 1,
            };
            Command::Sealed { op, attempt: 1, member: who, seal }
        }
        14 => Command::Commit {
            op,
            roster_digest: if c % 16 == 0 { Digest::default() } else { view::roster_digest(machine) },
        },
        15 if b % 4 == 0 => Command::Abort { op, reason: "t".into() },
        15 | 16 => {
            let wish = if b % 2 == 0 { Wish::Cancel { job: name } } else { Wish::Suspend { job: name } };
            let wishes = if c % 3 == 0 { vec![wish] } else { vec![] };
            Command::Activate { op, sealed_generation: machine.generation, wishes }
        }
        17 => Command::Open { op },
        18 => Command::Recover { observed: (0..3).map(|n| (member(n), Boot(boot.0 + u64::from(c % 8 > 0)))).collect() },
        19 | 20 => {
            let boot = Boot(seal.as_ref().map_or(boot.0, |seal| seal.boot.0.max(boot.0) + u64::from(c % 8 > 0)));
            let partitions = (0..PARTITIONS)
                .map(|p| (c % 4 > 0).then(|| Version { installed: TableVersion(1), seq: u64::from(a) + u64::from(p) }))
                .collect();
            let seal = seal.map(|seal| recovery::StoreSeal {
                generation: machine.generation,
                operation: op.clone(),
                attempt: 1,
                digest: seal.digest,
                content_digest: seal.content_digest,
            });
            Command::Rejoined {
                member: who,
                boot,
                volume_id,
                store: StoreReport { generation: machine.generation, seal, partitions, epochs: vec![], restored: None },
            }
        }
        21 | 22 => {
            let boot = if let ClusterState::Recovering { rejoined, .. } = &machine.state {
                rejoined.get(&who).map_or(boot, |rejoin| rejoin.boot)
            } else {
                boot
            };
            let content_digest = content_digest.clone();
            Command::Loaded { member: who, boot, content_digest }
        }
        23 => Command::RecoverTable {},
        24 => Command::SelfActivate {},
        25 | 26 => {
            let generation = Generation(machine.generation.0 + u64::from(c % 8 > 0));
            Command::Opened { member: who, boot: Boot(boot.0 - u64::from(b % 2)), generation }
        }
        27 if b % 3 == 0 => Command::Submit {
            name,
            sql: String::new(),
            guarantee: Guarantee::ExactlyOnce,
            interval_ms: 1,
            plan: String::new(),
            fingerprint: String::new(),
        },
        27 if b % 3 == 1 => Command::Suspend { name },
        27 => Command::Resume { name },
        28 => {
            let wishes = machine
                .jobs
                .values()
                .filter(|job| job.wants_to_run())
                .map(|job| command::RuntimeWish { job: job.id, restore: job.snapshot.clone().filter(|_| c % 8 > 0) });
            let members = (0..3).map(member).collect();
            Command::Runtime { fence: machine.fence, members, jobs: wishes.collect(), workers: 0 }
        }
        29 if b % 2 == 0 => Command::Running { number: machine.last_runtime },
        29 => Command::RuntimeLost { number: RuntimeNumber(machine.last_runtime.0), cause: "t".into() },
        31 => Command::RequestStop { nonce: format!("n{}", b % 8), requested_by: "t".into() },
        32 => {
            let asked = machine.stop_request.as_ref().map_or(1, |request| request.asked) - u64::from(c % 8 == 0);
            Command::AnswerRequest { asked, answer: RequestAnswer { taken_up: b % 2 == 0, why: "t".into() } }
        }
        33 => Command::Voters {
            base: machine.voters.changes - u64::from(c % 8 == 0 && machine.voters.changes > 0),
            add: (b % 3 > 0).then_some(who),
            remove: (b % 3 < 2).then_some(member(c)),
        },
        34 => {
            let line = machine.roster.get(&who).map_or(1, |entry| entry.log_line);
            Command::NewLine { member: who, line: line + u64::from(b % 4 > 0), lost: line - u64::from(c % 8 == 0) }
        }
        35..=42 => comings(machine, kind, who, boot, partition, c),
        _ if b % 2 == 0 => Command::JobFailed { job, execution, cause: "t".into(), progressed: false },
        _ => Command::Durable { job, execution, epoch: Epoch(u64::from(b)), record },
    }
}

/// Members that come and go, copies and primaries that move.
fn comings(machine: &Machine, kind: u8, who: MemberId, boot: Boot, partition: PartitionId, c: u8) -> Command {
    let entry = machine.table.entry(partition).cloned().unwrap_or_default();
    let table_version = TableVersion(entry.changed.0 - u64::from(c % 16 == 2 && entry.changed.0 > 0));
    let last = entry.replicas.last().map_or(who, |replica| replica.member);
    let moving = machine.moves.copies.get(&partition).map_or(last, |moving| moving.from);
    let leaving = machine.membership.leaving.iter().next().copied().unwrap_or(who);
    match kind % 8 {
        0 => Command::Move { partition, from: last, to: who, table_version },
        1 => Command::Moved { partition, from: if c % 8 == 0 { who } else { moving }, table_version },
        2 => Command::Releasing { partition, to: last, table_version },
        3 => {
            let primary = entry.primary().filter(|_| c % 8 > 0).map_or((who, boot), |p| (p.member, p.boot));
            Command::Released { partition, member: primary.0, boot: primary.1, table_version }
        }
        4 => Command::KeepPrimary { partition, table_version },
        5 => {
            let ordinal = u32::from(c % 5);
            let entry = RosterEntry { ordinal, boot: Boot(1), volume_id: "v".into(), log_line: 1 };
            let opened = Generation(u64::from(c % 16 == 0));
            Command::Admit { member: Founder { member: who, entry }, opened, permit_digest: Digest::default() }
        }
        6 => Command::Leave { member: who },
        _ => Command::Left { member: leaving },
    }
}

/// Kinds that lead on from here; without them hardly a walk would see a Commit.
fn next_kind(machine: &Machine, kind: u8) -> u8 {
    let committed = machine.open_operation().is_some_and(|operation| operation.step == OperationStep::Committed);
    let kinds: &[u8] = match &machine.state {
        ClusterState::Activating { .. } => &[25],
        ClusterState::Recovering { .. } => &[19, 20, 21, 22, 23, 2, 24, 16],
        ClusterState::InTransition { .. } => &[7, 8, 9, 10, 29],
        ClusterState::Passive { held_by: Some(_) } if committed => &[18],
        ClusterState::Passive { held_by: Some(_) } => &[11, 12, 13, 14],
        _ => &[2, 4, 5, 6, 17, 27, 28, 29, 3, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 25],
    };
    kinds[usize::from(kind) % kinds.len()]
}

#[derive(Default)]
struct Seen {
    decided: BTreeMap<u64, OperationStep>,
    led: BTreeMap<(PartitionId, TableVersion), MemberId>,
}

fn hold(before: &Machine, machine: &Machine, seen: &mut Seen, command: &Command) {
    assert!(machine.generation == before.generation || machine.generation == before.generation.next(), "{command:?}");
    assert!(machine.table.version >= before.table.version);
    for (partition, entry) in machine.table.entries() {
        let Some(primary) = entry.primary() else { continue };
        assert!(primary.synced, "{command:?}: {entry:?}");
        assert_eq!(
            *seen.led.entry((partition, entry.installed)).or_insert(primary.member),
            primary.member,
            "{command:?}: two primaries of one installation"
        );
    }
    for operation in machine.operations.values() {
        let decision = match operation.step {
            OperationStep::Aborted => OperationStep::Aborted,
            step if step >= OperationStep::Committed => OperationStep::Committed,
            _ => continue,
        };
        assert_eq!(
            *seen.decided.entry(operation.id.seq).or_insert(decision),
            decision,
            "{command:?}: Commit and Abort"
        );
        // Of who came or went since, an ended one knows nothing.
        if decision == OperationStep::Committed && operation.step.is_open() {
            assert_eq!(operation.seals.len(), machine.roster.len());
        }
    }
    let left = matches!(before.state, ClusterState::Recovering { .. })
        && !matches!(machine.state, ClusterState::Recovering { .. });
    if let (true, ClusterState::Recovering { rejoined, loaded, .. }) = (left, &before.state) {
        assert!(
            machine.joined().all(|(member, _)| rejoined.contains_key(member) && loaded.contains(member)),
            "{command:?} left recovery incomplete"
        );
        assert!(matches!(machine.state, ClusterState::Activating { .. }));
    }
    if let (ClusterState::Activating { opened, .. }, true) = (&before.state, machine.state.settled().is_some()) {
        let opener = opener(command);
        let all = before.joined().all(|(member, _)| opened.contains_key(member) || *member == opener);
        assert!(all, "{command:?}");
        assert_eq!(machine.generation, before.generation.next());
    }
    if let ClusterState::Activating { op: Some(_), .. } = &machine.state {
        assert_eq!(view::counted_snapshots(machine), view::counted_snapshots(before), "{command:?}: seals fit no more");
    }
    let stopped = matches!(
        machine.state,
        ClusterState::Recovering { .. } | ClusterState::Activating { .. } | ClusterState::Passive { .. }
    );
    let runs = |job: &jet_core::Job| matches!(job.status, JobStatus::Running | JobStatus::Starting);
    assert!(
        !stopped || (machine.runtime.is_none() && !machine.jobs.values().any(runs)),
        "{command:?}: a job runs while {}",
        machine.state
    );
    let voters = machine.voting_members();
    assert!((1..=VOTERS_MOST).contains(&voters.len()), "{command:?}: {voters:?}");
    assert!(voters.iter().all(|voter| machine.roster.contains_key(voter)), "{command:?}: {voters:?}");
    let (came, went) =
        (voters.difference(&before.voting_members()).count(), before.voting_members().difference(&voters).count());
    assert!(came <= 1 && went <= 1, "{command:?}: {came} came and {went} went");
    one_request_once(before, machine, command);
    moves_keep_copies(before, machine, command);
    for (id, job) in &machine.jobs {
        let known = before.jobs.get(id).and_then(|job| job.snapshot.as_ref()).map(jet_core::SnapshotRef::position);
        let now = job.snapshot.as_ref().map(jet_core::SnapshotRef::position);
        assert!(now >= known || matches!(command, Command::RecoverTable {}), "{command:?}: a snapshot fact went back");
    }
}

/// Nothing but a loss takes a copy that counts, and a move only one too many.
fn moves_keep_copies(before: &Machine, machine: &Machine, command: &Command) {
    let quiet = machine.state == ClusterState::Active && machine.open_operation().is_none();
    assert!(quiet || machine.moves.releasing.is_empty(), "{command:?}: a hand-over while {}", machine.state);
    let ordinals: std::collections::BTreeSet<_> = machine.roster.values().map(|entry| entry.ordinal).collect();
    assert_eq!(ordinals.len(), machine.roster.len(), "{command:?}: two members of one number");
    for (partition, entry) in machine.table.entries() {
        let was = before.table.entry(partition).map_or(0, |entry| entry.replicas.len());
        assert!(entry.replicas.len() <= was.max(machine.copies_wanted() + 1), "{command:?}: {entry:?}");
        let outside = entry.replicas.iter().find(|replica| !machine.roster.contains_key(&replica.member));
        assert!(outside.is_none(), "{command:?}: {outside:?} has a place and is no member");
        if let Command::Move { .. } | Command::Moved { .. } | Command::Released { .. } | Command::Releasing { .. } =
            command
        {
            let least = before.in_step_without(partition, None).min(machine.copies_wanted());
            assert!(machine.in_step_without(partition, None) >= least, "{command:?}: {entry:?}");
        }
    }
}

/// A stop that was asked for waits beside no operation, and what was answered stays answered.
fn one_request_once(before: &Machine, machine: &Machine, command: &Command) {
    let waits = machine.waiting_request();
    assert!(waits.is_none() || machine.open_operation().is_none(), "{command:?}: a request waits beside an operation");
    let Some(known) = before.stop_request.as_ref() else { return };
    let Some(now) = machine.stop_request.as_ref() else { panic!("{command:?}: a request is forgotten") };
    let kept = now.asked == known.asked && (known.waits() || now == known);
    assert!(kept || now.asked > known.asked && !known.waits(), "{command:?}: {known:?} became {now:?}");
}

fn opener(command: &Command) -> MemberId {
    if let Command::Opened { member, .. } = command { *member } else { member(3) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_commands_keep_the_laws(steps in prop::collection::vec(any::<(u8, u8, u8, u8)>(), 1..400)) {
        let mut machine = founded();
        let mut twin = machine.clone();
        let mut seen = Seen::default();
        for (i, (kind, a, b, c)) in steps.into_iter().enumerate() {
            let index = i as u64 + 2;
            let command = command(&machine, kind, a, b, c);
            let before = machine.clone();
            let outcome = apply(&mut machine, index, command.clone());
            if let Outcome::Refused(refused) = &outcome {
                let unchanged = Machine { applied: index, ..before.clone() };
                prop_assert_eq!(&machine, &unchanged, "{:?} was refused and changed something", command);
                prop_assert!(!refused.to_string().is_empty());
            }
            hold(&before, &machine, &mut seen, &command);
            // Over the log as it is written, and on another member.
            let text = serde_json::to_string(&command).map_err(|e| TestCaseError::fail(e.to_string()))?;
            let read: Command = serde_json::from_str(&text).map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert_eq!(&read, &command);
            apply(&mut twin, index, read);
            prop_assert_eq!(view::machine_digest(&twin), view::machine_digest(&machine));
        }
        let text = serde_json::to_string(&machine).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let read: Machine = serde_json::from_str(&text).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(read, machine);
    }
}

/// The whole way once, so that the walks above are known to be able to get there.
#[test]
fn a_stop_and_its_return() -> Result<(), String> {
    let mut machine = founded();
    let mut index = 1;
    let mut act = |machine: &mut Machine, command: Command| {
        index += 1;
        match apply(machine, index, command.clone()) {
            Outcome::Done { .. } => Ok(()),
            Outcome::Refused(refused) => Err(format!("{command:?}: {refused}")),
        }
    };
    for n in 0..3 {
        act(&mut machine, Command::Opened { member: member(n), boot: Boot(1), generation: Generation(1) })?;
    }
    assert_eq!(machine.state, ClusterState::Active);
    let op = OperationId { seq: 1, random: "x".into() };
    act(&mut machine, Command::Begin { op: op.clone(), requested_by: "t".into(), accepted: vec![], transient: false })?;
    act(&mut machine, Command::Freeze { op: op.clone(), commit_within_ms: 1 })?;
    let content = |p: u16| PartitionContent {
        partition: PartitionId(p),
        version: Version { installed: TableVersion(1), seq: 7 },
        entries: 7,
        digest: Digest("c".into()),
    };
    act(
        &mut machine,
        Command::Quiesced { op: op.clone(), attempt: 1, contents: (0..PARTITIONS).map(content).collect() },
    )?;
    let commit = Command::Commit { op: op.clone(), roster_digest: view::roster_digest(&machine) };
    for n in 0..3 {
        assert!(act(&mut machine, commit.clone()).is_err(), "committed with {n} seals");
        let quiesced = machine.operation(&op).and_then(|operation| operation.quiesced.clone()).ok_or("not quiesced")?;
        let content_digest = quiesced.members.get(&member(n)).cloned().unwrap_or_default();
        let seal = SealRecord {
            boot: Boot(1),
            volume_id: format!("named:v{n}"),
            generation: Generation(1),
            digest: Digest(format!("d{n}")),
            content_digest,
            quiesced_index: quiesced.index,
            entries: 7,
            bytes: 7,
        };
        act(&mut machine, Command::Sealed { op: op.clone(), attempt: 1, member: member(n), seal })?;
    }
    act(&mut machine, commit)?;
    assert!(act(&mut machine, Command::Abort { op: op.clone(), reason: "late".into() }).is_err());
    act(&mut machine, Command::Recover { observed: BTreeMap::from([(member(0), Boot(2))]) })?;
    for n in 0..3 {
        let activate = Command::Activate { op: op.clone(), sealed_generation: Generation(1), wishes: vec![] };
        assert!(act(&mut machine, activate).is_err(), "activated with {n} members");
        let content_digest = machine
            .operation(&op)
            .and_then(|o| o.quiesced.as_ref()?.members.get(&member(n)).cloned())
            .unwrap_or_default();
        let seal = recovery::StoreSeal {
            generation: Generation(1),
            operation: op.clone(),
            attempt: 1,
            digest: Digest(format!("d{n}")),
            content_digest: content_digest.clone(),
        };
        let store = StoreReport {
            generation: Generation(1),
            seal: Some(seal),
            partitions: vec![],
            epochs: vec![],
            restored: None,
        };
        let rejoined = |boot, volume: &str, store: &StoreReport| Command::Rejoined {
            member: member(n),
            boot: Boot(boot),
            volume_id: volume.into(),
            store: store.clone(),
        };
        assert!(
            act(&mut machine, rejoined(1, &format!("named:v{n}"), &store)).is_err(),
            "the sealed process itself is no return"
        );
        assert!(act(&mut machine, rejoined(2, "named:other", &store)).is_err(), "another volume is no return");
        let older = StoreReport { seal: None, ..store.clone() };
        assert!(
            act(&mut machine, rejoined(2, &format!("named:v{n}"), &older)).is_err(),
            "an unsealed store is no return"
        );
        act(&mut machine, rejoined(2, &format!("named:v{n}"), &store))?;
        assert!(
            act(
                &mut machine,
                Command::Loaded { member: member(n), boot: Boot(2), content_digest: Digest("else".into()) }
            )
            .is_err()
        );
        act(&mut machine, Command::Loaded { member: member(n), boot: Boot(2), content_digest })?;
    }
    act(&mut machine, Command::Activate { op: op.clone(), sealed_generation: Generation(1), wishes: vec![] })?;
    for n in 0..3 {
        assert_eq!(machine.generation, Generation(1));
        act(&mut machine, Command::Opened { member: member(n), boot: Boot(2), generation: Generation(2) })?;
    }
    assert_eq!((machine.state.clone(), machine.generation), (ClusterState::Active, Generation(2)));
    assert_eq!(safety::under_backed(&machine), None);
    act(&mut machine, Command::Open { op })?;
    assert!(machine.open_operation().is_none());
    Ok(())
}

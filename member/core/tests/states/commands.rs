//! One row for each command: made so that it fits the machine as well as its kind can.
//!
//! Law: a new command has a new number here, and then a row. Must not know: what becomes of it.

use std::collections::BTreeMap;

use jet_core::command::{RuntimeWish, TableChange};
use jet_core::roster::Founder;
use jet_core::{
    Boot, ClusterState, Command, Digest, Epoch, ExecutionId, Generation, Guarantee, JobId, Machine, MemberId,
    OperationId, PartitionContent, PartitionEntry, PartitionId, RequestAnswer, SealRecord, Settled, SnapshotRecord,
    StoreReport, TableVersion, Version, loss, recovery, view,
};

use super::scenes::{self, MEMBERS, PARTITIONS, member};

pub const COMMANDS: usize = 43;

/// Of its kind.
pub fn number(command: &Command) -> usize {
    match command {
        Command::Found { .. } => 0,
        Command::Boot { .. } => 1,
        Command::Table { .. } => 2,
        Command::Synced { .. } => 3,
        Command::SetState { .. } => 4,
        Command::RequestStop { .. } => 5,
        Command::AnswerRequest { .. } => 6,
        Command::Begin { .. } => 7,
        Command::Freeze { .. } => 8,
        Command::Terminal { .. } => 9,
        Command::Quiesced { .. } => 10,
        Command::Sealed { .. } => 11,
        Command::Commit { .. } => 12,
        Command::Abort { .. } => 13,
        Command::Activate { .. } => 14,
        Command::Open { .. } => 15,
        Command::Recover { .. } => 16,
        Command::Rejoined { .. } => 17,
        Command::Loaded { .. } => 18,
        Command::RecoverTable {} => 19,
        Command::SelfActivate {} => 20,
        Command::Opened { .. } => 21,
        Command::Submit { .. } => 22,
        Command::Cancel { .. } => 23,
        Command::Suspend { .. } => 24,
        Command::Resume { .. } => 25,
        Command::JobFailed { .. } => 26,
        Command::JobCompleted { .. } => 27,
        Command::Runtime { .. } => 28,
        Command::RuntimeLost { .. } => 29,
        Command::Running { .. } => 30,
        Command::Durable { .. } => 31,
        Command::Voters { .. } => 32,
        Command::NewLine { .. } => 33,
        Command::Move { .. } => 34,
        Command::Moved { .. } => 35,
        Command::Releasing { .. } => 36,
        Command::Released { .. } => 37,
        Command::KeepPrimary { .. } => 38,
        Command::Admit { .. } => 39,
        Command::Leave { .. } => 40,
        Command::Left { .. } => 41,
        Command::GoOnWithout { .. } => 42,
    }
}

/// A command and how it is written.
pub struct Row {
    /// On the page.
    pub name: &'static str,
    /// In the diagram.
    pub of: &'static str,
    pub command: fn(&Machine) -> Command,
}

fn row(name: &'static str, command: fn(&Machine) -> Command) -> Row {
    Row { name, of: name.split(' ').next().unwrap_or(name), command }
}

/// All of them.
pub fn all() -> Vec<Row> {
    let mut rows = cluster();
    rows.extend(comings());
    rows.extend(stop());
    rows.extend(way_back());
    rows.extend(jobs());
    rows
}

fn cluster() -> Vec<Row> {
    vec![
        row("Found by the same permit", |_| scenes::found("p")),
        row("Found by another permit", |_| scenes::found("other")),
        row("Boot of a later process", |machine| boot_of(machine, 1)),
        row("Boot of the recorded process", |machine| boot_of(machine, 0)),
        row("Table without a backup", |machine| table(machine, 1)),
        row("Table with another backup", |machine| table(machine, 2)),
        row("Synced", synced),
        row("SetState to ACTIVE", |_| set_state(Settled::Active)),
        row("SetState to NO_MIGRATION", |_| set_state(Settled::NoMigration)),
        row("SetState to FROZEN", |_| set_state(Settled::Frozen)),
        row("SetState to PASSIVE", |_| set_state(Settled::Passive)),
        row("Voters without one", |machine| Command::Voters {
            base: machine.voters.changes,
            add: None,
            remove: Some(member(0)),
        }),
        row("NewLine", |machine| {
            let lost = machine.roster.get(&member(0)).map_or(1, |entry| entry.log_line);
            Command::NewLine { member: member(0), line: lost + 1, lost }
        }),
        row("RequestStop", |_| Command::RequestStop { nonce: "n".into(), requested_by: "t".into() }),
        row("AnswerRequest", |machine| {
            let asked = machine.stop_request.as_ref().map_or(1, |request| request.asked);
            Command::AnswerRequest { asked, answer: RequestAnswer { taken_up: false, why: "t".into() } }
        }),
    ]
}

/// Members that come and go, copies and primaries that move; the first partition.
fn comings() -> Vec<Row> {
    vec![
        row("Admit of a blank member", |_| Command::Admit {
            member: Founder { member: member(MEMBERS), entry: scenes::entry(MEMBERS) },
            opened: Generation(0),
            permit_digest: Digest("p".into()),
        }),
        row("Opened by a member that joins", |machine| Command::Opened {
            member: member(MEMBERS),
            boot: Boot(1),
            generation: machine.generation,
        }),
        row("Leave", |machine| Command::Leave { member: goes(machine) }),
        row("Left", |machine| Command::Left { member: goes(machine) }),
        row("Move", |machine| {
            let (from, to) = moving(machine);
            Command::Move { partition: PartitionId(0), from, to, table_version: changed(machine) }
        }),
        row("Moved", |machine| {
            let from = moving(machine).0;
            Command::Moved { partition: PartitionId(0), from, table_version: changed(machine) }
        }),
        row("Releasing", |machine| {
            let to = known(machine).replicas.get(1).map_or(member(1), |replica| replica.member);
            Command::Releasing { partition: PartitionId(0), to, table_version: changed(machine) }
        }),
        row("Released", |machine| {
            let primary = known(machine).primary().copied();
            Command::Released {
                partition: PartitionId(0),
                member: primary.map_or(member(0), |primary| primary.member),
                boot: primary.map_or(Boot(1), |primary| primary.boot),
                table_version: changed(machine),
            }
        }),
        row("KeepPrimary", |machine| Command::KeepPrimary {
            partition: PartitionId(0),
            table_version: changed(machine),
        }),
    ]
}

fn known(machine: &Machine) -> PartitionEntry {
    machine.table.entry(PartitionId(0)).cloned().unwrap_or_default()
}

fn changed(machine: &Machine) -> TableVersion {
    known(machine).changed
}

/// Who joins, if somebody does: it holds nothing.
fn goes(machine: &Machine) -> MemberId {
    machine.membership.joining.iter().next().copied().unwrap_or(member(0))
}

/// The last copy, to whoever has none; or the move that is.
fn moving(machine: &Machine) -> (MemberId, MemberId) {
    if let Some(moving) = machine.moves.copies.get(&PartitionId(0)) {
        return (moving.from, moving.to);
    }
    let entry = known(machine);
    let from = entry.replicas.last().map_or(member(1), |replica| replica.member);
    let to = (0..MEMBERS).map(member).find(|other| entry.replica(*other).is_none());
    (from, to.unwrap_or(member(2)))
}

fn boot_of(machine: &Machine, later: u64) -> Command {
    let boot = Boot(known_boot(machine, member(0)).0 + later);
    Command::Boot { member: member(0), boot, volume_id: scenes::volume(0) }
}

fn known_boot(machine: &Machine, member: MemberId) -> Boot {
    machine.roster.get(&member).map_or(Boot(1), |entry| entry.boot)
}

/// The first partition's primary and others in turn, up to `copies`, but for the backup that it has.
fn table(machine: &Machine, copies: usize) -> Command {
    let known = machine.table.entry(PartitionId(0)).cloned().unwrap_or_default();
    let primary = known.primary().map_or(member(0), |primary| primary.member);
    let others = (0..MEMBERS).map(member).filter(|other| known.replica(*other).is_none());
    let replicas = std::iter::once(primary).chain(others).take(copies).collect();
    Command::Table {
        base_version: machine.table.version,
        changes: vec![TableChange { partition: PartitionId(0), replicas }],
    }
}

/// The first copy that is not in step, else one that is.
fn synced(machine: &Machine) -> Command {
    let mut copies: Vec<_> = machine
        .table
        .entries()
        .flat_map(|(partition, entry)| entry.replicas.iter().map(move |replica| (replica.synced, partition, *replica)))
        .collect();
    copies.sort_by_key(|(synced, partition, _)| (*synced, *partition));
    let first = copies.first();
    let partition = first.map_or(PartitionId(0), |(_, partition, _)| *partition);
    Command::Synced {
        partition,
        member: first.map_or(member(0), |(.., replica)| replica.member),
        boot: first.map_or(Boot(1), |(.., replica)| replica.boot),
        table_version: machine.table.entry(partition).map(|entry| entry.changed).unwrap_or_default(),
    }
}

fn set_state(state: Settled) -> Command {
    Command::SetState { state, absent: Vec::new() }
}

fn stop() -> Vec<Row> {
    vec![
        row("Begin of a new operation", |machine| Command::Begin {
            op: unknown(machine),
            requested_by: "t".into(),
            accepted: Vec::new(),
            transient: false,
        }),
        row("Begin of the present operation", |machine| Command::Begin {
            op: present(machine),
            requested_by: "t".into(),
            accepted: Vec::new(),
            transient: false,
        }),
        row("Freeze", |machine| Command::Freeze { op: present(machine), commit_within_ms: 1 }),
        row("Terminal", |machine| {
            let (job, execution) = job(machine);
            Command::Terminal { op: present(machine), job, execution, epoch: Epoch(1), record: record(machine) }
        }),
        row("Quiesced", quiesced),
        row("Sealed", sealed),
        row("Commit", |machine| Command::Commit { op: present(machine), roster_digest: view::roster_digest(machine) }),
        row("Abort of the present operation", |machine| abort(present(machine))),
        row("Abort of one that never began", |machine| abort(unknown(machine))),
        row("Activate", |machine| Command::Activate {
            op: present(machine),
            sealed_generation: machine.generation,
            wishes: Vec::new(),
        }),
        row("Open", |machine| Command::Open { op: present(machine) }),
    ]
}

/// The last one.
fn present(machine: &Machine) -> OperationId {
    let known = machine.operations.values().next_back().map(|operation| operation.id.clone());
    known.unwrap_or(OperationId { seq: 1, random: "x".into() })
}

fn unknown(machine: &Machine) -> OperationId {
    OperationId { seq: machine.highest_operation + 1, random: "x".into() }
}

fn abort(op: OperationId) -> Command {
    Command::Abort { op, reason: "t".into() }
}

fn job(machine: &Machine) -> (JobId, ExecutionId) {
    machine.jobs.values().next().map_or((JobId(1), ExecutionId(1)), |job| (job.id, job.execution))
}

fn record(machine: &Machine) -> SnapshotRecord {
    SnapshotRecord { bytes: 1, rows_read: 1, digest: Digest("s".into()), table_version: machine.table.version }
}

fn quiesced(machine: &Machine) -> Command {
    let known = machine.operation(&present(machine)).and_then(|operation| operation.quiesced.clone());
    let content = |(partition, entry): (PartitionId, &PartitionEntry)| PartitionContent {
        partition,
        version: Version { installed: entry.installed, seq: 1 },
        entries: 1,
        digest: Digest("c".into()),
    };
    let contents = known.map_or_else(|| machine.table.entries().map(content).collect(), |known| known.contents);
    Command::Quiesced { op: present(machine), attempt: 1, contents }
}

/// Of the first member whose seal is not recorded.
fn sealed(machine: &Machine) -> Command {
    let operation = machine.operation(&present(machine));
    let n = (0..MEMBERS).find(|n| operation.is_some_and(|operation| !operation.seals.contains_key(&member(*n))));
    let who = n.unwrap_or(0);
    let quiesced = operation.and_then(|operation| operation.quiesced.as_ref());
    let seal = SealRecord {
        boot: known_boot(machine, member(who)),
        volume_id: scenes::volume(who),
        generation: machine.generation,
        digest: Digest(format!("d{who}")),
        content_digest: quiesced.and_then(|q| q.members.get(&member(who)).cloned()).unwrap_or_default(),
        quiesced_index: quiesced.map_or(0, |quiesced| quiesced.index),
        entries: 1,
        bytes: 1,
    };
    Command::Sealed { op: present(machine), attempt: 1, member: member(who), seal }
}

fn way_back() -> Vec<Row> {
    vec![
        row("Recover with every boot later", |machine| recover(machine, 1)),
        row("Recover with the recorded boots", |machine| recover(machine, 0)),
        row("Rejoined", rejoined),
        row("Loaded", loaded),
        row("RecoverTable", |_| Command::RecoverTable {}),
        row("SelfActivate", |_| Command::SelfActivate {}),
        row("Opened", opened),
        row("GoOnWithout who is not back", go_on_without),
    ]
}

/// With the consent to what is missing then.
fn go_on_without(machine: &Machine) -> Command {
    let back = |member: &MemberId| match &machine.state {
        ClusterState::Recovering { rejoined, .. } => rejoined.contains_key(member),
        _ => *member != scenes::member(MEMBERS - 1),
    };
    let members = machine.roster.keys().copied().filter(|member| !back(member)).collect();
    let consent = loss::preview(machine, &members).map(|loss| loss.digest()).unwrap_or_default();
    Command::GoOnWithout { members, consent }
}

fn recover(machine: &Machine, later: u64) -> Command {
    let observed = machine.roster.iter().map(|(member, entry)| (*member, Boot(entry.boot.0 + later)));
    Command::Recover { observed: observed.collect::<BTreeMap<_, _>>() }
}

/// Of the first member that is not back, in a later process.
fn rejoined(machine: &Machine) -> Command {
    let back = |n: &u8| {
        let ClusterState::Recovering { rejoined, .. } = &machine.state else { return false };
        rejoined.contains_key(&member(*n))
    };
    let n = (0..MEMBERS).find(|n| !back(n)).unwrap_or(0);
    let known = match &machine.state {
        ClusterState::Recovering { rejoined, .. } => rejoined.get(&member(n)).map(|rejoin| rejoin.boot),
        _ => None,
    };
    let boot = known.unwrap_or(Boot(known_boot(machine, member(n)).0 + 1));
    let sealed = machine.operation(&present(machine)).and_then(|operation| {
        let seal = operation.seals.get(&member(n))?;
        Some(recovery::StoreSeal {
            generation: seal.generation,
            operation: operation.id.clone(),
            attempt: operation.attempt,
            digest: seal.digest.clone(),
            content_digest: seal.content_digest.clone(),
        })
    });
    let version = Version { installed: TableVersion(1), seq: 1 };
    let store = StoreReport {
        generation: machine.generation,
        seal: sealed,
        partitions: vec![Some(version); usize::from(PARTITIONS)],
        epochs: view::counted_snapshots(machine),
        restored: None,
    };
    Command::Rejoined { member: member(n), boot, volume_id: scenes::volume(n), store }
}

/// Of the first member that is back and has not.
fn loaded(machine: &Machine) -> Command {
    let ClusterState::Recovering { rejoined, loaded, .. } = &machine.state else {
        let boot = known_boot(machine, member(0));
        return Command::Loaded { member: member(0), boot, content_digest: Digest::default() };
    };
    let n = (0..MEMBERS).find(|n| rejoined.contains_key(&member(*n)) && !loaded.contains(&member(*n))).unwrap_or(0);
    let boot = rejoined.get(&member(n)).map_or(Boot(1), |rejoin| rejoin.boot);
    let quiesced = machine.operation(&present(machine)).and_then(|operation| operation.quiesced.as_ref());
    let content_digest = quiesced.and_then(|q| q.members.get(&member(n)).cloned()).unwrap_or_default();
    Command::Loaded { member: member(n), boot, content_digest }
}

/// Of the first member that has not.
fn opened(machine: &Machine) -> Command {
    let (generation, n) = match &machine.state {
        ClusterState::Activating { generation, opened, .. } => {
            (*generation, (0..MEMBERS).find(|n| !opened.contains_key(&member(*n))).unwrap_or(0))
        }
        _ => (machine.generation, 0),
    };
    let boot = known_boot(machine, member(n));
    Command::Opened { member: member(n), boot, generation: Generation(generation.0.max(1)) }
}

fn jobs() -> Vec<Row> {
    vec![
        row("Submit of a new job", |_| submit("another")),
        row("Submit of the same job", |_| submit(scenes::JOB)),
        row("Cancel", |_| Command::Cancel { name: scenes::JOB.into() }),
        row("Suspend", |_| Command::Suspend { name: scenes::JOB.into() }),
        row("Resume", |_| Command::Resume { name: scenes::JOB.into() }),
        row("JobFailed", |machine| {
            let (job, execution) = job(machine);
            Command::JobFailed { job, execution, cause: "t".into(), progressed: true }
        }),
        row("JobCompleted", |machine| {
            let (job, execution) = job(machine);
            Command::JobCompleted { job, execution }
        }),
        row("Durable", |machine| {
            let (job, execution) = job(machine);
            Command::Durable { job, execution, epoch: Epoch(9), record: record(machine) }
        }),
        row("Runtime", runtime),
        row("RuntimeLost", |machine| Command::RuntimeLost { number: machine.last_runtime, cause: "t".into() }),
        row("Running", |machine| Command::Running { number: machine.last_runtime }),
    ]
}

pub fn submit(name: &str) -> Command {
    Command::Submit {
        name: name.into(),
        sql: String::new(),
        guarantee: Guarantee::ExactlyOnce,
        interval_ms: 1,
        plan: String::new(),
        fingerprint: String::new(),
    }
}

pub fn runtime(machine: &Machine) -> Command {
    let wish = |job: &jet_core::Job| RuntimeWish { job: job.id, restore: job.snapshot.clone() };
    Command::Runtime {
        fence: machine.fence,
        members: machine.roster.keys().copied().collect(),
        jobs: machine.jobs.values().filter(|job| job.wants_to_run()).map(wish).collect(),
        workers: 0,
    }
}

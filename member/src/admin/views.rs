//! The machine and this member as they look from outside.
//!
//! Law: translation only; a figure that is an observation and not committed says so in its type's documentation. Must
//! not know: how to change anything.

use jet_admin_api::cluster::{
    ClusterStateView, ClusterView, LeavingMember, MissingMember, MovesView, PartitionsView, RosterMember,
};
use jet_admin_api::job as jobs;
use jet_admin_api::member::SealView;
use jet_admin_api::operation::{MemberSeal, OperationStep as Step, OperationView, QuiescedView};
use jet_admin_api::stop_request::{RequestAnswer, StopRequestView};
use jet_core::{
    ClusterState, Guarantee, Job, JobStatus, Machine, MemberId, Operation, OperationStep, RecoveringFrom, SealRecord,
    Settled, SnapshotRef, StopRequest, Verdict, safety,
};

/// What the view needs beside the machine.
pub struct Around<'a> {
    /// Leader, if known.
    pub leader: Option<MemberId>,
    /// Last applied entry here.
    pub applied: u64,
    /// Last durable entry here.
    pub durable: u64,
    /// Whether a member is heard here.
    pub present: &'a dyn Fn(MemberId) -> bool,
    /// What a member said last, if it is of use to a person.
    pub says: &'a dyn Fn(MemberId) -> Option<String>,
}

/// `ClusterView`; `None` before founding.
pub fn cluster(machine: &Machine, around: &Around<'_>) -> Option<ClusterView> {
    let founding = machine.founding.as_ref()?;
    let figures = jet_core::view::partition_figures(machine);
    let operation = machine.operations.values().next_back();
    Some(ClusterView {
        founding_id: founding.id.0,
        incarnation: founding.incarnation,
        generation: machine.generation.0,
        state: state(&machine.state),
        former_state: machine.former.map(settled),
        leader: around.leader.map(|m| m.0),
        applied_index: around.applied,
        durable_index: around.durable,
        roster: machine.roster.keys().map(|member| roster_member(machine, *member, around)).collect(),
        roster_digest: jet_core::view::roster_digest(machine).0,
        partitions: PartitionsView {
            count: figures.count,
            backups_wanted: figures.backups_wanted,
            fully_backed: figures.fully_backed,
            absent: figures.absent,
            migrating: figures.migrating,
            table_version: machine.table.version.0,
        },
        moves: moves(machine),
        operation: operation.map(|op| operation_view(machine, op)),
        highest_operation: machine.highest_operation,
        stop_request: machine.stop_request.as_ref().map(stop_request),
        jobs: machine.jobs.values().map(job).collect(),
        missing: missing(machine, around),
    })
}

fn moves(machine: &Machine) -> MovesView {
    let figures = jet_core::view::move_figures(machine);
    let narrow = |figure: usize| u32::try_from(figure).unwrap_or(u32::MAX);
    let ordinal = |member: MemberId| machine.roster.get(&member).map_or(0, |entry| entry.ordinal);
    let leaves = |(member, places): (MemberId, usize)| LeavingMember {
        ordinal: ordinal(member),
        places: narrow(places),
        waits_for: safety::sentence(&safety::why_not_left(machine, member)),
    };
    MovesView {
        copies: narrow(figures.moving),
        in_step: narrow(figures.in_step),
        handed_over: narrow(figures.handed_over),
        joining: figures.joining.into_iter().map(ordinal).collect(),
        leaving: figures.leaving.into_iter().map(leaves).collect(),
    }
}

fn roster_member(machine: &Machine, member: MemberId, around: &Around<'_>) -> RosterMember {
    let entry = machine.roster.get(&member);
    let loaded = match &machine.state {
        ClusterState::Recovering { loaded, .. } => loaded.contains(&member),
        ClusterState::Unfounded => false,
        _ => true,
    };
    RosterMember {
        uuid: member.0,
        ordinal: entry.map_or(0, |e| e.ordinal),
        boot: entry.map_or(0, |e| e.boot.0),
        volume_id: entry.map(|e| e.volume_id.clone()).unwrap_or_default(),
        present: (around.present)(member),
        loaded,
    }
}

fn missing(machine: &Machine, around: &Around<'_>) -> Vec<MissingMember> {
    let ClusterState::Recovering { rejoined, loaded, .. } = &machine.state else { return Vec::new() };
    let why = |member: MemberId| -> Option<String> {
        if !(around.present)(member) {
            return Some("not heard".into());
        }
        if !rejoined.contains_key(&member) {
            return Some((around.says)(member).unwrap_or_else(|| "heard, has not rejoined yet".into()));
        }
        (!loaded.contains(&member)).then(|| (around.says)(member).unwrap_or_else(|| "loads its store".into()))
    };
    machine
        .roster
        .iter()
        .filter_map(|(member, entry)| {
            why(*member).map(|why| MissingMember { uuid: member.0, ordinal: entry.ordinal, why })
        })
        .collect()
}

/// The whole roster is back and loaded, and only `Activate` is missing.
pub fn waits_for_activate(machine: &Machine) -> bool {
    matches!(&machine.state, ClusterState::Recovering { from: RecoveringFrom::Sealed { .. }, .. })
        && safety::why_not_complete(machine).is_empty()
}

fn state(state: &ClusterState) -> ClusterStateView {
    match state {
        ClusterState::Unfounded | ClusterState::Activating { .. } => ClusterStateView::Activating,
        ClusterState::Active => ClusterStateView::Active,
        ClusterState::NoMigration => ClusterStateView::NoMigration,
        ClusterState::Frozen => ClusterStateView::Frozen,
        ClusterState::Passive { .. } => ClusterStateView::Passive,
        ClusterState::InTransition { .. } => ClusterStateView::InTransition,
        ClusterState::Recovering { .. } => ClusterStateView::Recovering,
    }
}

fn settled(settled: Settled) -> ClusterStateView {
    state(&settled.into())
}

fn operation_view(machine: &Machine, op: &Operation) -> OperationView {
    OperationView {
        id: op.id.to_string(),
        step: step(op.step),
        base_index: op.base_index,
        attempt: op.attempt,
        progress: progress(machine, op),
        quiesced: op.quiesced.as_ref().map(|q| QuiescedView {
            index: q.index,
            content_digest: q.content_digest.0.clone(),
            entries: q.contents.iter().map(|c| c.entries).sum(),
        }),
        seals: op.seals.iter().map(|(member, seal)| member_seal(machine, op, *member, seal)).collect(),
        aborted_because: op.aborted_because.clone(),
    }
}

fn stop_request(request: &StopRequest) -> StopRequestView {
    let answer =
        |answer: &jet_core::RequestAnswer| RequestAnswer { taken_up: answer.taken_up, why: answer.why.clone() };
    StopRequestView {
        asked: request.asked,
        requested_by: request.requested_by.clone(),
        answer: request.answer.as_ref().map(answer),
    }
}

fn progress(machine: &Machine, op: &Operation) -> String {
    match op.step {
        OperationStep::Freezing => {
            let open: Vec<&str> = machine
                .jobs
                .values()
                .filter(|job| job.needs_terminal())
                .filter(|job| job.snapshot.as_ref().and_then(|s| s.terminal.as_ref()) != Some(&op.id))
                .map(|job| job.name.as_str())
                .collect();
            match open.is_empty() {
                true => "comparing all replicas".into(),
                false => format!("terminal snapshots of {}", open.join(", ")),
            }
        }
        OperationStep::Quiesced => format!("seals: {} of {}", op.seals.len(), machine.roster.len()),
        _ => String::new(),
    }
}

fn member_seal(machine: &Machine, op: &Operation, member: MemberId, seal: &SealRecord) -> MemberSeal {
    MemberSeal {
        member: member.0,
        ordinal: machine.roster.get(&member).map_or(0, |e| e.ordinal),
        seal: SealView {
            generation: seal.generation.0,
            operation: op.id.to_string(),
            attempt: op.attempt,
            digest: seal.digest.0.clone(),
            content_digest: seal.content_digest.0.clone(),
            quiesced_index: seal.quiesced_index,
            entries: seal.entries,
            bytes: seal.bytes,
            verified: true,
        },
        volume_id: seal.volume_id.clone(),
    }
}

fn step(step: OperationStep) -> Step {
    match step {
        OperationStep::Begun => Step::Begun,
        OperationStep::Freezing => Step::Freezing,
        OperationStep::Quiesced => Step::Quiesced,
        OperationStep::Sealed => Step::Sealed,
        OperationStep::Committed => Step::Committed,
        OperationStep::Activated => Step::Activated,
        OperationStep::Opened => Step::Opened,
        OperationStep::Aborted => Step::Aborted,
    }
}

/// One job.
pub fn job(job: &Job) -> jobs::JobView {
    jobs::JobView {
        id: job.id.0,
        name: job.name.clone(),
        sql: job.sql.clone(),
        guarantee: match job.guarantee {
            Guarantee::ExactlyOnce => jobs::Guarantee::ExactlyOnce,
            Guarantee::None => jobs::Guarantee::None,
        },
        status: match job.status {
            JobStatus::Starting => jobs::JobStatus::Starting,
            JobStatus::Running => jobs::JobStatus::Running,
            JobStatus::Suspended => jobs::JobStatus::Suspended,
            JobStatus::Waiting => jobs::JobStatus::Waiting,
            JobStatus::Completed => jobs::JobStatus::Completed,
            JobStatus::Cancelled => jobs::JobStatus::Cancelled,
            JobStatus::Held => jobs::JobStatus::Held,
        },
        execution: job.execution.0,
        failures: job.failures,
        cause: job.cause.clone(),
        snapshot: job.snapshot.as_ref().map(snapshot),
        started_from: job.started_from.as_ref().map(snapshot),
        verdict: job.verdict.map(|verdict| match verdict {
            Verdict::Resumed => jobs::Verdict::Resumed,
            Verdict::ResumedFromOlder => jobs::Verdict::ResumedFromOlder,
            Verdict::RestartedFromZero => jobs::Verdict::RestartedFromZero,
            Verdict::Held => jobs::Verdict::Held,
        }),
    }
}

fn snapshot(snapshot: &SnapshotRef) -> jobs::SnapshotView {
    jobs::SnapshotView {
        execution: snapshot.execution.0,
        epoch: snapshot.epoch.0,
        index: snapshot.index,
        rows_read: snapshot.record.rows_read,
        bytes: snapshot.record.bytes,
        digest: snapshot.record.digest.0.clone(),
        terminal: snapshot.terminal.is_some(),
    }
}

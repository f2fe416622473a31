//! A stop: from Begin to Commit or Abort; and a person's changes of state.
//!
//! Law: STOP: Commit needs from every roster member a seal that equals `Quiesced`; the first of Commit and Abort wins
//! for ever. Must not know: how long it takes.

use super::{
    Answer, already, drop_runtime, moves, operation, request, roster_member, same_volume, settle, settled, step_order,
    unheld, unsettle, wrong_state,
};
use crate::cluster_state::{ClusterState, Settled};
use crate::ids::{Digest, LogIndex, MemberId, OperationId};
use crate::job::JobStatus;
use crate::machine::Machine;
use crate::operation::{
    COMMIT_WITHIN_MS, KEPT_OPERATIONS, Operation, OperationStep, PartitionContent, Quiesced, SealRecord,
};
use crate::outcome::Refused;
use crate::safety::{self, Reason};
use crate::view;

pub(super) struct Request {
    pub op: OperationId,
    pub requested_by: String,
    pub accepted: Vec<String>,
    pub transient: bool,
}

pub(super) fn set_state(machine: &mut Machine, state: Settled, absent: &[MemberId]) -> Answer {
    let now = settled(machine, "a change of state")?;
    unheld(machine, "a change of state")?;
    if now == state {
        return already();
    }
    let missing: Vec<_> = absent
        .iter()
        .filter_map(|m| machine.roster.get(m).map(|e| Reason::NotBack { ordinal: e.ordinal, member: *m }))
        .collect();
    if !now.runs_jobs() && !missing.is_empty() {
        return Err(Refused::NotRecovered { why: missing });
    }
    machine.state = state.into();
    moves::halt(machine);
    match (now.runs_jobs(), state.runs_jobs()) {
        (true, false) => drop_runtime(machine, JobStatus::Waiting),
        (false, true) => drop_runtime(machine, JobStatus::Starting),
        _ => {}
    }
    Ok(format!("the cluster is {}", machine.state))
}

pub(super) fn begin(machine: &mut Machine, index: LogIndex, request: Request) -> Answer {
    if let Some(known) = machine.operation(&request.op) {
        return if known.step == OperationStep::Aborted {
            Err(Refused::Decided { op: request.op, step: known.step })
        } else {
            already()
        };
    }
    if request.op.seq <= machine.highest_operation {
        return Err(Refused::StaleOperation { op: request.op, highest: machine.highest_operation });
    }
    let former = settled(machine, "an operation")?;
    unheld(machine, "an operation")?;
    let operation = Operation {
        requested_by: request.requested_by,
        accepted: request.accepted,
        transient: request.transient,
        ..blank(request.op, index, former)
    };
    let what = format!("operation {} holds the cluster", operation.id);
    request::end(machine, true, &format!("operation {} began", operation.id));
    keep(machine, operation);
    moves::halt(machine);
    Ok(what)
}

fn blank(id: OperationId, base_index: LogIndex, former: Settled) -> Operation {
    Operation {
        id,
        requested_by: String::new(),
        accepted: Vec::new(),
        transient: false,
        base_index,
        step: OperationStep::Begun,
        attempt: 1,
        commit_within_ms: COMMIT_WITHIN_MS,
        former,
        quiesced: None,
        seals: std::collections::BTreeMap::new(),
        aborted_because: None,
    }
}

/// Of those before it only digests are asked for any more; the contents would weigh on every seal and snapshot.
fn keep(machine: &mut Machine, operation: Operation) {
    machine.highest_operation = operation.id.seq;
    for quiesced in machine.operations.values_mut().filter_map(|ended| ended.quiesced.as_mut()) {
        quiesced.contents = Vec::new();
    }
    machine.operations.insert(operation.id.seq, operation);
    while machine.operations.len() > KEPT_OPERATIONS {
        machine.operations.pop_first();
    }
}

pub(super) fn freeze(machine: &mut Machine, op: &OperationId, commit_within_ms: u64) -> Answer {
    let operation = operation(machine, op)?;
    match operation.step {
        OperationStep::Begun => {}
        OperationStep::Freezing | OperationStep::Quiesced | OperationStep::Sealed | OperationStep::Committed => {
            return already();
        }
        _ => return Err(step_order(operation, "Freeze", "it freezes once, after Begin")),
    }
    // A recovery may have come in between; the operation can then only be aborted.
    let former = settled(machine, "Freeze")?;
    let why = safety::why_not_freeze(machine, operation);
    if !why.is_empty() {
        return Err(Refused::Unsafe { command: "Freeze".into(), op: op.clone(), why });
    }
    with(machine, op, |operation| {
        operation.step = OperationStep::Freezing;
        operation.former = former;
        operation.commit_within_ms = commit_within_ms;
    });
    unsettle(machine, former, ClusterState::InTransition { op: op.clone() });
    Ok("terminal snapshots begin".into())
}

pub(super) fn quiesced(
    machine: &mut Machine,
    index: LogIndex,
    op: &OperationId,
    attempt: u32,
    contents: Vec<PartitionContent>,
) -> Answer {
    let operation = operation(machine, op)?;
    let content_digest = view::content_digest(&contents);
    let same = operation.quiesced.as_ref().is_some_and(|quiesced| quiesced.content_digest == content_digest);
    match operation.step {
        OperationStep::Freezing if operation.attempt == attempt => {}
        OperationStep::Quiesced | OperationStep::Sealed | OperationStep::Committed
            if same && operation.attempt == attempt =>
        {
            return already();
        }
        _ => return Err(step_order(operation, "Quiesced", "it follows Freeze, once, in the same attempt")),
    }
    let why = safety::why_not_quiesce(machine, operation);
    if !why.is_empty() {
        return Err(Refused::Unsafe { command: "Quiesced".into(), op: op.clone(), why });
    }
    covers_all(machine, &contents)?;
    let members = machine
        .roster
        .keys()
        .map(|member| (*member, view::member_content_digest(machine, *member, &contents)))
        .collect();
    let quiesced = Quiesced { index, table_version: machine.table.version, contents, content_digest, members };
    with(machine, op, |operation| {
        operation.step = OperationStep::Quiesced;
        operation.quiesced = Some(quiesced);
    });
    machine.state = ClusterState::Passive { held_by: Some(op.clone()) };
    drop_runtime(machine, JobStatus::Waiting);
    Ok("all replicas are equal; members seal".into())
}

fn covers_all(machine: &Machine, contents: &[PartitionContent]) -> Result<(), Refused> {
    for ((partition, entry), content) in machine.table.entries().zip(contents) {
        if content.partition != partition || content.version.installed > entry.installed {
            return Err(Refused::BadTable {
                partition,
                why: "its content is out of order or of a primary that is not installed".into(),
            });
        }
    }
    match machine.table.entries().nth(contents.len()) {
        Some((partition, _)) => Err(Refused::BadTable { partition, why: "its content is missing".into() }),
        None if contents.len() > machine.table.partitions.len() => {
            Err(Refused::BadFounding { why: "contents of more partitions than there are".into() })
        }
        None => Ok(()),
    }
}

pub(super) fn sealed(
    machine: &mut Machine,
    op: &OperationId,
    attempt: u32,
    member: MemberId,
    seal: SealRecord,
) -> Answer {
    let operation = operation(machine, op)?;
    let entry = roster_member(machine, member)?;
    let known = operation.seals.get(&member).is_some_and(|known| known.digest == seal.digest);
    let sealing = matches!(operation.step, OperationStep::Quiesced | OperationStep::Sealed);
    match &operation.quiesced {
        _ if known && (sealing || operation.step == OperationStep::Committed) => return already(),
        Some(quiesced) if sealing && operation.attempt == attempt => {
            same_volume(entry, member, &seal.volume_id)?;
            let unequal = |why: &str| Err(Refused::SealDiffers { member, why: why.into() });
            if seal.generation != machine.generation {
                return unequal(&format!(
                    "it seals generation {}, the cluster is at {}",
                    seal.generation, machine.generation
                ));
            }
            if seal.quiesced_index != quiesced.index || quiesced.members.get(&member) != Some(&seal.content_digest) {
                return unequal("its content is not what was quiesced");
            }
        }
        _ => return Err(step_order(operation, "Sealed", "seals follow Quiesced, in the same attempt")),
    }
    with(machine, op, |operation| {
        operation.seals.insert(member, seal);
    });
    let complete = machine.operation(op).is_some_and(|operation| safety::why_not_commit(machine, operation).is_empty());
    if complete {
        with(machine, op, |operation| operation.step = OperationStep::Sealed);
    }
    Ok(if complete { "every member is sealed".into() } else { format!("member {member} is sealed") })
}

pub(super) fn commit(machine: &mut Machine, op: &OperationId, roster_digest: Digest) -> Answer {
    let operation = operation(machine, op)?;
    let known = view::roster_digest(machine);
    if roster_digest != known {
        return Err(Refused::RosterDiffers { given: roster_digest, known });
    }
    match operation.step {
        OperationStep::Sealed | OperationStep::Quiesced => {}
        OperationStep::Committed | OperationStep::Activated | OperationStep::Opened => return already(),
        _ => return Err(step_order(operation, "Commit", "it needs the recorded seal of every member")),
    }
    let why = safety::why_not_commit(machine, operation);
    if !why.is_empty() {
        return Err(Refused::Unsafe { command: "Commit".into(), op: op.clone(), why });
    }
    with(machine, op, |operation| operation.step = OperationStep::Committed);
    Ok("the stop is committed: forward only".into())
}

/// Also of an operation that was never seen: its Begin may still be on the way, and must find it decided.
pub(super) fn abort(machine: &mut Machine, index: LogIndex, op: &OperationId, reason: String) -> Answer {
    let Some(operation) = machine.operation(op) else {
        if op.seq <= machine.highest_operation {
            return Err(Refused::StaleOperation { op: op.clone(), highest: machine.highest_operation });
        }
        unheld(machine, "Abort of an operation that never began")?;
        let former = machine.former.or(machine.state.settled()).unwrap_or(Settled::Passive);
        keep(
            machine,
            Operation {
                step: OperationStep::Aborted,
                aborted_because: Some(reason),
                ..blank(op.clone(), index, former)
            },
        );
        return Ok("aborted before it began".into());
    };
    let step = operation.step;
    if step == OperationStep::Aborted {
        return already();
    }
    if !step.can_abort() {
        return Err(Refused::Decided { op: op.clone(), step });
    }
    if step != OperationStep::Begun {
        if !matches!(machine.state, ClusterState::InTransition { .. } | ClusterState::Passive { held_by: Some(_) }) {
            return Err(wrong_state(machine, "Abort"));
        }
        settle(machine);
    }
    with(machine, op, |operation| {
        operation.step = OperationStep::Aborted;
        operation.aborted_because = Some(reason);
    });
    Ok(format!("aborted; the cluster is {} as before", machine.state))
}

pub(super) fn with(machine: &mut Machine, op: &OperationId, change: impl FnOnce(&mut Operation)) {
    if let Some(operation) = machine.operations.get_mut(&op.seq) {
        change(operation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{PartitionId, TableVersion, Version};

    #[test]
    fn a_new_operation_leaves_of_the_former_ones_their_digests() {
        let id = |seq| OperationId { seq, random: "a".into() };
        let content = PartitionContent {
            partition: PartitionId(0),
            version: Version::default(),
            entries: 7,
            digest: Digest("content".into()),
        };
        let quiesced = Quiesced {
            index: 5,
            table_version: TableVersion(1),
            contents: vec![content],
            content_digest: Digest("all".into()),
            members: std::collections::BTreeMap::from([(MemberId::default(), Digest("one".into()))]),
        };
        let mut machine = Machine::default();
        let ended = Operation { step: OperationStep::Opened, ..blank(id(1), 3, Settled::Active) };
        keep(&mut machine, Operation { quiesced: Some(quiesced.clone()), ..ended });
        assert_eq!(machine.operations[&1].quiesced.as_ref(), Some(&quiesced), "the last one is told in full");
        keep(&mut machine, blank(id(2), 9, Settled::Active));
        let former = Quiesced { contents: Vec::new(), ..quiesced };
        assert_eq!(machine.operations[&1].quiesced.as_ref(), Some(&former));
    }
}

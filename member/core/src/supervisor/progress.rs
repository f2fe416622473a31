//! What is waited for, in words that name members, jobs and volumes.
//!
//! Law: a waiting that nobody can read is a hang. Must not know: who reads it.

use crate::ids::MemberId;
use crate::machine::Machine;
use crate::operation::{Operation, OperationStep};
use crate::report::Observations;
use crate::safety::{self, Reason, sentence};

/// What the open operation waits for; empty: for nothing.
pub fn of_operation(machine: &Machine, operation: &Operation, observations: &Observations) -> String {
    match operation.step {
        OperationStep::Begun => sentence(&safety::why_not_freeze(machine, operation)),
        OperationStep::Freezing => {
            let why = safety::why_not_quiesce(machine, operation);
            if !why.is_empty() {
                return sentence(&why);
            }
            if let Some(job) = super::jobs::unwritten(machine, observations) {
                return format!("the last snapshot of job '{}' on every disk", job.name);
            }
            let restless = super::operation::not_still(machine, operation, observations);
            if restless.is_empty() {
                "equal contents of all copies".into()
            } else {
                format!("closed doors and contents of {}", names(machine, &restless))
            }
        }
        OperationStep::Quiesced => unsealed(machine, operation, observations),
        OperationStep::Sealed => "Commit".into(),
        OperationStep::Committed => sentence(&safety::why_not_complete(machine)),
        OperationStep::Activated => "Open".into(),
        OperationStep::Opened | OperationStep::Aborted => String::new(),
    }
}

/// What each member that comes or goes waits for.
pub fn of_members(machine: &Machine) -> Vec<(MemberId, String)> {
    let joining = machine.membership.joining.iter().filter(|member| !machine.membership.leaving.contains(member));
    let joins = joining.map(|member| (*member, format!("its store to open generation {}", machine.generation)));
    let leaves = machine.membership.leaving.iter().map(|member| {
        let why = safety::why_not_left(machine, *member);
        (*member, if why.is_empty() { "the leader".into() } else { sentence(&why) })
    });
    joins.chain(leaves).collect()
}

/// Who has not sealed, each with what keeps its store from it.
fn unsealed(machine: &Machine, operation: &Operation, observations: &Observations) -> String {
    let cause = |reason: &Reason| match reason {
        Reason::NoSeal { member, .. } => observations.members.get(member).and_then(|seen| seen.report.lagging.clone()),
        _ => None,
    };
    let told = safety::why_not_commit(machine, operation).into_iter().map(|reason| match cause(&reason) {
        Some(cause) => format!("{reason}: {cause}"),
        None => reason.to_string(),
    });
    told.collect::<Vec<_>>().join("; ")
}

fn names(machine: &Machine, members: &[MemberId]) -> String {
    let name = |member: &MemberId| {
        format!("member {} ({member})", machine.roster.get(member).map_or(0, |entry| entry.ordinal))
    };
    members.iter().map(name).collect::<Vec<_>>().join(", ")
}

//! What is waited for, in words that name members, jobs and volumes.
//!
//! Law: a waiting that nobody can read is a hang. Must not know: who reads it.

use crate::ids::MemberId;
use crate::machine::Machine;
use crate::operation::{Operation, OperationStep};
use crate::report::Observations;
use crate::safety::{self, sentence};

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
        OperationStep::Quiesced => sentence(&safety::why_not_commit(machine, operation)),
        OperationStep::Sealed => "Commit".into(),
        OperationStep::Committed => sentence(&safety::why_not_complete(machine)),
        OperationStep::Activated => "Open".into(),
        OperationStep::Opened | OperationStep::Aborted => String::new(),
    }
}

fn names(machine: &Machine, members: &[MemberId]) -> String {
    let name = |member: &MemberId| {
        format!("member {} ({member})", machine.roster.get(member).map_or(0, |entry| entry.ordinal))
    };
    members.iter().map(name).collect::<Vec<_>>().join(", ")
}

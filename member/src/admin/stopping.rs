//! A stop of the whole cluster that is asked of one member.
//!
//! Law: under an operator the members remember it for that one, and it alone begins; without one they carry it out
//! themselves. What is told to be done is agreed on by then. Must not know: who may ask.

use jet_admin_api::operation::Done;
use jet_admin_api::refusal::{Code, Refusal};
use jet_core::{Command, Machine, OperationId};
use uuid::Uuid;

use super::handlers::proposed;
use crate::member::Member;
use crate::ports::Cluster;

/// A number for an operation may have been taken meanwhile.
const NUMBERS_TRIED: usize = 3;

/// What became of it so far.
pub enum Asked {
    /// The members have begun.
    Begun(Done),
    /// The members remember it for the operator.
    Kept(Done),
}

impl Asked {
    /// What was agreed on.
    pub fn done(&self) -> &Done {
        match self {
            Self::Begun(done) | Self::Kept(done) => done,
        }
    }
}

/// Asks.
pub async fn ask(member: &Member, requested_by: &str) -> Result<Asked, Refusal> {
    let requested_by = requested_by.to_owned();
    if member.under_operator() {
        let kept = proposed(member, Command::RequestStop { nonce: random(), requested_by }).await;
        return kept.map(Asked::Kept);
    }
    for _ in 0..NUMBERS_TRIED {
        match proposed(member, begin(&member.node()?.machine(), &requested_by)).await {
            Err(refusal) if refusal.code == Code::StaleOperation => {}
            begun => return begun.map(Asked::Begun),
        }
    }
    let why = "other operations begin at the same time; nothing was begun; ask again";
    Err(Refusal::new(Code::StaleOperation, why))
}

fn begin(machine: &Machine, requested_by: &str) -> Command {
    let op = OperationId { seq: machine.highest_operation + 1, random: random() };
    Command::Begin { op, requested_by: requested_by.to_owned(), accepted: Vec::new(), transient: true }
}

fn random() -> String {
    Uuid::new_v4().simple().to_string().chars().take(8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shutdown_takes_the_next_number_and_comes_back_by_itself() {
        let machine = Machine { highest_operation: 6, ..Machine::default() };
        let begun = begin(&machine, "rest");
        let Command::Begin { op, transient: true, .. } = begun else { panic!("{begun:?}") };
        assert_eq!(op.seq, 7);
        assert_eq!(op.to_string().parse::<OperationId>(), Ok(op));
    }
}

//! Whoever stops and returns the cluster: level-triggered, as the real one.
//!
//! Law: pods go only after Commit was read back from every member. Must not know: disks.

use jet_core::ids::LogIndex;
use jet_core::operation::OperationStep;
use jet_core::{ClusterState, Command, OperationId, RecoveringFrom, RequestAnswer, Wish, safety, view};

use crate::world::{Rule, World};

#[derive(Default)]
pub struct Operator {
    /// The operation whose pods were taken down, and whether all of them are up again.
    down: Option<OperationId>,
    returned: Option<OperationId>,
    calls: u64,
    /// The object outside: the number of the last request that became a wish, and the wish.
    taken: LogIndex,
    wishes: bool,
}

impl Operator {
    pub fn is_down(&self) -> bool {
        self.down.is_some()
    }
}

impl World {
    /// What is asked of the members becomes a wish outside, in one write with its number, and is answered after that.
    /// Whoever does it may die in between, and a person may take the wish back at any time.
    pub fn take_up(&mut self) -> Result<(), String> {
        if !self.settings.asks {
            return Ok(());
        }
        if !self.quiet && self.dice.permille(20) {
            self.operator.calls += 1;
            let nonce = self.operator.calls.to_string();
            self.proposals.push(Command::RequestStop { nonce, requested_by: "test".into() });
        }
        if self.quiet || self.dice.percent(4) {
            self.operator.wishes = false;
        }
        let leader = self.leader.filter(|_| !self.dice.percent(40));
        let Some(asked) = leader.and_then(|leader| self.nodes[leader].machine.waiting_request()).map(|r| r.asked)
        else {
            return Ok(());
        };
        if self.operator.taken < asked || self.lacks(Rule::TakenUpByNumber) && !self.operator.wishes {
            (self.operator.taken, self.operator.wishes) = (asked, true);
            return self.truth_of_run.wish(asked);
        }
        let answer = RequestAnswer { taken_up: self.operator.wishes, why: "seen".into() };
        self.proposals.push(Command::AnswerRequest { asked, answer });
        Ok(())
    }

    pub fn operate(&mut self) {
        if self.machine.jobs.values().filter(|job| !job.ended()).count() < 2 && self.dice.percent(5) {
            self.submit();
        }
        let open =
            self.machine.open_operation().map(|operation| (operation.id.clone(), operation.step, operation.transient));
        let Some((op, step, transient)) = open else {
            self.operator.down = None;
            let wished = std::mem::take(&mut self.operator.wishes);
            if !self.quiet && self.machine.state.settled().is_some() && (wished || self.dice.permille(15)) {
                let id = OperationId { seq: self.machine.highest_operation + 1, random: "x".into() };
                let transient = self.dice.percent(30);
                self.begin(id, transient);
            }
            return;
        };
        // A late Abort of a requester that stalled; it must find what was decided.
        if self.dice.permille(if self.quiet { 0 } else { 6 }) {
            self.proposals.push(Command::Abort { op: op.clone(), reason: "changed their mind".into() });
        }
        self.pods(&op, step);
        if transient {
            return;
        }
        match step {
            OperationStep::Begun => self.proposals.push(Command::Freeze { op, commit_within_ms: 20_000 }),
            OperationStep::Sealed => {
                self.proposals.push(Command::Commit { op, roster_digest: view::roster_digest(&self.machine) })
            }
            OperationStep::Committed => self.activate(op),
            OperationStep::Activated
                if self
                    .machine
                    .jobs
                    .values()
                    .all(|job| !job.needs_terminal() || job.status == jet_core::JobStatus::Running) =>
            {
                self.proposals.push(Command::Open { op });
            }
            _ => {}
        }
    }

    fn pods(&mut self, op: &OperationId, step: OperationStep) {
        if step != OperationStep::Committed || self.operator.returned.as_ref() == Some(op) {
            return;
        }
        let everybody_knows = self
            .nodes
            .iter()
            .filter(|node| self.machine.roster.contains_key(&node.id))
            .all(|node| node.machine.operation(op).is_some_and(|known| known.step == OperationStep::Committed));
        if self.operator.down.is_none() && everybody_knows {
            self.operator.down = Some(op.clone());
        }
        if self.operator.down.is_some() {
            let i = self.dice.below(self.nodes.len());
            self.nodes[i].crash();
            if self.nodes.iter().filter(|node| self.machine.roster.contains_key(&node.id)).all(|node| !node.up) {
                self.operator.down = None;
                self.operator.returned = Some(op.clone());
                self.start_all();
            }
        }
    }

    fn activate(&mut self, op: OperationId) {
        let sealed = matches!(self.machine.state, ClusterState::Recovering { from: RecoveringFrom::Sealed { .. }, .. });
        if sealed && safety::why_not_complete(&self.machine).is_empty() {
            // What people wanted of a stopped cluster does not change with the tries to bring it back.
            let cancelled =
                self.machine.jobs.values().find(|job| !job.ended() && (job.id.0 + op.seq).is_multiple_of(3));
            let wishes = cancelled.map(|job| Wish::Cancel { job: job.name.clone() }).into_iter().collect();
            let sealed_generation = self.machine.generation;
            self.proposals.push(Command::Activate { op, sealed_generation, wishes });
        }
    }
}

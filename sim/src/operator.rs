//! Whoever stops the cluster and returns it: level-triggered, as the real one.
//!
//! Law: it reads of one member at a time, which may be behind; it may ask again whatever it asked before; members are taken
//! down only after Commit was read from every one. Must not know: disks.

use std::sync::Arc;

use jet_core::operation::OperationStep;
use jet_core::{ClusterState, Command, Machine, OperationId, RecoveringFrom, safety, view};

use crate::dice::Dice;

/// Longest time up to Commit that it asks for, in milliseconds.
const COMMIT_WITHIN: u64 = 20_000;
/// A stop that does not begin to freeze is given up after so many milliseconds.
const FROZEN_WITHIN: u64 = 15_000;
/// Once in so many looks a person takes back what was asked for, whatever became of it.
const TAKEN_BACK: u64 = 60;

/// What it does next.
#[derive(Clone, Debug)]
pub enum Act {
    /// Asks a member for a command.
    Propose(usize, Box<Command>),
    /// Takes the pods of all down.
    TakeDown,
    /// Brings them back.
    Return,
}

/// What it remembers outside of the cluster.
pub struct Operator {
    dice: Dice,
    members: usize,
    next: u64,
    operation: Option<OperationId>,
    /// Since when it asks for that.
    asks_since: Option<u64>,
    /// Pods are down since.
    down: Option<u64>,
    /// The operation whose pods are back.
    returned: Option<OperationId>,
    /// Stops that were carried through.
    pub done: u64,
    /// Stops that were taken back.
    pub aborted: u64,
}

impl Operator {
    /// Of a cluster with so many members.
    pub fn new(seed: u64, members: usize) -> Self {
        let dice = Dice::of(seed, "operator");
        Operator {
            dice,
            members,
            next: 0,
            operation: None,
            asks_since: None,
            down: None,
            returned: None,
            done: 0,
            aborted: 0,
        }
    }

    /// It has nothing to do.
    pub fn idle(&self) -> bool {
        self.operation.is_none()
    }

    /// The pods of all are down, and a stop is committed.
    pub fn is_down(&self) -> bool {
        self.down.is_some()
    }

    /// A person wants a stop. `known`: the highest number of an operation that was seen.
    pub fn stop(&mut self, known: u64) {
        if self.operation.is_none() {
            self.operation = Some(OperationId { seq: known + 1, random: format!("{:x}", self.dice.throw() >> 40) });
            self.asks_since = None;
        }
    }

    /// By what each member that is up says of itself.
    pub fn look(&mut self, now: u64, up: &[(usize, Arc<Machine>)]) -> Option<Act> {
        if now < self.next {
            return None;
        }
        self.next = now + self.dice.within(5..150);
        let operation = self.operation.clone()?;
        if let Some(since) = self.down {
            return (now >= since + self.dice.within(1..400)).then(|| {
                (self.down, self.returned) = (None, Some(operation));
                Act::Return
            });
        }
        if up.is_empty() {
            return None;
        }
        let (at, read) = self.dice.one_of(up).clone();
        let asks_since = *self.asks_since.get_or_insert(now);
        let taken_back = self.dice.once_in(TAKEN_BACK);
        let command = match read.operation(&operation).map(|known| known.step) {
            None if read.highest_operation >= operation.seq => {
                self.operation = None;
                return None;
            }
            // Also what is decided: it must not be heard then.
            Some(_) if taken_back => Command::Abort { op: operation, reason: "a person took it back".into() },
            Some(OperationStep::Begun) if now > asks_since + FROZEN_WITHIN => {
                Command::Abort { op: operation, reason: "it does not freeze".into() }
            }
            None => Command::Begin {
                op: operation,
                requested_by: "simulation".into(),
                accepted: Vec::new(),
                transient: false,
            },
            Some(OperationStep::Begun) => Command::Freeze { op: operation, commit_within_ms: COMMIT_WITHIN },
            Some(OperationStep::Sealed) => Command::Commit { op: operation, roster_digest: view::roster_digest(&read) },
            Some(OperationStep::Committed) if self.returned.as_ref() != Some(&operation) => {
                let knows = |machine: &Machine| {
                    machine.operation(&operation).is_some_and(|known| known.step == OperationStep::Committed)
                };
                if up.len() < self.members || !up.iter().all(|(_, machine)| knows(machine)) {
                    return None;
                }
                self.down = Some(now);
                return Some(Act::TakeDown);
            }
            Some(OperationStep::Committed) => return activate(operation, at, &read),
            Some(OperationStep::Activated) => Command::Open { op: operation },
            Some(OperationStep::Opened) => return self.over(|own| own.done += 1),
            Some(OperationStep::Aborted) => return self.over(|own| own.aborted += 1),
            Some(_) => return None,
        };
        Some(Act::Propose(at, Box::new(command)))
    }

    fn over(&mut self, count: impl FnOnce(&mut Self)) -> Option<Act> {
        count(self);
        self.operation = None;
        None
    }
}

fn activate(op: OperationId, at: usize, read: &Machine) -> Option<Act> {
    let sealed = matches!(read.state, ClusterState::Recovering { from: RecoveringFrom::Sealed { .. }, .. });
    let complete = sealed && safety::why_not_complete(read).is_empty();
    complete.then(|| {
        let command = Command::Activate { op, sealed_generation: read.generation, wishes: Vec::new() };
        Act::Propose(at, Box::new(command))
    })
}

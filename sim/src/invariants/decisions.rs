//! What is decided stays decided.
//!
//! Law: of Commit and Abort the first wins for ever, at every member and in every life. Must not know: who decides.

use std::collections::BTreeMap;

use jet_core::OperationId;
use jet_core::operation::OperationStep;

use super::{Shown, Violated};

/// What was seen to be decided.
#[derive(Default)]
pub struct Decisions(BTreeMap<OperationId, &'static str>);

impl Decisions {
    /// Looks at every operation that is kept.
    pub fn look(&mut self, shown: &[Shown]) -> Result<(), Violated> {
        for one in shown {
            for operation in one.machine.operations.values() {
                let decided = match operation.step {
                    OperationStep::Committed | OperationStep::Activated | OperationStep::Opened => "committed",
                    OperationStep::Aborted => "aborted",
                    _ => continue,
                };
                let first = *self.0.entry(operation.id.clone()).or_insert(decided);
                if first != decided {
                    let operation = operation.id.to_string();
                    return Err(Violated::DecidedTwice { operation, first, second: decided });
                }
            }
        }
        Ok(())
    }
}

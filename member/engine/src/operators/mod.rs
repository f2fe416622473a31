//! Operators: what a job does with rows, without a runtime, a clock or a network.
//!
//! A [`program::Program`] says it all: a source in fixed ranges, steps (filter, project), a keyed
//! vertex (aggregate or upsert) whose state lies in shards by partition, and a map sink. State leaves
//! and enters by `export` and `import` of a shard, so that any number of members and workers can go
//! on from any snapshot.
//!
//! Law: the same offsets give the same rows (EXACT). This room must not know timely, SQL or sockets.

pub mod aggregate;
pub mod entry;
pub mod file;
pub mod generator;
pub mod keyed;
pub mod pace;
pub mod part;
pub mod program;
pub mod route;
pub mod source;
pub mod step;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;

/// Why an operator cannot go on. The job fails with it; the process does not.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OperatorError {
    /// The source cannot give the rows that the plan speaks of.
    #[error("source '{source_name}': {reason}")]
    Source {
        /// Path or name.
        source_name: String,
        /// What is wrong.
        reason: String,
    },
    /// An expression or aggregate failed.
    #[error("{what} failed: {reason}")]
    Compute {
        /// Which step.
        what: String,
        /// What DataFusion or Arrow said.
        reason: String,
    },
    /// Bytes of a snapshot or of the wire that are not what they should be.
    #[error("cannot read {what}: {reason}; refuse it rather than go on with other state")]
    Unreadable {
        /// Which bytes.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// A row came to a worker that does not own its partition.
    #[error("partition {partition} is not owned by this worker; the members disagree about owners")]
    NotOwned {
        /// Partition.
        partition: u32,
    },
}

impl OperatorError {
    pub(crate) fn compute(what: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        OperatorError::Compute { what: what.into(), reason: reason.to_string() }
    }

    pub(crate) fn unreadable(what: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        OperatorError::Unreadable { what: what.into(), reason: reason.to_string() }
    }
}

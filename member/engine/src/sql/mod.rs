//! SQL: what people write, and what the cluster does with it.
//!
//! `CREATE MAPPING` names a source or a map, `CREATE JOB … AS INSERT INTO map SELECT …` makes a job,
//! a plain `SELECT` reads maps once. The leader plans a job once ([`plan_job`]); the plan travels as
//! text, mappings, facts about files and a fingerprint, and every member turns it into a program
//! ([`compile`]) and refuses when its own fingerprint differs.
//!
//! What is not supported is refused here, with the thing, the reason and the way out. This room must
//! not know timely, members or snapshots.

mod bounded;
mod lower;
mod mapping;
mod plan;
mod refusal;
mod statement;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;

pub use bounded::{BoundedRows, BoundedTable, MAX_BOUNDED_ROWS, bounded_tables, run_bounded};
pub use lower::map_of;
pub use mapping::{Column, Mapping, MappingKind};
pub use plan::{DiskFiles, FileFacts, JobOptions, JobPlan, LookAtFiles, compile, plan_job};
pub use refusal::SqlError;
pub use statement::{CreateJob, Statement, parse};

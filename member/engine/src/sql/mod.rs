//! SQL: what people write, and what the cluster does with it.
//!
//! `CREATE MAPPING` names a source or a map, `CREATE JOB … AS INSERT INTO map SELECT …` makes a job,
//! a plain `SELECT` reads maps once. The leader plans a job once ([`plan_job`]); the plan travels as
//! text, mappings, facts about files and a fingerprint, and every member turns it into a program
//! ([`compile`]) and refuses when its own fingerprint differs.
//!
//! | statement | example |
//! |---|---|
//! | file source | `CREATE MAPPING trips (vendor BIGINT, fare DOUBLE) TYPE File OPTIONS ('path'='/data/t.csv', 'rate'='6000', 'null'='NA')` |
//! | generator | `CREATE MAPPING numbers TYPE Generator OPTIONS ('keys'='1000', 'rate'='5000', 'count'='1000000')` |
//! | map | `CREATE MAPPING totals (vendor BIGINT, trips BIGINT) TYPE Map OPTIONS ('key'='vendor')` |
//! | job | `CREATE JOB totals OPTIONS ('snapshot-interval'='1s') AS INSERT INTO totals SELECT vendor, COUNT(*) FROM trips GROUP BY vendor` |
//! | bounded read | `SELECT vendor, trips FROM totals ORDER BY trips DESC` |
//!
//! File options: path, format (csv), rate, header (true), delimiter (,), null, bad-values (fail, null),
//! ranges (12). Columns of a file with a header line are found by name, in any order. Generator options:
//! keys (1000), rate, count (rows in all), ranges (12), payload (bytes of a third column). Map options: map
//! (its name), key (`__key` or the first column); keyFormat and valueFormat name a map that clients write: its columns are
//! `__key`, `this` and attributes of the value, of whatever type each value is, and no job writes it. Unquoted names are lower case.
//!
//! What is not supported is refused here, with the thing, the reason and the way out. This room must
//! not know timely, members or snapshots.

mod bounded;
mod control;
mod lower;
mod mapping;
mod plan;
mod refusal;
mod shape;
mod statement;
mod target;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;

pub use bounded::{BoundedRows, BoundedTable, MAX_BOUNDED_ROWS, bounded_tables, run_bounded};
pub use control::{Control, bind, control, literal};
pub use mapping::{Column, Mapping, MappingKind};
pub use plan::{DiskFiles, FileFacts, JobOptions, JobPlan, LookAtFiles, compile, plan_job};
pub use refusal::SqlError;
pub use statement::{CreateJob, Statement, parse};
pub use target::map_of;

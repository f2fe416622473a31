//! The append log of partitions: records in chunk files, chained from the floor to the newest.
//!
//! [`record`] bytes of one record · [`chunk`] header and reading of one file · [`plan`] which records are live (pure) ·
//! [`collect`] which chunks are to be emptied (pure) · [`lot`] records as bytes on their way · [`appender`] writing, one thread · [`queue`] bounded RAM between callers and the disk.
//! Must not know: maps, jobs, clusters.

pub mod appender;
pub mod chunk;
pub mod collect;
pub mod lot;
pub mod plan;
pub mod queue;
pub mod record;

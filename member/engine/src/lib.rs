//! The job engine of a member: SQL in, timely dataflow inside, snapshots out.
//!
//! Three rooms:
//! - [`sql`]: the dialect, the plan that is made once and shipped, bounded reads of maps;
//! - [`operators`]: sources, expressions, keyed state, entries for a map; no runtime, no clock;
//! - [`runtime`]: timely behind a fence, generations, ticks, credit, epochs; no SQL.
//!
//! Law: a job goes on from exactly the snapshot that it stopped with (EXACT); a failure is a value
//! with a cause and never ends the process. The engine must not know consensus, disks, Kubernetes or
//! who its peers are: sockets, snapshots and reports are traits that it is handed.

pub mod operators;
pub mod runtime;
pub mod sql;

pub use operators::entry::{Entry, SinkDelta};
pub use operators::program::{MapSink, Program, SourceSpec};
pub use runtime::MAX_WORKERS;
pub use runtime::{
    EngineEvents, GenerationHandle, JobCounters, JobRestore, JobStart, PartKey, PeerSocket, Report, RuntimeGeneration,
    SnapshotOut, Vertex, WorkerDone,
};
pub use sql::{JobPlan, Mapping, SqlError, Statement, compile, parse, plan_job, run_bounded};

/// Version that a plan carries; a member refuses a plan of another one.
pub const ENGINE_VERSION: &str = concat!("jet-engine ", env!("CARGO_PKG_VERSION"), " plan 1 datafusion 55");

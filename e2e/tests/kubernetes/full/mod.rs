//! The named cases of a bad day: what a cluster, a colleague or a machine does to a stop, a return or a running cluster.
//!
//! Law: each comes to the same end as a day without it, or to a refusal that names the thing, the reason and the way out;
//! no ledger loses or doubles a number. `make e2e-full` runs them, `make test` does not.
//!
//! - [`wish`]: what is asked, mistyped, taken back, tried twice · [`volume`]: swapped, copied, unwritable, deleted
//! - [`hand`]: a colleague's kubectl · [`death`]: nodes, API server, operators, namespaces
//! - [`job`]: jobs and clients · [`comeback`]: a return with a wrong image, old certificates
//! - [`install`]: how the operator comes, is changed and goes · [`story`]: what a person reads over one stop and return
//! - [`request`]: a stop asked of the members · [`cycles`]: many stops and returns in a row
//! - [`disk`]: slow while it is saved or loaded; what lies on it when all die

mod comeback;
mod cycles;
mod death;
mod disk;
mod hand;
mod install;
mod job;
mod request;
mod story;
mod volume;
mod wish;

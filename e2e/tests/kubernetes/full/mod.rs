//! The named cases of a bad day: what a cluster, a colleague or a machine does to a stop, a return or a running cluster.
//!
//! Law: each comes to the same end as a day without it, or to a refusal that names the thing, the reason and the way out;
//! no ledger loses or doubles a number. `make e2e-full` runs them, `make test` does not.

//! JetJob: one streaming job as a Kubernetes object.
//!
//! Law: a job is submitted once, whatever becomes of its JetJob's status; a job that was there and is gone is never
//! started again from nothing by itself; wishes made while the cluster does not serve are kept and applied with its
//! activation, before any job starts. Must not know: the maintenance protocol.
//!
//! - [`resource`]: the CRD · [`evidence`]: what was asked for an object, written on it
//! - [`plan`]: facts → one step, pure · [`report`]: facts → status, pure
//! - [`wishes`]: the ConfigMap of kept wishes · [`settle`]: those that came too late
//! - [`door`]: the members' jobs API, real and scripted · [`pass`]: one pass: observe, plan, carry out, write the status

pub mod door;
pub mod evidence;
pub mod pass;
pub mod plan;
pub mod report;
pub mod resource;
pub mod settle;
pub mod wishes;

pub use resource::{JetJob, JetJobSpec, JetJobStatus};

/// Finalizer: a deleted JetJob's job is cancelled first, or its cancellation is kept.
pub const FINALIZER: &str = "jet.lossless.dev/cancel-before-delete";

//! One pass over a JetCluster: observe, validate, plan one step, carry it out, write the status.
//!
//! Law: a pass says a little to members, and then writes at most one thing beside the status; every step is recognised from
//! facts, so a pass may be killed between any two writes and its status erased. Must not know: how members keep their state.
//!
//! - [`port`]: what a pass needs of Kubernetes · [`observe`] and [`apply`]: that port, real
//! - [`facts`]: what was seen · [`evidence`]: what outlives a status · [`validate`]: what is wrong with a spec
//! - [`desired`]: what objects should be · [`plan`]: facts → at most one step · [`status`]: facts and plan → status
//! - [`story`]: events · [`pass`]: all of it, once

pub mod apply;
pub mod desired;
pub mod evidence;
pub mod facts;
pub mod observe;
pub mod pass;
pub mod plan;
pub mod port;
pub mod status;
pub mod story;
pub mod validate;

pub use pass::{PassError, pass};

//! The Hazelcast-shaped REST: paths, forms and bodies as the members of the documents answer them.
//!
//! Law: what stands here is another product's interface, kept for its scripts and probes: names and orders of keys are
//! not ours to choose. Must not know: how a member finds an answer.
//!
//! - [`endpoints`]: paths, methods, groups · [`form`]: the positional body of a POST
//! - [`reply`]: bodies of answers · [`client`]: a caller that tells apart what its exit codes tell apart

pub mod client;
pub mod endpoints;
pub mod form;
pub mod reply;

pub use endpoints::{Endpoint, Group, Resolved, Verb, resolve};

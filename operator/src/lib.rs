//! The operator: it looks at Kubernetes and at the members, and plans one step.
//!
//! Law: deciding is pure, doing is thin, every step is recognised from facts. Of ours it knows only the admin API.
//!
//! - [`api`]: the resources' words · [`cluster`]: one pass over a JetCluster · [`job`]: one pass over a JetJob
//! - [`members`]: the port to the members · [`dialling`]: how they are reached · [`pki`]: the authority of each cluster
//! - [`process`]: one process from start to end · [`controllers`]: what wakes a pass, what becomes of a failure
//! - [`runtime`]: lease, backoff, metrics, probes, signals · [`crds`]: the CRDs as YAML · [`uninstall`]: may it go

pub mod api;
pub mod cluster;
pub mod controllers;
pub mod crds;
pub mod dialling;
pub mod job;
pub mod members;
pub mod pki;
pub mod process;
pub mod runtime;
pub mod uninstall;

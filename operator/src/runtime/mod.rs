//! The process around the reconcilers: who leads, how to wait after a failure, what is measured, when to stop.
//!
//! Law: a lease chooses who works, it fences nothing (every write of the reconcilers carries its own precondition);
//! everything that waits is bounded. Must not know: JetClusters, members.
//!
//! - [`lease`]: pure decision about the Lease · [`election`]: carries it out
//! - [`backoff`]: waits after failures · [`telemetry`]: metrics · [`server`]: `/livez` `/readyz` `/metrics`
//! - [`logs`]: log lines · [`stop`]: signals and the one switch that ends everything · [`connection`]: the Kubernetes client's bounds

pub mod backoff;
pub mod connection;
pub mod election;
pub mod lease;
pub mod logs;
pub mod server;
pub mod stop;
pub mod telemetry;

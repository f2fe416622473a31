//! The harness of the end-to-end tests: a real Kubernetes, real containers, the README's own commands.
//!
//! Law: waits are for conditions, bounded, and print the last state; a kill is SIGKILL by PID or a node crash, never
//! a polite delete. Must not know: how the operator decides.
//!
//! - [`shell`]: commands and bounded waiting · [`world`]: the installed operator and one namespace a test
//! - [`jet`]: one JetCluster under test · [`members`]: its members' admin API · [`faults`]: what is done to it
//! - [`forbidden`]: writes that are refused for a while · [`policies`]: the chart's, taken away for a while · [`pki`]: certificates made old
//! - [`readme`]: the blocks that users copy · [`figure`]: what was measured · [`installation`]: the operator as people install it
//! - [`told`]: what a person is told of a cluster · [`golden`]: the files that it is compared with
//! - [`forward`]: a way to a pod's port · [`growth`]: what must not grow

#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod faults;
pub mod figure;
pub mod forbidden;
pub mod forward;
pub mod golden;
pub mod growth;
pub mod installation;
pub mod jet;
pub mod members;
pub mod pki;
pub mod policies;
pub mod readme;
pub mod shell;
pub mod told;
pub mod world;

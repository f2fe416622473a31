//! The cluster as this member takes part in it.
//!
//! Law: judging is `jet-core`'s; here its commands and actions are carried to where they belong, once at a time, and
//! what came of them becomes a fact that is looked at again. Must not know: HTTP, YAML.
//!
//! - [`consensus`]: the replicated log · [`control`]: what members ask of one another · [`presence`]: beats and leases
//! - [`founding`]: permits · [`node`]: this member in the cluster: proposals, beats, founding
//! - [`giving_up`]: the stores of a forced start · [`refounding`]: a new incarnation without a majority
//! - [`supervise`]: the loop at the leader · [`act`]: the loop on every member
//! - [`leaving`]: the end of a process after a stop of the members' own

pub mod act;
pub mod consensus;
pub mod control;
pub mod founding;
pub mod giving_up;
pub mod leaving;
pub mod node;
pub mod presence;
pub mod refounding;
pub mod supervise;

pub use consensus::ProposeError;
pub use node::Node;

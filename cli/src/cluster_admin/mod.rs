//! `jet-cluster-admin`: state, shutdown and version of a cluster, over the Hazelcast-shaped REST of one member.
//!
//! Law: options, lines and exit codes are the original's, where it tells the truth; a failed change is never printed as
//! a done one. `--strict` makes every failure an exit code, `--wait` stays until what was asked for is so. Must not
//! know: the admin API.
//!
//! - [`options`]: what is asked for · [`words`]: what is printed · [`end`]: how it ended, and its exit code
//! - [`run`]: asking and waiting

pub mod end;
pub mod options;
pub mod run;
pub mod words;

pub use options::Options;
pub use run::run;

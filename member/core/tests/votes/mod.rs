//! - `raft`: a consensus that is small and true · `world`: time, deaths, the leader's steps, the laws

pub mod raft;
pub mod world;

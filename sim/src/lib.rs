//! A whole cluster in one thread, by seed: real members on simulated disks, clocks and a simulated network.
//!
//! Law: a seed replays to the last letter; what members do is what the shipped program does ([`jet_member::running`]), and
//! everything under them is ours. Must not know: anything that a process, a disk or a client could not show.
//!
//! - [`dice`]: chance · [`trace`]: what happened, as one number
//! - [`process`]: one member's process: runtime, clock, disk · [`network`]: sessions and letters
//! - [`faults`]: what goes wrong when · `mishaps`: how · [`operator`]: who stops it and returns it · [`person`]: who changes its state
//! - [`world`]: time and turns · [`invariants`]: what holds at every moment
//! - [`seeds`]: one history after the other
//! - [`clients`]: who asks · [`history`]: what was asked and told · [`linear`]: whether that can be

pub mod clients;
pub mod dice;
pub mod faults;
pub mod history;
pub mod invariants;
pub mod linear;
mod mishaps;
pub mod network;
pub mod operator;
pub mod person;
pub mod process;
pub mod seeds;
pub mod trace;
pub mod world;

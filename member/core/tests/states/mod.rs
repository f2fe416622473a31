//! Scenes, and the command of each kind that fits a scene best.
//!
//! - `scenes`: machines, one for each state and each part of a state in which commands are judged in another way
//! - `commands`: one row for each command

pub mod commands;
pub mod scenes;

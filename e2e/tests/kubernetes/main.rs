//! The promise on a real Kubernetes: each law broken on purpose, each test named after what must hold.
//!
//! Law: one namespace a test, one after the other; nothing here asserts what an earlier test left.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod crash;
mod demo;
mod full;
mod refusal;
mod stop_and_return;

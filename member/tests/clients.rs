//! Clients of real members: what they are answered, what they are told of the cluster, what a bad one can do, and how they
//! find their data after a member died and after a stop of all.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "clients/bad.rs"]
mod bad;
#[path = "clients/caller.rs"]
mod caller;
#[path = "clients/cluster.rs"]
mod cluster;
#[path = "clients/gone.rs"]
mod gone;
#[path = "clients/listeners.rs"]
mod listeners;
#[path = "clients/maps.rs"]
mod maps;
#[path = "clients/queries.rs"]
mod queries;
#[path = "clients/settings.rs"]
mod settings;
mod world;

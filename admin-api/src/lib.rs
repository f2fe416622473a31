//! Words across the process wall: what a member says and takes over its admin API v1.
//!
//! Law: every answer that acts says what was *done* (with the log index that did it), never what was asked;
//! every refusal is typed. Must not know: Kubernetes, Raft, the store, or how a member keeps any of this.
//!
//! - [`identity`]: who speaks (certificate names, roles) · [`tls`]: rustls settings for both ends · [`renewal`]: a key pair
//!   that is replaced while the process runs
//! - [`routes`]: paths and the role that each asks for · [`refusal`]: the body of every refusal
//! - [`founding`], [`member`], [`progress`], [`cluster`], [`operation`], [`stop_request`], [`job`], [`map`]: bodies
//! - [`client`]: a typed client of one member; `handshake` says why one was refused
//! - [`rest`]: the Hazelcast-shaped REST beside all that

pub mod backup;
pub mod client;
pub mod cluster;
pub mod founding;
mod handshake;
pub mod identity;
pub mod job;
pub mod map;
pub mod member;
pub mod operation;
pub mod progress;
pub mod refusal;
pub mod renewal;
pub mod rest;
pub mod routes;
pub mod stop_request;
pub mod tls;

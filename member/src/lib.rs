//! The member process: the only place where the cluster's rooms meet.
//!
//! Law: judging is done in `jet-core`, data in `jet-map`, disks in `jet-hotstore`, dataflow in `jet-engine`; here things
//! are carried from one to the other, and nothing is decided. Must not know: Kubernetes.
//!
//! | room | what is in it |
//! |---|---|
//! | [`config`] | command line, environment, the two YAML files |
//! | [`net`] | members' connections: mutual TLS, frames, hello, lanes |
//! | [`cluster`] | consensus, founding, presence and leases; the supervisor's and the agent's loops |
//! | [`map`] | partitions in RAM, replicated, with their log |
//! | [`jobs`] | the engine: generations, snapshots, SQL |
//! | [`ports`] | the seams to maps and jobs; [`idle`] what stands there when there are none |
//! | [`store`] | the hot-restart store as the shell uses it |
//! | [`map`] | partitions in RAM, behind network, log and doors |
//! | [`backup`] | hot backups of all members at one moment |
//! | [`admin`], [`health`] | the admin API and the probes |
//! | [`client`] | the client protocol: unmodified clients and what they may ask |
//! | [`rest`] | the Hazelcast-shaped REST, a translation onto the rest |
//! | [`running`] | what takes part of a member: consensus, maps, jobs, agent, supervisor |
//! | [`member`] | one member, wired: that, with its ports |
//! | [`host`] | the machine under it: clock, and who waits for disks |
//! | [`overdue`] | how long a return has lasted, against the configured bounds |
//! | [`pace`] | how far the store is with a seal or a load, and how fast |
//! | [`renewal`] | the member's certificate, renewed while it runs |
//! | [`announced`] | a value that many wait for the next of |
//! | [`clock`], [`telemetry`] | time that counts, log lines |

pub mod admin;
pub mod announced;
pub mod backup;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod health;
pub mod host;
pub mod idle;
pub mod jobs;
pub mod map;
pub mod member;
pub mod net;
pub mod overdue;
pub mod pace;
pub mod ports;
pub mod renewal;
pub mod rest;
pub mod running;
pub mod store;
pub mod telemetry;

use std::sync::Arc;

/// Maps and jobs of the shipped program.
pub fn assemble(parts: member::Parts) -> (Arc<dyn ports::Maps>, Arc<dyn ports::Jobs>) {
    let (net, settings) = (parts.net.clone(), parts.settings.maps.clone());
    let maps = map::MapService::new(net, parts.store, parts.cluster.clone(), jobs::decode_sink, settings);
    let jobs = jobs::JobService::new(parts.net, maps.clone(), parts.cluster, parts.streams, &parts.settings);
    (Arc::new(maps), Arc::new(jobs))
}

//! What one member is told at its start: command line, environment, `hazelcast.yaml`, `hazelcast-jet.yaml`.
//!
//! Law: a key that we do not know is an error that names the nearest known one; a key that we know and do not offer
//! is refused with the reason; nothing is ignored silently. Must not know: sockets, the store, the cluster.
//!
//! - [`launch`]: flags and environment · [`keys`]: which keys exist, and what we do with each
//! - [`documents`]: the two YAML files, checked against the keys · [`settings`]: what the member runs with
//! - [`clients`]: what of that is the client protocol's · [`rest`]: the REST's · [`maps`]: what is said of
//!   single maps, [`by_name`] how it is found · [`fsync`]: of which a change waits for the disks

pub mod by_name;
pub mod clients;
pub mod documents;
pub mod encryption;
pub mod fsync;
pub mod keys;
pub mod launch;
pub mod maps;
pub mod rest;
pub mod settings;

pub use clients::Clients;
pub use fsync::Fsync;
pub use launch::Launch;
pub use maps::{Evicted, MapSettings, Room};
pub use rest::Rest;
pub use settings::{Founding, Settings};

use std::path::PathBuf;

/// Why a member does not start with its configuration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ConfigError {
    #[error(
        "cannot read {path}: {reason}; --config (JET_CONFIG) names hazelcast-jet.yaml, and hazelcast.yaml lies beside it"
    )]
    Read { path: PathBuf, reason: String },
    #[error("{path} is no valid YAML: {reason}; correct that place")]
    Yaml { path: PathBuf, reason: String },
    #[error("{path}: unknown key '{key}'; {}", nearest.as_ref().map_or_else(|| "remove it".into(), |n| format!("did you mean '{n}'?")))]
    Unknown { path: PathBuf, key: String, nearest: Option<String> },
    #[error("{path}: '{key}' is not offered: {reason}; leave it out")]
    NotOffered { path: PathBuf, key: String, reason: &'static str },
    #[error("{path}: '{key}' is {found}, but {wanted}")]
    Value { path: PathBuf, key: String, found: String, wanted: String },
    #[error("{what} is missing: {way_out}")]
    Missing { what: &'static str, way_out: &'static str },
}

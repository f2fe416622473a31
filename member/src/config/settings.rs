//! What one member runs with: launch and documents put together.
//!
//! Law: every default is written here once; the effective store path is decided here and logged by the caller.
//! Must not know: how the files were read.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ConfigError;
use super::clients::Clients;
use super::documents::Document;
use super::encryption::{self, KeyDirectory};
use super::launch::{Launch, LogFormat, PermitFrom};
use super::maps::MapSettings;
use super::rest::Rest;

/// Partitions when nothing else is said.
pub const PARTITIONS: u16 = 271;
/// Most partitions of a cluster.
pub const PARTITIONS_MOST: u16 = 8191;
/// Backups of a partition when nothing else is said, and at most.
pub const BACKUPS: u8 = 1;
/// Most backups of a partition.
pub const BACKUPS_MOST: u8 = 6;

/// Most dataflow workers of a member: as many as the engine takes.
pub const WORKERS_MOST: u16 = 64;

/// Who permits a blank member to found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Founding {
    /// The operator, over the admin API.
    Operator,
    /// The member list: as many members as it has entries (at least this one), with these figures.
    Configuration {
        /// Number of members.
        members: u32,
        /// Partitions.
        partition_count: u16,
        /// Backups of each.
        backup_count: u8,
    },
}

/// What one member runs with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Number of this member.
    pub ordinal: u32,
    /// Namespace in certificates.
    pub namespace: String,
    /// Cluster name in certificates.
    pub cluster: String,
    /// Where the store lies.
    pub base_dir: PathBuf,
    /// Below it lie this member's backups; `None`: beside the store.
    pub backup_dir: Option<PathBuf>,
    /// Volume id as told, else found out from the file system.
    pub volume_id: Option<String>,
    /// Where the keys for encryption at rest are, if there are any.
    pub keys: Option<KeyDirectory>,
    /// Directory of the key pair.
    pub tls: PathBuf,
    /// Where peers may be found: names or addresses with ports.
    pub peers: Vec<String>,
    /// Who permits a founding.
    pub founding: Founding,
    /// All ports are bound here.
    pub bind: IpAddr,
    /// Member to member.
    pub member_port: u16,
    /// Admin API.
    pub admin_port: u16,
    /// Probes and metrics.
    pub health_port: u16,
    /// The client protocol, if it is on.
    pub clients: Option<Clients>,
    /// The Hazelcast-shaped REST, if it is on.
    pub rest: Option<Rest>,
    /// What is said of single maps.
    pub maps: MapSettings,
    /// Dataflow workers of this member.
    pub workers: usize,
    /// Joining longer than this is an alarm, never a decision.
    pub join_alarm: Duration,
    /// Loading longer than this is an alarm, never a decision.
    pub load_alarm: Duration,
    /// Log format.
    pub log_format: LogFormat,
}

impl Settings {
    /// Reads the files that `launch` names and decides.
    pub fn load(launch: &Launch) -> Result<Self, ConfigError> {
        let mut document = Document::default();
        for (path, required) in files(launch) {
            match std::fs::read_to_string(&path) {
                Ok(text) => document.add(&path, &text)?,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound && !required => {}
                Err(e) => return Err(ConfigError::Read { path, reason: e.to_string() }),
            }
        }
        Self::decide(launch, &document)
    }

    /// Puts launch and checked documents together.
    pub fn decide(launch: &Launch, document: &Document) -> Result<Self, ConfigError> {
        let ordinal = launch.ordinal().ok_or(ConfigError::Missing {
            what: "the member's number",
            way_out: "give --ordinal or a --pod-name that ends in -<number>",
        })?;
        let peers = peers(launch, document)?;
        let founding = match launch.permit_from() {
            PermitFrom::Operator => Founding::Operator,
            PermitFrom::Configuration => Founding::Configuration {
                members: u32::try_from(peers.len().max(1)).unwrap_or(u32::MAX),
                partition_count: bounded(
                    document,
                    "hazelcast.properties.hazelcast.partition.count",
                    PARTITIONS,
                    1,
                    PARTITIONS_MOST,
                )?,
                backup_count: bounded(document, "hazelcast-jet.instance.backup-count", BACKUPS, 0, BACKUPS_MOST)?,
            },
        };
        let workers: u16 =
            bounded(document, "hazelcast-jet.instance.cooperative-thread-count", default_workers(), 1, WORKERS_MOST)?;
        Ok(Self {
            ordinal,
            namespace: launch.namespace.clone(),
            cluster: match &launch.cluster {
                Some(given) => given.clone(),
                None => document.text("hazelcast.cluster-name")?.unwrap_or_else(|| "jet".into()),
            },
            base_dir: base_dir(launch, document)?,
            backup_dir: document.text("hazelcast.hot-restart-persistence.backup-dir")?.map(PathBuf::from),
            keys: encryption::decide(document)?,
            volume_id: launch.volume_id.clone().filter(|v| !v.is_empty()),
            tls: launch.tls.clone(),
            peers,
            founding,
            bind: launch.bind,
            member_port: launch.member_port,
            admin_port: launch.admin_port,
            health_port: launch.health_port,
            clients: Clients::decide(launch, document)?,
            rest: Rest::decide(launch, document)?,
            maps: MapSettings::decide(document)?,
            workers: usize::from(workers),
            join_alarm: seconds(document, "hazelcast.hot-restart-persistence.validation-timeout-seconds", 120)?,
            load_alarm: seconds(document, "hazelcast.hot-restart-persistence.data-load-timeout-seconds", 900)?,
            log_format: launch.log_format,
        })
    }
}

fn files(launch: &Launch) -> [(PathBuf, bool); 2] {
    match &launch.config {
        Some(jet) => [(jet.clone(), true), (jet.parent().unwrap_or(Path::new(".")).join("hazelcast.yaml"), false)],
        None => {
            let dir = launch.home.join("config");
            [(dir.join("hazelcast-jet.yaml"), false), (dir.join("hazelcast.yaml"), false)]
        }
    }
}

fn default_workers() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u16::try_from(cores).unwrap_or(WORKERS_MOST).clamp(1, WORKERS_MOST)
}

fn base_dir(launch: &Launch, document: &Document) -> Result<PathBuf, ConfigError> {
    let on = document.parsed::<bool>("hazelcast.hot-restart-persistence.enabled", "it is true or false")?;
    let lossless = document.parsed::<bool>("hazelcast-jet.instance.lossless-restart-enabled", "it is true or false")?;
    let off = match (on, lossless) {
        (Some(false), Some(false) | None) => Some("hazelcast.hot-restart-persistence.enabled"),
        (None, Some(false)) => Some("hazelcast-jet.instance.lossless-restart-enabled"),
        _ => None,
    };
    if let Some(key) = off {
        return Err(ConfigError::NotOffered {
            path: document.source(key),
            key: format!("{key}: false"),
            reason: "consensus needs a disk: a member without a store does not exist in this version",
        });
    }
    if let Some(given) = document.text("hazelcast.hot-restart-persistence.base-dir")? {
        return Ok(PathBuf::from(given));
    }
    let home = document.text("hazelcast-jet.properties.jet.home")?.map(PathBuf::from);
    Ok(home.unwrap_or_else(|| launch.home.clone()).join("recovery"))
}

fn peers(launch: &Launch, document: &Document) -> Result<Vec<String>, ConfigError> {
    let enabled =
        document.parsed::<bool>("hazelcast.network.join.tcp-ip.enabled", "it is true or false")?.unwrap_or(true);
    if !enabled {
        return Ok(Vec::new());
    }
    let mut peers: Vec<String> = Vec::new();
    for key in ["hazelcast.network.join.tcp-ip.member-list", "hazelcast.network.join.tcp-ip.members"] {
        for name in document.list(key)? {
            if !is_address(&name) {
                return Err(document.wrong(
                    key,
                    &format!("'{name}'"),
                    "it must be a host, or host:port with a port from 1 to 65535",
                ));
            }
            let peer = with_port(&name, launch.member_port);
            // As many members are founded as the list has entries.
            if peers.contains(&peer) {
                return Err(document.wrong(key, &format!("'{peer}' twice"), "each member must be named once"));
            }
            peers.push(peer);
        }
    }
    Ok(peers)
}

fn is_address(name: &str) -> bool {
    if name.parse::<IpAddr>().is_ok() {
        return true;
    }
    let (host, port) = name.rsplit_once(':').map_or((name, None), |(host, port)| (host, Some(port)));
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let good_host = !host.is_empty() && !host.contains(char::is_whitespace) && (bracketed || !host.contains(':'));
    good_host && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// `host`, `host:port`, `[v6]:port` or a bare v6 address, with the member port when none is there.
pub fn with_port(name: &str, port: u16) -> String {
    match name.parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
        Ok(IpAddr::V4(ip)) => format!("{ip}:{port}"),
        Err(_) if name.rsplit_once(':').is_some_and(|(_, p)| p.parse::<u16>().is_ok()) => name.to_owned(),
        Err(_) => format!("{name}:{port}"),
    }
}

fn bounded<T>(document: &Document, key: &str, default: T, least: T, most: T) -> Result<T, ConfigError>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display + Copy,
{
    let wanted = format!("it must be a number from {least} to {most}");
    match document.parsed::<T>(key, &wanted)? {
        None => Ok(default),
        Some(v) if v >= least && v <= most => Ok(v),
        Some(v) => Err(document.wrong(key, &format!("'{v}'"), wanted)),
    }
}

fn seconds(document: &Document, key: &str, default: u64) -> Result<Duration, ConfigError> {
    bounded(document, key, default, 1, 86_400).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn decide(hazelcast: &str, jet: &str) -> Result<Settings, ConfigError> {
        let launch =
            Launch::parse_from(["jet-member", "--ordinal", "0", "--home", "/jet", "--founding", "configuration"]);
        let mut document = Document::default();
        document.add(Path::new("hazelcast.yaml"), hazelcast)?;
        document.add(Path::new("hazelcast-jet.yaml"), jet)?;
        Settings::decide(&launch, &document)
    }

    #[test]
    fn the_documented_lossless_restart_is_taken() {
        let s = decide(
            "hazelcast:\n  cluster-name: orders\n  network:\n    port: 5701\n    join:\n      multicast: {enabled: false}\n      tcp-ip: {enabled: true, member-list: [a, 'b:6000', '10.0.0.1']}\n",
            "hazelcast-jet:\n  instance:\n    lossless-restart-enabled: true\n    backup-count: 2\n",
        )
        .unwrap();
        assert_eq!(s.cluster, "orders");
        assert_eq!(s.base_dir, PathBuf::from("/jet/recovery"));
        assert_eq!(s.peers, ["a:5702", "b:6000", "10.0.0.1:5702"]);
        assert_eq!(s.founding, Founding::Configuration { members: 3, partition_count: 271, backup_count: 2 });
    }

    #[test]
    fn base_dir_is_obeyed() {
        let s =
            decide("hazelcast:\n  hot-restart-persistence: {enabled: true, base-dir: /data/recovery}\n", "").unwrap();
        assert_eq!((s.base_dir, s.backup_dir), (PathBuf::from("/data/recovery"), None));
        let s = decide("hazelcast: {hot-restart-persistence: {backup-dir: /data/kept}}\n", "").unwrap();
        assert_eq!(s.backup_dir, Some(PathBuf::from("/data/kept")));
    }

    #[test]
    fn refusals_name_the_key() {
        let cases = [
            (
                "hazelcast:\n  cluster-nam: x\n",
                "unknown key 'hazelcast.cluster-nam'; did you mean 'hazelcast.cluster-name'?",
            ),
            ("hazelcast:\n  hot-restart-persistence: {auto-remove-stale-data: true}\n", "only 'false' is offered"),
            (
                "hazelcast:\n  hot-restart-persistence: {cluster-data-recovery-policy: PARTIAL_RECOVERY_MOST_RECENT}\n",
                "FULL_RECOVERY_ONLY",
            ),
            ("hazelcast:\n  hot-restart-persistence: {enabled: false}\n", "is not offered"),
            ("hazelcast:\n  wan-replication: {x: 1}\n", "is not offered"),
            ("hazelcast:\n  network: 7\n", "a section with keys"),
            ("hazelcast:\n  properties: {hazelcast.partition.count: 0}\n", "from 1 to 8191"),
            ("hazelcast: {map: {m: {hot-restart: {fsync: perhaps}}}}\n", "it must be true or false"),
            ("hazelcast: {cluster-name: [orders]}\n", "'hazelcast.cluster-name' is not a single value"),
            ("hazelcast: {cluster-name: ''}\n", "one text that is not empty"),
            ("hazelcast: {hot-restart-persistence: {base-dir: ''}}\n", "one text that is not empty"),
            ("hazelcast: {network: {join: {tcp-ip: {member-list: [{a: 1}]}}}}\n", "a list of texts"),
            ("hazelcast: {network: {join: {tcp-ip: {member-list: ['a:99999']}}}}\n", "from 1 to 65535"),
            ("hazelcast: {network: {join: {tcp-ip: {member-list: [a, b, 'a:5702']}}}}\n", "'a:5702' twice"),
        ];
        for (text, expected) in cases {
            let said = decide(text, "").unwrap_err().to_string();
            assert!(said.contains(expected), "{text}: {said}");
        }
    }

    /// A member that started with more than the engine takes would let every job fail.
    #[test]
    fn no_more_workers_are_taken_than_the_engine_takes() {
        assert_eq!(usize::from(WORKERS_MOST), jet_engine::MAX_WORKERS);
        let with = |n: u16| decide("", &format!("hazelcast-jet: {{instance: {{cooperative-thread-count: {n}}}}}\n"));
        assert_eq!(with(WORKERS_MOST).unwrap().workers, 64);
        assert!(with(WORKERS_MOST + 1).unwrap_err().to_string().contains("from 1 to 64"));
    }

    #[test]
    fn r12_the_bounds_of_a_return_are_those_of_the_documents() {
        let bounds = |text: &str| decide(text, "").map(|s| (s.join_alarm.as_secs(), s.load_alarm.as_secs())).unwrap();
        assert_eq!(bounds(""), (120, 900));
        let both = "{validation-timeout-seconds: 7, data-load-timeout-seconds: 8}";
        assert_eq!(bounds(&format!("hazelcast: {{hot-restart-persistence: {both}}}\n")), (7, 8));
    }

    #[test]
    fn the_ordinal_comes_from_the_pod() {
        let launch = Launch::parse_from(["jet-member", "--pod-name", "orders-2"]);
        assert_eq!((launch.ordinal(), launch.permit_from()), (Some(2), PermitFrom::Operator));
    }
}

//! Which configuration keys exist, and what we do with each.
//!
//! Law: the table is the whole truth; the walk over a document refuses what is not in it. A person's own names (of
//! maps) are `*`. Must not know: files, values of keys that we do not offer.

/// What we do with a known key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stance {
    /// A section: look at the keys in it.
    Section,
    /// Taken.
    Offered,
    /// Taken when it says exactly this; else refused with the reason.
    Only(&'static str, &'static str),
    /// Known, refused with the reason.
    NotOffered(&'static str),
}

use Stance::{NotOffered, Offered, Only, Section};

const CONSENSUS: &str = "the cluster's own state is consensus already";
const DISCOVERY: &str = "peers are found by the addresses in join.tcp-ip.member-list";
const CREDIT: &str = "flow between members is controlled by credit, not by fixed queues";
const PLANNED: &str = "this version does not have it";
const THREADS: &str = "threads sleep until there is work; their number is cooperative-thread-count";
const TIMES: &str = "every wait has a bound that is fixed in this version";
const SIGNALS: &str = "a member always ends in order on SIGTERM and SIGINT";
const JOINING: &str = "the recorded roster decides who belongs together, and no time does";
const KEY_FILES: &str = "keys are files of a mounted Secret: name their directory in secure-store.directory.path";
const ONE_COUNT: &str = "the cluster has one backup count, fixed at founding (hazelcast-jet.instance.backup-count)";

/// Every known key: dotted path, stance. `*` stands for a name that a person chose.
pub const KEYS: &[(&str, Stance)] = &[
    ("hazelcast", Section),
    ("hazelcast.cluster-name", Offered),
    ("hazelcast.instance-name", NotOffered(PLANNED)),
    ("hazelcast.license-key", NotOffered("no licence is needed")),
    ("hazelcast.network", Section),
    ("hazelcast.network.port", Section),
    ("hazelcast.network.port.port", Offered),
    ("hazelcast.network.port.auto-increment", Only("false", "a member's ports are fixed")),
    ("hazelcast.network.port.port-count", NotOffered("a member's ports are fixed")),
    ("hazelcast.network.public-address", NotOffered(DISCOVERY)),
    ("hazelcast.network.outbound-ports", NotOffered(PLANNED)),
    ("hazelcast.network.reuse-address", NotOffered(PLANNED)),
    ("hazelcast.network.interfaces", NotOffered("use the flag --bind")),
    ("hazelcast.network.ssl", NotOffered("connections between processes are always mutual TLS; use the flag --tls")),
    ("hazelcast.network.client-protocol", Section),
    ("hazelcast.network.client-protocol.enabled", Offered),
    ("hazelcast.network.client-protocol.locks-kept-seconds", Offered),
    ("hazelcast.network.rest-api", Section),
    ("hazelcast.network.rest-api.enabled", Offered),
    ("hazelcast.network.rest-api.endpoint-groups", Section),
    ("hazelcast.network.rest-api.endpoint-groups.CLUSTER_READ", Section),
    ("hazelcast.network.rest-api.endpoint-groups.CLUSTER_READ.enabled", Offered),
    ("hazelcast.network.rest-api.endpoint-groups.CLUSTER_WRITE", Section),
    ("hazelcast.network.rest-api.endpoint-groups.CLUSTER_WRITE.enabled", Offered),
    ("hazelcast.network.rest-api.endpoint-groups.HEALTH_CHECK", Section),
    ("hazelcast.network.rest-api.endpoint-groups.HEALTH_CHECK.enabled", Offered),
    ("hazelcast.network.rest-api.endpoint-groups.HOT_RESTART", Section),
    ("hazelcast.network.rest-api.endpoint-groups.HOT_RESTART.enabled", Offered),
    ("hazelcast.network.rest-api.endpoint-groups.PERSISTENCE", Section),
    (
        "hazelcast.network.rest-api.endpoint-groups.PERSISTENCE.enabled",
        Only("false", "its name here is HOT_RESTART, as in the documents of 4.x"),
    ),
    ("hazelcast.network.rest-api.endpoint-groups.DATA", Section),
    ("hazelcast.network.rest-api.endpoint-groups.DATA.enabled", Only("false", PLANNED)),
    ("hazelcast.network.rest-api.endpoint-groups.WAN", Section),
    ("hazelcast.network.rest-api.endpoint-groups.WAN.enabled", Only("false", PLANNED)),
    ("hazelcast.network.rest-api.endpoint-groups.CP", Section),
    ("hazelcast.network.rest-api.endpoint-groups.CP.enabled", Only("false", CONSENSUS)),
    ("hazelcast.network.join", Section),
    ("hazelcast.network.join.auto-detection", Section),
    ("hazelcast.network.join.auto-detection.enabled", Only("false", DISCOVERY)),
    ("hazelcast.network.join.multicast", Section),
    ("hazelcast.network.join.multicast.enabled", Only("false", DISCOVERY)),
    ("hazelcast.network.join.multicast.multicast-group", NotOffered(DISCOVERY)),
    ("hazelcast.network.join.multicast.multicast-port", NotOffered(DISCOVERY)),
    ("hazelcast.network.join.kubernetes", Section),
    (
        "hazelcast.network.join.kubernetes.enabled",
        Only("false", "put the headless Service's name into tcp-ip.member-list"),
    ),
    ("hazelcast.network.join.tcp-ip", Section),
    ("hazelcast.network.join.tcp-ip.enabled", Offered),
    ("hazelcast.network.join.tcp-ip.member-list", Offered),
    ("hazelcast.network.join.tcp-ip.members", Offered),
    (
        "hazelcast.network.join.tcp-ip.connection-timeout-seconds",
        NotOffered("dialling goes on with a bounded pause until the peer answers"),
    ),
    ("hazelcast.network.join.tcp-ip.required-member", NotOffered("the recorded roster decides who is required")),
    ("hazelcast.hot-restart-persistence", Section),
    ("hazelcast.hot-restart-persistence.enabled", Offered),
    ("hazelcast.hot-restart-persistence.base-dir", Offered),
    ("hazelcast.hot-restart-persistence.backup-dir", Offered),
    ("hazelcast.hot-restart-persistence.parallelism", Only("1", "one log for each member in this version")),
    ("hazelcast.hot-restart-persistence.validation-timeout-seconds", Offered),
    ("hazelcast.hot-restart-persistence.data-load-timeout-seconds", Offered),
    (
        "hazelcast.hot-restart-persistence.cluster-data-recovery-policy",
        Only("FULL_RECOVERY_ONLY", "nothing that loses data is chosen by configuration"),
    ),
    (
        "hazelcast.hot-restart-persistence.auto-remove-stale-data",
        Only("false", "stale data go to quarantine and are never deleted by a member"),
    ),
    ("hazelcast.hot-restart-persistence.encryption-at-rest", Section),
    ("hazelcast.hot-restart-persistence.encryption-at-rest.enabled", Offered),
    (
        "hazelcast.hot-restart-persistence.encryption-at-rest.algorithm",
        Only("AES/GCM/NoPadding", "what is not authenticated can be changed unseen"),
    ),
    ("hazelcast.hot-restart-persistence.encryption-at-rest.salt", NotOffered("each file has a random salt of its own")),
    ("hazelcast.hot-restart-persistence.encryption-at-rest.key-size", Only("256", "keys have 256 bits")),
    ("hazelcast.hot-restart-persistence.encryption-at-rest.secure-store", Section),
    ("hazelcast.hot-restart-persistence.encryption-at-rest.secure-store.keystore", NotOffered(KEY_FILES)),
    ("hazelcast.hot-restart-persistence.encryption-at-rest.secure-store.vault", NotOffered(KEY_FILES)),
    ("hazelcast.hot-restart-persistence.encryption-at-rest.secure-store.directory", Section),
    ("hazelcast.hot-restart-persistence.encryption-at-rest.secure-store.directory.path", Offered),
    ("hazelcast.hot-restart-persistence.encryption-at-rest.secure-store.directory.current-key", Offered),
    ("hazelcast.persistence", NotOffered("use the section hot-restart-persistence")),
    ("hazelcast.map", Section),
    ("hazelcast.map.*", Section),
    ("hazelcast.map.*.hot-restart", Section),
    ("hazelcast.map.*.hot-restart.enabled", Only("true", "every map of a cluster with a store is persisted")),
    ("hazelcast.map.*.hot-restart.fsync", Offered),
    ("hazelcast.map.*.data-persistence", NotOffered("use the section hot-restart")),
    ("hazelcast.map.*.merkle-tree", NotOffered("a returning copy is compared by its version and content")),
    ("hazelcast.map.*.backup-count", NotOffered(ONE_COUNT)),
    ("hazelcast.map.*.async-backup-count", NotOffered(ONE_COUNT)),
    ("hazelcast.map.*.in-memory-format", Only("BINARY", "keys and values stay bytes")),
    ("hazelcast.map.*.eviction", Section),
    ("hazelcast.map.*.eviction.size", Offered),
    ("hazelcast.map.*.eviction.max-size-policy", Offered),
    ("hazelcast.map.*.eviction.eviction-policy", Offered),
    ("hazelcast.map.*.eviction.comparator-class-name", NotOffered("members run no code of users")),
    ("hazelcast.map.*.time-to-live-seconds", Offered),
    ("hazelcast.map.*.max-idle-seconds", Offered),
    ("hazelcast.map.*.indexes", NotOffered(PLANNED)),
    ("hazelcast.map.*.event-journal", NotOffered(PLANNED)),
    ("hazelcast.advanced-network", NotOffered(PLANNED)),
    ("hazelcast.partition-group", NotOffered(PLANNED)),
    ("hazelcast.wan-replication", NotOffered(PLANNED)),
    ("hazelcast.cp-subsystem", NotOffered(CONSENSUS)),
    ("hazelcast.security", NotOffered("roles come from certificates")),
    ("hazelcast.management-center", NotOffered(PLANNED)),
    ("hazelcast.user-code-deployment", NotOffered("jobs are SQL")),
    ("hazelcast.cache", NotOffered(PLANNED)),
    ("hazelcast.queue", NotOffered(PLANNED)),
    ("hazelcast.sql", NotOffered("jobs and their mappings are persisted with the cluster in any case")),
    ("hazelcast.jet", NotOffered("use hazelcast-jet.yaml")),
    ("hazelcast.properties", Section),
    ("hazelcast.properties.hazelcast.partition.count", Offered),
    ("hazelcast.properties.hazelcast.operation.thread.count", NotOffered(THREADS)),
    ("hazelcast.properties.hazelcast.operation.call.timeout.millis", NotOffered(TIMES)),
    ("hazelcast.properties.hazelcast.graceful.shutdown.max.wait", NotOffered(TIMES)),
    ("hazelcast.properties.hazelcast.cluster.shutdown.timeout.seconds", NotOffered(TIMES)),
    ("hazelcast.properties.hazelcast.shutdownhook.enabled", Only("true", SIGNALS)),
    ("hazelcast.properties.hazelcast.shutdownhook.policy", Only("GRACEFUL", SIGNALS)),
    ("hazelcast.properties.hazelcast.stale.join.prevention.duration.seconds", NotOffered(JOINING)),
    ("hazelcast.properties.hazelcast.wait.seconds.before.join", NotOffered(JOINING)),
    ("hazelcast.properties.hazelcast.max.wait.seconds.before.join", NotOffered(JOINING)),
    (
        "hazelcast.properties.hazelcast.hotrestart.free.native.memory.percentage",
        NotOffered("there is no native memory beside the process's own"),
    ),
    (
        "hazelcast.properties.hazelcast.persistence.auto.cluster.state",
        Only("false", "the cluster's state is changed by a person or by an operation, never by what a pod seems to do"),
    ),
    (
        "hazelcast.properties.hazelcast.persistence.auto.cluster.state.strategy",
        NotOffered("see hazelcast.persistence.auto.cluster.state"),
    ),
    ("hazelcast-jet", Section),
    ("hazelcast-jet.instance", Section),
    ("hazelcast-jet.instance.cooperative-thread-count", Offered),
    ("hazelcast-jet.instance.flow-control-period", NotOffered(CREDIT)),
    ("hazelcast-jet.instance.backup-count", Offered),
    (
        "hazelcast-jet.instance.scale-up-delay-millis",
        NotOffered("members do not join a running cluster in this version"),
    ),
    ("hazelcast-jet.instance.lossless-restart-enabled", Offered),
    ("hazelcast-jet.instance.max-processor-accumulated-records", NotOffered(PLANNED)),
    ("hazelcast-jet.edge-defaults", NotOffered(CREDIT)),
    ("hazelcast-jet.metrics", NotOffered("metrics are always on, at /metrics")),
    ("hazelcast-jet.properties", Section),
    ("hazelcast-jet.properties.jet.home", Offered),
    ("hazelcast-jet.properties.jet.idle.cooperative.min.microseconds", NotOffered(THREADS)),
    ("hazelcast-jet.properties.jet.idle.cooperative.max.microseconds", NotOffered(THREADS)),
    ("hazelcast-jet.properties.jet.idle.noncooperative.min.microseconds", NotOffered(THREADS)),
    ("hazelcast-jet.properties.jet.idle.noncooperative.max.microseconds", NotOffered(THREADS)),
    (
        "hazelcast-jet.properties.jet.job.scan.period",
        NotOffered("jobs are started when the cluster's record says so, not when it is looked through"),
    ),
    (
        "hazelcast-jet.properties.jet.job.results.ttl.seconds",
        NotOffered("the last 100 ended jobs are kept, however old they are"),
    ),
    (
        "hazelcast-jet.properties.jet.job.results.max.size",
        Only("100", "so many ended jobs are kept, the same on every member"),
    ),
    ("hazelcast-jet.properties.jet.shutdownhook.enabled", Only("true", SIGNALS)),
];

/// The stance on a dotted path, after replacing a person's own names by `*`.
pub fn stance(path: &str) -> Option<Stance> {
    let wanted = generic(path);
    KEYS.iter().find(|(known, _)| *known == wanted).map(|(_, stance)| *stance)
}

fn generic(path: &str) -> String {
    match path.strip_prefix("hazelcast.map.") {
        Some(rest) => match rest.split_once('.') {
            Some((_, tail)) => format!("hazelcast.map.*.{tail}"),
            None => "hazelcast.map.*".to_owned(),
        },
        None => path.to_owned(),
    }
}

/// The known key that a person probably meant: the nearest last part among the siblings, then anywhere.
pub fn nearest(path: &str) -> Option<String> {
    let wanted = generic(path);
    let (parent, leaf) = wanted.rsplit_once('.').unwrap_or(("", &wanted));
    let score = |known: &str| {
        let (p, l) = known.rsplit_once('.').unwrap_or(("", known));
        (distance(l, leaf), usize::from(p != parent))
    };
    let (best, (d, _)) = KEYS.iter().map(|(k, _)| (*k, score(k))).min_by_key(|(k, s)| (*s, *k))?;
    (d <= leaf.len().div_ceil(2)).then(|| best.to_owned())
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut corner = i;
        let mut left = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let up = row.get(j + 1).copied().unwrap_or(usize::MAX);
            let best = (corner + usize::from(ca != *cb)).min(up + 1).min(left + 1);
            if let Some(cell) = row.get_mut(j) {
                *cell = left;
            }
            corner = up;
            left = best;
        }
        if let Some(cell) = row.last_mut() {
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_is_the_usual_one() {
        for (a, b, d) in [("", "", 0), ("", "abc", 3), ("abc", "abc", 0), ("kitten", "sitting", 3), ("flaw", "lawn", 2)]
        {
            assert_eq!(distance(a, b), d, "{a} {b}");
        }
    }

    #[test]
    fn a_slip_of_the_pen_finds_its_key() {
        for (wrong, right) in [
            ("hazelcast.cluster-nam", "hazelcast.cluster-name"),
            ("hazelcast.hot-restart-persistence.basedir", "hazelcast.hot-restart-persistence.base-dir"),
            ("hazelcast-jet.instance.lossless-restart-enable", "hazelcast-jet.instance.lossless-restart-enabled"),
        ] {
            assert_eq!(nearest(wrong).as_deref(), Some(right));
        }
    }

    /// Keys of the documents: what each section of them names, in their order.
    const DOCUMENTED: [(&str, &str); 9] = [
        (
            "hazelcast.hot-restart-persistence",
            "enabled base-dir backup-dir parallelism validation-timeout-seconds data-load-timeout-seconds \
             cluster-data-recovery-policy auto-remove-stale-data encryption-at-rest.enabled \
             encryption-at-rest.algorithm encryption-at-rest.salt encryption-at-rest.key-size \
             encryption-at-rest.secure-store.keystore encryption-at-rest.secure-store.vault",
        ),
        ("hazelcast", "cluster-name persistence cache jet sql"),
        (
            "hazelcast.map.any",
            "hot-restart.enabled hot-restart.fsync data-persistence merkle-tree backup-count async-backup-count",
        ),
        (
            "hazelcast-jet.instance",
            "cooperative-thread-count flow-control-period backup-count scale-up-delay-millis \
             lossless-restart-enabled max-processor-accumulated-records",
        ),
        ("hazelcast-jet", "edge-defaults metrics"),
        (
            "hazelcast-jet.properties",
            "jet.idle.cooperative.min.microseconds jet.idle.cooperative.max.microseconds \
             jet.idle.noncooperative.min.microseconds jet.idle.noncooperative.max.microseconds jet.job.scan.period \
             jet.job.results.ttl.seconds jet.job.results.max.size jet.shutdownhook.enabled jet.home",
        ),
        (
            "hazelcast.properties.hazelcast",
            "partition.count operation.thread.count graceful.shutdown.max.wait cluster.shutdown.timeout.seconds \
             shutdownhook.enabled shutdownhook.policy stale.join.prevention.duration.seconds wait.seconds.before.join \
             max.wait.seconds.before.join hotrestart.free.native.memory.percentage persistence.auto.cluster.state \
             persistence.auto.cluster.state.strategy operation.call.timeout.millis",
        ),
        (
            "hazelcast.network",
            "port.port port.auto-increment join.multicast.enabled join.tcp-ip.member-list rest-api.enabled",
        ),
        (
            "hazelcast.network.rest-api.endpoint-groups",
            "CLUSTER_READ.enabled CLUSTER_WRITE.enabled HEALTH_CHECK.enabled HOT_RESTART.enabled \
             PERSISTENCE.enabled WAN.enabled DATA.enabled CP.enabled",
        ),
    ];

    #[test]
    fn every_documented_key_is_taken_or_refused_with_a_reason() {
        for (section, keys) in DOCUMENTED {
            for key in keys.split_whitespace() {
                match stance(&format!("{section}.{key}")) {
                    Some(Offered) => {}
                    Some(Only(_, reason) | NotOffered(reason)) => assert!(reason.len() > 10, "{section}.{key}"),
                    other => panic!("{section}.{key}: {other:?}"),
                }
            }
        }
    }

    #[test]
    fn every_key_has_its_section() {
        for (key, _) in KEYS.iter().filter(|(k, _)| !k.contains(".properties.")) {
            if let Some((parent, _)) = key.rsplit_once('.') {
                assert_eq!(stance(parent), Some(Section), "{key}");
            }
        }
    }
}

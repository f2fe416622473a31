//! Names, labels and ports of every object that belongs to a cluster.
//!
//! Law: a name is a function of the cluster's name (and of a number), so that an object is found again without a
//! status. Must not know: what is inside the objects.

use std::collections::BTreeMap;

/// Clients (not served yet).
pub const PORT_CLIENT: i32 = 5701;
/// Member to member, mTLS.
pub const PORT_MEMBERS: i32 = 5702;
/// Admin API, mTLS.
pub const PORT_ADMIN: i32 = 8443;
/// Probes and metrics, plaintext.
pub const PORT_PROBES: i32 = 8080;

/// Name of the claim template; claims are `data-<cluster>-<ordinal>`.
pub const CLAIM_TEMPLATE: &str = "data";
/// Where the claim is mounted.
pub const DATA_DIR: &str = "/data";
/// The member's hot-restart base directory.
pub const RECOVERY_DIR: &str = "/data/recovery";
/// Where the ConfigMap is mounted.
pub const CONFIG_DIR: &str = "/etc/jet";
/// Where the members' Secret is mounted.
pub const TLS_DIR: &str = "/etc/jet/tls";
/// Where the keys for encryption at rest are mounted.
pub const KEYS_DIR: &str = "/etc/jet/keys";
/// Name of the member container.
pub const MEMBER_CONTAINER: &str = "member";

/// Label with the cluster's name, on every object.
pub const LABEL_CLUSTER: &str = "jet.lossless.dev/cluster";
/// Label on evidence ConfigMaps: `roster`, `seal`, `founding`, `wishes`.
pub const LABEL_EVIDENCE: &str = "jet.lossless.dev/evidence";

/// StatefulSet.
pub fn stateful_set(cluster: &str) -> String {
    cluster.to_string()
}

/// Headless Service (with not-ready addresses).
pub fn headless_service(cluster: &str) -> String {
    format!("{cluster}-members")
}

/// Client Service.
pub fn client_service(cluster: &str) -> String {
    cluster.to_string()
}

/// Member configuration.
pub fn config_map(cluster: &str) -> String {
    format!("{cluster}-config")
}

/// PodDisruptionBudget.
pub fn disruption_budget(cluster: &str) -> String {
    cluster.to_string()
}

/// NetworkPolicy of the members.
pub fn network_policy(cluster: &str) -> String {
    format!("{cluster}-members")
}

/// ServiceAccount of the members (without token).
pub fn service_account(cluster: &str) -> String {
    format!("{cluster}-members")
}

/// Secret with a key pair for each ordinal.
pub fn members_secret(cluster: &str) -> String {
    format!("{cluster}-members")
}

/// Secret with the key pair for a person's CLI.
pub fn admin_secret(cluster: &str) -> String {
    format!("{cluster}-admin")
}

/// The founding permit (evidence).
pub fn founding(cluster: &str) -> String {
    format!("{cluster}-founding")
}

/// Who the members are (evidence).
pub fn roster(cluster: &str, sequence: u64) -> String {
    format!("{cluster}-roster-{sequence}")
}

/// What was sealed (evidence).
pub fn seal(cluster: &str, sequence: u64) -> String {
    format!("{cluster}-seal-{sequence}")
}

/// Wishes about jobs made while the cluster is stopped.
pub fn wishes(cluster: &str) -> String {
    format!("{cluster}-wishes")
}

/// Pod of a member.
pub fn pod(cluster: &str, ordinal: u32) -> String {
    format!("{cluster}-{ordinal}")
}

/// Claim of a member.
pub fn claim(cluster: &str, ordinal: u32) -> String {
    format!("{CLAIM_TEMPLATE}-{cluster}-{ordinal}")
}

/// The ordinal in a pod's or claim's name.
pub fn ordinal_of(cluster: &str, object: &str) -> Option<u32> {
    let rest = object.strip_prefix("data-").filter(|r| r.starts_with(cluster)).unwrap_or(object);
    let digits = rest.strip_prefix(cluster)?.strip_prefix('-')?;
    (digits == "0" || !digits.starts_with('0')).then(|| digits.parse().ok()).flatten()
}

/// Selector of the members' pods.
pub fn selector(cluster: &str) -> BTreeMap<String, String> {
    [
        ("app.kubernetes.io/name".to_string(), "jet".to_string()),
        ("app.kubernetes.io/instance".to_string(), cluster.to_string()),
        ("app.kubernetes.io/component".to_string(), "member".to_string()),
    ]
    .into()
}

/// Labels of every object.
pub fn labels(cluster: &str) -> BTreeMap<String, String> {
    let mut labels = selector(cluster);
    labels.insert("app.kubernetes.io/managed-by".into(), "jet-operator".into());
    labels.insert(LABEL_CLUSTER.into(), cluster.into());
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals_are_read_back_and_nothing_else() {
        assert_eq!(ordinal_of("orders", &pod("orders", 12)), Some(12));
        assert_eq!(ordinal_of("orders", &claim("orders", 0)), Some(0));
        assert_eq!(ordinal_of("data-x", &pod("data-x", 1)), Some(1));
        for other in ["orders", "orders-", "orders-01", "orders-x", "orders-2-1", "other-1"] {
            assert_eq!(ordinal_of("orders", other), None, "{other}");
        }
    }
}

//! What the Hazelcast-shaped REST is told: port, open groups, where its password lies.
//!
//! Law: off unless it is switched on; a group that changes something is not opened without a password; the password
//! itself is in no configuration, no argument and no log. Must not know: what an endpoint does.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jet_admin_api::rest::Group;

use super::ConfigError;
use super::clients::port;
use super::documents::Document;
use super::launch::Launch;

const ENABLED: &str = "hazelcast.network.rest-api.enabled";
const GROUPS: &str = "hazelcast.network.rest-api.endpoint-groups";
const TRUE_OR_FALSE: &str = "it is true or false";

/// The REST, switched on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest {
    /// Where it is served.
    pub port: u16,
    /// Open groups.
    pub groups: BTreeSet<Group>,
    /// File that holds the password of groups that change something.
    pub password: Option<PathBuf>,
}

impl Rest {
    /// `None`: it is off.
    pub fn decide(launch: &Launch, document: &Document) -> Result<Option<Self>, ConfigError> {
        let port = port(launch, document)?;
        if !document.parsed::<bool>(ENABLED, TRUE_OR_FALSE)?.unwrap_or(false) {
            return Ok(None);
        }
        let mut groups = BTreeSet::new();
        for group in Group::ALL {
            let key = format!("{GROUPS}.{}.enabled", group.name());
            if document.parsed::<bool>(&key, TRUE_OR_FALSE)?.unwrap_or(group.open_by_default()) {
                groups.insert(group);
            }
        }
        let password = launch.rest_password_file.clone().filter(|path| !path.as_os_str().is_empty());
        if password.is_none() && groups.iter().any(|group| group.writes()) {
            return Err(ConfigError::Missing {
                what: "the password of the REST",
                way_out: "CLUSTER_WRITE and HOT_RESTART change the cluster: name a file that holds a password with \
                          --rest-password-file (JET_REST_PASSWORD_FILE), or leave both groups closed",
            });
        }
        Ok(Some(Self { port, groups, password }))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;

    use super::*;
    use crate::config::clients::PORT;

    fn decide(network: &str, more: &[&str]) -> Result<Option<Rest>, ConfigError> {
        let arguments = ["jet-member", "--ordinal", "0"].into_iter().chain(more.iter().copied());
        let mut document = Document::default();
        document.add(Path::new("hazelcast.yaml"), &format!("hazelcast: {{network: {{{network}}}}}\n"))?;
        Rest::decide(&Launch::parse_from(arguments), &document)
    }

    const PASSWORD: [&str; 2] = ["--rest-password-file", "/run/secrets/rest"];

    #[test]
    fn it_is_off_until_it_is_switched_on() {
        for off in ["", "rest-api: {enabled: false}", "rest-api: {endpoint-groups: {CLUSTER_WRITE: {enabled: true}}}"] {
            assert_eq!(decide(off, &[]), Ok(None), "{off}");
        }
    }

    /// As in a real member: exactly these two are open when no group is named.
    #[test]
    fn unnamed_groups_are_as_in_the_original() {
        let rest = decide("rest-api: {enabled: true}", &[]).unwrap().unwrap();
        assert_eq!(rest.groups, [Group::ClusterRead, Group::HealthCheck].into());
        assert_eq!(rest.port, PORT);
        let closed = "port: 5711, rest-api: {enabled: true, endpoint-groups: {CLUSTER_READ: {enabled: false}}}";
        let rest = decide(closed, &[]).unwrap().unwrap();
        assert_eq!((rest.groups, rest.port), ([Group::HealthCheck].into(), 5711));
    }

    #[test]
    fn what_changes_something_needs_a_password() {
        for group in ["CLUSTER_WRITE", "HOT_RESTART"] {
            let network = format!("rest-api: {{enabled: true, endpoint-groups: {{{group}: {{enabled: true}}}}}}");
            let said = decide(&network, &[]).unwrap_err().to_string();
            assert!(said.contains("--rest-password-file"), "{said}");
            let rest = decide(&network, &PASSWORD).unwrap().unwrap();
            assert_eq!(rest.groups.len(), 3);
            assert_eq!(rest.password.as_deref(), Some(Path::new("/run/secrets/rest")));
        }
    }

    #[test]
    fn groups_that_are_not_offered_are_refused_when_they_are_opened() {
        for group in ["DATA", "WAN", "CP", "PERSISTENCE"] {
            let network = |on| format!("rest-api: {{enabled: true, endpoint-groups: {{{group}: {{enabled: {on}}}}}}}");
            assert!(decide(&network(false), &[]).is_ok(), "{group}");
            let said = decide(&network(true), &PASSWORD).unwrap_err().to_string();
            assert!(said.contains(group) && said.contains("only 'false' is offered"), "{said}");
        }
        let said = decide("rest-api: {enabled: true, endpoint-groups: {CLUSTER_REED: {enabled: true}}}", &[]);
        assert!(said.unwrap_err().to_string().contains("did you mean"));
        assert!(decide("port: 0, rest-api: {enabled: true}", &[]).is_err());
    }
}

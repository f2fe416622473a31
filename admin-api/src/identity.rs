//! Who speaks: the names that certificates carry.
//!
//! Law: identity is the certificate's URI SAN `jet://<namespace>/<cluster>/<role>`, never a claimed id; the
//! roles member, operator, admin and client are kept apart. Must not know: how a certificate was issued.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a certificate lets its holder be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// The member of this ordinal (the number in its pod's name).
    Member(u32),
    /// The operator: founding, operations, wishes.
    Operator,
    /// A person with the CLI: reads, jobs, SQL, maps, cluster state.
    Admin,
    /// A program: SQL and maps, nothing about the cluster.
    Client,
}

/// One certificate's name: cluster and role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// Kubernetes namespace, or `local` without Kubernetes.
    pub namespace: String,
    /// Cluster name.
    pub cluster: String,
    /// What the holder may be.
    pub role: Role,
}

impl Identity {
    /// An identity in `namespace`/`cluster`.
    pub fn new(namespace: impl Into<String>, cluster: impl Into<String>, role: Role) -> Self {
        Self { namespace: namespace.into(), cluster: cluster.into(), role }
    }

    /// The URI SAN, for example `jet://prod/orders/member/0`.
    pub fn uri(&self) -> String {
        format!("jet://{}/{}/{}", self.namespace, self.cluster, self.role)
    }

    /// DNS SANs of a member's certificate: its own name and the name that all members share. A caller verifies
    /// against these fixed names, so addresses may change with every start.
    pub fn dns_names(&self) -> Vec<String> {
        match self.role {
            Role::Member(ordinal) => vec![
                member_server_name(&self.namespace, &self.cluster, ordinal),
                any_member_server_name(&self.namespace, &self.cluster),
            ],
            _ => Vec::new(),
        }
    }

    /// Reads a URI SAN; `None` for anything that is not exactly of our form.
    pub fn parse(uri: &str) -> Option<Self> {
        let rest = uri.strip_prefix("jet://")?;
        let parts: Vec<&str> = rest.split('/').collect();
        let (namespace, cluster) = (*parts.first()?, *parts.get(1)?);
        if namespace.is_empty() || cluster.is_empty() {
            return None;
        }
        let role = match parts.get(2..)? {
            ["member", ordinal] => Role::Member(ordinal.parse().ok()?),
            ["operator"] => Role::Operator,
            ["admin"] => Role::Admin,
            ["client"] => Role::Client,
            _ => return None,
        };
        Some(Self::new(namespace, cluster, role))
    }
}

/// The TLS server name of one member.
pub fn member_server_name(namespace: &str, cluster: &str, ordinal: u32) -> String {
    format!("member-{ordinal}.{cluster}.{namespace}.jet")
}

/// The TLS server name that every member of a cluster answers to.
pub fn any_member_server_name(namespace: &str, cluster: &str) -> String {
    format!("member.{cluster}.{namespace}.jet")
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Role::Member(ordinal) => write!(f, "member/{ordinal}"),
            Role::Operator => f.write_str("operator"),
            Role::Admin => f.write_str("admin"),
            Role::Client => f.write_str("client"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_survives_its_uri() {
        for role in [Role::Member(7), Role::Operator, Role::Admin, Role::Client] {
            let id = Identity::new("prod", "orders", role);
            assert_eq!(Identity::parse(&id.uri()), Some(id));
        }
    }

    #[test]
    fn what_is_not_ours_is_nobody() {
        for uri in [
            "jet://a/b",
            "jet://a/b/member",
            "jet://a/b/member/x",
            "jet:///b/admin",
            "spiffe://a/b/admin",
            "jet://a/b/admin/c",
        ] {
            assert_eq!(Identity::parse(uri), None, "{uri}");
        }
    }
}

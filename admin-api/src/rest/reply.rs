//! Bodies of the Hazelcast-shaped REST.
//!
//! Law: keys stand in the original's order, and a key without a value is absent. Must not know: statuses of HTTP.

use serde::{Deserialize, Serialize};

/// `status` of what was done or could be answered.
pub const SUCCESS: &str = "success";
/// `status` of everything else.
pub const FAIL: &str = "fail";

/// `message` to a wrong name or password.
pub const UNAUTHENTICATED: &str = "unauthenticated";

/// Body of every endpoint under `…/management/cluster`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// [`SUCCESS`] or [`FAIL`].
    pub status: String,
    /// Cluster state in lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Cluster version, `MAJOR.MINOR`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Text of `…/nodes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
    /// Ours: id of the last operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Ours: how far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<crate::operation::OperationStep>,
    /// What a person reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Reply {
    /// It was done.
    pub fn success() -> Self {
        Self { status: SUCCESS.into(), ..Self::default() }
    }

    /// It was not.
    pub fn fail() -> Self {
        Self { status: FAIL.into(), ..Self::default() }
    }

    /// It was not, and why.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..Self::fail() }
    }

    /// Whether it was done.
    pub fn succeeded(&self) -> bool {
        self.status == SUCCESS
    }
}

/// Body of `GET /hazelcast/health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// State of the answering member.
    pub node_state: String,
    /// State of the cluster.
    pub cluster_state: String,
    /// Every partition has all its copies and nobody of the roster is missing.
    pub cluster_safe: bool,
    /// Copies under way.
    pub migration_queue_size: u16,
    /// Members that are heard.
    pub cluster_size: usize,
}

/// Body of `GET /hazelcast/rest/cluster`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Members {
    /// Those that are heard.
    pub members: Vec<OneMember>,
    /// Clients.
    pub connection_count: usize,
    /// Clients and members.
    pub all_connection_count: usize,
}

/// A member that is heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OneMember {
    /// `[host]:port`.
    pub address: String,
    /// Without data; there are none.
    pub lite_member: bool,
    /// The one that answers.
    pub local_member: bool,
    /// Identity.
    pub uuid: String,
    /// Program version.
    pub member_version: String,
}

/// Body of `GET /hazelcast/rest/instance`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Name of the answering member.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said<T: Serialize>(body: &T) -> String {
        serde_json::to_string(body).unwrap()
    }

    /// Recorded from a real member.
    #[test]
    fn keys_are_the_originals_in_its_order() {
        let health = Health {
            node_state: "ACTIVE".into(),
            cluster_state: "ACTIVE".into(),
            cluster_safe: true,
            migration_queue_size: 0,
            cluster_size: 3,
        };
        assert_eq!(
            said(&health),
            r#"{"nodeState":"ACTIVE","clusterState":"ACTIVE","clusterSafe":true,"migrationQueueSize":0,"clusterSize":3}"#
        );
        assert_eq!(said(&Reply::failed("unauthenticated")), r#"{"status":"fail","message":"unauthenticated"}"#);
        let frozen = Reply { state: Some("frozen".into()), ..Reply::success() };
        assert_eq!(said(&frozen), r#"{"status":"success","state":"frozen"}"#);
        let one = OneMember {
            address: "[127.0.0.1]:5701".into(),
            lite_member: false,
            local_member: true,
            uuid: "u".into(),
            member_version: "5.7.0".into(),
        };
        let members = Members { members: vec![one], connection_count: 1, all_connection_count: 5 };
        assert_eq!(
            said(&members),
            r#"{"members":[{"address":"[127.0.0.1]:5701","liteMember":false,"localMember":true,"uuid":"u","memberVersion":"5.7.0"}],"connectionCount":1,"allConnectionCount":5}"#
        );
    }
}

//! What a pass needs of Kubernetes.
//!
//! Law: every write carries a precondition or is a create; a lost race is [`PortError::Conflict`] and nothing was
//! done. Must not know: plans.

use async_trait::async_trait;

use crate::api::{JetCluster, JetClusterStatus};
use crate::cluster::facts::{Facts, KubeFacts};
use crate::cluster::plan::Act;
use crate::cluster::story::Line;

/// Why Kubernetes did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// Somebody wrote in between: look again.
    #[error("{what} was changed or exists meanwhile")]
    Conflict {
        /// On what.
        what: String,
    },
    /// The API server says no.
    #[error("the API server refused to write {what}: {reason}")]
    Refused {
        /// On what.
        what: String,
        /// Its words.
        reason: String,
    },
    /// Nothing is known: timeout, connection, server error.
    #[error("the API server gave no answer about {what}: {reason}; look again")]
    Unknown {
        /// On what.
        what: String,
        /// The client's words.
        reason: String,
    },
}

/// One cluster in Kubernetes.
#[async_trait]
pub trait Kubernetes: Send + Sync {
    /// The resource and everything under its name; `None`: the resource is gone.
    async fn read(&self) -> Result<Option<(JetCluster, KubeFacts)>, PortError>;
    /// Carries out one act (commands to members, [`Act::Remember`] and rows are not for this port).
    async fn write(&self, facts: &Facts, act: &Act) -> Result<(), PortError>;
    /// Replaces the status of the resource as it was read; gives the resource as it is then.
    async fn write_status(&self, cluster: &JetCluster, status: &JetClusterStatus) -> Result<JetCluster, PortError>;
    /// Events; never fails a pass.
    async fn tell(&self, cluster: &JetCluster, lines: &[Line]);
}

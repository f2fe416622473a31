//! Everything that a plan may look at, in one place.
//!
//! Law: plain data; time and randomness enter here and nowhere else. What could not be seen is said to be unseen,
//! never taken for absent. Must not know: clients.

use std::collections::BTreeMap;

use jet_admin_api::cluster::ClusterView;
use jet_admin_api::member::MemberView;
use kube::ResourceExt;
use uuid::Uuid;

use crate::api::JetCluster;
use crate::api::records::{ClaimStamp, OperationStamp, SpentWish};
use crate::cluster::evidence::Evidence;

/// What one pass saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Seconds since the epoch.
    pub now: i64,
    /// Randomness for an id, should one be made.
    pub fresh: Uuid,
    /// The resource as read.
    pub cluster: JetCluster,
    /// Field manager that last set what asks for a stop.
    pub requester: String,
    /// What is in Kubernetes.
    pub kube: KubeFacts,
    /// What members say, by ordinal; only of pods that exist.
    pub members: BTreeMap<u32, Seen>,
}

/// What is in Kubernetes under this cluster's name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KubeFacts {
    /// The namespace is going away.
    pub namespace_terminating: bool,
    /// The members' StatefulSet.
    pub set: Option<SetFacts>,
    /// Other objects: (kind, name) → digest of what was applied.
    pub applied: BTreeMap<(String, String), String>,
    /// Objects under our names that somebody else controls: `Kind/name`.
    pub foreign: Vec<String>,
    /// Member pods by ordinal.
    pub pods: BTreeMap<u32, PodFacts>,
    /// Claims by ordinal.
    pub claims: BTreeMap<u32, ClaimFacts>,
    /// Records.
    pub evidence: Evidence,
}

/// The StatefulSet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SetFacts {
    /// Uid.
    pub uid: String,
    /// Resource version: every state-machine write carries it.
    pub resource_version: String,
    /// Wanted replicas.
    pub replicas: i32,
    /// Revision that new pods get.
    pub update_revision: String,
    /// The controller has seen the newest spec.
    pub observed: bool,
    /// It is being deleted.
    pub deleting: bool,
    /// Digest of the template that was applied.
    pub applied: String,
    /// The open operation.
    pub operation: Option<OperationStamp>,
    /// `name/uid` of the seal record for which replicas are 0.
    pub seal: Option<String>,
    /// Operation whose activation may have been sent.
    pub activating: Option<String>,
    /// The spent wish.
    pub spent: Option<SpentWish>,
    /// A stamp that cannot be read.
    pub unreadable: Option<String>,
    /// What of its spec would let claims go or start others than the recorded members.
    pub misshapen: Option<String>,
    /// Managed fields of the pod template that are ours.
    pub owned: serde_json::Value,
    /// Others who own some.
    pub hands: Vec<Hand>,
}

/// Somebody else who wrote into the members' template.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hand {
    /// Field manager.
    pub manager: String,
    /// Managed fields at and below `spec.template`.
    pub fields: serde_json::Value,
}

/// A member pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodFacts {
    /// Uid.
    pub uid: String,
    /// Address.
    pub ip: Option<String>,
    /// Node.
    pub node: Option<String>,
    /// Node is ready; `None`: not known or not permitted to look.
    pub node_ready: Option<bool>,
    /// Ready for clients.
    pub ready: bool,
    /// Revision of its template.
    pub revision: String,
    /// Being deleted.
    pub deleting: bool,
    /// Why it does not run, if it does not: `Unschedulable: …`, `ImagePullBackOff: …`.
    pub trouble: Option<String>,
}

/// A claim.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClaimFacts {
    /// Uid.
    pub uid: String,
    /// Resource version.
    pub resource_version: String,
    /// Bound to a volume.
    pub bound: bool,
    /// The volume.
    pub volume: String,
    /// Being deleted.
    pub deleting: bool,
    /// Whose store lies on it.
    pub stamp: Option<ClaimStamp>,
}

/// What a member said.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// Its view.
    View(Box<MemberView>),
    /// Nothing, and why.
    Silent(String),
}

impl Facts {
    /// Name of the cluster.
    pub fn name(&self) -> String {
        self.cluster.name_any()
    }

    /// Being deleted.
    pub fn deleting(&self) -> bool {
        self.cluster.metadata.deletion_timestamp.is_some()
    }

    /// Value of an annotation of the resource.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.cluster.annotations().get(key).map(String::as_str)
    }

    /// Views of members that answered, by ordinal.
    pub fn views(&self) -> impl Iterator<Item = (u32, &MemberView)> {
        self.members.iter().filter_map(|(ordinal, seen)| match seen {
            Seen::View(view) => Some((*ordinal, view.as_ref())),
            Seen::Silent(_) => None,
        })
    }

    /// View of one member.
    pub fn view(&self, ordinal: u32) -> Option<&MemberView> {
        self.views().find(|(o, _)| *o == ordinal).map(|(_, view)| view)
    }

    /// The members' machine: the newest committed state that anybody here knows.
    pub fn machine(&self) -> Option<&ClusterView> {
        self.views().filter_map(|(_, view)| view.cluster.as_ref()).max_by_key(|c| (c.incarnation, c.applied_index))
    }

    /// The leader and its own words. Who lags behind knows nothing of what was decided since, and a former leader is
    /// outdone by whoever follows the present one.
    pub fn leader(&self) -> Option<(u32, &ClusterView)> {
        let leader = self.machine()?.leader?;
        let (ordinal, view) = self.views().find(|(_, view)| view.uuid == leader)?;
        Some((ordinal, view.cluster.as_ref()?))
    }

    /// Whom to send a command to: the leader if it is here, else anybody with a cluster.
    pub fn speaker(&self) -> Option<u32> {
        let leader = self.machine()?.leader;
        let with_cluster = || self.views().filter(|(_, view)| view.cluster.is_some());
        with_cluster()
            .find(|(_, view)| Some(view.uuid) == leader)
            .or_else(|| with_cluster().next())
            .map(|(ordinal, _)| ordinal)
    }

    /// Seconds past the epoch as RFC 3339.
    pub fn now_text(&self) -> String {
        jiff::Timestamp::from_second(self.now).map(|t| t.to_string()).unwrap_or_default()
    }
}

//! The words a person writes and reads in Kubernetes: the JetCluster resource, its annotations, the names of its objects.
//!
//! Law: fields are only added (this is the shape that v1 will have); conditions are the API, `phase` is for people;
//! everything in `status` but consumed nonces can be made again from evidence. No IO, no clock. Must not know:
//! members' protocol, plans.
//!
//! - [`spec`]: what is wished · [`status`]: what is true · [`condition`]: condition types and the closed list of reasons
//! - [`names`]: names of every object of a cluster, labels · [`annotations`]: requests, consents, stamps
//! - [`records`]: bodies of the evidence ConfigMaps and of stamps

pub mod annotations;
pub mod condition;
pub mod names;
pub mod records;
pub mod spec;
pub mod status;

pub use condition::{Condition, ConditionType, Reason};
pub use spec::{DesiredState, JetCluster, JetClusterSpec};
pub use status::JetClusterStatus;

/// API group of both resources.
pub const GROUP: &str = "jet.lossless.dev";
/// Version served and stored.
pub const VERSION: &str = "v1alpha1";
/// The one field manager of every server-side apply.
pub const FIELD_MANAGER: &str = "jet-operator";
/// Field manager of a stop that was asked of the members.
pub const MEMBERS_MANAGER: &str = "jet-member";
/// Finalizer: deletion is a stop first.
pub const FINALIZER: &str = "jet.lossless.dev/stop-before-delete";

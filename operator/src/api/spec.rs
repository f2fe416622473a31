//! `JetCluster`: what a person wishes.
//!
//! Law: defaults live in the schema; rules that CEL can say are said there with a message that names the way out, and
//! again in validate. Must not know: how a wish is carried out.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::status::JetClusterStatus;

/// Longest name: pods' revision labels append to it.
pub const MAX_NAME: usize = 52;

/// A cluster that can be switched off and on again without losing one job's state.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "jet.lossless.dev",
    version = "v1alpha1",
    kind = "JetCluster",
    plural = "jetclusters",
    singular = "jetcluster",
    shortname = "jet",
    namespaced,
    status = "JetClusterStatus",
    derive = "PartialEq",
    doc = "A Jet cluster that can be switched off and on again without losing one job's state.",
    selectable = ".spec.state",
    selectable = ".status.phase",
    scale(
        spec_replicas_path = ".spec.size",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Members", type_ = "string", json_path = ".status.members"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.clusterState"),
    printcolumn(name = "Jobs", type_ = "string", json_path = ".status.jobs.summary"),
    printcolumn(name = "Operation", type_ = "string", json_path = ".status.operation.step"),
    printcolumn(name = "Blocker", type_ = "string", json_path = ".status.blockers[0].reason", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 52").message("the name is longer than 52 characters: Kubernetes appends to it in pod labels; choose a shorter one"),
    validation = Rule::new("!has(self.status) || !has(self.status.operation) || oldSelf.spec.size == self.spec.size").message("size is frozen while an operation is under way (status.operation): wait for its end, or abort it with the annotation jet.lossless.dev/abort=<operation id>"),
    validation = Rule::new("!has(self.status) || !has(self.status.operation) || oldSelf.spec.backupCount == self.spec.backupCount").message("backupCount is frozen while an operation is under way (status.operation): wait for its end, or abort it with the annotation jet.lossless.dev/abort=<operation id>"),
    validation = Rule::new("self.spec.backupCount < self.spec.size || self.spec.backupCount <= 1").message("backupCount must be smaller than size: each member holds at most one copy of a partition; lower backupCount or raise size")
)]
#[serde(rename_all = "camelCase")]
pub struct JetClusterSpec {
    /// Number of members.
    #[x_kube(validation = Rule::new("self >= 1").message("size must be at least 1; to stop the cluster without losing state set spec.state to Stopped, or: kubectl annotate jetcluster <name> jet.lossless.dev/maintenance=shutdown"))]
    #[x_kube(validation = Rule::new("self <= 5").message("size must be at most 5: larger clusters were not run under this operator yet"))]
    pub size: i32,
    /// Version of the member program.
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9]+[.][0-9]+[.][0-9]+([-+][0-9A-Za-z.+-]+)?$')").message("version must be MAJOR.MINOR.PATCH of the member program, for example 0.1.0; an image's tag belongs into image"))]
    pub version: String,
    /// Image of the member.
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^[^ \\t\\n]+$')").message("image must name the members' image without blanks, for example registry.example/jet-member:0.1.0"))]
    pub image: String,
    /// Pull policy; absent: as Kubernetes defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self in ['Always', 'IfNotPresent', 'Never']").message("imagePullPolicy must be Always, IfNotPresent or Never; leave it out for Kubernetes' default"))]
    pub image_pull_policy: Option<String>,
    /// Secrets to pull the image with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub image_pull_secrets: Vec<String>,
    /// The volume of each member.
    #[serde(default)]
    pub storage: StorageSpec,
    /// Resources of the member container.
    #[serde(default)]
    pub resources: ResourcesSpec,
    /// Synchronous backups of each partition.
    #[serde(default = "defaults::backup_count")]
    #[schemars(range(min = 0, max = 6))]
    pub backup_count: i32,
    /// Partitions, for ever.
    #[serde(default = "defaults::partition_count")]
    #[schemars(range(min = 1, max = 8191))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("partitionCount is fixed when the cluster is founded; make a new cluster and copy the data"))]
    pub partition_count: i32,
    /// Persistence.
    #[serde(default)]
    pub hot_restart: HotRestartSpec,
    /// State survives a maintenance stop; without it a stop loses every job's state.
    #[serde(default = "defaults::yes")]
    pub lossless_restart: bool,
    /// Further member configuration (keys of hazelcast.yaml and hazelcast-jet.yaml).
    #[serde(default)]
    pub config: ConfigSpec,
    /// Running or Stopped. `Stopped` is the same wish as the annotation.
    #[serde(default)]
    pub state: DesiredState,
    /// Deadlines of a stop.
    #[serde(default)]
    pub maintenance: MaintenanceSpec,
    /// Certificates.
    #[serde(default)]
    pub tls: TlsSpec,
    /// Overlay over the members' pod template; merged first, the operator's fields last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub pod_template: Option<serde_json::Value>,
}

/// Running or Stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub enum DesiredState {
    #[default]
    Running,
    Stopped,
}

/// The volume of each member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)").message("storageClassName is fixed once the claims are made; make a new cluster and copy the data"))]
pub struct StorageSpec {
    /// Size of each claim, for ever.
    #[serde(default = "defaults::storage_size")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new("isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))").message("storage.size must be a quantity of Kubernetes above 0, for example 10Gi"))]
    #[x_kube(validation = Rule::new("!isQuantity(self) || !isQuantity(oldSelf) || quantity(self).compareTo(quantity(oldSelf)) == 0").message("storage.size is fixed once the claims are made: this version neither shrinks nor grows volumes; set it back, and to have more room enlarge the claims themselves if their storage class allows it"))]
    pub size: String,
    /// Storage class; absent: the default class. Keep its reclaim policy on Retain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub storage_class_name: Option<String>,
}

/// Resources of the member container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourcesSpec {
    /// Requests.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantities")]
    #[x_kube(validation = Rule::new("self.all(name, isQuantity(self[name]))").message("resources.requests must be quantities of Kubernetes, for example cpu: 500m, memory: 2Gi"))]
    pub requests: BTreeMap<String, String>,
    /// Limits.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantities")]
    #[x_kube(validation = Rule::new("self.all(name, isQuantity(self[name]))").message("resources.limits must be quantities of Kubernetes, for example cpu: 500m, memory: 2Gi"))]
    pub limits: BTreeMap<String, String>,
}

/// Persistence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HotRestartSpec {
    /// A change of a map waits for the disks of all copies, unless the map's own setting in config.hazelcast says no.
    #[serde(default)]
    pub fsync: bool,
    /// Parallel logs of a member. This version has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self == 1").message("parallelism: a member of this version writes one log; leave it out or set it to 1"))]
    pub parallelism: Option<i32>,
    /// Encryption at rest of what members keep on their volumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<EncryptionSpec>,
    /// Seconds to wait for members before alarm (never before giving up).
    #[serde(default = "defaults::validation_timeout")]
    #[schemars(range(min = 1, max = 86400))]
    pub validation_timeout_seconds: i32,
    /// Seconds to load before alarm (never before giving up).
    #[serde(default = "defaults::load_timeout")]
    #[schemars(range(min = 1, max = 86400))]
    pub data_load_timeout_seconds: i32,
}

/// Encryption at rest. Without the keys nobody can read a volume: keep a copy of the Secret where the cluster is not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EncryptionSpec {
    /// Secret in the same namespace with a key of 32 bytes (or 64 hexadecimal digits) under each name. A key must stay in it
    /// as long as a file needs it; `jet store inspect` tells which are needed.
    #[schemars(length(min = 1, max = 253))]
    pub keys_secret_name: String,
    /// The key to write with; old files move to it while the cluster runs. Absent: what is new is written in the clear, and
    /// what was encrypted is read and moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9_.-]+$') && !self.startsWith('.')").message("encryption.currentKey must be the name of an entry of the Secret: letters, digits, '-', '_' and '.'"))]
    pub current_key: Option<String>,
}

/// Further member configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigSpec {
    /// Merged into hazelcast.yaml under `hazelcast:`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub hazelcast: Option<serde_json::Value>,
    /// Merged into hazelcast-jet.yaml under `hazelcast-jet:`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub jet: Option<serde_json::Value>,
}

/// Deadlines of a stop. None of them chooses loss: at each the operation is taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MaintenanceSpec {
    /// terminationGracePeriodSeconds of the members.
    #[serde(default = "defaults::ten_minutes")]
    #[schemars(range(min = 30, max = 86400))]
    pub grace_period_seconds: i32,
    /// A refused preflight is tried again for so long.
    #[serde(default = "defaults::ten_minutes")]
    #[schemars(range(min = 0, max = 86400))]
    pub start_deadline_seconds: i32,
    /// A stop that is not committed within this is rolled back.
    #[serde(default = "defaults::ten_minutes")]
    #[schemars(range(min = 10, max = 86400))]
    pub commit_within_seconds: i32,
    /// Jobs without guarantee whose loss at a stop is accepted, `name@id`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub accept_job_loss: Vec<String>,
}

/// Certificates.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsSpec {
    /// Who issues.
    #[serde(default)]
    pub issuer: TlsIssuer,
}

/// Who issues certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsIssuer {
    /// The operator's own CA for this cluster.
    #[default]
    Operator,
    /// A Secret `<name>-members` made by somebody else.
    Provided,
}

impl Default for StorageSpec {
    fn default() -> Self {
        Self { size: defaults::storage_size(), storage_class_name: None }
    }
}

impl Default for HotRestartSpec {
    fn default() -> Self {
        Self {
            fsync: false,
            encryption: None,
            parallelism: None,
            validation_timeout_seconds: defaults::validation_timeout(),
            data_load_timeout_seconds: defaults::load_timeout(),
        }
    }
}

impl Default for MaintenanceSpec {
    fn default() -> Self {
        Self {
            grace_period_seconds: defaults::ten_minutes(),
            start_deadline_seconds: defaults::ten_minutes(),
            commit_within_seconds: defaults::ten_minutes(),
            accept_job_loss: Vec::new(),
        }
    }
}

mod defaults {
    pub fn backup_count() -> i32 {
        1
    }
    pub fn partition_count() -> i32 {
        271
    }
    pub fn yes() -> bool {
        true
    }
    pub fn storage_size() -> String {
        "10Gi".into()
    }
    pub fn validation_timeout() -> i32 {
        120
    }
    pub fn load_timeout() -> i32 {
        900
    }
    pub fn ten_minutes() -> i32 {
        600
    }
}

/// Bounded, so that the API server can tell what its rule costs.
fn quantities(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object", "maxProperties": 16, "additionalProperties": { "type": "string", "maxLength": 32 }
    })
}

fn free_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true, "nullable": true })
}

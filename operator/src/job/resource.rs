//! The `JetJob` resource.
//!
//! Law: fields are only added; conditions are the API, `phase` is for people. Must not know: how a job runs.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::condition::Condition;

/// A streaming job on a JetCluster; its name is the job's name.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "jet.lossless.dev",
    version = "v1alpha1",
    kind = "JetJob",
    plural = "jetjobs",
    singular = "jetjob",
    shortname = "jj",
    namespaced,
    status = "JetJobStatus",
    derive = "PartialEq",
    doc = "A streaming job on a JetCluster of the same namespace. The object's name is the job's name.",
    selectable = ".spec.cluster",
    selectable = ".status.phase",
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.cluster"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Snapshot", type_ = "string", json_path = ".status.snapshot.id"),
    printcolumn(name = "Verdict", type_ = "string", json_path = ".status.verdict"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 63").message("the name is longer than 63 characters, and it is the job's name: choose a shorter one")
)]
#[serde(rename_all = "camelCase")]
pub struct JetJobSpec {
    /// Name of the JetCluster, in the same namespace.
    #[schemars(length(min = 1, max = 52))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("a job stays on its cluster; make another JetJob"))]
    pub cluster: String,
    /// `CREATE MAPPING …; CREATE JOB … AS INSERT INTO … SELECT …`.
    #[schemars(length(min = 1, max = 65536))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("a job's SQL is fixed, because its state belongs to it; make another JetJob under another name"))]
    pub sql: String,
    /// Milliseconds between snapshots; absent: as the SQL's options say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 50, max = 3_600_000))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("the snapshot interval is fixed at submission; make another JetJob under another name"))]
    pub snapshot_interval_millis: Option<i32>,
    /// Running or Suspended.
    #[serde(default)]
    pub state: JobState,
}

/// What a person wishes of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub enum JobState {
    #[default]
    Running,
    Suspended,
}

/// Status of a JetJob.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct JetJobStatus {
    /// Generation that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// For people: Pending · Starting · Running · Suspended · Waiting · Completed · Cancelled · Failed · Held · Lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// One sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The API: Ready, Reconciling, Stalled, SnapshotKept.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The job's number in the cluster; once set, a job that is not found is lost, not new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<i64>,
    /// Founding id of the cluster that it was submitted to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub founding_id: Option<String>,
    /// Highest number of a job when the submission was begun; ours is above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted_after: Option<i64>,
    /// Current execution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution: Option<i64>,
    /// `ExactlyOnce` or `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guarantee: Option<String>,
    /// Last snapshot that is a fact of the cluster (terminal or durable).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotStatus>,
    /// Snapshot that the current execution started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_from: Option<SnapshotStatus>,
    /// After a return: Resumed · ResumedFromOlder · RestartedFromZero · Held · Missing · Failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// The suspension that is seen was asked for here (only such a one is taken back from here).
    #[serde(default)]
    pub suspended_by_wish: bool,
}

/// A snapshot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotStatus {
    /// `execution/epoch`.
    pub id: String,
    /// Rows read from sources when it was taken.
    pub rows_read: i64,
    /// Bytes.
    pub bytes: i64,
    /// Digest of its commit record.
    pub digest: String,
    /// Taken by a stop.
    pub terminal: bool,
}

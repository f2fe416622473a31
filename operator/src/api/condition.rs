//! Conditions, and the closed list of reasons.
//!
//! Law: a reason is one of [`Reason`]; a message carries no time and no counter that moves by itself, so that a status
//! is written only when something changed; how far stores are moves rarely, and with `status.progress`. Must not know:
//! how a condition is decided.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A condition as Kubernetes knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// One of [`ConditionType`].
    #[serde(rename = "type")]
    #[schemars(length(max = 64))]
    pub type_: String,
    /// True · False · Unknown.
    #[schemars(regex(pattern = "^(True|False|Unknown)$"))]
    pub status: String,
    /// One of [`Reason`].
    #[schemars(length(max = 64))]
    pub reason: String,
    /// One or two sentences.
    #[schemars(length(max = 4096))]
    pub message: String,
    /// RFC 3339; moves only when `status` flips.
    #[schemars(length(max = 64))]
    pub last_transition_time: String,
    /// Generation that was looked at.
    #[serde(default)]
    pub observed_generation: i64,
}

/// A number of things, in a sentence.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Condition types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum ConditionType {
    /// Serves clients.
    Ready,
    /// Abnormal when true: work is under way. Absent otherwise.
    Reconciling,
    /// Abnormal when true: will not go on without a person. Absent otherwise.
    Stalled,
    /// Sealed, committed, no pods: the power may go.
    Stopped,
    /// The members that are there are exactly the recorded ones.
    MembersComplete,
    /// A stop asked for now would pass preflight.
    StopReady,
    /// Each claim is the recorded one or adopted.
    VolumesIntact,
    /// Every job of the last ledger went on from its snapshot, or has it still.
    JobsPreserved,
    /// Clients are served.
    DoorsOpen,
}

impl ConditionType {
    /// Every type, in the order of the status.
    pub const ALL: [ConditionType; 9] = [
        Self::Ready,
        Self::Reconciling,
        Self::Stalled,
        Self::Stopped,
        Self::MembersComplete,
        Self::StopReady,
        Self::VolumesIntact,
        Self::JobsPreserved,
        Self::DoorsOpen,
    ];

    /// As written in the status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::Stopped => "Stopped",
            Self::MembersComplete => "MembersComplete",
            Self::StopReady => "StopReady",
            Self::VolumesIntact => "VolumesIntact",
            Self::JobsPreserved => "JobsPreserved",
            Self::DoorsOpen => "DoorsOpen",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Reasons of conditions, blockers and events: a closed list, each with a page in the runbook.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $($(#[$doc])* $name),* }
        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Reason] = &[$(Reason::$name),*];
            /// As written in the status.
            pub fn as_str(self) -> &'static str { match self { $(Reason::$name => stringify!($name)),* } }
        }
    };
}

reasons! {
    /// Everything is as wished.
    AsWished,
    /// Nothing seen yet.
    NotYetObserved,
    /// Objects are being made.
    Creating,
    /// Blank members are being founded.
    Founding,
    /// A maintenance stop is under way.
    Stopping,
    /// Stopped because it was asked for.
    StoppedAsAsked,
    /// Sealed, committed, no pods.
    SealedAndStopped,
    /// It runs.
    Running,
    /// A return is under way.
    Returning,
    /// An operation is being taken back.
    RollingBack,
    /// The object is being deleted.
    Deleting,
    /// `pause` is set.
    Paused,
    /// Members of the roster are missing.
    MembersMissing,
    /// Members recover, load or join.
    MembersRecovering,
    /// All members are there.
    AllPresent,
    /// A stop would be refused; the blockers say why.
    PreflightRefused,
    /// A stop would pass.
    PreflightPassed,
    /// The wish was tried once and is spent.
    StopNotRetried,
    /// A one-shot request came when it could do nothing; it is consumed.
    NotApplicable,
    /// A value that is not understood.
    InvalidRequest,
    /// The spec contradicts itself or what is recorded.
    InvalidSpec,
    /// Spec and seal disagree: nothing is started.
    SealDisagrees,
    /// Two sources disagree about who the members are.
    RosterDisagrees,
    /// A child belongs to somebody else.
    ForeignChild,
    /// A claim of the record is missing.
    ClaimMissing,
    /// A claim of the record was replaced and not adopted.
    VolumeReplaced,
    /// A claim is being deleted.
    ClaimDeleting,
    /// All claims are the recorded ones.
    VolumesAsRecorded,
    /// A blank volume where a store should be.
    NoStore,
    /// A store that is not the recorded one.
    ForeignStore,
    /// A seal that is not the recorded one.
    SealDiffers,
    /// A member's volume or store refused.
    StoreRefused,
    /// Every job went on from its snapshot, has it still, or was cancelled by a person.
    AllResumed,
    /// A job did not go on from its snapshot, or has it no more.
    JobNotResumed,
    /// Nothing to compare with yet.
    NoLedger,
    /// A job without guarantee would lose its state.
    JobWithoutGuarantee,
    /// Not every partition has its copies.
    NotBackedUp,
    /// A member does not answer.
    MemberUnreachable,
    /// The disk has too little room for a seal.
    NoRoom,
    /// The cluster state does not permit it.
    ClusterStateForbids,
    /// A running change that is not offered yet (scaling, rolling).
    ChangeWaits,
    /// Somebody else wrote into an object of ours.
    Drift,
    /// A pod cannot start.
    PodCannotStart,
    /// A pod cannot be placed or its node is gone.
    NodeUnavailable,
    /// `losslessRestart` is off or no volume keeps the state.
    LosslessOff,
    /// The doors are open.
    DoorsOpen,
    /// The doors are closed.
    DoorsClosed,
    /// A member refused a command.
    CommandRefused,
    /// An object is brought to what it should be.
    Reconciled,
    /// The API server refused a write.
    WriteRefused,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_camel_case_and_differ() {
        let mut seen = std::collections::BTreeSet::new();
        for reason in Reason::ALL {
            assert!(reason.as_str().chars().next().is_some_and(char::is_uppercase));
            assert!(seen.insert(reason.as_str()), "{reason:?} twice");
        }
    }
}

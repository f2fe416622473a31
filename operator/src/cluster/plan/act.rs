//! What a pass may do.
//!
//! Law: a plan holds at most one act. Must not know: how it is carried out.

use std::collections::BTreeMap;

use crate::api::Reason;
use crate::api::records::{ClaimStamp, FoundingRecord, OperationStamp, RosterRecord, SealRecord, SpentWish};
use crate::api::status::{Blocker, HandledRequests};
use crate::cluster::desired::Object;
use crate::members::Command;

/// One side effect.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Act {
    /// Adds or removes our finalizer.
    Finalizer(bool),
    /// Writes consumed requests into the status before anything depends on them.
    Remember(Remember),
    /// Makes a wish of a stop that was asked of the members, with uid and resourceVersion of the resource.
    TakeUp(TakeUp),
    /// Server-side apply of one object.
    Apply(Box<Object>),
    /// Server-side apply of the StatefulSet: its template, with replicas and stamps as they are to be.
    ApplySet(Box<Object>),
    /// Stamps and replicas of the StatefulSet, with uid and resourceVersion. `None` in stamps removes.
    Mark(Mark),
    /// Creates a record.
    CreateFounding(FoundingRecord),
    /// Creates a record.
    CreateRoster(RosterRecord),
    /// Creates a record.
    CreateSeal(Box<SealRecord>),
    /// Removes a record that is older than those kept.
    PruneRecord { name: String, uid: String },
    /// Stamps a claim.
    StampClaim { ordinal: u32, stamp: ClaimStamp },
    /// Deletes a pod (by uid) whose store is blank or sealed, so that it comes back with the newest template.
    ReplacePod { ordinal: u32, uid: String },
    /// Several writes of one step in this order; the next only when the one before is known to be done.
    Row(Vec<Act>),
    /// One command to one member.
    Command { ordinal: u32, command: Command },
}

impl Act {
    /// These in their order; `None`: there is none.
    pub fn row(acts: Vec<Act>) -> Option<Act> {
        let flat = |act| if let Act::Row(acts) = act { acts } else { vec![act] };
        let mut acts: Vec<Act> = acts.into_iter().flat_map(flat).collect();
        if acts.len() > 1 { Some(Act::Row(acts)) } else { acts.pop() }
    }
}

/// What the status must hold before the next step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Remember {
    /// Consumed one-shots.
    pub handled: HandledRequests,
    /// Founding id.
    pub founding_id: Option<String>,
    /// The accepted operation.
    pub operation: Option<OperationStamp>,
}

/// A stop that was asked of the members becomes a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakeUp {
    /// Its number, which stays on the resource.
    pub number: String,
    /// The wish is written too; else somebody wishes it already.
    pub wish: bool,
}

/// A state-machine write on the StatefulSet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mark {
    /// New replicas, if they change.
    pub replicas: Option<i32>,
    /// Annotation → value; `None` removes.
    pub stamps: BTreeMap<String, Option<String>>,
}

impl Mark {
    /// Sets or removes one stamp.
    pub fn stamp(mut self, key: &str, value: Option<String>) -> Self {
        self.stamps.insert(key.to_owned(), value);
        self
    }

    /// Sets replicas.
    pub fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = Some(i32::try_from(replicas).unwrap_or(i32::MAX));
        self
    }
}

/// Steps by name; numbers of the maintenance protocol where they are of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Step {
    Creating,
    Founding,
    Running,
    Held,
    Preflight,
    Fenced,
    RosterRecorded,
    Frozen,
    Sealed,
    Committed,
    ScaledDown,
    Stopped,
    VolumesChecked,
    ScaledUp,
    MembersComplete,
    Activated,
    JobsVerified,
    Open,
    RollingBack,
    Releasing,
}

impl Step {
    /// Number in the protocol; 0 outside it.
    pub fn number(self) -> i32 {
        match self {
            Self::Creating | Self::Founding | Self::Running | Self::Held | Self::Releasing | Self::RollingBack => 0,
            Self::Preflight => 2,
            Self::Fenced => 3,
            Self::RosterRecorded => 4,
            Self::Frozen => 5,
            Self::Sealed => 6,
            Self::Committed => 7,
            Self::ScaledDown => 8,
            Self::Stopped => 9,
            Self::VolumesChecked => 10,
            Self::ScaledUp => 11,
            Self::MembersComplete => 12,
            Self::Activated => 13,
            Self::JobsVerified => 14,
            Self::Open => 15,
        }
    }
}

/// What a pass does and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What it does.
    pub act: Option<Act>,
    /// Step that it works on.
    pub step: Step,
    /// Why it stands where it stands.
    pub reason: Reason,
    /// In words.
    pub message: String,
    /// Will not go on without a person.
    pub stalled: bool,
    /// What stands in the way.
    pub blockers: Vec<Blocker>,
    /// The open operation.
    pub operation: Option<OperationStamp>,
    /// The wish that is spent from now on.
    pub spent: Option<SpentWish>,
    /// (operation, kind, outcome) that ended with this act.
    pub ended: Option<(OperationStamp, &'static str)>,
}

impl Plan {
    fn of(step: Step, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            act: None,
            step,
            reason,
            message: message.into(),
            stalled: false,
            blockers: Vec::new(),
            operation: None,
            spent: None,
            ended: None,
        }
    }

    /// Does one thing.
    pub fn acts(step: Step, reason: Reason, message: impl Into<String>, act: Act) -> Self {
        Self { act: Some(act), ..Self::of(step, reason, message) }
    }

    /// Waits for something that comes by itself.
    pub fn waits(step: Step, reason: Reason, message: impl Into<String>) -> Self {
        Self::of(step, reason, message)
    }

    /// Waits for a person.
    pub fn stalled(step: Step, reason: Reason, message: impl Into<String>) -> Self {
        Self { stalled: true, ..Self::of(step, reason, message) }
    }

    /// With blockers, worst first.
    pub fn blocked_by(mut self, blockers: Vec<Blocker>) -> Self {
        self.blockers = blockers;
        self
    }

    /// With the open operation, unless the plan ended it.
    pub fn carrying(mut self, operation: Option<OperationStamp>) -> Self {
        if self.ended.is_none() && self.operation.is_none() {
            self.operation = operation;
        }
        self
    }
}

/// A blocker.
pub fn blocker(
    object: impl Into<String>,
    reason: Reason,
    message: impl Into<String>,
    command: Option<String>,
) -> Blocker {
    Blocker { object: object.into(), reason: reason.as_str().into(), message: message.into(), command }
}

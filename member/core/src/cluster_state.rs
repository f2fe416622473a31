//! The states of the whole cluster.
//!
//! Law: a state that waits for members carries in itself whom it has heard, so that no clock and no counter outside can
//! end the waiting. Must not know: who is alive.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{Boot, Generation, MemberId, OperationId};
use crate::job::Wish;
use crate::recovery::Rejoin;

/// A state that a person chooses and that lasts; also what an operation or a recovery gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Settled {
    Active,
    NoMigration,
    Frozen,
    Passive,
}

impl Settled {
    /// Jobs run in it.
    pub fn runs_jobs(self) -> bool {
        matches!(self, Self::Active | Self::NoMigration)
    }
}

/// The state of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClusterState {
    /// Nothing is committed yet.
    #[default]
    Unfounded,
    /// Everything is allowed.
    Active,
    /// No new backups are made.
    NoMigration,
    /// Nothing moves; clients are served.
    Frozen,
    /// No writes.
    Passive {
        /// The operation that holds it; `None`: a person does.
        held_by: Option<OperationId>,
    },
    /// An operation takes terminal snapshots.
    InTransition {
        /// Which.
        op: OperationId,
    },
    /// Nothing runs until the whole roster is back.
    Recovering {
        /// What the members come back from.
        from: RecoveringFrom,
        /// Who is back, with which boot and store.
        rejoined: BTreeMap<MemberId, Rejoin>,
        /// Who has loaded its store under the boot in `rejoined`.
        loaded: BTreeSet<MemberId>,
        /// After a crash: the table names the newest complete replicas of *these* boots.
        table_recovered: bool,
    },
    /// Every member opens the next generation.
    Activating {
        /// The one to open.
        generation: Generation,
        /// The operation whose seals are left; `None` after founding and after a crash.
        op: Option<OperationId>,
        /// Who has, under which boot.
        opened: BTreeMap<MemberId, Boot>,
        /// Granted when all have. Before that a crash leads back to the seals, whose content is compared with the jobs
        /// as they were sealed; the next `Activate` brings its wishes anew.
        #[serde(default)]
        wishes: Vec<Wish>,
    },
}

/// What a recovery starts from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecoveringFrom {
    /// A committed stop: the stores hold exactly what `Quiesced` says.
    Sealed {
        /// The operation that sealed.
        op: OperationId,
        /// The generation that was sealed.
        generation: Generation,
    },
    /// RAM is gone, or a part of it: the newest complete replica of each partition counts.
    Crash,
}

impl ClusterState {
    /// The settled state, if it is one.
    pub fn settled(&self) -> Option<Settled> {
        match self {
            Self::Active => Some(Settled::Active),
            Self::NoMigration => Some(Settled::NoMigration),
            Self::Frozen => Some(Settled::Frozen),
            Self::Passive { held_by: None } => Some(Settled::Passive),
            _ => None,
        }
    }

    /// The cluster runs: every member has opened its generation, and copies, tables and facts may change.
    pub fn runs(&self) -> bool {
        matches!(self, Self::InTransition { .. }) || self.settled().is_some()
    }

    /// Its name, as people write it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unfounded => "UNFOUNDED",
            Self::Active => "ACTIVE",
            Self::NoMigration => "NO_MIGRATION",
            Self::Frozen => "FROZEN",
            Self::Passive { .. } => "PASSIVE",
            Self::InTransition { .. } => "IN_TRANSITION",
            Self::Recovering { .. } => "RECOVERING",
            Self::Activating { .. } => "ACTIVATING",
        }
    }
}

impl From<Settled> for ClusterState {
    fn from(state: Settled) -> Self {
        match state {
            Settled::Active => Self::Active,
            Settled::NoMigration => Self::NoMigration,
            Settled::Frozen => Self::Frozen,
            Settled::Passive => Self::Passive { held_by: None },
        }
    }
}

impl fmt::Display for ClusterState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

//! Hot backups of a cluster that runs: every member's store at one moment, under one name.
//!
//! Law: the backups of all members are what a power loss of all at one instant would have left, or there are none. Nobody
//! goes on from its moment before everybody stands still at theirs; for whom others have waited [`turn::MOST_HELD`] goes on
//! without a backup. What is not whole on all members is taken back where it can be reached. Must not know: files.
//!
//! A backup is a prefix of what the cluster does if no member's backup holds what came of something that another's lacks. So
//! each store holds back whatever would become durable, and with it every word that it has, between its moment and the word
//! to go on, which is sent when all stand still. A recovery from such a set is the recovery from a power loss, with its laws.
//!
//! Contents: here what members ask of one another · [`judge`] whether one may begin · [`part`] this member's, each a [`turn`] ·
//! [`together`] all members', seen from the one that was asked.

pub mod judge;
pub mod part;
pub mod together;
pub mod turn;

use std::time::Duration;

use jet_admin_api::backup::ToldBackup;
use jet_admin_api::refusal::Refusal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Time for a step that waits for a disk: what was appended is flushed, or the store comes to stand still.
pub const STEP: Duration = Duration::from_secs(30);
/// Time for a step that waits for nothing.
pub const WORD: Duration = Duration::from_secs(5);

/// One attempt at a backup. A name may be tried again, and given again when it was removed; a set is made once or never.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The backup's name.
    pub name: String,
    /// Drawn by who carries it; stands in what each member makes.
    pub set: Uuid,
}

/// A step of a backup, in their order. What comes late from an attempt does nothing to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BackupAsk {
    /// Could you begin? Nobody else may from then on.
    Prepare(Attempt),
    /// Stand still at your moment.
    Hold(Attempt),
    /// All stand still: go on, and finish.
    Go(Attempt),
    /// There is no such backup, and why. What was made of it is taken back.
    GiveUp(Attempt, String),
    /// How far is this one, or your last one?
    Tell(Option<String>),
}

/// What a member answers to it.
pub type BackupAnswer = Result<BackupTold, Refusal>;

/// How far the backup of a member is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupTold {
    /// Which, if this process has had part in it.
    pub attempt: Option<Attempt>,
    /// What is told of it.
    pub told: ToldBackup,
}

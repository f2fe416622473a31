//! Hot backups: every member's store at one moment, under one name.
//!
//! Law: a name is one backup for ever: whoever asks for it again is told of it, and nothing is made twice. A backup is a
//! success when that of every member of the roster is. Must not know: directories, how they are made.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// `POST /v1/backups`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeBackup {
    /// Its name on every member. Whoever asks draws it, so that an answer that did not arrive can be asked for again.
    pub name: String,
}

impl TakeBackup {
    /// For who has no name: `backup-` and the own time in milliseconds.
    pub fn by_the_clock() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { name: format!("backup-{}", since.as_millis()) }
    }
}

/// How far a backup is, in the original's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BackupState {
    /// There is none.
    NotStarted,
    /// It is being made.
    InProgress,
    /// It is whole and durable.
    Success,
    /// There is none, and there will be none.
    Failure,
    /// A member was not heard.
    Unknown,
}

impl fmt::Display for BackupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotStarted => "NOT_STARTED",
            Self::InProgress => "IN_PROGRESS",
            Self::Success => "SUCCESS",
            Self::Failure => "FAILURE",
            Self::Unknown => "UNKNOWN",
        })
    }
}

/// The answer of every route under `/v1/backups`: the backup that was asked for, or the last one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupView {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How far it is on all members together.
    pub state: BackupState,
    /// Every member of the roster, in the order of their numbers.
    #[serde(default)]
    pub members: Vec<MemberBackup>,
}

/// The backup of one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberBackup {
    /// Which.
    pub uuid: Uuid,
    /// Its number.
    pub ordinal: u32,
    /// What it says.
    #[serde(flatten)]
    pub told: ToldBackup,
}

/// What a member says of its backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldBackup {
    /// How far it is.
    pub state: BackupState,
    /// Directory on the member: a `base-dir` for the restore.
    #[serde(default)]
    pub dir: String,
    /// Files in it.
    #[serde(default)]
    pub files: u64,
    /// Their bytes.
    #[serde(default)]
    pub bytes: u64,
    /// Why there is none, or why that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl ToldBackup {
    /// Without figures.
    pub fn only(state: BackupState, why: Option<String>) -> Self {
        Self { state, dir: String::new(), files: 0, bytes: 0, why }
    }
}

impl BackupView {
    /// Of what every member says.
    pub fn of(name: Option<String>, members: Vec<MemberBackup>) -> Self {
        let any = |state| members.iter().any(|member: &MemberBackup| member.told.state == state);
        let state = match () {
            () if any(BackupState::Failure) => BackupState::Failure,
            () if any(BackupState::InProgress) => BackupState::InProgress,
            () if any(BackupState::Unknown) => BackupState::Unknown,
            // Some have it and some know nothing of it: they were not all asked, or came to the cluster's name since.
            () if any(BackupState::Success) && any(BackupState::NotStarted) => BackupState::Failure,
            () if any(BackupState::Success) => BackupState::Success,
            () => BackupState::NotStarted,
        };
        Self { name, state, members }
    }

    /// What stands against it, member by member; empty where nothing does.
    pub fn trouble(&self) -> String {
        let told = self.members.iter().filter_map(|member| {
            let why = member.told.why.as_ref()?;
            Some(format!("member {}: {why}", member.ordinal))
        });
        told.collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_success_when_it_is_one_on_every_member() {
        use BackupState::{Failure, InProgress, NotStarted, Success, Unknown};
        let of = |states: &[BackupState]| {
            let member = |state: &BackupState| MemberBackup {
                uuid: Uuid::nil(),
                ordinal: 0,
                told: ToldBackup::only(*state, None),
            };
            BackupView::of(None, states.iter().map(member).collect()).state
        };
        for (states, expected) in [
            (&[Success, Success][..], Success),
            (&[Success, InProgress], InProgress),
            (&[InProgress, Failure], Failure),
            (&[Success, Unknown], Unknown),
            (&[Success, NotStarted], Failure),
            (&[NotStarted, InProgress], InProgress),
            (&[NotStarted, NotStarted], NotStarted),
            (&[], NotStarted),
        ] {
            assert_eq!(of(states), expected, "{states:?}");
        }
    }
}

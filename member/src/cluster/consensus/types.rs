//! The words of consensus: who votes, what is in the log.
//!
//! Law: a voter is (member, log line), never an address; a member whose log was lost votes again only under another
//! line. Must not know: how anything is stored or sent.

use std::fmt;
use std::io::Cursor;
use std::str::FromStr;

use jet_core::{Command, MemberId, Outcome};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One voter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Voter {
    /// Whose.
    pub member: MemberId,
    /// Line of its log.
    pub line: u64,
}

impl From<Voter> for jet_core::Voter {
    fn from(Voter { member, line }: Voter) -> Self {
        Self { member, line }
    }
}

impl From<jet_core::Voter> for Voter {
    fn from(jet_core::Voter { member, line }: jet_core::Voter) -> Self {
        Self { member, line }
    }
}

/// A text that names no voter.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' names no voter; write <member>/<log line>")]
pub struct NotAVoter(String);

impl fmt::Display for Voter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:x}", self.member, self.line)
    }
}

impl FromStr for Voter {
    type Err = NotAVoter;

    fn from_str(text: &str) -> Result<Self, NotAVoter> {
        let wrong = || NotAVoter(text.chars().take(80).collect());
        let (member, line) = text.split_once('/').ok_or_else(wrong)?;
        let member: Uuid = member.parse().map_err(|_| wrong())?;
        let line = u64::from_str_radix(line, 16).map_err(|_| wrong())?;
        Ok(Self { member: MemberId(member), line })
    }
}

// As text, because voters are keys of maps in JSON.
impl Serialize for Voter {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Voter {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What applying an entry answered; nothing for entries of consensus itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply(pub Option<Outcome>);

openraft::declare_raft_types!(
    /// The types that openraft works with here.
    pub Types:
        D = Command,
        R = Reply,
        NodeId = Voter,
        Node = openraft::EmptyNode,
        Entry = openraft::Entry<Types>,
        SnapshotData = Cursor<Vec<u8>>,
);

/// An entry of the log.
pub type Entry = openraft::Entry<Types>;
/// Position in the log.
pub type LogId = openraft::LogId<Voter>;
/// A storage error in openraft's words.
pub type StorageError = openraft::StorageError<Voter>;
/// What a snapshot is of.
pub type Meta = openraft::SnapshotMeta<Voter, openraft::EmptyNode>;
/// Who is in the group.
pub type Membership = openraft::StoredMembership<Voter, openraft::EmptyNode>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voter_is_read_as_written() {
        let voter = Voter { member: MemberId(Uuid::from_u128(7)), line: 0xfeed };
        assert_eq!(voter.to_string().parse::<Voter>().unwrap(), voter);
        assert!("7".parse::<Voter>().is_err());
    }
}

//! The words that name things, each a type of its own.
//!
//! Law: one word, one meaning; two ids of different kinds cannot be mixed up. Must not know: what they point at.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// A member, as long as its store lives.
    MemberId(Uuid)
);
number!(
    /// A cluster, for ever.
    FoundingId(Uuid)
);
number!(
    /// A slice of the key space.
    PartitionId(u16)
);
number!(
    /// Counts changes of the partition table.
    TableVersion(u64)
);
number!(
    /// One start of a member's process; higher is later.
    Boot(u64)
);
number!(
    /// Counts activations of the cluster; 0: never active yet.
    Generation(u64)
);
number!(
    /// A job, never used twice.
    JobId(u64)
);
number!(
    /// One run of a job; 0: never ran.
    ExecutionId(u64)
);
number!(
    /// One snapshot's stretch of a stream.
    Epoch(u64)
);
number!(
    /// Counts runtime generations of the job engine.
    RuntimeNumber(u64)
);

/// Position of an entry in the replicated log.
pub type LogIndex = u64;

impl TableVersion {
    /// The next one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl ExecutionId {
    /// The next one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Generation {
    /// The next one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A digest, lower-case hex.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub String);

impl From<blake3::Hash> for Digest {
    fn from(hash: blake3::Hash) -> Self {
        Self(hash.to_hex().to_string())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A replica's version: which primary wrote last, and how much. Compared in that order, so that a replica written by
/// a deposed primary never wins by its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version {
    /// Table version at which the writing primary was installed.
    pub installed: TableVersion,
    /// Writes so far.
    pub seq: u64,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.installed, self.seq)
    }
}

/// One maintenance request, written `<seq>-<random>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId {
    /// Grows with each operation; a lower one is refused.
    pub seq: u64,
    /// Tells two requesters apart that chose the same number.
    pub random: String,
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.seq, self.random)
    }
}

/// A text that names no operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' names no operation; write <seq>-<random>, for example 7-k2x9")]
pub struct NotAnOperation {
    /// The text.
    pub text: String,
}

const LONGEST_RANDOM: usize = 64;

impl FromStr for OperationId {
    type Err = NotAnOperation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotAnOperation { text: text.chars().take(2 * LONGEST_RANDOM).collect() };
        let (seq, random) = text.split_once('-').ok_or_else(wrong)?;
        let plain = !seq.is_empty() && seq.bytes().all(|b| b.is_ascii_digit());
        let short = (1..=LONGEST_RANDOM).contains(&random.len())
            && random.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        match seq.parse() {
            Ok(seq) if plain && short => Ok(Self { seq, random: random.into() }),
            _ => Err(wrong()),
        }
    }
}

impl Serialize for OperationId {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for OperationId {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_a_later_primary_win_whatever_their_length() {
        let old = Version { installed: TableVersion(3), seq: 1005 };
        let new = Version { installed: TableVersion(4), seq: 12 };
        assert!(new > old);
    }

    #[test]
    fn operation_ids_are_read_as_written_and_nothing_else() {
        for good in ["1-a", "18-k2x9", "0-a-b"] {
            assert_eq!(good.parse::<OperationId>().map(|id| id.to_string()), Ok(good.into()));
        }
        for bad in ["", "1", "-a", "1-", "+1-a", "x-a", "1-a b", "99999999999999999999-a"] {
            assert!(bad.parse::<OperationId>().is_err(), "{bad}");
        }
    }
}

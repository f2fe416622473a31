//! The first frame of every connection, in both directions: who speaks, since which boot, of which cluster, for what.
//!
//! Law: judging a hello is pure, and a refusal is typed; the ordinal comes from the certificate. A member without a
//! founding id yet may speak with everybody of its certificate's cluster. Must not know: sockets.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Version of the words on the wire.
pub const WIRE_VERSION: u16 = 10;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Purpose {
    /// Requests and answers.
    Lane(Lane),
    /// A raw stream of one runtime generation.
    Engine {
        /// Which generation.
        generation: u64,
    },
}

/// Number of lanes.
pub const LANES: usize = 4;

/// Requests of one lane do not wait for those of another. What a request waits for while it is answered has a lane of
/// its own: two members whose calls fill a lane in both directions would else wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Lane {
    /// Consensus, presence, founding, steps of a hot backup.
    Control,
    /// Partitions: calls to a primary, which waits for its followers.
    Data,
    /// Partitions: a primary to its followers, who wait for nobody, and with one question at a time for their own disk.
    Copies,
    /// Snapshots of jobs.
    Jobs,
}

impl Lane {
    /// Every lane.
    pub const ALL: [Lane; LANES] = [Lane::Control, Lane::Data, Lane::Copies, Lane::Jobs];

    pub(crate) fn index(self) -> usize {
        match self {
            Lane::Control => 0,
            Lane::Data => 1,
            Lane::Copies => 2,
            Lane::Jobs => 3,
        }
    }
}

/// What a member says first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`WIRE_VERSION`].
    pub wire: u16,
    /// Identity, made with the store.
    pub member: Uuid,
    /// Number in the certificate.
    pub ordinal: u32,
    /// Which start of its process.
    pub boot: u64,
    /// Permanent id of its cluster, once it has one.
    pub founding: Option<Uuid>,
    /// Counts re-foundings.
    pub incarnation: u32,
}

/// A connected member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// Identity.
    pub member: Uuid,
    /// Number in its certificate.
    pub ordinal: u32,
    /// Which start of its process.
    pub boot: u64,
}

/// The caller's first frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Who calls.
    pub hello: Hello,
    /// For what.
    pub purpose: Purpose,
    /// Where the caller listens: who is called calls back, also whom no list of its own has. 0: nowhere.
    #[serde(default)]
    pub listens: u16,
}

/// The listener's first frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Go on.
    Welcome(Hello),
    /// Closed after this.
    Refused(HelloRefused),
}

/// Why a hello is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[allow(missing_docs)]
pub enum HelloRefused {
    #[error("that is myself")]
    Myself,
    #[error("wire version {theirs}, ours is {ours}")]
    Wire { ours: u16, theirs: u16 },
    #[error("it says ordinal {claimed}, its certificate says {certified}")]
    Ordinal { claimed: u32, certified: u32 },
    #[error("its founding id is {theirs}, ours is {ours}: another cluster's member or volume")]
    OtherFounding { ours: Uuid, theirs: Uuid },
    #[error("its incarnation is {theirs}, ours is {ours}")]
    OtherIncarnation { ours: u32, theirs: u32 },
    #[error("boot {theirs} of member {member} is over: boot {known} was seen")]
    OldBoot { member: Uuid, theirs: u64, known: u64 },
    #[error("two members with the number {ordinal}: {first} and {second}")]
    TwoOfOneOrdinal { ordinal: u32, first: Uuid, second: Uuid },
}

/// Holds a peer's hello against our own, its certificate and the boots that we have seen.
pub fn judge(own: &Hello, peer: &Hello, certified: u32, known_boot: Option<u64>) -> Result<Peer, HelloRefused> {
    if peer.member == own.member {
        return Err(HelloRefused::Myself);
    }
    if peer.wire != own.wire {
        return Err(HelloRefused::Wire { ours: own.wire, theirs: peer.wire });
    }
    if peer.ordinal != certified {
        return Err(HelloRefused::Ordinal { claimed: peer.ordinal, certified });
    }
    if peer.ordinal == own.ordinal {
        return Err(HelloRefused::TwoOfOneOrdinal { ordinal: own.ordinal, first: own.member, second: peer.member });
    }
    if let (Some(ours), Some(theirs)) = (own.founding, peer.founding) {
        if ours != theirs {
            return Err(HelloRefused::OtherFounding { ours, theirs });
        }
        if own.incarnation != peer.incarnation {
            return Err(HelloRefused::OtherIncarnation { ours: own.incarnation, theirs: peer.incarnation });
        }
    }
    match known_boot {
        Some(known) if peer.boot < known => {
            Err(HelloRefused::OldBoot { member: peer.member, theirs: peer.boot, known })
        }
        _ => Ok(Peer { member: peer.member, ordinal: peer.ordinal, boot: peer.boot }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(n: u128, ordinal: u32) -> Hello {
        Hello {
            wire: WIRE_VERSION,
            member: Uuid::from_u128(n),
            ordinal,
            boot: 5,
            founding: Some(Uuid::from_u128(99)),
            incarnation: 1,
        }
    }

    #[test]
    fn each_reason_stands_alone() {
        let own = hello(1, 0);
        let good = hello(2, 1);
        assert!(judge(&own, &good, 1, Some(5)).is_ok());
        assert!(judge(&own, &Hello { founding: None, ..good.clone() }, 1, None).is_ok());
        let refused = |peer: Hello, certified, known| judge(&own, &peer, certified, known).unwrap_err();
        assert_eq!(refused(hello(1, 0), 0, None), HelloRefused::Myself);
        assert!(matches!(
            refused(Hello { wire: WIRE_VERSION + 1, ..good.clone() }, 1, None),
            HelloRefused::Wire { .. }
        ));
        assert!(matches!(refused(good.clone(), 2, None), HelloRefused::Ordinal { .. }));
        assert!(matches!(refused(hello(2, 0), 0, None), HelloRefused::TwoOfOneOrdinal { .. }));
        assert!(matches!(
            refused(Hello { founding: Some(Uuid::nil()), ..good.clone() }, 1, None),
            HelloRefused::OtherFounding { .. }
        ));
        assert!(matches!(
            refused(Hello { incarnation: 2, ..good.clone() }, 1, None),
            HelloRefused::OtherIncarnation { .. }
        ));
        assert!(matches!(refused(good, 1, Some(6)), HelloRefused::OldBoot { .. }));
    }
}

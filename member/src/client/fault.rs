//! Refusals as clients know errors: a code that decides what a client does, and the sentence that a person reads.
//!
//! Law: every refusal has a row; a code by which clients ask again by themselves is told only where certainly nothing was
//! done, or where doing it twice changes nothing. Must not know: requests.

use jet_map::Refusal;
use jet_protocol::error::{ErrorAnswer, ErrorCode};

/// Why a request fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// By which the client decides.
    pub code: ErrorCode,
    /// For whoever reads it.
    pub message: String,
    /// Somebody else has locked the key.
    pub is_locked: bool,
}

/// What was asked when it was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// A change; else a question, which may be asked twice.
    pub change: bool,
    /// The cluster is in a state that a person chose; else it passes through one by itself.
    pub settled: bool,
}

impl Fault {
    /// With a sentence.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), is_locked: false }
    }

    /// Not spoken here, or not offered.
    pub fn unsupported(what: &str) -> Self {
        Self::new(ErrorCode::UnsupportedOperation, format!("{what} is not offered by this member"))
    }

    /// Of a refusal.
    pub fn of(refusal: &Refusal, asked: Asked) -> Self {
        let is_locked = matches!(refusal, Refusal::Locked { .. });
        Self { is_locked, ..Self::new(code(refusal, asked), refusal.to_string()) }
    }

    /// As it is answered.
    pub fn answer(&self) -> ErrorAnswer {
        ErrorAnswer::of(self.code, self.message.clone())
    }
}

/// The one table.
fn code(refusal: &Refusal, asked: Asked) -> ErrorCode {
    use Refusal as R;
    match refusal {
        // As in the original in PASSIVE, where a person must decide; what passes by itself is waited for by the client.
        R::Door { .. } | R::NotNow { .. } if asked.settled => ErrorCode::IllegalState,
        R::Door { .. } | R::NotNow { .. } => ErrorCode::Retryable,
        // Not waited for: who holds it may be away for days.
        R::Absent { .. } => ErrorCode::NoDataMember,
        R::NoSuchPartition { .. } => ErrorCode::InstanceNotActive,
        R::NotPrimary { .. }
        | R::NotLoaded { .. }
        | R::StaleTable { .. }
        | R::BehindTable { .. }
        | R::WrongSender { .. }
        | R::NotReplica { .. }
        | R::StaleInstallation { .. }
        | R::BehindOnDisk { .. }
        | R::Locked { .. }
        | R::Unreachable { .. } => ErrorCode::Retryable,
        R::NotOwner { .. } => ErrorCode::IllegalMonitorState,
        R::Busy { .. } | R::ManyWait { .. } => ErrorCode::Overload,
        R::TooLarge { .. } if asked.change => ErrorCode::MaxMessageSizeExceeded,
        R::TooLarge { .. } => ErrorCode::QueryResultSizeExceeded,
        R::Unconfirmed { .. } if !asked.change => ErrorCode::Retryable,
        R::Unconfirmed { .. } | R::NotOnDisk { .. } => ErrorCode::IndeterminateOperationState,
        // Of members among themselves and of jobs: a client that meets one has met a defect.
        R::SourceOlder { .. }
        | R::CopyOutOfOrder { .. }
        | R::CopyDiffers { .. }
        | R::OldExecution { .. }
        | R::BegunExecution { .. }
        | R::CommittedAlready { .. }
        | R::CommittedPart { .. }
        | R::TableMoved { .. }
        | R::SinkPart { .. }
        | R::Merged { .. }
        | R::UnkeptDiffers
        | R::Unreadable { .. } => ErrorCode::Hazelcast,
    }
}

#[cfg(test)]
mod tests {
    use jet_map::{Boot, Door, MemberId, PartitionId, TableVersion, Version};

    use super::*;

    const CHANGE: Asked = Asked { change: true, settled: true };

    /// Those that a client can meet, and whether nothing was done.
    fn met() -> Vec<(Refusal, bool)> {
        let partition = PartitionId(7);
        let (member, boot, table) = (MemberId::default(), Boot(1), TableVersion(2));
        let why = || "why".to_owned();
        vec![
            (Refusal::Door { what: why(), door: Door::Closed }, true),
            (Refusal::Absent { partition }, true),
            (Refusal::NoSuchPartition { partition }, true),
            (Refusal::NotPrimary { partition, primary: None }, true),
            (Refusal::NotLoaded { partition }, true),
            (Refusal::StaleTable { sender: table, receiver: table }, true),
            (Refusal::BehindTable { sender: table, receiver: table }, true),
            (Refusal::WrongSender { partition, member, boot }, true),
            (Refusal::NotReplica { partition }, true),
            (Refusal::StaleInstallation { partition, installed: table, held: Version::default() }, true),
            (Refusal::Busy { partition, unacknowledged: 1 }, true),
            (Refusal::TooLarge { bytes: 2, most: 1 }, true),
            (Refusal::Unconfirmed { partition, why: why() }, false),
            (Refusal::NotOnDisk { partition, why: why() }, false),
            (Refusal::BehindOnDisk { partition, why: why() }, true),
            (Refusal::ManyWait { most: 1 }, true),
            (Refusal::Unreachable { member, why: why() }, true),
            (Refusal::NotNow { what: why() }, true),
            (Refusal::Locked { map: why() }, true),
            (Refusal::NotOwner { map: why() }, true),
            (Refusal::Unreadable { why: why() }, false),
        ]
    }

    #[test]
    fn a_client_asks_again_by_itself_only_if_nothing_was_done() {
        for (refusal, nothing_done) in met() {
            for settled in [true, false] {
                let fault = Fault::of(&refusal, Asked { change: true, settled });
                assert!(nothing_done || !fault.code.is_always_retried(), "{refusal:?} is told as {fault:?}");
                assert!(!fault.message.is_empty());
            }
        }
    }

    #[test]
    fn a_state_that_a_person_chose_is_told_and_one_that_passes_is_waited_for() {
        let door = Refusal::Door { what: "a put".into(), door: Door::ClosedForWriters };
        assert_eq!(Fault::of(&door, CHANGE).code, ErrorCode::IllegalState);
        assert_eq!(Fault::of(&door, Asked { settled: false, ..CHANGE }).code, ErrorCode::Retryable);
        let unknown = Refusal::Unconfirmed { partition: PartitionId(1), why: "late".into() };
        assert_eq!(Fault::of(&unknown, CHANGE).code, ErrorCode::IndeterminateOperationState);
        assert_eq!(Fault::of(&unknown, Asked { change: false, ..CHANGE }).code, ErrorCode::Retryable);
    }
}

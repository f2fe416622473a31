//! What the machine answers.
//!
//! Law: a refusal changes nothing, and says what was refused, on what, and what to do. Must not know: HTTP.

use serde::{Deserialize, Serialize};

use crate::ids::{Boot, Digest, Generation, LogIndex, MemberId, OperationId, PartitionId, TableVersion};
use crate::operation::OperationStep;
use crate::safety::{Reason, sentence};

/// What a repeated command is answered.
pub const ALREADY: &str = "already so";

/// Answer to a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It is so now.
    Done {
        /// Index of this entry.
        index: LogIndex,
        /// What is now true; [`ALREADY`] for a repeated request.
        what: String,
    },
    /// Nothing changed.
    Refused(Refused),
}

impl Outcome {
    /// Not refused.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done { .. })
    }
}

/// What kind of refusal it is: what a program decides by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum RefusedKind {
    ClusterState,
    DoorsClosed,
    StaleOperation,
    AlreadyDecided,
    StepOrder,
    PartitionAbsent,
    FoundingDiffers,
    Exists,
    NotFound,
    BadRequest,
    /// The proposer judged by something older than the machine; it looks again.
    Stale,
    /// A member's store or boot is not the recorded one: hold, and show it.
    Identity,
}

/// Why nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[allow(missing_docs)]
pub enum Refused {
    #[error("the cluster is not founded; give its members a permit")]
    NotFounded,
    #[error(
        "the cluster was founded by another permit ({known}); this member belongs to another cluster or the permit is old"
    )]
    FoundingDiffers { known: Digest },
    #[error("founding list is not usable: {why}")]
    BadFounding { why: String },
    #[error("{command} is not permitted while the cluster is {state}; ask again in another state")]
    State { command: String, state: String },
    #[error("{command} is refused: operation {op} holds the cluster ({step:?}); wait for its end or abort it")]
    Held { command: String, op: OperationId, step: OperationStep },
    #[error("operation {op} is stale: number {highest} was seen; take a higher one")]
    StaleOperation { op: OperationId, highest: u64 },
    #[error("operation {op} is not the one that the cluster knows")]
    UnknownOperation { op: OperationId },
    #[error("operation {op} is {step:?} and that is final")]
    Decided { op: OperationId, step: OperationStep },
    #[error("{command} of operation {op} comes too early or too late: it is {step:?}; {needs}")]
    StepOrder { command: String, op: OperationId, step: OperationStep, needs: String },
    #[error("{command} of operation {op} is refused: {}", sentence(why))]
    Unsafe { command: String, op: OperationId, why: Vec<Reason> },
    #[error("recovery is not complete: {}", sentence(why))]
    NotRecovered { why: Vec<Reason> },
    #[error(
        "roster digest {given} is not the cluster's ({known}): the record is of another set of members; look at the cluster again"
    )]
    RosterDiffers { given: Digest, known: Digest },
    #[error("sealed generation {given} is not the one that is sealed ({known}); look at the seals again")]
    GenerationDiffers { given: Generation, known: Generation },
    #[error("member {member} is not in the roster")]
    UnknownMember { member: MemberId },
    #[error("member {member} says boot {given}, recorded is {known}: an older process is refused")]
    StaleBoot { member: MemberId, given: Boot, known: Boot },
    #[error("member {member} was sealed by boot {sealed} and must be started again before it counts as back")]
    NotRestarted { member: MemberId, sealed: Boot },
    #[error(
        "member {member} comes on volume '{given}', recorded is '{known}': a copy, or another volume; put the recorded one back"
    )]
    VolumeDiffers { member: MemberId, given: String, known: String },
    #[error("store of member {member} is not the sealed one: {why}")]
    SealDiffers { member: MemberId, why: String },
    #[error("member {member} lives with its RAM: this is no crash of all")]
    SomebodyLives { member: MemberId },
    #[error("the table is at version {known}, the change was made for {given}")]
    StaleTable { given: TableVersion, known: TableVersion },
    #[error("voters were changed {known} times, the change was made after {given}")]
    StaleVoters { given: u64, known: u64 },
    #[error("the log of member {member} is of line {known:x}, not {given:x}; look at the cluster again")]
    StaleLine { member: MemberId, given: u64, known: u64 },
    #[error("voters cannot be so: {why}")]
    BadVoters { why: String },
    #[error("partition {partition}: {why}")]
    BadTable { partition: PartitionId, why: String },
    #[error("member {member} is not admitted: {}", sentence(why))]
    NotAdmitted { member: MemberId, why: Vec<Reason> },
    #[error("member {member} does not leave: {}", sentence(why))]
    NotLeft { member: MemberId, why: Vec<Reason> },
    #[error("nobody goes on without them: {}", sentence(why))]
    NotGivenUp { why: Vec<Reason> },
    #[error("the consent is to {given}, but what would be missing now is {known}; look at it again")]
    ConsentDiffers { given: Digest, known: Digest },
    #[error("partition {partition} does not move so: {}", sentence(why))]
    NotMoved { partition: PartitionId, why: Vec<Reason> },
    #[error("partitions without any replica: {count}, first {first}; they wait for the members that had them")]
    PartitionAbsent { count: usize, first: PartitionId },
    #[error("a job '{name}' exists; choose another name or cancel it first")]
    JobExists { name: String },
    #[error("there is no job '{name}'")]
    UnknownJob { name: String },
    #[error("job '{name}' is {status}; {needs}")]
    JobIs { name: String, status: String, needs: String },
    #[error("there are {most} jobs already; cancel one first")]
    TooManyJobs { most: usize },
    #[error("execution or runtime generation is not the current one: {what}")]
    StaleExecution { what: String },
    #[error("snapshot of '{name}' is refused: {why}")]
    BadSnapshot { name: String, why: String },
}

impl Refused {
    /// What a program decides by.
    pub fn kind(&self) -> RefusedKind {
        use RefusedKind as Kind;
        match self {
            Self::NotFounded | Self::State { .. } | Self::SomebodyLives { .. } => Kind::ClusterState,
            Self::FoundingDiffers { .. } => Kind::FoundingDiffers,
            Self::BadVoters { .. }
            | Self::BadFounding { .. }
            | Self::BadTable { .. }
            | Self::BadSnapshot { .. }
            | Self::NotAdmitted { .. } => Kind::BadRequest,
            Self::Held { .. } => Kind::DoorsClosed,
            Self::StaleOperation { .. } => Kind::StaleOperation,
            Self::UnknownOperation { .. } | Self::UnknownMember { .. } | Self::UnknownJob { .. } => Kind::NotFound,
            Self::Decided { .. } => Kind::AlreadyDecided,
            Self::StepOrder { .. }
            | Self::Unsafe { .. }
            | Self::NotRecovered { .. }
            | Self::NotLeft { .. }
            | Self::NotMoved { .. }
            | Self::NotGivenUp { .. }
            | Self::RosterDiffers { .. }
            | Self::GenerationDiffers { .. }
            | Self::JobIs { .. }
            | Self::TooManyJobs { .. } => Kind::StepOrder,
            Self::NotRestarted { .. } | Self::VolumeDiffers { .. } | Self::SealDiffers { .. } => Kind::Identity,
            Self::StaleVoters { .. }
            | Self::StaleLine { .. }
            | Self::StaleBoot { .. }
            | Self::StaleTable { .. }
            | Self::ConsentDiffers { .. }
            | Self::StaleExecution { .. } => Kind::Stale,
            Self::PartitionAbsent { .. } => Kind::PartitionAbsent,
            Self::JobExists { .. } => Kind::Exists,
        }
    }
}

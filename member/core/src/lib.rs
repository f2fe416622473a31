//! The cluster's memory and judgement: the replicated machine, and the two planners that read it.
//!
//! Law: everything here is a pure function of its arguments. No IO, no clock, no randomness, no hash order: the same
//! log gives the same machine on every member, to the bit. Must not know: disks, sockets, certificates, Kubernetes.
//!
//! | room | what is in it |
//! |---|---|
//! | [`ids`] | the words that name things |
//! | [`machine`] | what the members agreed on; [`roster`], [`voters`], [`membership`], [`partition`], [`moves`], [`job`], [`operation`], [`mod@request`], [`cluster_state`], [`recovery`] are its parts |
//! | [`command`], [`outcome`] | what can be asked of it, and what it answers |
//! | [`mod@apply`] | the one function that changes it |
//! | [`safety`] | every question whose wrong answer loses data |
//! | [`loss`] | what is missing without a member that does not come back, and the consent to it |
//! | [`giving_up`] | a forced start: who gives which store up, and the consent to it |
//! | [`refounding`] | a new incarnation without a majority, and the consent to it |
//! | [`report`] | what a member tells the leader |
//! | [`supervisor`] | at the leader: machine and reports → commands |
//! | [`agent`] | on every member: machine and own facts → local actions |
//! | [`view`] | digests and figures that others ask for |

pub mod agent;
pub mod apply;
pub mod cluster_state;
pub mod command;
pub mod giving_up;
pub mod ids;
pub mod job;
pub mod loss;
pub mod machine;
pub mod membership;
pub mod moves;
pub mod operation;
pub mod outcome;
pub mod partition;
pub mod recovery;
pub mod refounding;
pub mod report;
pub mod request;
pub mod roster;
pub mod safety;
pub mod supervisor;
pub mod view;
pub mod voters;

pub use apply::apply;
pub use cluster_state::{ClusterState, RecoveringFrom, Settled};
pub use command::Command;
pub use ids::{
    Boot, Digest, Epoch, ExecutionId, FoundingId, Generation, JobId, LogIndex, MemberId, OperationId, PartitionId,
    RuntimeNumber, TableVersion, Version,
};
pub use job::{Guarantee, Job, JobStatus, SnapshotRecord, SnapshotRef, Verdict, Wish};
pub use machine::Machine;
pub use membership::Membership;
pub use moves::{Move, Moves, Release};
pub use operation::{Operation, OperationStep, PartitionContent, SealRecord};
pub use outcome::{Outcome, Refused};
pub use partition::{PartitionEntry, PartitionTable, Replica};
pub use recovery::{Rejoin, Restored, StoreReport};
pub use request::{RequestAnswer, StopRequest};
pub use voters::{Voter, Voters};

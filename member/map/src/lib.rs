//! Partitions in RAM: what a replica holds, how a primary orders changes, how backups follow, what counts as equal.
//!
//! The law it keeps: direction follows version, never role; an acknowledged write is in every replica that counts; a
//! replica that does not fit is copied whole, never patched by guess; a map sink on disk is never ahead of the durable
//! epoch. It must not know: sockets, disks, async runtimes, clocks. It gets calls and gives values.
//!
//! Contents: [`key`] which partition · [`op`] changes and questions · [`content`] what a partition holds · [`entries`] where its entries lie · `entry` how old the last record of one is · `write` changes
//! of entries · `ask` answers · [`life`] how long an entry lives · [`lock`] locks of keys · [`timed`] what ends by itself · [`event`] what listeners are told · [`sink`] writes
//! of epochs that are not durable · [`digest`] when two replicas are equal · [`replica`] one replica · [`tail`] its
//! newest changes · [`lead`] what a primary knows of its followers · [`copy`] a whole partition in transfer · [`fence`]
//! who may send to whom · [`door`] who may ask · [`journal`] what the log on disk gets · [`later`] what in it is later than
//! files · [`epoch`] what an epoch file gets · [`restore`] what an execution begins with · [`wire`] bytes between members · [`refusal`] typed reasons.

mod ask;
pub mod content;
pub mod copy;
pub mod digest;
pub mod door;
pub mod entries;
mod entry;
pub mod epoch;
pub mod event;
pub mod fence;
pub mod journal;
pub mod key;
pub mod later;
pub mod lead;
pub mod life;
pub mod lock;
pub mod op;
pub mod refusal;
pub mod replica;
mod restore;
pub mod sink;
pub mod tail;
pub mod timed;
pub mod wire;
mod write;

pub use jet_core::{
    Boot, Digest, Epoch, ExecutionId, JobId, MemberId, PartitionContent, PartitionEntry, PartitionId, PartitionTable,
    TableVersion, Version,
};

pub use ask::Looked;
pub use content::{Applied, Content, Entry, Place};
pub use copy::{CopyItem, CopySource};
pub use door::{Asked as AskedFor, Door, Requester};
pub use epoch::PartitionEpoch;
pub use event::{MapEvent, What};
pub use fence::{Role, Sender};
pub use journal::{Journal, LogRecord};
pub use key::{home_of_job, partition_of};
pub use later::Mark;
pub use lead::{Asked, Due, Follower, Lead, Next, Position};
pub use life::{Life, Limits, Wished};
pub use lock::{Lock, Owner};
pub use op::{Change, CommitRecord, Keyed, Op, Point, Query, QueryReply, Reply, SinkWrite, SnapshotId, View};
pub use refusal::Refusal;
pub use replica::{Followed, Ordered, Replica, Sequenced};
pub use sink::{DecodeSink, SinkDelta};

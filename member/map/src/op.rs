//! Changes of a partition, and questions to it.
//!
//! The law: applying the same changes in the same order to equal replicas gives equal replicas. Must not know: who sends.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Epoch, ExecutionId, JobId, TableVersion, Version};

/// A point in the life of a job: later executions come after all epochs of earlier ones.
pub type Point = (ExecutionId, Epoch);

/// Names one snapshot of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SnapshotId {
    /// Job.
    pub job: JobId,
    /// Execution that made it.
    pub execution: ExecutionId,
    /// Epoch that it ends.
    pub epoch: Epoch,
}

impl SnapshotId {
    /// Where in the life of its job.
    pub fn point(&self) -> Point {
        (self.execution, self.epoch)
    }
}

/// Says that all parts of a snapshot are there; written last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitRecord {
    /// Which snapshot.
    pub id: SnapshotId,
    /// Table version under which all parts were acknowledged.
    pub table_version: TableVersion,
    /// Number of parts.
    pub parts: u64,
    /// Bytes of all parts.
    pub bytes: u64,
    /// Rows that sources had read.
    pub rows_read: u64,
    /// Digest over the digests of all parts, as the coordinator made it.
    pub digest: String,
    /// The job stops with this snapshot.
    pub terminal: bool,
}

/// One write of a sink to a map; no value removes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkWrite {
    /// Map.
    pub map: String,
    /// Key.
    pub key: Bytes,
    /// Value.
    pub value: Option<Bytes>,
}

/// A change of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// First change of a newly installed primary: changes nothing, makes followers show where they are.
    Install,
    /// Sets a key.
    Put {
        /// Map.
        map: String,
        /// Key.
        key: Bytes,
        /// Value.
        value: Bytes,
    },
    /// Sets several keys at once.
    PutAll {
        /// Map.
        map: String,
        /// Keys and values.
        entries: Vec<(Bytes, Bytes)>,
    },
    /// Removes a key.
    Remove {
        /// Map.
        map: String,
        /// Key.
        key: Bytes,
    },
    /// Removes all keys of a map that lie in this partition.
    ClearMap {
        /// Map.
        map: String,
    },
    /// A part of a snapshot.
    SnapshotPart {
        /// Which snapshot.
        id: SnapshotId,
        /// Vertex of the job.
        vertex: u32,
        /// Which part of the vertex (a shard, a range of a source).
        part: u32,
        /// Opaque.
        bytes: Bytes,
    },
    /// All parts are there.
    SnapshotCommit(CommitRecord),
    /// Parts and commits of a job before this point are not needed any more.
    SnapshotDrop {
        /// Job.
        job: JobId,
        /// First point that is kept.
        before: Point,
    },
    /// Applies what the sink vertices of a committed epoch left in this partition, once.
    SinkApply {
        /// Which snapshot.
        id: SnapshotId,
        /// Sink vertices.
        vertices: Vec<u32>,
    },
    /// Sets what an epoch file held of sink writes up to its epoch, unless they are there; these are durable.
    SinkRestore {
        /// Which snapshot.
        id: SnapshotId,
        /// The execution that goes on from it.
        by: ExecutionId,
        /// Last write of each key.
        writes: Vec<SinkWrite>,
        /// Nothing follows of this snapshot.
        last: bool,
    },
    /// Takes back everything of a job after this snapshot: sink writes, parts, commits.
    CutBack {
        /// Last snapshot that stays.
        id: SnapshotId,
        /// The execution that goes on from it.
        by: ExecutionId,
    },
    /// The parts of a snapshot are given back from a file: until [`Op::RestoreEnd`] what is here of it is no snapshot.
    RestoreBegin {
        /// Which snapshot.
        id: SnapshotId,
        /// The execution that goes on from it.
        by: ExecutionId,
    },
    /// All of them are given back.
    RestoreEnd {
        /// Which snapshot.
        id: SnapshotId,
        /// The execution that goes on from it.
        by: ExecutionId,
    },
}

impl Op {
    /// The map whose entries it changes at once. Without entries it changes none, and no log gets a record of it.
    pub fn map(&self) -> Option<&str> {
        match self {
            Op::PutAll { entries, .. } if entries.is_empty() => None,
            Op::Put { map, .. } | Op::PutAll { map, .. } | Op::Remove { map, .. } | Op::ClearMap { map } => Some(map),
            _ => None,
        }
    }

    /// Payload bytes, for bounds.
    pub fn size(&self) -> usize {
        const HEAD: usize = 64;
        HEAD + match self {
            Op::Put { map, key, value } => map.len() + key.len() + value.len(),
            Op::PutAll { map, entries } => {
                map.len() + entries.iter().map(|(k, v)| k.len() + v.len() + 16).sum::<usize>()
            }
            Op::Remove { map, key } => map.len() + key.len(),
            Op::ClearMap { map } => map.len(),
            Op::SnapshotPart { bytes, .. } => bytes.len(),
            Op::SinkRestore { writes, .. } => {
                writes.iter().map(|w| w.map.len() + w.key.len() + w.value.as_ref().map_or(0, Bytes::len) + 16).sum()
            }
            Op::Install
            | Op::SnapshotCommit(_)
            | Op::SnapshotDrop { .. }
            | Op::SinkApply { .. }
            | Op::CutBack { .. }
            | Op::RestoreBegin { .. }
            | Op::RestoreEnd { .. } => 0,
        }
    }
}

/// What a change answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Done.
    Done,
    /// Done; what the key had before.
    Previous(Option<Bytes>),
    /// It was done before; nothing changed.
    AlreadySo,
}

/// A change that every replica that counts has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// What it answers.
    pub reply: Reply,
    /// Version of the partition with it.
    pub version: Version,
    /// Table version under which it was acknowledged.
    pub table_version: TableVersion,
}

/// A question to a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// Value of a key.
    Get {
        /// Map.
        map: String,
        /// Key.
        key: Bytes,
    },
    /// Number of entries.
    Size {
        /// Map.
        map: String,
    },
    /// Entries in order of keys.
    Scan {
        /// Map.
        map: String,
        /// Entries after this key.
        after: Option<Bytes>,
        /// Stops once this many bytes are reached.
        bytes: u32,
    },
    /// Names of maps that have entries here.
    Maps,
    /// Parts of a snapshot in order.
    SnapshotParts {
        /// Which snapshot.
        id: SnapshotId,
        /// Parts after this one.
        after: Option<(u32, u32)>,
        /// Stops once this many bytes are reached.
        bytes: u32,
    },
    /// The newest commit record of a job (asked at its home).
    LastCommit {
        /// Job.
        job: JobId,
    },
    /// Last epoch whose sink writes are applied here.
    Marker {
        /// Job.
        job: JobId,
    },
}

/// Answer to a [`Query`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryReply {
    /// Of `Get`.
    Value(Option<Bytes>),
    /// Of `Size`.
    Size(u64),
    /// Of `Scan`.
    Page {
        /// Entries.
        entries: Vec<(Bytes, Bytes)>,
        /// There are more after the last one.
        more: bool,
    },
    /// Of `Maps`.
    Names(Vec<String>),
    /// Of `SnapshotParts`: vertex, part, bytes.
    Parts {
        /// Parts.
        parts: Vec<(u32, u32, Bytes)>,
        /// There are more after the last one.
        more: bool,
    },
    /// Of `LastCommit`.
    Commit(Option<CommitRecord>),
    /// Of `Marker`.
    Marker(Option<Point>),
}

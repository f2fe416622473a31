//! Changes of a partition, and questions to it.
//!
//! The law: applying the same changes in the same order, each at its tick, to equal replicas gives equal replicas. Must not
//! know: who sends.
//!
//! What a change is for the rest of the room:
//!
//! | change | log | digest of what disks keep | copy | beside sinks of jobs |
//! |---|---|---|---|---|
//! | `Put`, `PutAll`, `Remove`, `ClearMap` | the entry, or that it is gone | value | entry | later than all that is not durable, and marked so |
//! | `Keyed`, `EvictAll`, `TakeOut`: those that change an entry | the same; a value behind its limits | value, limits | entry, life | the same |
//! | `Keyed` that finds nothing to change, or touches | nothing | nothing | the tick of use | nothing |
//! | `Expire` | the dead are gone | they are gone | they are gone | as `Remove` |
//! | `Lock`, `Unlock`, `FreeLocks` | nothing | nothing | lock | sinks do not ask |
//! | `Install` | the replica is whole | nothing | nothing | nothing |
//! | parts, commits, sinks, and taking them back | see [`crate::journal`], [`crate::sink`] | markers; parts and commits that count | all of it | – |

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::life::{Life, Limits, Wished};
use crate::lock::Owner;
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

/// What is done with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has this value. Answers the one before.
    Set(Bytes),
    /// Where it has none. Answers the one that it had.
    IfAbsent(Bytes),
    /// Where it has one. Answers the one before.
    IfPresent(Bytes),
    /// Where it has exactly this one. Answers whether.
    IfSame {
        /// Before.
        expected: Bytes,
        /// Afterwards.
        value: Bytes,
    },
    /// It has none. Answers the one before.
    Remove,
    /// Where it has exactly this one. Answers whether.
    RemoveIfSame(Bytes),
    /// It has none, to make room. Answers whether it had one.
    Evict,
    /// It may live so long from now on: a time to live that is not wished stays, an idle time ends. Answers whether it is
    /// there.
    Limit,
    /// Of the primary: it was read, or found dead.
    Touch,
}

impl Change {
    /// It may give the key a value.
    fn writes(&self) -> bool {
        matches!(self, Change::Set(_) | Change::IfAbsent(_) | Change::IfPresent(_) | Change::IfSame { .. })
    }
}

/// A change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyed {
    /// Map.
    pub map: String,
    /// Key.
    pub key: Bytes,
    /// Who asks.
    pub by: Owner,
    /// What is done.
    pub change: Change,
    /// How long it may live then. What is left open by then is for ever.
    pub limits: Wished,
    /// The value before is not to be told; of [`Change::Remove`] to those who listen neither, and it answers whether there
    /// was one.
    pub quiet: bool,
}

impl Keyed {
    fn size(&self) -> usize {
        self.map.len()
            + self.key.len()
            + match &self.change {
                Change::Set(value)
                | Change::IfAbsent(value)
                | Change::IfPresent(value)
                | Change::RemoveIfSame(value) => value.len(),
                Change::IfSame { expected, value } => expected.len() + value.len(),
                Change::Remove | Change::Evict | Change::Limit | Change::Touch => 0,
            }
    }
}

/// A change of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// First change of a newly installed primary: changes nothing, makes followers show where they are.
    Install {
        /// Digest of what no disk keeps. Who was told by its disk where it is may have the version and not this.
        unkept: u64,
    },
    /// Sets a key, to live for ever; by nobody who owns a lock.
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
        /// Who asks.
        by: Owner,
        /// How long they may live.
        limits: Wished,
    },
    /// A change of one key, with everything that a client can ask.
    Keyed(Keyed),
    /// Removes a key; by nobody who owns a lock.
    Remove {
        /// Map.
        map: String,
        /// Key.
        key: Bytes,
    },
    /// Removes all keys of a map that lie in this partition and are not locked. Answers how many there were.
    ClearMap {
        /// Map.
        map: String,
    },
    /// The same, to make room.
    EvictAll {
        /// Map.
        map: String,
    },
    /// Removes those of these keys that are not locked.
    TakeOut {
        /// Map.
        map: String,
        /// Keys.
        keys: Vec<Bytes>,
        /// To make room.
        evicted: bool,
    },
    /// Of the primary: buries what is dead, and frees what is locked no more.
    Expire {
        /// At most so many of each.
        most: u32,
    },
    /// Locks a key, or refuses because somebody else has.
    Lock {
        /// Map.
        map: String,
        /// Key.
        key: Bytes,
        /// For whom.
        owner: Owner,
        /// Who asks again under the same has asked once.
        reference: i64,
        /// For so many milliseconds; 0: until it is unlocked.
        lease: u64,
    },
    /// Unlocks a key once.
    Unlock {
        /// Map.
        map: String,
        /// Key.
        key: Bytes,
        /// Owner and reference; none: whoever has locked it, and however often.
        asked: Option<(Owner, i64)>,
    },
    /// A client is gone: what it has locked is free.
    FreeLocks {
        /// Client.
        client: Uuid,
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
    /// The map whose entries it may change at once.
    pub fn map(&self) -> Option<&str> {
        match self {
            Op::PutAll { entries, .. } if entries.is_empty() => None,
            Op::Put { map, .. }
            | Op::PutAll { map, .. }
            | Op::Remove { map, .. }
            | Op::ClearMap { map }
            | Op::EvictAll { map }
            | Op::TakeOut { map, .. } => Some(map),
            Op::Keyed(keyed) if keyed.change != Change::Touch => Some(&keyed.map),
            _ => None,
        }
    }

    /// The same, where what it leaves open of the life of what it writes is as these say.
    pub fn lives(mut self, as_configured: Limits) -> Self {
        let filled = |wished: Wished| Wished::exactly(wished.or(as_configured));
        match &mut self {
            Op::PutAll { limits, .. } => *limits = filled(*limits),
            Op::Keyed(keyed) if keyed.change.writes() => keyed.limits = filled(keyed.limits),
            Op::Put { map, key, value } => {
                let (map, key) = (std::mem::take(map), std::mem::take(key));
                let (change, limits) = (Change::Set(std::mem::take(value)), filled(Wished::default()));
                return Op::Keyed(Keyed { map, key, by: Owner::NOBODY, change, limits, quiet: false });
            }
            _ => {}
        }
        self
    }

    /// Payload bytes, for bounds.
    pub fn size(&self) -> usize {
        const HEAD: usize = 64;
        HEAD + match self {
            Op::Put { map, key, value } => map.len() + key.len() + value.len(),
            Op::PutAll { map, entries, .. } => {
                map.len() + entries.iter().map(|(k, v)| k.len() + v.len() + 16).sum::<usize>()
            }
            Op::Remove { map, key } => map.len() + key.len(),
            Op::Keyed(keyed) => keyed.size(),
            Op::Lock { map, key, .. } | Op::Unlock { map, key, .. } => map.len() + key.len(),
            Op::TakeOut { map, keys, .. } => map.len() + keys.iter().map(|key| key.len() + 16).sum::<usize>(),
            Op::ClearMap { map } | Op::EvictAll { map } => map.len(),
            Op::SnapshotPart { bytes, .. } => bytes.len(),
            Op::SinkRestore { writes, .. } => {
                writes.iter().map(|w| w.map.len() + w.key.len() + w.value.as_ref().map_or(0, Bytes::len) + 16).sum()
            }
            Op::Install { .. }
            | Op::Expire { .. }
            | Op::FreeLocks { .. }
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
    /// Whether it was so.
    Was(bool),
    /// How many.
    Count(u64),
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
    /// Whether a key has a value.
    ContainsKey {
        /// Map.
        map: String,
        /// Key.
        key: Bytes,
    },
    /// Whether any key has this value.
    ContainsValue {
        /// Map.
        map: String,
        /// Value.
        value: Bytes,
    },
    /// All that is known of an entry.
    View {
        /// Map.
        map: String,
        /// Key.
        key: Bytes,
    },
    /// Those of these keys that have a value.
    GetAll {
        /// Map.
        map: String,
        /// Keys.
        keys: Vec<Bytes>,
    },
    /// Whether anybody has locked a key.
    IsLocked {
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
    /// Entries, each that is there all the time at least once, from the last place to the first.
    Scan {
        /// Map.
        map: String,
        /// Where the answer before left off; none: from the last.
        from: Option<u32>,
        /// Stops once this many bytes are reached.
        bytes: u32,
    },
    /// Keys alone, as `Scan` gives entries.
    Keys {
        /// Map.
        map: String,
        /// Where the answer before left off; none: from the last.
        from: Option<u32>,
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

/// An entry with what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Value.
    pub value: Bytes,
    /// How often it was changed since it came.
    pub changes: u32,
    /// Its life; none: for ever, and nothing is known of it.
    pub life: Option<Life>,
    /// The tick of the answer.
    pub now: u64,
}

impl Query {
    /// The map that is asked, if it is one.
    pub fn map(&self) -> Option<&str> {
        match self {
            Query::Get { map, .. }
            | Query::ContainsKey { map, .. }
            | Query::ContainsValue { map, .. }
            | Query::View { map, .. }
            | Query::GetAll { map, .. }
            | Query::IsLocked { map, .. }
            | Query::Size { map }
            | Query::Scan { map, .. }
            | Query::Keys { map, .. } => Some(map),
            _ => None,
        }
    }
}

/// Answer to a [`Query`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryReply {
    /// Of `Get`.
    Value(Option<Bytes>),
    /// Of `Size`.
    Size(u64),
    /// Of `ContainsKey`, `ContainsValue` and `IsLocked`.
    Was(bool),
    /// Of `View`.
    View(Option<View>),
    /// Of `Keys`.
    Keys {
        /// Keys.
        keys: Vec<Bytes>,
        /// Where to go on; none: there are no more.
        next: Option<u32>,
    },
    /// Of `Scan` and `GetAll`.
    Page {
        /// Entries.
        entries: Vec<(Bytes, Bytes)>,
        /// Where to go on; none: there are no more.
        next: Option<u32>,
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

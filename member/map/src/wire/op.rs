//! Changes as bytes.
//!
//! The law: as in [`crate::wire`]. Must not know: who sends.

use bytes::Bytes;
use prost::{Message, Oneof};

use super::keyed::{ChangeWire, LockWire, OwnerWire, TakeOutWire, WishedWire, uuid_of};
use crate::{
    CommitRecord, Epoch, ExecutionId, JobId, Op, Point, Refusal, Sequenced, SinkWrite, SnapshotId, TableVersion,
    Version,
};

/// See [`Version`].
#[derive(Clone, Copy, PartialEq, Message)]
pub struct VersionWire {
    #[prost(uint64, tag = "1")]
    installed: u64,
    #[prost(uint64, tag = "2")]
    seq: u64,
}

impl From<Version> for VersionWire {
    fn from(v: Version) -> Self {
        VersionWire { installed: v.installed.0, seq: v.seq }
    }
}

impl From<VersionWire> for Version {
    fn from(v: VersionWire) -> Self {
        Version { installed: TableVersion(v.installed), seq: v.seq }
    }
}

/// See [`Point`].
#[derive(Clone, Copy, PartialEq, Message)]
pub struct PointWire {
    #[prost(uint64, tag = "1")]
    execution: u64,
    #[prost(uint64, tag = "2")]
    epoch: u64,
}

impl From<Point> for PointWire {
    fn from((execution, epoch): Point) -> Self {
        PointWire { execution: execution.0, epoch: epoch.0 }
    }
}

impl From<PointWire> for Point {
    fn from(p: PointWire) -> Self {
        (ExecutionId(p.execution), Epoch(p.epoch))
    }
}

/// See [`SnapshotId`].
#[derive(Clone, Copy, PartialEq, Message)]
pub struct SnapshotIdWire {
    #[prost(uint64, tag = "1")]
    job: u64,
    #[prost(uint64, tag = "2")]
    execution: u64,
    #[prost(uint64, tag = "3")]
    epoch: u64,
}

impl From<SnapshotId> for SnapshotIdWire {
    fn from(id: SnapshotId) -> Self {
        SnapshotIdWire { job: id.job.0, execution: id.execution.0, epoch: id.epoch.0 }
    }
}

impl From<SnapshotIdWire> for SnapshotId {
    fn from(id: SnapshotIdWire) -> Self {
        SnapshotId { job: JobId(id.job), execution: ExecutionId(id.execution), epoch: Epoch(id.epoch) }
    }
}

/// See [`SinkWrite`].
#[derive(Clone, PartialEq, Message)]
pub struct SinkWriteWire {
    #[prost(string, tag = "1")]
    map: String,
    #[prost(bytes = "bytes", tag = "2")]
    key: Bytes,
    #[prost(bytes = "bytes", optional, tag = "3")]
    value: Option<Bytes>,
}

impl From<SinkWrite> for SinkWriteWire {
    fn from(w: SinkWrite) -> Self {
        SinkWriteWire { map: w.map, key: w.key, value: w.value }
    }
}

impl From<SinkWriteWire> for SinkWrite {
    fn from(w: SinkWriteWire) -> Self {
        SinkWrite { map: w.map, key: w.key, value: w.value }
    }
}

/// See [`CommitRecord`].
#[derive(Clone, PartialEq, Message)]
pub struct CommitWire {
    #[prost(message, optional, tag = "1")]
    id: Option<SnapshotIdWire>,
    #[prost(uint64, tag = "2")]
    table_version: u64,
    #[prost(uint64, tag = "3")]
    parts: u64,
    #[prost(uint64, tag = "4")]
    bytes: u64,
    #[prost(uint64, tag = "5")]
    rows_read: u64,
    #[prost(string, tag = "6")]
    digest: String,
    #[prost(bool, tag = "7")]
    terminal: bool,
}

impl From<CommitRecord> for CommitWire {
    fn from(r: CommitRecord) -> Self {
        CommitWire {
            id: Some(r.id.into()),
            table_version: r.table_version.0,
            parts: r.parts,
            bytes: r.bytes,
            rows_read: r.rows_read,
            digest: r.digest,
            terminal: r.terminal,
        }
    }
}

impl CommitWire {
    /// The record; `known` names it where the bytes do not.
    pub fn into_record(self, known: SnapshotId) -> CommitRecord {
        CommitRecord {
            id: self.id.map_or(known, Into::into),
            table_version: TableVersion(self.table_version),
            parts: self.parts,
            bytes: self.bytes,
            rows_read: self.rows_read,
            digest: self.digest,
            terminal: self.terminal,
        }
    }

    /// The record with the name that the bytes give.
    pub fn read(self) -> Result<CommitRecord, Refusal> {
        let id = named(self.id)?;
        Ok(self.into_record(id))
    }
}

/// Key and value.
#[derive(Clone, PartialEq, Message)]
pub struct EntryWire {
    /// Key.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// Value.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct PutAllWire {
    #[prost(string, tag = "1")]
    map: String,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<EntryWire>,
    #[prost(message, optional, tag = "3")]
    by: Option<OwnerWire>,
    #[prost(message, optional, tag = "4")]
    limits: Option<WishedWire>,
}

#[derive(Clone, PartialEq, Message)]
struct KeyedWire {
    #[prost(string, tag = "1")]
    map: String,
    #[prost(bytes = "bytes", tag = "2")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct PartWire {
    #[prost(message, optional, tag = "1")]
    id: Option<SnapshotIdWire>,
    #[prost(uint32, tag = "2")]
    vertex: u32,
    #[prost(uint32, tag = "3")]
    part: u32,
    #[prost(bytes = "bytes", tag = "4")]
    bytes: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct DropWire {
    #[prost(uint64, tag = "1")]
    job: u64,
    #[prost(message, optional, tag = "2")]
    before: Option<PointWire>,
}

#[derive(Clone, PartialEq, Message)]
struct SinkWire {
    #[prost(message, optional, tag = "1")]
    id: Option<SnapshotIdWire>,
    #[prost(uint32, repeated, tag = "2")]
    vertices: Vec<u32>,
    #[prost(message, repeated, tag = "3")]
    writes: Vec<SinkWriteWire>,
    #[prost(uint64, tag = "4")]
    by: u64,
    #[prost(bool, tag = "5")]
    last: bool,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct CutWire {
    #[prost(message, optional, tag = "1")]
    id: Option<SnapshotIdWire>,
    #[prost(uint64, tag = "2")]
    by: u64,
}

#[derive(Clone, PartialEq, Oneof)]
enum Kind {
    #[prost(uint64, tag = "1")]
    Install(u64),
    #[prost(message, tag = "2")]
    Put(KeyedWire),
    #[prost(message, tag = "3")]
    PutAll(PutAllWire),
    #[prost(message, tag = "4")]
    Remove(KeyedWire),
    #[prost(string, tag = "5")]
    ClearMap(String),
    #[prost(message, tag = "6")]
    Part(PartWire),
    #[prost(message, tag = "7")]
    Commit(CommitWire),
    #[prost(message, tag = "8")]
    Drop(DropWire),
    #[prost(message, tag = "9")]
    SinkApply(SinkWire),
    #[prost(message, tag = "10")]
    SinkRestore(SinkWire),
    #[prost(message, tag = "11")]
    CutBack(CutWire),
    #[prost(message, tag = "12")]
    RestoreBegin(CutWire),
    #[prost(message, tag = "13")]
    RestoreEnd(CutWire),
    #[prost(message, tag = "14")]
    Keyed(ChangeWire),
    #[prost(string, tag = "15")]
    EvictAll(String),
    #[prost(message, tag = "16")]
    TakeOut(TakeOutWire),
    #[prost(uint32, tag = "17")]
    Expire(u32),
    #[prost(message, tag = "18")]
    Lock(LockWire),
    #[prost(message, tag = "19")]
    Unlock(LockWire),
    #[prost(bytes = "bytes", tag = "20")]
    FreeLocks(Bytes),
}

/// See [`Op`].
#[derive(Clone, PartialEq, Message)]
pub struct OpWire {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20")]
    kind: Option<Kind>,
}

impl From<Op> for OpWire {
    fn from(op: Op) -> Self {
        let kind = match op {
            Op::Install { unkept } => Kind::Install(unkept),
            Op::Put { map, key, value } => Kind::Put(KeyedWire { map, key, value }),
            Op::PutAll { map, entries, by, limits } => {
                let entries = entries.into_iter().map(|(key, value)| EntryWire { key, value }).collect();
                Kind::PutAll(PutAllWire { map, entries, by: Some(by.into()), limits: Some(limits.into()) })
            }
            Op::Keyed(keyed) => Kind::Keyed(keyed.into()),
            Op::EvictAll { map } => Kind::EvictAll(map),
            Op::TakeOut { map, keys, evicted } => Kind::TakeOut(TakeOutWire { map, keys, evicted }),
            Op::Expire { most } => Kind::Expire(most),
            Op::Lock { map, key, owner, reference, lease } => {
                Kind::Lock(LockWire { map, key, owner: Some(owner.into()), reference, lease })
            }
            Op::Unlock { map, key, asked } => {
                let (owner, reference) = asked.unzip();
                let (owner, reference) = (owner.map(Into::into), reference.unwrap_or_default());
                Kind::Unlock(LockWire { map, key, owner, reference, lease: 0 })
            }
            Op::FreeLocks { client } => Kind::FreeLocks(Bytes::copy_from_slice(client.as_bytes())),
            Op::Remove { map, key } => Kind::Remove(KeyedWire { map, key, value: Bytes::new() }),
            Op::ClearMap { map } => Kind::ClearMap(map),
            Op::SnapshotPart { id, vertex, part, bytes } => {
                Kind::Part(PartWire { id: Some(id.into()), vertex, part, bytes })
            }
            Op::SnapshotCommit(record) => Kind::Commit(record.into()),
            Op::SnapshotDrop { job, before } => Kind::Drop(DropWire { job: job.0, before: Some(before.into()) }),
            Op::SinkApply { id, vertices } => {
                Kind::SinkApply(SinkWire { id: Some(id.into()), vertices, writes: Vec::new(), by: 0, last: true })
            }
            Op::SinkRestore { id, by, writes, last } => {
                let writes = writes.into_iter().map(Into::into).collect();
                Kind::SinkRestore(SinkWire { id: Some(id.into()), vertices: Vec::new(), writes, by: by.0, last })
            }
            Op::CutBack { id, by } => Kind::CutBack(CutWire { id: Some(id.into()), by: by.0 }),
            Op::RestoreBegin { id, by } => Kind::RestoreBegin(CutWire { id: Some(id.into()), by: by.0 }),
            Op::RestoreEnd { id, by } => Kind::RestoreEnd(CutWire { id: Some(id.into()), by: by.0 }),
        };
        OpWire { kind: Some(kind) }
    }
}

impl OpWire {
    /// The change.
    pub fn read(self) -> Result<Op, Refusal> {
        Ok(match self.kind.ok_or_else(|| missing("kind of change"))? {
            Kind::Install(unkept) => Op::Install { unkept },
            Kind::Put(w) => Op::Put { map: w.map, key: w.key, value: w.value },
            Kind::PutAll(w) => Op::PutAll {
                map: w.map,
                entries: w.entries.into_iter().map(|e| (e.key, e.value)).collect(),
                by: w.by.ok_or_else(|| missing("owner"))?.read()?,
                limits: w.limits.ok_or_else(|| missing("limits"))?.into(),
            },
            Kind::Keyed(w) => Op::Keyed(w.read()?),
            Kind::EvictAll(map) => Op::EvictAll { map },
            Kind::TakeOut(w) => Op::TakeOut { map: w.map, keys: w.keys, evicted: w.evicted },
            Kind::Expire(most) => Op::Expire { most },
            Kind::Lock(w) => {
                let owner = w.owner.ok_or_else(|| missing("owner"))?.read()?;
                Op::Lock { map: w.map, key: w.key, owner, reference: w.reference, lease: w.lease }
            }
            Kind::Unlock(w) => {
                let owner = w.owner.map(OwnerWire::read).transpose()?;
                Op::Unlock { map: w.map, key: w.key, asked: owner.map(|owner| (owner, w.reference)) }
            }
            Kind::FreeLocks(client) => Op::FreeLocks { client: uuid_of(&client)? },
            Kind::Remove(w) => Op::Remove { map: w.map, key: w.key },
            Kind::ClearMap(map) => Op::ClearMap { map },
            Kind::Part(w) => Op::SnapshotPart { id: named(w.id)?, vertex: w.vertex, part: w.part, bytes: w.bytes },
            Kind::Commit(w) => Op::SnapshotCommit(w.read()?),
            Kind::Drop(w) => {
                Op::SnapshotDrop { job: JobId(w.job), before: w.before.ok_or_else(|| missing("point"))?.into() }
            }
            Kind::SinkApply(w) => Op::SinkApply { id: named(w.id)?, vertices: w.vertices },
            Kind::SinkRestore(w) => {
                let writes = w.writes.into_iter().map(Into::into).collect();
                Op::SinkRestore { id: named(w.id)?, by: ExecutionId(w.by), writes, last: w.last }
            }
            Kind::CutBack(w) => Op::CutBack { id: named(w.id)?, by: ExecutionId(w.by) },
            Kind::RestoreBegin(w) => Op::RestoreBegin { id: named(w.id)?, by: ExecutionId(w.by) },
            Kind::RestoreEnd(w) => Op::RestoreEnd { id: named(w.id)?, by: ExecutionId(w.by) },
        })
    }
}

/// See [`Sequenced`].
#[derive(Clone, PartialEq, Message)]
pub struct SequencedWire {
    #[prost(message, optional, tag = "1")]
    prev: Option<VersionWire>,
    #[prost(message, optional, tag = "2")]
    version: Option<VersionWire>,
    #[prost(message, optional, tag = "3")]
    op: Option<OpWire>,
    #[prost(uint64, tag = "4")]
    tick: u64,
}

impl From<Sequenced> for SequencedWire {
    fn from(s: Sequenced) -> Self {
        let (prev, version) = (Some(s.prev.into()), Some(s.version.into()));
        SequencedWire { prev, version, op: Some(s.op.into()), tick: s.tick }
    }
}

impl SequencedWire {
    /// The change with its place.
    pub fn read(self) -> Result<Sequenced, Refusal> {
        Ok(Sequenced {
            prev: self.prev.ok_or_else(|| missing("version before"))?.into(),
            version: self.version.ok_or_else(|| missing("version"))?.into(),
            tick: self.tick,
            op: self.op.ok_or_else(|| missing("change"))?.read()?,
        })
    }
}

/// A field that is not there.
pub fn missing(what: &str) -> Refusal {
    Refusal::Unreadable { why: format!("no {what} in it") }
}

/// A snapshot's name that must be there.
pub fn named(id: Option<SnapshotIdWire>) -> Result<SnapshotId, Refusal> {
    Ok(id.ok_or_else(|| missing("snapshot"))?.into())
}

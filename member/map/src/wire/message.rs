//! What travels between members about partitions.
//!
//! The law: as in [`crate::wire`]; who sends is known from the connection, never from the message. Must not know: sockets.

use bytes::Bytes;
use prost::{Message, Oneof};
use uuid::Uuid;

use super::keyed::{LifeItemWire, LockItemWire, uuid_of};
use super::on_disk::{OnDisk, OnDiskWire, WantedOnDisk, WantedWire};
use super::op::{
    CommitWire, OpWire, PointWire, SequencedWire, SinkWriteWire, SnapshotIdWire, VersionWire, missing, named,
};
use super::query::{QueryReplyWire, QueryWire};
use super::together::TogetherWire;
use super::told::{Hear, HearWire, Heard, HeardWire};
use crate::later::Mark;
use crate::op::Acknowledged;
use crate::sink::Held;
use crate::{
    CopyItem, Digest, JobId, Op, PartitionId, Query, QueryReply, Refusal, Reply, Requester, Sequenced, SnapshotId,
    TableVersion, Version,
};

/// A message that asks for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A change, to the primary.
    Invoke {
        /// Partition.
        partition: PartitionId,
        /// For whom.
        requester: Requester,
        /// Change.
        op: Op,
        /// It is answered when it is on every disk that counts.
        to_disk: bool,
    },
    /// A question, to the primary.
    Ask {
        /// Partition.
        partition: PartitionId,
        /// For whom.
        requester: Requester,
        /// Question.
        query: Query,
    },
    /// Changes, from the primary to a follower.
    Follow {
        /// Partition.
        partition: PartitionId,
        /// Fence.
        changed: TableVersion,
        /// On top of.
        prev: Version,
        /// Changes.
        changes: Vec<Sequenced>,
    },
    /// Changes of several partitions, from the primary of all of them to a follower; each is a `Follow`.
    Together(Vec<Request>),
    /// A piece of a copy, from the primary to a follower.
    CopyPiece {
        /// Partition.
        partition: PartitionId,
        /// Fence.
        changed: TableVersion,
        /// Number of the copy at its source.
        copy: u64,
        /// Number of the piece.
        piece: u32,
        /// Items.
        items: Vec<CopyItem>,
    },
    /// The copy is complete.
    CopyEnd {
        /// Partition.
        partition: PartitionId,
        /// Fence.
        changed: TableVersion,
        /// Number of the copy at its source.
        copy: u64,
        /// Pieces that were sent.
        pieces: u32,
        /// Version of the copy.
        version: Version,
        /// Digest of the copy.
        digest: Digest,
    },
    /// What a member's epoch file holds of a partition.
    FetchEpoch {
        /// Partition.
        partition: PartitionId,
        /// Which.
        id: SnapshotId,
        /// Parts from this one on.
        from: u32,
    },
    /// What a follower's disk has, from the primary of these partitions.
    OnDisk {
        /// What it is to have.
        wanted: Vec<WantedOnDisk>,
    },
    /// Which of these clients are connected to a member.
    Clients {
        /// Clients.
        of: Vec<Uuid>,
    },
    /// What a member tells those that listen at another one.
    Hear(Hear),
}

/// Its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// To `Invoke`.
    Acknowledged(Acknowledged),
    /// To `Ask`.
    Answer(QueryReply),
    /// To `Follow` and `CopyEnd`: the follower is at this version.
    At(Version),
    /// To `Follow`: the changes do not fit; the follower is at this version.
    Elsewhere(Version),
    /// To `Together`: to each, in the same order.
    Together(Vec<Response>),
    /// To `CopyPiece`.
    Taken,
    /// To `FetchEpoch`.
    Epoch {
        /// The file has this partition.
        found: bool,
        /// Vertex and bytes.
        parts: Vec<(u32, Bytes)>,
        /// There are more.
        more: bool,
    },
    /// To `OnDisk`.
    OnDisk(OnDisk),
    /// To `Clients`.
    Clients {
        /// Those that are connected.
        here: Vec<Uuid>,
    },
    /// To `Hear`.
    Heard(Heard),
    /// To anything.
    Refused(Refusal),
}

#[derive(Clone, PartialEq, Message)]
struct RequestWire {
    #[prost(uint32, tag = "1")]
    partition: u32,
    #[prost(uint64, tag = "2")]
    changed: u64,
    #[prost(bool, tag = "3")]
    for_job: bool,
    #[prost(oneof = "Wanted", tags = "4, 5, 6, 7, 8, 9, 10, 12, 13, 14")]
    wanted: Option<Wanted>,
    #[prost(bool, tag = "11")]
    to_disk: bool,
}

#[derive(Clone, PartialEq, Oneof)]
enum Wanted {
    #[prost(message, tag = "4")]
    Invoke(OpWire),
    #[prost(message, tag = "5")]
    Ask(QueryWire),
    #[prost(message, tag = "6")]
    Follow(FollowWire),
    #[prost(message, tag = "7")]
    Piece(PieceWire),
    #[prost(message, tag = "8")]
    End(EndWire),
    #[prost(message, tag = "9")]
    Fetch(FetchWire),
    #[prost(message, tag = "10")]
    OnDisk(WantedWire),
    #[prost(message, tag = "12")]
    Clients(ClientsWire),
    #[prost(message, tag = "13")]
    Hear(HearWire),
    #[prost(message, tag = "14")]
    Together(TogetherWire),
}

#[derive(Clone, PartialEq, Message)]
struct ClientsWire {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    clients: Vec<Bytes>,
}

impl From<Vec<Uuid>> for ClientsWire {
    fn from(clients: Vec<Uuid>) -> Self {
        Self { clients: clients.iter().map(|client| Bytes::copy_from_slice(client.as_bytes())).collect() }
    }
}

impl ClientsWire {
    fn read(self) -> Result<Vec<Uuid>, Refusal> {
        self.clients.iter().map(|client| uuid_of(client)).collect()
    }
}

#[derive(Clone, PartialEq, Message)]
struct FollowWire {
    #[prost(message, optional, tag = "1")]
    prev: Option<VersionWire>,
    #[prost(message, repeated, tag = "2")]
    changes: Vec<SequencedWire>,
}

#[derive(Clone, PartialEq, Message)]
struct PieceWire {
    #[prost(uint64, tag = "1")]
    copy: u64,
    #[prost(uint32, tag = "2")]
    piece: u32,
    #[prost(message, repeated, tag = "3")]
    items: Vec<ItemWire>,
}

#[derive(Clone, PartialEq, Message)]
struct EndWire {
    #[prost(uint64, tag = "1")]
    copy: u64,
    #[prost(uint32, tag = "2")]
    pieces: u32,
    #[prost(message, optional, tag = "3")]
    version: Option<VersionWire>,
    #[prost(string, tag = "4")]
    digest: String,
}

#[derive(Clone, PartialEq, Message)]
struct FetchWire {
    #[prost(message, optional, tag = "1")]
    id: Option<SnapshotIdWire>,
    #[prost(uint32, tag = "2")]
    from: u32,
}

#[derive(Clone, PartialEq, Message)]
struct EntryItemWire {
    #[prost(string, tag = "1")]
    map: String,
    #[prost(bytes = "bytes", tag = "2")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    value: Bytes,
    #[prost(uint32, tag = "4")]
    changes: u32,
}

#[derive(Clone, PartialEq, Message)]
struct PartItemWire {
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
struct MarkerItemWire {
    #[prost(uint64, tag = "1")]
    job: u64,
    #[prost(message, optional, tag = "2")]
    point: Option<PointWire>,
    #[prost(message, optional, tag = "3")]
    on_disk: Option<PointWire>,
}

#[derive(Clone, PartialEq, Message)]
struct HeldWriteWire {
    #[prost(message, optional, tag = "1")]
    id: Option<SnapshotIdWire>,
    #[prost(message, optional, tag = "2")]
    write: Option<SinkWriteWire>,
}

#[derive(Clone, PartialEq, Message)]
struct HeldItemWire {
    #[prost(message, optional, tag = "1")]
    before: Option<SinkWriteWire>,
    #[prost(message, repeated, tag = "2")]
    writes: Vec<HeldWriteWire>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Item {
    #[prost(message, tag = "1")]
    Entry(EntryItemWire),
    #[prost(message, tag = "2")]
    Part(PartItemWire),
    #[prost(message, tag = "3")]
    Commit(CommitWire),
    #[prost(message, tag = "4")]
    Marker(MarkerItemWire),
    #[prost(message, tag = "5")]
    Held(HeldItemWire),
    #[prost(message, tag = "6")]
    Floor(MarkerItemWire),
    #[prost(message, tag = "7")]
    Later(LaterItemWire),
    #[prost(message, tag = "8")]
    Partial(SnapshotIdWire),
    #[prost(message, tag = "9")]
    FromFiles(SnapshotIdWire),
    #[prost(uint64, tag = "10")]
    Tick(u64),
    #[prost(message, tag = "11")]
    Life(LifeItemWire),
    #[prost(message, tag = "12")]
    Lock(LockItemWire),
}

#[derive(Clone, PartialEq, Message)]
struct LaterItemWire {
    #[prost(uint64, tag = "1")]
    job: u64,
    #[prost(string, tag = "2")]
    map: String,
    #[prost(bytes = "bytes", optional, tag = "3")]
    key: Option<Bytes>,
    #[prost(message, optional, tag = "4")]
    before: Option<PointWire>,
}

#[derive(Clone, PartialEq, Message)]
struct ItemWire {
    #[prost(oneof = "Item", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12")]
    item: Option<Item>,
}

impl From<CopyItem> for ItemWire {
    fn from(item: CopyItem) -> Self {
        use crate::SinkWrite;
        let item = match item {
            CopyItem::Entry { map, key, value, changes } => Item::Entry(EntryItemWire { map, key, value, changes }),
            CopyItem::Tick(now) => Item::Tick(now),
            CopyItem::Life { map, key, life } => Item::Life(LifeItemWire::new(map, key, life)),
            CopyItem::Lock { map, key, lock } => Item::Lock(LockItemWire::new(map, key, lock)),
            CopyItem::Part { id, at, bytes } => {
                Item::Part(PartItemWire { id: Some(id.into()), vertex: at.0, part: at.1, bytes })
            }
            CopyItem::Commit(record) => Item::Commit(record.into()),
            CopyItem::Marker { job, point, on_disk } => {
                Item::Marker(MarkerItemWire { job: job.0, point: Some(point.into()), on_disk: on_disk.map(Into::into) })
            }
            CopyItem::Held { map, key, held } => {
                let write =
                    |value: Option<Bytes>| SinkWriteWire::from(SinkWrite { map: map.clone(), key: key.clone(), value });
                let writes = held
                    .writes
                    .into_iter()
                    .map(|(id, value)| HeldWriteWire { id: Some(id.into()), write: Some(write(value)) });
                Item::Held(HeldItemWire { writes: writes.collect(), before: Some(write(held.before)) })
            }
            CopyItem::Floor { job, point } => {
                Item::Floor(MarkerItemWire { job: job.0, point: Some(point.into()), on_disk: None })
            }
            CopyItem::Later { mark, before } => Item::Later(LaterItemWire {
                job: mark.job.0,
                map: mark.map,
                key: mark.key,
                before: Some(before.into()),
            }),
            CopyItem::Partial(id) => Item::Partial(id.into()),
            CopyItem::FromFiles(id) => Item::FromFiles(id.into()),
        };
        ItemWire { item: Some(item) }
    }
}

impl ItemWire {
    fn read(self) -> Result<CopyItem, Refusal> {
        use crate::SinkWrite;
        Ok(match self.item.ok_or_else(|| missing("item"))? {
            Item::Entry(w) => CopyItem::Entry { map: w.map, key: w.key, value: w.value, changes: w.changes },
            Item::Tick(now) => CopyItem::Tick(now),
            Item::Life(w) => w.read()?,
            Item::Lock(w) => w.read()?,
            Item::Part(w) => CopyItem::Part { id: named(w.id)?, at: (w.vertex, w.part), bytes: w.bytes },
            Item::Commit(w) => CopyItem::Commit(w.read()?),
            Item::Marker(w) => CopyItem::Marker {
                job: JobId(w.job),
                point: w.point.ok_or_else(|| missing("point"))?.into(),
                on_disk: w.on_disk.map(Into::into),
            },
            Item::Held(w) => {
                let before = SinkWrite::from(w.before.ok_or_else(|| missing("value before"))?);
                let mut writes = Vec::with_capacity(w.writes.len());
                for one in w.writes {
                    let write = SinkWrite::from(one.write.ok_or_else(|| missing("write"))?);
                    writes.push((named(one.id)?, write.value));
                }
                CopyItem::Held { map: before.map, key: before.key, held: Held { before: before.value, writes } }
            }
            Item::Floor(w) => {
                CopyItem::Floor { job: JobId(w.job), point: w.point.ok_or_else(|| missing("point"))?.into() }
            }
            Item::Later(w) => CopyItem::Later {
                mark: Mark { job: JobId(w.job), map: w.map, key: w.key },
                before: w.before.ok_or_else(|| missing("point"))?.into(),
            },
            Item::Partial(id) => CopyItem::Partial(id.into()),
            Item::FromFiles(id) => CopyItem::FromFiles(id.into()),
        })
    }
}

impl Request {
    /// Partition that it is about; of several the first.
    pub fn partition(&self) -> PartitionId {
        match self {
            Request::Invoke { partition, .. }
            | Request::Ask { partition, .. }
            | Request::Follow { partition, .. }
            | Request::CopyPiece { partition, .. }
            | Request::CopyEnd { partition, .. }
            | Request::FetchEpoch { partition, .. } => *partition,
            Request::OnDisk { wanted } => wanted.first().map_or(PartitionId(0), |wanted| wanted.partition),
            Request::Clients { .. } | Request::Hear(_) => PartitionId(0),
            Request::Together(requests) => requests.first().map_or(PartitionId(0), Request::partition),
        }
    }

    /// Its bytes.
    pub fn encode(self) -> Bytes {
        let partition = u32::from(self.partition().0);
        let to_disk = matches!(self, Request::Invoke { to_disk: true, .. });
        let (changed, requester, wanted) = match self {
            Request::Invoke { requester, op, .. } => (TableVersion(0), requester, Wanted::Invoke(op.into())),
            Request::Ask { requester, query, .. } => (TableVersion(0), requester, Wanted::Ask(query.into())),
            Request::Follow { changed, prev, changes, .. } => {
                let changes = changes.into_iter().map(Into::into).collect();
                (changed, Requester::Job, Wanted::Follow(FollowWire { prev: Some(prev.into()), changes }))
            }
            Request::CopyPiece { changed, copy, piece, items, .. } => {
                let items = items.into_iter().map(Into::into).collect();
                (changed, Requester::Job, Wanted::Piece(PieceWire { copy, piece, items }))
            }
            Request::CopyEnd { changed, copy, pieces, version, digest, .. } => {
                let end = EndWire { copy, pieces, version: Some(version.into()), digest: digest.0 };
                (changed, Requester::Job, Wanted::End(end))
            }
            Request::FetchEpoch { id, from, .. } => {
                (TableVersion(0), Requester::Job, Wanted::Fetch(FetchWire { id: Some(id.into()), from }))
            }
            Request::OnDisk { wanted } => (TableVersion(0), Requester::Job, Wanted::OnDisk(wanted.into())),
            Request::Clients { of } => (TableVersion(0), Requester::Job, Wanted::Clients(of.into())),
            Request::Hear(hear) => (TableVersion(0), Requester::Job, Wanted::Hear(hear.into())),
            Request::Together(requests) => (TableVersion(0), Requester::Job, Wanted::Together(requests.into())),
        };
        let for_job = requester == Requester::Job;
        RequestWire { partition, changed: changed.0, for_job, wanted: Some(wanted), to_disk }.encode_to_vec().into()
    }

    /// Reads its bytes.
    pub fn decode(bytes: Bytes) -> Result<Self, Refusal> {
        match RequestWire::decode(bytes).map_err(unreadable)? {
            RequestWire { wanted: Some(Wanted::Together(w)), .. } => {
                let alone = |bytes| Self::read(RequestWire::decode(bytes).map_err(unreadable)?);
                Ok(Request::Together(w.apart().map(alone).collect::<Result<_, _>>()?))
            }
            wire => Self::read(wire),
        }
    }

    fn read(wire: RequestWire) -> Result<Self, Refusal> {
        let partition = u16::try_from(wire.partition).map(PartitionId).map_err(|_| missing("possible partition"))?;
        let changed = TableVersion(wire.changed);
        let requester = if wire.for_job { Requester::Job } else { Requester::Client };
        Ok(match wire.wanted.ok_or_else(|| missing("request"))? {
            Wanted::Invoke(op) => Request::Invoke { partition, requester, op: op.read()?, to_disk: wire.to_disk },
            Wanted::Ask(query) => Request::Ask { partition, requester, query: query.read()? },
            Wanted::Follow(w) => {
                let prev = w.prev.ok_or_else(|| missing("version before"))?.into();
                let changes = w.changes.into_iter().map(SequencedWire::read).collect::<Result<_, _>>()?;
                Request::Follow { partition, changed, prev, changes }
            }
            Wanted::Piece(w) => {
                let items = w.items.into_iter().map(ItemWire::read).collect::<Result<_, _>>()?;
                Request::CopyPiece { partition, changed, copy: w.copy, piece: w.piece, items }
            }
            Wanted::End(w) => {
                let version = w.version.ok_or_else(|| missing("version"))?.into();
                Request::CopyEnd {
                    partition,
                    changed,
                    copy: w.copy,
                    pieces: w.pieces,
                    version,
                    digest: Digest(w.digest),
                }
            }
            Wanted::Fetch(w) => Request::FetchEpoch { partition, id: named(w.id)?, from: w.from },
            Wanted::OnDisk(w) => Request::OnDisk { wanted: w.read()? },
            Wanted::Clients(w) => Request::Clients { of: w.read()? },
            Wanted::Hear(w) => Request::Hear(w.read()?),
            Wanted::Together(_) => return Err(missing("message that stands alone")),
        })
    }
}

#[derive(Clone, PartialEq, Message)]
struct AcknowledgedWire {
    /// 0 done, 1 done with a value before, 2 done with none before, 3 already so, 4 it was so, 5 it was not, 6 how many.
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(bytes = "bytes", tag = "2")]
    previous: Bytes,
    #[prost(message, optional, tag = "3")]
    version: Option<VersionWire>,
    #[prost(uint64, tag = "4")]
    table_version: u64,
    #[prost(uint64, tag = "5")]
    count: u64,
}

#[derive(Clone, PartialEq, Message)]
struct VertexPartWire {
    #[prost(uint32, tag = "1")]
    vertex: u32,
    #[prost(bytes = "bytes", tag = "2")]
    bytes: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct EpochWire {
    #[prost(bool, tag = "1")]
    found: bool,
    #[prost(message, repeated, tag = "2")]
    parts: Vec<VertexPartWire>,
    #[prost(bool, tag = "3")]
    more: bool,
}

#[derive(Clone, PartialEq, Message)]
struct TakenWire {}

#[derive(Clone, PartialEq, Oneof)]
enum Said {
    #[prost(message, tag = "1")]
    Acknowledged(AcknowledgedWire),
    #[prost(message, tag = "2")]
    Answer(QueryReplyWire),
    #[prost(message, tag = "3")]
    At(VersionWire),
    #[prost(message, tag = "4")]
    Elsewhere(VersionWire),
    #[prost(message, tag = "5")]
    Taken(TakenWire),
    #[prost(message, tag = "6")]
    Epoch(EpochWire),
    /// JSON: refusals are rare and read by people too.
    #[prost(bytes = "bytes", tag = "7")]
    Refused(Bytes),
    #[prost(message, tag = "8")]
    OnDisk(OnDiskWire),
    #[prost(message, tag = "9")]
    Clients(ClientsWire),
    #[prost(message, tag = "10")]
    Heard(HeardWire),
    #[prost(message, tag = "11")]
    Together(TogetherWire),
}

#[derive(Clone, PartialEq, Message)]
struct ResponseWire {
    #[prost(oneof = "Said", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11")]
    said: Option<Said>,
}

impl From<Acknowledged> for AcknowledgedWire {
    fn from(a: Acknowledged) -> Self {
        let (kind, previous) = match a.reply.clone() {
            Reply::Done => (0, Bytes::new()),
            Reply::Previous(Some(value)) => (1, value),
            Reply::Previous(None) => (2, Bytes::new()),
            Reply::AlreadySo => (3, Bytes::new()),
            Reply::Was(true) => (4, Bytes::new()),
            Reply::Was(false) => (5, Bytes::new()),
            Reply::Count(_) => (6, Bytes::new()),
        };
        let count = if let Reply::Count(count) = a.reply { count } else { 0 };
        let (version, table_version) = (Some(a.version.into()), a.table_version.0);
        AcknowledgedWire { kind, previous, version, table_version, count }
    }
}

impl AcknowledgedWire {
    fn read(self) -> Result<Acknowledged, Refusal> {
        let reply = match self.kind {
            0 => Reply::Done,
            1 => Reply::Previous(Some(self.previous)),
            2 => Reply::Previous(None),
            3 => Reply::AlreadySo,
            4 => Reply::Was(true),
            5 => Reply::Was(false),
            6 => Reply::Count(self.count),
            _ => return Err(missing("known reply")),
        };
        let version = self.version.ok_or_else(|| missing("version"))?.into();
        Ok(Acknowledged { reply, version, table_version: TableVersion(self.table_version) })
    }
}

impl Response {
    /// Its bytes.
    pub fn encode(self) -> Bytes {
        let said = match self {
            Response::Acknowledged(a) => Said::Acknowledged(a.into()),
            Response::Answer(reply) => Said::Answer(reply.into()),
            Response::At(version) => Said::At(version.into()),
            Response::Elsewhere(version) => Said::Elsewhere(version.into()),
            Response::Taken => Said::Taken(TakenWire {}),
            Response::Epoch { found, parts, more } => {
                let parts = parts.into_iter().map(|(vertex, bytes)| VertexPartWire { vertex, bytes }).collect();
                Said::Epoch(EpochWire { found, parts, more })
            }
            Response::OnDisk(answer) => Said::OnDisk(answer.into()),
            Response::Clients { here } => Said::Clients(here.into()),
            Response::Heard(heard) => Said::Heard(heard.into()),
            Response::Together(responses) => Said::Together(responses.into()),
            Response::Refused(refusal) => Said::Refused(serde_json::to_vec(&refusal).unwrap_or_default().into()),
        };
        ResponseWire { said: Some(said) }.encode_to_vec().into()
    }

    /// Reads its bytes; a refusal is an answer like others.
    pub fn decode(bytes: Bytes) -> Result<Self, Refusal> {
        match ResponseWire::decode(bytes).map_err(unreadable)? {
            ResponseWire { said: Some(Said::Together(w)) } => {
                let alone = |bytes| Self::read(ResponseWire::decode(bytes).map_err(unreadable)?);
                Ok(Response::Together(w.apart().map(alone).collect::<Result<_, _>>()?))
            }
            wire => Self::read(wire),
        }
    }

    fn read(wire: ResponseWire) -> Result<Self, Refusal> {
        Ok(match wire.said.ok_or_else(|| missing("answer"))? {
            Said::Acknowledged(w) => Response::Acknowledged(w.read()?),
            Said::Answer(w) => Response::Answer(w.read()?),
            Said::At(version) => Response::At(version.into()),
            Said::Elsewhere(version) => Response::Elsewhere(version.into()),
            Said::Taken(_) => Response::Taken,
            Said::Epoch(w) => {
                let parts = w.parts.into_iter().map(|part| (part.vertex, part.bytes)).collect();
                Response::Epoch { found: w.found, parts, more: w.more }
            }
            Said::OnDisk(w) => Response::OnDisk(w.read()?),
            Said::Clients(w) => Response::Clients { here: w.read()? },
            Said::Heard(w) => Response::Heard(w.read()?),
            Said::Together(_) => return Err(missing("answer that stands alone")),
            Said::Refused(bytes) => {
                let refusal =
                    serde_json::from_slice(&bytes).map_err(|error| Refusal::Unreadable { why: error.to_string() })?;
                Response::Refused(refusal)
            }
        })
    }
}

fn unreadable(error: prost::DecodeError) -> Refusal {
    Refusal::Unreadable { why: error.to_string() }
}

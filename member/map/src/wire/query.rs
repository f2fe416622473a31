//! Questions and answers as bytes.
//!
//! The law: as in [`crate::wire`]. Must not know: who asks.

use bytes::Bytes;
use prost::{Message, Oneof};

use super::keyed::LifeWire;
use super::op::{CommitWire, EntryWire, PointWire, SnapshotIdWire, missing, named};
use crate::{JobId, Query, QueryReply, Refusal, View};

#[derive(Clone, PartialEq, Message)]
struct GetWire {
    #[prost(string, tag = "1")]
    map: String,
    #[prost(bytes = "bytes", tag = "2")]
    key: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct KeysWire {
    #[prost(string, tag = "1")]
    map: String,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    keys: Vec<Bytes>,
    #[prost(uint32, optional, tag = "3")]
    next: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
struct ViewWire {
    #[prost(bytes = "bytes", tag = "1")]
    value: Bytes,
    #[prost(uint32, tag = "2")]
    changes: u32,
    #[prost(message, optional, tag = "3")]
    life: Option<LifeWire>,
    #[prost(uint64, tag = "4")]
    now: u64,
}

#[derive(Clone, PartialEq, Message)]
struct MaybeViewWire {
    #[prost(message, optional, tag = "1")]
    view: Option<ViewWire>,
}

#[derive(Clone, PartialEq, Message)]
struct ScanWire {
    #[prost(string, tag = "1")]
    map: String,
    #[prost(uint32, optional, tag = "2")]
    from: Option<u32>,
    #[prost(uint32, tag = "3")]
    bytes: u32,
}

#[derive(Clone, PartialEq, Message)]
struct PartsWire {
    #[prost(message, optional, tag = "1")]
    id: Option<SnapshotIdWire>,
    #[prost(uint32, optional, tag = "2")]
    after_vertex: Option<u32>,
    #[prost(uint32, optional, tag = "3")]
    after_part: Option<u32>,
    #[prost(uint32, tag = "4")]
    bytes: u32,
}

#[derive(Clone, PartialEq, Message)]
struct NothingWire {}

#[derive(Clone, PartialEq, Oneof)]
enum Asked {
    #[prost(message, tag = "1")]
    Get(GetWire),
    #[prost(string, tag = "2")]
    Size(String),
    #[prost(message, tag = "3")]
    Scan(ScanWire),
    #[prost(message, tag = "4")]
    Maps(NothingWire),
    #[prost(message, tag = "5")]
    Parts(PartsWire),
    #[prost(uint64, tag = "6")]
    LastCommit(u64),
    #[prost(uint64, tag = "7")]
    Marker(u64),
    #[prost(message, tag = "8")]
    ContainsKey(GetWire),
    #[prost(message, tag = "9")]
    ContainsValue(GetWire),
    #[prost(message, tag = "10")]
    View(GetWire),
    #[prost(message, tag = "11")]
    GetAll(KeysWire),
    #[prost(message, tag = "12")]
    IsLocked(GetWire),
    #[prost(message, tag = "13")]
    Keys(ScanWire),
}

/// See [`Query`].
#[derive(Clone, PartialEq, Message)]
pub struct QueryWire {
    #[prost(oneof = "Asked", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13")]
    asked: Option<Asked>,
}

impl From<Query> for QueryWire {
    fn from(query: Query) -> Self {
        let asked = match query {
            Query::Get { map, key } => Asked::Get(GetWire { map, key }),
            Query::ContainsKey { map, key } => Asked::ContainsKey(GetWire { map, key }),
            Query::ContainsValue { map, value } => Asked::ContainsValue(GetWire { map, key: value }),
            Query::View { map, key } => Asked::View(GetWire { map, key }),
            Query::GetAll { map, keys } => Asked::GetAll(KeysWire { map, keys, next: None }),
            Query::IsLocked { map, key } => Asked::IsLocked(GetWire { map, key }),
            Query::Keys { map, from, bytes } => Asked::Keys(ScanWire { map, from, bytes }),
            Query::Size { map } => Asked::Size(map),
            Query::Scan { map, from, bytes } => Asked::Scan(ScanWire { map, from, bytes }),
            Query::Maps => Asked::Maps(NothingWire {}),
            Query::SnapshotParts { id, after, bytes } => Asked::Parts(PartsWire {
                id: Some(id.into()),
                after_vertex: after.map(|at| at.0),
                after_part: after.map(|at| at.1),
                bytes,
            }),
            Query::LastCommit { job } => Asked::LastCommit(job.0),
            Query::Marker { job } => Asked::Marker(job.0),
        };
        QueryWire { asked: Some(asked) }
    }
}

impl QueryWire {
    /// The question.
    pub fn read(self) -> Result<Query, Refusal> {
        Ok(match self.asked.ok_or_else(|| missing("question"))? {
            Asked::Get(w) => Query::Get { map: w.map, key: w.key },
            Asked::ContainsKey(w) => Query::ContainsKey { map: w.map, key: w.key },
            Asked::ContainsValue(w) => Query::ContainsValue { map: w.map, value: w.key },
            Asked::View(w) => Query::View { map: w.map, key: w.key },
            Asked::GetAll(w) => Query::GetAll { map: w.map, keys: w.keys },
            Asked::IsLocked(w) => Query::IsLocked { map: w.map, key: w.key },
            Asked::Keys(w) => Query::Keys { map: w.map, from: w.from, bytes: w.bytes },
            Asked::Size(map) => Query::Size { map },
            Asked::Scan(w) => Query::Scan { map: w.map, from: w.from, bytes: w.bytes },
            Asked::Maps(_) => Query::Maps,
            Asked::Parts(w) => {
                Query::SnapshotParts { id: named(w.id)?, after: w.after_vertex.zip(w.after_part), bytes: w.bytes }
            }
            Asked::LastCommit(job) => Query::LastCommit { job: JobId(job) },
            Asked::Marker(job) => Query::Marker { job: JobId(job) },
        })
    }
}

#[derive(Clone, PartialEq, Message)]
struct ValueWire {
    #[prost(bytes = "bytes", optional, tag = "1")]
    value: Option<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
struct PageWire {
    #[prost(message, repeated, tag = "1")]
    entries: Vec<EntryWire>,
    #[prost(uint32, optional, tag = "2")]
    next: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
struct NamesWire {
    #[prost(string, repeated, tag = "1")]
    names: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct PartWire {
    #[prost(uint32, tag = "1")]
    vertex: u32,
    #[prost(uint32, tag = "2")]
    part: u32,
    #[prost(bytes = "bytes", tag = "3")]
    bytes: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct PartPageWire {
    #[prost(message, repeated, tag = "1")]
    parts: Vec<PartWire>,
    #[prost(bool, tag = "2")]
    more: bool,
}

#[derive(Clone, PartialEq, Message)]
struct MaybeCommitWire {
    #[prost(message, optional, tag = "1")]
    commit: Option<CommitWire>,
}

#[derive(Clone, PartialEq, Message)]
struct MaybePointWire {
    #[prost(message, optional, tag = "1")]
    point: Option<PointWire>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Answer {
    #[prost(message, tag = "1")]
    Value(ValueWire),
    #[prost(uint64, tag = "2")]
    Size(u64),
    #[prost(message, tag = "3")]
    Page(PageWire),
    #[prost(message, tag = "4")]
    Names(NamesWire),
    #[prost(message, tag = "5")]
    Parts(PartPageWire),
    #[prost(message, tag = "6")]
    Commit(MaybeCommitWire),
    #[prost(message, tag = "7")]
    Marker(MaybePointWire),
    #[prost(bool, tag = "8")]
    Was(bool),
    #[prost(message, tag = "9")]
    View(MaybeViewWire),
    #[prost(message, tag = "10")]
    Keys(KeysWire),
}

/// See [`QueryReply`].
#[derive(Clone, PartialEq, Message)]
pub struct QueryReplyWire {
    #[prost(oneof = "Answer", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10")]
    answer: Option<Answer>,
}

impl From<QueryReply> for QueryReplyWire {
    fn from(reply: QueryReply) -> Self {
        let answer = match reply {
            QueryReply::Value(value) => Answer::Value(ValueWire { value }),
            QueryReply::Size(size) => Answer::Size(size),
            QueryReply::Was(was) => Answer::Was(was),
            QueryReply::View(view) => {
                let wire =
                    |View { value, changes, life, now }| ViewWire { value, changes, life: life.map(Into::into), now };
                Answer::View(MaybeViewWire { view: view.map(wire) })
            }
            QueryReply::Keys { keys, next } => Answer::Keys(KeysWire { map: String::new(), keys, next }),
            QueryReply::Page { entries, next } => {
                let entries = entries.into_iter().map(|(key, value)| EntryWire { key, value }).collect();
                Answer::Page(PageWire { entries, next })
            }
            QueryReply::Names(names) => Answer::Names(NamesWire { names }),
            QueryReply::Parts { parts, more } => {
                let parts = parts.into_iter().map(|(vertex, part, bytes)| PartWire { vertex, part, bytes }).collect();
                Answer::Parts(PartPageWire { parts, more })
            }
            QueryReply::Commit(commit) => Answer::Commit(MaybeCommitWire { commit: commit.map(Into::into) }),
            QueryReply::Marker(point) => Answer::Marker(MaybePointWire { point: point.map(Into::into) }),
        };
        QueryReplyWire { answer: Some(answer) }
    }
}

impl QueryReplyWire {
    /// The answer.
    pub fn read(self) -> Result<QueryReply, Refusal> {
        Ok(match self.answer.ok_or_else(|| missing("answer"))? {
            Answer::Value(w) => QueryReply::Value(w.value),
            Answer::Size(size) => QueryReply::Size(size),
            Answer::Was(was) => QueryReply::Was(was),
            Answer::View(w) => {
                let read =
                    |w: ViewWire| View { value: w.value, changes: w.changes, life: w.life.map(Into::into), now: w.now };
                QueryReply::View(w.view.map(read))
            }
            Answer::Keys(w) => QueryReply::Keys { keys: w.keys, next: w.next },
            Answer::Page(w) => {
                QueryReply::Page { entries: w.entries.into_iter().map(|e| (e.key, e.value)).collect(), next: w.next }
            }
            Answer::Names(w) => QueryReply::Names(w.names),
            Answer::Parts(w) => QueryReply::Parts {
                parts: w.parts.into_iter().map(|p| (p.vertex, p.part, p.bytes)).collect(),
                more: w.more,
            },
            Answer::Commit(w) => QueryReply::Commit(w.commit.map(CommitWire::read).transpose()?),
            Answer::Marker(w) => QueryReply::Marker(w.point.map(Into::into)),
        })
    }
}

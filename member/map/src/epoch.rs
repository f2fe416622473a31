//! What the file of one epoch holds of one partition, as opaque parts.
//!
//! The law: parts of the snapshot, plus all sink writes up to it that the log does not have, so that restoring it from
//! disk has everything up to it; a header part says how much there is, so that an empty partition is not a missing one.
//! Must not know: files.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;

use crate::wire::op::{CommitWire, PointWire, SinkWriteWire, VersionWire};
use crate::{CommitRecord, Point, Refusal, SinkWrite, SnapshotId, Version};

/// Vertex of the header part; vertices of jobs are smaller.
pub const HEADER_VERTEX: u32 = u32::MAX;
/// Vertex of parts with sink writes.
pub const SINK_VERTEX: u32 = u32::MAX - 1;
/// Bytes of sink writes in one part.
const SINK_PART_BYTES: usize = 4 << 20;

/// One partition in an epoch file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionEpoch {
    /// Which snapshot.
    pub id: SnapshotId,
    /// Version of the replica when it was taken.
    pub version: Version,
    /// Parts.
    pub parts: BTreeMap<(u32, u32), Bytes>,
    /// Commit record, at the job's home.
    pub commit: Option<CommitRecord>,
    /// Sink writes up to the snapshot that the log does not have.
    pub writes: Vec<SinkWrite>,
    /// Last sink epoch that was applied when it was taken.
    pub marker: Option<Point>,
}

#[derive(Clone, PartialEq, Message)]
struct Header {
    #[prost(uint64, tag = "1")]
    parts: u64,
    #[prost(uint64, tag = "2")]
    sink_parts: u64,
    #[prost(message, optional, tag = "3")]
    version: Option<VersionWire>,
    #[prost(message, optional, tag = "4")]
    marker: Option<PointWire>,
    #[prost(message, optional, tag = "5")]
    commit: Option<CommitWire>,
}

#[derive(Clone, PartialEq, Message)]
struct Writes {
    #[prost(message, repeated, tag = "1")]
    writes: Vec<SinkWriteWire>,
}

impl PartitionEpoch {
    /// As parts of a file: vertex and bytes, the header first.
    pub fn to_parts(&self) -> Vec<(u32, Bytes)> {
        let sinks = self.sink_parts();
        let header = Header {
            parts: self.parts.len() as u64,
            sink_parts: sinks.len() as u64,
            version: Some(self.version.into()),
            marker: self.marker.map(Into::into),
            commit: self.commit.clone().map(Into::into),
        };
        let mut out = vec![(HEADER_VERTEX, Bytes::from(header.encode_to_vec()))];
        for ((vertex, part), bytes) in &self.parts {
            out.push((*vertex, Bytes::from([&part.to_le_bytes(), bytes.as_ref()].concat())));
        }
        out.extend(sinks.into_iter().map(|bytes| (SINK_VERTEX, bytes)));
        out
    }

    fn sink_parts(&self) -> Vec<Bytes> {
        let (mut out, mut some, mut size) = (Vec::new(), Writes { writes: Vec::new() }, 0);
        for write in &self.writes {
            size += write.key.len() + write.value.as_ref().map_or(0, Bytes::len) + write.map.len();
            some.writes.push(write.clone().into());
            if size >= SINK_PART_BYTES {
                out.push(Bytes::from(some.encode_to_vec()));
                (some, size) = (Writes { writes: Vec::new() }, 0);
            }
        }
        if !some.writes.is_empty() {
            out.push(Bytes::from(some.encode_to_vec()));
        }
        out
    }

    /// Reads what [`Self::to_parts`] gave; parts may come in any order.
    pub fn from_parts(id: SnapshotId, parts: impl IntoIterator<Item = (u32, Bytes)>) -> Result<Self, Refusal> {
        let bad = |why: String| Refusal::Unreadable { why: format!("epoch {id:?}: {why}") };
        let (mut header, mut found, mut writes, mut sinks) = (None, BTreeMap::new(), Vec::new(), 0);
        for (vertex, mut bytes) in parts {
            match vertex {
                HEADER_VERTEX => header = Some(Header::decode(bytes).map_err(|error| bad(error.to_string()))?),
                SINK_VERTEX => {
                    sinks += 1;
                    let some = Writes::decode(bytes).map_err(|error| bad(error.to_string()))?;
                    writes.extend(some.writes.into_iter().map(SinkWrite::from));
                }
                _ => {
                    let (part, _) = bytes
                        .split_first_chunk::<4>()
                        .ok_or_else(|| bad(format!("a part of vertex {vertex} is short")))?;
                    let part = u32::from_le_bytes(*part);
                    found.insert((vertex, part), bytes.split_off(4));
                }
            }
        }
        let header = header.ok_or_else(|| bad("no header part".into()))?;
        if header.parts != found.len() as u64 || header.sink_parts != sinks {
            return Err(bad(format!(
                "{} and {sinks} parts where {} and {} were written",
                found.len(),
                header.parts,
                header.sink_parts
            )));
        }
        Ok(PartitionEpoch {
            id,
            version: header.version.unwrap_or_default().into(),
            parts: found,
            commit: header.commit.map(|commit| commit.into_record(id)),
            writes,
            marker: header.marker.map(Into::into),
        })
    }
}

//! One record of the log: its meaning and its bytes.
//!
//! The law: the checksum covers the file's own id and the offset, so a record in the wrong place does not verify.
//! Must not know: files.

use super::chunk::ChunkId;
use super::plan::Head;
use crate::disk::Batch;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Bytes before the key.
pub const HEAD: usize = 40;
/// Bytes of the value of a [`Kind::Moved`].
const MOVED_BYTES: usize = 16;
/// A longer record (key and value) is refused when appended.
pub const LONGEST_RECORD: usize = 256 << 20;

/// Version of a partition: table version at which its primary was installed, then sequence; compared in that order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Version {
    /// Table version at which the primary was installed.
    pub table: u64,
    /// Sequence under that primary.
    pub sequence: u64,
}

impl Version {
    /// A version.
    pub const fn new(table: u64, sequence: u64) -> Self {
        Version { table, sequence }
    }
}

/// A space (one map, or one internal map) that records belong to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    /// Number used in records.
    pub id: u32,
    /// Name.
    pub name: String,
    /// Opaque flags of the caller.
    pub flags: u64,
}

/// What the content of a partition on disk is worth while it is written anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// The content before and the live records go on counting until the rewrite is complete (collecting garbage).
    Continues,
    /// Live records after this point count only with the completed rewrite (a copy in transfer, a gap after lagging).
    Broken,
}

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Key has this value.
    Put = 1,
    /// Key is gone.
    Remove = 2,
    /// All entries of this space in this partition are gone.
    Clear = 3,
    /// The partition is not ours any more; everything before is dead.
    Forget = 4,
    /// Records are missing from here on; what follows counts only with a completed rewrite.
    Hole = 5,
    /// A rewrite begins; what was before goes on counting.
    RewriteContinues = 6,
    /// A rewrite begins; live records count only once it is complete.
    RewriteBroken = 7,
    /// The rewrite is complete, or the partition is held in full at this version.
    Complete = 8,
    /// Describes a space (value is JSON).
    Space = 9,
    /// Everything before the offset in the value was synced.
    Mark = 10,
    /// Nothing: it fills a batch up to the blocks of the device.
    Pad = 11,
    /// What counts of the partition lies at or after the beginning of a chunk (the value says which), and makes it held at
    /// this version: everything live before was appended again.
    Moved = 12,
}

impl Kind {
    fn read(byte: u8) -> Option<Kind> {
        use Kind::*;
        [Put, Remove, Clear, Forget, Hole, RewriteContinues, RewriteBroken, Complete, Space, Mark, Pad, Moved]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// A record to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What it says.
    pub kind: Kind,
    /// Part of a rewrite, not a live change.
    pub copy: bool,
    /// Space (0 where it has no meaning).
    pub space: u32,
    /// Partition.
    pub partition: u16,
    /// Version of the partition after this change.
    pub version: Version,
    /// Key, or empty.
    pub key: Bytes,
    /// Value, or empty.
    pub value: Bytes,
}

impl Record {
    fn bare(kind: Kind, partition: u16, version: Version) -> Self {
        Record { kind, copy: false, space: 0, partition, version, key: Bytes::new(), value: Bytes::new() }
    }

    /// Key has this value.
    pub fn put(space: u32, partition: u16, version: Version, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Record { space, key: key.into(), value: value.into(), ..Self::bare(Kind::Put, partition, version) }
    }

    /// Key is gone.
    pub fn remove(space: u32, partition: u16, version: Version, key: impl Into<Bytes>) -> Self {
        Record { space, key: key.into(), ..Self::bare(Kind::Remove, partition, version) }
    }

    /// All entries of `space` in this partition are gone.
    pub fn clear(space: u32, partition: u16, version: Version) -> Self {
        Record { space, ..Self::bare(Kind::Clear, partition, version) }
    }

    /// The partition is held in full at this version (also ends a rewrite).
    pub fn complete(partition: u16, version: Version) -> Self {
        Self::bare(Kind::Complete, partition, version)
    }

    /// The partition was given away and its new replicas are durable.
    pub fn forget(partition: u16, version: Version) -> Self {
        Self::bare(Kind::Forget, partition, version)
    }

    /// What counts of the partition lies at or after the beginning of chunk `to`.
    pub(crate) fn moved(partition: u16, version: Version, to: ChunkId) -> Self {
        let to = [to.generation.to_le_bytes(), to.number.to_le_bytes()].concat();
        Record { value: to.into(), ..Self::bare(Kind::Moved, partition, version) }
    }

    pub(crate) fn hole(partition: u16) -> Self {
        Self::bare(Kind::Hole, partition, Version::default())
    }

    /// A rewrite of the partition begins; follow with records marked [`Record::copied`], end with [`Record::complete`].
    pub fn rewrite(partition: u16, base: Base) -> Self {
        let kind = match base {
            Base::Continues => Kind::RewriteContinues,
            Base::Broken => Kind::RewriteBroken,
        };
        Self::bare(kind, partition, Version::default())
    }

    /// The same record as part of a rewrite.
    pub fn copied(self) -> Self {
        Record { copy: true, ..self }
    }

    /// Bytes that this record takes in a file.
    pub fn size(&self) -> usize {
        HEAD + self.key.len() + self.value.len()
    }

    /// The bytes before key and value, without their checksum.
    fn head(&self) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        head[4..8].copy_from_slice(&(self.size() as u32).to_le_bytes());
        head[8..10].copy_from_slice(&[self.kind as u8, u8::from(self.copy)]);
        head[10..12].copy_from_slice(&self.partition.to_le_bytes());
        head[12..16].copy_from_slice(&self.space.to_le_bytes());
        head[16..24].copy_from_slice(&self.version.table.to_le_bytes());
        head[24..32].copy_from_slice(&self.version.sequence.to_le_bytes());
        head[32..36].copy_from_slice(&(self.key.len() as u32).to_le_bytes());
        head[36..].copy_from_slice(&(self.value.len() as u32).to_le_bytes());
        head
    }

    /// Appends the bytes of this record, but for its checksum: that needs a place ([`sum_at`]).
    pub fn write(&self, out: &mut Batch) {
        out.extend_from_slice(&self.head());
        out.extend_from_slice(&self.key);
        out.extend_from_slice(&self.value);
    }

    /// Appends the bytes of this record, as it stands at `offset` of file `file_id`.
    pub fn encode(&self, file_id: u64, offset: u64, out: &mut Batch) {
        let begin = out.len();
        self.write(out);
        sum_at((file_id, offset), &mut out[begin..]);
    }

    /// The same into bytes that are there, exactly as many as it takes.
    pub fn encode_at(&self, place: (u64, u64), out: &mut [u8]) {
        let (head, rest) = out.split_at_mut(HEAD);
        let (key, value) = rest.split_at_mut(self.key.len());
        head.copy_from_slice(&self.head());
        key.copy_from_slice(&self.key);
        value.copy_from_slice(&self.value);
        sum_at(place, out);
    }
}

/// Sums a record that was written without, as it stands at an offset of a file.
pub fn sum_at((file_id, offset): (u64, u64), record: &mut [u8]) {
    let sum = checksum(file_id, offset, &record[4..]);
    record[..4].copy_from_slice(&sum.to_le_bytes());
}

/// The space that a record describes, summed or not.
pub fn space_in(record: &[u8]) -> Option<Space> {
    let is_space = head_at(record, 0).is_ok_and(|head| head.kind == Kind::Space);
    let value = HEAD + word(record, 32) as usize;
    is_space.then(|| serde_json::from_slice(&record[value..]).ok()).flatten()
}

/// A record as it lies in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a> {
    /// What it says.
    pub kind: Kind,
    /// Part of a rewrite.
    pub copy: bool,
    /// Space.
    pub space: u32,
    /// Partition.
    pub partition: u16,
    /// Version.
    pub version: Version,
    /// Key.
    pub key: &'a [u8],
    /// Value.
    pub value: &'a [u8],
}

impl Raw<'_> {
    /// Bytes in the file.
    pub fn size(&self) -> usize {
        HEAD + self.key.len() + self.value.len()
    }

    /// An owned record with the same content.
    pub fn to_record(self) -> Record {
        Record {
            kind: self.kind,
            copy: self.copy,
            space: self.space,
            partition: self.partition,
            version: self.version,
            key: Bytes::copy_from_slice(self.key),
            value: Bytes::copy_from_slice(self.value),
        }
    }
}

/// Checksum of bytes at a place.
pub fn checksum(file_id: u64, offset: u64, bytes: &[u8]) -> u32 {
    let mut place = [0; 16];
    place[..8].copy_from_slice(&file_id.to_le_bytes());
    place[8..].copy_from_slice(&offset.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&place), bytes)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from(word(bytes, at)) | (u64::from(word(bytes, at + 4)) << 32)
}

/// Size that the head at `at` states.
pub(crate) fn size_of(bytes: &[u8], at: usize) -> usize {
    word(bytes, at + 4) as usize
}

/// Where a [`Kind::Moved`] with this value has moved to.
pub(crate) fn moved_to(kind: Kind, value: &[u8]) -> Option<ChunkId> {
    let told = kind == Kind::Moved && value.len() >= MOVED_BYTES;
    told.then(|| ChunkId { generation: long(value, 0), number: long(value, 8) })
}

/// The head at `at`, of which [`HEAD`] bytes must be there; only what contradicts itself is refused here. Where it has moved
/// to is known if the whole record is there.
pub(crate) fn head_at(bytes: &[u8], at: usize) -> Result<Head, &'static str> {
    let bytes = bytes.get(at..).filter(|bytes| bytes.len() >= HEAD).ok_or("record ends in its head")?;
    let size = word(bytes, 4) as usize;
    let (key, value) = (word(bytes, 32) as usize, word(bytes, 36) as usize);
    let kind = Kind::read(bytes[8]).ok_or("record of an unknown kind")?;
    let moved = kind != Kind::Moved || (key, value) == (0, MOVED_BYTES);
    if bytes[9] > 1 || HEAD + key + value != size || size > HEAD + LONGEST_RECORD || !moved {
        return Err("record contradicts itself");
    }
    let version = Version::new(long(bytes, 16), long(bytes, 24));
    let partition = u16::from_le_bytes([bytes[10], bytes[11]]);
    let moved = moved_to(kind, &bytes[HEAD..]);
    Ok(Head { kind, copy: bytes[9] == 1, partition, version, size: size as u64, moved })
}

/// Reads the record at `offset` of `file`; the error says what does not verify.
pub fn decode(file: &[u8], offset: usize, file_id: u64) -> Result<Raw<'_>, &'static str> {
    decode_at(file.get(offset..).unwrap_or_default(), offset as u64, file_id)
}

/// Reads the record that begins with `rest`, which lies at `offset` of its file.
pub(crate) fn decode_at(rest: &[u8], offset: u64, file_id: u64) -> Result<Raw<'_>, &'static str> {
    if rest.len() < HEAD {
        return Err("record ends in its head");
    }
    let size = word(rest, 4) as usize;
    if size < HEAD || size > rest.len() {
        return Err("record ends before its recorded length");
    }
    let bytes = &rest[..size];
    // Cheap checks first: a search through a torn tail must not sum megabytes at every byte.
    let head = head_at(bytes, 0)?;
    if checksum(file_id, offset, &bytes[4..]) != word(bytes, 0) {
        return Err("record fails its checksum");
    }
    let key = word(bytes, 32) as usize;
    let raw = Raw {
        kind: head.kind,
        copy: head.copy,
        space: word(bytes, 12),
        partition: head.partition,
        version: head.version,
        key: &bytes[HEAD..HEAD + key],
        value: &bytes[HEAD + key..],
    };
    match marked(&raw) {
        Some(durable) if durable > offset => Err("mark of what lies behind it"),
        _ => Ok(raw),
    }
}

/// Size of a mark.
pub const MARK_SIZE: usize = HEAD + 8;

/// The record that says that everything before `durable` was synced.
pub fn mark(durable: u64) -> Record {
    Record { value: Bytes::copy_from_slice(&durable.to_le_bytes()), ..Record::bare(Kind::Mark, 0, Version::default()) }
}

/// The record that fills `room` bytes, or one block more where its head does not fit; `None`: nothing is to fill.
pub fn pad(room: usize, alignment: usize) -> Option<Record> {
    let size = if room < HEAD { room + HEAD.next_multiple_of(alignment) } else { room };
    let filling =
        || Record { value: Bytes::from(vec![0; size - HEAD]), ..Record::bare(Kind::Pad, 0, Version::default()) };
    (room > 0).then(filling)
}

/// Says something of no partition and of no space.
pub fn is_bookkeeping(kind: Kind) -> bool {
    matches!(kind, Kind::Mark | Kind::Pad)
}

/// The durable length that a mark states.
pub fn marked(raw: &Raw<'_>) -> Option<u64> {
    (raw.kind == Kind::Mark && raw.value.len() == 8).then(|| long(raw.value, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip_and_every_flip_is_seen(key in proptest::collection::vec(any::<u8>(), 0..20), value in proptest::collection::vec(any::<u8>(), 0..60), partition: u16, table: u64, sequence: u64, copy: bool, bit in 0..8u8) {
            let record = Record { copy, ..Record::put(3, partition, Version::new(table, sequence), key, value) };
            let mut bytes = Batch::from_slice(4096, &[7; 5]);
            record.encode(99, 5, &mut bytes);
            prop_assert_eq!(decode(&bytes, 5, 99).unwrap().to_record(), record);
            prop_assert!(decode(&bytes, 5, 98).is_err());
            let mut moved = vec![7u8; 6];
            moved.extend_from_slice(&bytes[5..]);
            prop_assert!(decode(&moved, 6, 99).is_err());
            for at in 5..bytes.len() {
                let mut bad = bytes.to_vec();
                bad[at] ^= 1 << bit;
                prop_assert!(decode(&bad, 5, 99).is_err());
            }
        }
    }
}

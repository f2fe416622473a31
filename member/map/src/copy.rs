//! A whole partition in transfer: pieces of bounded size, then its version and digest.
//!
//! The law: the receiver holds the pieces aside and takes them only whole and verified; what it replaces may be longer
//! than the copy (it is cut back), never installed later. Must not know: how pieces travel.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::digest::digest_of;
use crate::later::Mark;
use crate::life::Life;
use crate::lock::Lock;
use crate::sink::Held;
use crate::{CommitRecord, Content, Digest, JobId, PartitionId, Point, Refusal, Replica, SnapshotId, Version};

/// Bytes of items in one piece (one larger item makes a larger piece).
pub const PIECE_BYTES: usize = 1 << 20;

/// One thing in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyItem {
    /// An entry of a map.
    Entry {
        /// Map.
        map: String,
        /// Key.
        key: Bytes,
        /// Value.
        value: Bytes,
        /// How often it was changed.
        changes: u32,
    },
    /// The tick of the source.
    Tick(u64),
    /// Life of an entry with limits; it comes behind the entry.
    Life {
        /// Map.
        map: String,
        /// Key.
        key: Bytes,
        /// Life.
        life: Life,
    },
    /// Lock of a key.
    Lock {
        /// Map.
        map: String,
        /// Key.
        key: Bytes,
        /// Lock.
        lock: Lock,
    },
    /// A part of a snapshot.
    Part {
        /// Which.
        id: SnapshotId,
        /// Vertex and part.
        at: (u32, u32),
        /// Opaque.
        bytes: Bytes,
    },
    /// A commit record.
    Commit(CommitRecord),
    /// Last applied sink epoch of a job, and what the log shows of it.
    Marker {
        /// Job.
        job: JobId,
        /// In RAM.
        point: Point,
        /// In the log.
        on_disk: Option<Point>,
    },
    /// Sink writes of a key that are not durable.
    Held {
        /// Map.
        map: String,
        /// Key.
        key: Bytes,
        /// What is held.
        held: Held,
    },
    /// What files of epochs before this point have of a key is older than the log.
    Later {
        /// Key, and whose epochs.
        mark: Mark,
        /// First epoch whose file is later.
        before: Point,
    },
    /// A snapshot of which parts were given back and not yet all.
    Partial(SnapshotId),
    /// A snapshot whose parts came from files.
    FromFiles(SnapshotId),
    /// Epochs of a job below this cannot be told apart.
    Floor {
        /// Job.
        job: JobId,
        /// Bound.
        point: Point,
    },
}

impl CopyItem {
    fn size(&self) -> usize {
        const HEAD: usize = 48;
        HEAD + match self {
            CopyItem::Entry { map, key, value, .. } => map.len() + key.len() + value.len(),
            CopyItem::Life { map, key, .. } | CopyItem::Lock { map, key, .. } => 48 + map.len() + key.len(),
            CopyItem::Part { bytes, .. } => bytes.len(),
            CopyItem::Held { key, held, .. } => {
                key.len() + held.writes.iter().map(|(_, v)| 32 + v.as_ref().map_or(0, Bytes::len)).sum::<usize>()
            }
            CopyItem::Later { mark, .. } => mark.map.len() + mark.key.as_ref().map_or(0, Bytes::len),
            CopyItem::Commit(_)
            | CopyItem::Tick(_)
            | CopyItem::Marker { .. }
            | CopyItem::Partial(_)
            | CopyItem::FromFiles(_)
            | CopyItem::Floor { .. } => 0,
        }
    }
}

/// A replica at one moment, ready to be sent. Bytes are shared with the replica.
#[derive(Debug)]
pub struct CopySource {
    items: VecDeque<CopyItem>,
    /// Version of the copy.
    pub version: Version,
    content: Content,
    pieces: u32,
}

impl CopySource {
    /// Takes the picture.
    pub fn of(replica: &Replica) -> Self {
        let content = replica.content().clone();
        CopySource { items: items_of(&content), version: replica.version(), content, pieces: 0 }
    }

    /// Digest over everything in it. Costs a pass over the content: keep it out of locks.
    pub fn digest(&self) -> Digest {
        digest_of(&self.content, None)
    }

    /// The next piece with its number; `None` when all were taken.
    pub fn next_piece(&mut self) -> Option<(u32, Vec<CopyItem>)> {
        if self.items.is_empty() && self.pieces > 0 {
            return None;
        }
        let (mut piece, mut size) = (Vec::new(), 0);
        while let Some(item) = self.items.pop_front() {
            size += item.size();
            piece.push(item);
            if size >= PIECE_BYTES {
                break;
            }
        }
        let number = self.pieces;
        self.pieces += 1;
        Some((number, piece))
    }

    /// Pieces taken so far.
    pub fn pieces(&self) -> u32 {
        self.pieces
    }
}

fn items_of(content: &Content) -> VecDeque<CopyItem> {
    let mut items = VecDeque::new();
    items.extend((content.now > 0).then_some(CopyItem::Tick(content.now)));
    for (map, entries) in &content.maps {
        items.extend(entries.iter().map(|(key, entry)| CopyItem::Entry {
            map: map.clone(),
            key: key.clone(),
            value: entry.value.clone(),
            changes: entry.changes,
        }));
    }
    let at = |map: &str, key: &Bytes| (map.to_owned(), key.clone());
    items.extend(content.lives.iter().map(|(map, key, life)| {
        let ((map, key), life) = (at(map, key), *life);
        CopyItem::Life { map, key, life }
    }));
    items.extend(content.locks.iter().map(|(map, key, lock)| {
        let ((map, key), lock) = (at(map, key), *lock);
        CopyItem::Lock { map, key, lock }
    }));
    for (id, parts) in &content.snapshots {
        items.extend(parts.iter().map(|(at, bytes)| CopyItem::Part { id: *id, at: *at, bytes: bytes.clone() }));
    }
    items.extend(content.commits.values().cloned().map(CopyItem::Commit));
    for (job, point) in &content.markers {
        items.push_back(CopyItem::Marker {
            job: *job,
            point: *point,
            on_disk: content.markers_on_disk.get(job).copied(),
        });
    }
    items.extend(content.pending.held().map(|(map, key, held)| CopyItem::Held {
        map: map.into(),
        key: key.clone(),
        held: held.clone(),
    }));
    items.extend(content.pending.floors().map(|(job, point)| CopyItem::Floor { job, point }));
    items.extend(content.later.marks().map(|(mark, before)| CopyItem::Later { mark: mark.clone(), before }));
    items.extend(content.partial.iter().copied().map(CopyItem::Partial));
    items.extend(content.from_files.iter().copied().map(CopyItem::FromFiles));
    items
}

/// A copy that is arriving.
#[derive(Debug)]
pub struct Incoming {
    copy: u64,
    next: u32,
    content: Content,
}

impl Incoming {
    /// Begins copy number `copy` of its source.
    pub fn new(copy: u64) -> Self {
        Incoming { copy, next: 0, content: Content::default() }
    }

    /// Takes the next piece.
    pub fn add(&mut self, partition: PartitionId, copy: u64, piece: u32, items: Vec<CopyItem>) -> Result<(), Refusal> {
        if copy != self.copy || piece != self.next {
            return Err(Refusal::CopyOutOfOrder { partition, expected: self.next, got: piece });
        }
        self.next += 1;
        for item in items {
            self.take(item);
        }
        Ok(())
    }

    fn take(&mut self, item: CopyItem) {
        let content = &mut self.content;
        match item {
            CopyItem::Entry { map, key, value, changes } => {
                content.set(&map, &key, Some(value));
                content.was_changed(&map, &key, changes);
            }
            CopyItem::Tick(now) => content.now = now,
            CopyItem::Life { map, key, life } => content.lives.put(&map, &key, life),
            CopyItem::Lock { map, key, lock } => content.locks.put(&map, &key, lock),
            CopyItem::Part { id, at, bytes } => {
                content.snapshots.entry(id).or_default().insert(at, bytes);
            }
            CopyItem::Commit(record) => {
                content.commits.insert(record.id, record);
            }
            CopyItem::Marker { job, point, on_disk } => {
                content.markers.insert(job, point);
                if let Some(on_disk) = on_disk {
                    content.markers_on_disk.insert(job, on_disk);
                }
            }
            CopyItem::Held { map, key, held } => content.pending.adopt(map, key, held),
            CopyItem::Floor { job, point } => content.pending.adopt_floor(job, point),
            CopyItem::Later { mark, before } => drop(content.later.note(mark, before)),
            CopyItem::Partial(id) => drop(content.partial.insert(id)),
            CopyItem::FromFiles(id) => drop(content.from_files.insert(id)),
        }
    }

    /// All pieces came: gives the content if it is what was sent.
    pub fn finish(self, partition: PartitionId, copy: u64, pieces: u32, digest: &Digest) -> Result<Content, Refusal> {
        if copy != self.copy || pieces != self.next {
            return Err(Refusal::CopyOutOfOrder { partition, expected: self.next, got: pieces });
        }
        if digest_of(&self.content, None) != *digest {
            return Err(Refusal::CopyDiffers { partition });
        }
        Ok(self.content)
    }
}

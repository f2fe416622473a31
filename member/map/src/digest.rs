//! When two replicas are equal: one digest over everything that counts, in one order.
//!
//! The law: entries of maps, their limits, markers, and the parts and commits of the snapshots that the caller counts
//! (terminal ones); where all are counted, also what no disk keeps: the tick, lives, locks. What there is none of leaves no
//! trace, so that a content of entries alone has the digest that it always had. Every field with its length, so that no two
//! contents have one form. Must not know: why they are compared.

use std::collections::BTreeSet;

use crate::entries::in_order;
use crate::lock::Owner;
use crate::{Content, Digest, PartitionContent, PartitionId, Point, Replica, SnapshotId, Version};

/// Digest over a content; `counted` says which snapshots are in it (`None`: all).
pub fn digest_of(content: &Content, counted: Option<&BTreeSet<SnapshotId>>) -> Digest {
    let mut hash = Hash(blake3::Hasher::new());
    let counts = |id: &SnapshotId| counted.is_none_or(|set| set.contains(id));
    hash.section("maps", content.entries());
    for (map, entries) in &content.maps {
        for (key, entry) in in_order(entries) {
            hash.bytes(map.as_bytes());
            hash.bytes(key);
            hash.bytes(&entry.value);
        }
    }
    hash.section("markers", content.markers.len() as u64);
    for (job, point) in &content.markers {
        hash.number(job.0);
        hash.point(*point);
    }
    hash.section("parts", content.snapshots.keys().filter(|id| counts(id)).count() as u64);
    for (id, parts) in content.snapshots.iter().filter(|(id, _)| counts(id)) {
        hash.snapshot(*id);
        hash.number(parts.len() as u64);
        for ((vertex, part), bytes) in parts {
            hash.number(u64::from(*vertex));
            hash.number(u64::from(*part));
            hash.bytes(bytes);
        }
    }
    hash.section("commits", content.commits.keys().filter(|id| counts(id)).count() as u64);
    for (id, record) in content.commits.iter().filter(|(id, _)| counts(id)) {
        hash.snapshot(*id);
        hash.number(record.table_version.0);
        hash.number(record.parts);
        hash.number(record.bytes);
        hash.number(record.rows_read);
        hash.bytes(record.digest.as_bytes());
        hash.number(u64::from(record.terminal));
    }
    hash.limits(content);
    if counted.is_none() {
        hash.unkept(content);
    }
    Digest(hash.0.finalize().to_hex().to_string())
}

impl Content {
    /// Digest of lives and locks, which no disk keeps; 0: there are none. Who has the version of another may have been told
    /// it by its disk, and then has others.
    pub fn unkept(&self) -> u64 {
        if self.lives.is_empty() && self.locks.is_empty() {
            return 0;
        }
        let mut hash = Hash(blake3::Hasher::new());
        hash.limits(self);
        hash.lives_and_locks(self);
        let bytes = hash.0.finalize();
        bytes.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}

/// What a replica says of itself when contents are compared and sealed.
pub fn content_of(partition: PartitionId, replica: &Replica, counted: &BTreeSet<SnapshotId>) -> PartitionContent {
    PartitionContent {
        partition,
        version: replica.version(),
        entries: replica.content().entries(),
        digest: digest_of(replica.content(), Some(counted)),
    }
}

/// Who says what of a partition: version, entries, digest.
pub type Said<M> = Vec<(M, Version, u64, Digest)>;

/// Partitions on which members that should be equal are not, with who says what.
pub fn differences<M: Copy + Ord>(said: &[(M, Vec<PartitionContent>)]) -> Vec<(PartitionId, Said<M>)> {
    let mut by_partition: std::collections::BTreeMap<PartitionId, Vec<_>> = std::collections::BTreeMap::new();
    for (member, contents) in said {
        for c in contents {
            by_partition.entry(c.partition).or_default().push((*member, c.version, c.entries, c.digest.clone()));
        }
    }
    let unequal = |all: &Said<M>| all.windows(2).any(|w| (w[0].1, w[0].2, &w[0].3) != (w[1].1, w[1].2, &w[1].3));
    by_partition.into_iter().filter(|(_, all)| unequal(all)).collect()
}

struct Hash(blake3::Hasher);

impl Hash {
    fn number(&mut self, n: u64) {
        self.0.update(&n.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }

    fn section(&mut self, name: &str, count: u64) {
        self.bytes(name.as_bytes());
        self.number(count);
    }

    fn limits(&mut self, content: &Content) {
        if content.lives.is_empty() {
            return;
        }
        self.section("limits", content.lives.iter().count() as u64);
        for (map, key, life) in content.lives.in_order() {
            self.bytes(map.as_bytes());
            self.bytes(key);
            self.number(life.limits.ttl);
            self.number(life.limits.idle);
        }
    }

    fn lives_and_locks(&mut self, content: &Content) {
        self.section("lives", content.lives.iter().count() as u64);
        for (_, _, life) in content.lives.in_order() {
            [life.created, life.updated, life.used].into_iter().for_each(|tick| self.number(tick));
        }
        self.section("locks", content.locks.iter().count() as u64);
        for (map, key, lock) in content.locks.in_order() {
            self.bytes(map.as_bytes());
            self.bytes(key);
            self.bytes(lock.owner.client.as_bytes());
            self.number(lock.owner.thread as u64);
            self.number(u64::from(lock.count));
            self.number(lock.until);
            self.number(lock.reference as u64);
            let (before, reference) = lock.before.unwrap_or((Owner::NOBODY, 0));
            self.bytes(before.client.as_bytes());
            self.number(before.thread as u64);
            self.number(reference as u64);
        }
    }

    fn unkept(&mut self, content: &Content) {
        if content.now > 0 {
            self.section("tick", content.now);
        }
        if !content.lives.is_empty() || !content.locks.is_empty() {
            self.lives_and_locks(content);
        }
    }

    fn point(&mut self, point: Point) {
        self.number(point.0.0);
        self.number(point.1.0);
    }

    fn snapshot(&mut self, id: SnapshotId) {
        self.number(id.job.0);
        self.point(id.point());
    }
}

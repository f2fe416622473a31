//! When two replicas are equal: one digest over everything that counts, in one order.
//!
//! The law: entries of maps, markers, and the parts and commits of the snapshots that the caller counts (terminal ones);
//! every field with its length, so that no two contents have one form. Must not know: why they are compared.

use std::collections::BTreeSet;

use crate::{Content, Digest, PartitionContent, PartitionId, Point, Replica, SnapshotId, Version};

/// Digest over a content; `counted` says which snapshots are in it (`None`: all).
pub fn digest_of(content: &Content, counted: Option<&BTreeSet<SnapshotId>>) -> Digest {
    let mut hash = Hash(blake3::Hasher::new());
    let counts = |id: &SnapshotId| counted.is_none_or(|set| set.contains(id));
    hash.section("maps", content.entries());
    for (map, entries) in &content.maps {
        for (key, entry) in entries {
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
    Digest(hash.0.finalize().to_hex().to_string())
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

    fn point(&mut self, point: Point) {
        self.number(point.0.0);
        self.number(point.1.0);
    }

    fn snapshot(&mut self, id: SnapshotId) {
        self.number(id.job.0);
        self.point(id.point());
    }
}

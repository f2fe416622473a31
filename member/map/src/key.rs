//! Which partition a key lies in.
//!
//! The law: one rule for every key, the same as official clients compute for `Data`, so that a client, a job and a scan
//! meet in the same partition. Must not know: what the partition holds.

use crate::{JobId, PartitionId};

/// Seed of Hazelcast's partition hash.
const SEED: u32 = 0x0100_0193;
/// Bytes of the header of `Data`: partition hash (zero unless the key is partition-aware) and type id.
const DATA_HEADER: usize = 8;

/// The partition of a key.
///
/// A key that begins with a zero partition hash is `Data` and its payload is hashed, as clients do; other keys (JSON
/// texts that jobs write) are hashed whole. Keys with a partition hash of their own are not offered.
pub fn partition_of(key: &[u8], count: u16) -> PartitionId {
    let hashed = match key.strip_prefix(&[0; 4]) {
        Some(_) if key.len() >= DATA_HEADER => &key[DATA_HEADER..],
        _ => key,
    };
    // `i32::MIN` has no absolute value; clients take zero for it.
    let positive = (murmur3(hashed) as i32).checked_abs().unwrap_or(0);
    PartitionId((positive % i32::from(count.max(1))) as u16)
}

/// Where the commit records of a job lie.
pub fn home_of_job(job: JobId, count: u16) -> PartitionId {
    PartitionId((job.0 % u64::from(count.max(1))) as u16)
}

/// MurmurHash3, x86, 32 bits.
fn murmur3(bytes: &[u8]) -> u32 {
    let mut hash = SEED;
    let (blocks, rest) = bytes.as_chunks::<4>();
    for block in blocks {
        hash ^= scramble(u32::from_le_bytes(*block));
        hash = hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    if !rest.is_empty() {
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        hash ^= scramble(u32::from_le_bytes(last));
    }
    hash ^= bytes.len() as u32;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

fn scramble(block: u32) -> u32 {
    block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(type_id: i32, payload: &[u8]) -> Vec<u8> {
        [&[0; 4][..], &type_id.to_be_bytes(), payload].concat()
    }

    #[test]
    fn official_clients_compute_the_same() {
        let cases = [
            (data(-11, &[0, 0, 0, 1, b'k']), 41),
            (data(-11, &[0, 0, 0, 1, b'b']), 124),
            (data(-7, &7i32.to_be_bytes()), 134),
            (data(-8, &7i64.to_be_bytes()), 92),
            (data(-10, &7f64.to_be_bytes()), 47),
        ];
        for (key, partition) in cases {
            assert_eq!(partition_of(&key, 271), PartitionId(partition), "{key:?}");
        }
    }

    #[test]
    fn texts_spread_over_all_partitions() {
        let used: std::collections::BTreeSet<_> =
            (0..5_000).map(|n| partition_of(n.to_string().as_bytes(), 271)).collect();
        assert_eq!(used.len(), 271);
    }
}

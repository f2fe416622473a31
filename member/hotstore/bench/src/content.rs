//! What is saved and loaded: numbered records whose values cannot be compressed.
//!
//! The law: a record is its number; everybody who is measured gets the same records, and what was loaded can be checked
//! against the number alone. Must not know: stores.

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

/// Partitions of the system.
pub const PARTITIONS: u16 = 271;
/// Bytes of a key.
pub const KEY_BYTES: usize = 8;
/// Random bytes that values are cut from: longer than the window of any compressor of the peers.
const POOL_BYTES: usize = 64 << 20;
const SEED: u64 = 0x6a65_7473;

/// A data set.
#[derive(Clone)]
pub struct Content {
    /// Bytes of a value.
    pub value_bytes: usize,
    /// Records, numbered from 0.
    pub records: u64,
    pool: Bytes,
}

/// Spreads a number over all bits.
pub fn spread(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// The partition of a record.
pub fn partition(n: u64) -> u16 {
    (spread(n) % u64::from(PARTITIONS)) as u16
}

/// The key of a record. Keys rise with the number: the best case of peers that keep them sorted.
pub fn key(n: u64) -> [u8; KEY_BYTES] {
    n.to_be_bytes()
}

/// The number of a record.
pub fn number(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.try_into().ok()?))
}

impl Content {
    /// So many records of such values.
    pub fn new(value_bytes: usize, records: u64) -> Self {
        let mut pool = vec![0; POOL_BYTES + value_bytes];
        StdRng::seed_from_u64(SEED).fill_bytes(&mut pool);
        Content { value_bytes, records, pool: Bytes::from(pool) }
    }

    /// The records that make up about so many bytes.
    pub fn of_bytes(value_bytes: usize, bytes: u64) -> u64 {
        bytes / (KEY_BYTES + value_bytes) as u64
    }

    /// Value of a record the `round`th time it is written.
    pub fn value(&self, n: u64, round: u32) -> Bytes {
        let from = (spread(n ^ (u64::from(round) << 40)) % POOL_BYTES as u64) as usize;
        self.pool.slice(from..from + self.value_bytes)
    }

    /// Keys and values, in bytes: what a user gave.
    pub fn payload(&self) -> u64 {
        self.records * (KEY_BYTES + self.value_bytes) as u64
    }
}

//! The hash by which clients and members find a key's partition.
//!
//! Law: bit for bit what all clients compute: MurmurHash3, x86, 32 bits, with a seed of the protocol's.
//! Must not know: headers.

const SEED: u32 = 0x0100_0193;

pub(super) fn murmur3(content: &[u8]) -> i32 {
    let blocks = content.chunks_exact(4);
    let tail = blocks.remainder().iter().rev().fold(0, |tail, byte| tail << 8 | u32::from(*byte));
    let mut hash = SEED;
    for block in blocks {
        let block = block.first_chunk().map_or(0, |block| u32::from_le_bytes(*block));
        hash = (hash ^ mix(block)).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    hash ^= mix(tail);
    hash ^= content.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    (hash ^ hash >> 16) as i32
}

/// Of nothing: nothing.
fn mix(block: u32) -> u32 {
    block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
}

//! The stop of a cluster whose few partitions are all alike.
//!
//! Must not know: what is done with the seal.

use jet_hotstore::{PartitionContent, SealRequest, Version};

/// Of partitions below `partitions`, each with so many entries at the version with this sequence.
pub fn request(partitions: u16, sequence: u64, entries: u64) -> SealRequest {
    let version = Version::new(1, sequence);
    let content = |partition| PartitionContent { partition, version, entries, digest: "d".to_owned() };
    SealRequest {
        operation: "op".to_owned(),
        attempt: 1,
        generation: 1,
        partitions: (0..partitions).map(content).collect(),
        machine: vec![5; 30],
        machine_index: 3,
        roster_digest: "r".to_owned(),
    }
}

//! A key or value.
//!
//! The law: its partition is one that there is; a value that is read, written again, reads as the same.
//! Must not know: maps.

use std::num::NonZeroU32;

use bytes::Bytes;
use jet_protocol::data::{Data, Value};

use super::Seen;
use super::memory::bounded;

/// The law, on one input.
pub fn holds(input: &[u8]) -> Seen {
    let mut seen = Seen::default();
    let Ok(data) = Data::try_from(Bytes::copy_from_slice(input)) else { return seen };
    for partitions in [1, 271, u32::MAX].into_iter().filter_map(NonZeroU32::new) {
        assert!(data.partition(partitions) < partitions.get());
    }
    let read = bounded("a value", input.len(), || Value::of(&data));
    seen.note(&read);
    let Ok(value) = read else { return seen };
    let written = value.data();
    let again = Value::of(&written).expect("what was written");
    // Numbers that are none are not equal to themselves; their bytes are.
    assert_eq!(again.data(), written);
    assert!(written.as_bytes().len() <= input.len(), "it was read out of fewer bytes");
    seen
}

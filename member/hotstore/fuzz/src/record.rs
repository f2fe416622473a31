//! Records of the log, one behind the other.
//!
//! The law: what decodes encodes to the same bytes, holds nothing, and does not decode anywhere else.

use super::mend::{self, Depth};
use super::{Seen, memory};
use jet_hotstore::disk::Batch;
use jet_hotstore::log::record::{HEAD, Kind, decode, is_bookkeeping, marked};

const FILE: u64 = 0x6a65_7453;

/// Checks the law.
pub fn holds(input: &[u8]) -> Seen {
    let mut seen = Seen::default();
    for depth in Depth::FILE {
        let mut bytes = input.to_vec();
        mend::records(&mut bytes, 0, FILE, depth);
        let mut at = 0;
        loop {
            let found = memory::bounded("decoding a record", 0, || decode(&bytes, at, FILE));
            if at < bytes.len() {
                seen.note(&found);
            }
            let Ok(raw) = found else { break };
            assert_eq!(raw.size(), HEAD + raw.key.len() + raw.value.len());
            assert!(marked(&raw).is_none() || raw.kind == Kind::Mark && is_bookkeeping(raw.kind));
            assert!(decode(&bytes, at, FILE ^ 1).is_err(), "it verifies in another file too");
            let mut again = Batch::with_capacity(4096, raw.size());
            raw.to_record().encode(FILE, at as u64, &mut again);
            assert_eq!(&again[..], &bytes[at..at + raw.size()], "it is written another way than it was read");
            at += raw.size();
        }
    }
    seen
}

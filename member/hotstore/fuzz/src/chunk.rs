//! One chunk file: header, records, tail.
//!
//! The law: what an open chunk counts, it counts again when it ends there; whatever is said to be durable counts.

use super::mend::{self, Depth};
use super::{Seen, memory};
use jet_hotstore::Refused;
use jet_hotstore::log::chunk::{Extent, Walked, read_header, walk};
use std::path::Path;

fn path() -> &'static Path {
    Path::new("/store/data/gen-1/log-1.jl")
}

/// Number of records, and a sum over them and their places.
type Content = (u64, u32);

fn read(bytes: &[u8], extent: Extent) -> Result<(Walked, Content), Refused> {
    let (mut records, mut sum) = (0, 0);
    let walked = memory::bounded("walking a chunk", bytes.len(), || {
        walk(path(), bytes, extent, &mut |offset, raw| {
            records += 1;
            sum = crc32c::crc32c_append(sum, &offset.to_le_bytes());
            sum = crc32c::crc32c_append(sum, raw.key);
            sum = crc32c::crc32c_append(sum, raw.value);
        })
    });
    walked.map(|walked| (walked, (records, sum)))
}

/// Checks the law.
pub fn holds(input: &[u8]) -> Seen {
    let mut seen = Seen::default();
    for depth in Depth::FILE {
        let mut bytes = input.to_vec();
        mend::file(&mut bytes, depth);
        let length = bytes.len() as u64;
        let open = read(&bytes, Extent::Open);
        seen.note(&open);
        let whole = read(&bytes, Extent::Exactly(length));
        // Of a chunk whose end is known, nobody asks what its marks say.
        let marks_lie = matches!(&open, Err(Refused::Damaged { what, .. }) if what.contains("durable"));
        assert!(whole.is_err() || open.is_ok() || marks_lie, "what is whole is refused where it is open: {open:?}");
        for wrong in [0, length / 2, length.saturating_add(1), u64::MAX] {
            let _ = read(&bytes, Extent::Exactly(wrong)).map(|(walked, _)| assert_eq!(walked.good, wrong));
        }
        let Ok((walked, content)) = open else { continue };
        let (_, head) = read_header(&bytes, path()).expect("it was walked");
        assert!(head as u64 <= walked.durable && walked.durable <= walked.good && walked.good <= length);
        assert_eq!(walked.cut_bytes, length - walked.good);
        assert_eq!(walked.cut_records == 0, walked.cut_bytes == 0);
        let good = &bytes[..walked.good as usize];
        let (cut, same) = read(good, Extent::Open).expect("without the torn tail");
        assert_eq!((cut.good, cut.cut_bytes, same), (walked.good, 0, content));
        let (_, same) = read(&bytes, Extent::Exactly(walked.good)).expect("a later chunk says that it ends there");
        assert_eq!(same, content);
        read(&bytes, Extent::Exactly(walked.durable)).expect("a later chunk says that so much was durable");
    }
    seen
}

//! One snapshot epoch, put under its own name into a whole store.
//!
//! The law: what is read part by part is what its index says and is written the same way again; else an error ends it.

use super::mend::{self, Depth};
use super::{DIR, Seen, base, folder, memory, recovery};
use jet_hotstore::{Cadence, EpochInfo, Options, SimulatedDisk, Store};
use std::path::Path;
use std::sync::Arc;

fn name(bytes: &[u8]) -> String {
    let number = |value: Option<&serde_json::Value>| value.and_then(serde_json::Value::as_u64).unwrap_or(1);
    let head = mend::body(bytes).unwrap_or_default();
    let id = head.get("id").cloned().unwrap_or_default();
    let [job, execution, epoch] = ["job", "execution", "epoch"].map(|key| number(id.get(key)));
    format!("data/gen-{}/epoch-{job:016x}-{execution}-{epoch}.je", number(head.get("generation")))
}

/// Checks the law.
pub fn holds(input: &[u8]) -> Seen {
    let mut seen = Seen::default();
    for depth in Depth::FILE {
        let mut bytes = input.to_vec();
        mend::file(&mut bytes, depth);
        let mut files = base();
        // Not sealed, else only what the seal names could lie there.
        files.retain(|(name, _)| !name.contains("epoch-") && !name.starts_with("seal-"));
        files.push((name(&bytes), bytes.clone()));
        let disk = folder::plant(&files);
        recovery::opens(&disk.copy());
        let whole = reads(&disk, &bytes, files.iter().map(|file| file.1.len()).sum());
        seen.accepted += u32::from(whole);
        seen.refused += u32::from(!whole);
    }
    seen
}

fn reads(disk: &SimulatedDisk, bytes: &[u8], input: usize) -> bool {
    let options = Options { cadence: Cadence::OnDemand, ..Options::default() };
    let Ok((store, _)) = Store::open(Path::new(DIR), Arc::new(disk.clone()), options) else { return false };
    let Some(info) = store.epochs().pop() else { return false };
    let read = memory::bounded("reading an epoch", input, || -> Result<(u64, u64), jet_hotstore::StoreError> {
        let (mut parts, mut content) = (0, 0);
        for part in store.read_epoch(info.id)? {
            (parts, content) = (parts + 1, content + part?.bytes.len() as u64);
        }
        Ok((parts, content))
    });
    let Ok(read) = read else { return false };
    assert_eq!(read, (info.parts, info.bytes), "the index of a whole epoch lies");
    written_again(&store, &info, bytes);
    true
}

fn written_again(store: &Store, info: &EpochInfo, bytes: &[u8]) {
    let head = mend::FRAME + u64::from_le_bytes(bytes[12..20].try_into().unwrap_or_default()) as usize;
    let blob = u64::from_le_bytes(bytes[20..28].try_into().unwrap_or_default()) as usize;
    let mut at = head + blob;
    for part in store.read_epoch(info.id).expect("it was read") {
        let part = part.expect("it was read");
        let mut again = (part.bytes.len() as u32).to_le_bytes().to_vec();
        again.extend_from_slice(&part.vertex.to_le_bytes());
        again.extend_from_slice(&u32::from(part.partition).to_le_bytes());
        again.extend_from_slice(&part.bytes);
        assert_eq!(again, bytes[at + 4..at + 4 + again.len()], "a part is written another way than it was read");
        at += 4 + again.len();
    }
}

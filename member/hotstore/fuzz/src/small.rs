//! Small framed records (identity, boot, founding, founded, opened, seal), each put in its place in a whole store.
//!
//! The law: see [`super::recovery`]; and a manifest that was read names itself by one digest, however often it is written.

use super::mend::{self, Depth};
use super::{DIR, Seen, base, folder, memory, recovery, seals};
use jet_hotstore::frame;
use jet_hotstore::seal::{Manifest, digest_of};
use serde_json::Value;
use std::path::Path;

/// Where files with this magic lie in a store.
fn places(bytes: &[u8]) -> &'static [&'static str] {
    match bytes.get(..8) {
        Some(b"JETIDENT") => &["identity.a", "identity.b"],
        Some(b"JETBOOTN") => &["boot.a", "boot.b"],
        Some(b"JETFOUNG") => &["founding"],
        Some(b"JETFOUND") => &["founded"],
        Some(b"JETOPEND") => &["opened-1"],
        _ => &["seal-1-1.a", "seal-1-1.b"],
    }
}

/// Checks the law.
pub fn holds(input: &[u8]) -> Seen {
    let mut seen = Seen::default();
    for depth in Depth::ALL {
        let mut files = base();
        let places = places(input);
        files.retain(|(name, _)| !places.contains(&name.as_str()));
        files.extend(places.iter().map(|name| ((*name).to_owned(), input.to_vec())));
        if depth < Depth::Lengths {
            let own = files.iter_mut().filter(|(name, _)| places.contains(&name.as_str()));
            own.for_each(|(_, bytes)| mend::file(bytes, depth));
        } else {
            files = seals::files(files, depth);
        }
        let bytes = files.last().map(|(_, bytes)| bytes.clone()).unwrap_or_default();
        names_itself(&bytes);
        let opened = recovery::opens(&folder::plant(&files));
        seen.accepted += u32::from(opened);
        seen.refused += u32::from(!opened);
    }
    seen
}

fn names_itself(bytes: &[u8]) {
    let magic = bytes.get(..8).and_then(|magic| magic.try_into().ok()).unwrap_or(*b"JETSEALM");
    let file = Path::new(DIR).join("seal-1-1.a");
    let read = memory::bounded("reading a frame", bytes.len(), || frame::decode::<Value>(magic, bytes, &file, "all"));
    let Ok(read) = read else { return };
    assert!(read.length <= bytes.len());
    let Some(record) = read.body.get("record") else { return };
    let Ok(manifest) = serde_json::from_value::<Manifest>(record.clone()) else { return };
    let written = frame::encode(magic, &manifest, &read.blob).expect("it was read");
    let again = frame::decode::<Manifest>(magic, &written, &file, "all").expect("it was written a moment ago");
    assert_eq!((&again.body, &again.blob, again.length), (&manifest, &read.blob, written.len()));
    assert_eq!(digest_of(&again.body).ok(), digest_of(&manifest).ok());
    assert_eq!(frame::encode(magic, &again.body, &again.blob).ok(), Some(written));
}

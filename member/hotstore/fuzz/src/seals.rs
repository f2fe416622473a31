//! Beating the digests: the manifests of a changed directory are made to say what is in its files.
//!
//! Must not know: whether the store accepts it.

use super::folder::Files;
use super::mend::{self, Depth, FRAME};
use jet_hotstore::log::chunk::{self, ChunkId, Extent};
use jet_hotstore::log::plan::{Head, Place, Plan};
use serde_json::Value;
use std::path::Path;

/// Puts every file of a directory right, and the seals last.
pub fn files(mut files: Files, depth: Depth) -> Files {
    files.iter_mut().for_each(|(_, bytes)| mend::file(bytes, depth));
    if depth < Depth::Lengths {
        return files;
    }
    for n in 0..files.len() {
        if files[n].1.starts_with(b"JETSEALM")
            && let Some(sealed) = seal(&files, &files[n].1, depth)
        {
            files[n].1 = sealed;
        }
    }
    files
}

fn seal(files: &Files, bytes: &[u8], depth: Depth) -> Option<Vec<u8>> {
    let mut body = mend::body(bytes)?;
    let length = usize::try_from(u64::from_le_bytes(bytes[12..20].try_into().ok()?)).ok()?;
    let blob = bytes.get(FRAME.checked_add(length)?..)?;
    let manifest = body.get_mut("record")?.as_object_mut()?;
    manifest.insert("machine_digest".to_owned(), blake3::hash(blob).to_hex().as_str().into());
    for file in manifest.get_mut("files")?.as_array_mut()? {
        let Some(file) = file.as_object_mut() else { continue };
        let named = |(name, _): &&(String, Vec<u8>)| file.get("name").and_then(Value::as_str) == Some(name);
        let Some((_, bytes)) = files.iter().find(named) else { continue };
        if depth >= Depth::Plans {
            file.insert("length".to_owned(), bytes.len().into());
        }
        let length = file.get("length").and_then(Value::as_u64).unwrap_or(0).min(bytes.len() as u64);
        file.insert("digest".to_owned(), blake3::hash(&bytes[..length as usize]).to_hex().as_str().into());
    }
    if depth >= Depth::Plans {
        let lengths = manifest.get("files")?.as_array()?.iter().filter_map(|file| file.get("length")?.as_u64());
        let bytes = lengths.fold(0, u64::wrapping_add);
        manifest.insert("bytes".to_owned(), bytes.into());
        let plan = plan(files, manifest.get("files")?.as_array()?);
        manifest.insert("plan".to_owned(), serde_json::to_value(plan).ok()?);
    }
    let text = body.to_string();
    let mut out = bytes[..FRAME].to_vec();
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(blob);
    mend::frame(&mut out, true, depth)?;
    Some(out)
}

fn plan(files: &Files, sealed: &[Value]) -> Plan {
    let mut plan = Plan::default();
    for file in sealed {
        let id = file.get("chunk").and_then(|chunk| serde_json::from_value::<ChunkId>(chunk.clone()).ok());
        let named = |(name, _): &&(String, Vec<u8>)| file.get("name").and_then(Value::as_str) == Some(name);
        let (Some(id), Some((name, bytes))) = (id, files.iter().find(named)) else { continue };
        // What the walk refuses is refused by the store too.
        let _ = chunk::walk(Path::new(name), bytes, Extent::Exactly(bytes.len() as u64), &mut |offset, raw| {
            plan.note(Place { chunk: id, offset }, Head::from(&raw));
        });
    }
    plan
}

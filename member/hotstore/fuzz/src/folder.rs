//! A directory in one run of bytes: each file is a line `==== name` and its content, so that a mutation moves no lengths.
//!
//! Must not know: what is in the files.

use super::DIR;
use jet_hotstore::{Disk, SimulatedDisk};
use std::path::{Component, Path};

const MARK: &[u8] = b"\n==== ";
/// More files are not read.
const MOST: usize = 64;

/// Files by their names below the store's directory.
pub type Files = Vec<(String, Vec<u8>)>;

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Reads the files; names that lead out of the directory are left out.
pub fn read(bytes: &[u8]) -> Files {
    let mut files = Files::new();
    let mut rest = find(bytes, MARK).map(|at| &bytes[at + MARK.len()..]);
    while let Some(text) = rest.filter(|_| files.len() < MOST) {
        let end = find(text, MARK);
        let file = &text[..end.unwrap_or(text.len())];
        rest = end.map(|end| &text[end + MARK.len()..]);
        let Some(line) = find(file, b"\n") else { continue };
        let name = String::from_utf8_lossy(&file[..line]).into_owned();
        let stays = Path::new(&name).components().all(|part| matches!(part, Component::Normal(_)));
        let is_plain = !name.is_empty() && !name.ends_with('/') && !name.contains("//") && !name.contains("/./");
        if is_plain && stays && !files.iter().any(|(other, _)| *other == name) {
            files.push((name, file[line + 1..].to_vec()));
        }
    }
    files
}

/// The same the other way.
pub fn write(files: &Files) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, bytes) in files {
        out.extend_from_slice(MARK);
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
        out.extend_from_slice(bytes);
    }
    out
}

/// Puts them on a new disk.
pub fn plant(files: &Files) -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    for (name, bytes) in files {
        disk.plant(&Path::new(DIR).join(name), bytes);
    }
    disk
}

/// Takes them from a disk, the lock apart.
pub fn take(disk: &SimulatedDisk) -> Files {
    let files = disk.files().into_iter().filter(|(path, _)| !path.ends_with("lock"));
    let named = files.filter_map(|(path, _)| Some((path.strip_prefix(DIR).ok()?.to_string_lossy().into_owned(), path)));
    named.map(|(name, path)| (name, disk.read(&path).ok().flatten().unwrap_or_default())).collect()
}

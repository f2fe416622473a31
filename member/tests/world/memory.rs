//! The RAM of a running member, from outside: what a failing memory chip or a stray write would do to it.
//!
//! Law: the member has no part in it: only /proc is used. Must not know: what lies where, and why.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// Bytes read at a time; regions are read with an overlap, so that nothing is missed between two pieces.
const PIECE: usize = 1 << 20;

/// Places in the writable memory of a process where exactly `wanted` lies.
fn places(pid: u32, wanted: &[u8]) -> Vec<u64> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut found = Vec::new();
    let mut piece = vec![0; PIECE + wanted.len() - 1];
    for (from, to) in maps.lines().filter_map(writable) {
        let mut at = from;
        while at < to {
            let size = usize::try_from(to - at).unwrap().min(piece.len());
            // A region may be gone since, or be one that cannot be read.
            let Ok(read) = memory.read_at(&mut piece[..size], at) else { break };
            found.extend(within(&piece[..read], wanted).map(|offset| at + offset as u64));
            at += PIECE as u64;
        }
    }
    found
}

/// Writes `new` wherever exactly `old` lies; tells in how many places. Only what still is `old` is touched: what was a
/// buffer when it was found may be something else by now.
pub fn replace(pid: u32, old: &[u8], new: &[u8]) -> usize {
    assert_eq!(old.len(), new.len());
    let found = places(pid, old);
    let memory = File::options().read(true).write(true).open(format!("/proc/{pid}/mem")).unwrap();
    let mut held = vec![0; old.len()];
    let changed = found.into_iter().filter(|place| {
        let same = memory.read_exact_at(&mut held, *place).is_ok() && held == old;
        same && memory.write_all_at(new, *place).is_ok()
    });
    changed.count()
}

/// `from-to rw.. …` of private memory.
fn writable(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split_whitespace();
    let (from, to) = words.next()?.split_once('-')?;
    let address = |text| u64::from_str_radix(text, 16).ok();
    words.next()?.starts_with("rw-p").then_some((address(from)?, address(to)?))
}

fn within<'a>(bytes: &'a [u8], wanted: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let first = wanted[0];
    let starts = bytes.iter().enumerate().filter(move |(_, byte)| **byte == first).map(|(at, _)| at);
    starts.filter(move |at| bytes[*at..].starts_with(wanted))
}

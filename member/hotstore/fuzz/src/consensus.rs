//! The consensus log: a directory of entries, durable record and snapshot.
//!
//! The law: it is refused and left as it is, or what it says is said again after going on in a new file and appending.

use super::mend::Depth;
use super::{DIR, Seen, base, folder, memory, seals};
use jet_hotstore::{ConsensusLog, LogEntry, SimulatedDisk, StoreError};
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

/// Checks the law.
pub fn holds(input: &[u8]) -> Seen {
    let mut seen = Seen::default();
    for depth in Depth::FILE {
        let mut files = seals::files(folder::read(input), depth);
        files.retain(|(name, _)| name.starts_with("raft/"));
        let disk = folder::plant(&files);
        for may_begin in [false, true] {
            let disk = disk.copy();
            let opened = goes_on(&disk, files.iter().map(|file| file.1.len()).sum(), may_begin);
            if matches!(opened, Err(StoreError::Refused(_))) {
                assert_eq!(folder::take(&disk), sorted(files.clone()), "a refusal changed something");
            }
            seen.note(&opened);
        }
    }
    seen
}

fn sorted(mut files: folder::Files) -> folder::Files {
    files.sort_by(|a, b| Path::new(&a.0).cmp(Path::new(&b.0)));
    files
}

/// The line of the store that the corpus was taken from.
fn line() -> Uuid {
    let identity = base().into_iter().find(|(name, _)| name == "identity.a").map(|file| file.1).unwrap_or_default();
    let body = super::mend::body(&identity).unwrap_or_default();
    body.pointer("/record/log_line").and_then(|line| line.as_str()?.parse().ok()).unwrap_or_default()
}

fn open(disk: &SimulatedDisk, may_begin: bool) -> Result<ConsensusLog, StoreError> {
    ConsensusLog::open(Arc::new(disk.clone()), &Path::new(DIR).join("raft"), line(), may_begin)
}

type View = (Option<Vec<u8>>, Vec<LogEntry>, Option<(u64, u64)>, Option<Vec<u8>>);

fn view(log: &ConsensusLog) -> View {
    let snapshot = log.snapshot().map(|s| [s.meta.as_slice(), s.bytes.as_slice()].concat());
    (log.vote().map(<[u8]>::to_vec), log.entries(0, u64::MAX), log.purged(), snapshot)
}

/// Opening writes what it read into a new file, so both are there at once, and the disk of the simulation holds three of
/// each: `now`, what is synced, what waits.
const WRITTEN: usize = 3;

fn goes_on(disk: &SimulatedDisk, input: usize, may_begin: bool) -> Result<(), StoreError> {
    let mut log = memory::bounded("opening the consensus log", WRITTEN * input, || open(disk, may_begin))?;
    let mut expected = view(&log);
    assert_eq!(view(&open(disk, false)?), expected, "opened again, it says something else");
    // Entries from here on are of the log that was opened last.
    log = open(disk, false)?;
    let next =
        LogEntry { index: log.last().map_or(1, |last| last.0.wrapping_add(1)), term: 9, bytes: b"next".to_vec() };
    if log.append(std::slice::from_ref(&next)).is_ok() && next.index < u64::MAX {
        expected.1.push(next);
    }
    log.save_vote(b"vote")?;
    expected.0 = Some(b"vote".to_vec());
    assert_eq!(view(&log), expected);
    assert_eq!(view(&open(disk, false)?), expected, "what was acknowledged is not found again");
    Ok(())
}

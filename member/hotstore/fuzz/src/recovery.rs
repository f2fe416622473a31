//! A whole directory, opened and loaded as a member does it.
//!
//! The law: it is refused with a typed reason and not one byte changed, or every record handed out stands in its files with
//! its checksum, the audit says the same, and after going on the same content and what was added is found.

use super::mend::{Depth, sum, word};
use super::{DIR, Seen, folder, memory, seals};
use jet_hotstore::audit::{Audit, Depth as Reading, Severity, Standing, audit};
use jet_hotstore::log::record::decode;
use jet_hotstore::{
    Cadence, Contents, Disk, EpochId, LoadReport, Loaded, Options, Record, SimulatedDisk, Store, StoreError, Version,
    inspect,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// The table by which the tracks of partitions are found: four bytes for each that there can be.
const PARTITIONS: usize = 4 << 16;

type Entries = BTreeMap<(u32, u16, Vec<u8>), Vec<u8>>;

/// Checks the law.
pub fn holds(input: &[u8]) -> Seen {
    let mut seen = Seen::default();
    for depth in Depth::ALL {
        let files = seals::files(folder::read(input), depth);
        let opened = opens(&folder::plant(&files));
        seen.accepted += u32::from(opened);
        seen.refused += u32::from(!opened);
    }
    seen
}

fn dir() -> &'static Path {
    Path::new(DIR)
}

fn open(disk: &SimulatedDisk) -> Result<(Store, Contents), StoreError> {
    let options = Options { cadence: Cadence::OnDemand, ..Options::default() };
    Store::open(dir(), Arc::new(disk.clone()), options)
}

/// Whether the store on this disk is opened and loaded; checks the law on the way.
pub fn opens(disk: &SimulatedDisk) -> bool {
    let before = folder::take(disk);
    let bytes: usize = before.iter().map(|(name, bytes)| name.len() + bytes.len()).sum();
    let told = looked(disk, bytes);
    assert_eq!(folder::take(disk), before, "a look changed something");
    let opened = memory::bounded("opening", bytes, || open(disk));
    let (store, contents) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            assert!(matches!(error, StoreError::Refused(_)), "{error}");
            assert_eq!(folder::take(disk), before, "a refusal changed something");
            assert!(!told.is_whole(), "the audit found nothing, but: {error}");
            return false;
        }
    };
    assert_eq!(inspect(disk, dir()).ok(), Some(contents), "after opening it stands at something else");
    let opened = folder::take(disk);
    let loaded = memory::bounded("loading", bytes + PARTITIONS / memory::TIMES, || store.load(&mut |_| {}));
    assert_eq!(folder::take(disk), opened, "loading changed something");
    let epochs = epochs_read(&store);
    let consensus = consensus_told(&store, &told);
    let damaged = loaded.as_ref().is_ok_and(|report| !report.damaged_epochs.is_empty());
    assert_eq!(
        told.is_whole(),
        loaded.is_ok() && epochs && consensus && !damaged,
        "the audit says {:?}, loading {loaded:?}, epochs {epochs}, consensus {consensus}",
        told.findings
    );
    match loaded {
        Ok(report) => goes_on(disk, store, &report),
        Err(error) => assert!(matches!(error, StoreError::Refused(_)), "{error}"),
    }
    true
}

fn looked(disk: &SimulatedDisk, bytes: usize) -> Audit {
    let told = memory::bounded("an audit", bytes, || {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        audit(&disk, dir(), Reading::Everything)
    });
    let told = told.expect("the disk answers");
    assert!(told.standing != Standing::Refused || told.findings.iter().any(|f| f.severity == Severity::Broken));
    told
}

fn epochs_read(store: &Store) -> bool {
    let read = |id: EpochId| store.read_epoch(id).is_ok_and(|mut parts| parts.all(|part| part.is_ok()));
    store.epochs().iter().all(|info| read(info.id))
}

/// Whether the consensus log is as the audit must say.
fn consensus_told(store: &Store, told: &Audit) -> bool {
    match told.identity.as_ref().is_some_and(|identity| identity.log_begun) {
        true => store.consensus_log().is_ok(),
        false => true,
    }
}

fn entries(store: &Store) -> Result<(LoadReport, Entries, BTreeSet<Vec<u8>>), StoreError> {
    let (mut entries, mut records) = (Entries::new(), BTreeSet::new());
    let report = store.load(&mut |record| match record {
        Loaded::Put { space, partition, version, key, value, .. } => {
            records.insert(told((1, space, partition, version), key, value));
            entries.insert((space, partition, key.to_vec()), value.to_vec());
        }
        Loaded::Remove { space, partition, version, key } => {
            records.insert(told((2, space, partition, version), key, &[]));
            entries.remove(&(space, partition, key.to_vec()));
        }
        Loaded::Clear { space, partition, version } => {
            records.insert(told((3, space, partition, version), &[], &[]));
            entries.retain(|(s, p, _), _| (*s, *p) != (space, partition));
        }
    })?;
    Ok((report, entries, records))
}

/// What is handed out of a record: of a removal no value, of a clearing no key either.
fn told((kind, space, partition, version): (u8, u32, u16, Version), key: &[u8], value: &[u8]) -> Vec<u8> {
    let (key, value) = (if kind < 3 { key } else { &[] }, if kind < 2 { value } else { &[] });
    let mut out = vec![kind];
    out.extend_from_slice(&partition.to_le_bytes());
    out.extend_from_slice(&space.to_le_bytes());
    out.extend_from_slice(&version.table.to_le_bytes());
    out.extend_from_slice(&version.sequence.to_le_bytes());
    out.extend_from_slice(&(key.len() as u32).to_le_bytes());
    [out.as_slice(), key, value].concat()
}

/// All records that stand in chunk files of the directory with their checksum.
fn standing(disk: &SimulatedDisk) -> BTreeSet<Vec<u8>> {
    let mut records = BTreeSet::new();
    let is_chunk = |bytes: &[u8]| bytes.len() >= super::mend::FRAME && bytes.starts_with(b"JETCHUNK");
    for (_, bytes) in folder::take(disk).iter().filter(|(_, bytes)| is_chunk(bytes)) {
        let file_id = super::mend::body(bytes).and_then(|body| body.get("file_id")?.as_u64()).unwrap_or(0);
        let body = u64::from_le_bytes(bytes[12..20].try_into().unwrap_or_default()) as usize;
        let mut at = (super::mend::FRAME + word(bytes, 20)).saturating_add(body);
        while let Ok(raw) = decode(bytes, at, file_id) {
            assert_eq!(sum(file_id, at, &bytes[at + 4..at + raw.size()]) as usize, word(bytes, at));
            let head = (raw.kind as u8, raw.space, raw.partition, raw.version);
            records.insert(told(head, raw.key, raw.value));
            at += raw.size();
        }
    }
    records
}

const ADDED: (u32, u16) = (4_000_000_000, 65_535);

fn goes_on(disk: &SimulatedDisk, store: Store, report: &LoadReport) {
    let (again, content, handed_out) = entries(&store).expect("it was loaded a moment ago");
    assert_eq!(&again, report);
    let standing = standing(disk);
    assert!(handed_out.iter().all(|record| standing.contains(record)), "a record is handed out that stands nowhere");
    let begun = match report.sealed || report.generation == 0 {
        // Only a generation beyond all is no generation.
        true => report.generation.checked_add(1).map(|next| store.open_generation(next)),
        false => Some(store.resume()),
    };
    let Some(begun) = begun else { return };
    if let Err(error) = begun {
        assert!(matches!(error, StoreError::Misuse { .. } | StoreError::Refused(_)), "{error}");
        return;
    }
    let mut expected = content;
    let is_free = report.partitions.iter().all(|found| found.partition != ADDED.1);
    if is_free {
        let added = Record::put(ADDED.0, ADDED.1, Version::new(1, 1), b"added".to_vec(), b"value".to_vec());
        assert!(store.append(added).ticket().is_some());
        expected.insert((ADDED.0, ADDED.1, b"added".to_vec()), b"value".to_vec());
    }
    let _ = store.partitions_to_rewrite();
    store.close().expect("the disk is whole");
    drop(store);
    let (store, _) = open(disk).expect("it was written a moment ago");
    let (_, found, _) = entries(&store).expect("it was written a moment ago");
    assert!(found == expected, "after going on, other content is found: {found:?} and not {expected:?}");
    assert!(looked(disk, usize::MAX >> 8).content.is_some());
}

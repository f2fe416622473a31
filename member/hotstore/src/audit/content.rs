//! Reading all of the content, and counting what of it lives.
//!
//! The law: the same walk, tail rule and plan as a load. Must not know: findings of other files.

use super::{Audit, Content, Finding, PartitionTold, Severity, SpaceTold};
use crate::disk::Disk;
use crate::epoch::EpochReader;
use crate::failure::{On, StoreError};
use crate::log::chunk::{self, Extent, Walked};
use crate::log::plan::{Head, Place, Plan};
use crate::log::record::{Kind, Raw};
use crate::refusal::Refused;
use crate::resolve::{Contents, Resolution};
use crate::seal::SealedFile;
use crate::store::{load, sealing};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

/// Bytes of key and value of each live entry, by map, partition and digest of the key.
type Live = HashMap<(u32, u16, [u8; 16]), u64>;

/// Reads the log; what does not verify is a finding, and then there is no content.
pub(super) fn read(disk: &dyn Disk, dir: &Path, found: &Resolution, told: &mut Audit) -> Result<(), StoreError> {
    let (mut plan, mut spaces, mut ends) = (Plan::default(), BTreeMap::new(), Vec::new());
    for (n, (id, path, extent)) in found.chain.iter().enumerate() {
        let bytes = disk.read(path).on("read", path)?.unwrap_or_default();
        let mut records = 0;
        let walked = prove(dir, path, &bytes, *extent, found).and_then(|()| {
            chunk::walk(path, &bytes, *extent, &mut |offset, raw| {
                records += 1;
                plan.note(Place { chunk: *id, offset }, Head::from(&raw));
                load::note_space(&mut spaces, raw);
            })
        });
        match walked {
            Ok(walked) => {
                told.chunks[n].records = Some(records);
                told.findings.extend(torn(path, walked));
                ends.push(walked.good);
            }
            Err(refused) => told.findings.push(Finding::broken(refused)),
        }
    }
    if ends.len() < found.chain.len() {
        return Ok(());
    }
    if let Contents::Sealed(seal) = &found.contents
        && !plan.says_as_much_as(&seal.manifest.plan)
    {
        told.findings.push(Finding::broken(load::plan_differs(dir, seal)));
        return Ok(());
    }
    let (mut live, mut content) = (Live::new(), Content::default());
    for (n, ((id, path, _), end)) in found.chain.iter().zip(ends).enumerate() {
        let bytes = disk.read(path).on("read", path)?.unwrap_or_default();
        let mut counted = 0;
        chunk::walk(path, &bytes, Extent::Exactly(end), &mut |offset, raw| {
            content.record_bytes += raw.size() as u64;
            if plan.counts(Place { chunk: *id, offset }, Head::from(&raw)) {
                counted += raw.size() as u64;
                apply(&mut live, raw);
            }
        })?;
        told.chunks[n].live_bytes = Some(counted);
        content.live_bytes += counted;
    }
    content.spaces = spaces
        .into_values()
        .map(|space| {
            let own = live.iter().filter(|((id, ..), _)| *id == space.id);
            let (entries, bytes) = own.fold((0, 0), |(n, sum), (_, bytes)| (n + 1, sum + bytes));
            SpaceTold { id: space.id, name: space.name, entries, bytes }
        })
        .collect();
    content.partitions = partitions(&plan, &live);
    told.content = Some(content);
    Ok(())
}

fn partitions(plan: &Plan, live: &Live) -> Vec<PartitionTold> {
    let mut held: BTreeMap<u16, (u64, u64)> = BTreeMap::new();
    for ((_, partition, _), bytes) in live {
        let sum = held.entry(*partition).or_default();
        *sum = (sum.0 + 1, sum.1 + bytes);
    }
    let of = |found: load::PartitionFound| {
        let (entries, bytes) = held.get(&found.partition).copied().unwrap_or_default();
        PartitionTold {
            partition: found.partition,
            table: found.version.table,
            sequence: found.version.sequence,
            complete: found.complete,
            interrupted: found.interrupted,
            entries,
            bytes,
        }
    };
    load::partitions_of(plan).into_iter().map(of).collect()
}

fn apply(live: &mut Live, raw: Raw<'_>) {
    let mut key = [0; 16];
    key.copy_from_slice(&blake3::hash(raw.key).as_bytes()[..16]);
    let name = (raw.space, raw.partition, key);
    match raw.kind {
        Kind::Put => drop(live.insert(name, (raw.key.len() + raw.value.len()) as u64)),
        Kind::Remove => drop(live.remove(&name)),
        Kind::Clear => live.retain(|(space, partition, _), _| (*space, *partition) != (raw.space, raw.partition)),
        _ => {}
    }
}

fn sealed_file<'a>(dir: &Path, path: &Path, found: &'a Resolution) -> Option<&'a SealedFile> {
    let Contents::Sealed(seal) = &found.contents else { return None };
    seal.manifest.files.iter().find(|file| dir.join(&file.name) == path)
}

fn prove(dir: &Path, path: &Path, bytes: &[u8], extent: Extent, found: &Resolution) -> Result<(), Refused> {
    match (sealed_file(dir, path, found), extent) {
        (Some(file), Extent::Exactly(length)) => {
            let sealed = &bytes[..bytes.len().min(length as usize)];
            sealing::compare_digest(path, file, blake3::hash(sealed).to_hex().to_string())
        }
        _ => Ok(()),
    }
}

/// What a seal names is compared with it, as a load does.
fn prove_epoch(disk: &dyn Disk, dir: &Path, path: &Path, found: &Resolution) -> Result<(), StoreError> {
    let Some(file) = sealed_file(dir, path, found) else { return Ok(()) };
    let bytes = disk.read(path).on("read", path)?.unwrap_or_default();
    Ok(prove(dir, path, &bytes, Extent::Exactly(file.length), found)?)
}

fn torn(path: &Path, walked: Walked) -> Option<Finding> {
    (walked.cut_bytes > 0).then(|| Finding {
        severity: Severity::Torn,
        text: format!(
            "{}: the tail from byte {} is torn ({} bytes, at least {} records): nobody was told that it was durable, and \
             a member leaves it out when it opens this store",
            path.display(),
            walked.good,
            walked.cut_bytes,
            walked.cut_records
        ),
    })
}

/// Reads every part of every epoch.
pub(super) fn read_epochs(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    found: &Resolution,
    told: &mut Audit,
) -> Result<(), StoreError> {
    for (n, info) in found.epochs.iter().enumerate() {
        let path = load::epoch_path(dir, info);
        let sealed = prove_epoch(disk.as_ref(), dir, &path, found);
        let parts = sealed
            .and_then(|()| EpochReader::open(disk.clone(), path, info))
            .and_then(|mut reader| reader.try_for_each(|part| part.map(drop)));
        match parts {
            Ok(()) => told.epochs[n].whole = Some(true),
            Err(StoreError::Refused(refused)) => {
                told.epochs[n].whole = Some(false);
                told.findings.push(Finding::broken(refused));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

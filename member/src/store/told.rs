//! What a store holds, in the words of those who ask: the core's reports and seals, the admin API's views.
//!
//! Law: a translation: nothing is looked up but in what the store gives, and what it does not name is not made up. Must not
//! know: when something is asked for.

use jet_admin_api::member::SealView;
use jet_core::recovery::{HeldEpoch, StoreSeal};
use jet_core::{
    Digest, Epoch, ExecutionId, Generation, JobId, PartitionContent, PartitionId, Restored, SealRecord, StoreReport,
    TableVersion, Version,
};
use jet_hotstore::backup::MadeBy;
use jet_hotstore::{EpochInfo, SealSummary, Store};

use super::KeeperError;

pub(super) fn blank_report() -> StoreReport {
    StoreReport { generation: Generation(0), seal: None, partitions: Vec::new(), epochs: Vec::new(), restored: None }
}

/// A backup of one member alone is none of the cluster.
pub(super) fn restored(made_by: &MadeBy) -> Option<Restored> {
    let MadeBy { name, set, generation } = made_by;
    set.map(|set| Restored { name: name.clone(), set, generation: Generation(*generation) })
}

pub(super) fn sealed_report(seal: &SealSummary, epochs: &[EpochInfo]) -> Result<StoreReport, KeeperError> {
    let versions = seal.manifest.partitions.iter().map(|p| (p.partition, from_store(p.version)));
    Ok(StoreReport {
        generation: Generation(seal.manifest.generation),
        seal: Some(store_seal(seal)?),
        partitions: by_number(versions),
        epochs: held(epochs),
        restored: None,
    })
}

pub(super) fn store_seal(seal: &SealSummary) -> Result<StoreSeal, KeeperError> {
    let text = &seal.manifest.operation;
    let operation = text.parse().map_err(|_| KeeperError::Operation { text: text.clone() })?;
    Ok(StoreSeal {
        generation: Generation(seal.manifest.generation),
        operation,
        attempt: seal.manifest.attempt,
        digest: Digest(seal.digest.clone()),
        content_digest: claimed(seal),
    })
}

/// The next generation was opened over this seal and nothing was written to it. Whoever leads a partition in it begins
/// with a version of its own, so versions tell.
pub(super) fn is_untouched(seal: &SealSummary, report: &StoreReport) -> bool {
    let found = |partition: u16| report.partitions.get(usize::from(partition)).copied().flatten();
    report.generation == Generation(seal.manifest.generation).next()
        && seal.manifest.partitions.iter().all(|p| found(p.partition) == Some(from_store(p.version)))
}

pub(super) fn unsealed_report(store: &Store) -> Result<StoreReport, KeeperError> {
    let found = store.load(&mut |_| {})?;
    if let Some(cut) = &found.cut {
        tracing::warn!(file = %cut.file.display(), offset = cut.offset, records = cut.records, bytes = cut.bytes, "a torn tail of the log is left out");
    }
    let versions = found.partitions.iter().filter(|p| p.complete).map(|p| (p.partition, from_store(p.version)));
    Ok(StoreReport {
        generation: Generation(found.generation),
        seal: None,
        partitions: by_number(versions),
        epochs: held(&found.epochs),
        restored: None,
    })
}

fn by_number(versions: impl Iterator<Item = (u16, Version)>) -> Vec<Option<Version>> {
    let mut partitions = Vec::new();
    for (partition, version) in versions {
        let at = usize::from(partition);
        if partitions.len() <= at {
            partitions.resize(at + 1, None);
        }
        if let Some(slot) = partitions.get_mut(at) {
            *slot = Some(version);
        }
    }
    partitions
}

pub(super) fn held(epochs: &[EpochInfo]) -> Vec<HeldEpoch> {
    epochs
        .iter()
        .map(|e| HeldEpoch { job: JobId(e.id.job), execution: ExecutionId(e.id.execution), epoch: Epoch(e.id.epoch) })
        .collect()
}

pub(super) fn claimed(seal: &SealSummary) -> Digest {
    let contents: Vec<PartitionContent> = seal
        .manifest
        .partitions
        .iter()
        .map(|p| PartitionContent {
            partition: PartitionId(p.partition),
            version: from_store(p.version),
            entries: p.entries,
            digest: Digest(p.digest.clone()),
        })
        .collect();
    jet_core::view::content_digest(&contents)
}

/// A version in the store's words.
pub fn version_to_store(version: Version) -> jet_hotstore::Version {
    jet_hotstore::Version::new(version.installed.0, version.seq)
}

fn from_store(version: jet_hotstore::Version) -> Version {
    Version { installed: TableVersion(version.table), seq: version.sequence }
}

pub(super) fn to_store(content: &PartitionContent) -> jet_hotstore::PartitionContent {
    jet_hotstore::PartitionContent {
        partition: content.partition.0,
        version: version_to_store(content.version),
        entries: content.entries,
        digest: content.digest.0.clone(),
    }
}

pub(super) fn seal_view(record: &SealRecord, seal: &SealSummary, verified: bool) -> SealView {
    SealView {
        generation: record.generation.0,
        operation: seal.manifest.operation.clone(),
        attempt: seal.manifest.attempt,
        digest: record.digest.0.clone(),
        content_digest: record.content_digest.0.clone(),
        quiesced_index: record.quiesced_index,
        entries: record.entries,
        bytes: record.bytes,
        verified,
    }
}

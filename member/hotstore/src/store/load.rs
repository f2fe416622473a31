//! Reading the content back: first everything is verified, then the live records are handed out in order.
//!
//! The law: nothing is handed out before all of it verified; a seal's digests are compared while reading; a torn tail of an
//! unsealed log is left out and counted. Loading changes nothing on the disk.
//! Must not know: what the records mean.

use super::{Phase, Store, locked};
use crate::epoch::EpochInfo;
use crate::failure::{On, StoreError};
use crate::layout;
use crate::log::appender::Heritage;
use crate::log::chunk::{self, Extent, Walked};
use crate::log::plan::{Head, Place, Plan};
use crate::log::record::{self, Kind, Raw, Space, Version};
use crate::refusal::Refused;
use crate::seal::SealSummary;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A live record as it is handed out, in log order; apply them one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loaded<'a> {
    /// Key has this value.
    Put {
        /// Space.
        space: u32,
        /// Partition.
        partition: u16,
        /// Version of the partition after it (of the copy, in a rewrite).
        version: Version,
        /// Key.
        key: &'a [u8],
        /// Value.
        value: &'a [u8],
    },
    /// Key is gone.
    Remove {
        /// Space.
        space: u32,
        /// Partition.
        partition: u16,
        /// Version of the partition after it.
        version: Version,
        /// Key.
        key: &'a [u8],
    },
    /// All entries of the space in the partition are gone.
    Clear {
        /// Space.
        space: u32,
        /// Partition.
        partition: u16,
        /// Version of the partition after it.
        version: Version,
    },
}

/// A partition as found. Partitions that are not listed have nothing on this disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionFound {
    /// Partition.
    pub partition: u16,
    /// Version of the content handed out.
    pub version: Version,
    /// The content counts for recovery: it is a prefix by version. `false`: a copy never completed, or given away.
    pub complete: bool,
    /// A rewrite or copy was under way; what came after `version` is not on this disk.
    pub interrupted: bool,
}

/// A torn tail that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The file.
    pub file: PathBuf,
    /// Where the good part ends.
    pub offset: u64,
    /// Records left out (those that can be told apart, at least 1).
    pub records: u64,
    /// Bytes left out.
    pub bytes: u64,
}

/// What was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoadReport {
    /// The content was proved by a seal.
    pub sealed: bool,
    /// Current generation.
    pub generation: u64,
    /// Partitions, in order.
    pub partitions: Vec<PartitionFound>,
    /// Spaces, in order.
    pub spaces: Vec<Space>,
    /// Finished epochs, in order.
    pub epochs: Vec<EpochInfo>,
    /// Epoch files that cannot be read (never in a sealed store).
    pub damaged_epochs: Vec<Refused>,
    /// Records handed out.
    pub records: u64,
    /// The tail left out, if any.
    pub cut: Option<Cut>,
}

struct Survey {
    heritage: Heritage,
    whole: Plan,
    extents: Vec<(PathBuf, Extent)>,
    cut: Option<Cut>,
}

impl Store {
    /// Verifies everything, then hands out every live record. Read-only; may be called again until writing begins.
    pub fn load(&self, visit: &mut dyn FnMut(Loaded<'_>)) -> Result<LoadReport, StoreError> {
        let mut known = locked(&self.known);
        let written_to = known.phase != Phase::Sealed && locked(&self.appender).is_some();
        if matches!(known.phase, Phase::Open | Phase::Stopped) || written_to {
            return Err(StoreError::Misuse {
                call: "load",
                why: format!("the store is {:?} and was written to by this process", known.phase),
            });
        }
        if let Some(seal) = &known.seal {
            self.verify_epochs(seal)?;
        }
        let survey = self.survey(&known.chain, known.seal.as_ref(), known.next_number)?;
        let mut records = 0;
        for ((path, extent), (id, _)) in survey.extents.iter().zip(&survey.heritage.chain) {
            let bytes = self.disk.read(path).on("read", path)?.unwrap_or_default();
            chunk::walk(path, &bytes, *extent, &mut |offset, raw| {
                if survey.whole.counts(Place { chunk: *id, offset }, Head::from(&raw))
                    && let Some(loaded) = handed_out(raw)
                {
                    records += 1;
                    visit(loaded);
                }
            })?;
        }
        let report = LoadReport {
            sealed: known.seal.is_some(),
            generation: known.generation,
            partitions: partitions_of(&survey.whole),
            spaces: survey.heritage.spaces.values().cloned().collect(),
            epochs: self.epochs(),
            damaged_epochs: known.damaged_epochs.clone(),
            records,
            cut: survey.cut,
        };
        if locked(&self.appender).is_none() {
            known.heritage = Some(survey.heritage);
        }
        if let Some(seal) = &known.seal {
            self.proved_by(seal);
        }
        Ok(report)
    }

    fn survey(
        &self,
        chain: &[(crate::log::chunk::ChunkId, PathBuf, Extent)],
        seal: Option<&SealSummary>,
        next_number: u64,
    ) -> Result<Survey, StoreError> {
        let mut heritage = Heritage { next_number, ..Heritage::default() };
        let (mut whole, mut extents, mut cut) = (Plan::default(), Vec::new(), None);
        for (id, path, extent) in chain {
            let bytes = self.read_proved(path, *extent, seal)?;
            let mut heads = Vec::new();
            let walked = chunk::walk(path, &bytes, *extent, &mut |offset, raw| {
                let place = Place { chunk: *id, offset };
                whole.note(place, Head::from(&raw));
                heads.push((place, Head::from(&raw)));
                note_space(&mut heritage.spaces, raw);
            })?;
            heads
                .iter()
                .filter(|(place, _)| place.offset < walked.durable)
                .for_each(|(place, head)| heritage.plan.note(*place, *head));
            heritage.carry = tail_of(&bytes, path, walked)?;
            heritage.chain.push((*id, walked.durable));
            // The second reading must find what the first one accepted.
            extents.push((path.clone(), Extent::Exactly(walked.good)));
            if walked.cut_bytes > 0 {
                cut = Some(Cut {
                    file: path.clone(),
                    offset: walked.good,
                    records: walked.cut_records,
                    bytes: walked.cut_bytes,
                });
            }
        }
        Ok(Survey { heritage, whole, extents, cut })
    }

    fn read_proved(&self, path: &Path, extent: Extent, seal: Option<&SealSummary>) -> Result<Vec<u8>, StoreError> {
        let Some(bytes) = self.disk.read(path).on("read", path)? else {
            return Err(Refused::Missing {
                file: path.to_path_buf(),
                why: "it was there when the store was opened".to_owned(),
            }
            .into());
        };
        let sealed = seal.and_then(|seal| seal.manifest.files.iter().find(|f| self.dir.join(&f.name) == path));
        if let (Some(sealed), Extent::Exactly(length)) = (sealed, extent) {
            let part = &bytes[..bytes.len().min(length as usize)];
            super::sealing::compare(path, sealed, part)?;
        }
        Ok(bytes)
    }

    fn verify_epochs(&self, seal: &SealSummary) -> Result<(), StoreError> {
        for file in seal.manifest.files.iter().filter(|file| file.chunk.is_none()) {
            self.verify_file(file)?;
        }
        Ok(())
    }
}

fn tail_of(bytes: &[u8], path: &Path, walked: Walked) -> Result<Vec<record::Record>, Refused> {
    let (header, _) = chunk::read_header(bytes, path)?;
    let (mut at, mut tail) = (walked.durable as usize, Vec::new());
    while (at as u64) < walked.good {
        let Ok(raw) = record::decode(bytes, at, header.file_id) else { break };
        at += raw.size();
        if raw.kind != Kind::Mark {
            tail.push(raw.to_record());
        }
    }
    Ok(tail)
}

pub(crate) fn note_space(spaces: &mut BTreeMap<u32, Space>, raw: Raw<'_>) {
    if raw.kind == Kind::Space
        && let Ok(space) = serde_json::from_slice::<Space>(raw.value)
    {
        spaces.insert(space.id, space);
    }
}

fn handed_out(raw: Raw<'_>) -> Option<Loaded<'_>> {
    let Raw { space, partition, version, key, value, .. } = raw;
    match raw.kind {
        Kind::Put => Some(Loaded::Put { space, partition, version, key, value }),
        Kind::Remove => Some(Loaded::Remove { space, partition, version, key }),
        Kind::Clear => Some(Loaded::Clear { space, partition, version }),
        _ => None,
    }
}

pub(crate) fn partitions_of(plan: &Plan) -> Vec<PartitionFound> {
    plan.tracks()
        .map(|(partition, track)| PartitionFound {
            partition,
            version: track.version,
            complete: track.held,
            interrupted: track.pending(),
        })
        .collect()
}

/// Path of an epoch's file.
pub(crate) fn epoch_path(dir: &Path, info: &EpochInfo) -> PathBuf {
    layout::epoch(dir, info.generation, info.id.job, info.id.execution, info.id.epoch)
}

//! Reading the content back: sealed content in one pass, as its manifest says what counts; other content in two, of which the
//! first finds that out.
//!
//! The law: what was handed out counts only when the load is over without an error, and is forgotten otherwise; every record
//! is checked before it is handed out, a seal's digests are compared; a torn tail of an unsealed log is left out and counted.
//! Loading changes nothing on the disk. Must not know: what the records mean.
//!
//! Contents: here what is handed out and told · [`stream`] the reading.

pub(crate) mod stream;

use self::stream::{Readers, Source, Take, check_only, stream};
use super::progress::Underway;
use super::sealing::{compare_digest, sealed_bytes};
use super::{Known, Phase, Store, locked};
use crate::epoch::EpochInfo;
use crate::failure::{On, StoreError};
use crate::layout;
use crate::log::appender::Heritage;
use crate::log::chunk::{self, ChunkId, Extent, Walked};
use crate::log::plan::{Head, Place, Plan};
use crate::log::record::{self, Kind, Raw, Space, Version};
use crate::refusal::Refused;
use crate::seal::{Manifest, SealSummary};
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
        /// Number of the chunk that holds this record; of a copy, of the one in which its rewrite begins.
        age: u64,
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
    /// A rewrite or copy was under way; what came after `version` may not be on this disk. It must be written whole: what
    /// completes a partition would complete what was begun.
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
    /// What the pass that hands out reads.
    sources: Vec<(ChunkId, PathBuf, u64)>,
    cut: Option<Cut>,
}

/// Takes the records of some partitions, in the order of the log.
pub type Sink<'a> = &'a mut (dyn FnMut(Loaded<'_>) + Send);

impl Store {
    /// [`Store::load_into`] with one sink.
    pub fn load(&self, visit: Sink<'_>) -> Result<LoadReport, StoreError> {
        self.load_into(&mut [visit])
    }

    /// Hands out every live record: those of partition p to sink p modulo their number, each sink on a thread of its own.
    /// On an error all that was handed out is void. Read-only; may be called again until writing begins.
    pub fn load_into(&self, sinks: &mut [Sink<'_>]) -> Result<LoadReport, StoreError> {
        let mut known = locked(&self.known);
        let written_to = known.phase != Phase::Sealed && locked(&self.appender).is_some();
        if matches!(known.phase, Phase::Open | Phase::Stopped) || written_to {
            return Err(StoreError::Misuse {
                call: "load",
                why: format!("the store is {:?} and was written to by this process", known.phase),
            });
        }
        // Nothing of a load that fails is gone on from.
        known.heritage = None;
        let far = self.loads(self.bytes_to_read(&known));
        let mut survey = match &known.seal {
            Some(seal) => {
                self.verify_epochs(seal, &far)?;
                sealed_survey(&self.dir, seal, known.next_number)
            }
            None => self.survey(&known.chain, known.next_number, &far)?,
        };
        let (records, found) = self.hand_out(&survey, known.seal.as_ref(), sinks, &far)?;
        if known.seal.is_some() {
            // Of what a manifest says of the log, only what was compared is gone on from.
            survey.heritage.plan = found;
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

    /// Records handed out, and the plan of all that was read if there is a seal to compare it with.
    fn hand_out(
        &self,
        survey: &Survey,
        seal: Option<&SealSummary>,
        sinks: &mut [Sink<'_>],
        far: &Underway<'_>,
    ) -> Result<(u64, Plan), StoreError> {
        let (table, mut records) = (survey.whole.table(), vec![0; sinks.len()]);
        let mut takes: Vec<_> = sinks
            .iter_mut()
            .zip(&mut records)
            .map(|(sink, records): (_, &mut u64)| {
                let table = &table;
                move |place: Place, raw: Raw<'_>| {
                    if table.counts(place, raw.partition, raw.copy)
                        && let Some(loaded) = handed_out(table.age(place, raw.partition, raw.copy), raw)
                    {
                        *records += 1;
                        sink(loaded);
                    }
                }
            })
            .collect();
        let mut takes: Vec<Take<'_>> = takes.iter_mut().map(|take| take as Take<'_>).collect();
        let mut found = Plan::default();
        let mut prove = |place: Place, head: Head| found.note(place, head);
        let mut nothing = |_: Place, _: Head| {};
        let head: &mut dyn FnMut(Place, Head) = if seal.is_some() { &mut prove } else { &mut nothing };
        let readers = Readers { takes: &mut takes, note: &mut |_, _| {}, head, hash: seal.is_some(), far: Some(far) };
        let sources: Vec<_> = survey.sources.iter().map(source).collect();
        let digests = stream(self.disk.as_ref(), &sources, readers)?;
        let sealed = seal.iter().flat_map(|seal| seal.manifest.files.iter().filter(|file| file.chunk.is_some()));
        for ((sealed, source), found) in sealed.zip(&sources).zip(digests) {
            compare_digest(source.path, sealed, found)?;
        }
        match seal.filter(|_| !found.says_as_much_as(&survey.whole)) {
            Some(seal) => Err(plan_differs(&self.dir, seal).into()),
            None => Ok((records.iter().sum(), found)),
        }
    }

    /// Every file that a seal names, once; else what there is of the log, once for the survey and once to hand it out.
    fn bytes_to_read(&self, known: &Known) -> u64 {
        if let Some(seal) = &known.seal {
            return sealed_bytes(seal);
        }
        let length = |(_, path, extent): &(ChunkId, PathBuf, Extent)| match extent {
            Extent::Exactly(length) => *length,
            // What cannot be looked at is refused when it is read.
            Extent::Open => self.disk.length(path).ok().flatten().unwrap_or(0),
        };
        known.chain.iter().map(length).sum::<u64>().saturating_mul(2)
    }

    fn survey(
        &self,
        chain: &[(ChunkId, PathBuf, Extent)],
        next_number: u64,
        far: &Underway<'_>,
    ) -> Result<Survey, StoreError> {
        let mut survey = Survey {
            heritage: Heritage { next_number, ..Heritage::default() },
            whole: Plan::default(),
            sources: Vec::new(),
            cut: None,
        };
        let exact = chain.iter().filter_map(|(id, path, extent)| match extent {
            Extent::Exactly(length) => Some((*id, path.clone(), *length)),
            Extent::Open => None,
        });
        survey.sources.extend(exact);
        self.survey_exact(&mut survey, far)?;
        survey.heritage.chain.extend(survey.sources.iter().map(|(id, _, length)| (*id, *length)));
        if let Some((id, path, Extent::Open)) = chain.last() {
            self.survey_open(&mut survey, *id, path, far)?;
        }
        Ok(survey)
    }

    /// Chunks that must verify to a known length: checked by several threads.
    fn survey_exact(&self, survey: &mut Survey, far: &Underway<'_>) -> Result<(), StoreError> {
        let sources: Vec<_> = survey.sources.iter().map(source).collect();
        let (whole, spaces) = (&mut survey.whole, &mut survey.heritage.spaces);
        let note = &mut |_: Place, raw: Raw<'_>| note_space(spaces, raw);
        let head = &mut |place: Place, head: Head| whole.note(place, head);
        check_only(self.disk.as_ref(), &sources, note, head, false, Some(far))?;
        survey.heritage.plan = survey.whole.clone();
        Ok(())
    }

    /// The newest chunk, whose tail may be torn.
    fn survey_open(&self, survey: &mut Survey, id: ChunkId, path: &Path, far: &Underway<'_>) -> Result<(), StoreError> {
        let Some(bytes) = self.disk.read(path).on("read", path)? else {
            let why = "it was there when the store was opened".to_owned();
            return Err(Refused::Missing { file: path.to_path_buf(), why }.into());
        };
        let walked = chunk::walk(path, &bytes, Extent::Open, &mut |offset, raw| {
            survey.whole.note(Place { chunk: id, offset }, Head::from(&raw));
            note_space(&mut survey.heritage.spaces, raw);
        })?;
        // Only now it is known how far that is; reading it again costs less than a list of all records.
        chunk::walk(path, &bytes, Extent::Exactly(walked.durable), &mut |offset, raw| {
            survey.heritage.plan.note(Place { chunk: id, offset }, Head::from(&raw));
        })?;
        // A tail that is left out is not read again.
        far.done((2 * bytes.len() as u64).saturating_sub(walked.good));
        survey.heritage.carry = tail_of(&bytes, path, walked)?;
        survey.heritage.chain.push((id, walked.durable));
        survey.sources.push((id, path.to_path_buf(), walked.good));
        survey.cut = (walked.cut_bytes > 0).then(|| Cut {
            file: path.to_path_buf(),
            offset: walked.good,
            records: walked.cut_records,
            bytes: walked.cut_bytes,
        });
        Ok(())
    }

    fn verify_epochs(&self, seal: &SealSummary, far: &Underway<'_>) -> Result<(), StoreError> {
        for file in seal.manifest.files.iter().filter(|file| file.chunk.is_none()) {
            self.verify_file(file, far)?;
        }
        Ok(())
    }
}

/// The manifest is not of these chunks.
pub(crate) fn plan_differs(dir: &Path, seal: &SealSummary) -> Refused {
    let file = layout::seal(dir, seal.manifest.generation, seal.manifest.number);
    Refused::Inconsistent { file, why: "what it says of the chunks is not what is in them".to_owned() }
}

fn source((id, path, length): &(ChunkId, PathBuf, u64)) -> Source<'_> {
    Source { id: *id, path, length: *length }
}

/// As the manifest says; that it is so is proved by the digests, while it is read.
fn sealed_survey(dir: &Path, seal: &SealSummary, next_number: u64) -> Survey {
    let Manifest { files, plan, spaces, .. } = &seal.manifest;
    let chunks = files.iter().filter_map(|file| Some((file.chunk?, file)));
    let sources: Vec<_> = chunks.map(|(id, file)| (id, dir.join(&file.name), file.length)).collect();
    let heritage = Heritage {
        chain: sources.iter().map(|(id, _, length)| (*id, *length)).collect(),
        plan: plan.clone(),
        spaces: spaces.iter().map(|space| (space.id, space.clone())).collect(),
        next_number,
        carry: Vec::new(),
    };
    Survey { heritage, whole: plan.clone(), sources, cut: None }
}

fn tail_of(bytes: &[u8], path: &Path, walked: Walked) -> Result<Vec<record::Record>, Refused> {
    let (header, _) = chunk::read_header(bytes, path)?;
    let good = &bytes[..walked.good as usize];
    let records = || {
        let mut at = walked.durable as usize;
        let next = move || {
            let raw = record::decode(good, at, header.file_id).ok()?;
            at += raw.size();
            Some(raw)
        };
        std::iter::from_fn(next).filter(|raw| !record::is_bookkeeping(raw.kind))
    };
    // An owned record is larger than its head in the file: none more than there are.
    let mut tail = Vec::with_capacity(records().count());
    tail.extend(records().map(Raw::to_record));
    Ok(tail)
}

pub(crate) fn note_space(spaces: &mut BTreeMap<u32, Space>, raw: Raw<'_>) {
    if raw.kind == Kind::Space
        && let Ok(space) = serde_json::from_slice::<Space>(raw.value)
    {
        spaces.insert(space.id, space);
    }
}

fn handed_out(age: u64, raw: Raw<'_>) -> Option<Loaded<'_>> {
    let Raw { space, partition, version, key, value, .. } = raw;
    match raw.kind {
        Kind::Put => Some(Loaded::Put { space, partition, version, key, value, age }),
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
            interrupted: track.pending() || track.rewrites(),
        })
        .collect()
}

/// Path of an epoch's file.
pub(crate) fn epoch_path(dir: &Path, info: &EpochInfo) -> PathBuf {
    layout::epoch(dir, info.generation, info.id.job, info.id.execution, info.id.epoch)
}

//! What a directory holds, and whether all of it is whole, told without opening it: for people and programs beside a member.
//!
//! The law: nothing is changed: no lock is taken, no boot counted, no file made. What does not verify is a finding beside all
//! that does; a finding says the file, what it costs and what to do. Must not know: how it is printed.
//!
//! Contents: here what is told · `content` reading the log · `keys` who can read it · `backups` · `room` bytes on the volume.

mod backups;
mod content;
mod keys;
mod room;

pub use self::keys::KeyUse;
use crate::backup::BackupTold;
use crate::consensus;
use crate::disk::Disk;
use crate::failure::{On, StoreError};
use crate::identity::Identity;
use crate::layout;
use crate::refusal::Refused;
use crate::resolve::{Contents, Resolution, resolve};
use crate::scan::{Scan, scan};
use crate::seal::SealSummary;
use crate::store::usage::Usage;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Names, small records, headers, indexes: a moment, whatever the size.
    Heads,
    /// Every byte that counts, twice; needs about 64 bytes of RAM for each live entry.
    Everything,
}

/// What a store holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Audit {
    /// The directory.
    pub dir: PathBuf,
    /// A process holds its lock: what was read may have been in motion.
    pub in_use: bool,
    /// Number of the last start.
    pub boot: u64,
    /// Whose it is.
    pub identity: Option<Identity>,
    /// What it is.
    pub standing: Standing,
    /// Chunks of the log, oldest first.
    pub chunks: Vec<ChunkTold>,
    /// Finished snapshot epochs.
    pub epochs: Vec<EpochTold>,
    /// Content of the log; `None`: it was not read, or not to its end.
    pub content: Option<Content>,
    /// Bytes on the volume.
    pub room: Usage,
    /// The consensus log; `None`: never begun.
    pub consensus: Option<ConsensusTold>,
    /// By which keys the files that tell anything are encrypted, those of backups and in quarantine among them; first those in
    /// the clear.
    pub keys: Vec<KeyUse>,
    /// The backup that this directory was made by, if it was.
    pub backup: Option<BackupTold>,
    /// Backups beside the store.
    pub backups: Vec<BackupTold>,
    /// What is not as it should be, worst first.
    pub findings: Vec<Finding>,
}

/// What a directory is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Standing {
    /// Nothing of a cluster.
    Blank,
    /// Promised to a cluster that is not founded yet.
    Founding,
    /// Sealed, and not written to since.
    Sealed(SealTold),
    /// In use, or after a crash.
    Unsealed {
        /// Current generation; 0: none was opened.
        generation: u64,
        /// The last seal, void by now.
        last_seal: Option<SealTold>,
    },
    /// It would not be opened; the first finding says why.
    Refused,
}

/// A seal, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SealTold {
    /// Generation that it seals.
    pub generation: u64,
    /// Its number in this store.
    pub number: u64,
    /// Operation that it was made for.
    pub operation: String,
    /// Attempt of that.
    pub attempt: u32,
    /// Its digest: the name of the content.
    pub digest: String,
    /// Files that it covers.
    pub files: usize,
    /// Bytes of them.
    pub bytes: u64,
    /// Entries in all maps.
    pub entries: u64,
    /// Partitions held.
    pub partitions: usize,
    /// Log index of the copy of the cluster's memory in it.
    pub machine_index: u64,
}

/// A chunk of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChunkTold {
    /// Path below the directory.
    pub name: String,
    /// Bytes in the file.
    pub bytes: u64,
    /// Boot that made it.
    pub boot: u64,
    /// Records, marks apart; `None`: not read.
    pub records: Option<u64>,
    /// Bytes of records that count; `None`: not read.
    pub live_bytes: Option<u64>,
}

/// A finished snapshot epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EpochTold {
    /// Job.
    pub job: u64,
    /// Execution.
    pub execution: u64,
    /// Epoch.
    pub epoch: u64,
    /// Parts.
    pub parts: u64,
    /// Bytes of all parts.
    pub bytes: u64,
    /// Length of the file.
    pub length: u64,
    /// Every part was read and verifies; `None`: not read.
    pub whole: Option<bool>,
}

/// Content of the log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    /// Maps (spaces), in order of their numbers.
    pub spaces: Vec<SpaceTold>,
    /// Partitions, in order.
    pub partitions: Vec<PartitionTold>,
    /// Bytes of records that count.
    pub live_bytes: u64,
    /// Bytes of all records.
    pub record_bytes: u64,
}

/// One map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SpaceTold {
    /// Number in records.
    pub id: u32,
    /// Name.
    pub name: String,
    /// Live entries.
    pub entries: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartitionTold {
    /// Partition.
    pub partition: u16,
    /// Table version under which its primary was installed.
    pub table: u64,
    /// Sequence under that primary.
    pub sequence: u64,
    /// It counts for a recovery.
    pub complete: bool,
    /// A rewrite or copy was under way.
    pub interrupted: bool,
    /// Live entries.
    pub entries: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
}

/// The consensus log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsensusTold {
    /// Bytes of its files.
    pub bytes: u64,
    /// Entries in it.
    pub entries: u64,
    /// Index of the last one.
    pub last_index: u64,
    /// It has a snapshot of what was before.
    pub snapshot: bool,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// A member would not open it, or something is lost.
    Broken,
    /// A member would cut it, and count what it cut: nobody was told that it was durable.
    Torn,
    /// One of two copies; the other one is whole.
    Healed,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// What, where, what it costs, what to do.
    pub text: String,
}

impl Finding {
    fn broken(text: impl ToString) -> Self {
        Finding { severity: Severity::Broken, text: text.to_string() }
    }
}

impl Audit {
    /// Nothing was found that a member would refuse or that is lost.
    pub fn is_whole(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity != Severity::Broken)
    }
}

/// Looks at the store in `dir`. An error means that the disk did not answer; whatever it answered is told.
pub fn audit(disk: &Arc<dyn Disk>, dir: &Path, depth: Depth) -> Result<Audit, StoreError> {
    let seen = scan(disk.as_ref(), dir)?;
    let mut told = Audit {
        dir: dir.to_path_buf(),
        in_use: disk.is_locked(&layout::lock(dir)).on("look at", &layout::lock(dir))?,
        boot: seen.boot.clone().unwrap_or_default(),
        identity: seen.identity.clone().ok().flatten(),
        standing: Standing::Refused,
        chunks: Vec::new(),
        epochs: Vec::new(),
        content: None,
        room: Usage::default(),
        consensus: None,
        keys: keys::below(disk.as_ref(), dir)?,
        backup: None,
        backups: Vec::new(),
        findings: seen.healed.iter().map(healed).collect(),
    };
    let found = resolve(&seen);
    match &found {
        Ok(found) => {
            told.standing = standing(&found.contents);
            list(disk, &seen, found, depth, &mut told)?;
        }
        Err(refused) => told.findings.push(Finding::broken(refused)),
    }
    backups::tell(disk.as_ref(), &seen, depth, &mut told)?;
    told.room = room::of(disk.as_ref(), dir, &told)?;
    told.consensus = consensus(disk.as_ref(), &mut told.findings, dir, told.identity.as_ref())?;
    told.findings.sort_by_key(|finding| finding.severity);
    Ok(told)
}

fn healed(refused: &Refused) -> Finding {
    Finding { severity: Severity::Healed, text: format!("{refused} (its other copy is whole and counts)") }
}

fn standing(contents: &Contents) -> Standing {
    match contents {
        Contents::Blank => Standing::Blank,
        Contents::Founding(_) => Standing::Founding,
        Contents::Sealed(seal) => Standing::Sealed(short(seal)),
        Contents::Unsealed { generation, last_seal } => {
            Standing::Unsealed { generation: *generation, last_seal: last_seal.as_deref().map(short) }
        }
    }
}

fn short(seal: &SealSummary) -> SealTold {
    let says = &seal.manifest;
    SealTold {
        generation: says.generation,
        number: says.number,
        operation: says.operation.clone(),
        attempt: says.attempt,
        digest: seal.digest.clone(),
        files: says.files.len(),
        bytes: says.bytes,
        entries: says.entries,
        partitions: says.partitions.len(),
        machine_index: says.machine_index,
    }
}

fn list(
    disk: &Arc<dyn Disk>,
    seen: &Scan,
    found: &Resolution,
    depth: Depth,
    told: &mut Audit,
) -> Result<(), StoreError> {
    for (id, path, _) in &found.chain {
        let file = seen.chunks.iter().find(|chunk| chunk.id == *id);
        told.chunks.push(ChunkTold {
            name: below(&seen.dir, path),
            bytes: file.map_or(0, |chunk| chunk.length),
            boot: file.and_then(|chunk| chunk.header.as_ref().ok()).map_or(0, |header| header.boot),
            records: None,
            live_bytes: None,
        });
    }
    told.epochs.extend(found.epochs.iter().map(|info| EpochTold {
        job: info.id.job,
        execution: info.id.execution,
        epoch: info.id.epoch,
        parts: info.parts,
        bytes: info.bytes,
        length: info.length,
        whole: None,
    }));
    // One that is half written has no name yet: what has one and does not verify is lost.
    told.findings.extend(found.damaged_epochs.iter().map(Finding::broken));
    if depth == Depth::Everything {
        content::read(disk.as_ref(), &seen.dir, found, told)?;
        content::read_epochs(disk, &seen.dir, found, told)?;
    }
    Ok(())
}

fn below(dir: &Path, path: &Path) -> String {
    path.strip_prefix(dir).unwrap_or(path).to_string_lossy().into_owned()
}

fn consensus(
    disk: &dyn Disk,
    findings: &mut Vec<Finding>,
    dir: &Path,
    identity: Option<&Identity>,
) -> Result<Option<ConsensusTold>, StoreError> {
    let Some(identity) = identity.filter(|identity| identity.log_begun) else { return Ok(None) };
    let raft = layout::raft(dir);
    match consensus::look(disk, &raft, identity.log_line) {
        Ok(seen) => Ok(Some(ConsensusTold {
            bytes: room::below(disk, &raft)?,
            entries: seen.entries,
            last_index: seen.last_index,
            snapshot: seen.snapshot,
        })),
        Err(StoreError::Refused(refused)) => {
            findings.push(Finding::broken(refused));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

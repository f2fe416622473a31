//! What a directory holds, judged from a scan. Pure; the only place that says which content is accepted.
//!
//! The law: every file must carry the names of this cluster, member and an opened generation; the chain of chunks must be
//! whole from the floor to the newest; a seal of the current generation must name exactly what is there, and so must the
//! manifest of a backup that nobody has opened. Else: refused.
//! Must not know: the disk.

use crate::backup;
use crate::epoch::EpochInfo;
use crate::founding::Founding;
use crate::identity::Identity;
use crate::log::chunk::{ChunkId, Extent, Previous};
use crate::refusal::Refused;
use crate::scan::{ChunkFile, Scan};
use crate::seal::SealSummary;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// What a directory holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    /// Nothing of a cluster: new, or an identity that never joined one.
    Blank,
    /// A promise to found, no fact yet.
    Founding(Founding),
    /// Sealed content of the current generation; untouched since.
    Sealed(Box<SealSummary>),
    /// Content without a valid seal: after a crash, or opened and not sealed since.
    Unsealed {
        /// The current generation; 0: in a cluster, but no generation was opened yet.
        generation: u64,
        /// The last good seal, void for this member, kept as a floor.
        last_seal: Option<Box<SealSummary>>,
    },
}

/// A judged directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// What it holds.
    pub contents: Contents,
    /// Identity, if there is one.
    pub identity: Option<Identity>,
    /// Last boot.
    pub boot: u64,
    /// Chunks to read, oldest first.
    pub chain: Vec<(ChunkId, PathBuf, Extent)>,
    /// Finished epochs that can be read.
    pub epochs: Vec<EpochInfo>,
    /// Epoch files that cannot (unsealed store only; in a sealed one they are refused).
    pub damaged_epochs: Vec<Refused>,
    /// Damaged copies of small records whose twin is whole.
    pub healed: Vec<Refused>,
    /// First free chunk number.
    pub next_number: u64,
    /// Number of the newest seal.
    pub seal_number: u64,
    /// The backup that the directory was made by.
    pub backup: Option<backup::Seen>,
}

/// Judges a scan.
pub fn resolve(scan: &Scan) -> Result<Resolution, Refused> {
    if crate::layout::is_unfinished_backup(&scan.dir) {
        let why = "it is a backup that was not finished, or is being removed".to_owned();
        return Err(Refused::Inconsistent { file: scan.dir.clone(), why });
    }
    let identity = scan.identity.clone()?;
    let boot = scan.boot.clone()?;
    let Some(own) = identity else {
        if let Some(name) = scan.data_names.first() {
            return Err(Refused::NoIdentity { dir: scan.dir.clone(), found: name.clone() });
        }
        return Ok(bare(scan, None, boot, Contents::Blank));
    };
    let (founding, founded) = (scan.founding.clone()?, scan.founded.clone()?);
    let Some(cluster) = own.founding else {
        refuse_strangers(scan)?;
        let contents = founding.map_or(Contents::Blank, Contents::Founding);
        return Ok(bare(scan, Some(own), boot, contents));
    };
    if let Some(fact) = founded.filter(|fact| fact.id != cluster) {
        return Err(Refused::OtherCluster { file: scan.dir.join("founded"), found: fact.id, own: cluster });
    }
    judge(scan, own, cluster, boot)
}

fn bare(scan: &Scan, identity: Option<Identity>, boot: u64, contents: Contents) -> Resolution {
    Resolution {
        contents,
        identity,
        boot,
        chain: Vec::new(),
        epochs: Vec::new(),
        damaged_epochs: Vec::new(),
        healed: scan.healed.clone(),
        next_number: 1,
        seal_number: 0,
        backup: None,
    }
}

fn refuse_strangers(scan: &Scan) -> Result<(), Refused> {
    let chunk = scan.chunks.first().map(|c| c.path.clone());
    let seal = scan.seals.first().map(|(g, n, _)| crate::layout::seal(&scan.dir, *g, *n));
    let opened = scan.opened.first().map(|(g, _)| crate::layout::opened(&scan.dir, *g));
    match chunk.or(seal).or(opened) {
        None => Ok(()),
        Some(file) => {
            Err(Refused::Inconsistent { file, why: "it is data of a cluster, but this store is in none".to_owned() })
        }
    }
}

fn judge(scan: &Scan, own: Identity, cluster: Uuid, boot: u64) -> Result<Resolution, Refused> {
    let names = Names { cluster, member: own.member };
    let backup = scan.backup.clone()?;
    if let Some(seen) = &backup {
        backup::judge(scan, seen, cluster, own.member)?;
    }
    let generation = current_generation(scan, names)?;
    let seals = own_seals(scan, names, generation)?;
    let newest_seal = seals.last();
    let chunks = own_chunks(scan, names, generation)?;
    let newest = chunks.values().next_back().and_then(|chunk| chunk.header.as_ref().ok());
    if let Some(header) = newest.filter(|header| header.boot > boot) {
        let why = format!("the data know boot {}, the counter says {boot}", header.boot);
        return Err(Refused::Inconsistent { file: crate::layout::boot(&scan.dir), why });
    }
    let voided = newest.map_or(0, |header| header.after_seal);
    let sealed = newest_seal.filter(|seal| seal.manifest.generation == generation && seal.manifest.number > voided);
    let chain = match sealed {
        Some(seal) => sealed_chain(scan, seal, &chunks)?,
        None => open_chain(&chunks, newest_seal)?,
    };
    let (epochs, damaged_epochs) = judge_epochs(scan, names, generation, sealed)?;
    let contents = match sealed {
        Some(seal) => Contents::Sealed(Box::new(seal.clone())),
        None => Contents::Unsealed { generation, last_seal: newest_seal.cloned().map(Box::new) },
    };
    Ok(Resolution {
        contents,
        identity: Some(own),
        boot,
        chain,
        epochs,
        damaged_epochs,
        healed: scan.healed.clone(),
        next_number: chunks.keys().max().map_or(1, |id| id.number + 1),
        seal_number: newest_seal.map_or(0, |seal| seal.manifest.number).max(voided),
        backup,
    })
}

#[derive(Clone, Copy)]
struct Names {
    cluster: Uuid,
    member: Uuid,
}

impl Names {
    fn check(self, file: &std::path::Path, cluster: Uuid, member: Uuid) -> Result<(), Refused> {
        if cluster != self.cluster {
            return Err(Refused::OtherCluster { file: file.to_path_buf(), found: cluster, own: self.cluster });
        }
        if member != self.member {
            return Err(Refused::OtherMember { file: file.to_path_buf(), found: member, own: self.member });
        }
        Ok(())
    }
}

/// Going on from this number is possible.
fn counted(file: &Path, number: u64) -> Result<(), Refused> {
    match number > crate::layout::LARGEST {
        true => {
            let why = format!("number {number} was never counted up to");
            Err(Refused::Inconsistent { file: file.to_path_buf(), why })
        }
        false => Ok(()),
    }
}

fn current_generation(scan: &Scan, names: Names) -> Result<u64, Refused> {
    let mut newest = 0;
    for (named, record) in &scan.opened {
        let file = crate::layout::opened(&scan.dir, *named);
        let record = record.clone()?;
        names.check(&file, record.founding, record.member)?;
        if record.generation != *named {
            return Err(Refused::OtherGeneration { file, found: record.generation, opened: *named });
        }
        counted(&file, *named)?;
        newest = newest.max(*named);
    }
    Ok(newest)
}

fn own_seals(scan: &Scan, names: Names, generation: u64) -> Result<Vec<SealSummary>, Refused> {
    let mut seals = Vec::new();
    for (named, number, seal) in &scan.seals {
        let file = crate::layout::seal(&scan.dir, *named, *number);
        let seal = seal.clone()?;
        let says = &seal.manifest;
        names.check(&file, says.founding, says.member)?;
        if says.generation != *named || says.generation > generation {
            return Err(Refused::OtherGeneration { file, found: says.generation, opened: generation });
        }
        if says.number != *number {
            let why = format!("it says that it is seal {}", says.number);
            return Err(Refused::Inconsistent { file, why });
        }
        counted(&file, *number)?;
        seals.push(seal);
    }
    seals.sort_by_key(|seal| seal.manifest.number);
    Ok(seals)
}

fn own_chunks(scan: &Scan, names: Names, generation: u64) -> Result<BTreeMap<ChunkId, &ChunkFile>, Refused> {
    let mut chunks = BTreeMap::new();
    for chunk in &scan.chunks {
        let header = chunk.header.as_ref().map_err(Clone::clone)?;
        names.check(&chunk.path, header.founding, header.member)?;
        if header.id != chunk.id || header.id.generation > generation {
            let (file, found) = (chunk.path.clone(), header.id.generation);
            return Err(Refused::OtherGeneration { file, found, opened: generation });
        }
        counted(&chunk.path, header.id.number.max(header.after_seal))?;
        if header.floor > header.id {
            let why = "it says that chunks behind it are the oldest needed".to_owned();
            return Err(Refused::Inconsistent { file: chunk.path.clone(), why });
        }
        chunks.insert(chunk.id, chunk);
    }
    Ok(chunks)
}

fn sealed_chain(
    scan: &Scan,
    seal: &SealSummary,
    chunks: &BTreeMap<ChunkId, &ChunkFile>,
) -> Result<Vec<(ChunkId, PathBuf, Extent)>, Refused> {
    let mut chain = Vec::new();
    for file in &seal.manifest.files {
        let path = scan.dir.join(&file.name);
        let Some(id) = file.chunk else { continue };
        let why = format!("seal {} names it", seal.digest);
        let Some(chunk) = chunks.get(&id) else {
            return Err(Refused::Missing { file: path, why });
        };
        if chunk.length < file.length {
            return Err(Refused::Length { file: path, found: chunk.length, recorded: file.length, why });
        }
        let before = chain.last().and_then(|(id, _, extent)| match extent {
            Extent::Exactly(length) => Some(Previous { id: *id, length: *length }),
            Extent::Open => None,
        });
        // Who goes on from the seal finds the chunks by their links.
        let linked = chunk.header.as_ref().map_err(Clone::clone)?.previous;
        if before.is_some() && linked != before {
            let why = format!("it does not go on from the chunk before it in seal {}", seal.digest);
            return Err(Refused::Inconsistent { file: path, why });
        }
        chain.push((id, path, Extent::Exactly(file.length)));
    }
    let last = chain.last().map(|(id, ..)| *id);
    if let Some((id, path, Extent::Exactly(length))) = chain.last()
        && let Some(found) = chunks.get(id).map(|chunk| chunk.length).filter(|found| found != length)
    {
        let why = format!("seal {} ends with it", seal.digest);
        return Err(Refused::Length { file: path.clone(), found, recorded: *length, why });
    }
    if let Some((id, chunk)) = chunks.iter().next_back().filter(|(id, _)| last.is_none_or(|last| **id > last)) {
        let why = format!("chunk {} is newer than the seal of its generation", id.number);
        return Err(Refused::Inconsistent { file: chunk.path.clone(), why });
    }
    Ok(chain)
}

/// Follows the links from the newest chunk back to its floor.
fn open_chain(
    chunks: &BTreeMap<ChunkId, &ChunkFile>,
    last_seal: Option<&SealSummary>,
) -> Result<Vec<(ChunkId, PathBuf, Extent)>, Refused> {
    let Some((newest, file)) = chunks.iter().next_back() else {
        return match last_seal.and_then(|seal| seal.manifest.files.iter().find(|f| f.chunk.is_some())) {
            None => Ok(Vec::new()),
            Some(f) => Err(Refused::Missing {
                file: PathBuf::from(&f.name),
                why: "the last seal names it and nothing replaced it".to_owned(),
            }),
        };
    };
    let floor = file.header.as_ref().map_err(Clone::clone)?.floor;
    let mut extent = match last_seal.and_then(|s| s.manifest.files.iter().find(|f| f.chunk == Some(*newest))) {
        // Nothing was written since that seal, although the next generation was opened.
        Some(sealed) => Extent::Exactly(sealed.length),
        None => Extent::Open,
    };
    let (mut chain, mut at) = (Vec::new(), *newest);
    loop {
        let Some(chunk) = chunks.get(&at) else {
            let name = PathBuf::from(format!("gen-{}/log-{}.jl", at.generation, at.number));
            let why = "a newer chunk goes on from it".to_owned();
            return Err(Refused::Missing { file: name, why });
        };
        if let Extent::Exactly(length) = extent
            && chunk.length < length
        {
            let why = "the next chunk or the last seal".to_owned();
            return Err(Refused::Length { file: chunk.path.clone(), found: chunk.length, recorded: length, why });
        }
        chain.push((at, chunk.path.clone(), extent));
        if at <= floor {
            break;
        }
        match chunk.header.as_ref().map_err(Clone::clone)?.previous {
            Some(previous) if previous.id < at => (at, extent) = (previous.id, Extent::Exactly(previous.length)),
            _ => {
                return Err(Refused::Inconsistent {
                    file: chunk.path.clone(),
                    why: "its chain does not reach the floor".to_owned(),
                });
            }
        }
    }
    chain.reverse();
    Ok(chain)
}

fn judge_epochs(
    scan: &Scan,
    names: Names,
    generation: u64,
    sealed: Option<&SealSummary>,
) -> Result<(Vec<EpochInfo>, Vec<Refused>), Refused> {
    let (mut epochs, mut damaged) = (Vec::new(), Vec::new());
    for file in &scan.epochs {
        match &file.head {
            Ok((cluster, member, info)) => {
                names.check(&file.path, *cluster, *member)?;
                let named =
                    crate::layout::epoch(&scan.dir, file.generation, info.id.job, info.id.execution, info.id.epoch);
                if named != file.path || info.generation != file.generation || info.generation > generation {
                    let (file, found) = (file.path.clone(), info.generation);
                    return Err(Refused::OtherGeneration { file, found, opened: generation });
                }
                epochs.push(info.clone());
            }
            Err(reason) if sealed.is_some() => return Err(reason.clone()),
            Err(reason) => damaged.push(reason.clone()),
        }
    }
    for file in sealed.iter().flat_map(|seal| &seal.manifest.files).filter(|f| f.chunk.is_none()) {
        let path = scan.dir.join(&file.name);
        if !scan.epochs.iter().any(|epoch| epoch.path == path) {
            return Err(Refused::Missing { file: path, why: "the seal names it".to_owned() });
        }
    }
    if let Some(seal) = sealed {
        let named = |info: &EpochInfo| {
            let path = crate::layout::epoch(&scan.dir, info.generation, info.id.job, info.id.execution, info.id.epoch);
            seal.manifest.files.iter().any(|file| scan.dir.join(&file.name) == path)
        };
        epochs.retain(named);
    }
    epochs.sort_by_key(|info| info.id);
    Ok((epochs, damaged))
}

#[cfg(test)]
mod table;

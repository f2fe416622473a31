//! Looking at a directory: everything that [`crate::resolve`] needs to judge it, read without changing a byte.
//!
//! Must not know: what follows from it.

use crate::backup;
use crate::boot;
use crate::disk::Disk;
use crate::epoch::{self, EpochInfo};
use crate::failure::{On, StoreError};
use crate::founding::{self, Founded, Founding};
use crate::identity::{self, Identity};
use crate::layout::{self, Name};
use crate::log::chunk::{self, ChunkHeader, ChunkId};
use crate::opened::{self, Opened};
use crate::refusal::Refused;
use crate::seal::{self, SealSummary};
use std::io;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// A header longer than this is not ours.
const LONGEST_HEADER: usize = 8192;

/// A thing that was read or refused.
pub type Found<T> = Result<T, Refused>;

/// A chunk file as found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkFile {
    /// Place by its name.
    pub id: ChunkId,
    /// Its path.
    pub path: PathBuf,
    /// Its length.
    pub length: u64,
    /// Its header.
    pub header: Found<ChunkHeader>,
}

/// An epoch file as found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochFile {
    /// Its path.
    pub path: PathBuf,
    /// Generation by its directory.
    pub generation: u64,
    /// Founding id, member and index.
    pub head: Found<(Uuid, Uuid, EpochInfo)>,
}

/// Everything found in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// The directory.
    pub dir: PathBuf,
    /// Identity, if one is there.
    pub identity: Found<Option<Identity>>,
    /// Last boot number; 0: none.
    pub boot: Found<u64>,
    /// Promise to found.
    pub founding: Found<Option<Founding>>,
    /// Fact of founding.
    pub founded: Found<Option<Founded>>,
    /// Opened records with the generation of their name.
    pub opened: Vec<(u64, Found<Opened>)>,
    /// Seals with generation and number of their name.
    pub seals: Vec<(u64, u64, Found<SealSummary>)>,
    /// Chunks.
    pub chunks: Vec<ChunkFile>,
    /// Epochs.
    pub epochs: Vec<EpochFile>,
    /// The backup that the directory was made by, if it was.
    pub backup: Found<Option<backup::Seen>>,
    /// Names of data found (for a directory without identity).
    pub data_names: Vec<String>,
    /// Damaged copies whose twin is whole.
    pub healed: Vec<Refused>,
}

fn found<T>(result: Result<T, StoreError>) -> Result<Found<T>, StoreError> {
    match result {
        Ok(value) => Ok(Ok(value)),
        // Nobody judges what cannot be read for want of a key.
        Err(StoreError::Refused(reason)) if !matches!(reason, Refused::Locked { .. }) => Ok(Err(reason)),
        Err(error) => Err(error),
    }
}

/// Refuses a directory of which one file is encrypted with a key that is not given, before anything of it is judged: what
/// cannot be read for want of a key is not damaged, and nothing older is taken in its place.
fn unlock(disk: &dyn Disk, dir: &Path) -> Result<(), StoreError> {
    let data = layout::data(dir);
    let generations = disk.list(&data).on("list", &data)?;
    let is_generation = |name: &String| matches!(layout::parse(name), Name::Generation(_));
    let rooms = generations.iter().filter(|name| is_generation(name)).map(|name| data.join(name));
    for room in [dir.to_path_buf(), layout::raft(dir)].into_iter().chain(rooms) {
        for name in disk.list(&room).on("list", &room)? {
            let path = room.join(&name);
            if layout::parse(&name) == Name::Tmp || layout::shape_of(&path).is_none() {
                continue;
            }
            match disk.key_of(&path) {
                // A writer beside us is done with it, or it is no file.
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::IsADirectory) => {}
                key => drop(key.on("look at", &path)?),
            }
        }
    }
    Ok(())
}

/// Looks at `dir`.
pub fn scan(disk: &dyn Disk, dir: &Path) -> Result<Scan, StoreError> {
    unlock(disk, dir)?;
    let mut healed = Vec::new();
    let identity = found(identity::read(disk, dir))?.map(|pair| {
        healed.extend(pair.damaged);
        pair.newest.map(|(_, frame)| frame.body)
    });
    let boot = found(boot::read(disk, dir))?.map(|pair| {
        healed.extend(pair.damaged);
        pair.newest.map_or(0, |(boot, _)| boot)
    });
    let backup = match found(backup::read(disk, dir))? {
        Ok(pair) => {
            healed.extend(pair.damaged);
            let counted = *boot.as_ref().unwrap_or(&0);
            let seen = pair.newest.map(|(_, frame)| backup::look(disk, dir, frame.body, counted));
            seen.transpose().map(Ok)?
        }
        Err(refused) => Err(refused),
    };
    let mut scan = Scan {
        dir: dir.to_path_buf(),
        identity,
        boot,
        founding: found(founding::read_promise(disk, dir))?,
        founded: found(founding::read_fact(disk, dir))?,
        opened: Vec::new(),
        seals: Vec::new(),
        chunks: Vec::new(),
        epochs: Vec::new(),
        backup,
        data_names: Vec::new(),
        healed,
    };
    scan_top(disk, &mut scan)?;
    scan_data(disk, &mut scan)?;
    Ok(scan)
}

fn scan_top(disk: &dyn Disk, scan: &mut Scan) -> Result<(), StoreError> {
    let dir = scan.dir.clone();
    for name in disk.list(&dir).on("list", &dir)? {
        match layout::parse(&name) {
            Name::Opened(generation) => {
                scan.opened.push((generation, found(opened::read(disk, &dir, generation))?));
                scan.data_names.push(name);
            }
            Name::Seal { generation, number } => {
                scan.data_names.push(name);
                if scan.seals.last().is_some_and(|(g, n, _)| (*g, *n) == (generation, number)) {
                    continue;
                }
                let seal = found(seal::read(disk, &dir, generation, number))?.map(|(seal, damaged)| {
                    scan.healed.extend(damaged);
                    seal
                });
                scan.seals.push((generation, number, seal));
            }
            Name::Other
                if matches!(name.as_str(), "boot.a" | "boot.b" | "backup.a" | "backup.b" | "founding" | "founded") =>
            {
                scan.data_names.push(name)
            }
            _ => {}
        }
    }
    if !disk.list(&layout::raft(&dir)).on("list", &dir)?.is_empty() {
        scan.data_names.push("raft".to_owned());
    }
    Ok(())
}

fn scan_data(disk: &dyn Disk, scan: &mut Scan) -> Result<(), StoreError> {
    let data = layout::data(&scan.dir);
    for name in disk.list(&data).on("list", &data)? {
        let Name::Generation(generation) = layout::parse(&name) else { continue };
        let room = data.join(&name);
        for name in disk.list(&room).on("list", &room)? {
            let path = room.join(&name);
            let Some(length) = disk.length(&path).on("look at", &path)? else { continue };
            match layout::parse(&name) {
                Name::Chunk(number) => {
                    let start = disk.read_part(&path, 0, LONGEST_HEADER).on("read", &path)?;
                    let header = chunk::read_header(&start, &path).map(|(header, _)| header);
                    scan.chunks.push(ChunkFile { id: ChunkId { generation, number }, path, length, header });
                }
                Name::Epoch => {
                    let head = found(epoch::survey(disk, &path, length))?;
                    scan.epochs.push(EpochFile { path, generation, head });
                }
                _ => continue,
            }
            scan.data_names.push(name);
        }
    }
    scan.chunks.sort_by_key(|c| c.id);
    Ok(())
}

//! Making and proving a seal.
//!
//! The law: flush, fsync, everything read back (`proof`: of closed chunks long before), only then the manifest. A failed attempt leaves the store open in a new
//! file, with the half-made seal void; nothing is ever synced twice after a failure. Sealing deletes nothing.
//! Must not know: why the cluster stops.

use super::load::epoch_path;
use super::progress::{Doing, Underway};
use super::{Known, Phase, Store, locked};
use crate::disk::{BLOCK, zeroed};
use crate::failure::{On, StoreError};
use crate::layout;
use crate::log::appender::Appender;
use crate::log::chunk::{ChunkId, Extent};
use crate::log::plan::Plan;
use crate::log::queue::Closed;
use crate::log::record::{Space, Version};
use crate::refusal::Refused;
use crate::seal::{self, Manifest, SealRequest, SealSummary, SealedFile};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Files are hashed in pieces of this many bytes.
const READ_BYTES: usize = 4 << 20;

/// Refuses unless the digest of the file's sealed bytes is the recorded one.
pub(crate) fn compare_digest(path: &Path, sealed: &SealedFile, found: String) -> Result<(), Refused> {
    if found != sealed.digest {
        let (length, sealed) = (sealed.length, sealed.digest.clone());
        return Err(Refused::Digest { file: path.to_path_buf(), length, found, sealed });
    }
    Ok(())
}

/// Everything durable: what a manifest says of it.
struct Settled {
    chain: Vec<(ChunkId, u64)>,
    plan: Plan,
    spaces: Vec<Space>,
}

impl Store {
    /// Seals the current generation with exactly the content named. The store is read-only afterwards.
    pub fn seal(&self, request: SealRequest) -> Result<SealSummary, StoreError> {
        let mut known = locked(&self.known);
        if !matches!(known.phase, Phase::Open | Phase::Sealed) || request.generation != known.generation {
            let why = format!(
                "generation {} was asked for, the store is {:?} in {}",
                request.generation, known.phase, known.generation
            );
            return Err(StoreError::Misuse { call: "seal", why });
        }
        self.queue.set_closed(Some(Closed::Sealing));
        locked(&self.shelf).closed = true;
        let was_open = known.phase == Phase::Open;
        let number = known.seal_number;
        match self.seal_closed(&mut known, request) {
            Ok(seal) => {
                known.chain = sealed_chain(&self.dir, &seal);
                known.seal = Some(seal.clone());
                known.phase = Phase::Sealed;
                self.queue.set_closed(Some(Closed::Sealed));
                Ok(seal)
            }
            Err(error) => {
                if was_open {
                    self.go_on(&known, known.seal_number > number);
                } else {
                    self.queue.set_closed(Some(Closed::Sealed));
                }
                Err(error)
            }
        }
    }

    fn seal_closed(&self, known: &mut Known, request: SealRequest) -> Result<SealSummary, StoreError> {
        let origin = self.origin()?;
        let settled = self.settle(known, &request)?;
        let mut files = self.proved(&settled.chain, Some(Doing::ReadingBack))?;
        files.extend(self.digest_epochs()?);
        known.seal_number += 1;
        let mut partitions = request.partitions;
        partitions.sort_by_key(|content| content.partition);
        let manifest = Manifest {
            founding: origin.founding,
            incarnation: self.identity().incarnation,
            member: origin.member,
            generation: request.generation,
            number: known.seal_number,
            operation: request.operation,
            attempt: request.attempt,
            boot: self.boot,
            entries: partitions.iter().fold(0, |sum: u64, content| sum.saturating_add(content.entries)),
            bytes: files.iter().map(|file| file.length).sum(),
            files,
            partitions,
            plan: settled.plan,
            spaces: settled.spaces,
            machine_index: request.machine_index,
            machine_digest: blake3::hash(&request.machine).to_hex().to_string(),
            roster_digest: request.roster_digest,
        };
        // What could not be read back is not written.
        if let Some(why) = manifest.contradiction(&self.dir) {
            return Err(StoreError::Misuse { call: "seal", why });
        }
        seal::write(self.disk.as_ref(), &self.dir, &manifest, &request.machine)?;
        let digest = seal::digest_of(&manifest)?;
        Ok(SealSummary { manifest, machine: request.machine, digest })
    }

    /// Makes everything durable and compares it with the request.
    fn settle(&self, known: &Known, request: &SealRequest) -> Result<Settled, StoreError> {
        // Before the appender is ours: the writer's thread may have it, and flushes with it what is waited for here.
        let flushing = self.board.begin(Doing::Flushing, self.queue.health().waiting_bytes as u64);
        let mut guard = locked(&self.appender);
        let Some(appender) = guard.as_mut() else {
            return self.settled_earlier(known, request);
        };
        if known.phase == Phase::Open {
            self.queue.pump_to_end(appender)?;
            flushing.all();
            let mut behind = self.queue.health().lagging;
            behind.extend(appender.plan().pending());
            // What is no part of the content that is sealed may stay half written: nobody goes on from it.
            behind.retain(|partition| request.partitions.iter().any(|content| content.partition == *partition));
            behind.sort_unstable();
            behind.dedup();
            if !behind.is_empty() {
                return Err(StoreError::Behind { partitions: behind });
            }
        }
        if let Some(failure) = appender.failure() {
            return Err(failure.into());
        }
        compare_versions(request, appender.plan())?;
        let spaces = appender.spaces().values().cloned().collect();
        Ok(Settled { chain: appender.chain(), plan: appender.plan().clone(), spaces })
    }

    fn settled_earlier(&self, known: &Known, request: &SealRequest) -> Result<Settled, StoreError> {
        let Some(heritage) = &known.heritage else {
            return Err(StoreError::Misuse { call: "seal again", why: "the sealed content was not loaded".to_owned() });
        };
        compare_versions(request, &heritage.plan)?;
        let spaces = heritage.spaces.values().cloned().collect();
        Ok(Settled { chain: heritage.chain.clone(), plan: heritage.plan.clone(), spaces })
    }

    /// After a failed attempt: if a manifest was begun, a new file whose header voids whatever of it reached the disk.
    fn go_on(&self, known: &Known, manifest_begun: bool) {
        let mut guard = locked(&self.appender);
        let mut is_void = true;
        if let Some(appender) = guard.as_mut() {
            appender.set_after_seal(known.seal_number);
            if manifest_begun && let Err(error) = appender.begin(known.generation) {
                tracing::warn!(%error, "the log could not go on after a failed seal; it waits for a retry");
                is_void = false;
            }
            self.queue.refresh(appender);
        }
        drop(guard);
        // What the half-made seal names stays as it is until a file says that it is void.
        locked(&self.shelf).closed = !is_void;
        self.queue.set_closed(None);
    }

    fn digest_epochs(&self) -> Result<Vec<SealedFile>, StoreError> {
        let epochs = self.epochs();
        let far = self.board.begin(Doing::Hashing, epochs.iter().map(|info| info.length).sum());
        epochs.iter().map(|info| self.digest_file(&epoch_path(&self.dir, info), info.length, &far)).collect()
    }

    fn digest_file(&self, path: &Path, length: u64, far: &Underway<'_>) -> Result<SealedFile, StoreError> {
        let name = path.strip_prefix(&self.dir).unwrap_or(path).to_string_lossy().into_owned();
        let found = self.disk.length(path).on("look at", path)?.unwrap_or(0);
        if found != length {
            let why = "its own index".to_owned();
            return Err(Refused::Length { file: path.to_path_buf(), found, recorded: length, why }.into());
        }
        Ok(SealedFile { name, length, digest: self.hash_file(path, length, far)?, chunk: None })
    }

    fn hash_file(&self, path: &Path, length: u64, far: &Underway<'_>) -> Result<String, StoreError> {
        let (mut hasher, mut at) = (blake3::Hasher::new(), 0);
        let mut part = zeroed((length as usize).next_multiple_of(BLOCK).min(READ_BYTES));
        while at < length {
            let read = self.disk.read_into(path, at, &mut part).on("read", path)?;
            let wanted = (length - at).min(read as u64);
            if wanted == 0 {
                break;
            }
            hasher.update(&part[..wanted as usize]);
            at += wanted;
            far.done(wanted);
        }
        Ok(hasher.finalize().to_hex().to_string())
    }

    pub(super) fn verify_file(&self, sealed: &SealedFile, far: &Underway<'_>) -> Result<(), StoreError> {
        let path = self.dir.join(&sealed.name);
        let found = self.disk.length(&path).on("look at", &path)?.unwrap_or(0);
        if found < sealed.length {
            let (recorded, why) = (sealed.length, "the seal".to_owned());
            return Err(Refused::Length { file: path, found, recorded, why }.into());
        }
        Ok(compare_digest(&path, sealed, self.hash_file(&path, sealed.length, far)?)?)
    }

    /// Reads every sealed file from the disk and compares it with the seal.
    pub fn verify_seal(&self) -> Result<SealSummary, StoreError> {
        let known = locked(&self.known);
        let Some(seal) = &known.seal else {
            return Err(StoreError::Misuse { call: "verify the seal", why: format!("the store is {:?}", known.phase) });
        };
        self.verify_files(seal)?;
        let (number, generation) = (seal.manifest.number, seal.manifest.generation);
        let (read, _) = seal::read(self.disk.as_ref(), &self.dir, generation, number)?;
        if read.digest != seal.digest {
            let (file, why) = (layout::seal(&self.dir, generation, number), "the manifest changed".to_owned());
            return Err(Refused::Inconsistent { file, why }.into());
        }
        Ok(read)
    }

    /// Compares every file of the last seal with it, also where a generation was opened over it: what was written since
    /// then lies behind what was sealed.
    pub fn verify_last_seal(&self) -> Result<(), StoreError> {
        let known = locked(&self.known);
        let Some(seal) = known.seal.as_ref().or(known.last_seal.as_ref()) else {
            return Err(StoreError::Misuse { call: "verify the last seal", why: "there is none".to_owned() });
        };
        self.verify_files(seal)
    }

    fn verify_files(&self, seal: &SealSummary) -> Result<(), StoreError> {
        let far = self.board.begin(Doing::Hashing, sealed_bytes(seal));
        seal.manifest.files.iter().try_for_each(|file| self.verify_file(file, &far))
    }

    /// Removes what neither the current content nor the last seal needs. Failures cost only room.
    pub(super) fn clean_up(&self, known: &Known) {
        let Some(seal) = &known.last_seal else { return };
        let needed: Vec<PathBuf> = seal.manifest.files.iter().map(|f| self.dir.join(&f.name)).collect();
        if let Err(error) = self.remove_superseded(seal, &needed) {
            tracing::warn!(%error, "old files could not be removed; they only cost room");
        }
    }

    fn remove_superseded(&self, seal: &SealSummary, needed: &[PathBuf]) -> Result<(), StoreError> {
        for name in self.disk.list(&self.dir).on("list", &self.dir)? {
            let old = match layout::parse(&name) {
                layout::Name::Seal { number, .. } => number < seal.manifest.number,
                layout::Name::Opened(generation) => generation < seal.manifest.generation,
                layout::Name::Tmp => true,
                _ => false,
            };
            if old {
                self.disk.remove(&self.dir.join(&name)).on("remove", &self.dir.join(&name))?;
            }
        }
        let in_use = |appender: &Appender| -> Vec<ChunkId> {
            appender.chain().into_iter().map(|c| c.0).chain(appender.held().iter().copied()).collect()
        };
        let chain = locked(&self.appender).as_ref().map(in_use).unwrap_or_default();
        let data = layout::data(&self.dir);
        for generation in self.disk.list(&data).on("list", &data)? {
            let layout::Name::Generation(number) = layout::parse(&generation) else { continue };
            let room = data.join(&generation);
            for name in self.disk.list(&room).on("list", &room)? {
                let path = room.join(&name);
                let dead = match layout::parse(&name) {
                    layout::Name::Retired => true,
                    layout::Name::Chunk(n) => {
                        !chain.contains(&ChunkId { generation: number, number: n }) && !needed.contains(&path)
                    }
                    _ => false,
                };
                if dead {
                    self.disk.remove(&path).on("remove", &path)?;
                }
            }
        }
        Ok(())
    }
}

/// Bytes of all files that a seal names.
pub(super) fn sealed_bytes(seal: &SealSummary) -> u64 {
    seal.manifest.files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.length))
}

fn sealed_chain(dir: &Path, seal: &SealSummary) -> Vec<(ChunkId, PathBuf, Extent)> {
    let chunks = seal.manifest.files.iter().filter_map(|file| Some((file.chunk?, file)));
    chunks.map(|(id, file)| (id, dir.join(&file.name), Extent::Exactly(file.length))).collect()
}

fn compare_versions(request: &SealRequest, plan: &Plan) -> Result<(), StoreError> {
    let held: BTreeMap<u16, Version> = plan.tracks().filter(|(_, t)| t.held).map(|(p, t)| (p, t.version)).collect();
    for content in &request.partitions {
        let found = held.get(&content.partition);
        if found != Some(&content.version) {
            let why = format!(
                "partition {} is at {found:?} on the disk, the request says {:?}",
                content.partition, content.version
            );
            return Err(StoreError::Misuse { call: "seal", why });
        }
    }
    Ok(())
}

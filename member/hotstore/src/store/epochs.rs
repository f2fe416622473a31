//! Snapshot epochs of the store: writing, listing, reading, dropping.
//!
//! The law: the newest finished epoch of a job is dropped only with the job; what the seal of the generation before names
//! is retired, not removed; one of this generation is void as soon as its store is open again.
//! Must not know: which epoch was committed.

use std::path::{Path, PathBuf};
use std::sync::MutexGuard;

use super::load::epoch_path;
use super::{Known, Phase, Store, locked};
use crate::epoch::{EpochId, EpochInfo, EpochReader, EpochWriter};
use crate::failure::{On, StoreError};
use crate::log::queue::Closed;

impl Store {
    /// Begins to write an epoch. Blocking I/O: use it from a thread that may wait. Not durable before `finish`.
    pub fn epoch_writer(&self, id: EpochId) -> Result<EpochWriter, StoreError> {
        if locked(&self.shelf).finished.contains_key(&id) {
            return Err(StoreError::Misuse { call: "write an epoch", why: format!("{id:?} is finished already") });
        }
        self.begin_epoch(id, "write an epoch")
    }

    /// Begins to write an epoch again that is finished here, because more belongs into it by now. What lies there counts
    /// until the new one is finished, which takes its place whole; [`Store::drop_replaced`] follows.
    pub fn epoch_writer_again(&self, id: EpochId) -> Result<EpochWriter, StoreError> {
        self.begin_epoch(id, "write an epoch again")
    }

    fn begin_epoch(&self, id: EpochId, call: &'static str) -> Result<EpochWriter, StoreError> {
        let generation = {
            let known = locked(&self.known);
            if known.phase != Phase::Open {
                return Err(StoreError::Misuse { call, why: format!("the store is {:?}", known.phase) });
            }
            known.generation
        };
        EpochWriter::begin(
            self.disk.clone(),
            &self.dir,
            self.origin()?,
            generation,
            id,
            self.shelf.clone(),
            self.still.clone(),
        )
    }

    /// All finished epochs, in order of job, execution, epoch.
    pub fn epochs(&self) -> Vec<EpochInfo> {
        locked(&self.shelf).finished.values().cloned().collect()
    }

    /// Reads a finished epoch part by part; each part is verified, the whole at the end.
    pub fn read_epoch(&self, id: EpochId) -> Result<EpochReader, StoreError> {
        let info = locked(&self.shelf).finished.get(&id).cloned();
        match info {
            Some(info) => EpochReader::open(self.disk.clone(), epoch_path(&self.dir, &info), &info),
            None => Err(StoreError::Misuse { call: "read an epoch", why: format!("{id:?} is not here") }),
        }
    }

    /// Drops an epoch for which a newer one of the same job is finished here. The caller says that the newer one is durable everywhere.
    pub fn drop_epoch(&self, id: EpochId) -> Result<(), StoreError> {
        let newest = self.epochs().into_iter().filter(|info| info.id.job == id.job).map(|info| info.id).max();
        if newest == Some(id) {
            return Err(StoreError::Misuse { call: "drop an epoch", why: format!("{id:?} is the newest of its job") });
        }
        self.retire(id)
    }

    /// Drops every epoch of a job that is gone for good.
    pub fn drop_job(&self, job: u64) -> Result<(), StoreError> {
        for info in self.epochs().into_iter().filter(|info| info.id.job == job) {
            self.retire(info.id)?;
        }
        Ok(())
    }

    /// Drops the file of an epoch that was written again in another generation. A crash before leaves both: either one is
    /// the epoch.
    pub fn drop_replaced(&self, old: &EpochInfo) -> Result<(), StoreError> {
        let known = self.open_to_drop()?;
        let _changes = self.still.change();
        let shelf = locked(&self.shelf);
        match shelf.finished.get(&old.id).is_some_and(|info| info.generation != old.generation) {
            true => {
                let room = self.remove(&known, old)?;
                self.disk.sync_dir(&room).on("fsync the directory", &room)
            }
            false => Ok(()),
        }
    }

    fn retire(&self, id: EpochId) -> Result<(), StoreError> {
        let known = self.open_to_drop()?;
        let _changes = self.still.change();
        let mut shelf = locked(&self.shelf);
        let Some(info) = shelf.finished.get(&id).cloned() else { return Ok(()) };
        let room = self.remove(&known, &info)?;
        // It has lost its name, whatever becomes of the directory.
        shelf.finished.remove(&id);
        self.disk.sync_dir(&room).on("fsync the directory", &room)
    }

    fn open_to_drop(&self) -> Result<MutexGuard<'_, Known>, StoreError> {
        let known = locked(&self.known);
        match known.phase {
            // A seal that failed half way and is not known to be void names what lies here.
            Phase::Open if locked(&self.shelf).closed => {
                Err(StoreError::Closed { call: "drop an epoch", why: Closed::Sealing })
            }
            Phase::Open => Ok(known),
            phase => Err(StoreError::Misuse { call: "drop an epoch", why: format!("the store is {phase:?}") }),
        }
    }

    fn is_named(&self, known: &Known, path: &Path) -> bool {
        let counts = known.last_seal.iter().filter(|seal| seal.manifest.generation < known.generation);
        counts.flat_map(|seal| &seal.manifest.files).any(|f| self.dir.join(&f.name) == path)
    }

    /// Takes its name; gives the directory that is to be fsynced.
    fn remove(&self, known: &Known, info: &EpochInfo) -> Result<PathBuf, StoreError> {
        let path = epoch_path(&self.dir, info);
        match path.file_name().filter(|_| self.is_named(known, &path)) {
            Some(name) => {
                let retired = path.with_file_name(format!("retired-{}", name.to_string_lossy()));
                self.disk.rename(&path, &retired).on("retire", &path)?;
            }
            None => self.disk.remove(&path).on("remove", &path)?,
        }
        Ok(path.parent().unwrap_or(&self.dir).to_owned())
    }
}

//! Snapshot epochs of the store: writing, listing, reading, dropping.
//!
//! The law: the newest finished epoch of a job is dropped only with the job; what the last seal names is retired, not removed.
//! Must not know: which epoch was committed.

use super::load::epoch_path;
use super::{Phase, Store, locked};
use crate::epoch::{EpochId, EpochInfo, EpochReader, EpochWriter};
use crate::failure::{On, StoreError};

impl Store {
    /// Begins to write an epoch. Blocking I/O: use it from a thread that may wait. Not durable before `finish`.
    pub fn epoch_writer(&self, id: EpochId) -> Result<EpochWriter, StoreError> {
        let generation = {
            let known = locked(&self.known);
            if known.phase != Phase::Open {
                return Err(StoreError::Misuse {
                    call: "write an epoch",
                    why: format!("the store is {:?}", known.phase),
                });
            }
            known.generation
        };
        if locked(&self.shelf).finished.contains_key(&id) {
            return Err(StoreError::Misuse { call: "write an epoch", why: format!("{id:?} is finished already") });
        }
        EpochWriter::begin(self.disk.clone(), &self.dir, self.origin()?, generation, id, self.shelf.clone())
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

    fn retire(&self, id: EpochId) -> Result<(), StoreError> {
        let known = locked(&self.known);
        if known.phase != Phase::Open {
            return Err(StoreError::Misuse { call: "drop an epoch", why: format!("the store is {:?}", known.phase) });
        }
        let mut shelf = locked(&self.shelf);
        let Some(info) = shelf.finished.get(&id) else { return Ok(()) };
        let path = epoch_path(&self.dir, info);
        let sealed =
            known.last_seal.iter().flat_map(|seal| &seal.manifest.files).any(|f| self.dir.join(&f.name) == path);
        match path.file_name().filter(|_| sealed) {
            Some(name) => {
                let retired = path.with_file_name(format!("retired-{}", name.to_string_lossy()));
                self.disk.rename(&path, &retired).on("retire", &path)?;
            }
            None => self.disk.remove(&path).on("remove", &path)?,
        }
        shelf.finished.remove(&id);
        let room = path.parent().unwrap_or(&self.dir);
        self.disk.sync_dir(room).on("fsync the directory", room)
    }
}

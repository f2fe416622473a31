//! The backups beside a store: what is there, and taking one away.
//!
//! The law: what has no manifest, or was opened as a store since it was made, is never removed; a name goes first and is gone
//! durably before the first file goes. Must not know: how a backup is made.

use super::{BackupError, check};
use crate::backup::{self, BackupTold, Is};
use crate::boot;
use crate::disk::Disk;
use crate::failure::{On, StoreError};
use crate::layout;
use crate::store::Store;
use crate::store::usage::DEEPEST;
use std::path::Path;

/// The backups in `dir`, in order of the names. Reads manifests only.
pub(crate) fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<BackupTold>, StoreError> {
    let (room, mut told) = (layout::backups(dir), Vec::new());
    for name in disk.list(&room).on("list", &room)? {
        let path = room.join(&name);
        if disk.length(&path).on("look at", &path)?.is_none() {
            told.push(tell(disk, &path, name)?);
        }
    }
    Ok(told)
}

fn tell(disk: &dyn Disk, path: &Path, name: String) -> Result<BackupTold, StoreError> {
    if layout::is_unfinished_backup(path) {
        return Ok(BackupTold { name, is: Is::Unfinished, manifest: None });
    }
    let refused = |name, error: StoreError| match error {
        StoreError::Refused(why) => Ok(BackupTold { name, is: Is::Refused { why: why.to_string() }, manifest: None }),
        error => Err(error),
    };
    let manifest = match backup::read(disk, path) {
        Ok(pair) => pair.newest.map(|(_, frame)| frame.body),
        Err(error) => return refused(name, error),
    };
    let counted = match boot::read(disk, path) {
        Ok(pair) => pair.newest.map_or(0, |(boot, _)| boot),
        Err(error) => return refused(name, error),
    };
    let is = match &manifest {
        None => Is::Refused { why: "it has no manifest".to_owned() },
        Some(manifest) if manifest.boot == counted => Is::Untouched,
        Some(_) => Is::OpenedSince,
    };
    Ok(BackupTold { name, is, manifest })
}

impl Store {
    /// The backups beside this store, unfinished ones too.
    pub fn backups(&self) -> Result<Vec<BackupTold>, StoreError> {
        list(self.disk.as_ref(), self.backups_in())
    }

    /// Removes a backup; what only it held is free afterwards. If it is interrupted, the next backup or start finishes it.
    pub fn remove_backup(&self, name: &str) -> Result<(), BackupError> {
        check(name)?;
        let _alone = self.alone()?;
        let room = layout::backups(self.backups_in());
        let (dir, tmp) = (room.join(name), room.join(format!("{name}.tmp")));
        sweep(self.disk.as_ref(), self.backups_in())?;
        if !self.disk.list(&room).on("list", &room)?.iter().any(|other| other == name) {
            return Err(BackupError::NotThere { dir });
        }
        match tell(self.disk.as_ref(), &dir, name.to_owned())?.is {
            Is::Untouched => {}
            Is::Refused { why } => return Err(BackupError::NotABackup { dir, why }),
            Is::OpenedSince | Is::Unfinished => {
                let why = "it was opened as a store since it was made, and may hold what nobody else has".to_owned();
                return Err(BackupError::NotABackup { dir, why });
            }
        }
        self.disk.rename(&dir, &tmp).on("rename", &dir)?;
        Ok(sweep(self.disk.as_ref(), self.backups_in())?)
    }

    /// At a start: what an interrupted backup left holds room that nobody needs. A failure costs only that.
    pub(in crate::store) fn sweep_backups(&self) {
        let Ok(_alone) = self.alone() else { return };
        if let Err(error) = sweep(self.disk.as_ref(), self.backups_in()) {
            tracing::warn!(%error, "an unfinished backup could not be removed; it only costs room");
        }
    }
}

/// Removes everything unfinished. What lost its name has lost it durably before the first of its files goes.
pub(super) fn sweep(disk: &dyn Disk, dir: &Path) -> Result<(), StoreError> {
    let room = layout::backups(dir);
    let names = disk.list(&room).on("list", &room)?;
    let unfinished: Vec<_> =
        names.iter().map(|name| room.join(name)).filter(|path| layout::is_unfinished_backup(path)).collect();
    if unfinished.is_empty() {
        return Ok(());
    }
    disk.sync_dir(&room).on("fsync the directory", &room)?;
    unfinished.iter().try_for_each(|path| remove_tree(disk, path, DEEPEST))?;
    disk.sync_dir(&room).on("fsync the directory", &room)
}

/// Removes what a failed backup left. A failure costs only room, until the next one.
pub(super) fn discard(disk: &dyn Disk, dir: &Path) {
    if let Err(error) = sweep(disk, dir) {
        tracing::warn!(%error, "a failed backup could not be removed; it only costs room");
    }
}

fn remove_tree(disk: &dyn Disk, dir: &Path, depth: usize) -> Result<(), StoreError> {
    let mut names = disk.list(dir).on("list", dir)?;
    // Without it nobody takes the rest for a store.
    names.sort_by_key(|name| !name.starts_with("identity"));
    for name in names {
        let path = dir.join(name);
        match disk.length(&path).on("look at", &path)? {
            Some(_) => disk.remove(&path).on("remove", &path)?,
            None if depth > 0 => remove_tree(disk, &path, depth - 1)?,
            None => {}
        }
    }
    disk.remove_dir(dir).on("remove", dir)
}

//! Who holds the store: a lock of the OS and a nonce that can be read again past the page cache.
//!
//! The law: two processes never write one directory, nor a store and a backup of it that was opened where it was made; a
//! member whose volume was taken over can find out before it votes.
//! Must not know: votes.

use crate::disk::{Disk, LockGuard};
use crate::failure::{On, StoreError};
use crate::frame;
use crate::layout;
use crate::refusal::Refused;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

fn lock(disk: &dyn Disk, dir: &Path) -> Result<LockGuard, StoreError> {
    let lock = layout::lock(dir);
    let guard = disk.lock(&lock).on("lock", &lock)?;
    guard.ok_or_else(|| Refused::InUse { dir: dir.to_path_buf() }.into())
}

/// The store among whose backups `dir` lies: both are the same member.
fn origin(disk: &dyn Disk, dir: &Path) -> Result<Option<PathBuf>, StoreError> {
    let Some(room) = dir.parent().filter(|room| room.ends_with(layout::BACKUPS)) else { return Ok(None) };
    let Some(origin) = room.parent() else { return Ok(None) };
    for copy in frame::copies(&layout::identity(origin)) {
        if disk.length(&copy).on("look at", &copy)?.is_some() {
            return Ok(Some(origin.to_path_buf()));
        }
    }
    Ok(None)
}

/// The held store.
pub struct Owner {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    nonce: Uuid,
    _guards: Vec<LockGuard>,
}

impl Owner {
    /// Takes the lock; refuses if somebody has it.
    pub fn take(disk: Arc<dyn Disk>, dir: &Path) -> Result<Owner, StoreError> {
        let mut guards = vec![lock(disk.as_ref(), dir)?];
        if let Some(origin) = origin(disk.as_ref(), dir)? {
            guards.push(lock(disk.as_ref(), &origin)?);
        }
        let nonce = disk.fresh();
        Ok(Owner { disk, dir: dir.to_path_buf(), nonce, _guards: guards })
    }

    /// Writes the nonce, durably.
    pub fn sign(&self) -> Result<(), StoreError> {
        frame::save(self.disk.as_ref(), &layout::owner(&self.dir), self.nonce.as_bytes())
    }

    /// Whether the nonce on the volume is still ours, read past the page cache.
    pub fn still_me(&self) -> Result<bool, StoreError> {
        let path = layout::owner(&self.dir);
        let found = self.disk.read_past_cache(&path).on("read", &path)?;
        Ok(found.as_deref() == Some(self.nonce.as_bytes().as_slice()))
    }
}

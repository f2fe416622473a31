//! Who holds the store: a lock of the OS and a nonce that can be read again past the page cache.
//!
//! The law: two processes never write one directory; a member whose volume was taken over can find out before it votes.
//! Must not know: votes.

use crate::disk::{Disk, LockGuard};
use crate::failure::{On, StoreError};
use crate::frame;
use crate::layout;
use crate::refusal::Refused;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

/// The held store.
pub struct Owner {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    nonce: Uuid,
    _guard: LockGuard,
}

impl Owner {
    /// Takes the lock; refuses if somebody has it.
    pub fn take(disk: Arc<dyn Disk>, dir: &Path) -> Result<Owner, StoreError> {
        let lock = layout::lock(dir);
        let Some(guard) = disk.lock(&lock).on("lock", &lock)? else {
            return Err(Refused::InUse { dir: dir.to_path_buf() }.into());
        };
        Ok(Owner { disk, dir: dir.to_path_buf(), nonce: Uuid::new_v4(), _guard: guard })
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

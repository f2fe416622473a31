//! Another door before a door: what tells anything is encrypted on its way to the disk, and decrypted on its way back.
//!
//! The law: of the files that the caller names, no byte of content reaches the disk in the clear, and nothing is ever encrypted
//! twice under the same key and nonce: each file has a key of its own, made of a mounted key and of a random salt, each block
//! of it is written once, and a file whose write failed is never written again. What does not decrypt reads as zeros, as a
//! block that never reached the disk would: whoever reads judges it by his own checksums, lengths and digests, in the clear
//! and in cipher alike. A key that is missing or another is an error of its own ([`Locked`]) and never looks like damage.
//! The contract of [`Disk`] holds as of the door behind. Who takes a file away, or puts an old one in its place, is not
//! seen here. Must not know: what the bytes mean, and which file is for what.
//!
//! Contents: here the door · [`keys`] the mounted keys · [`head`] what a file says of its key · `blocks` files that are read
//! anywhere · `grains` files that are appended to and read whole.

mod blocks;
mod grains;
pub mod head;
pub mod keys;

use super::{AppendFile, BLOCK, Disk, DiskFile, LockGuard, zeroed};
use blocks::{Blocks, Whole};
use grains::Grains;
use head::{FileKey, Head};
use keys::Keys;
use std::io;
use std::path::Path;
use std::sync::Arc;
use thiserror::Error;
use uuid::Uuid;

/// How a file is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Shape {
    /// Blocks of one length: read anywhere, written in order, once, up to its sync.
    Blocks = 1,
    /// What each write gave: written in order and synced at any time, read whole.
    Grains = 2,
}

/// Which files are encrypted, by their path; `None`: in the clear.
pub type ShapeOf = fn(&Path) -> Option<Shape>;

/// Why a file cannot be read with these keys.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Locked {
    /// Nobody gave this key.
    #[error("encrypted with key '{key}', which is not among the keys given ({known})")]
    NoKey {
        /// Its name.
        key: String,
        /// Names of those that were given, in words.
        known: String,
    },
    /// A key of this name was given, and it is another one.
    #[error("encrypted with a key that was named '{key}' then and is another one than the '{key}' given now")]
    OtherKey {
        /// Its name.
        key: String,
    },
    /// A newer version wrote it.
    #[error("encrypted in format {found}, this program knows up to {known}")]
    Newer {
        /// Format in the file.
        found: u32,
        /// Newest known.
        known: u32,
    },
}

impl From<Locked> for io::Error {
    fn from(locked: Locked) -> Self {
        io::Error::new(io::ErrorKind::PermissionDenied, locked)
    }
}

/// The door.
#[derive(Clone)]
pub struct EncryptedDisk {
    behind: Arc<dyn Disk>,
    keys: Arc<Keys>,
    shape_of: ShapeOf,
}

impl EncryptedDisk {
    /// New files are encrypted with the current key, if there is one; older ones are read with any.
    pub fn new(behind: Arc<dyn Disk>, keys: Arc<Keys>, shape_of: ShapeOf) -> Self {
        Self { behind, keys, shape_of }
    }

    /// Head and key of a file; `None`: it is in the clear, or its head is damaged and speaks of nothing.
    fn unlock(&self, path: &Path) -> io::Result<Option<(Head, FileKey)>> {
        head::unlock(&self.behind.read_part(path, 0, BLOCK)?, &self.keys)
    }

    /// The same, asked from the device: without its head a file is lost, and whoever reads from its begin proves it.
    fn unlock_on_device(&self, path: &Path) -> io::Result<Option<(Head, FileKey)>> {
        let mut head = zeroed(BLOCK);
        let read = self.behind.read_into(path, 0, &mut head)?;
        head::unlock(&head[..read], &self.keys)
    }

    fn in_the_clear(&self, raw: Vec<u8>) -> io::Result<Vec<u8>> {
        match head::unlock(&raw, &self.keys)? {
            None => Ok(raw),
            Some((Head { shape: Shape::Blocks, .. }, key)) => Ok(blocks::read_all(&key, raw)),
            Some((Head { shape: Shape::Grains, .. }, key)) => Ok(grains::read_all(&key, &raw)),
        }
    }
}

/// The name of the key that a file which begins so is encrypted with, whoever has it; `None`: none.
pub(super) fn key_named(begin: &[u8]) -> io::Result<Option<String>> {
    Ok(head::told(begin)?.map(|head| head.key))
}

/// The same. An error if it is not among these.
pub(super) fn key_in(begin: &[u8], keys: &Keys) -> io::Result<Option<String>> {
    Ok(head::unlock(begin, keys)?.map(|(head, _)| head.key))
}

pub(super) fn misuse(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("an encrypted file is {what}"))
}

/// Counts a write as failed until whoever makes it takes that back at its end: what comes of one that failed is not known, and
/// its numbers may be used.
fn not_failed_before(failed: &mut bool) -> io::Result<()> {
    match std::mem::replace(failed, true) {
        true => Err(io::Error::other("a former write to this file failed")),
        false => Ok(()),
    }
}

impl Disk for EncryptedDisk {
    fn fresh(&self) -> Uuid {
        self.behind.fresh()
    }

    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        self.behind.make_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.behind.list(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let shape = (self.shape_of)(path);
        let Some((shape, fresh)) = shape.and_then(|shape| Some((shape, self.keys.fresh(shape)?))) else {
            return self.behind.create(path);
        };
        let ((head, key), file) = (fresh?, self.behind.create(path)?);
        Ok(match shape {
            Shape::Blocks => Box::new(Whole::begin(file, head, key)),
            Shape::Grains => Box::new(Grains::begin(file, head, key)),
        })
    }

    fn create_append(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        let fresh = (self.shape_of)(path).and_then(|_| self.keys.fresh(Shape::Blocks));
        let Some(fresh) = fresh else { return self.behind.create_append(path) };
        let (head, key) = fresh?;
        Ok(Box::new(Blocks::begin(self.behind.create_append(path)?, head, key)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        match self.unlock(path)? {
            None => self.behind.open(path),
            Some((Head { shape: Shape::Grains, .. }, key)) => {
                let raw = self.behind.read(path)?.ok_or(io::ErrorKind::NotFound)?;
                Ok(Box::new(Grains::go_on(self.behind.open(path)?, key, &raw)?))
            }
            Some(_) => Err(misuse("written once and not again in place")),
        }
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        self.behind.read(path)?.map(|raw| self.in_the_clear(raw)).transpose()
    }

    fn read_part(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        match self.unlock(path)? {
            None => self.behind.read_part(path, offset, length),
            Some((Head { shape: Shape::Blocks, .. }, key)) => {
                blocks::read_part(self.behind.as_ref(), path, &key, offset, length)
            }
            Some(_) => {
                let whole = self.read(path)?.unwrap_or_default();
                let begin = usize::try_from(offset).unwrap_or(usize::MAX).min(whole.len());
                Ok(whole[begin..whole.len().min(begin.saturating_add(length))].to_vec())
            }
        }
    }

    fn read_into(&self, path: &Path, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let unlocked = if offset == 0 { self.unlock_on_device(path) } else { self.unlock(path) };
        match unlocked? {
            None => self.behind.read_into(path, offset, into),
            Some((Head { shape: Shape::Blocks, .. }, key)) => {
                blocks::read_into(self.behind.as_ref(), path, &key, offset, into)
            }
            Some(_) => {
                let part = self.read_part(path, offset, into.len())?;
                into[..part.len()].copy_from_slice(&part);
                Ok(part.len())
            }
        }
    }

    fn read_past_cache(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        self.behind.read_past_cache(path)?.map(|raw| self.in_the_clear(raw)).transpose()
    }

    fn length(&self, path: &Path) -> io::Result<Option<u64>> {
        let Some(found) = self.behind.length(path)? else { return Ok(None) };
        let begin = match self.behind.read_part(path, 0, BLOCK) {
            // Gone meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            begin => begin?,
        };
        Ok(match head::told(&begin)?.map(|head| head.shape) {
            None => Some(found),
            Some(Shape::Blocks) => Some(blocks::length(found)),
            Some(Shape::Grains) => self.behind.read(path)?.map(|raw| grains::length(&raw)),
        })
    }

    fn key_of(&self, path: &Path) -> io::Result<Option<String>> {
        Ok(self.unlock(path)?.map(|(head, _)| head.key))
    }

    fn key_named(&self, path: &Path) -> io::Result<Option<String>> {
        self.behind.key_named(path)
    }

    fn writes_with(&self) -> Option<&str> {
        self.keys.current()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.behind.rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.behind.link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.behind.remove(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.behind.remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.behind.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<LockGuard>> {
        self.behind.lock(path)
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        self.behind.is_locked(path)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.behind.free_bytes(dir)
    }

    fn volume_id(&self, dir: &Path) -> io::Result<String> {
        self.behind.volume_id(dir)
    }
}

#[cfg(test)]
mod tests;

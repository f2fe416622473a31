//! The only door to the file system: a small trait with a written durability contract, and the door of the OS.
//!
//! Contract that callers rely on, and that the simulated disk enforces at its weakest:
//! 1. Bytes written are durable only after `DiskFile::sync` of that file returned Ok. Before that, after a power loss
//!    any subset of the writes may be there, in part, in any order.
//! 2. A name (created, linked, renamed, removed) is durable only after `sync_dir` of its directory returned Ok. `rename` is
//!    atomic, of a directory with all below it. A linked name makes no byte durable: the file is as durable as it was.
//! 3. A `sync` that failed is final: what it covered may be gone although it reads back, and a later `sync` of the same
//!    file may say Ok without having written it. So nobody calls `sync` on that file again; retries go to new files.
//! 4. `create` makes a new file even if one of that name exists (the old one is unlinked, never truncated).
//! 5. `AppendFile::append` may come back before the batch is written. If that fails, a later call on this file says so, at
//!    the latest its sync; nothing is written behind it, and it is the last call that means anything. `sync` covers every batch before it.
//!
//! 6. Names of one file are equal: its bytes stay until the last one is removed, and what is written under one is read
//!    under all.
//!
//! Must not know: what the bytes mean. No file of this crate but `os` uses `std::fs`.

pub mod encrypted;
mod os;
pub mod simulated;

use aligned_vec::{AVec, ConstAlign};
use std::any::Any;
use std::io;
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

pub use encrypted::EncryptedDisk;
pub use os::OsDisk;

/// Bytes at an address that every block device takes as it is.
pub type Batch = AVec<u8, ConstAlign<BLOCK>>;
/// What a [`Batch`] is aligned to, and the largest [`AppendFile::alignment`].
pub const BLOCK: usize = 4096;

/// What keeps a directory locked; dropping it (or the end of the process) unlocks.
pub type LockGuard = Box<dyn Any + Send + Sync>;

/// An open file. Offsets and lengths in bytes.
pub trait DiskFile: Send {
    /// Writes all of `bytes` at `offset`. On error any part may have been written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes every former write durable. After an error: never again on this file.
    fn sync(&mut self) -> io::Result<()>;
}

/// An open file that only grows.
pub trait AppendFile: Send {
    /// Offsets and lengths of batches are multiples of this; at most [`BLOCK`].
    fn alignment(&self) -> usize;
    /// Takes a batch that begins at `offset`, the end of all before it. It is let go of when it is written, at the latest by
    /// the next sync.
    fn append(&mut self, offset: u64, batch: Arc<Batch>) -> io::Result<()>;
    /// Makes every batch before durable. After an error: never again on this file.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file system, as far as the store needs one.
pub trait Disk: Send + Sync {
    /// Makes a directory and its parents; no error if it is there.
    fn make_dir(&self, dir: &Path) -> io::Result<()>;
    /// Names in a directory, sorted; empty if the directory is not there.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// A new, empty file under this name; a former one of that name is unlinked.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// A new, empty file for much that is only appended, past the page cache where the file system can; a former one of that
    /// name is unlinked.
    fn create_append(&self, path: &Path) -> io::Result<Box<dyn AppendFile>>;
    /// An existing file, for writing in place.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Whole content of a file; `None` if it is not there.
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;
    /// Up to `length` bytes from `offset`; fewer at the end of the file.
    fn read_part(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>>;
    /// Reads into `into` from `offset` until it is full or the file ends; gives the bytes read. Past the page cache where the
    /// file system can, if `into` and `offset` are aligned to [`BLOCK`].
    fn read_into(&self, path: &Path, offset: u64, into: &mut [u8]) -> io::Result<usize>;
    /// Whole content, asked from the device and not from the page cache as far as the OS lets us.
    fn read_past_cache(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;
    /// Length of a file; `None` if there is no file of that name (a directory is not a file).
    fn length(&self, path: &Path) -> io::Result<Option<u64>>;
    /// The name of the key that a file is encrypted with; `None`: it is in the clear. An error ([`encrypted::Locked`]) if
    /// this door does not have that key.
    fn key_of(&self, path: &Path) -> io::Result<Option<String>> {
        encrypted::key_in(&self.read_part(path, 0, BLOCK)?, &encrypted::keys::Keys::default())
    }
    /// The same, whoever has that key.
    fn key_named(&self, path: &Path) -> io::Result<Option<String>> {
        encrypted::key_named(&self.read_part(path, 0, BLOCK)?)
    }
    /// The name of the key that new files are encrypted with; `None`: they are in the clear.
    fn writes_with(&self) -> Option<&str> {
        None
    }
    /// Atomic change of a name (file or directory).
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// A second name of a file. Refused with `CrossesDevices` where `to` lies on another file system, `TooManyLinks` where
    /// the file has all the names it can have, `AlreadyExists`, `StorageFull`; then nothing has changed.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Unlinks a file; no error if it is not there.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory; no error if it is not there.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;
    /// A number that nobody has yet.
    fn fresh(&self) -> Uuid {
        Uuid::new_v4()
    }
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes the lock on a file (made if absent); `None` if another process or store holds it.
    fn lock(&self, path: &Path) -> io::Result<Option<LockGuard>>;
    /// Whether somebody holds the lock on a file; takes nothing and makes nothing. As good as the OS can tell.
    fn is_locked(&self, path: &Path) -> io::Result<bool>;
    /// Bytes that an unprivileged writer can still use.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
    /// A name of the file system that holds `dir`, as good as the OS can tell.
    fn volume_id(&self, dir: &Path) -> io::Result<String>;
}

/// An empty batch with room for `bytes`.
pub(crate) fn batch(bytes: usize) -> Batch {
    Batch::with_capacity(BLOCK, bytes)
}

/// So many zeros, a multiple of [`BLOCK`].
pub(crate) fn zeroed(bytes: usize) -> Batch {
    let mut zeros = batch(bytes);
    while zeros.len() < bytes {
        zeros.extend_from_slice(&[0; BLOCK]);
    }
    zeros
}

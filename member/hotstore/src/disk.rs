//! The only door to the file system: a small trait with a written durability contract, and the door of the OS.
//!
//! Contract that callers rely on, and that the simulated disk enforces at its weakest:
//! 1. Bytes written are durable only after `DiskFile::sync` of that file returned Ok. Before that, after a power loss
//!    any subset of the writes may be there, in part, in any order.
//! 2. A name (created, renamed, removed) is durable only after `sync_dir` of its directory returned Ok. `rename` is atomic.
//! 3. A `sync` that failed is final: what it covered may be gone although it reads back, and a later `sync` of the same
//!    file may say Ok without having written it. So nobody calls `sync` on that file again; retries go to new files.
//! 4. `create` makes a new file even if one of that name exists (the old one is unlinked, never truncated).
//!
//! Must not know: what the bytes mean. No other file of this crate uses `std::fs`.

pub mod simulated;

use rustix::fs::{Advice, FlockOperation};
use std::any::Any;
use std::fs;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// What keeps a directory locked; dropping it (or the end of the process) unlocks.
pub type LockGuard = Box<dyn Any + Send + Sync>;

/// An open file. Offsets and lengths in bytes.
pub trait DiskFile: Send {
    /// Writes all of `bytes` at `offset`. On error any part may have been written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes every former write durable. After an error: never again on this file.
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
    /// An existing file, for writing in place.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Whole content of a file; `None` if it is not there.
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;
    /// Up to `length` bytes from `offset`; fewer at the end of the file.
    fn read_part(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>>;
    /// Whole content, asked from the device and not from the page cache as far as the OS lets us.
    fn read_past_cache(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;
    /// Length of a file; `None` if there is no file of that name (a directory is not a file).
    fn length(&self, path: &Path) -> io::Result<Option<u64>>;
    /// Atomic change of a name (file or directory).
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Unlinks a file; no error if it is not there.
    fn remove(&self, path: &Path) -> io::Result<()>;
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

/// The file system of the operating system.
#[derive(Debug, Default, Clone, Copy)]
pub struct OsDisk;

struct OsFile(fs::File);

impl DiskFile for OsFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}

fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_exactly(file: &fs::File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut done = 0;
    while done < length {
        match file.read_at(&mut bytes[done..], offset + done as u64)? {
            0 => break,
            n => done += n,
        }
    }
    bytes.truncate(done);
    Ok(bytes)
}

impl Disk for OsDisk {
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let Some(entries) = absent_is_none(fs::read_dir(dir))? else {
            return Ok(Vec::new());
        };
        let mut names = Vec::new();
        for entry in entries {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.remove(path)?;
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Box::new(OsFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OsFile(fs::OpenOptions::new().write(true).open(path)?)))
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        absent_is_none(fs::read(path))
    }

    fn read_part(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        read_exactly(&fs::File::open(path)?, offset, length)
    }

    fn read_past_cache(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = absent_is_none(fs::File::open(path))? else {
            return Ok(None);
        };
        rustix::fs::fadvise(&file, 0, None, Advice::DontNeed)?;
        let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        read_exactly(&file, 0, length).map(Some)
    }

    fn length(&self, path: &Path) -> io::Result<Option<u64>> {
        Ok(absent_is_none(fs::metadata(path))?.filter(fs::Metadata::is_file).map(|m| m.len()))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        absent_is_none(fs::remove_file(path)).map(|_| ())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Option<LockGuard>> {
        let file = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        let Some(meta) = absent_is_none(fs::metadata(path))? else { return Ok(false) };
        // To try the lock would keep a member out that starts in this moment.
        let (major, minor) = (rustix::fs::major(meta.dev()), rustix::fs::minor(meta.dev()));
        let name = format!("{major:02x}:{minor:02x}:{}", meta.ino());
        Ok(fs::read_to_string("/proc/locks")?.lines().any(|line| line.split_whitespace().any(|word| word == name)))
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn volume_id(&self, dir: &Path) -> io::Result<String> {
        Ok(format!("fs:{:016x}", rustix::fs::statvfs(dir)?.f_fsid))
    }
}

//! The file system of the operating system.
//!
//! The law: what is appended goes past the page cache, block by block, on a thread of its own; where a file system refuses
//! that, through the cache, and it is said once. Must not know: what the bytes mean.

mod append;

use super::{AppendFile, BLOCK, Disk, DiskFile, LockGuard};
use append::Appending;
use rustix::fs::{Advice, FlockOperation, OFlags};
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

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

const DIRECT: i32 = OFlags::DIRECT.bits().cast_signed();

/// A file system without direct access says so when a file is opened, or at the first access.
fn refuses_direct(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error())
}

fn say_that_it_is_buffered() {
    static SAID: std::sync::Once = std::sync::Once::new();
    SAID.call_once(|| {
        tracing::info!("the file system of the store takes no direct writes: they go through the page cache")
    });
}

/// A pipe under a name of ours would hold up whoever opens it, a device may never end.
const AT_ONCE: i32 = OFlags::NONBLOCK.bits().cast_signed();

fn open_to_read(path: &Path, flags: i32) -> io::Result<fs::File> {
    let file = fs::OpenOptions::new().read(true).custom_flags(flags | AT_ONCE).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

/// As many bytes as there are, up to all of `into`.
fn fill(file: &fs::File, offset: u64, into: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < into.len() {
        match file.read_at(&mut into[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// The same past the page cache. What a direct read leaves out although the file has it is read through the cache, which
/// says why; that it was short proves nothing.
fn fill_direct(file: &fs::File, path: &Path, offset: u64, into: &mut [u8]) -> io::Result<usize> {
    let room = file.metadata()?.len().saturating_sub(offset).min(into.len() as u64) as usize;
    let mut done = 0;
    while done < room && done.is_multiple_of(BLOCK) {
        match file.read_at(&mut into[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if refuses_direct(&error) => break,
            Err(error) => return Err(error),
        }
    }
    if done < room {
        done += fill_afresh(path, offset + done as u64, &mut into[done..room])?;
    }
    Ok(done)
}

/// Through the page cache, which forgets first what it knows.
fn fill_afresh(path: &Path, offset: u64, into: &mut [u8]) -> io::Result<usize> {
    let file = open_to_read(path, 0)?;
    rustix::fs::fadvise(&file, offset, std::num::NonZeroU64::new(into.len() as u64), Advice::DontNeed)?;
    fill(&file, offset, into)
}

fn read_exactly(file: &fs::File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let done = fill(file, offset, &mut bytes)?;
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

    fn create_append(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        self.remove(path)?;
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let file = match options.clone().custom_flags(DIRECT).open(path) {
            Ok(file) => file,
            Err(error) if refuses_direct(&error) => {
                say_that_it_is_buffered();
                // The name may have been made before the flag was refused.
                self.remove(path)?;
                options.open(path)?
            }
            Err(error) => return Err(error),
        };
        Ok(Box::new(Appending::begin(file)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OsFile(fs::OpenOptions::new().write(true).open(path)?)))
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let Some(mut file) = absent_is_none(open_to_read(path, 0))? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?)?;
        file.read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn read_part(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        read_exactly(&open_to_read(path, 0)?, offset, length)
    }

    fn read_into(&self, path: &Path, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let is_aligned = |n: u64| n.is_multiple_of(BLOCK as u64);
        let aligned = is_aligned(into.as_ptr().addr() as u64) && is_aligned(into.len() as u64) && is_aligned(offset);
        if aligned {
            match open_to_read(path, DIRECT) {
                Err(error) if refuses_direct(&error) => return fill_afresh(path, offset, into),
                file => return fill_direct(&file?, path, offset, into),
            }
        }
        fill(&open_to_read(path, 0)?, offset, into)
    }

    fn read_past_cache(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = absent_is_none(open_to_read(path, 0))? else {
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

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        absent_is_none(fs::remove_file(path)).map(|_| ())
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        absent_is_none(fs::remove_dir(dir)).map(|_| ())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Option<LockGuard>> {
        let file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(AT_ONCE)
            .open(path)?;
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

#[cfg(test)]
mod tests;

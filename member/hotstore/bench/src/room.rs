//! Directories to measure in: made fresh, on a device that is one, and removed; and what lies in them.
//!
//! The law: nothing is measured on a file system in RAM or on layers of a container; nothing is left behind.
//! Must not know: what is written there.

use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const TMPFS: u64 = 0x0102_1994;
const RAMFS: u64 = 0x8584_58f6;
const OVERLAY: u64 = 0x794c_7630;

/// The place all directories of a run are in.
pub struct Room {
    dir: PathBuf,
    made: u32,
}

/// A directory that goes away when it is let go.
pub struct Fresh(PathBuf);

impl Fresh {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{} stays: {error}", self.0.display());
        }
    }
}

impl Room {
    /// Refuses file systems on which a figure of a disk would be a lie, and a volume with too little room.
    pub fn on(dir: &Path, needed: u64) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
        let magic = rustix::fs::statfs(dir)?.f_type as u64;
        if [TMPFS, RAMFS, OVERLAY].contains(&magic) {
            bail!("{} is on a file system that is no disk (magic {magic:#x}): give --dir on a real one", dir.display());
        }
        let stat = rustix::fs::statvfs(dir)?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if free < needed {
            bail!("{} has {} MiB free, the run needs {} MiB", dir.display(), free >> 20, needed >> 20);
        }
        Ok(Room { dir: dir.to_path_buf(), made: 0 })
    }

    /// An empty directory.
    pub fn fresh(&mut self, name: &str) -> Result<Fresh> {
        self.made += 1;
        let dir = self.dir.join(format!("{}-{}-{name}", std::process::id(), self.made));
        fs::create_dir(&dir).with_context(|| format!("make {}", dir.display()))?;
        Ok(Fresh(dir))
    }
}

/// All files below, with their lengths.
pub fn files_below(dir: &Path) -> Result<Vec<(PathBuf, u64)>> {
    let (mut files, mut dirs) = (Vec::new(), vec![dir.to_path_buf()]);
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            // A file may go between the list and the look.
            let Ok(meta) = fs::symlink_metadata(&path) else { continue };
            if meta.is_dir() {
                dirs.push(path);
            } else if meta.is_file() {
                files.push((path, meta.len()));
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Room that the files below take from the device.
pub fn taken_below(dir: &Path) -> Result<u64> {
    let files = files_below(dir)?;
    Ok(files.iter().filter_map(|(path, _)| fs::metadata(path).ok()).map(|meta| meta.blocks() * 512).sum())
}

/// Makes the next read of what is below come from the device; gives the way.
pub fn drop_cache(dir: &Path) -> Result<&'static str> {
    rustix::fs::sync();
    if fs::write("/proc/sys/vm/drop_caches", "3").is_ok() {
        return Ok("drop_caches");
    }
    for (path, _) in files_below(dir)? {
        rustix::fs::fadvise(fs::File::open(&path)?, 0, None, rustix::fs::Advice::DontNeed)?;
    }
    Ok("fadvise")
}

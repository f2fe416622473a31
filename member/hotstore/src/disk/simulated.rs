//! A disk in RAM that keeps exactly the written contract of [`super::Disk`] and nothing more.
//!
//! It can cut the power at the n-th changing call, fail the n-th call with its worst effect, run full, freeze, and lie
//! about `sync`. [`SimulatedDisk::reboot`] then builds the disk as it may be found afterwards. Deterministic: no randomness.
//! Must not know: what the bytes mean.

use super::{Disk, DiskFile, LockGuard};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What goes wrong at a changing call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Power goes: a write is half done, every other call not at all; all later calls fail.
    PowerCut,
    /// This call fails with an I/O error and its worst effect; later calls work.
    /// A write is half done; what a sync covered never becomes durable, whatever later syncs say.
    FailCall,
}

/// What is found after a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aftermath {
    /// Everything written is there (a killed process, or caches that made it).
    Kept,
    /// Only what was synced, names and bytes.
    Lost,
    /// All names, but only synced bytes.
    NamesOnly,
    /// All names; of each file's unsynced writes the first ones and half of the last.
    Torn,
    /// All names; of each file's unsynced writes every second, the others zeros.
    Holes,
}

impl Aftermath {
    /// Every aftermath, for loops in tests.
    pub const ALL: [Aftermath; 5] =
        [Aftermath::Kept, Aftermath::Lost, Aftermath::NamesOnly, Aftermath::Torn, Aftermath::Holes];
}

#[derive(Debug, Default, Clone)]
struct Inode {
    now: Vec<u8>,
    synced: Vec<u8>,
    pending: Vec<(u64, Vec<u8>)>,
}

#[derive(Debug, Default, Clone)]
struct Tree {
    files: BTreeMap<PathBuf, usize>,
    dirs: BTreeSet<PathBuf>,
}

#[derive(Debug, Default)]
struct World {
    inodes: Vec<Inode>,
    now: Tree,
    durable: Tree,
    locks: BTreeSet<PathBuf>,
    calls: u64,
    fault: Option<(u64, Fault)>,
    off: bool,
    capacity: Option<u64>,
    lies_about_sync: bool,
    volume: String,
    trace: Vec<String>,
    ice: Arc<Ice>,
}

/// Whether the disk is frozen, and who waits for it.
#[derive(Debug, Default)]
struct Ice(Mutex<bool>, Condvar);

impl Ice {
    fn frozen(&self) -> MutexGuard<'_, bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self) {
        let thawed = self.1.wait_while(self.frozen(), |frozen| *frozen);
        drop(thawed.unwrap_or_else(PoisonError::into_inner));
    }
}

/// A disk in RAM; clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct SimulatedDisk(Arc<Mutex<World>>);

enum Turn {
    Go,
    FailAfterWorst,
}

fn put(bytes: &mut Vec<u8>, offset: u64, what: &[u8]) {
    let start = offset as usize;
    let end = start + what.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[start..end].copy_from_slice(what);
}

fn broken(what: &str) -> io::Error {
    io::Error::other(format!("simulated disk: {what}"))
}

fn parent(path: &Path) -> PathBuf {
    path.parent().map(Path::to_path_buf).unwrap_or_default()
}

impl World {
    fn turn(&mut self, call: &str, path: &Path) -> io::Result<Turn> {
        if self.off {
            return Err(broken("power is off"));
        }
        self.calls += 1;
        self.trace.push(format!("{call} {}", path.display()));
        match self.fault {
            Some((at, fault)) if at == self.calls => {
                self.off = fault == Fault::PowerCut;
                Ok(Turn::FailAfterWorst)
            }
            _ => Ok(Turn::Go),
        }
    }

    fn used(&self) -> u64 {
        self.now.files.values().map(|i| self.inodes[*i].now.len() as u64).sum()
    }

    fn named(&self, path: &Path) -> io::Result<usize> {
        self.now.files.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl SimulatedDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changing calls (create, write, sync, rename, remove, make_dir, sync_dir) so far.
    pub fn calls(&self) -> u64 {
        self.world().calls
    }

    /// The changing calls so far, one line each.
    pub fn trace(&self) -> Vec<String> {
        self.world().trace.clone()
    }

    /// Lets `fault` happen at changing call number `at`, counted from 1 over the life of this disk.
    pub fn fault_at(&self, at: u64, fault: Fault) {
        self.world().fault = Some((at, fault));
    }

    /// Writes beyond this many bytes in all files fail with `StorageFull`; `None`: no limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.world().capacity = bytes;
    }

    /// From now on every sync says Ok and does nothing (the disk that the contract forbids; proves a harness).
    pub fn lie_about_sync(&self) {
        self.world().lies_about_sync = true;
    }

    /// From now on every sync (of a file or a directory) waits, as on a disk that hangs.
    pub fn freeze(&self) {
        *self.world().ice.frozen() = true;
    }

    /// What waits goes on.
    pub fn thaw(&self) {
        let ice = self.world().ice.clone();
        *ice.frozen() = false;
        ice.1.notify_all();
    }

    fn wait_for_ice(&self) {
        let ice = self.world().ice.clone();
        ice.wait();
    }

    /// Changes the name that [`Disk::volume_id`] gives.
    pub fn set_volume(&self, name: &str) {
        self.world().volume = name.to_owned();
    }

    /// Turns the power off now.
    pub fn cut_power(&self) {
        self.world().off = true;
    }

    /// Whether the power is off.
    pub fn is_off(&self) -> bool {
        self.world().off
    }

    /// Changes one stored byte of a file (in all copies): rot.
    pub fn flip(&self, path: &Path, offset: u64, mask: u8) {
        let mut world = self.world();
        if let Ok(inode) = world.named(path) {
            let inode = &mut world.inodes[inode];
            for bytes in [&mut inode.now, &mut inode.synced] {
                if let Some(byte) = bytes.get_mut(offset as usize) {
                    *byte ^= mask;
                }
            }
        }
    }

    /// All files with their lengths.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let world = self.world();
        world.now.files.iter().map(|(p, i)| (p.clone(), world.inodes[*i].now.len() as u64)).collect()
    }

    /// Puts a file there, durable, past all faults (for building damaged stores in tests).
    pub fn plant(&self, path: &Path, bytes: &[u8]) {
        let mut world = self.world();
        let inode = world.inodes.len();
        world.inodes.push(Inode { now: bytes.to_vec(), synced: bytes.to_vec(), pending: Vec::new() });
        for dir in path.ancestors().skip(1) {
            world.now.dirs.insert(dir.to_path_buf());
            world.durable.dirs.insert(dir.to_path_buf());
        }
        world.now.files.insert(path.to_path_buf(), inode);
        world.durable.files.insert(path.to_path_buf(), inode);
    }

    /// A second disk with the same bytes, without locks and faults.
    pub fn copy(&self) -> SimulatedDisk {
        let world = self.world();
        SimulatedDisk(Arc::new(Mutex::new(World {
            inodes: world.inodes.clone(),
            now: world.now.clone(),
            durable: world.durable.clone(),
            volume: world.volume.clone(),
            ..World::default()
        })))
    }

    /// The disk as it may be found when the power is back.
    pub fn reboot(&self, aftermath: Aftermath) -> SimulatedDisk {
        let world = self.world();
        let tree = if aftermath == Aftermath::Lost { reachable(&world.durable) } else { world.now.clone() };
        let inodes = world.inodes.iter().map(|inode| survive(inode, aftermath)).collect();
        SimulatedDisk(Arc::new(Mutex::new(World {
            inodes,
            now: tree.clone(),
            durable: tree,
            volume: world.volume.clone(),
            ..World::default()
        })))
    }
}

fn reachable(tree: &Tree) -> Tree {
    let mut tree = tree.clone();
    let dirs = tree.dirs.clone();
    tree.files.retain(|path, _| path.ancestors().skip(1).all(|d| d.as_os_str().is_empty() || dirs.contains(d)));
    tree
}

fn survive(inode: &Inode, aftermath: Aftermath) -> Inode {
    let mut bytes = inode.synced.clone();
    let last = inode.pending.len().saturating_sub(1);
    match aftermath {
        Aftermath::Kept => bytes = inode.now.clone(),
        Aftermath::Lost | Aftermath::NamesOnly => {}
        Aftermath::Torn => {
            for (i, (offset, what)) in inode.pending.iter().enumerate() {
                let keep = if i == last { what.len() / 2 } else { what.len() };
                put(&mut bytes, *offset, &what[..keep]);
            }
        }
        Aftermath::Holes => {
            for (i, (offset, what)) in inode.pending.iter().enumerate() {
                if i % 2 == 1 {
                    put(&mut bytes, *offset, what);
                } else if bytes.len() < *offset as usize + what.len() {
                    bytes.resize(*offset as usize + what.len(), 0);
                }
            }
        }
    }
    Inode { now: bytes.clone(), synced: bytes, pending: Vec::new() }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    inode: usize,
    path: PathBuf,
}

impl DiskFile for SimulatedFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut world = self.disk.world();
        let turn = world.turn("write", &self.path)?;
        if let Some(capacity) = world.capacity {
            let grows = (offset + bytes.len() as u64).saturating_sub(world.inodes[self.inode].now.len() as u64);
            if world.used() + grows > capacity {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        let keep = if matches!(turn, Turn::Go) { bytes.len() } else { bytes.len() / 2 };
        let inode = &mut world.inodes[self.inode];
        put(&mut inode.now, offset, &bytes[..keep]);
        inode.pending.push((offset, bytes[..keep].to_vec()));
        if keep == bytes.len() && matches!(turn, Turn::Go) { Ok(()) } else { Err(broken("write failed")) }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.wait_for_ice();
        let mut world = self.disk.world();
        let turn = world.turn("sync", &self.path)?;
        let (off, lies) = (world.off, world.lies_about_sync);
        let inode = &mut world.inodes[self.inode];
        match turn {
            Turn::Go if lies => Ok(()),
            Turn::Go => {
                for (offset, what) in std::mem::take(&mut inode.pending) {
                    put(&mut inode.synced, offset, &what);
                }
                Ok(())
            }
            Turn::FailAfterWorst => {
                if !off {
                    inode.pending.clear();
                }
                Err(broken("sync failed"))
            }
        }
    }
}

impl Disk for SimulatedDisk {
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.world();
        if world.now.dirs.contains(dir) && !world.off {
            return Ok(());
        }
        match world.turn("make_dir", dir)? {
            Turn::Go => {
                world.now.dirs.extend(dir.ancestors().map(Path::to_path_buf));
                // Parents above the store's own directory are the mount point's business.
                if dir.ancestors().count() <= 2 {
                    world.durable.dirs.extend(dir.ancestors().map(Path::to_path_buf));
                }
                Ok(())
            }
            Turn::FailAfterWorst => Err(broken("make_dir failed")),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let world = self.world();
        if world.off {
            return Err(broken("power is off"));
        }
        let paths = world.now.files.keys().chain(world.now.dirs.iter());
        let mut names: Vec<String> = paths
            .filter(|p| p.parent() == Some(dir))
            .filter_map(|p| p.file_name().map(|n| n.to_string_lossy().into_owned()))
            .collect();
        names.sort();
        Ok(names)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut world = self.world();
        if let Turn::FailAfterWorst = world.turn("create", path)? {
            return Err(broken("create failed"));
        }
        if !world.now.dirs.contains(&parent(path)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inode = world.inodes.len();
        world.inodes.push(Inode::default());
        world.now.files.insert(path.to_path_buf(), inode);
        Ok(Box::new(SimulatedFile { disk: self.clone(), inode, path: path.to_path_buf() }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.world().named(path)?;
        Ok(Box::new(SimulatedFile { disk: self.clone(), inode, path: path.to_path_buf() }))
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let world = self.world();
        if world.off {
            return Err(broken("power is off"));
        }
        Ok(world.now.files.get(path).map(|i| world.inodes[*i].now.clone()))
    }

    fn read_part(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let bytes = self.read(path)?.ok_or(io::ErrorKind::NotFound)?;
        let start = bytes.len().min(offset as usize);
        let end = bytes.len().min(start + length);
        Ok(bytes[start..end].to_vec())
    }

    fn read_past_cache(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        self.read(path)
    }

    fn length(&self, path: &Path) -> io::Result<Option<u64>> {
        Ok(self.read(path)?.map(|bytes| bytes.len() as u64))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        if let Turn::FailAfterWorst = world.turn("rename", to)? {
            return Err(broken("rename failed"));
        }
        if let Some(inode) = world.now.files.remove(from) {
            world.now.files.insert(to.to_path_buf(), inode);
            return Ok(());
        }
        if !world.now.dirs.contains(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let moved = |p: &Path| p.strip_prefix(from).map(|rest| to.join(rest)).unwrap_or_else(|_| p.to_path_buf());
        world.now.files = world.now.files.iter().map(|(p, i)| (moved(p), *i)).collect();
        world.now.dirs = world.now.dirs.iter().map(|p| if p == from { to.to_path_buf() } else { moved(p) }).collect();
        // What is durable below a directory moves with it once the move itself is durable; moved at once here.
        world.durable.files = world.durable.files.iter().map(|(p, i)| (moved(p), *i)).collect();
        world.durable.dirs =
            world.durable.dirs.iter().map(|p| if p == from { to.to_path_buf() } else { moved(p) }).collect();
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        if !world.now.files.contains_key(path) && !world.off {
            return Ok(());
        }
        match world.turn("remove", path)? {
            Turn::Go => {
                world.now.files.remove(path);
                Ok(())
            }
            Turn::FailAfterWorst => Err(broken("remove failed")),
        }
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.wait_for_ice();
        let mut world = self.world();
        match world.turn("sync_dir", dir)? {
            Turn::Go if world.lies_about_sync => Ok(()),
            Turn::Go => {
                let here = |p: &Path| p.parent() == Some(dir);
                let World { now, durable, .. } = &mut *world;
                durable.files.retain(|p, _| !here(p));
                durable.files.extend(now.files.iter().filter(|(p, _)| here(p)).map(|(p, i)| (p.clone(), *i)));
                durable.dirs.retain(|p| !here(p));
                durable.dirs.extend(now.dirs.iter().filter(|p| here(p)).cloned());
                Ok(())
            }
            Turn::FailAfterWorst => Err(broken("sync_dir failed")),
        }
    }

    fn lock(&self, path: &Path) -> io::Result<Option<LockGuard>> {
        struct Held(SimulatedDisk, PathBuf);
        impl Drop for Held {
            fn drop(&mut self) {
                self.0.world().locks.remove(&self.1);
            }
        }
        let mut world = self.world();
        if world.off {
            return Err(broken("power is off"));
        }
        if !world.locks.insert(path.to_path_buf()) {
            return Ok(None);
        }
        Ok(Some(Box::new(Held(self.clone(), path.to_path_buf()))))
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        let world = self.world();
        Ok(world.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(world.used())))
    }

    fn volume_id(&self, _dir: &Path) -> io::Result<String> {
        Ok(format!("fs:{}", self.world().volume))
    }
}

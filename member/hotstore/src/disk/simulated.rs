//! A disk in RAM that keeps exactly the written contract of [`super::Disk`] and nothing more.
//!
//! What goes wrong, and when, is a [`Fault`]; it can also freeze, be as slow as whoever watches its reads, and lie about every
//! `sync`. [`SimulatedDisk::reboot`] builds the disk as it may be found after a power cut ([`Aftermath`]). Deterministic: no
//! randomness. Must not know: what the bytes mean.

mod fault;
mod file;
mod names;

pub use fault::{Aftermath, Fault};

use super::{AppendFile, Disk, DiskFile, LockGuard};
use fault::{Turn, survive};
use file::{SimulatedAppend, SimulatedFile};
use names::Tree;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

#[derive(Debug, Default, Clone)]
struct Inode {
    now: Vec<u8>,
    synced: Vec<u8>,
    pending: Vec<(u64, Vec<u8>)>,
}

#[derive(Debug, Default)]
struct World {
    inodes: Vec<Inode>,
    now: Tree,
    durable: Tree,
    /// Directories that were renamed, not durably yet.
    moves: Vec<(PathBuf, PathBuf)>,
    /// Directories that lie on another device.
    elsewhere: Vec<PathBuf>,
    most_names: Option<usize>,
    locks: BTreeSet<PathBuf>,
    calls: u64,
    fault: Option<(u64, Fault)>,
    struck: bool,
    reads: u64,
    failing_read: Option<u64>,
    off: bool,
    capacity: Option<u64>,
    lies_about_sync: bool,
    volume: String,
    alignment: Option<usize>,
    tells_late: bool,
    trace: Vec<String>,
    /// What numbers that nobody has yet are made from, and how many were; `None`: from chance.
    numbers: Option<(u64, u64)>,
    ice: Arc<Ice>,
    watch: Option<Watch>,
}

/// Called before each read of a content.
#[derive(Clone)]
struct Watch(Arc<dyn Fn() + Send + Sync>);

impl fmt::Debug for Watch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Watch")
    }
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

fn put(bytes: &mut Vec<u8>, offset: u64, what: &[u8]) {
    let start = offset as usize;
    let end = start + what.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[start..end].copy_from_slice(what);
}

fn part(bytes: &[u8], offset: u64, length: usize) -> &[u8] {
    let start = bytes.len().min(offset as usize);
    &bytes[start..bytes.len().min(start + length)]
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
        let turn = self.fault.map_or(Turn::Go, |(at, fault)| fault.turn(at, self.calls, call));
        self.struck |= turn != Turn::Go;
        self.off |= turn == Turn::Off;
        Ok(turn)
    }

    /// What is made of each inode that has a name; without one nobody finds it again.
    fn living(&self, make: impl Fn(&Inode) -> Inode) -> Vec<Inode> {
        let named: BTreeSet<usize> = self.now.files.values().chain(self.durable.files.values()).copied().collect();
        let inodes = self.inodes.iter().enumerate();
        inodes.map(|(at, inode)| if named.contains(&at) { make(inode) } else { Inode::default() }).collect()
    }

    fn used(&self) -> u64 {
        let inodes: BTreeSet<usize> = self.now.files.values().copied().collect();
        inodes.into_iter().map(|i| self.inodes[i].now.len() as u64).sum()
    }

    /// A file beside this one.
    fn neighbour(&self, path: &Path) -> Option<usize> {
        let own = self.now.files.get(path);
        let before = self.now.files.range(..path.to_path_buf()).next_back();
        before.or_else(|| self.now.files.iter().next()).map(|(_, inode)| *inode).filter(|inode| Some(inode) != own)
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

    /// Changing calls (create, write, sync, link, rename, remove, make_dir, remove_dir, sync_dir) so far.
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

    /// What went wrong goes right again.
    pub fn mend(&self) {
        self.world().fault = None;
    }

    /// Whether the fault has had an effect.
    pub fn was_struck(&self) -> bool {
        self.world().struck
    }

    /// Reads of contents so far.
    pub fn reads(&self) -> u64 {
        self.world().reads
    }

    /// Lets read number `at` fail with an I/O error.
    pub fn fail_read_at(&self, at: u64) {
        self.world().failing_read = Some(at);
    }

    /// Writes beyond this many bytes in all files fail with `StorageFull`; `None`: no limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.world().capacity = bytes;
    }

    /// Appended batches must begin and end at multiples of this (else 1).
    pub fn set_alignment(&self, bytes: usize) {
        self.world().alignment = Some(bytes);
    }

    /// A batch that could not be appended is told at the next call on its file.
    pub fn tell_late(&self) {
        self.world().tells_late = true;
    }

    /// What lies below `dir` is on another device: no file has a name on both.
    pub fn put_elsewhere(&self, dir: &Path) {
        self.world().elsewhere.push(dir.to_path_buf());
    }

    /// No file may have more names than this.
    pub fn set_most_names(&self, names: usize) {
        self.world().most_names = Some(names);
    }

    /// Numbers that nobody has yet are made from this seed: no other disk beside it may have the same.
    pub fn seed(&self, seed: u64) {
        self.world().numbers = Some((seed, 0));
    }

    /// From now on every sync says Ok and does nothing (the disk that the contract forbids; proves a harness).
    pub fn lie_about_sync(&self) {
        self.world().lies_about_sync = true;
    }

    /// From now on each read of a content waits for this call to come back.
    pub fn watch_reads(&self, watch: impl Fn() + Send + Sync + 'static) {
        self.world().watch = Some(Watch(Arc::new(watch)));
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

    fn create_file(&self, path: &Path) -> io::Result<SimulatedFile> {
        let mut world = self.world();
        match world.turn("create", path)? {
            Turn::Off | Turn::Fails => return Err(broken("create failed")),
            Turn::Full => return Err(io::ErrorKind::StorageFull.into()),
            _ => {}
        }
        if !world.now.dirs.contains(&parent(path)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inode = world.inodes.len();
        world.inodes.push(Inode::default());
        world.now.files.insert(path.to_path_buf(), inode);
        Ok(SimulatedFile { disk: self.clone(), inode, path: path.to_path_buf() })
    }

    /// One read of a content, if the file is there.
    fn look<T>(&self, path: &Path, take: impl FnOnce(&[u8]) -> T) -> io::Result<Option<T>> {
        let watch = self.world().watch.clone();
        if let Some(Watch(watch)) = watch {
            watch();
        }
        let mut world = self.world();
        if world.off {
            return Err(broken("power is off"));
        }
        world.reads += 1;
        if world.failing_read == Some(world.reads) {
            return Err(broken("read failed"));
        }
        Ok(world.now.files.get(path).map(|inode| take(&world.inodes[*inode].now)))
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
            inodes: world.living(|inode| inode.clone()),
            now: world.now.clone(),
            durable: world.durable.clone(),
            numbers: world.numbers,
            volume: world.volume.clone(),
            alignment: world.alignment,
            tells_late: world.tells_late,
            ..World::default()
        })))
    }

    /// The disk as it may be found when the power is back.
    pub fn reboot(&self, aftermath: Aftermath) -> SimulatedDisk {
        let world = self.world();
        let tree = if aftermath == Aftermath::Lost { world.durable.reachable() } else { world.now.clone() };
        let inodes = world.living(|inode| survive(inode, aftermath));
        SimulatedDisk(Arc::new(Mutex::new(World {
            inodes,
            now: tree.clone(),
            durable: tree,
            numbers: world.numbers,
            volume: world.volume.clone(),
            alignment: world.alignment,
            tells_late: world.tells_late,
            ..World::default()
        })))
    }
}

/// Of SplitMix64.
fn scramble(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

impl Disk for SimulatedDisk {
    fn fresh(&self) -> Uuid {
        let Some((seed, made)) = &mut self.world().numbers else { return Uuid::new_v4() };
        *made += 1;
        let high = scramble(seed.wrapping_add(made.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        Uuid::from_u64_pair(high, scramble(high ^ *seed))
    }

    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.world();
        if world.now.dirs.contains(dir) && !world.off {
            return Ok(());
        }
        match world.turn("make_dir", dir)? {
            Turn::Off | Turn::Fails => Err(broken("make_dir failed")),
            _ => {
                world.now.dirs.extend(dir.ancestors().map(Path::to_path_buf));
                // Parents above the store's own directory are the mount point's business.
                if dir.ancestors().count() <= 2 {
                    world.durable.dirs.extend(dir.ancestors().map(Path::to_path_buf));
                }
                Ok(())
            }
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
        Ok(Box::new(self.create_file(path)?))
    }

    fn create_append(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        let alignment = self.world().alignment.unwrap_or(1);
        Ok(Box::new(SimulatedAppend { file: self.create_file(path)?, alignment, late: None }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.world().named(path)?;
        Ok(Box::new(SimulatedFile { disk: self.clone(), inode, path: path.to_path_buf() }))
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        self.look(path, <[u8]>::to_vec)
    }

    fn read_part(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let part = self.look(path, |bytes| part(bytes, offset, length).to_vec())?;
        part.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn read_into(&self, path: &Path, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let read = self.look(path, |bytes| {
            let bytes = part(bytes, offset, into.len());
            into[..bytes.len()].copy_from_slice(bytes);
            bytes.len()
        })?;
        read.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn read_past_cache(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        self.read(path)
    }

    fn length(&self, path: &Path) -> io::Result<Option<u64>> {
        let world = self.world();
        Ok(world.now.files.get(path).map(|i| world.inodes[*i].now.len() as u64))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        if let Turn::Off | Turn::Fails = world.turn("rename", to)? {
            return Err(broken("rename failed"));
        }
        if let Some(inode) = world.now.files.remove(from) {
            world.now.files.insert(to.to_path_buf(), inode);
            return Ok(());
        }
        if !world.now.dirs.contains(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        world.now.move_dir(from, to);
        world.moves.push((from.to_path_buf(), to.to_path_buf()));
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        match world.turn("link", to)? {
            Turn::Off | Turn::Fails => return Err(broken("link failed")),
            Turn::Full => return Err(io::ErrorKind::StorageFull.into()),
            _ => {}
        }
        world.link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        if !world.now.files.contains_key(path) && !world.off {
            return Ok(());
        }
        if let Turn::Off | Turn::Fails = world.turn("remove", path)? {
            return Err(broken("remove failed"));
        }
        world.now.files.remove(path);
        Ok(())
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.world();
        if !world.now.dirs.contains(dir) && !world.off {
            return Ok(());
        }
        if let Turn::Off | Turn::Fails = world.turn("remove_dir", dir)? {
            return Err(broken("remove_dir failed"));
        }
        if !world.now.is_empty(dir) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        world.now.dirs.remove(dir);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.wait_for_ice();
        let mut world = self.world();
        match world.turn("sync_dir", dir)? {
            Turn::Off | Turn::Fails => Err(broken("sync_dir failed")),
            Turn::Lies => Ok(()),
            _ if world.lies_about_sync => Ok(()),
            _ => {
                world.make_durable(dir);
                Ok(())
            }
        }
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        Ok(self.world().locks.contains(path))
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

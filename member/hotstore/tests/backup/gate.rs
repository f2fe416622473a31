//! A disk on which a link can be held up, for looking at what goes on meanwhile.
//!
//! Must not know: the store.

use jet_hotstore::disk::{AppendFile, LockGuard};
use jet_hotstore::{Disk, DiskFile, SimulatedDisk};
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

#[derive(Default)]
struct State {
    closed: bool,
    waiting: usize,
}

/// A simulated disk behind a gate; clones have the same gate.
#[derive(Clone)]
pub struct Gate {
    disk: SimulatedDisk,
    /// Links to names with this in them are held up.
    what: &'static str,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Gate {
    pub fn on(disk: SimulatedDisk, what: &'static str) -> Gate {
        Gate { disk, what, state: Arc::default() }
    }

    pub fn close(&self) {
        self.state.0.lock().unwrap().closed = true;
    }

    pub fn open(&self) {
        self.state.0.lock().unwrap().closed = false;
        self.state.1.notify_all();
    }

    pub fn wait_until_somebody_waits(&self, bound: Duration) -> bool {
        let (state, changed) = &*self.state;
        let state = changed.wait_timeout_while(state.lock().unwrap(), bound, |state| state.waiting == 0).unwrap();
        state.0.waiting > 0
    }

    fn pass(&self) {
        let (state, changed) = &*self.state;
        let mut state = state.lock().unwrap();
        state.waiting += 1;
        changed.notify_all();
        let mut state = changed.wait_while(state, |state| state.closed).unwrap();
        state.waiting -= 1;
    }
}

impl Disk for Gate {
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        if to.to_string_lossy().contains(self.what) {
            self.pass();
        }
        self.disk.link(from, to)
    }

    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.make_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.disk.create(path)
    }

    fn create_append(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        self.disk.create_append(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.disk.open(path)
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        self.disk.read(path)
    }

    fn read_part(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.disk.read_part(path, offset, length)
    }

    fn read_into(&self, path: &Path, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.disk.read_into(path, offset, into)
    }

    fn read_past_cache(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        self.disk.read_past_cache(path)
    }

    fn length(&self, path: &Path) -> io::Result<Option<u64>> {
        self.disk.length(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<LockGuard>> {
        self.disk.lock(path)
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        self.disk.is_locked(path)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.disk.free_bytes(dir)
    }

    fn volume_id(&self, dir: &Path) -> io::Result<String> {
        self.disk.volume_id(dir)
    }
}

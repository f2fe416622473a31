//! A disk whose syncs take as long as two of them fit into the bound of a change: what is asked of it is found when it is there,
//! however much is changed behind it.
//!
//! Must not know: what it is asked for.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use jet_hotstore::DiskFile;
use jet_hotstore::disk::{AppendFile, Batch, LockGuard};

use super::*;

/// What came just behind the begin of one is durable after two.
const SYNC: Duration = Duration::from_secs(2);

/// Between two changes of a partition that never rests.
const PACE: Duration = Duration::from_millis(5);

/// How often the log was synced, and whether that lasts.
#[derive(Default)]
struct Syncs {
    begun: AtomicU64,
    last: AtomicBool,
}

/// A disk on which syncs of the log last.
struct SlowDisk {
    behind: SimulatedDisk,
    syncs: Arc<Syncs>,
}

struct SlowFile {
    behind: Box<dyn AppendFile>,
    syncs: Arc<Syncs>,
}

impl AppendFile for SlowFile {
    fn alignment(&self) -> usize {
        self.behind.alignment()
    }

    fn append(&mut self, offset: u64, batch: Arc<Batch>) -> io::Result<()> {
        self.behind.append(offset, batch)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.syncs.begun.fetch_add(1, Ordering::SeqCst);
        if self.syncs.last.load(Ordering::SeqCst) {
            std::thread::sleep(SYNC);
        }
        self.behind.sync()
    }
}

impl Disk for SlowDisk {
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        self.behind.make_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.behind.list(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.behind.create(path)
    }

    fn create_append(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        Ok(Box::new(SlowFile { behind: self.behind.create_append(path)?, syncs: self.syncs.clone() }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.behind.open(path)
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        self.behind.read(path)
    }

    fn read_part(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.behind.read_part(path, offset, length)
    }

    fn read_into(&self, path: &Path, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.behind.read_into(path, offset, into)
    }

    fn read_past_cache(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        self.behind.read_past_cache(path)
    }

    fn length(&self, path: &Path) -> io::Result<Option<u64>> {
        self.behind.length(path)
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

/// The last one does not last: a test that fails must end.
struct Lasting(Arc<Syncs>);

impl Drop for Lasting {
    fn drop(&mut self) {
        self.0.last.store(false, Ordering::SeqCst);
    }
}

/// Changes partition 0 until this is dropped.
struct Steady(JoinHandle<()>);

impl Steady {
    fn of(maps: MapService) -> Self {
        Self(tokio::spawn(async move {
            let mut pace = tokio::time::interval(PACE);
            for n in 0_u64.. {
                change(&maps, Requester::Client, put(PLAIN, &n.to_string(), "1")).await.unwrap();
                pace.tick().await;
            }
        }))
    }
}

impl Drop for Steady {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_disk_with_slow_syncs_a_change_of_a_partition_that_never_rests_is_found_when_it_is_there() {
    let (behind, syncs) = (SimulatedDisk::new(), Arc::new(Syncs::default()));
    let disk = Arc::new(SlowDisk { behind: behind.clone(), syncs: syncs.clone() });
    let world = World::founded_in(disk, HOME.into(), TempDir::new().unwrap());
    world.all_is_synced();
    let _steady = Steady::of(world.maps.clone());
    syncs.last.store(true, Ordering::SeqCst);
    let _lasting = Lasting(syncs.clone());
    let before = syncs.begun.load(Ordering::SeqCst);
    until(|| (syncs.begun.load(Ordering::SeqCst) == before).then(|| "no sync has begun".to_owned())).await;
    change(&world.maps, Requester::Client, put(KEPT, "k", "1")).await.unwrap();
    assert_eq!(after_a_cut(&behind, KEPT), expected(&[("k", "1")]));
}

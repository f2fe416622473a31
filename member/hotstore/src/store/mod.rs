//! The store of one member: opened, loaded, written, sealed, opened again for the next generation.
//!
//! The law: scan → resolve → carry out; a refusal changes nothing; sealed content is read-only until a generation is opened.
//! Must not know: clusters. Its callers say which generation, which operation, which content.
//!
//! Contents: here opening and generations · `naming` whose it is · `writing` appends · [`load`] reading · `sealing` · `proof` reading back ·
//! [`collecting`] emptying old chunks · `epochs` · [`backup`] hot backups · [`usage`] room · [`progress`] how far a seal or a load is.

pub mod backup;
pub mod collecting;
mod epochs;
pub mod load;
mod naming;
pub mod progress;
mod proof;
pub(crate) mod sealing;
pub mod usage;
mod writing;

use crate::backup::MadeBy;
use crate::boot;
use crate::disk::Disk;
use crate::epoch::{EpochInfo, Shelf};
use crate::failure::{On, StoreError};
use crate::given_up;
use crate::identity::{self, Identity};
use crate::layout;
use crate::log::appender::{Appender, ChunkLimits, Heritage, Origin};
use crate::log::chunk::{CHUNK_BYTES, ChunkId, Extent};
use crate::log::queue::{self, Closed, Queue, Watcher};
use crate::opened::{self, Opened};
use crate::owner::Owner;
use crate::refusal::Refused;
use crate::resolve::{Contents, resolve};
use crate::scan::scan;
use crate::seal::SealSummary;
use crate::stillness::Stillness;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::Duration;

/// When written records are synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cadence {
    /// By a thread of the store, at the latest this long after the first unsynced write.
    Every(Duration),
    /// Only inside `flush`, on the caller's thread (tests, tools).
    OnDemand,
}

/// How to open a store.
#[derive(Clone)]
pub struct Options {
    /// Name of the volume as whoever attached it tells it; `None`: the file system's own, which is reported, never refused.
    pub volume: Option<String>,
    /// Accept the store on another volume than the recorded one (somebody answered for it).
    pub adopt: bool,
    /// When to sync.
    pub cadence: Cadence,
    /// Bytes that may wait for the disk before partitions lag.
    pub queue_bytes: usize,
    /// Sync at the latest after this many bytes.
    pub sync_bytes: u64,
    /// Close a chunk at this length.
    pub chunk_bytes: u64,
    /// Begin a chunk early when this many dead bytes can be dropped.
    pub drop_bytes: u64,
    /// In it lies a directory of each member, and in that the one with its backups; `None`: it lies in the store's own.
    pub backups_in: Option<PathBuf>,
    /// Called after each sync.
    pub watcher: Option<Watcher>,
}

/// How long a rewrite waits for the disk before it gives up.
pub const REWRITE_WAIT: Duration = Duration::from_secs(30);

/// Default of [`Options::drop_bytes`].
pub const DROP_BYTES: u64 = 32 << 20;

impl Default for Options {
    fn default() -> Self {
        Options {
            volume: None,
            adopt: false,
            cadence: Cadence::Every(queue::SYNC_EVERY),
            queue_bytes: queue::QUEUE_BYTES,
            sync_bytes: queue::SYNC_BYTES,
            chunk_bytes: CHUNK_BYTES,
            drop_bytes: DROP_BYTES,
            backups_in: None,
            watcher: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No content yet.
    Empty,
    /// Content found and not written to.
    Found,
    /// Open for appends.
    Open,
    /// Sealed, read-only.
    Sealed,
    /// Closed.
    Stopped,
}

struct Known {
    phase: Phase,
    generation: u64,
    chain: Vec<(ChunkId, PathBuf, Extent)>,
    heritage: Option<Heritage>,
    seal: Option<SealSummary>,
    last_seal: Option<SealSummary>,
    seal_number: u64,
    next_number: u64,
    damaged_epochs: Vec<Refused>,
    healed: Vec<Refused>,
}

/// The store of one member. All methods take `&self`; share it in an `Arc`.
pub struct Store {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    options: Options,
    owner: Owner,
    boot: u64,
    identity: Mutex<Identity>,
    known: Mutex<Known>,
    shelf: Arc<Mutex<Shelf>>,
    queue: Arc<Queue>,
    appender: Arc<Mutex<Option<Appender>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    proofs: Mutex<proof::Proofs>,
    board: progress::Board,
    /// Bytes of the log when they were last counted.
    log_bytes: AtomicU64,
    /// Where the directory of backups lies.
    backups_in: PathBuf,
    still: Stillness,
    /// Held while a backup is made or removed.
    backups: Mutex<()>,
    /// The newest chunk that another key was written with; asked for when writing has begun.
    other_key: OnceLock<Option<ChunkId>>,
    made_by: Option<MadeBy>,
    /// This process has begun to write.
    written: AtomicBool,
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `None`: somebody has it in hand, perhaps for as long as a disk takes.
pub(crate) fn try_locked<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Bytes of chunks whose length is known without looking at them.
fn exact_bytes(chain: &[(ChunkId, PathBuf, Extent)]) -> u64 {
    let exact = chain.iter().map(|(.., extent)| match extent {
        Extent::Exactly(length) => *length,
        Extent::Open => 0,
    });
    exact.sum()
}

/// What `dir` holds, without taking the lock and without changing a byte.
pub fn inspect(disk: &dyn Disk, dir: &Path) -> Result<Contents, StoreError> {
    Ok(resolve(&scan(disk, dir)?)?.contents)
}

impl Store {
    /// Opens the store in `dir`: puts it aside if it was given up, takes the lock, judges the content, makes an identity if
    /// there is none, counts the boot.
    pub fn open(dir: &Path, disk: Arc<dyn Disk>, options: Options) -> Result<(Store, Contents), StoreError> {
        disk.make_dir(dir).on("make", dir)?;
        given_up::carry_out(&disk, dir)?;
        let owner = Owner::take(disk.clone(), dir)?;
        let found = resolve(&scan(disk.as_ref(), dir)?)?;
        let volume = match &options.volume {
            Some(volume) => format!("named:{volume}"),
            None => disk.volume_id(dir).on("ask the file system of", dir)?,
        };
        let identity = settle_identity(disk.as_ref(), dir, found.identity.clone(), volume, options.adopt)?;
        let boot = boot::next_boot(disk.as_ref(), dir)?;
        owner.sign()?;
        let contents = found.contents.clone();
        let made_by = found.backup.as_ref().map(|seen| MadeBy::of(&seen.manifest));
        let log_bytes = exact_bytes(&found.chain);
        let known = Known::from(found);
        let shelf = Shelf { closed: true, finished: known.1 };
        let queue = Arc::new(Queue::new(options.queue_bytes, options.sync_bytes, options.watcher.clone()));
        let appender = Arc::new(Mutex::new(None));
        let thread = start_writer(&options, &queue, &appender)?;
        let backups_in = match &options.backups_in {
            Some(all) => all.join(identity.member.to_string()),
            None => dir.to_path_buf(),
        };
        let store = Store {
            disk,
            dir: dir.to_path_buf(),
            options,
            owner,
            boot,
            identity: Mutex::new(identity),
            known: Mutex::new(known.0),
            shelf: Arc::new(Mutex::new(shelf)),
            queue,
            appender,
            thread: Mutex::new(thread),
            proofs: Mutex::default(),
            board: progress::Board::default(),
            log_bytes: AtomicU64::new(log_bytes),
            backups_in,
            still: Stillness::default(),
            backups: Mutex::default(),
            other_key: OnceLock::new(),
            made_by,
            written: AtomicBool::new(false),
        };
        if matches!(contents, Contents::Sealed(_)) {
            store.queue.set_closed(Some(Closed::Sealed));
        }
        Ok((store, contents))
    }

    /// Number of this start; durable before this store was returned.
    pub fn boot(&self) -> u64 {
        self.boot
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The backup that the directory was made by, however often it was opened since.
    pub fn made_by(&self) -> Option<&MadeBy> {
        self.made_by.as_ref()
    }

    /// The disk behind it.
    pub fn disk(&self) -> Arc<dyn Disk> {
        self.disk.clone()
    }

    /// Who this is.
    pub fn identity(&self) -> Identity {
        locked(&self.identity).clone()
    }

    /// Current generation; 0: none was opened.
    pub fn generation(&self) -> u64 {
        locked(&self.known).generation
    }

    /// Whether the nonce on the volume is still ours, read past the page cache.
    pub fn owner_still_me(&self) -> Result<bool, StoreError> {
        self.owner.still_me()
    }

    /// Small records of which one copy is damaged and the other whole; worth an alarm.
    pub fn healed_copies(&self) -> Vec<Refused> {
        locked(&self.known).healed.clone()
    }

    fn origin(&self) -> Result<Origin, StoreError> {
        let identity = locked(&self.identity);
        match identity.founding {
            Some(founding) => Ok(Origin { founding, member: identity.member, boot: self.boot }),
            None => {
                Err(StoreError::Misuse { call: "write data", why: "this store belongs to no cluster yet".to_owned() })
            }
        }
    }

    /// Goes on writing in the current generation after a crash. The content must have been loaded.
    pub fn resume(&self) -> Result<(), StoreError> {
        let mut known = locked(&self.known);
        match known.phase {
            Phase::Open => Ok(()),
            Phase::Found if known.generation > 0 => self.begin(&mut known),
            _ => Err(StoreError::Misuse {
                call: "resume",
                why: format!("the store is {:?} in generation {}", known.phase, known.generation),
            }),
        }
    }

    /// Opens `generation` (greater than the current one): durable on return; every earlier seal is void here from now on, its
    /// files stay until the new generation has a seal of its own. Content must have been loaded, or be in this process's RAM.
    pub fn open_generation(&self, generation: u64) -> Result<(), StoreError> {
        let mut known = locked(&self.known);
        if generation == known.generation && matches!(known.phase, Phase::Found | Phase::Open) {
            return if known.phase == Phase::Open { Ok(()) } else { self.begin(&mut known) };
        }
        if generation <= known.generation || known.phase == Phase::Stopped {
            let why = format!("the store is {:?} in generation {}", known.phase, known.generation);
            return Err(StoreError::Misuse { call: "open a generation", why });
        }
        let origin = self.origin()?;
        self.must_be_loaded(&known)?;
        let was_open = known.phase == Phase::Open;
        if was_open {
            // What comes from here on belongs to the new generation.
            self.queue.set_closed(Some(Closed::NotOpened));
        }
        let record = Opened { founding: origin.founding, member: origin.member, generation };
        let written = self.end_chunk(was_open).and_then(|()| opened::write(self.disk.as_ref(), &self.dir, &record));
        if let Err(error) = written {
            if was_open {
                self.queue.set_closed(None);
            }
            return Err(error);
        }
        known.generation = generation;
        known.phase = Phase::Found;
        if let Some(seal) = known.seal.take() {
            known.last_seal = Some(seal);
        }
        self.begin(&mut known)?;
        self.clean_up(&known);
        Ok(())
    }

    fn end_chunk(&self, is_open: bool) -> Result<(), StoreError> {
        match locked(&self.appender).as_mut().filter(|_| is_open) {
            Some(appender) => self.queue.pump_to_end(appender),
            None => Ok(()),
        }
    }

    /// Goes on in the same generation after a stop was aborted: the seals made so far are void here.
    pub fn unseal(&self) -> Result<(), StoreError> {
        let mut known = locked(&self.known);
        if known.phase != Phase::Sealed {
            return Err(StoreError::Misuse { call: "unseal", why: format!("the store is {:?}", known.phase) });
        }
        self.must_be_loaded(&known)?;
        self.begin(&mut known)?;
        known.last_seal = known.seal.take().or(known.last_seal.take());
        Ok(())
    }

    fn must_be_loaded(&self, known: &Known) -> Result<(), StoreError> {
        let in_ram = locked(&self.appender).is_some() || known.heritage.is_some() || known.chain.is_empty();
        match in_ram {
            true => Ok(()),
            false => Err(StoreError::Misuse { call: "write", why: "the content was not loaded".to_owned() }),
        }
    }

    /// Begins a chunk in the current generation and opens the doors.
    fn begin(&self, known: &mut Known) -> Result<(), StoreError> {
        let origin = self.origin()?;
        self.must_be_loaded(known)?;
        self.written.store(true, Ordering::Release);
        let mut guard = locked(&self.appender);
        if guard.is_none() {
            let heritage = known
                .heritage
                .take()
                .unwrap_or_else(|| Heritage { next_number: known.next_number, ..Heritage::default() });
            let limits = ChunkLimits { chunk_bytes: self.options.chunk_bytes, drop_bytes: self.options.drop_bytes };
            self.remove_unfinished();
            self.sweep_backups();
            *guard = Some(Appender::new(self.disk.clone(), &self.dir, origin, limits, heritage));
        }
        let Some(appender) = guard.as_mut() else { return Ok(()) };
        let sealed = known.seal.as_ref().or(known.last_seal.as_ref());
        appender.retain(sealed.map(|s| s.manifest.files.iter().filter_map(|f| f.chunk).collect()).unwrap_or_default());
        appender.set_after_seal(known.seal_number);
        // Even if the chunk cannot be begun, the records of callers are taken: the log is then failed and can be retried.
        let begun = appender.begin(known.generation);
        drop(guard);
        if let Err(error) = begun {
            return Err(self.note_failure(error));
        }
        known.phase = Phase::Open;
        locked(&self.shelf).closed = false;
        self.queue.set_closed(None);
        Ok(())
    }

    /// Files that never got their name; nobody writes one yet.
    fn remove_unfinished(&self) {
        let data = layout::data(&self.dir);
        for generation in self.disk.list(&data).unwrap_or_default() {
            let room = data.join(generation);
            for name in self.disk.list(&room).unwrap_or_default() {
                if layout::parse(&name) == layout::Name::Tmp
                    && let Err(error) = self.disk.remove(&room.join(&name))
                {
                    tracing::warn!(%error, name, "an unfinished file could not be removed; it only costs room");
                }
            }
        }
    }

    fn note_failure(&self, error: StoreError) -> StoreError {
        tracing::warn!(%error, "the log could not be begun");
        // A failed begin leaves the appender without a chunk; a later call begins again.
        let mut guard = locked(&self.appender);
        if let Some(appender) = guard.as_mut() {
            appender.forget_failure();
        }
        error
    }

    /// Ends writing: everything appended is made durable, the writer's thread ends. No seal is made.
    pub fn close(&self) -> Result<(), StoreError> {
        self.queue.set_closed(Some(Closed::Stopped));
        let result = match locked(&self.appender).as_mut() {
            Some(appender) => self.queue.pump(appender),
            None => Ok(()),
        };
        self.stop_thread();
        locked(&self.known).phase = Phase::Stopped;
        result
    }

    fn stop_thread(&self) {
        self.queue.stop();
        if let Some(thread) = locked(&self.thread).take() {
            // A panic of the writer's thread has ended writing; what it acknowledged stays true.
            let _ = thread.join();
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.stop_thread();
    }
}

type Epochs = std::collections::BTreeMap<crate::epoch::EpochId, EpochInfo>;

impl Known {
    fn from(found: crate::resolve::Resolution) -> (Known, Epochs) {
        let (phase, generation, seal, last_seal) = match found.contents {
            Contents::Blank | Contents::Founding(_) => (Phase::Empty, 0, None, None),
            Contents::Sealed(seal) => (Phase::Sealed, seal.manifest.generation, Some(*seal), None),
            Contents::Unsealed { generation: 0, .. } => (Phase::Empty, 0, None, None),
            Contents::Unsealed { generation, last_seal } => {
                (Phase::Found, generation, None, last_seal.map(|seal| *seal))
            }
        };
        let known = Known {
            phase,
            generation,
            chain: found.chain,
            heritage: None,
            seal,
            last_seal,
            seal_number: found.seal_number,
            next_number: found.next_number,
            damaged_epochs: found.damaged_epochs,
            healed: found.healed,
        };
        (known, found.epochs.into_iter().map(|info| (info.id, info)).collect())
    }
}

fn settle_identity(
    disk: &dyn Disk,
    dir: &Path,
    found: Option<Identity>,
    volume: String,
    adopt: bool,
) -> Result<Identity, StoreError> {
    let Some(mut identity) = found else {
        let (member, log_line) = (disk.fresh(), disk.fresh());
        let identity = Identity { member, log_line, ..Identity::fresh(volume) };
        identity::write(disk, dir, &identity)?;
        return Ok(identity);
    };
    if identity.volume != volume {
        // Names given from outside are compared; the file system's own may change by a remount and is only recorded.
        if identity.volume.starts_with("named:") && volume.starts_with("named:") && !adopt {
            let told = |volume: String| volume.trim_start_matches("named:").to_owned();
            return Err(Refused::OtherVolume { recorded: told(identity.volume), found: told(volume) }.into());
        }
        if volume.starts_with("named:") || !identity.volume.starts_with("named:") {
            identity.volume = volume;
            identity::write(disk, dir, &identity)?;
        }
    }
    Ok(identity)
}

fn start_writer(
    options: &Options,
    queue: &Arc<Queue>,
    appender: &Arc<Mutex<Option<Appender>>>,
) -> Result<Option<JoinHandle<()>>, StoreError> {
    let Cadence::Every(every) = options.cadence else { return Ok(None) };
    let (queue, appender) = (queue.clone(), appender.clone());
    let thread =
        std::thread::Builder::new().name("hotstore-writer".to_owned()).spawn(move || queue.run(&appender, every));
    thread.map(Some).on("start the writer thread of", Path::new("the store"))
}

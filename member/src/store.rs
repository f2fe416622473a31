//! The hot-restart store as the shell uses it: identity, founding, seal, generations, and what is told about them.
//!
//! Contents: here the store · `backups` what hot backups ask of it · `told` what it holds, in the words of those who ask.
//!
//! Law: every call here that touches the disk blocks and is made on a blocking thread; a failure is told with the
//! store's own words and leaves the facts as they were. Must not know: who decided that something is to be done.

mod backups;
mod told;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::config::encryption::KeyDirectory;
use jet_admin_api::member::{StoreState, StoreView};
use jet_core::agent::OwnSeal;
use jet_core::recovery::{HeldEpoch, StoreSeal};
use jet_core::{
    Boot, Digest, Generation, LogIndex, MemberId, OperationId, PartitionContent, Restored, SealRecord, StoreReport,
};
use jet_hotstore::founding::read_left;
use jet_hotstore::layout::shape_of;
use jet_hotstore::quarantine::set_everything_aside;
use jet_hotstore::{
    BackupError, Contents, Disk, EncryptedDisk, Founding, KeyError, Keys, Options, OsDisk, SealRequest, SealSummary,
    Store, StoreError,
};
use tracing::info;
use uuid::Uuid;

pub use self::told::version_to_store;
use self::told::{
    blank_report, claimed, held, is_untouched, restored, seal_view, sealed_report, store_seal, to_store,
    unsealed_report,
};

/// A disk that takes longer for a few records does not go on with a generation.
const FLUSHED_WITHIN: Duration = Duration::from_secs(30);

/// What is sealed, and against which entry.
pub struct SealOrder {
    /// Operation.
    pub op: OperationId,
    /// Attempt within it.
    pub attempt: u32,
    /// Generation to seal.
    pub generation: Generation,
    /// The entry that the content equals.
    pub quiesced_index: LogIndex,
    /// The content that the seal must claim.
    pub content_digest: Digest,
    /// Content of every partition held.
    pub contents: Vec<PartitionContent>,
    /// Serialized machine.
    pub machine: Vec<u8>,
    /// Digest of the roster.
    pub roster_digest: Digest,
}

/// Why the shell cannot use its store.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum KeeperError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("no backup could be made of this store: {0}")]
    Backups(#[from] BackupError),
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error(
        "this member left its cluster (entry {index}), and its store is of none any more: do not start it again; to let it in anew, under another id, empty {}",
        dir.display()
    )]
    Left { index: LogIndex, dir: PathBuf },
    #[error("the content in RAM has digest {found}, `Quiesced` says {wanted} for this member; nothing is sealed")]
    ContentDiffers { found: Digest, wanted: Digest },
    #[error("a seal names operation '{text}', which is no operation")]
    Operation { text: String },
    #[error("incarnation {incarnation} of the cluster cannot be begun: {why}; the next start tries again")]
    NotBegun { incarnation: u64, why: String },
    #[error("the thread that opened the store ended: {why}")]
    Thread { why: String },
}

#[derive(Default)]
struct Facts {
    report: Option<StoreReport>,
    seal: Option<SealSummary>,
    /// The seal over which the present generation was opened, as long as the content is still what it covers: until the
    /// cluster has left the sealed generation, the return can begin anew and asks for it.
    beside: Option<SealSummary>,
    seal_verified: bool,
    opened: Generation,
    /// As far as the log of this member tells.
    cluster_in: Generation,
    promise: Option<Founding>,
    founded: Option<Uuid>,
    left: bool,
}

/// The store of this process.
pub struct Keeper {
    store: Arc<Store>,
    volume_id: String,
    restored: Option<Restored>,
    facts: Mutex<Facts>,
}

impl Keeper {
    /// Opens the store in `dir`; its backups lie below `backups_in`, or beside it. Blocks.
    pub fn open(
        dir: &Path,
        backups_in: Option<PathBuf>,
        volume: Option<String>,
        keys: Option<&KeyDirectory>,
    ) -> Result<Self, KeeperError> {
        let disk: Arc<dyn Disk> = match keys {
            Some(keys) => {
                let keys = Arc::new(Keys::read(&OsDisk, &keys.path, keys.current.as_deref())?);
                info!(?keys, "what the store holds is read, and from now on written, with these keys");
                Arc::new(EncryptedDisk::new(Arc::new(OsDisk), keys, shape_of))
            }
            None => Arc::new(OsDisk),
        };
        Self::open_as(disk, dir, Options { volume, backups_in, ..Options::default() })
    }

    /// Looks whose the store in `dir` is before it is opened: that of a member that left is of nobody. `anew`: somebody gives
    /// permits, so it is put aside whole, and the directory is blank. Blocks.
    pub fn judge_left(dir: &Path, anew: bool) -> Result<(), KeeperError> {
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        match read_left(disk.as_ref(), dir)? {
            None => Ok(()),
            Some(left) if !anew => Err(KeeperError::Left { index: left.index, dir: dir.to_owned() }),
            Some(left) => {
                let place = set_everything_aside(&disk, dir, "left")?;
                info!(place = %place.display(), index = left.index, "the store of a member that left is put aside");
                Ok(())
            }
        }
    }

    /// The same on this disk.
    pub fn open_on(disk: Arc<dyn Disk>, dir: &Path, volume: Option<String>) -> Result<Self, KeeperError> {
        Self::open_as(disk, dir, Options { volume, ..Options::default() })
    }

    /// The same with these options.
    pub fn open_as(disk: Arc<dyn Disk>, dir: &Path, options: Options) -> Result<Self, KeeperError> {
        let (store, contents) = Store::open(dir, disk, options)?;
        store.reaches_backups()?;
        let identity = store.identity();
        let mut facts = Facts { founded: identity.founding, promise: store.founding()?, ..Facts::default() };
        facts.opened = Generation(store.generation());
        match contents {
            Contents::Blank | Contents::Founding(_) => facts.report = Some(blank_report()),
            Contents::Sealed(seal) => {
                facts.report = Some(sealed_report(&seal, &store.epochs())?);
                facts.seal = Some(*seal);
            }
            // A first pass over the log, so that the versions can be told before anything is loaded.
            Contents::Unsealed { last_seal, .. } => {
                let report = crate::pace::tell_while(&store, || unsealed_report(&store))?;
                facts.beside = last_seal.map(|seal| *seal).filter(|seal| is_untouched(seal, &report));
                facts.report = Some(report);
            }
        }
        let restored = store.made_by().and_then(restored);
        Ok(Self { store: Arc::new(store), volume_id: identity.volume, restored, facts: Mutex::new(facts) })
    }

    /// The store itself, for the maps.
    pub fn store(&self) -> Arc<Store> {
        self.store.clone()
    }

    /// This member.
    pub fn member(&self) -> MemberId {
        MemberId(self.store.identity().member)
    }

    /// This start of the process.
    pub fn boot(&self) -> Boot {
        Boot(self.store.boot())
    }

    /// Counts re-foundings.
    pub fn incarnation(&self) -> u32 {
        u32::try_from(self.store.identity().incarnation).unwrap_or(u32::MAX)
    }

    /// Line of the consensus log, short.
    pub fn log_line(&self) -> u64 {
        self.store.identity().log_line.as_u64_pair().0
    }

    /// Volume of the store.
    pub fn volume_id(&self) -> &str {
        &self.volume_id
    }

    /// The promise that was given.
    pub fn promise(&self) -> Option<Founding> {
        self.facts().promise.clone()
    }

    /// The cluster that the store belongs to.
    pub fn founded(&self) -> Option<Uuid> {
        self.facts().founded
    }

    /// What the store brings back, as it was opened or sealed.
    pub fn report(&self) -> Option<StoreReport> {
        let seal = self.seal_beside();
        let restored = self.restored.clone();
        self.facts().report.clone().map(|report| StoreReport { seal: report.seal.or(seal), restored, ..report })
    }

    /// The hot backup that the store was made by.
    pub fn restored(&self) -> Option<&Restored> {
        self.restored.as_ref()
    }

    /// The seal over which a generation was opened that the cluster is not in yet.
    pub fn seal_beside(&self) -> Option<StoreSeal> {
        self.facts().beside.as_ref().and_then(|seal| store_seal(seal).ok())
    }

    /// The cluster is in this generation: seals of earlier ones are void for good.
    pub fn cluster_is_in(&self, generation: Generation) {
        let mut facts = self.facts();
        facts.cluster_in = generation;
        if facts.beside.as_ref().is_some_and(|seal| Generation(seal.manifest.generation) < generation) {
            facts.beside = None;
        }
    }

    /// Highest generation that was fsynced as opened.
    pub fn opened(&self) -> Generation {
        self.facts().opened
    }

    /// The generation that the store has opened and the cluster is in; none while one is being opened.
    pub fn runs_in(&self) -> Option<Generation> {
        let facts = self.facts();
        (facts.opened == facts.cluster_in).then_some(facts.opened)
    }

    /// The seal on the store, if nothing was written since.
    pub fn sealed(&self) -> Option<OwnSeal> {
        let facts = self.facts();
        let seal = facts.seal.as_ref()?;
        let op: OperationId = seal.manifest.operation.parse().ok()?;
        Some(OwnSeal { op, attempt: seal.manifest.attempt, record: self.seal_record(seal) })
    }

    /// Snapshots of jobs that lie here whole.
    pub fn epochs(&self) -> Vec<HeldEpoch> {
        held(&self.store.epochs())
    }

    /// This process has gone on writing.
    pub fn has_written(&self) -> bool {
        self.store.has_written()
    }

    /// Durably gives the store up; see [`Store::give_up`]. Blocks.
    pub fn give_up(&self, consent: &Digest) -> Result<(), KeeperError> {
        Ok(self.store.give_up(&consent.0)?)
    }

    /// Opens the consensus log of this member's line. Blocks.
    pub fn consensus_log(&self) -> Result<jet_hotstore::ConsensusLog, KeeperError> {
        Ok(self.store.consensus_log()?)
    }

    /// Fsyncs a promise. Blocks.
    pub fn give_promise(&self, founding: &Founding) -> Result<(), KeeperError> {
        self.store.promise_founding(founding)?;
        self.facts().promise = Some(founding.clone());
        Ok(())
    }

    /// Fsyncs that the cluster was founded. Blocks.
    pub fn record_founded(&self, id: Uuid, incarnation: u32) -> Result<(), KeeperError> {
        // First the incarnation: a store that names its cluster is judged by it.
        self.store.raise_incarnation(u64::from(incarnation))?;
        self.store.record_founded(id)?;
        self.facts().founded = Some(id);
        Ok(())
    }

    /// Fsyncs that this member has left its cluster by this entry: the store is of none any more. Blocks.
    pub fn put_aside(&self, index: LogIndex) -> Result<(), KeeperError> {
        self.store.record_left(index)?;
        self.facts().left = true;
        Ok(())
    }

    /// This member has left its cluster.
    pub fn has_left(&self) -> bool {
        self.facts().left
    }

    /// The content was read and every digest of a seal on it compared. One that lies beside an opened generation is
    /// compared with its files here. Blocks.
    pub fn verified(&self) -> Result<(), KeeperError> {
        let beside = {
            let facts = self.facts();
            facts.beside.is_some() && !facts.seal_verified
        };
        if beside {
            self.store.verify_last_seal()?;
        }
        self.facts().seal_verified = true;
        Ok(())
    }

    /// Seals. Blocks.
    pub fn seal(&self, order: SealOrder) -> Result<(), KeeperError> {
        let found = jet_core::view::content_digest(&order.contents);
        if found != order.content_digest {
            return Err(KeeperError::ContentDiffers { found, wanted: order.content_digest });
        }
        let request = SealRequest {
            operation: order.op.to_string(),
            attempt: order.attempt,
            generation: order.generation.0,
            partitions: order.contents.iter().map(to_store).collect(),
            machine: order.machine,
            machine_index: order.quiesced_index,
            roster_digest: order.roster_digest.0,
        };
        let seal = self.store.seal(request)?;
        let report = sealed_report(&seal, &self.store.epochs())?;
        let mut facts = self.facts();
        facts.seal = Some(seal);
        facts.seal_verified = true;
        facts.report = Some(report);
        Ok(())
    }

    /// Goes on in the same generation; the seal is void. The content must be in RAM. Blocks.
    pub fn void_seal(&self) -> Result<(), KeeperError> {
        if self.facts().seal.is_some() {
            self.store.unseal()?;
            self.facts().seal = None;
        }
        Ok(())
    }

    /// Goes on writing in the generation that was open when the process before this one ended. The content must be in
    /// RAM. Blocks.
    pub fn resume(&self) -> Result<(), KeeperError> {
        Ok(self.store.resume()?)
    }

    /// Fsyncs that the generation is opened (the same again: goes on writing). The content must be in RAM. Blocks.
    pub fn open_generation(&self, generation: Generation) -> Result<(), KeeperError> {
        self.store.open_generation(generation.0)?;
        let mut facts = self.facts();
        facts.opened = generation;
        if let Some(seal) = facts.seal.take() {
            facts.beside = Some(seal);
        }
        Ok(())
    }

    /// Everything that was appended until now is durable. Blocks.
    pub fn flush(&self) -> Result<(), KeeperError> {
        let ticket = self.store.flush()?;
        Ok(self.store.wait_durable(ticket, FLUSHED_WITHIN)?)
    }

    /// Everything that was appended is durable, and the store is closed. Blocks.
    pub fn close(&self) -> Result<(), KeeperError> {
        Ok(self.store.close()?)
    }

    /// What lies in the directory, in figures. Looks at the disk; blocks shortly, also while the store seals or loads.
    pub fn view(&self) -> StoreView {
        let usage = self.store.usage().unwrap_or_default();
        let health = self.store.health();
        let facts = self.facts();
        let state = match () {
            () if facts.seal.is_some() => StoreState::Sealed,
            () if health.failure.is_some() => StoreState::Refused,
            () if facts.founded.is_some() => StoreState::Open,
            () if facts.promise.is_some() => StoreState::Promised,
            () => StoreState::Blank,
        };
        StoreView {
            state,
            generation: facts.opened.0,
            volume_id: self.volume_id.clone(),
            seal: facts
                .seal
                .as_ref()
                .or(facts.beside.as_ref())
                .map(|seal| seal_view(&self.seal_record(seal), seal, facts.seal_verified)),
            live_bytes: usage.live,
            retained_bytes: usage.retained,
            free_bytes: usage.free,
            lagging: self.lagging(),
            progress: crate::pace::view(&self.progress()),
        }
    }

    /// How far the store is with a seal or a load. Does not wait for it.
    pub fn progress(&self) -> jet_hotstore::Progress {
        self.store.progress()
    }

    /// Why the store is behind RAM, if it is.
    pub fn lagging(&self) -> Option<String> {
        let health = self.store.health();
        match (health.failure, health.lagging.len()) {
            (Some(failure), _) => Some(format!("{failure:?}")),
            (None, 0) => None,
            // Without their number, which counts down: who shows it would write something new each second.
            (None, _) => Some("partitions wait to be written whole; the disk is too slow or full".into()),
        }
    }

    fn seal_record(&self, seal: &SealSummary) -> SealRecord {
        SealRecord {
            boot: Boot(seal.manifest.boot),
            volume_id: self.volume_id.clone(),
            generation: Generation(seal.manifest.generation),
            digest: Digest(seal.digest.clone()),
            content_digest: claimed(seal),
            quiesced_index: seal.manifest.machine_index,
            entries: seal.manifest.entries,
            bytes: seal.manifest.bytes,
        }
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use jet_admin_api::progress::StoreWork;
    use jet_hotstore::SimulatedDisk;

    use super::*;

    const BOUND: Duration = Duration::from_secs(30);

    fn sealed(disk: &SimulatedDisk) {
        let (store, _) = Store::open(Path::new("/store"), Arc::new(disk.clone()), Options::default()).unwrap();
        store.join_cluster(Uuid::from_u128(7)).unwrap();
        store.open_generation(1).unwrap();
        let version = jet_hotstore::Version::new(1, 1);
        assert!(store.append(jet_hotstore::Record::put(1, 4, version, "key", "value")).ticket().is_some());
        let content = jet_hotstore::PartitionContent { partition: 4, version, entries: 1, digest: "d".into() };
        let request = SealRequest {
            operation: "1-abcdef01".into(),
            attempt: 1,
            generation: 1,
            partitions: vec![content],
            machine: Vec::new(),
            machine_index: 0,
            roster_digest: "r".into(),
        };
        store.seal(request).unwrap();
    }

    #[test]
    fn how_far_a_store_is_can_be_seen_while_it_loads_and_hangs() {
        let disk = SimulatedDisk::new();
        sealed(&disk);
        let keeper = Keeper::open_on(Arc::new(disk.clone()), Path::new("/store"), None).unwrap();
        let view = std::thread::scope(|scope| {
            let (pass, reads) = std::sync::mpsc::channel::<()>();
            let reads = Mutex::new(reads);
            // As long as `pass` is there.
            disk.watch_reads(move || {
                let _ = reads.lock().unwrap().recv();
            });
            let loading = scope.spawn(|| keeper.store().load(&mut |_| {}).unwrap());
            let by = std::time::Instant::now() + BOUND;
            while keeper.progress().doing != jet_hotstore::Doing::Loading {
                assert!(std::time::Instant::now() < by, "{:?}", keeper.progress());
                std::thread::yield_now();
            }
            let (tell, told) = std::sync::mpsc::channel();
            let keeper = &keeper;
            scope.spawn(move || drop(tell.send(keeper.view())));
            let view = told.recv_timeout(BOUND);
            drop(pass);
            loading.join().unwrap();
            view
        });
        let told = view.expect("who asks a member how it is does not wait for its disk").progress.unwrap();
        assert_eq!((told.doing, told.done_bytes), (StoreWork::Loading, 0));
        assert!(told.left_bytes() > 0);
        assert_eq!(keeper.view().progress, None);
    }

    #[test]
    fn a_volume_that_was_named_is_one_for_the_cluster_too() {
        let dir = tempfile::TempDir::new().unwrap();
        let keeper = Keeper::open(dir.path(), None, Some("v".into()), None).unwrap();
        assert_eq!(keeper.volume_id(), format!("{}v", jet_core::roster::NAMED_VOLUME));
    }
}

//! Maps of one member alone: a store on disk, no peers, a machine that the test moves on.
//!
//! Law: the machine is changed by `apply` and by nothing else. Must not know: consensus, sockets.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use jet_admin_api::tls::Material;
use jet_core::agent::Doors;
use jet_core::command::RuntimeWish;
use jet_core::roster::{Founder, RosterEntry};
use jet_core::{
    Boot, Command, Digest, Epoch, FoundingId, Generation, Guarantee, Job, JobId, Outcome, SnapshotRecord, SnapshotRef,
    StoreReport, apply,
};
use jet_hotstore::{Disk, OsDisk};
use jet_map::{CommitRecord, Op, Reply, Requester, SinkDelta, SnapshotId, home_of_job};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::cluster::ProposeError;
use crate::config::Fsync;
use crate::net::NetOptions;
use crate::net::hello::{Hello, WIRE_VERSION};
use crate::ports::Maps;
use crate::store::Keeper;

mod collect;
mod disks;
mod files;
mod handing;
mod order;
mod recovery;
mod time;

const PARTITIONS: u16 = 3;
const JOB: JobId = JobId(1);
const SINK: u32 = 2;
/// Name of a thread that reads a machine which is of long ago when it comes to use it.
const HELD_UP: &str = "held up";
/// Long enough for another thread to get to the lock that it is to wait at.
const A_WHILE: Duration = Duration::from_millis(500);

/// Waits until nothing is left to say; fails with what is.
async fn until(left: impl Fn() -> Option<String>) {
    let begun = std::time::Instant::now();
    while let Some(left) = left() {
        assert!(begun.elapsed() < A_WHILE * 60, "{left}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// `key=value`, one write a part.
fn decode(bytes: &[u8]) -> Result<SinkDelta, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let write = |pair: &str| {
        let (key, value) = pair.split_once('=').ok_or("no pair")?;
        Ok::<_, String>((Bytes::copy_from_slice(key.as_bytes()), Some(Bytes::copy_from_slice(value.as_bytes()))))
    };
    let writes = text.split(',').filter(|pair| !pair.is_empty()).map(write).collect::<Result<_, _>>()?;
    Ok(SinkDelta { map: "out".into(), writes })
}

type Hook = Box<dyn FnOnce() + Send>;

/// The cluster as this member knows it.
struct Known {
    machine: Mutex<Arc<Machine>>,
    me: jet_core::MemberId,
    boot: Boot,
    /// Runs once, after the machine was read on the thread of this name and before it is handed over.
    held_up: Mutex<Option<Hook>>,
    /// Runs once, when so many more looks at the lease were taken, and before the next one is answered.
    before_lease: Mutex<Option<(usize, Hook)>>,
}

impl Cluster for Known {
    fn propose(self: Arc<Self>, _: Command) -> BoxFuture<'static, Result<Outcome, ProposeError>> {
        Box::pin(async { Err(ProposeError::NoLeader) })
    }

    fn machine(&self) -> Arc<Machine> {
        let machine = lock(&self.machine).clone();
        let here = std::thread::current().name() == Some(HELD_UP);
        if let Some(hook) = here.then(|| lock(&self.held_up).take()).flatten() {
            hook();
        }
        machine
    }

    fn leader(&self) -> Option<jet_core::MemberId> {
        Some(self.me)
    }

    fn me(&self) -> jet_core::MemberId {
        self.me
    }

    fn boot(&self) -> Boot {
        self.boot
    }

    fn leased(&self) -> bool {
        let mut before = lock(&self.before_lease);
        match before.take() {
            Some((0, hook)) => {
                drop(before);
                hook();
            }
            later => *before = later.map(|(more, hook)| (more - 1, hook)),
        }
        true
    }
}

pub(crate) struct World {
    keeper: Arc<Keeper>,
    cluster: Arc<Known>,
    pub(crate) maps: MapService,
    /// Where the store lies, on whatever disk.
    home: PathBuf,
    dir: TempDir,
}

impl World {
    /// Founded, generation 1 open.
    fn founded() -> Self {
        Self::founded_on(Arc::new(OsDisk))
    }

    fn founded_on(disk: Arc<dyn Disk>) -> Self {
        let dir = TempDir::new().unwrap();
        Self::founded_in(disk, dir.path().to_owned(), dir)
    }

    fn founded_in(disk: Arc<dyn Disk>, home: PathBuf, dir: TempDir) -> Self {
        let world = Self::start_on(disk, home, dir, Arc::default());
        let founding = Uuid::from_u128(7);
        world.keeper.record_founded(founding, 0).unwrap();
        let entry = RosterEntry { ordinal: 0, boot: world.cluster.boot, volume_id: "v".into(), log_line: 1 };
        world.does(Command::Found {
            id: FoundingId(founding),
            members: vec![Founder { member: world.cluster.me, entry }],
            partition_count: PARTITIONS,
            backup_count: 0,
            permit_digest: Digest::default(),
        });
        world.opens(1);
        world
    }

    /// One job in its first execution.
    pub(crate) fn running() -> Self {
        let world = Self::founded();
        world.submits();
        world
    }

    fn submits(&self) {
        self.does(Command::Submit {
            name: "job".into(),
            sql: String::new(),
            guarantee: Guarantee::ExactlyOnce,
            interval_ms: 1,
            plan: String::new(),
            fingerprint: String::new(),
        });
        self.runs(None);
    }

    fn start_on(disk: Arc<dyn Disk>, home: PathBuf, dir: TempDir, machine: Arc<Machine>) -> Self {
        let keeper = Arc::new(Keeper::open_on(disk, &home, Some("v".into())).unwrap());
        let (me, boot) = (keeper.member(), keeper.boot());
        let cluster = Arc::new(Known {
            machine: Mutex::new(machine),
            me,
            boot,
            held_up: Mutex::default(),
            before_lease: Mutex::default(),
        });
        let net = no_net(me.0, boot.0);
        let maps = MapService::new(net, keeper.store(), cluster.clone(), decode, Fsync::of(&[disks::KEPT]));
        maps.set_doors(Doors::Open);
        Self { keeper, cluster, maps, home, dir }
    }

    /// Power loss: RAM is gone; what came to the machine meanwhile is in its log.
    fn crash(self, meanwhile: Vec<Command>) -> Self {
        self.keeper.store().flush().and_then(|ticket| self.keeper.store().wait_durable(ticket, A_WHILE * 20)).unwrap();
        let mut machine = (*self.cluster.machine()).clone();
        for command in meanwhile {
            does(&mut machine, command);
        }
        let Self { home, dir, keeper, cluster, maps } = self;
        let store = keeper.store();
        drop((maps, cluster, keeper));
        let begun = std::time::Instant::now();
        while Arc::strong_count(&store) > 1 {
            assert!(begun.elapsed() < A_WHILE * 20, "somebody still writes");
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(store);
        Self::start_on(Arc::new(OsDisk), home, dir, Arc::new(machine))
    }

    /// The way back from a crash, with what this member loaded.
    async fn comes_back(&self) {
        let (member, boot) = (self.cluster.me, self.cluster.boot);
        self.does(Command::Recover { observed: [(member, boot)].into() });
        let digest = self.maps.load().await.unwrap();
        let store = StoreReport {
            generation: self.keeper.opened(),
            seal: None,
            partitions: self.maps.versions(),
            epochs: self.keeper.epochs(),
            restored: None,
        };
        self.does(Command::Rejoined { member, boot, volume_id: "v".into(), store });
        self.does(Command::Loaded { member, boot, content_digest: digest });
        self.does(Command::RecoverTable {});
        self.does(Command::SelfActivate {});
        self.opens(self.cluster.machine().generation.0 + 1);
    }

    fn opens(&self, generation: u64) {
        let (member, boot, generation) = (self.cluster.me, self.cluster.boot, Generation(generation));
        self.keeper.open_generation(generation).unwrap();
        self.maps.store_open();
        self.does(Command::Opened { member, boot, generation });
    }

    fn does(&self, command: Command) {
        let mut machine = (**lock(&self.cluster.machine)).clone();
        does(&mut machine, command);
        let machine = Arc::new(machine);
        self.maps.applied(&machine);
        *lock(&self.cluster.machine) = machine;
    }

    fn runs(&self, restore: Option<SnapshotRef>) {
        let fence = self.cluster.machine().fence;
        let jobs = vec![RuntimeWish { job: JOB, restore }];
        self.does(Command::Runtime { fence, members: vec![self.cluster.me], jobs, workers: 0 });
    }

    fn falls(&self) {
        self.does(Command::RuntimeLost { number: self.cluster.machine().last_runtime, cause: "t".into() });
    }

    fn job(&self) -> Job {
        self.cluster.machine().jobs[&JOB].clone()
    }

    /// An epoch of the present execution: every partition gets a part with sink writes, the home the record.
    pub(crate) async fn commits(&self, epoch: u64, sink: &'static str) -> SnapshotId {
        let id = SnapshotId { job: JOB, execution: self.job().execution, epoch: Epoch(epoch) };
        for partition in (0..PARTITIONS).map(PartitionId) {
            let bytes = Bytes::from_static(sink.as_bytes());
            let op = Op::SnapshotPart { id, vertex: SINK, part: u32::from(partition.0), bytes };
            self.maps.invoke(partition, Requester::Job, op).await.unwrap();
        }
        let commit = Op::SnapshotCommit(self.commit_record(id));
        self.maps.invoke(home_of_job(JOB, PARTITIONS), Requester::Job, commit).await.unwrap();
        id
    }

    fn commit_record(&self, id: SnapshotId) -> CommitRecord {
        CommitRecord {
            id,
            table_version: self.cluster.machine().table.version,
            parts: u64::from(PARTITIONS),
            bytes: 1,
            rows_read: 1,
            digest: "d".into(),
            terminal: false,
        }
    }

    async fn publishes(&self, id: SnapshotId) {
        for partition in (0..PARTITIONS).map(PartitionId) {
            let op = Op::SinkApply { id, vertices: vec![SINK] };
            self.maps.invoke(partition, Requester::Job, op).await.unwrap();
        }
    }

    async fn drops_before(&self, id: SnapshotId) {
        for partition in (0..PARTITIONS).map(PartitionId) {
            let op = Op::SnapshotDrop { job: JOB, before: id.point() };
            self.maps.invoke(partition, Requester::Job, op).await.unwrap();
        }
    }

    async fn puts(&self, partition: u16, key: &'static str, value: &'static str) {
        let op = Op::Put { map: "out".into(), key: key.into(), value: value.into() };
        self.maps.invoke(PartitionId(partition), Requester::Client, op).await.unwrap();
    }

    fn reads(&self, partition: u16, key: &str) -> Option<String> {
        let cell = self.maps.shared.cell(PartitionId(partition)).unwrap();
        let state = cell.state();
        let value = state.replica.content().maps.get("out")?.get(key.as_bytes())?.value.clone();
        Some(String::from_utf8_lossy(&value).into_owned())
    }

    fn parts_of(&self, id: SnapshotId) -> usize {
        let cells = self.maps.shared.cells();
        cells.iter().map(|cell| cell.state().replica.content().snapshots.get(&id).map_or(0, |parts| parts.len())).sum()
    }

    /// RAM of one partition loses its part, and nobody is told.
    pub(crate) fn loses_a_part_of(&self, id: SnapshotId) {
        let cell = self.maps.shared.cell(PartitionId(1)).unwrap();
        cell.state().replica.content_for_spoiling().snapshots.remove(&id).unwrap();
    }

    async fn flushes(&self, id: SnapshotId) {
        self.maps.flush_epoch(id, record()).await.unwrap();
    }

    async fn restores(&self, id: SnapshotId) -> Restored {
        self.maps.restore_snapshot(id, self.job().execution, || false).await.unwrap()
    }
}

fn does(machine: &mut Machine, command: Command) {
    let index = machine.applied + 1;
    if let Outcome::Refused(refused) = apply(machine, index, command.clone()) {
        panic!("{command:?}: {refused}");
    }
}

fn record() -> SnapshotRecord {
    SnapshotRecord { bytes: 1, rows_read: 1, digest: Digest("d".into()), table_version: TableVersion(1) }
}

fn durable(id: SnapshotId) -> Command {
    Command::Durable { job: id.job, execution: id.execution, epoch: id.epoch, record: record() }
}

/// A network that is never started.
fn no_net(member: Uuid, boot: u64) -> Net {
    let key = rcgen::KeyPair::generate().unwrap();
    let cert = rcgen::CertificateParams::new(vec!["nobody".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    let material = Material { ca: cert.clone().into(), cert: cert.into(), key: key.serialize_pem().into() };
    let me = Hello { wire: WIRE_VERSION, member, ordinal: 0, boot, founding: None, incarnation: 0 };
    let options = NetOptions {
        me,
        server: material.server().unwrap(),
        client: material.client().unwrap(),
        namespace: "local".into(),
        cluster: "c".into(),
        peers: Vec::new(),
        default_port: 1,
    };
    Net::new(options).0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_write_after_a_crash_outlives_every_restart_of_the_job() {
    let world = World::running();
    let id = world.commits(5, "k=sink").await;
    world.publishes(id).await;
    world.flushes(id).await;
    // Durable everywhere, but the power goes before the log has the sink's writes.
    let world = world.crash(vec![durable(id)]);
    world.comes_back().await;
    assert_eq!(world.reads(0, "k").as_deref(), Some("sink"));
    world.puts(0, "k", "client").await;
    for _ in 0..2 {
        world.runs(world.job().snapshot);
        world.restores(id).await;
        assert_eq!(world.reads(0, "k").as_deref(), Some("client"), "an acknowledged write is overwritten");
        assert_eq!(world.reads(1, "k").as_deref(), Some("sink"));
        assert_eq!(world.parts_of(id), usize::from(PARTITIONS));
        world.falls();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_that_only_the_file_has_come_back_and_a_generation_that_ended_takes_nothing_back() {
    let world = World::running();
    let id = world.commits(5, "k=5").await;
    world.publishes(id).await;
    world.flushes(id).await;
    let later = world.commits(6, "k=6").await;
    world.publishes(later).await;
    world.drops_before(later).await;
    world.does(durable(id));
    world.falls();
    world.runs(world.job().snapshot);
    let by = world.job().execution;
    let ended = world.maps.restore_snapshot(id, by, || true).await;
    assert!(matches!(ended, Err(Refusal::NotNow { .. })), "{ended:?}");
    assert_eq!((world.reads(0, "k").as_deref(), world.parts_of(later)), (Some("6"), usize::from(PARTITIONS)));
    let restored = world.restores(id).await;
    assert_eq!((restored.parts, restored.from_disk), (u64::from(PARTITIONS), u32::from(PARTITIONS)));
    assert_eq!((world.reads(0, "k").as_deref(), world.parts_of(id)), (Some("5"), usize::from(PARTITIONS)));
    // One that was replaced takes nothing back any more.
    world.falls();
    world.runs(world.job().snapshot);
    let late = world.maps.restore_snapshot(id, by, || false).await;
    assert!(matches!(late, Err(Refusal::OldExecution { .. })), "{late:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_record_is_committed_behind_a_report_that_was_final() {
    let world = Arc::new(World::running());
    let id = SnapshotId { job: JOB, execution: world.job().execution, epoch: Epoch(1) };
    let (judged, is_judged) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let record = world.commit_record(id);
    *lock(&world.cluster.held_up) = Some(Box::new(move || {
        judged.send(()).unwrap();
        may_go_on.recv().unwrap();
    }));
    let writing = world.clone();
    let commit = std::thread::Builder::new().name(HELD_UP.into()).spawn(move || {
        let cell = writing.maps.shared.cell(home_of_job(JOB, PARTITIONS)).unwrap();
        cell.order(&writing.maps.shared, Requester::Job, Op::SnapshotCommit(record)).is_ok()
    });
    let commit = commit.unwrap();
    is_judged.recv().unwrap();
    world.falls();
    let applied = lock(&world.cluster.machine).applied;
    let (told, report) = mpsc::channel();
    let reporting = world.clone();
    let reporter = std::thread::spawn(move || {
        let final_at = reporting.maps.final_at(applied);
        told.send((final_at, reporting.maps.epochs().0)).unwrap();
    });
    let early = report.recv_timeout(A_WHILE).ok();
    go_on.send(()).unwrap();
    let committed = commit.join().unwrap();
    let (final_at, epochs) = early.unwrap_or_else(|| report.recv().unwrap());
    reporter.join().unwrap();
    assert!(committed, "its execution ran when it was judged");
    assert!(
        final_at < applied || epochs.iter().any(|epoch| epoch.epoch == id.epoch),
        "final as of {final_at}, and {id:?} is committed all the same: {epochs:?}"
    );
}

/// What was counted under another table may lack what was taken under this one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_snapshot_is_committed_under_another_table_than_it_was_counted_under() {
    let world = World::running();
    let id = SnapshotId { job: JOB, execution: world.job().execution, epoch: Epoch(1) };
    let counted = CommitRecord { table_version: TableVersion(u64::MAX), ..world.commit_record(id) };
    let commit = |record| world.maps.invoke(home_of_job(JOB, PARTITIONS), Requester::Job, Op::SnapshotCommit(record));
    let refused = commit(counted).await.map(drop);
    assert!(matches!(refused, Err(Refusal::TableMoved { .. })), "{refused:?}");
    // Nor one that was counted before a primary was installed.
    let installed = world.cluster.machine().table.last_installed();
    let early = CommitRecord { table_version: TableVersion(installed.0 - 1), ..world.commit_record(id) };
    let refused = commit(early).await.map(drop);
    assert!(matches!(refused, Err(Refusal::TableMoved { .. })), "{refused:?}");
    assert!(commit(world.commit_record(id)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_that_is_kept_is_reported() {
    let world = World::running();
    let flushed = |world: &World| world.maps.epochs().1.iter().map(|report| report.epoch.0).collect::<Vec<_>>();
    for epoch in [5, 6, 7] {
        let id = world.commits(epoch, "k=1").await;
        world.publishes(id).await;
        world.flushes(id).await;
    }
    assert_eq!(flushed(&world), [5, 6, 7]);
    let id = SnapshotId { job: JOB, execution: world.job().execution, epoch: Epoch(6) };
    let world = world.crash(vec![durable(id)]);
    world.comes_back().await;
    assert_eq!(flushed(&world), [5, 6, 7]);
    world.runs(world.job().snapshot);
    world.restores(id).await;
    let newer = world.commits(8, "k=8").await;
    world.publishes(newer).await;
    world.flushes(newer).await;
    world.does(durable(newer));
    // What is older than the durable one goes once the log has its sink writes.
    until(|| (flushed(&world) != [8]).then(|| format!("still kept: {:?}", flushed(&world)))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_ended_job_published_is_on_disk_before_a_seal_is_made() {
    let world = World::running();
    let id = world.commits(5, "k=5").await;
    world.publishes(id).await;
    world.does(Command::Cancel { name: "job".into() });
    world.maps.shared.settle_disk().await.unwrap();
    let world = world.crash(Vec::new());
    world.comes_back().await;
    assert_eq!(world.reads(0, "k").as_deref(), Some("5"));
    assert_eq!(world.maps.shared.not_on_disk(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_a_job_that_the_replayed_log_does_not_know_yet_are_loaded() {
    let world = World::founded();
    let long_ago = world.cluster.machine();
    world.submits();
    let id = world.commits(5, "k=5").await;
    world.publishes(id).await;
    world.flushes(id).await;
    let world = world.crash(vec![durable(id)]);
    let present = std::mem::replace(&mut *lock(&world.cluster.machine), long_ago);
    world.maps.load().await.unwrap();
    *lock(&world.cluster.machine) = present;
    world.comes_back().await;
    assert_eq!((world.parts_of(id), world.reads(0, "k").as_deref()), (usize::from(PARTITIONS), Some("5")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_nobody_filled_is_not_written_over_the_store() {
    let world = World::founded();
    world.puts(0, "k", "client").await;
    let world = world.crash(Vec::new());
    let machine = world.cluster.machine();
    world.maps.applied(&machine);
    assert_eq!(
        world.maps.versions(),
        vec![None; usize::from(PARTITIONS)],
        "it read nothing and says that it has something"
    );
    world.keeper.resume().unwrap();
    world.maps.store_open();
    assert!(world.maps.shared.cells_behind().is_empty(), "empty replicas are to be written");
    let world = world.crash(Vec::new());
    world.comes_back().await;
    assert_eq!(world.reads(0, "k").as_deref(), Some("client"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_seal_is_made_of_what_no_disk_has() {
    let world = World::running();
    let id = world.commits(5, "k=5").await;
    world.publishes(id).await;
    world.does(Command::Suspend { name: "job".into() });
    let refused = world.maps.shared.settle_disk().await;
    assert!(refused.as_ref().is_err_and(|why| why.contains("has published more")), "{refused:?}");
    world.flushes(id).await;
    world.does(durable(id));
    world.maps.shared.settle_disk().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_cancelled_job_published_goes_to_the_log_without_a_stop() {
    let world = World::running();
    let id = world.commits(5, "k=5").await;
    world.publishes(id).await;
    world.does(Command::Cancel { name: "job".into() });
    until(|| world.maps.shared.not_on_disk().map(|job| format!("job {job} is still in RAM alone"))).await;
    let world = world.crash(Vec::new());
    world.comes_back().await;
    assert_eq!(world.reads(0, "k").as_deref(), Some("5"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_came_after_the_file_was_written_holds_no_seal() {
    let world = World::running();
    let id = world.commits(5, "k=5").await;
    world.publishes(id).await;
    // As a member writes it that does not hold partition 1 yet.
    let mut file = world.keeper.store().epoch_writer(epochs::name(id)).unwrap();
    for partition in [0, 2] {
        let cell = world.maps.shared.cell(PartitionId(partition)).unwrap();
        for (vertex, bytes) in cell.state().replica.begin_epoch(id).unwrap().to_parts() {
            file.put(vertex, partition, &bytes).unwrap();
        }
    }
    file.finish().unwrap();
    world.does(durable(id));
    world.does(Command::Suspend { name: "job".into() });
    world.maps.shared.settle_disk().await.unwrap();
    let (record, parts) = world.maps.shared.read_file(id).unwrap();
    assert_eq!((record, parts.len()), (Some(super::tests::record()), usize::from(PARTITIONS)));
    let world = world.crash(Vec::new());
    world.comes_back().await;
    assert_eq!((world.parts_of(id), world.reads(1, "k").as_deref()), (usize::from(PARTITIONS), Some("5")));
}

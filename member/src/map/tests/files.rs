//! Files of epochs: what they count for, what is never lost of them, what comes back of them into RAM.
//!
//! Must not know: what another member would do.

use jet_core::OperationId;
use jet_hotstore::layout::{epoch, shape_of};
use jet_hotstore::{EncryptedDisk, Keys, SimulatedDisk};

use super::*;
use crate::map::epochs::name;

const LAST: PartitionId = PartitionId(PARTITIONS - 1);
/// A partition that this member does not hold.
const ELSEWHERE: PartitionId = PartitionId(PARTITIONS + 4);

impl World {
    /// Writes the file as a member does that holds these partitions.
    fn writes_file_of(&self, id: SnapshotId, partitions: impl IntoIterator<Item = PartitionId>) {
        let mut file = self.keeper.store().epoch_writer(name(id)).unwrap();
        file.put(u32::MAX - 2, 0, &serde_json::to_vec(&record()).unwrap()).unwrap();
        for partition in partitions {
            let held = if partition == ELSEWHERE { PartitionId(0) } else { partition };
            let cell = self.maps.shared.cell(held).unwrap();
            for (vertex, bytes) in cell.state().replica.begin_epoch(id).unwrap().to_parts() {
                file.put(vertex, partition.0, &bytes).unwrap();
            }
        }
        file.finish().unwrap();
    }

    fn names(&self, id: SnapshotId) -> Vec<u16> {
        self.maps.shared.read_file(id).unwrap().1.keys().map(|partition| partition.0).collect()
    }

    fn is_flushed(&self, id: SnapshotId) -> bool {
        self.maps.epochs().1.iter().any(|report| (report.execution, report.epoch) == (id.execution, id.epoch))
    }

    fn spoils_part_of(&self, id: SnapshotId) {
        let cell = self.maps.shared.cell(PartitionId(1)).unwrap();
        let mut state = cell.state();
        for bytes in state.replica.content_for_spoiling().snapshots.get_mut(&id).unwrap().values_mut() {
            *bytes = "k=spoiled".into();
        }
    }

    fn begins_a_stop(&self) -> OperationId {
        let op = OperationId { seq: 1, random: "stop".into() };
        let (requested_by, accepted) = ("t".into(), Vec::new());
        self.does(Command::Begin { op: op.clone(), requested_by, accepted, transient: false });
        self.does(Command::Freeze { op: op.clone(), commit_within_ms: 1000 });
        op
    }

    /// The job goes on from a snapshot after a crash, and files are all that has its sink writes.
    async fn back_from_a_snapshot_that_nobody_called_durable() -> (Self, SnapshotId) {
        let world = Self::running();
        let id = world.commits(5, "k=5").await;
        world.publishes(id).await;
        world.flushes(id).await;
        (world.goes_on_after_a_crash_from(id).await, id)
    }

    /// It is the terminal snapshot of a stop in which the power goes.
    async fn goes_on_after_a_crash_from(self, id: SnapshotId) -> Self {
        let op = self.begins_a_stop();
        let (job, execution, epoch) = (id.job, id.execution, id.epoch);
        self.does(Command::Terminal { op: op.clone(), job, execution, epoch, record: record() });
        let world = self.crash(vec![Command::Abort { op, reason: "the power went".into() }]);
        world.comes_back().await;
        assert_eq!(world.job().snapshot.map(|snapshot| snapshot.position()), Some(id.point()));
        world
    }

    async fn durable_and_suspended(&self) -> SnapshotId {
        let id = self.commits(5, "k=5").await;
        self.publishes(id).await;
        self.flushes(id).await;
        self.does(durable(id));
        self.does(Command::Suspend { name: "job".into() });
        self.falls();
        id
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_without_a_copy_that_counts_here_is_not_reported() {
    let world = World::running();
    let id = world.commits(5, "k=5").await;
    world.publishes(id).await;
    world.writes_file_of(id, [PartitionId(0), LAST]);
    let world = world.crash(vec![durable(id)]);
    world.comes_back().await;
    assert!(!world.is_flushed(id), "it would be called durable, and no file has partition 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_epoch_asked_for_again_gets_what_came_here_and_keeps_what_went_elsewhere() {
    let world = World::running();
    let id = world.commits(5, "k=5").await;
    world.publishes(id).await;
    world.writes_file_of(id, [PartitionId(0), LAST, ELSEWHERE]);
    world.flushes(id).await;
    assert_eq!(world.names(id), [0, 1, LAST.0, ELSEWHERE.0]);
    assert!(world.is_flushed(id));
}

/// A disk that writes with this key and has no other.
fn encrypted(name: &str) -> Arc<dyn Disk> {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join(name), [7; 32]).unwrap();
    let keys = Keys::read(&OsDisk, dir.path(), Some(name)).unwrap();
    Arc::new(EncryptedDisk::new(Arc::new(OsDisk), Arc::new(keys), shape_of))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_only_wants_its_key_is_not_written_again() {
    let ours = encrypted("k1");
    let world = World::founded_on(ours.clone());
    world.submits();
    let id = world.commits(5, "k=5").await;
    world.publishes(id).await;
    world.writes_file_of(id, [PartitionId(0), LAST, ELSEWHERE]);
    let file = epoch(&world.home, 1, id.job.0, id.execution.0, id.epoch.0);
    let held = ours.read(&file).unwrap().unwrap();
    let mut of_another = encrypted("k2").create(&file).unwrap();
    of_another.write_at(0, &held).and_then(|()| of_another.sync()).unwrap();
    let before = std::fs::read(&file).unwrap();
    let refused = world.maps.flush_epoch(id, record()).await.unwrap_err().to_string();
    let words = ["encrypted with key 'k2', which is not among the keys given ('k1')", "mount the key"];
    assert!(words.iter().all(|words| refused.contains(words)), "{refused}");
    assert!(std::fs::read(&file).unwrap() == before, "what its key would give back is gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ram_that_differs_from_the_file_never_takes_its_place() {
    let world = World::running();
    let id = world.commits(5, "k=5").await;
    world.publishes(id).await;
    world.writes_file_of(id, [PartitionId(0), PartitionId(1)]);
    world.spoils_part_of(id);
    let before = world.maps.shared.read_file(id).unwrap();
    let refused = world.maps.flush_epoch(id, record()).await;
    assert!(refused.as_ref().is_err_and(|why| why.to_string().contains("differ in partition 1")), "{refused:?}");
    assert_eq!(world.maps.shared.read_file(id).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_ended_half_way_is_made_whole_before_contents_are_counted() {
    let world = World::running();
    let id = world.durable_and_suspended().await;
    // As the next execution leaves it when its member dies after the first part.
    let (partition, by) = (PartitionId(1), world.job().execution.next());
    world.maps.shared.invoke_here(partition, Requester::Job, Op::RestoreBegin { id, by }, false).await.unwrap();
    world.begins_a_stop();
    let begun = std::time::Instant::now();
    let contents = loop {
        match world.maps.contents().await {
            Ok(contents) => break contents,
            Err(why) => assert!(begun.elapsed() < A_WHILE * 60, "{why}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(contents.len(), usize::from(PARTITIONS));
    assert_eq!(world.parts_of(id), usize::from(PARTITIONS));
    world.maps.shared.settle_disk().await.unwrap();
    assert_eq!(world.names(id).len(), usize::from(PARTITIONS));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_nobody_has_whole_refuses_the_count_and_is_named() {
    let world = World::running();
    let id = world.commits(5, "k=5").await;
    world.publishes(id).await;
    world.does(durable(id));
    world.does(Command::Suspend { name: "job".into() });
    world.falls();
    world.loses_a_part_of(id);
    world.begins_a_stop();
    let refused = world.maps.contents().await;
    assert!(refused.as_ref().is_err_and(|why| why.contains("partition 1 lacks parts or results")), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_that_are_given_back_are_not_read_before_all_are_there() {
    let world = World::running();
    let id = world.commits(5, "k=5").await;
    world.falls();
    world.runs(None);
    let by = world.job().execution;
    world.maps.shared.invoke_here(PartitionId(1), Requester::Job, Op::RestoreBegin { id, by }, false).await.unwrap();
    let query = jet_map::Query::SnapshotParts { id, after: None, bytes: 1 };
    let refused = world.maps.shared.ask_here(PartitionId(1), Requester::Job, query).await;
    assert!(matches!(refused, Err(Refusal::NotLoaded { .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_a_store_still_asks_files_for_sink_writes() {
    let (world, id) = World::back_from_a_snapshot_that_nobody_called_durable().await;
    // The primary that read the store copied the partition to this member and went.
    {
        let cell = world.maps.shared.cell(PartitionId(1)).unwrap();
        let mut state = cell.state();
        let mut source = jet_map::CopySource::of(&state.replica);
        while let Some((piece, items)) = source.next_piece() {
            state.replica.copy_piece(1, piece, items).unwrap();
        }
        state.replica.copy_end(1, source.pieces(), source.version, &source.digest()).unwrap();
        state.from_store = false;
    }
    world.runs(world.job().snapshot);
    world.restores(id).await;
    assert_eq!(world.reads(1, "k").as_deref(), Some("5"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_before_the_end_of_a_job_gets_its_last_results_to_the_log() {
    let world = World::running();
    let id = world.commits(5, "k=5").await;
    world.publishes(id).await;
    let cell = world.maps.shared.cell(PartitionId(1)).unwrap();
    let mut source = jet_map::CopySource::of(&cell.state().replica);
    world.does(Command::Cancel { name: "job".into() });
    until(|| world.maps.shared.not_on_disk().map(|job| format!("job {job} is still in RAM alone"))).await;
    {
        let mut state = cell.state();
        while let Some((piece, items)) = source.next_piece() {
            state.replica.copy_piece(1, piece, items).unwrap();
        }
        state.replica.copy_end(1, source.pieces(), source.version, &source.digest()).unwrap();
        state.on_disk = cell::OnDisk::Behind;
    }
    world.maps.shared.behind.notify_one();
    until(|| world.maps.shared.not_on_disk().map(|job| format!("job {job} is in RAM alone again"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_failed_goes_on_by_itself_when_the_disk_does() {
    let disk = SimulatedDisk::new();
    let world = World::founded_on(Arc::new(disk.clone()));
    let failure = || world.keeper.store().health().failure;
    disk.set_capacity(Some(0));
    world.puts(1, "k", "1").await;
    until(|| failure().is_none().then(|| "the log did not fail".to_owned())).await;
    disk.set_capacity(None);
    until(|| failure().map(|failure| format!("the log still does not go on: {failure:?}"))).await;
    world.puts(1, "k", "2").await;
    world.maps.shared.settle_disk().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_writes_before_the_job_is_back_is_later_than_its_file() {
    let (world, id) = World::back_from_a_snapshot_that_nobody_called_durable().await;
    world.puts(1, "k", "client").await;
    world.runs(world.job().snapshot);
    world.restores(id).await;
    assert_eq!(world.reads(1, "k").as_deref(), Some("client"), "an acknowledged write is overwritten");
    assert_eq!(world.reads(0, "k").as_deref(), Some("5"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_job_published_is_given_back_when_it_never_runs_again() {
    let (world, id) = World::back_from_a_snapshot_that_nobody_called_durable().await;
    world.does(Command::Cancel { name: "job".into() });
    // As whoever coordinates jobs does it at once.
    let everything = jet_map::Op::SnapshotDrop { job: JOB, before: all_of(JOB).point() };
    for partition in (0..PARTITIONS).map(PartitionId) {
        world.maps.invoke(partition, Requester::Job, everything.clone()).await.unwrap();
    }
    until(|| (world.reads(1, "k").as_deref() != Some("5")).then(|| "its results are in a file only".to_owned())).await;
    until(|| {
        let kept = world.keeper.store().epochs();
        (!kept.is_empty()).then(|| format!("files of a job that is over stay: {kept:?}"))
    })
    .await;
    assert_eq!(world.maps.shared.not_on_disk(), None);
    assert_eq!(world.parts_of(id), 0, "parts of a job that is over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_wrote_before_a_job_was_cancelled_is_later_than_its_file() {
    let world = World::running();
    // The log knows the job already.
    let earlier = world.commits(4, "k=4").await;
    world.publishes(earlier).await;
    world.flushes(earlier).await;
    world.does(durable(earlier));
    until(|| world.maps.shared.not_on_disk().map(|job| format!("job {job} is in RAM alone"))).await;
    let id = world.commits(5, "k=5").await;
    world.publishes(id).await;
    world.flushes(id).await;
    let world = world.goes_on_after_a_crash_from(id).await;
    world.puts(1, "k", "client").await;
    world.does(Command::Cancel { name: "job".into() });
    until(|| (world.reads(0, "k").as_deref() != Some("5")).then(|| "its results are in a file only".to_owned())).await;
    assert_eq!(world.reads(1, "k").as_deref(), Some("client"), "an acknowledged write is overwritten");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_the_recovery_did_not_choose_is_nobodys_result() {
    let world = World::running();
    let chosen = world.commits(5, "k=5").await;
    world.publishes(chosen).await;
    world.flushes(chosen).await;
    let newer = world.commits(6, "k=6").await;
    world.publishes(newer).await;
    world.flushes(newer).await;
    let world = world.crash(vec![durable(chosen)]);
    world.comes_back().await;
    assert_eq!(world.job().snapshot.map(|snapshot| snapshot.epoch), Some(chosen.epoch));
    let unsettled = || {
        let cells = world.maps.shared.cells();
        cells.iter().any(|cell| cell.state().replica.content().unsettled().next().is_some())
    };
    until(|| unsettled().then(|| "a client's write is still compared with it".to_owned())).await;
    world.does(Command::Cancel { name: "job".into() });
    until(|| (!world.keeper.store().epochs().is_empty()).then(|| "files of a job that is over stay".to_owned())).await;
    assert_eq!(world.reads(1, "k").as_deref(), Some("5"), "of an execution that does not count");
}

//! Counting a snapshot again, part by part, from the map.
//!
//! Law: nobody relies on a snapshot whose parts are not those that its record names: a missing part is never taken for
//! empty state. Must not know: what a part means.

use futures::StreamExt;
use jet_core::machine::{RuntimeGeneration, RuntimeJob};
use jet_core::{Command, Digest, PartitionId, SnapshotRef};
use jet_map::SnapshotId;
use tracing::error;

use super::words::Mark;
use super::{Shared, parts};
use crate::map::MapService;

/// Partitions that are counted at a time.
const AT_A_TIME: usize = 8;

/// What the map has of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub parts: u64,
    pub bytes: u64,
    pub digest: Digest,
}

/// Asks the primaries for every part.
pub(super) async fn count(maps: &MapService, id: SnapshotId) -> Result<Counted, String> {
    let counts = (0..maps.partitions()).map(PartitionId).map(|partition| async move {
        let found = maps.snapshot_parts(partition, id).await.map_err(|refusal| refusal.to_string())?;
        let bytes: u64 = found.iter().map(|(_, _, bytes)| bytes.len() as u64).sum();
        let marks: Vec<Mark> = found.iter().map(|(vertex, part, bytes)| parts::mark(*vertex, *part, bytes)).collect();
        Ok::<_, String>((marks, bytes))
    });
    let mut counted = futures::stream::iter(counts).buffer_unordered(AT_A_TIME);
    let (mut marks, mut bytes) = (Vec::new(), 0);
    while let Some(one) = counted.next().await {
        let (some, length) = one?;
        marks.extend(some);
        bytes += length;
    }
    Ok(Counted { parts: marks.len() as u64, bytes, digest: parts::digest(&mut marks) })
}

/// What every job of a generation goes on from is there, to the last part; asked once everybody has brought back its own.
/// A job whose snapshot is not whole fails, and not the others.
pub(super) async fn verify(shared: &Shared, generation: &RuntimeGeneration) -> Result<(), String> {
    for job in &generation.jobs {
        let Some(snapshot) = &job.restore else { continue };
        let id = SnapshotId { job: job.job, execution: snapshot.execution, epoch: snapshot.epoch };
        if let Some(cause) = differs(snapshot, &count(&shared.maps, id).await?) {
            error!(job = %job.job, %cause, "a snapshot is not gone on from");
            fail(shared, job, cause.clone()).await;
            return Err(cause);
        }
    }
    Ok(())
}

fn differs(snapshot: &SnapshotRef, found: &Counted) -> Option<String> {
    let record = &snapshot.record;
    let same = (found.bytes, &found.digest) == (record.bytes, &record.digest);
    (!same).then(|| {
        format!(
            "epoch {} of execution {} is not whole: {} bytes with digest {} are here, {} with {} were recorded",
            snapshot.epoch, snapshot.execution, found.bytes, found.digest, record.bytes, record.digest
        )
    })
}

async fn fail(shared: &Shared, job: &RuntimeJob, cause: String) {
    let command = Command::JobFailed { job: job.job, execution: job.execution, cause, progressed: false };
    if let Err(error) = shared.cluster.clone().propose(command).await {
        error!(job = %job.job, %error, "a job cannot be failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jet_core::{Epoch, ExecutionId, SnapshotRecord, TableVersion};

    #[test]
    fn one_missing_or_changed_part_is_a_difference() {
        let all = [parts::mark(parts::STATE, 0, b"a"), parts::mark(parts::STATE, 1, b"b")];
        let counted = |marks: &[Mark], bytes| Counted {
            parts: marks.len() as u64,
            bytes,
            digest: parts::digest(&mut marks.to_vec()),
        };
        let whole = counted(&all, 2);
        let record =
            SnapshotRecord { bytes: 2, rows_read: 0, digest: whole.digest.clone(), table_version: TableVersion(1) };
        let (execution, epoch) = (ExecutionId(1), Epoch(57));
        let snapshot = SnapshotRef { execution, epoch, record, index: 0, terminal: None };
        assert_eq!(differs(&snapshot, &whole), None);
        // An empty part is a part.
        let empty = [all[0].clone(), parts::mark(parts::STATE, 1, b"")];
        for wrong in [counted(&all[..1], 1), counted(&all[..1], 2), counted(&empty, 2), counted(&[], 0)] {
            assert!(differs(&snapshot, &wrong).is_some_and(|why| why.contains("epoch 57")), "{wrong:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_the_map_lost_of_a_snapshot_is_missed() {
        let world = crate::map::tests::World::running();
        let id = world.commits(5, "k=5").await;
        let whole = count(&world.maps, id).await.expect("counted");
        assert_eq!(whole.parts, 3);
        let record = SnapshotRecord {
            bytes: whole.bytes,
            rows_read: 0,
            digest: whole.digest.clone(),
            table_version: TableVersion(1),
        };
        let snapshot = SnapshotRef { execution: id.execution, epoch: id.epoch, record, index: 0, terminal: None };
        world.loses_a_part_of(id);
        let left = count(&world.maps, id).await.expect("counted");
        assert!(differs(&snapshot, &whole).is_none() && differs(&snapshot, &left).is_some(), "{left:?}");
    }
}

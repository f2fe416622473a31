//! One snapshot: gathered from every member, then its record, which is written last.
//!
//! Law: a record is written only when every part of every worker is on every replica that counts, under primaries that all lead
//! under the table that the record names, too; copies may move meanwhile. A terminal snapshot is counted again from the map before anybody relies on it. Must not know: who
//! wants it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jet_core::{Digest, Epoch, ExecutionId, Machine, MemberId, PartitionId, TableVersion};
use jet_map::{CommitRecord, Op, Refusal, Requester, SnapshotId, home_of_job};
use tokio::time::Instant;

use super::ask;
use crate::jobs::count::{Counted, count};
use crate::jobs::words::{Answer, Ask, Gathered, Mark, Wanted};
use crate::jobs::{Shared, parts};

/// A member is asked at least so often whether it is done.
const GATHER_WITHIN: Duration = Duration::from_secs(5);
/// Pause before a member that could not be asked is asked again.
const AGAIN: Duration = Duration::from_millis(50);
/// Tries of one record while the table moves or a backup is slow.
const COMMIT_TRIES: u32 = 200;
/// Partitions that are asked at a time.
pub(super) const AT_A_TIME: usize = 32;
/// One change is tried this long.
const CHANGE_WITHIN: Duration = Duration::from_secs(30);

/// Opens the epoch everywhere, or goes on with it, and commits it.
pub(super) async fn snapshot(shared: &Arc<Shared>, machine: &Machine, wanted: Wanted) -> Result<CommitRecord, String> {
    let runtime =
        machine.runtime.as_ref().filter(|runtime| runtime.number == wanted.runtime).ok_or("the generation is over")?;
    let gathers = runtime.members.iter().map(|member| gather(shared, *member, wanted));
    let gathered = futures::future::try_join_all(gathers).await?;
    let mut marks: Vec<Mark> = gathered.iter().flat_map(|one| one.marks.iter().cloned()).collect();
    whole(&gathered, &marks, shared.maps.partitions())?;
    let tables = gathered.iter().filter_map(|one| one.tables).flat_map(|(oldest, newest)| [oldest, newest]).collect();
    let id = SnapshotId { job: wanted.job, execution: wanted.execution, epoch: wanted.epoch };
    let record = CommitRecord {
        id,
        table_version: TableVersion(0),
        parts: marks.len() as u64,
        bytes: gathered.iter().map(|one| one.bytes).sum(),
        rows_read: gathered.iter().map(|one| one.rows_read).sum(),
        digest: parts::digest(&mut marks).0,
        terminal: wanted.terminal,
    };
    commit(shared, record, tables).await
}

async fn gather(shared: &Arc<Shared>, member: MemberId, wanted: Wanted) -> Result<Gathered, String> {
    loop {
        match ask(shared, member, Ask::Gather(wanted), GATHER_WITHIN).await {
            Ok(Answer::Gathered(gathered)) => return Ok(*gathered),
            Ok(Answer::NotYet) => {}
            Ok(Answer::Elsewhere(why)) => return Err(format!("member {member}: {why}")),
            Ok(_) => return Err(format!("member {member} gave an answer of another kind")),
            // The generation ends with a member that stays away; until then the snapshot waits for it.
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}

fn whole(gathered: &[Gathered], marks: &[Mark], partitions: u16) -> Result<(), String> {
    let workers: BTreeSet<u64> = gathered.iter().flat_map(|one| one.workers.iter().copied()).collect();
    let wanted = gathered.iter().map(|one| one.of_workers).max().unwrap_or(0);
    if workers.len() as u64 != wanted {
        return Err(format!("{} of {wanted} workers gave parts", workers.len()));
    }
    parts::incomplete(marks, partitions).map_or(Ok(()), Err)
}

/// Writes the record. `tables`: under which tables parts were acknowledged.
async fn commit(
    shared: &Shared,
    record: CommitRecord,
    mut tables: BTreeSet<TableVersion>,
) -> Result<CommitRecord, String> {
    let home = home_of_job(record.id.job, shared.maps.partitions());
    let mut why = String::new();
    for _ in 0..COMMIT_TRIES {
        let machine = shared.cluster.machine();
        let (now, installed) = (machine.table.version, machine.table.last_installed());
        if tables.first().is_none_or(|oldest| *oldest < installed) {
            tables = confirm(shared, record.id).await?;
            if tables.first().is_none_or(|oldest| *oldest < installed) {
                continue;
            }
        }
        let record = CommitRecord { table_version: now, ..record.clone() };
        match shared.maps.invoke(home, Requester::Job, Op::SnapshotCommit(record.clone())).await {
            Ok(_) => return Ok(record),
            Err(
                refusal @ (Refusal::OldExecution { .. } | Refusal::CommittedAlready { .. } | Refusal::NotNow { .. }),
            ) => return Err(refusal.to_string()),
            Err(refusal) => why = refusal.to_string(),
        }
        tokio::time::sleep(AGAIN).await;
    }
    Err(format!("its record could not be written: {why}"))
}

/// Under which tables every partition answers now: what was acknowledged before is then on every replica of that table.
/// Asked by a change that changes nothing, because only a change is answered by all replicas.
async fn confirm(shared: &Shared, id: SnapshotId) -> Result<BTreeSet<TableVersion>, String> {
    let nothing = Op::SnapshotDrop { job: id.job, before: (ExecutionId(0), Epoch(0)) };
    everywhere(shared, |_| nothing.clone()).await
}

/// One change of every partition; the tables under which they were acknowledged.
pub(super) async fn everywhere(
    shared: &Shared,
    op: impl Fn(PartitionId) -> Op,
) -> Result<BTreeSet<TableVersion>, String> {
    let changes =
        (0..shared.maps.partitions()).map(PartitionId).map(|partition| change(shared, partition, op(partition)));
    let mut answers = futures::stream::iter(changes).buffer_unordered(AT_A_TIME);
    let mut tables = BTreeSet::new();
    while let Some(answer) = answers.next().await {
        tables.insert(answer?);
    }
    Ok(tables)
}

/// One change that may be made twice, tried for a while.
async fn change(shared: &Shared, partition: PartitionId, op: Op) -> Result<TableVersion, String> {
    let deadline = Instant::now() + CHANGE_WITHIN;
    loop {
        match shared.maps.invoke(partition, Requester::Job, op.clone()).await {
            Ok(acknowledged) => return Ok(acknowledged.table_version),
            Err(refusal @ (Refusal::NotNow { .. } | Refusal::SinkPart { .. })) => return Err(refusal.to_string()),
            Err(refusal) if Instant::now() >= deadline => return Err(refusal.to_string()),
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// Counts a committed snapshot again, part by part, from the primaries; answers the table that holds.
pub(super) async fn count_again(
    shared: &Shared,
    machine: &Machine,
    record: &CommitRecord,
) -> Result<TableVersion, String> {
    let found = count(&shared.maps, record.id).await?;
    let recorded = Counted { parts: record.parts, bytes: record.bytes, digest: Digest(record.digest.clone()) };
    if found != recorded {
        return Err(format!("the terminal snapshot, counted again, is {found:?} where {recorded:?} was recorded"));
    }
    let now = machine.table.version;
    if record.table_version == now || confirm(shared, record.id).await? == BTreeSet::from([now]) {
        return Ok(now);
    }
    Err(format!("the table moved from {} while it was counted", record.table_version))
}

//! After a commit: members are told, sink writes become visible, what is older is dropped.
//!
//! Law: a sink shows what is committed and nothing else; each partition applies an epoch once, with its marker; nothing
//! is dropped that a disk still needs. Must not know: keys and values.

use std::sync::Arc;
use std::time::Duration;

use jet_core::{Epoch, ExecutionId, JobId, Machine, MemberId, RuntimeNumber};
use jet_map::{CommitRecord, Op, SnapshotId};

use tracing::debug;

use super::ask;
use super::commit::everywhere;
use super::conductor::learn;
use super::plan::Point;
use crate::jobs::words::{Answer, Ask};
use crate::jobs::{Shared, parts};

/// A member is told within this time.
const TELL_WITHIN: Duration = Duration::from_secs(2);
/// Tries before the step is given back.
const TELL_TRIES: u32 = 5;
/// Tries to drop what an ended job left; afterwards it stays until the next leader.
const LEAVE_TRIES: u32 = 10;
/// Pause between two of them.
const LEAVE_AGAIN: Duration = Duration::from_secs(1);

/// Tells every member of the generation.
pub(super) async fn tell(
    shared: &Arc<Shared>,
    machine: &Machine,
    runtime: RuntimeNumber,
    record: &CommitRecord,
) -> Result<(), String> {
    let members =
        machine.runtime.as_ref().filter(|of| of.number == runtime).map(|of| of.members.clone()).unwrap_or_default();
    let tells =
        members.into_iter().map(|member| tell_one(shared, member, Ask::Committed { runtime, record: record.clone() }));
    futures::future::try_join_all(tells).await.map(|_| ())
}

async fn tell_one(shared: &Arc<Shared>, member: MemberId, words: Ask) -> Result<(), String> {
    let mut why = String::new();
    for _ in 0..TELL_TRIES {
        match ask(shared, member, words.clone(), TELL_WITHIN).await {
            Ok(Answer::Noted) => return Ok(()),
            Ok(Answer::Elsewhere(elsewhere)) => return Err(format!("member {member}: {elsewhere}")),
            Ok(_) => return Err(format!("member {member} gave an answer of another kind")),
            Err(error) => why = error,
        }
    }
    Err(why)
}

/// Applies the sink writes of a committed snapshot everywhere, then drops everything of the job before `kept`.
pub(super) async fn publish(shared: &Shared, job: JobId, point: Point, kept: Point) -> Result<(), String> {
    let id = SnapshotId { job, execution: point.0, epoch: point.1 };
    everywhere(shared, |_| Op::SinkApply { id, vertices: vec![parts::SINK] }).await?;
    everywhere(shared, |_| Op::SnapshotDrop { job, before: kept }).await.map(|_| ())
}

/// Drops the snapshots of a job that is ended.
pub(super) async fn leave(shared: Arc<Shared>, job: JobId) {
    for _ in 0..LEAVE_TRIES {
        if shared.cluster.machine().state.settled().is_none() {
            return;
        }
        let dropped = match learn(&shared, job).await {
            Ok(None) => return,
            Ok(Some(_)) => {
                everywhere(&shared, |_| Op::SnapshotDrop { job, before: (ExecutionId(u64::MAX), Epoch(u64::MAX)) })
                    .await
                    .map(|_| ())
            }
            Err(why) => Err(why),
        };
        match dropped {
            Ok(()) => return,
            Err(why) => debug!(%job, %why, "snapshots of an ended job are not dropped yet"),
        }
        tokio::time::sleep(LEAVE_AGAIN).await;
    }
}

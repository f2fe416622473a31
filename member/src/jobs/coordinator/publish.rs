//! After a commit: members are told, sink writes become visible, what is older is dropped.
//!
//! Law: a sink shows what is committed and nothing else; each partition applies an epoch once, with its marker; nothing
//! is dropped that a disk still needs. Must not know: keys and values.

use std::sync::Arc;
use std::time::Duration;

use jet_core::{JobId, Machine, MemberId, RuntimeNumber};
use jet_map::{CommitRecord, Op, SnapshotId};

use super::ask;
use super::commit::everywhere;
use super::plan::Point;
use crate::jobs::words::{Answer, Ask};
use crate::jobs::{Shared, parts};

/// A member is told within this time.
const TELL_WITHIN: Duration = Duration::from_secs(2);
/// Tries before the step is given back.
const TELL_TRIES: u32 = 5;

/// Tells every member of the generation.
pub(super) async fn tell(shared: &Arc<Shared>, machine: &Machine, runtime: RuntimeNumber, record: &CommitRecord) -> Result<(), String> {
    let members = machine.runtime.as_ref().filter(|of| of.number == runtime).map(|of| of.members.clone()).unwrap_or_default();
    let tells = members.into_iter().map(|member| tell_one(shared, member, Ask::Committed { runtime, record: record.clone() }));
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

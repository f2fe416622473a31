//! What this member answers to the coordinator, wherever that is.
//!
//! Law: as [`super::words`] says; an answer that needs the workers waits a bounded time and then says "not yet". Must
//! not know: what is asked next.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use jet_core::{Digest, SnapshotRecord};
use jet_map::{CommitRecord, SnapshotId};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::Shared;
use super::words::{Answer, Ask, Wanted};
use crate::map::FlushError;
use crate::net::{Handler, Peer};

/// A question about workers is held this long.
const HOLD: Duration = Duration::from_secs(1);
/// A question about the disk is held this long.
const FLUSH_HOLD: Duration = Duration::from_millis(50);

/// Takes the requests of the jobs' lane.
pub struct Answers {
    pub(super) shared: Arc<Shared>,
}

impl Handler for Answers {
    fn handle(&self, from: Peer, request: Bytes) -> BoxFuture<'static, Bytes> {
        let shared = self.shared.clone();
        Box::pin(async move {
            let answer = match serde_json::from_slice::<Ask>(&request) {
                Ok(ask) => answer(&shared, ask).await,
                Err(error) => {
                    warn!(member = %from.member, %error, "a question about jobs cannot be understood");
                    Answer::Elsewhere(format!("the question cannot be understood: {error}"))
                }
            };
            serde_json::to_vec(&answer).map(Bytes::from).unwrap_or_default()
        })
    }
}

/// The answer of this member.
pub(super) async fn answer(shared: &Arc<Shared>, ask: Ask) -> Answer {
    match ask {
        Ask::Look { runtime } => match shared.stage_of(runtime) {
            Some(stage) if stage.runs() => Answer::Stands(stage.standings()),
            Some(stage) => Answer::Elsewhere(stage.fallen().unwrap_or_else(|| "it is not built yet".into())),
            None => elsewhere(shared),
        },
        Ask::Gather(wanted) => gather(shared, wanted).await,
        Ask::Committed { runtime, record } => {
            let Some(stage) = shared.stage_of(runtime) else { return elsewhere(shared) };
            match stage.committed(record.id.job, record.id.execution, record.id.epoch) {
                Ok(()) => Answer::Noted,
                Err(why) => Answer::Elsewhere(why),
            }
        }
        Ask::Flush { record } => flush(shared, record).await,
    }
}

fn elsewhere(shared: &Shared) -> Answer {
    let here = shared
        .stage()
        .map_or_else(|| "no runtime generation".into(), |stage| format!("runtime generation {}", stage.number()));
    Answer::Elsewhere(format!("{here} is here"))
}

async fn gather(shared: &Shared, wanted: Wanted) -> Answer {
    let Some(stage) = shared.stage_of(wanted.runtime) else { return elsewhere(shared) };
    let deadline = Instant::now() + HOLD;
    loop {
        let changed = stage.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        match stage.gather(&wanted) {
            Ok(Some(gathered)) => return Answer::Gathered(Box::new(gathered)),
            Ok(None) => {}
            Err(why) => return Answer::Elsewhere(why),
        }
        if tokio::time::timeout_at(deadline, changed).await.is_err() {
            return Answer::NotYet;
        }
    }
}

/// Begins to write a committed snapshot to this member's disk.
async fn flush(shared: &Arc<Shared>, record: CommitRecord) -> Answer {
    let id = record.id;
    let snapshot = SnapshotRecord {
        bytes: record.bytes,
        rows_read: record.rows_read,
        digest: Digest(record.digest),
        table_version: record.table_version,
    };
    let maps = shared.maps.clone();
    let writing = tokio::spawn(async move { maps.flush_epoch(id, snapshot).await });
    match tokio::time::timeout(FLUSH_HOLD, writing).await {
        Ok(Ok(Ok(()))) => Answer::Noted,
        // It goes on; who asks again learns how it ended.
        Err(_) | Ok(Ok(Err(FlushError::InFlight { .. }))) => Answer::Writing { taken: shared.maps.flush_took(id) },
        Ok(Ok(Err(error))) => flush_failed(id, &error.to_string()),
        Ok(Err(error)) => flush_failed(id, &error.to_string()),
    }
}

fn flush_failed(id: SnapshotId, why: &str) -> Answer {
    debug!(?id, %why, "a snapshot is not written");
    Answer::Elsewhere(why.to_owned())
}

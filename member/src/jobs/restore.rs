//! Parts of the snapshot that a job goes on from, out of the map.
//!
//! Law: a part that cannot be asked for is an error and not an absent part; asking has a bound. Must not know: what a
//! part means.

use std::time::{Duration, Instant};

use bytes::Bytes;
use jet_core::SnapshotRef;
use jet_engine::runtime::RestoreParts;
use jet_engine::{JobRestore, Vertex};
use jet_map::{JobId, Query, QueryReply, Requester, SnapshotId};
use std::sync::Arc;
use tokio::runtime::Handle;

use super::parts::{before, place, vertex_number};
use crate::map::MapService;

/// A part is asked for this long.
const ASK_WITHIN: Duration = Duration::from_secs(20);

struct MapParts {
    maps: MapService,
    handle: Handle,
    id: SnapshotId,
}

/// What the engine is handed to go on from `snapshot`.
pub fn from_map(maps: &MapService, handle: &Handle, job: JobId, snapshot: &SnapshotRef) -> JobRestore {
    let id = SnapshotId { job, execution: snapshot.execution, epoch: snapshot.epoch };
    JobRestore { epoch: snapshot.epoch.0, parts: Arc::new(MapParts { maps: maps.clone(), handle: handle.clone(), id }) }
}

impl RestoreParts for MapParts {
    fn part(&self, vertex: Vertex, partition: u32) -> Result<Option<Bytes>, String> {
        let vertex = vertex_number(vertex);
        let place = place(partition, self.maps.partitions());
        // The smallest page that is not empty: one part.
        let query = Query::SnapshotParts { id: self.id, after: before(vertex, partition), bytes: 1 };
        let deadline = Instant::now() + ASK_WITHIN;
        loop {
            match self.handle.block_on(self.maps.ask(place, Requester::Job, query.clone())) {
                Ok(QueryReply::Parts { parts, .. }) => {
                    let found = parts.into_iter().find(|(v, p, _)| (*v, *p) == (vertex, partition));
                    return Ok(found.map(|(_, _, bytes)| bytes));
                }
                Ok(_) => return Err("the map gave an answer of another kind".into()),
                Err(refusal) if Instant::now() >= deadline => return Err(refusal.to_string()),
                Err(_) => std::thread::park_timeout(Duration::from_millis(20)),
            }
        }
    }
}

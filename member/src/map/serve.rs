//! Answering other members on the lanes of partitions.
//!
//! Law: who sends is known from the connection; changes are put in order as they came; a receiver whose table is behind
//! waits a little for it, then says so.
//! Must not know: how the answer travels.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use jet_core::{Boot, Machine, MemberId};
use jet_map::fence::{Process, Sender, judge_follow};
use jet_map::wire::{Request, Response};
use jet_map::{Followed, PartitionId, Refusal, Sequenced, TableVersion, Version};
use tokio::time::Instant;

use super::cell::OnDisk;
use super::{Shared, lock};
use crate::net::{Handler, Peer};

/// A receiver waits this long for its own table to catch up.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(1);

/// Takes the requests of both lanes.
pub struct DataHandler {
    pub shared: Weak<Shared>,
}

impl Handler for DataHandler {
    fn handle(&self, from: Peer, request: Bytes) -> BoxFuture<'static, Bytes> {
        let process = Process { member: MemberId(from.member), boot: Boot(from.boot) };
        let begun = match self.shared.upgrade() {
            Some(shared) => Request::decode(request).map(|request| shared.begin(process, request)),
            None => Err(Refusal::NotNow { what: "this member ends".into() }),
        };
        Box::pin(async move {
            let answer = match begun {
                Ok(begun) => begun.await,
                Err(refusal) => Err(refusal),
            };
            answer.unwrap_or_else(Response::Refused).encode()
        })
    }
}

impl Shared {
    /// A change is put in order at once: two that one member has sent are made in the order in which they came.
    fn begin(self: Arc<Self>, from: Process, request: Request) -> BoxFuture<'static, Result<Response, Refusal>> {
        match request {
            Request::Invoke { partition, requester, op, to_disk } => {
                let ordered = self.order_here(partition, requester, op, to_disk);
                Box::pin(async move { self.finish_here(ordered?).await.map(Response::Acknowledged) })
            }
            other => Box::pin(async move { self.answer(from, other).await }),
        }
    }

    async fn answer(self: &Arc<Self>, from: Process, request: Request) -> Result<Response, Refusal> {
        match request {
            Request::Invoke { partition, requester, op, to_disk } => {
                self.invoke_here(partition, requester, op, to_disk).await.map(Response::Acknowledged)
            }
            Request::Ask { partition, requester, query } => {
                self.ask_here(partition, requester, query).await.map(Response::Answer)
            }
            Request::Hear(hear) => self.tell_elsewhere(from, hear).await,
            Request::Clients { of } => Ok(Response::Clients { here: self.here.of(&of) }),
            Request::OnDisk { wanted } => Ok(Response::OnDisk(self.on_disk_for(from, wanted).await)),
            Request::FetchEpoch { partition, id, from } => self.read_epoch_for_peer(partition, id, from).await,
            Request::Follow { partition, changed, prev, changes } => {
                self.judge(from, partition, changed).await?;
                self.follow(from, partition, changed, prev, changes)
            }
            Request::Together(requests) => {
                Ok(Response::Together(requests.into_iter().map(|request| self.follow_now(from, request)).collect()))
            }
            Request::CopyPiece { partition, changed, copy, piece, items } => {
                self.judge(from, partition, changed).await?;
                let cell = self.cell(partition)?;
                cell.state().replica.copy_piece(copy, piece, items)?;
                Ok(Response::Taken)
            }
            Request::CopyEnd { partition, changed, copy, pieces, version, digest } => {
                self.judge(from, partition, changed).await?;
                let cell = self.cell(partition)?;
                let mut state = cell.state();
                self.judge_now(from, partition, changed)?;
                state.replica.copy_end(copy, pieces, version, &digest)?;
                state.time_came();
                // What the log has leads to the content that was replaced; it is written whole behind the call.
                state.on_disk = OnDisk::Behind;
                state.from_store = false;
                // The copy may be of a moment before something became durable that this member has seen meanwhile.
                state.log_what_is_durable(self, partition, &self.cluster.machine());
                drop(state);
                self.behind.notify_one();
                Ok(Response::At(version))
            }
        }
    }

    /// One of several waits for no table: whoever sent it asks again for that one alone.
    fn follow_now(&self, from: Process, request: Request) -> Response {
        let Request::Follow { partition, changed, prev, changes } = request else {
            return Response::Refused(Refusal::NotNow { what: "only changes for a follower come together".into() });
        };
        self.follow(from, partition, changed, prev, changes).unwrap_or_else(Response::Refused)
    }

    fn follow(
        &self,
        from: Process,
        partition: PartitionId,
        changed: TableVersion,
        prev: Version,
        changes: Vec<Sequenced>,
    ) -> Result<Response, Refusal> {
        let cell = self.cell(partition)?;
        let mut state = cell.state();
        // Judged under the lock: from here on a newer table cannot come in between.
        self.judge_now(from, partition, changed)?;
        let (followed, log) = state.replica.follow(prev, changes);
        state.time_came();
        state.log(self, partition, log);
        Ok(match followed {
            Followed::At(version) => Response::At(version),
            Followed::Elsewhere(version) => Response::Elsewhere(version),
        })
    }

    pub(super) fn judge_now(
        &self,
        from: Process,
        partition: PartitionId,
        changed: TableVersion,
    ) -> Result<(), Refusal> {
        let sender = Sender { process: from, changed };
        let machine = self.cluster.machine();
        self.judge_store(&machine)?;
        judge_follow(&machine.table, self.me(), partition, sender)
    }

    /// No copy is taken by who has not read its store: it could not be told from what lies there. In a cluster that runs
    /// the store must take it too, because it counts as soon as it is complete.
    fn judge_store(&self, machine: &Machine) -> Result<(), Refusal> {
        let known = lock(&self.known);
        if known.written || (known.loaded && !machine.state.runs()) {
            return Ok(());
        }
        Err(Refusal::NotNow { what: "its store is not read yet".into() })
    }

    async fn judge(&self, from: Process, partition: PartitionId, changed: TableVersion) -> Result<(), Refusal> {
        let deadline = Instant::now() + CATCH_UP_WITHIN;
        loop {
            let applied = self.applied.notified();
            tokio::pin!(applied);
            applied.as_mut().enable();
            match self.judge_now(from, partition, changed) {
                Err(Refusal::BehindTable { .. } | Refusal::NoSuchPartition { .. }) if Instant::now() < deadline => {
                    let _ = tokio::time::timeout_at(deadline, applied).await;
                }
                result => return result,
            }
        }
    }
}

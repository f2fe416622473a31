//! The seams inside a member: what the shell asks of the maps and of the jobs.
//!
//! Law: the agent acts through these and nothing else; each call says what it belongs to, so that a late one can be
//! refused; none of them waits for a disk, except `load` and, of a map with fsync, `put`, whose futures do. Must not
//! know: how either side works.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use jet_admin_api::job::SubmitJob;
use jet_admin_api::map::{SqlQuery, SqlRows};
use jet_admin_api::member::JobWork;
use jet_admin_api::refusal::Refusal;
use jet_core::agent::{Copying, Doors};
use jet_core::machine::RuntimeGeneration;
use jet_core::report::EpochReport;
use jet_core::{
    Boot, Command, Digest, LogIndex, Machine, MemberId, PartitionContent, PartitionId, RuntimeNumber, TableVersion,
    Version,
};

use crate::map::MapService;

/// Partitions of this member in RAM, and the way to those of others. The implementation is handed the network, the store and the lease when it is made.
pub trait Maps: Send + Sync + 'static {
    /// Called with every machine that was applied, in order, before [`Cluster::machine`] gives it: what a machine says
    /// (who leads under which table) is carried out when it can be seen, so that a lease of its table finds no older lead.
    fn applied(&self, machine: &Arc<Machine>);
    /// [`Cluster::machine`] gives the machine of the last `applied`: who waits for it looks again.
    fn published(&self);
    /// From now on, who is let in. Returns at once; `doors` says when nothing is in flight any more.
    fn set_doors(&self, doors: Doors);
    /// Doors as they are wanted: who comes now meets them.
    fn wanted_doors(&self) -> Doors {
        self.doors()
    }
    /// Doors as they are, with everything in flight counted.
    fn doors(&self) -> Doors;
    /// Loads the store into RAM and verifies it; answers the content digest as for a seal (over the partitions held).
    fn load(&self) -> BoxFuture<'static, Result<Digest, String>>;
    /// By partition: version of the complete copy in RAM.
    fn versions(&self) -> Vec<Option<Version>>;
    /// Content of every synced replica that this member holds, in order of partitions. Costs a pass over the content.
    /// Refused, with the reason, where a snapshot that counts is not whole, or no disk would have what RAM holds.
    fn contents(&self) -> BoxFuture<'static, Result<Vec<PartitionContent>, String>>;
    /// As primary: sends a full copy, then follows it up; when the receiver is complete it proposes `Synced`, or the
    /// agent does from `copies`.
    fn ship(&self, partition: PartitionId, to: MemberId, boot: Boot, changed: TableVersion);
    /// Copies that are made or were made here as primary.
    fn copies(&self) -> BTreeMap<(PartitionId, MemberId), Copying>;
    /// As primary: from now on answers nobody for this partition until its entry changes.
    fn release(&self, _partition: PartitionId, _changed: TableVersion) {}
    /// Partitions that are released, by the entry's `changed`: nobody waits for an answer any more, and every copy has all
    /// that was ordered.
    fn released(&self) -> BTreeMap<PartitionId, TableVersion> {
        BTreeMap::new()
    }
    /// Copies that move here and that the disk has whole, by the entry's `changed`; `None`: nothing moves to here or from here.
    fn arrived(&self) -> Option<Vec<(PartitionId, TableVersion)>> {
        None
    }
    /// Notes on the disk that of the snapshots that jobs would go on from no part belongs here.
    fn note_snapshots(&self) -> BoxFuture<'static, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }
    /// The operation was aborted or a generation opened: the store takes records again; partitions that are behind are
    /// written whole.
    fn store_open(&self);
    /// The entry up to which, of all that were applied up to `applied`, what was written to partitions led here before
    /// is on all copies that count.
    fn final_at(&self, applied: LogIndex) -> LogIndex;
    /// Newest committed snapshots of jobs whose home partition is led here, and all whose parts are durable here.
    fn epochs(&self) -> (Vec<EpochReport>, Vec<EpochReport>);
    /// The maps as the client protocol calls them, which is the hot path; `None`: there are none to be called.
    fn for_clients(&self) -> Option<MapService>;
    /// Value of a key for a client.
    fn get(&self, map: String, key: Bytes) -> BoxFuture<'static, Result<Option<Bytes>, Refusal>>;
    /// Sets (or, without a value, removes) a key for a client; answers what was there.
    fn put(&self, map: String, key: Bytes, value: Option<Bytes>) -> BoxFuture<'static, Result<Option<Bytes>, Refusal>>;
}

/// Jobs of this member.
pub trait Jobs: Send + Sync + 'static {
    /// Build and run exactly this generation, tearing down what runs.
    fn start(&self, generation: RuntimeGeneration, machine: &Arc<Machine>);
    /// Tear down what runs.
    fn stop(&self);
    /// The generation that is built or being built here.
    fn running(&self) -> Option<RuntimeNumber>;
    /// The generation that is completely built here.
    fn built(&self) -> Option<RuntimeNumber>;
    /// The generation that fell down here, with the cause, until the next is started.
    fn lost(&self) -> Option<(RuntimeNumber, String)>;
    /// Dataflow workers that this member can give.
    fn workers(&self) -> u16;
    /// Called with every machine that was applied, in order: an operation that freezes wants terminal snapshots, a
    /// durable epoch may be dropped.
    fn applied(&self, machine: &Arc<Machine>);
    /// Plans a job; answers the command that submits it.
    fn plan(&self, job: SubmitJob) -> BoxFuture<'static, Result<Command, Refusal>>;
    /// A bounded SELECT.
    fn select(&self, query: SqlQuery) -> BoxFuture<'static, Result<SqlRows, Refusal>>;
    /// Work of each job here since its execution began.
    fn work(&self) -> Vec<JobWork>;
}

/// What is handed to `Maps` and `Jobs` so that they can ask the cluster.
pub trait Cluster: Send + Sync + 'static {
    /// Hands a command to the leader and waits for what the machine answered.
    fn propose(
        self: Arc<Self>,
        command: Command,
    ) -> BoxFuture<'static, Result<jet_core::Outcome, crate::cluster::ProposeError>>;
    /// The machine as last applied here.
    fn machine(&self) -> Arc<Machine>;
    /// Who leads, as far as is known.
    fn leader(&self) -> Option<MemberId>;
    /// This member.
    fn me(&self) -> MemberId;
    /// This start of its process.
    fn boot(&self) -> Boot;
    /// The lease of this member is valid at this moment. To be asked after a value was read or backups acknowledged,
    /// before the reply.
    fn leased(&self) -> bool;
}

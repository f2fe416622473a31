//! Maps and jobs of a member that has none: empty partitions that follow the table, and no engine.
//!
//! Law: an empty replica is a true replica: it is in the store, counted and sealed like any other. Must not know: the
//! network.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::future::BoxFuture;
use jet_admin_api::job::SubmitJob;
use jet_admin_api::map::{SqlQuery, SqlRows};
use jet_admin_api::member::JobWork;
use jet_admin_api::refusal::{Code, Refusal};
use jet_core::agent::{Copying, Doors};
use jet_core::machine::RuntimeGeneration;
use jet_core::report::EpochReport;
use jet_core::{
    Boot, Command, Digest, LogIndex, Machine, MemberId, PartitionContent, PartitionId, RuntimeNumber, TableVersion,
    Version,
};
use jet_hotstore::{Record, Store};

use crate::map::MapService;
use crate::ports::{Cluster, Jobs, Maps};
use crate::store::version_to_store;

/// Version of every copy: a replica without one would be no copy.
const FOUNDED: Version = Version { installed: TableVersion(1), seq: 0 };

/// Empty partitions.
pub struct NoMaps {
    cluster: Arc<dyn Cluster>,
    store: Arc<Store>,
    doors: Mutex<Doors>,
    copies: Mutex<BTreeMap<(PartitionId, MemberId), Copying>>,
}

impl NoMaps {
    /// Of this member.
    pub fn new(cluster: Arc<dyn Cluster>, store: Arc<Store>) -> Self {
        Self { cluster, store, doors: Mutex::default(), copies: Mutex::default() }
    }

    fn held(&self) -> Vec<PartitionContent> {
        let machine = self.cluster.machine();
        let empty = |partition| PartitionContent { partition, version: FOUNDED, entries: 0, digest: Digest::default() };
        machine.table.held_by(self.cluster.me()).into_iter().map(empty).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn without(what: &str) -> Refusal {
    Refusal::new(Code::NotFound, format!("this member was built without {what}"))
}

impl Maps for NoMaps {
    fn applied(&self, _: &Arc<Machine>) {}

    fn published(&self) {}

    fn set_doors(&self, doors: Doors) {
        *lock(&self.doors) = doors;
    }

    fn doors(&self) -> Doors {
        *lock(&self.doors)
    }

    fn load(&self) -> BoxFuture<'static, Result<Digest, String>> {
        let store = self.store.clone();
        let digest = jet_core::view::content_digest(&self.held());
        Box::pin(async move {
            if store.health().closed.is_none() {
                return Ok(digest);
            }
            let loaded =
                tokio::task::spawn_blocking(move || store.load(&mut |_| {})).await.map_err(|e| e.to_string())?;
            loaded.map(|_| digest).map_err(|e| e.to_string())
        })
    }

    fn versions(&self) -> Vec<Option<Version>> {
        let mut versions = vec![None; self.cluster.machine().table.partitions.len()];
        for content in self.held() {
            if let Some(slot) = versions.get_mut(usize::from(content.partition.0)) {
                *slot = Some(content.version);
            }
        }
        versions
    }

    fn contents(&self) -> BoxFuture<'static, Result<Vec<PartitionContent>, String>> {
        let held = self.held();
        Box::pin(async move { Ok(held) })
    }

    fn ship(&self, partition: PartitionId, to: MemberId, boot: Boot, changed: TableVersion) {
        lock(&self.copies).insert((partition, to), Copying { boot, changed, complete: true });
    }

    fn copies(&self) -> BTreeMap<(PartitionId, MemberId), Copying> {
        lock(&self.copies).clone()
    }

    fn store_open(&self) {
        for content in self.held() {
            let _ = self.store.append(Record::complete(content.partition.0, version_to_store(content.version)));
        }
    }

    fn final_at(&self, applied: LogIndex) -> LogIndex {
        applied
    }

    fn epochs(&self) -> (Vec<EpochReport>, Vec<EpochReport>) {
        (Vec::new(), Vec::new())
    }

    fn for_clients(&self) -> Option<MapService> {
        None
    }

    fn get(&self, _: String, _: Bytes) -> BoxFuture<'static, Result<Option<Bytes>, Refusal>> {
        Box::pin(async { Err(without("maps")) })
    }

    fn put(&self, _: String, _: Bytes, _: Option<Bytes>) -> BoxFuture<'static, Result<Option<Bytes>, Refusal>> {
        Box::pin(async { Err(without("maps")) })
    }
}

/// No jobs: SQL is refused with the reason, a runtime generation is built at once out of nothing.
#[derive(Default)]
pub struct NoJobs {
    running: Mutex<Option<RuntimeNumber>>,
}

impl NoJobs {
    fn slot(&self) -> MutexGuard<'_, Option<RuntimeNumber>> {
        lock(&self.running)
    }
}

impl Jobs for NoJobs {
    fn start(&self, generation: RuntimeGeneration, _: &Arc<Machine>) {
        *self.slot() = Some(generation.number);
    }

    fn stop(&self) {
        *self.slot() = None;
    }

    fn running(&self) -> Option<RuntimeNumber> {
        *self.slot()
    }

    fn built(&self) -> Option<RuntimeNumber> {
        *self.slot()
    }

    fn lost(&self) -> Option<(RuntimeNumber, String)> {
        None
    }

    fn workers(&self) -> u16 {
        0
    }

    fn applied(&self, _: &Arc<Machine>) {}

    fn plan(&self, _: SubmitJob) -> BoxFuture<'static, Result<Command, Refusal>> {
        Box::pin(async { Err(without("the job engine")) })
    }

    fn select(&self, _: SqlQuery) -> BoxFuture<'static, Result<SqlRows, Refusal>> {
        Box::pin(async { Err(without("the job engine")) })
    }

    fn work(&self) -> Vec<JobWork> {
        Vec::new()
    }
}

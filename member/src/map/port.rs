//! What the shell asks of the maps.
//!
//! Law: as [`Maps`] says. Must not know: who asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use jet_admin_api::refusal::{Code, Refusal as AdminRefusal};
use jet_core::agent::{Copying, Doors};
use jet_core::report::EpochReport;
use jet_core::{
    Boot, ClusterState, Digest, LogIndex, Machine, MemberId, PartitionContent, PartitionId, TableVersion, Version,
};
use jet_map::{Op, Refusal, Reply, Requester};
use tracing::warn;

use super::cell::{Cell, OnDisk};
use super::finality::Led;
use super::{MapService, lock};
use crate::ports::Maps;

impl Maps for MapService {
    fn applied(&self, machine: &Arc<Machine>) {
        self.shared.carry_out(machine);
    }

    fn published(&self) {
        self.shared.applied.notify_waiters();
    }

    fn set_doors(&self, doors: Doors) {
        self.shared.doors.set(doors);
    }

    fn wanted_doors(&self) -> Doors {
        self.shared.doors.wanted()
    }

    fn doors(&self) -> Doors {
        self.shared.doors.as_it_is(|| self.shared.cells().iter().all(|cell| confirmed_everywhere(cell)))
    }

    fn load(&self) -> BoxFuture<'static, Result<Digest, String>> {
        let shared = self.shared.clone();
        Box::pin(async move {
            let loading = crate::host::blocking(move || shared.load());
            loading.await.map_err(|error| error.to_string())?
        })
    }

    fn versions(&self) -> Vec<Option<Version>> {
        let version = |cell: &Arc<Cell>| cell.state().replica.version();
        self.shared.cells().iter().map(version).map(|v| (v > Version::default()).then_some(v)).collect()
    }

    fn contents(&self) -> BoxFuture<'static, Result<Vec<PartitionContent>, String>> {
        let shared = self.shared.clone();
        Box::pin(async move {
            let machine = shared.cluster.machine();
            if matches!(machine.state, ClusterState::Passive { held_by: Some(_) }) && shared.store_is_open() {
                // No content is claimed that the disk does not have.
                shared.settle_disk().await.map_err(|why| format!("the disk is not at what RAM holds: {why}"))?;
            }
            if matches!(machine.state, ClusterState::InTransition { .. }) {
                let early = shared.clone();
                tokio::spawn(async move {
                    if let Err(why) = early.settle_disk().await {
                        warn!(%why, "maps: the disk is not yet at what RAM holds");
                    }
                });
                if let Some(why) = shared.not_whole(&machine) {
                    return Err(why);
                }
            }
            let digesting = crate::host::blocking(move || shared.held(&machine));
            digesting.await.map_err(|error| error.to_string())
        })
    }

    fn ship(&self, partition: PartitionId, to: MemberId, boot: Boot, changed: TableVersion) {
        let Ok(cell) = self.shared.cell(partition) else { return };
        {
            let mut state = cell.state();
            let Some(lead) = &state.lead else { return };
            if lead.changed != changed
                || !lead.followers().any(|(member, follower)| member == to && follower.boot == boot)
            {
                return;
            }
            state.shipping.insert(to);
        }
        self.shared.kick(&cell);
    }

    fn copies(&self) -> BTreeMap<(PartitionId, MemberId), Copying> {
        let mut copies = BTreeMap::new();
        for cell in self.shared.cells() {
            let state = cell.state();
            let Some(lead) = &state.lead else { continue };
            let complete: Vec<_> = lead.complete_copies().collect();
            for (member, follower) in
                lead.followers().filter(|(member, f)| !f.synced && (f.counts || state.shipping.contains(member)))
            {
                let complete = complete.contains(&(member, follower.boot));
                copies
                    .insert((cell.partition, member), Copying { boot: follower.boot, changed: lead.changed, complete });
            }
        }
        copies
    }

    fn release(&self, partition: PartitionId, changed: TableVersion) {
        self.shared.release(partition, changed);
    }

    fn released(&self) -> BTreeMap<PartitionId, TableVersion> {
        self.shared.released()
    }

    fn arrived(&self) -> Option<Vec<(PartitionId, TableVersion)>> {
        Some(self.shared.arrived())
    }

    fn note_snapshots(&self) -> BoxFuture<'static, Result<(), String>> {
        let shared = self.shared.clone();
        Box::pin(async move {
            let noting = crate::host::blocking(move || shared.note_snapshots());
            noting.await.map_err(|error| error.to_string())?
        })
    }

    fn store_open(&self) {
        lock(&self.shared.known).written = true;
        for cell in self.shared.cells() {
            let mut state = cell.state();
            if state.on_disk == OnDisk::InStep {
                let (version, record) = (state.replica.version(), jet_map::LogRecord::Complete);
                state.log(&self.shared, cell.partition, vec![jet_map::journal::Logged { version, record }]);
            }
        }
        self.shared.behind.notify_one();
    }

    fn final_at(&self, applied: LogIndex) -> LogIndex {
        // Held from the first look: of two reports at once the one that looked earlier must not be judged later.
        let mut finality = lock(&self.shared.finality);
        // Partitions that an entry brings here are led once it is carried out.
        let carried = lock(&self.shared.known).carried;
        let mut led = BTreeMap::new();
        for cell in self.shared.cells() {
            let mut state = cell.state();
            let version = state.replica.version();
            if let Some(acknowledged) = state.settle() {
                led.insert(cell.partition, Led { version, acknowledged });
            }
        }
        finality.look(applied.min(carried), &led)
    }

    fn epochs(&self) -> (Vec<EpochReport>, Vec<EpochReport>) {
        self.shared.epoch_reports()
    }

    fn for_clients(&self) -> Option<MapService> {
        Some(self.clone())
    }

    fn get(&self, map: String, key: Bytes) -> BoxFuture<'static, Result<Option<Bytes>, AdminRefusal>> {
        let maps = self.clone();
        Box::pin(async move { maps.get_as(Requester::Client, map, key).await.map_err(|why| maps.told(why)) })
    }

    fn put(
        &self,
        map: String,
        key: Bytes,
        value: Option<Bytes>,
    ) -> BoxFuture<'static, Result<Option<Bytes>, AdminRefusal>> {
        let maps = self.clone();
        Box::pin(async move {
            let partition = maps.partition_of(&key);
            let op = match value {
                Some(value) => Op::Put { map, key, value },
                None => Op::Remove { map, key },
            };
            match maps.invoke(partition, Requester::Client, op).await.map_err(|why| maps.told(why))?.reply {
                Reply::Previous(previous) => Ok(previous),
                _ => Ok(None),
            }
        })
    }
}

/// Nothing that this member led is on its way to a follower that counts.
fn confirmed_everywhere(cell: &Cell) -> bool {
    let mut state = cell.state();
    let version = state.replica.version();
    state.settle().is_none_or(|upto| upto >= version)
}

impl MapService {
    /// A refusal in the words of the admin API. Doors are closed because of the cluster's state, and a person changes that.
    pub fn told(&self, refusal: Refusal) -> AdminRefusal {
        let state = self.shared.cluster.machine().state.name();
        let because = matches!(refusal, Refusal::Door { .. }).then(|| format!("; the cluster is {state}"));
        let told = told(refusal);
        AdminRefusal { message: told.message + because.as_deref().unwrap_or_default(), ..told }
    }
}

fn told(refusal: Refusal) -> AdminRefusal {
    let code = match &refusal {
        Refusal::Door { .. } => Code::DoorsClosed,
        Refusal::Absent { .. } | Refusal::NotLoaded { .. } => Code::PartitionAbsent,
        Refusal::NotNow { .. } | Refusal::NoSuchPartition { .. } => Code::ClusterState,
        Refusal::TooLarge { .. } => Code::BadRequest,
        Refusal::NotOnDisk { .. } => Code::NotOnDisk,
        Refusal::Locked { .. } | Refusal::Busy { .. } | Refusal::ManyWait { .. } | Refusal::BehindOnDisk { .. } => {
            Code::Busy
        }
        _ => Code::Internal,
    };
    AdminRefusal::new(code, refusal.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_ask_again_because_nothing_was_done_is_told_so_and_how() {
        let partition = PartitionId(7);
        for refusal in [
            Refusal::ManyWait { most: 3 },
            Refusal::BehindOnDisk { partition, why: "it is written whole first".into() },
            Refusal::Busy { partition, unacknowledged: 9 },
        ] {
            let told = told(refusal);
            assert_eq!((told.code, told.code.status()), (Code::Busy, 503));
            assert!(told.message.contains("ask again"), "{told}");
        }
        let unknown = told(Refusal::NotOnDisk { partition, why: "not within the bound".into() });
        assert_eq!((unknown.code, unknown.code.status()), (Code::NotOnDisk, 503), "{unknown}");
    }
}

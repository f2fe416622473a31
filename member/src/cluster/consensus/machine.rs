//! openraft's state machine: jet-core's machine, published after every batch of entries.
//!
//! Law: it changes only by `jet_core::apply`; what is published was applied; a snapshot gives way to none of before it.
//! Must not know: what commands mean.

use std::io::Cursor;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jet_core::{LogIndex, Machine};
use openraft::storage::{RaftStateMachine, Snapshot};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder, StorageIOError};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::disk::DiskFailed;
use super::types::{Entry, LogId, Membership, Meta, Reply, StorageError, Types};
use super::writer::{Order, Writer};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Applied {
    last: Option<LogId>,
    membership: Membership,
    machine: Machine,
}

/// The machine as it is given to whoever serves by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Position of the last entry that was applied to it, also of those of consensus itself.
    pub index: LogIndex,
    /// With everything up to there.
    pub machine: Arc<Machine>,
}

#[derive(Default)]
struct State {
    applied: Applied,
    snapshot: Option<(Meta, Vec<u8>)>,
}

/// The machine of one member. Clones share it.
#[derive(Clone)]
pub struct MachineStore {
    state: Arc<Mutex<State>>,
    published: Arc<watch::Sender<Published>>,
    writer: Writer,
}

impl MachineStore {
    /// From the log's last snapshot, if there is one.
    pub fn open(writer: Writer, snapshot: Option<(Meta, Vec<u8>)>) -> Result<Self, DiskFailed> {
        let unreadable = |e: serde_json::Error| DiskFailed(format!("the consensus log's snapshot cannot be read: {e}"));
        let mut state = State::default();
        if let Some((meta, data)) = snapshot {
            state.applied = restored(&meta, &data).map_err(unreadable)?;
            state.snapshot = Some((meta, data));
        }
        let published = Arc::new(watch::Sender::new(state.applied.published()));
        Ok(Self { state: Arc::new(Mutex::new(state)), published, writer })
    }

    /// The machine, after every batch of entries.
    pub fn published(&self) -> watch::Receiver<Published> {
        self.published.subscribe()
    }

    /// Position of the last applied entry, also of those of consensus itself.
    pub fn last_applied(&self) -> u64 {
        self.state().applied.index()
    }

    /// Who is in the group, by what was applied here.
    pub fn membership(&self) -> Membership {
        self.state().applied.membership.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn install(&self, meta: &Meta, data: Vec<u8>) -> Result<(), StorageError> {
        let applied = restored(meta, &data).map_err(|e| StorageIOError::read_snapshot(Some(meta.signature()), &e))?;
        self.keep(meta, data).await?;
        let published = applied.published();
        self.state().applied = applied;
        self.published.send_replace(published);
        Ok(())
    }

    async fn keep(&self, meta: &Meta, data: Vec<u8>) -> Result<(), StorageError> {
        let failed = |e: &(dyn std::error::Error + 'static)| {
            StorageIOError::write_snapshot(Some(meta.signature()), openraft::AnyError::error(e.to_string()))
        };
        let bytes = serde_json::to_vec(meta).map_err(|e| failed(&e))?;
        let index = covered(meta);
        self.writer
            .carry_out(Order::Snapshot { index, meta: bytes, data: data.clone() })
            .await
            .map_err(|e| failed(&e))?;
        let mut state = self.state();
        if state.snapshot.as_ref().is_none_or(|(kept, _)| covered(kept) <= index) {
            state.snapshot = Some((meta.clone(), data));
        }
        Ok(())
    }
}

/// Last index in a snapshot.
fn covered(meta: &Meta) -> u64 {
    meta.last_log_id.map_or(0, |id| id.index)
}

impl Applied {
    fn index(&self) -> LogIndex {
        self.last.map_or(0, |id| id.index)
    }

    fn published(&self) -> Published {
        Published { index: self.index(), machine: Arc::new(self.machine.clone()) }
    }
}

fn restored(meta: &Meta, data: &[u8]) -> Result<Applied, serde_json::Error> {
    Ok(Applied {
        last: meta.last_log_id,
        membership: meta.last_membership.clone(),
        machine: serde_json::from_slice(data)?,
    })
}

impl RaftSnapshotBuilder<Types> for MachineStore {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError> {
        let applied = self.state().applied.clone();
        let data = serde_json::to_vec(&applied.machine).map_err(|e| StorageIOError::read_state_machine(&e))?;
        let meta = Meta {
            last_log_id: applied.last,
            last_membership: applied.membership,
            snapshot_id: applied.last.map(|id| format!("{}-{}", id.leader_id, id.index)).unwrap_or_default(),
        };
        self.keep(&meta, data.clone()).await?;
        Ok(Snapshot { meta, snapshot: Box::new(Cursor::new(data)) })
    }
}

impl RaftStateMachine<Types> for MachineStore {
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, Membership), StorageError> {
        let state = self.state();
        Ok((state.applied.last, state.applied.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Reply>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut replies = Vec::new();
        let published = {
            let mut state = self.state();
            for entry in entries {
                state.applied.last = Some(entry.log_id);
                replies.push(Reply(match entry.payload {
                    EntryPayload::Normal(command) => {
                        Some(jet_core::apply(&mut state.applied.machine, entry.log_id.index, command))
                    }
                    EntryPayload::Membership(members) => {
                        state.applied.membership = Membership::new(Some(entry.log_id), members);
                        None
                    }
                    EntryPayload::Blank => None,
                }));
            }
            state.applied.published()
        };
        self.published.send_replace(published);
        Ok(replies)
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError> {
        Ok(Box::new(Cursor::new(Vec::new())))
    }

    async fn install_snapshot(&mut self, meta: &Meta, data: Box<Cursor<Vec<u8>>>) -> Result<(), StorageError> {
        let installed = self.install(meta, data.into_inner()).await;
        if let Err(error) = &installed {
            // Consensus waits for this snapshot before it forgets what lies below it.
            self.writer.give_up(DiskFailed(format!("a snapshot of the consensus log cannot be taken over: {error}")));
        }
        installed
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError> {
        Ok(self.state().snapshot.clone().map(|(meta, data)| Snapshot { meta, snapshot: Box::new(Cursor::new(data)) }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use openraft::CommittedLeaderId;

    use super::*;
    use crate::cluster::consensus::disk::RamDisk;
    use crate::cluster::consensus::log::Log;
    use crate::cluster::consensus::types::Voter;

    fn meta(index: u64) -> Meta {
        let last_log_id = Some(LogId::new(CommittedLeaderId::new(1, Voter::default()), index));
        Meta { last_log_id, snapshot_id: index.to_string(), ..Meta::default() }
    }

    fn opened(disk: &RamDisk) -> (MachineStore, Option<u64>) {
        let opened = Log::open(disk.clone()).unwrap();
        let found = opened.snapshot.as_ref().map(|(meta, _)| covered(meta));
        (MachineStore::open(opened.log.writer().clone(), opened.snapshot).unwrap(), found)
    }

    async fn current(store: &mut MachineStore) -> u64 {
        covered(&store.get_current_snapshot().await.unwrap().unwrap().meta)
    }

    #[tokio::test]
    async fn a_snapshot_that_was_built_comes_too_late_behind_a_newer_one_that_was_received() {
        let disk = RamDisk::default();
        let machine = serde_json::to_vec(&Machine::default()).unwrap();
        let (mut store, found) = opened(&disk);
        assert_eq!(found, None);
        // The first was held up between its building and its writing.
        for index in [5000, 2000] {
            store.keep(&meta(index), machine.clone()).await.unwrap();
            assert_eq!(current(&mut store).await, 5000, "the log may be purged up to there");
        }
        let (mut store, found) = opened(&disk);
        assert_eq!(found, Some(5000), "what the next process finds");
        store.keep(&meta(2000), machine.clone()).await.unwrap();
        assert_eq!(opened(&disk).1, Some(5000));
        store.keep(&meta(7000), machine).await.unwrap();
        assert_eq!((current(&mut store).await, opened(&disk).1), (7000, Some(7000)));
    }
}

//! Who the store belongs to, changed durably: founding, joining, incarnation, log line, giving up.
//!
//! The law: the cluster is set once, the incarnation only grows, a begun log line is never begun again; who has written is
//! not given up, and who was given up does not write.
//! Must not know: who decides it.

use super::{Phase, Store, locked};
use crate::consensus::ConsensusLog;
use crate::failure::{On, StoreError};
use crate::founding::{self, Founded, Founding, Left};
use crate::given_up;
use crate::identity::{self, Identity};
use crate::layout;
use crate::quarantine;
use crate::refounding::{self, Refounding};
use std::sync::atomic::Ordering;
use uuid::Uuid;

impl Store {
    fn change_identity(&self, change: impl FnOnce(&mut Identity) -> Result<(), String>) -> Result<(), StoreError> {
        let mut identity = locked(&self.identity);
        let mut next = identity.clone();
        change(&mut next).map_err(|why| StoreError::Misuse { call: "change the identity", why })?;
        if next != *identity {
            identity::write(self.disk.as_ref(), &self.dir, &next)?;
            *identity = next;
        }
        Ok(())
    }

    /// Durably promises to found `founding.id` with exactly that list; a new promise replaces it until something was founded.
    pub fn promise_founding(&self, founding: &Founding) -> Result<(), StoreError> {
        founding::promise(self.disk.as_ref(), &self.dir, founding)
    }

    /// The promise given, if any.
    pub fn founding(&self) -> Result<Option<Founding>, StoreError> {
        founding::read_promise(self.disk.as_ref(), &self.dir)
    }

    /// Durably records that cluster `id` was founded; from now on this store belongs to it.
    pub fn record_founded(&self, id: Uuid) -> Result<(), StoreError> {
        self.join_cluster(id)?;
        founding::record_fact(self.disk.as_ref(), &self.dir, &Founded { id })
    }

    /// Durably records that this member has left its cluster by this entry. Nothing of the store is changed by it.
    pub fn record_left(&self, index: u64) -> Result<(), StoreError> {
        founding::record_left(self.disk.as_ref(), &self.dir, Left { index })
    }

    /// Sets the cluster of this store (set once; the same again is fine).
    pub fn join_cluster(&self, id: Uuid) -> Result<(), StoreError> {
        self.change_identity(|identity| match identity.founding {
            Some(own) if own != id => Err(format!("the store belongs to cluster {own}")),
            _ => {
                identity.founding = Some(id);
                Ok(())
            }
        })
    }

    /// Raises the incarnation.
    pub fn raise_incarnation(&self, incarnation: u64) -> Result<(), StoreError> {
        self.change_identity(|identity| {
            if incarnation < identity.incarnation {
                return Err(format!("incarnation {} is newer than {incarnation}", identity.incarnation));
            }
            identity.incarnation = incarnation;
            Ok(())
        })
    }

    /// Whether this process has gone on writing, or has sealed what it wrote. Waits for nothing.
    pub fn has_written(&self) -> bool {
        self.written.load(Ordering::Acquire)
    }

    /// Durably gives the store up: the next process puts it aside. Refused once this process has
    /// gone on writing. Whatever comes of it, this process does not write any more; after an error the mark may be there.
    pub fn give_up(&self, consent: &str) -> Result<(), StoreError> {
        let mut known = locked(&self.known);
        if self.has_written() {
            let why = format!("this process has gone on writing in generation {}", known.generation);
            return Err(StoreError::Misuse { call: "give up", why });
        }
        known.phase = Phase::Stopped;
        given_up::mark(self.disk.as_ref(), &self.dir, consent)
    }

    /// Opens this member's consensus log, or begins it if its line is new. A log that is missing although it was begun is refused.
    pub fn consensus_log(&self) -> Result<ConsensusLog, StoreError> {
        let identity = self.identity();
        let _changes = self.still.change();
        let log =
            ConsensusLog::open(self.disk.clone(), &layout::raft(&self.dir), identity.log_line, !identity.log_begun)?
                .stilled_by(self.still.clone());
        self.change_identity(|identity| {
            identity.log_begun = true;
            Ok(())
        })?;
        Ok(log)
    }

    /// Begins a new log line and sets the old consensus log aside (quarantine). The log must not be open.
    /// If it is interrupted the old log is of another line and refused; calling it again finishes it.
    pub fn new_log_line(&self) -> Result<Uuid, StoreError> {
        let line = self.disk.fresh();
        self.begin_log_line(line)?;
        Ok(line)
    }

    /// The same with this line, whatever of it was begun.
    pub fn begin_log_line(&self, line: Uuid) -> Result<(), StoreError> {
        let old = self.identity().log_line;
        self.change_identity(|identity| {
            (identity.log_line, identity.log_begun) = (line, false);
            Ok(())
        })?;
        let raft = layout::raft(&self.dir);
        if !self.disk.list(&raft).on("list", &raft)?.is_empty() {
            quarantine::set_aside(self.disk.as_ref(), &self.dir, &raft, &format!("raft-{old}"))?;
        }
        Ok(())
    }

    /// The new incarnation that was prepared last, and what it begins with.
    pub fn refounding(&self) -> Result<Option<(Refounding, Vec<u8>)>, StoreError> {
        refounding::read(self.disk.as_ref(), &self.dir)
    }

    /// Durably prepares a new incarnation; in place of one that was prepared before. Refused once one goes that this store
    /// is not of yet.
    pub fn prepare_refounding(&self, record: &Refounding, blob: &[u8]) -> Result<(), StoreError> {
        let of = self.identity().incarnation;
        if record.incarnation <= of {
            let why = format!("this store is of incarnation {of}, and {} would begin", record.incarnation);
            return Err(StoreError::Misuse { call: "prepare a new incarnation", why });
        }
        match self.refounding()? {
            Some((known, _)) if known.goes && known.incarnation > of && known != *record => {
                let why = format!("incarnation {} begins at the next start, by {}", known.incarnation, known.consent);
                Err(StoreError::Misuse { call: "prepare a new incarnation", why })
            }
            _ => refounding::write(self.disk.as_ref(), &self.dir, record, blob),
        }
    }

    /// It was begun, or is not to be.
    pub fn forget_refounding(&self) -> Result<(), StoreError> {
        let path = layout::refounding(&self.dir);
        self.disk.remove(&path).on("remove", &path)?;
        self.disk.sync_dir(&self.dir).on("fsync the directory", &self.dir)
    }

    /// From now on the next process begins by what was prepared under this consent.
    pub fn go_refounding(&self, consent: &str) -> Result<(), StoreError> {
        match self.refounding()? {
            Some((known, blob)) if known.consent == consent => {
                refounding::write(self.disk.as_ref(), &self.dir, &Refounding { goes: true, ..known }, &blob)
            }
            _ => {
                let why = format!("nothing was prepared under consent {consent}");
                Err(StoreError::Misuse { call: "begin a new incarnation", why })
            }
        }
    }
}

//! One member: its disk, its RAM, its view of the machine.
//!
//! Law: a crash leaves the disk and nothing else. Must not know: other nodes.

use std::collections::{BTreeMap, BTreeSet};

use jet_core::agent::{Copying, Doors, LocalFacts, OwnSeal};
use jet_core::operation::PartitionContent;
use jet_core::recovery::{HeldEpoch, StoreReport, StoreSeal};
use jet_core::report::{ContentsReport, EpochReport, Lease, MemberReport};
use jet_core::{
    Boot, Digest, Generation, Machine, MemberId, OperationId, PartitionId, RuntimeNumber, SealRecord, SnapshotRecord,
    Version, view,
};

/// A copy of a partition: every write in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copy {
    pub version: Version,
    pub data: Vec<u64>,
    pub complete: bool,
}

impl Copy {
    pub fn content(&self, partition: PartitionId) -> PartitionContent {
        let bytes: Vec<u8> = self.data.iter().flat_map(|write| write.to_le_bytes()).collect();
        PartitionContent {
            partition,
            version: self.version,
            entries: self.data.len() as u64,
            digest: blake3::hash(&bytes).into(),
        }
    }
}

#[derive(Default)]
pub struct Disk {
    pub boot: Boot,
    pub opened: Generation,
    pub seal: Option<OwnSeal>,
    pub copies: BTreeMap<PartitionId, Copy>,
    /// Copies under way beside them: what was complete before is kept until the new one is.
    pub halves: BTreeMap<PartitionId, Copy>,
    /// Partitions that the seal covers.
    pub covered: BTreeSet<PartitionId>,
    pub epochs: BTreeMap<HeldEpoch, SnapshotRecord>,
}

pub struct Node {
    pub id: MemberId,
    pub ordinal: u32,
    pub up: bool,
    pub side: usize,
    pub machine: Machine,
    pub disk: Disk,
    pub ram: BTreeMap<PartitionId, Copy>,
    pub loaded: Option<Digest>,
    pub doors: Doors,
    pub reports_contents: Option<(OperationId, u32)>,
    pub runtime: Option<RuntimeNumber>,
    pub runtime_lost: bool,
    pub copies: BTreeMap<(PartitionId, MemberId), Copying>,
    pub lease: Lease,
    /// Versions that every copy that counts has answered, under which `changed`.
    pub confirmed: BTreeMap<PartitionId, (Version, jet_core::TableVersion)>,
}

impl Node {
    pub fn new(ordinal: u32) -> Self {
        Self {
            id: MemberId(uuid::Uuid::from_u128(u128::from(ordinal) + 1)),
            ordinal,
            up: false,
            side: 0,
            machine: Machine::default(),
            disk: Disk::default(),
            ram: BTreeMap::new(),
            loaded: None,
            doors: Doors::ClosedForAll,
            reports_contents: None,
            runtime: None,
            runtime_lost: false,
            copies: BTreeMap::new(),
            lease: Lease::default(),
            confirmed: BTreeMap::new(),
        }
    }

    pub fn volume(&self) -> String {
        format!("volume-{}", self.ordinal)
    }

    pub fn start(&mut self) {
        self.disk.boot = Boot(self.disk.boot.0 + 1);
        self.up = true;
    }

    pub fn crash(&mut self) {
        self.up = false;
        self.ram.clear();
        self.loaded = None;
        self.doors = Doors::ClosedForAll;
        self.reports_contents = None;
        self.runtime = None;
        self.runtime_lost = false;
        self.copies.clear();
        self.lease = Lease::default();
        self.confirmed.clear();
    }

    /// Its RAM is what the roster records, as far as it knows.
    pub fn counts(&self) -> bool {
        self.machine.roster.get(&self.id).is_some_and(|entry| entry.boot == self.disk.boot)
    }

    pub fn leased(&self, now: u64) -> bool {
        self.lease.holds(self.machine.table.version, now)
    }

    pub fn flush(&mut self) {
        if self.disk.seal.is_some() {
            return;
        }
        for (partition, copy) in &self.ram {
            if copy.complete {
                self.disk.halves.remove(partition);
                self.disk.copies.insert(*partition, copy.clone());
            } else {
                self.disk.halves.insert(*partition, copy.clone());
            }
        }
    }

    /// The newest complete copy, in RAM or on disk.
    pub fn held(&self, partition: PartitionId) -> Option<&Copy> {
        let both = [self.ram.get(&partition), self.disk.copies.get(&partition)];
        both.into_iter().flatten().filter(|copy| copy.complete).max_by_key(|copy| copy.version)
    }

    /// Digest over what lies in `copies`, as a seal claims it.
    pub fn digest_of(copies: &BTreeMap<PartitionId, Copy>, only: Option<&BTreeSet<PartitionId>>) -> Digest {
        let chosen = copies.iter().filter(|(p, copy)| copy.complete && only.is_none_or(|only| only.contains(p)));
        let contents: Vec<_> = chosen.map(|(partition, copy)| copy.content(*partition)).collect();
        view::content_digest(&contents)
    }

    pub fn store_report(&self, with_halves: bool) -> StoreReport {
        let count = self.machine.table.partitions.len() as u16;
        let half = |p: &PartitionId| self.disk.halves.get(p).filter(|_| with_halves);
        let version = |p| half(&PartitionId(p)).or_else(|| self.held(PartitionId(p))).map(|copy| copy.version);
        let seal = self.disk.seal.as_ref().map(|seal| StoreSeal {
            generation: seal.record.generation,
            operation: seal.op.clone(),
            attempt: seal.attempt,
            digest: seal.record.digest.clone(),
            content_digest: seal.record.content_digest.clone(),
        });
        StoreReport {
            generation: self.disk.opened,
            seal,
            partitions: (0..count).map(version).collect(),
            epochs: self.disk.epochs.keys().copied().collect(),
        }
    }

    pub fn facts(&self, with_halves: bool) -> LocalFacts {
        LocalFacts {
            boot: self.disk.boot,
            volume_id: self.volume(),
            holds: Some(self.store_report(with_halves)),
            loaded: self.loaded.clone(),
            doors: self.doors,
            reports_contents: self.reports_contents.clone(),
            sealed: self.disk.seal.clone(),
            opened: self.disk.opened,
            runtime: self.runtime,
            copies: self.copies.clone(),
        }
    }

    /// `epoch_of`: which writes are commit records of snapshots.
    pub fn report(&self, epoch_of: &BTreeMap<u64, EpochReport>) -> MemberReport {
        let contents = self.reports_contents.as_ref().map(|(op, attempt)| ContentsReport {
            op: op.clone(),
            attempt: *attempt,
            table_version: self.machine.table.version,
            counted: jet_core::view::counted_snapshots(&self.machine),
            contents: self
                .ram
                .iter()
                .filter(|(p, _)| self.machine.table.entry(**p).is_some_and(|e| e.replica(self.id).is_some()))
                .map(|(p, copy)| copy.content(*p))
                .collect(),
        });
        let leads = |(partition, entry): (PartitionId, &jet_core::PartitionEntry)| {
            let own = entry.primary().is_some_and(|primary| primary.member == self.id);
            own.then(|| {
                self.ram.get(&partition).map(|copy| (copy.version, entry.changed))
                    == self.confirmed.get(&partition).copied()
            })
        };
        let in_step = self.counts() && self.machine.table.entries().filter_map(leads).all(|confirmed| confirmed);
        let committed = if self.counts() {
            self.ram.values().flat_map(|copy| &copy.data).filter_map(|write| epoch_of.get(write).cloned()).collect()
        } else {
            Vec::new()
        };
        let flushed = self.disk.epochs.iter().map(|(held, record)| EpochReport {
            job: held.job,
            execution: held.execution,
            epoch: held.epoch,
            record: record.clone(),
        });
        MemberReport {
            applied: self.machine.applied,
            durable: self.machine.applied,
            runtime: self.runtime.filter(|_| !self.runtime_lost),
            runtime_lost: self.runtime.filter(|_| self.runtime_lost).map(|number| (number, "a peer is gone".into())),
            contents,
            committed_at: if in_step { self.machine.applied } else { 0 },
            committed,
            flushed: flushed.collect(),
            lagging: None,
        }
    }

    pub fn seal(
        &mut self,
        op: &OperationId,
        attempt: u32,
        generation: Generation,
        quiesced_index: u64,
        expected: &Digest,
        compare: bool,
    ) {
        let held: BTreeSet<_> = self.machine.table.held_by(self.id).into_iter().collect();
        if compare {
            // What was given away before is kept: others may not have it on disk if this stop is aborted.
            self.disk.copies.extend(
                self.ram
                    .iter()
                    .filter(|(p, copy)| held.contains(p) && copy.complete)
                    .map(|(p, copy)| (*p, copy.clone())),
            );
            if Self::digest_of(&self.disk.copies, Some(&held)) != *expected {
                return;
            }
        }
        for job in self.machine.jobs.values() {
            for snapshot in job.snapshot.iter().filter(|snapshot| snapshot.terminal.as_ref() == Some(op)) {
                let held = HeldEpoch { job: job.id, execution: snapshot.execution, epoch: snapshot.epoch };
                self.disk.epochs.insert(held, snapshot.record.clone());
            }
        }
        let digest = blake3::hash(format!("{op} {attempt} {expected} {}", self.ordinal).as_bytes()).into();
        let record = SealRecord {
            boot: self.disk.boot,
            volume_id: self.volume(),
            generation,
            digest,
            content_digest: expected.clone(),
            quiesced_index,
            entries: 0,
            bytes: 0,
        };
        self.disk.covered = held;
        self.disk.seal = Some(OwnSeal { op: op.clone(), attempt, record });
    }
}

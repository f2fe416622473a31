//! One member: its disk, its RAM, its view of the machine.
//!
//! Law: a crash leaves the disk and nothing else; a store is written to only by a process that has read it or found it
//! empty, is read-only while sealed, and loses its seal to the generation that is opened over it. Must not know: other
//! nodes.

use std::collections::{BTreeMap, BTreeSet};

use jet_core::agent::{Access, Copying, Doors, LocalFacts, OwnSeal};
use jet_core::operation::PartitionContent;
use jet_core::recovery::{HeldEpoch, StoreReport, StoreSeal};
use jet_core::report::{ContentsReport, EpochReport, Lease, MemberReport};
use jet_core::view::Basis;
use jet_core::{
    Boot, ClusterState, Digest, Generation, Machine, MemberId, OperationId, PartitionId, RuntimeNumber, SealRecord,
    SnapshotRecord, Version, view,
};

/// A copy of a partition: every write in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copy {
    pub version: Version,
    pub data: Vec<u64>,
}

impl Copy {
    /// `counted`: snapshots of jobs are content too; whose parts are not counted changes the digest.
    pub fn content(&self, partition: PartitionId, counted: &[HeldEpoch]) -> PartitionContent {
        let mut bytes: Vec<u8> = self.data.iter().flat_map(|write| write.to_le_bytes()).collect();
        for held in counted {
            bytes.extend([held.job.0, held.execution.0, held.epoch.0].iter().flat_map(|number| number.to_le_bytes()));
        }
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
    /// The seal over which a generation was opened, or which was given up, with the versions that it covers.
    pub last_seal: Option<(OwnSeal, BTreeMap<PartitionId, Version>)>,
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
    /// Copies on their way, beside what RAM has.
    pub incoming: BTreeMap<PartitionId, Copy>,
    pub access: Access,
    /// What was read, and of which machine that is true: the log may still be being applied.
    pub loaded: Option<(Digest, Basis)>,
    /// A generation was opened over the last seal, and nothing was written since.
    pub beside: bool,
    pub doors: Doors,
    /// As they were counted; they are not counted again for a report.
    pub contents: Option<ContentsReport>,
    pub runtime: Option<RuntimeNumber>,
    pub runtime_lost: bool,
    pub copies: BTreeMap<(PartitionId, MemberId), Copying>,
    pub lease: Lease,
    /// Versions that every copy that counts has answered, under which `changed`.
    pub confirmed: BTreeMap<PartitionId, (Version, jet_core::TableVersion)>,
    /// Partitions that it answers nobody for, under which change of the entry.
    pub closed: BTreeMap<PartitionId, jet_core::TableVersion>,
    /// Copies that came here by a move: under which change they are in step, and what was here then.
    pub in_step: BTreeMap<PartitionId, (jet_core::TableVersion, Version)>,
    pub put_aside: bool,
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
            incoming: BTreeMap::new(),
            access: Access::Unread,
            loaded: None,
            beside: false,
            doors: Doors::ClosedForAll,
            contents: None,
            runtime: None,
            runtime_lost: false,
            copies: BTreeMap::new(),
            lease: Lease::default(),
            confirmed: BTreeMap::new(),
            closed: BTreeMap::new(),
            in_step: BTreeMap::new(),
            put_aside: false,
        }
    }

    pub fn volume(&self) -> String {
        format!("named:volume-{}", self.ordinal)
    }

    /// A new process: what it knows of the machine it knows from its log, entry by entry.
    pub fn start(&mut self) {
        self.disk.boot = Boot(self.disk.boot.0 + 1);
        self.up = true;
        self.machine = Machine::default();
        let untouched = |versions: &BTreeMap<PartitionId, Version>| {
            versions.iter().all(|(p, version)| self.disk.copies.get(p).is_some_and(|copy| copy.version == *version))
        };
        self.beside =
            self.disk.last_seal.as_ref().is_some_and(|(seal, versions)| {
                seal.record.generation.next() == self.disk.opened && untouched(versions)
            });
    }

    pub fn crash(&mut self) {
        self.up = false;
        self.ram.clear();
        self.incoming.clear();
        self.access = Access::Unread;
        self.loaded = None;
        self.beside = false;
        self.doors = Doors::ClosedForAll;
        self.contents = None;
        self.runtime = None;
        self.runtime_lost = false;
        self.copies.clear();
        self.lease = Lease::default();
        self.confirmed.clear();
        self.closed.clear();
        self.in_step.clear();
    }

    /// Its RAM is what the roster records, as far as it knows.
    pub fn counts(&self) -> bool {
        self.machine.roster.get(&self.id).is_some_and(|entry| entry.boot == self.disk.boot)
    }

    pub fn leased(&self, now: u64) -> bool {
        self.lease.holds(self.machine.table.version, now)
    }

    pub fn flush(&mut self) {
        if self.access < Access::Written || self.disk.seal.is_some() {
            return;
        }
        for (partition, copy) in &self.ram {
            self.disk.halves.remove(partition);
            self.disk.copies.insert(*partition, copy.clone());
        }
        self.disk.halves.extend(self.incoming.clone());
    }

    /// Copies are taken only where they cannot be taken for, or lost to, what lies in the store.
    pub fn takes_copies(&self) -> bool {
        let recovers = matches!(self.machine.state, ClusterState::Recovering { .. });
        self.counts() && (self.access == Access::Written || recovers && self.access == Access::Read)
    }

    /// Takes a copy or its next change, unless what is here is newer.
    pub fn take(&mut self, partition: PartitionId, copy: &Copy) -> bool {
        let newer = self.ram.get(&partition).is_some_and(|held| held.version > copy.version);
        if !newer {
            self.incoming.remove(&partition);
            self.ram.insert(partition, copy.clone());
        }
        !newer
    }

    /// Reads the store. `reads`: else it is gone through, and RAM stays as it is.
    pub fn load(&mut self, reads: bool, halves: bool) {
        if self.access == Access::Unread {
            if reads {
                self.ram.extend(self.disk.copies.clone());
            }
            if halves {
                self.ram.extend(self.disk.halves.clone());
            }
            self.access = Access::Read;
        }
        self.loaded = Some((self.digest(&self.ram), Basis::of(&self.machine)));
    }

    /// The store is written to from now on. `false`: it was not read.
    fn begin_writing(&mut self) -> bool {
        let may = self.access > Access::Unread || self.disk.copies.is_empty();
        if may {
            self.access = Access::Written;
            self.loaded = None;
        }
        may
    }

    pub fn open_generation(&mut self, generation: Generation) {
        if !self.begin_writing() {
            return;
        }
        if generation > self.disk.opened {
            self.disk.opened = generation;
            self.beside = self.disk.seal.is_some();
            self.give_up_seal();
        }
        self.flush();
    }

    pub fn void_seal(&mut self) {
        if self.begin_writing() {
            self.give_up_seal();
            self.beside = false;
        }
    }

    fn give_up_seal(&mut self) {
        let Some(seal) = self.disk.seal.take() else { return };
        let version = |p: &PartitionId| self.disk.copies.get(p).map(|copy| (*p, copy.version));
        self.disk.last_seal = Some((seal, self.disk.covered.iter().filter_map(version).collect()));
    }

    /// The newest copy, in RAM or on disk.
    pub fn held(&self, partition: PartitionId) -> Option<&Copy> {
        let both = [self.ram.get(&partition), self.disk.copies.get(&partition)];
        both.into_iter().flatten().max_by_key(|copy| copy.version)
    }

    /// Digest over what is held by the table.
    fn digest(&self, copies: &BTreeMap<PartitionId, Copy>) -> Digest {
        let counted = view::counted_snapshots(&self.machine);
        let held = self.machine.table.held_by(self.id).into_iter();
        let contents: Vec<_> = held.filter_map(|p| Some(copies.get(&p)?.content(p, &counted))).collect();
        view::content_digest(&contents)
    }

    fn store_report(&self, with_halves: bool) -> StoreReport {
        let count = self.machine.table.partitions.len() as u16;
        let copies = if self.access == Access::Unread { &self.disk.copies } else { &self.ram };
        let half = |p: &PartitionId| self.disk.halves.get(p).filter(|_| with_halves);
        let version = |p| half(&PartitionId(p)).or_else(|| copies.get(&PartitionId(p))).map(|copy| copy.version);
        // Void only when the cluster has left the sealed generation.
        let beside = self.disk.last_seal.as_ref().filter(|_| self.beside && self.machine.generation < self.disk.opened);
        let seal = self.disk.seal.as_ref().or(beside.map(|(seal, _)| seal)).map(|seal| StoreSeal {
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
            restored: None,
        }
    }

    pub fn count_contents(&mut self, op: OperationId, attempt: u32) {
        let held = self.machine.table.held_by(self.id).into_iter();
        let counted = view::counted_snapshots(&self.machine);
        self.contents = Some(ContentsReport {
            op,
            attempt,
            table_version: self.machine.table.version,
            contents: held.filter_map(|p| Some(self.ram.get(&p)?.content(p, &counted))).collect(),
            counted,
        });
    }

    /// What was counted is told as long as it is what is held.
    fn reports_contents(&self) -> Option<(OperationId, u32)> {
        let partitions = (0..self.machine.table.partitions.len() as u16).map(PartitionId);
        let held: Vec<_> = partitions.map(|p| self.ram.get(&p).map(|copy| copy.version)).collect();
        let current = self.contents.as_ref().filter(|report| report.is_still_true(&self.machine, self.id, &held));
        current.map(|report| (report.op.clone(), report.attempt))
    }

    pub fn facts(&mut self, with_halves: bool) -> LocalFacts {
        let reports_contents = self.reports_contents();
        if reports_contents.is_none() {
            self.contents = None;
        }
        LocalFacts {
            boot: self.disk.boot,
            volume_id: self.volume(),
            holds: Some(self.store_report(with_halves)),
            access: self.access,
            loaded: self.loaded.clone().filter(|(_, of)| *of == Basis::of(&self.machine)).map(|(digest, _)| digest),
            doors: self.doors,
            reports_contents,
            sealed: self.disk.seal.clone(),
            opened: self.disk.opened,
            runtime: self.runtime,
            copies: self.copies.clone(),
            released: self.released(),
            put_aside: self.put_aside,
        }
    }

    /// `epoch_of`: which writes are commit records of snapshots.
    pub fn report(&self, epoch_of: &BTreeMap<u64, EpochReport>) -> MemberReport {
        let leads = |(partition, entry): (PartitionId, &jet_core::PartitionEntry)| {
            let own = entry.primary().is_some_and(|primary| primary.member == self.id);
            own.then(|| {
                self.ram.get(&partition).map(|copy| (copy.version, entry.changed))
                    == self.confirmed.get(&partition).copied()
            })
        };
        let in_step = self.counts() && self.machine.table.entries().filter_map(leads).all(|confirmed| confirmed);
        // Of what it leads only: a copy that was left behind may have what nobody else was given.
        let led = |partition: &PartitionId| {
            let entry = self.machine.table.entry(*partition);
            entry.and_then(|entry| entry.primary()).is_some_and(|primary| primary.member == self.id)
        };
        let copies = self.ram.iter().filter(|(partition, _)| self.counts() && led(partition));
        let writes = copies.flat_map(|(_, copy)| &copy.data);
        let committed = writes.filter_map(|write| epoch_of.get(write).cloned()).collect();
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
            contents: self.contents.clone(),
            committed_at: if in_step { self.machine.applied } else { 0 },
            committed,
            flushed: flushed.collect(),
            lagging: None,
            on_disk: None,
            line: 1,
            workers: 0,
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
        if self.disk.seal.is_none() && !self.begin_writing() {
            return;
        }
        if compare {
            if self.digest(&self.ram) != *expected {
                return;
            }
            self.flush();
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

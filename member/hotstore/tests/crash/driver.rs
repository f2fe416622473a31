//! Drives a store through a script of steps on a simulated disk, keeping the model beside it.
//!
//! Must not know: which call is cut; that is the test's business.

use super::backups::{self, Backups};
use super::model::{self, Content, EpochFate, Model};
use bytes::Bytes;
use jet_hotstore::{
    Base, Cadence, Contents, Disk, EncryptedDisk, EpochId, Keys, Loaded, Options, PartitionContent, Record,
    SealRequest, SimulatedDisk, Space, Store, StoreError, Version, layout,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use uuid::Uuid;

pub const CLUSTER: Uuid = Uuid::from_u128(0x1111);

#[derive(Debug, Clone, Copy)]
pub enum Step {
    Reopen,
    OpenGeneration(u64),
    Resume,
    Space,
    Put(u16, u8, u8, usize),
    Remove(u16, u8),
    Clear(u16),
    Forget(u16),
    Flush,
    Rewrite(u16),
    /// Closed chunks are emptied.
    Collect,
    /// A copy from elsewhere: half of it, then a live change, then its end if `true`.
    Transfer(u16, bool),
    /// A whole copy that is made durable in its middle.
    TransferAcross(u16),
    Epoch(u64),
    DropEpoch(u64),
    Seal(&'static str),
    Unseal,
    Verify,
    Vote(u8),
    Backup(&'static str),
    RemoveBackup(&'static str),
}

/// Every script with every way to run it; what is made of links does not care how chunks are written.
pub fn scripts() -> Vec<(Vec<Step>, Way)> {
    let mut scripts: Vec<_> = WAYS.map(|way| (script(), way)).into();
    scripts.extend([WAYS[1], WAYS[3]].map(|way| (backups::script(), way)));
    scripts
}

/// The scripts run one way.
pub fn scripts_once() -> [Vec<Step>; 2] {
    [script(), backups::script()]
}

pub fn script() -> Vec<Step> {
    use Step::*;
    let mut steps = vec![OpenGeneration(1), Space];
    steps.extend([Put(0, 1, 1, 10), Put(1, 1, 1, 10), Flush, Put(0, 1, 2, 10), Remove(1, 1), Put(2, 9, 9, 300), Flush]);
    steps.extend([
        Epoch(1),
        Put(0, 3, 3, 40),
        Epoch(2),
        DropEpoch(1),
        Flush,
        Transfer(3, false),
        Flush,
        Put(0, 4, 4, 10),
    ]);
    steps.extend([
        Transfer(3, true),
        Flush,
        Rewrite(0),
        Put(0, 5, 5, 10),
        Flush,
        Collect,
        Put(0, 1, 3, 10),
        Clear(2),
        Put(2, 1, 1, 10),
        Flush,
        Collect,
        Flush,
        Forget(1),
        Flush,
    ]);
    steps.extend([
        Put(0, 6, 6, 10),
        Seal("stop-1"),
        Verify,
        Reopen,
        Verify,
        OpenGeneration(2),
        Put(0, 6, 7, 10),
        Put(4, 1, 1, 600),
    ]);
    steps.extend([
        Flush,
        Put(4, 2, 1, 900),
        Flush,
        Epoch(3),
        DropEpoch(2),
        Rewrite(0),
        Rewrite(2),
        Rewrite(3),
        Rewrite(4),
        Flush,
    ]);
    steps.extend([
        Put(0, 8, 8, 10),
        Flush,
        Collect,
        TransferAcross(5),
        Flush,
        Collect,
        Flush,
        Rewrite(0),
        Collect,
        Put(0, 9, 9, 700),
        Flush,
        Put(0, 9, 8, 700),
        Reopen,
        Resume,
        Put(0, 9, 1, 10),
    ]);
    steps.extend([
        Flush,
        Seal("stop-2"),
        Unseal,
        Collect,
        Put(0, 2, 2, 10),
        Flush,
        TransferAcross(6),
        Flush,
        Reopen,
        Resume,
        Collect,
        Flush,
        Seal("stop-3"),
        Reopen,
        Seal("stop-4"),
        OpenGeneration(3),
    ]);
    steps.extend([
        Put(0, 7, 7, 10),
        Remove(0, 9),
        Transfer(1, false),
        TransferAcross(6),
        Collect,
        Flush,
        Transfer(1, true),
        Flush,
        Collect,
        Flush,
        Put(1, 2, 2, 10),
        Reopen,
        Resume,
        Flush,
        Put(3, 3, 3, 10),
    ]);
    steps.extend([
        Flush,
        Put(0, 1, 9, 4500),
        Remove(3, 3),
        Flush,
        Epoch(4),
        Put(0, 1, 8, 10),
        Flush,
        Seal("stop-5"),
        Verify,
        Reopen,
        OpenGeneration(4),
        Rewrite(0),
        Flush,
        Put(4, 4, 4, 10),
        Flush,
    ]);
    steps
}

/// How chunks are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// Length at which one is closed.
    pub chunk_bytes: u64,
    /// Blocks of the device.
    pub alignment: usize,
    /// A write that failed is told at the next call.
    pub late: bool,
    /// Through the door that encrypts.
    pub encrypted: bool,
}

/// Closed at nearly every flush, now and then, never; through the page cache and past it; encrypted.
pub const WAYS: [Way; 4] = [
    Way { chunk_bytes: 200, alignment: 1, late: false, encrypted: false },
    Way { chunk_bytes: 1500, alignment: 512, late: true, encrypted: false },
    Way { chunk_bytes: 1 << 20, alignment: 4096, late: false, encrypted: false },
    Way { chunk_bytes: 10_000, alignment: 4096, late: true, encrypted: true },
];

/// The door that a store is opened through.
pub fn door(disk: SimulatedDisk, way: Way) -> Arc<dyn Disk> {
    static KEYS: LazyLock<Arc<Keys>> = LazyLock::new(|| {
        let (disk, dir) = (SimulatedDisk::new(), Path::new("/keys"));
        disk.plant(&dir.join("k1"), &[1; 32]);
        Arc::new(Keys::read(&disk, dir, Some("k1")).expect("a key"))
    });
    match way.encrypted {
        true => Arc::new(EncryptedDisk::new(Arc::new(disk), KEYS.clone(), layout::shape_of)),
        false => Arc::new(disk),
    }
}

pub struct Driver {
    pub disk: SimulatedDisk,
    pub model: Model,
    pub backups: Backups,
    pub way: Way,
    store: Option<Store>,
    sequence: u64,
    attempt: u32,
    /// Files when it was last opened.
    pub found: Vec<(PathBuf, u64)>,
    /// The chunk that holds the last record of a key, or an older one.
    ages: BTreeMap<(u16, u32, Vec<u8>), u64>,
}

fn epoch_id(epoch: u64) -> EpochId {
    EpochId { job: 5, execution: 1, epoch }
}

pub fn options(way: Way) -> Options {
    let (chunk_bytes, drop_bytes) = (way.chunk_bytes, 400);
    Options { cadence: Cadence::OnDemand, chunk_bytes, drop_bytes, ..Options::default() }
}

pub fn dir() -> &'static Path {
    Path::new("/store")
}

/// What went wrong: the store said no, or the model says that the answer is not allowed.
#[derive(Debug)]
#[allow(dead_code, reason = "read through Debug")]
pub enum Wrong {
    Store(StoreError),
    Model(String),
}

impl From<StoreError> for Wrong {
    fn from(error: StoreError) -> Self {
        Wrong::Store(error)
    }
}

impl Driver {
    pub fn new(disk: SimulatedDisk) -> Driver {
        Driver::on(disk, WAYS[1])
    }

    pub fn on(disk: SimulatedDisk, way: Way) -> Driver {
        disk.set_alignment(way.alignment);
        if way.late {
            disk.tell_late();
        }
        let model = Model { allowed: vec![(0, None)], ..Model::default() };
        let (backups, found, ages) = (Backups::default(), Vec::new(), BTreeMap::new());
        Driver { disk, model, backups, store: None, sequence: 0, attempt: 0, way, found, ages }
    }

    /// The same model on the disk as found after a crash.
    pub fn after_crash(&self, disk: SimulatedDisk) -> Driver {
        let Driver { model, backups, sequence, attempt, way, .. } = self;
        let (model, backups, sequence, attempt, way) = (model.clone(), backups.clone(), *sequence, *attempt, *way);
        Driver { disk, model, backups, store: None, sequence, attempt, way, found: Vec::new(), ages: BTreeMap::new() }
    }

    pub fn store(&self) -> &Store {
        self.store.as_ref().expect("the store is open")
    }

    /// Opens, compares and loads.
    pub fn open(&mut self) -> Result<Contents, Wrong> {
        self.store = None;
        self.found = self.disk.files();
        let (store, contents) = Store::open(dir(), door(self.disk.clone(), self.way), options(self.way))?;
        self.model.stands(&contents).map_err(Wrong::Model)?;
        let mut loaded: BTreeMap<u16, Content> = BTreeMap::new();
        let ages = &mut self.ages;
        ages.clear();
        let report = store.load(&mut |record| {
            if let Loaded::Put { space, partition, key, age, .. } = record {
                ages.insert((partition, space, key.to_vec()), age);
            }
            model::apply(&mut loaded, record);
        })?;
        self.model.take_over(&report, &loaded).map_err(Wrong::Model)?;
        for info in store.epochs() {
            let parts: Result<Vec<_>, _> = store.read_epoch(info.id)?.collect();
            let parts: Vec<_> = parts?.into_iter().map(|p| (p.vertex, p.partition, p.bytes)).collect();
            if parts != model::epoch_content(info.id) {
                return Err(Wrong::Model(format!("epoch {:?} has another content", info.id)));
            }
        }
        if store.identity().founding.is_none() {
            store.join_cluster(CLUSTER)?;
        }
        self.store = Some(store);
        Ok(contents)
    }

    /// Sealed earlier, so that appends are refused.
    pub fn is_sealed(&self) -> bool {
        self.store().health().closed.is_some()
    }

    /// It was not opened.
    pub fn is_closed(&self) -> bool {
        self.store.is_none()
    }

    fn next_version(&mut self) -> Version {
        self.sequence += 1;
        Version::new(1, self.sequence)
    }

    fn append(&mut self, record: Record) {
        self.model.change(&record);
        self.stamp(record.partition, record.space, &record.key);
        assert!(self.store().append(record).ticket().is_some(), "the store is open for appends");
    }

    fn put(&mut self, p: u16, key: u8, value: u8, length: usize) {
        let version = self.next_version();
        self.append(Record::put(1, p, version, vec![key], vec![value; length]));
    }

    fn rewrite(&mut self, p: u16, base: Base) {
        let part = self.model.parts.entry(p).or_default();
        let records: Vec<Record> = part
            .ram
            .iter()
            .map(|((space, key), value)| {
                Record::put(*space, p, part.version, Bytes::from(key.clone()), Bytes::from(value.clone()))
            })
            .collect();
        let version = part.version;
        part.counts = true;
        part.note(true);
        // As old as the beginning of the rewrite.
        records.iter().for_each(|record| self.stamp(p, record.space, &record.key));
        assert!(self.store().rewrite_partition(p, version, base, records).ticket().is_some());
    }

    /// As a member does it: what is older is appended again, then its partition is said to have moved.
    fn collect(&mut self) {
        let Some(due) = self.store().all_closed() else { return };
        let moving: Vec<u16> = self.store().to_move(&due).into_iter().filter(|p| self.model.parts[p].counts).collect();
        for p in moving {
            let part = self.model.parts[&p].clone();
            for ((space, key), value) in &part.ram {
                let age = self.ages.get(&(p, *space, key.clone())).copied().unwrap_or_default();
                if age < due.to.number {
                    self.stamp(p, *space, key);
                    let again = Record::put(*space, p, part.version, key.clone(), value.clone());
                    assert!(self.store().append_again(again).ticket().is_some());
                }
            }
            assert!(self.store().append_moved(p, part.version, &due).ticket().is_some());
        }
    }

    fn stamp(&mut self, p: u16, space: u32, key: &[u8]) {
        let age = self.store().age();
        self.ages.insert((p, space, key.to_vec()), age);
    }

    /// A chunk may end between its copies.
    fn transfer_across(&mut self, p: u16) -> Result<(), Wrong> {
        let (version, begun) = (self.next_version(), self.store().age());
        let part = self.model.parts.entry(p).or_default();
        part.counts = false;
        part.ram = (1..=4).map(|key| ((1, vec![60 + key]), vec![key; 90])).collect();
        assert!(self.store().append(Record::rewrite(p, Base::Broken)).ticket().is_some());
        for key in 1..=4u8 {
            let record = Record::put(1, p, version, vec![60 + key], vec![key; 90]).copied();
            self.ages.insert((p, 1, vec![60 + key]), begun);
            assert!(self.store().append(record).ticket().is_some());
            self.store().flush()?;
        }
        let part = self.model.parts.get_mut(&p).expect("known");
        (part.counts, part.version) = (true, version);
        part.note(true);
        assert!(self.store().append(Record::complete(p, version)).ticket().is_some());
        Ok(())
    }

    fn transfer(&mut self, p: u16, whole: bool) {
        let version = self.next_version();
        let part = self.model.parts.entry(p).or_default();
        part.counts = false;
        part.ram = BTreeMap::from([((1, vec![50]), vec![1; 20]), ((2, vec![51]), vec![2; 20])]);
        assert!(self.store().append(Record::rewrite(p, Base::Broken)).ticket().is_some());
        for space in [1, 2] {
            let record = Record::put(space, p, version, vec![49 + space as u8], vec![space as u8; 20]).copied();
            self.stamp(p, space, &record.key);
            let store = self.store();
            assert!(store.append(record).ticket().is_some());
        }
        self.put(p, 52, 3, 5);
        if whole {
            let part = self.model.parts.get_mut(&p).expect("known");
            part.counts = true;
            part.note(true);
            let version = part.version;
            assert!(self.store().append(Record::complete(p, version)).ticket().is_some());
        }
    }

    /// As a member does before it seals, and when it becomes a primary.
    fn say_what_is_held(&mut self) {
        let held: Vec<_> = self
            .model
            .parts
            .iter()
            .filter(|(_, part)| part.states.last().is_some_and(|s| s.complete))
            .map(|(p, part)| (*p, part.version))
            .collect();
        for (p, version) in held {
            assert!(self.store().append(Record::complete(p, version)).ticket().is_some());
        }
    }

    pub fn step(&mut self, step: Step) -> Result<(), Wrong> {
        match step {
            Step::Reopen => {
                self.open()?;
            }
            Step::OpenGeneration(g) => {
                self.model.allowed.push((g, None));
                self.store().open_generation(g)?;
                self.model.allowed = vec![(g, None)];
            }
            Step::Resume => {
                self.store().resume()?;
                self.model.ack();
            }
            Step::Space => {
                let space = Space { id: 1, name: "orders".to_owned(), flags: 3 };
                assert!(self.store().append_space(&space)?.ticket().is_some());
            }
            Step::Put(p, key, value, length) => self.put(p, key, value, length),
            Step::Remove(p, key) => {
                let version = self.next_version();
                self.append(Record::remove(1, p, version, vec![key]));
            }
            Step::Clear(p) => {
                let version = self.next_version();
                self.append(Record::clear(1, p, version));
            }
            Step::Forget(p) => self.forget(p),
            Step::Flush => {
                self.store().flush()?;
                self.model.ack();
                let generation = self.store().generation();
                self.model.allowed = vec![(generation, None)];
            }
            Step::Rewrite(p) => self.rewrite(p, Base::Continues),
            Step::Collect => self.collect(),
            Step::TransferAcross(p) => self.transfer_across(p)?,
            Step::Transfer(p, whole) => self.transfer(p, whole),
            Step::Epoch(epoch) => self.epoch(epoch_id(epoch))?,
            Step::DropEpoch(epoch) => {
                self.model.epochs.insert(epoch_id(epoch), EpochFate::Maybe);
                self.store().drop_epoch(epoch_id(epoch))?;
            }
            Step::Seal(operation) => self.seal(operation)?,
            Step::Unseal => {
                let generation = self.store().generation();
                self.model.allowed.push((generation, None));
                self.store().unseal()?;
                self.model.allowed = vec![(generation, None)];
            }
            Step::Verify => {
                self.store().verify_seal()?;
            }
            Step::Vote(vote) => self.vote(vote)?,
            Step::Backup(name) => self.backup(name)?,
            Step::RemoveBackup(name) => self.remove_backup(name)?,
        }
        Ok(())
    }

    fn forget(&mut self, p: u16) {
        let version = self.next_version();
        let part = self.model.parts.entry(p).or_default();
        (part.version, part.counts) = (version, true);
        part.ram.clear();
        part.note(false);
        assert!(self.store().append(Record::forget(p, version)).ticket().is_some());
    }

    fn epoch(&mut self, id: EpochId) -> Result<(), Wrong> {
        self.model.epochs.insert(id, EpochFate::Maybe);
        let mut writer = self.store().epoch_writer(id)?;
        for (vertex, partition, bytes) in model::epoch_content(id) {
            writer.put(vertex, partition, &bytes)?;
        }
        writer.finish()?;
        self.model.epochs.insert(id, EpochFate::Must);
        Ok(())
    }

    fn seal(&mut self, operation: &str) -> Result<(), Wrong> {
        let generation = self.store().generation();
        self.attempt += 1;
        let whole =
            self.model.parts.iter().filter(|(_, part)| part.counts && part.states.last().is_some_and(|s| s.complete));
        let partitions = whole
            .map(|(p, part)| PartitionContent {
                partition: *p,
                version: part.version,
                entries: part.ram.len() as u64,
                digest: String::new(),
            })
            .collect();
        let request = SealRequest {
            operation: operation.to_owned(),
            attempt: self.attempt,
            generation,
            partitions,
            machine: b"machine copy".to_vec(),
            machine_index: 17,
            roster_digest: "roster".to_owned(),
        };
        self.model.allowed.push((generation, Some(operation.to_owned())));
        self.store().seal(request)?;
        self.model.ack();
        self.model.allowed = vec![(generation, Some(operation.to_owned()))];
        Ok(())
    }

    /// Runs a step again after a failing call, the way a caller would.
    pub fn step_with_retries(&mut self, step: Step) -> Result<(), Wrong> {
        let mut last = self.step(step);
        for _ in 0..3 {
            let Err(Wrong::Store(_)) = &last else { return last };
            if self.disk.is_off() || matches!(step, Step::Reopen) {
                return last;
            }
            self.store().retry_in_new_file()?;
            last = self.step(step);
        }
        last
    }

    pub fn run(&mut self, steps: &[Step]) -> Result<(), Wrong> {
        self.open()?;
        steps.iter().try_for_each(|step| self.step(*step))
    }

    /// What a member does after a crash: goes on in whatever it finds, writes, and ends durable.
    pub fn second_life(&mut self) -> Result<(), Wrong> {
        self.look_at_backups()?;
        let contents = self.open()?;
        match contents {
            Contents::Sealed(seal) => self.step(Step::OpenGeneration(seal.manifest.generation + 1))?,
            Contents::Unsealed { generation, .. } if generation > 0 => self.step(Step::Resume)?,
            _ => self.step(Step::OpenGeneration(1))?,
        }
        let broken: Vec<u16> = self.model.parts.iter().filter(|(_, part)| !part.counts).map(|(p, _)| *p).collect();
        for p in broken {
            self.rewrite(p, Base::Broken);
        }
        self.say_what_is_held();
        self.step(Step::Flush)?;
        self.step(Step::Collect)?;
        self.put(0, 77, 77, 7);
        self.step(Step::Flush)?;
        self.step(Step::Seal("after-crash"))?;
        self.step(Step::Reopen)
    }
}

//! The store that is measured: the only file here that knows its interface.
//!
//! The law: it is used as a member uses it (default options, nothing lagging, old chunks emptied when it asks for it).
//! Must not know: what is compared with what.

use crate::conditions::cores;
use crate::content::{self, Content, PARTITIONS};
use crate::table::{self, Table};
use anyhow::{Result, bail};
use jet_hotstore::layout::shape_of;
use jet_hotstore::store::load::Sink;
use jet_hotstore::{
    Appended, Disk, EncryptedDisk, Keys, Loaded, Options, OsDisk, PartitionContent, Record, SealRequest, SimulatedDisk,
    Store, Ticket, Version, live_bytes,
};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

const SPACE: u32 = 1;
/// An hour of waiting is an error, not a figure.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between two looks at how much waits.
const PAUSE: Duration = Duration::from_micros(500);

/// Bytes after which the store syncs.
pub fn sync_bytes() -> u64 {
    Options::default().sync_bytes
}

/// A store open for writing.
pub struct Writing {
    store: Arc<Store>,
    sequences: Vec<u64>,
    room: usize,
}

impl Writing {
    /// A store in an empty directory, in its first generation.
    pub fn begin(dir: &Path) -> Result<Self> {
        Self::begin_on(Arc::new(OsDisk), dir)
    }

    fn begin_on(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self> {
        let options = Options::default();
        // Half: the rate of the disk is measured, and nothing ever lags.
        let room = options.queue_bytes / 2;
        let (store, _) = Store::open(dir, disk, options)?;
        store.join_cluster(Uuid::from_u128(1))?;
        store.open_generation(store.generation() + 1)?;
        Ok(Writing::of(Arc::new(store), room))
    }

    fn of(store: Arc<Store>, room: usize) -> Self {
        Writing { store, sequences: vec![0; usize::from(PARTITIONS)], room }
    }

    /// A record as the next change of its partition.
    pub fn next_record(&mut self, content: &Content, n: u64, round: u32) -> Record {
        let partition = content::partition(n);
        self.sequences[usize::from(partition)] += 1;
        self.record(content, n, round)
    }

    fn version(&self, partition: u16) -> Version {
        Version::new(self.store.generation(), self.sequences[usize::from(partition)])
    }

    fn record(&self, content: &Content, n: u64, round: u32) -> Record {
        let partition = content::partition(n);
        Record::put(SPACE, partition, self.version(partition), content::key(n).to_vec(), content.value(n, round))
    }

    /// Appends; what is not taken is an error of the benchmark.
    pub fn append(&self, record: Record) -> Result<Ticket> {
        match self.store.append(record) {
            Appended::Queued(ticket) => Ok(ticket),
            other => bail!("a record was not taken: {other:?}"),
        }
    }

    /// Waits for the disk while too much waits for it: it has enough to do meanwhile.
    pub fn breathe(&self) -> Result<()> {
        let begin = Instant::now();
        loop {
            let health = self.store.health();
            if health.waiting_bytes <= self.room {
                return Ok(());
            }
            if let Some(failure) = health.failure {
                bail!("the log stands still: {failure:?}");
            }
            if begin.elapsed() > PATIENCE {
                bail!("the disk took nothing for {PATIENCE:?}");
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Waits until everything is durable.
    pub fn durable(&self) -> Result<()> {
        Ok(self.store.wait_durable(self.store.flush()?, PATIENCE)?)
    }

    /// Says that every partition is held in full, so that its garbage counts.
    pub fn complete(&self) -> Result<()> {
        for partition in 0..PARTITIONS {
            self.append(Record::complete(partition, self.version(partition)))?;
        }
        self.durable()
    }

    /// Appends all of the content, a thread for each core; it may wait in the queue still.
    pub fn fill(&mut self, content: &Content) -> Result<()> {
        let threads = cores();
        let parts: Result<Vec<_>> = std::thread::scope(|scope| {
            let part = |number: usize| {
                let mut part = Writing::of(self.store.clone(), self.room);
                scope.spawn(move || part.fill_part(content, number, threads).map(|()| part.sequences))
            };
            let running: Vec<_> = (0..threads).map(part).collect();
            running.into_iter().map(|part| part.join().map_err(|_| anyhow::anyhow!("a thread ended"))?).collect()
        });
        for part in parts? {
            self.sequences.iter_mut().zip(part).for_each(|(all, own)| *all += own);
        }
        Ok(())
    }

    fn fill_part(&mut self, content: &Content, number: usize, of: usize) -> Result<()> {
        for n in (0..content.records).filter(|n| usize::from(content::partition(*n)) % of == number) {
            let record = self.next_record(content, n, 0);
            self.append(record)?;
            // Asking takes a lock; a hundred records do not fill what is left.
            if n % 64 == 0 {
                self.breathe()?;
            }
        }
        Ok(())
    }

    /// A record that is appended now lies in a chunk of this number or of a later one.
    pub fn age(&self) -> u64 {
        self.store.age()
    }

    /// Empties old chunks, if the store asks for it: entries that are older are appended again. Gives their bytes.
    pub fn collect_due(&self, content: &Content, rounds: &[u32], ages: &mut [u32]) -> Result<u64> {
        let live = content.records * live_bytes(content::KEY_BYTES, content.value_bytes);
        let Some(due) = self.store.due_for_collection(live) else { return Ok(0) };
        let mut again = 0;
        for n in 0..content.records {
            let age = &mut ages[n as usize];
            if u64::from(*age) < due.to.number {
                *age = self.store.age() as u32;
                self.append_again(&self.record(content, n, rounds[n as usize]))?;
                again += (content::KEY_BYTES + content.value_bytes) as u64;
            }
        }
        for partition in self.store.to_move(&due) {
            if self.store.append_moved(partition, self.version(partition), &due).ticket().is_none() {
                bail!("partition {partition} did not move");
            }
        }
        self.durable()?;
        Ok(again)
    }

    fn append_again(&self, record: &Record) -> Result<()> {
        match self.store.append_again(record.clone()) {
            Appended::Queued(_) => return Ok(()),
            Appended::Busy => self.durable()?,
            other => bail!("a record was not taken again: {other:?}"),
        }
        self.append(record.clone()).map(drop)
    }

    /// Seals and closes.
    pub fn seal(self, content: &Content) -> Result<()> {
        let held = |partition: u16| PartitionContent {
            partition,
            version: self.version(partition),
            entries: content.records / u64::from(PARTITIONS),
            digest: String::new(),
        };
        self.store.seal(SealRequest {
            operation: "bench".to_owned(),
            attempt: 1,
            generation: self.store.generation(),
            partitions: (0..PARTITIONS).map(held).collect(),
            machine: Vec::new(),
            machine_index: 0,
            roster_digest: String::new(),
        })?;
        Ok(self.store.close()?)
    }
}

/// The disk as it is, or behind encryption at rest.
fn disk(encrypted: bool) -> Result<Arc<dyn Disk>> {
    if !encrypted {
        return Ok(Arc::new(OsDisk));
    }
    let (mounted, keys) = (SimulatedDisk::new(), Path::new("/keys"));
    mounted.plant(&keys.join("bench"), &[7; 32]);
    let keys = Arc::new(Keys::read(&mounted, keys, Some("bench"))?);
    Ok(Arc::new(EncryptedDisk::new(Arc::new(OsDisk), keys, shape_of)))
}

/// Saves the content: time until all of it is durable, and until it is sealed and closed as well.
pub fn save(dir: &Path, content: &Content, encrypted: bool) -> Result<(Duration, Duration)> {
    let mut writing = Writing::begin_on(disk(encrypted)?, dir)?;
    let begin = Instant::now();
    writing.fill(content)?;
    writing.durable()?;
    let durable = begin.elapsed();
    writing.seal(content)?;
    Ok((durable, begin.elapsed()))
}

/// Opens and loads into tables, which it also makes: one for each core.
pub fn load(dir: &Path, kind: &str, encrypted: bool) -> Result<Vec<Box<dyn Table>>> {
    let (store, _) = Store::open(dir, disk(encrypted)?, Options::default())?;
    let mut tables = (0..cores()).map(|_| table::named(kind)).collect::<Result<Vec<_>>>()?;
    let mut takes: Vec<_> = tables.iter_mut().map(|table| |loaded: Loaded<'_>| take(table.as_mut(), loaded)).collect();
    let mut sinks: Vec<Sink<'_>> = takes.iter_mut().map(|take| take as Sink<'_>).collect();
    if !store.load_into(&mut sinks)?.sealed {
        bail!("what was loaded was not sealed");
    }
    Ok(tables)
}

fn take(table: &mut dyn Table, loaded: Loaded<'_>) {
    match loaded {
        Loaded::Put { partition, key, value, .. } => table.put(partition, key, value),
        Loaded::Remove { partition, key, .. } => table.remove(partition, key),
        Loaded::Clear { partition, .. } => table.clear(partition),
    }
}

//! A store that is driven by lines, for tests that break what lies below it: `workload DIR [CHUNK_BYTES [QUEUE_BYTES]]`.
//!
//! Law: a command from stdin is answered by one line that begins with `ok` or `error`; before it, `durable N` is said as soon
//! as records 1..=N are acknowledged as durable, and never earlier. Whatever is loaded is compared with what must have been
//! written. Must not know: which fault it runs under.

use jet_hotstore::{
    Appended, Base, Cadence, Contents, EpochId, Loaded, Options, OsDisk, PartitionContent, Record, SealRequest, Store,
    StoreError, Version,
};
use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const CLUSTER: Uuid = Uuid::from_u128(0x7265_616c);
const PARTITIONS: u64 = 7;
/// Longest wait for the disk that no command bounds.
const WAIT: Duration = Duration::from_secs(120);
/// Shortest value: number and length.
const HEAD: usize = 16;

/// What a command could not do.
type Answer = Result<String, Box<dyn std::error::Error>>;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().unwrap_or_else(|| "store".to_owned()));
    let mut number = || arguments.next().and_then(|text| text.parse::<u64>().ok());
    let mut options = Options::default();
    options.chunk_bytes = number().unwrap_or(options.chunk_bytes);
    options.queue_bytes = number().map_or(options.queue_bytes, |bytes| bytes as usize);
    println!("pid {}", std::process::id());
    let mut workload = Workload::new(dir, options);
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        match workload.act(&line) {
            Ok(told) => println!("ok {line}: {told}"),
            Err(error) => println!("error {line}: {error}"),
        }
    }
}

struct Workload {
    dir: PathBuf,
    options: Options,
    store: Option<Store>,
    /// Length of the value of each record held.
    held: BTreeMap<u64, usize>,
    versions: BTreeMap<u16, Version>,
    next: u64,
    value_bytes: usize,
    attempt: u32,
    /// A generation whose opening was begun.
    opening: Option<u64>,
}

/// Said by whoever finds what was never written.
fn wrong(what: String) -> Box<dyn std::error::Error> {
    format!("WRONG: {what}").into()
}

fn partition_of(n: u64) -> u16 {
    (n % PARTITIONS) as u16
}

/// Number, length, then bytes that follow from both.
fn value_of(n: u64, length: usize) -> Vec<u8> {
    let mut value = [n.to_le_bytes(), (length as u64).to_le_bytes()].concat();
    let mut seed = n;
    while value.len() < length {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        value.extend_from_slice(&seed.to_be_bytes());
    }
    value.truncate(length.max(HEAD));
    value
}

impl Workload {
    fn new(dir: PathBuf, mut options: Options) -> Self {
        // One thread makes all calls but those of appending, so that the n-th call is the same one in each run.
        options.cadence = Cadence::OnDemand;
        let (held, versions) = (BTreeMap::new(), BTreeMap::new());
        Workload { dir, options, store: None, held, versions, next: 1, value_bytes: 1000, attempt: 0, opening: None }
    }

    fn act(&mut self, line: &str) -> Answer {
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        let number = || rest.parse::<u64>();
        match command {
            "volume" => self.options.volume = Some(rest.to_owned()),
            "cadence" => self.options.cadence = Cadence::Every(Duration::from_millis(number()?)),
            "size" => self.value_bytes = HEAD.max(number()? as usize),
            "open" => return self.open(),
            "check" => return self.check(number()?),
            "go-on" => return self.go_on(),
            "append" => return self.append(number()?),
            "flush" => return self.flush(WAIT),
            "flush-within" => return self.flush(Duration::from_millis(number()?)),
            "retry" => self.store()?.retry_in_new_file()?,
            "rewrite" => return self.rewrite(number()? as u16),
            "rewrite-due" => return self.rewrite_due(),
            "due" => return Ok(format!("{:?}", self.store()?.partitions_to_rewrite())),
            "prove" => while self.store()?.prove_one()? {},
            "epoch" => self.epoch(number()?)?,
            "room" => self.store()?.room(number()?)?,
            "health" => return Ok(format!("{:?}", self.store()?.health())),
            "seal" => return self.seal(rest),
            "verify-last-seal" => self.store()?.verify_last_seal()?,
            "unseal" => self.store()?.unseal()?,
            "close" => self.store()?.close()?,
            "drop" => self.store = None,
            _ => return Err("no such command".into()),
        }
        Ok(String::new())
    }

    fn store(&self) -> Result<&Store, String> {
        self.store.as_ref().ok_or_else(|| "no store is open".to_owned())
    }

    /// Opens and loads; everything found must be what was once written, in each partition without a gap.
    fn open(&mut self) -> Answer {
        (self.store, self.opening) = (None, None);
        let (store, contents) = Store::open(&self.dir, Arc::new(OsDisk), self.options.clone())?;
        let (mut held, mut bad) = (BTreeMap::new(), None);
        let report = store.load(&mut |record| match record {
            Loaded::Put { partition, key, value, .. } => {
                let n = <[u8; 8]>::try_from(key).map_or(0, u64::from_be_bytes);
                if partition != partition_of(n) || value != value_of(n, value.len()) {
                    bad = Some(format!("record {n} in partition {partition}"));
                }
                held.insert(n, value.len());
            }
            other => bad = Some(format!("{other:?}")),
        })?;
        if let Some(bad) = bad {
            return Err(wrong(bad));
        }
        let complete = |n: &u64| report.partitions.iter().any(|p| p.partition == partition_of(*n) && p.complete);
        held.retain(|n, _| complete(n));
        self.next = (1..).find(|n| !held.contains_key(n)).unwrap_or(1);
        if let Some(gap) = held.keys().find(|n| **n > PARTITIONS && !held.contains_key(&(**n - PARTITIONS))) {
            return Err(wrong(format!("record {gap} is there and the one before it in its partition is not")));
        }
        self.held = held;
        self.versions = report.partitions.iter().filter(|p| p.complete).map(|p| (p.partition, p.version)).collect();
        let epochs: Vec<u64> = report.epochs.iter().map(|info| info.id.epoch).collect();
        for epoch in &epochs {
            read_epoch(&store, *epoch)?;
        }
        self.store = Some(store);
        Ok(format!("{} epochs {epochs:?} cut {:?}", standing(&contents), report.cut.map(|cut| cut.records)))
    }

    fn check(&self, upto: u64) -> Answer {
        match (1..=upto).find(|n| !self.held.contains_key(n)) {
            Some(lost) => Err(wrong(format!("record {lost} was durable and is not there"))),
            None => Ok(format!("{} held", self.held.len())),
        }
    }

    /// Whatever was found: founded, opened or resumed, so that records are taken.
    fn go_on(&mut self) -> Answer {
        let store = self.store.as_ref().ok_or("no store is open")?;
        if store.identity().founding.is_none() {
            store.join_cluster(CLUSTER)?;
        }
        let sealed = matches!(store.health().closed, Some(jet_hotstore::Closed::Sealed));
        let generation = store.generation();
        // One that failed half way is asked for again, not the next.
        match self.opening.or((generation == 0 || sealed).then_some(generation + 1)) {
            Some(next) => {
                self.opening = Some(next);
                store.open_generation(next)?;
            }
            None => store.resume()?,
        }
        self.opening = None;
        Ok(String::new())
    }

    fn record(&self, n: u64, length: usize) -> Result<Record, String> {
        let version = Version::new(self.store()?.boot(), n);
        Ok(Record::put(1, partition_of(n), version, n.to_be_bytes().to_vec(), value_of(n, length)))
    }

    fn append(&mut self, count: u64) -> Answer {
        for n in self.next..self.next + count {
            let record = self.record(n, self.value_bytes)?;
            let version = record.version;
            match self.store()?.append(record) {
                Appended::Queued(_) => {}
                refused => return Err(format!("record {n}: {refused:?}").into()),
            }
            self.held.insert(n, self.value_bytes);
            self.versions.insert(partition_of(n), version);
            self.next = n + 1;
        }
        Ok(format!("up to {}", self.next - 1))
    }

    fn flush(&self, bound: Duration) -> Answer {
        let store = self.store()?;
        let last = self.next - 1;
        let ticket = store.flush()?;
        store.wait_durable(ticket, bound)?;
        println!("durable {last}");
        Ok(String::new())
    }

    fn rewrite(&self, partition: u16) -> Answer {
        let Some(version) = self.versions.get(&partition).copied() else { return Ok("nothing".to_owned()) };
        let live = self.held.iter().filter(|(n, _)| partition_of(**n) == partition);
        let live = live.map(|(n, length)| Ok(Record { version, ..self.record(*n, *length)? }));
        let live: Vec<Record> = live.collect::<Result<_, String>>()?;
        match self.store()?.rewrite_partition(partition, version, Base::Continues, live) {
            Appended::Queued(_) => Ok(String::new()),
            refused => Err(format!("{refused:?}").into()),
        }
    }

    fn rewrite_due(&self) -> Answer {
        for partition in self.store()?.partitions_to_rewrite() {
            self.rewrite(partition)?;
        }
        Ok(String::new())
    }

    fn epoch(&self, epoch: u64) -> Result<(), StoreError> {
        let mut writer = self.store().map_err(misuse)?.epoch_writer(id_of(epoch))?;
        writer.put(1, 0, &value_of(epoch, 5000))?;
        writer.finish().map(|_| ())
    }

    fn seal(&mut self, operation: &str) -> Answer {
        self.attempt += 1;
        let entries = |partition: u16| self.held.keys().filter(|n| partition_of(**n) == partition).count() as u64;
        let content = |(partition, version): (&u16, &Version)| PartitionContent {
            partition: *partition,
            version: *version,
            entries: entries(*partition),
            digest: String::new(),
        };
        let request = SealRequest {
            operation: operation.to_owned(),
            attempt: self.attempt,
            generation: self.store()?.generation(),
            partitions: self.versions.iter().map(content).collect(),
            machine: vec![1; 3000],
            machine_index: 1,
            roster_digest: String::new(),
        };
        let seal = self.store()?.seal(request)?;
        println!("durable {}", self.next - 1);
        Ok(seal.digest)
    }
}

fn misuse(why: String) -> StoreError {
    StoreError::Misuse { call: "use the store", why }
}

fn id_of(epoch: u64) -> EpochId {
    EpochId { job: 1, execution: 1, epoch }
}

fn read_epoch(store: &Store, epoch: u64) -> Answer {
    for part in store.read_epoch(id_of(epoch))? {
        if part?.bytes != value_of(epoch, 5000) {
            return Err(wrong(format!("epoch {epoch}")));
        }
    }
    Ok(String::new())
}

fn standing(contents: &Contents) -> String {
    match contents {
        Contents::Blank | Contents::Founding(_) => "blank".to_owned(),
        Contents::Sealed(seal) => format!("sealed {} by {}", seal.manifest.generation, seal.manifest.operation),
        Contents::Unsealed { generation, .. } => format!("unsealed {generation}"),
    }
}

//! A cluster in one process: members are generations over socket pairs, the shell is this file.
//!
//! It keeps snapshots in a map, commits an epoch when every worker is done, applies sink parts after the
//! commit and starts the next generation from the last commit, on as many members and workers as asked.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jet_engine::operators::route::PartitionOf;
use jet_engine::runtime::RestoreParts;
use jet_engine::{
    EngineEvents, GenerationHandle, JobPlan, JobRestore, JobStart, PartKey, PeerSocket, Report, RuntimeGeneration,
    SinkDelta, SnapshotOut, Vertex, WorkerDone, compile,
};

pub const PARTITIONS: u32 = 271;
pub const PATIENCE: Duration = Duration::from_secs(60);
pub const JOB: u64 = 7;

/// FNV-1a over the key.
pub fn hash() -> PartitionOf {
    Arc::new(|key: &[u8]| {
        let mut h = 0xcbf2_9ce4_8422_2325u64;
        for byte in key {
            h = (h ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
        ((h >> 32) % u64::from(PARTITIONS)) as u32
    })
}

/// Waits for a condition; prints the last state when it does not come.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool, state: impl Fn() -> String) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "{what} did not come; last state: {}", state());
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

#[derive(Default)]
pub struct Kept {
    pub parts: BTreeMap<PartKey, Bytes>,
    pub done: BTreeMap<(u64, u64), Vec<WorkerDone>>,
    pub reports: Vec<(usize, Report)>,
    /// Execution and epoch of the last commit.
    pub committed: Option<(u64, u64)>,
    pub map: BTreeMap<String, String>,
    pub applied: u64,
}

/// Snapshots, reports and the map of all members.
#[derive(Default)]
pub struct Keep {
    pub kept: Mutex<Kept>,
    pub changed: Condvar,
}

impl Keep {
    pub fn wait(&self, what: &str, mut condition: impl FnMut(&Kept) -> bool) {
        let end = Instant::now() + PATIENCE;
        let mut kept = self.kept.lock().unwrap();
        while !condition(&kept) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "{what} did not come; done {:?}, reports {:?}",
                kept.done.keys().last(),
                kept.reports
            );
            kept = self.changed.wait_timeout(kept, left).unwrap().0;
        }
    }
}

impl SnapshotOut for Keep {
    fn put(&self, key: PartKey, bytes: Bytes) -> Result<(), String> {
        match self.kept.lock().unwrap().parts.insert(key, bytes) {
            None => Ok(()),
            Some(_) => Err(format!("{key:?} was put twice")),
        }
    }
    fn done(&self, done: WorkerDone) -> Result<(), String> {
        self.kept.lock().unwrap().done.entry((done.execution, done.epoch)).or_default().push(done);
        self.changed.notify_all();
        Ok(())
    }
}

/// Reports of one member.
pub struct MemberEvents(pub usize, pub Arc<Keep>);

impl EngineEvents for MemberEvents {
    fn report(&self, report: Report) {
        self.1.kept.lock().unwrap().reports.push((self.0, report));
        self.1.changed.notify_all();
    }
}

/// Parts of one committed snapshot.
pub struct Parts(pub Arc<Keep>, pub u64, pub u64);

impl RestoreParts for Parts {
    fn part(&self, vertex: Vertex, partition: u32) -> Result<Option<Bytes>, String> {
        let key = PartKey { job: JOB, execution: self.1, epoch: self.2, vertex, partition };
        Ok(self.0.kept.lock().unwrap().parts.get(&key).cloned())
    }
}

/// What a test does to the streams.
#[derive(Clone, Default)]
pub struct Meddle {
    /// Flip a bit of this byte of everything that member 0 reads.
    pub flip_at: Option<u64>,
    /// While set, member 0 reads nothing.
    pub stall: Arc<AtomicBool>,
    pub read: Arc<AtomicU64>,
}

struct Meddled {
    inner: UnixStream,
    meddle: Meddle,
}

impl Read for Meddled {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.meddle.stall.load(Ordering::Relaxed) {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        let n = self.inner.read(out)?;
        let from = self.meddle.read.fetch_add(n as u64, Ordering::Relaxed);
        if let Some(at) = self.meddle.flip_at.filter(|at| (from..from + n as u64).contains(at)) {
            out[(at - from) as usize] ^= 0x10;
        }
        Ok(n)
    }
}

impl Write for Meddled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl PeerSocket for Meddled {
    fn another(&self) -> io::Result<Box<dyn PeerSocket>> {
        Ok(Box::new(Meddled { inner: self.inner.try_clone()?, meddle: self.meddle.clone() }))
    }
    fn close(&self) {
        PeerSocket::close(&self.inner);
    }
    fn wait_at_most(&self, limit: Option<Duration>) -> io::Result<()> {
        self.inner.wait_at_most(limit)
    }
}

/// Streams between all pairs.
#[allow(clippy::needless_range_loop)] // A pair is two indices.
pub fn streams(members: usize, meddle: Option<&Meddle>) -> Vec<Vec<Option<Box<dyn PeerSocket>>>> {
    let mut all: Vec<Vec<Option<Box<dyn PeerSocket>>>> =
        (0..members).map(|_| (0..members).map(|_| None).collect()).collect();
    for a in 0..members {
        for b in a + 1..members {
            let (left, right) = UnixStream::pair().unwrap();
            all[a][b] = match meddle.filter(|_| a == 0) {
                Some(meddle) => Some(Box::new(Meddled { inner: left, meddle: meddle.clone() })),
                None => Some(Box::new(left)),
            };
            all[b][a] = Some(Box::new(right));
        }
    }
    all
}

/// The cluster's shell.
pub struct Cluster {
    pub keep: Arc<Keep>,
    pub plan: JobPlan,
    pub generation: u64,
    pub members: Vec<GenerationHandle>,
    pub workers: usize,
    pub hash: PartitionOf,
    pub meddle: Option<Meddle>,
    /// Instead of the last commit.
    pub restore: Option<JobRestore>,
}

impl Cluster {
    pub fn new(plan: JobPlan) -> Self {
        // The plan travels as text.
        let text = serde_json::to_string(&plan).unwrap();
        let plan = serde_json::from_str(&text).unwrap();
        Cluster {
            keep: Arc::default(),
            plan,
            generation: 0,
            members: Vec::new(),
            workers: 1,
            hash: hash(),
            meddle: None,
            restore: None,
        }
    }

    pub fn start(&mut self, members: usize, workers: usize) {
        assert!(self.members.is_empty());
        self.generation += 1;
        self.workers = workers;
        let committed = self.keep.kept.lock().unwrap().committed;
        let last = committed.map(|(execution, epoch)| JobRestore {
            epoch,
            parts: Arc::new(Parts(self.keep.clone(), execution, epoch)),
        });
        let restore = self.restore.take().or(last);
        let all = streams(members, self.meddle.as_ref());
        let starting: Vec<_> = all
            .into_iter()
            .enumerate()
            .map(|(me, sockets)| {
                let start = JobStart {
                    job: JOB,
                    execution: self.generation,
                    fingerprint: self.plan.fingerprint.clone(),
                    program: Arc::new(compile(&self.plan).unwrap()),
                    restore: restore.clone(),
                };
                let generation = RuntimeGeneration {
                    number: self.generation,
                    members,
                    me,
                    workers,
                    owners: (0..PARTITIONS as usize).map(|p| (p * 7 + 3) % members).collect(),
                    partition_of: self.hash.clone(),
                    jobs: vec![start],
                    sockets,
                    snapshots: self.keep.clone(),
                    events: Arc::new(MemberEvents(me, self.keep.clone())),
                };
                std::thread::spawn(move || generation.start().unwrap())
            })
            .collect();
        self.members = starting.into_iter().map(|thread| thread.join().unwrap()).collect();
    }

    pub fn next_epoch(&self) -> u64 {
        self.members[0].counters(JOB).unwrap().committed_epoch + 1
    }

    pub fn open(&self, epoch: u64, terminal: bool) {
        for member in &self.members {
            member.open_epoch(JOB, epoch, terminal).unwrap();
        }
    }

    /// Waits for all workers, commits, applies the sink parts and tells the members.
    pub fn commit(&self, epoch: u64) {
        let (execution, all) = (self.generation, self.members.len() * self.workers);
        self.keep.wait(&format!("snapshot {epoch}"), |kept| {
            kept.done.get(&(execution, epoch)).is_some_and(|done| done.len() == all)
        });
        {
            let mut kept = self.keep.kept.lock().unwrap();
            let done = kept.done[&(execution, epoch)].clone();
            let workers: BTreeSet<usize> = done.iter().map(|done| done.worker).collect();
            assert_eq!(workers, (0..all).collect(), "each worker once");
            let count = |part: fn(&WorkerDone) -> u64| done.iter().map(part).sum::<u64>();
            assert_eq!(count(|done| done.state_parts), u64::from(PARTITIONS), "every partition has a state part");
            let of_this = |key: &PartKey| key.execution == execution && key.epoch == epoch;
            let sinks: Vec<Bytes> = kept
                .parts
                .iter()
                .filter(|(key, _)| of_this(key) && key.vertex == Vertex::Sink)
                .map(|(_, bytes)| bytes.clone())
                .collect();
            assert_eq!(count(|done| done.sink_parts), sinks.len() as u64);
            for bytes in sinks {
                for entry in SinkDelta::decode(&bytes).unwrap().entries {
                    kept.map.insert(String::from_utf8(entry.key).unwrap(), String::from_utf8(entry.value).unwrap());
                    kept.applied += 1;
                }
            }
            kept.committed = Some((execution, epoch));
            kept.parts.retain(|key, _| of_this(key));
        }
        for member in &self.members {
            member.committed(JOB, epoch).unwrap();
        }
    }

    pub fn snapshot(&self, terminal: bool) {
        let epoch = self.next_epoch();
        self.open(epoch, terminal);
        self.commit(epoch);
    }

    pub fn rows_in(&self) -> u64 {
        self.members.iter().map(|member| member.counters(JOB).unwrap().rows_in).sum()
    }

    pub fn wait_rows(&self, rows: u64) {
        wait_for(&format!("{rows} rows"), || self.rows_in() >= rows, || self.states());
    }

    pub fn states(&self) -> String {
        self.members.iter().map(|member| format!("{:?} {:?}\n", member.cause(), member.counters(JOB))).collect()
    }

    /// Snapshots until every member has read all, then the terminal one: the job is complete.
    pub fn complete(&self) {
        let all_read = || self.members.iter().all(|member| member.counters(JOB).unwrap().exhausted);
        let end = Instant::now() + PATIENCE;
        while !all_read() {
            assert!(Instant::now() < end, "the job does not end: {}", self.states());
            self.snapshot(false);
        }
        self.snapshot(true);
    }

    /// Trips one member; the others must notice by themselves. All causes.
    pub fn trip(&mut self, member: usize) -> Vec<String> {
        self.members[member].trip("the test ended it");
        self.members.drain(..).map(GenerationHandle::join).collect()
    }

    pub fn map(&self) -> BTreeMap<String, String> {
        self.keep.kept.lock().unwrap().map.clone()
    }
}

/// SQL of the ledger: what every key saw.
pub fn ledger_sql(options: &str) -> String {
    format!(
        "CREATE MAPPING numbers TYPE Generator OPTIONS ({options});
         CREATE MAPPING ledger (key BIGINT, count BIGINT, sum BIGINT, max BIGINT) TYPE Map;
         CREATE JOB ledger OPTIONS ('snapshot-interval'='1s') AS
         INSERT INTO ledger SELECT key, COUNT(*), SUM(number), MAX(number) FROM numbers GROUP BY key;"
    )
}

/// The ledger computed apart from the engine.
pub fn oracle(keys: u64, count: u64) -> BTreeMap<String, String> {
    (0..keys.min(count))
        .map(|key| {
            let n = count / keys + u64::from(key < count % keys);
            (key.to_string(), format!("{{\"count\":{n},\"sum\":{},\"max\":{}}}", n * (n - 1) / 2, n - 1))
        })
        .collect()
}

/// The first difference between a map and the oracle, for a message.
pub fn difference(map: &BTreeMap<String, String>, oracle: &BTreeMap<String, String>) -> Option<String> {
    let wrong = oracle.iter().find(|(key, value)| map.get(*key) != Some(value));
    let extra = map.keys().find(|key| !oracle.contains_key(*key)).map(|key| format!("key {key} should not be there"));
    wrong.map(|(key, value)| format!("key {key}: {:?} instead of {value}", map.get(key))).or(extra)
}

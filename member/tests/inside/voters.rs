//! Three voters: real consensus, real network, the store's log on the simulated disk.
//!
//! Law: at the moment of its acknowledgement an entry would survive a power loss of everything on a majority of the
//! disks, whatever the disks do. Must not know: what they do.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use jet_core::{Command, MemberId, OperationId, Outcome};
use jet_hotstore::{Aftermath, ConsensusLog, Disk, LogEntry, SimulatedDisk, StoreError};
use jet_member::cluster::ProposeError;
use jet_member::cluster::consensus::types::Voter;
use jet_member::cluster::consensus::{Consensus, ConsensusError, Kept};
use jet_member::cluster::control::{Ask, envelope};
use jet_member::net::{Handler, Lane, Net, Peer};
use uuid::Uuid;

use crate::wires::{connect, unconnected, until, uuid};

pub const VOTERS: usize = 3;
const LINE: Uuid = Uuid::from_u128(7);
/// Time for one write while a majority can write.
pub const WRITE: Duration = Duration::from_secs(10);

/// Consensus of one voter, as it lives now.
type Slot = Arc<Mutex<Option<Arc<Consensus>>>>;

struct Letters(Slot);

impl Handler for Letters {
    fn handle(&self, _: Peer, request: Bytes) -> BoxFuture<'static, Bytes> {
        let consensus = self.0.clone();
        Box::pin(async move {
            let consensus = consensus.lock().unwrap().clone();
            match (consensus, serde_json::from_slice(&request)) {
                (Some(consensus), Ok(Ask::Consensus(letter))) => {
                    consensus.answer(letter).await.map(Bytes::from).unwrap_or_default()
                }
                _ => Bytes::new(),
            }
        })
    }
}

pub struct Voters {
    nets: Vec<Net>,
    slots: Vec<Slot>,
    pub disks: Vec<SimulatedDisk>,
    /// What was acknowledged, in order.
    pub acknowledged: Vec<String>,
}

fn voter(n: usize) -> Voter {
    Voter { member: MemberId(uuid(n)), line: 7 }
}

pub fn open(disk: &SimulatedDisk, may_begin: bool) -> Result<ConsensusLog, StoreError> {
    ConsensusLog::open(Arc::new(disk.clone()), Path::new("/s/raft"), LINE, may_begin)
}

/// What is found of a log if the power went now.
pub fn after_power_loss(disk: &SimulatedDisk) -> Vec<LogEntry> {
    open(&disk.reboot(Aftermath::Lost), false).unwrap().entries(0, u64::MAX)
}

pub fn names(entry: &LogEntry, word: &str) -> bool {
    String::from_utf8_lossy(&entry.bytes).contains(&format!("\"{word}\""))
}

/// A command that names itself; the machine's opinion of it does not matter here.
pub fn command(word: &str) -> Command {
    Command::Abort { op: OperationId { seq: 1, random: "x".into() }, reason: word.into() }
}

impl Voters {
    pub async fn start() -> Self {
        let ends = unconnected(VOTERS);
        let slots: Vec<Slot> = (0..VOTERS).map(|_| Slot::default()).collect();
        for ((net, _), slot) in ends.iter().zip(&slots) {
            for lane in Lane::ALL {
                net.serve(lane, Arc::new(Letters(slot.clone())));
            }
        }
        connect(&ends).await;
        let disks: Vec<SimulatedDisk> = (0..VOTERS).map(|_| SimulatedDisk::new()).collect();
        let nets = ends.into_iter().map(|(net, _)| net).collect();
        let voters = Self { nets, slots, disks, acknowledged: Vec::new() };
        for (n, disk) in voters.disks.iter().enumerate() {
            disk.make_dir(Path::new("/s")).unwrap();
            voters.begin(n, Kept::read(open(disk, true).unwrap()).unwrap()).await.unwrap();
        }
        voters.at(0).initialise((0..VOTERS).map(voter)).await.unwrap();
        voters
    }

    /// Consensus of this voter.
    pub fn at(&self, n: usize) -> Arc<Consensus> {
        self.slots[n].lock().unwrap().clone().unwrap()
    }

    /// A new life of it on this log.
    pub async fn begin(&self, n: usize, kept: Kept) -> Result<(), ConsensusError> {
        let consensus = Consensus::start(self.nets[n].clone(), envelope, voter(n), kept).await?;
        *self.slots[n].lock().unwrap() = Some(Arc::new(consensus));
        Ok(())
    }

    /// Waits until one of `among` leads, later than `after`.
    pub async fn leader(&self, among: &[usize], after: u64) -> (usize, u64) {
        until("one of them leads", || async {
            let leads = |n: &usize| self.at(*n).standing().leading.map(|led| led.term).filter(|term| *term > after);
            let found = among.iter().find_map(|n| leads(n).map(|term| (*n, term)));
            found.ok_or_else(|| format!("{:?}", (0..VOTERS).map(|n| self.at(n).standing()).collect::<Vec<_>>()))
        })
        .await
    }

    /// Writes through `at`; an acknowledgement is held against the disks at once.
    pub async fn write(&mut self, at: usize, word: &str, time: Duration) -> Result<Outcome, ProposeError> {
        let written = self.at(at).write(command(word), time).await;
        if written.is_ok() {
            self.is_durable_on_a_majority(word);
            self.acknowledged.push(word.to_owned());
        }
        written
    }

    pub fn is_durable_on_a_majority(&self, word: &str) {
        let held = self.disks.iter().filter(|disk| after_power_loss(disk).iter().any(|entry| names(entry, word)));
        let held = held.count();
        assert!(2 * held > VOTERS, "'{word}' was acknowledged and is durable on {held} of {VOTERS} disks");
    }

    /// Everybody ends with the same log and machine, and everything acknowledged in it.
    pub async fn agree(&self) {
        until("all logs and machines are equal", || async {
            let logs: Vec<Vec<LogEntry>> = self.disks.iter().map(after_power_loss).collect();
            let machines: Vec<_> = (0..VOTERS).map(|n| self.at(n).machine().borrow().machine.clone()).collect();
            let same = logs.windows(2).all(|two| two[0] == two[1]) && machines.windows(2).all(|two| two[0] == two[1]);
            if same { Ok(()) } else { Err(format!("{:?}", logs.iter().map(Vec::len).collect::<Vec<_>>())) }
        })
        .await;
        let log = after_power_loss(&self.disks[0]);
        for word in &self.acknowledged {
            assert!(log.iter().any(|entry| names(entry, word)), "'{word}' was acknowledged and is lost");
        }
    }

    pub async fn end(self) {
        for n in 0..VOTERS {
            self.at(n).stop().await;
        }
    }
}

//! Consensus over log disks that freeze: three voters, real network, the store's log on the simulated disk.
//!
//! Law: at the moment of its acknowledgement an entry would survive a power loss of everything on a majority of the
//! disks, whoever is frozen; who cannot write its log leads nobody for long, and comes back as a follower. Must not
//! know: what commands do.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use jet_core::{Command, MemberId, OperationId, Outcome};
use jet_hotstore::{Aftermath, ConsensusLog, Disk, LogEntry, SimulatedDisk};
use jet_member::cluster::ProposeError;
use jet_member::cluster::consensus::Consensus;
use jet_member::cluster::consensus::types::Voter;
use jet_member::cluster::control::{Ask, envelope};
use jet_member::net::{Handler, Lane, Peer};
use uuid::Uuid;

use crate::wires::{connect, unconnected, until, uuid};

const VOTERS: usize = 3;
const LINE: Uuid = Uuid::from_u128(7);
/// Time for one write while nothing is frozen.
const WRITE: Duration = Duration::from_secs(10);
/// Time after which a write into a frozen majority is given up; whether it was done is not known then.
const GIVEN_UP: Duration = Duration::from_secs(3);

struct Letters(Arc<OnceLock<Arc<Consensus>>>);

impl Handler for Letters {
    fn handle(&self, _: Peer, request: Bytes) -> BoxFuture<'static, Bytes> {
        let consensus = self.0.clone();
        Box::pin(async move {
            match (consensus.get(), serde_json::from_slice(&request)) {
                (Some(consensus), Ok(Ask::Consensus(letter))) => {
                    consensus.answer(letter).await.map(Bytes::from).unwrap_or_default()
                }
                _ => Bytes::new(),
            }
        })
    }
}

struct Voters {
    consensus: Vec<Arc<Consensus>>,
    disks: Vec<SimulatedDisk>,
    /// What was acknowledged, in order.
    acknowledged: Vec<String>,
}

fn open(disk: &SimulatedDisk, may_begin: bool) -> ConsensusLog {
    disk.make_dir(Path::new("/s")).unwrap();
    ConsensusLog::open(Arc::new(disk.clone()), Path::new("/s/raft"), LINE, may_begin).unwrap()
}

/// What is found of a log if the power went now.
fn after_power_loss(disk: &SimulatedDisk) -> Vec<LogEntry> {
    open(&disk.reboot(Aftermath::Lost), false).entries(0, u64::MAX)
}

fn names(entry: &LogEntry, word: &str) -> bool {
    String::from_utf8_lossy(&entry.bytes).contains(&format!("\"{word}\""))
}

/// A command that names itself; the machine's opinion of it does not matter here.
fn command(word: &str) -> Command {
    Command::Abort { op: OperationId { seq: 1, random: "x".into() }, reason: word.into() }
}

impl Voters {
    async fn start() -> Self {
        let nets = unconnected(VOTERS);
        let slots: Vec<Arc<OnceLock<Arc<Consensus>>>> = (0..VOTERS).map(|_| Arc::default()).collect();
        for ((net, _), slot) in nets.iter().zip(&slots) {
            for lane in Lane::ALL {
                net.serve(lane, Arc::new(Letters(slot.clone())));
            }
        }
        connect(&nets).await;
        let (mut consensus, mut disks) = (Vec::new(), Vec::new());
        let voter = |n: usize| Voter { member: MemberId(uuid(n)), line: 7 };
        for (n, (net, _)) in nets.iter().enumerate() {
            let disk = SimulatedDisk::new();
            let log = open(&disk, true);
            let started = Arc::new(Consensus::start(net.clone(), envelope, voter(n), log).await.unwrap());
            let _ = slots[n].set(started.clone());
            consensus.push(started);
            disks.push(disk);
        }
        consensus[0].initialise((0..VOTERS).map(voter)).await.unwrap();
        Self { consensus, disks, acknowledged: Vec::new() }
    }

    /// Waits until one of `among` leads, later than `after`.
    async fn leader(&self, among: &[usize], after: u64) -> (usize, u64) {
        until("one of them leads", || async {
            let leads =
                |n: &usize| self.consensus[*n].standing().leading.map(|led| led.term).filter(|term| *term > after);
            let found = among.iter().find_map(|n| leads(n).map(|term| (*n, term)));
            found.ok_or_else(|| format!("{:?}", self.consensus.iter().map(|c| c.standing()).collect::<Vec<_>>()))
        })
        .await
    }

    /// Writes through `at`; an acknowledgement is held against the disks at once.
    async fn write(&mut self, at: usize, word: &str, time: Duration) -> Result<Outcome, ProposeError> {
        let written = self.consensus[at].write(command(word), time).await;
        if written.is_ok() {
            self.is_durable_on_a_majority(word);
            self.acknowledged.push(word.to_owned());
        }
        written
    }

    fn is_durable_on_a_majority(&self, word: &str) {
        let held = self.disks.iter().filter(|disk| after_power_loss(disk).iter().any(|entry| names(entry, word)));
        let held = held.count();
        assert!(2 * held > VOTERS, "'{word}' was acknowledged and is durable on {held} of {VOTERS} disks");
    }

    /// Everybody ends with the same log and machine, and everything acknowledged in it.
    async fn agree(&self) {
        until("all logs and machines are equal", || async {
            let logs: Vec<Vec<LogEntry>> = self.disks.iter().map(after_power_loss).collect();
            let machines: Vec<_> = self.consensus.iter().map(|c| c.machine().borrow().machine.clone()).collect();
            let same = logs.windows(2).all(|two| two[0] == two[1]) && machines.windows(2).all(|two| two[0] == two[1]);
            if same { Ok(()) } else { Err(format!("{:?}", logs.iter().map(Vec::len).collect::<Vec<_>>())) }
        })
        .await;
        let log = after_power_loss(&self.disks[0]);
        for word in &self.acknowledged {
            assert!(log.iter().any(|entry| names(entry, word)), "'{word}' was acknowledged and is lost");
        }
    }

    async fn end(self) {
        for consensus in &self.consensus {
            consensus.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_leader_whose_log_disk_freezes_is_followed_by_another_and_comes_back_as_a_follower() {
    let mut voters = Voters::start().await;
    let (old, term) = voters.leader(&[0, 1, 2], 0).await;
    for n in 0..5 {
        voters.write(old, &format!("before-{n}"), WRITE).await.unwrap();
    }
    let durable = voters.consensus[old].standing().durable;
    voters.disks[old].freeze();
    // It still takes itself for the leader; what it is given is not acknowledged by a log that cannot be written.
    let stuck = {
        let consensus = voters.consensus[old].clone();
        tokio::spawn(async move { consensus.write(command("stuck"), WRITE).await })
    };
    let others: Vec<usize> = (0..VOTERS).filter(|n| *n != old).collect();
    let (new, _) = voters.leader(&others, term).await;
    for n in 0..5 {
        voters.write(new, &format!("meanwhile-{n}"), WRITE).await.unwrap();
    }
    assert!(!stuck.is_finished(), "the frozen leader had an answer: {:?}", stuck.await);
    assert_eq!(voters.consensus[old].standing().durable, durable, "a frozen log is told to be durable");
    assert!(!after_power_loss(&voters.disks[old]).iter().any(|entry| names(entry, "meanwhile-0")));

    voters.disks[old].thaw();
    if stuck.await.unwrap().is_ok() {
        voters.is_durable_on_a_majority("stuck");
        voters.acknowledged.push("stuck".into());
    }
    until("the thawed one follows", || async {
        let standing = voters.consensus[old].standing();
        let follows = standing.leading.is_none() && standing.leader.is_some() && standing.failure.is_none();
        if follows { Ok(()) } else { Err(format!("{standing:?}")) }
    })
    .await;
    let (leader, _) = voters.leader(&[0, 1, 2], term).await;
    voters.write(leader, "after", WRITE).await.unwrap();
    voters.agree().await;
    voters.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_two_of_three_log_disks_frozen_nothing_is_acknowledged_and_nothing_is_lost() {
    let mut voters = Voters::start().await;
    let (leader, _) = voters.leader(&[0, 1, 2], 0).await;
    voters.write(leader, "before", WRITE).await.unwrap();
    let followers: Vec<usize> = (0..VOTERS).filter(|n| *n != leader).collect();
    followers.iter().for_each(|n| voters.disks[*n].freeze());
    for at in 0..VOTERS {
        let word = format!("frozen-at-{at}");
        let written = voters.write(at, &word, GIVEN_UP).await;
        assert!(written.is_err(), "'{word}' was acknowledged with a majority of the disks frozen: {written:?}");
    }
    followers.iter().for_each(|n| voters.disks[*n].thaw());
    let mut tries = 0;
    while !voters.acknowledged.contains(&"after".to_owned()) {
        assert!(tries < 20, "nothing is taken after the thaw: {:?}", voters.consensus[0].standing());
        tries += 1;
        let (leader, _) = voters.leader(&[0, 1, 2], 0).await;
        let _ = voters.write(leader, "after", GIVEN_UP).await;
    }
    voters.agree().await;
    voters.end().await;
}

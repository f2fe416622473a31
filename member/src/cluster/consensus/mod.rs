//! The replicated log of this member: openraft behind a small face of ours.
//!
//! Law: nothing outside this room names openraft; an answer "done" was applied by a majority's log; "not done" is said
//! only when it is certain. Must not know: what commands mean, who should be asked to propose.
//!
//! - [`types`]: voters, entries · [`disk`]: what is asked of a disk (`hot`: the store's) · [`writer`]: the thread that writes
//! - [`log`], [`machine`]: openraft's two stores · [`letter`], [`wire`]: its network · [`membership`]: who votes in it
//! - [`refounded`]: a log that begins in the midst, by consent

pub mod disk;
mod hot;
pub mod letter;
pub mod log;
pub mod machine;
pub mod membership;
pub mod refounded;
pub mod types;
pub mod wire;
pub mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use jet_core::{Command, LogIndex, MemberId, Outcome};
use openraft::error::{ClientWriteError, InitializeError, RaftError};
use openraft::{EmptyNode, Raft, ServerState, SnapshotPolicy};
use tokio::sync::watch;

use self::disk::{DiskFailed, LogDisk};
use self::letter::Letter;
use self::log::Log;
use self::machine::{MachineStore, Published};
use self::types::{Types, Voter};
use self::wire::Post;
use crate::net::Net;

/// Pause between openraft's own heartbeats; also the time that one append may take before it is sent again.
const HEARTBEAT_MS: u64 = 150;
/// Silence after which a follower stands for election.
const ELECTION_MS: Range<u64> = 600..1200;
/// A majority that has not answered for so long does not follow.
const FOLLOWED_MS: u64 = 2000;
/// Entries after which a snapshot is taken, and how many are kept behind it for those who lag.
const SNAPSHOT_AFTER: u64 = 2000;
const KEPT_ENTRIES: u64 = 500;

/// Why consensus does not start.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ConsensusError {
    #[error(transparent)]
    Disk(#[from] DiskFailed),
    /// The log is not what it must be. It was left as it is, and trying again changes nothing.
    #[error("the consensus log is refused: {0}")]
    Refused(String),
    #[error("consensus cannot start: {0}")]
    Start(String),
}

/// Why a proposal has no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Certainly not done.
    #[error("there is no leader that could be reached; nothing was done")]
    NoLeader,
    /// It may be in the log.
    #[error("no answer ({0}); whether it was done is not known, ask again by the same id")]
    Unknown(String),
}

/// Why the log is not begun with the voters that were given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum BeginError {
    /// A founder's volume was replaced after the log was begun: who promised anew is another member.
    #[error(
        "the log was begun with the voters {begun}; now {wanted} have promised. Put the volumes of those voters back, or empty all of them and found again"
    )]
    OtherVoters { begun: String, wanted: String },
    #[error("{0}")]
    Failed(String),
}

fn named(voters: &BTreeSet<Voter>) -> String {
    voters.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A leadership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leading {
    /// Its term. Who is started again while it leads goes on in the same one.
    pub term: u64,
    /// The last entry of its log, committed or not; its own blank is among them. Two may lead one term one after the other:
    /// who has published its blank knows that a majority follows it and refuses the other.
    pub last: LogIndex,
}

/// How consensus stands on this member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The highest term that this member has promised to anybody.
    pub term: u64,
    /// The leader, as far as this member knows.
    pub leader: Option<MemberId>,
    /// What this member leads.
    pub leading: Option<Leading>,
    /// Last applied entry.
    pub applied: u64,
    /// Last durable entry.
    pub durable: u64,
    /// Why the log is written no more.
    pub failure: Option<String>,
}

/// A log as the disk holds it, read and understood; nothing runs on it yet.
pub struct Kept {
    log: Log,
    machine: MachineStore,
}

impl Kept {
    /// Reads all of it.
    pub fn read(disk: impl LogDisk) -> Result<Self, DiskFailed> {
        let opened = Log::open(disk)?;
        let machine = MachineStore::open(opened.log.writer().clone(), opened.snapshot)?;
        Ok(Self { log: opened.log, machine })
    }

    /// For a life after `former` in the same process, whose disk failed. What that one knew as durable is in the log, or it
    /// is not gone on with.
    pub async fn after(mut self, former: &Consensus) -> Result<Self, ConsensusError> {
        let (known, found) = (former.log.writer().durable(), self.log.writer().durable());
        if found < known {
            let why =
                format!("the log ends at entry {found}, and {known} were durable: acknowledged entries are missing");
            return Err(DiskFailed(why).into());
        }
        let promised = former.term.load(Ordering::Acquire);
        let given_up = self.log.give_up(former.me, promised).await;
        given_up.map_err(|e| ConsensusError::Start(e.to_string()))?;
        Ok(self)
    }
}

/// Why consensus ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The log could not be written. It can be begun anew from what the disk holds.
    Disk,
    /// A mistake in it: only a new process takes part again.
    Mistake,
}

/// The replicated log of this member.
pub struct Consensus {
    me: Voter,
    raft: Raft<Types>,
    log: Log,
    machine: MachineStore,
    term: Arc<AtomicU64>,
    /// It was asked to end.
    ends: Arc<AtomicBool>,
}

impl Consensus {
    /// Starts on a log. A blank one waits to be initialised or to be written to by a leader.
    pub async fn start(
        net: Net,
        envelope: fn(Letter) -> Result<Bytes, serde_json::Error>,
        me: Voter,
        Kept { log, machine }: Kept,
    ) -> Result<Self, ConsensusError> {
        let election = crate::host::chance(ELECTION_MS);
        let config = openraft::Config {
            cluster_name: "jet".into(),
            heartbeat_interval: HEARTBEAT_MS,
            election_timeout_min: election.start,
            election_timeout_max: election.end,
            install_snapshot_timeout: 2000,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(crate::host::after(SNAPSHOT_AFTER)),
            max_in_snapshot_log_to_keep: crate::host::after(KEPT_ENTRIES),
            snapshot_max_chunk_size: 1 << 20,
            ..openraft::Config::default()
        };
        let start = |e: &dyn std::fmt::Display| ConsensusError::Start(e.to_string());
        let config = Arc::new(config.validate().map_err(|e| start(&e))?);
        let post = Post { net, envelope };
        let raft = Raft::new(me, config, post, log.clone(), machine.clone()).await.map_err(|e| start(&e))?;
        let term = log.term();
        Ok(Self { me, raft, log, machine, term, ends: Arc::default() })
    }

    /// Who we are.
    pub fn me(&self) -> Voter {
        self.me
    }

    /// The machine after every batch of entries.
    pub fn machine(&self) -> watch::Receiver<Published> {
        self.machine.published()
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let leads = metrics.state == ServerState::Leader && metrics.running_state.is_ok();
        let leading = Leading { term: metrics.current_term, last: metrics.last_log_index.unwrap_or(0) };
        let broken = || self.raft.metrics().has_changed().is_err().then(|| "consensus has broken down".to_owned());
        let failure = self.log.writer().failure();
        let failure = failure.or_else(|| metrics.running_state.as_ref().err().map(ToString::to_string)).or_else(broken);
        Standing {
            term: self.term.load(Ordering::Acquire),
            // Of a life that has ended nobody knows who leads now.
            leader: metrics.current_leader.map(|voter| voter.member).filter(|_| failure.is_none()),
            leading: leads.then_some(leading),
            applied: self.machine.last_applied(),
            durable: self.log.writer().durable(),
            failure,
        }
    }

    /// It leads, and a majority has said so just now. Who is started again goes on leading its term, also alone.
    pub fn is_followed(&self) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let leads = metrics.state == ServerState::Leader && metrics.running_state.is_ok();
        let alone = metrics.membership_config.membership().voter_ids().count() == 1;
        leads && (alone || metrics.millis_since_quorum_ack.is_some_and(|millis| millis < FOLLOWED_MS))
    }

    /// Returns when it ended by itself, and why; not when it was asked to.
    pub fn ended(&self) -> impl Future<Output = End> + Send + 'static {
        let (mut metrics, ends, writer) = (self.raft.metrics(), self.ends.clone(), self.log.writer().clone());
        async move {
            while metrics.changed().await.is_ok() {}
            if ends.load(Ordering::Acquire) {
                std::future::pending::<()>().await;
            }
            if writer.failure().is_some() { End::Disk } else { End::Mistake }
        }
    }

    /// Its disk failed, and it holds no file of the log any more.
    pub fn has_let_go(&self) -> bool {
        self.log.writer().has_let_go()
    }

    /// For drills: the core ends as by a mistake in it.
    #[doc(hidden)]
    pub fn break_down(&self) {
        self.raft.external_request(|_| panic!("on purpose"));
    }

    /// Answers a letter of another voter; `None` when it is meant for somebody else, or nobody is here to answer.
    pub async fn answer(&self, letter: Letter) -> Option<Vec<u8>> {
        if letter.to != self.me || self.log.writer().failure().is_some() {
            return None;
        }
        wire::answer(&self.raft, letter.body).await.ok()
    }

    /// Begins the log with exactly these voters; begun already with the same is fine, with others it is refused.
    pub async fn initialise(&self, voters: impl IntoIterator<Item = Voter>) -> Result<(), BeginError> {
        let wanted: BTreeSet<Voter> = voters.into_iter().collect();
        let nodes: BTreeMap<Voter, EmptyNode> = wanted.iter().map(|v| (*v, EmptyNode {})).collect();
        match self.raft.initialize(nodes).await {
            Ok(()) => Ok(()),
            Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {
                // Asked of the core: what it publishes comes later than its answer.
                let begun = self.raft.with_raft_state(|state| state.membership_state.effective().voter_ids().collect());
                let begun: BTreeSet<Voter> = begun.await.map_err(|e| BeginError::Failed(e.to_string()))?;
                match begun == wanted {
                    true => Ok(()),
                    false => Err(BeginError::OtherVoters { begun: named(&begun), wanted: named(&wanted) }),
                }
            }
            Err(e) => Err(BeginError::Failed(e.to_string())),
        }
    }

    /// Writes a command as leader. `Err(NoLeader)`: we are not, and nothing was written.
    pub async fn write(&self, command: Command, time: Duration) -> Result<Outcome, ProposeError> {
        match tokio::time::timeout(time, self.raft.client_write(command)).await {
            Err(_) => Err(ProposeError::Unknown(format!("not committed within {time:?}"))),
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_)))) => Err(ProposeError::NoLeader),
            Ok(Err(e)) => Err(ProposeError::Unknown(e.to_string())),
            Ok(Ok(written)) => {
                written.data.0.ok_or_else(|| ProposeError::Unknown("the entry was not a command".into()))
            }
        }
    }

    /// Ends it; the log on the disk stays.
    pub async fn stop(&self) {
        self.ends.store(true, Ordering::Release);
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(%error, "consensus did not end in order");
        }
    }
}

//! This member's vote: consensus is begun, and begun anew when its disk failed and takes writes again.
//!
//! Law: one life at a time. A later one begins as in a new process, from the disk alone, once the former has let go of its
//! files, and only with all that the former knew as durable; meanwhile copies and jobs stay as they are. What was
//! published is never followed by what came before it. Must not know: what is decided.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jet_hotstore::StoreError;
use tracing::{info, warn};

use super::{Node, lock};
use crate::clock::Moment;
use crate::cluster::consensus::machine::Published;
use crate::cluster::consensus::types::Voter;
use crate::cluster::consensus::{Consensus, ConsensusError, End, Kept, Standing};
use crate::cluster::control::envelope;
use crate::store::{Keeper, KeeperError};

/// Pause before the log is opened anew, and the longest that it grows to while that fails or does not last.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// A failure after so long is a new one.
const LASTED: Duration = Duration::from_secs(60);

/// Reads the log of a member that has promised or belongs to a cluster; `None`: there is none to read.
pub async fn read_log(keeper: &Arc<Keeper>) -> Result<Option<Kept>, ConsensusError> {
    if keeper.promise().is_none() && keeper.founded().is_none() {
        return Ok(None);
    }
    open_log(keeper).await.map(Some)
}

async fn open_log(keeper: &Arc<Keeper>) -> Result<Kept, ConsensusError> {
    let keeper = keeper.clone();
    let opened = crate::host::blocking(move || keeper.consensus_log()).await;
    match opened.map_err(|e| ConsensusError::Start(e.to_string()))? {
        Ok(log) => Kept::read(log).map_err(|unread| ConsensusError::Refused(unread.to_string())),
        Err(KeeperError::Store(StoreError::Refused(refused))) => Err(ConsensusError::Refused(refused.to_string())),
        Err(error) => Err(ConsensusError::Start(error.to_string())),
    }
}

impl Node {
    /// Its part in consensus, if it has begun.
    pub fn consensus(&self) -> Option<Arc<Consensus>> {
        self.consensus.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Begins consensus on a log that was read already, or reads it first.
    pub(super) async fn start_consensus(self: &Arc<Self>, kept: Option<Kept>) -> Result<(), ConsensusError> {
        let _one = self.starting.lock().await;
        if self.consensus().is_some() {
            return Ok(());
        }
        let kept = match kept {
            Some(kept) => kept,
            None => open_log(&self.keeper).await?,
        };
        let first = self.begin(kept).await?;
        tokio::spawn(self.clone().vote_for_ever(first));
        Ok(())
    }

    async fn begin(self: &Arc<Self>, kept: Kept) -> Result<Arc<Consensus>, ConsensusError> {
        let consensus = Arc::new(Consensus::start(self.net.clone(), envelope, self.voter(), kept).await?);
        let mut applied = consensus.machine();
        let node = self.clone();
        tokio::spawn(async move {
            loop {
                let published = applied.borrow_and_update().clone();
                node.applied(published);
                if applied.changed().await.is_err() {
                    return;
                }
            }
        });
        *self.consensus.write().unwrap_or_else(PoisonError::into_inner) = Some(consensus.clone());
        Ok(consensus)
    }

    async fn vote_for_ever(self: Arc<Self>, mut consensus: Arc<Consensus>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let begun = Moment::now();
            if consensus.ended().await == End::Mistake {
                return self.broken.notify_one();
            }
            if Moment::now().since(begun) >= LASTED {
                pause = FIRST_PAUSE;
            }
            consensus.stop().await;
            let Some(next) = self.begin_again(&consensus, &mut pause).await else { return };
            info!("the consensus log is written again; this member votes again");
            consensus = next;
        }
    }

    /// Tries until it succeeds; `None`: the process ends.
    async fn begin_again(self: &Arc<Self>, former: &Consensus, pause: &mut Duration) -> Option<Arc<Consensus>> {
        loop {
            tokio::time::sleep(*pause).await;
            *pause = (*pause * 2).min(LONGEST_PAUSE);
            if self.stopped.load(Ordering::Acquire) {
                return None;
            }
            let why = match self.try_again(former).await {
                Ok(begun) => {
                    *lock(&self.kept_out) = None;
                    if self.stopped.load(Ordering::Acquire) {
                        begun.stop().await;
                    }
                    return Some(begun);
                }
                Err(error) => Some(error.to_string()),
            };
            let mut known = lock(&self.kept_out);
            if *known != why {
                warn!(why = why.as_deref().unwrap_or_default(), "the consensus log cannot be opened anew yet");
                *known = why;
            }
        }
    }

    async fn try_again(self: &Arc<Self>, former: &Consensus) -> Result<Arc<Consensus>, ConsensusError> {
        if !former.has_let_go() {
            return Err(ConsensusError::Start("its disk has not answered the last write".into()));
        }
        let kept = open_log(&self.keeper).await?.after(former).await?;
        self.begin(kept).await
    }

    /// Returns when consensus has broken down by a mistake in it: only a new process takes part again.
    pub async fn broken_down(&self) {
        self.broken.notified().await;
    }

    /// Ends this member's part in consensus; its log stays.
    pub async fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        if let Some(consensus) = self.consensus() {
            consensus.stop().await;
        }
    }

    /// A later life goes through what an earlier one has published already.
    fn applied(&self, Published { index, machine }: Published) {
        let table = machine.table.version;
        let _one_at_a_time = lock(&self.publishing);
        if machine.applied < self.machine.now().applied {
            return;
        }
        if let Some(founding) = &machine.founding {
            self.net.founded(founding.id.0, founding.incarnation);
        }
        if let Some((maps, jobs)) = self.ports.get() {
            maps.applied(&machine);
            jobs.applied(&machine);
        }
        self.machine.announce(machine);
        // Last: what a lease is granted by is what this member already answers by.
        self.presence().published(index, table);
        if let Some((maps, _)) = self.ports.get() {
            maps.published();
        }
    }

    pub(super) fn voter(&self) -> Voter {
        Voter { member: self.me, line: self.keeper.log_line() }
    }

    /// How consensus stands here; `None`: not started.
    pub fn standing(&self) -> Option<Standing> {
        self.consensus().map(|consensus| consensus.standing())
    }

    /// Why this member takes no part in consensus, if it has begun and does not.
    pub fn without_vote(&self) -> Option<String> {
        let failure = self.standing()?.failure?;
        let why = lock(&self.kept_out).clone().unwrap_or(failure);
        Some(format!(
            "this member does not vote and learns of no decision ({why}); it keeps its copies, and tries by itself until its consensus log can be written"
        ))
    }
}

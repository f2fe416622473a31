//! This member in the cluster: proposals to the leader, beats to everybody; [`founders`] the promise of a founding,
//! [`joining`] how a blank one comes into a cluster that is, and goes, [`voting`] its part in consensus.
//!
//! Law: a proposal is sent again only when it was certainly not done; consensus starts once there is a promise or a
//! cluster, never before. Must not know: partitions, jobs.

mod founders;
mod joining;
mod voting;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use jet_admin_api::founding::FoundingPermit;
use jet_core::report::{ContentsReport, MemberReport};
use jet_core::{Boot, Command, Machine, MemberId, OperationId, Outcome, Version};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::consensus::letter::Letter;
use super::consensus::{Consensus, ConsensusError, Kept, ProposeError, Standing};
use super::control::{Answers, Ask, JoinAsk, Joined, Promised, Proposed, words};
use super::founding::Judgement;
use super::giving_up::{GiveUpAnswer, GiveUpAsk};
use super::presence::{self, Beat, BeatAnswer, Presence};
use super::refounding::{RefoundAnswer, RefoundAsk};
use super::supervise;
use crate::announced::Announced;
use crate::backup::part::Part;
use crate::backup::{BackupAnswer, BackupAsk};
use crate::clock::Moment;
use crate::config::Founding as PermitSource;
use crate::net::{Lane, Net, Peer};
use crate::ports::{Cluster, Jobs, Maps};
use crate::store::Keeper;

pub use self::voting::read_log;

/// Time for a proposal, with finding a leader.
pub const PROPOSAL: Duration = Duration::from_secs(5);
/// Pause before a leader is looked for again.
const NO_LEADER_PAUSE: Duration = Duration::from_millis(50);
/// Time for one beat; a slow peer has several under way.
const BEAT_TIME: Duration = Duration::from_secs(1);

type Ports = (Arc<dyn Maps>, Arc<dyn Jobs>);

/// This member in the cluster.
pub struct Node {
    me: MemberId,
    ordinal: u32,
    boot: Boot,
    net: Net,
    keeper: Arc<Keeper>,
    permit_source: PermitSource,
    consensus: RwLock<Option<Arc<Consensus>>>,
    broken: Notify,
    /// The process ends: consensus is not begun any more.
    stopped: AtomicBool,
    /// Why consensus, whose disk failed, is not begun anew yet.
    kept_out: Mutex<Option<String>>,
    starting: tokio::sync::Mutex<()>,
    presence: Mutex<Presence>,
    begun: Moment,
    machine: Announced<Arc<Machine>>,
    publishing: Mutex<()>,
    ports: OnceLock<Ports>,
    contents: Mutex<Option<ContentsReport>>,
    /// Why the store did not do what it was last asked.
    hindered: Mutex<Option<String>>,
    founding: Mutex<Option<FoundingPermit>>,
    /// Why the founders are not together yet.
    founding_waits: Mutex<Option<String>>,
    joins: Mutex<joining::Joins>,
    backups: Arc<Part>,
    /// Only a new process goes on: with a blank store, or in a new incarnation.
    anew: CancellationToken,
    /// One step to it at a time.
    steps: tokio::sync::Mutex<()>,
}

impl Node {
    /// Not yet part of anything.
    pub fn new(ordinal: u32, net: Net, keeper: Arc<Keeper>, permit_source: PermitSource) -> Arc<Self> {
        Arc::new(Self {
            me: keeper.member(),
            ordinal,
            boot: keeper.boot(),
            net,
            backups: Part::new(keeper.clone()),
            keeper,
            permit_source,
            consensus: RwLock::default(),
            broken: Notify::new(),
            stopped: AtomicBool::new(false),
            kept_out: Mutex::default(),
            starting: tokio::sync::Mutex::new(()),
            presence: Mutex::default(),
            begun: Moment::now(),
            machine: Announced::new(Arc::default()),
            publishing: Mutex::default(),
            ports: OnceLock::new(),
            contents: Mutex::default(),
            hindered: Mutex::default(),
            founding: Mutex::default(),
            founding_waits: Mutex::default(),
            anew: CancellationToken::new(),
            steps: tokio::sync::Mutex::new(()),
            joins: Mutex::default(),
        })
    }

    /// Hands over the ports that reports are made from; the first call counts.
    pub fn attach(&self, maps: Arc<dyn Maps>, jobs: Arc<dyn Jobs>) {
        let _ = self.ports.set((maps, jobs));
    }

    /// Starts consensus on the log of this member, if it has one ([`read_log`]), and the beats.
    pub async fn start(self: &Arc<Self>, log: Option<Kept>) -> Result<(), ConsensusError> {
        if log.is_some() {
            self.start_consensus(log).await?;
        }
        tokio::spawn(self.clone().beat_for_ever());
        tokio::spawn(self.clone().found_for_ever());
        Ok(())
    }

    /// The store.
    pub fn keeper(&self) -> &Arc<Keeper> {
        &self.keeper
    }

    /// Returns when only a new process goes on.
    pub async fn begins_anew(&self) {
        self.anew.cancelled().await;
    }

    /// Held by who takes a step to a new process.
    pub(super) fn steps(&self) -> &tokio::sync::Mutex<()> {
        &self.steps
    }

    /// Consensus was ended here, and is not begun any more.
    pub(super) fn has_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// This process ends then, for a new one to go on.
    pub(super) fn begins_anew_in(self: &Arc<Self>, time: Duration) {
        let node = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            node.anew.cancel();
        });
    }

    /// Its part in hot backups.
    pub fn backups(&self) -> &Arc<Part> {
        &self.backups
    }

    /// The members' network.
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// Maps and jobs.
    pub fn ports(&self) -> Option<&Ports> {
        self.ports.get()
    }

    /// Number in the certificate.
    pub fn ordinal(&self) -> u32 {
        self.ordinal
    }

    /// The machine, after every applied entry.
    pub fn machines(&self) -> watch::Receiver<Arc<Machine>> {
        self.machine.subscribe()
    }

    /// The cluster is founded and this member's store does not say so yet.
    pub fn founding_is_being_recorded(&self) -> bool {
        self.machine.now().founding.is_some() && self.keeper.founded().is_none()
    }

    /// What the founding waits for, as the member knows that brings the founders together.
    pub fn founding_waits(&self) -> Option<String> {
        lock(&self.founding_waits).clone()
    }

    /// What is heard.
    pub fn presence(&self) -> MutexGuard<'_, Presence> {
        lock(&self.presence)
    }

    /// From now on reports carry these contents (or none).
    pub fn report_contents(&self, contents: Option<ContentsReport>) {
        *lock(&self.contents) = contents;
    }

    /// Under which operation and attempt reports carry contents, as long as they are what is held; else they are
    /// withdrawn.
    pub fn reported_contents(&self, machine: &Machine, held: &[Option<Version>]) -> Option<(OperationId, u32)> {
        let mut contents = lock(&self.contents);
        let current = contents.as_ref().filter(|report| report.is_still_true(machine, self.me, held));
        let told = current.map(|report| (report.op.clone(), report.attempt));
        if told.is_none() {
            *contents = None;
        }
        told
    }

    /// Why the store did not do what it was last asked (to load, to seal); `None`: it did.
    pub fn store_is_hindered(&self, why: Option<String>) {
        *lock(&self.hindered) = why;
    }

    /// The store is behind RAM, or did not do what it was asked; the cause.
    pub fn lagging(&self) -> Option<String> {
        self.keeper.lagging().or_else(|| lock(&self.hindered).clone())
    }

    /// What this member says about itself now.
    pub fn report(&self) -> MemberReport {
        let standing = self.standing();
        let mut report = MemberReport {
            applied: standing.as_ref().map_or(0, |s| s.applied),
            durable: standing.as_ref().map_or(0, |s| s.durable),
            contents: lock(&self.contents).clone(),
            lagging: self.lagging().or_else(|| self.without_vote()),
            line: self.keeper.log_line(),
            ..MemberReport::default()
        };
        if let Some((maps, jobs)) = self.ports.get() {
            // In this order: what was applied, then that all copies have what was written before, then what is there.
            let applied = self.machine.now().applied;
            report.committed_at = maps.final_at(applied);
            report.runtime = jobs.built();
            report.workers = jobs.workers();
            report.runtime_lost = jobs.lost();
            (report.committed, report.flushed) = maps.epochs();
            report.on_disk = maps.arrived();
        }
        report
    }

    /// Writes as leader, without forwarding. Who is absent is for the leader to say, whoever asks for a change of state.
    pub async fn write(&self, command: Command, time: Duration) -> Result<Outcome, ProposeError> {
        let command = match command {
            Command::SetState { state, .. } => Command::SetState { state, absent: supervise::absent(self) },
            other => other,
        };
        self.consensus().ok_or(ProposeError::NoLeader)?.write(command, time).await
    }

    /// As leader: a command of ours had an outcome; `still` are deposed by what is yet to be written.
    pub fn outcome_known(&self, still: &BTreeSet<MemberId>) {
        let applied = self.standing().map_or(0, |standing| standing.applied);
        self.presence().outcome_known(applied, still);
    }

    async fn hand_to_leader(&self, command: Command) -> Result<Outcome, ProposeError> {
        let deadline = tokio::time::Instant::now() + PROPOSAL;
        loop {
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            if left.is_zero() {
                return Err(ProposeError::NoLeader);
            }
            let standing = self.standing();
            let tried = match standing {
                Some(Standing { leading: Some(_), .. }) => self.write(command.clone(), left).await,
                Some(Standing { leader: Some(leader), .. }) if leader != self.me => {
                    self.send_to(leader, &command, left).await
                }
                _ => Err(ProposeError::NoLeader),
            };
            match tried {
                Err(ProposeError::NoLeader) => tokio::time::sleep(NO_LEADER_PAUSE.min(left)).await,
                other => return other,
            }
        }
    }

    async fn send_to(&self, leader: MemberId, command: &Command, time: Duration) -> Result<Outcome, ProposeError> {
        let unknown = |e: &dyn std::fmt::Display| ProposeError::Unknown(e.to_string());
        let ask = words(&Ask::Propose(command.clone())).map_err(|e| unknown(&e))?;
        match self.net.call(leader.0, Lane::Control, ask, time).await {
            Err(crate::net::CallError::NotConnected { .. }) => Err(ProposeError::NoLeader),
            Err(e) => Err(unknown(&e)),
            Ok(answer) => match serde_json::from_slice(&answer) {
                Ok(Proposed::Outcome(outcome)) => Ok(outcome),
                Ok(Proposed::NotLeader) => Err(ProposeError::NoLeader),
                Ok(Proposed::Unknown(why)) => Err(ProposeError::Unknown(why)),
                Err(e) => Err(unknown(&e)),
            },
        }
    }

    /// Who leads and is followed, as far as this member knows: of another one it knows by that one's word.
    pub fn followed_leader(&self) -> Option<MemberId> {
        let leads = self.consensus().is_some_and(|consensus| consensus.is_followed());
        self.leader().filter(|leader| *leader != self.me || leads)
    }

    /// Sets of voters by which a leader could be elected.
    fn electing(&self) -> Vec<BTreeSet<jet_core::Voter>> {
        self.consensus().map(|consensus| consensus.electing()).unwrap_or_default()
    }

    /// Pause between two beats, and between two looks.
    pub fn pace(&self) -> Duration {
        presence::pace(&self.machine.now(), Moment::now().since(self.begun))
    }

    async fn beat_for_ever(self: Arc<Self>) {
        let mut connections = self.net.changes();
        loop {
            self.beat_all();
            tokio::select! {
                biased;
                () = tokio::time::sleep(self.pace()) => {}
                _ = connections.changed() => {}
            }
        }
    }

    fn beat_all(self: &Arc<Self>) {
        // Before the look at what was promised: by then no higher term was.
        let now = Moment::now();
        let Some(standing) = self.standing() else { return };
        let (me, electing) = (self.voter().into(), self.electing());
        let report = self.report();
        {
            let mut presence = self.presence();
            presence.lead(standing.leading, now);
            presence.grant_self(me, standing.term, &electing, now);
            presence.hear(self.me, self.boot, self.keeper.volume_id().to_owned(), Some(report.clone()), now);
        }
        for peer in self.net.peers(Lane::Control) {
            let to_leader = reports_to(&standing, MemberId(peer.member));
            let beat =
                Beat { volume_id: self.keeper.volume_id().to_owned(), report: to_leader.then(|| report.clone()) };
            tokio::spawn(self.clone().beat_to(peer, beat));
        }
    }

    async fn beat_to(self: Arc<Self>, peer: Peer, beat: Beat) {
        let sent = Moment::now();
        let Ok(ask) = words(&Ask::Beat(beat)) else { return };
        let Ok(answer) = self.net.call(peer.member, Lane::Control, ask, BEAT_TIME).await else { return };
        let Ok(answer) = serde_json::from_slice::<BeatAnswer>(&answer) else { return };
        self.told_left(answer.left);
        self.presence().heard_back(MemberId(peer.member), answer, sent, Moment::now());
    }

    /// A process whose volume was taken over by another must not vote under this name.
    async fn still_owner(&self) -> bool {
        let store = self.keeper.store();
        match crate::host::blocking(move || store.owner_still_me()).await {
            Ok(Ok(true)) => true,
            Ok(Ok(false)) => {
                tracing::error!("the store's directory was taken over by another process; this one gives no vote");
                false
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "whose the store is cannot be read; no vote is given");
                false
            }
            Err(_) => false,
        }
    }
}

impl Answers for Node {
    fn letter(self: Arc<Self>, letter: Letter) -> BoxFuture<'static, Option<Vec<u8>>> {
        Box::pin(async move {
            if letter.is_vote() && !self.still_owner().await {
                return None;
            }
            self.consensus()?.answer(letter).await
        })
    }

    fn beat(&self, from: Peer, beat: Beat) -> BeatAnswer {
        // Before the look at what was promised: by then no higher term was.
        let now = Moment::now();
        let (standing, electing) = (self.standing(), self.electing());
        let to_leader = standing.as_ref().is_some_and(|s| reports_to(s, MemberId(from.member)));
        let report = to_leader.then(|| self.report());
        let mut presence = self.presence();
        presence.hear(MemberId(from.member), Boot(from.boot), beat.volume_id, beat.report, now);
        let term = standing.as_ref().map_or(0, |s| s.term);
        let to = MemberId(from.member);
        let leads = standing.is_some_and(|standing| standing.leading.is_some());
        let voter = self.voter();
        let left = self.machine.now().membership.left.get(&to).map(|left| left.index);
        BeatAnswer {
            boot: self.boot,
            line: voter.line,
            term,
            volume_id: self.keeper.volume_id().to_owned(),
            report,
            // Who is not of the cluster may have been of it before it was founded anew without it.
            lease: (leads && self.machine.now().roster.contains_key(&to))
                .then(|| presence.grant(voter.into(), to, term, &electing, now))
                .flatten(),
            left,
        }
    }

    fn propose(self: Arc<Self>, command: Command) -> BoxFuture<'static, Proposed> {
        Box::pin(async move {
            match self.write(command, PROPOSAL).await {
                Ok(outcome) => Proposed::Outcome(outcome),
                Err(ProposeError::NoLeader) => Proposed::NotLeader,
                Err(ProposeError::Unknown(why)) => Proposed::Unknown(why),
            }
        })
    }

    fn promise(self: Arc<Self>, from: Peer, permit: FoundingPermit) -> BoxFuture<'static, Promised> {
        Box::pin(async move {
            let judged = self.judge(&permit).map_err(|refusal| refusal.to_string())?;
            let configured = match self.permit_source {
                PermitSource::Operator => false,
                PermitSource::Configuration { members, partition_count, backup_count } => {
                    from.ordinal == 0
                        && permit.ordinals.len() == members as usize
                        && (permit.partition_count, permit.backup_count) == (partition_count, backup_count)
                }
            };
            if judged == Judgement::Promise && !configured {
                return Err("it has no permit of its own yet".into());
            }
            self.promise_and_start(&permit, &judged).await.map_err(|refusal| refusal.to_string())?;
            Ok(self.founder())
        })
    }

    fn join(self: Arc<Self>, from: Peer, ask: JoinAsk) -> BoxFuture<'static, Joined> {
        Box::pin(async move { self.let_in(from, ask).await })
    }

    fn backup(self: Arc<Self>, ask: BackupAsk) -> BoxFuture<'static, BackupAnswer> {
        self.backups.clone().answer(ask).boxed()
    }

    fn give_up(self: Arc<Self>, ask: GiveUpAsk) -> BoxFuture<'static, GiveUpAnswer> {
        self.answer_give_up(ask).boxed()
    }

    fn refound(self: Arc<Self>, ask: RefoundAsk) -> BoxFuture<'static, RefoundAnswer> {
        self.answer_refound(ask).boxed()
    }
}

impl Cluster for Node {
    fn propose(self: Arc<Self>, command: Command) -> BoxFuture<'static, Result<Outcome, ProposeError>> {
        Box::pin(async move { self.hand_to_leader(command).await })
    }

    fn machine(&self) -> Arc<Machine> {
        self.machine.now()
    }

    fn leader(&self) -> Option<MemberId> {
        self.standing().and_then(|s| s.leader)
    }

    fn me(&self) -> MemberId {
        self.me
    }

    fn boot(&self) -> Boot {
        self.boot
    }

    fn leased(&self) -> bool {
        let known = self.machine.now().table.version;
        self.presence().leased(known, Moment::now())
    }
}

/// To the leader. Who does not learn who leads tells everybody, so that whoever does knows why it lags.
fn reports_to(standing: &Standing, peer: MemberId) -> bool {
    standing.leader == Some(peer) || standing.failure.is_some()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

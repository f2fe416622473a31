//! Between operator and world: what a schedule says goes wrong goes wrong here.
//!
//! Law: a killed operator does nothing more, not even an answer is seen; an answer of the API server is turned into words
//! by the operator's own port. Must not know: what is written.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jet_admin_api::client::CallError;
use jet_admin_api::cluster::ClusterView;
use jet_admin_api::member::MemberView;
use jet_admin_api::refusal::{Code, Refusal};
use jet_operator::api::{JetCluster, JetClusterStatus};
use jet_operator::cluster::apply;
use jet_operator::cluster::facts::{Facts, KubeFacts};
use jet_operator::cluster::plan::Act;
use jet_operator::cluster::port::{Kubernetes, PortError};
use jet_operator::cluster::story::Line;
use jet_operator::members::{Command, Door, Members};
use kube::core::Status;
use tokio::sync::Notify;

use super::World;
use super::faults::{Call, Fault, Schedule, Strike, Striker};

/// Looks that are remembered, to be shown again.
const REMEMBERED: usize = 40;
/// Seconds of the world in which nobody answers.
const SILENT_FOR: u32 = 3;

type Look = (JetCluster, KubeFacts);

pub struct Proxy {
    kube: Arc<dyn Kubernetes>,
    members: Arc<dyn Members>,
    /// Time passes in it while somebody waits for an answer.
    world: Option<World>,
    pub killed: Notify,
    state: Mutex<State>,
    /// What is read instead of the world: an operator that lags behind.
    pub stale: Option<Look>,
}

struct State {
    striker: Striker,
    /// What this pass as a whole meets.
    pass: Option<Strike>,
    /// What killed the operator.
    died_of: Option<Fault>,
    past: VecDeque<Look>,
    views: BTreeMap<u32, VecDeque<ClusterView>>,
    deeds: Vec<String>,
    /// Calls are neither struck nor counted.
    calm: bool,
}

impl Proxy {
    pub fn new(world: World) -> Self {
        let mut proxy = Self::between(Arc::new(world.clone()), Arc::new(world.clone()), Schedule::Never);
        proxy.world = Some(world);
        proxy
    }

    pub fn between(kube: Arc<dyn Kubernetes>, members: Arc<dyn Members>, schedule: Schedule) -> Self {
        let state = State {
            striker: Striker::new(schedule),
            pass: None,
            died_of: None,
            past: VecDeque::new(),
            views: BTreeMap::new(),
            deeds: Vec::new(),
            calm: false,
        };
        Self { kube, members, world: None, killed: Notify::new(), state: Mutex::new(state), stale: None }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on calls are counted and struck as it says.
    pub fn schedule(&self, schedule: Schedule) {
        let mut state = self.lock();
        (state.striker, state.pass) = (Striker::new(schedule), None);
        state.deeds.clear();
    }

    /// Calls until the next word are not of those that are counted and struck.
    pub fn calm(&self, calm: bool) {
        self.lock().calm = calm;
    }

    /// What this call meets.
    pub fn next(&self, call: Call) -> Option<Strike> {
        let mut state = self.lock();
        if state.calm { None } else { state.striker.next(call) }
    }

    /// For the list of what is done.
    pub fn note(&self, deed: impl Into<String>) {
        let mut state = self.lock();
        if !state.calm {
            state.deeds.push(deed.into());
        }
    }

    /// How many calls could have met it since.
    pub fn places(&self, fault: Fault) -> u64 {
        self.lock().striker.places(fault)
    }

    /// Writes and commands since, the status apart.
    pub fn deeds(&self) -> Vec<String> {
        self.lock().deeds.clone()
    }

    /// A pass begins: what it meets as a whole.
    pub fn begin_pass(&self) -> Option<Fault> {
        let strike = self.next(Call::Pass);
        self.lock().pass = strike;
        strike.map(|strike| strike.fault)
    }

    /// What killed the operator, once.
    pub fn died_of(&self) -> Option<Fault> {
        self.lock().died_of.take()
    }

    async fn die<T>(&self, fault: Fault) -> T {
        self.lock().died_of = Some(fault);
        self.killed.notify_one();
        std::future::pending().await
    }

    /// An effect, as the schedule lets it happen. `no` makes the caller's error; `done`: it happened all the same.
    pub async fn effect<T, E>(
        &self,
        call: Call,
        act: impl Future<Output = Result<T, E>>,
        no: impl Fn(Strike) -> E,
    ) -> Result<T, E> {
        let Some(strike) = self.next(call) else { return act.await };
        match strike.fault {
            Fault::DiesBefore | Fault::DiesBeforeErased => self.die(strike.fault).await,
            Fault::DiesAfter | Fault::DiesAfterErased => {
                let _ = act.await;
                self.die(strike.fault).await
            }
            Fault::LostReply => {
                let _ = act.await;
                Err(no(strike))
            }
            Fault::Silence => {
                self.wait();
                Err(no(strike))
            }
            _ => Err(no(strike)),
        }
    }

    /// Somebody waits for an answer until his time is over.
    pub fn wait(&self) {
        if let Some(world) = &self.world {
            (0..SILENT_FOR).for_each(|_| world.tick());
        }
    }

    fn remember(&self, look: &Look) {
        let mut state = self.lock();
        state.past.push_front(look.clone());
        state.past.truncate(REMEMBERED);
    }

    /// The view as the faults of this pass let it be seen.
    fn shown(&self, door: &Door, mut view: MemberView) -> Option<MemberView> {
        let mut state = self.lock();
        let strike = state.pass;
        let Some(cluster) = view.cluster.clone() else { return Some(view) };
        let leads = cluster.leader == Some(view.uuid);
        let views = state.views.entry(door.ordinal).or_default();
        views.push_front(cluster);
        views.truncate(REMEMBERED);
        if let Some(strike) = strike.filter(|strike| strike.fault == Fault::LaggingMembers) {
            if leads {
                return None;
            }
            let depth = usize::try_from(strike.depth).unwrap_or(0);
            view.cluster = views.get(depth).or(views.back()).cloned();
        }
        Some(view)
    }
}

/// What the operator's port makes of an answer to a write.
fn to_write(strike: Strike, what: &str) -> PortError {
    let error = match strike.fault.code() {
        Some(code) => kube::Error::Api(Status::failure(strike.fault.name(), "").with_code(code).boxed()),
        None => kube::Error::Service(strike.fault.name().into()),
    };
    let unknown = || PortError::Unknown { what: what.into(), reason: strike.fault.name().into() };
    apply::answer::<()>(Err(error), what, "orders").err().unwrap_or_else(unknown)
}

/// A member that has done it may still say that nothing is known of the outcome.
pub fn to_command(strike: Strike, door: &Door) -> CallError {
    let refused = |code| CallError::Refused(Refusal::new(code, strike.fault.name()));
    match strike.fault {
        Fault::Says409 => refused(Code::ClusterState),
        Fault::Says500 => refused(Code::Internal),
        Fault::LostReply if strike.depth.is_multiple_of(2) => refused(Code::NoLeader),
        _ => CallError::Unknown { address: door.host.clone(), reason: strike.fault.name().into() },
    }
}

/// What is done, without what differs between two runs.
fn deed(act: &Act) -> String {
    match act {
        Act::Finalizer(on) => format!("finalizer {}", if *on { "on" } else { "off" }),
        Act::TakeUp(take) => format!("take up{}", if take.wish { ", with the wish" } else { "" }),
        Act::Remember(_) => "remember".into(),
        Act::Apply(object) => format!("apply {}", object.api.kind),
        Act::ApplySet(_) => "apply StatefulSet".into(),
        Act::Mark(mark) => {
            let stamps = mark.stamps.iter().map(|(key, value)| {
                let key = key.rsplit('/').next().unwrap_or_default();
                format!("{}{key}", if value.is_some() { "+" } else { "-" })
            });
            let replicas = mark.replicas.map(|replicas| format!("replicas {replicas}"));
            format!("mark {}", replicas.into_iter().chain(stamps).collect::<Vec<_>>().join(" "))
        }
        Act::CreateFounding(_) => "create founding record".into(),
        Act::CreateRoster(_) => "create roster record".into(),
        Act::CreateSeal(_) => "create seal record".into(),
        Act::PruneRecord { .. } => "prune a record".into(),
        Act::StampClaim { .. } => "stamp a claim".into(),
        Act::ReplacePod { .. } => "replace a pod".into(),
        Act::Row(acts) => acts.iter().map(deed).collect::<Vec<_>>().join(", "),
        Act::Command { command, .. } => format!("command {}", command.name()),
    }
}

#[async_trait]
impl Kubernetes for Proxy {
    async fn read(&self) -> Result<Option<Look>, PortError> {
        if let Some(stale) = &self.stale {
            return Ok(Some(stale.clone()));
        }
        match self.next(Call::Read) {
            Some(Strike { fault: Fault::StaleRead, depth }) => {
                let old = self.lock().past.get(usize::try_from(depth).unwrap_or(0)).cloned();
                if old.is_some() {
                    return Ok(old);
                }
            }
            Some(strike) => {
                if strike.fault == Fault::Silence {
                    self.wait();
                }
                return Err(PortError::Unknown { what: "JetCluster".into(), reason: strike.fault.name().into() });
            }
            None => {}
        }
        let look = self.kube.read().await?;
        if let Some(look) = &look {
            self.remember(look);
        }
        Ok(look)
    }

    async fn write(&self, facts: &Facts, act: &Act) -> Result<(), PortError> {
        let deed = deed(act);
        self.note(deed.as_str());
        self.effect(Call::Write, self.kube.write(facts, act), |strike| to_write(strike, &deed)).await
    }

    async fn write_status(&self, cluster: &JetCluster, status: &JetClusterStatus) -> Result<JetCluster, PortError> {
        let write = self.kube.write_status(cluster, status);
        self.effect(Call::Status, write, |strike| to_write(strike, "the status")).await
    }

    async fn tell(&self, cluster: &JetCluster, lines: &[Line]) {
        self.kube.tell(cluster, lines).await;
    }
}

#[async_trait]
impl Members for Proxy {
    async fn look(&self, door: &Door) -> Result<MemberView, CallError> {
        let silent = || CallError::NotSent { address: door.host.clone(), reason: "it does not answer".into() };
        let strike = self.lock().pass;
        if strike.is_some_and(|s| s.fault == Fault::SilentMember && s.depth % 3 == u64::from(door.ordinal)) {
            return Err(silent());
        }
        let view = self.members.look(door).await?;
        self.shown(door, view).ok_or_else(silent)
    }

    async fn command(&self, door: &Door, command: &Command) -> Result<String, CallError> {
        self.note(format!("command {}", command.name()));
        self.effect(Call::Command, self.members.command(door, command), |strike| to_command(strike, door)).await
    }

    async fn hint(&self, door: &Door, peers: &[Door]) {
        self.members.hint(door, peers).await;
    }

    async fn moment(&self) {
        self.members.moment().await;
    }
}

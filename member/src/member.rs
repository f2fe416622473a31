//! One member, wired: store → network → consensus → maps and jobs → agent and supervisor → admin API and probes.
//!
//! Contents: here its life · `vitals` what probes and a scrape read of it.
//!
//! Law: a store that is refused, or the log in it, does not end the process: the member stays up, held, and says why, so
//! that nobody has to guess. Must not know: what the parts do.

mod vitals;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use jet_admin_api::cluster::ClusterView;
use jet_admin_api::identity::{Identity, Role};
use jet_admin_api::member::{MemberPhase, MemberView, StoreState, StoreView};
use jet_admin_api::progress::StoreProgress;
use jet_admin_api::refusal::{Code, Refusal};
use jet_admin_api::renewal::Renewable;
use jet_core::agent::{self, Doors};
use jet_core::{ClusterState, Machine, MemberId, safety};
use jet_hotstore::Store;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};
use uuid::Uuid;

use crate::admin::{router, serve, views};
use crate::clock::Moment;
use crate::cluster::consensus::{ConsensusError, Kept};
use crate::cluster::node::read_log;
use crate::cluster::{Node, leaving, refounding};
use crate::config::{Founding, Settings};
use crate::health::{self, Vitals};
use crate::net::{EngineStream, Net, NetOptions};
use crate::overdue::{Overdue, Stage};
use crate::ports::{Cluster, Jobs, Maps};
use crate::running::{NotRunning, Own, Running, hello, take_part};
use crate::store::{Keeper, KeeperError};
use crate::{client, pace, renewal, rest};

/// Why a member does not start at all.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum StartError {
    #[error("{0}; --tls (JET_TLS) names the directory with ca.crt, <ordinal>.crt and <ordinal>.key")]
    Tls(#[from] jet_admin_api::tls::TlsError),
    #[error(
        "the certificate is of {found}, this member is {own}: give it its own with --tls, or correct --ordinal, --cluster and --namespace"
    )]
    Certificate { found: String, own: String },
    #[error(
        "cannot listen on {address} ({what}): {source}; end what listens there, or choose another port with {flag}, another address with --bind"
    )]
    Listen { what: &'static str, flag: &'static str, address: SocketAddr, source: std::io::Error },
    #[error(transparent)]
    Password(#[from] rest::password::PasswordError),
    #[error(transparent)]
    Credentials(#[from] client::credentials::CredentialsError),
    #[error(transparent)]
    Consensus(#[from] crate::cluster::consensus::ConsensusError),
}

/// What maps and jobs are made from.
pub struct Parts {
    /// The members' network; lanes `Data` and `Copies` are the maps' own.
    pub net: Net,
    /// The store.
    pub store: Arc<Store>,
    /// The way to ask the cluster.
    pub cluster: Arc<dyn Cluster>,
    /// Streams that peers open for the engine.
    pub streams: mpsc::Receiver<EngineStream>,
    /// What the member runs with.
    pub settings: Arc<Settings>,
}

/// Makes maps and jobs.
pub type Make = fn(Parts) -> (Arc<dyn Maps>, Arc<dyn Jobs>);

/// One member.
pub struct Member {
    settings: Arc<Settings>,
    running: Result<Running, String>,
    overdue: Mutex<Overdue>,
    /// Cancelled when the process was asked to end by other means than a signal.
    leave: CancellationToken,
    callers: rest::serve::Callers,
    clients: OnceLock<Arc<client::Server>>,
}

impl Member {
    /// Starts everything; returns when the ports are served.
    pub async fn start(settings: Settings, make: Make) -> Result<Arc<Self>, StartError> {
        let settings = Arc::new(settings);
        let tls = Arc::new(Renewable::read(&settings.tls, &settings.ordinal.to_string())?);
        tls_is_ours(&tls, &settings)?;
        if let Some(credentials) = settings.clients.as_ref().and_then(|clients| clients.credentials.as_ref()) {
            client::credentials::read(credentials).await?;
        }
        if let Some(password) = settings.rest.as_ref().and_then(|rest| rest.password.as_ref()) {
            rest::password::check(password).await?;
        }
        tokio::spawn(renewal::run(tls.clone()));
        info!(base_dir = %settings.base_dir.display(), ordinal = settings.ordinal, cluster = %settings.cluster, "starting");
        let running = match open_store(&settings).await? {
            Ok((keeper, log)) => Ok(run(&settings, &tls, keeper, log, make).await?),
            Err(refused) => {
                error!(error = %refused, "the store is refused; this member is held");
                Err(refused)
            }
        };
        let (leave, callers) = (CancellationToken::new(), rest::serve::Callers::default());
        let overdue = Mutex::new(Overdue::new(settings.join_alarm, settings.load_alarm));
        let clients = OnceLock::new();
        let member = Arc::new(Self { settings: settings.clone(), running, overdue, leave, callers, clients });
        let admin = listen("admin API", "--admin-port", SocketAddr::new(settings.bind, settings.admin_port)).await?;
        tokio::spawn(serve::run(admin, tls.server()?, router::router(member.clone())));
        let probes = listen("probes", "--health-port", SocketAddr::new(settings.bind, settings.health_port)).await?;
        let vitals: Arc<dyn Vitals> = member.clone();
        tokio::spawn(async move {
            if let Err(error) = health::serve(probes, vitals).await {
                error!(%error, "probes are served no more");
            }
        });
        member.clone().serve_clients(&tls).await?;
        tokio::spawn(member.clone().watch_what_lasts());
        if let Ok(running) = &member.running
            && !member.under_operator()
        {
            tokio::spawn(leaving::run(running.node.clone(), member.leave.clone()));
            tokio::spawn(leaving::when_left(running.node.clone(), member.leave.clone()));
        }
        Ok(member)
    }

    /// The port that clients and the REST share.
    async fn serve_clients(self: Arc<Self>, tls: &Renewable) -> Result<(), StartError> {
        let (clients, rest) = (&self.settings.clients, &self.settings.rest);
        let of_rest = rest.as_ref().map(|rest| rest.port);
        let Some(port) = clients.as_ref().map(|clients| clients.port).or(of_rest) else { return Ok(()) };
        let what = "clients and the REST, if they are on";
        let room = client::registry::room();
        let listener = listen(what, "--client-port", SocketAddr::new(self.settings.bind, port)).await?;
        if let (Some(clients), Ok(running)) = (clients, &self.running)
            && let Some(service) = running.maps.for_clients()
        {
            let (node, maps, jobs) = (running.node.clone(), running.maps.clone(), running.jobs.clone());
            let server = client::Server::start((&self.settings.cluster, clients, room), node, maps, service, jobs);
            let _ = self.clients.set(Arc::new(server));
            info!(port, with_credentials = clients.credentials.is_some(), "clients are served");
        }
        let door = rest.as_ref().map(|rest| Arc::new(rest::door::Door::new(self.clone(), rest)));
        if let Some(rest) = rest {
            info!(port, groups = ?rest.groups, "the REST is on");
        }
        tokio::spawn(rest::serve::run((listener, room), tls.server()?, self.clone(), door));
        Ok(())
    }

    fn overdue(&self) -> MutexGuard<'_, Overdue> {
        self.overdue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells when a return lasts longer than the configuration expects, and how far a store is that takes long. Runs until
    /// the process ends.
    async fn watch_what_lasts(self: Arc<Self>) {
        let Ok(running) = &self.running else { return };
        let mut told = pace::Told::default();
        loop {
            tokio::time::sleep(pace::LOOK).await;
            told.tell(running.node.keeper().progress());
            let machine = running.node.machine();
            let phase = self.phase(running, &machine);
            let waits = matches!(phase, MemberPhase::Joining | MemberPhase::Recovering);
            let news = self.overdue().look(waits.then(|| Stage::of(&machine)), Moment::now());
            if let Some(alarm) = news {
                let waits_for = waiting_for(phase, running, self.cluster_view().as_ref());
                error!(%waits_for, "the return lasts {alarm}");
            }
        }
    }

    /// From now on the process ends as if it were told by a signal.
    pub fn leave(&self) {
        self.leave.cancel();
    }

    /// Returns when it was asked to.
    pub async fn asked_to_leave(&self) {
        self.leave.cancelled().await;
    }

    /// The end of the process: what is sealed, recovers or is blank is left untouched; else everything is flushed.
    pub async fn end(&self) {
        self.callers.drain().await;
        let Ok(running) = &self.running else { return };
        let machine = running.node.machine();
        running.end(matches!(self.phase(running, &machine), MemberPhase::Serving)).await;
    }

    /// Returns when only a new process goes on: with a blank store, or in a new incarnation of the cluster.
    pub async fn begins_anew(&self) {
        match &self.running {
            Ok(running) => running.node.begins_anew().await,
            Err(_) => std::future::pending().await,
        }
    }

    /// Returns when this process takes part no more and only a new one would; its data is as good as it was.
    pub async fn broken_down(&self) {
        match &self.running {
            Ok(running) => running.node.broken_down().await,
            Err(_) => std::future::pending().await,
        }
    }

    /// The namespace in certificates.
    pub fn namespace(&self) -> &str {
        &self.settings.namespace
    }

    /// The cluster's name in certificates.
    pub fn cluster_name(&self) -> &str {
        &self.settings.cluster
    }

    /// The operator founds, stops and starts again; nobody else does it past it.
    pub fn under_operator(&self) -> bool {
        self.settings.founding == Founding::Operator
    }

    /// Name of this member among those of its cluster.
    pub fn instance_name(&self) -> String {
        format!("{}-{}", self.settings.cluster, self.settings.ordinal)
    }

    /// Where the other members find it.
    pub fn member_port(&self) -> u16 {
        self.settings.member_port
    }

    /// Who speaks the client protocol, if anybody may.
    pub fn clients(&self) -> Option<&Arc<client::Server>> {
        self.clients.get()
    }

    /// Who waits for an answer of the REST.
    pub fn callers(&self) -> &rest::serve::Callers {
        &self.callers
    }

    fn running(&self) -> Result<&Running, Refusal> {
        self.running.as_ref().map_err(|why| Refusal::new(Code::Internal, format!("this member is held: {why}")))
    }

    /// This member in the cluster.
    pub fn node(&self) -> Result<&Arc<Node>, Refusal> {
        Ok(&self.running()?.node)
    }

    /// Its maps.
    pub fn maps(&self) -> Result<&Arc<dyn Maps>, Refusal> {
        Ok(&self.running()?.maps)
    }

    /// Its jobs.
    pub fn jobs(&self) -> Result<&Arc<dyn Jobs>, Refusal> {
        Ok(&self.running()?.jobs)
    }

    /// The committed cluster, if it is known here.
    pub fn cluster_view(&self) -> Option<ClusterView> {
        let running = self.running.as_ref().ok()?;
        let standing = running.node.standing()?;
        let now = Moment::now();
        let presence = running.node.presence();
        let present: Vec<MemberId> =
            running.node.machine().roster.keys().filter(|m| presence.present(**m, now)).copied().collect();
        drop(presence);
        let around = views::Around {
            leader: standing.leader,
            applied: standing.applied,
            durable: standing.durable,
            present: &|member| present.contains(&member),
            says: &|member| (member == running.node.me()).then(|| running.trouble()).flatten(),
        };
        views::cluster(&running.node.machine(), &around)
    }

    /// How far its store is with a seal or a load that is under way.
    pub fn store_progress(&self) -> Option<StoreProgress> {
        let running = self.running.as_ref().ok()?;
        pace::view(&running.node.keeper().progress())
    }

    /// Everything about this member.
    pub async fn view(&self) -> MemberView {
        let cluster = self.cluster_view();
        let running = match &self.running {
            Ok(running) => running,
            Err(why) => return self.held_view(why),
        };
        let keeper = running.node.keeper().clone();
        let store =
            crate::host::blocking(move || keeper.view()).await.unwrap_or_else(|_| refused_store(StoreState::Refused));
        let machine = running.node.machine();
        let phase = self.phase(running, &machine);
        MemberView {
            uuid: running.node.me().0,
            ordinal: self.settings.ordinal,
            boot: running.node.boot().0,
            version: env!("CARGO_PKG_VERSION").into(),
            phase,
            ready: self.ready().is_ok(),
            waiting_for: self.waiting_for(phase, running, cluster.as_ref()),
            doors_open: running.maps.doors() == Doors::Open,
            founding_id: running.node.keeper().founded(),
            store: StoreView { lagging: running.node.lagging(), ..store },
            cluster,
            primaries: u32::try_from(machine.table.primaries_of(running.node.me())).unwrap_or(u32::MAX),
            work: running.jobs.work(),
        }
    }

    fn waiting_for(&self, phase: MemberPhase, running: &Running, cluster: Option<&ClusterView>) -> String {
        let waits_for = waiting_for(phase, running, cluster);
        match self.overdue().alarm() {
            Some(alarm) if matches!(phase, MemberPhase::Joining | MemberPhase::Recovering) => {
                format!("{waits_for}, {alarm}")
            }
            _ => waits_for,
        }
    }

    fn held_view(&self, why: &str) -> MemberView {
        MemberView {
            uuid: Uuid::nil(),
            ordinal: self.settings.ordinal,
            boot: 0,
            version: env!("CARGO_PKG_VERSION").into(),
            phase: MemberPhase::Held,
            ready: false,
            waiting_for: why.into(),
            doors_open: false,
            founding_id: None,
            store: StoreView { lagging: Some(why.into()), ..refused_store(StoreState::Refused) },
            cluster: None,
            primaries: 0,
            work: Vec::new(),
        }
    }

    fn phase(&self, running: &Running, machine: &Machine) -> MemberPhase {
        let keeper = running.node.keeper();
        if machine.founding.is_none() {
            return match (keeper.founded(), keeper.promise()) {
                (Some(_), _) => MemberPhase::Joining,
                (None, Some(_)) => MemberPhase::Founding,
                (None, None) => MemberPhase::NoStore,
            };
        }
        if !machine.roster.contains_key(&running.node.me()) || running.node.has_left() {
            return MemberPhase::Held;
        }
        if machine.membership.joining.contains(&running.node.me()) {
            return MemberPhase::Joining;
        }
        if running.node.founding_is_being_recorded() {
            return MemberPhase::Founding;
        }
        if why_no_part(running, machine).is_some() {
            return MemberPhase::Held;
        }
        match &machine.state {
            ClusterState::Recovering { .. } if views::waits_for_activate(machine) => MemberPhase::WaitingForActivate,
            ClusterState::Recovering { .. } => MemberPhase::Recovering,
            ClusterState::Passive { held_by: Some(_) } if keeper.sealed().is_some() => MemberPhase::Sealed,
            _ if running.agent.serves() => MemberPhase::Serving,
            _ if running.node.leader().is_none() => MemberPhase::Joining,
            _ => MemberPhase::Recovering,
        }
    }
}

/// Until a leader has taken up this start, a restored log tells of the time before the restore, and that the cluster runs.
fn why_no_part(running: &Running, machine: &Machine) -> Option<String> {
    let (node, keeper) = (&running.node, running.node.keeper());
    if machine.membership.joining.contains(&node.me()) {
        return None;
    }
    let counts = machine.roster.get(&node.me()).is_some_and(|entry| entry.boot == node.boot());
    safety::why_not_take_part(machine, keeper.opened(), keeper.restored().filter(|_| counts))
}

fn waiting_for(phase: MemberPhase, running: &Running, cluster: Option<&ClusterView>) -> String {
    if let Some(trouble) = running.trouble() {
        return trouble;
    }
    match phase {
        MemberPhase::NoStore => running.node.join_waits().unwrap_or_else(|| "a founding permit, or one to join".into()),
        MemberPhase::Founding if cluster.is_some() => "its founding to be written to its store".into(),
        MemberPhase::Founding => {
            let others = "the other members of the permit, to be founded with them";
            running.node.founding_waits().map_or_else(|| others.into(), |why| format!("{others}: {why}"))
        }
        MemberPhase::Joining if cluster.is_some() => "its store to open the generation that the cluster runs in".into(),
        MemberPhase::Joining => "a majority of the cluster's members".into(),
        MemberPhase::WaitingForActivate => "Activate of the operation that stopped the cluster".into(),
        MemberPhase::Sealed => "the end of this process: it is sealed".into(),
        MemberPhase::Held if running.node.has_left() => {
            "the end of this process: this member has left the cluster".into()
        }
        MemberPhase::Held => {
            let older = why_no_part(running, &running.node.machine());
            older.unwrap_or_else(|| "a person: this member is not in the cluster's roster".into())
        }
        MemberPhase::Serving => String::new(),
        MemberPhase::Recovering => {
            if let Some(mixed) = safety::why_mixed(&running.node.machine()) {
                return mixed.to_string();
            }
            let missing = cluster.map(|c| c.missing.as_slice()).unwrap_or_default();
            let words: Vec<String> =
                missing.iter().map(|m| format!("member {} ({}): {}", m.ordinal, m.uuid, m.why)).collect();
            let machine = running.node.machine();
            let unsealed = || agent::why_not_seal(&machine, running.node.me(), &running.agent.facts());
            match words.is_empty() {
                true => unsealed().unwrap_or_else(|| "its copies".into()),
                false => words.join("; "),
            }
        }
    }
}

fn refused_store(state: StoreState) -> StoreView {
    StoreView {
        state,
        generation: 0,
        volume_id: String::new(),
        seal: None,
        live_bytes: 0,
        retained_bytes: 0,
        free_bytes: 0,
        lagging: None,
        progress: None,
    }
}

/// The store and the log in it, or why they are refused.
async fn open_store(settings: &Settings) -> Result<Result<(Arc<Keeper>, Option<Kept>), String>, StartError> {
    let (dir, volume, keys) = (settings.base_dir.clone(), settings.volume_id.clone(), settings.keys.clone());
    let (backups_in, permits) = (settings.backup_dir.clone(), settings.founding == Founding::Operator);
    let opened = crate::host::blocking(move || {
        Keeper::judge_left(&dir, permits)?;
        let keeper = Keeper::open(&dir, backups_in, volume, keys.as_ref())?;
        refounding::carry_out(&keeper)?;
        Ok(keeper)
    });
    let opened = match opened.await {
        Ok(opened) => opened,
        Err(panic) => Err(KeeperError::Thread { why: panic.to_string() }),
    };
    let keeper = match opened {
        Ok(keeper) => Arc::new(keeper),
        Err(refused) => return Ok(Err(refused.to_string())),
    };
    match read_log(&keeper).await {
        Ok(log) => Ok(Ok((keeper, log))),
        Err(refused @ ConsensusError::Refused(_)) => Ok(Err(refused.to_string())),
        Err(error) => Err(error.into()),
    }
}

async fn run(
    settings: &Arc<Settings>,
    tls: &Renewable,
    keeper: Arc<Keeper>,
    log: Option<Kept>,
    make: Make,
) -> Result<Running, StartError> {
    let me = hello(&keeper, settings.ordinal);
    info!(member = %me.member, boot = me.boot, volume_id = keeper.volume_id(), founding_id = ?me.founding, "the store is open");
    let (net, streams) = Net::new(NetOptions {
        me,
        server: tls.server()?,
        client: tls.client()?,
        namespace: settings.namespace.clone(),
        cluster: settings.cluster.clone(),
        peers: settings.peers.clone(),
        default_port: settings.member_port,
    });
    let address = SocketAddr::new(settings.bind, settings.member_port);
    let own = Own { ordinal: settings.ordinal, net: net.clone(), keeper, founding: settings.founding.clone(), address };
    let store = own.keeper.store();
    let parts = |cluster| Parts { net, store, cluster, streams, settings: settings.clone() };
    take_part(own, log, |cluster| make(parts(cluster))).await.map_err(|error| match error {
        NotRunning::Listen(source) => StartError::Listen { what: "members", flag: "--member-port", address, source },
        NotRunning::Consensus(error) => error.into(),
    })
}

/// Before a store is made for it. With another's certificate every peer would refuse this member, one by one and for ever.
fn tls_is_ours(tls: &Renewable, settings: &Settings) -> Result<(), StartError> {
    let found = tls.identity()?;
    let own = Identity::new(&settings.namespace, &settings.cluster, Role::Member(settings.ordinal));
    if found != own {
        return Err(StartError::Certificate { found: found.uri(), own: own.uri() });
    }
    tls.server()?;
    tls.client()?;
    Ok(())
}

async fn listen(what: &'static str, flag: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { what, flag, address, source })
}

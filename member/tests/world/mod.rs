//! A cluster of real member processes with real sockets and disks, driven as the operator drives it.
//!
//! Law: waiting is for a condition, with a bound, and the last state is printed when the bound is reached. Must not
//! know: what a test is about.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

pub mod change;
pub mod ledger;
pub mod memory;
mod pki;
mod ports;
mod process;
pub mod rest;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jet_admin_api::client::{CallError, MemberClient};
use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::founding::FoundingPermit;
use jet_admin_api::identity::{Role, any_member_server_name};
use jet_admin_api::map::Entry;
use jet_admin_api::member::{MemberPhase, MemberView};
use jet_admin_api::operation::{Activate, BeginOperation, Commit, Freeze, OperationStep};
use uuid::Uuid;

pub use pki::{NAMESPACE, Pki};
pub use process::{Process, REFUSABLE, tail};

pub const CLUSTER: &str = "orders";
/// Bound on every wait: generous, because the machine may be busy with other work.
pub const PATIENCE: Duration = Duration::from_secs(60);
const GLANCE: Duration = Duration::from_millis(50);

pub struct World {
    pub dir: tempfile::TempDir,
    pub pki: Pki,
    pub size: u32,
    hosts: Vec<Host>,
    ports: Vec<[u16; 4]>,
    pub members: BTreeMap<u32, Process>,
    pub partitions: u16,
    /// Who gives the founding permit: `operator` or `configuration`.
    pub permit_from: &'static str,
    /// Volume ids begin so.
    pub volume: String,
    /// File with the password of the REST, if it is on.
    rest: Option<PathBuf>,
    /// File with the credentials of clients, if they need any.
    pub credentials: Option<PathBuf>,
    /// Where the members' directories lie.
    pub homes: PathBuf,
    /// Volumes are named to their members, as an operator does; else the file system's own id counts.
    pub named_volumes: bool,
}

/// Where one member runs.
#[derive(Clone)]
pub struct Host {
    pub address: String,
    /// What runs a program there and becomes it, or nothing.
    pub enter: Vec<String>,
}

/// Password of the REST.
pub const PASSWORD: &str = "a pass&word%+";

impl World {
    /// Where members find their key pairs.
    pub fn tls_dir(&self) -> PathBuf {
        self.dir.path().join("tls")
    }

    /// Nothing is started yet.
    pub fn new(size: u32) -> Self {
        let here = Host { address: "127.0.0.1".into(), enter: Vec::new() };
        Self::on(vec![here; size as usize], tempfile::tempdir().unwrap())
    }

    /// The same with members whose writes can be refused.
    pub fn refusable(size: u32) -> Self {
        let here = Host { address: "127.0.0.1".into(), enter: REFUSABLE.map(str::to_owned).to_vec() };
        Self::on(vec![here; size as usize], tempfile::tempdir().unwrap())
    }

    /// Members that clients can be told of: each has an address of its own, and the same port for clients. No operator.
    pub fn for_clients(size: u32) -> Self {
        let host = |n: u32| Host { address: format!("127.0.0.{}", n + 1), enter: Vec::new() };
        let world = Self::on((0..size).map(host).collect(), tempfile::tempdir().unwrap());
        let port = world.ports[0][3];
        let ports = world.ports.iter().map(|[member, admin, health, _]| [*member, *admin, *health, port]).collect();
        Self { permit_from: "configuration", ports, ..world }
    }

    /// Where clients call.
    pub fn client_address(&self, ordinal: u32) -> String {
        format!("{}:{}", self.hosts[ordinal as usize].address, self.ports[ordinal as usize][3])
    }

    /// One member on each host, their stores below `dir`.
    pub fn on(hosts: Vec<Host>, dir: tempfile::TempDir) -> Self {
        let size = u32::try_from(hosts.len()).unwrap();
        let pki = Pki::new(CLUSTER);
        pki.write_members(&dir.path().join("tls"), size);
        let ports = ports::free(size as usize * 4).chunks(4).map(|c| [c[0], c[1], c[2], c[3]]).collect::<Vec<_>>();
        let list: Vec<String> = hosts.iter().zip(&ports).map(|(h, p)| format!("'{}:{}'", h.address, p[0])).collect();
        let config = dir.path().join("config");
        let homes = dir.path().to_owned();
        std::fs::create_dir_all(&config).unwrap();
        let hazelcast = format!(
            "hazelcast:\n  cluster-name: {CLUSTER}\n  network:\n    join:\n      tcp-ip: {{enabled: true, member-list: [{}]}}\n",
            list.join(", ")
        );
        std::fs::write(config.join("hazelcast.yaml"), hazelcast).unwrap();
        std::fs::write(
            config.join("hazelcast-jet.yaml"),
            "hazelcast-jet:\n  instance:\n    lossless-restart-enabled: true\n",
        )
        .unwrap();
        Self {
            dir,
            pki,
            size,
            hosts,
            ports,
            members: BTreeMap::new(),
            partitions: 31,
            permit_from: "operator",
            volume: "volume".into(),
            rest: None,
            credentials: None,
            homes,
            named_volumes: true,
        }
    }

    /// With the REST on, these groups opened beside those that are open by themselves. No operator: that one would be
    /// asked to stop the cluster.
    pub fn with_rest(size: u32, groups: &[&str]) -> Self {
        let mut world = Self { permit_from: "configuration", ..Self::new(size) };
        let file = world.dir.path().join("config/hazelcast.yaml");
        let opened: Vec<String> = groups.iter().map(|group| format!("{group}: {{enabled: true}}")).collect();
        let rest = format!("    rest-api: {{enabled: true, endpoint-groups: {{{}}}}}\n    join:", opened.join(", "));
        let text = std::fs::read_to_string(&file).unwrap().replace("    join:", &rest);
        std::fs::write(&file, text).unwrap();
        let password = world.dir.path().join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        world.rest = Some(password);
        world
    }

    pub fn home(&self, ordinal: u32) -> PathBuf {
        self.homes.join(format!("member-{ordinal}"))
    }

    pub fn start(&mut self, ordinal: u32) {
        let arguments = self.arguments(ordinal, self.ports[ordinal as usize]);
        let (enter, log) = (&self.hosts[ordinal as usize].enter, self.dir.path().join(format!("member-{ordinal}.log")));
        self.members.insert(ordinal, Process::start(enter, &arguments, &log));
    }

    /// With what its process is started.
    pub fn told(&self, ordinal: u32) -> Vec<String> {
        self.arguments(ordinal, self.ports[ordinal as usize])
    }

    fn arguments(&self, ordinal: u32, [member, admin, health, client]: [u16; 4]) -> Vec<String> {
        let home = self.home(ordinal);
        std::fs::create_dir_all(&home).unwrap();
        let own = Some(self.own_config(ordinal)).filter(|own| own.exists());
        let config = own.unwrap_or_else(|| self.dir.path().join("config/hazelcast-jet.yaml"));
        let mut arguments = vec![
            ("--config", config.display().to_string()),
            ("--home", home.display().to_string()),
            ("--ordinal", ordinal.to_string()),
            ("--tls", self.tls_dir().display().to_string()),
            ("--bind", self.hosts[ordinal as usize].address.clone()),
            ("--member-port", member.to_string()),
            ("--admin-port", admin.to_string()),
            ("--health-port", health.to_string()),
            ("--client-port", client.to_string()),
            ("--founding", self.permit_from.into()),
        ];
        if self.named_volumes {
            arguments.push(("--volume-id", format!("{}-{ordinal}", self.volume)));
        }
        if let Some(credentials) = &self.credentials {
            arguments.push(("--client-credentials-file", credentials.display().to_string()));
        }
        if let Some(password) = &self.rest {
            arguments.push(("--rest-password-file", password.display().to_string()));
        }
        arguments.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
    }

    pub fn start_all(&mut self) {
        for ordinal in 0..self.size {
            self.start(ordinal);
        }
    }

    /// The host was made anew: what enters it has changed.
    pub fn moved(&mut self, ordinal: u32, enter: Vec<String>) {
        self.hosts[ordinal as usize].enter = enter;
    }

    pub fn kill(&mut self, ordinal: u32) {
        self.members.remove(&ordinal).unwrap().kill();
    }

    /// SIGSTOP: the process and its clocks' readers stand still, its sockets stay open.
    pub fn pause(&self, ordinal: u32) {
        self.members[&ordinal].pause();
    }

    /// SIGCONT.
    pub fn go_on(&self, ordinal: u32) {
        self.members[&ordinal].go_on();
    }

    pub fn terminate_all(&mut self) {
        for (_, process) in std::mem::take(&mut self.members) {
            process.terminate(PATIENCE);
        }
    }

    /// A client with the role's certificate.
    pub fn client_as(&self, ordinal: u32, role: Role) -> MemberClient {
        self.client_at(&self.admin_address(ordinal), role)
    }

    /// The same of whoever answers there.
    pub fn client_at(&self, address: &str, role: Role) -> MemberClient {
        let tls = self.pki.issue(role).client().unwrap();
        let name = any_member_server_name(NAMESPACE, CLUSTER);
        MemberClient::new(address, &name, tls).unwrap().with_timeout(Duration::from_secs(10))
    }

    pub fn operator(&self, ordinal: u32) -> MemberClient {
        self.client_as(ordinal, Role::Operator)
    }

    pub fn admin_address(&self, ordinal: u32) -> String {
        format!("{}:{}", self.hosts[ordinal as usize].address, self.ports[ordinal as usize][1])
    }

    pub fn health_address(&self, ordinal: u32) -> String {
        format!("{}:{}", self.hosts[ordinal as usize].address, self.ports[ordinal as usize][2])
    }

    pub fn rest_port(&self, ordinal: u32) -> u16 {
        self.ports[ordinal as usize][3]
    }

    /// Every process ends by itself, and in order.
    pub fn all_end(&mut self) {
        for (_, process) in std::mem::take(&mut self.members) {
            process.ends(PATIENCE);
        }
    }

    /// All that a member's processes said.
    pub fn log(&self, ordinal: u32) -> String {
        std::fs::read_to_string(self.dir.path().join(format!("member-{ordinal}.log"))).unwrap()
    }

    pub fn logs(&self) -> String {
        (0..self.size).map(|o| tail(&self.dir.path().join(format!("member-{o}.log")))).collect()
    }

    /// The log writes on behind the acknowledgements; it has them all when its size stands still.
    pub async fn on_disk(&self, ordinal: u32) {
        let sizes = std::cell::Cell::new((0, 0));
        self.until("the log has everything", || async {
            let live = self.view(ordinal).await?.store.live_bytes;
            let (last, times) = sizes.get();
            sizes.set((live, if last == live && live > 0 { times + 1 } else { 0 }));
            if times >= 3 { Ok(()) } else { Err(format!("{live} bytes")) }
        })
        .await;
    }

    /// Waits until `look` says `Ok`; fails with its last words and the logs.
    pub async fn until<T, F>(&self, what: &str, look: impl FnMut() -> F) -> T
    where
        F: Future<Output = Result<T, String>>,
    {
        self.until_within(PATIENCE, what, look).await
    }

    /// The same of what may last longer.
    pub async fn until_within<T, F>(&self, bound: Duration, what: &str, mut look: impl FnMut() -> F) -> T
    where
        F: Future<Output = Result<T, String>>,
    {
        let begun = Instant::now();
        loop {
            let last = match look().await {
                Ok(found) => return found,
                Err(last) => last,
            };
            assert!(begun.elapsed() < bound, "not within {bound:?}: {what}; last: {last}\n{}", self.logs());
            tokio::time::sleep(GLANCE).await;
        }
    }

    pub async fn view(&self, ordinal: u32) -> Result<MemberView, String> {
        self.operator(ordinal).member().await.map_err(|e| e.to_string())
    }

    /// Waits until every one of `ordinals` is in `phase`.
    pub async fn all_in(&self, ordinals: impl IntoIterator<Item = u32> + Clone, phase: MemberPhase) -> Vec<MemberView> {
        let mut views = Vec::new();
        for ordinal in ordinals {
            let view = self
                .until(&format!("member {ordinal} is {phase:?}"), || async {
                    let view = self.view(ordinal).await?;
                    if view.phase == phase { Ok(view) } else { Err(format!("{:?}: {}", view.phase, view.waiting_for)) }
                })
                .await;
            views.push(view);
        }
        views
    }

    /// Gives the permit to all until each of them knows the cluster as founded.
    pub async fn permit(&self) {
        let permit = FoundingPermit {
            founding_id: Uuid::new_v4(),
            ordinals: (0..self.size).collect(),
            partition_count: self.partitions,
            backup_count: 1,
        };
        for ordinal in 0..self.size {
            self.until("a permit is taken", || async {
                self.operator(ordinal).found(&permit).await.map(|_| ()).map_err(|e| e.to_string())
            })
            .await;
        }
        for ordinal in 0..self.size {
            self.until("founded", || async {
                let promise = self.operator(ordinal).found(&permit).await.map_err(|e| e.to_string())?;
                if promise.founded { Ok(()) } else { Err(format!("{promise:?}")) }
            })
            .await;
        }
    }

    /// Permits, and waits until the cluster is active, open and fully backed.
    pub async fn found(&self) {
        self.permit().await;
        self.serving(0..self.size, ClusterStateView::Active).await;
    }

    /// Waits until these members serve in `state` with all copies.
    pub async fn serving(&self, ordinals: impl IntoIterator<Item = u32>, state: ClusterStateView) {
        for ordinal in ordinals {
            self.until(&format!("member {ordinal} serves in {state:?}"), || async {
                let view = self.view(ordinal).await?;
                let cluster = view.cluster.as_ref().ok_or("no cluster")?;
                let backed = cluster.partitions.fully_backed == cluster.partitions.count;
                if view.ready && cluster.state == state && backed { Ok(()) } else { Err(brief(&view)) }
            })
            .await;
        }
    }

    pub async fn put(&self, ordinal: u32, key: &str, value: &str) -> Result<(), CallError> {
        self.client_as(ordinal, Role::Client)
            .put("flights", key, &Entry { value: Some(value.into()) })
            .await
            .map(|_| ())
    }

    pub async fn get(&self, ordinal: u32, key: &str) -> Result<Option<String>, CallError> {
        self.client_as(ordinal, Role::Client).get("flights", key).await.map(|entry| entry.value)
    }

    /// Steps 3 to 7: begin, freeze, wait for the seals, commit.
    pub async fn stop(&self, op: &str) -> u64 {
        let operator = self.operator(0);
        let begin = BeginOperation { id: op.into(), requested_by: "test".into(), accepted_job_loss: Vec::new() };
        operator.begin(&begin).await.unwrap();
        operator.freeze(op, &Freeze { commit_within_ms: 60_000 }).await.unwrap();
        let cluster = self
            .until("sealed", || async {
                let cluster = operator.cluster().await.map_err(|e| e.to_string())?;
                let operation = cluster.operation.clone().ok_or("no operation")?;
                assert_ne!(operation.step, OperationStep::Aborted, "{operation:?}\n{}", self.logs());
                if operation.step == OperationStep::Sealed {
                    Ok(cluster)
                } else {
                    Err(format!("{:?}: {}", operation.step, operation.progress))
                }
            })
            .await;
        operator.commit(op, &Commit { roster_digest: cluster.roster_digest.clone() }).await.unwrap();
        self.all_in(0..self.size, MemberPhase::Sealed).await;
        cluster.generation
    }

    /// Steps 12 to 15: wait for everybody, activate, open.
    pub async fn resume(&self, op: &str, sealed_generation: u64) {
        self.all_in(0..self.size, MemberPhase::WaitingForActivate).await;
        let operator = self.operator(0);
        operator.activate(op, &Activate { sealed_generation, wishes: Vec::new() }).await.unwrap();
        self.until("activated", || async {
            let cluster = operator.cluster().await.map_err(|e| e.to_string())?;
            let step = cluster.operation.map(|o| o.step);
            if step == Some(OperationStep::Activated) {
                Ok(())
            } else {
                Err(format!("{step:?} in {:?}", cluster.state))
            }
        })
        .await;
        operator.open(op).await.unwrap();
        self.serving(0..self.size, ClusterStateView::Active).await;
    }
}

pub fn brief(view: &MemberView) -> String {
    let cluster = view.cluster.as_ref().map(|c| {
        format!(
            "{:?} generation {} leader {:?} {:?} missing {:?}",
            c.state, c.generation, c.leader, c.partitions, c.missing
        )
    });
    format!("{:?} ready {} waits for '{}' cluster {cluster:?}", view.phase, view.ready, view.waiting_for)
}

/// A file in the tree holds these bytes.
pub fn tree_has(dir: &Path, wanted: &[u8]) -> bool {
    let Ok(entries) = std::fs::read_dir(dir) else { return false };
    entries.flatten().any(|entry| {
        let path = entry.path();
        match path.is_dir() {
            true => tree_has(&path, wanted),
            // It may be gone since.
            false => std::fs::read(&path).is_ok_and(|held| held.windows(wanted.len()).any(|part| part == wanted)),
        }
    })
}

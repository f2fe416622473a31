//! The agent's loop: on every member, committed state and own facts → local actions.
//!
//! Law: an action of one kind runs once at a time; when it ended, the facts are looked at again, and what is still
//! wanted is asked for again. What failed or panicked waits [`AFTER_FAILURE`] and its reason is told. The store takes records only
//! behind RAM that has all that lies in it. Must not know: why an action is planned.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jet_core::agent::{self, Access, Action, Doors, LocalFacts};
use jet_core::report::ContentsReport;
use jet_core::view::Basis;
use jet_core::{Command, Digest, Machine, Outcome, StoreReport};
use tokio::sync::Notify;
use tokio::task::JoinError;
use tracing::{debug, info, warn};

use super::node::Node;
use super::supervise::kind;
use crate::ports::{Cluster, Jobs, Maps};
use crate::store::SealOrder;

/// Pause before a failed action is begun again.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// Pause before a command that had no outcome or was refused is proposed again, unless the cluster's state turns before.
const AFTER_REFUSAL: Duration = Duration::from_millis(200);
/// One thing at a time is done to the store.
const STORE: &str = "store";

/// What the agent of this member knows beside the machine.
pub struct Agent {
    node: Arc<Node>,
    maps: Arc<dyn Maps>,
    jobs: Arc<dyn Jobs>,
    state: Mutex<State>,
    looked: Notify,
    /// The process ends. Held while actions are begun, so that none is begun after [`Agent::end`] returned.
    ended: Mutex<bool>,
}

#[derive(Default)]
struct State {
    access: Access,
    loaded: Option<(Digest, Basis)>,
    running: BTreeSet<String>,
    trouble: BTreeMap<String, String>,
}

impl Agent {
    /// Of this node.
    pub fn new(node: Arc<Node>, maps: Arc<dyn Maps>, jobs: Arc<dyn Jobs>) -> Arc<Self> {
        Arc::new(Self { node, maps, jobs, state: Mutex::default(), looked: Notify::new(), ended: Mutex::default() })
    }

    /// From now on nothing is begun: whoever closes the doors finds them closed.
    pub fn end(&self) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store takes what this process writes: it takes part with its RAM.
    pub fn serves(&self) -> bool {
        self.state().access == Access::Written
    }

    /// What does not go on, in words.
    pub fn trouble(&self) -> Option<String> {
        let state = self.state();
        (!state.trouble.is_empty())
            .then(|| state.trouble.iter().map(|(what, why)| format!("{what}: {why}")).collect::<Vec<_>>().join("; "))
    }

    /// What is being done.
    pub fn busy(&self) -> Vec<String> {
        self.state().running.iter().cloned().collect()
    }

    /// Runs until the process ends.
    pub async fn run(self: Arc<Self>) {
        let mut machines = self.node.machines();
        loop {
            let pause = self.node.pace();
            tokio::select! {
                biased;
                () = tokio::time::sleep(pause) => {}
                () = self.looked.notified() => {}
                _ = machines.changed() => {}
            }
            let machine = machines.borrow_and_update().clone();
            let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            if *ended {
                return;
            }
            self.look(&machine);
        }
    }

    fn look(self: &Arc<Self>, machine: &Arc<Machine>) {
        self.node.keeper().cluster_is_in(machine.generation);
        let facts = self.facts();
        let mut actions = self.after_leaving(&facts).unwrap_or_else(|| agent::plan(machine, self.node.me(), &facts));
        if self.node.founding_is_being_recorded() {
            // A store takes no data before it says whose it is; that is under way.
            actions.retain(|action| name(action) != STORE);
        }
        self.forget_what_is_wanted_no_more(&actions);
        for action in actions {
            self.clone().begin(action, machine);
        }
    }

    /// What is left to be done once this member has left, whatever its own log tells.
    fn after_leaving(&self, facts: &LocalFacts) -> Option<Vec<Action>> {
        let left = self.node.left_by().filter(|_| !facts.put_aside);
        if left.is_none() && !facts.put_aside {
            return None;
        }
        let mut actions = vec![Action::SetDoors(Doors::ClosedForAll)];
        actions.extend(facts.runtime.map(|_| Action::StopRuntime));
        actions.extend(left.map(|index| Action::PutAside { index }));
        Some(actions)
    }

    /// Own facts as they are now.
    pub fn facts(&self) -> LocalFacts {
        let keeper = self.node.keeper();
        let machine = self.node.machine();
        let (loaded, access) = {
            let state = self.state();
            (state.loaded.clone(), state.access)
        };
        let basis = Basis::of(&machine);
        let loaded = loaded.filter(|(_, of)| *of == basis).map(|(digest, _)| digest);
        let sealed = keeper.sealed();
        let mut holds = keeper.report();
        if access > Access::Unread {
            let on_store = holds.filter(|_| sealed.is_some()).and_then(|report| report.seal);
            holds = Some(StoreReport {
                generation: keeper.opened(),
                seal: on_store.or_else(|| keeper.seal_beside()),
                partitions: self.maps.versions(),
                epochs: keeper.epochs(),
                restored: keeper.restored().cloned(),
            });
        }
        LocalFacts {
            boot: self.node.boot(),
            volume_id: keeper.volume_id().to_owned(),
            holds,
            access,
            loaded,
            doors: self.maps.doors(),
            reports_contents: self.node.reported_contents(&machine, &self.maps.versions()),
            sealed,
            opened: keeper.opened(),
            runtime: self.jobs.running(),
            copies: self.maps.copies(),
            released: self.maps.released(),
            put_aside: self.node.has_left(),
        }
    }

    fn begin(self: Arc<Self>, action: Action, machine: &Arc<Machine>) {
        match action {
            Action::SetDoors(doors) => self.maps.set_doors(doors),
            Action::WithdrawContents => self.node.report_contents(None),
            Action::StartRuntime(generation) => self.jobs.start(generation, machine),
            Action::StopRuntime => self.jobs.stop(),
            Action::ShipPartition { partition, to, boot, changed } => self.maps.ship(partition, to, boot, changed),
            Action::Release { partition, changed } => self.maps.release(partition, changed),
            slow => self.begin_slow(slow, machine.clone()),
        }
    }

    fn begin_slow(self: Arc<Self>, action: Action, machine: Arc<Machine>) {
        self.begin_task(name(&action), |agent| async move { agent.carry_out(action, &machine).await });
    }

    fn begin_task<W, F>(self: Arc<Self>, name: String, work: W)
    where
        W: FnOnce(Arc<Self>) -> F,
        F: Future<Output = Result<(), Setback>> + Send + 'static,
    {
        if !self.state().running.insert(name.clone()) {
            return;
        }
        // In a task of its own: a panic in it is a failure like any other, and its place becomes free.
        let work = tokio::spawn(work(self.clone()));
        let begun_in = self.node.machine().state.clone();
        tokio::spawn(async move {
            let result = work.await.unwrap_or_else(|broken| Err(Setback::Failed(broke_off(broken))));
            let pause = match result {
                Ok(()) => {
                    self.state().trouble.remove(&name);
                    self.hindered(&name, None);
                    Duration::ZERO
                }
                Err(Setback::Refused(why)) => {
                    debug!(action = %name, %why, "agent: refused");
                    self.trouble_with(&name, why);
                    // In another state of the cluster the answer may be another one.
                    let mut machines = self.node.machines();
                    let turned = machines.wait_for(|machine| machine.state != begun_in);
                    let _ = tokio::time::timeout(AFTER_REFUSAL, turned).await;
                    Duration::ZERO
                }
                Err(Setback::Failed(why)) => {
                    self.hindered(&name, Some(&why));
                    self.trouble_with(&name, why);
                    AFTER_FAILURE
                }
            };
            tokio::time::sleep(pause).await;
            self.state().running.remove(&name);
            self.looked.notify_one();
        });
    }

    fn takes_part(&self) {
        self.maps.store_open();
        self.state_of_writing();
    }

    fn state_of_writing(&self) {
        let mut state = self.state();
        state.access = Access::Written;
        state.loaded = None;
    }

    fn forget_what_is_wanted_no_more(&self, actions: &[Action]) {
        let wanted: BTreeSet<String> = actions.iter().map(name).collect();
        let mut state = self.state();
        let State { trouble, running, .. } = &mut *state;
        trouble.retain(|name, _| wanted.contains(name) || running.contains(name) || name == STORE);
        // A stop that was taken back asks nothing of the store any more: what hindered it then says nothing of it now.
        if !wanted.contains(STORE) && !running.contains(STORE) {
            self.node.store_is_hindered(None);
        }
    }

    /// The leader names it where a stop waits for this store.
    fn hindered(&self, name: &str, why: Option<&String>) {
        if name == STORE {
            self.node.store_is_hindered(why.cloned());
        }
    }

    fn trouble_with(&self, name: &str, why: String) {
        let mut state = self.state();
        if state.trouble.get(name) != Some(&why) {
            warn!(action = %name, %why, "agent: does not go on");
            state.trouble.insert(name.to_owned(), why);
        }
    }

    async fn carry_out(&self, action: Action, machine: &Arc<Machine>) -> Result<(), Setback> {
        match action {
            Action::Propose(command) => self.propose(command).await,
            Action::LoadStore => self.load().await,
            Action::ReportContents { op, attempt } => {
                // The machine before the count: what changes in between makes the report one that is no longer true.
                let before = self.node.machine();
                let contents = self.maps.contents().await.map_err(Setback::Failed)?;
                self.node.report_contents(Some(ContentsReport {
                    op,
                    attempt,
                    table_version: before.table.version,
                    counted: jet_core::view::counted_snapshots(&before),
                    contents,
                }));
                Ok(())
            }
            Action::Seal { op, attempt, generation, quiesced_index, content_digest } => {
                if !self.serves() && self.node.keeper().sealed().is_none() {
                    self.on_disk("the store goes on, to be sealed", |keeper| keeper.resume()).await?;
                    self.takes_part();
                }
                let contents = self.maps.contents().await.map_err(Setback::Failed)?;
                let order = SealOrder {
                    op,
                    attempt,
                    generation,
                    quiesced_index,
                    content_digest,
                    contents,
                    machine: serde_json::to_vec(machine.as_ref()).map_err(|e| Setback::Failed(e.to_string()))?,
                    roster_digest: jet_core::view::roster_digest(machine),
                };
                self.on_disk("sealed", move |keeper| keeper.seal(order)).await
            }
            Action::VoidSeal { .. } => {
                self.on_disk("the seal is void", |keeper| keeper.void_seal()).await?;
                self.takes_part();
                Ok(())
            }
            Action::PutAside { index } => {
                self.on_disk("the store is of no cluster any more", move |keeper| keeper.put_aside(index)).await
            }
            Action::OpenGeneration(generation) => {
                self.on_disk("generation opened", move |keeper| keeper.open_generation(generation)).await?;
                self.maps.store_open();
                if machine.membership.joining.contains(&self.node.me()) {
                    self.maps.note_snapshots().await.map_err(Setback::Failed)?;
                }
                self.on_disk("the copies held are on disk", |keeper| keeper.flush()).await?;
                self.state_of_writing();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn propose(&self, command: Command) -> Result<(), Setback> {
        let name = kind(&command);
        match Cluster::propose(self.node.clone(), command).await {
            Ok(Outcome::Done { index, what }) => {
                info!(index, command = %name, %what, "agent");
                Ok(())
            }
            Ok(Outcome::Refused(refused)) => Err(Setback::Refused(refused.to_string())),
            Err(error) => Err(Setback::Refused(error.to_string())),
        }
    }

    async fn load(&self) -> Result<(), Setback> {
        let begun = std::time::Instant::now();
        // The machine before the digest: a change in between shows as one that is not the present one.
        let basis = Basis::of(&self.node.machine());
        let digest = self.maps.load().await.map_err(Setback::Failed)?;
        self.on_disk("what was read is verified", |keeper| keeper.verified()).await?;
        info!(digest = %digest, took_ms = begun.elapsed().as_millis(), "the store is loaded and verified");
        let mut state = self.state();
        state.access = state.access.max(Access::Read);
        state.loaded = Some((digest, basis));
        Ok(())
    }

    async fn on_disk<F>(&self, done: &'static str, work: F) -> Result<(), Setback>
    where
        F: FnOnce(&crate::store::Keeper) -> Result<(), crate::store::KeeperError> + Send + 'static,
    {
        let keeper = self.node.keeper().clone();
        let begun = std::time::Instant::now();
        let result = crate::host::blocking(move || work(&keeper)).await.map_err(|e| Setback::Failed(e.to_string()))?;
        result.map_err(|e| Setback::Failed(e.to_string()))?;
        info!(took_ms = begun.elapsed().as_millis(), "{done}");
        Ok(())
    }
}

/// Without the number of the task: what is said twice must be the same words.
fn broke_off(broken: JoinError) -> String {
    let words = match broken.try_into_panic() {
        Ok(panic) => {
            let text = panic.downcast_ref::<&str>().map(|words| (*words).to_owned());
            text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
        }
        Err(ended) => ended.to_string(),
    };
    format!("it broke off by a mistake in this program ({words}); it is tried again")
}

enum Setback {
    /// The cluster did not want it, or was not reached.
    Refused(String),
    /// Something of this member failed.
    Failed(String),
}

/// What may run once at a time.
fn name(action: &Action) -> String {
    match action {
        // Copies of different partitions are independent of one another.
        Action::Propose(Command::Synced { partition, member, .. }) => {
            format!("propose Synced of {partition} at {member}")
        }
        Action::Propose(Command::Released { partition, .. }) => format!("propose Released of {partition}"),
        Action::Propose(command) => format!("propose {}", kind(command)),
        Action::Release { partition, .. } => format!("release {partition}"),
        Action::LoadStore => "load".into(),
        Action::ReportContents { .. } => "count".into(),
        _ => STORE.into(),
    }
}

//! Who stops and returns the cluster over the admin API, as the operator does, and forgets everything when it is killed.
//!
//! Law: each step is planned from what members answer and from records that outlive the driver, and from nothing else;
//! commands carry the operation's id and are given again until what they do is seen. Must not know: harms.

use std::sync::Mutex;
use std::time::Duration;

use jet_admin_api::client::{CallError, MemberClient};
use jet_admin_api::cluster::{ClusterStateView, ClusterView};
use jet_admin_api::member::{MemberPhase, MemberView};
use jet_admin_api::operation::{Activate, BeginOperation, Commit, Freeze, OperationStep, OperationView};

use super::plant::Plant;

/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// Members roll back by themselves what is not committed within this time.
const COMMIT_WITHIN_MS: u64 = 60_000;

/// What is recorded of a seal before any process ends.
#[derive(Clone)]
pub struct Seal {
    pub operation: String,
    pub generation: u64,
    pub roster_digest: String,
}

/// What outlives the driver: the seal's record and the stamp of the activation.
#[derive(Clone, Default)]
pub struct Records {
    pub seal: Option<Seal>,
    pub activating: bool,
}

impl Records {
    /// Everything lies sealed on all disks, and nobody was asked to open it.
    pub fn at_rest(&self) -> bool {
        self.seal.is_some() && !self.activating
    }
}

/// What a person wants.
#[derive(Clone)]
pub enum Wish {
    Stop { operation: String },
    Return,
}

/// What became of it.
#[derive(Debug)]
pub enum End {
    Stopped,
    RolledBack(String),
    Returned,
}

#[derive(Debug)]
enum Act {
    Begin(String),
    Freeze(String),
    Commit(String, String),
    Record(Box<ClusterView>),
    Down,
    Up,
    Stamp,
    Activate(String, u64),
    Open(String),
    Forget,
}

enum Plan {
    Act(Act),
    Waits(String),
    Ends(End),
}

struct Facts {
    /// By ordinal; `Err`: it does not answer, and why.
    views: Vec<Result<MemberView, String>>,
    records: Records,
    wanted: bool,
    running: usize,
}

impl Facts {
    /// Who knows the most of the machine, and what.
    fn machine(&self) -> Option<(usize, &ClusterView)> {
        let known = self.views.iter().enumerate().filter_map(|(at, view)| Some((at, view.as_ref().ok()?)));
        let known = known.filter_map(|(at, view)| Some((at, view.cluster.as_ref()?)));
        known.max_by_key(|(_, cluster)| (cluster.generation, cluster.applied_index))
    }

    /// Why not every member is so.
    fn but(&self, is_so: impl Fn(&MemberView) -> bool) -> Option<String> {
        let words = self.views.iter().enumerate().filter_map(|(at, view)| match view {
            Err(why) => Some(format!("{at}: {why}")),
            Ok(view) if is_so(view) => None,
            Ok(view) => Some(format!("{at}: {:?}, ready {}, waits for '{}'", view.phase, view.ready, view.waiting_for)),
        });
        let words: Vec<String> = words.collect();
        (!words.is_empty()).then(|| words.join("; "))
    }

    fn plan(&self, wish: &Wish) -> Plan {
        match wish {
            Wish::Stop { operation } => self.stop(operation),
            Wish::Return => self.come_back(),
        }
    }

    fn stop(&self, id: &str) -> Plan {
        if self.records.seal.is_some() {
            return match (self.wanted, self.running) {
                (true, _) => Plan::Act(Act::Down),
                (false, 0) => Plan::Ends(End::Stopped),
                (false, left) => Plan::Waits(format!("{left} processes end")),
            };
        }
        let Some((_, machine)) = self.machine() else {
            return Plan::Waits(self.but(|_| false).unwrap_or_default());
        };
        let Some(operation) = machine.operation.as_ref().filter(|operation| operation.id == id) else {
            return self.why_not_stop(machine).map_or_else(|| Plan::Act(Act::Begin(id.into())), Plan::Waits);
        };
        match operation.step {
            OperationStep::Begun => Plan::Act(Act::Freeze(id.into())),
            OperationStep::Freezing | OperationStep::Quiesced => {
                Plan::Waits(format!("{:?}: {}", operation.step, operation.progress))
            }
            OperationStep::Sealed => match self.but(|view| shows_its_seal(view, operation)) {
                None => Plan::Act(Act::Commit(id.into(), machine.roster_digest.clone())),
                Some(why) => Plan::Waits(format!("seals are shown: {why}")),
            },
            OperationStep::Committed => Plan::Act(Act::Record(Box::new(machine.clone()))),
            OperationStep::Aborted => {
                Plan::Ends(End::RolledBack(operation.aborted_because.clone().unwrap_or_default()))
            }
            OperationStep::Activated | OperationStep::Opened => {
                panic!("{id} is {:?} and was never recorded", operation.step)
            }
        }
    }

    fn why_not_stop(&self, machine: &ClusterView) -> Option<String> {
        let parts = &machine.partitions;
        let backed = parts.absent == 0 && parts.migrating == 0 && parts.fully_backed == parts.count;
        let serving = self.but(|view| view.phase == MemberPhase::Serving && view.ready);
        match (serving, backed, machine.state) {
            (None, true, ClusterStateView::Active) => None,
            (serving, _, state) => Some(format!("{state:?}, {parts:?}, {}", serving.unwrap_or_default())),
        }
    }

    fn come_back(&self) -> Plan {
        let Some(seal) = &self.records.seal else {
            return Plan::Ends(End::Returned);
        };
        let machine = self.machine().map(|(_, machine)| machine);
        let ours = machine.and_then(|machine| machine.operation.as_ref()).filter(|op| op.id == seal.operation);
        match ours.map(|operation| operation.step) {
            Some(OperationStep::Activated) => {
                let judged = machine.is_some_and(|m| m.jobs.iter().all(|job| job.verdict.is_some()));
                return if judged {
                    Plan::Act(Act::Open(seal.operation.clone()))
                } else {
                    Plan::Waits(format!("verdicts: {:?}", machine.map(|m| &m.jobs)))
                };
            }
            Some(OperationStep::Opened) => {
                return match self.but(|view| view.ready) {
                    None => Plan::Act(Act::Forget),
                    Some(why) => Plan::Waits(format!("all are ready: {why}")),
                };
            }
            _ => {}
        }
        if !self.wanted {
            return Plan::Act(Act::Up);
        }
        let waits = |view: &MemberView| {
            let sealed = view.store.seal.as_ref();
            view.phase == MemberPhase::WaitingForActivate
                && sealed.is_some_and(|own| own.verified && own.generation == seal.generation)
        };
        match (self.but(waits), machine) {
            (None, Some(machine)) => {
                assert_eq!(machine.roster_digest, seal.roster_digest, "the members' list is not the sealed one");
                let activate = Act::Activate(seal.operation.clone(), seal.generation);
                Plan::Act(if self.records.activating { activate } else { Act::Stamp })
            }
            (why, _) => Plan::Waits(why.unwrap_or_default()),
        }
    }
}

fn shows_its_seal(view: &MemberView, operation: &OperationView) -> bool {
    let recorded = operation.seals.iter().find(|seal| seal.member == view.uuid);
    let own = view.store.seal.as_ref().filter(|own| own.operation == operation.id && own.attempt == operation.attempt);
    own.zip(recorded).is_some_and(|(own, recorded)| own.digest == recorded.seal.digest)
}

pub struct Driver<'a> {
    pub plant: &'a Plant,
    pub members: &'a [MemberClient],
    pub records: &'a Mutex<Records>,
    /// What it waits for, for who reads a failure.
    pub words: &'a Mutex<String>,
}

impl Driver<'_> {
    /// Looks and acts until the wish has come to an end.
    pub async fn carry_out(&self, wish: Wish) -> End {
        loop {
            let facts = self.look().await;
            match facts.plan(&wish) {
                Plan::Ends(end) => return end,
                Plan::Waits(why) => *self.words.lock().unwrap() = why,
                Plan::Act(act) => {
                    let what = format!("{act:?}");
                    let speaker = facts.machine().map_or(0, |(at, _)| at);
                    let done = self.act(act, &self.members[speaker]).await;
                    *self.words.lock().unwrap() = format!("{what}: {done:?}");
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn look(&self) -> Facts {
        let (records, wanted) = (self.records.lock().unwrap().clone(), self.plant.is_wanted());
        let running = self.plant.running();
        let views = futures::future::join_all(self.members.iter().map(MemberClient::member)).await;
        let views = views.into_iter().map(|view| view.map_err(|e| e.to_string())).collect();
        Facts { views, records, wanted, running }
    }

    async fn act(&self, act: Act, speaker: &MemberClient) -> Result<(), CallError> {
        match act {
            Act::Begin(id) => {
                let begin = BeginOperation { id, requested_by: "cycles".into(), accepted_job_loss: Vec::new() };
                speaker.begin(&begin).await?;
            }
            Act::Freeze(id) => {
                speaker.freeze(&id, &Freeze { commit_within_ms: COMMIT_WITHIN_MS }).await?;
            }
            Act::Commit(id, roster_digest) => {
                speaker.commit(&id, &Commit { roster_digest }).await?;
            }
            Act::Record(machine) => {
                let operation = machine.operation.as_ref().expect("it is committed").id.clone();
                let (generation, roster_digest) = (machine.generation, machine.roster_digest.clone());
                self.records.lock().unwrap().seal = Some(Seal { operation, generation, roster_digest });
            }
            Act::Down => self.plant.want(false),
            Act::Up => self.plant.want(true),
            Act::Stamp => {
                let _alone = self.plant.gate.lock().await;
                self.records.lock().unwrap().activating = true;
            }
            Act::Activate(id, sealed_generation) => {
                speaker.activate(&id, &Activate { sealed_generation, wishes: Vec::new() }).await?;
            }
            Act::Open(id) => {
                speaker.open(&id).await?;
            }
            Act::Forget => *self.records.lock().unwrap() = Records::default(),
        }
        Ok(())
    }
}

//! Scripted members: one committed machine, a store on each claim, phases that follow from both.
//!
//! Law: it refuses what a real member would refuse, and remembers every breach of the operator's promises. Must not know:
//! the operator's plans.

use jet_admin_api::cluster::{ClusterStateView, ClusterView, MissingMember, PartitionsView, RosterMember};
use jet_admin_api::job::{JobStatus, JobView, Verdict};
use jet_admin_api::member::{MemberPhase, MemberView, SealView, StoreState, StoreView};
use jet_admin_api::operation::{Activate, JobWish, MemberSeal, OperationStep, OperationView, QuiescedView};
use jet_admin_api::refusal::{Code, Refusal};
use jet_admin_api::stop_request::{RequestAnswer, StopRequestView};
use jet_operator::members::Command;
use uuid::Uuid;

use super::State;
use super::jobs::members::{accepted, begin, snapshot};

/// What lies on a claim.
#[derive(Clone, Debug, Default)]
pub struct Store {
    pub uuid: Option<Uuid>,
    pub promised: Option<Uuid>,
    pub founding: Option<Uuid>,
    pub seal: Option<SealView>,
}

/// The committed state.
#[derive(Clone, Debug)]
pub struct Machine {
    pub founding_id: Uuid,
    pub generation: u64,
    pub state: ClusterStateView,
    pub former: Option<ClusterStateView>,
    pub roster: Vec<(u32, Uuid)>,
    pub operation: Option<OperationView>,
    pub highest: u64,
    pub jobs: Vec<JobView>,
    pub index: u64,
    pub doors: bool,
    /// All processes died: the whole roster must come back.
    pub recovering: bool,
    pub freeze_deadline: Option<i64>,
    pub activations: u32,
    /// Of the activation, until it is done.
    pub wishes: Vec<JobWish>,
    pub request: Option<StopRequestView>,
}

impl Machine {
    pub fn end_request(&mut self, taken_up: bool, why: &str) {
        if let Some(request) = self.request.as_mut().filter(|request| request.answer.is_none()) {
            request.answer = Some(RequestAnswer { taken_up, why: why.into() });
        }
    }
}

fn refuse(code: Code, why: impl Into<String>) -> Refusal {
    Refusal::new(code, why)
}

impl State {
    /// One tick of all members.
    pub fn members_tick(&mut self) {
        self.found_if_promised();
        let now = self.now;
        let stuck = self.job_stuck;
        let serving: Vec<(u32, bool)> = self.roster_ordinals().iter().map(|o| (*o, self.is_up(*o))).collect();
        let all_up = !serving.is_empty() && serving.iter().all(|(_, up)| *up);
        let nobody = self.roster_ordinals().iter().all(|o| !self.pods.get(o).is_some_and(|p| p.running()));
        let Some(machine) = &mut self.machine else { return };
        if nobody {
            machine.recovering = true;
            machine.doors = false;
        }
        if machine.recovering && all_up {
            let committed = machine.operation.as_ref().is_some_and(|op| op.step == OperationStep::Committed);
            if !committed {
                machine.recovering = false;
                machine.doors = true;
                machine.generation += 1;
                if let Some(op) = machine.operation.as_mut().filter(|op| op.step < OperationStep::Committed) {
                    op.step = OperationStep::Aborted;
                    op.aborted_because = Some("the cluster crashed before the commit".into());
                    machine.state = machine.former.take().unwrap_or(machine.state);
                }
                if machine.operation.as_ref().is_some_and(|op| op.step == OperationStep::Activated) {
                    machine.doors = false;
                }
            }
        }
        machine.index += 1;
        self.operation_tick(now, stuck, all_up);
        self.jobs_tick();
    }

    fn operation_tick(&mut self, now: i64, stuck: bool, all_up: bool) {
        let Some(machine) = &mut self.machine else { return };
        if machine.recovering {
            return;
        }
        if machine.state == ClusterStateView::Activating {
            machine.state = machine.former.take().unwrap_or(ClusterStateView::Active);
            machine.generation += 1;
            let wishes = std::mem::take(&mut machine.wishes);
            self.grant(&wishes);
            let Some(machine) = &mut self.machine else { return };
            for job in machine.jobs.iter_mut().filter(|j| j.status == JobStatus::Waiting) {
                begin(job);
                job.verdict = Some(Verdict::Resumed);
            }
            if let Some(op) = &mut machine.operation {
                op.step = OperationStep::Activated;
            }
            for (ordinal, _) in machine.roster.clone() {
                if let Some(claim) = self.claims.get_mut(&ordinal) {
                    claim.store.seal = None;
                }
            }
            return;
        }
        let index = machine.index;
        let late = machine.freeze_deadline.is_some_and(|deadline| now > deadline);
        let Some(op) = &mut machine.operation else { return };
        if late && op.step < OperationStep::Committed && op.step >= OperationStep::Freezing {
            op.step = OperationStep::Aborted;
            op.aborted_because = Some("terminal snapshot of flights: not committed in time".into());
            self.void_seals();
            return;
        }
        match op.step {
            OperationStep::Freezing if !stuck => {
                for job in machine.jobs.iter_mut().filter(|j| j.status == JobStatus::Running) {
                    job.status = JobStatus::Waiting;
                    job.snapshot = Some(snapshot(job, index, true));
                }
                machine.former = Some(machine.state);
                machine.state = ClusterStateView::Passive;
                machine.doors = false;
                op.quiesced = Some(QuiescedView { index, content_digest: format!("c{index}"), entries: 42 });
                op.step = OperationStep::Quiesced;
            }
            OperationStep::Quiesced if all_up => {
                let (id, attempt, generation) = (op.id.clone(), op.attempt, machine.generation);
                let quiesced = op.quiesced.as_ref().map_or(0, |q| q.index);
                for (ordinal, uuid) in machine.roster.clone() {
                    let seal = SealView {
                        generation,
                        operation: id.clone(),
                        attempt,
                        digest: format!("m{ordinal}-{quiesced}"),
                        content_digest: format!("c{ordinal}-{quiesced}"),
                        quiesced_index: quiesced,
                        entries: 14,
                        bytes: 1400,
                        verified: true,
                    };
                    if let Some(claim) = self.claims.get_mut(&ordinal) {
                        claim.store.seal = Some(seal.clone());
                    }
                    op.seals.push(MemberSeal { member: uuid, ordinal, seal, volume_id: format!("fs-{ordinal}") });
                }
                op.step = OperationStep::Sealed;
            }
            _ => {}
        }
    }

    fn void_seals(&mut self) {
        let Some(machine) = &mut self.machine else { return };
        machine.state = machine.former.take().unwrap_or(machine.state);
        machine.freeze_deadline = None;
        machine.doors = true;
        for job in machine.jobs.iter_mut().filter(|j| j.status == JobStatus::Waiting) {
            job.status = JobStatus::Running;
        }
        for claim in self.claims.values_mut() {
            claim.store.seal = None;
        }
    }

    fn found_if_promised(&mut self) {
        if self.machine.is_some() || self.permit.is_none() {
            return;
        }
        let Some((id, ordinals)) = self.permit.clone() else { return };
        let promised = ordinals.iter().all(|o| {
            self.pods.get(o).is_some_and(|p| p.running())
                && self.claims.get(o).is_some_and(|c| c.store.promised == Some(id))
        });
        if !promised {
            return;
        }
        self.foundings += 1;
        let mut roster = Vec::new();
        for ordinal in &ordinals {
            if let Some(claim) = self.claims.get_mut(ordinal) {
                let uuid = claim.store.uuid.unwrap_or(Uuid::nil());
                claim.store.founding = Some(id);
                roster.push((*ordinal, uuid));
            }
        }
        let job = |id, name, status| JobView { execution: 1, ..accepted(id, name, "…", status) };
        let jobs = vec![job(1, "flights", JobStatus::Running), job(2, "idle", JobStatus::Suspended)];
        self.machine = Some(Machine {
            founding_id: id,
            generation: 1,
            state: ClusterStateView::Active,
            former: None,
            roster,
            operation: None,
            highest: 0,
            jobs,
            index: 10,
            doors: true,
            recovering: false,
            freeze_deadline: None,
            activations: 0,
            wishes: Vec::new(),
            request: None,
        });
    }

    /// Ordinals of the roster.
    pub fn roster_ordinals(&self) -> Vec<u32> {
        self.machine.iter().flat_map(|m| m.roster.iter().map(|(o, _)| *o)).collect()
    }

    /// The member of the roster runs on its own store.
    fn is_up(&self, ordinal: u32) -> bool {
        let own = self.machine.as_ref().and_then(|m| m.roster.iter().find(|(o, _)| *o == ordinal)).map(|(_, u)| *u);
        self.pods.get(&ordinal).is_some_and(|p| p.age >= 2)
            && self.claims.get(&ordinal).and_then(|c| c.store.uuid) == own
    }

    fn phase(&self, ordinal: u32) -> MemberPhase {
        let Some(store) = self.claims.get(&ordinal).map(|c| &c.store) else { return MemberPhase::NoStore };
        if store.founding.is_none() {
            return if store.promised.is_some() { MemberPhase::Founding } else { MemberPhase::NoStore };
        }
        let Some(machine) = &self.machine else { return MemberPhase::Joining };
        if !self.is_up(ordinal) {
            return MemberPhase::Joining;
        }
        let step = machine.operation.as_ref().map(|op| op.step);
        if machine.recovering {
            let all = self.roster_ordinals().iter().all(|o| self.is_up(*o));
            return if all && step == Some(OperationStep::Committed) {
                MemberPhase::WaitingForActivate
            } else {
                MemberPhase::Recovering
            };
        }
        if machine.state == ClusterStateView::Activating {
            return MemberPhase::WaitingForActivate;
        }
        match step {
            Some(OperationStep::Sealed | OperationStep::Committed) => MemberPhase::Sealed,
            _ => MemberPhase::Serving,
        }
    }

    /// `GET /v1/member`.
    pub fn member_view(&self, ordinal: u32) -> Option<MemberView> {
        self.pods.get(&ordinal).filter(|p| p.running())?;
        let store = self.claims.get(&ordinal)?.store.clone();
        let phase = self.phase(ordinal);
        let knows = store.founding.is_some() && self.machine.is_some() && phase != MemberPhase::Joining;
        let doors = knows && phase == MemberPhase::Serving && self.machine.as_ref().is_some_and(|m| m.doors);
        Some(MemberView {
            uuid: store.uuid.unwrap_or(Uuid::nil()),
            ordinal,
            boot: 1,
            version: "0.1.0".into(),
            phase,
            ready: doors,
            waiting_for: String::new(),
            doors_open: doors,
            founding_id: store.founding.or(store.promised),
            store: StoreView {
                state: if store.seal.is_some() { StoreState::Sealed } else { StoreState::Open },
                generation: 1,
                volume_id: format!("fs-{ordinal}"),
                seal: store.seal,
                live_bytes: 1 << 20,
                retained_bytes: 0,
                free_bytes: 1 << 30,
                lagging: None,
                progress: None,
            },
            cluster: knows.then(|| self.cluster_view()).flatten(),
            primaries: 90,
            work: Vec::new(),
        })
    }

    fn cluster_view(&self) -> Option<ClusterView> {
        let machine = self.machine.as_ref()?;
        let roster: Vec<RosterMember> = machine
            .roster
            .iter()
            .map(|(ordinal, uuid)| RosterMember {
                uuid: *uuid,
                ordinal: *ordinal,
                boot: 1,
                volume_id: String::new(),
                present: self.is_up(*ordinal),
                loaded: true,
            })
            .collect();
        let all = roster.iter().all(|r| r.present);
        Some(ClusterView {
            founding_id: machine.founding_id,
            incarnation: 0,
            generation: machine.generation,
            state: if machine.recovering { ClusterStateView::Recovering } else { machine.state },
            former_state: machine.former,
            leader: machine.roster.first().map(|(_, u)| *u),
            applied_index: machine.index,
            durable_index: machine.index,
            roster_digest: format!("r{}", machine.roster.len()),
            roster,
            partitions: PartitionsView {
                count: 271,
                backups_wanted: 1,
                fully_backed: if all { 271 } else { 200 },
                absent: 0,
                migrating: 0,
                table_version: 1,
            },
            moves: Default::default(),
            operation: machine.operation.clone(),
            highest_operation: machine.highest,
            stop_request: machine.request.clone(),
            jobs: machine.jobs.clone(),
            missing: Vec::<MissingMember>::new(),
        })
    }

    /// One command to one member.
    pub fn command(&mut self, ordinal: u32, command: &Command) -> Result<String, Refusal> {
        match command {
            Command::Found(permit) => self.found(ordinal, permit.founding_id, &permit.ordinals),
            Command::Begin(begin) => self.begin(&begin.id),
            Command::Freeze { operation, freeze } => {
                let until = self.now + i64::try_from(freeze.commit_within_ms / 1000).unwrap_or(i64::MAX);
                let op = self.open_operation(operation)?;
                if op.step == OperationStep::Begun {
                    op.step = OperationStep::Freezing;
                    if let Some(machine) = &mut self.machine {
                        machine.freeze_deadline = Some(until);
                    }
                }
                Ok("freezing".into())
            }
            Command::Commit { operation, .. } => {
                let op = self.open_operation(operation)?;
                match op.step {
                    OperationStep::Sealed => {
                        op.step = OperationStep::Committed;
                        self.commits += 1;
                        Ok("committed".into())
                    }
                    OperationStep::Committed => Ok("already so".into()),
                    step => Err(refuse(Code::StepOrder, format!("commit at {step:?}"))),
                }
            }
            Command::Abort { operation, abort } => {
                let op = self.open_operation(operation)?;
                if op.step >= OperationStep::Committed && op.step != OperationStep::Aborted {
                    return Err(refuse(Code::AlreadyDecided, "committed"));
                }
                let unwound = op.step >= OperationStep::Begun;
                op.step = OperationStep::Aborted;
                op.aborted_because = Some(abort.reason.clone());
                if unwound {
                    self.void_seals();
                }
                Ok("aborted".into())
            }
            Command::Activate { operation, activate } => self.activate(operation, activate),
            Command::Open { operation } => {
                let op = self.open_operation(operation)?;
                if op.step < OperationStep::Activated {
                    return Err(refuse(Code::StepOrder, "open before activation"));
                }
                op.step = OperationStep::Opened;
                if let Some(machine) = &mut self.machine {
                    machine.doors = true;
                }
                Ok("open".into())
            }
            Command::AnswerRequest { asked, answer } => {
                if let Some(machine) =
                    self.machine.as_mut().filter(|m| m.request.as_ref().is_some_and(|r| r.asked == *asked))
                {
                    machine.end_request(answer.taken_up, &answer.why);
                }
                Ok("answered".into())
            }
        }
    }

    /// A person asks the members for a stop.
    pub fn request_stop(&mut self) -> bool {
        let Some(machine) = self.machine.as_mut().filter(|machine| !machine.recovering) else { return false };
        let open = |op: &OperationView| !matches!(op.step, OperationStep::Opened | OperationStep::Aborted);
        if machine.operation.as_ref().is_some_and(open) {
            return false;
        }
        if machine.request.as_ref().is_none_or(|request| request.answer.is_some()) {
            machine.index += 1;
            machine.request = Some(StopRequestView { asked: machine.index, requested_by: "rest".into(), answer: None });
        }
        true
    }

    fn open_operation(&mut self, id: &str) -> Result<&mut OperationView, Refusal> {
        let op = self.machine.as_mut().and_then(|m| m.operation.as_mut()).filter(|op| op.id == id);
        op.ok_or_else(|| refuse(Code::StaleOperation, format!("operation {id} is not open here")))
    }

    fn found(&mut self, ordinal: u32, id: Uuid, ordinals: &[u32]) -> Result<String, Refusal> {
        if self.permit.as_ref().is_some_and(|(known, _)| *known != id) {
            self.breaches.push(format!("two founding ids: {id} and {:?}", self.permit));
            return Err(refuse(Code::FoundingDiffers, "another permit"));
        }
        if !self.maps.contains_key("orders-founding") {
            self.breaches.push("a permit was sent before its record was made".into());
        }
        self.permit = Some((id, ordinals.to_vec()));
        let fresh = self.next_uuid();
        if let Some(claim) = self.claims.get_mut(&ordinal) {
            claim.store.promised = Some(id);
            claim.store.uuid.get_or_insert(fresh);
        }
        Ok("promised".into())
    }

    fn begin(&mut self, id: &str) -> Result<String, Refusal> {
        let number: u64 = id.split('-').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        let stamped = self.set.as_ref().is_some_and(|set| set.stamp_operation().is_some_and(|op| op == id));
        if !stamped {
            self.breaches.push(format!("operation {id} began before it was stamped"));
        }
        let Some(machine) = &mut self.machine else { return Err(refuse(Code::ClusterState, "not founded")) };
        if machine.operation.as_ref().is_some_and(|op| op.id == id) {
            return Ok("already so".into());
        }
        if number <= machine.highest {
            return Err(refuse(Code::StaleOperation, format!("{id} is not above {}", machine.highest)));
        }
        let open = |op: &&OperationView| !matches!(op.step, OperationStep::Opened | OperationStep::Aborted);
        if let Some(other) = machine.operation.as_ref().filter(open) {
            return Err(refuse(Code::StaleOperation, format!("operation {} is open", other.id)));
        }
        machine.highest = number;
        machine.end_request(true, &format!("operation {id} began"));
        self.begun += 1;
        machine.operation = Some(OperationView {
            id: id.into(),
            step: OperationStep::Begun,
            base_index: machine.index,
            attempt: 1,
            progress: String::new(),
            quiesced: None,
            seals: Vec::new(),
            aborted_because: None,
        });
        Ok("begun".into())
    }

    fn activate(&mut self, id: &str, activate: &Activate) -> Result<String, Refusal> {
        let all = self.roster_ordinals().iter().all(|o| self.is_up(*o));
        let Some(machine) = &mut self.machine else { return Err(refuse(Code::ClusterState, "not founded")) };
        let op = machine.operation.as_ref().filter(|op| op.id == id).map(|op| op.step);
        match op {
            Some(OperationStep::Activated | OperationStep::Opened) => return Ok("already so".into()),
            Some(OperationStep::Committed) => {}
            _ => return Err(refuse(Code::StepOrder, "activate before commit")),
        }
        if machine.state == ClusterStateView::Activating {
            return Ok("already so".into());
        }
        if !all || !machine.recovering || machine.generation != activate.sealed_generation {
            self.breaches.push("activation was asked for without the whole roster on its stores".into());
            return Err(refuse(Code::ClusterState, "the roster is not complete"));
        }
        machine.state = ClusterStateView::Activating;
        machine.recovering = false;
        machine.wishes.clone_from(&activate.wishes);
        machine.activations += 1;
        Ok("activating".into())
    }
}

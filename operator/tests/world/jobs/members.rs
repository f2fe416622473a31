//! Jobs of the scripted members: what they take, and when jobs run.
//!
//! Law: names and lives are as in the real machine: one job of a name lives, a command means that one, or the newest that
//! ended. Must not know: the operator's plans.

use std::mem;

use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::job::{Guarantee, JobStatus, JobView, SnapshotView, SubmitJob, Verdict};
use jet_admin_api::operation::{Done, JobWish, OperationStep, OperationView};
use jet_admin_api::refusal::{Code, Refusal};

use crate::world::State;

fn refuse(code: Code, why: impl Into<String>) -> Refusal {
    Refusal::new(code, why)
}

fn ended(status: JobStatus) -> bool {
    matches!(status, JobStatus::Completed | JobStatus::Cancelled | JobStatus::Failed)
}

/// A job that was just accepted.
pub fn accepted(id: u64, name: &str, sql: &str, status: JobStatus) -> JobView {
    JobView {
        id,
        name: name.into(),
        sql: sql.into(),
        guarantee: Guarantee::ExactlyOnce,
        status,
        execution: 0,
        failures: 0,
        cause: None,
        snapshot: None,
        started_from: None,
        verdict: None,
    }
}

/// A job begins to run.
pub fn begin(job: &mut JobView) {
    job.status = JobStatus::Running;
    job.execution += 1;
    job.started_from = job.snapshot.clone();
}

pub fn snapshot(job: &JobView, index: u64, terminal: bool) -> SnapshotView {
    SnapshotView {
        execution: job.execution,
        epoch: index,
        index,
        rows_read: index * 10,
        bytes: 1,
        digest: format!("s{index}"),
        terminal,
    }
}

impl State {
    /// Jobs that wait for a runtime get it, and people who wait for a name take it.
    pub fn jobs_tick(&mut self) {
        let Some(machine) = self.machine.as_mut().filter(|machine| !machine.recovering) else { return };
        if machine.state != ClusterStateView::Active {
            return;
        }
        let returned = machine.generation > 1;
        for job in machine.jobs.iter_mut().filter(|job| job.status == JobStatus::Starting) {
            begin(job);
            // Judged when it runs again.
            job.verdict = job.started_from.as_ref().filter(|_| returned).map(|_| Verdict::Resumed);
        }
        if !machine.doors {
            return;
        }
        let waiting = mem::take(&mut self.jobs.by_hand);
        for (name, sql) in waiting {
            let free = self.live_job(&name).is_some_and(|job| ended(job.status));
            if !free || self.add_job(&name, &sql).is_none() {
                self.jobs.by_hand.push((name, sql));
            }
        }
    }

    /// Its sources are exhausted.
    pub fn complete_job(&mut self, name: &str) {
        let jobs = self.machine.iter_mut().flat_map(|machine| &mut machine.jobs);
        if let Some(job) = jobs.filter(|job| job.name == name && job.status == JobStatus::Running).last() {
            job.status = JobStatus::Completed;
        }
    }

    /// It fails as often as it may, each time in another execution.
    pub fn fail_job(&mut self, name: &str) {
        let jobs = self.machine.iter_mut().flat_map(|machine| &mut machine.jobs);
        if let Some(job) = jobs.filter(|job| job.name == name && job.status == JobStatus::Running).last() {
            (job.status, job.failures, job.cause) = (JobStatus::Suspended, 3, Some("it fails".into()));
            job.execution += 2;
        }
    }

    fn add_job(&mut self, name: &str, sql: &str) -> Option<u64> {
        let machine = self.machine.as_mut()?;
        let known = machine.jobs.iter().map(|job| job.id).max().unwrap_or(0);
        self.jobs.last = self.jobs.last.max(known) + 1;
        machine.index += 1;
        machine.jobs.push(accepted(self.jobs.last, name, sql, JobStatus::Starting));
        Some(self.jobs.last)
    }

    /// `POST /v1/jobs`.
    pub fn submit_job(&mut self, ordinal: u32, job: &SubmitJob) -> Result<Done, Refusal> {
        let index = self.takes_jobs(ordinal)?;
        let known = self.live_job(&job.name).filter(|known| !ended(known.status)).map(|known| known.sql == job.sql);
        match known {
            Some(true) => return Ok(Done { index, what: "already so".into() }),
            Some(false) => return Err(refuse(Code::Exists, "a job of this name exists")),
            None => {}
        }
        let Some(number) = self.add_job(&job.name, &job.sql) else { return Err(refuse(Code::ClusterState, "")) };
        self.jobs.done[0] += 1;
        let object = self.jobs.objects.get(&job.name).filter(|object| object.spec.sql == job.sql);
        let wished = object.filter(|object| object.metadata.deletion_timestamp.is_none());
        match wished.and_then(|object| object.metadata.uid.clone()) {
            None => self.breaches.push(format!("job {} was submitted and no JetJob asks for it", job.name)),
            Some(uid) if self.jobs.of.values().any(|of| *of == uid) => {
                self.breaches.push(format!("job {} was submitted twice", job.name));
            }
            Some(uid) => drop(self.jobs.of.insert(number, uid)),
        }
        Ok(Done { index: index + 1, what: format!("job {number} is accepted") })
    }

    /// `POST /v1/jobs/{name}/{verb}`.
    pub fn job_command(&mut self, ordinal: u32, name: &str, verb: &str) -> Result<Done, Refusal> {
        let index = self.takes_jobs(ordinal)?;
        let to = match verb {
            "cancel" => JobStatus::Cancelled,
            "suspend" => JobStatus::Suspended,
            _ => JobStatus::Starting,
        };
        let status = self.named(name).map(|job| job.status);
        let status = status.ok_or_else(|| refuse(Code::NotFound, format!("no job {name}")))?;
        let runs = matches!(status, JobStatus::Starting | JobStatus::Running | JobStatus::Waiting);
        if status == to || to == JobStatus::Starting && runs {
            return Ok(Done { index, what: "already so".into() });
        }
        if !self.turn_job(name, to) {
            return Err(refuse(Code::ClusterState, format!("job {name} is {status:?}")));
        }
        Ok(Done { index: index + 1, what: verb.into() })
    }

    /// Wishes of an activation, before any job starts.
    pub fn grant(&mut self, wishes: &[JobWish]) {
        for wish in wishes {
            match wish {
                JobWish::Cancel { job } => self.turn_job(job, JobStatus::Cancelled),
                JobWish::Suspend { job } => self.turn_job(job, JobStatus::Suspended),
                JobWish::Resume { job } => self.turn_job(job, JobStatus::Waiting),
            };
        }
    }

    fn named(&self, name: &str) -> Option<&JobView> {
        let mut jobs = self.machine.iter().flat_map(|machine| &machine.jobs).filter(|job| job.name == name);
        jobs.clone().find(|job| !ended(job.status)).or_else(|| jobs.next_back())
    }

    fn takes_jobs(&self, ordinal: u32) -> Result<u64, Refusal> {
        let serves = self.member_view(ordinal).is_some_and(|view| view.doors_open);
        let Some(machine) = self.machine.as_ref().filter(|_| serves) else {
            return Err(refuse(Code::DoorsClosed, "the doors are closed"));
        };
        let open = |op: &OperationView| !matches!(op.step, OperationStep::Opened | OperationStep::Aborted);
        if machine.state != ClusterStateView::Active || machine.operation.as_ref().is_some_and(open) {
            return Err(refuse(Code::ClusterState, "an operation is open"));
        }
        Ok(machine.index)
    }

    /// `false`: it does not fit.
    fn turn_job(&mut self, name: &str, to: JobStatus) -> bool {
        let Some((id, from)) = self.named(name).map(|job| (job.id, job.status)) else { return false };
        let running = matches!(from, JobStatus::Starting | JobStatus::Running | JobStatus::Waiting);
        let (fits, what) = match to {
            JobStatus::Cancelled => (!ended(from), 1),
            JobStatus::Suspended => (running, 2),
            _ => (from == JobStatus::Suspended, 3),
        };
        if !fits {
            return false;
        }
        self.jobs.done[what] += 1;
        let asked = [&self.jobs.deleted, &self.jobs.deleted, &self.jobs.to_suspend, &self.jobs.to_resume][what];
        if !self.jobs.of.get(&id).is_some_and(|uid| asked.contains(uid)) {
            self.breaches.push(format!("job {name} (number {id}) is {to:?} and nobody asked for it"));
        }
        let Some(machine) = &mut self.machine else { return false };
        machine.index += 1;
        let index = machine.index;
        if let Some(job) = machine.jobs.iter_mut().find(|job| job.id == id) {
            job.status = to;
            if from == JobStatus::Running {
                job.snapshot = Some(snapshot(job, index, false));
            }
        }
        true
    }
}

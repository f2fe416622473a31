//! One job at the leader: facts from members, map and machine; one step after another.
//!
//! Law: after a step, facts are gathered anew before the next; what failed waits [`AFTER_SETBACK`] and is told once.
//! Must not know: the rules (they are in `plan`).

use std::sync::Arc;
use std::time::Duration;

use jet_core::{Command, JobId, Machine, Outcome, SnapshotRecord};
use jet_map::{CommitRecord, Query, QueryReply, Requester, home_of_job};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::disk::Disk;
use super::plan::{Facts, Last, Point, Step, Stop, plan};
use super::{Life, Look, commit, publish};
use crate::jobs::Shared;
use crate::jobs::words::Wanted;

/// Pause after a step that did not succeed.
const AFTER_SETBACK: Duration = Duration::from_millis(100);

struct Conductor {
    shared: Arc<Shared>,
    life: Life,
    last: Option<Option<CommitRecord>>,
    published: Option<Point>,
    opened: Instant,
    disk: Disk,
    said: Option<String>,
}

/// Conducts one life of a job until it is aborted.
pub(super) async fn conduct(shared: Arc<Shared>, life: Life, mut looks: watch::Receiver<Look>) {
    let disk = Disk::new(shared.clone());
    let mut own = Conductor { shared, life, last: None, published: None, opened: Instant::now(), disk, said: None };
    let mut stepped = Instant::now();
    loop {
        if looks.changed().await.is_err() {
            return;
        }
        let look = looks.borrow_and_update().clone();
        if look.begun.is_none_or(|begun| begun < stepped) {
            continue;
        }
        let machine = own.shared.cluster.machine();
        own.disk.step(&machine, life.job, own.published, own.last.as_ref().and_then(Option::as_ref));
        let Some(facts) = own.facts(&machine, &look) else { continue };
        let mut step = own.next(&facts);
        // What follows from a step alone needs no new look.
        while step != Step::Wait {
            let follows = matches!(step, Step::Learn | Step::Snapshot { .. });
            match own.take(&machine, step).await {
                Ok(()) => own.said = None,
                Err(why) => {
                    own.tell(why);
                    tokio::time::sleep(AFTER_SETBACK).await;
                    break;
                }
            }
            let own_facts =
                Facts { members: facts.members.clone(), ..own.facts(&machine, &look).unwrap_or(facts.clone()) };
            step = match own.next(&own_facts) {
                publish @ Step::Publish(_) if follows => publish,
                _ => Step::Wait,
            };
        }
        stepped = Instant::now();
    }
}

impl Conductor {
    fn facts(&self, machine: &Machine, look: &Look) -> Option<Facts> {
        let job = machine.jobs.get(&self.life.job).filter(|job| job.execution == self.life.execution)?;
        let run = machine.runtime.as_ref().and_then(|runtime| runtime.jobs.iter().find(|run| run.job == job.id));
        let said = look.standings.get(&job.id).filter(|_| look.complete && look.runtime == self.life.runtime);
        let stop = match machine
            .open_operation()
            .filter(|_| matches!(machine.state, jet_core::ClusterState::InTransition { .. }))
        {
            Some(operation) if job.has_terminal(&operation.id) => Stop::Recorded,
            Some(_) => Stop::Wanted,
            None => Stop::No,
        };
        let last = |record: &CommitRecord| Last { point: record.id.point(), terminal: record.terminal };
        Some(Facts {
            execution: job.execution,
            restored: run.and_then(|run| run.restore.as_ref()).map(jet_core::SnapshotRef::position),
            members: said.cloned(),
            last: self.last.as_ref().map(|known| known.as_ref().map(last)),
            published: self.published,
            durable: job.durable.as_ref().map(jet_core::SnapshotRef::position),
            stop,
            interval_ms: job.interval_ms,
            since_opened_ms: u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// A job that does not run has no members to be asked: its last snapshot is published, no more.
    fn next(&self, facts: &Facts) -> Step {
        if self.life.runtime.is_some() {
            return plan(facts);
        }
        match facts.last {
            None => Step::Learn,
            Some(Some(last)) if facts.published < Some(last.point) => Step::Publish(last.point),
            Some(_) => Step::Wait,
        }
    }

    async fn take(&mut self, machine: &Machine, step: Step) -> Result<(), String> {
        let (job, execution) = (self.life.job, self.life.execution);
        match step {
            Step::Wait => Ok(()),
            Step::Learn => {
                let found = learn(&self.shared, job).await?;
                // A crash may have left records that its recovery did not choose; they are cut back when the job goes on.
                let counts = |point| machine.jobs.get(&job).is_some_and(|job| job.counts(point));
                self.last = Some(found.filter(|record| counts(record.id.point())));
                Ok(())
            }
            Step::Publish(point) => self.publish(machine, point).await,
            Step::Snapshot { epoch, terminal } => {
                self.opened = Instant::now();
                let runtime = self.life.runtime.ok_or("the job does not run")?;
                let wanted = Wanted { runtime, job, execution, epoch, terminal };
                let taken = commit::snapshot(&self.shared, machine, wanted).await;
                if taken.is_err() {
                    // Perhaps it is committed all the same.
                    self.last = None;
                }
                let record = taken?;
                debug!(%job, %epoch, terminal, bytes = record.bytes, took_ms = self.opened.elapsed().as_millis(), "snapshot is committed");
                self.last = Some(Some(record));
                Ok(())
            }
            Step::Terminal(point) => self.terminal(machine, point).await,
            Step::Complete => self.propose(Command::JobCompleted { job, execution }).await,
            Step::Fail { cause, progressed } => {
                self.propose(Command::JobFailed { job, execution, cause, progressed }).await
            }
            Step::GiveUp(cause) => {
                let number = self.life.runtime.ok_or("the job does not run")?;
                self.propose(Command::RuntimeLost { number, cause }).await
            }
        }
    }

    async fn publish(&mut self, machine: &Machine, point: Point) -> Result<(), String> {
        let own = self.last.as_ref().and_then(Option::as_ref).filter(|record| record.id.point() == point);
        if let (Some(record), Some(runtime)) =
            (own.filter(|record| record.id.execution == self.life.execution), self.life.runtime)
        {
            publish::tell(&self.shared, machine, runtime, record).await?;
        }
        let kept = self.disk.pinned().map_or(point, |pinned| pinned.min(point));
        publish::publish(&self.shared, self.life.job, point, kept).await?;
        self.published = Some(point);
        Ok(())
    }

    async fn terminal(&mut self, machine: &Machine, point: Point) -> Result<(), String> {
        let operation = machine.open_operation().ok_or("the operation is over")?.id.clone();
        let record = self
            .last
            .as_ref()
            .and_then(Option::as_ref)
            .filter(|record| record.id.point() == point)
            .ok_or("its record is not known")?;
        let table_version = commit::count_again(&self.shared, machine, record).await?;
        let record = SnapshotRecord {
            bytes: record.bytes,
            rows_read: record.rows_read,
            digest: jet_core::Digest(record.digest.clone()),
            table_version,
        };
        let (job, execution, epoch) = (self.life.job, point.0, point.1);
        self.propose(Command::Terminal { op: operation, job, execution, epoch, record }).await
    }

    async fn propose(&self, command: Command) -> Result<(), String> {
        let name = crate::cluster::supervise::kind(&command);
        match self.shared.cluster.clone().propose(command).await {
            Ok(Outcome::Done { index, what }) => {
                info!(index, command = %name, %what, "coordinator");
                Ok(())
            }
            Ok(Outcome::Refused(refused)) => Err(format!("{name} is refused: {refused}")),
            Err(error) => Err(format!("{name} is not done: {error}")),
        }
    }

    fn tell(&mut self, why: String) {
        if self.said.as_ref() != Some(&why) {
            warn!(job = %self.life.job, execution = %self.life.execution, %why, "coordinator: a step did not succeed");
            self.said = Some(why);
        }
    }
}

/// The newest committed snapshot of a job.
pub(super) async fn learn(shared: &Shared, job: JobId) -> Result<Option<CommitRecord>, String> {
    let home = home_of_job(job, shared.maps.partitions());
    match shared.maps.ask(home, Requester::Job, Query::LastCommit { job }).await {
        Ok(QueryReply::Commit(record)) => Ok(record),
        Ok(_) => Err("the map gave an answer of another kind".into()),
        Err(refusal) => Err(refusal.to_string()),
    }
}

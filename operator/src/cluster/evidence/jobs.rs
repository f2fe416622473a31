//! The ledger: every job at the seal, and what became of it.
//!
//! Law: a job that is in the ledger and not in the machine is Missing, never forgotten; one of which nothing is known is
//! not called resumed. Must not know: conditions.

use jet_admin_api::cluster::ClusterView;
use jet_admin_api::job::{JobStatus, JobView, SnapshotView, Verdict};

use crate::api::records::{LedgerJob, SealRecord};

/// The ledger of a machine.
pub fn ledger(machine: &ClusterView) -> Vec<LedgerJob> {
    let mut jobs: Vec<LedgerJob> = machine
        .jobs
        .iter()
        .map(|job| LedgerJob {
            id: job.id,
            name: job.name.clone(),
            guarantee: job.guarantee,
            status: job.status,
            snapshot: job.snapshot.clone(),
        })
        .collect();
    jobs.sort_by_key(|job| job.id);
    jobs
}

/// Ended for good.
pub fn ended(status: JobStatus) -> bool {
    matches!(status, JobStatus::Completed | JobStatus::Cancelled | JobStatus::Failed)
}

/// What became of one job of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Name.
    pub name: String,
    /// What is known of it.
    pub fate: Fate,
}

/// What is known of a job after the return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Not decided yet.
    Open,
    /// It ran again, or cannot: the members' verdict, checked against the ledger.
    Judged(Verdict),
    /// It does not run, and has the snapshot of the ledger still (or, as then, none).
    Kept,
    /// It does not run, and what it would go on from is older than the ledger's snapshot, or nothing.
    Short,
    /// A person cancelled it: nothing is to go on.
    Cancelled,
}

impl Fate {
    /// Something that the ledger promises is not there.
    pub fn is_loss(self) -> bool {
        !matches!(self, Self::Open | Self::Judged(Verdict::Resumed) | Self::Kept | Self::Cancelled)
    }
}

/// What became of every job of the ledger that had not ended.
pub fn outcomes(seal: &SealRecord, machine: &ClusterView) -> Vec<Outcome> {
    seal.jobs
        .iter()
        .filter(|job| !ended(job.status))
        .map(|job| {
            let now = machine.jobs.iter().find(|j| j.id == job.id);
            Outcome { name: job.name.clone(), fate: now.map_or(Fate::Judged(Verdict::Missing), |now| judge(job, now)) }
        })
        .collect()
}

/// The member's own verdict, checked against the recorded snapshot.
fn judge(job: &LedgerJob, now: &JobView) -> Fate {
    let Some(verdict) = now.verdict else { return unjudged(job, now) };
    let started = position(now.started_from.as_ref());
    match (verdict, position(job.snapshot.as_ref())) {
        (Verdict::Resumed, recorded @ Some(_)) if started.is_some() && started < recorded => {
            Fate::Judged(Verdict::ResumedFromOlder)
        }
        (Verdict::Resumed, Some(_)) if started.is_none() && now.status == JobStatus::Running => {
            Fate::Judged(Verdict::RestartedFromZero)
        }
        _ => Fate::Judged(verdict),
    }
}

/// Members judge a job when it runs again, and never before: of one that does not run its snapshot speaks.
fn unjudged(job: &LedgerJob, now: &JobView) -> Fate {
    match now.status {
        JobStatus::Starting | JobStatus::Running | JobStatus::Waiting => Fate::Open,
        JobStatus::Suspended if position(now.snapshot.as_ref()) < position(job.snapshot.as_ref()) => Fate::Short,
        JobStatus::Suspended => Fate::Kept,
        // What it ran to its end from is all that is known of it.
        JobStatus::Completed if position(now.started_from.as_ref()) < position(job.snapshot.as_ref()) => Fate::Short,
        JobStatus::Completed => Fate::Judged(Verdict::Resumed),
        JobStatus::Cancelled => Fate::Cancelled,
        JobStatus::Failed => Fate::Judged(Verdict::Failed),
        JobStatus::Held => Fate::Judged(Verdict::Held),
    }
}

/// Order of a job's snapshots. Not by log index: one that is known from reports only has none.
fn position(snapshot: Option<&SnapshotView>) -> Option<(u64, u64)> {
    snapshot.map(|snapshot| (snapshot.execution, snapshot.epoch))
}

#[cfg(test)]
mod tests {
    use jet_admin_api::job::Guarantee;

    use super::*;

    fn snapshot(execution: u64, epoch: u64, index: u64) -> Option<SnapshotView> {
        let digest = format!("d{execution}/{epoch}");
        Some(SnapshotView { execution, epoch, index, rows_read: 1, bytes: 1, digest, terminal: index > 0 })
    }

    fn sealed(snapshot: Option<SnapshotView>) -> LedgerJob {
        let (name, guarantee, status) = ("flights".into(), Guarantee::ExactlyOnce, JobStatus::Suspended);
        LedgerJob { id: 4, name, guarantee, status, snapshot }
    }

    fn now(status: JobStatus, snapshot: Option<SnapshotView>) -> JobView {
        JobView {
            id: 4,
            name: "flights".into(),
            sql: String::new(),
            guarantee: Guarantee::ExactlyOnce,
            status,
            execution: 3,
            failures: 0,
            cause: None,
            snapshot,
            started_from: None,
            verdict: None,
        }
    }

    #[test]
    fn a_job_without_a_verdict_is_judged_by_what_it_has() {
        let ledger = snapshot(3, 7, 90);
        for (status, has, fate) in [
            (JobStatus::Suspended, ledger.clone(), Fate::Kept),
            (JobStatus::Suspended, snapshot(3, 6, 80), Fate::Short),
            (JobStatus::Suspended, snapshot(2, 9, 95), Fate::Short),
            (JobStatus::Suspended, None, Fate::Short),
            (JobStatus::Suspended, snapshot(4, 1, 99), Fate::Kept),
            (JobStatus::Cancelled, None, Fate::Cancelled),
            (JobStatus::Cancelled, ledger.clone(), Fate::Cancelled),
            (JobStatus::Waiting, ledger.clone(), Fate::Open),
            (JobStatus::Starting, ledger.clone(), Fate::Open),
            (JobStatus::Failed, ledger.clone(), Fate::Judged(Verdict::Failed)),
            (JobStatus::Held, ledger.clone(), Fate::Judged(Verdict::Held)),
            (JobStatus::Completed, ledger.clone(), Fate::Short),
        ] {
            let job = now(status, has.clone());
            assert_eq!(judge(&sealed(ledger.clone()), &job), fate, "{status:?} with {has:?}");
        }
        let nothing = now(JobStatus::Suspended, None);
        assert_eq!(judge(&sealed(None), &nothing), Fate::Kept, "it had none when it was sealed");
        let finished = JobView { started_from: snapshot(3, 7, 90), ..now(JobStatus::Completed, None) };
        assert_eq!(judge(&sealed(ledger), &finished), Fate::Judged(Verdict::Resumed));
    }

    #[test]
    fn a_verdict_of_resumed_is_checked_against_the_ledger() {
        let ledger = sealed(snapshot(3, 7, 90));
        for (started_from, fate) in [
            (snapshot(3, 7, 90), Verdict::Resumed),
            (snapshot(3, 6, 80), Verdict::ResumedFromOlder),
            (None, Verdict::RestartedFromZero),
            // It ran on and began again from a snapshot that only reports know: those have no index.
            (snapshot(4, 2, 0), Verdict::Resumed),
        ] {
            let resumed = JobView {
                started_from: started_from.clone(),
                verdict: Some(Verdict::Resumed),
                ..now(JobStatus::Running, None)
            };
            assert_eq!(judge(&ledger, &resumed), Fate::Judged(fate), "{started_from:?}");
        }
        let held = JobView { verdict: Some(Verdict::Held), ..now(JobStatus::Suspended, None) };
        assert_eq!(judge(&ledger, &held), Fate::Judged(Verdict::Held), "members know more than a snapshot");
    }

    #[test]
    fn losses_are_what_a_person_must_hear_of() {
        let all = [Fate::Open, Fate::Kept, Fate::Cancelled, Fate::Judged(Verdict::Resumed)];
        assert!(all.into_iter().all(|fate| !fate.is_loss()));
        let losses = [Fate::Short, Fate::Judged(Verdict::Missing), Fate::Judged(Verdict::ResumedFromOlder)];
        assert!(losses.into_iter().all(Fate::is_loss));
    }
}

//! The ledger: every job at the seal, and what became of it.
//!
//! Law: a job that is in the ledger and not in the machine is Missing, never forgotten. Must not know: conditions.

use jet_admin_api::cluster::ClusterView;
use jet_admin_api::job::{JobStatus, JobView, Verdict};

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
    /// `None`: not decided yet.
    pub verdict: Option<Verdict>,
}

/// What became of every job of the ledger that had not ended.
pub fn outcomes(seal: &SealRecord, machine: &ClusterView) -> Vec<Outcome> {
    seal.jobs
        .iter()
        .filter(|job| !ended(job.status))
        .map(|job| {
            let now = machine.jobs.iter().find(|j| j.id == job.id);
            Outcome { name: job.name.clone(), verdict: now.map_or(Some(Verdict::Missing), |now| judge(job, now)) }
        })
        .collect()
}

/// The member's own verdict, checked against the recorded snapshot.
fn judge(job: &LedgerJob, now: &JobView) -> Option<Verdict> {
    // A job that was cancelled by a wish, or is still suspended as it was, has nothing to go on from.
    if now.verdict.is_none() && (ended(now.status) || now.status == JobStatus::Suspended) {
        return Some(Verdict::Resumed);
    }
    let verdict = now.verdict?;
    match (verdict, &job.snapshot, &now.started_from) {
        (Verdict::Resumed, Some(recorded), Some(started)) if started.index < recorded.index => {
            Some(Verdict::ResumedFromOlder)
        }
        (Verdict::Resumed, Some(_), None) if now.status == JobStatus::Running => Some(Verdict::RestartedFromZero),
        _ => Some(verdict),
    }
}

//! Jobs in the status, worst first.
//!
//! Law: bounded; while no member answers the last list stays. Must not know: conditions.

use jet_admin_api::job::{JobStatus, JobView, Verdict};

use crate::api::status::{JOBS_LISTED, JobItem, JobsStatus};
use crate::cluster::evidence::jobs::ended;
use crate::cluster::facts::Facts;

/// Jobs that did not end.
pub fn jobs(facts: &Facts) -> Option<JobsStatus> {
    let machine = facts.machine()?;
    let mut alive: Vec<&JobView> =
        machine.jobs.iter().filter(|job| !ended(job.status) || job.status == JobStatus::Failed).collect();
    alive.sort_by_key(|job| (rank(job), job.id));
    let running = alive.iter().filter(|job| job.status == JobStatus::Running).count();
    Some(JobsStatus {
        summary: format!("{running}/{}", alive.len()),
        total: i32::try_from(alive.len()).unwrap_or(i32::MAX),
        items: alive.iter().take(JOBS_LISTED).map(|job| item(job)).collect(),
    })
}

fn rank(job: &JobView) -> u8 {
    match (job.status, job.verdict) {
        (JobStatus::Failed | JobStatus::Held, _) => 0,
        (_, Some(verdict)) if verdict != Verdict::Resumed => 1,
        (JobStatus::Suspended, _) => 2,
        (JobStatus::Starting | JobStatus::Waiting, _) => 3,
        _ => 4,
    }
}

fn item(job: &JobView) -> JobItem {
    JobItem {
        name: job.name.clone(),
        id: job.id.cast_signed(),
        status: format!("{:?}", job.status),
        // Only snapshots of a stop are shown: others move with every epoch and would rewrite the status all the time.
        snapshot: job.snapshot.as_ref().filter(|s| s.terminal).map(|s| format!("{}/{}", s.execution, s.epoch)),
        verdict: job.verdict.map(|v| format!("{v:?}")),
        cause: job.cause.clone(),
    }
}

//! One JetJob: facts → status.
//!
//! Law: pure; the time is handed in and used only where a condition flips, so that an unchanged world gives an
//! unchanged status; what was asked of the members is told as the object's evidence has it. Must not know: what is done
//! about it.

use jet_admin_api::job::{JobStatus, JobView, SnapshotView, Verdict};

use super::plan::{ClusterFacts, Facts, asked, namesake, ours, sleeper};
use super::resource::{JetJobStatus, JobState, SnapshotStatus};
use crate::api::condition::Condition;

/// Reasons of a JetJob's conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum JobReason {
    Running,
    Starting,
    Suspended,
    SuspendedByFailure,
    ClusterClosed,
    ClusterAbsent,
    ClusterSilent,
    Submitting,
    Refused,
    NameTaken,
    Lost,
    Ended,
    Failed,
    Held,
    NotResumed,
    Kept,
    NoSnapshotYet,
}

/// Phase, reason and sentence.
struct Seen {
    phase: String,
    reason: JobReason,
    message: String,
}

/// The status, given the facts; `refusal`: the members' answer to the last submission.
pub fn report(facts: &Facts, refusal: Option<&str>, now: &str) -> JetJobStatus {
    let mut status = facts.object.status.clone().unwrap_or_default();
    if matches!(facts.cluster, ClusterFacts::Behind { .. }) && status.phase.is_some() {
        // Between two leaders nothing is known that was not known before.
        return status;
    }
    let generation = facts.object.metadata.generation;
    take_back(&mut status, facts);
    let job = match &facts.cluster {
        // One that is ours by its name alone may still be that of a deleted JetJob.
        ClusterFacts::Serving { jobs, .. } if asked(facts).is_some() => ours(facts, jobs),
        _ => None,
    };
    if let Some(job) = job {
        take_over(&mut status, job, facts);
    } else if let Some(sealed) = sleeper(facts).and_then(|job| job.snapshot.as_ref()) {
        status.snapshot = Some(snapshot(sealed));
    }
    let seen = look(facts, job, refusal);
    conditions(&mut status, &seen, generation.unwrap_or(0), now);
    status.phase = Some(seen.phase);
    status.message = seen.message;
    status.observed_generation = generation;
    status
}

/// What a lost status said, as far as it is written elsewhere.
fn take_back(status: &mut JetJobStatus, facts: &Facts) {
    let Some(asked) = asked(facts) else { return };
    let number = |number| i64::try_from(number).ok();
    status.founding_id = Some(asked.founding_id);
    status.submitted_after = number(asked.after);
    status.job_id = asked.number.and_then(number);
}

fn take_over(status: &mut JetJobStatus, job: &JobView, facts: &Facts) {
    status.execution = i64::try_from(job.execution).ok();
    status.guarantee = Some(format!("{:?}", job.guarantee));
    status.snapshot = job.snapshot.as_ref().map(snapshot);
    status.started_from = job.started_from.as_ref().map(snapshot);
    status.verdict = job.verdict.map(|verdict| format!("{verdict:?}"));
    status.suspended_by_wish = suspended_by_wish(job, facts);
}

fn suspended_by_wish(job: &JobView, facts: &Facts) -> bool {
    job.status == JobStatus::Suspended && asked(facts).is_some_and(|asked| asked.suspended_in(job.execution))
}

fn snapshot(view: &SnapshotView) -> SnapshotStatus {
    SnapshotStatus {
        id: format!("{}/{}", view.execution, view.epoch),
        rows_read: i64::try_from(view.rows_read).unwrap_or(i64::MAX),
        bytes: i64::try_from(view.bytes).unwrap_or(i64::MAX),
        digest: view.digest.clone(),
        terminal: view.terminal,
    }
}

fn look(facts: &Facts, job: Option<&JobView>, refusal: Option<&str>) -> Seen {
    let cluster = &facts.object.spec.cluster;
    let seen = |phase: &str, reason, message: String| Seen { phase: phase.to_owned(), reason, message };
    let over = ended_as(facts);
    match (&facts.cluster, job) {
        (_, Some(job)) => look_at(job, facts),
        (ClusterFacts::Closed { .. } | ClusterFacts::Silent { .. }, _) if over.is_some() => {
            seen(over.unwrap_or_default(), JobReason::Ended, "ended before".to_owned())
        }
        (ClusterFacts::Absent, _) => {
            seen("Pending", JobReason::ClusterAbsent, format!("there is no JetCluster {cluster} in this namespace"))
        }
        (ClusterFacts::Closed { why, .. }, _) if asked(facts).is_some_and(|asked| asked.number.is_some()) => seen(
            "Waiting",
            JobReason::ClusterClosed,
            format!("{why}; the job goes on from its snapshot with the cluster's return"),
        ),
        (ClusterFacts::Closed { why, .. }, _) => {
            seen("Pending", JobReason::ClusterClosed, format!("{why}; the job is submitted when the cluster serves"))
        }
        (ClusterFacts::Silent { why } | ClusterFacts::Behind { why }, _) => {
            seen("Pending", JobReason::ClusterSilent, why.clone())
        }
        (ClusterFacts::Serving { founding_id, jobs }, _) => unseen(facts, founding_id, namesake(facts, jobs), refusal),
    }
}

fn unseen(facts: &Facts, founding_id: &str, namesake: Option<&JobView>, refusal: Option<&str>) -> Seen {
    let cluster = &facts.object.spec.cluster;
    let asked = asked(facts);
    let elsewhere = asked.as_ref().is_some_and(|asked| asked.founding_id != founding_id);
    let (phase, reason, message) = if let Some(phase) = ended_as(facts).filter(|_| !elsewhere) {
        (phase, JobReason::Ended, format!("ended, and forgotten by {cluster}, which keeps the last of its ended jobs"))
    } else if elsewhere || asked.is_some_and(|asked| asked.number.is_some()) {
        (
            "Lost",
            JobReason::Lost,
            format!(
                "the job was submitted and {cluster} does not know it any more; it is not started from nothing by itself: \
             delete this JetJob and make it anew if that is what you want"
            ),
        )
    } else if let Some(other) = namesake {
        (
            "Pending",
            JobReason::NameTaken,
            format!(
                "job {} (number {}) has this name and other SQL; choose another name or cancel it",
                other.name, other.id
            ),
        )
    } else if let Some(refusal) = refusal {
        ("Failed", JobReason::Refused, format!("the cluster did not take the job: {refusal}"))
    } else {
        ("Starting", JobReason::Submitting, format!("being submitted to {cluster}"))
    };
    Seen { phase: phase.to_owned(), reason, message }
}

/// A job that was seen to be over is not lost when the cluster lists it no more.
fn ended_as(facts: &Facts) -> Option<&'static str> {
    let phase = facts.object.status.as_ref()?.phase.as_deref();
    ["Completed", "Cancelled"].into_iter().find(|ended| phase == Some(ended))
}

fn look_at(job: &JobView, facts: &Facts) -> Seen {
    let cause = job.cause.clone().unwrap_or_else(|| "no cause given".to_owned());
    let by_wish = facts.object.spec.state == JobState::Suspended;
    let (reason, message) = match job.status {
        JobStatus::Running => (JobReason::Running, "runs".to_owned()),
        JobStatus::Starting => (JobReason::Starting, "waits for its members".to_owned()),
        JobStatus::Waiting => (JobReason::ClusterClosed, "waits for the cluster; it goes on by itself".to_owned()),
        JobStatus::Suspended if by_wish => (JobReason::Suspended, "suspended as asked, with its snapshot".to_owned()),
        JobStatus::Suspended if suspended_by_wish(job, facts) => (JobReason::Starting, "is resumed".to_owned()),
        JobStatus::Suspended => {
            (JobReason::SuspendedByFailure, format!("suspended with its last snapshot after failures: {cause}"))
        }
        JobStatus::Completed => (JobReason::Ended, "its sources are exhausted and everything is published".to_owned()),
        JobStatus::Cancelled => (JobReason::Ended, "cancelled".to_owned()),
        JobStatus::Failed => (JobReason::Failed, cause),
        JobStatus::Held => (JobReason::Held, format!("held until a person decides: {cause}")),
    };
    Seen { phase: format!("{:?}", job.status), reason, message }
}

fn conditions(status: &mut JetJobStatus, seen: &Seen, generation: i64, now: &str) {
    let stalled = matches!(
        seen.reason,
        JobReason::SuspendedByFailure
            | JobReason::Refused
            | JobReason::NameTaken
            | JobReason::Lost
            | JobReason::Failed
            | JobReason::Held
    );
    let ready = matches!(seen.reason, JobReason::Running | JobReason::Suspended | JobReason::Ended);
    let moving = !stalled && !ready && seen.reason != JobReason::ClusterClosed;
    let mut put = |kind: &str, value: Option<bool>, reason: JobReason, message: &str| {
        put(&mut status.conditions, kind, value, reason, message, generation, now);
    };
    put("Ready", Some(ready), seen.reason, &seen.message);
    put("Reconciling", moving.then_some(true), seen.reason, &seen.message);
    put("Stalled", stalled.then_some(true), seen.reason, &seen.message);
    let bad = [Verdict::ResumedFromOlder, Verdict::RestartedFromZero, Verdict::Held, Verdict::Missing, Verdict::Failed];
    let verdict = status.verdict.clone();
    if seen.reason == JobReason::Lost
        || verdict.as_deref().is_some_and(|verdict| bad.iter().any(|bad| format!("{bad:?}") == verdict))
    {
        let message = format!("after the return: {}", verdict.as_deref().unwrap_or("Missing"));
        put("SnapshotKept", Some(false), JobReason::NotResumed, &message);
    } else if let Some(snapshot) = &status.snapshot {
        // The epoch moves every second; a message with it would be a write every second.
        let message =
            if snapshot.terminal { "the last snapshot is the one of a stop" } else { "the last snapshot is durable" };
        put("SnapshotKept", Some(true), JobReason::Kept, message);
    } else {
        put("SnapshotKept", Some(false), JobReason::NoSnapshotYet, "no snapshot is a fact of the cluster yet");
    }
}

fn put(
    conditions: &mut Vec<Condition>,
    kind: &str,
    value: Option<bool>,
    reason: JobReason,
    message: &str,
    generation: i64,
    now: &str,
) {
    let before = conditions.iter().position(|condition| condition.type_ == kind);
    let Some(value) = value else {
        if let Some(at) = before {
            conditions.remove(at);
        }
        return;
    };
    let status = if value { "True" } else { "False" };
    let since = before
        .and_then(|at| conditions.get(at))
        .filter(|old| old.status == status)
        .map(|old| old.last_transition_time.clone());
    let condition = Condition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: format!("{reason:?}"),
        message: message.to_owned(),
        last_transition_time: since.unwrap_or_else(|| now.to_owned()),
        observed_generation: generation,
    };
    match before.and_then(|at| conditions.get_mut(at)) {
        Some(old) => *old = condition,
        None => conditions.push(condition),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::records::WishesRecord;
    use crate::job::evidence::Asked;
    use crate::job::resource::{JetJob, JetJobSpec};

    /// Job 4, which was told to be in this phase, and is in no list.
    fn told(phase: &str, cluster: ClusterFacts) -> Option<String> {
        let (on, sql, state) = ("orders".into(), "…".into(), JobState::Running);
        let spec = JetJobSpec { cluster: on, sql, snapshot_interval_millis: None, state };
        let mut object = JetJob::new("flights", spec);
        let asked = Asked { number: Some(4), ..Asked::submission(&object, "f", 3) };
        let evidence = serde_json::to_string(&asked).unwrap();
        object.metadata.annotations = Some([(crate::api::annotations::JOB_ASKED.into(), evidence)].into());
        object.status = Some(JetJobStatus { phase: Some(phase.into()), ..JetJobStatus::default() });
        let facts = Facts {
            name: "flights".into(),
            object,
            deleting: false,
            finalizer: true,
            namespace_terminating: false,
            cluster,
            kept: WishesRecord::default(),
            ledger: None,
        };
        report(&facts, None, "2030-01-01T00:00:00Z").phase
    }

    #[test]
    fn what_is_over_is_neither_lost_nor_waited_for() {
        let serving = || ClusterFacts::Serving { founding_id: "f".into(), jobs: Vec::new() };
        let closed = || ClusterFacts::Closed { why: "stopped".into(), sealed_by: None };
        let behind = || ClusterFacts::Behind { why: "no leader".into() };
        for (phase, cluster, then) in [
            ("Completed", serving(), "Completed"),
            ("Completed", closed(), "Completed"),
            ("Running", serving(), "Lost"),
            ("Running", closed(), "Waiting"),
            ("Running", behind(), "Running"),
        ] {
            assert_eq!(told(phase, cluster.clone()).as_deref(), Some(then), "{phase} in {cluster:?}");
        }
    }
}

//! One JetJob: facts → one step.
//!
//! Law: pure and total; at most one side effect a pass; what is not known (no member answers) changes nothing.
//! A submitted job that is not found is lost and stays so: submitting it again would start it from nothing.
//! Must not know: how anything is carried out.

use jet_admin_api::job::{JobStatus, JobView, SnapshotView, SubmitJob};
use jet_admin_api::operation::JobWish;

use super::resource::{JetJob, JobState};

/// What is known of the cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum ClusterFacts {
    /// No JetCluster of that name.
    Absent,
    /// It does not serve: stopped, stopping, returning, recovering, not founded.
    Closed {
        /// Why, in words.
        why: String,
        /// Its seal's operation; `None`: no live seal, so nothing can be kept for an activation.
        sealed_by: Option<String>,
    },
    /// Nobody answers, though it should serve.
    Silent {
        /// Why, in words.
        why: String,
    },
    /// It serves.
    Serving {
        /// Its permanent id.
        founding_id: String,
        /// All its jobs.
        jobs: Vec<JobView>,
    },
}

/// Everything that a pass looks at.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The object.
    pub object: JetJob,
    /// Its name.
    pub name: String,
    /// It is being deleted.
    pub deleting: bool,
    /// Our finalizer is on it.
    pub finalizer: bool,
    /// Its namespace is going.
    pub namespace_terminating: bool,
    /// The cluster.
    pub cluster: ClusterFacts,
    /// Wishes that are kept for the activation of that seal.
    pub kept: Vec<JobWish>,
    /// The snapshot in the seal that the job will go on from, while its cluster is stopped.
    pub sealed: Option<SnapshotView>,
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Nothing to do.
    Rest,
    /// Put the finalizer on.
    AddFinalizer,
    /// Take the finalizer off.
    Release,
    /// Keep exactly these wishes for this job, for the activation of that seal.
    KeepWishes {
        /// The seal's operation.
        operation: String,
        /// Of this job; empty: none.
        wishes: Vec<JobWish>,
    },
    /// Remember that a submission to this cluster is under way, before it is sent.
    RecordSubmission {
        /// Permanent id of the cluster.
        founding_id: String,
        /// Highest number among its jobs now; ours will be above.
        after: u64,
    },
    /// Submit.
    Submit(SubmitJob),
    /// Cancel.
    Cancel,
    /// Suspend.
    Suspend,
    /// Resume.
    Resume,
}

/// The step, given the facts.
pub fn plan(facts: &Facts) -> Step {
    if facts.deleting {
        return if facts.finalizer { leave(facts) } else { Step::Rest };
    }
    if !facts.finalizer && !facts.namespace_terminating && facts.cluster != ClusterFacts::Absent {
        return Step::AddFinalizer;
    }
    match &facts.cluster {
        ClusterFacts::Absent | ClusterFacts::Silent { .. } => Step::Rest,
        ClusterFacts::Closed { sealed_by: None, .. } => Step::Rest,
        // Wishes under this name that an object without a job finds are those of a deleted one: not ours to change.
        ClusterFacts::Closed { .. } if number(facts).is_none() => Step::Rest,
        ClusterFacts::Closed { sealed_by: Some(operation), .. } => keep(facts, operation, wish_of(facts)),
        ClusterFacts::Serving { .. } if facts.kept.iter().any(|wish| job_of(wish) == facts.name) => Step::Rest,
        ClusterFacts::Serving { founding_id, jobs } => match ours(facts, jobs) {
            Some(job) => steer(facts, job),
            None => submit(facts, founding_id, jobs),
        },
    }
}

/// The job that this object speaks of. By number once that is known; before, by name: one that is newer than our
/// submission, or (never submitted from here) one that lives and has the same SQL.
pub fn ours<'a>(facts: &Facts, jobs: &'a [JobView]) -> Option<&'a JobView> {
    let after = facts.object.status.as_ref().and_then(|status| status.submitted_after);
    let is_ours = |job: &&JobView| match (number(facts), after) {
        (Some(number), _) => job.id == number,
        (None, Some(after)) => i64::try_from(job.id).is_ok_and(|id| id > after) && job.sql == facts.object.spec.sql,
        (None, None) => job.sql == facts.object.spec.sql && !ended(job.status),
    };
    jobs.iter().filter(|job| job.name == facts.name).filter(is_ours).max_by_key(|job| job.id)
}

/// A job of our name that lives and is not ours.
pub fn namesake<'a>(facts: &Facts, jobs: &'a [JobView]) -> Option<&'a JobView> {
    let ours = ours(facts, jobs).map(|job| job.id);
    jobs.iter().find(|job| job.name == facts.name && Some(job.id) != ours && !ended(job.status))
}

/// The job's number, once it is known.
pub fn number(facts: &Facts) -> Option<u64> {
    facts.object.status.as_ref().and_then(|status| status.job_id).and_then(|id| u64::try_from(id).ok())
}

/// Over and done: nothing of it runs or will run.
pub fn ended(status: JobStatus) -> bool {
    matches!(status, JobStatus::Completed | JobStatus::Cancelled | JobStatus::Failed)
}

fn leave(facts: &Facts) -> Step {
    let submitted = facts.object.status.as_ref().is_some_and(|status| status.founding_id.is_some());
    if facts.namespace_terminating || !submitted {
        return Step::Release;
    }
    match &facts.cluster {
        ClusterFacts::Absent => Step::Release,
        ClusterFacts::Closed { sealed_by: Some(operation), .. } => {
            let cancel = JobWish::Cancel { job: facts.name.clone() };
            match keep(facts, operation, Some(cancel)) {
                Step::Rest => Step::Release,
                step => step,
            }
        }
        ClusterFacts::Closed { sealed_by: None, .. } | ClusterFacts::Silent { .. } => Step::Rest,
        ClusterFacts::Serving { jobs, .. } => match ours(facts, jobs) {
            Some(job) if !ended(job.status) => Step::Cancel,
            _ => Step::Release,
        },
    }
}

fn steer(facts: &Facts, job: &JobView) -> Step {
    let by_wish = facts.object.status.as_ref().is_some_and(|status| status.suspended_by_wish);
    match (facts.object.spec.state, job.status) {
        (JobState::Suspended, JobStatus::Starting | JobStatus::Running) => Step::Suspend,
        // One that suspended itself after failures is a person's to look at: resuming it here would loop.
        (JobState::Running, JobStatus::Suspended) if by_wish => Step::Resume,
        _ => Step::Rest,
    }
}

fn submit(facts: &Facts, founding_id: &str, jobs: &[JobView]) -> Step {
    // It was there and is gone, or was on a cluster of this name that is no more: never again from nothing.
    if number(facts).is_some() || namesake(facts, jobs).is_some() {
        return Step::Rest;
    }
    let status = facts.object.status.as_ref();
    match status.and_then(|status| status.founding_id.as_deref()) {
        None => Step::RecordSubmission {
            founding_id: founding_id.to_owned(),
            after: jobs.iter().map(|job| job.id).max().unwrap_or(0),
        },
        Some(known) if known == founding_id => {
            let spec = &facts.object.spec;
            Step::Submit(SubmitJob {
                name: facts.name.clone(),
                sql: spec.sql.clone(),
                snapshot_interval_ms: spec.snapshot_interval_millis.and_then(|millis| u64::try_from(millis).ok()),
            })
        }
        Some(_) => Step::Rest,
    }
}

/// What this object wishes of a job that sleeps with its cluster; `None`: nothing but what it was.
fn wish_of(facts: &Facts) -> Option<JobWish> {
    let status = facts.object.status.as_ref()?;
    let job = facts.name.clone();
    match (facts.object.spec.state, status.suspended_by_wish) {
        (JobState::Suspended, false) => Some(JobWish::Suspend { job }),
        (JobState::Running, true) => Some(JobWish::Resume { job }),
        _ => None,
    }
}

fn keep(facts: &Facts, operation: &str, wish: Option<JobWish>) -> Step {
    let wished: Vec<_> = wish.into_iter().collect();
    let kept: Vec<_> = facts.kept.iter().filter(|kept| job_of(kept) == facts.name).cloned().collect();
    if kept == wished {
        return Step::Rest;
    }
    Step::KeepWishes { operation: operation.to_owned(), wishes: wished }
}

/// The job that a wish is about.
pub fn job_of(wish: &JobWish) -> &str {
    match wish {
        JobWish::Cancel { job } | JobWish::Suspend { job } | JobWish::Resume { job } => job,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::resource::{JetJobSpec, JetJobStatus};
    use jet_admin_api::job::Guarantee;

    const SQL: &str = "CREATE JOB flights AS INSERT INTO counts SELECT 1";

    fn view(id: u64, status: JobStatus) -> JobView {
        JobView {
            id,
            name: "flights".into(),
            sql: SQL.into(),
            guarantee: Guarantee::ExactlyOnce,
            status,
            execution: 1,
            failures: 0,
            cause: None,
            snapshot: None,
            started_from: None,
            verdict: None,
        }
    }

    fn facts(cluster: ClusterFacts) -> Facts {
        let spec = JetJobSpec {
            cluster: "orders".into(),
            sql: SQL.into(),
            snapshot_interval_millis: None,
            state: JobState::Running,
        };
        Facts {
            object: JetJob::new("flights", spec),
            name: "flights".into(),
            deleting: false,
            finalizer: true,
            namespace_terminating: false,
            cluster,
            kept: Vec::new(),
            sealed: None,
        }
    }

    fn serving(jobs: Vec<JobView>) -> ClusterFacts {
        ClusterFacts::Serving { founding_id: "f".into(), jobs }
    }

    fn stopped() -> ClusterFacts {
        ClusterFacts::Closed { why: "stopped".into(), sealed_by: Some("4-ab".into()) }
    }

    fn submitted(mut facts: Facts, job_id: Option<i64>) -> Facts {
        facts.object.status = Some(JetJobStatus {
            founding_id: Some("f".into()),
            submitted_after: Some(3),
            job_id,
            ..JetJobStatus::default()
        });
        facts
    }

    fn cancel() -> JobWish {
        JobWish::Cancel { job: "flights".into() }
    }

    #[test]
    fn a_new_job_is_recorded_then_submitted_then_left_alone() {
        let mut new = facts(serving(vec![view(3, JobStatus::Cancelled)]));
        new.finalizer = false;
        assert_eq!(plan(&new), Step::AddFinalizer);
        new.finalizer = true;
        assert_eq!(plan(&new), Step::RecordSubmission { founding_id: "f".into(), after: 3 });
        let recorded = submitted(new, None);
        assert!(matches!(plan(&recorded), Step::Submit(job) if job.name == "flights" && job.sql == SQL));
        let there = submitted(facts(serving(vec![view(3, JobStatus::Cancelled), view(4, JobStatus::Running)])), None);
        assert_eq!(plan(&there), Step::Rest);
        assert_eq!(
            ours(&there, &[view(3, JobStatus::Cancelled), view(4, JobStatus::Running)]).map(|job| job.id),
            Some(4)
        );
    }

    #[test]
    fn a_job_that_was_there_and_is_gone_is_never_submitted_again() {
        assert_eq!(plan(&submitted(facts(serving(vec![])), Some(4))), Step::Rest);
        let mut elsewhere = submitted(facts(serving(vec![])), None);
        elsewhere.object.status.as_mut().unwrap().founding_id = Some("another".into());
        assert_eq!(plan(&elsewhere), Step::Rest);
    }

    #[test]
    fn a_namesake_is_not_ours() {
        let mut other = view(7, JobStatus::Running);
        other.sql = "CREATE JOB flights AS INSERT INTO x SELECT 2".into();
        assert_eq!(plan(&facts(serving(vec![other.clone()]))), Step::Rest);
        assert_eq!(
            ours(&submitted(facts(serving(vec![])), None), std::slice::from_ref(&other)),
            None,
            "newer, but other SQL"
        );
        let mut leaving = submitted(facts(serving(vec![other])), Some(4));
        leaving.deleting = true;
        assert_eq!(plan(&leaving), Step::Release, "another one's job is not cancelled");
        assert_eq!(plan(&facts(serving(vec![view(9, JobStatus::Running)]))), Step::Rest, "one made by SQL is adopted");
    }

    #[test]
    fn suspension_is_taken_back_only_if_it_was_asked_for_here() {
        let mut running = submitted(facts(serving(vec![view(4, JobStatus::Running)])), Some(4));
        running.object.spec.state = JobState::Suspended;
        assert_eq!(plan(&running), Step::Suspend);
        let mut suspended = submitted(facts(serving(vec![view(4, JobStatus::Suspended)])), Some(4));
        assert_eq!(plan(&suspended), Step::Rest, "it suspended itself");
        suspended.object.status.as_mut().unwrap().suspended_by_wish = true;
        assert_eq!(plan(&suspended), Step::Resume);
    }

    #[test]
    fn deletion_cancels_or_keeps_the_cancellation() {
        let gone = |cluster, job_id| {
            let mut facts = submitted(facts(cluster), job_id);
            facts.deleting = true;
            facts
        };
        assert_eq!(plan(&gone(serving(vec![view(4, JobStatus::Running)]), Some(4))), Step::Cancel);
        assert_eq!(plan(&gone(serving(vec![view(4, JobStatus::Cancelled)]), Some(4))), Step::Release);
        assert_eq!(plan(&gone(ClusterFacts::Absent, Some(4))), Step::Release);
        assert_eq!(plan(&gone(ClusterFacts::Silent { why: String::new() }, Some(4))), Step::Rest);
        let mut stopped_one = gone(stopped(), Some(4));
        assert_eq!(plan(&stopped_one), Step::KeepWishes { operation: "4-ab".into(), wishes: vec![cancel()] });
        stopped_one.kept = vec![cancel()];
        assert_eq!(plan(&stopped_one), Step::Release);
        let mut namespace = gone(stopped(), Some(4));
        namespace.namespace_terminating = true;
        assert_eq!(plan(&namespace), Step::Release);
    }

    #[test]
    fn a_new_object_neither_erases_nor_outruns_the_cancellation_of_its_predecessor() {
        let mut new = facts(stopped());
        new.kept = vec![cancel()];
        assert_eq!(plan(&new), Step::Rest);
        new.cluster = serving(vec![view(4, JobStatus::Running)]);
        assert_eq!(plan(&new), Step::Rest, "until the kept wish is settled");
    }

    #[test]
    fn wishes_while_stopped_are_kept_and_taken_back() {
        let mut asleep = submitted(facts(stopped()), Some(4));
        assert_eq!(plan(&asleep), Step::Rest);
        asleep.object.spec.state = JobState::Suspended;
        let suspend = JobWish::Suspend { job: "flights".into() };
        assert_eq!(plan(&asleep), Step::KeepWishes { operation: "4-ab".into(), wishes: vec![suspend.clone()] });
        asleep.kept = vec![suspend];
        assert_eq!(plan(&asleep), Step::Rest);
        asleep.object.spec.state = JobState::Running;
        assert_eq!(plan(&asleep), Step::KeepWishes { operation: "4-ab".into(), wishes: vec![] });
        let closing = submitted(facts(ClusterFacts::Closed { why: "stopping".into(), sealed_by: None }), Some(4));
        assert_eq!(plan(&closing), Step::Rest);
    }
}

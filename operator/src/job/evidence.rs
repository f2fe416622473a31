//! What was asked of the members for a JetJob: written on it before it is asked, and there when its status is lost.
//!
//! Law: it outranks the status; what is on a copy of the object says nothing, because the copy has another uid. Must not
//! know: what is asked next.

use kube::ResourceExt;
use serde::{Deserialize, Serialize};

use super::resource::JetJob;
use crate::api::annotations::JOB_ASKED;

/// The evidence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// Of the JetJob that it was written for.
    pub uid: String,
    /// Permanent id of the cluster that a submission was sent to.
    pub founding_id: String,
    /// Highest number among its jobs before that; ours is above.
    pub after: u64,
    /// The job's number, once the leader has shown it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The execution whose suspension was asked for last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<u64>,
}

impl Asked {
    /// Nothing but that a submission is under way.
    pub fn submission(job: &JetJob, founding_id: &str, after: u64) -> Self {
        Self { uid: job.uid().unwrap_or_default(), founding_id: founding_id.to_owned(), after, ..Self::default() }
    }

    /// A job that is suspended in this execution is so because of us. It may have begun another run between our look and
    /// the command; by itself it is suspended after three failures, and each of them begins another execution.
    pub fn suspended_in(&self, execution: u64) -> bool {
        self.suspended.is_some_and(|asked| asked == execution || asked + 1 == execution)
    }
}

/// As it is written on the object.
pub fn written(job: &JetJob) -> Option<Asked> {
    let asked: Asked = serde_json::from_str(job.annotations().get(JOB_ASKED)?).ok()?;
    (job.uid().unwrap_or_default() == asked.uid).then_some(asked)
}

/// What is known: as written, else from the status of an operator that wrote nothing else.
pub fn known(job: &JetJob) -> Option<Asked> {
    written(job).or_else(|| {
        let status = job.status.as_ref()?;
        let number = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
        let asked = Asked::submission(job, status.founding_id.as_deref()?, number(status.submitted_after).unwrap_or(0));
        let suspended = status.suspended_by_wish.then(|| number(status.execution).unwrap_or(0));
        Some(Asked { number: number(status.job_id), suspended, ..asked })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::resource::{JetJobSpec, JetJobStatus, JobState};

    fn job(uid: &str) -> JetJob {
        let spec = JetJobSpec {
            cluster: "orders".into(),
            sql: "…".into(),
            snapshot_interval_millis: None,
            state: JobState::Running,
        };
        let mut job = JetJob::new("flights", spec);
        job.metadata.uid = Some(uid.into());
        job
    }

    #[test]
    fn a_copy_of_an_object_was_not_asked_for_anything() {
        let asked = Asked { number: Some(4), ..Asked::submission(&job("u1"), "f", 3) };
        let on = |uid: &str| {
            let mut job = job(uid);
            job.annotations_mut().insert(JOB_ASKED.into(), serde_json::to_string(&asked).unwrap());
            job
        };
        assert_eq!(known(&on("u1")), Some(asked.clone()));
        assert_eq!(known(&on("u2")), None);
    }

    #[test]
    fn a_status_counts_where_nothing_is_written() {
        let mut old = job("u1");
        assert_eq!(known(&old), None);
        old.status = Some(JetJobStatus {
            founding_id: Some("f".into()),
            submitted_after: Some(3),
            job_id: Some(4),
            execution: Some(7),
            suspended_by_wish: true,
            ..JetJobStatus::default()
        });
        let asked = Asked { number: Some(4), suspended: Some(7), ..Asked::submission(&old, "f", 3) };
        assert_eq!((known(&old), written(&old)), (Some(asked), None));
    }

    #[test]
    fn a_suspension_is_known_by_its_execution() {
        let asked = Asked { suspended: Some(4), ..Asked::default() };
        assert_eq!([3, 4, 5, 6].map(|execution| asked.suspended_in(execution)), [false, true, true, false]);
        assert!(!Asked::default().suspended_in(0));
    }
}

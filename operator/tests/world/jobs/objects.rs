//! What people do to JetJobs.
//!
//! Law: a deleted object stays until its last finalizer is off; each write has a new resourceVersion. Must not know: the
//! operator.

use jet_admin_api::job::{JobStatus, JobView};
use jet_operator::job::JetJob;
use jet_operator::job::resource::JobState;
use kube::ResourceExt;
use serde_json::json;

use crate::world::{State, World};

impl State {
    pub fn live_job(&self, name: &str) -> Option<&JobView> {
        let jobs = self.machine.iter().flat_map(|machine| &machine.jobs);
        jobs.filter(|job| job.name == name).max_by_key(|job| job.id)
    }

    /// A write to a JetJob.
    fn touch(&mut self, name: &str, write: impl FnOnce(&mut JetJob)) {
        let rv = self.bump().to_string();
        if let Some(job) = self.jobs.objects.get_mut(name) {
            write(job);
            job.metadata.resource_version = Some(rv);
        }
    }
}

impl World {
    /// `kubectl create`. A job of that name that was submitted by hand and has the same SQL is this one's from here on.
    pub fn create_job(&self, name: &str, sql: &str) {
        let mut state = self.lock();
        let (uid, rv) = (state.next("job"), state.bump().to_string());
        let job = json!({
            "apiVersion": "jet.lossless.dev/v1alpha1", "kind": "JetJob",
            "metadata": { "name": name, "namespace": "prod", "uid": uid, "resourceVersion": rv, "generation": 1 },
            "spec": { "cluster": "orders", "sql": sql },
        });
        let known = state.jobs.objects.insert(name.into(), serde_json::from_value(job).unwrap());
        assert!(known.is_none(), "JetJob {name} exists");
        let by_hand = state.live_job(name).filter(|job| job.sql == sql).map(|job| job.id);
        if let Some(number) = by_hand {
            state.jobs.of.entry(number).or_insert(uid);
        }
    }

    /// `kubectl patch`.
    pub fn set_job_state(&self, name: &str, wished: JobState) {
        let mut state = self.lock();
        state.touch(name, |job| {
            job.spec.state = wished;
            job.metadata.generation = job.metadata.generation.map(|generation| generation + 1);
        });
        let uid = state.jobs.objects.get(name).and_then(|job| job.uid()).unwrap_or_default();
        match wished {
            JobState::Suspended => state.jobs.to_suspend.insert(uid),
            JobState::Running => state.jobs.to_resume.insert(uid),
        };
    }

    /// `kubectl delete`.
    pub fn delete_job(&self, name: &str) {
        let mut state = self.lock();
        let now = jiff::Timestamp::from_second(state.now).unwrap_or_default();
        state.touch(name, |job| {
            job.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now));
        });
        let Some(job) = state.jobs.objects.get(name) else { return };
        let (uid, held) = (job.uid().unwrap_or_default(), !job.finalizers().is_empty());
        state.jobs.deleted.insert(uid);
        if !held {
            state.jobs.objects.remove(name);
        }
    }

    /// The status is lost.
    pub fn erase_job_status(&self, name: &str) {
        self.lock().touch(name, |job| job.status = None);
    }

    pub fn job_object(&self, name: &str) -> Option<JetJob> {
        self.lock().jobs.objects.get(name).cloned()
    }

    /// As the operator tells it; empty: there is none, or it does not say.
    pub fn job_phase(&self, name: &str) -> String {
        self.job_object(name).and_then(|job| job.status?.phase).unwrap_or_default()
    }

    /// As the members have the newest of that name.
    pub fn job_status(&self, name: &str) -> Option<JobStatus> {
        self.lock().live_job(name).map(|job| job.status)
    }
}

//! Where a flow ends: what must be the same with and without faults, and what was done on the way there.
//!
//! Law: no id, no time, no wording; every count is of effects that changed something. Must not know: faults.

use std::collections::BTreeMap;

use jet_admin_api::job::JobStatus;
use jet_operator::api::annotations as keys;
use jet_operator::job::JetJob;
use kube::ResourceExt;

use super::World;

/// Job, status, executions, and whether it went on from its own snapshot: the last two of those that did not end.
type Ran = (String, String, Option<(u64, bool)>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// Phase of the resource; `None`: it is gone.
    phase: Option<String>,
    /// Condition → status and reason.
    conditions: BTreeMap<String, (String, String)>,
    replicas: Option<i32>,
    /// Stamps on the StatefulSet.
    stamps: Vec<String>,
    /// State, generation and whether clients are served.
    machine: Option<(String, u64, bool)>,
    /// Foundings, operations begun, committed and activated.
    pub done: [u32; 4],
    jobs: Vec<Ran>,
    jet_jobs: Vec<JobEnd>,
    /// Jobs submitted, cancelled, suspended, resumed.
    done_to_jobs: [u32; 4],
    /// Wishes about jobs that are kept.
    kept: bool,
    /// A wish stands on the resource; wishes that were written for requests; whether the last one was answered.
    asked: (bool, u32, bool),
    /// Seals that are kept.
    seals: usize,
    /// Generation of the newest roster: one may be recorded twice by who looks at old evidence, and says the same.
    recorded: Option<u64>,
    pods: usize,
    /// Claims with a store, stamped, sealed.
    claims: [usize; 3],
}

/// A JetJob.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobEnd {
    name: String,
    phase: Option<String>,
    conditions: BTreeMap<String, (String, String)>,
    /// It is known which job is its own, it has the finalizer, and its job was suspended by its wish.
    marks: [bool; 3],
}

impl JobEnd {
    fn of(job: &JetJob) -> Self {
        let status = job.status.clone().unwrap_or_default();
        let conditions = status.conditions.into_iter().map(|c| (c.type_, (c.status, c.reason)));
        Self {
            name: job.name_any(),
            phase: status.phase,
            conditions: conditions.collect(),
            marks: [status.job_id.is_some(), !job.finalizers().is_empty(), status.suspended_by_wish],
        }
    }
}

impl End {
    pub fn of(world: &World) -> Self {
        let state = world.lock();
        let status = state.cluster.as_ref().and_then(|cluster| cluster.status.as_ref());
        let machine = state.machine.as_ref();
        let evidence = state.facts().evidence;
        let claims = || state.claims.values();
        Self {
            phase: status.and_then(|status| status.phase.clone()),
            conditions: status
                .into_iter()
                .flat_map(|status| &status.conditions)
                .map(|c| (c.type_.clone(), (c.status.clone(), c.reason.clone())))
                .collect(),
            asked: (
                state.cluster.as_ref().is_some_and(|c| c.annotations().contains_key(keys::MAINTENANCE)),
                state.wishes,
                machine.and_then(|m| m.request.as_ref()?.answer.as_ref()).is_some(),
            ),
            replicas: state.set.as_ref().map(|set| set.replicas),
            stamps: state.set.iter().flat_map(|set| set.stamps()).collect(),
            machine: machine.map(|m| (format!("{:?}", m.state), m.generation, m.doors)),
            done: [state.foundings, state.begun, state.commits, machine.map_or(0, |m| m.activations)],
            jobs: machine
                .iter()
                .flat_map(|m| &m.jobs)
                .map(|j| {
                    let goes_on = !matches!(j.status, JobStatus::Cancelled | JobStatus::Completed);
                    let runs = goes_on.then(|| (j.execution, j.started_from == j.snapshot));
                    (j.name.clone(), format!("{:?}", j.status), runs)
                })
                .collect(),
            jet_jobs: state.jobs.objects.values().map(JobEnd::of).collect(),
            done_to_jobs: state.jobs.done,
            kept: state.maps.contains_key("orders-wishes"),
            recorded: evidence.roster().map(|kept| kept.record.generation),
            seals: evidence.seals.len(),
            pods: state.pods.len(),
            claims: [
                claims().filter(|claim| claim.store.founding.is_some()).count(),
                claims().filter(|claim| claim.stamp.is_some()).count(),
                claims().filter(|claim| claim.store.seal.is_some()).count(),
            ],
        }
    }

    /// Lines that differ in `other`, for people.
    pub fn unlike(&self, other: &Self) -> String {
        let (own, others) = (format!("{self:#?}"), format!("{other:#?}"));
        let missing = own.lines().filter(|line| !others.lines().any(|other| other == *line));
        let strange = others.lines().filter(|line| !own.lines().any(|own| own == *line));
        let said: Vec<_> = missing.map(|l| format!("\n  - {l}")).chain(strange.map(|l| format!("\n  + {l}"))).collect();
        said.concat()
    }

    /// Nothing of an operation was done.
    pub fn nothing_was_begun(&self) -> bool {
        self.done == [1, 0, 0, 0]
            && self.machine.as_ref().is_some_and(|(_, generation, doors)| *generation == 1 && *doors)
    }
}

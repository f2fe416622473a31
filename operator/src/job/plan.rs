//! One JetJob: facts → one step.
//!
//! Law: pure and total; at most one side effect a pass, and what is asked is written down before; what is not known (no
//! leader answers) changes nothing. A submitted job that is not found is lost and stays so: submitting it again would
//! start it from nothing. Must not know: how anything is carried out.

use jet_admin_api::job::{JobStatus, JobView, SubmitJob};
use jet_admin_api::operation::JobWish;

use super::evidence::{self, Asked};
use super::resource::{JetJob, JobState};
use super::wishes;
use crate::api::records::{KeptWish, LedgerJob, WishesRecord};

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
    /// It serves, and its leader does not answer.
    Behind {
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
    /// Wishes that are kept for an activation.
    pub kept: WishesRecord,
    /// The jobs in the live seal; `None`: there is none, or it cannot be read.
    pub ledger: Option<Vec<LedgerJob>>,
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
    /// Keep exactly this wish for this job, for the activation of that seal.
    Keep {
        /// The seal's operation.
        operation: String,
        /// The job's number, as far as it is known.
        number: Option<u64>,
        /// `None`: none.
        wish: Option<KeptWish>,
    },
    /// Write down what will be asked, or what was learned of the job, before anything rests on it.
    Record(Asked),
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
        ClusterFacts::Absent | ClusterFacts::Silent { .. } | ClusterFacts::Behind { .. } => Step::Rest,
        ClusterFacts::Closed { sealed_by: None, .. } => Step::Rest,
        ClusterFacts::Closed { sealed_by: Some(operation), .. } => asleep(facts, operation),
        // Also those of a deleted JetJob of this name: its job is not ours to adopt.
        ClusterFacts::Serving { .. } if facts.kept.wishes.iter().any(|kept| job_of(&kept.wish) == facts.name) => {
            Step::Rest
        }
        ClusterFacts::Serving { founding_id, jobs } => match ours(facts, jobs) {
            Some(job) => steer(facts, founding_id, job),
            None => submit(facts, founding_id, jobs),
        },
    }
}

/// What was asked of the members for this object.
pub fn asked(facts: &Facts) -> Option<Asked> {
    evidence::known(&facts.object)
}

/// The job that this object speaks of. By number once that is known; before, by name: one that is newer than our
/// submission, or (never submitted from here) one that lives and has the same SQL.
pub fn ours<'a>(facts: &Facts, jobs: &'a [JobView]) -> Option<&'a JobView> {
    let asked = asked(facts);
    let is_ours = |job: &&JobView| match &asked {
        Some(Asked { number: Some(number), .. }) => job.id == *number,
        Some(asked) => job.id > asked.after && job.sql == facts.object.spec.sql,
        None => job.sql == facts.object.spec.sql && !ended(job.status),
    };
    jobs.iter().filter(|job| job.name == facts.name).filter(is_ours).max_by_key(|job| job.id)
}

/// A job of our name that lives and is not ours.
pub fn namesake<'a>(facts: &Facts, jobs: &'a [JobView]) -> Option<&'a JobView> {
    let ours = ours(facts, jobs).map(|job| job.id);
    jobs.iter().find(|job| job.name == facts.name && Some(job.id) != ours && !ended(job.status))
}

/// Our job as the live seal has it.
pub fn sleeper(facts: &Facts) -> Option<&LedgerJob> {
    let asked = asked(facts)?;
    let is_ours = |job: &&LedgerJob| match asked.number {
        Some(number) => job.id == number,
        None => job.id > asked.after && job.name == facts.name,
    };
    facts.ledger.iter().flatten().filter(is_ours).max_by_key(|job| job.id)
}

/// Over and done: nothing of it runs or will run.
pub fn ended(status: JobStatus) -> bool {
    matches!(status, JobStatus::Completed | JobStatus::Cancelled | JobStatus::Failed)
}

fn leave(facts: &Facts) -> Step {
    if facts.namespace_terminating || asked(facts).is_none() {
        return Step::Release;
    }
    match &facts.cluster {
        ClusterFacts::Absent => Step::Release,
        ClusterFacts::Closed { sealed_by: Some(operation), .. } => {
            let sleeper = sleeper(facts);
            let nothing = facts.ledger.is_some() && sleeper.is_none_or(|job| ended(job.status));
            let cancel = (!nothing).then(|| JobWish::Cancel { job: facts.name.clone() });
            match keep(facts, operation, cancel) {
                Step::Rest => Step::Release,
                step => step,
            }
        }
        ClusterFacts::Closed { sealed_by: None, .. } | ClusterFacts::Silent { .. } | ClusterFacts::Behind { .. } => {
            Step::Rest
        }
        ClusterFacts::Serving { jobs, .. } => match ours(facts, jobs) {
            Some(job) if !ended(job.status) => Step::Cancel,
            _ => Step::Release,
        },
    }
}

fn steer(facts: &Facts, founding_id: &str, job: &JobView) -> Step {
    let adopted = || Asked::submission(&facts.object, founding_id, job.id.saturating_sub(1));
    let mut asked = asked(facts).unwrap_or_else(adopted);
    asked.number = Some(job.id);
    let suspended = facts.object.spec.state == JobState::Suspended;
    if suspended && !ended(job.status) {
        asked.suspended = Some(job.execution);
    }
    if evidence::written(&facts.object).as_ref() != Some(&asked) {
        return Step::Record(asked);
    }
    match job.status {
        JobStatus::Starting | JobStatus::Running if suspended => Step::Suspend,
        // One that suspended itself after failures is a person's to look at: resuming it here would loop.
        JobStatus::Suspended if !suspended && asked.suspended_in(job.execution) => Step::Resume,
        _ => Step::Rest,
    }
}

fn submit(facts: &Facts, founding_id: &str, jobs: &[JobView]) -> Step {
    // It was there and is gone, or was on a cluster of this name that is no more: never again from nothing.
    let asked = asked(facts);
    if asked.as_ref().is_some_and(|asked| asked.number.is_some()) || namesake(facts, jobs).is_some() {
        return Step::Rest;
    }
    let Some(asked) = asked else {
        let after = jobs.iter().map(|job| job.id).max().unwrap_or(0);
        return Step::Record(Asked::submission(&facts.object, founding_id, after));
    };
    if asked.founding_id != founding_id {
        return Step::Rest;
    }
    if evidence::written(&facts.object).as_ref() != Some(&asked) {
        return Step::Record(asked);
    }
    let spec = &facts.object.spec;
    Step::Submit(SubmitJob {
        name: facts.name.clone(),
        sql: spec.sql.clone(),
        snapshot_interval_ms: spec.snapshot_interval_millis.and_then(|millis| u64::try_from(millis).ok()),
    })
}

/// Wishes for a job that sleeps with its cluster.
fn asleep(facts: &Facts, operation: &str) -> Step {
    // Wishes under this name that an object without a job finds are those of a deleted one: not ours to change.
    let Some(asked) = asked(facts) else { return Step::Rest };
    let sleeper = sleeper(facts);
    if sleeper.is_none() && (facts.ledger.is_some() || asked.number.is_none()) {
        return Step::Rest;
    }
    let wish = wish_of(facts, &asked, sleeper);
    if matches!(wish, Some(JobWish::Suspend { .. })) {
        let execution = last_execution(facts, sleeper);
        let asked = Asked { number: asked.number.or(sleeper.map(|job| job.id)), suspended: Some(execution), ..asked };
        if evidence::written(&facts.object).as_ref() != Some(&asked) {
            return Step::Record(asked);
        }
    }
    keep(facts, operation, wish)
}

/// What this object wishes of its job; `None`: nothing but what it was.
fn wish_of(facts: &Facts, asked: &Asked, sleeper: Option<&LedgerJob>) -> Option<JobWish> {
    let (job, status) = (facts.name.clone(), sleeper.map(|job| job.status));
    if status.is_some_and(ended) {
        return None;
    }
    let sleeps_suspended = status.is_none_or(|status| status == JobStatus::Suspended);
    match facts.object.spec.state {
        JobState::Suspended if status != Some(JobStatus::Suspended) => Some(JobWish::Suspend { job }),
        JobState::Running if sleeps_suspended && asked.suspended_in(last_execution(facts, sleeper)) => {
            Some(JobWish::Resume { job })
        }
        _ => None,
    }
}

/// The execution that the job was in when its cluster stopped. Its terminal snapshot tells; of one that did not run, who
/// saw it last.
fn last_execution(facts: &Facts, sleeper: Option<&LedgerJob>) -> u64 {
    let snapshot = sleeper.and_then(|job| job.snapshot.as_ref());
    let seen = facts.object.status.as_ref().and_then(|status| status.execution);
    let terminal = snapshot.filter(|snapshot| snapshot.terminal).map(|snapshot| snapshot.execution);
    let seen = seen.and_then(|seen| u64::try_from(seen).ok());
    terminal.max(seen).or(snapshot.map(|snapshot| snapshot.execution)).unwrap_or(0)
}

fn keep(facts: &Facts, operation: &str, wish: Option<JobWish>) -> Step {
    let number = asked(facts).and_then(|asked| asked.number).or(sleeper(facts).map(|job| job.id));
    let wished = wish.map(|wish| KeptWish { wish, number });
    // A record of another seal keeps nothing for the activation of this one.
    let of_this = facts.kept.wishes.iter().filter(|_| facts.kept.operation == operation);
    let mut kept = of_this.filter(|kept| wishes::is_about(kept, &facts.name, number));
    if kept.next() == wished.as_ref() && kept.next().is_none() {
        return Step::Rest;
    }
    Step::Keep { operation: operation.to_owned(), number, wish: wished }
}

/// The job that a wish is about.
pub fn job_of(wish: &JobWish) -> &str {
    match wish {
        JobWish::Cancel { job } | JobWish::Suspend { job } | JobWish::Resume { job } => job,
    }
}

#[cfg(test)]
mod tests;

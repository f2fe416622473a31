//! What people do to JetJobs, and what becomes of these when their cluster stops.
//!
//! Law: a flow names its goals and nothing of the way there. Where people do something the moment that members have done
//! something, the goal is the members' word and not the operator's. Must not know: faults.

use jet_admin_api::job::JobStatus;
use jet_operator::job::resource::JobState;

use crate::world::World;
use crate::world::flows::{Flow, ask, serves, stopped, withdraw};
use crate::world::run::{Held, Run};

const SQL: &str = "CREATE JOB counts AS INSERT INTO counts SELECT 1";
const OTHER_SQL: &str = "CREATE JOB counts AS INSERT INTO counts SELECT 2";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobFlow {
    Submitted,
    Suspended,
    TakenBack,
    Deleted,
    DeletedAtOnce,
    Replaced,
    MadeAnew,
    Ended,
    Failed,
    Adopted,
    Slept,
    WishedAsleep,
    WishTakenBack,
    DeletedInTheReturn,
    NameTakenByHand,
}

impl JobFlow {
    pub const ALL: [JobFlow; 15] = [
        JobFlow::Submitted,
        JobFlow::Suspended,
        JobFlow::TakenBack,
        JobFlow::Deleted,
        JobFlow::DeletedAtOnce,
        JobFlow::Replaced,
        JobFlow::MadeAnew,
        JobFlow::Ended,
        JobFlow::Failed,
        JobFlow::Adopted,
        JobFlow::Slept,
        JobFlow::WishedAsleep,
        JobFlow::WishTakenBack,
        JobFlow::DeletedInTheReturn,
        JobFlow::NameTakenByHand,
    ];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            JobFlow::Submitted => "a JetJob is created",
            JobFlow::Suspended => "a JetJob is suspended, then resumed",
            JobFlow::TakenBack => "a JetJob is to run again the moment its job is suspended",
            JobFlow::Deleted => "a JetJob is deleted",
            JobFlow::DeletedAtOnce => "a JetJob is deleted the moment its job is taken",
            JobFlow::Replaced => "a JetJob is replaced by one with other SQL",
            JobFlow::MadeAnew => "a JetJob is deleted and made anew, twice",
            JobFlow::Ended => "a job ends by itself",
            JobFlow::Failed => "a job suspends itself after failures, and is resumed by a person",
            JobFlow::Adopted => "a JetJob for a job that was made by hand, and its deletion",
            JobFlow::Slept => "stop and return with JetJobs, one of them suspended",
            JobFlow::WishedAsleep => "stop and return with JetJobs, each wished something in between",
            JobFlow::WishTakenBack => {
                "a suspension wished while the cluster is stopped is taken back when it is granted"
            }
            JobFlow::DeletedInTheReturn => "a JetJob is deleted in the return",
            JobFlow::NameTakenByHand => {
                "a JetJob is deleted while its cluster is stopped, and its name taken by hand after the return"
            }
        }
    }

    /// The cluster stops and returns in it.
    pub fn stops(self) -> bool {
        self >= JobFlow::Slept
    }

    /// What was there before.
    pub async fn prepare(self, run: &mut Run) -> Held {
        match self {
            JobFlow::Submitted | JobFlow::DeletedAtOnce | JobFlow::Ended | JobFlow::Adopted => Ok(()),
            JobFlow::Slept => prepared(run, &["goes", "sleeps"]).await,
            JobFlow::WishedAsleep => prepared(run, &["goes", "ends", "sleeps", "waits"]).await,
            // Once it was suspended from here, and that is over.
            JobFlow::Failed => {
                submitted(run).await?;
                suspended_and_resumed(run).await
            }
            _ => submitted(run).await,
        }
    }

    pub async fn go(self, run: &mut Run) -> Held {
        match self {
            JobFlow::Submitted => submitted(run).await,
            JobFlow::Suspended => suspended_and_resumed(run).await,
            JobFlow::TakenBack => suspension_taken_back(run).await,
            JobFlow::Deleted => deleted(run).await,
            JobFlow::DeletedAtOnce => deleted_at_once(run).await,
            JobFlow::Replaced => replaced(run).await,
            JobFlow::MadeAnew => made_anew(run).await,
            JobFlow::Ended => ended(run).await,
            JobFlow::Failed => failed(run).await,
            JobFlow::Adopted => adopted(run).await,
            JobFlow::Slept => slept(run).await,
            JobFlow::WishedAsleep => wished_asleep(run).await,
            JobFlow::WishTakenBack => wish_taken_back_late(run).await,
            JobFlow::DeletedInTheReturn => deleted_in_the_return(run).await,
            JobFlow::NameTakenByHand => name_taken_by_hand(run).await,
        }
    }
}

impl From<JobFlow> for Flow {
    fn from(flow: JobFlow) -> Self {
        Flow::Job(flow)
    }
}

/// The operator tells this phase.
async fn told(run: &mut Run, name: &str, phase: &str) -> Held {
    run.until(&format!("{name} is told to be {phase}"), |w| w.job_phase(name) == phase).await
}

/// The members have this status.
async fn are(run: &mut Run, name: &str, status: JobStatus) -> Held {
    run.until(&format!("{name} is {status:?}"), |w| w.job_status(name) == Some(status)).await
}

async fn gone(run: &mut Run, name: &str) -> Held {
    run.until(&format!("{name} is gone"), |w| w.job_object(name).is_none()).await
}

fn is(world: &World, name: &str, status: JobStatus) -> bool {
    world.job_status(name) == Some(status)
}

pub async fn submitted(run: &mut Run) -> Held {
    run.world.create_job("counts", SQL);
    told(run, "counts", "Running").await
}

pub async fn suspended(run: &mut Run) -> Held {
    run.world.set_job_state("counts", JobState::Suspended);
    told(run, "counts", "Suspended").await
}

pub async fn suspended_and_resumed(run: &mut Run) -> Held {
    suspended(run).await?;
    run.always(5, "stays suspended", |w| is(w, "counts", JobStatus::Suspended)).await?;
    run.world.set_job_state("counts", JobState::Running);
    are(run, "counts", JobStatus::Running).await?;
    told(run, "counts", "Running").await
}

/// The person thinks better of it while the operator has not heard yet that it is done.
pub async fn suspension_taken_back(run: &mut Run) -> Held {
    run.world.set_job_state("counts", JobState::Suspended);
    are(run, "counts", JobStatus::Suspended).await?;
    run.world.set_job_state("counts", JobState::Running);
    are(run, "counts", JobStatus::Running).await?;
    run.until("it is told", |w| w.job_phase("counts") == "Running" && is(w, "counts", JobStatus::Running)).await
}

pub async fn deleted(run: &mut Run) -> Held {
    run.world.delete_job("counts");
    gone(run, "counts").await?;
    run.always(10, "stays cancelled", |w| is(w, "counts", JobStatus::Cancelled)).await
}

/// Before the operator has heard that its job was taken.
pub async fn deleted_at_once(run: &mut Run) -> Held {
    run.world.create_job("counts", SQL);
    run.until("it is taken", |w| w.job_status("counts").is_some()).await?;
    deleted(run).await
}

pub async fn replaced(run: &mut Run) -> Held {
    deleted(run).await?;
    run.world.create_job("counts", OTHER_SQL);
    told(run, "counts", "Running").await
}

/// Twice under its name, with its SQL, the second time as soon as the name is free.
pub async fn made_anew(run: &mut Run) -> Held {
    for _ in 0..2 {
        run.world.delete_job("counts");
        gone(run, "counts").await?;
        run.world.create_job("counts", SQL);
        told(run, "counts", "Running").await?;
    }
    Ok(())
}

pub async fn ended(run: &mut Run) -> Held {
    run.world.create_job("counts", SQL);
    are(run, "counts", JobStatus::Running).await?;
    run.world.lock().complete_job("counts");
    told(run, "counts", "Completed").await?;
    run.always(15, "it does not begin anew", |w| is(w, "counts", JobStatus::Completed)).await
}

pub async fn failed(run: &mut Run) -> Held {
    run.world.lock().fail_job("counts");
    told(run, "counts", "Suspended").await?;
    run.always(15, "it is left alone", |w| is(w, "counts", JobStatus::Suspended)).await?;
    run.world.set_job_state("counts", JobState::Suspended);
    let by_wish = |w: &World| w.job_object("counts").and_then(|job| job.status).is_some_and(|s| s.suspended_by_wish);
    run.until("it is suspended by wish too", by_wish).await?;
    run.world.set_job_state("counts", JobState::Running);
    are(run, "counts", JobStatus::Running).await?;
    told(run, "counts", "Running").await
}

/// A job that was made by hand gets a JetJob, which goes again.
pub async fn adopted(run: &mut Run) -> Held {
    run.world.create_job("flights", "…");
    told(run, "flights", "Running").await?;
    run.world.delete_job("flights");
    gone(run, "flights").await?;
    run.always(5, "stays cancelled", |w| is(w, "flights", JobStatus::Cancelled)).await
}

/// The first half runs, the others are suspended.
async fn prepared(run: &mut Run, names: &[&str]) -> Held {
    for name in names {
        run.world.create_job(name, SQL);
        told(run, name, "Running").await?;
    }
    for name in &names[names.len() / 2..] {
        run.world.set_job_state(name, JobState::Suspended);
        told(run, name, "Suspended").await?;
    }
    Ok(())
}

async fn asked_to_stop(run: &mut Run) -> Held {
    ask(&run.world);
    run.until("Stopped", stopped).await
}

async fn returned(run: &mut Run) -> Held {
    withdraw(&run.world);
    run.until("the return", |w| serves(w, 2)).await
}

fn kept(world: &World) -> usize {
    let state = world.lock();
    let text = state.maps.get("orders-wishes").map(|map| map.text.clone()).unwrap_or_default();
    ["Cancel", "Suspend", "Resume"].iter().map(|wish| text.matches(wish).count()).sum()
}

async fn wishes_are(run: &mut Run, number: usize) -> Held {
    run.until(&format!("{number} wishes are kept"), |w| kept(w) == number).await
}

async fn settled(run: &mut Run) -> Held {
    run.until("no wish is outstanding", |w| !w.lock().maps.contains_key("orders-wishes")).await
}

/// The cluster stops and returns, and nobody wishes anything of its jobs.
pub async fn slept(run: &mut Run) -> Held {
    asked_to_stop(run).await?;
    told(run, "goes", "Waiting").await?;
    returned(run).await?;
    told(run, "goes", "Running").await?;
    told(run, "sleeps", "Suspended").await?;
    run.world.set_job_state("sleeps", JobState::Running);
    told(run, "sleeps", "Running").await
}

/// While it is stopped each is wished something, one twice, and one is made anew under its name.
pub async fn wished_asleep(run: &mut Run) -> Held {
    asked_to_stop(run).await?;
    run.world.delete_job("ends");
    gone(run, "ends").await?;
    run.world.create_job("ends", SQL);
    run.world.set_job_state("sleeps", JobState::Running);
    run.world.set_job_state("goes", JobState::Suspended);
    wishes_are(run, 3).await?;
    run.world.set_job_state("sleeps", JobState::Suspended);
    wishes_are(run, 2).await?;
    run.world.set_job_state("waits", JobState::Running);
    wishes_are(run, 3).await?;
    returned(run).await?;
    for (name, phase) in [("goes", "Suspended"), ("sleeps", "Suspended"), ("ends", "Running"), ("waits", "Running")] {
        told(run, name, phase).await?;
    }
    settled(run).await
}

/// Suspended while it is stopped; by the time of the activation the person thinks otherwise, and nothing can be kept any
/// more.
pub async fn wish_taken_back_late(run: &mut Run) -> Held {
    asked_to_stop(run).await?;
    run.world.set_job_state("counts", JobState::Suspended);
    wishes_are(run, 1).await?;
    withdraw(&run.world);
    are(run, "counts", JobStatus::Suspended).await?;
    run.world.set_job_state("counts", JobState::Running);
    returned(run).await?;
    are(run, "counts", JobStatus::Running).await?;
    told(run, "counts", "Running").await?;
    settled(run).await
}

/// As its members start: in time for the activation or not.
pub async fn deleted_in_the_return(run: &mut Run) -> Held {
    asked_to_stop(run).await?;
    withdraw(&run.world);
    run.until("members start", |w| w.lock().pods.values().any(|pod| pod.running())).await?;
    run.world.delete_job("counts");
    gone(run, "counts").await?;
    returned(run).await?;
    are(run, "counts", JobStatus::Cancelled).await?;
    settled(run).await
}

/// Deleted while it is stopped; somebody takes the name by hand as soon as it is free.
pub async fn name_taken_by_hand(run: &mut Run) -> Held {
    asked_to_stop(run).await?;
    run.world.delete_job("counts");
    gone(run, "counts").await?;
    run.world.lock().jobs.by_hand.push(("counts".into(), OTHER_SQL.into()));
    returned(run).await?;
    are(run, "counts", JobStatus::Running).await?;
    settled(run).await?;
    run.always(5, "it goes on", |w| is(w, "counts", JobStatus::Running)).await
}

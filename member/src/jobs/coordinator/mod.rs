//! At the leader: snapshots of all jobs, from the opening of an epoch to its record, its sinks and the disks.
//!
//! Law: whatever is done here may be done again by the next leader, from facts alone; two leaders at a time hurt nobody,
//! because the map and the machine refuse what is late. Must not know: what parts hold.
//!
//! | room | what is in it |
//! |---|---|
//! | [`plan`] | facts → the next step of one job, pure |
//! | [`conductor`] | one job: facts, and its steps one after another |
//! | [`commit`] | gathering parts, the record, the second count |
//! | [`publish`] | sink writes after the commit; dropping what is older |
//! | [`disk`] | having a committed snapshot written by every member |

mod commit;
mod conductor;
mod disk;
pub mod plan;
mod publish;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jet_core::{ClusterState, ExecutionId, Job, JobId, JobStatus, Machine, MemberId, RuntimeNumber};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::Shared;
use super::answer::answer;
use super::words::{Answer, Ask, Standing};
use crate::net::Lane;

/// Pause between two looks when nothing happened.
const LOOK: Duration = Duration::from_millis(50);
/// The same while a stop waits for terminal snapshots: each takes a few looks, one after the other.
const LOOK_IN_TURN: Duration = Duration::from_millis(10);
/// Least pause between two looks.
const LEAST: Duration = Duration::from_millis(5);
/// A member answers a look within this time, or it has not said anything.
const LOOK_WITHIN: Duration = Duration::from_secs(1);

/// What all members said in one round.
#[derive(Clone, Default)]
struct Look {
    /// Before the first was asked.
    begun: Option<Instant>,
    runtime: Option<RuntimeNumber>,
    /// Every member of the generation answered.
    complete: bool,
    standings: BTreeMap<JobId, Vec<Standing>>,
}

/// One life of one job at this coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Life {
    job: JobId,
    execution: ExecutionId,
    /// `None`: it does not run, and its last snapshot still has to reach sinks and disks.
    runtime: Option<RuntimeNumber>,
}

struct Aborts(AbortHandle);

impl Drop for Aborts {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs until the process ends.
pub(super) async fn run(shared: Arc<Shared>) {
    let looks = watch::Sender::new(Look::default());
    let mut conductors: BTreeMap<Life, Aborts> = BTreeMap::new();
    let mut left: BTreeMap<JobId, Aborts> = BTreeMap::new();
    loop {
        let turns = matches!(shared.cluster.machine().state, ClusterState::InTransition { .. });
        let pause = if turns { LOOK_IN_TURN } else { LOOK };
        let _ = tokio::time::timeout(pause, shared.news.notified()).await;
        if shared.cluster.leader() != Some(shared.cluster.me()) {
            conductors.clear();
            left.clear();
            continue;
        }
        let machine = shared.cluster.machine();
        let lives = lives(&machine);
        conductors.retain(|life, _| lives.contains(life));
        for life in lives {
            conductors.entry(life).or_insert_with(|| {
                let conducting = tokio::spawn(conductor::conduct(shared.clone(), life, looks.subscribe()));
                Aborts(conducting.abort_handle())
            });
        }
        for job in ended(&machine) {
            left.entry(job).or_insert_with(|| Aborts(tokio::spawn(publish::leave(shared.clone(), job)).abort_handle()));
        }
        if !conductors.is_empty() {
            looks.send_replace(look(&shared, &machine).await);
            tokio::time::sleep(LEAST).await;
        }
    }
}

/// Jobs whose snapshots nobody needs any more. While contents are compared, nothing is dropped.
fn ended(machine: &Machine) -> Vec<JobId> {
    let runs = machine.state.settled().is_some_and(|state| state.runs_jobs());
    machine.jobs.values().filter(|job| runs && job.ended()).map(|job| job.id).collect()
}

/// Jobs that have something to be coordinated. Where jobs may not run, what they have committed still reaches sinks and
/// disks: else a return from there would show less than was shown there.
fn lives(machine: &Machine) -> BTreeSet<Life> {
    if !machine.state.runs() {
        return BTreeSet::new();
    }
    machine.jobs.values().filter_map(|job| life(machine, job)).collect()
}

fn life(machine: &Machine, job: &Job) -> Option<Life> {
    let running = machine
        .runtime
        .as_ref()
        .filter(|runtime| runtime.jobs.iter().any(|run| run.job == job.id && run.execution == job.execution));
    let runtime = match (job.status, running) {
        (JobStatus::Starting | JobStatus::Running, Some(runtime)) => Some(runtime.number),
        // Of a closed execution only the machine says what its snapshot is; there is nothing newer to be written.
        (JobStatus::Suspended | JobStatus::Waiting | JobStatus::Held, _)
            if job.execution > ExecutionId(0) && job.is_open(job.execution) =>
        {
            None
        }
        _ => return None,
    };
    Some(Life { job: job.id, execution: job.execution, runtime })
}

async fn look(shared: &Arc<Shared>, machine: &Machine) -> Look {
    let begun = Some(Instant::now());
    let Some(runtime) = &machine.runtime else { return Look { begun, ..Look::default() } };
    let asks =
        runtime.members.iter().map(|member| ask(shared, *member, Ask::Look { runtime: runtime.number }, LOOK_WITHIN));
    let answers = futures::future::join_all(asks).await;
    let mut look = Look { begun, runtime: Some(runtime.number), complete: true, standings: BTreeMap::new() };
    for answer in answers {
        match answer {
            Ok(Answer::Stands(standings)) => standings
                .into_iter()
                .for_each(|standing| look.standings.entry(standing.job).or_default().push(standing)),
            _ => look.complete = false,
        }
    }
    look
}

/// Asks one member, which may be this one.
async fn ask(shared: &Arc<Shared>, member: MemberId, ask: Ask, within: Duration) -> Result<Answer, String> {
    if member == shared.cluster.me() {
        return Ok(answer(shared, ask).await);
    }
    let bytes = serde_json::to_vec(&ask).map_err(|error| error.to_string())?;
    let answer =
        shared.net.call(member.0, Lane::Jobs, bytes.into(), within).await.map_err(|error| error.to_string())?;
    serde_json::from_slice(&answer)
        .map_err(|error| format!("member {member} gave an answer that cannot be read: {error}"))
}

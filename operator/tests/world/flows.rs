//! What people and accidents do to a cluster, one flow each: how it is prepared, how it goes, where it must end.
//!
//! Law: a flow names its goals and nothing of the way there; the same flow ends the same. Must not know: faults.

use jet_operator::api::annotations as keys;

use super::World;
use super::jobs::flows::JobFlow;
use super::run::{Held, Run};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flow {
    FirstStart,
    Stop,
    Return,
    WholeLife,
    Restart,
    StopWithdrawn,
    Abort,
    RolledBack,
    Retry,
    ReturnTakenBack,
    Delete,
    DeleteInMidStop,
    AppliedAgain,
    CrashWhileRunning,
    CrashInMidStop,
    CrashInMidReturn,
    AskedOfMembers,
    AskedAndTakenBack,
    AskedBesideAWish,
    Job(JobFlow),
}

impl Flow {
    /// Those of a cluster, then those of jobs.
    pub fn all() -> Vec<Flow> {
        Self::ALL.into_iter().chain(JobFlow::ALL.map(Flow::Job)).collect()
    }

    /// Of a cluster.
    pub const ALL: [Flow; 19] = [
        Flow::FirstStart,
        Flow::Stop,
        Flow::Return,
        Flow::WholeLife,
        Flow::Restart,
        Flow::StopWithdrawn,
        Flow::Abort,
        Flow::RolledBack,
        Flow::Retry,
        Flow::ReturnTakenBack,
        Flow::Delete,
        Flow::DeleteInMidStop,
        Flow::AppliedAgain,
        Flow::CrashWhileRunning,
        Flow::CrashInMidStop,
        Flow::CrashInMidReturn,
        Flow::AskedOfMembers,
        Flow::AskedAndTakenBack,
        Flow::AskedBesideAWish,
    ];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Flow::FirstStart => "first start",
            Flow::Stop => "stop",
            Flow::Return => "return",
            Flow::WholeLife => "first start, stop and return in one",
            Flow::Restart => "restart by nonce",
            Flow::StopWithdrawn => "stop withdrawn before its commit",
            Flow::Abort => "stop aborted by annotation",
            Flow::RolledBack => "stop rolled back at its deadline, withdrawn, asked anew",
            Flow::Retry => "spent stop tried again by annotation",
            Flow::ReturnTakenBack => "return taken back, then made after all",
            Flow::Delete => "deletion",
            Flow::DeleteInMidStop => "deletion in the middle of a stop",
            Flow::AppliedAgain => "applied again after deletion",
            Flow::CrashWhileRunning => "all members die while it runs",
            Flow::CrashInMidStop => "all members die in the middle of a stop",
            Flow::CrashInMidReturn => "all members die in the middle of a return",
            Flow::AskedOfMembers => "stop asked of the members, then the return",
            Flow::AskedAndTakenBack => "stop asked of the members, its annotation removed at once",
            Flow::AskedBesideAWish => "stop asked of the members beside a spent wish, which then goes",
            Flow::Job(flow) => flow.name(),
        }
    }

    /// Foundings, operations begun, committed and activated over all of it.
    pub fn done(self) -> [u32; 4] {
        match self {
            Flow::FirstStart | Flow::CrashWhileRunning | Flow::AskedAndTakenBack => [1, 0, 0, 0],
            Flow::StopWithdrawn | Flow::Abort | Flow::CrashInMidStop | Flow::AskedBesideAWish => [1, 1, 0, 0],
            Flow::Stop | Flow::Delete | Flow::DeleteInMidStop => [1, 1, 1, 0],
            Flow::RolledBack | Flow::Retry => [1, 2, 1, 0],
            Flow::Return
            | Flow::WholeLife
            | Flow::Restart
            | Flow::ReturnTakenBack
            | Flow::AppliedAgain
            | Flow::CrashInMidReturn
            | Flow::AskedOfMembers => [1, 1, 1, 1],
            Flow::Job(flow) if flow.stops() => [1, 1, 1, 1],
            Flow::Job(_) => [1, 0, 0, 0],
        }
    }

    /// What was there before: nothing goes wrong in it.
    pub async fn prepare(self) -> Held<Run> {
        let mut run = Run::new(World::new());
        if matches!(self, Flow::FirstStart | Flow::WholeLife) {
            return Ok(run);
        }
        founded(&mut run).await?;
        match self {
            Flow::Return | Flow::ReturnTakenBack | Flow::CrashInMidReturn => stop(&mut run).await?,
            Flow::AppliedAgain => delete(&mut run).await?,
            Flow::Retry | Flow::AskedBesideAWish => {
                roll_back(&mut run).await?;
            }
            Flow::Job(flow) => {
                run.of_jobs = true;
                Box::pin(flow.prepare(&mut run)).await?;
            }
            _ => {}
        }
        run.rest().await?;
        Ok(run)
    }

    pub async fn go(self, run: &mut Run) -> Held {
        match self {
            Flow::FirstStart => founded(run).await,
            Flow::Stop => stop(run).await,
            Flow::Return => come_back(run).await,
            Flow::WholeLife => {
                founded(run).await?;
                stop(run).await?;
                come_back(run).await
            }
            Flow::Restart => restart(run).await,
            Flow::StopWithdrawn => stop_withdrawn(run).await,
            Flow::Abort => abort(run).await,
            Flow::RolledBack => rolled_back(run).await,
            Flow::Retry => retry(run).await,
            Flow::ReturnTakenBack => return_taken_back(run).await,
            Flow::Delete => delete(run).await,
            Flow::DeleteInMidStop => delete_in_mid_stop(run).await,
            Flow::AppliedAgain => applied_again(run).await,
            Flow::CrashWhileRunning => crash_while_running(run).await,
            Flow::CrashInMidStop => crash_in_mid_stop(run).await,
            Flow::CrashInMidReturn => crash_in_mid_return(run).await,
            Flow::AskedOfMembers => asked_of_members(run).await,
            Flow::AskedAndTakenBack => asked_and_taken_back(run).await,
            Flow::AskedBesideAWish => asked_beside_a_wish(run).await,
            Flow::Job(flow) => Box::pin(flow.go(run)).await,
        }
    }
}

pub fn generation(world: &World) -> u64 {
    world.lock().machine.as_ref().map_or(0, |m| m.generation)
}

/// It rests in this generation, and clients are served.
pub fn serves(world: &World, generation: u64) -> bool {
    let ready = world.condition("Ready") == "True" && world.reason("Reconciling").is_empty();
    let state = world.lock();
    let done = state.set.as_ref().is_some_and(|s| !s.annotations.contains_key(keys::STAMP_OPERATION));
    ready && done && state.machine.as_ref().is_some_and(|m| m.generation == generation && m.doors)
}

pub fn stopped(world: &World) -> bool {
    world.condition("Stopped") == "True"
}

pub fn ask(world: &World) {
    world.annotate(keys::MAINTENANCE, Some(keys::MAINTENANCE_SHUTDOWN));
}

pub fn withdraw(world: &World) {
    world.annotate(keys::MAINTENANCE, None);
}

/// Members wait for terminal snapshots.
pub fn freezing(world: &World) -> bool {
    world.lock().machine.as_ref().is_some_and(|m| m.freeze_deadline.is_some())
}

fn in_operation(world: &World) -> bool {
    world.lock().machine.as_ref().is_some_and(|m| m.operation.is_some())
}

fn not_tried_again(world: &World) -> bool {
    world.reason("Stalled") == "StopNotRetried"
}

pub fn size_is(world: &World, replicas: i32) -> bool {
    world.lock().set.as_ref().is_some_and(|set| set.replicas == replicas)
}

pub async fn founded(run: &mut Run) -> Held {
    run.until("founding", |w| serves(w, 1)).await
}

pub async fn stop(run: &mut Run) -> Held {
    ask(&run.world);
    run.until("Stopped", stopped).await?;
    run.always(5, "stays stopped", |w| size_is(w, 0)).await?;
    run.until("Stopped", stopped).await
}

pub async fn come_back(run: &mut Run) -> Held {
    withdraw(&run.world);
    run.until("the return", |w| serves(w, 2)).await?;
    run.until("the verdicts", |w| w.condition("JobsPreserved") == "True").await?;
    let own = |w: &World| w.lock().machine.iter().flat_map(|m| &m.jobs).all(|job| job.started_from == job.snapshot);
    if own(&run.world) { Ok(()) } else { Err(run.broken("a job went on from another snapshot than its own")) }
}

/// With the status erased between Accepted and the stamp the nonce is taken for handled.
async fn restart(run: &mut Run) -> Held {
    run.world.annotate(keys::RESTART, Some("n1"));
    let lost = |w: &World| w.lock().erased && serves(w, 1) && handled(w);
    run.until("one restart", |w| serves(w, 2) || lost(w)).await?;
    let reached = generation(&run.world);
    run.always(20, "no second restart", |w| generation(w) <= 2 && generation(w) >= reached).await
}

fn handled(world: &World) -> bool {
    let state = world.lock();
    let status = state.cluster.as_ref().and_then(|c| c.status.as_ref());
    status.is_some_and(|s| {
        s.operation.is_none() && s.handled.as_ref().is_some_and(|h| h.restart.as_deref() == Some("n1"))
    })
}

async fn stop_withdrawn(run: &mut Run) -> Held {
    run.world.lock().job_stuck = true;
    ask(&run.world);
    run.until("fenced", in_operation).await?;
    withdraw(&run.world);
    run.until("back", |w| serves(w, 1)).await?;
    run.world.lock().job_stuck = false;
    run.always(10, "runs", |w| w.lock().commits == 0).await
}

async fn abort(run: &mut Run) -> Held {
    run.world.lock().job_stuck = true;
    ask(&run.world);
    run.until("freezing", freezing).await?;
    let open = run.world.lock().machine.as_ref().and_then(|m| m.operation.as_ref().map(|op| op.id.clone()));
    run.world.annotate(keys::ABORT, open.as_deref());
    run.until("spent", not_tried_again).await?;
    run.world.lock().job_stuck = false;
    run.always(20, "no second try by itself", |w| !stopped(w) && w.lock().commits == 0).await
}

/// Its wish is spent; answers its id.
async fn roll_back(run: &mut Run) -> Held<Option<String>> {
    run.world.lock().job_stuck = true;
    let within = run.world.lock().cluster.as_ref().map_or(0, |c| c.spec.maintenance.commit_within_seconds);
    ask(&run.world);
    run.until("freezing", freezing).await?;
    run.world.lock().now += i64::from(within) + 5;
    run.until("spent", not_tried_again).await?;
    run.world.lock().job_stuck = false;
    let state = run.world.lock();
    Ok(state.machine.as_ref().and_then(|m| m.operation.as_ref().map(|op| op.id.clone())))
}

async fn rolled_back(run: &mut Run) -> Held {
    roll_back(run).await?;
    run.always(30, "no second try by itself", |w| !stopped(w) && w.lock().commits == 0).await?;
    withdraw(&run.world);
    run.until("forgotten", |w| w.condition("Stalled").is_empty() && serves(w, 1)).await?;
    stop(run).await
}

async fn retry(run: &mut Run) -> Held {
    let spent = run.world.lock().machine.as_ref().and_then(|m| m.operation.as_ref().map(|op| op.id.clone()));
    run.world.annotate(keys::RETRY, spent.as_deref());
    run.until("Stopped by retry", stopped).await
}

async fn return_taken_back(run: &mut Run) -> Held {
    run.world.lock().broken.push(1);
    withdraw(&run.world);
    run.until("member 1 is missed", |w| size_is(w, 3) && w.reason("MembersComplete") == "MembersMissing").await?;
    run.always(10, "holds", |w| generation(w) == 1 && w.lock().machine.as_ref().is_some_and(|m| !m.doors)).await?;
    ask(&run.world);
    run.until("Stopped again", stopped).await?;
    run.world.lock().broken.clear();
    come_back(run).await
}

async fn delete(run: &mut Run) -> Held {
    run.world.delete_cluster();
    run.until("released", |w| w.lock().cluster.is_none()).await
}

async fn delete_in_mid_stop(run: &mut Run) -> Held {
    run.world.lock().job_stuck = true;
    ask(&run.world);
    run.until("freezing", freezing).await?;
    run.world.delete_cluster();
    run.world.lock().job_stuck = false;
    run.until("released", |w| w.lock().cluster.is_none()).await
}

async fn applied_again(run: &mut Run) -> Held {
    run.world.create_cluster();
    run.until("back", |w| serves(w, 2)).await
}

async fn crash_while_running(run: &mut Run) -> Held {
    run.world.power_cut();
    run.until("recovered", |w| serves(w, 2)).await
}

async fn crash_in_mid_stop(run: &mut Run) -> Held {
    run.world.lock().job_stuck = true;
    ask(&run.world);
    run.until("freezing", freezing).await?;
    run.world.power_cut();
    run.until("spent", |w| not_tried_again(w) && w.condition("Ready") == "True").await
}

async fn crash_in_mid_return(run: &mut Run) -> Held {
    withdraw(&run.world);
    run.until("members start", |w| w.lock().pods.values().any(super::PodObject::running)).await?;
    run.world.power_cut();
    run.until("the return", |w| serves(w, 2)).await
}

/// Asks, and answers at once in the members: nobody may be kept from asking.
fn ask_members(run: &Run) -> Held {
    if run.world.ask_members() { Ok(()) } else { Err(run.broken("the members did not take the request")) }
}

/// Wishes that were written for requests, and whether one stands.
fn wished(world: &World) -> (u32, bool) {
    let stands = world.annotation(keys::MAINTENANCE).is_some();
    (world.lock().wishes, stands)
}

async fn asked_of_members(run: &mut Run) -> Held {
    ask_members(run)?;
    run.until("Stopped", stopped).await?;
    run.always(5, "stays stopped", |w| size_is(w, 0) && wished(w) == (1, true)).await?;
    come_back(run).await?;
    run.always(20, "it does not come again", |w| wished(w) == (1, false) && size_is(w, 3) && w.lock().begun == 1)
        .await?;
    if run.world.answer().is_some() { Ok(()) } else { Err(run.broken("the request still waits")) }
}

async fn asked_and_taken_back(run: &mut Run) -> Held {
    ask_members(run)?;
    run.until("the wish", |w| wished(w) == (1, true)).await?;
    withdraw(&run.world);
    run.until("an answer", |w| w.answer().is_some()).await?;
    run.always(20, "it is not written again", |w| wished(w) == (1, false) && w.lock().begun == 0).await
}

/// A wish of before is spent, and stands: a request is told so, and does not come when that wish goes.
async fn asked_beside_a_wish(run: &mut Run) -> Held {
    ask_members(run)?;
    run.until("a no", |w| w.answer().is_some_and(|answer| !answer.taken_up)).await?;
    withdraw(&run.world);
    run.until("forgotten", |w| w.condition("Stalled").is_empty() && serves(w, 1)).await?;
    run.always(20, "it does not come after all", |w| wished(w) == (0, false) && w.lock().commits == 0).await
}

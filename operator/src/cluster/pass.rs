//! One pass.
//!
//! Law: the status that a step rests on is written before its effect; a refusal is shown, never repeated faster than the
//! pause; nothing is kept between passes; once something else than the status was written, nothing more is done by what was
//! seen before. Must not know: who calls it, which cluster comes next.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use jet_admin_api::client::CallError;
use jet_admin_api::member::MemberPhase;
use uuid::Uuid;

use crate::api::{JetCluster, Reason};
use crate::cluster::facts::{Facts, KubeFacts, Seen};
use crate::cluster::observe;
use crate::cluster::plan::{self, Act, Plan, Step};
use crate::cluster::port::{Kubernetes, PortError};
use crate::cluster::{status, story};
use crate::members::{Door, Members};

/// After an act, while a condition has turned within [`LATELY_SECONDS`]: look at once at what became of it. Later as after
/// [`QUICK`]: acts that follow each other for longer than that undo each other, or are undone by somebody.
pub const AFTER_ACT: Duration = Duration::from_millis(5);
/// While something moves and a condition has turned within [`LATELY_SECONDS`]: a stop that has little to save is not kept
/// waiting by who watches it.
pub const QUICK: Duration = Duration::from_millis(50);
/// While something moves for longer than that: gigabytes are saved or loaded, and each look costs a score of requests.
pub const MOVING: Duration = Duration::from_millis(500);
/// While something waits for a person or for an absent member.
pub const WAITING: Duration = Duration::from_secs(2);
/// At rest.
pub const RESTING: Duration = Duration::from_secs(10);
/// See [`QUICK`].
pub const LATELY_SECONDS: i64 = 10;

/// Why a pass failed.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// Kubernetes.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl PassError {
    /// A lost race is not a failure: look again at once.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Port(PortError::Conflict { .. }))
    }
}

/// What a pass did.
#[derive(Debug)]
pub struct Passed {
    /// When to look again; `None`: the resource is gone.
    pub again: Option<Duration>,
    /// The plan.
    pub plan: Option<Plan>,
}

/// What an act came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There was none.
    Nothing,
    /// Done, in words.
    Done(String),
    /// Not done or not known to be done, and why.
    Not(String),
}

/// What is said to members does not change Kubernetes: so many commands go by one look at Kubernetes.
pub const TURNS: usize = 3;
/// Nor does what members do by themselves: where only they are waited for, so many more looks at them go by one look at
/// Kubernetes, which costs the API server up to a tenth of a second.
pub const MORE_LOOKS: usize = 4;

/// Looks at Kubernetes once, does at most one thing there, writes the status. What was only remembered, or said to a member,
/// is looked at again at once: each consistent look at a list costs the API server up to a tenth of a second.
pub async fn pass(kube: &dyn Kubernetes, members: &dyn Members, now: i64, fresh: Uuid) -> Result<Passed, PassError> {
    let Some((mut cluster, seen)) = kube.read().await? else {
        return Ok(Passed { again: None, plan: None });
    };
    let (mut said, mut looks) = (Vec::new(), 0);
    loop {
        let look = Look { cluster, seen: seen.clone(), now, fresh };
        let (passed, next) = turn(kube, members, look, &said).await?;
        said.extend(passed.plan.as_ref().and_then(|plan| plan.act.clone()));
        match next {
            Next::Turn(next) if said.len() < TURNS => cluster = *next,
            Next::Look(same) if looks < MORE_LOOKS => {
                looks += 1;
                members.moment().await;
                cluster = *same;
            }
            _ => return Ok(passed),
        }
    }
}

/// What goes by the same look at Kubernetes; the resource as it is now.
enum Next {
    /// Nothing more.
    Nothing,
    /// Only the status and the members are others than before.
    Turn(Box<JetCluster>),
    /// Members are waited for.
    Look(Box<JetCluster>),
}

struct Look {
    cluster: JetCluster,
    seen: KubeFacts,
    now: i64,
    fresh: Uuid,
}

/// One turn. What was said in this pass is not said again by it: a member that lags behind has not heard of it yet.
async fn turn(
    kube: &dyn Kubernetes,
    members: &dyn Members,
    look: Look,
    said: &[Act],
) -> Result<(Passed, Next), PassError> {
    let facts = observe_members(look, members).await;
    let plan = plan::plan(&facts);
    tracing::debug!(cluster = facts.name(), step = ?plan.step, message = plan.message, acts = plan.act.is_some(), "planned");
    if plan.act.as_ref().is_some_and(|act| said.contains(act)) {
        return Ok((Passed { again: Some(QUICK), plan: Some(plan) }, Next::Nothing));
    }
    let outcome = carry_out(kube, members, &facts, &plan).await?;
    if matches!(plan.act, Some(Act::Finalizer(_))) {
        return Ok((Passed { again: Some(AFTER_ACT), plan: Some(plan) }, Next::Nothing));
    }
    if matches!((&plan.act, &outcome), (Some(Act::TakeUp(_)), Outcome::Done(_))) {
        // The resource is another now: its status is for the next look.
        let was = facts.cluster.status.clone().unwrap_or_default();
        kube.tell(&facts.cluster, &story::lines(Some(&was), &was, &plan, &outcome)).await;
        return Ok((Passed { again: Some(AFTER_ACT), plan: Some(plan) }, Next::Nothing));
    }
    let next = status::status(&facts, &plan, &outcome);
    let again = pause(&facts, &plan, &outcome);
    let mut written = None;
    if facts.cluster.status.as_ref() != Some(&next) {
        written = Some(kube.write_status(&facts.cluster, &next).await?);
    }
    let lines = story::lines(facts.cluster.status.as_ref(), &next, &plan, &outcome);
    if !lines.is_empty() {
        kube.tell(&facts.cluster, &lines).await;
    }
    let goes_on = match (&plan.act, &outcome) {
        (Some(Act::Command { .. }), Outcome::Done(_)) => true,
        // Where an older CRD forgets that it was consumed, it is consumed again and again.
        (Some(Act::Remember(_)), _) => plan.reason != Reason::NotApplicable,
        _ => false,
    };
    let waits = again == QUICK && waits_for_members(&facts, &plan);
    let now = Box::new(written.unwrap_or(facts.cluster));
    let next = match (goes_on, waits) {
        (true, _) => Next::Turn(now),
        (false, true) => Next::Look(now),
        _ => Next::Nothing,
    };
    Ok((Passed { again: Some(again), plan: Some(plan) }, next))
}

async fn observe_members(look: Look, members: &dyn Members) -> Facts {
    let Look { cluster, seen: kube, now, fresh } = look;
    let doors: Vec<Door> =
        kube.pods.iter().filter_map(|(ordinal, pod)| Some(Door { ordinal: *ordinal, host: pod.ip.clone()? })).collect();
    // Only of a set that goes down: one that is drained on a busy node may still be needed for a commit.
    let goes = kube.set.as_ref().is_some_and(|set| set.replicas == 0);
    let ends = |door: &Door| goes && kube.pods.get(&door.ordinal).is_some_and(|pod| pod.deleting);
    let views = join_all(doors.iter().map(|door| async move {
        let looked = if ends(door) { members.glance(door).await } else { members.look(door).await };
        match looked {
            Ok(view) if view.ordinal == door.ordinal => (door.ordinal, Seen::View(Box::new(view))),
            Ok(view) => (door.ordinal, Seen::Silent(format!("member {} answers in its place", view.ordinal))),
            Err(error) => (door.ordinal, Seen::Silent(error.to_string())),
        }
    }));
    let seen: BTreeMap<u32, Seen> = views.await.into_iter().collect();
    let seeks = |door: &&Door| {
        let Some(Seen::View(view)) = seen.get(&door.ordinal) else { return false };
        matches!(
            view.phase,
            MemberPhase::NoStore | MemberPhase::Founding | MemberPhase::Joining | MemberPhase::Recovering
        )
    };
    join_all(doors.iter().filter(seeks).map(|door| members.hint(door, &doors))).await;
    let requester = observe::requester(&cluster);
    Facts { now, fresh, cluster, requester, kube, members: seen }
}

async fn carry_out(
    kube: &dyn Kubernetes,
    members: &dyn Members,
    facts: &Facts,
    plan: &Plan,
) -> Result<Outcome, PassError> {
    let name = facts.name();
    match &plan.act {
        None | Some(Act::Remember(_)) => Ok(Outcome::Nothing),
        Some(Act::Command { ordinal, command }) => {
            let host = facts.kube.pods.get(ordinal).and_then(|pod| pod.ip.clone()).unwrap_or_default();
            let answer = members.command(&Door { ordinal: *ordinal, host }, command).await;
            tracing::info!(cluster = name, step = ?plan.step, command = command.name(), ordinal, ok = answer.is_ok(), "commanded");
            Ok(match answer {
                Ok(done) => Outcome::Done(done),
                Err(error @ CallError::Refused(_)) => {
                    Outcome::Not(format!("member {ordinal} refused {}: {error}", command.name()))
                }
                Err(error) => Outcome::Not(error.to_string()),
            })
        }
        Some(act) => match write(kube, facts, act).await {
            Ok(()) => {
                tracing::info!(cluster = name, step = ?plan.step, message = plan.message, "done");
                Ok(Outcome::Done(plan.message.clone()))
            }
            Err(PortError::Refused { what, reason }) => {
                Ok(Outcome::Not(format!("the API server refused to write {what}: {reason}")))
            }
            Err(error) => Err(error.into()),
        },
    }
}

/// In their order, to the first that fails.
async fn write(kube: &dyn Kubernetes, facts: &Facts, act: &Act) -> Result<(), PortError> {
    let Act::Row(acts) = act else { return kube.write(facts, act).await };
    for act in acts {
        kube.write(facts, act).await?;
    }
    Ok(())
}

/// Nothing in Kubernetes is waited for: no pod that begins or ends.
fn waits_for_members(facts: &Facts, plan: &Plan) -> bool {
    let addressed = || facts.kube.pods.values().filter(|pod| pod.ip.is_some() && !pod.deleting).count();
    let all_there = || facts.kube.set.as_ref().is_some_and(|set| usize::try_from(set.replicas) == Ok(addressed()));
    let step = matches!(
        plan.step,
        Step::Fenced | Step::Frozen | Step::Sealed | Step::MembersComplete | Step::Activated | Step::JobsVerified
    );
    plan.act.is_none() && !plan.stalled && step && all_there()
}

fn pause(facts: &Facts, plan: &Plan, outcome: &Outcome) -> Duration {
    match (outcome, &plan.act) {
        (Outcome::Not(_), _) => MOVING,
        // Where an older CRD forgets that it was consumed, it is consumed again and again.
        (_, Some(Act::Remember(_))) if plan.reason == Reason::NotApplicable => RESTING,
        (_, Some(_)) => {
            if lately(facts) {
                AFTER_ACT
            } else {
                QUICK
            }
        }
        (_, None) if plan.stalled || plan.reason == Reason::MembersMissing && plan.step == Step::Running => WAITING,
        (_, None) if matches!(plan.step, Step::Running | Step::Stopped | Step::Held | Step::Releasing) => RESTING,
        (_, None) => {
            if lately(facts) {
                QUICK
            } else {
                MOVING
            }
        }
    }
}

fn lately(facts: &Facts) -> bool {
    let conditions = facts.cluster.status.iter().flat_map(|old| &old.conditions);
    turned_lately(conditions.map(|condition| condition.last_transition_time.as_str()), facts.now)
}

/// Before this pass; what it turns itself is seen by the next one.
fn turned_lately<'a>(turned: impl Iterator<Item = &'a str>, now: i64) -> bool {
    let last = turned.filter_map(|at| at.parse::<jiff::Timestamp>().ok()).max();
    last.is_some_and(|last| now - last.as_second() <= LATELY_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_turned_lately_is_looked_at_more_often_than_what_lasts() {
        let now = "2030-01-01T00:00:20Z".parse::<jiff::Timestamp>().unwrap().as_second();
        for (turned, lately) in [
            (vec!["2030-01-01T00:00:11Z"], true),
            (vec!["2029-01-01T00:00:00Z", "2030-01-01T00:00:20Z"], true),
            (vec!["2030-01-01T00:00:09Z"], false),
            (vec!["no time"], false),
            (vec![], false),
        ] {
            assert_eq!(turned_lately(turned.iter().copied(), now), lately, "{turned:?}");
        }
    }
}

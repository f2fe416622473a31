//! What a person asks for.
//!
//! Law: delete > pause > abort > stop > restart; an unknown or empty value changes nothing in either direction; a wish is
//! tried once; on first sight nonces are remembered, not carried out. Must not know: how it is done.

use crate::api::annotations as keys;
use crate::api::records::{OperationStamp, SpentWish, WishKey};
use crate::api::status::HandledRequests;
use crate::api::{DesiredState, Reason};
use crate::cluster::evidence::standing::Standing;
use crate::cluster::facts::Facts;
use crate::cluster::plan::act::{Act, Mark, Plan, Remember, Step};
use crate::cluster::plan::{operation, safety};

/// All requests on a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Being deleted.
    pub delete: bool,
    /// Release as it is.
    pub abandon: bool,
    /// No new step.
    pub paused: bool,
    /// Operation to abort.
    pub abort: Option<String>,
    /// Spent operation to try again.
    pub retry: Option<String>,
    /// Who asks for the stop: Annotation, Spec.
    pub stop: Vec<&'static str>,
    /// Restart nonce that was not consumed yet.
    pub restart: Option<String>,
    /// Something that is not understood.
    pub invalid: Option<String>,
    /// Adopted claims.
    pub adopt: Option<String>,
}

impl Requests {
    /// Reads them.
    pub fn read(facts: &Facts) -> Self {
        let value = |key: &str| facts.annotation(key).map(str::to_owned);
        let mut requests = Self {
            delete: facts.deleting(),
            abandon: facts.annotation(keys::DELETE) == Some(keys::DELETE_ABANDON),
            abort: value(keys::ABORT),
            retry: value(keys::RETRY),
            adopt: value(keys::ADOPT_VOLUMES),
            ..Self::default()
        };
        match facts.annotation(keys::MAINTENANCE) {
            None => {}
            Some(keys::MAINTENANCE_SHUTDOWN) => requests.stop.push("Annotation"),
            Some(other) => requests.invalid = Some(unknown(keys::MAINTENANCE, other, keys::MAINTENANCE_SHUTDOWN)),
        }
        match facts.annotation(keys::PAUSE) {
            None => {}
            Some(keys::PAUSE_TRUE) => requests.paused = true,
            Some(other) => requests.invalid = Some(unknown(keys::PAUSE, other, keys::PAUSE_TRUE)),
        }
        if facts.cluster.spec.state == DesiredState::Stopped {
            requests.stop.push("Spec");
        }
        let consumed = handled(facts).restart;
        requests.restart = value(keys::RESTART).filter(|nonce| !nonce.is_empty() && Some(nonce) != consumed.as_ref());
        requests
    }

    /// The stop is wished now, by level or by deletion.
    pub fn wants_stop(&self) -> bool {
        self.delete || !self.stop.is_empty()
    }

    /// The wish of highest rank that would begin an operation.
    pub fn wish(&self) -> Option<WishKey> {
        if self.delete {
            Some(WishKey::Delete)
        } else if !self.stop.is_empty() {
            Some(WishKey::Stop)
        } else {
            self.restart.clone().map(WishKey::Restart)
        }
    }

    /// Whether the wish of an open operation still stands.
    pub fn still_wishes(&self, wish: &WishKey) -> bool {
        match wish {
            // A restart was asked once; a stop that grew into a deletion goes on.
            WishKey::Restart(_) => true,
            WishKey::Stop | WishKey::Delete => self.wants_stop(),
        }
    }
}

fn unknown(key: &str, value: &str, known: &str) -> String {
    format!(
        "the value {value:?} of {key} is not understood: nothing changes until it is {known:?} or the annotation is removed"
    )
}

/// Consumed one-shots, as the status has them.
pub fn handled(facts: &Facts) -> HandledRequests {
    facts.cluster.status.as_ref().and_then(|s| s.handled.clone()).unwrap_or_default()
}

/// On the first pass nonces that are present are remembered and not carried out.
pub fn first_sight(facts: &Facts) -> Option<Plan> {
    if facts.cluster.status.as_ref().is_some_and(|s| s.handled.is_some()) {
        return None;
    }
    let restart = facts.annotation(keys::RESTART).map(str::to_owned);
    let restart_outcome = restart.as_ref().map(|_| "SeenAtFirstSight".to_owned());
    let abort = facts.annotation(keys::ABORT).map(str::to_owned);
    let abort_outcome = abort.as_ref().map(|_| "SeenAtFirstSight".to_owned());
    let handled = HandledRequests { restart, restart_outcome, abort, abort_outcome };
    let remember = Remember { handled, ..Remember::default() };
    Some(Plan::acts(Step::Creating, Reason::Creating, "first sight of this resource", Act::Remember(remember)))
}

/// The wish that is spent, as stamp or status have it.
pub fn spent(facts: &Facts) -> Option<SpentWish> {
    let stamped = facts.kube.set.as_ref().and_then(|set| set.spent.clone());
    stamped.or_else(|| {
        let spent = facts.cluster.status.as_ref()?.spent.clone()?;
        facts.kube.set.is_none().then(|| SpentWish {
            operation: spent.operation,
            wish: operation::wish_of(&spent.kind, spent.nonce),
            outcome: spent.outcome,
            reason: spent.reason,
        })
    })
}

/// An abort of an operation that is over, or never was, or may no more be aborted, is consumed. Asked last at a rest: where
/// an older CRD keeps no memory of it, nothing else waits for it.
pub fn late_abort(facts: &Facts, requests: &Requests, at: Step) -> Option<Plan> {
    let asked = requests.abort.as_ref().filter(|asked| !asked.is_empty())?;
    let mut handled = handled(facts);
    if handled.abort.as_ref() == Some(asked) {
        return None;
    }
    let history = facts.cluster.status.iter().flat_map(|status| &status.history);
    let carried_out =
        history.filter(|past| past.operation == *asked).any(|past| ["Aborted", "RolledBack"].contains(&&*past.outcome));
    let (outcome, reason, message) = match carried_out {
        true => ("Aborted", Reason::Reconciled, format!("operation {asked} was aborted")),
        false => {
            let why = "from its commit on a stop goes only forward, and no other one is open";
            ("NotApplicable", Reason::NotApplicable, format!("operation {asked} cannot be aborted: {why}"))
        }
    };
    (handled.abort, handled.abort_outcome) = (Some(asked.clone()), Some(outcome.into()));
    Some(Plan::acts(at, reason, message, Act::Remember(Remember { handled, ..Remember::default() })))
}

/// Begins an operation for a wish that was not tried yet, or forgets a spent one that was withdrawn.
pub fn accept(facts: &Facts, requests: &Requests, standing: &Standing<'_>) -> Option<Plan> {
    let spent = spent(facts);
    if let Some(spent) = &spent {
        let withdrawn = !requests.still_wishes(&spent.wish);
        let again = requests.retry.as_deref() == Some(spent.operation.as_str());
        if (withdrawn || again) && facts.kube.set.is_some() {
            let mark = Mark::default().stamp(keys::STAMP_SPENT, None);
            return Some(Plan::acts(
                Step::Running,
                Reason::Running,
                "the spent wish was withdrawn or is tried again",
                Act::Mark(mark),
            ));
        }
    }
    let wish = requests.wish()?;
    if spent.as_ref().is_some_and(|spent| spent.wish == wish) {
        return None;
    }
    if matches!(standing, Standing::Nothing) && wish != WishKey::Delete {
        return None;
    }
    let operation = OperationStamp {
        id: operation::next_id(facts),
        wish: wish.clone(),
        requested_by: facts.requester.clone(),
        accepted_at: facts.now,
    };
    let mut handled = handled(facts);
    if let WishKey::Restart(nonce) = &wish {
        handled.restart = Some(nonce.clone());
        handled.restart_outcome = Some("Accepted".into());
    }
    let remember = Remember { handled, operation: Some(operation.clone()), founding_id: None };
    let mut plan = Plan::acts(Step::Preflight, Reason::Stopping, "the wish is accepted", Act::Remember(remember));
    plan.operation = Some(operation);
    plan.blockers = safety::why_not_stop(facts);
    Some(plan)
}

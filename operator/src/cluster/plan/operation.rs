//! Which operation is open.
//!
//! Law: the stamp on the StatefulSet outranks the status; the members' machine tells whether it has ended; an id's
//! number is higher than every number seen anywhere. Must not know: steps.

use jet_admin_api::operation::{OperationStep, OperationView};

use crate::api::records::{OperationStamp, WishKey};
use crate::cluster::facts::Facts;

/// The number of an operation id.
pub fn number(id: &str) -> u64 {
    id.split('-').next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// An id higher than all that anybody knows.
pub fn next_id(facts: &Facts) -> String {
    let set = facts.kube.set.as_ref();
    let status = facts.cluster.status.as_ref();
    let mut seen: Vec<u64> = Vec::new();
    seen.extend(set.and_then(|s| s.operation.as_ref()).map(|o| number(&o.id)));
    seen.extend(set.and_then(|s| s.spent.as_ref()).map(|o| number(&o.operation)));
    seen.extend(status.and_then(|s| s.operation.as_ref()).map(|o| number(&o.id)));
    seen.extend(status.and_then(|s| s.spent.as_ref()).map(|o| number(&o.operation)));
    seen.extend(status.iter().flat_map(|s| s.history.iter()).map(|h| number(&h.operation)));
    seen.extend(facts.kube.evidence.seals.iter().map(|k| number(&k.record.operation)));
    seen.extend(facts.views().filter_map(|(_, v)| v.cluster.as_ref()).map(|c| c.highest_operation));
    let next = 1 + seen.into_iter().max().unwrap_or(0);
    format!("{next}-{}", &facts.fresh.simple().to_string()[..8])
}

/// The machine's operation of this id.
pub fn in_machine<'a>(facts: &'a Facts, id: &str) -> Option<&'a OperationView> {
    facts.machine()?.operation.as_ref().filter(|op| op.id == id)
}

/// The open operation, if there is one.
pub fn open(facts: &Facts) -> Option<OperationStamp> {
    if let Some(stamp) = facts.kube.set.as_ref().and_then(|set| set.operation.clone()) {
        return Some(stamp);
    }
    accepted_only(facts).or_else(|| unstamped(facts))
}

/// Accepted in the status and not yet stamped. A status that lags behind an ended operation is recognised by the
/// spent stamp and by the machine.
fn accepted_only(facts: &Facts) -> Option<OperationStamp> {
    let status = facts.cluster.status.as_ref()?.operation.as_ref()?;
    let spent = facts.kube.set.as_ref().and_then(|set| set.spent.as_ref());
    if spent.is_some_and(|spent| number(&spent.operation) >= number(&status.id)) {
        return None;
    }
    if facts.machine().is_some_and(|machine| machine.highest_operation >= number(&status.id)) {
        return None;
    }
    if facts.kube.evidence.seals.iter().any(|kept| number(&kept.record.operation) >= number(&status.id)) {
        return None;
    }
    let accepted_at = status.accepted_at.parse::<jiff::Timestamp>().map_or(facts.now, |t| t.as_second());
    Some(OperationStamp {
        id: status.id.clone(),
        wish: wish_of(&status.kind, status.nonce.clone()),
        requested_by: status.requested_by.clone(),
        accepted_at,
    })
}

/// Open in the members' machine though nothing here knows of it: a StatefulSet that was made again, or a former operator.
/// A member that lags behind may still tell of one that has ended: of one whose wish is spent only the leader's own words
/// count. It may have begun late, and is then taken back.
fn unstamped(facts: &Facts) -> Option<OperationStamp> {
    let told = facts.machine()?.operation.as_ref()?;
    let spent = facts.kube.set.as_ref().and_then(|set| set.spent.as_ref());
    let is_spent = spent.is_some_and(|spent| number(&spent.operation) >= number(&told.id));
    let operation = if is_spent { facts.leader()?.1.operation.as_ref()? } else { told };
    let ended = matches!(operation.step, OperationStep::Opened | OperationStep::Aborted);
    (!ended).then(|| OperationStamp {
        id: operation.id.clone(),
        wish: WishKey::Stop,
        requested_by: "members".into(),
        accepted_at: facts.now,
    })
}

/// Word of a wish for the status.
pub fn kind_of(wish: &WishKey) -> (&'static str, Option<String>) {
    match wish {
        WishKey::Stop => ("Stop", None),
        WishKey::Restart(nonce) => ("Restart", Some(nonce.clone())),
        WishKey::Delete => ("Delete", None),
    }
}

/// The same in a sentence.
pub fn noun(wish: &WishKey) -> &'static str {
    match wish {
        WishKey::Stop => "stop",
        WishKey::Restart(_) => "restart",
        WishKey::Delete => "deletion",
    }
}

/// The wish of a word.
pub fn wish_of(kind: &str, nonce: Option<String>) -> WishKey {
    match kind {
        "Restart" => WishKey::Restart(nonce.unwrap_or_default()),
        "Delete" => WishKey::Delete,
        _ => WishKey::Stop,
    }
}

//! The end of a stop that the members carry out by themselves, and of a member that leaves: when this process may go.
//!
//! Law: nobody goes before the stop is committed and its own store sealed; who leads goes last, because the others learn
//! from it that the stop is committed. Must not know: how a process ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jet_core::operation::OperationStep;
use jet_core::{Boot, ClusterState, LogIndex, Machine, MemberId};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::node::Node;
use crate::clock::Moment;
use crate::net::Lane;
use crate::ports::Cluster;

/// Pause between two looks when nothing was applied meanwhile.
const LOOK: Duration = Duration::from_millis(50);

/// What is known beside the machine.
struct Facts {
    me: MemberId,
    boot: Boot,
    /// This member leads.
    leading: bool,
    /// How far the members that are connected have applied the log.
    connected: BTreeMap<MemberId, LogIndex>,
}

/// Cancels `leave` when this process may go. Not for members that an operator stops: it ends them itself.
pub async fn run(node: Arc<Node>, leave: CancellationToken) {
    let mut machines = node.machines();
    let mut committed_by = None;
    loop {
        let machine = machines.borrow_and_update().clone();
        if !committed(&machine) {
            committed_by = None;
        } else {
            let index = *committed_by.get_or_insert(machine.applied);
            if may_go(&machine, index, &facts(&node)) {
                info!("the stop is committed, this store is sealed; the process ends");
                return leave.cancel();
            }
        }
        tokio::select! {
            biased;
            () = tokio::time::sleep(LOOK) => {}
            changed = machines.changed() => if changed.is_err() { return },
        }
    }
}

/// Cancels `leave` when this member has left the cluster and its store says so.
pub async fn when_left(node: Arc<Node>, leave: CancellationToken) {
    while !node.has_left() {
        tokio::time::sleep(LOOK).await;
    }
    info!("this member has left the cluster; the process ends");
    leave.cancel();
}

fn facts(node: &Node) -> Facts {
    let heard = node.presence().observed(Moment::now());
    let applied = |member: MemberId| heard.get(&member).map_or(0, |observed| observed.report.applied);
    let connected = node.net().peers(Lane::Control).into_iter().map(|peer| MemberId(peer.member));
    Facts {
        me: node.me(),
        boot: node.boot(),
        leading: node.standing().is_some_and(|standing| standing.leading.is_some()),
        connected: connected.map(|member| (member, applied(member))).collect(),
    }
}

/// A stop of ours, past the point of no return.
fn committed(machine: &Machine) -> bool {
    let ClusterState::Passive { held_by: Some(op) } = &machine.state else { return false };
    machine.operation(op).is_some_and(|held| held.transient && held.step == OperationStep::Committed)
}

/// The process whose store the stop has sealed. A later one of the same member is on its way back.
fn sealed_by(machine: &Machine, member: MemberId) -> Option<Boot> {
    let ClusterState::Passive { held_by: Some(op) } = &machine.state else { return None };
    machine.operation(op)?.seals.get(&member).map(|seal| seal.boot)
}

fn may_go(machine: &Machine, committed_by: LogIndex, facts: &Facts) -> bool {
    let told = |member: &MemberId| facts.connected.get(member).is_none_or(|applied| *applied >= committed_by);
    let others_told = machine.roster.keys().filter(|member| **member != facts.me).all(told);
    sealed_by(machine, facts.me) == Some(facts.boot) && (!facts.leading || others_told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jet_core::roster::RosterEntry;
    use jet_core::{Digest, Generation, Operation, OperationId, SealRecord, Settled};
    use uuid::Uuid;

    fn member(n: u128) -> MemberId {
        MemberId(Uuid::from_u128(n))
    }

    fn seal(boot: Boot) -> SealRecord {
        SealRecord {
            boot,
            volume_id: "v".into(),
            generation: Generation(1),
            digest: Digest::default(),
            content_digest: Digest::default(),
            quiesced_index: 1,
            entries: 0,
            bytes: 0,
        }
    }

    fn machine(step: OperationStep, transient: bool) -> Machine {
        let id: OperationId = "4-a".parse().unwrap();
        let operation = Operation {
            id: id.clone(),
            requested_by: "rest".into(),
            accepted: Vec::new(),
            transient,
            base_index: 1,
            step,
            attempt: 1,
            commit_within_ms: 1,
            former: Settled::Active,
            quiesced: None,
            seals: (0..3).map(|n| (member(n), seal(Boot(4)))).collect(),
            aborted_because: None,
        };
        let entry = |n: u32| RosterEntry { ordinal: n, boot: Boot(1), volume_id: "v".into(), log_line: 1 };
        Machine {
            state: ClusterState::Passive { held_by: Some(id) },
            roster: (0..3).map(|n| (member(u128::from(n)), entry(n))).collect(),
            operations: BTreeMap::from([(4, operation)]),
            ..Machine::default()
        }
    }

    #[test]
    fn only_a_committed_stop_of_ours_ends_processes() {
        assert!(committed(&machine(OperationStep::Committed, true)));
        // An operator's stop is ended by the operator.
        assert!(!committed(&machine(OperationStep::Committed, false)));
        for step in [OperationStep::Begun, OperationStep::Sealed, OperationStep::Aborted, OperationStep::Opened] {
            assert!(!committed(&machine(step, true)), "{step:?}");
        }
        let back = Machine { state: ClusterState::Active, ..machine(OperationStep::Committed, true) };
        assert!(!committed(&back));
    }

    #[test]
    fn who_leads_goes_last() {
        let machine = machine(OperationStep::Committed, true);
        let facts = |leading, connected: &[(u128, LogIndex)]| Facts {
            me: member(0),
            boot: Boot(4),
            leading,
            connected: connected.iter().map(|(n, applied)| (member(*n), *applied)).collect(),
        };
        for (leading, connected, expected) in [
            (true, &[(1, 90), (2, 89)][..], false),
            (true, &[(1, 90), (2, 90)], true),
            // Gone: it cannot be told any more.
            (true, &[(1, 91)], true),
            (true, &[(2, 89)], false),
            (true, &[], true),
            (false, &[(1, 1), (2, 1)], true),
        ] {
            assert_eq!(may_go(&machine, 90, &facts(leading, connected)), expected, "{leading} {connected:?}");
        }
        // Started again: it waits for the others.
        assert!(!may_go(&machine, 90, &Facts { boot: Boot(5), ..facts(false, &[]) }));
    }
}

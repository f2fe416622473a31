//! Whether a hot backup may begin now.
//!
//! Law: pure; a reason names what stands against it and what to do. Must not know: stores.

use jet_admin_api::refusal::{Code, Refusal};
use jet_core::{ClusterState, Machine, MemberId};

/// `None`: it may. `unheard`: members of the roster that are not there.
pub fn why_not(machine: &Machine, unheard: &[MemberId]) -> Option<Refusal> {
    let no = |why: String, way_out: &str| Some(Refusal::new(Code::ClusterState, why).hint(way_out));
    if let Some(operation) = machine.open_operation() {
        let why = format!("operation {} is under way: stores are being sealed, or come back", operation.id);
        return no(why, "a sealed store is a backup by itself: copy it, or ask again when the cluster is open");
    }
    match &machine.state {
        ClusterState::Unfounded => return no("the cluster is not founded".into(), "found it first"),
        ClusterState::Active | ClusterState::NoMigration | ClusterState::Frozen => {}
        ClusterState::Passive { held_by: None } => {}
        state => return no(format!("the cluster is {state}"), "ask again when it is open"),
    }
    let ordinal = |member: &MemberId| machine.roster.get(member).map_or(0, |entry| entry.ordinal).to_string();
    match unheard {
        [] => None,
        unheard => {
            let missing = unheard.iter().map(ordinal).collect::<Vec<_>>().join(", ");
            let why = format!("member {missing} is not heard, and without its store the cluster does not come back");
            no(why, "ask again when all members are there")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jet_core::{Operation, OperationStep, Settled};
    use std::collections::BTreeMap;

    fn operation(step: OperationStep) -> Operation {
        Operation {
            id: "4-a".parse().unwrap(),
            requested_by: "t".into(),
            accepted: Vec::new(),
            transient: false,
            base_index: 1,
            step,
            attempt: 1,
            commit_within_ms: 1,
            former: Settled::Active,
            quiesced: None,
            seals: BTreeMap::new(),
            aborted_because: None,
        }
    }

    fn said(state: ClusterState, step: Option<OperationStep>, unheard: &[MemberId]) -> String {
        let operations = step.map(|step| (4, operation(step))).into_iter().collect();
        let machine = Machine { state, operations, ..Machine::default() };
        why_not(&machine, unheard).map_or_else(String::new, |refusal| refusal.to_string())
    }

    #[test]
    fn a_backup_begins_in_an_open_cluster_with_everybody_there_and_nowhere_else() {
        use ClusterState::{Active, Frozen, NoMigration, Passive, Unfounded};
        for open in [Active, NoMigration, Frozen, Passive { held_by: None }] {
            assert_eq!(said(open.clone(), None, &[]), "");
            assert_eq!(said(open.clone(), Some(OperationStep::Opened), &[]), "", "an operation of long ago");
            assert!(said(open, Some(OperationStep::Begun), &[]).contains("operation 4-a is under way"));
        }
        let held = Passive { held_by: "4-a".parse().ok() };
        assert!(said(held, Some(OperationStep::Sealed), &[]).contains("a sealed store is a backup by itself"));
        assert!(said(Unfounded, None, &[]).contains("not founded"));
        let absent = [MemberId(uuid::Uuid::from_u128(1))];
        assert!(said(Active, None, &absent).contains("member 0 is not heard"));
    }
}

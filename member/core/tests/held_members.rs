//! Members that take no part, and say why.
//!
//! Law: what a volume brings from another time is neither written over nor written on. Must not know: supervisors.

use std::collections::BTreeMap;

use jet_core::agent::{self, Access, Action, LocalFacts, OwnSeal};
use jet_core::roster::RosterEntry;
use jet_core::{
    Boot, ClusterState, Digest, Generation, Machine, MemberId, OperationId, Restored, SealRecord, StoreReport, safety,
};

fn seal() -> OwnSeal {
    let (op, digest) = (OperationId { seq: 1, random: "x".into() }, Digest::default);
    let record = SealRecord {
        boot: Boot(1),
        volume_id: String::new(),
        generation: Generation(1),
        digest: digest(),
        content_digest: digest(),
        quiesced_index: 1,
        entries: 0,
        bytes: 0,
    };
    OwnSeal { op, attempt: 1, record }
}

#[test]
fn a_volume_that_was_put_back_in_time_is_left_alone_and_named() {
    let me = MemberId(uuid::Uuid::from_u128(1));
    let entry = RosterEntry { ordinal: 0, boot: Boot(2), volume_id: String::new(), log_line: 1 };
    let running = Machine {
        generation: Generation(2),
        state: ClusterState::Active,
        roster: BTreeMap::from([(me, entry)]),
        ..Machine::default()
    };
    let recovers =
        ClusterState::Activating { generation: Generation(2), op: None, opened: BTreeMap::new(), wishes: Vec::new() };
    let opening = Machine { generation: Generation(1), state: recovers, ..running.clone() };
    let works = |action: &Action| !matches!(action, Action::SetDoors(_));
    // Machine, opened by the store, sealed, how RAM stands to it, generation of the backup that it was restored from; whether
    // it takes part.
    let cases = [
        (&running, 1, false, Access::Unread, None, false),
        (&running, 1, true, Access::Unread, None, false),
        (&running, 1, true, Access::Read, None, false),
        (&running, 0, false, Access::Read, None, false),
        (&running, 2, false, Access::Unread, None, true),
        (&running, 2, true, Access::Read, None, true),
        (&running, 2, false, Access::Read, None, true),
        // A member whose log is still being applied knows less than its store.
        (&running, 3, false, Access::Unread, None, true),
        (&opening, 1, false, Access::Read, None, true),
        // Put back alone beside those that run on, and where a whole cluster was restored once.
        (&running, 2, false, Access::Unread, Some(2), false),
        (&running, 2, false, Access::Read, Some(2), false),
        (&running, 2, false, Access::Unread, Some(1), true),
        (&opening, 1, false, Access::Read, Some(1), true),
    ];
    for (machine, opened, sealed, access, backup, takes_part) in cases {
        let restored = backup.map(|generation| Restored {
            name: "nightly".into(),
            set: uuid::Uuid::from_u128(7),
            generation: Generation(generation),
        });
        let holds = StoreReport {
            generation: Generation(opened),
            seal: None,
            partitions: Vec::new(),
            epochs: Vec::new(),
            restored: restored.clone(),
        };
        let facts = LocalFacts {
            boot: Boot(2),
            holds: Some(holds),
            access,
            sealed: sealed.then(seal),
            opened: Generation(opened),
            ..LocalFacts::default()
        };
        let actions = agent::plan(machine, me, &facts);
        let row = format!("opened {opened}, sealed {sealed}, {access:?}, {backup:?}: {actions:?}");
        assert_eq!(actions.iter().any(works), takes_part, "{row}");
        match safety::why_not_take_part(machine, facts.opened, restored.as_ref()) {
            None => assert!(takes_part, "{row}"),
            Some(why) => {
                assert!(!takes_part, "{row}");
                let says = match backup {
                    None => [format!("generation {opened}"), "runs in 2".to_owned()],
                    Some(_) => ["backup 'nightly'".to_owned(), "runs in generation 2".to_owned()],
                };
                assert!(says.iter().all(|says| why.contains(says)), "{why}");
            }
        }
    }
}

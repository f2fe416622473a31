//! Who may ask this member for what.
//!
//! The law: one table says who may ask for what in which state of the cluster, and whoever has to decide reads it here.
//! Doors are closed for writers first, then for all; refused at once, never queued. Must not know: why it is closed.

use serde::{Deserialize, Serialize};

use jet_core::ClusterState;

use crate::op::Change;
use crate::{Op, Query, Refusal};

/// The door of one member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Door {
    /// Everybody is served.
    Open,
    /// Clients may read; sinks of jobs still write.
    ClosedForWriters,
    /// Nobody is served; only members among themselves.
    #[default]
    Closed,
}

impl std::fmt::Display for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Door::Open => "open",
            Door::ClosedForWriters => "closed for writers",
            Door::Closed => "closed",
        })
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Requester {
    /// A client, a person, a tool.
    Client,
    /// A job of ours, for its snapshots and sinks.
    Job,
    /// The primary of the partition, because of the time.
    Primary,
}

impl std::fmt::Display for Requester {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Requester::Client => "client",
            Requester::Job => "job",
            Requester::Primary => "primary",
        })
    }
}

/// What is asked, as far as it matters who may ask for it and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// Any question.
    Read,
    /// A change of entries.
    Entries,
    /// A lock is taken or given back.
    Locks,
    /// What a job leaves: parts, records, sink writes, and taking them back.
    Record,
    /// What a primary does of its own accord: the first change of an installation, time.
    Own,
}

impl Asked {
    /// All of them.
    pub const ALL: [Asked; 5] = [Asked::Read, Asked::Entries, Asked::Locks, Asked::Record, Asked::Own];

    /// What a change is.
    pub fn of(op: &Op) -> Self {
        match op {
            Op::Put { .. } | Op::PutAll { .. } | Op::Remove { .. } | Op::ClearMap { .. } => Asked::Entries,
            Op::TakeOut { evicted: true, .. } => Asked::Own,
            Op::EvictAll { .. } | Op::TakeOut { .. } => Asked::Entries,
            Op::Keyed(keyed) if keyed.change == Change::Touch => Asked::Own,
            Op::Keyed(_) => Asked::Entries,
            Op::Lock { .. } | Op::Unlock { .. } | Op::FreeLocks { .. } => Asked::Locks,
            Op::Install { .. } | Op::Expire { .. } => Asked::Own,
            Op::SnapshotPart { .. } | Op::SnapshotCommit(_) | Op::SnapshotDrop { .. } => Asked::Record,
            Op::SinkApply { .. } | Op::SinkRestore { .. } | Op::CutBack { .. } => Asked::Record,
            Op::RestoreBegin { .. } | Op::RestoreEnd { .. } => Asked::Record,
        }
    }
}

/// The table: who may ask for what in which state of the cluster. A primary asks itself what a client may ask.
///
/// | | ACTIVE, NO_MIGRATION, FROZEN | PASSIVE by a person | a stop takes its snapshots | any other state |
/// |---|---|---|---|---|
/// | client: read | yes | yes | while they are taken | no |
/// | client: entries, locks | yes | no | no | no |
/// | job: read, record, entries | yes | yes | yes | no |
/// | primary: time | yes | no | no | no |
///
/// What jobs have committed must reach sinks and disks also behind closed doors, or neither a seal nor a return would have
/// it; contents are compared only when nobody of them has anything left to write. In a closed state time stands still:
/// nothing is buried and no lock becomes free, so that what is sealed is what was compared.
pub fn admits(state: &ClusterState, requester: Requester, asked: Asked) -> bool {
    let open = matches!(state, ClusterState::Active | ClusterState::NoMigration | ClusterState::Frozen);
    let closing = matches!(state, ClusterState::InTransition { .. } | ClusterState::Passive { held_by: None });
    match (requester, asked) {
        (Requester::Client, Asked::Read) => open || closing,
        (Requester::Client, Asked::Entries | Asked::Locks) => open,
        (Requester::Job, Asked::Read | Asked::Record | Asked::Entries) => open || closing,
        (Requester::Primary, Asked::Own) => open,
        (Requester::Client, Asked::Record | Asked::Own)
        | (Requester::Job, Asked::Locks | Asked::Own)
        | (Requester::Primary, _) => false,
    }
}

/// What of the state of the cluster, and of who asks, forbids a change.
pub fn judge(state: &ClusterState, requester: Requester, op: &Op) -> Result<(), Refusal> {
    if admits(state, requester, Asked::of(op)) {
        return Ok(());
    }
    let ever = admits(&ClusterState::Active, requester, Asked::of(op));
    let what = match ever {
        true => format!("no change in cluster state {}", state.name()),
        false => format!("{} is not for a {requester} to ask", name(op)),
    };
    Err(Refusal::NotNow { what })
}

impl Door {
    /// Whether a change may come in.
    pub fn admit(self, requester: Requester, op: &Op) -> Result<(), Refusal> {
        let admitted = match requester {
            Requester::Client | Requester::Primary => self == Door::Open,
            // A job's snapshot is what a closed door waits for; whether jobs run at all is decided by the machine.
            Requester::Job => true,
        };
        if admitted { Ok(()) } else { Err(Refusal::Door { what: name(op).into(), door: self }) }
    }

    /// Whether a question may come in.
    pub fn admit_query(self, requester: Requester, _query: &Query) -> Result<(), Refusal> {
        if requester == Requester::Job || self != Door::Closed {
            return Ok(());
        }
        Err(Refusal::Door { what: "a read".into(), door: self })
    }
}

fn name(op: &Op) -> &'static str {
    match op {
        Op::Put { .. } | Op::PutAll { .. } => "a put",
        Op::Remove { .. } | Op::TakeOut { .. } => "a remove",
        Op::ClearMap { .. } => "a clear",
        Op::EvictAll { .. } => "an eviction",
        Op::Lock { .. } | Op::Unlock { .. } | Op::FreeLocks { .. } => "a lock",
        Op::Keyed(keyed) => match keyed.change {
            Change::Remove | Change::RemoveIfSame(_) => "a remove",
            Change::Evict => "an eviction",
            _ => "a put",
        },
        _ => "a change",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jet_core::OperationId;
    use jet_core::agent::Doors;

    #[test]
    fn doors_close_for_writers_then_for_all() {
        let put = Op::ClearMap { map: "m".into() };
        let maps = Query::Maps;
        let rows = [(Door::Open, true, true), (Door::ClosedForWriters, false, true), (Door::Closed, false, false)];
        for (door, writes, reads) in rows {
            assert_eq!(door.admit(Requester::Client, &put).is_ok(), writes, "{door}");
            assert_eq!(door.admit_query(Requester::Client, &maps).is_ok(), reads, "{door}");
            assert!(door.admit(Requester::Job, &put).is_ok());
        }
    }

    fn roster_entry(boot: jet_core::Boot) -> jet_core::roster::RosterEntry {
        jet_core::roster::RosterEntry { ordinal: 0, boot, volume_id: String::new(), log_line: 0 }
    }

    fn states() -> Vec<(ClusterState, &'static str)> {
        let op = || "1-a".parse::<OperationId>().unwrap();
        let recovering = ClusterState::Recovering {
            from: jet_core::RecoveringFrom::Crash,
            rejoined: Default::default(),
            loaded: Default::default(),
            table_recovered: true,
        };
        vec![
            (ClusterState::Active, "open"),
            (ClusterState::NoMigration, "open"),
            (ClusterState::Frozen, "open"),
            (ClusterState::Passive { held_by: None }, "closing"),
            (ClusterState::InTransition { op: op() }, "closing"),
            (ClusterState::Passive { held_by: Some(op()) }, "closed"),
            (ClusterState::Unfounded, "closed"),
            (recovering, "closed"),
        ]
    }

    #[test]
    fn who_may_ask_for_what_when_is_one_table() {
        use {Asked::*, Requester::*};
        for (state, is) in states() {
            for requester in [Client, Job, Primary] {
                for asked in Asked::ALL {
                    let expected = match (requester, asked) {
                        (Client, Read) | (Job, Read | Record | Entries) => is != "closed",
                        (Client, Entries | Locks) | (Primary, Own) => is == "open",
                        _ => false,
                    };
                    assert_eq!(admits(&state, requester, asked), expected, "{requester} {asked:?} in {}", state.name());
                }
            }
        }
    }

    /// The doors that the agent wants are the columns of the table, but for a stop, which closes them when it has what it
    /// waits for.
    #[test]
    fn the_doors_of_the_agent_are_those_of_the_table() {
        let (me, boot) = (jet_core::MemberId(uuid::Uuid::from_u128(1)), jet_core::Boot(3));
        for (state, is) in states() {
            let mut machine = jet_core::Machine { state: state.clone(), ..Default::default() };
            machine.roster.insert(me, roster_entry(boot));
            let doors = jet_core::agent::doors(&machine, me, boot);
            let wanted = match is {
                "open" => Doors::Open,
                "closing" if matches!(state, ClusterState::Passive { .. }) => Doors::ClosedForWriters,
                _ => Doors::ClosedForAll,
            };
            assert_eq!(doors, wanted, "{}", state.name());
        }
    }
}

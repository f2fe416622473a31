//! Who may ask this member for what.
//!
//! The law: closed for writers first, then for all; refused at once, never queued. Must not know: why it is closed.

use serde::{Deserialize, Serialize};

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
}

impl Door {
    /// Whether a change may come in.
    pub fn admit(self, requester: Requester, op: &Op) -> Result<(), Refusal> {
        let admitted = match requester {
            Requester::Client => self == Door::Open,
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
        Op::Remove { .. } => "a remove",
        Op::ClearMap { .. } => "a clear",
        _ => "a change",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}

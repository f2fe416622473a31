//! What holds at every moment of every history, one file each.
//!
//! Law: an invariant looks at what members hold and serve by, and at what clients were told, and changes nothing. Must not
//! know: what goes wrong.
//!
//! - [`leaders`]: one leader of a term · [`machines`]: equal machines at an equal entry · [`roster`]: the whole roster leaves a
//!   recovery · [`closed`]: while the cluster is stopped nobody is answered · [`decisions`]: what is decided stays decided ·
//!   [`places`]: nobody is given a copy where none is to be made · [`forward`]: what counts up does not count down ·
//!   [`held`]: a committed stop holds until it is over

pub mod closed;
pub mod decisions;
pub mod forward;
pub mod held;
pub mod leaders;
pub mod machines;
pub mod places;
pub mod roster;

use std::sync::Arc;

use jet_core::agent::Doors;
use jet_core::{Boot, Machine, MemberId};
use jet_member::cluster::consensus::Standing;

/// What one process shows.
pub struct Shown {
    /// Whose.
    pub ordinal: usize,
    /// Who.
    pub member: MemberId,
    /// Its boot.
    pub boot: Boot,
    /// The generation that its store has opened.
    pub opened: u64,
    /// How consensus stands there.
    pub standing: Option<Standing>,
    /// What it serves by.
    pub machine: Arc<Machine>,
    /// Whom it lets in.
    pub doors: Doors,
}

/// Something does not hold.
#[derive(Clone, Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum Violated {
    #[error("members {first} and {second} have led term {term}, each with a majority behind it")]
    TwoLeaders { term: u64, first: usize, second: usize },
    #[error("the machine of entry {index} is another at member {ordinal} than at one before")]
    MachinesDiffer { index: u64, ordinal: usize },
    #[error("generation {generation} was opened from a recovery without {missing:?}")]
    WithoutMember { generation: u64, missing: Vec<String> },
    #[error(
        "a client asked at {from} ms and was answered at {to} ms, while the cluster was stopped from {since} ms on"
    )]
    AnsweredWhileStopped { from: u64, to: u64, since: u64 },
    #[error("operation {operation} was {first} and then {second}")]
    DecidedTwice { operation: String, first: &'static str, second: &'static str },
    #[error("somebody was given a place in partition {partition} while the cluster is {state}")]
    NewPlace { partition: u16, state: String },
    #[error("stop {operation} is committed and was left by member {ordinal}, which leads and has sealed for it")]
    LeftTheStop { operation: String, ordinal: usize },
    #[error("somebody took over partition {partition} while the cluster is {state}")]
    TookOver { partition: u16, state: String },
    #[error("{what} went back at member {ordinal}")]
    WentBack { what: &'static str, ordinal: usize },
}

/// All of them.
#[derive(Default)]
pub struct Invariants {
    leaders: leaders::Leaders,
    machines: machines::Machines,
    roster: roster::Roster,
    decisions: decisions::Decisions,
    places: places::Places,
    forward: forward::Forward,
    held: held::Held,
    /// When the cluster was stopped.
    pub closed: closed::Closed,
}

impl Invariants {
    /// Looks at all processes that are up.
    pub fn look(&mut self, now: u64, shown: &[Shown]) -> Result<(), Violated> {
        self.leaders.look(shown)?;
        self.machines.look(shown)?;
        self.roster.look(shown)?;
        self.decisions.look(shown)?;
        self.places.look(shown)?;
        self.forward.look(shown)?;
        self.held.look(shown)?;
        self.closed.look(now, shown);
        Ok(())
    }
}

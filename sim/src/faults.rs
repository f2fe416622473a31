//! What goes wrong in a world, and when: made from the seed before anything runs.
//!
//! Law: a plan can be printed, and shortened by leaving events out. Must not know: how it is done.

use jet_core::Settled;
use jet_hotstore::{Aftermath, Fault as DiskFault};

use crate::dice::Dice;

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A process is killed and comes back after so many milliseconds.
    Kill {
        /// Whose.
        ordinal: usize,
        /// The machine loses its power with it, and its disk is found so.
        power: Option<Aftermath>,
        /// Also when others have not all its copies.
        reckless: bool,
        /// Milliseconds until it is begun again.
        back_after: u64,
    },
    /// The power of a machine goes at one of its next calls to its disk.
    PowerAtCall {
        /// Whose.
        ordinal: usize,
        /// At which.
        calls: u64,
        /// How the disk is found.
        aftermath: Aftermath,
    },
    /// All processes are killed at once.
    KillAll {
        /// All machines lose their power with them, and the disk of each is found in its own way.
        power: bool,
    },
    /// Nothing goes from one to the other.
    Cut {
        /// From whom to whom.
        pairs: Vec<(usize, usize)>,
        /// Milliseconds.
        lasts: u64,
    },
    /// A process does nothing, and its clock goes on.
    Pause {
        /// Whose.
        ordinal: usize,
        /// Milliseconds.
        lasts: u64,
    },
    /// Letters take longer.
    SlowNetwork {
        /// Most milliseconds.
        most: u64,
        /// For so many milliseconds.
        lasts: u64,
    },
    /// What waits for a disk waits longer.
    SlowDisk {
        /// Whose.
        ordinal: usize,
        /// Most milliseconds.
        most: u64,
        /// For so many milliseconds.
        lasts: u64,
    },
    /// A disk fails, and says so.
    Disk {
        /// Whose.
        ordinal: usize,
        /// How.
        fault: DiskFault,
        /// At which of its next calls.
        calls: u64,
        /// For so many milliseconds.
        lasts: u64,
    },
    /// A person wants the cluster stopped and returned.
    Maintenance,
    /// A person wants the cluster in this state.
    State(Settled),
}

/// At which millisecond something goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: u64,
    /// What.
    pub fault: Fault,
}

/// The plan of a seed, for so many members and a time. `apart`: every third time one is cut off from all for longer than a
/// lease, and than it takes to put another in its place.
pub fn plan(seed: u64, members: usize, apart: bool, from: u64, to: u64) -> Vec<Event> {
    let mut dice = Dice::of(seed, "faults");
    let (mut events, mut at) = (Vec::new(), from);
    loop {
        at += dice.within(50..2_000);
        if at >= to {
            return events;
        }
        let fault = match apart && dice.once_in(3) {
            true => {
                let ordinal = dice.within(0..members as u64) as usize;
                Fault::Cut { pairs: from_all(members, ordinal), lasts: dice.within(3_000..8_000) }
            }
            false => one(&mut dice, members),
        };
        events.push(Event { at, fault });
    }
}

fn from_all(members: usize, ordinal: usize) -> Vec<(usize, usize)> {
    let others = (0..members).filter(|other| *other != ordinal);
    others.flat_map(|other| [(ordinal, other), (other, ordinal)]).collect()
}

/// What goes wrong while the members come together for the first time.
pub fn early(seed: u64, members: usize, to: u64) -> Vec<Event> {
    let mut dice = Dice::of(seed, "early faults");
    let (mut events, mut at) = (Vec::new(), 0);
    loop {
        at += dice.within(10..700);
        if at >= to {
            return events;
        }
        let ordinal = dice.within(0..members as u64) as usize;
        let power = dice.once_in(2).then(|| *dice.one_of(&Aftermath::ALL));
        let fault = match dice.within(0..4) {
            0 => Fault::Cut { pairs: pairs(&mut dice, members, ordinal), lasts: dice.within(20..1_500) },
            1 => Fault::PowerAtCall { ordinal, calls: dice.within(1..40), aftermath: *dice.one_of(&Aftermath::ALL) },
            _ => Fault::Kill { ordinal, power, reckless: true, back_after: dice.within(10..600) },
        };
        events.push(Event { at, fault });
    }
}

/// States that a person may want.
const STATES: [Settled; 5] =
    [Settled::Active, Settled::Active, Settled::NoMigration, Settled::Frozen, Settled::Passive];

fn one(dice: &mut Dice, members: usize) -> Fault {
    let ordinal = dice.within(0..members as u64) as usize;
    let mut power = || dice.once_in(2).then(|| *dice.one_of(&Aftermath::ALL));
    match (power(), dice.within(0..26)) {
        (power, 0..6) => Fault::Kill { ordinal, power, reckless: dice.once_in(6), back_after: dice.within(10..4_000) },
        (_, 6..8) => {
            Fault::PowerAtCall { ordinal, calls: dice.within(1..40), aftermath: *dice.one_of(&Aftermath::ALL) }
        }
        (power, 8) => Fault::KillAll { power: power.is_some() },
        (_, 9..16) => Fault::Cut { pairs: pairs(dice, members, ordinal), lasts: dice.within(20..7_000) },
        (_, 16) => Fault::Pause { ordinal, lasts: dice.within(50..6_000) },
        (_, 17) => Fault::SlowNetwork { most: dice.within(20..600), lasts: dice.within(200..3_000) },
        (_, 18) => Fault::SlowDisk { ordinal, most: dice.within(50..3_000), lasts: dice.within(200..4_000) },
        (_, 19..21) => Fault::Disk {
            ordinal,
            fault: *dice.one_of(&DiskFault::TOLD),
            calls: dice.within(1..40),
            lasts: dice.within(100..3_000),
        },
        (_, 21..24) => Fault::Maintenance,
        _ => Fault::State(*dice.one_of(&STATES)),
    }
}

/// One member is cut off from all, in both directions or one, or two from each other.
fn pairs(dice: &mut Dice, members: usize, ordinal: usize) -> Vec<(usize, usize)> {
    let others = (0..members).filter(|other| *other != ordinal);
    let mut pairs: Vec<(usize, usize)> = match dice.within(0..4) {
        0 => from_all(members, ordinal),
        1 => others.map(|other| (ordinal, other)).collect(),
        2 => others.map(|other| (other, ordinal)).collect(),
        _ => {
            let other = (ordinal + 1 + dice.within(0..members as u64 - 1) as usize) % members;
            vec![(ordinal, other), (other, ordinal)]
        }
    };
    if dice.once_in(5) {
        pairs.truncate(1);
    }
    pairs
}

//! What can go wrong between the operator and its world, and when: at one place, or by seed.
//!
//! Law: the same schedule strikes the same calls again, and every schedule comes to an end. Must not know: what is
//! called, what is written.

use std::collections::BTreeMap;

/// A call of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// A pass, before it looks.
    Pass,
    /// A look at everything under the cluster's name, at what a watch shows, at a record.
    Read,
    /// A look at one object that must be as its last write left it.
    Confirm,
    /// A write to the API server, the status apart.
    Write,
    Status,
    /// A command to a member.
    Command,
}

/// What goes wrong at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    DiesBefore,
    DiesAfter,
    /// The operator dies, and its status is erased before the next one looks.
    DiesBeforeErased,
    DiesAfterErased,
    Says409,
    Says410,
    Says429,
    Says500,
    /// Nobody answers until the caller's time is over, and nothing was done.
    Silence,
    /// It was done, and the caller sees a broken connection.
    LostReply,
    /// What was true some looks ago is shown.
    StaleRead,
    /// One member does not answer.
    SilentMember,
    /// The leader does not answer, and the others have not heard what it committed of late.
    LaggingMembers,
    StatusErased,
    /// No watch event comes: the next pass is when the last one said.
    DroppedEvents,
}

impl Fault {
    pub const ALL: [Fault; 15] = [
        Fault::DiesBefore,
        Fault::DiesAfter,
        Fault::DiesBeforeErased,
        Fault::DiesAfterErased,
        Fault::Says409,
        Fault::Says410,
        Fault::Says429,
        Fault::Says500,
        Fault::Silence,
        Fault::LostReply,
        Fault::StaleRead,
        Fault::SilentMember,
        Fault::LaggingMembers,
        Fault::StatusErased,
        Fault::DroppedEvents,
    ];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Fault::DiesBefore => "dies before",
            Fault::DiesAfter => "dies after",
            Fault::DiesBeforeErased => "dies before, status erased",
            Fault::DiesAfterErased => "dies after, status erased",
            Fault::Says409 => "409",
            Fault::Says410 => "410",
            Fault::Says429 => "429",
            Fault::Says500 => "500",
            Fault::Silence => "silence",
            Fault::LostReply => "reply lost after success",
            Fault::StaleRead => "stale read",
            Fault::SilentMember => "a member silent",
            Fault::LaggingMembers => "leader silent, others lag",
            Fault::StatusErased => "status erased",
            Fault::DroppedEvents => "watch events dropped",
        }
    }

    /// The HTTP status of an answer.
    pub fn code(self) -> Option<u16> {
        match self {
            Fault::Says409 => Some(409),
            Fault::Says410 => Some(410),
            Fault::Says429 => Some(429),
            Fault::Says500 => Some(500),
            _ => None,
        }
    }

    pub fn erases(self) -> bool {
        matches!(self, Fault::DiesBeforeErased | Fault::DiesAfterErased | Fault::StatusErased)
    }

    /// Whether a call can meet it.
    pub fn strikes(self, call: Call) -> bool {
        let effect = matches!(call, Call::Write | Call::Status | Call::Command);
        match self {
            Fault::DiesBefore
            | Fault::DiesAfter
            | Fault::DiesBeforeErased
            | Fault::DiesAfterErased
            | Fault::LostReply => effect,
            Fault::Says409 => effect,
            Fault::Says410 | Fault::Says429 => {
                matches!(call, Call::Read | Call::Confirm | Call::Write | Call::Status)
            }
            Fault::Says500 | Fault::Silence => call != Call::Pass,
            Fault::StaleRead => call == Call::Read,
            Fault::SilentMember | Fault::LaggingMembers | Fault::StatusErased | Fault::DroppedEvents => {
                call == Call::Pass
            }
        }
    }
}

/// When something goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    Never,
    /// At the n-th of the calls that can meet it.
    At(Fault, u64),
    Seed(u64),
}

/// A fault that a call meets. `depth`: which member, how old a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strike {
    pub fault: Fault,
    pub depth: u64,
}

/// Faults of one seed at most: after them the world is quiet, and the end must be reached.
const MOST_BY_SEED: u64 = 40;

/// Decides for every call.
pub struct Striker {
    schedule: Schedule,
    calls: BTreeMap<Call, u64>,
    random: Random,
    left: u64,
    /// One call in so many is struck.
    one_in: u64,
    mask: u64,
}

impl Striker {
    pub fn new(schedule: Schedule) -> Self {
        let mut random = Random(match schedule {
            Schedule::Seed(seed) => seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            _ => 1,
        });
        let left = 1 + random.below(MOST_BY_SEED);
        let one_in = [3, 7, 20, 50].get(random.index(4)).copied().unwrap_or(7);
        // Half of the seeds know only some of the faults: one alone is met often then.
        let mask = if random.below(2) == 0 { u64::MAX } else { random.next() };
        Self { schedule, calls: BTreeMap::new(), random, left, one_in, mask }
    }

    /// How many calls could have met it.
    pub fn places(&self, fault: Fault) -> u64 {
        self.calls.iter().filter(|(call, _)| fault.strikes(**call)).map(|(_, count)| count).sum()
    }

    /// What this call meets.
    pub fn next(&mut self, call: Call) -> Option<Strike> {
        let strike = match self.schedule {
            Schedule::Never => None,
            Schedule::At(fault, n) => {
                (fault.strikes(call) && self.places(fault) == n).then_some(Strike { fault, depth: 1 + n % 9 })
            }
            Schedule::Seed(_) => self.by_seed(call),
        };
        *self.calls.entry(call).or_default() += 1;
        strike
    }

    fn by_seed(&mut self, call: Call) -> Option<Strike> {
        if self.left == 0 || self.random.below(self.one_in) != 0 {
            return None;
        }
        let known = Fault::ALL.iter().enumerate().filter(|(at, _)| self.mask >> at & 1 == 1).map(|(_, fault)| *fault);
        let fit: Vec<Fault> = known.filter(|fault| fault.strikes(call)).collect();
        let fault = *fit.get(self.random.index(fit.len()))?;
        self.left -= 1;
        Some(Strike { fault, depth: 1 + self.random.below(30) })
    }
}

/// xorshift64*: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }
}

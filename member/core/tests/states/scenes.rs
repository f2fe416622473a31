//! Machines, one for each state and each part of a state in which commands are judged in another way.
//!
//! Law: each is reached by commands from nothing, none is written down. Must not know: what else may happen in it.

use jet_core::agent::{Doors, doors};
use jet_core::roster::{Founder, RosterEntry};
use jet_core::{Boot, ClusterState, Command, Digest, FoundingId, Machine, MemberId, Outcome, Settled, apply};

use super::commands::{self, Row};

pub const MEMBERS: u8 = 3;
pub const PARTITIONS: u16 = 3;
pub const JOB: &str = "orders";

pub const STATES: usize = 8;
pub const COMMITTED: &str = "held by an operation that is committed";

/// Of its kind.
pub fn number(state: &ClusterState) -> usize {
    match state {
        ClusterState::Unfounded => 0,
        ClusterState::Active => 1,
        ClusterState::NoMigration => 2,
        ClusterState::Frozen => 3,
        ClusterState::Passive { .. } => 4,
        ClusterState::InTransition { .. } => 5,
        ClusterState::Recovering { .. } => 6,
        ClusterState::Activating { .. } => 7,
    }
}

pub fn member(n: u8) -> MemberId {
    MemberId(uuid::Uuid::from_u128(u128::from(n) + 1))
}

pub fn volume(n: u8) -> String {
    format!("named:v{n}")
}

pub fn entry(n: u8) -> RosterEntry {
    RosterEntry { ordinal: u32::from(n), boot: Boot(1), volume_id: volume(n), log_line: 1 }
}

pub fn found(permit: &str) -> Command {
    Command::Found {
        id: FoundingId::default(),
        members: (0..MEMBERS).map(|n| Founder { member: member(n), entry: entry(n) }).collect(),
        partition_count: PARTITIONS,
        backup_count: 1,
        permit_digest: Digest(permit.into()),
    }
}

/// A machine in a state.
pub struct Scene {
    /// Beside the state's name.
    pub more: &'static str,
    pub machine: Machine,
}

impl Scene {
    /// Of a member that counts.
    pub fn doors(&self) -> &'static str {
        let boot = self.machine.roster.get(&member(0)).map_or(Boot(1), |entry| entry.boot);
        match doors(&self.machine, member(0), boot) {
            Doors::Open => "open",
            Doors::ClosedForWriters => "closed for writers",
            Doors::ClosedForAll => "closed",
        }
    }

    pub fn runs_jobs(&self) -> &'static str {
        if self.machine.runtime.is_some() { "yes" } else { "no" }
    }
}

/// One that walks on, and leaves scenes behind.
struct Walk {
    machine: Machine,
    scenes: Vec<Scene>,
}

impl Walk {
    fn act(&mut self, command: Command) -> &mut Self {
        let index = self.machine.applied + 1;
        let outcome = apply(&mut self.machine, index, command.clone());
        assert!(matches!(outcome, Outcome::Done { .. }), "{command:?} in {}: {outcome:?}", self.machine.state);
        self
    }

    /// The command of that row, as it fits here.
    fn go(&mut self, name: &str) -> &mut Self {
        let rows = commands::all();
        let row: &Row = rows.iter().find(|row| row.name == name).unwrap_or_else(|| panic!("no row {name}"));
        let command = (row.command)(&self.machine);
        self.act(command)
    }

    fn times(&mut self, name: &str, times: u8) -> &mut Self {
        (0..times).for_each(|_| {
            self.go(name);
        });
        self
    }

    fn scene(&mut self, more: &'static str) -> &mut Self {
        self.scenes.push(Scene { more, machine: self.machine.clone() });
        self
    }

    fn here(&self) -> Self {
        Self { machine: self.machine.clone(), scenes: Vec::new() }
    }
}

/// All of them, of a cluster that was in `former` before it stopped or fell down.
pub fn of(former: Settled) -> Vec<Scene> {
    let mut walk = Walk { machine: Machine::default(), scenes: Vec::new() };
    walk.scene("no permit yet").act(found("p")).times("Opened", MEMBERS - 1).scene("after founding, the last to open");
    walk.go("Opened").go("Submit of the same job").go("Runtime").go("Running").scene("");
    walk.here().go("Begin of a new operation").scene("an operation has begun").hand_to(&mut walk);
    walk.here().go("RequestStop").scene("a stop is asked for").hand_to(&mut walk);
    walk.here().go("Admit of a blank member").scene("a member joins").hand_to(&mut walk);
    walk.here().go("Admit of a blank member").go("Leave").scene("one that joined is to leave").hand_to(&mut walk);
    walk.here().go("Move").scene("a copy moves").hand_to(&mut walk);
    walk.here().go("Move").go("Synced").scene("a copy that moved is in step").hand_to(&mut walk);
    walk.here().go("Releasing").scene("a primary is to give its place").hand_to(&mut walk);
    walk.here().go("Suspend").scene("the job is suspended").hand_to(&mut walk);
    walk.here().go("SetState to NO_MIGRATION").scene("").hand_to(&mut walk);
    walk.here().go("SetState to FROZEN").scene("").hand_to(&mut walk);
    walk.here().go("SetState to PASSIVE").scene("by hand").hand_to(&mut walk);
    if former != Settled::Active {
        walk.act(Command::SetState { state: former, absent: Vec::new() });
        walk.here().go("Begin of a new operation").scene("an operation has begun").hand_to(&mut walk);
    }
    stopped(walk.here()).hand_to(&mut walk);
    fallen(walk.here()).hand_to(&mut walk);
    walk.scenes
}

impl Walk {
    fn hand_to(&mut self, other: &mut Self) {
        other.scenes.append(&mut self.scenes);
    }
}

fn stopped(mut walk: Walk) -> Walk {
    walk.go("Begin of a new operation").go("Freeze");
    if walk.machine.runtime.is_some() {
        walk.scene("terminal snapshots are missing").go("Terminal");
    }
    walk.scene("terminal snapshots are taken").go("Quiesced").times("Sealed", MEMBERS - 1);
    walk.scene("held by an operation, the last seal is missing").go("Sealed");
    walk.scene("held by an operation, all sealed").go("Commit").scene(COMMITTED);
    walk.go("Recover with every boot later").times("Rejoined", MEMBERS - 1).times("Loaded", MEMBERS - 1);
    walk.scene("from seals, one is not back")
        .go("Rejoined")
        .scene("from seals, one has not loaded")
        .go("Loaded")
        .scene("from seals, all have loaded");
    walk.go("Activate").times("Opened", MEMBERS - 1).scene("from seals, the last to open").go("Opened");
    walk.scene("back from a stop, doors are closed yet");
    walk
}

fn fallen(mut walk: Walk) -> Walk {
    walk.go("Recover with every boot later").times("Rejoined", MEMBERS - 1).times("Loaded", MEMBERS - 1);
    walk.scene("from a crash, one is not back")
        .go("Rejoined")
        .scene("from a crash, one has not loaded")
        .go("Loaded")
        .scene("from a crash, all have loaded");
    walk.go("RecoverTable")
        .scene("from a crash, the newest copies are chosen")
        .times("Synced", u8::try_from(PARTITIONS).unwrap());
    walk.scene("from a crash, all copies are filled").go("SelfActivate").times("Opened", MEMBERS - 1);
    walk.scene("from a crash, the last to open");
    walk
}

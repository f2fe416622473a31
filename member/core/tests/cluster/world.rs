//! Time, messages and faults.
//!
//! Law: the log is ordered and lost by nobody; the way to it loses, delays and repeats. Must not know: invariants.

use std::collections::{BTreeMap, BTreeSet};

use jet_core::agent::{self, Action};
use jet_core::command::RuntimeWish;
use jet_core::report::{EpochReport, Lease, Observations, Observed};
use jet_core::roster::{Founder, RosterEntry};
use jet_core::supervisor::grants::Grants;
use jet_core::supervisor::{self, Watch};
use jet_core::{
    Command, FoundingId, Guarantee, JobId, Machine, MemberId, OperationId, OperationStep, Outcome, TableVersion, apply,
};

use crate::dice::Dice;
use crate::node::Node;
use crate::operator::Operator;
use crate::truth::Truth;

pub const TICK_MS: u64 = 100;
const FAULTY_TICKS: u64 = 700;
/// Longer than an operation may take.
const QUIET_TICKS: u64 = 7_500;
/// In so many ticks of a hundred a late leader goes on with the machine that it has.
const STALLS: usize = 85;
/// About as long as it takes to be held for lost: who is cut off so long may be heard again just as it is deposed.
const NEARLY_LOST_TICKS: std::ops::Range<u64> = 20..40;
/// A world without a rule is watched for broken laws, not for its end.
const QUIET_TICKS_WITHOUT: u64 = 300;

/// A rule that a world can be without, to see it caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    VersionNamesItsPrimary,
    AbsentWaits,
    OnlyCompleteCopies,
    FirstDecisionWins,
    WholeRoster,
    PromotionWaits,
    LeaseIsChecked,
    LeaseNamesItsTable,
    PrimaryWaitsBeforeSynced,
    ReportsAreFinal,
    SealIsCompared,
    ReadBeforeWritten,
    TakenUpByNumber,
    LeaderHasPublishedItsLog,
    DeposedUntilPublished,
    SourceUntilOnDisk,
    MovedLeavesEnough,
    WordOfThePrimary,
    HaltedByAStop,
    LeftHoldsNothing,
}

pub struct Settings {
    pub members: u32,
    pub partitions: u16,
    pub backups: u8,
    /// Disks are behind RAM; then a crash of all loses what was not flushed, and only then.
    pub slow_disks: bool,
    /// Proposals are long on their way, as when a majority of log disks stalls.
    pub slow_log: bool,
    /// Stops are asked of the members too. Worlds without it throw what they always threw.
    pub asks: bool,
    /// A leader serves by less than it has committed, and members are often cut off until they are nearly lost. Worlds
    /// without it throw what they always threw.
    pub late_leader: bool,
    /// Members come and go, and copies move. Worlds without it throw what they always threw.
    pub moves: bool,
}

/// From here on seeds make worlds in which stops are asked of the members.
pub const ASKING: u64 = 10_000;
/// And from here on worlds in which a leader is late.
pub const LATE: u64 = 20_000;
/// And from here on worlds in which members come and go.
pub const MOVING: u64 = 30_000;

impl Settings {
    pub fn of(seed: u64) -> Self {
        let members = [3, 1, 2, 3, 4, 5][(seed % 6) as usize];
        let members = if seed >= MOVING { [2, 3, 1, 3, 2, 4][(seed % 6) as usize] } else { members };
        Self {
            members,
            partitions: 5,
            backups: [1, 1, 2, 0][(seed / 6 % 4) as usize],
            slow_disks: seed.is_multiple_of(5),
            slow_log: seed % 7 == 3,
            asks: (ASKING..LATE).contains(&seed),
            late_leader: (LATE..MOVING).contains(&seed),
            moves: seed >= MOVING,
        }
    }
}

pub struct World {
    pub now: u64,
    pub dice: Dice,
    pub settings: Settings,
    pub without: Option<Rule>,
    pub nodes: Vec<Node>,
    pub log: Vec<Command>,
    /// Everything in the log, applied.
    pub machine: Machine,
    pub proposals: Vec<Command>,
    pub leader: Option<usize>,
    pub leader_since: u64,
    pub heard: BTreeMap<MemberId, (u64, Observed)>,
    pub watch: Watch,
    pub grants: Grants,
    pub operator: Operator,
    pub truth_of_run: Truth,
    pub epoch_of: BTreeMap<u64, EpochReport>,
    pub executions: BTreeMap<(JobId, u64), crate::data::Execution>,
    pub next_write: u64,
    pub quiet: bool,
    /// The stop that ends every run: nothing disturbs it but what clients and jobs write.
    last_stop: Option<OperationId>,
    heal_at: u64,
}

impl World {
    pub fn new(seed: u64, settings: Settings, without: Option<Rule>) -> Self {
        let nodes = (0..settings.members).map(Node::new).collect();
        Self {
            now: 0,
            dice: Dice(seed),
            settings,
            without,
            nodes,
            log: Vec::new(),
            machine: Machine::default(),
            proposals: Vec::new(),
            leader: None,
            leader_since: 0,
            heard: BTreeMap::new(),
            watch: Watch::default(),
            grants: Grants::default(),
            operator: Operator::default(),
            truth_of_run: Truth::default(),
            epoch_of: BTreeMap::new(),
            executions: BTreeMap::new(),
            next_write: 1,
            quiet: false,
            last_stop: None,
            heal_at: 0,
        }
    }

    pub fn lacks(&self, rule: Rule) -> bool {
        self.without == Some(rule)
    }

    pub fn run(&mut self) -> Result<(), String> {
        for node in &mut self.nodes {
            node.start();
        }
        self.found()?;
        for _ in 0..FAULTY_TICKS {
            self.faults();
            self.tick()?;
        }
        self.quiet = true;
        self.heal();
        for _ in 0..if self.without.is_some() { QUIET_TICKS_WITHOUT } else { QUIET_TICKS } {
            if !self.operator.is_down() {
                self.start_all();
            }
            self.tick()?;
            if self.settled_for_good() && self.has_stopped_and_returned()? {
                return self.check_readable();
            }
        }
        let operation = self.machine.open_operation().map(|op| (&op.id, op.step));
        let why = jet_core::safety::sentence(&jet_core::safety::why_not_self_activate(&self.machine));
        let nodes: Vec<_> = self
            .nodes
            .iter()
            .map(|n| {
                (
                    n.up,
                    n.disk.boot.0,
                    n.disk.opened.0,
                    n.disk.seal.is_some(),
                    n.access,
                    n.loaded.is_some(),
                    n.runtime,
                    n.doors,
                )
            })
            .collect();
        let last: Vec<_> =
            self.log.iter().rev().take(6).map(|c| format!("{c:?}").chars().take(300).collect::<String>()).collect();
        Err(format!(
            "not settled: {:?}\n former {:?} operation {operation:?}\n {:?}\n {why}\n {nodes:?}\n leader {:?} runtime {:?}\n {last:#?}",
            self.machine.state,
            self.machine.former,
            self.jobs(),
            self.leader,
            self.machine.runtime
        ))
    }

    fn jobs(&self) -> Vec<(String, jet_core::JobStatus, Option<String>)> {
        self.machine.jobs.values().map(|job| (job.name.clone(), job.status, job.cause.clone())).collect()
    }

    /// STOP: a cluster that is whole stops when it is asked to, and returns.
    fn has_stopped_and_returned(&mut self) -> Result<bool, String> {
        let Some(op) = &self.last_stop else {
            let op = OperationId { seq: self.machine.highest_operation + 1, random: "x".into() };
            self.begin(op.clone(), false);
            self.last_stop = Some(op);
            return Ok(false);
        };
        match self.machine.operation(op) {
            Some(operation) if operation.step == OperationStep::Aborted => {
                Err(format!("a stop that nothing disturbed: {:?}", operation.aborted_because))
            }
            operation => Ok(operation.is_some_and(|operation| operation.step == OperationStep::Opened)),
        }
    }

    pub fn begin(&mut self, op: OperationId, transient: bool) {
        let (requested_by, accepted) = ("test".into(), Vec::new());
        self.proposals.push(Command::Begin { op, requested_by, accepted, transient });
    }

    fn found(&mut self) -> Result<(), String> {
        let founder = |node: &Node| Founder {
            member: node.id,
            entry: RosterEntry { ordinal: node.ordinal, boot: node.disk.boot, volume_id: node.volume(), log_line: 1 },
        };
        let members = self.nodes.iter().map(founder).collect();
        let (partition_count, backup_count) = (self.settings.partitions, self.settings.backups);
        self.append(Command::Found {
            id: FoundingId::default(),
            members,
            partition_count,
            backup_count,
            permit_digest: jet_core::Digest("p".into()),
        })?;
        Ok(())
    }

    fn tick(&mut self) -> Result<(), String> {
        self.now += TICK_MS;
        self.elect();
        self.follow();
        self.heartbeats();
        self.supervise();
        self.agents();
        self.work()?;
        self.take_up()?;
        self.come_and_go();
        self.operate();
        self.deliver()
    }

    pub fn index_of(&self, member: MemberId) -> usize {
        (member.0.as_u128() - 1) as usize
    }

    pub fn reach(&self, a: usize, b: usize) -> bool {
        self.nodes[a].up && self.nodes[b].up && self.nodes[a].side == self.nodes[b].side
    }

    fn elect(&mut self) {
        let voters = if self.settings.moves { self.machine.voting_members() } else { BTreeSet::new() };
        let votes = |node: &Node| voters.is_empty() || voters.contains(&node.id);
        let majority = |side: usize, nodes: &[Node]| {
            let votes = |node: &&Node| voters.is_empty() || voters.contains(&node.id);
            let all = nodes.iter().filter(votes).count();
            nodes.iter().filter(votes).filter(|node| node.up && node.side == side).count() * 2 > all
        };
        let fits = |i: usize, nodes: &[Node]| nodes[i].up && votes(&nodes[i]) && majority(nodes[i].side, nodes);
        let stays = self.leader.is_some_and(|leader| fits(leader, &self.nodes))
            && !self.dice.permille(if self.quiet { 0 } else { 5 });
        if stays {
            return;
        }
        let candidates: Vec<_> = (0..self.nodes.len()).filter(|i| fits(*i, &self.nodes)).collect();
        self.leader = if candidates.is_empty() { None } else { Some(candidates[self.dice.below(candidates.len())]) };
        self.leader_since = self.now;
        // What a leader proposes of itself ends with it.
        self.proposals.retain(|command| {
            !matches!(command, Command::Table { .. } | Command::Runtime { .. } | Command::Recover { .. })
        });
        self.heard.clear();
        self.watch = Watch::default();
        self.grants = Grants::default();
        self.grants.begin(if self.lacks(Rule::LeaderHasPublishedItsLog) { 0 } else { self.log.len() as u64 });
    }

    /// Members apply the log, some later than others; the leader at once, if it is not a late one.
    fn follow(&mut self) {
        for i in 0..self.nodes.len() {
            let Some(leader) = self.leader.filter(|leader| self.reach(*leader, i)) else { continue };
            if !self.is_told(i) {
                continue;
            }
            let all = self.log.len();
            let known = self.nodes[i].machine.applied as usize;
            let until = if i == leader {
                let stalls = self.settings.late_leader && !self.quiet && self.dice.percent(STALLS);
                if stalls { known } else { all }
            } else {
                let prompt = if self.settings.slow_log && !self.quiet { 15 } else { 60 };
                if self.dice.percent(prompt) { all } else { (known + self.dice.below(3)).min(all) }
            };
            for index in known..until {
                let command = self.log[index].clone();
                let without = self.without;
                mutated_apply(&mut self.nodes[i].machine, index as u64 + 1, command.clone(), without);
                self.obey_table(i);
                self.obey_moves(i, &command);
            }
        }
        if let Some(leader) = self.leader {
            let machine = &self.nodes[leader].machine;
            self.grants.published(machine.applied, machine.table.version);
        }
    }

    /// What was proposed has an outcome, or waits on.
    fn outcomes(&mut self) {
        let Some(leader) = self.leader else { return };
        let machine = &self.nodes[leader].machine;
        let still = self.proposals.iter().flat_map(|command| supervisor::deposed(machine, command)).collect();
        let applied = if self.lacks(Rule::DeposedUntilPublished) { 0 } else { self.log.len() as u64 };
        self.grants.outcome_known(applied, &still);
    }

    fn heartbeats(&mut self) {
        let Some(leader) = self.leader else { return };
        let unnamed = self.lacks(Rule::LeaseNamesItsTable);
        for i in 0..self.nodes.len() {
            if !self.is_of_the_roster(i) {
                continue;
            }
            if i == leader || (self.reach(leader, i) && self.dice.percent(80)) {
                let (moves, on_disk_anyway) = (self.settings.moves, self.lacks(Rule::SourceUntilOnDisk));
                let node = &mut self.nodes[i];
                match self.grants.table_for(node.id) {
                    Some(table) => {
                        let table_version = if unnamed { TableVersion(1) } else { table };
                        node.lease = Lease { asked_at_ms: self.now, table_version };
                    }
                    None => self.truth_of_run.granted_nothing += 1,
                }
                let mut report = node.report(&self.epoch_of);
                report.on_disk = moves.then(|| node.on_disk(on_disk_anyway));
                let observed = Observed { heard_ms_ago: 0, boot: node.disk.boot, volume_id: node.volume(), report };
                self.heard.insert(node.id, (self.now, observed));
            }
        }
    }

    fn supervise(&mut self) {
        let Some(leader) = self.leader else { return };
        let now = self.now;
        let hasty = self.lacks(Rule::PromotionWaits);
        let final_anyway = self.lacks(Rule::ReportsAreFinal);
        let machine = &self.nodes[leader].machine;
        let members = self.heard.iter().map(|(member, (at, observed))| {
            let mut observed = observed.clone();
            observed.heard_ms_ago = now - at;
            if hasty && observed.heard_ms_ago > 3 * TICK_MS {
                observed.heard_ms_ago = supervisor::presence::LOST_AFTER_MS;
            }
            if final_anyway {
                observed.report.committed_at = u64::MAX;
            }
            (*member, observed)
        });
        let observations = Observations {
            members: members.collect(),
            leader_for_ms: now - self.leader_since,
            operation_for_ms: self.watch.observe(machine, now),
            request_for_ms: self.watch.observe_request(machine, now),
            releases: self.watch.observe_releases(machine, now),
        };
        let mut commands = supervisor::plan(machine, &observations);
        commands.extend(self.vote(leader, &observations));
        let machine = &self.nodes[leader].machine;
        self.grants.depose(commands.iter().flat_map(|command| supervisor::deposed(machine, command)));
        self.proposals.extend(commands);
    }

    fn agents(&mut self) {
        for i in 0..self.nodes.len() {
            if !self.nodes[i].up || self.dice.percent(20) {
                continue;
            }
            let halves = self.lacks(Rule::OnlyCompleteCopies);
            let facts = self.nodes[i].facts(halves);
            for action in agent::plan(&self.nodes[i].machine, self.nodes[i].id, &facts) {
                if !self.dice.percent(15) {
                    self.act(i, action);
                }
            }
        }
    }

    fn act(&mut self, i: usize, action: Action) {
        let compare = !self.lacks(Rule::SealIsCompared);
        let slow = self.settings.slow_disks;
        let halves = self.lacks(Rule::OnlyCompleteCopies);
        let reads = !self.lacks(Rule::ReadBeforeWritten);
        let node = &mut self.nodes[i];
        match action {
            Action::SetDoors(doors) => node.doors = doors,
            Action::Propose(command) => {
                if self.leader.is_some_and(|leader| self.reach(leader, i)) {
                    self.proposals.push(self.mutated(command));
                }
            }
            Action::LoadStore => node.load(reads, halves),
            Action::ReportContents { op, attempt } => node.count_contents(op, attempt),
            Action::WithdrawContents => node.contents = None,
            Action::Seal { op, attempt, generation, quiesced_index, content_digest } => {
                node.seal(&op, attempt, generation, quiesced_index, &content_digest, compare || !slow);
            }
            Action::VoidSeal { .. } => node.void_seal(),
            Action::OpenGeneration(generation) => {
                node.join_with_nothing();
                node.open_generation(generation);
            }
            Action::Release { partition, changed } => self.release(i, partition, changed),
            Action::PutAside { .. } => node.put_aside = true,
            Action::StartRuntime(runtime) => {
                node.runtime = Some(runtime.number);
                node.runtime_lost = false;
            }
            Action::StopRuntime => {
                node.runtime = None;
                node.runtime_lost = false;
            }
            Action::ShipPartition { partition, to, boot, changed } => self.ship(i, partition, to, boot, changed),
        }
    }

    fn mutated(&self, mut command: Command) -> Command {
        if let (Command::Rejoined { store, .. }, true) = (&mut command, self.lacks(Rule::VersionNamesItsPrimary)) {
            for version in store.partitions.iter_mut().flatten() {
                version.installed = jet_core::TableVersion(0);
            }
        }
        command
    }

    fn deliver(&mut self) -> Result<(), String> {
        let mut waiting = std::mem::take(&mut self.proposals);
        while !waiting.is_empty() {
            let command = waiting.swap_remove(self.dice.below(waiting.len()));
            let stalls = self.settings.slow_log && matches!(command, Command::Table { .. }) && self.dice.percent(85);
            let fate = if self.quiet { 99 } else { self.dice.below(100) };
            match fate {
                _ if stalls && !self.quiet => self.proposals.push(command),
                0..10 => {}
                10..30 => self.proposals.push(command),
                30..35 => {
                    self.proposals.push(command.clone());
                    self.append(command)?;
                }
                _ => {
                    self.append(command)?;
                }
            }
        }
        self.proposals.truncate(200);
        self.outcomes();
        Ok(())
    }

    pub fn append(&mut self, command: Command) -> Result<Option<Outcome>, String> {
        if self.leader.is_none() && !self.log.is_empty() {
            return Ok(None);
        }
        // A refused command changes nothing (proved beside the machine), so the long log keeps only what matters.
        let mut next = self.machine.clone();
        let outcome = mutated_apply(&mut next, self.log.len() as u64 + 1, command.clone(), self.without);
        if !outcome.is_done() {
            return Ok(Some(outcome));
        }
        let before = std::mem::replace(&mut self.machine, next);
        self.log.push(command.clone());
        self.hold_against_truth(&before, &command)?;
        Ok(Some(outcome))
    }

    fn faults(&mut self) {
        if self.now >= self.heal_at {
            self.heal();
        }
        let held_down = self.operator.is_down();
        for i in 0..self.nodes.len() {
            if !self.is_of_cluster(i) {
                continue;
            }
            if self.nodes[i].up && self.dice.permille(4) {
                self.nodes[i].crash();
            } else if !self.nodes[i].up && !held_down && self.dice.percent(8) {
                self.nodes[i].start();
            }
        }
        if self.dice.permille(4) {
            self.nodes.iter_mut().for_each(Node::crash);
        }
        if self.dice.permille(if self.settings.late_leader || self.settings.moves { 30 } else { 8 }) {
            for i in 0..self.nodes.len() {
                self.nodes[i].side = usize::from(self.dice.percent(30));
            }
            let cut = if self.settings.late_leader || self.settings.moves { NEARLY_LOST_TICKS } else { 1..61 };
            self.heal_at = self.now + TICK_MS * (cut.start + self.dice.below((cut.end - cut.start) as usize) as u64);
        }
    }

    fn heal(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.side = 0);
    }

    pub fn start_all(&mut self) {
        for i in 0..self.nodes.len() {
            if !self.nodes[i].up && self.is_of_cluster(i) {
                self.nodes[i].start();
            }
        }
    }

    fn settled_for_good(&self) -> bool {
        let machine = &self.machine;
        let runs =
            machine.jobs.values().filter(|job| !job.ended()).all(|job| job.status == jet_core::JobStatus::Running);
        machine.state.settled().is_some()
            && machine.open_operation().is_none()
            && machine.waiting_request().is_none()
            && runs
            && jet_core::safety::under_backed(machine).is_none()
            && self.has_come_to_rest()
            && self.nodes.iter().filter(|node| machine.roster.contains_key(&node.id)).all(|node| {
                // An engine that fell a moment ago, and was not told yet, disturbs what is asked for now.
                let engine =
                    node.runtime == machine.runtime.as_ref().map(|runtime| runtime.number) && !node.runtime_lost;
                node.up && node.machine.applied == machine.applied && node.doors == agent::Doors::Open && engine
            })
    }

    pub fn submit(&mut self) {
        let name = format!("job-{}", self.machine.jobs.len());
        let (sql, plan, fingerprint) = (String::new(), String::new(), String::new());
        self.proposals.push(Command::Submit {
            name,
            sql,
            guarantee: Guarantee::ExactlyOnce,
            interval_ms: 1000,
            plan,
            fingerprint,
        });
    }
}

/// The machine, or one without a rule.
fn mutated_apply(machine: &mut Machine, index: u64, command: Command, without: Option<Rule>) -> Outcome {
    let aborts = matches!(&command, Command::Abort { .. });
    let op = if let Command::Abort { op, .. } = &command { Some(op.clone()) } else { None };
    if let Some(outcome) = crate::comings::mutated(machine, index, &command, without) {
        return outcome;
    }
    let outcome = apply(machine, index, command);
    match (without, &mut machine.state) {
        (Some(Rule::AbsentWaits), state) if state.settled().is_some() => {
            let member = machine.roster.iter().next().map(|(member, entry)| (*member, entry.boot));
            let Some((member, boot)) = member else { return outcome };
            for entry in machine.table.partitions.iter_mut().filter(|entry| entry.replicas.is_empty()) {
                entry.replicas.push(jet_core::Replica { member, boot, synced: true });
                entry.changed = machine.table.version;
                entry.installed = machine.table.version;
            }
        }
        (Some(Rule::WholeRoster), jet_core::ClusterState::Recovering { rejoined, loaded, .. })
            if loaded.len() * 2 > machine.roster.len() =>
        {
            for (member, entry) in &machine.roster {
                if loaded.insert(*member) {
                    let store = jet_core::StoreReport {
                        generation: machine.generation,
                        seal: None,
                        partitions: Vec::new(),
                        epochs: Vec::new(),
                        restored: None,
                    };
                    rejoined.insert(*member, jet_core::Rejoin { boot: entry.boot, store });
                }
            }
        }
        (Some(Rule::WholeRoster), jet_core::ClusterState::Activating { opened, generation, .. })
            if opened.len() * 2 > machine.roster.len() =>
        {
            machine.generation = *generation;
            machine.state = jet_core::ClusterState::Active;
            machine.former = None;
        }
        (Some(Rule::FirstDecisionWins), _) if aborts && !outcome.is_done() => {
            let committed = op
                .and_then(|op| machine.operations.get_mut(&op.seq))
                .filter(|op| op.step == jet_core::OperationStep::Committed);
            if let Some(operation) = committed {
                operation.step = jet_core::OperationStep::Aborted;
                machine.state = operation.former.into();
                machine.former = None;
                return Outcome::Done { index, what: "unsealed".into() };
            }
        }
        _ => {}
    }
    outcome
}

/// What the engine's life starts from, by job.
pub fn restores(command: &Command) -> Vec<RuntimeWish> {
    if let Command::Runtime { jobs, .. } = command { jobs.clone() } else { Vec::new() }
}

//! What really happened, and the laws that the machine is held against.
//!
//! Law: nothing here asks the machine's own safety questions. Must not know: planners.

use std::collections::{BTreeMap, BTreeSet};

use jet_core::ids::LogIndex;
use jet_core::operation::OperationStep;
use jet_core::{ClusterState, Command, JobId, Machine, MemberId, OperationId, PartitionId, TableVersion};

use crate::node::Copy;
use crate::world::{World, restores};

#[derive(Default)]
pub struct Truth {
    pub acknowledged: u64,
    pub returns: u64,
    pub crash_recoveries: u64,
    /// Copies that lived when newest copies were chosen once more.
    pub chosen_again: usize,
    /// Members that a leader heard and granted nothing.
    pub granted_nothing: u64,
    pub acked: BTreeMap<PartitionId, BTreeSet<u64>>,
    /// Acknowledged after a stop was rolled back and before the store was unsealed: until then no disk takes them.
    pub in_ram_only: BTreeSet<u64>,
    published: BTreeMap<JobId, u64>,
    /// Jobs whose snapshots in RAM a crash took, until they are started again.
    crashed: BTreeSet<JobId>,
    decided: BTreeMap<OperationId, OperationStep>,
    led: BTreeMap<(PartitionId, TableVersion), MemberId>,
    sealed: BTreeMap<PartitionId, Vec<u64>>,
    /// Requests that became a wish outside.
    pub wished: BTreeSet<LogIndex>,
    answered: BTreeSet<LogIndex>,
    pub moves: crate::comings::Seen,
}

impl Truth {
    pub fn acknowledge(&mut self, partition: PartitionId, write: u64) {
        self.acknowledged += 1;
        self.acked.entry(partition).or_default().insert(write);
    }

    /// A request fires once, and never after its answer.
    pub fn wish(&mut self, asked: LogIndex) -> Result<(), String> {
        if self.answered.contains(&asked) {
            return Err(format!("the stop asked for at {asked} fires after its answer"));
        }
        if self.wished.insert(asked) { Ok(()) } else { Err(format!("the stop asked for at {asked} fires again")) }
    }

    pub fn publish(&mut self, job: JobId, count: u64) {
        self.published.insert(job, count);
    }

    pub fn check_read(&self, partition: PartitionId, copy: Option<&Copy>, whence: &str) -> Result<(), String> {
        let Some(acked) = self.acked.get(&partition) else { return Ok(()) };
        let has: BTreeSet<_> = copy.map(|copy| copy.data.iter().copied().collect()).unwrap_or_default();
        match acked.difference(&has).next() {
            Some(write) => Err(format!(
                "{whence}: partition {partition} has lost the acknowledged write {write} of {}",
                acked.len()
            )),
            None => Ok(()),
        }
    }
}

impl World {
    /// After every entry.
    pub fn hold_against_truth(&mut self, before: &Machine, command: &Command) -> Result<(), String> {
        self.answers_are_final(before)?;
        self.decisions_are_final()?;
        self.one_primary_an_installation()?;
        self.generations_count(before)?;
        self.moves_are_lawful(before, command)?;
        match command {
            Command::RecoverTable {} => {
                self.copies_in_step_are_kept(before)?;
                self.crash_is_recovered();
            }
            Command::Commit { op, .. } => self.commit_is_true(op)?,
            Command::Runtime { .. } => self.engine_goes_on_exactly(command)?,
            _ => {}
        }
        self.truth_of_run.moves.forget_after(command);
        if matches!(before.state, ClusterState::Activating { .. }) && self.machine.state.settled().is_some() {
            self.return_is_whole(before)?;
        }
        Ok(())
    }

    fn answers_are_final(&mut self, before: &Machine) -> Result<(), String> {
        let request = self.machine.stop_request.as_ref();
        if let Some(request) = request.filter(|request| !request.waits()) {
            self.truth_of_run.answered.insert(request.asked);
        }
        match self.machine.waiting_request() {
            Some(request) if self.truth_of_run.answered.contains(&request.asked) => {
                Err(format!("the stop asked for at {} was answered and waits", request.asked))
            }
            Some(_) if self.machine.open_operation().is_some() => Err("a stop waits beside an operation".into()),
            _ if before.waiting_request().is_some() && request.is_none() => Err("a request is forgotten".into()),
            _ => Ok(()),
        }
    }

    /// STOP: the first of Commit and Abort wins for ever.
    fn decisions_are_final(&mut self) -> Result<(), String> {
        for operation in self.machine.operations.values() {
            let step = operation.step;
            let decision = if step == OperationStep::Aborted {
                step
            } else if step >= OperationStep::Committed {
                OperationStep::Committed
            } else {
                continue;
            };
            let known = *self.truth_of_run.decided.entry(operation.id.clone()).or_insert(decision);
            if known != decision {
                return Err(format!("operation {} was {known:?} and is {decision:?}", operation.id));
            }
        }
        Ok(())
    }

    fn one_primary_an_installation(&mut self) -> Result<(), String> {
        for (partition, entry) in self.machine.table.entries() {
            let Some(primary) = entry.primary() else { continue };
            if !primary.synced {
                return Err(format!("partition {partition} is led by a copy that is not in step"));
            }
            let known = *self.truth_of_run.led.entry((partition, entry.installed)).or_insert(primary.member);
            if known != primary.member {
                return Err(format!(
                    "partition {partition}: {known} and {} were both installed at {}",
                    primary.member, entry.installed
                ));
            }
        }
        Ok(())
    }

    fn generations_count(&self, before: &Machine) -> Result<(), String> {
        let (was, is) = (before.generation, self.machine.generation);
        if is != was && is != was.next() {
            return Err(format!("generation went from {was} to {is}"));
        }
        Ok(())
    }

    /// CRASH: what a recovery has copied already is not given up for what a disk has, when it must choose again.
    fn copies_in_step_are_kept(&mut self, before: &Machine) -> Result<(), String> {
        let chosen = |entry: &&jet_core::PartitionEntry| entry.installed == before.table.version;
        for (partition, entry) in before.table.entries().filter(|(_, entry)| chosen(entry)) {
            let lives = |replica: &jet_core::Replica| {
                let node = &self.nodes[self.index_of(replica.member)];
                let data = node.ram.get(&partition).filter(|_| node.up && node.disk.boot == replica.boot);
                data.map(|copy| copy.data.iter().copied().collect::<BTreeSet<_>>())
            };
            let now = self.machine.table.entry(partition).and_then(|entry| entry.primary()).and_then(lives);
            let Some(now) = now else { continue };
            let before: Vec<_> = entry.synced().filter_map(lives).collect();
            self.truth_of_run.chosen_again += before.len();
            for held in before {
                if let Some(write) = held.difference(&now).next() {
                    return Err(format!(
                        "partition {partition}: a copy in step had {write}, the one that counts has not"
                    ));
                }
            }
        }
        Ok(())
    }

    /// CRASH: what was not flushed before all RAM was gone is gone; with disks that keep up that is nothing.
    fn crash_is_recovered(&mut self) {
        self.truth_of_run.crash_recoveries += 1;
        self.truth_of_run.crashed.extend(self.machine.jobs.keys());
        for partition in (0..self.settings.partitions).map(PartitionId) {
            let primary =
                self.machine.table.entry(partition).and_then(|entry| entry.primary()).map(|primary| primary.member);
            let left: BTreeSet<u64> = primary
                .map(|member| &self.nodes[self.index_of(member)])
                .and_then(|node| node.held(partition))
                .map(|copy| copy.data.iter().copied().collect())
                .unwrap_or_default();
            if self.settings.slow_disks {
                self.truth_of_run.acked.entry(partition).or_default().retain(|write| left.contains(write));
            } else {
                // Snapshots are not in the log on disk: what a crash costs of them is told by the job's verdict.
                let (epochs, in_ram_only) = (&self.epoch_of, &self.truth_of_run.in_ram_only);
                let may_be_gone = |write: &u64| epochs.contains_key(write) || in_ram_only.contains(write);
                let acked = self.truth_of_run.acked.entry(partition).or_default();
                acked.retain(|write| left.contains(write) || !may_be_gone(write));
            }
        }
    }

    /// STOP: every disk is sealed with what all copies held, and jobs published exactly what their snapshots say.
    fn commit_is_true(&mut self, op: &OperationId) -> Result<(), String> {
        self.truth_of_run.sealed.clear();
        for node in self.nodes.iter().filter(|node| self.machine.roster.contains_key(&node.id)) {
            let ordinal = node.ordinal;
            if node.disk.seal.as_ref().is_none_or(|seal| seal.op != *op) {
                return Err(format!("{op} is committed and member {ordinal} is not sealed"));
            }
            for partition in self.machine.table.held_by(node.id) {
                let data = node.disk.copies.get(&partition).map(|copy| copy.data.clone()).unwrap_or_default();
                let known = self.truth_of_run.sealed.entry(partition).or_insert_with(|| data.clone());
                if *known != data {
                    return Err(format!(
                        "{op} is committed and partition {partition} on member {ordinal} differs from another seal"
                    ));
                }
                self.truth_of_run.check_read(partition, node.disk.copies.get(&partition), "sealed")?;
            }
        }
        for job in self.machine.jobs.values().filter(|job| !job.ended() && job.execution.0 > 0) {
            let (published, snapshot) = (
                self.truth_of_run.published.get(&job.id).copied().unwrap_or(0),
                job.snapshot.as_ref().map_or(0, |s| s.record.rows_read),
            );
            let terminal = job.snapshot.as_ref().is_some_and(|s| s.terminal.as_ref() == Some(op));
            if terminal && published != snapshot {
                return Err(format!(
                    "{op} is committed, job {} published {published} and stopped with {snapshot}",
                    job.id
                ));
            }
        }
        Ok(())
    }

    /// RESUME: every roster member has opened the generation; EXACT: with what it sealed.
    fn return_is_whole(&mut self, before: &Machine) -> Result<(), String> {
        let ClusterState::Activating { op, generation, .. } = &before.state else { return Ok(()) };
        for node in self.nodes.iter().filter(|node| self.machine.joined().any(|(member, _)| *member == node.id)) {
            if node.disk.opened < *generation {
                return Err(format!("generation {generation} runs and member {} has not opened it", node.ordinal));
            }
        }
        if op.is_none() {
            return Ok(());
        }
        self.truth_of_run.returns += 1;
        for (partition, entry) in self.machine.table.entries() {
            let Some(node) = entry.primary().map(|primary| &self.nodes[self.index_of(primary.member)]) else {
                continue;
            };
            let alive =
                node.up && node.disk.boot == self.machine.roster.get(&node.id).map(|e| e.boot).unwrap_or_default();
            let data = node.ram.get(&partition).map(|copy| copy.data.clone()).unwrap_or_default();
            if alive && self.truth_of_run.sealed.get(&partition) != Some(&data) {
                return Err(format!("partition {partition} came back other than it was sealed"));
            }
        }
        Ok(())
    }

    /// EXACT: an engine starts from not less than was published; only a crash of RAM cuts the sink back with it.
    fn engine_goes_on_exactly(&mut self, command: &Command) -> Result<(), String> {
        for wish in restores(command) {
            let from = wish.restore.as_ref().map_or(0, |restore| restore.record.rows_read);
            let crashed = self.truth_of_run.crashed.remove(&wish.job);
            let published = self.truth_of_run.published.get(&wish.job).copied().unwrap_or(0);
            if from < published && !crashed {
                return Err(format!("job {} goes on from {from}, and {published} were published", wish.job));
            }
            self.truth_of_run.published.insert(wish.job, from);
        }
        Ok(())
    }
}

//! Writes, reads, copies between members, and the engine: as the design asks it of the data plane.
//!
//! Law: a primary answers when every copy that counts has answered and its lease still runs. Must not know: the log.

use std::collections::BTreeSet;

use jet_core::agent::{Access, Copying, Doors};
use jet_core::recovery::HeldEpoch;
use jet_core::report::EpochReport;
use jet_core::{
    Boot, ClusterState, Command, Epoch, ExecutionId, JobId, MemberId, PartitionId, SnapshotRecord, TableVersion,
    Version,
};

use crate::node::Copy;
use crate::world::{Rule, World};

/// One run of a job.
#[derive(Clone, Debug, Default)]
pub struct Execution {
    pub count: u64,
    pub epoch: u64,
    /// Took its terminal snapshot: publishes nothing any more.
    pub terminal: Option<EpochReport>,
}

impl World {
    pub fn work(&mut self) -> Result<(), String> {
        self.detect_lost_engines();
        self.finish_copies();
        self.drain();
        for _ in 0..if self.settings.late_leader || self.settings.moves { 10 } else { 3 } {
            let (partition, node) = (
                PartitionId(self.dice.below(usize::from(self.settings.partitions)) as u16),
                self.dice.below(self.nodes.len()),
            );
            if self.dice.percent(60) { self.client_write(node, partition) } else { self.client_read(node, partition)? }
        }
        let jobs: Vec<_> = self.machine.jobs.keys().copied().collect();
        for job in jobs {
            self.engine(job)?;
        }
        self.disks();
        Ok(())
    }

    fn disks(&mut self) {
        for i in 0..self.nodes.len() {
            let flushes = self.nodes[i].up && (!self.settings.slow_disks || self.dice.percent(5));
            if !flushes || self.nodes[i].access < Access::Written || self.nodes[i].disk.seal.is_some() {
                continue;
            }
            self.nodes[i].flush();
            let seen = self.nodes[i].ram.values().flat_map(|copy| copy.data.clone()).collect::<BTreeSet<_>>();
            let records: Vec<_> = self
                .epoch_of
                .iter()
                .filter(|(write, epoch)| epoch.epoch.0 % 4 == 0 && (seen.contains(write) || !self.settings.slow_disks))
                .map(|(_, e)| e.clone())
                .collect();
            for epoch in records {
                self.nodes[i]
                    .disk
                    .epochs
                    .insert(HeldEpoch { job: epoch.job, execution: epoch.execution, epoch: epoch.epoch }, epoch.record);
            }
        }
    }

    /// What the map service does when an entry changed the table: founded copies begin empty, a new primary begins its
    /// installation. What has no place any more stays; it is told by its version.
    pub fn obey_table(&mut self, i: usize) {
        let fresh = self.nodes[i].machine.generation == jet_core::Generation(0);
        let node = &mut self.nodes[i];
        if !node.counts() {
            return;
        }
        let installs = match &node.machine.state {
            ClusterState::Recovering { table_recovered, .. } => *table_recovered,
            ClusterState::InTransition { .. } => true,
            other => other.settled().is_some(),
        };
        for (partition, entry) in node.machine.table.entries() {
            let Some(place) = entry.replica(node.id).filter(|place| place.synced && place.boot == node.disk.boot)
            else {
                continue;
            };
            let copy = node.ram.entry(partition).or_default();
            if fresh && copy.data.is_empty() {
                copy.version = copy.version.max(Version { installed: entry.installed, seq: 0 });
            }
            let leads = entry.primary().is_some_and(|primary| primary.member == place.member);
            if leads && installs && copy.version.installed < entry.installed {
                copy.version = Version { installed: entry.installed, seq: copy.version.seq + 1 };
            }
        }
        if !self.settings.slow_disks {
            node.flush();
        }
    }

    fn is_primary(&self, i: usize, partition: PartitionId) -> bool {
        let node = &self.nodes[i];
        let leads = node
            .machine
            .table
            .entry(partition)
            .and_then(|entry| entry.primary())
            .is_some_and(|primary| primary.member == node.id);
        node.up
            && node.counts()
            && leads
            && node.machine.state.settled().is_some() | matches!(node.machine.state, ClusterState::InTransition { .. })
    }

    /// `true`: acknowledged.
    fn write(&mut self, i: usize, partition: PartitionId, write: u64) -> bool {
        let Some(entry) = self.nodes[i].machine.table.entry(partition).cloned() else { return false };
        let mut copy = self.nodes[i].ram.get(&partition).cloned().unwrap_or_default();
        let before = copy.version;
        copy.version = Version { installed: entry.installed, seq: before.seq + 1 };
        copy.data.push(write);
        self.nodes[i].ram.insert(partition, copy.clone());
        self.persist(i);
        let mut acknowledged = true;
        let me = self.nodes[i].id;
        for replica in entry.replicas.iter().filter(|replica| replica.member != me) {
            let follows = self.nodes[i]
                .copies
                .get(&(partition, replica.member))
                .is_some_and(|c| c.complete && c.boot == replica.boot && c.changed == entry.changed);
            if !replica.synced && !follows {
                continue;
            }
            let waits = replica.synced || !self.lacks(Rule::PrimaryWaitsBeforeSynced);
            let answered =
                self.replicate(i, self.index_of(replica.member), partition, entry.changed, replica.boot, &copy);
            acknowledged &= answered || !waits;
        }
        if acknowledged {
            self.nodes[i].confirmed.insert(partition, (copy.version, entry.changed));
        }
        let leased = self.nodes[i].leased(self.now) || self.lacks(Rule::LeaseIsChecked);
        acknowledged && leased && !self.nodes[i].has_closed(partition)
    }

    /// What a backup did not answer stays in flight until it does or leaves the table.
    fn drain(&mut self) {
        for i in 0..self.nodes.len() {
            for partition in (0..self.settings.partitions).map(PartitionId) {
                if !self.is_primary(i, partition) || !self.dice.percent(30) {
                    continue;
                }
                let (Some(copy), Some(entry)) =
                    (self.nodes[i].ram.get(&partition).cloned(), self.nodes[i].machine.table.entry(partition).cloned())
                else {
                    continue;
                };
                let me = self.nodes[i].id;
                let mut all = true;
                for replica in entry.synced().filter(|replica| replica.member != me) {
                    all &=
                        self.replicate(i, self.index_of(replica.member), partition, entry.changed, replica.boot, &copy);
                }
                if all {
                    self.nodes[i].confirmed.insert(partition, (copy.version, entry.changed));
                }
            }
        }
    }

    fn replicate(
        &mut self,
        from: usize,
        to: usize,
        partition: PartitionId,
        changed: TableVersion,
        boot: Boot,
        copy: &Copy,
    ) -> bool {
        let lost = !self.quiet && self.dice.percent(10);
        let fits = self.nodes[to].takes_copies()
            && self.nodes[to].disk.boot == boot
            && self.nodes[to].machine.table.entry(partition).is_some_and(|entry| entry.changed == changed);
        if lost || !self.reach(from, to) || !fits {
            return false;
        }
        // A receiver with a gap takes the whole copy; either way it ends equal.
        let taken = self.nodes[to].take(partition, copy);
        self.persist(to);
        taken
    }

    fn persist(&mut self, i: usize) {
        if !self.settings.slow_disks {
            self.nodes[i].flush();
        }
    }

    fn client_write(&mut self, i: usize, partition: PartitionId) {
        if !self.is_primary(i, partition)
            || self.nodes[i].has_closed(partition)
            || self.nodes[i].doors != Doors::Open
            || !self.nodes[i].leased(self.now) && !self.lacks(Rule::LeaseIsChecked)
        {
            return;
        }
        let write = self.next_write;
        self.next_write += 1;
        if self.write(i, partition, write) {
            self.truth_of_run.acknowledge(partition, write);
            if self.nodes[i].disk.seal.is_some() {
                self.truth_of_run.in_ram_only.insert(write);
            }
        }
    }

    fn client_read(&mut self, i: usize, partition: PartitionId) -> Result<(), String> {
        let leased = self.nodes[i].leased(self.now) || self.lacks(Rule::LeaseIsChecked);
        let closed = self.nodes[i].doors == Doors::ClosedForAll || self.nodes[i].has_closed(partition);
        if !self.is_primary(i, partition) || closed || !leased {
            return Ok(());
        }
        self.truth_of_run.check_read(partition, self.nodes[i].ram.get(&partition), &format!("read at member {i}"))
    }

    pub fn check_readable(&mut self) -> Result<(), String> {
        for partition in (0..self.settings.partitions).map(PartitionId) {
            let primary = self
                .machine
                .table
                .entry(partition)
                .and_then(|entry| entry.primary())
                .ok_or("absent at the end")?
                .member;
            let i = self.index_of(primary);
            self.truth_of_run.check_read(partition, self.nodes[i].ram.get(&partition), "at the end")?;
        }
        Ok(())
    }

    pub fn ship(&mut self, i: usize, partition: PartitionId, to: MemberId, boot: Boot, changed: TableVersion) {
        let receiver = self.index_of(to);
        let Some(copy) = self.nodes[i].ram.get(&partition).cloned() else { return };
        if !self.fits_copy(i, receiver, partition, boot, changed) {
            return;
        }
        self.nodes[i].copies.insert((partition, to), Copying { boot, changed, complete: false });
        let half = copy.data.len() / 2;
        self.nodes[receiver]
            .incoming
            .insert(partition, Copy { data: copy.data[..half].to_vec(), version: copy.version });
        self.persist(receiver);
    }

    fn fits_copy(&self, from: usize, to: usize, partition: PartitionId, boot: Boot, changed: TableVersion) -> bool {
        let knows =
            |i: usize| self.nodes[i].machine.table.entry(partition).is_some_and(|entry| entry.changed == changed);
        self.reach(from, to)
            && knows(from)
            && knows(to)
            && self.nodes[to].disk.boot == boot
            && self.nodes[to].takes_copies()
            && self.nodes[from].counts()
    }

    fn finish_copies(&mut self) {
        for i in 0..self.nodes.len() {
            let open: Vec<_> = self.nodes[i]
                .copies
                .iter()
                .filter(|(_, copying)| !copying.complete)
                .map(|(at, copying)| (*at, *copying))
                .collect();
            for ((partition, to), copying) in open {
                let receiver = self.index_of(to);
                if !self.fits_copy(i, receiver, partition, copying.boot, copying.changed) {
                    // Broken off; asked for again while it has a place.
                    self.nodes[i].copies.remove(&(partition, to));
                } else if self.dice.percent(30) {
                    let Some(copy) = self.nodes[i].ram.get(&partition).cloned() else { continue };
                    if self.nodes[receiver].take(partition, &copy) {
                        self.persist(receiver);
                        self.nodes[i].copies.insert((partition, to), Copying { complete: true, ..copying });
                    }
                }
            }
        }
    }

    fn detect_lost_engines(&mut self) {
        for i in 0..self.nodes.len() {
            let Some(runtime) =
                self.nodes[i].machine.runtime.clone().filter(|runtime| self.nodes[i].runtime == Some(runtime.number))
            else {
                continue;
            };
            let broken = runtime.members.iter().any(|member| {
                let peer = self.index_of(*member);
                let recorded = self.nodes[i].machine.roster.get(member).map(|entry| entry.boot);
                !self.reach(i, peer) || Some(self.nodes[peer].disk.boot) != recorded
            });
            if broken && self.dice.percent(50) {
                self.nodes[i].runtime_lost = true;
            }
        }
    }

    /// One job's engine: it runs where every member has built the same generation, whatever the log says by now.
    fn engine(&mut self, job: JobId) -> Result<(), String> {
        let partition = PartitionId((job.0 % u64::from(self.settings.partitions)) as u16);
        let Some(home) = (0..self.nodes.len()).find(|i| self.is_primary(*i, partition)) else { return Ok(()) };
        let view = &self.nodes[home].machine;
        let Some(runtime) = view.runtime.clone() else { return Ok(()) };
        let built = |member: &MemberId| {
            let node = &self.nodes[self.index_of(*member)];
            node.up && node.runtime == Some(runtime.number) && !node.runtime_lost
        };
        let closed = self.nodes[home].has_closed(partition);
        if !runtime.members.iter().all(built) || closed || !self.nodes[home].leased(self.now) {
            return Ok(());
        }
        let Some(entry) = runtime.jobs.iter().find(|entry| entry.job == job).cloned() else { return Ok(()) };
        let terminal = matches!(view.state, ClusterState::InTransition { .. })
            .then(|| view.open_operation().map(|op| op.id.clone()))
            .flatten();
        let table_version = view.table.version;
        if let Some(start) = entry.restore.as_ref().map(|restore| restore.record.rows_read).or(Some(0)) {
            self.executions
                .entry((job, entry.execution.0))
                .or_insert(Execution { count: start, ..Execution::default() });
        }
        let Some(mut run) = self.executions.get(&(job, entry.execution.0)).cloned() else { return Ok(()) };
        if run.terminal.is_none() && self.dice.percent(if terminal.is_some() { 60 } else { 30 }) {
            run.count += 1 + self.dice.below(5) as u64;
            run.epoch += 1;
            let record = SnapshotRecord {
                bytes: run.count,
                rows_read: run.count,
                digest: jet_core::Digest(run.count.to_string()),
                table_version,
            };
            let epoch = EpochReport { job, execution: ExecutionId(entry.execution.0), epoch: Epoch(run.epoch), record };
            let write = self.next_write;
            self.next_write += 1;
            self.epoch_of.insert(write, epoch.clone());
            if self.write(home, partition, write) {
                self.truth_of_run.acknowledge(partition, write);
                self.truth_of_run.publish(job, run.count);
                run.terminal = terminal.is_some().then_some(epoch);
            }
        }
        // It is counted again before it is told: meanwhile every disk may have it.
        if let (Some(op), Some(taken)) = (terminal, run.terminal.clone())
            && self.dice.percent(50)
        {
            let EpochReport { job, execution, epoch, record } = taken;
            self.proposals.push(Command::Terminal { op, job, execution, epoch, record });
        }
        self.executions.insert((job, entry.execution.0), run);
        Ok(())
    }
}

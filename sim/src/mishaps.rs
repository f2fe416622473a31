//! What goes wrong in a world, carried out, and mended again.
//!
//! Law: a process that is killed leaves nothing but its disk; RAM that no other process has, and that no disk need have, is
//! noted as lost. Must not know: what must hold.

use jet_core::operation::OperationStep;
use jet_core::{ClusterState, Machine, RecoveringFrom};
use jet_hotstore::{Aftermath, Fault as DiskFault};
use jet_member::ports::Cluster;

use crate::faults::Fault;
use crate::process::{Begin, DISK, Process};
use crate::world::{Broken, World};

/// Longest time of a letter that nothing is wrong with, beyond the shortest.
const PROMPT: u64 = 3;
/// Before a process that did not begin is begun again.
const AGAIN: u64 = 500;

impl World {
    pub(crate) fn go_wrong(&mut self, fault: Fault) {
        match fault {
            Fault::Kill { ordinal, power, reckless, back_after } => {
                let safe = self.script.backups > 0 && self.backed(|_| true);
                if !safe && !reckless {
                    return;
                }
                self.kill(ordinal, power, Some(back_after));
                if !safe {
                    self.may_be_lost();
                }
            }
            Fault::PowerAtCall { ordinal, calls, aftermath } => {
                let slot = &mut self.slots[ordinal];
                let Some(process) = &slot.process else { return };
                process.disk.fault_at(process.disk.calls() + calls, DiskFault::PowerCut);
                slot.at_call = Some(aftermath);
            }
            Fault::KillAll { power } => {
                for ordinal in 0..self.slots.len() {
                    let back_after = self.dice.within(10..3_000);
                    let power = power.then(|| *self.dice.one_of(&Aftermath::ALL));
                    self.kill(ordinal, power, Some(back_after));
                }
                self.may_be_lost();
            }
            Fault::Cut { pairs, lasts } => self.cut(pairs, lasts),
            Fault::Pause { ordinal, lasts } => {
                let others = (0..self.slots.len()).filter(|other| *other != ordinal);
                self.cut(others.flat_map(|other| [(ordinal, other), (other, ordinal)]).collect(), lasts);
                self.slots[ordinal].paused_until = Some(self.now + lasts);
            }
            Fault::SlowNetwork { most, lasts } => {
                self.network.slowness(most);
                self.fast_at = Some(self.now + lasts);
            }
            Fault::SlowDisk { ordinal, most, lasts } => {
                let slot = &mut self.slots[ordinal];
                slot.slow_until = Some(self.now + lasts);
                if let Some(process) = &slot.process {
                    process.disk_takes(most);
                }
            }
            Fault::Disk { ordinal, fault, calls, lasts } => {
                let slot = &mut self.slots[ordinal];
                let Some(process) = slot.process.as_ref().filter(|_| slot.at_call.is_none()) else { return };
                process.disk.fault_at(process.disk.calls() + calls, fault);
                slot.fails_until = Some(self.now + lasts);
            }
            Fault::Maintenance => {
                let known = self.highest_operation();
                self.operator.stop(known);
            }
            Fault::State(state) => self.person.wants(state, self.now),
        }
        self.faults += 1;
    }

    fn cut(&mut self, pairs: Vec<(usize, usize)>, lasts: u64) {
        pairs.iter().for_each(|(from, to)| self.network.cut(*from, *to));
        self.healing.entry(self.now + lasts).or_default().extend(pairs);
    }

    fn kill(&mut self, ordinal: usize, power: Option<Aftermath>, back_after: Option<u64>) {
        self.hear();
        let now = self.now;
        let slot = &mut self.slots[ordinal];
        (slot.paused_until, slot.at_call) = (None, None);
        if let Some(back_after) = back_after {
            slot.up_at.get_or_insert(now + back_after);
        }
        let Some(process) = slot.process.take() else { return };
        self.trace.note("killed", &[ordinal as u64, now, u64::from(power.is_some())]);
        let left = process.kill();
        slot.disk = Some(power.map_or(left.clone(), |aftermath| left.reboot(aftermath)));
        self.network.go(ordinal, power.is_some());
    }

    /// RAM is gone: unless nothing moved, the disks need not have all of it.
    fn may_be_lost(&mut self) {
        if !is_still(&self.newest) {
            self.losses.push(self.now);
        }
    }

    /// What is decided, as far as anybody has applied it.
    pub(crate) fn hear(&mut self) {
        for slot in &self.slots {
            let machine = slot.process.as_ref().and_then(|process| process.look(|running| running.node.machine()));
            if let Some(machine) = machine.filter(|machine| machine.applied > self.newest.applied) {
                self.newest = machine;
            }
        }
    }

    pub(crate) fn take_down(&mut self) {
        for ordinal in 0..self.slots.len() {
            let power = self.dice.once_in(3).then(|| *self.dice.one_of(&Aftermath::ALL));
            self.kill(ordinal, power, None);
            self.slots[ordinal].up_at = None;
        }
    }

    pub(crate) fn bring_back(&mut self) {
        for slot in &mut self.slots {
            slot.up_at = Some(self.now + self.dice.within(1..500));
        }
    }

    /// What is over is over.
    pub(crate) fn go_right(&mut self) -> Result<(), Broken> {
        let now = self.now;
        while let Some(due) = self.healing.first_entry().filter(|due| *due.key() <= now) {
            due.remove().into_iter().for_each(|(from, to)| self.network.uncut(from, to));
        }
        if self.fast_at.take_if(|at| *at <= now).is_some() {
            self.network.slowness(PROMPT);
        }
        for ordinal in 0..self.slots.len() {
            self.mend_disk(ordinal);
            self.power_went(ordinal);
            let slot = &mut self.slots[ordinal];
            if slot.paused_until.take_if(|until| *until <= now).is_some()
                && let Some(process) = &slot.process
            {
                process.wake(now);
            }
            self.begin(ordinal)?;
        }
        Ok(())
    }

    fn mend_disk(&mut self, ordinal: usize) {
        let now = self.now;
        let slot = &mut self.slots[ordinal];
        if slot.fails_until.take_if(|until| *until <= now).is_some()
            && let Some(process) = &slot.process
        {
            process.disk.mend();
        }
        if slot.slow_until.take_if(|until| *until <= now).is_some()
            && let Some(process) = &slot.process
        {
            process.disk_takes(DISK);
        }
    }

    fn power_went(&mut self, ordinal: usize) {
        let slot = &self.slots[ordinal];
        let went = slot.process.as_ref().is_some_and(|process| process.disk.is_off());
        let Some(aftermath) = slot.at_call.filter(|_| went) else { return };
        // As it was before the last turn: the process has done nothing since that anybody could have heard.
        let safe = self.script.backups > 0 && self.backed(|_| true);
        let back_after = self.dice.within(10..3_000);
        self.kill(ordinal, Some(aftermath), Some(back_after));
        if !safe {
            self.may_be_lost();
        }
    }

    fn begin(&mut self, ordinal: usize) -> Result<(), Broken> {
        let now = self.now;
        let slot = &mut self.slots[ordinal];
        if let Some(why) = slot.process.as_ref().and_then(Process::failed) {
            if slot.fails_until.is_none() && slot.at_call.is_none() {
                return Err(Broken::NotBegun { ordinal, why });
            }
            self.kill(ordinal, None, Some(AGAIN));
        }
        if self.slots[ordinal].process.as_ref().is_some_and(Process::ends_itself) {
            // It would flush before; who is killed does not.
            let safe = self.script.backups > 0 && self.backed(|_| true);
            self.kill(ordinal, None, Some(AGAIN));
            if !safe {
                self.may_be_lost();
            }
        }
        let slot = &mut self.slots[ordinal];
        if slot.up_at.is_none_or(|at| at > now) {
            return Ok(());
        }
        let Some(disk) = slot.disk.take() else { return Ok(()) };
        slot.up_at = None;
        let begin = Begin {
            ordinal,
            members: self.script.members as u32,
            partitions: self.script.partitions,
            backups: self.script.backups,
            at: now,
            drift: slot.drift,
            lags: self.script.lags,
            young: self.script.young,
            seed: self.seed ^ (ordinal as u64) << 48,
        };
        self.trace.note("begins", &[ordinal as u64, now]);
        let begun = Process::begin(begin, disk, &self.network);
        slot.process = Some(begun.map_err(|error| Broken::NotBegun { ordinal, why: error.to_string() })?);
        Ok(())
    }

    /// Everything is mended at once, and everybody comes back.
    pub(crate) fn heal(&mut self) {
        let now = self.now;
        self.network.heal();
        self.network.slowness(PROMPT);
        self.healing.clear();
        self.fast_at = None;
        self.person.wants_it_back();
        let down = self.operator.is_down();
        for slot in &mut self.slots {
            if let Some(process) = slot.process.as_ref().filter(|process| !process.disk.is_off()) {
                process.disk.mend();
                process.disk_takes(DISK);
                slot.at_call = None;
            }
            slot.paused_until = slot.paused_until.map(|_| now);
            (slot.fails_until, slot.slow_until) = (None, None);
            slot.up_at = slot.up_at.map(|_| now);
            if slot.disk.is_some() && !down {
                slot.up_at.get_or_insert(now);
            }
        }
    }
}

/// The disks have all that RAM had, whoever is killed: from the end of a stop on until the cluster runs again.
fn is_still(machine: &Machine) -> bool {
    match &machine.state {
        ClusterState::Passive { held_by: Some(op) } => {
            machine.operation(op).is_some_and(|held| held.step == OperationStep::Committed)
        }
        ClusterState::Recovering { from: RecoveringFrom::Sealed { .. }, .. } => true,
        ClusterState::Activating { op, .. } => op.is_some(),
        _ => false,
    }
}

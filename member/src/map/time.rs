//! The time of partitions: ticks that their primaries count, and burying what is dead.
//!
//! Law: only a primary counts, with the clock of leases, from the tick of the last change that it has; a replica that
//! becomes primary counts on from the moment at which it got that change. Time stands still while the cluster takes no
//! changes: nothing dies behind closed doors. Must not know: what dies.

use std::sync::Arc;
use std::time::Duration;

use jet_core::Machine;
use jet_map::door::admits;
use jet_map::{AskedFor, Door, Op, Requester};
use tracing::debug;

use super::cell::{Cell, State};
use super::{Shared, lock};
use crate::clock::Moment;

/// What is dead is looked for so often.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Entries that one change buries.
const BURIED_AT_ONCE: u32 = 256;
/// Changes that bury in one look at a partition; the rest waits for the next.
const BURIALS_AT_A_LOOK: usize = 16;

/// The time of one partition.
#[derive(Clone, Copy, Debug)]
pub struct Ticks {
    tick: u64,
    /// None: it stands still.
    since: Option<Moment>,
}

impl Ticks {
    /// At the beginning, and standing still.
    pub fn begin() -> Self {
        Self { tick: 0, since: None }
    }

    /// A change of this tick has come.
    pub fn came(&mut self, tick: u64, now: Moment) {
        self.tick = tick;
        self.since = self.since.map(|_| now);
    }

    /// The tick by now.
    pub fn now(&self, now: Moment) -> u64 {
        let since = self.since.map_or(0, |since| u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX));
        self.tick.saturating_add(since)
    }

    /// From now on it goes, or stands still.
    pub fn goes(&mut self, goes: bool, now: Moment) {
        if goes != self.since.is_some() {
            *self = Self { tick: self.now(now), since: goes.then_some(now) };
        }
    }
}

impl State {
    /// The tick by now; never before that of the last change.
    pub fn tick(&self) -> u64 {
        self.ticks.now(Moment::now()).max(self.replica.content().now)
    }

    /// The replica has got changes, or another content.
    pub fn time_came(&mut self) {
        self.ticks.came(self.replica.content().now, Moment::now());
    }
}

/// Whether time goes on.
pub fn goes(machine: &Machine) -> bool {
    admits(&machine.state, Requester::Primary, AskedFor::Own)
}

impl Shared {
    /// Time goes on, or stands still, in all partitions.
    pub(super) fn carry_out_time(&self, machine: &Machine) {
        let goes = goes(machine);
        if std::mem::replace(&mut lock(&self.known).time_goes, goes) != goes {
            let now = Moment::now();
            self.cells().iter().for_each(|cell| cell.state().ticks.goes(goes, now));
        }
    }

    /// As primary: buries what is dead in one partition.
    fn bury(self: &Arc<Self>, cell: &Arc<Cell>) {
        for _ in 0..BURIALS_AT_A_LOOK {
            let due = {
                let state = cell.state();
                let timeless = state.replica.content().is_timeless();
                !timeless && state.lead.is_some() && state.replica.content().is_due(state.tick())
            };
            if !due {
                return;
            }
            let _in_flight = self.doors.write();
            if self.doors.door() != Door::Open {
                return;
            }
            if let Err(refusal) = cell.order(self, Requester::Primary, Op::Expire { most: BURIED_AT_ONCE }) {
                debug!(partition = %cell.partition, %refusal, "maps: what is dead is buried later");
                return;
            }
            self.kick(cell);
        }
    }
}

/// Buries what is dead in all partitions that are led here, again and again.
pub fn keep_burying(shared: &Arc<Shared>) {
    let weak = Arc::downgrade(shared);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let Some(shared) = weak.upgrade() else { return };
            shared.cells().iter().for_each(|cell| shared.ask_for_untold(cell));
            if goes(&shared.cluster.machine()) {
                shared.cells().iter().for_each(|cell| shared.bury(cell));
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::default().plus(Duration::from_millis(millis))
    }

    #[test]
    fn a_primary_counts_on_from_the_last_change_and_not_while_time_stands_still() {
        let mut ticks = Ticks::begin();
        ticks.goes(true, at(1_000));
        assert_eq!(ticks.now(at(1_250)), 250);
        ticks.came(9_000, at(2_000));
        assert_eq!((ticks.now(at(2_000)), ticks.now(at(2_500))), (9_000, 9_500));
        ticks.goes(false, at(3_000));
        assert_eq!(ticks.now(at(90_000)), 10_000);
        ticks.goes(false, at(91_000));
        ticks.goes(true, at(100_000));
        assert_eq!(ticks.now(at(100_007)), 10_007);
        ticks.goes(false, at(100_010));
        ticks.came(20_000, at(200_000));
        assert_eq!(ticks.now(at(300_000)), 20_000, "a change that comes does not set it going");
    }
}

//! Whose turn it is to be written whole: of the partitions that are behind on disk those first that somebody asks for.
//!
//! Law: one after the other, each once at a look; one that is asked for meanwhile is next. Who only tidies up gives its turn
//! away as long as anything is asked for. Must not know: who asks, how a partition is written.

use std::collections::{BTreeMap, BTreeSet};

use jet_core::PartitionId;
use jet_hotstore::Base;
use jet_map::Refusal;

use super::{Shared, lock};

/// Partitions that somebody asks for and that were behind then.
#[derive(Default)]
pub struct Turns {
    asked: BTreeSet<PartitionId>,
}

impl Turns {
    /// Somebody asks for one that is behind.
    fn ask(&mut self, partition: PartitionId) {
        self.asked.insert(partition);
    }

    fn is_asked(&self) -> bool {
        !self.asked.is_empty()
    }

    /// The next of these; none: all had their turn, and nothing is asked for.
    fn next<T>(&mut self, behind: &mut BTreeMap<PartitionId, T>) -> Option<T> {
        while let Some(asked) = self.asked.pop_first() {
            if let Some(found) = behind.remove(&asked) {
                return Some(found);
            }
        }
        behind.pop_first().map(|(_, first)| first)
    }
}

impl Shared {
    /// Writes what is behind; gives how many partitions that were. Blocks.
    pub(super) fn write_whole(&self) -> usize {
        let mut behind: BTreeMap<_, _> = self.cells_behind().into_iter().map(|cell| (cell.partition, cell)).collect();
        let partitions = behind.len();
        loop {
            let next = lock(&self.turns).next(&mut behind);
            let Some(cell) = next else { return partitions };
            self.rewrite(&cell, Base::Broken);
        }
    }

    /// A partition that is behind here is asked for: it is written next.
    pub(super) fn ask_for_whole(&self, partition: PartitionId) {
        lock(&self.turns).ask(partition);
    }

    /// Somebody asks for a partition that is behind.
    pub(super) fn whole_is_asked_for(&self) -> bool {
        lock(&self.turns).is_asked()
    }

    /// As primary: a change that waits for the disks would wait for its partition to be written whole. It is refused while
    /// nothing of it has happened.
    pub(super) fn judge_disk(&self, partition: PartitionId) -> Result<(), Refusal> {
        if !self.cell(partition)?.state().is_behind() {
            return Ok(());
        }
        self.ask_for_whole(partition);
        let why = match self.store.health().failure {
            Some(failure) => format!("the log failed at {}: {}", failure.file.display(), failure.reason),
            None => "it is written whole first".to_owned(),
        };
        Err(Refusal::BehindOnDisk { partition, why })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_comes_first_also_when_it_is_asked_for_late() {
        let p = PartitionId;
        let (mut turns, mut behind) = (Turns::default(), (1..=4).map(|n| (p(n), n)).collect::<BTreeMap<_, _>>());
        turns.ask(p(3));
        // One that is not behind any more holds nothing up.
        turns.ask(p(9));
        assert_eq!((turns.next(&mut behind), turns.next(&mut behind)), (Some(3), Some(1)));
        turns.ask(p(4));
        turns.ask(p(3));
        assert!(turns.is_asked());
        assert_eq!((turns.next(&mut behind), turns.next(&mut behind)), (Some(4), Some(2)));
        turns.ask(p(9));
        assert_eq!((turns.next(&mut behind), turns.is_asked()), (None, false));
    }
}

//! Up to which entry of the log a report of committed records is final.
//!
//! Law: what was in order when an entry had been applied is waited for, partition by partition, and nothing that came
//! later: a member under load is final all the same. Must not know: what is written.

use std::collections::BTreeMap;

use jet_core::{LogIndex, PartitionId, Version};

/// What of a partition that is led here is in order, and what of that is on all copies that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Led {
    /// In order.
    pub version: Version,
    /// On all copies.
    pub acknowledged: Version,
}

/// What is final, and what the next entry waits for.
#[derive(Clone, Debug, Default)]
pub struct Finality {
    known: LogIndex,
    asked: LogIndex,
    waits: BTreeMap<PartitionId, Version>,
}

impl Finality {
    /// `led` was read, partition by partition under its lock, after `applied` had been applied.
    pub fn look(&mut self, applied: LogIndex, led: &BTreeMap<PartitionId, Led>) -> LogIndex {
        self.waits.retain(|partition, version| led.get(partition).is_some_and(|now| now.acknowledged < *version));
        if !self.waits.is_empty() {
            return self.known;
        }
        // Nothing is waited for any more: what was asked for is final, and the next begins.
        self.known = self.asked;
        self.asked = applied;
        self.waits = led
            .iter()
            .filter(|(_, now)| now.acknowledged < now.version)
            .map(|(partition, now)| (*partition, now.version))
            .collect();
        if self.waits.is_empty() {
            self.known = applied;
        }
        self.known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jet_core::TableVersion;

    fn led(partitions: &[(u16, u64, u64)]) -> BTreeMap<PartitionId, Led> {
        let at = |seq| Version { installed: TableVersion(1), seq };
        let one = |(partition, version, acknowledged): &(u16, u64, u64)| {
            (PartitionId(*partition), Led { version: at(*version), acknowledged: at(*acknowledged) })
        };
        partitions.iter().map(one).collect()
    }

    #[test]
    fn what_was_in_order_at_the_entry_is_waited_for() {
        let mut finality = Finality::default();
        assert_eq!(finality.look(4, &led(&[(0, 7, 6), (1, 3, 3)])), 0);
        assert_eq!(finality.look(4, &led(&[(0, 7, 6), (1, 3, 3)])), 0);
        assert_eq!(finality.look(4, &led(&[(0, 7, 7), (1, 3, 3)])), 4);
    }

    #[test]
    fn writes_that_never_pause_do_not_keep_it_from_being_final() {
        let mut finality = Finality::default();
        // At every look one partition or the other has a write on its way.
        assert_eq!(finality.look(4, &led(&[(0, 7, 6), (1, 3, 2)])), 0);
        assert_eq!(finality.look(4, &led(&[(0, 8, 7), (1, 4, 2)])), 0);
        assert_eq!(finality.look(5, &led(&[(0, 9, 8), (1, 5, 4)])), 4);
        assert_eq!(finality.look(5, &led(&[(0, 11, 10), (1, 6, 5)])), 5);
    }

    #[test]
    fn an_entry_that_is_applied_meanwhile_waits_for_its_own() {
        let mut finality = Finality::default();
        assert_eq!(finality.look(4, &led(&[(0, 7, 6)])), 0);
        assert_eq!(finality.look(9, &led(&[(0, 8, 7)])), 4);
        assert_eq!(finality.look(9, &led(&[(0, 8, 7)])), 4);
        assert_eq!(finality.look(9, &led(&[(0, 8, 8)])), 9);
    }

    #[test]
    fn a_partition_that_is_led_elsewhere_is_waited_for_no_more() {
        let mut finality = Finality::default();
        assert_eq!(finality.look(4, &led(&[(0, 7, 6)])), 0);
        assert_eq!(finality.look(5, &led(&[])), 5);
    }
}

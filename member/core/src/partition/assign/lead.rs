//! Who leads each partition, of those that hold it.
//!
//! Law: the sets of copies stay as they are. Must not know: zones, weights.

use super::level::Ground;

/// By partition its copies, first the primary.
pub(super) struct Leads(pub(super) Vec<Vec<usize>>);

impl Ground for Leads {
    fn partitions(&self) -> usize {
        self.0.len()
    }

    fn giver(&self, partition: usize, nth: usize) -> Option<usize> {
        self.0.get(partition)?.first().filter(|_| nth == 0).copied()
    }

    fn allows(&self, partition: usize, from: usize, to: usize) -> bool {
        let list = self.0.get(partition).map(Vec::as_slice).unwrap_or_default();
        from != to && list.first() == Some(&from) && list.contains(&to)
    }

    fn shift(&mut self, partition: usize, _from: usize, to: usize) {
        let Some(list) = self.0.get_mut(partition) else { return };
        if let Some(at) = list.iter().position(|candidate| *candidate == to) {
            list.swap(0, at);
        }
    }
}

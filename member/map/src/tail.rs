//! The newest changes of a replica, so that a follower that missed a few need not be copied whole.
//!
//! The law: the changes form a chain (each names the version before it); bounded in count and bytes; what not all
//! followers have confirmed is kept up to a larger bound. Must not know: followers.

use std::collections::VecDeque;

use crate::{Sequenced, Version};

/// Confirmed changes that are kept.
pub const KEPT_CHANGES: usize = 256;
/// Bytes of confirmed changes that are kept.
pub const KEPT_BYTES: usize = 256 << 10;
/// Bytes of changes that are kept for followers that have not confirmed them; beyond, such a follower is copied whole.
pub const MOST_BYTES: usize = 64 << 20;

/// The tail of one replica.
#[derive(Clone, Debug, Default)]
pub struct Tail {
    changes: VecDeque<Sequenced>,
    bytes: usize,
}

impl Tail {
    /// Adds the newest change.
    pub fn push(&mut self, change: Sequenced) {
        self.bytes += change.op.size();
        self.changes.push_back(change);
        while self.bytes > MOST_BYTES && self.changes.len() > 1 {
            self.drop_oldest();
        }
    }

    /// Forgets what everybody has confirmed, beyond what is kept anyway.
    pub fn confirmed(&mut self, upto: Version) {
        while (self.changes.len() > KEPT_CHANGES || self.bytes > KEPT_BYTES)
            && self.changes.front().is_some_and(|oldest| oldest.version <= upto)
        {
            self.drop_oldest();
        }
    }

    /// Forgets what everybody has confirmed: there is nobody who could have missed it.
    pub fn needed_by_nobody(&mut self, upto: Version) {
        while self.changes.front().is_some_and(|oldest| oldest.version <= upto) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.changes.pop_front() {
            self.bytes -= oldest.op.size();
        }
    }

    /// Forgets everything: the chain is broken by a copy.
    pub fn clear(&mut self) {
        *self = Tail::default();
    }

    /// Changes after `version`, oldest first, up to the bounds (at least one); `None` when the chain does not reach back.
    pub fn after(&self, version: Version, most: usize, bytes: usize) -> Option<Vec<Sequenced>> {
        let start = self.behind(version)?;
        let (mut taken, mut size) = (Vec::new(), 0);
        for change in self.changes.range(start..).take(most) {
            if !taken.is_empty() && size + change.op.size() > bytes {
                break;
            }
            size += change.op.size();
            taken.push(change.clone());
        }
        Some(taken)
    }

    /// Whether the change after `version` is in the chain, so that [`Self::after`] gives something.
    pub fn goes_on_from(&self, version: Version) -> bool {
        self.behind(version).is_some()
    }

    /// Where the change after `version` is.
    fn behind(&self, version: Version) -> Option<usize> {
        // Most often it is the newest.
        let newest = self.changes.len().checked_sub(1)?;
        let at = match self.changes.get(newest)?.prev == version {
            true => newest,
            false => self.changes.partition_point(|change| change.prev < version),
        };
        self.changes.get(at).filter(|change| change.prev == version).map(|_| at)
    }

    /// Whether this version is in the chain.
    pub fn holds(&self, version: Version) -> bool {
        self.changes.iter().any(|change| change.version == version || change.prev == version)
    }
}

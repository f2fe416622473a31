//! A primary that lives and gives its place to another copy.
//!
//! Law:
//! 1. From the release on, under the partition's lock, nothing is put in order here and nothing is looked up, whoever asks and
//!    for whatever reason, until the entry of the table changes. Nothing of a call that is refused so has happened.
//! 2. What was in order or looked up before is answered yet; that it is over is said (`Released`) only when nobody waits for
//!    such an answer any more, and every copy has all that was ordered.
//! 3. A release names the change of the entry that asked for it. One that comes late, for an entry that this member has
//!    left behind, does nothing; and any other change of the entry ends it.
//!
//! Attacked:
//! - *Serves twice*: a call that was admitted before waits for the lock and reads after the next one began to write: it is
//!   judged under the lock (`nothing_is_answered_from_the_release_on`). A change by no client (time, a restore, a sink) goes
//!   another way: all of them end in `State::order`. Who runs anew has forgotten the release: it is another boot, and leads
//!   nothing under the one that was to give its place.
//! - *Loses a write*: one that is in order and on no copy yet: (2.), `who_waits_holds_the_word_back`.
//! - *Tells nobody how it ended*: a call that waits for its followers while the next primary is installed was done and is said
//!   to be unknown: (2.).
//! - *Hangs*: whoever waits, waits within its own bound; the leader takes the release back before that.
//!
//! Must not know: why, to whom.

use std::collections::BTreeMap;
use std::sync::Arc;

use jet_core::{PartitionId, TableVersion};
use jet_map::Refusal;

use super::Shared;

/// Whoever holds one waits for an answer that was in order before a release.
#[derive(Clone, Debug, Default)]
pub struct Answering(#[expect(dead_code, reason = "it is counted")] Arc<()>);

/// How a primary stands to its place.
#[derive(Default)]
pub struct Handing {
    released: Option<TableVersion>,
    answering: Arc<()>,
}

impl Handing {
    /// Whether anything may be put in order or looked up.
    pub fn judge(&self, partition: PartitionId) -> Result<(), Refusal> {
        match self.released {
            None => Ok(()),
            Some(_) => Err(Refusal::NotPrimary { partition, primary: None }),
        }
    }

    /// One more waits for its answer.
    pub fn answering(&self) -> Answering {
        Answering(self.answering.clone())
    }

    /// From now on nobody is answered.
    pub fn release(&mut self, changed: TableVersion) {
        self.released = Some(changed);
    }

    /// The entry is this one now.
    pub fn follow_table(&mut self, changed: TableVersion) {
        self.released = self.released.filter(|released| *released == changed);
    }

    /// By which change it is released and nobody waits any more.
    pub fn is_over(&self) -> Option<TableVersion> {
        self.released.filter(|_| Arc::strong_count(&self.answering) == 1)
    }
}

impl Shared {
    pub(super) fn release(&self, partition: PartitionId, changed: TableVersion) {
        let Ok(cell) = self.cell(partition) else { return };
        let mut state = cell.state();
        if state.lead.as_ref().is_some_and(|lead| lead.changed == changed) {
            state.handing.release(changed);
        }
    }

    /// Released, with nobody that waits and nothing that a copy lacks.
    pub(super) fn released(&self) -> BTreeMap<PartitionId, TableVersion> {
        let mut released = BTreeMap::new();
        for cell in self.cells() {
            let mut state = cell.state();
            let Some(changed) = state.handing.is_over() else { continue };
            let version = state.replica.version();
            if state.settle().is_some_and(|everywhere| everywhere >= version) {
                released.insert(cell.partition, changed);
            }
        }
        released
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: PartitionId = PartitionId(3);

    #[test]
    fn who_waits_holds_the_word_back() {
        let mut handing = Handing::default();
        let (first, second) = (handing.answering(), handing.answering());
        assert_eq!(handing.is_over(), None, "nobody asked for it");
        handing.release(TableVersion(7));
        drop(first);
        assert_eq!(handing.is_over(), None);
        drop(second);
        assert_eq!(handing.is_over(), Some(TableVersion(7)));
    }

    #[test]
    fn any_other_change_of_the_entry_ends_a_release() {
        let mut handing = Handing::default();
        handing.release(TableVersion(7));
        handing.follow_table(TableVersion(7));
        assert!(handing.judge(P).is_err());
        handing.follow_table(TableVersion(8));
        assert!(handing.judge(P).is_ok() && handing.is_over().is_none());
    }
}

//! To whom the leader may grant a lease, and under which table.
//!
//! Law: a lease never names a table older than one by which somebody else may serve already. So a leader grants nothing
//! before it has published all that was in its log when it began to lead, and nothing to whom a command of its own deposes
//! before it has published what that command made. Must not know: terms, clocks, for how long a lease is granted.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{LogIndex, MemberId, TableVersion};

/// What one leadership grants by. Whoever keeps it guards it by one lock: a table that was looked up before is no table to
/// grant by.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    /// Where the log ended when this leadership began. An election brings all that was committed before it, but not applied;
    /// and a leader that was started again goes on in its term, with a log that it has not read yet.
    begun_at: LogIndex,
    /// Up to where the machine has come that this member serves by, and the table in it.
    published: (LogIndex, TableVersion),
    /// Who is deposed by a command of this leadership, and the entry up to which its outcome is known; `None`: it is not.
    deposed: BTreeMap<MemberId, Option<LogIndex>>,
}

impl Grants {
    /// A leadership begins. `last`: the last entry of its log, committed or not.
    pub fn begin(&mut self, last: LogIndex) {
        self.begun_at = last;
        self.deposed.clear();
    }

    /// This member serves by a machine to which everything up to `index` was applied. Whoever goes through the log once more
    /// may say again what was before: nobody serves by that.
    pub fn published(&mut self, index: LogIndex, table: TableVersion) {
        if index < self.published.0 {
            return;
        }
        self.published = (index, table);
        self.forget_what_is_published();
    }

    /// These are deposed by commands that are to be written.
    pub fn depose(&mut self, members: impl IntoIterator<Item = MemberId>) {
        self.deposed.extend(members.into_iter().map(|member| (member, None)));
    }

    /// A command of this leadership has an outcome, and with it every one before it; everything up to `applied` was applied,
    /// if perhaps not published. `still`: who is deposed by what is yet to be written.
    pub fn outcome_known(&mut self, applied: LogIndex, still: &BTreeSet<MemberId>) {
        for (member, outcome) in &mut self.deposed {
            if !still.contains(member) {
                outcome.get_or_insert(applied);
            }
        }
        self.forget_what_is_published();
    }

    fn forget_what_is_published(&mut self) {
        let upto = self.published.0;
        self.deposed.retain(|_, outcome| outcome.is_none_or(|applied| applied > upto));
    }

    /// All that was there when this leadership began is published.
    pub fn caught_up(&self) -> bool {
        self.published.0 >= self.begun_at
    }

    /// The table under which `to` may be granted a lease now; `None`: it may not.
    pub fn table_for(&self, to: MemberId) -> Option<TableVersion> {
        (self.caught_up() && !self.deposed.contains_key(&to)).then_some(self.published.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(n: u128) -> MemberId {
        MemberId(uuid::Uuid::from_u128(n))
    }

    fn led(last: LogIndex) -> Grants {
        let mut grants = Grants::default();
        grants.begin(last);
        grants
    }

    #[test]
    fn what_is_published_once_more_takes_nothing_back() {
        let mut grants = led(30);
        grants.published(30, TableVersion(4));
        grants.published(29, TableVersion(4));
        assert_eq!(grants.table_for(member(1)), Some(TableVersion(4)));
    }

    #[test]
    fn a_leader_grants_by_the_table_that_it_published_once_all_is_published_that_it_began_with() {
        let mut grants = led(7);
        assert_eq!(grants.table_for(member(1)), None);
        grants.published(6, TableVersion(2));
        assert_eq!(grants.table_for(member(1)), None, "an entry of the former leader may be the next");
        grants.published(7, TableVersion(3));
        assert_eq!(grants.table_for(member(1)), Some(TableVersion(3)));
        // Its own entries make it no stranger again; those of another leadership do.
        grants.published(9, TableVersion(4));
        assert_eq!(grants.table_for(member(1)), Some(TableVersion(4)));
        grants.begin(10);
        assert_eq!(grants.table_for(member(1)), None);
    }

    #[test]
    fn who_is_deposed_is_granted_nothing_until_the_outcome_is_published() {
        let mut grants = led(0);
        grants.published(5, TableVersion(3));
        grants.depose([member(1), member(2)]);
        assert_eq!((grants.table_for(member(1)), grants.table_for(member(3))), (None, Some(TableVersion(3))));
        // The command that deposes the first is at 6; what deposes the second is not written yet.
        grants.outcome_known(6, &BTreeSet::from([member(2)]));
        assert_eq!(grants.table_for(member(1)), None, "it was applied, and is not what this member serves by");
        grants.published(6, TableVersion(4));
        assert_eq!(grants.table_for(member(1)), Some(TableVersion(4)));
        assert_eq!(grants.table_for(member(2)), None);
        // Published before its outcome was heard of.
        grants.published(7, TableVersion(5));
        assert_eq!(grants.table_for(member(2)), None);
        grants.outcome_known(7, &BTreeSet::new());
        assert_eq!(grants.table_for(member(2)), Some(TableVersion(5)));
    }

    #[test]
    fn a_later_outcome_does_not_hold_back_what_an_earlier_one_let_go() {
        let mut grants = led(0);
        grants.depose([member(1)]);
        grants.outcome_known(6, &BTreeSet::new());
        grants.outcome_known(9, &BTreeSet::new());
        grants.published(6, TableVersion(2));
        assert_eq!(grants.table_for(member(1)), Some(TableVersion(2)));
        // Deposed once more, it waits once more.
        grants.depose([member(1)]);
        grants.published(8, TableVersion(2));
        assert_eq!(grants.table_for(member(1)), None);
    }
}

//! What of a partition was on its way to the disk when somebody asked for it, and what of that is there.
//!
//! Law: the first that was asked for is kept until it is durable, whatever comes behind it: a partition that changes all the
//! time is found on a disk with slow syncs too, version by version, each as soon as it is there. At most [`MOST_MARKS`] are
//! kept; later ones wait until the first of them is durable. Must not know: who asks, how it is synced.

use std::collections::VecDeque;

use jet_core::Version;
use jet_hotstore::Ticket;

/// More than a disk is asked for a partition while a change waits.
const MOST_MARKS: usize = 32;

/// Of one partition.
#[derive(Default)]
pub struct Marks {
    on_its_way: VecDeque<(Version, Ticket)>,
    there: Version,
}

impl Marks {
    /// Somebody asks, and the log was given everything up to this version; it is durable with this ticket.
    pub fn given(&mut self, version: Version, ticket: Ticket) {
        let last = self.on_its_way.back().map_or(self.there, |(last, _)| *last);
        if last < version && self.on_its_way.len() < MOST_MARKS {
            self.on_its_way.push_back((version, ticket));
        }
    }

    /// Everything up to this ticket is durable; gives the version that is there.
    pub fn durable(&mut self, upto: Ticket) -> Version {
        while let Some((version, _)) = self.on_its_way.pop_front_if(|(_, ticket)| *ticket <= upto) {
            self.there = version;
        }
        self.there
    }

    /// With which ticket a version is durable, or as much of it as is known; none: nothing is on its way.
    pub fn ticket(&self, wanted: Version) -> Option<Ticket> {
        let first = self.on_its_way.iter().find(|(version, _)| *version >= wanted);
        first.or_else(|| self.on_its_way.back()).map(|(_, ticket)| *ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jet_core::TableVersion;

    fn at(seq: u64) -> Version {
        Version { installed: TableVersion(2), seq }
    }

    #[test]
    fn what_was_asked_for_first_is_found_though_later_changes_are_on_their_way() {
        let mut marks = Marks::default();
        for n in 1..=4 {
            marks.given(at(n), Ticket(10 * n));
            assert_eq!(marks.durable(Ticket(9)), Version::default(), "change {n}");
        }
        assert_eq!(
            (marks.ticket(at(1)), marks.ticket(at(3)), marks.ticket(at(9))),
            (Some(Ticket(10)), Some(Ticket(30)), Some(Ticket(40)))
        );
        assert_eq!(marks.durable(Ticket(25)), at(2));
        assert_eq!(marks.durable(Ticket(24)), at(2), "what is there stays");
        assert_eq!(marks.durable(Ticket(40)), at(4));
        marks.given(at(4), Ticket(40));
        assert_eq!(marks.ticket(at(4)), None, "it is there already");
    }

    #[test]
    fn the_first_is_kept_where_more_are_on_their_way_than_have_a_place() {
        let mut marks = Marks::default();
        let many = 2 * MOST_MARKS as u64;
        (1..=many).for_each(|n| marks.given(at(n), Ticket(n)));
        assert_eq!(marks.durable(Ticket(1)), at(1));
        marks.given(at(many), Ticket(many));
        assert_eq!(marks.durable(Ticket(many)), at(many), "the last has a place when the first is there");
    }
}
